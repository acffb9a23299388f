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
