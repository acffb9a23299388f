//! One transition: what it read and changed, until it is committed.

use std::collections::BTreeMap;

use tally_jobs::queue::{Failure, JobState};
use tally_jobs::{JobId, JobSpec, Millis, QueueError};

use super::until;
use crate::record::{Record, id_of};
use crate::storage::{Storage, Table, Write};

const TOKEN: &[u8] = b"token";

pub(super) struct Transaction<'a, S> {
    storage: &'a mut S,
    /// As stored, of the jobs that are changed.
    before: BTreeMap<JobId, Option<Record>>,
    after: BTreeMap<JobId, Option<Record>>,
    token: Option<u64>,
}

impl<'a, S: Storage> Transaction<'a, S> {
    pub(super) fn new(storage: &'a mut S) -> Self {
        Self {
            storage,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            token: None,
        }
    }

    /// As this transition leaves it so far.
    pub(super) fn record(&mut self, id: JobId) -> Result<Option<Record>, QueueError> {
        if let Some(changed) = self.after.get(&id) {
            return Ok(changed.clone());
        }
        if let Some(read) = self.before.get(&id) {
            return Ok(read.clone());
        }
        let bytes = self.storage.get(Table::Job, &id.0)?;
        let record = bytes.map(|bytes| Record::decode(&bytes)).transpose()?;
        self.before.insert(id, record.clone());
        Ok(record)
    }

    pub(super) fn known(&mut self, id: JobId) -> Result<Record, QueueError> {
        self.record(id)?.ok_or(QueueError::Unknown(id))
    }

    /// A job that this transition has read.
    pub(super) fn put(&mut self, record: Record) {
        self.after.insert(record.spec.id, Some(record));
    }

    pub(super) fn delete(&mut self, id: JobId) {
        self.after.insert(id, None);
    }

    pub(super) fn next_token(&mut self) -> Result<u64, QueueError> {
        let last = self.storage.get(Table::Meta, TOKEN)?;
        let last = last.and_then(|bytes| bytes.first_chunk().copied());
        let next = last.map_or(0, u64::from_be_bytes).saturating_add(1);
        self.token = Some(next);
        Ok(next)
    }

    /// How a job stands when nothing was done for it: its inputs decide.
    pub(super) fn fresh(&mut self, spec: &JobSpec) -> Result<JobState, QueueError> {
        let mut failed = None;
        for input in &spec.after {
            let needed = self.record(*input)?.ok_or(QueueError::Input {
                job: spec.id,
                input: *input,
            })?;
            if let JobState::Failed { .. } = needed.state {
                failed.get_or_insert(needed.state);
            }
        }
        match failed {
            Some(state) => Ok(state),
            None => self.waiting(spec),
        }
    }

    /// Ready, or waiting for the inputs that are not done.
    pub(super) fn waiting(&mut self, spec: &JobSpec) -> Result<JobState, QueueError> {
        let mut inputs = Vec::new();
        for input in &spec.after {
            if !self.known(*input)?.is_done() && !inputs.contains(input) {
                inputs.push(*input);
            }
        }
        Ok(match inputs.is_empty() {
            true => JobState::Ready { from: 0 },
            false => JobState::Waiting { inputs },
        })
    }

    /// Those that wait for it, one less to wait for.
    pub(super) fn input_done(&mut self, id: JobId) -> Result<(), QueueError> {
        for waiting in self.waiting_for(id)? {
            let mut record = self.known(waiting)?;
            if let JobState::Waiting { inputs } = &mut record.state {
                inputs.retain(|input| *input != id);
                if inputs.is_empty() {
                    record.state = JobState::Ready { from: 0 };
                }
            }
            self.put(record);
        }
        Ok(())
    }

    /// Those that wait for it, and those that wait for them, fail with it.
    pub(super) fn input_failed(
        &mut self,
        id: JobId,
        cause: JobId,
        why: &Failure,
    ) -> Result<(), QueueError> {
        let mut failed = vec![id];
        while let Some(input) = failed.pop() {
            for waiting in self.waiting_for(input)? {
                let mut record = self.known(waiting)?;
                if let JobState::Waiting { .. } = record.state {
                    let failure = why.clone();
                    record.state = JobState::Failed { cause, failure };
                    self.put(record);
                    failed.push(waiting);
                }
            }
        }
        Ok(())
    }

    pub(super) fn has_waiting(&self, id: JobId) -> Result<bool, QueueError> {
        Ok(!self.waiting_for(id)?.is_empty())
    }

    /// As stored: nobody begins to wait for a job in the transition that finishes it.
    fn waiting_for(&self, id: JobId) -> Result<Vec<JobId>, QueueError> {
        let mut waiting = Ok(Vec::new());
        self.storage.scan(Table::Edge, &id.0, &mut |key, _| {
            match (&mut waiting, id_of(key)) {
                (Ok(found), Ok(id)) => found.push(id),
                (_, Err(error)) => waiting = Err(error),
                (Err(_), _) => {}
            }
            waiting.is_ok()
        })?;
        waiting
    }

    /// Leases that end by `last` have ended: their workers are taken for dead.
    pub(super) fn end_leases(&mut self, last: Millis) -> Result<(), QueueError> {
        for id in until(self.storage, Table::Lease, last)? {
            let mut record = self.known(id)?;
            record.deaths = record.deaths.saturating_add(1);
            record.state = JobState::Ready { from: 0 };
            self.put(record);
        }
        Ok(())
    }

    pub(super) fn end_delays(&mut self, now: Millis) -> Result<(), QueueError> {
        for id in until(self.storage, Table::Delayed, now)? {
            let mut record = self.known(id)?;
            record.state = JobState::Ready { from: 0 };
            self.put(record);
        }
        Ok(())
    }

    pub(super) fn commit(mut self) -> Result<(), QueueError> {
        let mut writes = Vec::new();
        let mut write = |table, key, value| writes.push(Write { table, key, value });
        if let Some(token) = self.token {
            write(
                Table::Meta,
                TOKEN.to_vec(),
                Some(token.to_be_bytes().to_vec()),
            );
        }
        for (id, after) in std::mem::take(&mut self.after) {
            let before = self.before.get(&id).cloned().flatten();
            if before == after {
                continue;
            }
            let entries = |record: &Option<Record>| match record {
                Some(record) => record.entries(),
                None => Vec::new(),
            };
            let (old, new) = (entries(&before), entries(&after));
            for (table, key, _) in old {
                write(table, key, None);
            }
            for (table, key, value) in new {
                write(table, key, Some(value));
            }
            write(Table::Job, id.0.to_vec(), after.map(|it| it.encode()));
        }
        match writes.is_empty() {
            true => Ok(()),
            false => self.storage.commit(writes),
        }
    }
}
