//! Builders for tests: a small exchange with listed rows, reporters, users and signed orders.
//!
//! Behind the `testing` feature. It adds nothing to what the rules allow: rows are listed by
//! writing them into a genesis table, everything else goes through `EpochBuilder`.

pub mod keys;
mod table;
mod tries;
mod world;

pub use table::{ScenarioError, run_table};
pub use tries::{KINDS, TriedEpoch, Try, label};
pub use world::{Listed, World, keys_of, owner_of, perpetual, reporter_seed, spot};
