//! What the devnet's parts have done so far: for the view, the end of a bounded run, the summary.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tally_jobs::queue::Counts;
use tally_protocol::entry::Entry;
use tally_sequencer::ClosedEpoch;

use super::tape::Event;

/// Lines, and events of the tape, that the live view keeps.
const KEPT: usize = 200;

/// What happened in an epoch, from its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EpochFacts {
    pub epoch: u32,
    /// Seconds since 1970.
    pub time: u64,
    pub entries: usize,
    pub fills: usize,
    pub flags: usize,
    pub liquidations: usize,
    pub absorptions: usize,
    /// By signed message or L1 item.
    pub withdrawals: usize,
    pub items: usize,
}

impl EpochFacts {
    pub fn of(closed: &ClosedEpoch) -> Self {
        let entries = &closed.trace.entries;
        let count = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
        Self {
            epoch: closed.epoch,
            time: closed.trace.context.time,
            entries: entries.len(),
            fills: count(|it| matches!(it, Entry::Fill(_))),
            flags: count(|it| matches!(it, Entry::Flag(_))),
            liquidations: count(|it| matches!(it, Entry::Liquidation(_))),
            absorptions: count(|it| matches!(it, Entry::Absorption(_))),
            withdrawals: count(|it| matches!(it, Entry::Withdraw(_))),
            items: count(|it| matches!(it, Entry::Item(_))),
        }
    }
}

/// One of an epoch's counters.
type Count = fn(&EpochFacts) -> usize;

/// How far a batch is on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Ready,
    Committed,
    Proven,
    Executed,
}

#[derive(Clone, Debug, Serialize)]
pub struct BatchFacts {
    pub first_epoch: u64,
    pub last_epoch: u64,
    pub stage: Stage,
    pub bytes: usize,
    pub withdrawals: usize,
}

/// What the prover says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proving {
    pub proven_through: u32,
    /// Its whole queue.
    pub queue: Counts,
    /// Batches that are not proven yet.
    pub batches: Vec<OpenBatch>,
    /// Prover processes that were started.
    pub starts: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenBatch {
    pub first_epoch: u32,
    pub last_epoch: u32,
    /// Its proofs; 0 until they are known.
    pub jobs: u64,
    pub done: u64,
}

/// What the sequencer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `starting`, `between`, `paused` or `open`.
    pub phase: String,
    pub epoch: u32,
    pub round: u32,
    /// Last durable position of its log.
    pub position: u64,
    /// Commands that wait: orders; cancels, liquidations and withdrawals.
    pub waiting: [usize; 2],
    /// L1 items that wait for an epoch.
    pub items: usize,
    /// The reporters wait: that many epochs await their proof.
    pub held_back: Option<u32>,
}

/// Something that happens once, and when: seconds since the start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub at_seconds: f64,
    pub what: String,
}

#[derive(Debug, Default)]
pub struct Board {
    /// Of this run.
    pub started: Option<Instant>,
    /// Which L1, which verifier.
    pub kinds: [&'static str; 2],
    pub steps: Vec<Step>,
    pub epochs: BTreeMap<u32, EpochFacts>,
    pub tape: VecDeque<Event>,
    pub batches: BTreeMap<u64, BatchFacts>,
    pub proving: Proving,
    pub health: Health,
    /// What the wrap under way does.
    pub wrapping: Option<String>,
    /// Of L1: its newest block, items that came in, micro-quote that went out.
    pub block: u64,
    pub items: u64,
    /// Items that L1 had when the crowd had made its deposits; none before.
    pub queued: Option<u64>,
    pub pulled: u64,
    pub pulls: u64,
    /// Commands of bots that became durable, and those that were refused, by code.
    pub acked: u64,
    pub refused: BTreeMap<String, u64>,
    /// Instruments' marks, micro-quote per lot.
    pub marks: BTreeMap<u32, u64>,
    /// The first marks of this run.
    pub starts: BTreeMap<u32, u64>,
    pub api: String,
    pub lines: VecDeque<String>,
    /// Lines go to standard error as they come.
    pub prints: bool,
}

/// Shared by all parts.
#[derive(Clone, Debug)]
pub struct Shown(Arc<Mutex<Board>>);

impl Shown {
    /// `prints`: lines go to standard error as they come.
    pub fn new(prints: bool) -> Self {
        Self(Arc::new(Mutex::new(Board {
            started: Some(Instant::now()),
            prints,
            ..Board::default()
        })))
    }

    /// Whole at any time, also after a panic elsewhere.
    pub fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn say(&self, line: impl Into<String>) {
        self.lock().say(line.into());
    }

    /// Said, and kept for the summary.
    pub fn step(&self, what: impl Into<String>) {
        self.lock().step(what.into());
    }

    /// The view has left the terminal: lines go there again.
    pub fn print(&self) {
        self.lock().prints = true;
    }

    pub fn epoch(&self, facts: EpochFacts, events: Vec<Event>, is_told: bool) {
        let mut board = self.lock();
        if is_told {
            let line = format!(
                "epoch {}: {} fills, {} flags, {} liquidations, {} absorptions, {} L1 items",
                facts.epoch,
                facts.fills,
                facts.flags,
                facts.liquidations,
                facts.absorptions,
                facts.items
            );
            board.say(line);
            board.first(&facts);
        }
        board.tape.extend(events);
        let over = board.tape.len().saturating_sub(KEPT);
        board.tape.drain(..over);
        board.epochs.insert(facts.epoch, facts);
    }

    pub fn batch(&self, facts: BatchFacts) {
        let line = format!(
            "batch of epochs {} to {}: {}, {} bytes, {} withdrawals",
            facts.first_epoch,
            facts.last_epoch,
            facts.stage.word(),
            facts.bytes,
            facts.withdrawals
        );
        let mut board = self.lock();
        match board.batches.insert(facts.first_epoch, facts.clone()) {
            Some(before) if before.stage == facts.stage => {}
            _ => board.step(line),
        }
    }
}

impl Stage {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready for L1",
            Self::Committed => "committed",
            Self::Proven => "proven on L1",
            Self::Executed => "executed",
        }
    }
}

impl Board {
    pub fn seconds(&self) -> f64 {
        let spent = self.started.map(|started| started.elapsed());
        // To the tenth: more would not mean anything.
        (spent.unwrap_or_default().as_secs_f64() * 10.0).round() / 10.0
    }

    fn say(&mut self, line: String) {
        let line = format!("{:>6.1} s  {line}", self.seconds());
        if self.prints {
            eprintln!("{line}");
        }
        if self.lines.len() >= KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn step(&mut self, what: String) {
        self.steps.push(Step {
            at_seconds: self.seconds(),
            what: what.clone(),
        });
        self.say(what);
    }

    /// The first of each kind is a step.
    fn first(&mut self, facts: &EpochFacts) {
        let kinds: [(&str, Count); 4] = [
            ("fills", |it| it.fills),
            ("flags", |it| it.flags),
            ("liquidations", |it| it.liquidations),
            ("withdrawals", |it| it.withdrawals),
        ];
        for (name, count) in kinds {
            if count(facts) > 0 && self.total(count) == 0 {
                self.step(format!("first {name}, in epoch {}", facts.epoch));
            }
        }
    }

    pub fn closed(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// Last epoch that is executed on L1.
    pub fn executed(&self) -> u64 {
        let executed = self
            .batches
            .values()
            .filter(|it| it.stage == Stage::Executed);
        executed.map(|it| it.last_epoch).max().unwrap_or(0)
    }

    /// Time of the first closed epoch that is in no committed batch: L1's window counts from it.
    pub fn oldest_uncommitted(&self) -> Option<u64> {
        let committed = self
            .batches
            .values()
            .filter(|it| it.stage >= Stage::Committed);
        let last = committed.map(|it| it.last_epoch).max().unwrap_or(0);
        let next = self.epochs.values().find(|it| u64::from(it.epoch) > last);
        next.map(|it| it.time)
    }

    /// A batch that traded and liquidated, and was executed on L1.
    pub fn settled_batch(&self) -> Option<&BatchFacts> {
        let executed = self
            .batches
            .values()
            .filter(|it| it.stage == Stage::Executed);
        executed.into_iter().find(|batch| {
            let of = |count: Count| self.sum(batch, count);
            of(|it| it.fills) > 0 && of(|it| it.liquidations) > 0
        })
    }

    /// Whether the sequencer knows of all deposits of the crowd.
    pub fn is_crowd_in(&self) -> bool {
        self.queued.is_some_and(|queued| self.items >= queued)
    }

    /// Whether a whole batch of closed epochs has trades and liquidations.
    pub fn is_enough_closed(&self, per_batch: u32) -> bool {
        let per_batch = u64::from(per_batch.max(1));
        let batches = u64::from(self.closed()) / per_batch;
        (0..batches).any(|batch| {
            let (first, last) = (batch * per_batch + 1, (batch + 1) * per_batch);
            let of = |count| self.sum_of(first, last, count);
            of(|it| it.fills) > 0 && of(|it| it.liquidations) > 0
        })
    }

    fn sum(&self, batch: &BatchFacts, count: Count) -> usize {
        self.sum_of(batch.first_epoch, batch.last_epoch, count)
    }

    fn sum_of(&self, first: u64, last: u64, count: Count) -> usize {
        let epochs = self.epochs.values();
        let epochs = epochs.filter(|it| (first..=last).contains(&u64::from(it.epoch)));
        epochs.map(count).sum()
    }

    pub fn total(&self, count: Count) -> usize {
        self.epochs.values().map(count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(stage: Stage, liquidations: usize) -> Board {
        let mut board = Board::default();
        for epoch in 1..=4 {
            let facts = EpochFacts {
                epoch,
                time: 100 + u64::from(epoch),
                fills: 1,
                liquidations: if epoch == 2 { liquidations } else { 0 },
                ..EpochFacts::default()
            };
            board.epochs.insert(epoch, facts);
        }
        let batch = BatchFacts {
            first_epoch: 1,
            last_epoch: 2,
            stage,
            bytes: 0,
            withdrawals: 0,
        };
        board.batches.insert(1, batch);
        board
    }

    #[test]
    fn a_bounded_run_ends_with_trades_and_liquidations_executed() {
        assert!(board(Stage::Executed, 1).settled_batch().is_some());
        assert!(board(Stage::Executed, 0).settled_batch().is_none());
        assert!(board(Stage::Proven, 1).settled_batch().is_none());
        assert!(board(Stage::Ready, 1).is_enough_closed(2));
        assert!(!board(Stage::Ready, 0).is_enough_closed(2));
        assert!(!board(Stage::Ready, 1).is_enough_closed(5));
    }

    #[test]
    fn the_crowd_is_in_once_its_items_are() {
        let mut board = Board::default();
        assert!(!board.is_crowd_in());
        (board.queued, board.items) = (Some(10), 9);
        assert!(!board.is_crowd_in());
        board.items = 10;
        assert!(board.is_crowd_in());
    }

    #[test]
    fn the_first_of_a_kind_is_a_step() {
        let shown = Shown::new(false);
        for (epoch, flags) in [(1, 0), (2, 3), (3, 1)] {
            let facts = EpochFacts {
                epoch,
                flags,
                ..EpochFacts::default()
            };
            shown.epoch(facts, Vec::new(), true);
        }
        let steps = shown.lock().steps.clone();
        let words: Vec<&str> = steps.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(words, ["first flags, in epoch 2"]);
    }

    #[test]
    fn the_tape_keeps_the_last_events() {
        let shown = Shown::new(false);
        for epoch in 1..=3 {
            let event = |number: usize| Event {
                epoch,
                kind: super::super::tape::Kind::Flag,
                text: number.to_string(),
            };
            let events = (0..KEPT - 1).map(event).collect();
            shown.epoch(EpochFacts::default(), events, false);
        }
        let board = shown.lock();
        assert_eq!(board.tape.len(), KEPT);
        assert_eq!(board.tape.back().map(|it| it.epoch), Some(3));
        assert_eq!(board.tape.front().map(|it| it.epoch), Some(2));
    }

    #[test]
    fn l1s_clock_waits_for_the_oldest_epoch_that_is_not_committed() {
        assert_eq!(board(Stage::Ready, 0).oldest_uncommitted(), Some(101));
        assert_eq!(board(Stage::Committed, 0).oldest_uncommitted(), Some(103));
        assert_eq!(board(Stage::Executed, 0).executed(), 2);
        assert_eq!(Board::default().oldest_uncommitted(), None);
    }
}
