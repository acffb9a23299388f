//! An epoch's rows as units take them, in the order of the chains.

use std::collections::BTreeMap;

use tally_protocol::bounds::TABLE_DEPTH;
use tally_protocol::epoch::{EpochTrace, RowStep};
use tally_protocol::hash::Digest;
use tally_protocol::table::row_digest;
use tally_protocol::tree::{Opening, PartialTree, TreeError};

use super::{FeedOpening, RowWitness};

/// How often each instrument's row is read, by the ledger and by the journal.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    pub margin: BTreeMap<u32, u64>,
    pub market: BTreeMap<u32, u64>,
}

/// The rows of an epoch: those with a change first, as only the first units of a segment take one.
pub fn plan(trace: &EpochTrace, reads: &Reads) -> Result<Vec<RowWitness>, TreeError> {
    let mut steps: Vec<&RowStep> = trace.rows.iter().collect();
    steps.sort_by_key(|step| (step.change.is_none(), step.number));
    let openings: Vec<Opening> = steps
        .iter()
        .map(|step| Opening {
            index: step.number,
            leaf: row_digest(step.before.as_ref()),
            path: step.path.clone(),
        })
        .collect();
    let mut tree = PartialTree::new(TABLE_DEPTH, trace.table_before, &openings)?;
    let mut rows = Vec::with_capacity(steps.len());
    for step in &steps {
        let tick_path = tree.set(step.number, step.read.digest())?;
        rows.push(witness(trace, step, reads, tick_path));
    }
    for (row, step) in rows.iter_mut().zip(&steps) {
        row.close_path = tree.set(step.number, step.after.digest())?;
    }
    Ok(rows)
}

fn witness(
    trace: &EpochTrace,
    step: &RowStep,
    reads: &Reads,
    tick_path: Vec<Digest>,
) -> RowWitness {
    let id = step.read.params.id.0;
    let count = |reads: &BTreeMap<u32, u64>| reads.get(&id).copied().unwrap_or(0);
    let reports = trace.round.reports().iter();
    let feed: Vec<FeedOpening> = reports
        .map(|(_, prices)| (prices.get(step.number), prices.path(step.number)))
        .collect();
    RowWitness {
        number: step.number,
        before: step.before,
        group: step.group,
        feed,
        change: step.change,
        totals: step.totals,
        inventory: [step.read.insurance_size, step.after.insurance_size],
        after: step.after,
        reads: [count(&reads.margin), count(&reads.market)],
        tick_path,
        close_path: Vec::new(),
    }
}
