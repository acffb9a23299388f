//! The ledger's segments: touched accounts by shape, in chains of roots.

use std::collections::BTreeMap;

use tally_circuits::ledger::{LedgerSegment, LedgerShape, Touched, plan};
use tally_protocol::epoch::{EpochTrace, RowStep};
use tally_protocol::ledger::Context;

use super::{Reads, TraceError, count};
use crate::release::Sizes;
use crate::segment::SegmentInput;

pub(super) fn segments(
    trace: &EpochTrace,
    sizes: &Sizes,
    reads: &mut Reads,
) -> Result<Vec<SegmentInput>, TraceError> {
    let context = Context {
        epoch: trace.context.epoch,
        flag_expiry: trace.context.globals.flag_lifetime,
    };
    let rows = trace.rows.iter().map(RowStep::margin).collect();
    let touched: Vec<Touched> = trace.accounts.iter().map(Touched::from).collect();
    let shapes: Vec<LedgerShape> = sizes.ledgers.iter().map(|ledger| ledger.shape).collect();
    let planned = plan(context, &rows, trace.accounts_before, &touched, &shapes)?;
    let mut indices: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut inputs = Vec::new();
    for segment in planned {
        let ledger = sizes.ledgers.iter().find(|it| it.shape == segment.shape);
        let Some(ledger) = ledger else { continue };
        let rows = segment.reads();
        rows.for_each(|row| count(&mut reads.margin, row.id));
        let index = indices.entry(ledger.name).or_default();
        let witness = segment.witness;
        inputs.push(SegmentInput::new(
            ledger.name,
            *index,
            move |circuit: &LedgerSegment, inputs| circuit.assign(inputs, &witness),
        ));
        *index += 1;
    }
    Ok(inputs)
}
