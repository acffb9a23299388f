//! Where sequencer and prover meet: epochs' witnesses, jobs, their parts and results, and the
//! queue that carries them.
//!
//! Everything here is data with one encoding (`wire`), named by the hash of what it says (`id`), so
//! that a job done twice is the same job and nothing depends on who did it. `queue` and `inbox` are
//! traits without closures or clocks: what implements them may be a process, a disk or a network.

pub mod files;
pub mod id;
pub mod inbox;
pub mod job;
pub mod part;
pub mod queue;
pub mod status;
pub mod wire;
pub mod witness;

pub use id::{Address, JobId};
pub use inbox::{DirectoryInbox, Inbox, InboxError};
pub use job::{BatchJob, EpochRef, Job, JoinJob, SegmentJob, Statement};
pub use part::{BatchPlan, ProofPart};
pub use queue::{JobSpec, Lane, Lease, LeaseRequest, Millis, Priority, Queue, QueueError, Rank};
pub use status::ProverStatus;
pub use wire::{Wire, WireError};
pub use witness::EpochWitness;
