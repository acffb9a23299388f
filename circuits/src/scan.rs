//! The scan: every row of rows′, so that none with open interest is stale [T3], [Q6].
//!
//! *Statement.* The context's table is the root over the rows given here, all places from 2^depth
//! on being empty. Each row with open interest is at most 64 rounds old; each with insurance
//! inventory has this round, so it was read in this epoch and E_G can demand its owner
//! (docs/decisions.md, D15). *Assumes* that a row's open interest is below 2^48 and its round at
//! most the header's, as every tick and close leave it. *Cost.* 3.85 rows a place: two permutations
//! for the row, one for the tree, one lane, 12 operations.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{MAX_ROW_AGE, TABLE_DEPTH};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::instrument::{ROW_WORDS, Row};
use tally_protocol::table::Table;
use tally_protocol::tree::empty_root;

use crate::gadgets::range;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F, hash};

/// Places of the words that the scan looks at (`Row::words`).
const ROUND: usize = 5;
const OPEN_LONG: usize = 12;
const OPEN_SHORT: usize = 13;
const INSURANCE_SIZE: usize = 14;

/// The scan's targets, in whichever segment it stands.
#[derive(Clone, Debug)]
pub struct ScanTarget {
    rows: Vec<ScanRowTarget>,
}

/// A place of the table.
#[derive(Clone, Copy, Debug)]
struct ScanRowTarget {
    listed: BoolTarget,
    words: [Target; ROW_WORDS],
    /// 0 where anyone holds a lot; a hint.
    idle: BoolTarget,
}

/// A segment that is a scan alone.
#[derive(Clone, Debug)]
pub struct ScanSegment {
    pub segment: Segment,
    pub scan: ScanTarget,
}

impl ScanSegment {
    pub fn build(depth: usize) -> (Builder, Self) {
        Self::build_over(Builder::new(), depth)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, depth: usize) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Scan);
        let scan = ScanTarget::new(&mut s, depth);
        let (builder, segment) = s.finish(&[]);
        (builder, Self { segment, scan })
    }
}

impl ScanTarget {
    /// Of a table whose rows are all below 2^depth. Counts as the epoch's scan [P5].
    pub fn new(s: &mut SegmentBuilder, depth: usize) -> Self {
        assert!(depth <= TABLE_DEPTH);
        let round = s.context.round;
        let mut rows = Vec::with_capacity(1 << depth);
        let mut level = Vec::with_capacity(1 << depth);
        for _ in 0..1usize << depth {
            let row = ScanRowTarget::new(s);
            level.push(row.leaf(s));
            row.check_age(s, round);
            rows.push(row);
        }
        let root = root(s, level, depth);
        let table = s.context.table;
        s.connect_hashes(root, table);
        s.summary.counts[1] = s.one();
        Self { rows }
    }

    /// Sets rows′.
    pub fn set(&self, witness: &mut PartialWitness<F>, table: &Table) -> anyhow::Result<()> {
        let places = self.rows.len();
        let beyond = table.rows().find(|(number, _)| *number as usize >= places);
        anyhow::ensure!(
            beyond.is_none(),
            "[T3] a row is beyond the scan's {places} places"
        );
        for (number, target) in (0..).zip(&self.rows) {
            target.set(witness, table.get(number))?;
        }
        Ok(())
    }
}

/// The root over the first 2^depth leaves, the rest being empty.
fn root(b: &mut Builder, mut level: Vec<HashOutTarget>, depth: usize) -> HashOutTarget {
    while level.len() > 1 {
        let pairs = level.chunks(2);
        level = pairs
            .map(|pair| hash::compress(b, pair[0], pair[1]))
            .collect();
    }
    (depth..TABLE_DEPTH).fold(level[0], |node, height| {
        let empty = b.constant_hash(empty_root(height));
        hash::compress(b, node, empty)
    })
}

impl ScanRowTarget {
    fn new(b: &mut Builder) -> Self {
        let words: [Target; ROW_WORDS] = b.add_virtual_target_arr();
        let idle = b.hint_one("idle", &[words[OPEN_LONG], words[OPEN_SHORT]], |v| {
            let held = v.iter().any(|lots| *lots != F::default());
            unsigned((!held).into())
        });
        Self {
            listed: b.add_virtual_bool_target_safe(),
            words,
            idle: BoolTarget::new_unsafe(idle),
        }
    }

    /// The row's digest, or the empty one.
    fn leaf(&self, b: &mut Builder) -> HashOutTarget {
        let digest = hash::hash(b, Tag::Row, &self.words);
        HashOutTarget {
            elements: digest.elements.map(|x| b.mul(self.listed.target, x)),
        }
    }

    /// Words of an unlisted place are free; its row is whatever satisfies this.
    fn check_age(&self, b: &mut Builder, round: Target) {
        let words = &self.words;
        // `idle` is 0 unless nobody holds a lot, and then its value is nobody's concern.
        for lots in [words[OPEN_LONG], words[OPEN_SHORT]] {
            let held = b.mul(self.idle.target, lots);
            b.assert_zero(held);
        }
        let oldest = b.constant(unsigned(MAX_ROW_AGE));
        let age = b.sub(round, words[ROUND]);
        let held = b.not(self.idle);
        range::assert_le_if(b, held, age, oldest);
        let unread = b.mul(words[INSURANCE_SIZE], age);
        b.assert_zero(unread);
    }

    fn set(&self, witness: &mut PartialWitness<F>, row: Option<&Row>) -> anyhow::Result<()> {
        witness.set_bool_target(self.listed, row.is_some())?;
        let words = row.map_or([F::default(); ROW_WORDS], Row::words);
        witness.set_target_arr(&self.words, &words)
    }
}

#[cfg(test)]
mod tests;
