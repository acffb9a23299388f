//! The statement in front of a batch's data: what the proof is about.

use super::{DataError, element_of};
use crate::hash::{Digest, halves};

/// Of the layout of d.
pub const BATCH_VERSION: u64 = 3;
/// Words in front of the epochs' data.
pub const STATEMENT_WORDS: usize = NUMBERS + DIGESTS * DIGEST_WORDS;

const NUMBERS: usize = 14;
const DIGESTS: usize = 3;
const DIGEST_WORDS: usize = 8;

/// The fields in front of d, in the order of its words (version first, digests last).
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
    /// Records of queue outcomes, withdrawals, accounts and rows.
    pub sections: [u64; 4],
    /// State roots \[S1\], each element as halves, the low one first.
    pub state_before: Digest,
    pub state_after: Digest,
    /// Digest of the last epoch's header: with the tables of accounts and rows, which the data
    /// rebuild, it opens the root after (docs/decisions.md, D23).
    pub header_after: Digest,
}

impl BatchStatement {
    pub fn words(&self) -> [u64; STATEMENT_WORDS] {
        let [c0, c1, c2] = self.contract;
        let [s0, s1, s2, s3] = self.sections;
        let numbers: [u64; NUMBERS] = [
            BATCH_VERSION,
            self.length,
            self.chain_id,
            c0,
            c1,
            c2,
            self.first_epoch,
            self.last_epoch,
            self.round,
            self.time,
            s0,
            s1,
            s2,
            s3,
        ];
        let digests = [self.state_before, self.state_after, self.header_after];
        let digests = digests.into_iter().flat_map(|digest| digest.elements);
        let words = digests.flat_map(halves).map(u64::from);
        let mut list = numbers.into_iter().chain(words);
        std::array::from_fn(|_| list.next().unwrap_or_default())
    }

    /// Reads the statement in front of d, and checks what d says of itself.
    pub fn read(list: &[u64]) -> Result<Self, DataError> {
        let got = list.len();
        let (numbers, rest) = list
            .split_first_chunk::<NUMBERS>()
            .ok_or(DataError::Short { got })?;
        let digests = rest
            .first_chunk::<{ DIGESTS * DIGEST_WORDS }>()
            .ok_or(DataError::Short { got })?;
        let [version, length, chain_id, c0, c1, c2, epochs @ ..] = *numbers;
        let [first_epoch, last_epoch, round, time, sections @ ..] = epochs;
        if version != BATCH_VERSION {
            return Err(DataError::Version { got: version });
        }
        if length != got as u64 {
            let stated = length;
            return Err(DataError::Length { stated, got });
        }
        let mut digests = (NUMBERS..)
            .step_by(DIGEST_WORDS)
            .zip(digests.chunks(DIGEST_WORDS));
        let mut digest = || match digests.next() {
            Some((index, words)) => read_digest(words, index),
            None => Err(DataError::Short { got }),
        };
        Ok(Self {
            length,
            chain_id,
            contract: [c0, c1, c2],
            first_epoch,
            last_epoch,
            round,
            time,
            sections,
            state_before: digest()?,
            state_after: digest()?,
            header_after: digest()?,
        })
    }

    /// The 20 bytes of the contract's address.
    pub fn contract_bytes(&self) -> [u8; 20] {
        let [[_, a @ ..], [_, b @ ..], [_, _, c @ ..]] = self.contract.map(u64::to_be_bytes);
        let mut bytes = a.into_iter().chain(b).chain(c);
        std::array::from_fn(|_| bytes.next().unwrap_or_default())
    }
}

/// Eight words, which stand at `index`: the halves of four canonical residues.
pub(super) fn read_digest(words: &[u64], index: usize) -> Result<Digest, DataError> {
    let mut digest = Digest::default();
    let pairs = words.chunks_exact(2).zip((index..).step_by(2));
    for (element, (pair, index)) in digest.elements.iter_mut().zip(pairs) {
        if let [low, high] = *pair {
            *element = element_of(index, [low, high])?;
        }
    }
    Ok(digest)
}
