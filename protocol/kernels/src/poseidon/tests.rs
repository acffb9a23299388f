use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::poseidon::Poseidon;
use proptest::prelude::*;

use super::*;
use crate::F;
use crate::simd::tests::{EDGES, element};
use crate::simd::{Kernel, MAX_WIDTH, Op};

/// Permutes a group of vectors and one alone behind it: a state in each lane, from another one on
/// in each vector.
struct Permute([[u64; STATE]; MAX_WIDTH]);

impl Op for Permute {
    /// Of each vector the states' order and what became of them.
    type Output = Vec<([[u64; STATE]; MAX_WIDTH], Vec<[u64; STATE]>)>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut orders = [self.0; GROUP + 1];
        let mut vectors = [[s.splat(0); STATE]; GROUP + 1];
        for (i, (order, vector)) in orders.iter_mut().zip(&mut vectors).enumerate() {
            order.rotate_left(i);
            for (j, element) in vector.iter_mut().enumerate() {
                *element = s.load(&order.map(|state| state[j]));
            }
        }
        permute(s, &mut vectors);
        let mut found = Vec::new();
        for (order, vector) in orders.into_iter().zip(vectors) {
            let mut lanes = [[0; STATE]; MAX_WIDTH];
            for (i, element) in vector.into_iter().enumerate() {
                let mut elements = [0; MAX_WIDTH];
                s.store(s.canonical(element), &mut elements);
                for (lane, element) in lanes.iter_mut().zip(elements) {
                    lane[i] = element;
                }
            }
            found.push((order, lanes[..S::WIDTH].to_vec()));
        }
        found
    }
}

fn agree(states: [[u64; STATE]; MAX_WIDTH]) {
    for kernel in Kernel::all() {
        for (order, permuted) in kernel.apply(Permute(states)) {
            for (state, permuted) in order.into_iter().zip(permuted) {
                let expected = F::poseidon(state.map(F::from_noncanonical_u64));
                let expected = expected.map(|x| x.to_canonical_u64());
                assert_eq!(permuted, expected, "{kernel:?}");
            }
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
