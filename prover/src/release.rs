//! The segment circuits of a release, and how many units each has room for.
//!
//! Which list a build of this crate proves with is part of its join's key, hence of the key that a
//! verifier pins: another list is another release.

use std::collections::BTreeMap;

use tally_circuits::Builder;
use tally_circuits::header::HeaderSegment;
use tally_circuits::journal::fill::FillSegment;
use tally_circuits::journal::other::{Capacities, OtherSegment};
use tally_circuits::ledger::{LedgerSegment, LedgerShape};
use tally_circuits::requests::RequestsSegment;
use tally_circuits::row::{RowSegment, RowShape};
use tally_circuits::scan::ScanSegment;
use tally_protocol::bounds::{PENDING_CHANGES, TABLE_DEPTH};
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
    pub requests: usize,
    /// In the order in which they are tried where two cost the same.
    pub ledgers: Vec<Ledger>,
    pub rows: RowShape,
    pub scan_depth: usize,
}

pub const FILL: &str = "fill";
pub const HEADER: &str = "header";
pub const ROWS: &str = "rows";
pub const OTHER: &str = "other";
pub const REQUESTS: &str = "requests";
pub const SCAN: &str = "scan";

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
            requests: RequestsSegment::CAPACITY,
            ledgers: vec![
                ledger("ledger_once", LedgerShape::FRESH),
                ledger("ledger", LedgerShape::BUSY),
                ledger("ledger_wide", LedgerShape::WIDE),
                ledger("ledger_full", LedgerShape::FULL),
            ],
            rows: RowShape {
                units: 32,
                changes: PENDING_CHANGES,
                quorum: 3,
            },
            scan_depth: TABLE_DEPTH,
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
            requests: 12,
            rows: RowShape {
                units: 2,
                changes: 2,
                quorum: 3,
            },
            scan_depth: 3,
            ..sizes
        }
    }

    /// The circuits, in the order that the join's key depends on.
    pub fn types(&self) -> Vec<SegmentType> {
        let (fills, requests, depth) = (self.fills, self.requests, self.scan_depth);
        let (others, rows) = (self.others, self.rows);
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
                REQUESTS,
                move || RequestsSegment::build(Builder::new(), requests),
                |s| &s.segment,
            ),
            SegmentType::new(
                HEADER,
                move || HeaderSegment::build(rows.quorum),
                |s| &s.segment,
            ),
            SegmentType::new(SCAN, move || ScanSegment::build(depth), |s| &s.segment),
            SegmentType::new(ROWS, move || RowSegment::build(rows), |s| &s.segment),
        ];
        for Ledger { name, shape } in self.ledgers.iter().copied() {
            let build = move || LedgerSegment::build(shape);
            types.push(SegmentType::new(name, build, |s| &s.segment));
        }
        types
    }
}
