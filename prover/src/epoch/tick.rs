//! The tick: header, scan and rows.

use tally_circuits::row::{Reads, RowSegment};
use tally_circuits::tick::{TickPlan, TickSegment};
use tally_protocol::entry::{Entry, EpochTerms, Market, Terms};
use tally_protocol::epoch::{EpochTrace, RowStep};
use tally_protocol::table::Table;

use super::TraceError;
use crate::release::{ROWS, Sizes, TICK};
use crate::segment::SegmentInput;

pub(super) fn segments(
    trace: &EpochTrace,
    before: &Table,
    sizes: &Sizes,
    mut reads: Reads,
) -> Result<Vec<SegmentInput>, TraceError> {
    reads.discounts = discounts(trace);
    let plan = TickPlan::new(trace, before, &reads, (sizes.tick, sizes.rows))?;
    let witness = plan.tick;
    let assign = move |circuit: &TickSegment, inputs: &mut _| circuit.set(inputs, &witness);
    let mut inputs = vec![SegmentInput::new(TICK, 0, assign)];
    for (index, rows) in (0..).zip(plan.more) {
        let assign = move |circuit: &RowSegment, inputs: &mut _| {
            circuit.rows.set(inputs, &circuit.segment, &rows)
        };
        inputs.push(SegmentInput::new(ROWS, index, assign));
    }
    Ok(inputs)
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
