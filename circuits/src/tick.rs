//! The tick segment: header, scan and the epoch's first rows in one circuit
//! (docs/segments/tick.md).
//!
//! An epoch has one; rows for which it has no room stand in row segments to its right, which its
//! chains run on through.

use plonky2::iop::witness::PartialWitness;
use tally_protocol::bounds::TABLE_DEPTH;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::table::{Table, TableError};

use crate::header::{HeaderReads, HeaderTarget, HeaderWitness};
use crate::row::{self, Reads, RowShape, RowWitness, RowsTarget, RowsWitness};
use crate::scan::ScanTarget;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};

/// What a tick circuit has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickShape {
    /// The table's rows are below 2^depth.
    pub scan_depth: usize,
    pub rows: RowShape,
}

impl TickShape {
    /// In 2^14 rows: the whole table, and 44 rows read, each of which may change.
    pub const PRODUCTION: Self = Self {
        scan_depth: TABLE_DEPTH,
        rows: RowShape {
            units: 44,
            changes: 44,
            quorum: 3,
        },
    };
}

/// The segment's targets.
#[derive(Clone, Debug)]
pub struct TickSegment {
    pub shape: TickShape,
    pub segment: Segment,
    pub rows: RowsTarget,
    header: HeaderTarget,
    scan: ScanTarget,
}

/// What the segment's witness sets.
#[derive(Clone, Debug)]
pub struct TickWitness {
    pub header: HeaderWitness,
    pub rows: RowsWitness,
    /// rows′.
    pub table: Table,
}

/// An epoch's tick segment, and row segments for the rows beyond it.
#[derive(Clone, Debug)]
pub struct TickPlan {
    pub tick: TickWitness,
    pub more: Vec<RowsWitness>,
}

impl TickPlan {
    /// `before` is the table before the epoch; row segments have the shape `more`.
    pub fn new(
        trace: &EpochTrace,
        before: &Table,
        reads: &Reads,
        shapes: (TickShape, RowShape),
    ) -> Result<Self, TableError> {
        let (tick, more) = shapes;
        let rows = row::plan(trace, reads)?;
        let mut table = before.clone();
        table.set_many(trace.rows.iter().map(|step| (step.number, step.read)))?;
        let mut tables = [trace.table_before, trace.context.table];
        let mut rest = rows.as_slice();
        let mut take = |shape: &RowShape| {
            let (taken, left) = rest.split_at(shape.room(rest));
            rest = left;
            let witness = RowsWitness::new(trace, tables, taken);
            tables = taken.last().map_or(tables, |row: &RowWitness| row.roots);
            (witness, left.is_empty())
        };
        let (first, mut done) = take(&tick.rows);
        let mut others = Vec::new();
        while !done {
            let (witness, last) = take(&more);
            // A shape without room for what is left would never end.
            done = last || witness.rows.is_empty();
            others.push(witness);
        }
        let header_reads = HeaderReads {
            empty: reads.margin.get(&0).copied().unwrap_or(0),
            discounts: reads.discounts,
        };
        Ok(Self {
            tick: TickWitness {
                header: HeaderWitness::new(trace, header_reads),
                rows: first,
                table,
            },
            more: others,
        })
    }
}

impl TickSegment {
    pub fn build(shape: TickShape) -> (Builder, Self) {
        Self::build_over(Builder::new(), shape)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, shape: TickShape) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Tick);
        let rows = RowsTarget::new(&mut s, shape.rows);
        let header = HeaderTarget::new(&mut s, &rows.reports);
        let scan = ScanTarget::new(&mut s, shape.scan_depth);
        let live = rows.live;
        let (builder, segment) = s.finish(&[live]);
        let tick = Self {
            shape,
            segment,
            rows,
            header,
            scan,
        };
        (builder, tick)
    }

    pub fn set(&self, inputs: &mut PartialWitness<F>, witness: &TickWitness) -> anyhow::Result<()> {
        self.rows.set(inputs, &self.segment, &witness.rows)?;
        self.header.set(inputs, &witness.header)?;
        self.scan.set(inputs, &witness.table)
    }
}

#[cfg(test)]
mod tests;
