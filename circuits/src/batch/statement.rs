//! What a batch tells L1: the statement's words, the list d and its bytes, C, and the point z
//! \[P6\].

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::hash::{Digest, F, Tag, halves, hash};
use thiserror::Error;
use tiny_keccak::{Hasher, Keccak};

use crate::Ext;
use crate::span::Span;

/// Elements of d have 7 bytes, most significant first.
pub const ELEMENT_BYTES: usize = 7;
pub const ELEMENT_BITS: u32 = 56;
/// Of the layout of d.
pub const BATCH_VERSION: u64 = 1;
/// Words in front of the epochs' data.
pub const STATEMENT_WORDS: usize = 31;

const STATE_WORDS: usize = 8;
const DOMAIN: &[u8] = b"tally batch v1";

/// The fields in front of d, in the order of its words (version first, roots last).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchStatement {
    /// Elements of d, these words included.
    pub length: u64,
    pub chain_id: u64,
    /// The contract's address in 7, 7 and 6 bytes.
    pub contract: [u64; 3],
    pub first_epoch: u64,
    pub last_epoch: u64,
    /// Of the last epoch \[T2\].
    pub round: u64,
    pub time: u64,
    /// Signature requests that the batch consumed **without verifying** them.
    pub unverified_requests: u64,
    /// Records of queue outcomes, withdrawals, accounts and rows.
    pub sections: [u64; 4],
    /// State roots \[S1\], each element as halves, the low one first.
    pub state_before: Digest,
    pub state_after: Digest,
}

/// Why bytes are not a batch's data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StatementError {
    #[error("[P6] {bytes} bytes are not a list of {ELEMENT_BYTES}-byte elements")]
    Bytes { bytes: usize },
    #[error("[P6] element {index} is {value}, which does not fit {ELEMENT_BYTES} bytes")]
    Element { index: usize, value: u64 },
    #[error("[P6] {got} elements, the statement alone has {STATEMENT_WORDS}")]
    Short { got: usize },
    #[error("[P6] layout version {got}, this program reads {BATCH_VERSION}")]
    Version { got: u64 },
    #[error("[P6] the statement counts {stated} elements, there are {got}")]
    Length { stated: u64, got: usize },
    #[error("[P6] word {index} is {value}, a half has 32 bits")]
    Half { index: usize, value: u64 },
    #[error("[P6] words {index} and {} are a residue plus p, an alias", index + 1)]
    Aliased { index: usize },
}

impl StatementError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            StatementError::Bytes { .. } => "P6.bytes",
            StatementError::Element { .. } => "P6.element",
            StatementError::Short { .. } => "P6.short",
            StatementError::Version { .. } => "P6.version",
            StatementError::Length { .. } => "P6.length",
            StatementError::Half { .. } => "P6.half",
            StatementError::Aliased { .. } => "P6.aliased",
        }
    }
}

impl BatchStatement {
    pub fn of(span: &Span) -> Self {
        let [chain_id, c0, c1, c2] = span.domain.map(|e| e.to_canonical_u64());
        Self {
            length: span.data.length.saturating_add(STATEMENT_WORDS as u64),
            chain_id,
            contract: [c0, c1, c2],
            first_epoch: span.first_epoch,
            last_epoch: span.last_epoch,
            round: span.round,
            time: span.time,
            unverified_requests: span.unverified_requests,
            sections: span.sections,
            state_before: span.state.before,
            state_after: span.state.after,
        }
    }

    pub fn words(&self) -> [u64; STATEMENT_WORDS] {
        let mut words = vec![BATCH_VERSION, self.length, self.chain_id];
        words.extend(self.contract);
        words.extend([self.first_epoch, self.last_epoch, self.round, self.time]);
        words.push(self.unverified_requests);
        words.extend(self.sections);
        for digest in [self.state_before, self.state_after] {
            words.extend(digest.elements.into_iter().flat_map(halves).map(u64::from));
        }
        std::array::from_fn(|i| words[i])
    }

    /// Reads the statement in front of d, and checks what d says of itself.
    pub fn read(list: &[u64]) -> Result<Self, StatementError> {
        let got = list.len();
        let words = list
            .first_chunk::<STATEMENT_WORDS>()
            .ok_or(StatementError::Short { got })?;
        let [version, length, chain_id, c0, c1, c2, tail @ ..] = words;
        if *version != BATCH_VERSION {
            return Err(StatementError::Version { got: *version });
        }
        if *length != got as u64 {
            return Err(StatementError::Length {
                stated: *length,
                got,
            });
        }
        let [
            first_epoch,
            last_epoch,
            round,
            time,
            unverified_requests,
            tail @ ..,
        ] = *tail;
        let [s0, s1, s2, s3, ..] = tail;
        let roots = STATEMENT_WORDS - 2 * STATE_WORDS;
        Ok(Self {
            length: *length,
            chain_id: *chain_id,
            contract: [*c0, *c1, *c2],
            first_epoch,
            last_epoch,
            round,
            time,
            unverified_requests,
            sections: [s0, s1, s2, s3],
            state_before: read_digest(words, roots)?,
            state_after: read_digest(words, roots + STATE_WORDS)?,
        })
    }

    /// The 20 bytes of the contract's address.
    pub fn contract_bytes(&self) -> [u8; 20] {
        let [a, b, c] = self.contract.map(u64::to_be_bytes);
        let mut bytes = [0; 20];
        bytes[..7].copy_from_slice(&a[1..]);
        bytes[7..14].copy_from_slice(&b[1..]);
        bytes[14..].copy_from_slice(&c[2..]);
        bytes
    }
}

/// Eight words from `start`: the halves of four canonical residues.
fn read_digest(words: &[u64], start: usize) -> Result<Digest, StatementError> {
    let mut digest = HashOut {
        elements: [F::ZERO; 4],
    };
    for (i, element) in digest.elements.iter_mut().enumerate() {
        let index = start + 2 * i;
        for (index, value) in [(index, words[index]), (index + 1, words[index + 1])] {
            if value >> 32 != 0 {
                return Err(StatementError::Half { index, value });
            }
        }
        let residue = words[index] | (words[index + 1] << 32);
        if residue >= FIELD_ORDER {
            return Err(StatementError::Aliased { index });
        }
        *element = F::from_canonical_u64(residue);
    }
    Ok(digest)
}

/// d as bytes, as L1 gets it.
pub fn bytes_of(list: &[u64]) -> Result<Vec<u8>, StatementError> {
    let mut bytes = Vec::with_capacity(list.len() * ELEMENT_BYTES);
    for (index, value) in list.iter().copied().enumerate() {
        if value >> ELEMENT_BITS != 0 {
            return Err(StatementError::Element { index, value });
        }
        bytes.extend_from_slice(&value.to_be_bytes()[1..]);
    }
    Ok(bytes)
}

/// The list that bytes are.
pub fn words_of(bytes: &[u8]) -> Result<Vec<u64>, StatementError> {
    let chunks = bytes.chunks_exact(ELEMENT_BYTES);
    if !chunks.remainder().is_empty() {
        return Err(StatementError::Bytes { bytes: bytes.len() });
    }
    let number = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(0, |acc, byte| (acc << 8) | u64::from(*byte))
    };
    Ok(chunks.map(number).collect())
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
