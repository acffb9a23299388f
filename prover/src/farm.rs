//! Workers on a queue: takes jobs that fit under a memory bound, has them done, judges what comes
//! back, keeps it, and says so to the queue.
//!
//! One that exceeds the bound alone runs alone. While a job runs its lease is renewed; a worker
//! that panics has failed, a process that dies lets its leases end. What is done is stored before
//! the queue hears of it, so a job whose lease was lost meanwhile is found finished by the next.

mod bell;
mod run;

use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use tally_jobs::queue::{Failure, Rank};
use tally_jobs::{BatchJob, BatchPlan, Job, JobSpec, Millis, Priority, Queue, Statement, Wire};
use tally_protocol::hash::Digest;

pub use bell::Bell;

use crate::error::ProveError;
use crate::store::Store;

/// How much may run at once. Inside a proof, rayon spreads the work over its own threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub workers: usize,
    /// For jobs, apart from the built circuits.
    pub memory_mb: u64,
}

impl Default for Limits {
    /// Two workers hide the sequential parts of a proof behind another one.
    fn default() -> Self {
        Self {
            workers: 2,
            memory_mb: 2_048,
        }
    }
}

/// Is told what happens, from the workers' threads.
pub trait Progress: Sync {
    /// So many jobs more there will be.
    fn planned(&self, _jobs: usize) {}
    fn started(&self, _label: &str) {}
    /// `reused`: the proof was there already.
    fn finished(&self, _label: &str, _reused: bool) {}
    /// `again`: it will be tried again.
    fn failed(&self, _label: &str, _failure: &Failure, _again: bool) {}
}

impl Progress for () {}

/// Does jobs: on processors, on a GPU, or as a test wants it. It is not trusted.
pub trait Worker: Send + Sync {
    /// The jobs of a batch.
    fn plan(&self, job: &BatchJob) -> Result<BatchPlan, ProveError>;

    /// The bytes of a segment's or a join's proof; the children's are in their order.
    fn prove(&self, job: &Job, children: &[Vec<u8>]) -> Result<Vec<u8>, ProveError>;
}

/// Says whether a proof shows what it is to show.
pub trait Judge: Send + Sync {
    fn accepts(&self, statement: &Statement, proof: &[u8]) -> Result<(), ProveError>;

    /// The file of a batch, from its plan and its root's proof.
    fn settle(&self, plan: &BatchPlan, proof: &[u8]) -> Result<SettledBatch, ProveError>;
}

/// A batch's file, and what it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledBatch {
    pub bytes: Vec<u8>,
    pub first_epoch: u64,
    pub last_epoch: u64,
    pub state_before: Digest,
    pub state_after: Digest,
}

pub trait Clock: Send + Sync {
    fn now(&self) -> Millis;
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 makes every lease look fresh, which only delays.
        since.map_or(0, |since| since.as_millis() as Millis)
    }
}

/// A process's workers.
#[derive(Clone, Copy)]
pub struct Farm<'a> {
    queue: &'a dyn Queue,
    store: &'a Store,
    worker: &'a dyn Worker,
    judge: &'a dyn Judge,
    clock: &'a dyn Clock,
    limits: Limits,
    progress: &'a dyn Progress,
    /// Rings when something is finished.
    bell: Option<&'a Bell>,
    lease: Millis,
    attempts: u32,
}

impl std::fmt::Debug for Farm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Farm({:?}, leases of {} ms)", self.limits, self.lease)
    }
}

/// How long a job is held by a worker that no longer answers.
pub const LEASE_MS: Millis = 30_000;
/// Of a proof: a witness that is refused is so again, a full disk is not.
pub const ATTEMPTS: u32 = 3;

impl<'a> Farm<'a> {
    pub fn new(
        queue: &'a dyn Queue,
        store: &'a Store,
        worker: &'a dyn Worker,
        judge: &'a dyn Judge,
        clock: &'a dyn Clock,
    ) -> Self {
        Self {
            queue,
            store,
            worker,
            judge,
            clock,
            limits: Limits::default(),
            progress: &(),
            bell: None,
            lease: LEASE_MS,
            attempts: ATTEMPTS,
        }
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    #[must_use]
    pub fn reports_to(mut self, progress: &'a dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    #[must_use]
    pub fn rings(mut self, bell: &'a Bell) -> Self {
        self.bell = Some(bell);
        self
    }

    /// How long a lease lasts, and how often the jobs of a plan may fail.
    #[must_use]
    pub fn leases(mut self, lease: Millis, attempts: u32) -> Self {
        self.lease = lease.max(1);
        self.attempts = attempts.max(1);
        self
    }

    /// Works until `is_over` or a stop; jobs that run then are finished first. An error is the
    /// queue's own: jobs' failures are the queue's to keep.
    pub fn run(
        &self,
        stop: &AtomicBool,
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), ProveError> {
        run::Run::new(*self, stop, is_over).run()
    }
}

/// A batch's jobs for the queue.
pub fn specs(plan: &BatchPlan, first_epoch: u32, attempts: u32) -> Vec<JobSpec> {
    let spec = |(order, planned): (u32, &tally_jobs::part::PlannedJob)| {
        let rank = match planned.job {
            Job::Batch(_) => Rank::Plan,
            Job::Segment(_) => Rank::Segment,
            Job::Join(_) => Rank::Join,
        };
        JobSpec {
            id: planned.job.id(),
            payload: planned.job.encode(),
            after: planned.job.after(),
            priority: Priority {
                batch: first_epoch,
                rank,
                order,
            },
            memory_mb: planned.memory_mb,
            attempts,
        }
    };
    (0..).zip(&plan.jobs).map(spec).collect()
}
