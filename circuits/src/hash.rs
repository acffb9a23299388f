//! Twin of `tally_protocol::hash`: the tagged sponge and the tree compression as constraints.
//!
//! Cost: one row a permutation, ⌈n / 8⌉ permutations for n elements.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::iop::target::Target;
use plonky2::plonk::config::AlgebraicHasher;
use tally_protocol::hash::{RATE, Tag};

use crate::{Builder, F};

type State = <PoseidonHash as AlgebraicHasher<F>>::AlgebraicPermutation;

/// `tally_protocol::hash::hash`.
pub fn hash(builder: &mut Builder, tag: Tag, elements: &[Target]) -> HashOutTarget {
    let mut sponge = Sponge::new(builder, tag, elements.len());
    for chunk in elements.chunks(RATE) {
        sponge.absorb(builder, chunk);
    }
    sponge.digest()
}

/// `tally_protocol::hash::compress`.
pub fn compress(builder: &mut Builder, left: HashOutTarget, right: HashOutTarget) -> HashOutTarget {
    let zero = builder.zero();
    let mut state = State::new(std::iter::repeat(zero));
    state.set_from_slice(&left.elements, 0);
    state.set_from_slice(&right.elements, 4);
    digest(builder.permute::<PoseidonHash>(state))
}

/// `tally_protocol::hash::Sponge`.
#[derive(Clone, Debug)]
pub struct Sponge {
    state: PoseidonPermutation<Target>,
}

impl Sponge {
    pub fn new(builder: &mut Builder, tag: Tag, length: usize) -> Self {
        let zero = builder.zero();
        let mut state = State::new(std::iter::repeat(zero));
        state.set_elt(builder.constant(F::from_canonical_u64(tag as u64)), RATE);
        state.set_elt(builder.constant(F::from_canonical_usize(length)), RATE + 1);
        Self { state }
    }

    /// Starts from the constant state that a native sponge has reached (docs/decisions.md, D5).
    pub fn resume(builder: &mut Builder, native: &tally_protocol::hash::Sponge) -> Self {
        let state = native
            .state()
            .iter()
            .map(|&element| builder.constant(element));
        Self {
            state: State::new(state.collect::<Vec<_>>()),
        }
    }

    /// Absorbs at most `RATE` elements.
    pub fn absorb(&mut self, builder: &mut Builder, chunk: &[Target]) {
        assert!(!chunk.is_empty() && chunk.len() <= RATE);
        self.state.set_from_slice(chunk, 0);
        self.state = builder.permute::<PoseidonHash>(self.state);
    }

    pub fn digest(&self) -> HashOutTarget {
        digest(self.state)
    }
}

fn digest(state: State) -> HashOutTarget {
    let mut elements = [state.squeeze()[0]; 4];
    elements.copy_from_slice(&state.squeeze()[..4]);
    HashOutTarget { elements }
}
