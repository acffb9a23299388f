//! The L1 data of a batch \[P6\]: one list d of 7-byte words, written from an epoch's trace and
//! read back into the state by anyone.
//!
//! d = statement ‖ lists of the epochs' data segments. A list begins with how many records of each
//! section follow, so it is read without knowing circuits. Every reader takes canonical words only,
//! so that bytes and content determine each other; docs/segments/data.md has the layout.

mod batch;
mod error;
mod read;
mod rebuild;
mod records;
mod statement;
#[cfg(test)]
mod tests;

pub use batch::BatchData;
pub use error::DataError;
pub use rebuild::{Leaf, Rebuilt};
pub use records::{
    AccountRecord, CARRY_OFFSET, DataList, DataShape, INVENTORY_OFFSET, PLAIN_ITEM_WORDS,
    PREMIUM_OFFSET, QUEUE_WORDS, ROW_RECORD_WORDS, SECTIONS, SMALL_SLOTS, WITHDRAWAL_WORDS,
    account_words,
};
pub use statement::{BATCH_VERSION, BatchStatement, STATEMENT_WORDS};

use crate::bounds::FIELD_ORDER;
use crate::hash::{F, unsigned};

/// Elements of d have 7 bytes, most significant first.
pub const ELEMENT_BYTES: usize = 7;
pub const ELEMENT_BITS: u32 = 56;
const HALF_BITS: u32 = 32;

/// d as bytes, as L1 gets it.
pub fn bytes_of(list: &[u64]) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::with_capacity(list.len().saturating_mul(ELEMENT_BYTES));
    for (index, value) in list.iter().copied().enumerate() {
        if value >> ELEMENT_BITS != 0 {
            return Err(DataError::Element { index, value });
        }
        bytes.extend(value.to_be_bytes().into_iter().skip(1));
    }
    Ok(bytes)
}

/// The list that bytes are.
pub fn words_of(bytes: &[u8]) -> Result<Vec<u64>, DataError> {
    let chunks = bytes.chunks_exact(ELEMENT_BYTES);
    if !chunks.remainder().is_empty() {
        return Err(DataError::Bytes { bytes: bytes.len() });
    }
    let number = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(0, |acc, byte| (acc << 8) | u64::from(*byte))
    };
    Ok(chunks.map(number).collect())
}

/// The element that the halves (low, high) in words `index` and `index + 1` are: the canonical
/// residue only \[word aliasing\].
fn element_of(index: usize, [low, high]: [u64; 2]) -> Result<F, DataError> {
    for (index, value) in [(index, low), (index.saturating_add(1), high)] {
        if value >> HALF_BITS != 0 {
            return Err(DataError::Half { index, value });
        }
    }
    let residue = low | (high << HALF_BITS);
    if residue >= FIELD_ORDER {
        return Err(DataError::Aliased { index });
    }
    Ok(unsigned(residue))
}
