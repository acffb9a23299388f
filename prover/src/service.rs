//! Proves epochs as they close, batch after batch, resumable at any point.
//!
//! ```text
//! inbox ─► ledger (which epochs make a batch) ─► queue: plan ─► segments ─► joins ─► root
//!                                                                                    │
//! status.json ◄─ ledger (proven through) ◄─ batch-FIRST-LAST.proof ◄─ verified again ┘
//! ```
//!
//! Each arrow is durable before the next begins and may be gone again, so a process that is killed
//! anywhere goes on where it was (docs/prover-service.md). Batches settle in order, each from the
//! state that the one before it left.

mod epochs;
mod ledger;
mod settle;
mod waiting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tally_jobs::queue::{Failure, JobState, Rank};
use tally_jobs::status::{BatchStatus, FailedJob};
use tally_jobs::{
    Inbox, InboxError, Job, JobSpec, Millis, Priority, ProverStatus, Queue, QueueError, Wire,
};
use tally_protocol::hash::Digest;
use thiserror::Error;

pub use epochs::InboxEpochs;
pub use settle::proof_file;

use crate::error::ProveError;
use crate::farm::{Bell, Clock, Farm, Judge, Limits, Progress, Worker};
use crate::store::Store;
use ledger::{Batch, Ledger, Root};
use waiting::{Waiting, next_batch};

/// Planning a batch holds its epochs' witnesses, some times their encoding.
const PLAN_MB: u32 = 512;

#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("[service.ledger] {}: {reason}", path.display())]
    Ledger { path: PathBuf, reason: String },
    #[error("[service.release] batches of release {found:?} are open, this build proves {built:?}")]
    Release { found: Digest, built: Digest },
    #[error("[service.status] {0}")]
    Status(std::io::Error),
    #[error(
        "[service.chain] the batch of epochs {first} to {last} does not go on where the one before \
         it ended"
    )]
    Chain { first: u64, last: u64 },
    #[error("[{code}] {0}", code = .0.code())]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl ServiceError {
    pub fn code(&self) -> &str {
        match self {
            Self::Ledger { .. } => "service.ledger",
            Self::Release { .. } => "service.release",
            Self::Status(_) => "service.status",
            Self::Chain { .. } => "service.chain",
            Self::Prove(error) => error.code(),
            Self::Inbox(error) => error.code(),
            Self::Queue(error) => error.code(),
        }
    }
}

/// What an operator chooses.
#[derive(Clone, Copy, Debug)]
pub struct ServiceConfig {
    /// A batch is full with so many epochs.
    pub epochs_per_batch: u32,
    /// Before its L1 data would have more bytes \[P6\]; an epoch that alone has more is a batch.
    pub most_data_bytes: usize,
    /// A batch is closed when its first epoch has waited so long.
    pub batch_ms: Millis,
    /// Where a fresh prover begins.
    pub first_epoch: u32,
    pub limits: Limits,
    pub lease_ms: Millis,
    pub attempts: u32,
    /// Witnesses and parts stay when their batch has its file.
    pub keep: bool,
    /// How often the inbox is looked at.
    pub poll: Duration,
    /// Ends when all that is in the inbox is proven, the last batch full or not.
    pub drain: bool,
}

/// What a service works with.
#[allow(missing_debug_implementations)]
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub inbox: &'a dyn Inbox,
    pub queue: &'a dyn Queue,
    pub store: &'a Store,
    pub worker: &'a dyn Worker,
    pub judge: &'a dyn Judge,
    pub clock: &'a dyn Clock,
    pub progress: &'a dyn Progress,
    /// For the ledger, the proof files and the status.
    pub directory: &'a Path,
    /// Digest of the batch circuit that it proves with.
    pub release: Digest,
}

/// One prover.
pub struct Service<'a> {
    parts: Parts<'a>,
    config: ServiceConfig,
    ledger: Ledger,
    /// Epochs that follow without a gap and are in no batch yet.
    pending: Vec<Waiting>,
    told: Option<ProverStatus>,
}

impl std::fmt::Debug for Service<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({:?}, {:?})", self.config, self.ledger)
    }
}

impl<'a> Service<'a> {
    /// Takes up what an earlier process left.
    pub fn open(parts: Parts<'a>, config: ServiceConfig) -> Result<Self, ServiceError> {
        let ledger = Ledger::load(parts.directory, config.first_epoch)?;
        if let Some(other) = ledger.open.iter().find(|it| it.release.0 != parts.release) {
            return Err(ServiceError::Release {
                found: other.release.0,
                built: parts.release,
            });
        }
        let service = Self {
            parts,
            config,
            ledger,
            pending: Vec::new(),
            told: None,
        };
        for batch in &service.ledger.open {
            service.push(batch)?;
        }
        Ok(service)
    }

    /// Until a stop; or, draining, until nothing is left or a failed batch blocks the rest.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<ProverStatus, ServiceError> {
        let (bell, over) = (Bell::default(), AtomicBool::new(false));
        let Parts {
            queue,
            store,
            worker,
            judge,
            clock,
            progress,
            ..
        } = self.parts;
        let farm = Farm::new(queue, store, worker, judge, clock)
            .limits(self.config.limits)
            .leases(self.config.lease_ms, self.config.attempts)
            .reports_to(progress)
            .rings(&bell);
        let is_over = || over.load(Ordering::Acquire);
        thread::scope(|scope| {
            let farm = scope.spawn(|| {
                let done = farm.run(stop, &is_over);
                bell.ring();
                done
            });
            let mut result = Ok(());
            while result.is_ok() && !stop.load(Ordering::Relaxed) && !farm.is_finished() {
                let seen = bell.rings();
                match self.turn() {
                    Ok(true) => break,
                    Ok(false) => bell.wait(seen, self.config.poll),
                    Err(error) => result = Err(error),
                }
            }
            over.store(true, Ordering::Release);
            let farm = farm.join();
            result?;
            farm.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok::<_, ServiceError>(())
        })?;
        self.report()
    }

    /// Everything that can be done now; whether a draining service has come to its end.
    fn turn(&mut self) -> Result<bool, ServiceError> {
        self.receive()?;
        self.form()?;
        while self.settle_first()? {}
        self.clean()?;
        let status = self.report()?;
        let blocked = status
            .batches
            .first()
            .is_some_and(|it| it.failure.is_some());
        let idle = status.batches.is_empty() && self.pending.is_empty();
        Ok(self.config.drain && (idle || blocked))
    }

    /// Epochs that have come and follow the last one.
    fn receive(&mut self) -> Result<(), ServiceError> {
        let now = self.parts.clock.now();
        let there = self.parts.inbox.epochs()?;
        let pending = self.pending.len() as u32;
        let mut next = self.ledger.next_epoch.saturating_add(pending);
        for epoch in there {
            if epoch != next {
                continue;
            }
            let Some((found, bytes)) = self.parts.inbox.bytes(epoch)? else {
                break;
            };
            tracing::info!(epoch, witness = %found.witness, "an epoch has come");
            self.pending.push(Waiting::new(found, now, &bytes));
            next = next.saturating_add(1);
        }
        Ok(())
    }

    /// Makes batches of what waits, as far as they are full or due.
    fn form(&mut self) -> Result<(), ServiceError> {
        let now = self.parts.clock.now();
        let most = self.config.epochs_per_batch.max(1) as usize;
        let most_bytes = self.config.most_data_bytes;
        while let Some(first) = self.pending.first() {
            let due = now.saturating_sub(first.since) >= self.config.batch_ms;
            let (count, is_full) = next_batch(&self.pending, most, most_bytes);
            if !is_full && !due && !self.config.drain {
                break;
            }
            if first.data_bytes > most_bytes {
                let (epoch, bytes) = (first.epoch.epoch, first.data_bytes);
                tracing::warn!(
                    epoch,
                    bytes,
                    most_bytes,
                    "more L1 data than a transaction carries"
                );
            }
            let taken = self.pending.drain(..count);
            let batch = Batch {
                release: Root(self.parts.release),
                epochs: taken.map(|it| it.epoch).collect(),
            };
            let (first_epoch, last_epoch) = batch.ends();
            tracing::info!(first_epoch, last_epoch, job = %batch.id(), "a batch is formed");
            self.ledger.next_epoch = last_epoch.saturating_add(1);
            self.ledger.open.push(batch.clone());
            // Which epochs make the batch is written before anything is made for it: after a
            // restart it is the same batch, with the same jobs.
            self.ledger.save(self.parts.directory)?;
            self.push(&batch)?;
        }
        Ok(())
    }

    fn push(&self, batch: &Batch) -> Result<(), ServiceError> {
        let (job, now) = (batch.job(), self.parts.clock.now());
        let spec = JobSpec {
            id: job.id(),
            payload: Job::Batch(job).encode(),
            after: Vec::new(),
            priority: Priority {
                batch: batch.ends().0,
                rank: Rank::Plan,
                order: 0,
            },
            memory_mb: PLAN_MB,
            attempts: self.config.attempts.max(1),
        };
        self.parts.queue.push(&[spec], now)?;
        Ok(())
    }

    /// Tells how far it is, where that changed.
    fn report(&mut self) -> Result<ProverStatus, ServiceError> {
        let mut batches = Vec::new();
        for batch in &self.ledger.open {
            batches.push(self.batch_status(batch)?);
        }
        let last = self.pending.last().map(|it| it.epoch.epoch);
        let batched = self.ledger.open.last().map(|batch| batch.ends().1);
        let batched_through = batched.or(self.ledger.proven_through);
        let mut status = ProverStatus {
            proven_through: self.ledger.proven_through,
            batched_through,
            received_through: last.or(batched_through),
            batches,
            jobs: self.parts.queue.counts()?,
            at: self.told.as_ref().map_or(0, |told| told.at),
        };
        if self.told.as_ref() != Some(&status) {
            status.at = self.parts.clock.now();
            let written = status.write(self.parts.directory);
            written.map_err(ServiceError::Status)?;
            self.told = Some(status.clone());
        }
        Ok(status)
    }

    fn batch_status(&self, batch: &Batch) -> Result<BatchStatus, ServiceError> {
        let (first_epoch, last_epoch) = batch.ends();
        let mut status = BatchStatus {
            first_epoch,
            last_epoch,
            ..BatchStatus::default()
        };
        let id = batch.id();
        let failed = |job, label: &str, failure: &Failure| FailedJob {
            job,
            label: label.to_owned(),
            failure: failure.clone(),
        };
        match self.parts.queue.view(id)?.map(|view| view.state) {
            Some(JobState::Failed { failure, .. }) => {
                let label = Job::Batch(batch.job()).label();
                status.failure = Some(failed(id.to_string(), &label, &failure));
            }
            Some(JobState::Done { .. }) => {
                let Some(plan) = self.parts.store.plan(id)? else {
                    return Ok(status);
                };
                let labels = plan.jobs.iter().map(|it| (it.job.id(), it.job.label()));
                let labels: BTreeMap<_, _> = labels.collect();
                status.jobs = labels.len() as u64;
                for job in labels.keys() {
                    match self.parts.queue.view(*job)?.map(|view| view.state) {
                        Some(JobState::Done { .. }) => status.done += 1,
                        Some(JobState::Failed { cause, failure }) => {
                            let label = labels.get(&cause).map_or("", String::as_str);
                            let failure = failed(cause.to_string(), label, &failure);
                            status.failure.get_or_insert(failure);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(status)
    }
}
