//! From the epochs' witnesses to one proof of a batch: parallel, resumable, within a memory bound.
//!
//! `segment` says what a segment's author provides, `circuits` builds and keeps the circuits,
//! `plan` fixes commitments, challenges and the batch's point before anything is proven, `work`
//! proves and judges, with the circuits' `gates` in vectors, `farm` runs workers on a queue,
//! `store` keeps their proofs. `batch` proves one batch in this process, `service` one batch after
//! the other as epochs close.

pub mod batch;
pub mod check;
pub mod circuits;
pub mod epoch;
pub mod error;
pub mod farm;
pub mod gates;
pub mod measure;
pub mod plan;
pub mod release;
pub mod rows;
pub mod segment;
pub mod service;
pub mod store;
pub mod work;

pub use batch::{EpochInput, Prover};
pub use circuits::Circuits;
pub use error::ProveError;
pub use farm::{Limits, Progress};
pub use segment::{SegmentInput, SegmentType};
pub use store::Store;
