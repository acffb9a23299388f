//! One run of a farm: its workers' threads, and the thread that keeps their leases.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tally_jobs::queue::Failure;
use tally_jobs::{Job, JobId, Lease, LeaseRequest, ProofPart, QueueError, Statement, Wire};

use super::{Bell, Farm, specs};
use crate::error::ProveError;

/// Ends of leases and delays ring no bell.
const POLL: Duration = Duration::from_millis(200);

pub(super) struct Run<'r> {
    farm: Farm<'r>,
    stop: &'r AtomicBool,
    is_over: &'r (dyn Fn() -> bool + Sync),
    load: Mutex<Load>,
    bell: Bell,
    /// All workers have ended.
    ended: AtomicBool,
}

/// What runs.
#[derive(Default)]
struct Load {
    memory_mb: u64,
    leases: BTreeMap<u64, Lease>,
    /// The queue's first error; nothing more is begun.
    broken: Option<QueueError>,
}

enum Outcome {
    Done {
        reused: bool,
    },
    /// Children's proofs that are gone.
    Lost(Vec<JobId>),
}

impl<'r> Run<'r> {
    pub(super) fn new(
        farm: Farm<'r>,
        stop: &'r AtomicBool,
        is_over: &'r (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self {
            farm,
            stop,
            is_over,
            load: Mutex::default(),
            bell: Bell::default(),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn run(self) -> Result<(), ProveError> {
        thread::scope(|scope| {
            scope.spawn(|| self.keep_leases());
            let workers: Vec<_> = (0..self.farm.limits.workers.max(1))
                .map(|number| {
                    let name = format!("{}.{number}", std::process::id());
                    let run = &self;
                    scope.spawn(move || run.work(&name))
                })
                .collect();
            for worker in workers {
                // What a job panics with is caught where the job runs.
                let _ = worker.join();
            }
            self.ended.store(true, Ordering::Release);
            self.ring();
        });
        let load = self.load.into_inner();
        match load.unwrap_or_else(PoisonError::into_inner).broken {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn work(&self, name: &str) {
        loop {
            let seen = self.bell.rings();
            let broken = self.lock().broken.is_some();
            if broken || self.stop.load(Ordering::Relaxed) || (self.is_over)() {
                return;
            }
            match self.take(name) {
                Ok(Some(lease)) => self.serve(&lease),
                Ok(None) => self.bell.wait(seen, POLL),
                Err(error) => self.broke(error),
            }
        }
    }

    /// A job that fits beside what runs; if nothing runs, any.
    fn take(&self, name: &str) -> Result<Option<Lease>, QueueError> {
        // Held while the queue decides, or two workers would share the same free memory.
        let mut load = self.lock();
        let free = self.farm.limits.memory_mb.saturating_sub(load.memory_mb);
        let request = LeaseRequest {
            worker: name.to_owned(),
            lane: None,
            memory_mb: match load.leases.is_empty() {
                true => u32::MAX,
                false => u32::try_from(free).unwrap_or(u32::MAX),
            },
            lasts: self.farm.lease,
        };
        let lease = self.farm.queue.lease(&request, self.farm.clock.now())?;
        if let Some(lease) = &lease {
            load.memory_mb += u64::from(lease.memory_mb);
            load.leases.insert(lease.token, lease.clone());
        }
        Ok(lease)
    }

    fn serve(&self, lease: &Lease) {
        let (label, outcome) = match Job::decode(&lease.payload) {
            Ok(job) => {
                let label = job.label();
                self.farm.progress.started(&label);
                let done = catch_unwind(AssertUnwindSafe(|| self.perform(&job)));
                let panicked = |_| {
                    let label = label.clone();
                    Err(ProveError::Panicked { label })
                };
                let outcome = done.unwrap_or_else(panicked);
                let told = !matches!(job, Job::Batch(_));
                if let (Ok(Outcome::Done { reused }), true) = (&outcome, told) {
                    self.farm.progress.finished(&label, *reused);
                }
                (label, outcome)
            }
            Err(error) => (lease.id.to_string(), Err(error.into())),
        };
        let (queue, now) = (self.farm.queue, self.farm.clock.now());
        let answered = match outcome {
            Ok(Outcome::Done { .. }) => queue.ack(lease, &[], now),
            Ok(Outcome::Lost(inputs)) => queue.reopen(lease, &inputs, now),
            Err(ProveError::Stopped) => queue.release(lease, now),
            Err(error) => self.fail(lease, &label, &error.failure()),
        };
        let mut load = self.lock();
        load.memory_mb -= u64::from(lease.memory_mb);
        load.leases.remove(&lease.token);
        drop(load);
        match answered {
            Ok(()) => {}
            // Too late, and another has it: what is done is in the store.
            Err(QueueError::Lost(_)) => {
                tracing::warn!(job = %lease.id, label, "its lease was lost")
            }
            Err(error) => self.broke(error),
        }
        self.ring();
    }

    fn fail(&self, lease: &Lease, label: &str, failure: &Failure) -> Result<(), QueueError> {
        let again = self
            .farm
            .queue
            .nack(lease, failure, self.farm.clock.now())?;
        self.farm.progress.failed(label, failure, again);
        Ok(())
    }

    /// Has a job done, unless it is done already, and keeps the result.
    fn perform(&self, job: &Job) -> Result<Outcome, ProveError> {
        match job {
            Job::Batch(batch) => {
                let stored = self.farm.store.plan(batch.id())?;
                let reused = stored.is_some();
                let plan = match stored {
                    Some(plan) => plan,
                    None => self.farm.worker.plan(batch)?,
                };
                plan.check()?;
                if plan.job != batch.id() {
                    return Err(ProveError::Unknown(format!("plan of {:?}", plan.job)));
                }
                if !reused {
                    self.farm.store.save_plan(&plan)?;
                }
                let first = batch.epochs.first().map_or(0, |epoch| epoch.epoch);
                let jobs = specs(&plan, first, self.farm.attempts);
                let new = self.farm.queue.push(&jobs, self.farm.clock.now())?;
                self.farm.progress.planned(new);
                Ok(Outcome::Done { reused })
            }
            Job::Segment(segment) => self.prove(job, &segment.statement, &[]),
            Job::Join(join) => self.prove(job, &join.statement, &join.children),
        }
    }

    fn prove(
        &self,
        job: &Job,
        statement: &Statement,
        needs: &[tally_jobs::job::Child],
    ) -> Result<Outcome, ProveError> {
        if self.stored(job.id(), statement)?.is_some() {
            return Ok(Outcome::Done { reused: true });
        }
        let (mut children, mut lost) = (Vec::new(), Vec::new());
        for child in needs {
            match self.stored(child.job, &child.statement)? {
                Some(proof) => children.push(proof),
                None => lost.push(child.job),
            }
        }
        if !lost.is_empty() {
            return Ok(Outcome::Lost(lost));
        }
        let proof = self.farm.worker.prove(job, &children)?;
        // A witness that breaks a constraint, or a worker that lies, shows here.
        self.farm.judge.accepts(statement, &proof)?;
        let part = ProofPart {
            job: job.id(),
            proof,
        };
        self.farm.store.save_part(&part)?;
        Ok(Outcome::Done { reused: false })
    }

    /// A proof that is there and accepted.
    fn stored(&self, id: JobId, statement: &Statement) -> Result<Option<Vec<u8>>, ProveError> {
        let Some(part) = self.farm.store.part(id)? else {
            return Ok(None);
        };
        match self.farm.judge.accepts(statement, &part.proof) {
            Ok(()) => Ok(Some(part.proof)),
            Err(error) => {
                tracing::warn!(job = %id, %error, "a stored proof counts as none");
                Ok(None)
            }
        }
    }

    /// Renews what runs, thrice in a lease, until all workers have ended.
    fn keep_leases(&self) {
        let pause = Duration::from_millis((self.farm.lease / 3).max(1));
        while self.rests(pause) {
            let held: Vec<Lease> = self.lock().leases.values().cloned().collect();
            let now = self.farm.clock.now();
            for lease in held {
                match self.farm.queue.renew(&lease, self.farm.lease, now) {
                    // Lost, or finished since: who serves it hears of it.
                    Ok(()) | Err(QueueError::Lost(_) | QueueError::Unknown(_)) => {}
                    Err(error) => self.broke(error),
                }
            }
        }
    }

    /// For a while; false as soon as all workers have ended.
    fn rests(&self, pause: Duration) -> bool {
        let start = Instant::now();
        loop {
            let seen = self.bell.rings();
            let ended = self.ended.load(Ordering::Acquire);
            if ended || start.elapsed() >= pause {
                return !ended;
            }
            self.bell.wait(seen, pause.saturating_sub(start.elapsed()));
        }
    }

    fn broke(&self, error: QueueError) {
        tracing::error!(%error, "the queue fails");
        self.lock().broken.get_or_insert(error);
        self.ring();
    }

    fn ring(&self) {
        self.bell.ring();
        if let Some(bell) = self.farm.bell {
            bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
