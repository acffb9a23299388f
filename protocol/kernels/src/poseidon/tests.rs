use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::poseidon::Poseidon;
use proptest::prelude::*;

use super::*;
use crate::F;
use crate::simd::tests::{EDGES, element};
use crate::simd::{Kernel, MAX_WIDTH, Op};

/// Permutes a state in each lane.
struct Permute([[u64; STATE]; MAX_WIDTH]);

impl Op for Permute {
    type Output = Vec<[u64; STATE]>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut state = [s.splat(0); STATE];
        for (i, element) in state.iter_mut().enumerate() {
            *element = s.load(&self.0.map(|lane| lane[i]));
        }
        permute(s, &mut state);
        let mut lanes = [[0; STATE]; MAX_WIDTH];
        for (i, element) in state.into_iter().enumerate() {
            let mut elements = [0; MAX_WIDTH];
            s.store(s.canonical(element), &mut elements);
            for (lane, element) in lanes.iter_mut().zip(elements) {
                lane[i] = element;
            }
        }
        lanes[..S::WIDTH].to_vec()
    }
}

fn agree(states: [[u64; STATE]; MAX_WIDTH]) {
    for kernel in Kernel::all() {
        for (lane, permuted) in kernel.apply(Permute(states)).into_iter().enumerate() {
            let expected = F::poseidon(states[lane].map(F::from_noncanonical_u64));
            assert_eq!(
                permuted,
                expected.map(|x| x.to_canonical_u64()),
                "{kernel:?} {lane}"
            );
        }
    }
}

#[test]
fn states_of_edge_values_agree_with_the_scalar_permutation() {
    for (i, edge) in EDGES.into_iter().enumerate() {
        let mut states = [[edge; STATE]; MAX_WIDTH];
        for (lane, state) in states.iter_mut().enumerate() {
            for (j, element) in state.iter_mut().enumerate().skip(lane) {
                *element = EDGES[(i + lane * j) % EDGES.len()];
            }
        }
        agree(states);
    }
}

proptest! {
    #[test]
    fn random_states_agree_with_the_scalar_permutation(
        states in prop::array::uniform8(prop::array::uniform12(element())),
    ) {
        agree(states);
    }
}
