//! What the operator chooses. Part of the state machine: a log is replayed under the config that it
//! was written under.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Fills that share one fee posting: what a fill segment of the prover takes.
    pub fills_per_segment: usize,
    /// An epoch closes at so many entries, before the next round if need be.
    pub max_entries: usize,
    /// An epoch closes at this age without a next round, milliseconds.
    pub max_epoch_age: u64,
    /// Epochs of a batch.
    pub epochs_per_batch: u32,
    /// A batch ends at so many entries.
    pub max_batch_entries: usize,
    /// Rounds older than this, or further ahead, are refused, milliseconds \[C2\].
    pub max_round_age: u64,
    pub max_round_lead: u64,
    /// Fresh rounds after a start before anything matches.
    pub fresh_rounds: u32,
    /// Epochs closed and not yet proven, and not yet executed on L1, beyond which orders are
    /// refused.
    pub max_unproven: u32,
    pub max_unsettled: u32,
    /// L1 items that an epoch serves at most.
    pub max_items: usize,
    /// Orders of an account in books and waiting for a trigger; 64 slots bound them too.
    pub max_orders: usize,
    /// Fees in parts per million of the mark, per lot, rounded up.
    pub maker_fee: u32,
    pub taker_fee: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fills_per_segment: 880,
            max_entries: 20_000,
            max_epoch_age: 60_000,
            epochs_per_batch: 30,
            max_batch_entries: 100_000,
            max_round_age: 60_000,
            max_round_lead: 5_000,
            fresh_rounds: 3,
            max_unproven: 1_000,
            max_unsettled: 5_000,
            max_items: 256,
            max_orders: 64,
            maker_fee: 0,
            taker_fee: 300,
        }
    }
}
