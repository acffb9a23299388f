//! What the epoch circuit checks about the roots of its trees, apart from their proofs.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::MAX_EPOCH_WORDS;
use tally_protocol::hash::{Digest, EMPTY, Tag};
use tally_protocol::header::Context;

use crate::context::ContextTarget;
use crate::gadgets::range;
use crate::span::SpanTarget;
use crate::summary::{ChainTarget, ChallengeTarget, SummaryTarget};
use crate::{Builder, F, hash};

const WORD_BITS: u32 = MAX_EPOCH_WORDS.ilog2();

/// What the witness sets beside the two proofs, and what comes of it.
#[derive(Clone, Debug)]
pub(super) struct EpochTargets {
    context: ContextTarget,
    pub(super) span: SpanTarget,
}

impl EpochTargets {
    /// In the order of `EpochError`.
    pub(super) fn constrain(
        builder: &mut Builder,
        main: SummaryTarget,
        data: SummaryTarget,
        join: Digest,
    ) -> Self {
        let join = builder.constant_hash(join);
        builder.connect_hashes(main.join_key, join);
        builder.assert_zero(main.data.length);
        let whole = both(builder, &main, &data);
        let context = ContextTarget::new(builder);
        let digest = context.digest(builder);
        builder.connect_hashes(whole.context, digest);
        let (left, right) = (main.commitment, data.commitment);
        let challenge = ChallengeTarget::derive(builder, left, right, digest);
        builder.connect_extension(whole.challenge.alpha, challenge.alpha);
        builder.connect_extension(whole.challenge.beta, challenge.beta);
        let zero = builder.zero_extension();
        builder.connect_extension(whole.bus, zero);
        range::check_bits(builder, whole.words, WORD_BITS);
        let [headers, scans, ..] = whole.counts;
        builder.assert_one(headers);
        builder.assert_one(scans);
        let empty = builder.constant_hash(EMPTY);
        builder.connect_hashes(whole.handoff.before, empty);
        builder.connect_hashes(whole.handoff.after, empty);
        builder.connect_hashes(whole.tick_table.after, context.table);
        builder.connect_hashes(whole.close_table.before, context.table);
        let span = span(builder, &whole, &context, right);
        Self { context, span }
    }

    pub(super) fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        context: &Context,
        batch_key: Digest,
    ) -> anyhow::Result<()> {
        self.context.set(witness, context)?;
        witness.set_hash_target(self.span.join_key, batch_key)
    }
}

/// The main tree, then the data tree, which alone has data.
fn both(builder: &mut Builder, main: &SummaryTarget, data: &SummaryTarget) -> SummaryTarget {
    let mut whole = main.clone();
    let present = builder._true();
    whole.append_frame(builder, data, present);
    whole.data = data.data;
    whole
}

fn span(
    builder: &mut Builder,
    whole: &SummaryTarget,
    context: &ContextTarget,
    digest: HashOutTarget,
) -> SpanTarget {
    let (accounts, tick, close) = (whole.accounts, whole.tick_table, whole.close_table);
    let before = [accounts.before, tick.before, context.header_before];
    let after = [accounts.after, close.after, context.header_after];
    let state = ChainTarget {
        before: state_root(builder, before),
        after: state_root(builder, after),
    };
    let [_, _, sections @ ..] = whole.counts;
    let [c0, c1, c2] = context.globals.contract;
    SpanTarget {
        domain: [context.globals.chain_id, c0, c1, c2],
        first_epoch: context.epoch,
        last_epoch: context.epoch,
        round: context.round,
        time: context.time,
        state,
        header: context.header_after,
        sections,
        digest,
        data: whole.data,
        join_key: builder.add_virtual_hash(),
    }
}

/// Twin of `tally_protocol::header::state_root`.
fn state_root(builder: &mut Builder, parts: [HashOutTarget; 3]) -> HashOutTarget {
    let elements = parts.map(|part| part.elements).concat();
    hash::hash(builder, Tag::State, &elements)
}
