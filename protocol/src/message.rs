//! Signed messages \[S5\]: every one begins (chain id, contract, version, kind, account,
//! generation).
//!
//! A message is 16 elements, two chunks of the sponge. The first, the *frame*, is the same for all
//! messages of a kind in a deployment, so a circuit absorbs it once; the second, the *body*, begins
//! with the author (account and generation in one element). A message costs one permutation.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{Keys, Owner, PublicKey};
use crate::hash::{Digest, F, Tag, hash, unsigned};
use crate::terms::CASH;
use crate::types::{AccountId, InstrumentId};

/// Version of the messages' layout; part of every digest.
pub const VERSION: u32 = 1;
/// Elements of a message's frame, and of its body.
pub const FRAME_WORDS: usize = 8;
pub const BODY_WORDS: usize = 8;
/// A message's elements as absorbed.
pub const MESSAGE_WORDS: usize = FRAME_WORDS + BODY_WORDS;
/// Chain ids have at most 56 bits: one element of L1 data \[P6\].
pub const CHAIN_ID_BITS: u32 = 56;

/// What a message asks for. The number is in the frame and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Order = 1,
    Cancel = 2,
    Transfer = 3,
    /// The receiver's word for instruments that come from another owner \[J3\].
    Accept = 4,
    Withdraw = 5,
    KeyChange = 6,
    CancelAll = 7,
    /// An oracle reporter's report \[T1\]; its author is (reporter, 0).
    Report = 8,
}

impl MessageKind {
    pub const ALL: [Self; 8] = [
        Self::Order,
        Self::Cancel,
        Self::Transfer,
        Self::Accept,
        Self::Withdraw,
        Self::KeyChange,
        Self::CancelAll,
        Self::Report,
    ];

    /// Tag of the digest.
    pub fn tag(self) -> Tag {
        match self {
            Self::Order => Tag::Order,
            _ => Tag::Message,
        }
    }
}

/// The deployment that a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Below 2^56.
    pub chain_id: u64,
    /// The L1 contract's address.
    pub contract: Owner,
}

impl Domain {
    pub fn new(chain_id: u64, contract: Owner) -> Result<Self, ChainIdError> {
        if chain_id >> CHAIN_ID_BITS != 0 {
            return Err(ChainIdError(chain_id));
        }
        Ok(Self { chain_id, contract })
    }

    /// The first chunk: what all messages of a kind share.
    pub fn frame(&self, kind: MessageKind) -> [F; FRAME_WORDS] {
        let c = self.contract.words();
        [
            unsigned(self.chain_id),
            c[0],
            c[1],
            c[2],
            unsigned(VERSION.into()),
            unsigned(kind as u64),
            F::default(),
            F::default(),
        ]
    }

    /// Digest of a message, what its author signs.
    pub fn digest(&self, kind: MessageKind, body: &[F; BODY_WORDS]) -> Digest {
        let mut words = [F::default(); MESSAGE_WORDS];
        let (frame, rest) = words.split_at_mut(FRAME_WORDS);
        frame.copy_from_slice(&self.frame(kind));
        rest.copy_from_slice(body);
        hash(kind.tag(), &words)
    }
}

/// What a signature segment verifies \[P3\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureRequest {
    #[serde(with = "crate::wire")]
    pub key: PublicKey,
    #[serde(with = "crate::wire")]
    pub digest: Digest,
}

impl SignatureRequest {
    /// The tuple of the bus: epoch, key, digest.
    pub fn words(&self, epoch: u32) -> [F; 10] {
        let k = self.key;
        let d = self.digest.elements;
        [
            unsigned(epoch.into()),
            k[0],
            k[1],
            k[2],
            k[3],
            k[4],
            d[0],
            d[1],
            d[2],
            d[3],
        ]
    }
}

/// A deployment that no message can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("[S5] chain id {0} has more than {CHAIN_ID_BITS} bits")]
pub struct ChainIdError(pub u64);

impl ChainIdError {
    pub fn code(&self) -> &'static str {
        "S5.chain_id"
    }
}

/// Account and generation as one element: below 2^60, since ids are below 2^28.
pub fn author(account: AccountId, generation: u32) -> F {
    pack(account.0, generation)
}

/// high·2^32 + low; canonical for every high below 2^31.
pub fn pack(high: u32, low: u32) -> F {
    unsigned((u64::from(high) << 32) | u64::from(low))
}

/// Ends an order slot's order by a higher sequence \[S4\]: the slot's `order hash` becomes this
/// message's digest, with nothing left to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    pub account: AccountId,
    pub generation: u32,
    pub slot: u8,
    pub sequence: u32,
}

impl Cancel {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(self.account, self.generation);
        body[1] = unsigned(self.slot.into());
        body[2] = unsigned(self.sequence.into());
        domain.digest(MessageKind::Cancel, &body)
    }
}

/// Ends all of an account's orders \[S4\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAll {
    pub account: AccountId,
    pub generation: u32,
    pub nonce: u32,
}

impl CancelAll {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(self.account, self.generation);
        body[1] = unsigned(self.nonce.into());
        domain.digest(MessageKind::CancelAll, &body)
    }
}

/// Replaces both keys; the main key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    pub account: AccountId,
    pub generation: u32,
    pub nonce: u32,
    pub keys: Keys,
}

impl KeyChange {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let keys = self.keys.digest().elements;
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(self.account, self.generation);
        body[1] = unsigned(self.nonce.into());
        body[2..6].copy_from_slice(&keys);
        domain.digest(MessageKind::KeyChange, &body)
    }
}

/// Moves cash or lots to another account. `terms` is the digest of what the receiving leaf must be:
/// zero, the common owner, or the whole new leaf \[J3\], \[S3\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub account: AccountId,
    pub generation: u32,
    pub nonce: u32,
    pub to: AccountId,
    /// `CASH` for cash.
    pub instrument: InstrumentId,
    /// The lots sent are a short's.
    pub short: bool,
    pub amount: u64,
    #[serde(with = "crate::wire")]
    pub terms: Digest,
}

impl Transfer {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let terms = self.terms.elements;
        domain.digest(
            MessageKind::Transfer,
            &[
                author(self.account, self.generation),
                pack(self.to.0, self.nonce),
                pack(self.short.into(), self.instrument.0),
                unsigned(self.amount),
                terms[0],
                terms[1],
                terms[2],
                terms[3],
            ],
        )
    }

    pub fn is_cash(&self) -> bool {
        self.instrument == CASH
    }
}

/// The receiver's consent to a transfer of instruments from another owner \[J3\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    pub account: AccountId,
    pub generation: u32,
    pub nonce: u32,
    /// Digest of the transfer that is accepted.
    #[serde(with = "crate::wire")]
    pub transfer: Digest,
}

impl Accept {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(self.account, self.generation);
        body[1] = unsigned(self.nonce.into());
        body[2..6].copy_from_slice(&self.transfer.elements);
        domain.digest(MessageKind::Accept, &body)
    }
}

/// Pays cash or lots to the account's L1 owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    pub account: AccountId,
    pub generation: u32,
    pub nonce: u32,
    /// `CASH` for cash.
    pub instrument: InstrumentId,
    pub amount: u64,
    /// The least that L1 may pay out when the deficit's haircut applies \[Q6\].
    pub least: u64,
}

impl Withdraw {
    pub fn digest(&self, domain: &Domain) -> Digest {
        let mut body = [F::default(); BODY_WORDS];
        body[0] = author(self.account, self.generation);
        body[1] = pack(0, self.nonce);
        body[2] = unsigned(self.instrument.0.into());
        body[3] = unsigned(self.amount);
        body[4] = unsigned(self.least);
        domain.digest(MessageKind::Withdraw, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_a_chain_id_fits_one_element_of_l1_data() {
        let contract = Owner::default();
        assert!(Domain::new((1 << CHAIN_ID_BITS) - 1, contract).is_ok());
        let refused = Domain::new(1 << CHAIN_ID_BITS, contract).unwrap_err();
        assert_eq!(refused.code(), "S5.chain_id");
    }

    #[test]
    fn s5_a_message_begins_with_its_frame() {
        let mut contract = Owner::default();
        contract.0[19] = 5;
        let frame = Domain {
            chain_id: 9,
            contract,
        }
        .frame(MessageKind::Cancel);
        let version = u64::from(VERSION);
        assert_eq!(
            frame,
            [9, 0, 0, 5, version, MessageKind::Cancel as u64, 0, 0].map(unsigned)
        );
        assert_eq!(author(AccountId(3), 4), unsigned((3 << 32) + 4));
    }
}
