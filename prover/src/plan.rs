//! What is fixed before anything is proven: the shape of the trees, commitments, chains,
//! challenges, the batch's data and its point.

mod jobs;
mod tree;

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use plonky2::iop::target::Target;
use plonky2::iop::witness::PartialWitness;
use rayon::prelude::*;
use tally_circuits::batch::{content, point};
use tally_circuits::epoch::EpochError;
use tally_circuits::segment::PassingChains;
use tally_circuits::span::Span;
use tally_circuits::summary::{Chain, ChainTarget, Challenge, Counts, DataPolynomial, Summary};
use tally_circuits::witness::{Staged, WitnessError};
use tally_circuits::{Config, Ext, F};
use tally_protocol::data::bytes_of;
use tally_protocol::hash::Digest;
use tally_protocol::header::Context;

pub(crate) use jobs::as_planned;
pub use tree::Tree;

use crate::batch::EpochInput;
use crate::circuits::Circuits;
use crate::error::ProveError;
use crate::segment::{BuiltSegment, SegmentInput};

/// A segment with what it will state, but for its bus sum and its data's value.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSegment<'a> {
    pub(crate) input: &'a SegmentInput,
    pub(crate) passing: PassingChains,
    /// `bus`, `data.value` and `data.shift` are zeros.
    pub(crate) summary: Summary,
    /// Whether it has data, hence the batch's point.
    pub(crate) has_data: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedEpoch<'a> {
    pub(crate) context: &'a Context,
    pub(crate) main: Vec<PlannedSegment<'a>>,
    pub(crate) data: Vec<PlannedSegment<'a>>,
    pub(crate) main_tree: Tree,
    pub(crate) data_tree: Tree,
    /// With the data's polynomial at the batch's point.
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    release: Digest,
    /// Of one proof.
    memory_mb: u32,
    pub(crate) epochs: Vec<PlannedEpoch<'a>>,
    pub(crate) tree: Tree,
    /// The bytes of d.
    pub(crate) bytes: Vec<u8>,
    /// The batch proof's public inputs.
    pub(crate) inputs: Vec<F>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(circuits: &Circuits, epochs: &[&'a EpochInput]) -> Result<Self, ProveError> {
        let arity = circuits.uniform().shape().arity;
        let tree = Tree::of(epochs.len(), arity).ok_or(ProveError::Empty)?;
        let mut planned: Vec<PlannedEpoch<'a>> = epochs
            .iter()
            .map(|epoch| plan_epoch(circuits, *epoch))
            .collect::<Result<_, _>>()?;
        let spans: Vec<Span> = planned.iter().map(|epoch| epoch.span.clone()).collect();
        let span = tree.fold(&mut |i| Ok(spans[i].clone()), &mut |spans| {
            Span::join(&spans)
        })?;
        let statement = span.statement();
        let mut list = statement.words().to_vec();
        for epoch in epochs {
            list.extend(&epoch.words);
        }
        let bytes = bytes_of(&list)?;
        let content = content(&statement, span.digest);
        let z = point(&statement, content, &bytes);
        for (planned, epoch) in planned.iter_mut().zip(epochs) {
            planned.set_point(z, &epoch.words);
        }
        let list: Vec<F> = list.into_iter().map(F::from_canonical_u64).collect();
        let y = DataPolynomial::evaluate(&list, z).value;
        let inputs = [&content.elements[..], &z.0, &y.0].concat();
        Ok(Self {
            release: circuits.batch_digest()?,
            memory_mb: proof_memory(circuits),
            epochs: planned,
            tree,
            bytes,
            inputs,
        })
    }
}

/// Memory of one proof per row of its circuit; 2^14 rows took 430 MB beyond the built circuit.
const BYTES_PER_ROW: usize = 28_000;

pub(crate) fn proof_memory(circuits: &Circuits) -> u32 {
    let rows = circuits.uniform().shape().rows();
    (rows * BYTES_PER_ROW / 1_000_000) as u32
}

impl PlannedEpoch<'_> {
    fn set_point(&mut self, z: Ext, words: &[u64]) {
        for segment in &mut self.data {
            segment.summary.data.point = z;
        }
        let words: Vec<F> = words
            .iter()
            .map(|word| F::from_canonical_u64(*word))
            .collect();
        self.span.data = DataPolynomial::evaluate(&words, z);
    }
}

/// Opens all segments, hands the chains along, draws the challenge.
fn plan_epoch<'a>(
    circuits: &Circuits,
    epoch: &'a EpochInput,
) -> Result<PlannedEpoch<'a>, ProveError> {
    let arity = circuits.uniform().shape().arity;
    let (join, batch_join) = (circuits.join()?.digest(), circuits.batch_join()?.digest());
    let number = epoch.context.epoch;
    let open = |input: &'a SegmentInput| open(circuits, &epoch.context, join, input);
    let mut main: Vec<PlannedSegment> =
        epoch.main.par_iter().map(open).collect::<Result<_, _>>()?;
    let mut data: Vec<PlannedSegment> =
        epoch.data.par_iter().map(open).collect::<Result<_, _>>()?;
    let mut chains = epoch.start;
    for segment in main.iter_mut().chain(&mut data) {
        segment.hand_along(&mut chains)?;
    }
    let main_tree = Tree::of(main.len(), arity).ok_or(ProveError::Empty)?;
    let data_tree = Tree::of(data.len(), arity).ok_or(ProveError::Empty)?;
    let root = |tree: &Tree, segments: &[PlannedSegment]| {
        let leaf = &mut |i: usize| Ok(segments[i].before_challenge());
        tree.fold(leaf, &mut |children| Summary::join(&children))
            .map_err(|error| ProveError::Join {
                epoch: number,
                error,
            })
    };
    let (mut main_root, mut data_root) = (root(&main_tree, &main)?, root(&data_tree, &data)?);
    let (left, right) = (main_root.commitment, data_root.commitment);
    let challenge = Challenge::derive(left, right, epoch.context.digest());
    main_root.challenge = challenge;
    data_root.challenge = challenge;
    for segment in main.iter_mut().chain(&mut data) {
        segment.summary.challenge = challenge;
    }
    let span = Span::of_epoch(&main_root, &data_root, &epoch.context, join, batch_join);
    let span = span.map_err(|error: EpochError| ProveError::Epoch {
        epoch: number,
        error,
    })?;
    if span.data.length != epoch.words.len() as u64 {
        return Err(ProveError::Data { epoch: number });
    }
    Ok(PlannedEpoch {
        context: &epoch.context,
        main,
        data,
        main_tree,
        data_tree,
        span,
    })
}

impl PlannedSegment<'_> {
    /// Takes over the chains that the segment passes and checks those that it continues.
    fn hand_along(&mut self, chains: &mut PassingChains) -> Result<(), ProveError> {
        self.passing = *chains;
        let summary = &mut self.summary;
        for (name, chain, state) in [
            ("accounts", &mut summary.accounts, &mut chains.accounts),
            ("handoff", &mut summary.handoff, &mut chains.handoff),
            (
                "tick table",
                &mut summary.tick_table,
                &mut chains.tick_table,
            ),
            (
                "close table",
                &mut summary.close_table,
                &mut chains.close_table,
            ),
        ] {
            if *chain == PASSED {
                *chain = Chain::unchanged(*state);
            } else if chain.before != *state {
                return Err(ProveError::Unchained {
                    label: self.input.label(),
                    chain: name,
                });
            }
            *state = chain.after;
        }
        Ok(())
    }

    /// As far as it is known: no sum on the bus yet, data of a length but at no point.
    fn before_challenge(&self) -> Summary {
        let mut summary = self.summary.clone();
        summary.data.shift = Ext::ONE;
        summary
    }
}

/// Marks a chain that a segment does not touch. No circuit states it: these are no canonical hashes
/// of anything, and the two differ while a passed chain's ends are equal.
const PASSED: Chain = Chain {
    before: HashOut {
        elements: [F::ZERO, F::ZERO, F::ZERO, F::ONE],
    },
    after: HashOut {
        elements: [F::ZERO, F::ZERO, F::ZERO, F::TWO],
    },
};

/// The inputs of a segment that are known before the challenge, but for the chains it passes.
pub(crate) fn first_inputs(
    built: &BuiltSegment,
    context: &Context,
    input: &SegmentInput,
) -> anyhow::Result<PartialWitness<F>> {
    let mut inputs = PartialWitness::new();
    built
        .open
        .segment
        .set_context(&mut inputs, context, input.index)?;
    built.open.assign(&mut inputs, input)?;
    Ok(inputs)
}

/// Runs a segment's generators as far as they go without the challenge and reads off what it
/// states.
fn open<'a>(
    circuits: &Circuits,
    context: &Context,
    join_key: Digest,
    input: &'a SegmentInput,
) -> Result<PlannedSegment<'a>, ProveError> {
    let place = circuits.place(input.circuit)?;
    let built = circuits.segment(place)?;
    let refused = |reason: String| ProveError::Witness {
        label: input.label(),
        reason,
    };
    let inputs = first_inputs(built, context, input).map_err(|e| refused(e.to_string()))?;
    let circuit = &built.circuit;
    let mut staged = Staged::<Config>::new(&circuit.prover_only, &circuit.common);
    staged
        .advance(&inputs)
        .map_err(|e| refused(e.to_string()))?;
    let mut summary = Summary::idle(context.digest(), Challenge::default(), join_key);
    read(built, &staged, &mut summary).map_err(|e| refused(e.to_string()))?;
    let has_data = summary.data.length > 0
        || staged
            .get(built.open.segment.summary.data.point.0[0])
            .is_err();
    Ok(PlannedSegment {
        input,
        passing: PassingChains::default(),
        summary,
        has_data,
    })
}

fn read(
    built: &BuiltSegment,
    staged: &Staged<Config>,
    summary: &mut Summary,
) -> Result<(), WitnessError> {
    let target = &built.open.segment.summary;
    let number = |t: Target| staged.get(t).map(|value| value.to_canonical_u64());
    let digest = |elements: [Target; 4]| -> Result<Digest, WitnessError> {
        let [a, b, c, d] = elements.map(|t| staged.get(t));
        Ok(HashOut {
            elements: [a?, b?, c?, d?],
        })
    };
    let chain = |t: ChainTarget| -> Result<Chain, WitnessError> {
        if t.before == t.after {
            return Ok(PASSED);
        }
        Ok(Chain {
            before: digest(t.before.elements)?,
            after: digest(t.after.elements)?,
        })
    };
    summary.commitment = digest(target.commitment.elements)?;
    summary.words = number(target.words)?;
    let mut counts = [0; tally_circuits::summary::COUNTS];
    for (count, target) in counts.iter_mut().zip(target.counts) {
        *count = number(target)?;
    }
    summary.counts = Counts::from_array(counts);
    summary.accounts = chain(target.accounts)?;
    summary.handoff = chain(target.handoff)?;
    summary.tick_table = chain(target.tick_table)?;
    summary.close_table = chain(target.close_table)?;
    summary.data.length = number(target.data.length)?;
    summary.data.shift = Ext::ZERO;
    Ok(())
}
