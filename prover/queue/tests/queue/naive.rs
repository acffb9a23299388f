//! What the queue is to do, in the plainest words: a list of jobs, looked through whole each time.

use std::collections::BTreeSet;

use tally_jobs::queue::{Failure, JobState, JobView, Lane, SUSPECT_DEATHS, retry_delay};
use tally_jobs::{JobId, JobSpec, LeaseRequest, Millis};

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// With inputs to wait for, or from a time on.
    Open {
        waits: BTreeSet<JobId>,
        from: Millis,
    },
    Leased {
        token: u64,
        until: Millis,
    },
    Done(Vec<u8>),
    Failed(JobId),
}

#[derive(Clone, Debug)]
pub struct Job {
    pub spec: JobSpec,
    pub state: State,
    pub failures: u32,
    pub deaths: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub jobs: Vec<Job>,
    tokens: u64,
}

impl Naive {
    pub fn find(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.spec.id == id)
    }

    fn find_mut(&mut self, id: JobId) -> &mut Job {
        let job = self.jobs.iter_mut().find(|job| job.spec.id == id);
        job.unwrap()
    }

    fn is_done(&self, id: JobId) -> bool {
        matches!(self.find(id).unwrap().state, State::Done(_))
    }

    fn fresh(&self, spec: &JobSpec) -> State {
        for input in &spec.after {
            if let State::Failed(cause) = self.find(*input).unwrap().state {
                return State::Failed(cause);
            }
        }
        self.open(spec)
    }

    fn open(&self, spec: &JobSpec) -> State {
        let inputs = spec.after.iter().filter(|input| !self.is_done(**input));
        State::Open {
            waits: inputs.copied().collect(),
            from: 0,
        }
    }

    /// None where an input is missing, and then nothing is pushed.
    pub fn push(&mut self, specs: &[JobSpec]) -> Option<usize> {
        let before = self.jobs.clone();
        for spec in specs {
            if self.find(spec.id).is_some() {
                continue;
            }
            if spec.after.iter().any(|input| self.find(*input).is_none()) {
                self.jobs = before;
                return None;
            }
            let state = self.fresh(spec);
            self.jobs.push(Job {
                spec: spec.clone(),
                state,
                failures: 0,
                deaths: 0,
            });
        }
        Some(self.jobs.len() - before.len())
    }

    fn end_leases(&mut self, last: Millis) {
        for job in &mut self.jobs {
            if let State::Leased { until, .. } = job.state
                && until <= last
            {
                job.deaths += 1;
                job.state = ready();
            }
        }
    }

    pub fn crash(&mut self) {
        self.end_leases(Millis::MAX);
    }

    pub fn lease(&mut self, request: &LeaseRequest, now: Millis) -> Option<(JobId, u64)> {
        self.end_leases(now);
        for job in &mut self.jobs {
            if let State::Open { from, .. } = &mut job.state
                && *from <= now
            {
                *from = 0;
            }
        }
        let fits = |job: &&mut Job| {
            let memory = job.spec.memory_mb;
            job.state == ready()
                && memory <= request.memory_mb
                && request.lane.is_none_or(|lane| lane == Lane::of(memory))
        };
        let rank = |job: &&mut Job| {
            let suspect = job.deaths >= SUSPECT_DEATHS;
            (suspect, job.spec.priority, job.spec.id)
        };
        let job = self.jobs.iter_mut().filter(fits).min_by_key(rank)?;
        self.tokens += 1;
        job.state = State::Leased {
            token: self.tokens,
            until: now + request.lasts,
        };
        Some((job.spec.id, self.tokens))
    }

    pub fn holds(&self, id: JobId, token: u64, now: Millis) -> bool {
        let Some(job) = self.find(id) else {
            return false;
        };
        matches!(job.state, State::Leased { token: held, until } if held == token && now < until)
    }

    pub fn renew(&mut self, id: JobId, lasts: Millis, now: Millis) {
        if let State::Leased { until, .. } = &mut self.find_mut(id).state {
            *until = now + lasts;
        }
    }

    pub fn ack(&mut self, id: JobId, result: &[u8]) {
        self.find_mut(id).state = State::Done(result.to_vec());
        for job in &mut self.jobs {
            if let State::Open { waits, .. } = &mut job.state {
                waits.remove(&id);
            }
        }
    }

    pub fn nack(&mut self, id: JobId, now: Millis) -> bool {
        let job = self.find_mut(id);
        job.failures += 1;
        if job.failures < job.spec.attempts {
            job.state = State::Open {
                waits: BTreeSet::new(),
                from: now + retry_delay(job.failures),
            };
            return true;
        }
        job.state = State::Failed(id);
        self.fail_after(id, id);
        false
    }

    /// What waits for a failed job, until nothing more fails.
    fn fail_after(&mut self, id: JobId, cause: JobId) {
        let mut gone = BTreeSet::from([id]);
        loop {
            let before = gone.len();
            for job in &mut self.jobs {
                if let State::Open { waits, .. } = &job.state
                    && !waits.is_disjoint(&gone)
                {
                    job.state = State::Failed(cause);
                    gone.insert(job.spec.id);
                }
            }
            if gone.len() == before {
                return;
            }
        }
    }

    pub fn release(&mut self, id: JobId) {
        self.find_mut(id).state = ready();
    }

    pub fn reopen(&mut self, id: JobId, lost: &[JobId]) {
        let spec = self.find(id).unwrap().spec.clone();
        for input in lost.iter().filter(|input| spec.after.contains(input)) {
            if self.is_done(*input) {
                let spec = self.find(*input).unwrap().spec.clone();
                self.find_mut(*input).state = self.fresh(&spec);
            }
        }
        let state = self.fresh(&spec);
        self.find_mut(id).state = state.clone();
        if let State::Failed(cause) = state {
            self.fail_after(id, cause);
        }
    }

    pub fn revive(&mut self) -> usize {
        let failed = |job: &&Job| matches!(job.state, State::Failed(_));
        let failed: Vec<JobSpec> = self
            .jobs
            .iter()
            .filter(failed)
            .map(|j| j.spec.clone())
            .collect();
        for spec in &failed {
            let state = self.open(spec);
            let job = self.find_mut(spec.id);
            (job.state, job.failures, job.deaths) = (state, 0, 0);
        }
        failed.len()
    }

    pub fn remove(&mut self, ids: &[JobId]) -> usize {
        let before = self.jobs.len();
        let waited = |jobs: &[Job], id: JobId| {
            jobs.iter()
                .any(|job| matches!(&job.state, State::Open { waits, .. } if waits.contains(&id)))
        };
        for id in ids {
            let waited = waited(&self.jobs, *id);
            let finished = |job: &Job| matches!(job.state, State::Done(_) | State::Failed(_));
            self.jobs
                .retain(|job| job.spec.id != *id || waited || !finished(job));
        }
        before - self.jobs.len()
    }
}

fn ready() -> State {
    State::Open {
        waits: BTreeSet::new(),
        from: 0,
    }
}

/// The queue's view of a job is the model's.
pub fn agrees(job: &Job, view: &JobView) -> bool {
    let state = match (&job.state, &view.state) {
        (State::Open { waits, .. }, JobState::Waiting { inputs }) => {
            !waits.is_empty() && *waits == inputs.iter().copied().collect()
        }
        (State::Open { waits, from }, JobState::Ready { from: at }) => {
            waits.is_empty() && from == at
        }
        (
            State::Leased { token, until },
            JobState::Leased {
                token: held,
                until: end,
                ..
            },
        ) => (token, until) == (held, end),
        (State::Done(result), JobState::Done { result: kept }) => result == kept,
        (State::Failed(cause), JobState::Failed { cause: told, .. }) => cause == told,
        _ => false,
    };
    state && (job.failures, job.deaths) == (view.failures, view.deaths)
}

pub fn failure() -> Failure {
    Failure {
        code: "test.failed".into(),
        reason: "on purpose".into(),
    }
}
