//! Hashing many leaves, nodes or nonces at once.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::{HashOut, NUM_HASH_OUT_ELTS};
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::plonk::config::Hasher;
use rayon::prelude::*;
use tally_kernels::many;
use tally_kernels::poseidon::{RATE, STATE, permute};
use tally_kernels::raw::raw;
use tally_kernels::simd::{Kernel, MAX_WIDTH, Op, Simd};

use crate::F;

/// Vectors of messages absorbed together: a column's loads then span whole cache lines.
const GROUPS: usize = 4;
/// Nonces tried by one task.
const NONCES: u64 = 1 << 10;

/// How a prover hashes. Digests are those of `H`, whatever the way.
pub trait Hashing<H: Hasher<F>>: Copy + Send + Sync {
    /// Digest i is `H::hash_or_noop` of the i-th elements of all columns.
    fn columns(self, columns: &[&[F]], digests: &mut [H::Hash]);

    /// Digest i is `H::two_to_one` of the i-th of both sides.
    fn pairs(self, left: &[H::Hash], right: &[H::Hash], digests: &mut [H::Hash]);

    /// The least value which, put at `place` of the state, makes the last squeezed element of the
    /// permuted state begin with so many zero bits.
    fn nonce(self, state: H::Permutation, place: usize, zeros: u32) -> Option<F>;
}

/// One message after the other, with any hasher.
#[derive(Clone, Copy, Debug)]
pub struct OneByOne;

impl<H: Hasher<F>> Hashing<H> for OneByOne {
    fn columns(self, columns: &[&[F]], digests: &mut [H::Hash]) {
        hash_each::<H>(columns, digests, 0);
    }

    fn pairs(self, left: &[H::Hash], right: &[H::Hash], digests: &mut [H::Hash]) {
        for ((digest, left), right) in digests.iter_mut().zip(left).zip(right) {
            *digest = H::two_to_one(*left, *right);
        }
    }

    fn nonce(self, state: H::Permutation, place: usize, zeros: u32) -> Option<F> {
        let fits = |candidate: &u64| {
            let mut state = state;
            state.set_elt(F::from_canonical_u64(*candidate), place);
            state.permute();
            let last = state.squeeze().last().map(F::to_canonical_u64);
            last.is_some_and(|response| response.leading_zeros() >= zeros)
        };
        least(NONCES, |from| (from..from + NONCES).find(fits))
    }
}

/// Plonky2's Poseidon, as many messages side by side as the kernel has lanes.
#[derive(Clone, Copy, Debug)]
pub struct SideBySide(pub Kernel);

impl Hashing<PoseidonHash> for SideBySide {
    fn columns(self, columns: &[&[F]], digests: &mut [HashOut<F>]) {
        // Messages up to a digest's length are their own digests.
        let done = match columns.len() {
            0..=NUM_HASH_OUT_ELTS => 0,
            _ => self.0.apply(Columns { columns, digests }),
        };
        hash_each::<PoseidonHash>(columns, digests, done);
    }

    fn pairs(self, left: &[HashOut<F>], right: &[HashOut<F>], digests: &mut [HashOut<F>]) {
        many::pairs(self.0, left, right, digests);
    }

    fn nonce(self, state: PoseidonPermutation<F>, place: usize, zeros: u32) -> Option<F> {
        let mut fixed = [0; STATE];
        fixed.copy_from_slice(raw(state.as_ref()));
        least(NONCES, |from| {
            let nonces = Nonces {
                state: fixed,
                place,
                zeros,
                from,
            };
            self.0.apply(nonces)
        })
    }
}

fn hash_each<H: Hasher<F>>(columns: &[&[F]], digests: &mut [H::Hash], from: usize) {
    let mut message = Vec::with_capacity(columns.len());
    for (i, digest) in digests.iter_mut().enumerate().skip(from) {
        message.clear();
        message.extend(columns.iter().map(|column| column[i]));
        *digest = H::hash_or_noop(&message);
    }
}

/// The least of all that `find` finds, which looks at `step` candidates from a multiple of it on.
fn least(step: u64, find: impl Fn(u64) -> Option<u64> + Sync) -> Option<F> {
    // Below p, so that no two candidates are the same element.
    (0..(1 << 63) / step as usize)
        .into_par_iter()
        .by_exponential_blocks()
        .find_map_first(|block| find(block as u64 * step))
        .map(F::from_canonical_u64)
}

struct Columns<'a> {
    columns: &'a [&'a [F]],
    digests: &'a mut [HashOut<F>],
}

impl Op for Columns<'_> {
    /// How many were done; what is left does not fill a vector.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let vectors = self.digests.len() / S::WIDTH;
        let mut states = [[s.splat(0); STATE]; GROUPS];
        for first in (0..vectors).step_by(GROUPS) {
            let groups = GROUPS.min(vectors - first);
            let states = &mut states[..groups];
            states.fill([s.splat(0); STATE]);
            let from = first * S::WIDTH;
            for chunk in self.columns.chunks(RATE) {
                for (i, column) in chunk.iter().enumerate() {
                    let column = &raw(column)[from..];
                    for (state, values) in states.iter_mut().zip(column.chunks_exact(S::WIDTH)) {
                        state[i] = s.load(values);
                    }
                }
                permute(s, states);
            }
            let digests = self.digests[from..].chunks_exact_mut(S::WIDTH);
            for (state, digests) in states.iter().zip(digests) {
                many::squeeze(s, state, digests);
            }
        }
        vectors * S::WIDTH
    }
}

struct Nonces {
    state: [u64; STATE],
    place: usize,
    zeros: u32,
    from: u64,
}

impl Op for Nonces {
    /// The least nonce that fits.
    type Output = Option<u64>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Option<u64> {
        let mut numbers = [0; MAX_WIDTH];
        let mut responses = [0; MAX_WIDTH];
        for from in (self.from..self.from + NONCES).step_by(S::WIDTH) {
            for (number, candidate) in numbers.iter_mut().zip(from..) {
                *number = candidate;
            }
            let mut state = [s.splat(0); STATE];
            for (to, element) in state.iter_mut().zip(self.state) {
                *to = s.splat(element);
            }
            state[self.place] = s.load(&numbers);
            permute(s, std::slice::from_mut(&mut state));
            s.store(s.canonical(state[RATE - 1]), &mut responses);
            let fits = |response: &u64| response.leading_zeros() >= self.zeros;
            if let Some(lane) = responses[..S::WIDTH].iter().position(fits) {
                return Some(numbers[lane]);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
