//! Each clause with the thing it forbids, tried and refused: [T2], §4 and the terms of §6.

mod epochs;
mod items;
mod moves;
mod properties;
mod serving;
mod trades;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use crate::account::{Keys, Owner};
use crate::entry::{Effects, Entry, EpochTerms, Market, Terms};
use crate::hash::unsigned;
use crate::instrument::{InstrumentKind, MarketRow, flags};
use crate::journal::testing::{self, PERPETUAL, SPOT};
use crate::order::{Order, Place};
use crate::types::{AccountId, InstrumentId, Side};

/// Row 3 is halted, 4 reduce_only, 5 settled; 6 is empty, 7 not read.
const HALTED: InstrumentId = InstrumentId(3);
const REDUCE_ONLY: InstrumentId = InstrumentId(4);
const SETTLED: InstrumentId = InstrumentId(5);
const UNLISTED: InstrumentId = InstrumentId(6);
const UNREAD: InstrumentId = InstrumentId(7);

const MARK: u64 = 1_000_000;
const PENALTY: u64 = 10_000;

/// The same cases on every machine.
fn config(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(20_251_010);
    ProptestConfig {
        rng_seed,
        ..ProptestConfig::with_cases(cases)
    }
}

/// What an entry is checked against; tests bend it.
struct World {
    epoch: EpochTerms,
    market: Market,
}

impl World {
    fn new() -> Self {
        let row = |id: InstrumentId, kind, flags| MarketRow {
            id,
            kind,
            asset: if kind == InstrumentKind::Spot {
                id.0
            } else {
                0
            },
            row: id.0,
            mark: MARK,
            index: MARK,
            min_fill: 980_000,
            max_fill: 1_020_000,
            penalty: PENALTY,
            max_size: 1_000_000,
            insurance_since: 992,
            flags,
        };
        let halted = flags::REDUCE_ONLY | flags::HALTED;
        let rows = [
            row(PERPETUAL, InstrumentKind::Perpetual, 0),
            row(SPOT, InstrumentKind::Spot, 0),
            row(HALTED, InstrumentKind::Perpetual, halted),
            row(REDUCE_ONLY, InstrumentKind::Spot, flags::REDUCE_ONLY),
            row(SETTLED, InstrumentKind::Perpetual, halted | flags::SETTLED),
        ];
        let occupied = rows.map(|row| row.row).into_iter();
        let market = Market::of_table(rows, occupied.chain([0, UNREAD.0]));
        Self {
            epoch: testing::epoch(),
            market,
        }
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            epoch: &self.epoch,
            market: &self.market,
        }
    }

    fn effects(&self, entry: &Entry) -> Effects {
        entry.effects(&self.terms()).expect("a valid entry")
    }

    /// The code of the clause that refuses the entry.
    fn code(&self, entry: &Entry) -> &'static str {
        entry
            .effects(&self.terms())
            .map_or_else(|error| error.code(), |_| "")
    }
}

fn order(account: u32, side: Side) -> Order {
    Order {
        account: AccountId(account),
        generation: 2,
        place: Place::Slot {
            slot: 3,
            sequence: 8,
        },
        instrument: PERPETUAL,
        side,
        size: 100,
        limit: MARK,
        max_fee_per_lot: 500,
        expiry: 1_700_000_000,
        reduce_only: false,
        amend: false,
    }
}

fn keys(n: u64) -> Keys {
    let key = [n, n + 1, n + 2, n + 3, n + 4].map(unsigned);
    Keys {
        key,
        trading_key: [0; 5].map(unsigned),
    }
}

fn owner(n: u8) -> Owner {
    Owner([n; 20])
}
