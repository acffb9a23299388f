//! The sequencer's core: a deterministic state machine with one writer, without I/O, clock or
//! threads. A service feeds it verified commands in the order of its write-ahead log and publishes
//! the events that come back (docs/sequencer.md).
//!
//! It never links the circuit builder or the prover: what they need of an epoch is a
//! `ClosedEpoch`.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod book;
pub mod close;
pub mod command;
pub mod config;
pub mod engine;
pub mod event;
pub mod reject;
pub mod snapshot;
#[cfg(feature = "testing")]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
pub mod testing;
pub mod watch;

pub use close::{ClosedEpoch, Closer, Closing};
pub use engine::Engine;
