//! An order comes in: who may send it, what it may be, and where it goes.

use tally_protocol::instrument::{InstrumentKind, MarketRow, flags};
use tally_protocol::ledger::Running;
use tally_protocol::message::Cancel;
use tally_protocol::order::{Order, Place};
use tally_protocol::types::{AccountId, Side};

use super::Engine;
use super::margin::{Exposed, check_worst_case, fee_per_lot, position};
use super::orders::{Authority, Live, PendingCancel, Spent, Whereabouts};
use crate::book::{accepts, fill_price};
use crate::command::{DeadMan, Operation, OrderTerms, Signer, Submit, TimeInForce};
use crate::event::{CancelReason, Event, OrderId};
use crate::reject::Reject;

/// Orders by one nonce that took nothing.
const MAX_SPENT: usize = 1_024;

impl Engine {
    pub(super) fn batch(&mut self, operations: Vec<Operation>, signers: &[Signer]) {
        for (operation, (what, signer)) in operations.into_iter().zip(signers).enumerate() {
            let done = match what {
                Operation::Submit(submit) => self.submit(submit, *signer),
                Operation::Cancel(signed) => self.cancel(signed.message, *signer),
            };
            if let Err(reject) = done {
                self.emit(Event::Refused { operation, reject });
            }
        }
    }

    /// All checks come first; a refused order leaves everything as it was.
    pub(super) fn submit(&mut self, submit: Submit, signer: Signer) -> Result<(), Reject> {
        let Submit { order, terms, .. } = submit;
        order.check()?;
        self.check_lane()?;
        check_terms(&order, &terms)?;
        let account = order.account;
        let running = self.view(account)?;
        let by_trading_key = authorised(&running, &signer, true)?;
        check_generation(&running, order.generation)?;
        let market = self.tradable(&order, &terms)?;
        self.check_client(account, terms.client_id)?;
        let replaced = self.replaced(&order);
        let filled = self.check_place(&running, &order, &signer, replaced)?;
        let mut live = Live {
            id: OrderId(self.next_order.saturating_add(1)),
            owner: running.owner,
            open: order.size.saturating_sub(filled),
            filled,
            rank: self.next_rank.saturating_add(1),
            at: Whereabouts::Incoming,
            authority: Authority {
                signer,
                by_trading_key,
            },
            order,
            terms,
        };
        if live.open == 0 {
            return Err(Reject::Filled { filled });
        }
        if terms.trigger.is_none() {
            self.check_account(&running, &mut live, &market, replaced)?;
            self.check_taking(&live, &market)?;
        }
        if terms.time_in_force == TimeInForce::FillOrKill {
            return self.fill_or_kill(live, replaced);
        }
        self.take_in(&mut live, replaced);
        self.place(live);
        Ok(())
    }

    /// Backpressure and starts stop orders, and nothing else.
    fn check_lane(&self) -> Result<(), Reject> {
        if self.starting > 0 {
            let rounds = self.starting;
            return Err(Reject::Starting { rounds });
        }
        let epoch = self.state().header.epoch;
        let unproven = epoch.saturating_sub(self.proven);
        let unsettled = epoch.saturating_sub(self.settled);
        if unproven > self.config.max_unproven {
            return Err(Reject::Behind {
                behind: unproven,
                what: "proofs",
            });
        }
        if unsettled > self.config.max_unsettled {
            return Err(Reject::Behind {
                behind: unsettled,
                what: "settlement",
            });
        }
        Ok(())
    }

    /// The order's row, in which it could fill by its own terms.
    fn tradable(&self, order: &Order, terms: &OrderTerms) -> Result<MarketRow, Reject> {
        let closed = flags::SETTLED | flags::HALTED;
        let found = self.rows.market.get(&order.instrument);
        let found = found.filter(|row| row.kind != InstrumentKind::Quote);
        let market = *found
            .filter(|row| row.flags & closed == 0)
            .ok_or(Reject::Instrument(order.instrument.0))?;
        let time = self.second();
        if time > order.expiry {
            return Err(Reject::Expired {
                expiry: order.expiry,
                time,
            });
        }
        let fraction = match terms.post_only {
            true => self.config.maker_fee,
            false => self.config.taker_fee,
        };
        let fee = fee_per_lot(market.mark, fraction, u64::MAX);
        if fee > order.max_fee_per_lot {
            return Err(Reject::Fee {
                fee,
                max: order.max_fee_per_lot,
            });
        }
        Ok(market)
    }

    fn check_client(&self, account: AccountId, client_id: u128) -> Result<(), Reject> {
        let folder = self.orders.folder(account);
        if let Some(id) = folder.and_then(|folder| folder.clients.get(&client_id))
            && client_id != 0
        {
            return Err(Reject::ClientId(id.0));
        }
        Ok(())
    }

    /// The live order in the same slot.
    fn replaced(&self, order: &Order) -> Option<OrderId> {
        let Place::Slot { slot, .. } = order.place else {
            return None;
        };
        self.orders.folder(order.account)?.slots.get(&slot).copied()
    }

    /// \[S4\] The order is new to its slot or nonce. Lots that an amended order has filled.
    fn check_place(
        &self,
        running: &Running,
        order: &Order,
        signer: &Signer,
        replaced: Option<OrderId>,
    ) -> Result<u64, Reject> {
        let folder = self.orders.folder(order.account);
        let (slot, sequence) = match order.place {
            Place::Nonce(named) => {
                let held = running.rest.nonce;
                if named != held {
                    return Err(Reject::Nonce { named, held });
                }
                let spent = folder.map(|folder| &folder.spent);
                let spent = spent.filter(|spent| spent.nonce == held);
                if spent.is_some_and(|spent| spent.digests.len() >= MAX_SPENT) {
                    return Err(Reject::Orders(MAX_SPENT));
                }
                return match spent.is_some_and(|spent| spent.digests.contains(&signer.digest)) {
                    true => Err(Reject::Replayed),
                    false => Ok(0),
                };
            }
            Place::Slot { slot, sequence } => (slot, sequence),
        };
        let held = self.ledger_slot(running, slot);
        let seen = folder.and_then(|folder| folder.seen.get(&slot).copied());
        let seen = seen.unwrap_or(0).max(held.sequence);
        if sequence <= seen {
            return Err(Reject::Sequence {
                named: sequence,
                seen,
            });
        }
        if replaced.is_none() && self.orders.of(order.account).count() >= self.config.max_orders {
            return Err(Reject::Orders(self.config.max_orders));
        }
        if !order.amend {
            return Ok(0);
        }
        // The ledger carries over what *it* has in the slot; an order that never filled is not
        // there, and what is there belongs to an older one.
        let old = replaced.and_then(|id| self.orders.get(id));
        match old.is_none_or(|old| old.filled == held.filled) {
            true => Ok(held.filled),
            false => Err(Reject::AmendsNothing),
        }
    }

    pub(super) fn ledger_slot(
        &self,
        running: &Running,
        slot: u8,
    ) -> tally_protocol::orders::OrderSlot {
        let changed = running.orders.get(&u32::from(slot)).copied();
        let before = || {
            let member = self.state().accounts.get(running.id);
            member
                .map(|member| member.orders.slot(slot.into()))
                .unwrap_or_default()
        };
        changed.unwrap_or_else(before)
    }

    /// What the account may do, and its margin with all of its orders. Cuts a reduce-only order to
    /// its position.
    pub(super) fn check_account(
        &self,
        running: &Running,
        live: &mut Live,
        market: &MarketRow,
        replaced: Option<OrderId>,
    ) -> Result<(), Reject> {
        let account = live.order.account;
        if self
            .epoch()
            .is_some_and(|epoch| epoch.reserved.contains(&account))
        {
            return Err(Reject::Reserved);
        }
        let opening = &running.opening;
        let reduces_only = live.order.reduce_only && !opening.is_flagged;
        if opening.is_liquidatable && !reduces_only {
            return Err(Reject::Liquidatable);
        }
        let held = position(running, live.order.instrument);
        let against = match live.order.side {
            Side::Long => held.saturating_neg(),
            Side::Short => held,
        };
        let room = u64::try_from(against).unwrap_or(0);
        let must_reduce = live.order.reduce_only || sells_spot(market, live.order.side);
        if must_reduce {
            live.open = live.open.min(room);
            if live.open == 0 {
                return Err(Reject::NothingToReduce);
            }
        }
        if market.flags & flags::REDUCE_ONLY != 0 && live.open > room {
            return Err(Reject::RowReduceOnly);
        }
        let exposed = self.exposed(account, replaced, Some(live));
        let checked = check_worst_case(running, &exposed, &self.rows, self.config.taker_fee);
        match checked {
            // Risk that only shrinks is for the builder to judge, fill by fill [L4].
            Err(Reject::Margin { .. } | Reject::Cash { .. })
                if self.only_reduces(live, &exposed, room) && !opening.is_flagged =>
            {
                Ok(())
            }
            checked => checked,
        }
    }

    fn only_reduces(&self, live: &Live, exposed: &[Exposed], room: u64) -> bool {
        let same = |other: &&Exposed| {
            other.instrument == live.order.instrument && other.side == live.order.side
        };
        let lots = exposed.iter().filter(same).map(|other| other.lots);
        live.order.reduce_only || lots.fold(0, u64::saturating_add) <= room
    }

    /// The account's orders that may fill, one replaced, one added.
    pub(super) fn exposed(
        &self,
        account: AccountId,
        replaced: Option<OrderId>,
        added: Option<&Live>,
    ) -> Vec<Exposed> {
        let stays = |live: &&Live| Some(live.id) != replaced && live.at != Whereabouts::Waiting;
        let held = self.orders.of(account).filter(stays);
        let of = |live: &Live| {
            let order = &live.order;
            let market = self.rows.market.get(&order.instrument);
            Exposed {
                instrument: order.instrument,
                side: order.side,
                lots: live.open,
                limit: order.limit,
                max_fee: order.max_fee_per_lot,
                reduces: order.reduce_only
                    || market.is_some_and(|market| sells_spot(market, order.side)),
            }
        };
        held.chain(added).map(of).collect()
    }

    /// Whether it would take now, and whether it may.
    fn check_taking(&self, live: &Live, market: &MarketRow) -> Result<(), Reject> {
        let price = self.best_against(live, market);
        if let (true, Some(price)) = (live.terms.post_only, price) {
            return Err(Reject::WouldTake { price });
        }
        let immediate = live.terms.time_in_force != TimeInForce::GoodTillTime;
        match !self.can_match(market.id) && (immediate || price.is_some()) {
            true => Err(Reject::NoMatching),
            false => Ok(()),
        }
    }

    pub(super) fn would_take(&self, live: &Live) -> bool {
        let market = self.rows.market.get(&live.order.instrument);
        market.is_some_and(|market| self.best_against(live, market).is_some())
    }

    /// The best price at which the order would take now, in the book or of a liquidation.
    fn best_against(&self, live: &Live, market: &MarketRow) -> Option<u64> {
        let side = live.order.side;
        let book = self.books.get(&live.order.instrument);
        let best = book.and_then(|book| book.best(side.opposite()));
        let band = (market.min_fill, market.max_fill);
        let best = best.and_then(|limit| fill_price(side.opposite(), limit, band));
        let offer = self
            .offered(live.order.instrument, side)
            .map(|offer| offer.price);
        let takes = |price: &u64| accepts(side, live.order.limit, *price);
        best.filter(takes).or(offer.filter(takes))
    }

    /// The order is the engine's from here on.
    pub(super) fn take_in(&mut self, live: &mut Live, replaced: Option<OrderId>) {
        self.next_order = live.id.0;
        self.next_rank = self.next_rank.max(live.rank);
        let (account, digest) = (live.order.account, live.authority.signer.digest);
        let folder = self.orders.folder_mut(account);
        match live.order.place {
            Place::Slot { slot, sequence } => {
                folder.seen.insert(slot, sequence);
            }
            Place::Nonce(nonce) => {
                if folder.spent.nonce != nonce {
                    let digests = Vec::new();
                    folder.spent = Spent { nonce, digests };
                }
                folder.spent.digests.push(digest);
            }
        }
        self.orders.name(account, live.terms.client_id, live.id);
        self.emit(Event::Accepted {
            order: live.reference(),
            instrument: live.order.instrument,
            side: live.order.side,
            lots: live.open,
            limit: live.order.limit,
        });
        if let Some(old) = replaced {
            live.rank = self.kept_rank(old, live).unwrap_or(live.rank);
            self.drop_order(old, CancelReason::Replaced);
        }
    }

    /// An amendment that only shrinks keeps its place in the queue.
    fn kept_rank(&self, old: OrderId, live: &Live) -> Option<u64> {
        let old = self.orders.get(old)?;
        let (was, is) = (&old.order, &live.order);
        let same = was.instrument == is.instrument && was.side == is.side && was.limit == is.limit;
        let keeps = is.amend && same && live.open <= old.open && old.at == Whereabouts::Resting;
        (keeps && live.terms.trigger.is_none()).then_some(old.rank)
    }

    /// \[S4\] Ends a slot's order in the book at once; in the ledger at the epoch's end.
    pub(super) fn cancel(&mut self, message: Cancel, signer: Signer) -> Result<(), Reject> {
        let running = self.view(message.account)?;
        let by_trading_key = authorised(&running, &signer, true)?;
        check_generation(&running, message.generation)?;
        let folder = self.orders.folder(message.account).ok_or(Reject::NoOrder)?;
        let id = *folder.slots.get(&message.slot).ok_or(Reject::NoOrder)?;
        let held = self.ledger_slot(&running, message.slot).sequence;
        let seen = folder
            .seen
            .get(&message.slot)
            .copied()
            .unwrap_or(0)
            .max(held);
        if message.sequence <= seen {
            return Err(Reject::Sequence {
                named: message.sequence,
                seen,
            });
        }
        let folder = self.orders.folder_mut(message.account);
        folder.seen.insert(message.slot, message.sequence);
        let authority = Authority {
            signer,
            by_trading_key,
        };
        self.orders.owe(PendingCancel { message, authority });
        self.drop_order(id, CancelReason::Requested);
        Ok(())
    }

    pub(super) fn dead_man(&mut self, message: DeadMan, signer: Signer) -> Result<(), Reject> {
        let running = self.view(message.account)?;
        authorised(&running, &signer, true)?;
        check_generation(&running, message.generation)?;
        let folder = self.orders.folder_mut(message.account);
        let (named, seen) = (message.counter, folder.counter);
        if named <= seen {
            return Err(Reject::Counter { named, seen });
        }
        folder.counter = named;
        let deadline = self.now.saturating_add(message.timeout.into());
        let armed = (message.timeout > 0).then_some(deadline);
        self.orders.arm(message.account, armed);
        self.emit(Event::DeadMan {
            account: message.account,
            deadline: armed.unwrap_or(0),
        });
        Ok(())
    }
}

/// \[S2\] The key that signed is the account's, or, where it may, its trading key: then true.
pub(super) fn authorised(
    running: &Running,
    signer: &Signer,
    may_trade: bool,
) -> Result<bool, Reject> {
    if !running.exists || running.is_system() {
        return Err(Reject::NoAccount);
    }
    let keys = &running.rest.keys;
    match signer.key {
        key if key == keys.key => Ok(false),
        key if may_trade && key == keys.trading_key => Ok(true),
        _ => Err(Reject::Key),
    }
}

pub(super) fn check_generation(running: &Running, named: u32) -> Result<(), Reject> {
    let held = running.rest.generation;
    match named == held {
        true => Ok(()),
        false => Err(Reject::Generation { named, held }),
    }
}

fn check_terms(order: &Order, terms: &OrderTerms) -> Result<(), Reject> {
    let immediate = terms.time_in_force != TimeInForce::GoodTillTime;
    if order.place.is_nonce() && (!immediate || terms.trigger.is_some()) {
        return Err(Reject::NonceRests);
    }
    let kill = terms.time_in_force == TimeInForce::FillOrKill;
    let waits = terms.trigger.is_some();
    match (terms.post_only && (immediate || waits)) || (kill && waits) {
        true => Err(Reject::Terms),
        false => Ok(()),
    }
}

/// A spot lot is only ever sold by who owns it.
pub(super) fn sells_spot(market: &MarketRow, side: Side) -> bool {
    market.kind == InstrumentKind::Spot && side == Side::Short
}
