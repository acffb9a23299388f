//! From the epochs' witnesses to one proof of a batch: parallel, resumable, within a memory bound.
//!
//! `segment` says what a segment's author provides, `circuits` builds and keeps the circuits,
//! `plan` fixes commitments, challenges and the batch's point before anything is proven, `pool`
//! runs the jobs, `store` keeps their proofs, and `batch` puts it together.

pub mod batch;
pub mod check;
pub mod circuits;
pub mod epoch;
pub mod error;
pub mod measure;
pub mod plan;
pub mod pool;
pub mod release;
pub mod rows;
pub mod segment;
pub mod store;

pub use batch::{EpochInput, Prover};
pub use circuits::Circuits;
pub use error::ProveError;
pub use pool::{Limits, Progress};
pub use segment::{SegmentInput, SegmentType};
pub use store::Store;
