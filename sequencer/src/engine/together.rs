//! Fill or kill: all lots at once, or nothing at all. The fills are one push of the builder, which
//! takes all or none.

use super::Engine;
use super::matching::{blamed, fill_entry};
use super::orders::{Authorities, Live};
use crate::book::{accepts, fill_price};
use crate::event::{CancelReason, OrderId};
use crate::reject::Reject;

/// Tries of one order.
const ATTEMPTS: usize = 8;

impl Engine {
    pub(super) fn fill_or_kill(
        &mut self,
        mut live: Live,
        replaced: Option<OrderId>,
    ) -> Result<(), Reject> {
        // Each failed attempt takes an order that cannot fill out of the book; attempts are few,
        // since each costs as much as all the fills.
        let wanted = live.open;
        for _ in 0..ATTEMPTS {
            let (makers, found) = self.makers(&live);
            if found < wanted {
                return Err(Reject::NotAll { found, wanted });
            }
            let market = self.rows.market.get(&live.order.instrument).copied();
            let market = market.ok_or(Reject::Instrument(live.order.instrument.0))?;
            let terms: Vec<_> = makers
                .iter()
                .map(|(maker, price, lots)| {
                    (
                        maker,
                        self.fill_terms(maker, &live, &market, (*price, *lots)),
                    )
                })
                .collect();
            // A maker that may only reduce has less than it shows; it is cut before the next try.
            if let Some((maker, terms)) = terms
                .iter()
                .zip(&makers)
                .find(|((_, terms), (_, _, lots))| terms.lots < *lots)
                .map(|(with, _)| with)
            {
                let (id, lots) = (maker.id, terms.lots);
                match lots {
                    0 => self.drop_order(
                        id,
                        CancelReason::Rule {
                            code: "L3.reduce_only",
                        },
                    ),
                    lots => self.shrink(id, lots),
                }
                continue;
            }
            let entries = terms
                .iter()
                .map(|(maker, terms)| fill_entry(maker, &live, terms));
            let entries: Vec<_> = entries.collect();
            let mut authorities: Vec<_> =
                makers.iter().map(|(maker, ..)| maker.authority).collect();
            authorities.push(live.authority);
            let terms: Vec<_> = terms.iter().map(|(_, terms)| *terms).collect();
            let epoch = self.epoch_mut().ok_or(Reject::NoMatching)?;
            match epoch
                .builder
                .push_all_signed(entries, &Authorities(&authorities))
            {
                Ok(_) => {
                    self.take_in(&mut live, replaced);
                    for ((maker, ..), terms) in makers.into_iter().zip(terms) {
                        // A fill before may have cut it; the builder has it filled all the same.
                        self.filled(maker, &mut live, &terms);
                    }
                    return Ok(());
                }
                Err((place, error)) => {
                    let maker = makers.get(place).map(|(maker, ..)| maker);
                    let maker = maker.filter(|maker| blamed(&error) == Some(maker.order.account));
                    let Some(id) = maker.map(|maker| maker.id) else {
                        return Err(Reject::Epoch(error));
                    };
                    self.drop_order(id, CancelReason::Rule { code: error.code() });
                }
            }
        }
        Err(Reject::NotAll { found: 0, wanted })
    }

    /// The resting orders that would fill it, at which price and for how many lots, and the lots in
    /// all. Its owner's own orders are passed over. Liquidations' offers are not for it.
    fn makers(&self, live: &Live) -> (Vec<(Live, u64, u64)>, u64) {
        let (mut makers, mut found) = (Vec::new(), 0u64);
        let market = self.rows.market.get(&live.order.instrument);
        let book = self.books.get(&live.order.instrument);
        let (Some(market), Some(book)) = (market, book) else {
            return (makers, found);
        };
        let side = live.order.side;
        for (spot, id, lots) in book.orders(side.opposite()) {
            let price = fill_price(spot.side, spot.price, (market.min_fill, market.max_fill));
            let price = price.filter(|price| accepts(side, live.order.limit, *price));
            let (Some(price), true) = (price, found < live.open) else {
                break;
            };
            let Some(maker) = self
                .orders
                .get(id)
                .filter(|maker| maker.owner != live.owner)
            else {
                continue;
            };
            let left = live.open.saturating_sub(found);
            let lots = lots.min(left).min(market.max_size);
            found = found.saturating_add(lots);
            makers.push((maker.clone(), price, lots));
        }
        (makers, found)
    }
}
