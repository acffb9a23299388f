//! A job's record, and the indices that follow from it.

use serde::{Deserialize, Serialize};
use tally_jobs::queue::{JobState, JobView, SUSPECT_DEATHS};
use tally_jobs::{JobId, JobSpec, Priority, QueueError};

use crate::storage::Table;

/// Of the record's encoding.
const VERSION: u8 = 1;
const ID_BYTES: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub spec: JobSpec,
    pub state: JobState,
    pub failures: u32,
    pub deaths: u32,
}

/// An index entry: its table, key and value.
pub type Entry = (Table, Vec<u8>, Vec<u8>);

impl Record {
    pub fn new(spec: JobSpec, state: JobState) -> Self {
        Self {
            spec,
            state,
            failures: 0,
            deaths: 0,
        }
    }

    pub fn view(self) -> JobView {
        JobView {
            state: self.state,
            failures: self.failures,
            deaths: self.deaths,
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.state, JobState::Done { .. })
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.state, JobState::Done { .. } | JobState::Failed { .. })
    }

    /// Where it is found by what it waits for, by rising key.
    pub fn entries(&self) -> Vec<Entry> {
        let id = &self.spec.id.0[..];
        match &self.state {
            JobState::Waiting { inputs } => {
                let edge = |input: &JobId| (Table::Edge, [&input.0[..], id].concat(), Vec::new());
                inputs.iter().map(edge).collect()
            }
            JobState::Ready { from: 0 } => {
                let memory = self.spec.memory_mb.to_be_bytes().to_vec();
                vec![(Table::Ready, [&self.rank()[..], id].concat(), memory)]
            }
            JobState::Ready { from } => vec![(Table::Delayed, timed(*from, id), Vec::new())],
            JobState::Leased { until, .. } => vec![(Table::Lease, timed(*until, id), Vec::new())],
            JobState::Done { .. } | JobState::Failed { .. } => Vec::new(),
        }
    }

    /// What a ready job goes by: those that may kill their workers last, then priority.
    fn rank(&self) -> [u8; 10] {
        let Priority { batch, rank, order } = self.spec.priority;
        let [a, b, c, d] = batch.to_be_bytes();
        let [e, f, g, h] = order.to_be_bytes();
        let suspect = self.deaths >= SUSPECT_DEATHS;
        [suspect.into(), a, b, c, d, rank as u8, e, f, g, h]
    }

    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_extend(self, vec![VERSION]);
        bytes.expect("memory takes it, and every list knows its length")
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, QueueError> {
        let corrupt = |what: String| QueueError::Corrupt(what);
        match bytes.split_first() {
            Some((&VERSION, body)) => postcard::from_bytes(body)
                .map_err(|error| corrupt(format!("a record does not decode: {error}"))),
            Some((version, _)) => Err(corrupt(format!("a record of version {version}"))),
            None => Err(corrupt("an empty record".into())),
        }
    }
}

fn timed(time: u64, id: &[u8]) -> Vec<u8> {
    [&time.to_be_bytes()[..], id].concat()
}

/// The time that a key of `Delayed` or `Lease` begins with.
pub fn time_of(key: &[u8]) -> Result<u64, QueueError> {
    let time = key.first_chunk().copied();
    time.map(u64::from_be_bytes)
        .ok_or_else(|| QueueError::Corrupt("a key without a time".into()))
}

/// The job that an index's key ends with.
pub fn id_of(key: &[u8]) -> Result<JobId, QueueError> {
    let id = key.last_chunk::<ID_BYTES>().copied();
    id.map(JobId)
        .ok_or_else(|| QueueError::Corrupt("a key without a job".into()))
}
