//! One row of the epoch: row → ticked → shifted → changed (rows′) → closed (rows″).

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::TABLE_DEPTH;
use tally_protocol::hash::{Digest, signed, unsigned};
use tally_protocol::instrument::Row;

use super::RowWitness;
use super::change::ChangeTarget;
use super::close::CloseTarget;
use super::feed::{FeedTarget, ReportsTarget};
use super::numbers::{NumbersTarget, StatusTarget, margin_row, market_row};
use super::shift::{GroupTarget, PlanTarget, ShiftTarget, taking_over};
use super::state::RowTarget;
use super::tick::tick;
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::gadgets::merkle::PathTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// A unit's targets.
#[derive(Clone, Debug)]
pub struct UnitTarget {
    pub live: BoolTarget,
    pub number: Target,
    /// A row before the epoch, and one after it: only a unit with a change tells them from `live`.
    pub exists: BoolTarget,
    pub remains: BoolTarget,
    pub before: RowTarget,
    pub group: GroupTarget,
    pub shift: ShiftTarget,
    pub feed: FeedTarget,
    pub change: Option<ChangeTarget>,
    /// rows′ and rows″.
    pub read: RowTarget,
    pub after: RowTarget,
    pub close: CloseTarget,
    pub reads: [Target; 2],
    tick_path: PathTarget,
    close_path: PathTarget,
}

/// The table's leaves that a unit leads from and to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaves {
    pub before: HashOutTarget,
    pub read: HashOutTarget,
    pub after: HashOutTarget,
}

impl UnitTarget {
    /// Everything but the two chains. Offers rows′ to the ledger and the journal, takes the
    /// ledger's sums, hands the row to the data segment.
    pub(super) fn new(
        s: &mut SegmentBuilder,
        live: BoolTarget,
        reports: &ReportsTarget,
        plan: &PlanTarget,
        with_change: bool,
    ) -> (Self, Leaves) {
        let number = s.add_virtual_target();
        let tick_path = PathTarget::new(s, number, TABLE_DEPTH);
        let close_path = PathTarget {
            bits: tick_path.bits.clone(),
            siblings: s.add_virtual_hashes(TABLE_DEPTH),
        };
        let (round, time, epoch) = (s.context.round, s.context.time, s.context.epoch);
        let before = RowTarget::new_unchecked(s);
        let feed = FeedTarget::new(s, reports, &tick_path.bits, live);
        let ticked = tick(s, &before, &feed.median, round, time);
        let group = group(s, &before, live);
        let shift = ShiftTarget::of(s, &ticked, &group, plan);
        let moved = shift.apply(s, &ticked.row);
        let moved = taking_over(s, &moved, &group, epoch);
        let (exists, remains, read, change) = if with_change {
            let change = ChangeTarget::new(s, &before, &moved, number, live);
            (change.exists, change.remains, change.read, Some(change))
        } else {
            (live, live, moved, None)
        };
        let reads = offer(s, &read, number, &shift, remains);
        let (after, close) = CloseTarget::apply(s, &read, remains);
        let mut leaf = |row: &RowTarget, there: BoolTarget| leaf(s, row, there, with_change);
        let leaves = Leaves {
            before: leaf(&before, exists),
            read: leaf(&read, remains),
            after: leaf(&after, remains),
        };
        let data = [&[number], &leaves.after.elements[..]].concat();
        s.send(BusTag::DataRow, &data, remains);
        let unit = Self {
            live,
            number,
            exists,
            remains,
            before,
            group,
            shift,
            feed,
            change,
            read,
            after,
            close,
            reads,
            tick_path,
            close_path,
        };
        (unit, leaves)
    }

    /// Along the tick's chain, then the close's: if live, the old leaf is under `root`; what the
    /// root then is comes back. Cost: 20 rows.
    pub(super) fn replace(
        &self,
        b: &mut Builder,
        is_tick: bool,
        root: HashOutTarget,
        [old, new]: [HashOutTarget; 2],
    ) -> HashOutTarget {
        let path = if is_tick {
            &self.tick_path
        } else {
            &self.close_path
        };
        let from = path.root(b, old);
        let to = path.root(b, new);
        logic::assert_digests_equal_if(b, self.live, &from.elements, &root.elements);
        let elements =
            core::array::from_fn(|i| logic::select(b, self.live, to.elements[i], root.elements[i]));
        HashOutTarget { elements }
    }

    pub(super) fn set(
        &self,
        witness: &mut PartialWitness<F>,
        row: &RowWitness,
    ) -> anyhow::Result<()> {
        witness.set_target(self.number, unsigned(row.number.into()))?;
        self.before.set(witness, &row.before.unwrap_or_default())?;
        let lots = [row.group.long, row.group.short].map(unsigned);
        witness.set_target_arr(&self.group.lots, &lots)?;
        self.feed.set(witness, &row.feed)?;
        let reads = row.reads.map(unsigned);
        witness.set_target_arr(&self.reads, &reads)?;
        let totals = [row.totals.long, row.totals.short].map(signed);
        witness.set_target_arr(&self.close.totals, &totals)?;
        witness.set_bool_target(self.close.opened, row.inventory_moved())?;
        let inventory = signed(row.after.insurance_size);
        witness.set_target(self.close.insurance_size, inventory)?;
        self.set_paths(witness, &row.tick_path, &row.close_path)?;
        match &self.change {
            Some(change) => change.set(witness, row.before.is_some(), row.change.as_ref()),
            None => {
                anyhow::ensure!(row.change.is_none(), "[T7] the unit takes no change");
                Ok(())
            }
        }
    }

    /// A unit that is not live ticks the quote asset's row, which nothing moves.
    pub(super) fn set_dead(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        witness.set_target(self.number, F::ZERO)?;
        self.before.set(witness, &Row::default())?;
        witness.set_target_arr(&self.group.lots, &[F::ZERO; 2])?;
        self.feed.set_dead(witness)?;
        witness.set_target_arr(&self.reads, &[F::ZERO; 2])?;
        witness.set_target_arr(&self.close.totals, &[F::ZERO; 2])?;
        witness.set_bool_target(self.close.opened, false)?;
        witness.set_target(self.close.insurance_size, F::ZERO)?;
        let path = vec![Digest::default(); TABLE_DEPTH];
        self.set_paths(witness, &path, &path)?;
        match &self.change {
            Some(change) => change.set(witness, false, None),
            None => Ok(()),
        }
    }

    fn set_paths(
        &self,
        witness: &mut PartialWitness<F>,
        tick: &[Digest],
        close: &[Digest],
    ) -> anyhow::Result<()> {
        for (path, digests) in [(&self.tick_path, tick), (&self.close_path, close)] {
            anyhow::ensure!(digests.len() == path.siblings.len(), "[T8] a cut path");
            for (sibling, digest) in path.siblings.iter().zip(digests) {
                witness.set_hash_target(*sibling, *digest)?;
            }
        }
        Ok(())
    }
}

/// Sums of G's lots in the row before the epoch, by side [Q6].
fn group(s: &mut SegmentBuilder, row: &RowTarget, live: BoolTarget) -> GroupTarget {
    let group = GroupTarget {
        lots: s.add_virtual_target_arr(),
    };
    group.check(s, row);
    let id = row.params.id();
    let long_key = s.add(id, id);
    let one = s.one();
    let short_key = s.add(long_key, one);
    for (lots, key) in group.lots.into_iter().zip([long_key, short_key]) {
        let amount = s.mul(live.target, lots);
        s.take_sum(BusTag::Group, &[key], amount);
    }
    group
}

/// Offers both readings of rows′, each as often as it is read. How often is the prover's word: it
/// is committed, and the bus balances only if it is true.
fn offer(
    s: &mut SegmentBuilder,
    read: &RowTarget,
    number: Target,
    shift: &ShiftTarget,
    live: BoolTarget,
) -> [Target; 2] {
    let numbers = NumbersTarget::of(s, &read.params, read.mark());
    let status = StatusTarget::of(s, read.status());
    let margin = margin_row(s, read, &numbers, &status, shift).words(s);
    let market = market_row(s, read, number, &numbers, &status).words();
    let reads: [Target; 2] = s.add_virtual_target_arr();
    let counts = reads.map(|count| s.mul(live.target, count));
    s.offer(BusTag::Margin, &margin, counts[0]);
    s.offer(BusTag::Market, &market, counts[1]);
    reads
}

/// The row's digest; where there may be none, the empty leaf.
fn leaf(b: &mut Builder, row: &RowTarget, there: BoolTarget, optional: bool) -> HashOutTarget {
    let digest = row.digest(b);
    if optional {
        let elements = digest.elements.map(|x| b.mul(there.target, x));
        HashOutTarget { elements }
    } else {
        digest
    }
}
