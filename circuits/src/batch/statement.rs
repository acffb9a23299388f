//! What a batch tells L1 beside its bytes: C, and the point z \[P6\].

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use tally_protocol::data::{BatchStatement, STATEMENT_WORDS};
use tally_protocol::hash::{Digest, F, Tag, hash};
use tiny_keccak::{Hasher, Keccak};

use crate::Ext;
use crate::span::Span;

const DOMAIN: &[u8] = b"tally batch v1";

impl Span {
    /// The fields in front of the batch's data.
    pub fn statement(&self) -> BatchStatement {
        let [chain_id, c0, c1, c2] = self.domain.map(|e| e.to_canonical_u64());
        BatchStatement {
            length: self.data.length.saturating_add(STATEMENT_WORDS as u64),
            chain_id,
            contract: [c0, c1, c2],
            first_epoch: self.first_epoch,
            last_epoch: self.last_epoch,
            round: self.round,
            time: self.time,
            sections: self.sections,
            state_before: self.state.before,
            state_after: self.state.after,
            header_after: self.header,
        }
    }
}

/// C: the statement's words (among them d's length) and the epochs' data, bound before z is drawn.
pub fn content(statement: &BatchStatement, data: Digest) -> Digest {
    let mut elements = statement.words().map(F::from_noncanonical_u64).to_vec();
    elements.extend(data.elements);
    hash(Tag::Data, &elements)
}

/// z: both halves of keccak(domain, chain, contract, C, length, keccak(bytes)), each mod p.
pub fn point(statement: &BatchStatement, content: Digest, bytes: &[u8]) -> Ext {
    let mut keccak = Keccak::v256();
    keccak.update(DOMAIN);
    keccak.update(&statement.chain_id.to_be_bytes());
    keccak.update(&statement.contract_bytes());
    for element in content.elements {
        keccak.update(&element.to_canonical_u64().to_be_bytes());
    }
    keccak.update(&statement.length.to_be_bytes());
    keccak.update(&keccak256(bytes));
    let mut digest = [0; 32];
    keccak.finalize(&mut digest);
    let (high, low) = digest.split_at(16);
    QuadraticExtension([reduce(high), reduce(low)])
}

fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    let mut digest = [0; 32];
    keccak.update(bytes);
    keccak.finalize(&mut digest);
    digest
}

/// 16 bytes, most significant first, mod p.
fn reduce(bytes: &[u8]) -> F {
    let number = bytes
        .iter()
        .fold(0u128, |acc, byte| (acc << 8) | u128::from(*byte));
    F::from_noncanonical_u128(number)
}
