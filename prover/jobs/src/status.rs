//! What the prover tells: how far it is. The sequencer bounds its lead by it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{read_if_there, write_whole};
use crate::queue::{Counts, Failure};

/// Name of the file, below the prover's directory.
pub const STATUS_FILE: &str = "status.json";

/// How far the prover is. A file that appears whole, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProverStatus {
    /// Last epoch that a proof file covers, as all before it; none at the start.
    pub proven_through: Option<u32>,
    /// Last epoch that is in a batch.
    pub batched_through: Option<u32>,
    /// Last epoch of the inbox that follows without a gap.
    pub received_through: Option<u32>,
    /// Batches that are not proven yet, by rising epoch.
    pub batches: Vec<BatchStatus>,
    pub jobs: Counts,
    /// Milliseconds since 1970, of this report.
    pub at: u64,
}

/// An unfinished batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStatus {
    pub first_epoch: u32,
    pub last_epoch: u32,
    /// Of the batch's proofs; 0 until it is planned.
    pub jobs: u64,
    pub done: u64,
    /// Set where the batch waits for an operator: a job that spent its attempts.
    pub failure: Option<FailedJob>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJob {
    pub job: String,
    pub label: String,
    #[serde(flatten)]
    pub failure: Failure,
}

impl ProverStatus {
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        write_whole(&directory.join(STATUS_FILE), &text)
    }

    /// The last report; none where there is none yet.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        let text = read_if_there(&directory.join(STATUS_FILE))?;
        text.map(|text| serde_json::from_slice(&text).map_err(io::Error::other))
            .transpose()
    }
}
