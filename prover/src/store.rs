//! Finished work on disk, found again by the job it was done for.
//!
//! A file appears under its name only when it is whole, and on reading it is decoded strictly; a
//! proof is verified besides by whoever reads it. What fails is as if it were not there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tally_jobs::files::{read_if_there, remove_if_there};
use tally_jobs::{BatchPlan, JobId, ProofPart, Wire};

use crate::error::ProveError;

const PART: &str = "proof";
const PLAN: &str = "plan";

/// A directory of proofs and plans.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens a directory, creating it where it is missing.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ProveError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|e| failed(&directory, e))?;
        Ok(Self { directory })
    }

    /// A job's proof, not verified; none where it is missing or is not this job's.
    pub fn part(&self, job: JobId) -> Result<Option<ProofPart>, ProveError> {
        let part: Option<ProofPart> = self.read(job, PART)?;
        Ok(part.filter(|part| part.job == job))
    }

    pub fn save_part(&self, part: &ProofPart) -> Result<(), ProveError> {
        write_whole(&self.path(part.job, PART), &part.encode())
    }

    /// A batch's plan; none where it is missing or is not this job's.
    pub fn plan(&self, job: JobId) -> Result<Option<BatchPlan>, ProveError> {
        let plan: Option<BatchPlan> = self.read(job, PLAN)?;
        Ok(plan.filter(|plan| plan.job == job))
    }

    pub fn save_plan(&self, plan: &BatchPlan) -> Result<(), ProveError> {
        write_whole(&self.path(plan.job, PLAN), &plan.encode())
    }

    /// Removes what is there for a job.
    pub fn remove(&self, job: JobId) -> Result<(), ProveError> {
        for kind in [PART, PLAN] {
            let path = self.path(job, kind);
            remove_if_there(&path).map_err(|e| failed(&path, e))?;
        }
        Ok(())
    }

    fn read<T: Wire>(&self, job: JobId, kind: &str) -> Result<Option<T>, ProveError> {
        let path = self.path(job, kind);
        let Some(bytes) = read_if_there(&path).map_err(|e| failed(&path, e))? else {
            return Ok(None);
        };
        match T::decode(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a damaged file counts as none");
                Ok(None)
            }
        }
    }

    fn path(&self, job: JobId, kind: &str) -> PathBuf {
        self.directory.join(format!("{job}.{kind}"))
    }
}

/// Writes a file that appears under its name only when it is whole and on disk.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ProveError> {
    tally_jobs::files::write_whole(path, bytes).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> ProveError {
    ProveError::Store {
        path: path.to_owned(),
        error,
    }
}
