//! The queue that carries jobs: the seam between who wants them done and who does them.
//!
//! | from | by | to |
//! |---|---|---|
//! | – | `push` | waiting for its inputs, or ready |
//! | waiting | the last input's `ack` | ready |
//! | ready | `lease` | leased until a time |
//! | leased | `renew` | leased until a later time |
//! | leased | `ack` | done, with its result |
//! | leased | `nack`, retries left | ready after a delay that doubles |
//! | leased | `nack`, none left | failed, and with it whatever waits for it |
//! | leased | `release`, or the lease's end | ready; no retry is spent |
//! | leased | `reopen` | waiting for inputs whose results were lost; those are done again |
//! | failed | `revive` | as if just pushed |
//!
//! A job's id is the hash of what it achieves, so pushing it twice is pushing it once. Time is
//! passed in, in milliseconds since 1970, and never taken. What crosses is values, so that the
//! implementation may be a process's memory, a disk, or a server.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::JobId;

/// Milliseconds since 1970.
pub type Millis = u64;

/// Jobs above this estimate are heavy.
pub const LIGHT_MB: u32 = 1_024;
/// A job whose leases ended so often goes behind all others: it may be what kills its workers.
pub const SUSPECT_DEATHS: u32 = 3;
/// Delay after the first failure; it doubles with each.
pub const RETRY_MS: Millis = 1_000;
pub const MAX_RETRY_MS: Millis = 60_000;

/// What a job is to its batch; the earlier goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rank {
    /// Lets proofs go that are kept for it.
    Join,
    Segment,
    /// Makes new work.
    Plan,
}

/// Older batches first, then by rank, then in the plan's order: neighbours share an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Priority {
    /// Rises with the batches: the first epoch.
    pub batch: u32,
    pub rank: Rank,
    pub order: u32,
}

/// Which workers take a job, by its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    Light,
    Heavy,
}

impl Lane {
    pub fn of(memory_mb: u32) -> Self {
        match memory_mb > LIGHT_MB {
            true => Self::Heavy,
            false => Self::Light,
        }
    }
}

/// A job as the queue sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    pub id: JobId,
    /// For the worker; the queue does not look into it.
    pub payload: Vec<u8>,
    /// Jobs whose results it needs: pushed before it, or with it and before it.
    pub after: Vec<JobId>,
    pub priority: Priority,
    pub memory_mb: u32,
    /// How often it may fail, at least 1. Workers' deaths don't count.
    pub attempts: u32,
}

/// Who asks for a job, and what it can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    pub worker: String,
    /// This lane only; none for either.
    pub lane: Option<Lane>,
    /// What is free.
    pub memory_mb: u32,
    /// The lease ends so long after now, unless it is renewed.
    pub lasts: Millis,
}

/// The right to finish a job, until its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Never given twice.
    pub token: u64,
    pub id: JobId,
    pub payload: Vec<u8>,
    pub memory_mb: u32,
    pub until: Millis,
    /// Before this lease.
    pub failures: u32,
    pub deaths: u32,
}

/// Why a job failed, by the rule's stable name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// For so many inputs.
    Waiting {
        inputs: Vec<JobId>,
    },
    /// From a time on.
    Ready {
        from: Millis,
    },
    Leased {
        worker: String,
        token: u64,
        until: Millis,
    },
    Done {
        result: Vec<u8>,
    },
    /// `cause` is the job itself, or the input that failed.
    Failed {
        cause: JobId,
        failure: Failure,
    },
}

/// A job's state and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    pub state: JobState,
    pub failures: u32,
    pub deaths: u32,
}

/// Jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub waiting: u64,
    pub ready: u64,
    pub leased: u64,
    pub done: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueueError {
    #[error("[queue.lost] the lease of {0:?} has ended")]
    Lost(JobId),
    #[error("[queue.unknown] no job {0:?}")]
    Unknown(JobId),
    #[error("[queue.input] {job:?} needs {input:?}, which is not there")]
    Input { job: JobId, input: JobId },
    #[error("[queue.storage] {0}")]
    Storage(String),
    #[error("[queue.corrupt] {0}")]
    Corrupt(String),
}

impl QueueError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lost(_) => "queue.lost",
            Self::Unknown(_) => "queue.unknown",
            Self::Input { .. } => "queue.input",
            Self::Storage(_) => "queue.storage",
            Self::Corrupt(_) => "queue.corrupt",
        }
    }
}

/// Every call is one transition: it happened wholly or not at all.
pub trait Queue: Send + Sync {
    /// Adds jobs; those that are there already stay as they are. The number that is new.
    fn push(&self, jobs: &[JobSpec], now: Millis) -> Result<usize, QueueError>;

    /// The first ready job that fits, by deaths, priority and id; leases whose time is up end.
    fn lease(&self, request: &LeaseRequest, now: Millis) -> Result<Option<Lease>, QueueError>;

    /// In progress: the lease lasts from now on.
    fn renew(&self, lease: &Lease, lasts: Millis, now: Millis) -> Result<(), QueueError>;

    fn ack(&self, lease: &Lease, result: &[u8], now: Millis) -> Result<(), QueueError>;

    /// Failed; whether it may be tried again.
    fn nack(&self, lease: &Lease, failure: &Failure, now: Millis) -> Result<bool, QueueError>;

    /// Gives it back undone, as on a stop.
    fn release(&self, lease: &Lease, now: Millis) -> Result<(), QueueError>;

    /// The results of these inputs of it are lost: they are done again before it is.
    fn reopen(&self, lease: &Lease, inputs: &[JobId], now: Millis) -> Result<(), QueueError>;

    /// Gives failed jobs a fresh set of attempts. Their number.
    fn revive(&self, now: Millis) -> Result<usize, QueueError>;

    /// Forgets those of the jobs that are finished and that nothing waits for. Their number.
    fn remove(&self, jobs: &[JobId]) -> Result<usize, QueueError>;

    fn view(&self, id: JobId) -> Result<Option<JobView>, QueueError>;

    fn counts(&self) -> Result<Counts, QueueError>;
}

/// How long a job rests after its n-th failure.
pub fn retry_delay(failures: u32) -> Millis {
    let doublings = failures.saturating_sub(1).min(16);
    (RETRY_MS << doublings).min(MAX_RETRY_MS)
}
