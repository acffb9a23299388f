//! An epoch's rows as units take them, in the order of the chains.

use std::collections::BTreeMap;

use tally_protocol::bounds::TABLE_DEPTH;
use tally_protocol::close::RowChange;
use tally_protocol::epoch::{EpochTrace, LapsedListing, RowStep};
use tally_protocol::hash::EMPTY;
use tally_protocol::instrument::Row;
use tally_protocol::socialisation::GroupLots;
use tally_protocol::table::row_digest;
use tally_protocol::tree::{Opening, PartialTree, TreeError};

use super::{FeedOpening, RowWitness};

/// How often each instrument's row is read, by the ledger and by the journal.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    pub margin: BTreeMap<u32, u64>,
    pub market: BTreeMap<u32, u64>,
    /// Sum of the discounts of the epoch's unwinds [Q7].
    pub discounts: u64,
}

/// The rows of an epoch: those with a change first, as only the first units of a segment take one.
pub fn plan(trace: &EpochTrace, reads: &Reads) -> Result<Vec<RowWitness>, TreeError> {
    let (changed, same) = trace
        .rows
        .iter()
        .partition::<Vec<_>, _>(|step| step.change.is_some());
    let openings: Vec<Opening> = openings(trace).collect();
    let mut tree = PartialTree::new(TABLE_DEPTH, trace.table_before, &openings)?;
    let mut rows: Vec<RowWitness> = trace
        .lapsed
        .iter()
        .map(|listing| lapsed(trace, listing))
        .chain(
            [changed, same]
                .concat()
                .iter()
                .map(|step| read(trace, step, reads)),
        )
        .collect();
    let steps: BTreeMap<u32, &RowStep> =
        trace.rows.iter().map(|step| (step.number, step)).collect();
    for row in &mut rows {
        let leaf = steps.get(&row.number).map(|step| &step.read);
        row.tick_path = tree.set(row.number, row_digest(leaf))?;
        row.roots[0] = tree.root();
    }
    for row in &mut rows {
        let leaf = steps.get(&row.number).map(|step| &step.after);
        row.close_path = tree.set(row.number, row_digest(leaf))?;
        row.roots[1] = tree.root();
    }
    Ok(rows)
}

fn openings(trace: &EpochTrace) -> impl Iterator<Item = Opening> {
    let rows = trace.rows.iter().map(|step| Opening {
        index: step.number,
        leaf: row_digest(step.before.as_ref()),
        path: step.path.clone(),
    });
    let lapsed = trace.lapsed.iter().map(|listing| Opening {
        index: listing.change.row(),
        leaf: EMPTY,
        path: listing.path.clone(),
    });
    rows.chain(lapsed)
}

fn feed(trace: &EpochTrace, number: u32) -> Vec<FeedOpening> {
    let reports = trace.round.reports().iter();
    reports
        .map(|(_, prices)| (prices.get(number), prices.path(number)))
        .collect()
}

fn read(trace: &EpochTrace, step: &RowStep, reads: &Reads) -> RowWitness {
    let id = step.read.params.id.0;
    let count = |reads: &BTreeMap<u32, u64>| reads.get(&id).copied().unwrap_or(0);
    RowWitness {
        number: step.number,
        before: step.before,
        group: step.group,
        feed: feed(trace, step.number),
        change: step.change,
        totals: step.totals,
        inventory: [step.read.insurance_size, step.after.insurance_size],
        after: step.after,
        reads: [count(&reads.margin), count(&reads.market)],
        tick_path: Vec::new(),
        close_path: Vec::new(),
        roots: [EMPTY; 2],
    }
}

/// An empty place stays empty.
fn lapsed(trace: &EpochTrace, listing: &LapsedListing) -> RowWitness {
    let number = listing.change.row();
    RowWitness {
        number,
        before: None,
        group: GroupLots::default(),
        feed: feed(trace, number),
        change: Some(listing.change),
        totals: RowChange::default(),
        inventory: [0, 0],
        after: Row::default(),
        reads: [0, 0],
        tick_path: Vec::new(),
        close_path: Vec::new(),
        roots: [EMPTY; 2],
    }
}
