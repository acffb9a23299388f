//! What a posting's `aux` holds \[J1\]: the kind's own fields, opened by journal and ledger alike.
//!
//! Eight elements, one permutation; only an absorption's sixteen slots take four.

use serde::{Deserialize, Serialize};

use crate::account::{AccountKind, Owner, Slot};
use crate::bounds::SLOTS;
use crate::hash::{Digest, EMPTY, F, Tag, hash, signed, unsigned};
use crate::types::InstrumentId;

/// Cash in the place of an instrument: id 0 is the quote asset's.
pub const CASH: InstrumentId = InstrumentId(0);

/// Elements of an `aux` preimage.
pub const AUX_WORDS: usize = 8;
/// Elements of an absorption's: instrument and signed size of every slot.
pub const ABSORBED_WORDS: usize = 2 * SLOTS;

/// The fields behind `Posting::aux`, by what the posting needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aux {
    /// No field: `aux` is the digest 0, which nothing opens.
    #[default]
    None,
    /// CREATE, SET_KEYS and OWNER, in any combination.
    Leaf(LeafTerms),
    /// LIQUIDATE.
    Liquidation(LiquidationTerms),
    /// ABSORB: what the account held after carry was settled.
    Absorbed([Holding; SLOTS]),
}

impl Aux {
    pub fn digest(&self) -> Digest {
        match self {
            Self::None => EMPTY,
            Self::Leaf(terms) => hash(Tag::Aux, &terms.words()),
            Self::Liquidation(terms) => hash(Tag::Aux, &terms.words()),
            Self::Absorbed(holdings) => hash(Tag::Absorbed, &absorbed_words(holdings)),
        }
    }
}

/// What a leaf is or becomes. OWNER compares `owner` with the leaf's; SET_KEYS takes `keys`; CREATE
/// takes all three and demands that the kind is a user's. Fields that a posting does not use are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafTerms {
    pub owner: Owner,
    /// Digest of the new keys.
    #[serde(with = "crate::wire")]
    pub keys: Digest,
    pub kind: AccountKind,
}

impl LeafTerms {
    /// The owner alone.
    pub fn owned_by(owner: Owner) -> Self {
        Self {
            owner,
            ..Self::default()
        }
    }

    /// Owner 0..2, keys 3..6, kind 7.
    pub fn words(&self) -> [F; AUX_WORDS] {
        let o = self.owner.words();
        let k = self.keys.elements;
        [
            o[0],
            o[1],
            o[2],
            k[0],
            k[1],
            k[2],
            k[3],
            unsigned(self.kind as u64),
        ]
    }
}

/// A liquidation's price and what it follows from \[Q4\]. The journal vouches for `penalty` (the
/// row's) and opens the discount by `flagged_at`; the ledger vouches for `charge` = min(penalty,
/// cap) and for `flagged_at` (the leaf's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiquidationTerms {
    /// Micro-quote per lot that the account pays against the mark.
    pub charge: u64,
    pub penalty: u64,
    pub flagged_at: u32,
}

impl LiquidationTerms {
    /// Charge 0, penalty 1, flagged_at 2, zeros 3..7.
    pub fn words(&self) -> [F; AUX_WORDS] {
        let mut words = [F::default(); AUX_WORDS];
        words[0] = unsigned(self.charge);
        words[1] = unsigned(self.penalty);
        words[2] = unsigned(self.flagged_at.into());
        words
    }
}

/// A slot as an absorption names it: zeros where empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub instrument: InstrumentId,
    /// Lots, negative for a short.
    pub size: i64,
}

impl From<&Slot> for Holding {
    fn from(slot: &Slot) -> Self {
        Self {
            instrument: slot.instrument,
            size: slot.signed_size(),
        }
    }
}

/// Slot 0 first: instrument, signed size.
pub fn absorbed_words(holdings: &[Holding; SLOTS]) -> [F; ABSORBED_WORDS] {
    let mut words = [F::default(); ABSORBED_WORDS];
    for (pair, holding) in words.chunks_mut(2).zip(holdings) {
        pair.copy_from_slice(&[unsigned(holding.instrument.0.into()), signed(holding.size)]);
    }
    words
}
