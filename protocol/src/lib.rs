//! The rules of Tally, pure: types, bounds, margin, state tree and transition.
//!
//! A type is here only if the state root, a public input or a signed message commits to it. Nothing
//! in this crate does I/O, reads a clock, draws randomness or panics on input.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod account;
pub mod bounds;
pub mod close;
pub mod data;
pub mod entry;
pub mod epoch;
pub mod forest;
pub mod genesis;
pub mod hash;
pub mod header;
pub mod instrument;
pub mod journal;
pub mod ledger;
pub mod listing;
pub mod margin;
pub mod message;
pub mod oracle;
pub mod order;
pub mod orders;
pub mod posting;
pub mod queue;
pub mod signature;
pub mod socialisation;
pub mod state;
pub mod table;
pub mod terms;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::arithmetic_side_effects, clippy::expect_used)]
pub mod testing;
pub mod tick;
pub mod tree;
pub mod trial_balance;
pub mod types;
pub mod wire;
