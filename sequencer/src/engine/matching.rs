//! Matching: an incoming order against the best of the book and of what liquidations offer.
//!
//! Each match is an entry that the epoch's builder accepts or refuses, at once and for good. A
//! refusal names an account: if it is the resting order's, that order leaves the book with the
//! reason and matching goes on; else the incoming order takes no more.

use tally_protocol::entry::Entry;
use tally_protocol::epoch::EpochError;
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::fill::Fill;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::margin::{fee_per_lot, position};
use super::orders::{Authorities, Live, Whereabouts};
use super::submit::sells_spot;
use super::{Engine, Rows};
use crate::book::{accepts, fill_price};
use crate::command::{SelfTrade, TimeInForce};
use crate::event::{CancelReason, Event, FillSide, OrderId};

/// Why matching of an order stops before it is filled.
pub(super) type Stop = CancelReason;

/// What one match may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub price: u64,
    pub lots: u64,
    pub maker_fee: u64,
    pub taker_fee: u64,
}

impl Engine {
    /// Matches an order, and lets what is left rest where it may.
    pub(super) fn place(&mut self, mut live: Live) {
        if live.terms.trigger.is_some() && live.at == Whereabouts::Incoming {
            return self.wait(live);
        }
        let stop = match self.can_match(live.order.instrument) {
            true => self.take(&mut live),
            false => None,
        };
        self.rest(live, stop);
    }

    fn wait(&mut self, mut live: Live) {
        live.at = Whereabouts::Waiting;
        let price = live.terms.trigger.map_or(0, |trigger| trigger.price);
        self.emit(Event::Waiting {
            order: live.reference(),
            instrument: live.order.instrument,
            price,
        });
        self.orders.insert(live);
    }

    fn rest(&mut self, mut live: Live, stop: Option<Stop>) {
        if live.open == 0 {
            return;
        }
        let immediate = live.terms.time_in_force != TimeInForce::GoodTillTime;
        let unfilled = immediate.then_some(CancelReason::Unfilled);
        // What crosses and did not fill crosses outside of the band [J2]: no book shows that.
        let band = self
            .crosses(&live)
            .then_some(CancelReason::Rule { code: "J2.band" });
        let unfilled = unfilled.or(band);
        if let Some(reason) = stop.or(unfilled) {
            return self.emit(Event::Cancelled {
                order: live.reference(),
                instrument: live.order.instrument,
                lots: live.open,
                reason,
            });
        }
        live.at = Whereabouts::Resting;
        let (instrument, spot) = (live.order.instrument, live.spot());
        self.books
            .entry(instrument)
            .or_default()
            .insert(spot, live.id, live.open);
        self.changed.insert(instrument);
        self.emit(Event::Resting {
            order: live.reference(),
            instrument,
            side: spot.side,
            price: spot.price,
            lots: live.open,
        });
        self.orders.insert(live);
    }

    fn crosses(&self, live: &Live) -> bool {
        let side = live.order.side;
        let book = self.books.get(&live.order.instrument);
        let best = book.and_then(|book| book.best(side.opposite()));
        best.is_some_and(|price| accepts(side, live.order.limit, price))
    }

    /// Takes what there is, best price first. The reason if the rest may not go on.
    fn take(&mut self, live: &mut Live) -> Option<Stop> {
        while live.open > 0 {
            let market = *self.rows.market.get(&live.order.instrument)?;
            let band = (market.min_fill, market.max_fill);
            let (side, limit) = (live.order.side, live.order.limit);
            let takes = |price: &u64| accepts(side, limit, *price);
            let book = self.books.get(&live.order.instrument);
            let first = book.and_then(|book| book.first(side.opposite()));
            let resting = first.and_then(|(spot, id)| {
                let price = fill_price(spot.side, spot.price, band).filter(takes)?;
                Some((price, id))
            });
            let offer = self.offered(market.id, side).copied();
            let offer = offer.filter(|offer| takes(&offer.price));
            // At equal prices a liquidation goes first: it makes everybody safer.
            let better = |price: u64, than: u64| price != than && accepts(side, than, price);
            let step = match (resting, offer) {
                (None, None) => return None,
                (Some((price, id)), offer)
                    if offer.is_none_or(|offer| better(price, offer.price)) =>
                {
                    self.meet(live, id, price, &market)
                }
                (_, Some(offer)) => self.take_offer(live, &offer, &market),
                (Some(_), None) => return None,
            };
            if let Some(stop) = step {
                return Some(stop);
            }
        }
        None
    }

    /// An incoming order against a resting one. One of the two shrinks, or matching stops.
    fn meet(
        &mut self,
        live: &mut Live,
        id: OrderId,
        price: u64,
        market: &MarketRow,
    ) -> Option<Stop> {
        let Some(maker) = self.orders.get(id).cloned() else {
            return Some(CancelReason::Unfilled);
        };
        if maker.owner == live.owner {
            return self.prevent_self_trade(live, id);
        }
        let lots = live.open.min(maker.open).min(market.max_size);
        let terms = self.fill_terms(&maker, live, market, (price, lots));
        if terms.lots == 0 {
            let code = "L3.reduce_only";
            let spent = self.room(live, market) == 0;
            let reason = CancelReason::Rule { code };
            return match spent {
                true => Some(reason),
                false => {
                    self.drop_order(id, reason);
                    None
                }
            };
        }
        let authorities = [maker.authority, live.authority];
        let entry = fill_entry(&maker, live, &terms);
        let epoch = self.epoch_mut()?;
        match epoch.builder.push_signed(entry, &Authorities(&authorities)) {
            Ok(_) => {
                self.filled(maker, live, &terms);
                None
            }
            Err(error) => {
                let code = error.code();
                let reason = CancelReason::Rule { code };
                match blamed(&error) == Some(maker.order.account) {
                    true => {
                        self.drop_order(id, reason);
                        None
                    }
                    false => Some(reason),
                }
            }
        }
    }

    fn prevent_self_trade(&mut self, live: &Live, id: OrderId) -> Option<Stop> {
        let rule = live.terms.self_trade;
        if rule != SelfTrade::CancelNewest {
            self.drop_order(id, CancelReason::SelfTrade);
        }
        (rule != SelfTrade::CancelOldest).then_some(CancelReason::SelfTrade)
    }

    /// Lots that both orders may fill, and the fees.
    pub(super) fn fill_terms(
        &self,
        maker: &Live,
        taker: &Live,
        market: &MarketRow,
        (price, lots): (u64, u64),
    ) -> Terms {
        let lots = lots
            .min(self.room(maker, market))
            .min(self.room(taker, market));
        let fee =
            |live: &Live, fraction| fee_per_lot(market.mark, fraction, live.order.max_fee_per_lot);
        Terms {
            price,
            lots,
            maker_fee: fee(maker, self.config.maker_fee),
            taker_fee: fee(taker, self.config.taker_fee),
        }
    }

    /// \[L3\], \[T6\] Lots by which the order may move its account's position: what it can reduce,
    /// where it may only reduce.
    pub(super) fn room(&self, live: &Live, market: &MarketRow) -> u64 {
        let restricted = market.flags & tally_protocol::instrument::flags::REDUCE_ONLY != 0;
        let spot = sells_spot(market, live.order.side);
        if !live.order.reduce_only && !restricted && !spot {
            return u64::MAX;
        }
        let held = self.held(live.order.account, market.id);
        let against = match live.order.side {
            Side::Long => held.saturating_neg(),
            Side::Short => held,
        };
        u64::try_from(against).unwrap_or(0)
    }

    pub(super) fn held(&self, account: AccountId, instrument: InstrumentId) -> i64 {
        let Some(epoch) = self.epoch() else {
            return 0;
        };
        match epoch.builder.running(account) {
            Some(running) => position(running, instrument),
            None => {
                let found = self.state().accounts.account(account);
                let slots = found.into_iter().flat_map(|account| &account.money.slots);
                let mut held = slots.filter(|slot| slot.instrument == instrument);
                held.next().map_or(0, |slot| slot.signed_size())
            }
        }
    }

    /// A fill that the builder has taken.
    pub(super) fn filled(&mut self, mut maker: Live, taker: &mut Live, terms: &Terms) {
        let instrument = taker.order.instrument;
        maker.fill(terms.lots);
        taker.fill(terms.lots);
        let side = |live: &Live, fee_per_lot| FillSide {
            order: live.reference(),
            left: live.open,
            fee_per_lot,
        };
        let event = Event::Fill {
            trade: self.next_trade(instrument),
            instrument,
            price: terms.price,
            lots: terms.lots,
            taker_side: taker.order.side,
            maker: side(&maker, terms.maker_fee),
            taker: side(taker, terms.taker_fee),
        };
        self.emit(event);
        if let Some(epoch) = self.epoch_mut() {
            epoch.fills = epoch.fills.saturating_add(1);
        }
        self.advance(&maker);
        self.trim(maker.order.account, instrument);
        self.trim(taker.order.account, instrument);
    }

    /// A resting order after a fill.
    pub(super) fn advance(&mut self, after: &Live) {
        if let Some(live) = self.orders.get_mut(after.id) {
            live.filled = after.filled;
        }
        self.shrink(after.id, after.open);
    }

    /// Leaves a resting order with so many lots, or takes it out.
    pub(super) fn shrink(&mut self, id: OrderId, open: u64) {
        let Some(live) = self.orders.get_mut(id) else {
            return;
        };
        live.open = open;
        let (spot, instrument) = (live.spot(), live.order.instrument);
        if live.at == Whereabouts::Resting {
            self.books.entry(instrument).or_default().set(spot, open);
            self.changed.insert(instrument);
        }
        if open == 0 {
            self.orders.remove(id);
        }
    }

    /// \[L3\] An account's reduce-only orders together never exceed its position: the latest shrink
    /// first.
    pub(super) fn trim(&mut self, account: AccountId, instrument: InstrumentId) {
        let folder = self.orders.folder(account);
        if folder.is_none_or(|folder| folder.reducing == 0) {
            return;
        }
        let held = self.held(account, instrument);
        for side in [Side::Long, Side::Short] {
            let against = match side {
                Side::Long => held.saturating_neg(),
                Side::Short => held,
            };
            let mut room = u64::try_from(against).unwrap_or(0);
            for (_, id, open) in self.orders.reducing(account, instrument, side) {
                let left = open.min(room);
                room = room.saturating_sub(left);
                if left == 0 {
                    let code = "L3.reduce_only";
                    self.drop_order(id, CancelReason::Rule { code });
                } else if left < open {
                    self.shrink(id, left);
                    let order = self.orders.get(id).map(Live::reference);
                    self.events
                        .extend(order.map(|order| Event::Reduced { order, lots: left }));
                }
            }
        }
    }
}

/// The account that a refusal is about.
pub(super) fn blamed(error: &EpochError) -> Option<AccountId> {
    match error {
        EpochError::Ledger { account, .. } => Some(*account),
        _ => None,
    }
}

pub(super) fn fill_entry(maker: &Live, taker: &Live, terms: &Terms) -> Entry {
    let takes_long = taker.order.side == Side::Long;
    let (long, short) = match takes_long {
        true => (taker, maker),
        false => (maker, taker),
    };
    let (long_fee_per_lot, short_fee_per_lot) = match takes_long {
        true => (terms.taker_fee, terms.maker_fee),
        false => (terms.maker_fee, terms.taker_fee),
    };
    Entry::Fill(Box::new(Fill {
        long: long.order.clone(),
        short: short.order.clone(),
        size: terms.lots,
        price: terms.price,
        long_fee_per_lot,
        short_fee_per_lot,
    }))
}

impl Rows {
    pub(super) fn mark(&self, instrument: InstrumentId) -> Option<u64> {
        self.market.get(&instrument).map(|row| row.mark)
    }
}
