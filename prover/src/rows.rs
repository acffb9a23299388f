//! Rows a fill, counted on the circuits themselves.
//!
//! A circuit's rows grow linearly with its units, so two small ones give what a unit and what a
//! circuit's frame costs. Counted is an epoch of 1,024 fills: rows of the segments that it adds to
//! an epoch without fills, with the frames of all their circuits; padding and joins apart,
//! signatures on their own.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_circuits::Builder;
use tally_circuits::data::{DataSegment, DataShape};
use tally_circuits::journal::fill::FillSegment;
use tally_circuits::ledger::{LedgerSegment, LedgerShape};
use tally_circuits::row::RowShape;
use tally_circuits::signature::SignatureSegment;
use tally_circuits::tick::{TickSegment, TickShape};

use crate::release::Sizes;

/// Fills of the epoch that is counted.
pub const FILLS: usize = 1_024;
/// Rows of the table that it reads.
pub const ROWS_READ: usize = 32;
/// Reports of a round, each with a signature.
const REPORTS: usize = 3;
/// Listed instruments at which the cost is told.
const LISTED: [usize; 2] = [32, 1_024];
/// Units of the two circuits that are compared.
const UNITS: [usize; 2] = [20, 60];

/// `tally bench rows`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowCosts {
    /// Rows a fill where each account has one fill, by a fresh order; signatures apart.
    pub fresh: f64,
    /// The same at ten fills an account.
    pub ten_per_account: f64,
    /// Rows a signature, all-in.
    pub signature: f64,
    /// By listed instruments: nothing that a fill costs depends on them, and the scan always has
    /// places for all that the table can hold.
    pub listed: BTreeMap<usize, Listed>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    pub fresh: PerFill,
    pub ten_per_account: PerFill,
    /// Rows of a whole epoch without fills.
    pub epoch_without_fills: BTreeMap<&'static str, f64>,
}

/// Rows a fill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerFill {
    pub all: f64,
    pub by_segment: BTreeMap<&'static str, f64>,
    /// Two signatures, in neither of the above.
    pub signatures: f64,
}

/// What a circuit's frame and each of its units cost, and how many units it has.
#[derive(Clone, Copy, Debug)]
struct Line {
    frame: f64,
    unit: f64,
    room: usize,
}

impl Line {
    fn of(room: usize, rows: impl Fn(usize) -> usize) -> Self {
        let [few, many] = UNITS.map(|units| rows(units) as f64);
        let unit = (many - few) / (UNITS[1] - UNITS[0]) as f64;
        Self {
            frame: few - UNITS[0] as f64 * unit,
            unit,
            room,
        }
    }

    fn ledger(shape: LedgerShape) -> Self {
        Self::of(shape.blocks, |blocks| {
            let shape = LedgerShape { blocks, ..shape };
            LedgerSegment::build(shape).0.rows()
        })
    }

    /// With the frames of as many circuits as the units need.
    fn rows(&self, units: usize) -> f64 {
        self.units(units) + self.frame * units.div_ceil(self.room) as f64
    }

    /// In circuits that are there anyway.
    fn units(&self, units: usize) -> f64 {
        self.unit * units as f64
    }
}

/// The release's circuits as lines.
struct Lines {
    fill: Line,
    fresh: Line,
    busy: Line,
    full: Line,
    signature: Line,
    accounts: Line,
    data_rows: Line,
    tick: Line,
}

impl Lines {
    fn new(sizes: &Sizes) -> Self {
        let data = |shape: DataShape| DataSegment::build(shape).0.rows();
        let empty = DataShape {
            queue: 1,
            withdrawals: 1,
            small: 1,
            large: 1,
            rows: 1,
        };
        Self {
            fill: Line::of(sizes.fills, |n| {
                FillSegment::build(Builder::new(), n).0.rows()
            }),
            fresh: Line::ledger(LedgerShape::FRESH),
            busy: Line::ledger(LedgerShape::BUSY),
            full: Line::ledger(LedgerShape::FULL),
            signature: Line::of(sizes.signatures, |n| {
                SignatureSegment::build(Builder::new(), n).0.rows()
            }),
            accounts: Line::of(sizes.data.small, |small| data(DataShape { small, ..empty })),
            data_rows: Line::of(sizes.data.rows, |rows| data(DataShape { rows, ..empty })),
            tick: Line::of(sizes.tick.rows.units, |units| {
                let rows = RowShape {
                    units,
                    changes: units,
                    ..sizes.tick.rows
                };
                let shape = TickShape { rows, ..sizes.tick };
                TickSegment::build(shape).0.rows()
            }),
        }
    }

    /// `ledger` with so many accounts; besides, the fee account gets one posting a fill circuit.
    fn per_fill(&self, ledger: Line, accounts: usize) -> PerFill {
        let by_segment: BTreeMap<&'static str, f64> = [
            ("journal", self.fill.rows(FILLS)),
            ("ledger", ledger.rows(accounts) + self.full.units(1)),
            ("data", self.accounts.rows(accounts + 1)),
        ]
        .into_iter()
        .map(|(segment, rows)| (segment, rows / FILLS as f64))
        .collect();
        PerFill {
            all: by_segment.values().sum(),
            by_segment,
            signatures: self.signature.rows(2 * FILLS) / FILLS as f64,
        }
    }

    fn epoch(&self) -> BTreeMap<&'static str, f64> {
        let data = self.accounts.rows(1) + self.data_rows.units(ROWS_READ);
        [
            ("tick", self.tick.rows(ROWS_READ)),
            ("ledger", self.full.rows(1)),
            ("signature", self.signature.rows(REPORTS)),
            ("data", data),
        ]
        .into_iter()
        .collect()
    }
}

/// Counted on the production circuits. Takes about a second.
pub fn rows() -> RowCosts {
    let lines = Lines::new(&Sizes::production());
    let fresh = lines.per_fill(lines.fresh, 2 * FILLS);
    let blocks = (2 * FILLS).div_ceil(LedgerShape::BUSY.postings);
    let ten_per_account = lines.per_fill(lines.busy, blocks);
    let listed = Listed {
        fresh: fresh.clone(),
        ten_per_account: ten_per_account.clone(),
        epoch_without_fills: lines.epoch(),
    };
    RowCosts {
        fresh: fresh.all,
        ten_per_account: ten_per_account.all,
        signature: lines.signature.unit,
        listed: LISTED.map(|n| (n, listed.clone())).into(),
    }
}
