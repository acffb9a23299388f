//! Header, scan and rows.

use tally_circuits::header::{HeaderReads, HeaderSegment, report_roots};
use tally_circuits::row::{Reads, RowSegment, RowWitness, plan};
use tally_circuits::scan::ScanSegment;
use tally_protocol::entry::{Entry, EpochTerms, Market, Terms};
use tally_protocol::epoch::{EpochTrace, RowStep};
use tally_protocol::hash::Digest;
use tally_protocol::table::Table;
use tally_protocol::tree::root_from_path;

use super::TraceError;
use crate::release::{HEADER, ROWS, SCAN, Sizes};
use crate::segment::SegmentInput;

pub(super) fn segments(
    trace: &EpochTrace,
    before: &Table,
    sizes: &Sizes,
    reads: &Reads,
) -> Result<Vec<SegmentInput>, TraceError> {
    let mut inputs = vec![header(trace, reads), scan(trace, before)?];
    let rows = plan(trace, reads)?;
    let changes = rows.iter().filter(|row| row.change.is_some()).count();
    let room = sizes.rows.changes;
    if changes > room {
        return Err(TraceError::Changes { changes, room });
    }
    let mut tables = [trace.table_before, trace.context.table];
    for (index, rows) in (0..).zip(rows.chunks(sizes.rows.units)) {
        inputs.push(rows_input(trace, index, tables, rows));
        tables = tables_after(trace, tables, rows);
    }
    Ok(inputs)
}

fn header(trace: &EpochTrace, reads: &Reads) -> SegmentInput {
    let reads = HeaderReads {
        empty: reads.margin.get(&0).copied().unwrap_or_default(),
        discounts: discounts(trace),
    };
    let trace = trace.clone();
    SegmentInput::new(HEADER, 0, move |header: &HeaderSegment, inputs| {
        header.reports.set(inputs, &report_roots(&trace))?;
        header.header.set(inputs, &trace, reads)
    })
}

/// \[Q7\] What unwinds take out of insurance's equity.
fn discounts(trace: &EpochTrace) -> u64 {
    let epoch = EpochTerms::from(&trace.context);
    let market = Market::new(trace.rows.iter().map(RowStep::market));
    let terms = Terms {
        epoch: &epoch,
        market: &market,
    };
    let unwinds = trace.entries.iter();
    let unwinds = unwinds.filter(|entry| matches!(entry, Entry::Unwind(_)));
    let effects = unwinds.filter_map(|entry| entry.effects(&terms).ok());
    effects.map(|effects| effects.discount).sum()
}

fn scan(trace: &EpochTrace, before: &Table) -> Result<SegmentInput, TraceError> {
    let mut table = before.clone();
    table.set_many(trace.rows.iter().map(|row| (row.number, row.read)))?;
    let assign = move |scan: &ScanSegment, inputs: &mut _| scan.scan.set(inputs, &table);
    Ok(SegmentInput::new(SCAN, 0, assign))
}

fn rows_input(
    trace: &EpochTrace,
    index: u32,
    tables: [Digest; 2],
    rows: &[RowWitness],
) -> SegmentInput {
    let (roots, rows) = (report_roots(trace), rows.to_vec());
    SegmentInput::new(ROWS, index, move |circuit: &RowSegment, inputs| {
        let frame = &circuit.segment;
        circuit.rows.set(inputs, frame, tables, &roots, &rows)
    })
}

/// Where the two chains stand after these rows, from the path of the last.
fn tables_after(trace: &EpochTrace, tables: [Digest; 2], rows: &[RowWitness]) -> [Digest; 2] {
    let Some(last) = rows.last() else {
        return tables;
    };
    let step = trace.rows.iter().find(|step| step.number == last.number);
    let Some(step) = step else { return tables };
    [
        root_from_path(step.number, step.read.digest(), &last.tick_path),
        root_from_path(step.number, step.after.digest(), &last.close_path),
    ]
}
