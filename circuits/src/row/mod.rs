//! The row segment: each row that the epoch reads, from the table before it to the table after
//! (docs/segments/tick.md; RULES §3, [Q6]).
//!
//! Twin of `tally_protocol::{tick, socialisation, listing, close}`, clause by clause. Two chains of
//! table roots run through the epoch's row units: rows → rows′, which is the context's table and
//! what everybody reads, and rows′ → rows″. An epoch's rows may stand in several segments.

pub mod change;
pub mod close;
pub mod feed;
pub mod numbers;
mod plan;
pub mod shift;
pub mod state;
#[cfg(test)]
mod tests;
pub mod tick;
mod unit;

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::close::RowChange;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::Digest;
use tally_protocol::instrument::Row;
use tally_protocol::listing::Change;
use tally_protocol::socialisation::GroupLots;

pub use feed::{FeedOpening, ReportsTarget};
pub use plan::{Reads, plan};
pub use unit::UnitTarget;

use crate::bus::{BusTag, EpochSum};
use crate::gadgets::logic;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::summary::ChainTarget;
use crate::{Builder, F};
use shift::PlanTarget;

/// Place of the count of rows in the L1 data.
const DATA_ROWS: usize = 5;

/// What a row circuit has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowShape {
    pub units: usize,
    /// How many of them, the first ones, may apply a listing or a change [T7].
    pub changes: usize,
    /// k of [T1].
    pub quorum: usize,
}

impl RowShape {
    /// How many of these rows fit, from the first on: only the first units take a change.
    pub fn room(&self, rows: &[RowWitness]) -> usize {
        let fits = |(place, row): (usize, &RowWitness)| {
            place < self.units && (place < self.changes || row.change.is_none())
        };
        let rows = rows.iter().enumerate();
        rows.take_while(|&unit| fits(unit)).count()
    }
}

/// The row units of a segment.
#[derive(Clone, Debug)]
pub struct RowsTarget {
    pub shape: RowShape,
    pub live: Target,
    pub reports: ReportsTarget,
    pub units: Vec<UnitTarget>,
}

/// A row of the epoch, as a unit takes it.
#[derive(Clone, Debug)]
pub struct RowWitness {
    pub number: u32,
    pub before: Option<Row>,
    pub group: GroupLots,
    pub feed: Vec<FeedOpening>,
    pub change: Option<Change>,
    pub totals: RowChange,
    /// rows″.
    pub after: Row,
    /// Lots of the row's insurance account before and after the epoch.
    pub inventory: [i64; 2],
    /// By the ledger, by the journal.
    pub reads: [u64; 2],
    pub tick_path: Vec<Digest>,
    pub close_path: Vec<Digest>,
    /// The table's roots after the row's tick and after its close.
    pub roots: [Digest; 2],
}

/// The rows of one segment.
#[derive(Clone, Debug)]
pub struct RowsWitness {
    /// Where its two chains begin.
    pub tables: [Digest; 2],
    /// Roots of the prices that the epoch's reporters signed.
    pub reports: Vec<Digest>,
    pub rows: Vec<RowWitness>,
}

impl RowsWitness {
    pub fn new(trace: &EpochTrace, tables: [Digest; 2], rows: &[RowWitness]) -> Self {
        let reports = trace.round.reports().iter();
        Self {
            tables,
            reports: reports.map(|(report, _)| report.prices_root).collect(),
            rows: rows.to_vec(),
        }
    }
}

impl RowWitness {
    fn inventory_moved(&self) -> bool {
        self.inventory != [0, 0]
    }
}

impl RowsTarget {
    /// Adds the units to a segment, which then carries both chains. Cost: 148 rows a unit with
    /// three reports, and 59 more where it may change its row.
    pub fn new(s: &mut SegmentBuilder, shape: RowShape) -> Self {
        assert!(shape.changes <= shape.units);
        let reports = ReportsTarget::new(s, shape.quorum);
        let (recovery, losses) = (s.context.recovery, s.context.losses);
        let plan = PlanTarget::of(s, recovery, losses);
        let live = s.add_virtual_target();
        let bits = logic::live_bits(s, live, shape.units);
        let mut units = Vec::with_capacity(shape.units);
        for (i, bit) in bits.into_iter().enumerate() {
            let with_change = i < shape.changes;
            units.push(UnitTarget::new(s, bit, &reports, &plan, with_change));
        }
        for is_tick in [true, false] {
            let before = s.add_virtual_hash();
            let after = units.iter().fold(before, |root, (unit, leaves)| {
                let [old, new] = if is_tick {
                    [leaves.before, leaves.read]
                } else {
                    [leaves.read, leaves.after]
                };
                unit.replace(s, is_tick, root, [old, new])
            });
            let chain = ChainTarget { before, after };
            if is_tick {
                s.summary.tick_table = chain;
            } else {
                s.summary.close_table = chain;
            }
        }
        let units: Vec<UnitTarget> = units.into_iter().map(|(unit, _)| unit).collect();
        // [P6] Each row that remains has a record in the L1 data.
        let remain: Vec<Target> = units.iter().map(|unit| unit.remains.target).collect();
        s.summary.counts[DATA_ROWS] = s.add_many(remain);
        send_sums(s, &units);
        Self {
            shape,
            live,
            reports,
            units,
        }
    }

    /// Sets the rows of the segment that the units stand in.
    pub fn set(
        &self,
        witness: &mut PartialWitness<F>,
        segment: &Segment,
        part: &RowsWitness,
    ) -> anyhow::Result<()> {
        let rows = &part.rows;
        anyhow::ensure!(self.shape.room(rows) == rows.len(), "[P1] too many rows");
        witness.set_target(self.live, F::from_canonical_usize(rows.len()))?;
        self.reports.set(witness, &part.reports)?;
        let summary = &segment.summary;
        let [tick, close] = part.tables;
        witness.set_hash_target(summary.tick_table.before, tick)?;
        witness.set_hash_target(summary.close_table.before, close)?;
        for (i, unit) in self.units.iter().enumerate() {
            match rows.get(i) {
                Some(row) => unit.set(witness, row)?,
                None => unit.set_dead(witness)?,
            }
        }
        Ok(())
    }
}

/// [Q6] The segment's parts of the sums that the header takes. Units without a row before the
/// epoch, live or not, add nothing.
fn send_sums(s: &mut SegmentBuilder, units: &[UnitTarget]) {
    let parts: [(EpochSum, fn(&UnitTarget) -> Target); 3] = [
        (EpochSum::Weight, |unit| unit.shift.weight),
        (EpochSum::Posted, |unit| unit.shift.posted),
        (EpochSum::Collected, |unit| unit.shift.collected),
    ];
    for (key, part) in parts {
        let terms: Vec<(Target, Target)> = units
            .iter()
            .map(|unit| (unit.exists.target, part(unit)))
            .collect();
        let total = logic::dot(s, terms);
        let key = s.constant(F::from_canonical_u64(key as u64));
        s.add_to(BusTag::Loss, &[key], total);
    }
}

/// A segment of rows alone.
#[derive(Clone, Debug)]
pub struct RowSegment {
    pub segment: Segment,
    pub rows: RowsTarget,
}

impl RowSegment {
    pub fn build(shape: RowShape) -> (Builder, Self) {
        Self::build_over(Builder::new(), shape)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, shape: RowShape) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Row);
        let rows = RowsTarget::new(&mut s, shape);
        let live = rows.live;
        let (builder, segment) = s.finish(&[live]);
        (builder, Self { segment, rows })
    }
}
