//! What jobs result in.

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::job::{Job, bound};
use crate::wire::{Wire, WireError};

/// Bytes of one proof: those of 2^14 rows have 150,000.
pub const MAX_PROOF: usize = 1 << 22;
/// Jobs of a batch.
pub const MAX_JOBS: usize = 1 << 20;

/// A proof, for the job that asked for it. It claims nothing: whoever takes it verifies it against
/// the job's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofPart {
    pub job: JobId,
    /// Plonky2's bytes of a proof with its public inputs.
    pub proof: Vec<u8>,
}

impl Wire for ProofPart {
    const KIND: u16 = 3;
    const VERSION: u16 = 1;

    fn check(&self) -> Result<(), WireError> {
        bound("proof bytes", self.proof.len(), MAX_PROOF)
    }
}

/// A planned batch: its L1 data and the jobs that prove it, each after those it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// The `BatchJob`.
    pub job: JobId,
    /// The bytes that L1 gets \[P6\].
    pub data: Vec<u8>,
    pub jobs: Vec<PlannedJob>,
}

/// A job with what one run of it may take, beyond the release's built circuits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedJob {
    pub job: Job,
    pub memory_mb: u32,
}

impl BatchPlan {
    /// The job whose proof is the batch's.
    pub fn root(&self) -> Option<&Job> {
        self.jobs.last().map(|planned| &planned.job)
    }
}

impl Wire for BatchPlan {
    const KIND: u16 = 4;
    const VERSION: u16 = 1;

    fn check(&self) -> Result<(), WireError> {
        bound("jobs", self.jobs.len(), MAX_JOBS)?;
        let mut known = std::collections::BTreeSet::new();
        for planned in &self.jobs {
            planned.job.check()?;
            let missing = planned.job.after().iter().any(|id| !known.contains(id));
            if missing || planned.job.statement().is_none() {
                return Err(WireError::Refused {
                    code: "wire.plan",
                    reason: format!("{} comes before what it needs", planned.job.label()),
                });
            }
            known.insert(planned.job.id());
        }
        match self.jobs.is_empty() {
            true => Err(WireError::Refused {
                code: "wire.plan",
                reason: "a plan without jobs".into(),
            }),
            false => Ok(()),
        }
    }
}
