//! Bytes that are not the next batch's, as the contract tells them apart \[P6\], \[C1\].

use plonky2::field::types::PrimeField64;
use tally_l1::BatchBytes;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::data::{BatchData, ELEMENT_BYTES, STATEMENT_WORDS};
use tally_protocol::hash::unsigned;
use tally_protocol::queue::QueueRecord;

use crate::settle::SettleError;

/// Words of the statement.
const COUNT: usize = 1;
const CHAIN: usize = 2;
const CONTRACT: usize = 5;
const FIRST_EPOCH: usize = 6;
/// How many items are served.
const ITEMS: usize = 10;
/// Halves of the state root before, the low one first, and of the header's digest.
const ROOT: usize = 14;
const HEADER: usize = STATEMENT_WORDS - 2;
/// An amount of lots, of an item.
const AMOUNT: usize = 7;

/// What the contract refuses as it is committed.
pub struct Lie {
    pub name: &'static str,
    pub error: &'static str,
    pub content: [u64; 4],
    pub data: Vec<u8>,
}

pub fn of(batch: &BatchBytes) -> Vec<Lie> {
    let told = |name, error, data| Lie {
        name,
        error,
        content: batch.content,
        data,
    };
    let whole = batch.bytes.len();
    let mut lies = vec![
        told("a stale root", "StaleRoot", flipped(batch, ROOT)),
        told("another length", "WordCount", flipped(batch, COUNT)),
        told("another chain", "WrongChain", flipped(batch, CHAIN)),
        told(
            "another contract",
            "WrongContract",
            flipped(batch, CONTRACT),
        ),
        told("another epoch", "WrongEpoch", flipped(batch, FIRST_EPOCH)),
        told(
            "shorter bytes",
            "WordCount",
            batch.bytes[..whole - ELEMENT_BYTES].to_vec(),
        ),
        told(
            "longer bytes",
            "DataLength",
            [&batch.bytes[..], &[0]].concat(),
        ),
        told("a root at p", "AliasedHalves", root_at_order(batch)),
        told(
            "a half of 33 bits",
            "HalfTooWide",
            with_bit(batch, ROOT, 32),
        ),
        told("items miscounted", "SectionMismatch", flipped(batch, ITEMS)),
    ];
    let mut content = batch.content;
    content[3] = FIELD_ORDER;
    lies.push(Lie {
        content,
        ..told(
            "a word of C at p",
            "ContentNotCanonical",
            batch.bytes.to_vec(),
        )
    });
    lies.extend(
        of_items(batch)
            .into_iter()
            .map(|(name, error, data)| told(name, error, data)),
    );
    lies
}

/// Other bytes that the contract takes: only the proof is in the way.
pub fn without_proof(batch: &BatchBytes) -> Result<Vec<(&'static str, BatchBytes)>, SettleError> {
    let mut content = batch.content;
    content[0] ^= 1;
    let cash = with_data(batch, |data| {
        let accounts = data.lists.iter_mut().flat_map(|list| &mut list.small);
        accounts.last().map(|account| account.money.cash ^= 1)
    });
    let paid = with_data(batch, |data| {
        let paid = data.lists.iter_mut().flat_map(|list| &mut list.withdrawals);
        paid.last().map(|paid| paid.owner.0[0] ^= 1)
    });
    // The header's digest.
    let altered = flipped(batch, HEADER);
    let lies = [
        ("altered bytes", Some(altered), batch.content),
        ("an account's cash altered", cash, batch.content),
        ("another one paid", paid, batch.content),
        ("another C", Some(batch.bytes.to_vec()), content),
    ];
    let told = lies.into_iter().filter_map(|(name, data, content)| {
        let read = BatchBytes::read(data?, content).map_err(|error| SettleError::Differs {
            rule: "lie",
            reason: format!("{name}: {error}"),
        });
        Some(read.map(|other| (name, other)))
    });
    told.collect()
}

/// Items that are not the queue's next ones, or not in its order, where a list serves two.
fn of_items(batch: &BatchBytes) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    type Change = fn(&mut Vec<QueueRecord>);
    let swap: Change = |items| items.swap(0, 1);
    let skip: Change = |items| {
        items.remove(0);
    };
    let alter: Change = |items| {
        let lots = items[0].words[AMOUNT].to_canonical_u64();
        items[0].words[AMOUNT] = unsigned(lots ^ 1);
    };
    let lies = [
        ("reordered items", "QueueOrder", swap, false),
        (
            "items under each other's index",
            "QueueMismatch",
            swap,
            true,
        ),
        ("a skipped item", "QueueOrder", skip, false),
        ("a skipped item's index taken", "QueueMismatch", skip, true),
        ("an item changed", "QueueMismatch", alter, false),
    ];
    let told = lies
        .into_iter()
        .filter_map(|(name, error, change, numbered_anew)| {
            let data = with_data(batch, |data| {
                let first = batch.items().next()?.index;
                let list = data.lists.iter_mut().find(|list| list.queue.len() > 1)?;
                change(&mut list.queue);
                let items = data.lists.iter_mut().flat_map(|list| &mut list.queue);
                for (index, item) in (first..).zip(items.filter(|_| numbered_anew)) {
                    item.index = index;
                }
                Some(())
            });
            Some((name, error, data?))
        });
    told.collect()
}

/// Other records, which the statement counts as they are; none where there is nothing to change.
fn with_data(
    batch: &BatchBytes,
    change: impl FnOnce(&mut BatchData) -> Option<()>,
) -> Option<Vec<u8>> {
    let mut data = batch.data.clone();
    change(&mut data)?;
    data.statement.sections = data.sections();
    data.statement.length = data.words().len() as u64;
    data.bytes().ok()
}

/// The lowest bit of a word.
fn flipped(batch: &BatchBytes, word: usize) -> Vec<u8> {
    with_bit(batch, word, 0)
}

fn with_bit(batch: &BatchBytes, word: usize, bit: usize) -> Vec<u8> {
    let mut bytes = batch.bytes.to_vec();
    bytes[(word + 1) * ELEMENT_BYTES - 1 - bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Both halves of the root's first word those of p, which stands for the residue 0.
fn root_at_order(batch: &BatchBytes) -> Vec<u8> {
    let mut bytes = batch.bytes.to_vec();
    for (word, half) in [
        (ROOT, FIELD_ORDER as u32),
        (ROOT + 1, (FIELD_ORDER >> 32) as u32),
    ] {
        let place = word * ELEMENT_BYTES..(word + 1) * ELEMENT_BYTES;
        let word = u64::from(half).to_be_bytes();
        bytes[place].copy_from_slice(&word[word.len() - ELEMENT_BYTES..]);
    }
    bytes
}
