//! Receipts: the sequencer's signature under a command's place in its log.
//!
//! The log is a hash chain, linkᵢ = SHA-256(linkᵢ₋₁, i, command hash), and a receipt signs (i,
//! command hash, linkᵢ). Two receipts of one position with different links, or a log that does not
//! run through a receipt's link, show that commands were dropped or put in another order: the
//! priority that no proof covers is evidenced here.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tally_protocol::account::PublicKey;
use tally_protocol::hash::{Digest, F, Tag, hash, unsigned};
use tally_protocol::message::Domain;
use tally_protocol::signature::{SecretKey, Signature, SignatureError, verify};
use thiserror::Error;

use crate::encoding::{HexError, hex_bytes, signature};

const CHAIN: &[u8] = b"tally v1 log";
/// Version of the receipt's layout, part of what is signed.
const VERSION: u64 = 1;
/// Chain id, contract (3), version, position, time, two hashes of 5 elements.
const WORDS: usize = 17;

/// SHA-256 of a record's bytes, its time in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandHash(#[serde(with = "hex_bytes")] pub [u8; 32]);

/// The log up to and with a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Link(#[serde(with = "hex_bytes")] pub [u8; 32]);

/// What the sequencer says about one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// From 1, without gaps.
    pub position: u64,
    /// Milliseconds since 1970, as in the record.
    pub time_ms: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub command: CommandHash,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub link: Link,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedReceipt {
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Of 80 bytes, hexadecimal.
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReceiptError {
    #[error("receipt of position {position}: {error}")]
    Encoding { position: u64, error: HexError },
    #[error("receipt of position {position}: {error}")]
    Signature {
        position: u64,
        error: SignatureError,
    },
    #[error("receipt of position {position} is for another command")]
    Command { position: u64 },
    #[error("receipt of position {position} does not follow the log before it")]
    Link { position: u64 },
}

impl ReceiptError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encoding { .. } => "receipt.encoding",
            Self::Signature { .. } => "receipt.signature",
            Self::Command { .. } => "receipt.command",
            Self::Link { .. } => "receipt.link",
        }
    }
}

impl CommandHash {
    pub fn of(record: &[u8]) -> Self {
        Self(Sha256::digest(record).into())
    }
}

impl Link {
    /// The link that follows this one.
    pub fn next(&self, position: u64, command: &CommandHash) -> Self {
        let hasher = Sha256::new_with_prefix(CHAIN)
            .chain_update(self.0)
            .chain_update(position.to_le_bytes())
            .chain_update(command.0);
        Self(hasher.finalize().into())
    }
}

impl Receipt {
    /// What the sequencer's key signs.
    pub fn digest(&self, domain: &Domain) -> Digest {
        let contract = domain.contract.words();
        let mut words = [F::default(); WORDS];
        let head = [
            unsigned(domain.chain_id),
            contract[0],
            contract[1],
            contract[2],
            unsigned(VERSION),
            unsigned(self.position & MASK),
            unsigned(self.time_ms & MASK),
        ];
        let hashes = packed(&self.command.0).chain(packed(&self.link.0));
        for (to, word) in words.iter_mut().zip(head.into_iter().chain(hashes)) {
            *to = word;
        }
        hash(Tag::Receipt, &words)
    }

    pub fn sign(self, domain: &Domain, key: &SecretKey) -> SignedReceipt {
        let signature = key.sign(self.digest(domain));
        SignedReceipt {
            receipt: self,
            signature: hex::encode(signature.to_bytes()),
        }
    }
}

/// Positions and times are below 2^56.
const MASK: u64 = (1 << 56) - 1;

/// Seven bytes an element, the last one four.
fn packed(bytes: &[u8; 32]) -> impl Iterator<Item = F> {
    let number = |chunk: &[u8]| {
        let digits = chunk.iter().rev();
        unsigned(digits.fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte)))
    };
    bytes.chunks(7).map(number)
}

impl SignedReceipt {
    /// Whether the sequencer with this key signed it.
    pub fn verify(&self, domain: &Domain, key: &PublicKey) -> Result<(), ReceiptError> {
        let position = self.receipt.position;
        let signature: Signature = signature(&self.signature)
            .map_err(|error| ReceiptError::Encoding { position, error })?;
        verify(key, self.receipt.digest(domain), &signature)
            .map_err(|error| ReceiptError::Signature { position, error })
    }

    /// Whether it is the receipt of this record.
    pub fn is_for(&self, record: &[u8]) -> Result<(), ReceiptError> {
        let position = self.receipt.position;
        match CommandHash::of(record) == self.receipt.command {
            true => Ok(()),
            false => Err(ReceiptError::Command { position }),
        }
    }

    /// Whether the log that ends in `before` goes on with it.
    pub fn follows(&self, before: &Link) -> Result<(), ReceiptError> {
        let Receipt {
            position,
            command,
            link,
            ..
        } = self.receipt;
        match before.next(position, &command) == link {
            true => Ok(()),
            false => Err(ReceiptError::Link { position }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        let command = CommandHash::of(b"record");
        Receipt {
            position: 7,
            time_ms: 1_700_000_000_000,
            command,
            link: Link([3; 32]).next(7, &command),
        }
    }

    #[test]
    fn a_receipt_binds_every_field_and_the_deployment() {
        let (domain, key) = (Domain::default(), SecretKey::derive("test", b"sequencer"));
        let signed = receipt().sign(&domain, &key);
        signed.verify(&domain, &key.public()).unwrap();
        signed.is_for(b"record").unwrap();
        signed.follows(&Link([3; 32])).unwrap();
        let changes: [fn(&mut Receipt); 4] = [
            |it| it.position = 8,
            |it| it.time_ms += 1,
            |it| it.command.0[31] ^= 1,
            |it| it.link.0[31] ^= 1,
        ];
        for change in changes {
            let mut lie = signed.clone();
            change(&mut lie.receipt);
            let refused = lie.verify(&domain, &key.public()).unwrap_err();
            assert_eq!(refused.code(), "receipt.signature");
        }
        let elsewhere = Domain {
            chain_id: 1,
            ..domain
        };
        assert!(signed.verify(&elsewhere, &key.public()).is_err());
        assert_eq!(
            signed.is_for(b"other").unwrap_err().code(),
            "receipt.command"
        );
        let refused = signed.follows(&Link([4; 32])).unwrap_err();
        assert_eq!(refused.code(), "receipt.link");
    }

    #[test]
    fn a_receipt_keeps_its_json() {
        let signed = receipt().sign(&Domain::default(), &SecretKey::derive("test", b"s"));
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(
            serde_json::from_str::<SignedReceipt>(&text).unwrap(),
            signed
        );
        assert!(text.starts_with(r#"{"position":7,"time_ms":1700000000000,"command":""#));
    }
}
