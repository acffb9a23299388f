//! What the devnet's parts have done so far: for the view, the end of a bounded run, the summary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tally_protocol::entry::Entry;
use tally_sequencer::ClosedEpoch;

/// Lines that the live view keeps.
const KEPT_LINES: usize = 200;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proving {
    pub proven_through: u32,
    pub jobs: u64,
    pub done: u64,
    /// Prover processes that were started.
    pub starts: u32,
}

#[derive(Debug, Default)]
pub struct Board {
    pub epochs: BTreeMap<u32, EpochFacts>,
    pub batches: BTreeMap<u64, BatchFacts>,
    pub proving: Proving,
    /// Of L1: its newest block, items that came in, micro-quote that went out.
    pub block: u64,
    pub items: u64,
    pub pulled: u64,
    pub pulls: u64,
    /// Commands of bots that became durable, and those that were refused, by code.
    pub acked: u64,
    pub refused: BTreeMap<String, u64>,
    /// Instruments' marks, micro-quote per lot.
    pub marks: BTreeMap<u32, u64>,
    pub phase: String,
    pub api: String,
    lines: Vec<String>,
    /// Lines that were dropped by now.
    dropped: usize,
    prints: bool,
}

/// Shared by all parts.
#[derive(Clone, Debug)]
pub struct Shown(Arc<Mutex<Board>>);

impl Shown {
    /// `prints`: lines go to standard error as they come.
    pub fn new(prints: bool) -> Self {
        Self(Arc::new(Mutex::new(Board {
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

    pub fn epoch(&self, facts: EpochFacts, is_told: bool) {
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
        }
        board.epochs.insert(facts.epoch, facts);
    }

    pub fn batch(&self, facts: BatchFacts) {
        let mut board = self.lock();
        let line = format!(
            "batch of epochs {} to {}: {:?}, {} bytes, {} withdrawals",
            facts.first_epoch, facts.last_epoch, facts.stage, facts.bytes, facts.withdrawals
        );
        board.say(line.to_lowercase());
        board.batches.insert(facts.first_epoch, facts);
    }
}

impl Board {
    fn say(&mut self, line: String) {
        if self.prints {
            eprintln!("{line}");
        }
        if self.lines.len() >= KEPT_LINES {
            self.lines.remove(0);
            self.dropped += 1;
        }
        self.lines.push(line);
    }

    /// What was said since the last call; at most the lines that are kept.
    pub fn said_since(&self, count: &mut usize) -> Vec<String> {
        let from = count.saturating_sub(self.dropped);
        *count = self.dropped + self.lines.len();
        self.lines.get(from..).unwrap_or_default().to_vec()
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
            let of = |count: fn(&EpochFacts) -> usize| self.sum(batch, count);
            of(|it| it.fills) > 0 && of(|it| it.liquidations) > 0
        })
    }

    fn sum(&self, batch: &BatchFacts, count: fn(&EpochFacts) -> usize) -> usize {
        let epochs = self
            .epochs
            .values()
            .filter(|it| (batch.first_epoch..=batch.last_epoch).contains(&u64::from(it.epoch)));
        epochs.map(count).sum()
    }

    pub fn total(&self, count: fn(&EpochFacts) -> usize) -> usize {
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
    }

    #[test]
    fn l1s_clock_waits_for_the_oldest_epoch_that_is_not_committed() {
        assert_eq!(board(Stage::Ready, 0).oldest_uncommitted(), Some(101));
        assert_eq!(board(Stage::Committed, 0).oldest_uncommitted(), Some(103));
        assert_eq!(board(Stage::Executed, 0).executed(), 2);
        assert_eq!(Board::default().oldest_uncommitted(), None);
    }
}
