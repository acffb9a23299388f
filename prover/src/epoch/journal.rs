//! The journal's segments: the fills that share a fee posting are one; all other entries fill up
//! as many as they need.

use std::collections::BTreeMap;

use tally_circuits::journal::fill::{FillSegment, FillWitness, PlacedFill};
use tally_circuits::journal::other::{OtherSegment, OtherWitness, Rows};
use tally_protocol::entry::{Entry, Market};
use tally_protocol::epoch::EpochTrace;
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::fill::Fill;
use tally_protocol::journal::layout;
use tally_protocol::table::Table;
use tally_protocol::types::InstrumentId;

use super::{Reads, TraceError, count};
use crate::release::{FILL, OTHER, Sizes};
use crate::segment::SegmentInput;

pub(super) fn segments(
    trace: &EpochTrace,
    before: &Table,
    sizes: &Sizes,
    reads: &mut Reads,
) -> Result<Vec<SegmentInput>, TraceError> {
    let market: BTreeMap<InstrumentId, MarketRow> = trace
        .rows
        .iter()
        .map(|row| (row.read.params.id, row.market()))
        .collect();
    let mut inputs = Vec::new();
    for (index, segment) in (0..).zip(&trace.journal.segments) {
        inputs.push(fills(trace, segment, &market, sizes, reads, index)?);
    }
    inputs.extend(others(trace, before, sizes, reads)?);
    Ok(inputs)
}

fn others(
    trace: &EpochTrace,
    before: &Table,
    sizes: &Sizes,
    reads: &mut Reads,
) -> Result<Vec<SegmentInput>, TraceError> {
    let market = Market::new(trace.rows.iter().map(|row| row.market()));
    let mut table = before.clone();
    table.set_many(trace.rows.iter().map(|row| (row.number, row.read)))?;
    let rows = Rows {
        market: &market,
        tree: table.tree(),
    };
    let mut witnesses: Vec<OtherWitness> = Vec::new();
    for (entry, &first) in trace.entries.iter().zip(&trace.journal.starts) {
        if entry.is_fill() {
            continue;
        }
        let open = witnesses.pop_if(|last| last.has_room(entry, &sizes.others));
        let mut witness = open.unwrap_or_default();
        witness.push(entry, &rows, first as u32)?;
        witnesses.push(witness);
    }
    let segment = |(index, witness): (u32, OtherWitness)| {
        for id in witness.reads() {
            count(&mut reads.market, id);
        }
        SegmentInput::new(OTHER, index, move |circuit: &OtherSegment, inputs| {
            circuit.assign(inputs, &witness)
        })
    };
    Ok((0..).zip(witnesses).map(segment).collect())
}

/// What a fill circuit's closure owns.
struct Placed {
    fill: Fill,
    row: MarketRow,
    first: u32,
}

fn fills(
    trace: &EpochTrace,
    segment: &layout::FillSegment,
    market: &BTreeMap<InstrumentId, MarketRow>,
    sizes: &Sizes,
    reads: &mut Reads,
    index: u32,
) -> Result<SegmentInput, TraceError> {
    let (fills, room) = (segment.entries.len(), sizes.fills);
    if fills > room {
        return Err(TraceError::Fills { fills, room });
    }
    let mut placed = Vec::with_capacity(fills);
    for &at in &segment.entries {
        let Entry::Fill(fill) = &trace.entries[at] else {
            continue;
        };
        let id = fill.long.instrument;
        let row = *market.get(&id).ok_or(TraceError::Unread(id))?;
        count(&mut reads.market, id);
        placed.push(Placed {
            fill: (**fill).clone(),
            row,
            first: trace.journal.starts[at] as u32,
        });
    }
    let fees_at = segment.postings.last().copied().unwrap_or_default() as u32;
    Ok(SegmentInput::new(
        FILL,
        index,
        move |circuit: &FillSegment, inputs| {
            let fills = placed.iter().map(|placed| PlacedFill {
                fill: &placed.fill,
                row: &placed.row,
                first: placed.first,
            });
            let fills = fills.collect();
            circuit.assign(inputs, &FillWitness { fills, fees_at })
        },
    ))
}
