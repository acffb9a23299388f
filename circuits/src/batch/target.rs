//! The batch circuit's constraints apart from the proof it verifies.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use tally_protocol::data::{BATCH_VERSION, ELEMENT_BITS, STATEMENT_WORDS};
use tally_protocol::hash::Tag;

use crate::span::SpanTarget;
use crate::{Builder, F, hash};

const HALF_BITS: usize = 32;

/// C, z and y of a span whose join must be `join`.
pub(super) fn constrain(
    builder: &mut Builder,
    span: &SpanTarget,
    join: HashOutTarget,
) -> Vec<Target> {
    builder.connect_hashes(span.join_key, join);
    let words = statement_words(builder, span);
    let bound = [&words[..], &span.digest.elements].concat();
    let content = hash::hash(builder, Tag::Data, &bound);
    let mut value = span.data.value;
    for word in words.iter().rev() {
        let word = builder.convert_to_ext(*word);
        value = builder.mul_add_extension(value, span.data.point, word);
    }
    let mut public_inputs = content.elements.to_vec();
    public_inputs.extend(span.data.point.0);
    public_inputs.extend(value.0);
    public_inputs
}

/// Twin of `BatchStatement::words`.
fn statement_words(builder: &mut Builder, span: &SpanTarget) -> Vec<Target> {
    let own = builder.constant(F::from_canonical_usize(STATEMENT_WORDS));
    let length = builder.add(span.data.length, own);
    let mut words = vec![
        builder.constant(F::from_canonical_u64(BATCH_VERSION)),
        length,
    ];
    words.extend(span.domain);
    words.extend([span.first_epoch, span.last_epoch, span.round, span.time]);
    words.extend(span.sections);
    for word in &words[1..] {
        builder.range_check(*word, ELEMENT_BITS as usize);
    }
    for digest in [span.state.before, span.state.after, span.header] {
        for element in digest.elements {
            words.extend(canonical_halves(builder, element));
        }
    }
    assert_eq!(words.len(), STATEMENT_WORDS);
    words
}

/// The halves (low, high) of the canonical residue. x = low + 2^32·high leaves x and x + p as
/// integers; the latter has all bits of high set and low > 0, because p = 2^64 − 2^32 + 1.
pub(super) fn canonical_halves(builder: &mut Builder, x: Target) -> [Target; 2] {
    let halves = builder.hint("halves", &[x], 2, |v| {
        let x = v[0].to_canonical_u64();
        [x & u64::from(u32::MAX), x >> HALF_BITS]
            .map(F::from_canonical_u64)
            .to_vec()
    });
    let [low, high] = [halves[0], halves[1]];
    builder.range_check(low, HALF_BITS);
    builder.range_check(high, HALF_BITS);
    let shift = builder.constant(F::from_canonical_u64(1 << HALF_BITS));
    let sum = builder.mul_add(high, shift, low);
    builder.connect(x, sum);
    let full = builder.constant(F::from_canonical_u32(u32::MAX));
    let is_full = builder.is_equal(high, full);
    let aliased = builder.mul(is_full.target, low);
    builder.assert_zero(aliased);
    [low, high]
}
