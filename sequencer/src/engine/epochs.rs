//! Epochs: one oracle round each. A round ends the epoch before it; so do size, age and the
//! operator, and then nothing matches until the next round.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tally_protocol::entry::Entry;
use tally_protocol::epoch::{EpochBuilder, EpochError, Plan};
use tally_protocol::instrument::{MarginRow, flags};
use tally_protocol::ledger::{Context, MarginRows, Running};
use tally_protocol::oracle::{Round, SignedReport, Stamp};
use tally_protocol::state::State;
use tally_protocol::tick::{margin_row, market_row, tick};
use tally_protocol::types::{AccountId, InstrumentId};

use super::liquidation::Offers;
use super::orders::{Authorities, Whereabouts};
use super::{Engine, Epoch, Rows, Stage};
use crate::close::Closing;
use crate::event::{CancelReason, Event, OrderId};
use crate::reject::Reject;

impl Engine {
    /// \[T1\], \[T2\] A round whose reporters signed it, that follows the last and is fresh.
    pub(super) fn round(&mut self, reports: Vec<SignedReport>) -> Result<(), Reject> {
        let state = self.state();
        let domain = state.header.globals.domain;
        let round = Round::signed(&state.reporters, &domain, reports)?;
        let stamp = round.stamp();
        self.check_fresh(&stamp)?;
        let header = match self.epoch() {
            Some(epoch) => *epoch.builder.header(),
            None => state.header,
        };
        header.advance(&stamp).map_err(EpochError::from)?;
        self.close_epoch()?;
        self.starting = self.starting.saturating_sub(1);
        self.begin(round)
    }

    /// Neither old nor from the future: prices nobody can trade against any more are no prices.
    fn check_fresh(&self, stamp: &Stamp) -> Result<(), Reject> {
        let at = stamp.time.saturating_mul(1_000);
        let oldest = self.now.saturating_sub(self.config.max_round_age);
        let latest = self.now.saturating_add(self.config.max_round_lead);
        match (oldest..=latest).contains(&at) {
            true => Ok(()),
            false => Err(Reject::Stale {
                time: stamp.time,
                now: self.now / 1_000,
            }),
        }
    }

    fn begin(&mut self, round: Round) -> Result<(), Reject> {
        let Stage::Between(state) = &self.stage else {
            return Ok(());
        };
        let state = Arc::clone(state);
        let skips = round.stamp().previous != state.header.round;
        let absorb = match skips {
            true => Vec::new(),
            false => self.bankrupts(&state, &round),
        };
        let plan = |absorb| Plan {
            absorb,
            fills_per_segment: self.config.fills_per_segment,
            also: self.rows_of_items(),
            ..Plan::default()
        };
        let planned = plan(absorb.clone());
        let begun = EpochBuilder::begin_shared(Arc::clone(&state), round.clone(), planned);
        // Whoever cannot be absorbed now waits; an epoch does not.
        let (builder, absorbed) = match begun {
            Ok(builder) => (builder, absorb),
            Err(_) if !absorb.is_empty() => {
                let builder =
                    EpochBuilder::begin_shared(Arc::clone(&state), round, plan(Vec::new()));
                (builder?, Vec::new())
            }
            Err(error) => return Err(error.into()),
        };
        drop(state);
        self.open(builder);
        for account in absorbed {
            self.reserve(account);
            self.cancel_account(account, CancelReason::Liquidation);
            self.emit(Event::Absorbed { account });
        }
        self.expire();
        self.delist();
        if !skips {
            self.start_trading();
        }
        Ok(())
    }

    fn open(&mut self, builder: EpochBuilder<'static>) {
        let (header, terms) = (*builder.header(), builder.entry_terms());
        let fills = terms.epoch.entries && terms.epoch.fills;
        let (amount, deficit) = (builder.socialised(), header.deficit);
        self.rows = Rows {
            market: builder.market().map(|row| (row.id, *row)).collect(),
            margin: builder.margin_rows().clone(),
        };
        self.stage = Stage::Open(Box::new(Epoch {
            builder,
            opened: self.now,
            fills: 0,
            fills_allowed: fills,
            reserved: Default::default(),
            offers: Offers::default(),
        }));
        self.emit(Event::EpochOpened {
            epoch: header.epoch,
            round: header.round,
            time: header.time,
            fills,
        });
        if amount > 0 || deficit > 0 {
            self.emit(Event::Socialised { amount, deficit });
        }
    }

    /// L1's items, what waited, flags and liquidations, then the book.
    fn start_trading(&mut self) {
        self.serve_items();
        self.enter_waiting();
        let near = self.liquidatable();
        self.raise_flags(&near);
        self.make_offers();
        self.sell_offers();
        self.unpark();
        self.fire_triggers();
    }

    /// \[L5\] Users that are liquidatable at this epoch's rows.
    fn liquidatable(&mut self) -> Vec<AccountId> {
        let Stage::Open(epoch) = &self.stage else {
            return Vec::new();
        };
        let state = epoch.builder.state();
        let rows: Vec<MarginRow> = self.rows.margin_rows().collect();
        let money = |id| state.accounts.account(id).map(|account| &account.money);
        self.watch.advance(rows.into_iter(), money)
    }

    /// \[Q5\] Whom the next epoch absorbs: bankrupt at the ticked marks before any shift, with no
    /// slot in a halted row.
    fn bankrupts(&mut self, state: &State, round: &Round) -> Vec<AccountId> {
        let stamp = round.stamp();
        let ticked = |(number, row)| {
            let ticked = tick(row, round.median(number), stamp.round, stamp.time).ok()?;
            Some(margin_row(&ticked.row, None))
        };
        let rows: Vec<MarginRow> = state.table.rows().filter_map(ticked).collect();
        let money = |id| state.accounts.account(id).map(|account| &account.money);
        let near = self.watch.advance(rows.iter().copied(), money);
        let rows: MarginRows = rows.into_iter().collect();
        let context = Context {
            epoch: state.header.epoch.saturating_add(1),
            flag_expiry: state.header.globals.flag_lifetime,
        };
        let is_one = |id: &AccountId| {
            let opened = Running::open(context, *id, state.accounts.account(*id), &rows);
            let halted = |running: &Running| {
                running.places.iter().any(|place| {
                    place.holding.size != 0 && place.holding.row.flags & flags::HALTED != 0
                })
            };
            opened.is_ok_and(|running| {
                running.opening.is_bankrupt && running.absorbed_cash() > 0 && !halted(&running)
            })
        };
        near.into_iter().filter(is_one).collect()
    }

    /// Orders in instruments that are settled or gone.
    fn delist(&mut self) {
        let gone = |instrument: &InstrumentId| {
            let row = self.rows.market.get(instrument);
            row.is_none_or(|row| row.flags & flags::SETTLED != 0)
        };
        let ids: Vec<OrderId> = self.orders.in_instruments(gone);
        for id in ids {
            self.drop_order(id, CancelReason::Delisted);
        }
    }

    /// Stops and take-profits whose price the mark has reached. Marks move at epochs only.
    fn fire_triggers(&mut self) {
        let mark = |instrument| {
            self.rows
                .mark(instrument)
                .filter(|_| self.can_match(instrument))
        };
        for id in self.orders.triggered(mark) {
            let Some(mut live) = self.orders.remove(id) else {
                continue;
            };
            let instrument = live.order.instrument;
            let Some(market) = self.rows.market.get(&instrument).copied() else {
                continue;
            };
            live.at = Whereabouts::Resting;
            self.next_rank = self.next_rank.saturating_add(1);
            live.rank = self.next_rank;
            self.emit(Event::Triggered {
                order: live.reference(),
                mark: market.mark,
            });
            let checked = match self.view(live.order.account) {
                Ok(running) => self.check_account(&running, &mut live, &market, None),
                Err(error) => Err(error.into()),
            };
            match checked {
                Ok(()) => self.place(live),
                Err(reject) => self.emit(Event::Cancelled {
                    order: live.reference(),
                    instrument,
                    lots: live.open,
                    reason: CancelReason::Rule {
                        code: reject.code(),
                    },
                }),
            }
        }
    }

    /// Ends the epoch: its accounts are what the next one begins with; its hashes are a `Closing`.
    pub(super) fn close_epoch(&mut self) -> Result<(), Reject> {
        self.flush_cancels(0);
        let stand_in = match &self.stage {
            Stage::Open(epoch) => Stage::Between(Arc::new(epoch.builder.state().emptied())),
            Stage::Between(_) => return Ok(()),
        };
        let Stage::Open(epoch) = core::mem::replace(&mut self.stage, stand_in) else {
            return Ok(());
        };
        let Epoch {
            builder,
            fills,
            reserved,
            ..
        } = *epoch;
        self.last_reserved = reserved;
        let entries = builder.entries();
        let (state, sealed) = match builder.seal() {
            Ok(sealed) => sealed,
            Err(error) => {
                self.fault = Some(error.clone());
                return Err(error.into());
            }
        };
        let touched: Vec<AccountId> = sealed.touched().filter(|id| !id.is_system()).collect();
        for id in touched {
            if let Some(account) = state.accounts.account(id) {
                self.watch.set(id, &account.money);
                match account.money.flagged_at {
                    0 => drop(self.flagged.remove(&id)),
                    _ => drop(self.flagged.insert(id)),
                }
            }
        }
        self.stage = Stage::Between(Arc::new(state));
        self.end_batch(sealed.epoch(), (entries, fills), sealed);
        Ok(())
    }

    fn end_batch(
        &mut self,
        epoch: u32,
        (entries, fills): (usize, usize),
        sealed: tally_protocol::epoch::Sealed,
    ) {
        let batch = &mut self.batch;
        batch.epochs = batch.epochs.saturating_add(1);
        batch.entries = batch.entries.saturating_add(entries);
        let number = batch.number;
        let ends_batch = batch.epochs >= self.config.epochs_per_batch
            || batch.entries >= self.config.max_batch_entries;
        if ends_batch {
            self.batch = Batch {
                number: number.saturating_add(1),
                ..Batch::default()
            };
        }
        let held = match ends_batch {
            true => self.held_if_due(epoch),
            false => None,
        };
        self.closings.push(Closing {
            sealed,
            batch: number,
            ends_batch,
            held,
        });
        self.emit(Event::EpochClosed {
            epoch,
            entries,
            fills,
            batch: number,
            ends_batch,
        });
    }

    /// \[S4\] Cancels reach the ledger, one a slot, unless something newer has the slot by now: all
    /// when the epoch closes, the oldest earlier where many wait, so that closing stays short. An
    /// account that an L1 item has keeps its cancels for the next epoch.
    pub(super) fn flush_cancels(&mut self, keep: usize) {
        let entries = |epoch: &Epoch| epoch.builder.entry_terms().epoch.entries;
        if !self.epoch().is_some_and(entries) {
            return;
        }
        let mut kept = Vec::new();
        while let Some(pending) = self.orders.next_owed(keep) {
            let message = pending.message;
            if self.is_reserved(message.account) {
                kept.push(pending);
                continue;
            }
            let Ok(running) = self.view(message.account) else {
                continue;
            };
            if self.ledger_slot(&running, message.slot).sequence >= message.sequence {
                continue;
            }
            let authorities = [pending.authority];
            if let Some(epoch) = self.epoch_mut() {
                // Refused only where the order is dead anyway: of another generation.
                let entry = Entry::Cancel(message);
                let _ = epoch.builder.push_signed(entry, &Authorities(&authorities));
            }
        }
        for pending in kept {
            self.orders.owe(pending);
        }
    }

    /// Fills of an instrument are taken now.
    pub(super) fn can_match(&self, instrument: InstrumentId) -> bool {
        let row = self.rows.market.get(&instrument);
        let open = row.is_some_and(|row| row.flags & (flags::HALTED | flags::SETTLED) == 0);
        self.matches() && open
    }

    /// Every user under watch.
    pub(super) fn watch_all(&mut self) {
        let Stage::Between(state) = &self.stage else {
            return;
        };
        let state = Arc::clone(state);
        self.watch.advance(self.rows.margin_rows(), |_| None);
        for (id, member) in state.accounts.iter().filter(|(id, _)| !id.is_system()) {
            let money = &member.account.money;
            self.watch.set(id, money);
            if money.flagged_at != 0 {
                self.flagged.insert(id);
            }
        }
    }
}

/// A batch that is not full yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    number: u64,
    epochs: u32,
    entries: usize,
}

impl Rows {
    pub(super) fn of_table(state: &State) -> Self {
        let rows = || state.table.rows();
        let market = rows().map(|(number, row)| market_row(row, number));
        Self {
            market: market.map(|row| (row.id, row)).collect(),
            margin: rows().map(|(_, row)| margin_row(row, None)).collect(),
        }
    }

    fn margin_rows(&self) -> impl Iterator<Item = MarginRow> {
        let ids = self.market.keys();
        ids.filter_map(|id| self.margin.get(*id).ok())
    }
}
