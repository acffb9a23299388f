//! Poseidon over Goldilocks, the one hash of the state, of messages and of commitments.
//!
//! `hash(tag, elements)` is a sponge whose capacity starts as (tag, length): lists of different
//! kind or length never share a digest. Trees use the plain two-to-one compression; their depth is
//! fixed and an empty subtree of any depth is built from the digest 0, so no tag is needed there.

use plonky2::field::goldilocks_field::GoldilocksField;
use plonky2::field::types::{Field, Field64, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::plonk::config::Hasher;
use tally_kernels::poseidon::STATE;
use tally_kernels::{Kernel, many};

/// An element of the Goldilocks field.
pub type F = GoldilocksField;
/// Four field elements.
pub type Digest = HashOut<F>;

/// Elements absorbed by one permutation.
pub const RATE: usize = 8;
/// Where the capacity starts; it holds (tag, length, 0, 0).
const CAPACITY: usize = 8;

/// What a hashed list is. The numbers are part of every digest and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Tag {
    Money = 1,
    Rest = 2,
    OwnedRest = 3,
    Keys = 4,
    Order = 5,
    OrderSlot = 6,
    RowParams = 7,
    Row = 8,
    Header = 9,
    State = 10,
    Reporters = 11,
    Feed = 12,
    Report = 13,
    Message = 14,
    Aux = 15,
    Absorbed = 16,
    Commitment = 17,
    Challenge = 18,
    Data = 19,
    Handoff = 20,
    VerifierKeys = 21,
    Join = 22,
    Globals = 23,
    QueueItem = 24,
    Change = 25,
    Reports = 26,
    Context = 27,
    /// Challenge of a Schnorr signature.
    Signature = 28,
    /// The sequencer's word for a command's place in its log.
    Receipt = 29,
}

/// Digest of a list of a given kind.
pub fn hash(tag: Tag, elements: &[F]) -> Digest {
    let mut sponge = Sponge::new(tag, elements.len());
    for chunk in elements.chunks(RATE) {
        sponge.absorb(chunk);
    }
    sponge.digest()
}

/// An inner node of a tree.
pub fn compress(left: Digest, right: Digest) -> Digest {
    PoseidonHash::two_to_one(left, right)
}

/// `hash` of each list of one length, side by side in the processor's vectors.
pub fn hash_each<const N: usize>(tag: Tag, lists: &[[F; N]]) -> Vec<Digest> {
    /// States that stay in the nearest cache.
    const BLOCK: usize = 128;
    if let [list] = lists {
        return vec![hash(tag, list)];
    }
    let kernel = Kernel::chosen();
    let mut digests = Vec::with_capacity(lists.len());
    let mut start = [F::ZERO; STATE];
    start.copy_from_slice(Sponge::new(tag, N).state());
    for lists in lists.chunks(BLOCK) {
        let mut states = vec![start; lists.len()];
        many::absorb_each(kernel, lists, &mut states);
        digests.extend(states.iter().map(many::digest));
    }
    digests
}

/// `compress` of each pair, side by side.
pub fn compress_each(left: &[Digest], right: &[Digest]) -> Vec<Digest> {
    if let ([left], [right]) = (left, right) {
        return vec![compress(*left, *right)];
    }
    let mut digests = vec![EMPTY; left.len().min(right.len())];
    many::pairs(Kernel::chosen(), left, right, &mut digests);
    digests
}

/// `hash` in parts: the length is fixed at the start, chunks of `RATE` follow (the last may be
/// shorter; it overwrites only the lanes that it has).
#[derive(Clone, Debug)]
pub struct Sponge {
    permutation: PoseidonPermutation<F>,
}

impl Sponge {
    pub fn new(tag: Tag, length: usize) -> Self {
        let mut permutation = PoseidonPermutation::new(core::iter::repeat(F::ZERO));
        permutation.set_elt(F::from_canonical_u64(tag as u64), CAPACITY);
        permutation.set_elt(F::from_canonical_u64(length as u64), CAPACITY + 1);
        Self { permutation }
    }

    /// Absorbs at most `RATE` elements.
    pub fn absorb(&mut self, chunk: &[F]) {
        debug_assert!(!chunk.is_empty() && chunk.len() <= RATE);
        self.permutation.set_from_slice(chunk, 0);
        self.permutation.permute();
    }

    pub fn digest(&self) -> Digest {
        let mut elements = [F::ZERO; 4];
        for (to, from) in elements.iter_mut().zip(self.permutation.squeeze()) {
            *to = *from;
        }
        HashOut { elements }
    }

    /// The whole state, for circuits that start from a constant prefix.
    pub fn state(&self) -> &[F] {
        self.permutation.as_ref()
    }
}

/// A non-negative number below the field's order.
pub fn unsigned(value: u64) -> F {
    debug_assert!(value < F::ORDER);
    F::from_canonical_u64(value)
}

/// A signed number as its residue: negative x is p − |x|.
pub fn signed(value: i64) -> F {
    F::from_noncanonical_i64(value)
}

/// The digest of an empty leaf, order slot or subtree's leaf \[S2\].
pub const EMPTY: Digest = HashOut {
    elements: [F::ZERO; 4],
};

/// The two 32-bit halves (low, high) of an element's canonical residue \[P6\].
pub fn halves(element: F) -> [u32; 2] {
    let value = element.to_canonical_u64();
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agree<const N: usize>(count: u64) {
        let element = |i: u64| unsigned(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % F::ORDER);
        let list = |at: u64| core::array::from_fn(|i| element(at * 100 + i as u64));
        let lists: Vec<[F; N]> = (0..count).map(list).collect();
        let expected: Vec<Digest> = lists.iter().map(|list| hash(Tag::Aux, list)).collect();
        assert_eq!(hash_each(Tag::Aux, &lists), expected, "{count} of {N}");
    }

    #[test]
    fn lists_side_by_side_hash_as_each_alone() {
        for count in [0, 1, 2, 3, 7, 8, 9, 31, 128, 129, 300] {
            agree::<0>(count);
            agree::<1>(count);
            agree::<8>(count);
            agree::<9>(count);
            agree::<51>(count);
        }
    }

    proptest! {
        #[test]
        fn pairs_side_by_side_hash_as_each_alone(
            values in prop::collection::vec(prop::array::uniform8(0..F::ORDER), 0..40)
        ) {
            let digest = |v: &[u64]| Digest {
                elements: core::array::from_fn(|i| unsigned(v[i])),
            };
            let left: Vec<Digest> = values.iter().map(|v| digest(&v[..4])).collect();
            let right: Vec<Digest> = values.iter().map(|v| digest(&v[4..])).collect();
            let both = left.iter().zip(&right);
            let expected: Vec<Digest> = both.map(|(l, r)| compress(*l, *r)).collect();
            prop_assert_eq!(compress_each(&left, &right), expected);
        }
    }
}
