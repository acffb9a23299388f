//! The engine: one command after another, each with its events. The same commands from the same
//! genesis give the same events, books and state, on any machine.
//!
//! It owns the state and the epoch under way. A match is an entry for the epoch's builder, whose
//! per-order rule is final: an order that it refuses to fill leaves the book with the reason. Where
//! an epoch ends, the next begins on accounts that are not hashed yet; the hashing is a `Closing`.

mod epochs;
mod items;
mod liquidation;
mod margin;
mod matching;
mod messages;
mod orders;
mod save;
mod submit;
mod together;
mod views;

pub use margin::position;
pub use orders::{Live, Whereabouts};
pub use save::{Held, Pace};
pub use views::{BookView, Status};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tally_protocol::epoch::{EpochBuilder, EpochError};
use tally_protocol::instrument::MarketRow;
use tally_protocol::ledger::{Context, MarginRows, Running};
use tally_protocol::queue::Item;
use tally_protocol::state::State;
use tally_protocol::types::{AccountId, InstrumentId};

use crate::book::Book;
use crate::close::Closing;
use crate::command::{Command, Verified};
use crate::config::Config;
use crate::event::{Applied, CancelReason, Event, OrderId, Phase};
use crate::reject::Reject;
use crate::watch::Watch;
use epochs::Batch;
use liquidation::Offers;
use messages::Waiting;
use orders::Orders;
use save::Saving;

/// Cancels that may wait for their epoch's end: later ones of a slot make them needless.
const KEPT_CANCELS: usize = 64;

/// The state machine.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    stage: Stage,
    rows: Rows,
    books: BTreeMap<InstrumentId, Book>,
    /// Books whose levels changed in this command.
    changed: BTreeSet<InstrumentId>,
    trades: BTreeMap<InstrumentId, u64>,
    orders: Orders,
    watch: Watch,
    /// Users whose leaf carries a flag \[Q1\].
    flagged: BTreeSet<AccountId>,
    /// Accounts that an item or an absorption had in the epoch before.
    last_reserved: BTreeSet<AccountId>,
    /// L1 items not served yet.
    items: VecDeque<Item>,
    next_item: u64,
    /// Messages that came between epochs.
    waiting: VecDeque<Waiting>,
    /// Milliseconds since 1970; never falls.
    now: u64,
    position: u64,
    next_order: u64,
    next_rank: u64,
    /// Fresh rounds that are missing before anything matches.
    starting: u32,
    proven: u32,
    settled: u32,
    batch: Batch,
    closings: Vec<Closing>,
    events: Vec<Event>,
    phase: Phase,
    fault: Option<EpochError>,
    /// No part of the machine: what it gives does not depend on it.
    saving: Saving,
}

#[derive(Debug)]
enum Stage {
    Between(Arc<State>),
    Open(Box<Epoch>),
}

/// An epoch under way.
#[derive(Debug)]
struct Epoch {
    builder: EpochBuilder<'static>,
    /// Milliseconds.
    opened: u64,
    fills: usize,
    fills_allowed: bool,
    /// Accounts that an L1 item or an absorption has for this epoch.
    reserved: BTreeSet<AccountId>,
    offers: Offers,
}

/// The rows of the epoch, or of the last one.
#[derive(Clone, Debug, Default)]
struct Rows {
    market: BTreeMap<InstrumentId, MarketRow>,
    margin: MarginRows,
}

impl Engine {
    /// From a state between epochs, genesis or a later one, whose accounts hold no orders here.
    pub fn genesis(config: Config, state: State) -> Self {
        let mut engine = Self {
            config,
            rows: Rows::default(),
            books: BTreeMap::new(),
            changed: BTreeSet::new(),
            trades: BTreeMap::new(),
            orders: Orders::default(),
            watch: Watch::default(),
            flagged: BTreeSet::new(),
            last_reserved: BTreeSet::new(),
            items: VecDeque::new(),
            next_item: 0,
            waiting: VecDeque::new(),
            now: state.header.time.saturating_mul(1_000),
            position: 0,
            next_order: 0,
            next_rank: 0,
            starting: config.fresh_rounds,
            proven: state.header.epoch,
            settled: state.header.epoch,
            batch: Batch::default(),
            closings: Vec::new(),
            events: Vec::new(),
            phase: Phase::Starting {
                rounds: config.fresh_rounds,
            },
            fault: None,
            saving: Saving::default(),
            stage: Stage::Between(Arc::new(state)),
        };
        engine.rows = Rows::of_table(engine.state());
        engine.watch_all();
        engine
    }

    /// Applies the next command of the log.
    pub fn apply(&mut self, verified: Verified) -> Applied {
        let (record, signers) = verified.into_parts();
        self.now = self.now.max(record.at);
        self.position = self.position.saturating_add(1);
        let result = match &self.fault {
            Some(fault) => Err(Reject::Epoch(fault.clone())),
            None => self.dispatch(record.command, &signers),
        };
        self.settle_phase();
        self.flush_levels();
        Applied {
            position: self.position,
            result,
            events: core::mem::take(&mut self.events),
        }
    }

    /// Epochs that ended, for a `Closer`, in their order.
    pub fn take_closings(&mut self) -> Vec<Closing> {
        core::mem::take(&mut self.closings)
    }

    fn dispatch(
        &mut self,
        command: Command,
        signers: &[crate::command::Signer],
    ) -> Result<(), Reject> {
        self.pass_time()?;
        let first = signers.first();
        match (command, first) {
            (Command::Submit(submit), Some(signer)) => self.submit(submit, *signer),
            (Command::Batch(operations), _) => {
                self.batch(operations, signers);
                Ok(())
            }
            (Command::Cancel(signed), Some(signer)) => self.cancel(signed.message, *signer),
            (Command::DeadMan(signed), Some(signer)) => self.dead_man(signed.message, *signer),
            (Command::Item(item), _) => self.item(*item),
            (Command::Round(reports), _) => self.round(reports),
            (Command::Time, _) => Ok(()),
            (Command::CloseEpoch, _) => self.close_epoch(),
            (Command::Restarted, _) => {
                self.starting = self.config.fresh_rounds;
                Ok(())
            }
            (Command::Proven { epoch }, _) => {
                self.proven = self.proven.max(epoch.min(self.state().header.epoch));
                Ok(())
            }
            (Command::Settled { epoch }, _) => {
                self.settled = self.settled.max(epoch.min(self.state().header.epoch));
                self.proven = self.proven.max(self.settled);
                Ok(())
            }
            (command, _) => self.message(command, signers),
        }
    }

    pub fn state(&self) -> &State {
        match &self.stage {
            Stage::Between(state) => state,
            Stage::Open(epoch) => epoch.builder.state(),
        }
    }

    fn epoch_mut(&mut self) -> Option<&mut Epoch> {
        match &mut self.stage {
            Stage::Open(epoch) => Some(epoch),
            Stage::Between(_) => None,
        }
    }

    fn epoch(&self) -> Option<&Epoch> {
        match &self.stage {
            Stage::Open(epoch) => Some(epoch),
            Stage::Between(_) => None,
        }
    }

    /// An account as it stands; between epochs as the next one would open it at the last rows.
    fn view(&self, id: AccountId) -> Result<Running, EpochError> {
        if let Stage::Open(epoch) = &self.stage {
            return epoch.builder.account(id);
        }
        let state = self.state();
        let context = Context {
            epoch: state.header.epoch.saturating_add(1),
            flag_expiry: state.header.globals.flag_lifetime,
        };
        Running::open(context, id, state.accounts.account(id), &self.rows.margin)
            .map_err(|error| EpochError::Ledger { account: id, error })
    }

    /// Seconds: the epoch's, or what the clock says if that is later.
    fn second(&self) -> u64 {
        let epoch = self.epoch().map_or(0, |epoch| epoch.builder.header().time);
        epoch.max(self.now / 1_000)
    }

    /// Fills are taken now.
    fn matches(&self) -> bool {
        self.starting == 0 && self.epoch().is_some_and(|epoch| epoch.fills_allowed)
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    /// What the clock alone brings about.
    fn pass_time(&mut self) -> Result<(), Reject> {
        for account in self.orders.overdue(self.now) {
            self.orders.arm(account, None);
            self.cancel_account(account, CancelReason::DeadMan);
            self.emit(Event::CancelledAll { account });
        }
        self.expire();
        self.flush_cancels(KEPT_CANCELS);
        let (most, age) = (self.config.max_entries, self.config.max_epoch_age);
        let is_over = self.epoch().is_some_and(|epoch| {
            epoch.builder.entries() >= most || self.now.saturating_sub(epoch.opened) >= age
        });
        match is_over {
            true => self.close_epoch(),
            false => Ok(()),
        }
    }

    fn expire(&mut self) {
        for id in self.orders.expired(self.second()) {
            self.drop_order(id, CancelReason::Expired);
        }
    }

    /// Takes an order out of wherever it is.
    fn drop_order(&mut self, id: OrderId, reason: CancelReason) {
        let Some(live) = self.orders.remove(id) else {
            return;
        };
        if live.at == Whereabouts::Resting {
            let book = self.books.entry(live.order.instrument).or_default();
            book.set(live.spot(), 0);
            self.changed.insert(live.order.instrument);
        }
        self.emit(Event::Cancelled {
            order: live.reference(),
            instrument: live.order.instrument,
            lots: live.open,
            reason,
        });
    }

    fn cancel_account(&mut self, account: AccountId, reason: CancelReason) {
        let ids: Vec<OrderId> = self.orders.of(account).map(|live| live.id).collect();
        for id in ids {
            self.drop_order(id, reason.clone());
        }
    }

    fn flush_levels(&mut self) {
        for instrument in core::mem::take(&mut self.changed) {
            let book = self.books.entry(instrument).or_default();
            for (side, price, lots) in book.drain_changes() {
                self.events.push(Event::Level {
                    instrument,
                    side,
                    price,
                    lots,
                });
            }
        }
    }

    fn settle_phase(&mut self) {
        let phase = match (self.starting, self.epoch().map(|epoch| epoch.fills_allowed)) {
            (1.., _) => Phase::Starting {
                rounds: self.starting,
            },
            (0, None) => Phase::Between,
            (0, Some(false)) => Phase::Paused,
            (0, Some(true)) => Phase::Open,
        };
        if phase != self.phase {
            self.phase = phase;
            self.emit(Event::Phase { phase });
        }
    }

    fn next_trade(&mut self, instrument: InstrumentId) -> u64 {
        let trades = self.trades.entry(instrument).or_default();
        *trades = trades.saturating_add(1);
        *trades
    }
}
