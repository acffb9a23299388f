//! The ledger segment: each touched account once, opened, given its postings, checked and closed
//! (docs/segments/ledger.md; RULES §5, §6, [S2] to [S6], [N3] to [N5]).
//!
//! Twin of `tally_protocol::ledger`, line by line. Which shape an account goes to is the prover's
//! choice, so every shape is sound for every account that it accepts.

mod apply;
mod authority;
mod block;
mod close;
mod close_full;
mod full;
mod leaf;
mod needs;
mod open;
mod opening;
mod place;
mod plan;
mod refusal;
mod running;
mod special;
#[cfg(test)]
mod tests;
mod witness;

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::POSTINGS_PER_CASH_CHECK;
use tally_protocol::hash::Tag;

pub use apply::UnitTarget;
pub use block::BlockTarget;
pub use leaf::{AccountTarget, KeysTarget, MoneyTarget, RestTarget, SlotTarget};
pub use needs::PLAIN_NEEDS;
pub use plan::{PlanError, PlannedSegment, Touched, plan};
pub use witness::{BlockWitness, LedgerWitness, UnitWitness};

use block::Thread;
use running::RunningTarget;

use crate::Builder;
use crate::gadgets::logic;
use crate::hash::hash;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::summary::ChainTarget;

/// What a ledger circuit has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerShape {
    /// Slots of its accounts; higher ones are empty.
    pub slots: usize,
    /// Postings of a block. With one, an account has to fit one block.
    pub postings: usize,
    pub blocks: usize,
    /// All that plain accounts don't need: flags, liquidation, absorption, new leaves, system
    /// accounts, refusals, the risk-reducing exception.
    pub full: bool,
}

impl LedgerShape {
    /// One posting, at most four slots: a trader of one fill.
    pub const FRESH: Self = Self::plain(4, 1, 126);
    /// Many postings, at most four slots.
    pub const BUSY: Self = Self::plain(4, 10, 43);
    pub const WIDE: Self = Self::plain(16, 4, 49);
    /// Every other account.
    pub const FULL: Self = Self {
        full: true,
        ..Self::plain(16, 4, 31)
    };
    /// The production circuits: what 2^14 rows hold of each, together every account of any epoch.
    pub const ALL: [Self; 4] = [Self::FRESH, Self::BUSY, Self::WIDE, Self::FULL];

    const fn plain(slots: usize, postings: usize, blocks: usize) -> Self {
        Self {
            slots,
            postings,
            blocks,
            full: false,
        }
    }

    /// Whether accounts may span blocks and segments.
    pub fn spans(&self) -> bool {
        self.postings > 1
    }

    pub fn kind(&self) -> SegmentKind {
        match (self.full, self.slots, self.postings) {
            (true, ..) => SegmentKind::LedgerSystem,
            (false, 4, 1) => SegmentKind::Ledger4,
            (false, 4, _) => SegmentKind::LedgerBusy,
            (false, ..) => SegmentKind::Ledger16,
        }
    }
}

/// The segment's targets.
#[derive(Clone, Debug)]
pub struct LedgerSegment {
    pub shape: LedgerShape,
    pub segment: Segment,
    pub blocks: Vec<BlockTarget>,
    accounts: HashOutTarget,
    /// The first block's account comes from another segment, in this running state.
    continued: BoolTarget,
    handed: Vec<Target>,
}

impl LedgerSegment {
    pub fn build(shape: LedgerShape) -> (Builder, Self) {
        Self::build_over(Builder::new(), shape)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, shape: LedgerShape) -> (Builder, Self) {
        // [N4] Running cash is checked at each block's end.
        assert!(shape.postings <= POSTINGS_PER_CASH_CHECK);
        let mut s = SegmentBuilder::over(builder, shape.kind());
        let accounts = s.summary.accounts.before;
        let (continued, handed) = if shape.spans() {
            let words = 1 + shape.slots + RunningTarget::count(shape.slots, shape.full);
            (
                s.add_virtual_bool_target_safe(),
                s.add_virtual_targets(words),
            )
        } else {
            (s._false(), Vec::new())
        };
        let before = handoff(&mut s, continued, &handed);
        let mut thread = Thread {
            accounts,
            continued,
            handed: handed.clone(),
        };
        let mut blocks: Vec<BlockTarget> = Vec::new();
        let mut live = s.zero();
        for _ in 0..shape.blocks {
            let block = BlockTarget::new(&mut s, &shape);
            if let Some(last) = blocks.last() {
                logic::assert_implies(&mut s, block.live, last.live);
            }
            block.run(&mut s, &shape, &mut thread);
            live = s.add(live, block.live.target);
            blocks.push(block);
        }
        s.summary.accounts.after = thread.accounts;
        if let Some(before) = before {
            let after = handoff(&mut s, thread.continued, &thread.handed);
            s.summary.handoff = ChainTarget {
                before,
                after: after.expect("an account may span segments"),
            };
        }
        let (builder, segment) = s.finish(&[live]);
        let ledger = Self {
            shape,
            segment,
            blocks,
            accounts,
            continued,
            handed,
        };
        (builder, ledger)
    }
}

/// [L1] The digest of what goes from segment to segment, zeros for nothing. None where the shape
/// hands nothing on: then what others hand on passes through.
fn handoff(b: &mut Builder, continued: BoolTarget, handed: &[Target]) -> Option<HashOutTarget> {
    if handed.is_empty() {
        return None;
    }
    let digest = hash(b, Tag::Handoff, handed);
    let elements = digest.elements.map(|x| b.mul(continued.target, x));
    Some(HashOutTarget { elements })
}
