//! What the service has promised: which epochs make a batch, and how far proof files reach. One
//! JSON file that appears whole; a batch is in it before any job of it exists.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tally_jobs::files::read_if_there;
use tally_jobs::{BatchJob, EpochRef, JobId};
use tally_protocol::hash::Digest;

use super::ServiceError;
use crate::store::write_whole;

pub(super) const FILE: &str = "batches.json";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The next epoch that is in no batch.
    pub next_epoch: u32,
    /// Last epoch with a proof file.
    pub proven_through: Option<u32>,
    /// State root after it.
    pub state: Option<Root>,
    /// Batches without a file, by rising epoch.
    pub open: Vec<Batch>,
    /// Batches with a file whose parts may still be there.
    pub settled: Vec<Batch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Root(#[serde(with = "tally_protocol::wire")] pub Digest);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The release that its jobs are for.
    pub release: Root,
    pub epochs: Vec<EpochRef>,
}

impl Batch {
    pub fn job(&self) -> BatchJob {
        BatchJob {
            release: self.release.0,
            epochs: self.epochs.clone(),
        }
    }

    pub fn id(&self) -> JobId {
        self.job().id()
    }

    /// First and last epoch; zeros for none, which a ledger does not hold.
    pub fn ends(&self) -> (u32, u32) {
        let ends = (self.epochs.first(), self.epochs.last());
        let number = |epoch: Option<&EpochRef>| epoch.map_or(0, |epoch| epoch.epoch);
        (number(ends.0), number(ends.1))
    }
}

impl Ledger {
    /// The file's, checked; a new one that begins with an epoch where there is none.
    pub fn load(directory: &Path, first_epoch: u32) -> Result<Self, ServiceError> {
        let path = directory.join(FILE);
        let failed = |reason: String| ServiceError::Ledger {
            path: path.clone(),
            reason,
        };
        let text = read_if_there(&path).map_err(|error| failed(error.to_string()))?;
        let Some(text) = text else {
            return Ok(Self {
                next_epoch: first_epoch,
                ..Self::default()
            });
        };
        let ledger: Self =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        ledger.check().map_err(|reason| failed(reason.into()))?;
        Ok(ledger)
    }

    pub fn save(&self, directory: &Path) -> Result<(), ServiceError> {
        self.check().map_err(|reason| ServiceError::Ledger {
            path: directory.join(FILE),
            reason: reason.into(),
        })?;
        let text = serde_json::to_vec_pretty(self).map_err(|error| ServiceError::Ledger {
            path: directory.join(FILE),
            reason: error.to_string(),
        })?;
        Ok(write_whole(&directory.join(FILE), &text)?)
    }

    /// On writing and on reading: open batches follow what is proven, without a gap, up to the next
    /// epoch.
    fn check(&self) -> Result<(), &'static str> {
        if self.proven_through.is_some() != self.state.is_some() {
            return Err("a proven epoch without its root");
        }
        let mut next = self.proven_through.map(|last| last.saturating_add(1));
        for epoch in self.open.iter().flat_map(|batch| &batch.epochs) {
            if next.is_some_and(|next| next != epoch.epoch) {
                return Err("open batches leave out an epoch");
            }
            next = epoch.epoch.checked_add(1);
        }
        let whole = self.open.iter().all(|batch| !batch.epochs.is_empty());
        match whole && next.is_none_or(|next| next == self.next_epoch) {
            true => Ok(()),
            false => Err("the next epoch is not the one after the last batch"),
        }
    }
}
