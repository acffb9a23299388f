//! A batch's data from its epochs' traces: the bytes that its proof is about, without proving.

use plonky2::field::types::PrimeField64;

use super::{BatchStatement, DataError, DataList, DataShape, STATEMENT_WORDS, bytes_of};
use crate::epoch::EpochTrace;

/// What the bytes of a batch say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchData {
    pub statement: BatchStatement,
    /// By epoch and, within one, by data segment.
    pub lists: Vec<DataList>,
}

impl BatchData {
    /// Of one epoch, in lists as data circuits of this shape take them.
    pub fn of_epoch(trace: &EpochTrace, shape: &DataShape) -> Self {
        let context = &trace.context;
        let [chain_id, c0, c1, c2, ..] = context.globals.words().map(|w| w.to_canonical_u64());
        let mut data = Self {
            statement: BatchStatement {
                length: 0,
                chain_id,
                contract: [c0, c1, c2],
                first_epoch: context.epoch.into(),
                last_epoch: context.epoch.into(),
                round: context.round.into(),
                time: context.time,
                sections: [0; 4],
                state_before: trace.root_before,
                state_after: trace.root_after,
                header_after: trace.header_after.digest(),
            },
            lists: shape.plan(trace),
        };
        data.count();
        data
    }

    /// With the epochs of `next`, which must be those that follow.
    pub fn append(&mut self, next: Self) {
        let (mine, its) = (&mut self.statement, next.statement);
        *mine = BatchStatement {
            first_epoch: mine.first_epoch,
            state_before: mine.state_before,
            ..its
        };
        self.lists.extend(next.lists);
        self.count();
    }

    /// What the statement says of the lists.
    fn count(&mut self) {
        let words = self.lists.iter().map(|list| list.words().len());
        let length = words.fold(STATEMENT_WORDS, usize::saturating_add);
        self.statement.length = length as u64;
        self.statement.sections = self.sections();
    }

    /// Records of queue outcomes, withdrawals, accounts and rows.
    pub fn sections(&self) -> [u64; 4] {
        let mut sums = [0u64; 4];
        for list in &self.lists {
            let [queue, withdrawals, small, large, rows] = list.counts();
            let accounts = small.saturating_add(large);
            for (sum, n) in sums.iter_mut().zip([queue, withdrawals, accounts, rows]) {
                *sum = sum.saturating_add(n as u64);
            }
        }
        sums
    }

    /// d.
    pub fn words(&self) -> Vec<u64> {
        let mut words = self.statement.words().to_vec();
        words.extend(self.lists.iter().flat_map(DataList::words));
        words
    }

    /// As L1 gets it.
    pub fn bytes(&self) -> Result<Vec<u8>, DataError> {
        bytes_of(&self.words())
    }
}
