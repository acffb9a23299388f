//! The queue's transitions over any storage.
//!
//! A transition reads records, changes some and commits once: the changed records, and of the
//! indices what differs between their old and new states.

mod transaction;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tally_jobs::queue::{Counts, Failure, JobState, JobView, Lane, retry_delay};
use tally_jobs::{JobId, JobSpec, Lease, LeaseRequest, Millis, Queue, QueueError};

use crate::record::{Record, id_of, time_of};
use crate::storage::{Storage, Table};
use transaction::Transaction;

/// A queue whose records some storage keeps.
#[derive(Debug)]
pub struct StoredQueue<S> {
    storage: Mutex<S>,
}

impl<S: Storage> StoredQueue<S> {
    pub(crate) fn new(storage: S) -> Self {
        let storage = Mutex::new(storage);
        Self { storage }
    }

    /// After a process's death: the indices are what the records say, and every lease ends.
    pub(crate) fn recover(&self) -> Result<(), QueueError> {
        let mut storage = self.lock();
        check_indices(&*storage)?;
        let mut transaction = Transaction::new(&mut *storage);
        transaction.end_leases(Millis::MAX)?;
        transaction.commit()
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // A transition that panicked has committed nothing.
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is found by the indices is what the records say, no more and no less.
fn check_indices(storage: &impl Storage) -> Result<(), QueueError> {
    let mut due = BTreeSet::new();
    let mut broken = None;
    storage.scan(Table::Job, &[], &mut |_, value| {
        match Record::decode(value) {
            Ok(record) => due.extend(record.entries()),
            Err(error) => broken = Some(error),
        }
        broken.is_none()
    })?;
    let mut found = BTreeSet::new();
    for table in Table::INDICES {
        storage.scan(table, &[], &mut |key, value| {
            found.insert((table, key.to_vec(), value.to_vec()))
        })?;
    }
    match (broken, due == found) {
        (Some(error), _) => Err(error),
        (None, true) => Ok(()),
        (None, false) => Err(QueueError::Corrupt(
            "indices differ from the records".into(),
        )),
    }
}

impl<S: Storage> Queue for StoredQueue<S> {
    fn push(&self, jobs: &[JobSpec], _now: Millis) -> Result<usize, QueueError> {
        let mut storage = self.lock();
        let mut transaction = Transaction::new(&mut *storage);
        let mut new = 0;
        for spec in jobs {
            if transaction.record(spec.id)?.is_some() {
                continue;
            }
            let state = transaction.fresh(spec)?;
            transaction.put(Record::new(spec.clone(), state));
            new += 1;
        }
        transaction.commit()?;
        Ok(new)
    }

    fn lease(&self, request: &LeaseRequest, now: Millis) -> Result<Option<Lease>, QueueError> {
        let mut storage = self.lock();
        let mut transaction = Transaction::new(&mut *storage);
        transaction.end_leases(now)?;
        transaction.end_delays(now)?;
        // The indices change with the commit only, and the next scan is of them.
        transaction.commit()?;
        let Some(id) = first_fit(&*storage, request)? else {
            return Ok(None);
        };
        let mut transaction = Transaction::new(&mut *storage);
        let token = transaction.next_token()?;
        let mut record = transaction.known(id)?;
        let until = now.saturating_add(request.lasts.max(1));
        record.state = JobState::Leased {
            worker: request.worker.clone(),
            token,
            until,
        };
        let lease = Lease {
            token,
            id,
            payload: record.spec.payload.clone(),
            memory_mb: record.spec.memory_mb,
            until,
            failures: record.failures,
            deaths: record.deaths,
        };
        transaction.put(record);
        transaction.commit()?;
        Ok(Some(lease))
    }

    fn renew(&self, lease: &Lease, lasts: Millis, now: Millis) -> Result<(), QueueError> {
        self.change(lease, now, |_, record| {
            if let JobState::Leased { until, .. } = &mut record.state {
                *until = now.saturating_add(lasts.max(1));
            }
            Ok(())
        })
    }

    fn ack(&self, lease: &Lease, result: &[u8], now: Millis) -> Result<(), QueueError> {
        self.change(lease, now, |transaction, record| {
            record.state = JobState::Done {
                result: result.to_vec(),
            };
            transaction.input_done(record.spec.id)
        })
    }

    fn nack(&self, lease: &Lease, failure: &Failure, now: Millis) -> Result<bool, QueueError> {
        self.change(lease, now, |transaction, record| {
            record.failures = record.failures.saturating_add(1);
            let again = record.failures < record.spec.attempts;
            if again {
                let from = now.saturating_add(retry_delay(record.failures));
                record.state = JobState::Ready { from };
            } else {
                let (cause, failure) = (record.spec.id, failure.clone());
                transaction.input_failed(cause, cause, &failure)?;
                record.state = JobState::Failed { cause, failure };
            }
            Ok(again)
        })
    }

    fn release(&self, lease: &Lease, now: Millis) -> Result<(), QueueError> {
        self.change(lease, now, |_, record| {
            record.state = JobState::Ready { from: 0 };
            Ok(())
        })
    }

    fn reopen(&self, lease: &Lease, inputs: &[JobId], now: Millis) -> Result<(), QueueError> {
        self.change(lease, now, |transaction, record| {
            let own: Vec<JobId> = record.spec.after.clone();
            for input in inputs.iter().filter(|input| own.contains(input)) {
                let mut lost = transaction.known(*input)?;
                if lost.is_done() {
                    lost.state = transaction.fresh(&lost.spec)?;
                    transaction.put(lost);
                }
            }
            record.state = transaction.fresh(&record.spec)?;
            match &record.state {
                // An input's own input has failed since.
                JobState::Failed { cause, failure } => {
                    transaction.input_failed(record.spec.id, *cause, failure)
                }
                _ => Ok(()),
            }
        })
    }

    fn revive(&self, _now: Millis) -> Result<usize, QueueError> {
        let mut storage = self.lock();
        let failed = failed(&*storage)?;
        let mut transaction = Transaction::new(&mut *storage);
        // First those that failed themselves: what waits for them is fresh only when they are.
        let own = |record: &Record| match record.state {
            JobState::Failed { cause, .. } => cause == record.spec.id,
            _ => false,
        };
        let (causes, rest): (Vec<Record>, Vec<Record>) = failed.into_iter().partition(own);
        let revived = causes.len() + rest.len();
        for mut record in causes.into_iter().chain(rest) {
            record.failures = 0;
            record.deaths = 0;
            // Waiting for all of its inputs that are not done, failed ones among them: they are
            // being revived too.
            record.state = transaction.waiting(&record.spec)?;
            transaction.put(record);
        }
        transaction.commit()?;
        Ok(revived)
    }

    fn remove(&self, jobs: &[JobId]) -> Result<usize, QueueError> {
        let mut storage = self.lock();
        let mut transaction = Transaction::new(&mut *storage);
        let mut removed = 0;
        for id in jobs {
            let finished = transaction.record(*id)?.is_some_and(|it| it.is_finished());
            if finished && !transaction.has_waiting(*id)? {
                transaction.delete(*id);
                removed += 1;
            }
        }
        transaction.commit()?;
        Ok(removed)
    }

    fn view(&self, id: JobId) -> Result<Option<JobView>, QueueError> {
        let storage = self.lock();
        let bytes = storage.get(Table::Job, &id.0)?;
        let record = bytes.map(|bytes| Record::decode(&bytes)).transpose()?;
        Ok(record.map(Record::view))
    }

    fn counts(&self) -> Result<Counts, QueueError> {
        let mut counts = Counts::default();
        each(&*self.lock(), |record| {
            let count = match record.state {
                JobState::Waiting { .. } => &mut counts.waiting,
                JobState::Ready { .. } => &mut counts.ready,
                JobState::Leased { .. } => &mut counts.leased,
                JobState::Done { .. } => &mut counts.done,
                JobState::Failed { .. } => &mut counts.failed,
            };
            *count += 1;
        })?;
        Ok(counts)
    }
}

impl<S: Storage> StoredQueue<S> {
    /// Changes a job of which the lease is current; an ended one changes nothing.
    fn change<T>(
        &self,
        lease: &Lease,
        now: Millis,
        how: impl FnOnce(&mut Transaction<'_, S>, &mut Record) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        let mut storage = self.lock();
        let mut transaction = Transaction::new(&mut *storage);
        let mut record = transaction.known(lease.id)?;
        let is_current = match record.state {
            JobState::Leased { token, until, .. } => token == lease.token && now < until,
            _ => false,
        };
        if !is_current {
            return Err(QueueError::Lost(lease.id));
        }
        let result = how(&mut transaction, &mut record)?;
        transaction.put(record);
        transaction.commit()?;
        Ok(result)
    }
}

/// The first ready job that the request takes.
fn first_fit(storage: &impl Storage, request: &LeaseRequest) -> Result<Option<JobId>, QueueError> {
    let mut found = Ok(None);
    storage.scan(Table::Ready, &[], &mut |key, value| {
        let memory = value.first_chunk().copied().map(u32::from_be_bytes);
        let memory = memory.unwrap_or(u32::MAX);
        let lane = request.lane.is_none_or(|lane| lane == Lane::of(memory));
        let fits = lane && memory <= request.memory_mb;
        if fits {
            found = id_of(key).map(Some);
        }
        !fits
    })?;
    found
}

fn failed(storage: &impl Storage) -> Result<Vec<Record>, QueueError> {
    let mut failed = Vec::new();
    each(storage, |record| {
        if matches!(record.state, JobState::Failed { .. }) {
            failed.push(record);
        }
    })?;
    Ok(failed)
}

fn each(storage: &impl Storage, mut visit: impl FnMut(Record)) -> Result<(), QueueError> {
    let mut broken = None;
    storage.scan(Table::Job, &[], &mut |_, value| {
        match Record::decode(value) {
            Ok(record) => visit(record),
            Err(error) => broken = Some(error),
        }
        broken.is_none()
    })?;
    broken.map_or(Ok(()), Err)
}

/// The keys of an index of times up to one.
fn until(storage: &impl Storage, table: Table, last: Millis) -> Result<Vec<JobId>, QueueError> {
    let mut due = Vec::new();
    let mut broken = None;
    storage.scan(table, &[], &mut |key, _| match (time_of(key), id_of(key)) {
        (Ok(time), Ok(id)) => {
            let is_due = time <= last;
            due.extend(is_due.then_some(id));
            is_due
        }
        (Err(error), _) | (_, Err(error)) => {
            broken = Some(error);
            false
        }
    })?;
    broken.map_or(Ok(due), Err)
}
