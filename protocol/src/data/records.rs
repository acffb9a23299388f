//! The records of the L1 data as lists of words \[P6\]: what the bytes of a batch hold after its
//! statement.
//!
//! An epoch's data are the lists of its data segments, one after the other. A list begins with how
//! many records of each section follow, so it is read without knowing circuits: queue outcomes,
//! withdrawals, accounts of at most four slots, other accounts, rows. Every word is below 2^56.

use plonky2::field::types::PrimeField64;

use crate::account::{Account, Money, Owner, Slot};
use crate::bounds::{PREMIUM_BITS, PRICE_BITS, SIZE_BITS, SLOTS};
use crate::entry::Withdrawal;
use crate::epoch::EpochTrace;
use crate::hash::{Digest, F, halves, signed};
use crate::instrument::{ROW_PARAM_WORDS, ROW_WORDS, Row};
use crate::queue::{ITEM_WORDS, QueueRecord};

/// Sections of a list, in their order.
pub const SECTIONS: usize = 5;
/// Slots of a small account.
pub const SMALL_SLOTS: usize = 4;

/// The first words of an item are below 2^56 and published as they are; keys take all 64 bits.
pub const PLAIN_ITEM_WORDS: usize = 10;

/// Index, the item's plain words, the others as halves, outcome.
pub const QUEUE_WORDS: usize = 2 + PLAIN_ITEM_WORDS + 2 * (ITEM_WORDS - PLAIN_ITEM_WORDS);
pub const WITHDRAWAL_WORDS: usize = 5;
/// Number, parameters, and a row's words but its parameters' digest.
pub const ROW_RECORD_WORDS: usize = 1 + ROW_PARAM_WORDS + ROW_WORDS - 4;

/// Words of an account's record with this many slots.
pub const fn account_words(slots: usize) -> usize {
    slots.saturating_mul(3).saturating_add(1 + 4 + 8 + 3)
}

/// Carries, premiums and inventories are signed: their words are raised by these, so that they are
/// below 2^43, 2^49 and 2^49 whatever their sign (docs/decisions.md, D21).
pub const CARRY_OFFSET: u64 = 1 << PRICE_BITS;
pub const PREMIUM_OFFSET: u64 = 1 << PREMIUM_BITS;
pub const INVENTORY_OFFSET: u64 = 1 << SIZE_BITS;

/// A touched account as it was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    pub id: u32,
    pub money: Money,
    pub rest: Digest,
    /// Zeros but in the epoch of its creation.
    pub owner: Owner,
}

impl AccountRecord {
    pub fn of(id: u32, account: &Account, created: bool) -> Self {
        Self {
            id,
            money: account.money.clone(),
            rest: account.rest.digest(),
            owner: if created {
                account.owner
            } else {
                Owner::default()
            },
        }
    }

    /// Whether its upper slots are empty.
    pub fn is_small(&self) -> bool {
        let mut upper = self.money.slots.iter().skip(SMALL_SLOTS);
        upper.all(Slot::is_empty)
    }

    fn words(&self, slots: usize) -> Vec<u64> {
        let money = &self.money;
        let mut words = vec![u64::from(self.id)];
        words.extend(halves(signed(money.cash)).map(u64::from));
        words.extend([money.flagged_at, money.touched_at].map(u64::from));
        for slot in money.slots.iter().take(slots) {
            words.extend([slot.key(), slot.size, raised(slot.carry, CARRY_OFFSET)]);
        }
        words.extend(
            self.rest
                .elements
                .into_iter()
                .flat_map(halves)
                .map(u64::from),
        );
        words.extend(self.owner.words().map(|word| word.to_canonical_u64()));
        words
    }
}

/// What one data segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataList {
    pub queue: Vec<QueueRecord>,
    pub withdrawals: Vec<Withdrawal>,
    pub small: Vec<AccountRecord>,
    pub large: Vec<AccountRecord>,
    pub rows: Vec<(u32, Row)>,
}

impl DataList {
    pub fn counts(&self) -> [usize; SECTIONS] {
        [
            self.queue.len(),
            self.withdrawals.len(),
            self.small.len(),
            self.large.len(),
            self.rows.len(),
        ]
    }

    pub fn words(&self) -> Vec<u64> {
        let mut words = self.counts().map(|n| n as u64).to_vec();
        for record in &self.queue {
            words.push(record.index);
            let (plain, long) = record.words.split_at(PLAIN_ITEM_WORDS);
            words.extend(plain.iter().map(F::to_canonical_u64));
            words.extend(long.iter().copied().flat_map(halves).map(u64::from));
            words.push(record.outcome.into());
        }
        for withdrawal in &self.withdrawals {
            words.extend(withdrawal.owner.words().map(|word| word.to_canonical_u64()));
            words.extend([withdrawal.asset.into(), withdrawal.amount]);
        }
        for account in &self.small {
            words.extend(account.words(SMALL_SLOTS));
        }
        for account in &self.large {
            words.extend(account.words(SLOTS));
        }
        for (number, row) in &self.rows {
            words.extend(row_words(*number, row));
        }
        words
    }
}

fn row_words(number: u32, row: &Row) -> Vec<u64> {
    let mut words = vec![u64::from(number)];
    words.extend(row.params.words().map(|word: F| word.to_canonical_u64()));
    words.extend([row.status as u64, row.round.into(), row.time]);
    words.extend([row.mark, row.index]);
    words.push(raised(row.premium, PREMIUM_OFFSET));
    words.push(raised(row.long_carry, CARRY_OFFSET));
    words.push(raised(row.short_carry, CARRY_OFFSET));
    words.extend([row.open_long, row.open_short]);
    words.push(raised(row.insurance_size, INVENTORY_OFFSET));
    words.push(row.insurance_since.into());
    words
}

fn raised(value: i64, offset: u64) -> u64 {
    offset.wrapping_add_signed(value)
}

/// What a data circuit has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    pub queue: usize,
    pub withdrawals: usize,
    pub small: usize,
    pub large: usize,
    pub rows: usize,
}

impl DataShape {
    /// In 2^14 rows.
    pub const PRODUCTION: Self = Self {
        queue: 64,
        withdrawals: 128,
        small: 1_000,
        large: 200,
        rows: 128,
    };

    pub fn room(&self) -> [usize; SECTIONS] {
        [
            self.queue,
            self.withdrawals,
            self.small,
            self.large,
            self.rows,
        ]
    }

    /// An epoch's lists: as many as its records need, at least one.
    pub fn plan(&self, trace: &EpochTrace) -> Vec<DataList> {
        let mut all = whole(trace);
        let mut lists = Vec::new();
        loop {
            let list = DataList {
                queue: take(&mut all.queue, self.queue),
                withdrawals: take(&mut all.withdrawals, self.withdrawals),
                small: take(&mut all.small, self.small),
                large: take(&mut all.large, self.large),
                rows: take(&mut all.rows, self.rows),
            };
            let stuck = list.counts() == [0; SECTIONS];
            lists.push(list);
            if stuck || all.counts() == [0; SECTIONS] {
                return lists;
            }
        }
    }
}

/// All of an epoch's records in one list.
fn whole(trace: &EpochTrace) -> DataList {
    let mut list = DataList {
        queue: trace.journal.outcomes.clone(),
        withdrawals: trace.journal.withdrawals.clone(),
        rows: trace
            .rows
            .iter()
            .map(|row| (row.number, row.after))
            .collect(),
        ..DataList::default()
    };
    for step in &trace.accounts {
        let Some(after) = &step.after else { continue };
        let record = AccountRecord::of(step.id.0, after, step.created);
        if record.is_small() {
            list.small.push(record);
        } else {
            list.large.push(record);
        }
    }
    list
}

fn take<T>(from: &mut Vec<T>, room: usize) -> Vec<T> {
    let rest = from.split_off(room.min(from.len()));
    std::mem::replace(from, rest)
}
