//! Many messages hashed side by side.

use plonky2::field::types::Field;

use crate::poseidon::{RATE, STATE, permute};
use crate::raw::raw;
use crate::simd::{Kernel, MAX_WIDTH, Op, Simd};
use crate::{Digest, F};

/// Vectors permuted one after another.
const VECTORS: usize = 4;
/// Elements of a digest.
const DIGEST: usize = 4;

/// Digest i is Plonky2's `two_to_one` of the i-th of both sides, for as many as the shortest of the
/// three slices has.
pub fn pairs(kernel: Kernel, left: &[Digest], right: &[Digest], digests: &mut [Digest]) {
    kernel.apply(Pairs {
        left,
        right,
        digests,
    });
}

/// Permutes each state; what is left is canonical.
pub fn permute_each(kernel: Kernel, states: &mut [[F; STATE]]) {
    kernel.apply(Each { states });
}

/// Absorbs lists of one length, each into its own state, in overwrite mode.
pub fn absorb_each<L: AsRef<[F]>>(kernel: Kernel, lists: &[L], states: &mut [[F; STATE]]) {
    let length = lists.first().map_or(0, |list| list.as_ref().len());
    for from in (0..length).step_by(RATE) {
        for (state, list) in states.iter_mut().zip(lists) {
            let chunk = &list.as_ref()[from..length.min(from + RATE)];
            state[..chunk.len()].copy_from_slice(chunk);
        }
        permute_each(kernel, states);
    }
}

/// The digest that a state begins with.
pub fn digest(state: &[F; STATE]) -> Digest {
    let [a, b, c, d, ..] = *state;
    Digest {
        elements: [a, b, c, d],
    }
}

/// The digests that so many lanes of permuted states begin with.
#[inline(always)]
pub fn squeeze<S: Simd>(s: S, state: &[S::V; STATE], digests: &mut [Digest]) {
    let mut lanes = [[0; MAX_WIDTH]; DIGEST];
    for (lanes, element) in lanes.iter_mut().zip(state) {
        s.store(s.canonical(*element), lanes);
    }
    for (lane, digest) in digests.iter_mut().enumerate() {
        digest.elements = lanes.map(|lanes| F::from_canonical_u64(lanes[lane]));
    }
}

struct Pairs<'a> {
    left: &'a [Digest],
    right: &'a [Digest],
    digests: &'a mut [Digest],
}

impl Op for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let step = VECTORS * S::WIDTH;
        let (left, right) = (self.left.chunks(step), self.right.chunks(step));
        for ((left, right), digests) in left.zip(right).zip(self.digests.chunks_mut(step)) {
            let mut states = [[s.splat(0); STATE]; VECTORS];
            let vectors = digests.len().div_ceil(S::WIDTH);
            let pairs = left.chunks(S::WIDTH).zip(right.chunks(S::WIDTH));
            for (state, (left, right)) in states.iter_mut().zip(pairs) {
                let mut lanes = [[0; MAX_WIDTH]; RATE];
                for (lane, (left, right)) in left.iter().zip(right).enumerate() {
                    for (i, element) in left.elements.iter().chain(&right.elements).enumerate() {
                        lanes[i][lane] = element.0;
                    }
                }
                for (element, lanes) in state.iter_mut().zip(&lanes) {
                    *element = s.load(lanes);
                }
            }
            permute(s, &mut states[..vectors]);
            for (state, digests) in states.iter().zip(digests.chunks_mut(S::WIDTH)) {
                squeeze(s, state, digests);
            }
        }
    }
}

struct Each<'a> {
    states: &'a mut [[F; STATE]],
}

impl Op for Each<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for states in self.states.chunks_mut(VECTORS * S::WIDTH) {
            let mut group = [[s.splat(0); STATE]; VECTORS];
            let vectors = states.len().div_ceil(S::WIDTH);
            for (vectors, states) in group.iter_mut().zip(states.chunks(S::WIDTH)) {
                let mut lanes = [[0; MAX_WIDTH]; STATE];
                for (lane, state) in states.iter().enumerate() {
                    for (lanes, element) in lanes.iter_mut().zip(raw(state)) {
                        lanes[lane] = *element;
                    }
                }
                for (vector, lanes) in vectors.iter_mut().zip(&lanes) {
                    *vector = s.load(lanes);
                }
            }
            permute(s, &mut group[..vectors]);
            for (vectors, states) in group.iter().zip(states.chunks_mut(S::WIDTH)) {
                let mut lanes = [[0; MAX_WIDTH]; STATE];
                for (vector, lanes) in vectors.iter().zip(&mut lanes) {
                    s.store(s.canonical(*vector), lanes);
                }
                for (lane, state) in states.iter_mut().enumerate() {
                    *state = lanes.map(|lanes| F::from_canonical_u64(lanes[lane]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::{Field64, Sample};
    use plonky2::hash::poseidon::{Poseidon, PoseidonHash};
    use plonky2::plonk::config::Hasher;

    use super::*;

    fn digests(count: usize) -> Vec<Digest> {
        let random = || Digest {
            elements: F::rand_array(),
        };
        (0..count).map(|_| random()).collect()
    }

    #[test]
    fn pairs_hash_as_the_reference_whatever_their_number() {
        for count in 0..(VECTORS + 1) * MAX_WIDTH + 2 {
            let (left, right) = (digests(count), digests(count));
            let both = left.iter().zip(&right);
            let expected: Vec<Digest> = both
                .map(|(l, r)| PoseidonHash::two_to_one(*l, *r))
                .collect();
            for kernel in Kernel::all() {
                let mut found = digests(count);
                pairs(kernel, &left, &right, &mut found);
                assert_eq!(found, expected, "{kernel:?} {count}");
            }
        }
    }

    #[test]
    fn lists_are_absorbed_as_the_reference_does() {
        for length in [0, 1, 7, 8, 9, 16, 85] {
            let lists: Vec<Vec<F>> = (0..MAX_WIDTH + 3).map(|_| F::rand_vec(length)).collect();
            for kernel in Kernel::all() {
                let mut states = vec![[F::ZERO; STATE]; lists.len()];
                absorb_each(kernel, &lists, &mut states);
                for (list, state) in lists.iter().zip(&states) {
                    let expected = PoseidonHash::hash_no_pad(list);
                    assert_eq!(digest(state), expected, "{kernel:?} {length}");
                }
            }
        }
    }

    #[test]
    fn states_are_permuted_as_the_reference_does_whatever_their_number() {
        for count in 0..(VECTORS + 1) * MAX_WIDTH + 2 {
            let mut states: Vec<[F; STATE]> = (0..count).map(|_| F::rand_array()).collect();
            if let Some(state) = states.last_mut() {
                // Not canonical.
                *state = [F::from_noncanonical_u64(F::ORDER + 1); STATE];
            }
            let expected: Vec<[F; STATE]> = states.iter().map(|s| F::poseidon(*s)).collect();
            for kernel in Kernel::all() {
                let mut found = states.clone();
                permute_each(kernel, &mut found);
                assert_eq!(found, expected, "{kernel:?} {count}");
                assert!(found.iter().flatten().all(|element| element.0 < F::ORDER));
            }
        }
    }
}
