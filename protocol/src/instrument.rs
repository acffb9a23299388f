//! The instrument table's row, and the two tuples by which an epoch reads it.
//!
//! A row is opened, updated and closed once per epoch by the tick; everybody else reads the
//! derived numbers through a `MarginRow` (the ledger) or a `MarketRow` (the journal). Nothing
//! derived is stored.

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, F, Tag, hash, hash_each, signed, unsigned};
use crate::types::{InstrumentId, Side};

/// What an instrument is. Later kinds (options, lending) are further variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    /// Row 0: the quote asset. All numbers are zero in version 1; empty slots read it.
    #[default]
    Quote = 0,
    Perpetual = 1,
    Spot = 2,
}

impl InstrumentKind {
    /// The kind that is hashed as this number.
    pub fn from_number(number: u64) -> Option<Self> {
        let kinds = [Self::Quote, Self::Perpetual, Self::Spot];
        kinds.into_iter().find(|kind| *kind as u64 == number)
    }
}

/// \[T6\]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Active = 0,
    ReduceOnly = 1,
    Clamped = 2,
    Halted = 3,
    Settled = 4,
}

impl Status {
    /// The status that is hashed as this number.
    pub fn from_number(number: u64) -> Option<Self> {
        let all = [
            Self::Active,
            Self::ReduceOnly,
            Self::Clamped,
            Self::Halted,
            Self::Settled,
        ];
        all.into_iter().find(|status| *status as u64 == number)
    }
}

/// Set at listing; changed only by an L1 item after the timelock \[T7\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowParams {
    pub id: InstrumentId,
    pub kind: InstrumentKind,
    /// Spot: the L1 asset that backs it (bridge account `BRIDGE_ACCOUNTS + asset`); else 0.
    pub asset: u32,
    /// M, micro-quote per lot \[N1\].
    pub max_price: u64,
    pub max_size: u64,
    pub max_open_interest: u64,
    /// Parts per million of the mark, per side: initial and maintenance \[T5\].
    pub initial_long: u32,
    pub initial_short: u32,
    pub maintenance_long: u32,
    pub maintenance_short: u32,
    /// Parts per million of the mark.
    pub penalty: u32,
    pub fill_band: u32,
    /// Parts per million of the mark per elapsed second.
    pub price_band: u32,
    pub funding_cap: u32,
}

pub const ROW_PARAM_WORDS: usize = 14;

impl RowParams {
    pub fn words(&self) -> [F; ROW_PARAM_WORDS] {
        [
            unsigned(self.id.0.into()),
            unsigned(self.kind as u64),
            unsigned(self.asset.into()),
            unsigned(self.max_price),
            unsigned(self.max_size),
            unsigned(self.max_open_interest),
            unsigned(self.initial_long.into()),
            unsigned(self.initial_short.into()),
            unsigned(self.maintenance_long.into()),
            unsigned(self.maintenance_short.into()),
            unsigned(self.penalty.into()),
            unsigned(self.fill_band.into()),
            unsigned(self.price_band.into()),
            unsigned(self.funding_cap.into()),
        ]
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::RowParams, &self.words())
    }
}

/// A row: parameters, and what the ticks and closes made of it. An unlisted row's digest is EMPTY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub params: RowParams,
    pub status: Status,
    /// Oracle round of the last update \[T3\].
    pub round: u32,
    /// Time of the last round that moved the mark, seconds.
    pub time: u64,
    /// Micro-quote per lot.
    pub mark: u64,
    pub index: u64,
    /// Cumulative premium at the last update, micro-quote per lot, signed \[T4\].
    pub premium: i64,
    /// Cumulative cost of holding one lot since listing, micro-quote, signed.
    pub long_carry: i64,
    pub short_carry: i64,
    /// Totals per side in lots, without system bridge accounts \[T8\].
    pub open_long: u64,
    pub open_short: u64,
    /// Inventory of the row's insurance account, signed lots, and the epoch since which the
    /// discount of an unwind runs: reset whenever |size| grows \[Q6\], \[Q7\].
    pub insurance_size: i64,
    pub insurance_since: u32,
}

/// Elements of a row's digest: the parameters' digest, then the rest in order.
pub const ROW_WORDS: usize = 16;

impl Row {
    pub fn words(&self) -> [F; ROW_WORDS] {
        self.words_with(self.params.digest())
    }

    fn words_with(&self, params: Digest) -> [F; ROW_WORDS] {
        let params = params.elements;
        [
            params[0],
            params[1],
            params[2],
            params[3],
            unsigned(self.status as u64),
            unsigned(self.round.into()),
            unsigned(self.time),
            unsigned(self.mark),
            unsigned(self.index),
            signed(self.premium),
            signed(self.long_carry),
            signed(self.short_carry),
            unsigned(self.open_long),
            unsigned(self.open_short),
            signed(self.insurance_size),
            unsigned(self.insurance_since.into()),
        ]
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Row, &self.words())
    }

    /// Every row's digest, hashed side by side.
    pub fn digests(rows: &[&Row]) -> Vec<Digest> {
        let params: Vec<_> = rows.iter().map(|row| row.params.words()).collect();
        let params = hash_each(Tag::RowParams, &params);
        let words = rows.iter().zip(params);
        let words: Vec<_> = words.map(|(row, params)| row.words_with(params)).collect();
        hash_each(Tag::Row, &words)
    }
}

/// Bits of `MarginRow::bounds` and `MarketRow::flags` below the size or row number.
pub mod flags {
    /// |size| must not grow or flip (reduce_only, clamped; halted and settled imply it).
    pub const REDUCE_ONLY: u64 = 1;
    /// No fill, liquidation or absorption.
    pub const HALTED: u64 = 2;
    /// Carry settles and the slot vanishes when the leaf is opened.
    pub const SETTLED: u64 = 4;
    /// Fills only within the mark's band, not the index's \[J2\].
    pub const CLAMPED: u64 = 8;
    pub const COUNT: u32 = 4;
}

pub const MARGIN_ROW_WORDS: usize = 13;

/// What the ledger reads of a row: both sides at once, per lot, micro-quote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarginRow {
    pub id: InstrumentId,
    pub long_carry: i64,
    pub short_carry: i64,
    /// Value of an owned lot: the mark for spot, 0 for perpetuals.
    pub value: u64,
    pub initial_long: u64,
    pub initial_short: u64,
    pub maintenance_long: u64,
    pub maintenance_short: u64,
    /// Requirement when value leaves the account \[L4\]: `initial`, but the whole mark for a long
    /// and min(2·mark, M) for a short while the row is clamped or halted.
    pub outflow_long: u64,
    pub outflow_short: u64,
    /// This tick's part of the side's carry that is socialised loss \[Q6\]; carry before it is
    /// `carry − shift`.
    pub shift_long: u64,
    pub shift_short: u64,
    pub max_size: u64,
    pub flags: u64,
}

impl MarginRow {
    pub fn words(&self) -> [F; MARGIN_ROW_WORDS] {
        [
            unsigned(self.id.0.into()),
            signed(self.long_carry),
            signed(self.short_carry),
            unsigned(self.value),
            unsigned(self.initial_long),
            unsigned(self.initial_short),
            unsigned(self.maintenance_long),
            unsigned(self.maintenance_short),
            unsigned(self.outflow_long),
            unsigned(self.outflow_short),
            unsigned(self.shift_long),
            unsigned(self.shift_short),
            // Below 2^52: max_size has 48 bits.
            unsigned((self.max_size << flags::COUNT) | self.flags),
        ]
    }

    pub fn carry(&self, side: Side) -> i64 {
        match side {
            Side::Long => self.long_carry,
            Side::Short => self.short_carry,
        }
    }

    pub fn initial(&self, side: Side) -> u64 {
        match side {
            Side::Long => self.initial_long,
            Side::Short => self.initial_short,
        }
    }

    pub fn maintenance(&self, side: Side) -> u64 {
        match side {
            Side::Long => self.maintenance_long,
            Side::Short => self.maintenance_short,
        }
    }

    pub fn outflow(&self, side: Side) -> u64 {
        match side {
            Side::Long => self.outflow_long,
            Side::Short => self.outflow_short,
        }
    }

    pub fn shift(&self, side: Side) -> u64 {
        match side {
            Side::Long => self.shift_long,
            Side::Short => self.shift_short,
        }
    }
}

pub const MARKET_ROW_WORDS: usize = 12;

/// What the journal reads of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketRow {
    pub id: InstrumentId,
    pub kind: InstrumentKind,
    pub asset: u32,
    /// Row number: names the row's insurance account and slot \[S6\].
    pub row: u32,
    pub mark: u64,
    pub index: u64,
    /// Lowest and highest price of a fill \[J2\]: within fill_band of mark and index, in a clamped
    /// row of the mark alone.
    pub min_fill: u64,
    pub max_fill: u64,
    /// Per lot \[Q4\].
    pub penalty: u64,
    pub max_size: u64,
    pub insurance_since: u32,
    pub flags: u64,
}

impl MarketRow {
    pub fn words(&self) -> [F; MARKET_ROW_WORDS] {
        [
            unsigned(self.id.0.into()),
            unsigned(self.kind as u64),
            unsigned(self.asset.into()),
            unsigned(self.row.into()),
            unsigned(self.mark),
            unsigned(self.index),
            unsigned(self.min_fill),
            unsigned(self.max_fill),
            unsigned(self.penalty),
            unsigned(self.max_size),
            unsigned(self.insurance_since.into()),
            unsigned(self.flags),
        ]
    }
}
