//! Liquidations and the unwinding of insurance's inventory \[Q1\]–\[Q4\], \[Q7\] in the book.
//!
//! A flagged account's holding, and insurance's, is an *offer* at mark ∓ the discount that is open
//! in this epoch. At the epoch's start it goes to what rests in the book within that price, best
//! first; afterwards anybody's incoming order may take it. How many lots are on offer is computed
//! when somebody takes: as many as restore the account, and no more.

use std::collections::BTreeMap;

use tally_protocol::bounds::SLOTS;
use tally_protocol::entry::Entry;
use tally_protocol::instrument::{MarketRow, flags};
use tally_protocol::journal::flag::Flag;
use tally_protocol::journal::liquidation::{Liquidation, open_discount};
use tally_protocol::journal::unwind::Unwind;
use tally_protocol::ledger::Running;
use tally_protocol::margin::totals;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::Engine;
use super::margin::position;
use super::matching::{Stop, blamed};
use super::orders::{Authorities, Live};
use crate::book::accepts;
use crate::event::{CancelReason, Event, FillSide, OrderId};

/// Whose lots are on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Account(AccountId),
    /// Of the instrument's row.
    Insurance(AccountId),
}

/// A holding on offer in this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub source: Source,
    pub instrument: InstrumentId,
    /// Of the holding, which is the taker's too.
    pub side: Side,
    /// Mark ∓ `discount`, micro-quote per lot.
    pub price: u64,
    /// The most that is open \[Q4\].
    pub discount: u64,
    /// What the account pays per lot, and its flag's epoch; 0 for insurance.
    pub charge: u64,
    pub flagged_at: u32,
}

/// Offers by instrument and side, the taker's best first.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers(BTreeMap<(InstrumentId, Side), BTreeMap<(u64, Source), Offer>>);

impl Offers {
    fn insert(&mut self, offer: Offer) {
        let offers = self.0.entry((offer.instrument, offer.side)).or_default();
        offers.insert((offer.worth(), offer.source), offer);
    }

    fn remove(&mut self, offer: &Offer) {
        if let Some(offers) = self.0.get_mut(&(offer.instrument, offer.side)) {
            offers.remove(&(offer.worth(), offer.source));
        }
    }

    fn first(&self, instrument: InstrumentId, side: Side) -> Option<&Offer> {
        let offers = self.0.get(&(instrument, side))?;
        offers.first_key_value().map(|(_, offer)| offer)
    }

    fn kinds(&self) -> Vec<(InstrumentId, Side)> {
        self.0.keys().copied().collect()
    }
}

impl Offer {
    /// Lower is better for the taker.
    fn worth(&self) -> u64 {
        match self.side {
            Side::Long => self.price,
            Side::Short => u64::MAX - self.price,
        }
    }

    /// What a resting order gets: its limit, but no better than the offer and no worse than the
    /// mark, as a discount.
    fn discount_for(&self, limit: u64, mark: u64) -> u64 {
        let below = match self.side {
            Side::Long => mark.saturating_sub(limit),
            Side::Short => limit.saturating_sub(mark),
        };
        below.min(self.discount)
    }
}

fn price_at(side: Side, mark: u64, discount: u64) -> u64 {
    match side {
        Side::Long => mark.saturating_sub(discount),
        Side::Short => mark.saturating_add(discount),
    }
}

impl Engine {
    /// The best that is on offer to takers of a side.
    pub(super) fn offered(&self, instrument: InstrumentId, side: Side) -> Option<&Offer> {
        self.epoch()?.offers.first(instrument, side)
    }

    /// \[Q1\] Flags whoever is liquidatable and not flagged; liquidatable accounts keep no orders.
    pub(super) fn raise_flags(&mut self, near: &[AccountId]) {
        for account in near {
            let account = *account;
            let Some(epoch) = self.epoch_mut() else {
                return;
            };
            let Ok(running) = epoch.builder.account(account) else {
                continue;
            };
            let opening = running.opening;
            if !opening.is_liquidatable || epoch.reserved.contains(&account) {
                continue;
            }
            if !opening.is_flagged {
                let flag = Entry::Flag(Flag { account });
                if epoch.builder.push(flag).is_ok() {
                    self.emit(Event::Flagged { account });
                }
            }
            self.cancel_account(account, CancelReason::Liquidation);
        }
    }

    /// \[Q2\], \[Q7\] What is on offer in this epoch.
    pub(super) fn make_offers(&mut self) {
        if !self.matches() {
            return;
        }
        let mut found: Vec<Offer> = Vec::new();
        for account in &self.flagged {
            found.extend(self.offers_of(*account));
        }
        let rows: Vec<MarketRow> = self.rows.market.values().copied().collect();
        for market in &rows {
            found.extend(self.inventory(market));
        }
        if let Some(epoch) = self.epoch_mut() {
            found
                .into_iter()
                .for_each(|offer| epoch.offers.insert(offer));
        }
    }

    fn offers_of(&self, account: AccountId) -> Vec<Offer> {
        let Some(epoch) = self
            .epoch()
            .filter(|epoch| !epoch.reserved.contains(&account))
        else {
            return Vec::new();
        };
        let Ok(running) = epoch.builder.account(account) else {
            return Vec::new();
        };
        let opening = &running.opening;
        if !opening.is_flagged || !opening.is_liquidatable || opening.totals.is_bankrupt() {
            return Vec::new();
        }
        let header = epoch.builder.header();
        let (now, epochs) = (header.epoch, header.globals.auction_epochs);
        let held = running.places.iter().map(|place| place.holding);
        let of = |holding: tally_protocol::margin::Holding| {
            let (id, side) = (holding.row.id, holding.side());
            let market = self.rows.market.get(&id).filter(|row| is_open(row))?;
            let terms = epoch.builder.liquidation_terms(account, id);
            let (charge, flagged_at) = terms.ok().flatten()?;
            let discount = open_discount(charge, now.saturating_sub(flagged_at), epochs);
            Some(Offer {
                source: Source::Account(account),
                instrument: id,
                side,
                price: price_at(side, market.mark, discount),
                discount,
                charge,
                flagged_at,
            })
        };
        held.filter(|holding| holding.size != 0)
            .filter_map(of)
            .collect()
    }

    /// \[Q7\] Insurance's lots of a row; at the mark while insurance has nothing to give away.
    fn inventory(&self, market: &MarketRow) -> Option<Offer> {
        let epoch = self.epoch().filter(|_| is_open(market))?;
        let account = AccountId(market.row / SLOTS as u32);
        let lots = self.held(account, market.id);
        let side = match lots {
            0 => return None,
            1.. => Side::Long,
            _ => Side::Short,
        };
        let header = epoch.builder.header();
        let age = header.epoch.saturating_sub(market.insurance_since);
        // As much as insurance can pay on all of them.
        let most = epoch.builder.unwind_budget_left() / lots.unsigned_abs().max(1);
        let open = open_discount(market.penalty, age, header.globals.auction_epochs);
        let discount = open.min(most);
        Some(Offer {
            source: Source::Insurance(account),
            instrument: market.id,
            side,
            price: price_at(side, market.mark, discount),
            discount,
            charge: 0,
            flagged_at: 0,
        })
    }

    /// What rests in the book within an offer's price gets it, best price first.
    pub(super) fn sell_offers(&mut self) {
        let kinds = self.epoch().map(|epoch| epoch.offers.kinds());
        for (instrument, side) in kinds.unwrap_or_default() {
            while let Some(offer) = self.offered(instrument, side).copied() {
                let book = self.books.get(&instrument);
                let first = book.and_then(|book| book.first(side));
                let first = first.filter(|(spot, _)| accepts(side, spot.price, offer.price));
                let Some((_, id)) = first else {
                    break;
                };
                if !self.sell(&offer, id) {
                    break;
                }
            }
        }
    }

    /// One resting order takes what it can of an offer. False where neither can go on.
    fn sell(&mut self, offer: &Offer, id: OrderId) -> bool {
        let market = self.rows.market.get(&offer.instrument).copied();
        let (Some(mut live), Some(market)) = (self.orders.get(id).cloned(), market) else {
            return false;
        };
        let discount = offer.discount_for(live.order.limit, market.mark);
        match self.exchange(offer, &mut live, discount, &market) {
            None => {
                self.advance(&live);
                self.trim(live.order.account, offer.instrument);
            }
            Some(reason) => self.drop_order(id, reason),
        }
        true
    }

    /// An incoming order takes what it can of an offer, at the offer's price.
    pub(super) fn take_offer(
        &mut self,
        live: &mut Live,
        offer: &Offer,
        market: &MarketRow,
    ) -> Option<Stop> {
        let stop = self.exchange(offer, live, offer.discount, market);
        self.trim(live.order.account, offer.instrument);
        stop
    }

    /// The exchange itself. Either the order shrinks, or the offer is gone, or the order stops.
    fn exchange(
        &mut self,
        offer: &Offer,
        live: &mut Live,
        discount: u64,
        market: &MarketRow,
    ) -> Option<Stop> {
        let available = self.available(offer, discount).min(market.max_size);
        if available == 0 || Source::Account(live.order.account) == offer.source {
            self.withdraw_offer(offer);
            return None;
        }
        let lots = live.open.min(available).min(match live.order.reduce_only {
            true => self.room(live, market),
            false => u64::MAX,
        });
        if lots == 0 {
            return Some(CancelReason::Rule {
                code: "L3.reduce_only",
            });
        }
        let entry = entry_of(offer, live, (lots, discount));
        let authorities = [live.authority];
        let epoch = self.epoch_mut()?;
        match epoch.builder.push_signed(entry, &Authorities(&authorities)) {
            Ok(_) => {
                live.fill(lots);
                self.exchanged(offer, live, (lots, discount), market.mark);
                None
            }
            Err(error) => match blamed(&error) {
                Some(account) if account == live.order.account => {
                    Some(CancelReason::Rule { code: error.code() })
                }
                _ => {
                    self.withdraw_offer(offer);
                    None
                }
            },
        }
    }

    /// Nobody gets it at this price. Insurance still sells at the mark when it can give nothing.
    fn withdraw_offer(&mut self, offer: &Offer) {
        let mark = self.rows.mark(offer.instrument);
        let Some(epoch) = self.epoch_mut() else {
            return;
        };
        epoch.offers.remove(offer);
        if let (Source::Insurance(_), Some(price), 1..) = (offer.source, mark, offer.discount) {
            epoch.offers.insert(Offer {
                price,
                discount: 0,
                ..*offer
            });
        }
    }

    fn exchanged(&mut self, offer: &Offer, live: &Live, (lots, discount): (u64, u64), mark: u64) {
        let taker = FillSide {
            order: live.reference(),
            left: live.open,
            fee_per_lot: 0,
        };
        let (instrument, side) = (offer.instrument, offer.side);
        let trade = self.next_trade(instrument);
        let price = price_at(side, mark, discount);
        self.emit(match offer.source {
            Source::Account(account) => Event::Liquidated {
                trade,
                account,
                instrument,
                side,
                lots,
                price,
                charge: offer.charge,
                discount,
                taker,
            },
            Source::Insurance(_) => Event::Unwound {
                trade,
                instrument,
                side,
                lots,
                price,
                discount,
                taker,
            },
        });
        if let Some(epoch) = self.epoch_mut() {
            epoch.fills = epoch.fills.saturating_add(1);
        }
    }

    /// Lots that may go at this discount now.
    fn available(&self, offer: &Offer, discount: u64) -> u64 {
        let Some(epoch) = self.epoch() else {
            return 0;
        };
        match offer.source {
            Source::Insurance(account) => {
                let left = self.held(account, offer.instrument).unsigned_abs();
                let budget = epoch.builder.unwind_budget_left();
                left.min(budget.checked_div(discount).unwrap_or(left))
            }
            Source::Account(account) => {
                let Ok(running) = epoch.builder.account(account) else {
                    return 0;
                };
                restoring_lots(&running, offer)
            }
        }
    }
}

/// \[Q3\] The lots of a slot that restore the account as it stands, or all that are left.
fn restoring_lots(running: &Running, offer: &Offer) -> u64 {
    let holdings = running.places.map(|place| place.holding);
    let held = position(running, offer.instrument);
    let found = holdings
        .iter()
        .find(|holding| holding.row.id == offer.instrument);
    let (Some(holding), Ok(now)) = (found, totals(running.cash, &holdings)) else {
        return 0;
    };
    let charge = i128::from(offer.charge);
    let (lacks, gains) = match running.opening.totals.meets_maintenance() {
        // Only cash was negative: owned lots bring in their value less the charge.
        true if holding.row.value == 0 || held <= 0 => return 0,
        true => {
            let brought = i128::from(holding.row.value).saturating_sub(charge);
            (i128::from(running.cash).saturating_neg(), brought)
        }
        false => {
            let lot = i128::from(holding.row.initial(offer.side));
            let short = i128::from(now.initial).saturating_sub(now.equity.into());
            (short, lot.saturating_sub(charge))
        }
    };
    if lacks <= 0 || gains <= 0 {
        return 0;
    }
    let whole = lacks.saturating_add(gains).saturating_sub(1) / gains;
    let all = held.unsigned_abs();
    u64::try_from(whole).unwrap_or(all).min(all)
}

fn entry_of(offer: &Offer, live: &Live, (size, discount): (u64, u64)) -> Entry {
    let order = live.order.clone();
    match offer.source {
        Source::Account(account) => Entry::Liquidation(Box::new(Liquidation {
            account,
            order,
            size,
            charge: offer.charge,
            discount,
            flagged_at: offer.flagged_at,
        })),
        Source::Insurance(_) => Entry::Unwind(Box::new(Unwind {
            order,
            size,
            discount,
        })),
    }
}

fn is_open(market: &MarketRow) -> bool {
    market.flags & (flags::SETTLED | flags::HALTED) == 0
}
