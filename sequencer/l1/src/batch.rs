//! A batch's bytes as the contract reads them: its statement, the withdrawals that it pays, and
//! the instances that its proof is for \[P6\]. Twin of `BatchData.sol`.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use tally_protocol::data::{
    BatchData, BatchStatement, DataError, PLAIN_ITEM_WORDS, bytes_of, words_of,
};
use tally_protocol::entry::Withdrawal;
use tally_protocol::hash::{Digest, F, halves, unsigned};
use tally_protocol::queue::QueueRecord;

use crate::error::ClientError;
use crate::published::Chain;

const DOMAIN: &[u8] = b"tally batch v1";
/// Nodes do not pass on a transaction above this.
pub const MOST_TRANSACTION_BYTES: usize = 128 * 1024;
/// A transaction's own fields, commit's other arguments, and the padding of its data.
const ENVELOPE_BYTES: usize = 1024;
/// A batch with more data cannot be committed but on a development chain.
pub const MOST_DATA_BYTES: usize = MOST_TRANSACTION_BYTES - ENVELOPE_BYTES;

/// What commit is called with.
#[derive(Clone, Debug)]
pub struct BatchBytes {
    pub bytes: Bytes,
    /// C, four residues.
    pub content: [u64; 4],
    pub data: BatchData,
}

impl BatchBytes {
    pub fn read(bytes: Vec<u8>, content: [u64; 4]) -> Result<Self, DataError> {
        Ok(Self {
            data: BatchData::read(&bytes)?,
            bytes: bytes.into(),
            content,
        })
    }

    pub fn statement(&self) -> &BatchStatement {
        &self.data.statement
    }

    pub fn contract(&self) -> Address {
        Address::from(self.statement().contract_bytes())
    }

    /// The queue's items that it serves, in their order.
    pub fn items(&self) -> impl Iterator<Item = &QueueRecord> {
        self.data.lists.iter().flat_map(|list| &list.queue)
    }

    pub fn withdrawals(&self) -> impl Iterator<Item = &Withdrawal> {
        self.data.lists.iter().flat_map(|list| &list.withdrawals)
    }

    /// The withdrawals' own bytes, which execute is called with.
    pub fn withdrawal_bytes(&self) -> Result<Bytes, DataError> {
        let words = self.withdrawals().flat_map(|paid| {
            let [a, b, c] = paid.owner.words().map(|word| word.to_canonical_u64());
            [a, b, c, paid.asset.into(), paid.amount]
        });
        Ok(bytes_of(&words.collect::<Vec<_>>())?.into())
    }

    /// The queue's hash chain after the items that it serves.
    pub fn chain_after(&self, chain: Chain) -> Result<Chain, DataError> {
        self.items().try_fold(chain, |chain, item| {
            let (plain, long) = item.words.split_at(PLAIN_ITEM_WORDS);
            let halves = long.iter().flat_map(|word| halves(*word)).map(u64::from);
            let words = plain
                .iter()
                .map(|word| word.to_canonical_u64())
                .chain(halves);
            let published = bytes_of(&words.collect::<Vec<_>>())?;
            let next = keccak256([&chain[..], &keccak256(published)[..]].concat());
            Ok(Chain::from_slice(&next[..27]))
        })
    }

    /// C, z and y in three numbers, word i of the eight with weight 2^(64·(i mod 3)).
    pub fn instances(&self) -> Result<[U256; 3], ClientError> {
        let number = self.statement().first_epoch;
        let words = words_of(&self.bytes).map_err(|error| ClientError::Batch {
            number,
            reason: error.to_string(),
        })?;
        let z = self.point();
        let y = evaluate(&words, z);
        let QuadraticExtension([z0, z1]) = z;
        let QuadraticExtension([y0, y1]) = y;
        let [c0, c1, c2, c3] = self.content;
        let [z0, z1, y0, y1] = [z0, z1, y0, y1].map(|word| word.to_canonical_u64());
        let packed = |a: u64, b: u64, c: u64| U256::from_limbs([a, b, c, 0]);
        Ok([packed(c0, c1, c2), packed(c3, z0, z1), packed(y0, y1, 0)])
    }

    /// z: both halves of keccak(domain, chain, contract, C, length, keccak(bytes)), each mod p.
    fn point(&self) -> QuadraticExtension<F> {
        let statement = self.statement();
        let mut told = DOMAIN.to_vec();
        told.extend(statement.chain_id.to_be_bytes());
        told.extend(statement.contract_bytes());
        for element in self.content {
            told.extend(element.to_be_bytes());
        }
        told.extend(statement.length.to_be_bytes());
        told.extend(keccak256(&self.bytes));
        let digest = keccak256(told);
        let half = |bytes: &[u8]| {
            let number = bytes
                .iter()
                .fold(0u128, |acc, byte| (acc << 8) | u128::from(*byte));
            F::from_noncanonical_u128(number)
        };
        let (high, low) = digest.split_at(16);
        QuadraticExtension([half(high), half(low)])
    }
}

/// Σ dᵢzⁱ.
fn evaluate(words: &[u64], z: QuadraticExtension<F>) -> QuadraticExtension<F> {
    let ahead = words.iter().rev();
    ahead.fold(QuadraticExtension::ZERO, |sum, word| {
        sum * z + QuadraticExtension([unsigned(*word), F::ZERO])
    })
}

/// A state root as the contract keeps it: the first residue highest.
pub fn root_word(root: Digest) -> B256 {
    let bytes = root
        .elements
        .map(|element| element.to_canonical_u64().to_be_bytes());
    B256::from_slice(&bytes.concat())
}
