//! The sequencer as a service: the log of commands, the one writer, the traders' API.
//!
//! `store` is what survives, `lanes` the bounded queues before the writer (docs/api.md).

pub mod hub;
pub mod lanes;
pub mod limits;
pub mod store;
