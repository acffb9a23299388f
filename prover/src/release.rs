//! The segment circuits of a release, and how many units each has room for.
//!
//! Which list a build of this crate proves with is part of its join's key, hence of the key that a
//! verifier pins: another list is another release.

use std::collections::BTreeMap;

use tally_circuits::Builder;
use tally_circuits::data::{DataSegment, DataShape};
use tally_circuits::journal::fill::FillSegment;
use tally_circuits::journal::other::{Capacities, OtherSegment};
use tally_circuits::ledger::{LedgerSegment, LedgerShape};
use tally_circuits::row::{RowSegment, RowShape};
use tally_circuits::signature::SignatureSegment;
use tally_circuits::tick::{TickSegment, TickShape};
use tally_protocol::hash::{Digest, unsigned};

use crate::circuits::Pin;
use crate::segment::SegmentType;

/// What `Circuits::pins` gives for `Sizes::production`.
const PINS: &str = include_str!("../release.json");

/// A ledger circuit's name and room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub name: &'static str,
    pub shape: LedgerShape,
}

/// Units of each circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub fills: usize,
    pub others: Capacities,
    pub signatures: usize,
    /// In the order in which they are tried where two cost the same.
    pub ledgers: Vec<Ledger>,
    pub tick: TickShape,
    /// Circuits for the rows that the tick's has no room for.
    pub rows: RowShape,
    pub data: DataShape,
}

pub const FILL: &str = "fill";
pub const TICK: &str = "tick";
pub const ROWS: &str = "rows";
pub const OTHER: &str = "other";
pub const SIGNATURE: &str = "signature";
pub const DATA: &str = "data";

/// Every circuit's key digest and rows, as pinned in git.
pub fn pins() -> BTreeMap<String, Pin> {
    serde_json::from_str(PINS).expect("release.json is tested")
}

/// Key digest of the release's batch circuit: what `tally verify` demands.
pub fn batch_digest() -> Digest {
    pins()
        .get("batch")
        .map_or([0; 4], |pin| pin.key)
        .map(unsigned)
        .into()
}

fn ledger(name: &'static str, shape: LedgerShape) -> Ledger {
    Ledger { name, shape }
}

impl Sizes {
    /// What 2^14 rows hold of each.
    pub fn production() -> Self {
        Self {
            fills: FillSegment::CAPACITY,
            others: Capacities::PRODUCTION,
            signatures: SignatureSegment::CAPACITY,
            ledgers: vec![
                ledger("ledger_once", LedgerShape::FRESH),
                ledger("ledger", LedgerShape::BUSY),
                ledger("ledger_wide", LedgerShape::WIDE),
                ledger("ledger_full", LedgerShape::FULL),
            ],
            tick: TickShape::PRODUCTION,
            rows: RowShape {
                units: 96,
                changes: 0,
                quorum: 3,
            },
            data: DataShape {
                queue: 256,
                withdrawals: 128,
                small: 840,
                large: 96,
                rows: 96,
            },
        }
    }

    /// As few as make a test quick.
    pub fn small() -> Self {
        let mut sizes = Self::production();
        for ledger in &mut sizes.ledgers {
            ledger.shape.blocks = 2;
            ledger.shape.postings = ledger.shape.postings.min(3);
        }
        Self {
            fills: 4,
            others: Capacities::SMALL,
            signatures: 12,
            tick: TickShape {
                scan_depth: 3,
                rows: RowShape {
                    units: 2,
                    changes: 2,
                    quorum: 3,
                },
            },
            rows: RowShape {
                units: 2,
                changes: 1,
                quorum: 3,
            },
            data: DataShape {
                queue: 3,
                withdrawals: 2,
                small: 4,
                large: 1,
                rows: 3,
            },
            ..sizes
        }
    }

    /// The circuits, in the order that the join's key depends on.
    pub fn types(&self) -> Vec<SegmentType> {
        let (fills, signatures, others) = (self.fills, self.signatures, self.others);
        let (tick, rows, data) = (self.tick, self.rows, self.data);
        let mut types = vec![
            SegmentType::new(
                FILL,
                move || FillSegment::build(Builder::new(), fills),
                |s| &s.segment,
            ),
            SegmentType::new(
                OTHER,
                move || OtherSegment::build(Builder::new(), &others),
                |s| &s.segment,
            ),
            SegmentType::new(
                SIGNATURE,
                move || SignatureSegment::build(Builder::new(), signatures),
                |s| &s.segment,
            ),
            SegmentType::new(TICK, move || TickSegment::build(tick), |s| &s.segment),
            SegmentType::new(ROWS, move || RowSegment::build(rows), |s| &s.segment),
            SegmentType::new(DATA, move || DataSegment::build(data), |s| &s.segment),
        ];
        for Ledger { name, shape } in self.ledgers.iter().copied() {
            let build = move || LedgerSegment::build(shape);
            types.push(SegmentType::new(name, build, |s| &s.segment));
        }
        types
    }
}
