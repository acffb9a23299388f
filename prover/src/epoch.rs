//! From an epoch's trace to the segments that prove it.
//!
//! The trace says what happened; which segment says which part of it is decided here, and nothing
//! depends on the choice: what does not fit together is refused by the bus or the chains.

mod journal;
mod ledger;
mod tick;

use std::collections::BTreeMap;

use tally_circuits::data::{DataList, DataSegment};
use tally_circuits::journal::other::WitnessError;
use tally_circuits::ledger::PlanError;
use tally_circuits::row::Reads;
use tally_circuits::segment::PassingChains;
use tally_circuits::signature::SignatureSegment;
use tally_protocol::epoch::{EpochTrace, UnsignedError};
use tally_protocol::hash::EMPTY;
use tally_protocol::signature::{SignedRequest, verify_batch};
use tally_protocol::table::{Table, TableError};
use tally_protocol::types::InstrumentId;
use thiserror::Error;

use crate::batch::EpochInput;
use crate::release::{DATA, SIGNATURE, Sizes};
use crate::segment::SegmentInput;

/// Why an epoch has no segments.
#[derive(Debug, Error)]
pub enum TraceError {
    #[error("[P1] {fills} fills share a fee posting, a circuit takes {room}")]
    Fills { fills: usize, room: usize },
    #[error("[T3] the epoch does not read the row of instrument {}", .0.0)]
    Unread(InstrumentId),
    #[error(transparent)]
    Journal(#[from] WitnessError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Ledger(#[from] PlanError),
    #[error(transparent)]
    Unsigned(#[from] UnsignedError),
}

impl TraceError {
    /// Stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fills { .. } => "P1.fills",
            Self::Unread(_) => "T3.unread",
            Self::Journal(error) => error.code(),
            Self::Table(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Unsigned(error) => error.code(),
        }
    }
}

fn count(reads: &mut BTreeMap<u32, u64>, id: InstrumentId) {
    *reads.entry(id.0).or_default() += 1;
}

/// The epoch's segments; `before` is the table before it, all rows of it.
pub fn epoch_input(
    trace: &EpochTrace,
    before: &Table,
    sizes: &Sizes,
) -> Result<EpochInput, TraceError> {
    let mut reads = Reads::default();
    let mut main = Vec::new();
    main.extend(journal::segments(trace, before, sizes, &mut reads)?);
    main.extend(ledger::segments(trace, sizes, &mut reads)?);
    main.extend(signatures(trace, sizes)?);
    main.extend(tick::segments(trace, before, sizes, reads)?);
    let (data, words) = data(trace, sizes);
    Ok(EpochInput {
        context: trace.context,
        start: PassingChains {
            accounts: trace.accounts_before,
            handoff: EMPTY,
            tick_table: trace.table_before,
            close_table: trace.context.table,
        },
        main,
        data,
        words,
    })
}

/// [P3] What the ledger and the header ask for, with what answers it. A signature that does not
/// verify is told here, by its place, before a segment fails for it.
fn signatures(trace: &EpochTrace, sizes: &Sizes) -> Result<Vec<SegmentInput>, TraceError> {
    let signed = trace.signed_requests()?;
    verify_batch(&signed).map_err(UnsignedError::from)?;
    let chunks = signed.chunks(sizes.signatures);
    let segment = |(index, chunk): (u32, &[SignedRequest])| {
        let chunk = chunk.to_vec();
        SegmentInput::new(SIGNATURE, index, move |t: &SignatureSegment, inputs| {
            t.assign(inputs, &chunk)
        })
    };
    Ok((0..).zip(chunks).map(segment).collect())
}

/// \[P6\] The epoch's records for L1, and their words.
fn data(trace: &EpochTrace, sizes: &Sizes) -> (Vec<SegmentInput>, Vec<u64>) {
    let lists = sizes.data.plan(trace);
    let words = lists.iter().flat_map(|list| list.words()).collect();
    let segment = |(index, list): (u32, DataList)| {
        SegmentInput::new(DATA, index, move |circuit: &DataSegment, inputs| {
            circuit.set(inputs, &list)
        })
    };
    ((0..).zip(lists).map(segment).collect(), words)
}
