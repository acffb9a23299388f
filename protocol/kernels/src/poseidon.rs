//! Plonky2's Poseidon over twelve elements, `WIDTH` permutations side by side.
//!
//! The linear layer has small entries (its rows sum to at most 264), so a state is kept as low and
//! high 32-bit halves, and both go through the layer as plain integers: a layer widens a half by
//! less than nine bits, and three fit 64 bits before anything has to be reduced. In a partial round
//! only element 0 goes through the S-box, so only it is reduced in each; the constants that a
//! partial round adds to the others are moved behind the round's linear layer, at compile time,
//! until they meet a full round. The circulant layer itself is done by residues: for the four
//! fourth roots y of 1, x³ = y splits x¹² − 1 into products of three elements whose constants are
//! sums of two powers of 2.

use plonky2::field::goldilocks_field::GoldilocksField;
use plonky2::hash::poseidon::{
    ALL_ROUND_CONSTANTS, HALF_N_FULL_ROUNDS, N_PARTIAL_ROUNDS, N_ROUNDS, Poseidon, SPONGE_RATE,
};

use crate::simd::{EPSILON, P, Simd};

/// Elements of a state.
pub const STATE: usize = 12;
/// Elements taken in by one permutation.
pub const RATE: usize = SPONGE_RATE;

const CIRCULANT: [u64; STATE] = <GoldilocksField as Poseidon>::MDS_MATRIX_CIRC;
const DIAGONAL: [u64; STATE] = <GoldilocksField as Poseidon>::MDS_MATRIX_DIAG;

/// Linear layers between two reductions of the whole state.
const LAYERS: usize = 3;

// What `linear` and `permute` are written for.
const _: () = {
    let expected = [17, 15, 41, 16, 2, 28, 13, 13, 39, 18, 34, 20];
    let (mut sum, mut i) = (0, 0);
    while i < STATE {
        assert!(CIRCULANT[i] == expected[i] && DIAGONAL[i] == if i == 0 { 8 } else { 0 });
        sum += CIRCULANT[i];
        i += 1;
    }
    // Bits of a half after `LAYERS` layers.
    let widest = (sum + DIAGONAL[0]).pow(LAYERS as u32);
    assert!(widest < 1 << 25 && N_PARTIAL_ROUNDS % LAYERS == 1);
};

/// One row of constants for each round, as `permute` adds them.
pub static CONSTANTS: [[u64; STATE]; N_ROUNDS] = constants();

/// The reference's constants, those of elements 1 to 11 in partial rounds moved to later rounds.
const fn constants() -> [[u64; STATE]; N_ROUNDS] {
    let mut rounds = [[0; STATE]; N_ROUNDS];
    let mut round = 0;
    while round < N_ROUNDS {
        let mut i = 0;
        while i < STATE {
            rounds[round][i] = ALL_ROUND_CONSTANTS[round * STATE + i];
            i += 1;
        }
        round += 1;
    }
    let mut round = HALF_N_FULL_ROUNDS;
    while round < HALF_N_FULL_ROUNDS + N_PARTIAL_ROUNDS {
        let mut row = 0;
        while row < STATE {
            let (mut sum, mut column) = (rounds[round + 1][row] as u128, 1);
            while column < STATE {
                let diagonal = if row == column { DIAGONAL[row] } else { 0 };
                let entry = CIRCULANT[(column + STATE - row) % STATE] + diagonal;
                sum += entry as u128 * rounds[round][column] as u128;
                column += 1;
            }
            rounds[round + 1][row] = (sum % P as u128) as u64;
            row += 1;
        }
        let mut column = 1;
        while column < STATE {
            rounds[round][column] = 0;
            column += 1;
        }
        round += 1;
    }
    rounds
}

/// Vectors of states whose rounds are interleaved.
const GROUP: usize = 2;

/// Permutes each; takes any values and leaves any.
#[inline(always)]
pub fn permute<S: Simd>(s: S, states: &mut [[S::V; STATE]]) {
    let (groups, rest) = states.as_chunks_mut::<GROUP>();
    for group in groups {
        permute_group(s, group);
    }
    for state in rest {
        permute_group(s, std::array::from_mut(state));
    }
}

/// A partial round has one S-box, a chain of products: those of several vectors fill each other's
/// waits.
#[inline(always)]
fn permute_group<S: Simd, const K: usize>(s: S, states: &mut [[S::V; STATE]; K]) {
    for state in states.iter_mut() {
        for (element, constant) in state.iter_mut().zip(CONSTANTS[0]) {
            *element = s.add_once(*element, s.splat(constant));
        }
        for constants in &CONSTANTS[1..=HALF_N_FULL_ROUNDS] {
            full_round(s, state, constants);
        }
    }
    let mut round = HALF_N_FULL_ROUNDS + 1;
    for _ in 0..N_PARTIAL_ROUNDS / LAYERS {
        partial_rounds::<S, K, LAYERS>(s, states, round);
        round += LAYERS;
    }
    partial_rounds::<S, K, 1>(s, states, round);
    for state in states {
        for constants in &CONSTANTS[round + 1..] {
            full_round(s, state, constants);
        }
        full_round(s, state, &[0; STATE]);
    }
}

/// S-boxes and linear layer of a full round, then the constants of the next one.
#[inline(always)]
pub fn full_round<S: Simd>(s: S, state: &mut [S::V; STATE], next: &[u64; STATE]) {
    s.seventh_powers(state);
    let (mut low, mut high) = (*state, *state);
    split(s, &mut low, &mut high);
    linear(s, &mut low);
    linear(s, &mut high);
    for i in 0..STATE {
        let sum = reduce(s, low[i], high[i]);
        state[i] = s.add_once(sum, s.splat(next[i]));
    }
}

/// S-box of element 0 and linear layer, N times, of K vectors; `next` is the round whose constants
/// come after the first of them.
#[inline(always)]
pub fn partial_rounds<S: Simd, const K: usize, const N: usize>(
    s: S,
    states: &mut [[S::V; STATE]; K],
    next: usize,
) {
    let (mut low, mut high) = (*states, *states);
    let mut firsts = [s.splat(0); K];
    for k in 0..K {
        firsts[k] = states[k][0];
        split(s, &mut low[k], &mut high[k]);
    }
    for round in 0..N {
        s.seventh_powers(&mut firsts);
        for k in 0..K {
            low[k][0] = s.low(firsts[k]);
            high[k][0] = s.shr::<32>(firsts[k]);
            linear(s, &mut low[k]);
            linear(s, &mut high[k]);
            let sum = reduce(s, low[k][0], high[k][0]);
            firsts[k] = s.add_once(sum, s.splat(CONSTANTS[next + round][0]));
        }
    }
    for k in 0..K {
        states[k][0] = firsts[k];
        for i in 1..STATE {
            let sum = reduce(s, low[k][i], high[k][i]);
            states[k][i] = s.add_once(sum, s.splat(CONSTANTS[next + N - 1][i]));
        }
    }
}

/// Two copies of a state become its halves.
#[inline(always)]
fn split<S: Simd>(s: S, low: &mut [S::V; STATE], high: &mut [S::V; STATE]) {
    for i in 0..STATE {
        low[i] = s.low(low[i]);
        high[i] = s.shr::<32>(high[i]);
    }
}

/// low + 2^32·high modulo p, for low and high below 2^57.
#[inline(always)]
fn reduce<S: Simd>(s: S, low: S::V, high: S::V) -> S::V {
    // high = 2^32·a + b: 2^64·a is EPSILON·a < 2^57, which with `low` is below p.
    let folded = s.add(low, s.mul_low(s.shr::<32>(high), s.splat(EPSILON)));
    s.add_once(s.shl::<32>(high), folded)
}

/// The circulant layer with 8 more on the diagonal of element 0, as integers modulo 2^64.
///
/// out_r = Σ_j in_j·c_(j−r) is a product modulo x¹² − 1, and with x³ = y one modulo y⁴ − 1 whose
/// coefficients have three terms each. At y = 1 it is 16·(1 + 2x + x²), at −1 it is −1 − 8x + 2x²,
/// at i it is (2 + i) − (4 + i)x + (16 − i)x², all of it divided by 4, 4 and 2 beforehand.
#[inline(always)]
fn linear<S: Simd>(s: S, v: &mut [S::V; STATE]) {
    let first = v[0];
    // Values at y = 1 and −1, and real and imaginary parts at i.
    let mut plus = [first; 3];
    let mut minus = [first; 3];
    let (mut re, mut im) = ([first; 3], [first; 3]);
    for j in 0..3 {
        let (even, odd) = (s.add(v[j], v[j + 6]), s.add(v[j + 3], v[j + 9]));
        (plus[j], minus[j]) = (s.add(even, odd), s.sub(even, odd));
        (re[j], im[j]) = (s.sub(v[j], v[j + 6]), s.sub(v[j + 3], v[j + 9]));
    }
    let sum = s.add(s.add(plus[0], plus[1]), plus[2]);
    let plus = [
        s.shl::<4>(s.add(sum, plus[2])),
        s.shl::<4>(s.add(sum, plus[0])),
        s.shl::<4>(s.add(sum, plus[1])),
    ];
    let minus = negacyclic(s, minus);
    let (re, im) = complex(s, re, im);
    for j in 0..3 {
        let (even, odd) = (s.add(plus[j], minus[j]), s.sub(plus[j], minus[j]));
        (v[j], v[j + 6]) = (s.add(even, re[j]), s.sub(even, re[j]));
        (v[j + 3], v[j + 9]) = (s.add(odd, im[j]), s.sub(odd, im[j]));
    }
    v[0] = s.add(v[0], s.shl::<3>(first));
}

/// a·(−1 − 8x + 2x²) modulo x³ + 1.
#[inline(always)]
fn negacyclic<S: Simd>(s: S, [a, b, c]: [S::V; 3]) -> [S::V; 3] {
    let eight_a_and_two_c = s.add(s.shl::<3>(a), s.shl::<1>(c));
    [
        s.sub(s.sub(s.shl::<3>(c), s.shl::<1>(b)), a),
        s.sub(s.splat(0), s.add(eight_a_and_two_c, b)),
        s.sub(s.sub(s.shl::<1>(a), s.shl::<3>(b)), c),
    ]
}

/// (re + i·im)·((2 + i) − (4 + i)x + (16 − i)x²) modulo x³ − i.
#[inline(always)]
fn complex<S: Simd>(s: S, re: [S::V; 3], im: [S::V; 3]) -> ([S::V; 3], [S::V; 3]) {
    let ([a0, a1, a2], [b0, b1, b2]) = (re, im);
    // Each coordinate is 2·(x ± 2·(y ± 4·z)) and the sum or difference of three more.
    let re0 = s.add(a0, s.shl::<1>(s.sub(b2, s.shl::<2>(b1))));
    let re1 = s.sub(a1, s.shl::<1>(s.add(a0, s.shl::<2>(b2))));
    let re2 = s.add(a2, s.shl::<1>(s.sub(s.shl::<2>(a0), a1)));
    let im0 = s.add(b0, s.shl::<1>(s.sub(s.shl::<2>(a1), a2)));
    let im1 = s.sub(b1, s.shl::<1>(s.sub(b0, s.shl::<2>(a2))));
    let im2 = s.add(b2, s.shl::<1>(s.sub(s.shl::<2>(b0), b1)));
    let re = [
        s.add(s.shl::<1>(re0), s.sub(s.add(a1, a2), b0)),
        s.add(s.shl::<1>(re1), s.sub(s.add(b0, a2), b1)),
        s.add(s.shl::<1>(re2), s.sub(s.add(b0, b1), b2)),
    ];
    let im = [
        s.add(s.shl::<1>(im0), s.add(s.add(a0, b1), b2)),
        s.add(s.shl::<1>(im1), s.sub(s.add(b2, a1), a0)),
        s.add(s.shl::<1>(im2), s.sub(s.sub(a2, a0), a1)),
    ];
    (re, im)
}

#[cfg(test)]
mod tests;
