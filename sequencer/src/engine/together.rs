//! Fill or kill: all lots at once, or nothing at all. The fills are one push of the builder, which
//! takes all or none.

use tally_protocol::epoch::EpochError;

use super::Engine;
use super::matching::{Terms, blamed, fill_entry};
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
            let meet = |(maker, price, lots): (Live, u64, u64)| {
                let terms = self.fill_terms(&maker, &live, &market, (price, lots));
                (maker, terms, lots)
            };
            let met: Vec<_> = makers.into_iter().map(meet).collect();
            // A maker that may only reduce has less than it shows; it is cut before the next try.
            if let Some((maker, terms, _)) = met.iter().find(|(_, terms, lots)| terms.lots < *lots)
            {
                self.cut(maker.id, terms.lots);
                continue;
            }
            match self.push_together(&met, &live) {
                Ok(()) => {
                    self.take_in(&mut live, replaced);
                    for (maker, terms, _) in met {
                        self.filled(maker, &mut live, &terms);
                    }
                    return Ok(());
                }
                Err((Some(id), error)) => {
                    self.drop_order(id, CancelReason::Rule { code: error.code() });
                }
                Err((None, error)) => return Err(Reject::Epoch(error)),
            }
        }
        Err(Reject::NotAll { found: 0, wanted })
    }

    fn cut(&mut self, id: OrderId, lots: u64) {
        let code = "L3.reduce_only";
        match lots {
            0 => self.drop_order(id, CancelReason::Rule { code }),
            lots => self.shrink(id, lots),
        }
    }

    /// All of the fills or none; then the maker's order that cannot fill, if it is one's fault.
    fn push_together(
        &mut self,
        met: &[(Live, Terms, u64)],
        live: &Live,
    ) -> Result<(), (Option<OrderId>, EpochError)> {
        let entries = met
            .iter()
            .map(|(maker, terms, _)| fill_entry(maker, live, terms));
        let entries: Vec<_> = entries.collect();
        let mut authorities: Vec<_> = met.iter().map(|(maker, ..)| maker.authority).collect();
        authorities.push(live.authority);
        let Some(epoch) = self.epoch_mut() else {
            let skipped = tally_protocol::entry::EntryError::Skipped;
            return Err((None, skipped.into()));
        };
        let authorities = Authorities(&authorities);
        let pushed = epoch.builder.push_all_signed(entries, &authorities);
        pushed.map(drop).map_err(|(place, error)| {
            let maker = met.get(place).map(|(maker, ..)| maker);
            let maker = maker.filter(|maker| blamed(&error) == Some(maker.order.account));
            (maker.map(|maker| maker.id), error)
        })
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
