//! A batch's data back as records: canonical words only, nothing left over.

use plonky2::field::types::{Field64, PrimeField64};

use super::records::{
    AccountRecord, CARRY_OFFSET, DataList, INVENTORY_OFFSET, PLAIN_ITEM_WORDS, PREMIUM_OFFSET,
    SECTIONS, SMALL_SLOTS,
};
use super::statement::read_digest;
use super::{BatchData, BatchStatement, DataError, STATEMENT_WORDS, element_of, words_of};
use crate::account::{Money, Owner, Slot};
use crate::bounds::{
    ACCOUNT_DEPTH, FRACTION_BITS, PRICE_BITS, SIZE_BITS, SLOTS, TABLE_DEPTH, TIME_BITS,
};
use crate::entry::Withdrawal;
use crate::hash::{Digest, F, unsigned};
use crate::instrument::{InstrumentKind, Row, RowParams, Status};
use crate::queue::{ITEM_WORDS, QueueRecord};
use crate::types::{InstrumentId, Side};

const WORD_BITS: u32 = 32;
const SECTION_NAMES: [&str; 4] = ["queue outcomes", "withdrawals", "accounts", "rows"];

impl BatchData {
    /// The content of a batch's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, DataError> {
        let list = words_of(bytes)?;
        let statement = BatchStatement::read(&list)?;
        let mut words = Words {
            list: &list,
            index: STATEMENT_WORDS,
        };
        let mut lists = Vec::new();
        while words.index < list.len() {
            lists.push(words.data_list()?);
        }
        let data = Self { statement, lists };
        data.check_sections()?;
        Ok(data)
    }

    /// What the statement counts is there.
    fn check_sections(&self) -> Result<(), DataError> {
        let got = self.sections();
        let stated = self.statement.sections;
        for (section, (stated, got)) in SECTION_NAMES.into_iter().zip(stated.into_iter().zip(got)) {
            if stated != got {
                return Err(DataError::Sections {
                    section,
                    stated,
                    got,
                });
            }
        }
        Ok(())
    }
}

/// The words from `index` on.
struct Words<'a> {
    list: &'a [u64],
    index: usize,
}

impl Words<'_> {
    fn one(&mut self, record: &'static str) -> Result<u64, DataError> {
        let index = self.index;
        let word = self.list.get(index).copied();
        self.index = index.saturating_add(1);
        word.ok_or(DataError::Cut { record, index })
    }

    /// A number of at most so many bits.
    fn bits(&mut self, what: &'static str, bits: u32) -> Result<u64, DataError> {
        let value = self.one(what)?;
        self.within(what, value, value >> bits == 0)
    }

    fn within(&self, what: &'static str, value: u64, holds: bool) -> Result<u64, DataError> {
        let index = self.index.saturating_sub(1);
        let range = DataError::Range { what, index, value };
        holds.then_some(value).ok_or(range)
    }

    fn number(&mut self, what: &'static str) -> Result<u32, DataError> {
        Ok(self.bits(what, WORD_BITS)? as u32)
    }

    /// A signed number that is raised by `offset` and below it in magnitude (D21).
    fn raised(&mut self, what: &'static str, offset: u64) -> Result<i64, DataError> {
        let value = self.one(what)?;
        // −offset itself is below every bound of the state.
        let value = self.within(what, value, value > 0 && value < offset.saturating_mul(2))?;
        Ok(value.wrapping_sub(offset) as i64)
    }

    fn halves(&mut self, what: &'static str) -> Result<F, DataError> {
        let index = self.index;
        let pair = [self.one(what)?, self.one(what)?];
        element_of(index, pair)
    }

    fn digest(&mut self, what: &'static str) -> Result<Digest, DataError> {
        let index = self.index;
        let end = index.saturating_add(8);
        let words = self.list.get(index..end).ok_or(DataError::Cut {
            record: what,
            index: self.list.len(),
        })?;
        self.index = end;
        read_digest(words, index)
    }

    fn owner(&mut self) -> Result<Owner, DataError> {
        let high = self.one("owner")?;
        let middle = self.one("owner")?;
        let low = self.bits("owner", 48)?;
        let [[_, a @ ..], [_, b @ ..], [_, _, c @ ..]] = [high, middle, low].map(u64::to_be_bytes);
        let mut bytes = a.into_iter().chain(b).chain(c);
        Ok(Owner(std::array::from_fn(|_| {
            bytes.next().unwrap_or_default()
        })))
    }

    fn data_list(&mut self) -> Result<DataList, DataError> {
        let mut counts = [0; SECTIONS];
        for count in &mut counts {
            *count = self.one("counts")?;
        }
        let [queue, withdrawals, small, large, rows] = counts;
        Ok(DataList {
            queue: self.records(queue, Self::queue)?,
            withdrawals: self.records(withdrawals, Self::withdrawal)?,
            small: self.records(small, |words| words.account(SMALL_SLOTS))?,
            large: self.records(large, |words| words.account(SLOTS))?,
            rows: self.records(rows, Self::row)?,
        })
    }

    /// Reads until the data end at the latest, however many records are claimed.
    fn records<T>(
        &mut self,
        count: u64,
        mut read: impl FnMut(&mut Self) -> Result<T, DataError>,
    ) -> Result<Vec<T>, DataError> {
        (0..count).map(|_| read(self)).collect()
    }

    fn queue(&mut self) -> Result<QueueRecord, DataError> {
        let index = self.one("queue index")?;
        let mut words = [F::default(); ITEM_WORDS];
        let (plain, long) = words.split_at_mut(PLAIN_ITEM_WORDS);
        for word in plain {
            *word = unsigned(self.one("item")?);
        }
        for word in long {
            *word = self.halves("item")?;
        }
        Ok(QueueRecord {
            index,
            words,
            outcome: self.number("outcome")?,
        })
    }

    fn withdrawal(&mut self) -> Result<Withdrawal, DataError> {
        Ok(Withdrawal {
            owner: self.owner()?,
            asset: self.number("asset")?,
            amount: self.one("amount")?,
        })
    }

    fn account(&mut self, slots: usize) -> Result<AccountRecord, DataError> {
        let id = self.bits("account", ACCOUNT_DEPTH as u32)? as u32;
        let mut money = Money {
            cash: centred(self.halves("cash")?),
            flagged_at: self.number("flagged_at")?,
            touched_at: self.number("touched_at")?,
            ..Money::default()
        };
        for slot in money.slots.iter_mut().take(slots) {
            *slot = self.slot()?;
        }
        Ok(AccountRecord {
            id,
            money,
            rest: self.digest("rest")?,
            owner: self.owner()?,
        })
    }

    /// \[S2\] An empty slot has zeros in every field.
    fn slot(&mut self) -> Result<Slot, DataError> {
        let key = self.bits("slot", WORD_BITS.saturating_add(1))?;
        let slot = Slot {
            instrument: InstrumentId((key >> 1) as u32),
            side: if key & 1 == 0 {
                Side::Long
            } else {
                Side::Short
            },
            size: self.bits("size", SIZE_BITS)?,
            carry: self.raised("carry", CARRY_OFFSET)?,
        };
        let holds = !slot.is_empty() || slot == Slot::default();
        self.within("empty slot's key", key, holds)?;
        Ok(slot)
    }

    fn row(&mut self) -> Result<(u32, Row), DataError> {
        let number = self.bits("row", TABLE_DEPTH as u32)? as u32;
        let params = self.params()?;
        let status = self.one("status")?;
        let status = Status::from_number(status).ok_or(DataError::Range {
            what: "status",
            index: self.index.saturating_sub(1),
            value: status,
        })?;
        let row = Row {
            params,
            status,
            round: self.number("round")?,
            time: self.bits("time", TIME_BITS)?,
            mark: self.bits("mark", PRICE_BITS)?,
            index: self.bits("index", PRICE_BITS)?,
            premium: self.raised("premium", PREMIUM_OFFSET)?,
            long_carry: self.raised("long carry", CARRY_OFFSET)?,
            short_carry: self.raised("short carry", CARRY_OFFSET)?,
            open_long: self.bits("open long", SIZE_BITS)?,
            open_short: self.bits("open short", SIZE_BITS)?,
            insurance_size: self.raised("inventory", INVENTORY_OFFSET)?,
            insurance_since: self.number("insurance_since")?,
        };
        Ok((number, row))
    }

    fn params(&mut self) -> Result<RowParams, DataError> {
        let id = InstrumentId(self.number("instrument")?);
        let kind = self.one("kind")?;
        let kind = InstrumentKind::from_number(kind).ok_or(DataError::Range {
            what: "kind",
            index: self.index.saturating_sub(1),
            value: kind,
        })?;
        let asset = self.number("asset")?;
        let max_price = self.bits("max_price", PRICE_BITS)?;
        let max_size = self.bits("max_size", SIZE_BITS)?;
        let max_open_interest = self.bits("max_open_interest", SIZE_BITS)?;
        let mut fraction = |what| Ok::<_, DataError>(self.bits(what, FRACTION_BITS)? as u32);
        Ok(RowParams {
            id,
            kind,
            asset,
            max_price,
            max_size,
            max_open_interest,
            initial_long: fraction("initial_long")?,
            initial_short: fraction("initial_short")?,
            maintenance_long: fraction("maintenance_long")?,
            maintenance_short: fraction("maintenance_short")?,
            penalty: fraction("penalty")?,
            fill_band: fraction("fill_band")?,
            price_band: fraction("price_band")?,
            funding_cap: fraction("funding_cap")?,
        })
    }
}

/// The number of the least magnitude that an element stands for.
fn centred(element: F) -> i64 {
    let residue = element.to_canonical_u64();
    match residue > F::ORDER / 2 {
        true => (F::ORDER.wrapping_sub(residue) as i64).wrapping_neg(),
        false => residue as i64,
    }
}
