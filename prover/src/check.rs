//! A rehearsal of an epoch's proof: every constraint of every segment on its witness, all segments'
//! bus together, and the chains from the first root to the last, without proving.
//!
//! It says which segment and which message do not fit, where a proof would only fail.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use plonky2::field::extension::FieldExtension;
use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_circuits::bus::{BusTag, Traffic};
use tally_circuits::checker::Checker;
use tally_circuits::segment::PassingChains;
use tally_circuits::summary::{Chain, Challenge, DataPolynomial, JoinError, Summary};
use tally_circuits::{Ext, F};
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::{Digest, EMPTY};
use thiserror::Error;

use crate::batch::EpochInput;
use crate::release::Sizes;
use crate::segment::{OpenSegment, SegmentInput, SegmentType};

/// Unmatched messages told of each tag.
const TOLD: usize = 4;

/// What keeps an epoch from being proven.
#[derive(Debug, Error)]
pub enum CheckError {
    #[error("no circuit is called {0}")]
    Unknown(&'static str),
    #[error("{label}: {reason}")]
    Refused { label: String, reason: String },
    #[error("[P5] {label}: {chain} does not go on where it stands")]
    Unchained { label: String, chain: &'static str },
    #[error("[P5] {0}")]
    Join(#[from] JoinError),
    #[error("an epoch without segments")]
    Empty,
    #[error("[P3] unmatched messages:\n{0}")]
    Unmatched(String),
    #[error("{0} is not the native run's")]
    Differs(&'static str),
}

/// A release's circuits under the checker, each built when it is first needed.
#[allow(missing_debug_implementations)]
pub struct Rehearsal {
    pub sizes: Sizes,
    types: Vec<SegmentType>,
    rigs: Vec<OnceCell<(Checker, OpenSegment)>>,
}

/// What an epoch's segments state together.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    pub traffic: Traffic,
    pub main: Summary,
    pub data: Summary,
    /// Segments by circuit.
    pub segments: BTreeMap<&'static str, usize>,
}

impl Rehearsal {
    pub fn new(sizes: Sizes) -> Self {
        let types = sizes.types();
        let rigs = types.iter().map(|_| OnceCell::new()).collect();
        Self { sizes, types, rigs }
    }

    /// Every constraint on every segment's witness.
    pub fn run(&self, input: &EpochInput) -> Result<Rehearsed, CheckError> {
        let mut chains = input.start;
        let mut traffic = Traffic::default();
        let mut segments = BTreeMap::new();
        let mut part = |inputs: &[SegmentInput]| {
            let mut summaries = Vec::new();
            for segment in inputs {
                summaries.push(self.segment(input, segment, &mut chains, &mut traffic)?);
                *segments.entry(segment.circuit).or_default() += 1;
            }
            join(summaries)
        };
        let (main, data) = (part(&input.main)?, part(&input.data)?);
        Ok(Rehearsed {
            traffic,
            main,
            data,
            segments,
        })
    }

    fn segment(
        &self,
        input: &EpochInput,
        segment: &SegmentInput,
        chains: &mut PassingChains,
        traffic: &mut Traffic,
    ) -> Result<Summary, CheckError> {
        let label = segment.label();
        let refused = |reason: String| CheckError::Refused {
            label: label.clone(),
            reason,
        };
        let types = self.types.iter().zip(&self.rigs);
        let (circuit, rig) = types
            .into_iter()
            .find(|(circuit, _)| circuit.name == segment.circuit)
            .ok_or(CheckError::Unknown(segment.circuit))?;
        let (checker, open) = rig.get_or_init(|| {
            let (builder, open) = circuit.open();
            (Checker::new(builder), open)
        });
        let inputs = inputs(open, input, segment, chains).map_err(|e| refused(e.to_string()))?;
        let accepted = checker.check(&inputs);
        let accepted = accepted.map_err(|violations| refused(format!("{violations:?}")))?;
        let value = |target: Target| accepted.get(target);
        traffic.add(&open.segment.entries, value);
        let summary = open.segment.summary(value);
        for (chain, link, at) in [
            ("accounts", summary.accounts, &mut chains.accounts),
            ("handoff", summary.handoff, &mut chains.handoff),
            ("tick table", summary.tick_table, &mut chains.tick_table),
            ("close table", summary.close_table, &mut chains.close_table),
        ] {
            if link.before != *at {
                return Err(CheckError::Unchained { label, chain });
            }
            *at = link.after;
        }
        Ok(summary)
    }
}

fn inputs(
    open: &OpenSegment,
    input: &EpochInput,
    segment: &SegmentInput,
    chains: &PassingChains,
) -> anyhow::Result<PartialWitness<F>> {
    let frame = &open.segment;
    let mut inputs = PartialWitness::new();
    frame.set_context(&mut inputs, &input.context, segment.index)?;
    open.assign(&mut inputs, segment)?;
    frame.set_passing(&mut inputs, chains)?;
    frame.set_challenge(&mut inputs, challenge(), EMPTY)?;
    if input
        .data
        .iter()
        .any(|data| data.circuit == segment.circuit)
    {
        inputs.set_extension_target(frame.summary.data.point, point())?;
    }
    Ok(inputs)
}

fn join(mut summaries: Vec<Summary>) -> Result<Summary, CheckError> {
    while summaries.len() > 1 {
        let groups = summaries.chunks(3);
        summaries = groups.map(Summary::join).collect::<Result<_, _>>()?;
    }
    summaries.pop().ok_or(CheckError::Empty)
}

/// Any point and challenge do: the messages themselves are compared.
fn point() -> Ext {
    Ext::from_basefield_array([0x1234_5678_9abc, 77].map(F::from_canonical_u64))
}

fn challenge() -> Challenge {
    Challenge {
        alpha: point() * point(),
        beta: point() + point(),
    }
}

impl Rehearsed {
    /// Nothing is left on the bus, roots, counts and L1 data are the native run's.
    pub fn compare(&self, trace: &EpochTrace, words: &[u64]) -> Result<(), CheckError> {
        let unmatched = self.traffic.unmatched();
        if !unmatched.is_empty() {
            return Err(CheckError::Unmatched(told(&unmatched)));
        }
        let (main, data) = (&self.main, &self.data);
        let chain = |before: Digest, after: Digest| Chain { before, after };
        let table = trace.context.table;
        let words: Vec<F> = words.iter().copied().map(F::from_canonical_u64).collect();
        let journal = &trace.journal;
        let remain = trace.rows.iter();
        let equal = [
            (
                "the account root",
                main.accounts == chain(trace.accounts_before, trace.accounts_after),
            ),
            ("the handoff", main.handoff == Chain::unchanged(EMPTY)),
            ("rows'", main.tick_table == chain(trace.table_before, table)),
            (
                "rows''",
                main.close_table == chain(table, trace.table_after),
            ),
            (
                "the L1 data",
                data.data == DataPolynomial::evaluate(&words, point()),
            ),
            ("the header's count", main.counts.headers == 1),
            ("the scans' count", main.counts.scans == 1),
            (
                "the queue's count",
                main.counts.data_queue == journal.outcomes.len() as u64,
            ),
            (
                "the withdrawals' count",
                main.counts.data_withdrawals == journal.withdrawals.len() as u64,
            ),
            (
                "the rows' count",
                main.counts.data_rows == remain.len() as u64,
            ),
        ];
        match equal.into_iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(CheckError::Differs(what)),
            None => Ok(()),
        }
    }
}

/// Unmatched tuples by tag, a few of each.
fn told(unmatched: &[(BusTag, &[u64], i128)]) -> String {
    let mut tags: BTreeMap<BusTag, Vec<String>> = BTreeMap::new();
    for (tag, words, net) in unmatched {
        let tuples = tags.entry(*tag).or_default();
        let words = words.iter().map(|word| signed(*word));
        tuples.push(format!("{net} of {:?}", words.collect::<Vec<_>>()));
    }
    let lines = tags.iter().map(|(tag, tuples)| {
        let some = tuples.iter().take(TOLD).cloned().collect::<Vec<_>>();
        format!("{tag:?}: {}\n    {}", tuples.len(), some.join("\n    "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn signed(word: u64) -> i128 {
    let (word, order) = (i128::from(word), i128::from(FIELD_ORDER));
    if word > order / 2 { word - order } else { word }
}
