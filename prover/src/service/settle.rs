//! From a proven root to a batch's file, and what is left over afterwards.

use tally_jobs::queue::JobState;
use tally_jobs::{BatchPlan, Job, JobId};

use super::ledger::{Batch, Root};
use super::{Service, ServiceError};
use crate::farm::specs;
use crate::store::write_whole;

/// Name of a batch's proof file, below the prover's directory.
pub fn proof_file(first_epoch: u32, last_epoch: u32) -> String {
    format!("batch-{first_epoch:010}-{last_epoch:010}.proof")
}

impl Service<'_> {
    /// Writes the file of the first open batch if its root is proven. Whether it did.
    pub(super) fn settle_first(&mut self) -> Result<bool, ServiceError> {
        let Some(batch) = self.ledger.open.first().cloned() else {
            return Ok(false);
        };
        let Some(plan) = self.plan(&batch)? else {
            return Ok(false);
        };
        let Some(proof) = self.root(&batch, &plan)? else {
            return Ok(false);
        };
        let settled = match self.parts.judge.settle(&plan, &proof) {
            Ok(settled) => settled,
            Err(error) => {
                // It was accepted once: the file has been damaged since, or the plan is not that of
                // its proof. Both are made again.
                tracing::error!(%error, "a batch's root is refused");
                self.forget(&batch, Some(&plan))?;
                self.push(&batch)?;
                return Ok(false);
            }
        };
        let (first, last) = batch.ends();
        let ends = (u64::from(first), u64::from(last));
        let chained = self
            .ledger
            .state
            .is_none_or(|root| root.0 == settled.state_before);
        if ends != (settled.first_epoch, settled.last_epoch) || !chained {
            return Err(ServiceError::Chain {
                first: settled.first_epoch,
                last: settled.last_epoch,
            });
        }
        let path = self.parts.directory.join(proof_file(first, last));
        write_whole(&path, &settled.bytes)?;
        self.ledger.open.remove(0);
        self.ledger.proven_through = Some(last);
        self.ledger.state = Some(Root(settled.state_after));
        self.ledger.settled.push(batch);
        self.ledger.save(self.parts.directory)?;
        tracing::info!(first_epoch = first, last_epoch = last, "a batch is proven");
        Ok(true)
    }

    /// A planned batch's plan; where its file is lost, it is planned again.
    fn plan(&self, batch: &Batch) -> Result<Option<BatchPlan>, ServiceError> {
        let id = batch.id();
        let view = self.parts.queue.view(id)?;
        let done = view.is_some_and(|view| matches!(view.state, JobState::Done { .. }));
        if !done {
            return Ok(None);
        }
        let plan = self.parts.store.plan(id)?;
        if plan.is_none() {
            self.parts.queue.remove(&[id])?;
            self.push(batch)?;
        }
        Ok(plan)
    }

    /// The root's proof; where it is lost, its job is done again.
    fn root(&self, batch: &Batch, plan: &BatchPlan) -> Result<Option<Vec<u8>>, ServiceError> {
        let Some(root) = plan.root().map(Job::id) else {
            return Ok(None);
        };
        let view = self.parts.queue.view(root)?;
        let done = view.is_some_and(|view| matches!(view.state, JobState::Done { .. }));
        if !done {
            return Ok(None);
        }
        if let Some(part) = self.parts.store.part(root)? {
            return Ok(Some(part.proof));
        }
        let (queue, now) = (self.parts.queue, self.parts.clock.now());
        queue.remove(&[root])?;
        queue.push(
            &specs(plan, batch.ends().0, self.config.attempts.max(1)),
            now,
        )?;
        Ok(None)
    }

    /// Removes what settled batches leave, unless it is to be kept. A crash in between leaves them
    /// in the ledger, and the plan, which names the rest, goes last.
    pub(super) fn clean(&mut self) -> Result<(), ServiceError> {
        while let Some(batch) = self.ledger.settled.first().cloned() {
            let plan = self.parts.store.plan(batch.id())?;
            match self.config.keep {
                true => drop(self.parts.queue.remove(&jobs(&batch, plan.as_ref()))?),
                false => {
                    self.forget(&batch, plan.as_ref())?;
                    for epoch in &batch.epochs {
                        self.parts.inbox.remove(epoch.epoch)?;
                    }
                }
            }
            self.ledger.settled.remove(0);
            self.ledger.save(self.parts.directory)?;
        }
        Ok(())
    }

    /// Jobs and their results.
    fn forget(&self, batch: &Batch, plan: Option<&BatchPlan>) -> Result<(), ServiceError> {
        let jobs = jobs(batch, plan);
        self.parts.queue.remove(&jobs)?;
        for job in jobs {
            self.parts.store.remove(job)?;
        }
        Ok(())
    }
}

/// A batch's jobs, its plan's own last.
fn jobs(batch: &Batch, plan: Option<&BatchPlan>) -> Vec<JobId> {
    let planned = plan.into_iter().flat_map(|plan| &plan.jobs);
    let mut jobs: Vec<JobId> = planned.map(|planned| planned.job.id()).collect();
    jobs.push(batch.id());
    jobs
}
