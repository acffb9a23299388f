//! The last Plonky2 layer's hash: Poseidon over BN254, three Goldilocks elements in one of its own.
//!
//! A sponge overwrites: the state's first element is the capacity, the others take blocks of two.
//! The capacity starts with what tells uses apart: the number of elements for a leaf, 2^64 for a
//! node of a Merkle tree, 2^65 for a transcript. Whoever proves chooses leaves, siblings and caps
//! but never a capacity.

use std::fmt;

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::goldilocks_field::GoldilocksField as F;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::plonk::config::{GenericConfig, GenericHashOut, Hasher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::poseidon::{Fast, State};

/// Goldilocks elements in one of BN254's: 3 · 64 bits.
pub const PACKED: usize = 3;
/// Goldilocks elements that a permutation takes.
pub const RATE: usize = 2 * PACKED;
pub const NODE: u128 = 1 << 64;
pub const TRANSCRIPT: u128 = 1 << 65;
/// Widths, least significant first, of the elements in which the transcript takes a digest: five
/// that are below p for any digest. They are multiples of 16 as far as possible, because that is
/// what the halo2 circuit's table checks.
pub const DIGEST_WIDTHS: [usize; 5] = [48, 48, 48, 48, 62];

/// A node of a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub Fr);

/// Three elements, the first least significant.
pub fn pack(elements: &[F]) -> Fr {
    assert!(elements.len() <= PACKED);
    let mut limbs = [0; 4];
    for (limb, element) in limbs.iter_mut().zip(elements) {
        *limb = element.to_canonical_u64();
    }
    // 192 bits are below r.
    Fr::from(BigInt(limbs))
}

/// The lowest three words of 64 bits, each reduced mod p.
fn unpack(x: Fr) -> [F; PACKED] {
    let BigInt(limbs) = x.into_bigint();
    [limbs[0], limbs[1], limbs[2]].map(F::from_noncanonical_u64)
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        GenericHashOut::<F>::to_bytes(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let digest = Self(Fr::from_le_bytes_mod_order(&bytes));
        match GenericHashOut::<F>::to_bytes(&digest) == bytes {
            true => Ok(digest),
            false => Err(serde::de::Error::custom("a digest is not below r")),
        }
    }
}

impl GenericHashOut<F> for Digest {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.into_bigint().to_bytes_le()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self(Fr::from_le_bytes_mod_order(bytes))
    }

    fn to_vec(&self) -> Vec<F> {
        let mut rest = self.0.into_bigint();
        let elements = DIGEST_WIDTHS.map(|width| {
            let element = rest.0[0] & ((1 << width) - 1);
            rest >>= width as u32;
            F::from_canonical_u64(element)
        });
        elements.to_vec()
    }
}

/// The transcript's sponge: what is set goes in, three elements for each of the state's two; an
/// element of the state of which nothing was set stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript {
    state: State,
    words: [F; RATE],
    is_set: [bool; RATE],
}

impl Default for Transcript {
    fn default() -> Self {
        Self {
            state: [TRANSCRIPT.into(), 0.into(), 0.into()],
            words: [F::ZERO; RATE],
            is_set: [false; RATE],
        }
    }
}

impl AsRef<[F]> for Transcript {
    fn as_ref(&self) -> &[F] {
        &self.words
    }
}

impl PlonkyPermutation<F> for Transcript {
    const RATE: usize = RATE;
    const WIDTH: usize = RATE;

    fn new<I: IntoIterator<Item = F>>(elements: I) -> Self {
        let mut new = Self::default();
        new.set_from_iter(elements, 0);
        // Zeros are what a challenger starts from, not something that it has observed.
        if new.words == [F::ZERO; RATE] {
            new.is_set = [false; RATE];
        }
        new
    }

    fn set_elt(&mut self, element: F, index: usize) {
        self.is_set[index] = true;
        self.words[index] = element;
    }

    fn set_from_iter<I: IntoIterator<Item = F>>(&mut self, elements: I, start: usize) {
        for (element, index) in elements.into_iter().zip(start..RATE) {
            self.set_elt(element, index);
        }
    }

    fn set_from_slice(&mut self, elements: &[F], start: usize) {
        self.set_from_iter(elements.iter().copied(), start);
    }

    fn permute(&mut self) {
        for half in 0..2 {
            let range = half * PACKED..(half + 1) * PACKED;
            if self.is_set[range.clone()].contains(&true) {
                let set = range.map(|i| {
                    if self.is_set[i] {
                        self.words[i]
                    } else {
                        F::ZERO
                    }
                });
                self.state[1 + half] = pack(&set.collect::<Vec<_>>());
            }
        }
        Fast::get().permute(&mut self.state);
        let (low, high) = (unpack(self.state[1]), unpack(self.state[2]));
        self.words = [low[0], low[1], low[2], high[0], high[1], high[2]];
        self.is_set = [false; RATE];
    }

    fn squeeze(&self) -> &[F] {
        &self.words
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bn254Poseidon;

impl Hasher<F> for Bn254Poseidon {
    const HASH_SIZE: usize = 32;
    type Hash = Digest;
    type Permutation = Transcript;

    fn hash_no_pad(input: &[F]) -> Digest {
        let mut state: State = [Fr::from(input.len() as u64), 0.into(), 0.into()];
        for block in input.chunks(RATE) {
            let (low, high) = block.split_at(block.len().min(PACKED));
            state[1] = pack(low);
            state[2] = pack(high);
            Fast::get().permute(&mut state);
        }
        Digest(state[1])
    }

    /// Always hashes: an element packed as it is could also be a node.
    fn hash_or_noop(inputs: &[F]) -> Digest {
        Self::hash_no_pad(inputs)
    }

    fn two_to_one(left: Digest, right: Digest) -> Digest {
        let mut state: State = [NODE.into(), left.0, right.0];
        Fast::get().permute(&mut state);
        Digest(state[1])
    }
}

/// Configuration of the last layer. Its public inputs are hashed as everywhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastConfig;

impl GenericConfig<2> for LastConfig {
    type F = F;
    type FE = QuadraticExtension<F>;
    type Hasher = Bn254Poseidon;
    type InnerHasher = PoseidonHash;
}

#[cfg(test)]
mod tests {
    use plonky2::iop::challenger::Challenger;

    use super::*;

    fn elements(values: impl IntoIterator<Item = u64>) -> Vec<F> {
        values.into_iter().map(F::from_canonical_u64).collect()
    }

    #[test]
    fn lengths_and_nodes_are_told_apart() {
        let one = Bn254Poseidon::hash_or_noop(&elements([5]));
        assert_ne!(one, Bn254Poseidon::hash_or_noop(&elements([5, 0])));
        assert_ne!(one.0, pack(&elements([5])));
        let [a, b] = [3, 4].map(|x| Digest(Fr::from(x)));
        let leaf = elements([3, 0, 0, 4, 0, 0]);
        assert_ne!(
            Bn254Poseidon::two_to_one(a, b),
            Bn254Poseidon::hash_no_pad(&leaf)
        );
    }

    #[test]
    fn digest_elements_determine_the_digest() {
        let digest = Digest(-Fr::from(1u64));
        let parts = GenericHashOut::<F>::to_vec(&digest);
        let mut sum = Fr::from(0u64);
        for (part, width) in parts.iter().zip(DIGEST_WIDTHS).rev() {
            sum = sum * Fr::from(1u64 << width) + Fr::from(part.to_canonical_u64());
        }
        assert_eq!(sum, digest.0);
        let bytes = GenericHashOut::<F>::to_bytes(&digest);
        assert_eq!(<Digest as GenericHashOut<F>>::from_bytes(&bytes), digest);
        let aliased = serde_json::to_string(&vec![255u8; 32]).unwrap();
        assert!(serde_json::from_str::<Digest>(&aliased).is_err());
    }

    #[test]
    fn every_observed_element_changes_the_challenge() {
        let base = elements(1..=8);
        let challenge = |input: &[F]| {
            let mut challenger = Challenger::<F, Bn254Poseidon>::new();
            challenger.observe_elements(input);
            challenger.get_n_challenges(7)
        };
        for i in 0..base.len() {
            let mut other = base.clone();
            other[i] += F::ONE;
            assert_ne!(challenge(&base)[6], challenge(&other)[6], "element {i}");
        }
    }
}
