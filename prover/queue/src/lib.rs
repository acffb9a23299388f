//! The prover's job queue, `tally_jobs::queue::Queue`, in memory and durable on RocksDB.
//!
//! `machine` has the transitions, once; `storage` is what they need of a place to keep records,
//! `memory` and `rocks` are two such places. Each transition is one atomic write, so a process that
//! is killed at any point finds the queue between two transitions.

mod machine;
mod memory;
mod record;
mod rocks;
mod storage;

pub use machine::StoredQueue;
pub use memory::{MemoryQueue, memory_queue};
pub use rocks::{RocksQueue, rocks_queue};
