//! Paths of `tally_protocol::tree`: membership, and an update along one path.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::plonk::config::AlgebraicHasher;

use super::logic;
use crate::{Builder, D, F};

type State = <PoseidonHash as AlgebraicHasher<F>>::AlgebraicPermutation;

/// A leaf's place and the siblings on its way to the root, lowest first.
#[derive(Clone, Debug)]
pub struct PathTarget {
    /// Bits of the index, lowest first.
    pub bits: Vec<BoolTarget>,
    pub siblings: Vec<HashOutTarget>,
}

impl PathTarget {
    /// A path for `index`, with siblings to be set by the witness.
    ///
    /// Statement: Σ bit·2^i = index. Guarantees index < 2^depth once the path is used in `root`,
    /// whose gate holds each bit to 0 or 1.
    /// Cost: half a row for a depth of 9 and more, else 1 operation a level.
    #[track_caller]
    pub fn new(b: &mut Builder, index: Target, depth: usize) -> Self {
        let bits = logic::to_bits_unchecked(b, index, depth);
        let siblings = b.add_virtual_hashes(depth);
        Self { bits, siblings }
    }

    /// The root over `leaf`. Also holds the bits to 0 or 1. Cost: 1 row a level.
    pub fn root(&self, b: &mut Builder, leaf: HashOutTarget) -> HashOutTarget {
        let zero = b.zero();
        let mut node = leaf;
        for (&bit, sibling) in self.bits.iter().zip(&self.siblings) {
            let mut state = State::new(core::iter::repeat(zero));
            state.set_from_slice(&node.elements, 0);
            state.set_from_slice(&sibling.elements, 4);
            let state = PoseidonHash::permute_swapped::<D>(state, bit, b);
            let mut elements = [zero; 4];
            elements.copy_from_slice(&state.squeeze()[..4]);
            node = HashOutTarget { elements };
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::{Field, Sample};
    use plonky2::hash::hash_types::HashOut;
    use plonky2::iop::witness::{PartialWitness, WitnessWrite};
    use tally_protocol::hash::{Digest, compress};

    use super::*;
    use crate::checker::{Attack, Checker, assert_each_assertion_needed};

    const DEPTH: usize = 5;

    struct Targets {
        index: Target,
        leaf: HashOutTarget,
        path: PathTarget,
        root: HashOutTarget,
    }

    fn build(b: &mut Builder) -> Targets {
        let index = b.add_virtual_target();
        let leaf = b.add_virtual_hash();
        let path = PathTarget::new(b, index, DEPTH);
        let root = path.root(b, leaf);
        Targets {
            index,
            leaf,
            path,
            root,
        }
    }

    /// A leaf at `index` among random siblings, and the native root.
    fn example(t: &Targets, index: usize) -> (PartialWitness<F>, Digest) {
        let mut witness = PartialWitness::new();
        let leaf = HashOut::rand();
        let mut node = leaf;
        for level in 0..DEPTH {
            let sibling = HashOut::rand();
            witness
                .set_hash_target(t.path.siblings[level], sibling)
                .unwrap();
            let right = index >> level & 1 == 1;
            node = if right {
                compress(sibling, node)
            } else {
                compress(node, sibling)
            };
        }
        witness.set_hash_target(t.leaf, leaf).unwrap();
        witness
            .set_target(t.index, F::from_canonical_usize(index))
            .unwrap();
        (witness, node)
    }

    #[test]
    fn agrees_with_the_native_tree() {
        let mut b = Builder::new();
        let t = build(&mut b);
        let checker = Checker::new(b);
        for index in [0, 1, 2, 13, 31] {
            let (witness, root) = example(&t, index);
            let accepted = checker.check(&witness).unwrap();
            assert_eq!(accepted.get_all(&t.root.elements), root.elements);
        }
    }

    #[test]
    fn lies_about_the_bits_are_refused() {
        let attacks = |t: &Targets| {
            let (mut witness, _) = example(t, 13);
            let mut attacks = Vec::new();
            // Another leaf's bits; a "bit" of 2; an index beyond the tree.
            for lie in [[1, 1, 1, 1, 0], [3, 1, 1, 1, 0], [1, 2, 0, 1, 0]] {
                let lies: Vec<_> = t.path.bits.iter().map(|bit| bit.target).zip(lie).collect();
                let lies: Vec<_> = lies
                    .iter()
                    .map(|&(bit, v)| (bit, F::from_canonical_u64(v)))
                    .collect();
                attacks.push(Attack::new("bits", witness.clone(), &lies));
            }
            witness
                .target_values
                .insert(t.index, F::from_canonical_u64(32 + 13));
            attacks.push(Attack::new("index", witness, &[]));
            attacks
        };
        assert_each_assertion_needed(build, attacks);
    }

    #[test]
    fn a_level_is_a_row() {
        let mut b = Builder::new();
        build(&mut b);
        // Five levels and one row of arithmetic.
        assert_eq!(b.rows(), DEPTH + 1);
    }
}
