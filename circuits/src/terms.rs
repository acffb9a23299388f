//! Twin of `tally_protocol::terms`: what a posting's `aux` holds \[J1\].

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use tally_protocol::hash::Tag;
use tally_protocol::terms::AUX_WORDS;

use crate::Builder;
use crate::hash::hash;

/// Twin of `LeafTerms`.
#[derive(Clone, Copy, Debug)]
pub struct LeafTermsTarget {
    pub owner: [Target; 3],
    pub keys: HashOutTarget,
    pub kind: Target,
}

impl LeafTermsTarget {
    /// Twin of `LeafTerms::owned_by`.
    pub fn owned_by(b: &mut Builder, owner: [Target; 3]) -> Self {
        Self {
            owner,
            keys: b.constant_hash(tally_protocol::hash::EMPTY),
            kind: b.zero(),
        }
    }

    /// Twin of `LeafTerms::words`.
    pub fn words(&self) -> [Target; AUX_WORDS] {
        let (o, k) = (self.owner, self.keys.elements);
        [o[0], o[1], o[2], k[0], k[1], k[2], k[3], self.kind]
    }

    /// Twin of `Aux::Leaf`'s digest. Cost: 1 row.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        hash(b, Tag::Aux, &self.words())
    }
}

/// Twin of `LiquidationTerms`.
#[derive(Clone, Copy, Debug)]
pub struct LiquidationTermsTarget {
    pub charge: Target,
    pub penalty: Target,
    pub flagged_at: Target,
}

impl LiquidationTermsTarget {
    /// Twin of `LiquidationTerms::words`.
    pub fn words(&self, b: &mut Builder) -> [Target; AUX_WORDS] {
        let zero = b.zero();
        let mut words = [zero; AUX_WORDS];
        words[..3].copy_from_slice(&[self.charge, self.penalty, self.flagged_at]);
        words
    }

    /// Twin of `Aux::Liquidation`'s digest. Cost: 1 row.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        let words = self.words(b);
        hash(b, Tag::Aux, &words)
    }
}
