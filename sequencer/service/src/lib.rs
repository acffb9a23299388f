//! The sequencer as a service: the log of commands, the one writer, the traders' API.
//!
//! A command comes in at `api`, its signatures are checked by `intake` in batches, the `writer`
//! applies it to the engine and makes it durable in the `store`, and only then it is answered and
//! told to the channels of the `hub`. `lanes` are the bounded queues between (docs/api.md).
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod api;
pub mod clock;
pub mod closer;
pub mod deployment;
pub mod hub;
pub mod intake;
pub mod lanes;
pub mod limits;
pub mod metrics;
pub mod oracle;
pub mod process;
pub mod service;
pub mod start;
pub mod store;
pub mod teller;
pub mod writer;
