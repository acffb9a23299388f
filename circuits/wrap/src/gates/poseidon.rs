//! Plonky2's Poseidon over Goldilocks: the gate's constraints, and the permutation itself.

use plonky2::field::types::Field;
use plonky2::hash::poseidon::{
    ALL_ROUND_CONSTANTS, HALF_N_FULL_ROUNDS, N_PARTIAL_ROUNDS, Poseidon, SPONGE_WIDTH,
};
use tally_circuits::F;

use super::{Row, boolean};
use crate::algebra::Algebra;

const OUTPUT: usize = SPONGE_WIDTH;
const SWAP: usize = 2 * SPONGE_WIDTH;
const DELTA: usize = SWAP + 1;
const FIRST_FULL: usize = DELTA + 4;
const PARTIAL: usize = FIRST_FULL + SPONGE_WIDTH * (HALF_N_FULL_ROUNDS - 1);
const LAST_FULL: usize = PARTIAL + N_PARTIAL_ROUNDS;

/// Inputs, outputs, whether the first two fours are swapped, what the swap adds, inputs of S-boxes.
pub(super) fn evaluate<A: Algebra>(algebra: &mut A, row: &Row<'_, A::E>) -> Vec<A::E> {
    let wires = row.wires;
    let mut constraints = vec![boolean(algebra, &wires[SWAP])];
    let mut state = wires[..SPONGE_WIDTH].to_vec();
    for i in 0..4 {
        let delta = &wires[DELTA + i];
        let difference = algebra.sub(&wires[i + 4], &wires[i]);
        let expected = algebra.mul(&wires[SWAP], &difference);
        constraints.push(algebra.sub(&expected, delta));
        state[i] = algebra.add(&wires[i], delta);
        state[i + 4] = algebra.sub(&wires[i + 4], delta);
    }
    // The S-boxes' inputs are wires: the state computed so far must equal them, and goes on from
    // them. None for the first round, whose inputs are the state.
    permutation(algebra, &mut state, |algebra, place, x| {
        let wire = match place {
            Place::Full { round: 0, .. } => return,
            Place::Full { round, i } if round < HALF_N_FULL_ROUNDS => {
                FIRST_FULL + SPONGE_WIDTH * (round - 1) + i
            }
            Place::Full { round, i } => LAST_FULL + SPONGE_WIDTH * (round - HALF_N_FULL_ROUNDS) + i,
            Place::Partial { round } => PARTIAL + round,
        };
        constraints.push(algebra.sub(x, &wires[wire]));
        *x = wires[wire].clone();
    });
    for (i, x) in state.iter().enumerate() {
        constraints.push(algebra.sub(x, &wires[OUTPUT + i]));
    }
    constraints
}

/// An S-box. Full rounds are counted without the partial ones.
#[derive(Clone, Copy, Debug)]
enum Place {
    Full { round: usize, i: usize },
    Partial { round: usize },
}

/// `PoseidonHash::hash_no_pad` of eight elements or fewer: the first four of one permutation.
pub fn hash_short<A: Algebra>(algebra: &mut A, input: &[A::E]) -> [A::E; 4] {
    assert!(input.len() <= 8, "one block");
    let zero = algebra.constant(F::ZERO);
    let mut state = input.to_vec();
    state.resize(SPONGE_WIDTH, zero);
    permutation(algebra, &mut state, |_, _, _| ());
    [0, 1, 2, 3].map(|i| state[i].clone())
}

fn permutation<A: Algebra>(
    algebra: &mut A,
    state: &mut Vec<A::E>,
    mut before_sbox: impl FnMut(&mut A, Place, &mut A::E),
) {
    let rounds = 2 * HALF_N_FULL_ROUNDS;
    for round in 0..rounds {
        if round == HALF_N_FULL_ROUNDS {
            partial_rounds(algebra, state, &mut before_sbox);
        }
        let skipped = if round < HALF_N_FULL_ROUNDS {
            0
        } else {
            N_PARTIAL_ROUNDS
        };
        for (i, x) in state.iter_mut().enumerate() {
            let constant = ALL_ROUND_CONSTANTS[i + SPONGE_WIDTH * (round + skipped)];
            *x = add_constant(algebra, x, constant);
            before_sbox(algebra, Place::Full { round, i }, x);
            *x = algebra.seventh_power(x);
        }
        *state = matrix(algebra, state);
    }
}

fn add_constant<A: Algebra>(algebra: &mut A, x: &A::E, constant: u64) -> A::E {
    let constant = algebra.constant(F::from_canonical_u64(constant));
    algebra.add(x, &constant)
}

/// Circulant plus diagonal.
fn matrix<A: Algebra>(algebra: &mut A, state: &[A::E]) -> Vec<A::E> {
    let row = |r: usize| {
        let terms: Vec<(F, A::E)> = (0..SPONGE_WIDTH)
            .map(|i| {
                let diagonal = if i == 0 { F::MDS_MATRIX_DIAG[r] } else { 0 };
                let c = F::MDS_MATRIX_CIRC[i] + diagonal;
                let x = state[(i + r) % SPONGE_WIDTH].clone();
                (F::from_canonical_u64(c), x)
            })
            .collect();
        algebra.combine(&terms)
    };
    (0..SPONGE_WIDTH).map(row).collect()
}

/// In the form with sparse matrices, which the gate's wires are about.
fn partial_rounds<A: Algebra>(
    algebra: &mut A,
    state: &mut Vec<A::E>,
    before_sbox: &mut impl FnMut(&mut A, Place, &mut A::E),
) {
    let canonical = F::from_canonical_u64;
    for (x, constant) in state.iter_mut().zip(F::FAST_PARTIAL_FIRST_ROUND_CONSTANT) {
        *x = add_constant(algebra, x, constant);
    }
    let initial = F::FAST_PARTIAL_ROUND_INITIAL_MATRIX;
    let mut next = vec![state[0].clone()];
    for column in 0..SPONGE_WIDTH - 1 {
        let terms: Vec<(F, A::E)> = (0..SPONGE_WIDTH - 1)
            .map(|r| (canonical(initial[r][column]), state[r + 1].clone()))
            .collect();
        next.push(algebra.combine(&terms));
    }
    *state = next;
    for round in 0..N_PARTIAL_ROUNDS {
        before_sbox(algebra, Place::Partial { round }, &mut state[0]);
        let mut first = algebra.seventh_power(&state[0]);
        if round + 1 < N_PARTIAL_ROUNDS {
            first = add_constant(algebra, &first, F::FAST_PARTIAL_ROUND_CONSTANTS[round]);
        }
        let first = algebra.settle(&first);
        let corner = F::MDS_MATRIX_CIRC[0] + F::MDS_MATRIX_DIAG[0];
        let mut terms = vec![(canonical(corner), first.clone())];
        for (w, x) in F::FAST_PARTIAL_ROUND_W_HATS[round].iter().zip(&state[1..]) {
            terms.push((canonical(*w), x.clone()));
        }
        let sum = algebra.combine(&terms);
        for (v, x) in F::FAST_PARTIAL_ROUND_VS[round].iter().zip(&mut state[1..]) {
            *x = algebra.combine(&[(F::ONE, x.clone()), (canonical(*v), first.clone())]);
        }
        state[0] = sum;
    }
}
