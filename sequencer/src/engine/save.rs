//! What the engine holds beside the state, taken as an epoch ends, so that a start need not replay
//! everything before \[STYLE 21\].
//!
//! It is taken within the command that ends the epoch, at position p: after the end, before
//! whatever else p does. So it stands at position p − 1, and a replay goes on with p itself, which
//! finds the epoch ended and does the rest. Nothing that p did before the epoch's end is done
//! twice: expiries and dead-man switches have fired, cancels are in the ledger.
//!
//! It is taken only where a batch ends, so that who gathers a batch's epochs after a start gets all
//! of them. The writer shares its orders; encoding, hashing and writing are for another thread.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tally_protocol::instrument::MarketRow;
use tally_protocol::ledger::MarginRows;
use tally_protocol::message::Domain;
use tally_protocol::queue::Item;
use tally_protocol::state::State;
use tally_protocol::types::{AccountId, InstrumentId};

use super::epochs::Batch;
use super::messages::Waiting;
use super::orders::{Orders, SavedOrders};
use super::{Engine, Rows, Stage, Whereabouts};
use crate::command::{Record, Verified};
use crate::config::Config;
use crate::event::Phase;
use crate::snapshot::SnapshotError;

/// How often the engine is saved: at the first end of a batch after so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Commands since it was saved last.
    pub commands: u64,
    /// Epochs since it was saved last: each costs a start some hashing, however empty.
    pub epochs: u32,
}

/// When the engine is saved next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saving {
    /// None: never.
    pub pace: Option<Pace>,
    /// Position and epoch of the last time.
    pub last: (u64, u32),
}

/// The engine without the state of accounts and rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Of the last command that it contains whole.
    pub position: u64,
    /// The epoch that had ended.
    pub epoch: u32,
    now: u64,
    market: BTreeMap<InstrumentId, MarketRow>,
    margin: MarginRows,
    trades: BTreeMap<InstrumentId, u64>,
    orders: SavedOrders,
    last_reserved: BTreeSet<AccountId>,
    items: VecDeque<Item>,
    next_item: u64,
    waiting: Vec<HeldMessage>,
    next_order: u64,
    next_rank: u64,
    starting: u32,
    proven: u32,
    settled: u32,
    batch: Batch,
    phase: Phase,
}

/// A message that waits for the next epoch, as its record's bytes, whose signers follow from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HeldMessage {
    position: u64,
    record: Vec<u8>,
}

impl Engine {
    /// Saves the engine at this pace from now on, in `Closing::held`.
    pub fn save_at(&mut self, pace: Pace) {
        let epoch = self.state().header.epoch;
        self.saving = Saving {
            pace: Some(pace),
            last: (self.position, epoch),
        };
    }

    /// Saves it no more.
    pub fn save_never(&mut self) {
        self.saving = Saving::default();
    }

    /// Where a batch has just ended with this epoch: the engine, if it is time.
    pub(super) fn held_if_due(&mut self, epoch: u32) -> Option<Box<Held>> {
        let Saving { pace, last } = self.saving;
        let pace = pace?;
        let commands = self.position.saturating_sub(last.0);
        if commands < pace.commands && epoch.saturating_sub(last.1) < pace.epochs {
            return None;
        }
        self.saving.last = (self.position, epoch);
        Some(Box::new(self.save(epoch)))
    }

    fn save(&self, epoch: u32) -> Held {
        let message = |waiting: &Waiting| HeldMessage {
            position: waiting.position,
            record: Record {
                at: 0,
                command: waiting.command.clone(),
            }
            .to_bytes(),
        };
        Held {
            position: self.position.saturating_sub(1),
            epoch,
            now: self.now,
            market: self.rows.market.clone(),
            margin: self.rows.margin.clone(),
            trades: self.trades.clone(),
            orders: self.orders.save(),
            last_reserved: self.last_reserved.clone(),
            items: self.items.clone(),
            next_item: self.next_item,
            waiting: self.waiting.iter().map(message).collect(),
            next_order: self.next_order,
            next_rank: self.next_rank,
            starting: self.starting,
            proven: self.proven,
            settled: self.settled,
            batch: self.batch,
            phase: self.phase,
        }
    }

    /// The engine that was saved, on the state that its epoch left.
    pub fn restore(config: Config, state: State, held: Held) -> Result<Self, SnapshotError> {
        let (wanted, found) = (held.epoch, state.header.epoch);
        if wanted != found {
            return Err(SnapshotError::Epoch { wanted, found });
        }
        let domain = state.header.globals.domain;
        let waiting = held.waiting.into_iter();
        let waiting: Result<_, _> = waiting.map(|it| it.waiting(&domain)).collect();
        let mut engine = Self::genesis(config, state);
        engine.rows = Rows {
            market: held.market,
            margin: held.margin,
        };
        engine.watch = Default::default();
        engine.watch_all();
        engine.trades = held.trades;
        engine.orders = Orders::restore(held.orders);
        engine.last_reserved = held.last_reserved;
        engine.items = held.items;
        engine.next_item = held.next_item;
        engine.waiting = waiting?;
        engine.now = held.now;
        engine.position = held.position;
        engine.next_order = held.next_order;
        engine.next_rank = held.next_rank;
        engine.starting = held.starting;
        engine.proven = held.proven;
        engine.settled = held.settled;
        engine.batch = held.batch;
        engine.phase = held.phase;
        engine.fill_books();
        Ok(engine)
    }

    fn fill_books(&mut self) {
        for live in self.orders.iter() {
            if live.at == Whereabouts::Resting {
                let book = self.books.entry(live.order.instrument).or_default();
                book.insert(live.spot(), live.id, live.open);
            }
        }
        for book in self.books.values_mut() {
            book.drain_changes();
        }
    }

    /// Everything that decides what comes next, between epochs: for comparisons.
    pub fn held_now(&self) -> Option<(Held, Arc<State>)> {
        match &self.stage {
            Stage::Between(state) => Some((self.save(state.header.epoch), Arc::clone(state))),
            Stage::Open(_) => None,
        }
    }
}

impl HeldMessage {
    fn waiting(self, domain: &Domain) -> Result<Waiting, SnapshotError> {
        let position = self.position;
        let bad = |reason: String| SnapshotError::Message { position, reason };
        let record = Record::from_bytes(&self.record).map_err(|error| bad(error.to_string()))?;
        let verified =
            Verified::from_log(domain, record).map_err(|error| bad(error.to_string()))?;
        let (record, signers) = verified.into_parts();
        Ok(Waiting {
            position,
            command: record.command,
            signers,
        })
    }
}
