//! Hashes of lists that begin with constants (docs/decisions.md, D5).

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use tally_protocol::hash::{RATE, Tag};

use crate::hash::Sponge;
use crate::{Builder, F};

/// hash(tag, constants ‖ words).
///
/// Guarantees the digest of the whole list. Cost: 1 row per 8 words, not counting full chunks of
/// constants at the start: those are absorbed natively and the sponge begins at their state.
pub fn hash_after(b: &mut Builder, tag: Tag, constants: &[F], words: &[Target]) -> HashOutTarget {
    let length = constants.len() + words.len();
    let whole = constants.len() / RATE * RATE;
    let mut native = tally_protocol::hash::Sponge::new(tag, length);
    for chunk in constants[..whole].chunks(RATE) {
        native.absorb(chunk);
    }
    let mut sponge = Sponge::resume(b, &native);
    let rest = b.constants(&constants[whole..]);
    for chunk in [&rest, words].concat().chunks(RATE) {
        sponge.absorb(b, chunk);
    }
    sponge.digest()
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::{Field, Sample};
    use plonky2::iop::witness::{PartialWitness, WitnessWrite};
    use tally_protocol::account::MONEY_WORDS;
    use tally_protocol::bounds::SLOTS;
    use tally_protocol::hash::hash;

    use super::*;
    use crate::checker::Checker;

    /// [S2] The money of an account whose upper slots are empty.
    #[test]
    fn s2_agrees_for_every_number_of_slots() {
        for slots in [0, 1, 4, 5, 8, 16] {
            let empty = vec![F::ZERO; 3 * (SLOTS - slots)];
            let words = F::rand_vec(MONEY_WORDS - empty.len());
            let mut b = Builder::new();
            let targets = b.add_virtual_targets(words.len());
            let digest = hash_after(&mut b, Tag::Money, &empty, &targets);
            let rows = MONEY_WORDS.div_ceil(RATE) - empty.len() / RATE;
            assert_eq!(b.rows(), rows, "{slots} slots");
            let checker = Checker::new(b);
            let mut witness = PartialWitness::new();
            witness.set_target_arr(&targets, &words).unwrap();
            let accepted = checker.check(&witness).unwrap();
            let expected = hash(Tag::Money, &[empty, words].concat());
            assert_eq!(accepted.get_all(&digest.elements), expected.elements);
        }
    }
}
