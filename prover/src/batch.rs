//! Proves batches in this process: the queue is in memory, finished proofs are kept on disk.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tally_circuits::batch::BatchFile;
use tally_circuits::segment::PassingChains;
use tally_jobs::queue::JobState;
use tally_jobs::{Address, BatchJob, EpochRef, Queue, QueueError};
use tally_protocol::header::Context;
use tally_queue::memory_queue;

use crate::circuits::Circuits;
use crate::error::ProveError;
use crate::farm::{Farm, Limits, Progress, SystemClock, specs};
use crate::plan::Plan;
use crate::segment::SegmentInput;
use crate::store::Store;
use crate::work::{CircuitJudge, Epochs, ProofWorker};

/// What the native run hands over for one epoch.
#[derive(Clone, Debug)]
pub struct EpochInput {
    pub context: Context,
    /// Roots as the epoch begins.
    pub start: PassingChains,
    /// Segments in the order of their chains; all but data segments.
    pub main: Vec<SegmentInput>,
    /// Data segments, in the order of their lists.
    pub data: Vec<SegmentInput>,
    /// The epoch's part of the L1 data \[P6\].
    pub words: Vec<u64>,
}

/// Proves batches with a release's circuits.
pub struct Prover<'a> {
    pub circuits: &'a Circuits,
    pub store: &'a Store,
    pub limits: Limits,
    pub progress: &'a dyn Progress,
    /// Set it to stop after the jobs that run.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Prover<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prover({:?})", self.limits)
    }
}

impl Prover<'_> {
    /// The batch's file; finished proofs of an earlier run are reused. The first failure ends it.
    pub fn prove(&self, epochs: &[EpochInput]) -> Result<BatchFile, ProveError> {
        let inputs: Vec<&EpochInput> = epochs.iter().collect();
        let planned = Plan::new(self.circuits, &inputs)?;
        let held = Held(epochs.iter().cloned().map(Arc::new).collect());
        let job = BatchJob {
            release: self.circuits.batch_digest()?,
            epochs: held.refs(),
        };
        let plan = planned.jobs(job.id(), &job.epochs)?;
        let root = plan.root().ok_or(ProveError::Empty)?.id();
        let queue = memory_queue();
        let jobs = specs(&plan, 0, 1);
        queue.push(&jobs, 0)?;
        self.progress.planned(jobs.len());
        let judge = CircuitJudge::new(self.circuits);
        let worker = ProofWorker {
            circuits: self.circuits,
            epochs: &held,
        };
        let farm = Farm::new(&queue, self.store, &worker, &judge, &SystemClock)
            .limits(self.limits)
            .reports_to(self.progress);
        let state = || -> Result<JobState, QueueError> {
            let view = queue.view(root)?.ok_or(QueueError::Unknown(root))?;
            Ok(view.state)
        };
        let is_over = || {
            let over = |state| matches!(state, JobState::Done { .. } | JobState::Failed { .. });
            state().map_or(true, over)
        };
        farm.run(self.stop, &is_over)?;
        match state()? {
            JobState::Done { .. } => {
                let part = self.store.part(root)?.ok_or(ProveError::Empty)?;
                judge.batch_file(&plan, &part.proof)
            }
            JobState::Failed { cause, failure } => {
                let failed = plan.jobs.iter().find(|planned| planned.job.id() == cause);
                let label = failed.map(|planned| planned.job.label());
                Err(ProveError::Job {
                    label: label.unwrap_or_default(),
                    failure,
                })
            }
            _ => Err(ProveError::Stopped),
        }
    }
}

/// Epochs of one batch, by their place in it.
struct Held(Vec<Arc<EpochInput>>);

impl Held {
    /// No encoded witness stands behind these, and none is asked for.
    fn refs(&self) -> Vec<EpochRef> {
        let epochs = self.0.iter().map(|input| EpochRef {
            epoch: input.context.epoch,
            witness: Address::default(),
        });
        epochs.collect()
    }
}

impl Epochs for Held {
    fn input(&self, epoch: EpochRef) -> Result<Arc<EpochInput>, ProveError> {
        let found = self.0.iter().find(|it| it.context.epoch == epoch.epoch);
        found.cloned().ok_or(ProveError::Missing(epoch.epoch))
    }
}
