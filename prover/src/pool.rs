//! Runs a graph of jobs over a few workers within a memory bound.
//!
//! A job starts when what it needs is done and its estimate fits under the bound together with what
//! runs; one that exceeds the bound alone runs alone. Jobs that close something (joins, epochs) go
//! before new segments. The first failure stops the start of further jobs.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::ProveError;

/// How much may run at once. Inside a proof, rayon spreads the work over its own threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub workers: usize,
    /// For jobs, apart from the built circuits.
    pub memory_mb: u64,
}

impl Default for Limits {
    /// Two workers hide the sequential parts of a proof behind another one.
    fn default() -> Self {
        Self {
            workers: 2,
            memory_mb: 2_048,
        }
    }
}

/// Is told what happens, from the workers' threads.
pub trait Progress: Sync {
    /// So many jobs there will be.
    fn planned(&self, _jobs: usize) {}
    fn started(&self, _label: &str) {}
    /// `reused`: the proof was there already.
    fn finished(&self, _label: &str, _reused: bool) {}
}

impl Progress for () {}

/// A result, and whether it was there already.
#[derive(Clone, Debug)]
pub struct Done<T> {
    pub value: T,
    pub reused: bool,
}

type Run<'a, T> = Box<dyn FnOnce(&[Arc<T>]) -> Result<Done<T>, ProveError> + Send + 'a>;

/// A job; `after` are places of earlier jobs, whose results it gets in that order.
pub struct Job<'a, T> {
    pub label: String,
    pub after: Vec<usize>,
    pub memory_mb: u64,
    pub run: Run<'a, T>,
}

impl<T> std::fmt::Debug for Job<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({} after {:?})", self.label, self.after)
    }
}

/// Runs all jobs; their results in order.
pub fn run<T: Send + Sync>(
    jobs: Vec<Job<T>>,
    limits: Limits,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Vec<Arc<T>>, ProveError> {
    progress.planned(jobs.len());
    let pool = Pool {
        state: Mutex::new(State::new(jobs)),
        changed: Condvar::new(),
        memory_mb: limits.memory_mb,
        progress,
        stop,
    };
    thread::scope(|scope| {
        for _ in 0..limits.workers.max(1) {
            scope.spawn(|| pool.work());
        }
    });
    let state = pool
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(error) => Err(error),
        // Without a failure, each job has run.
        None => Ok(state.results.into_iter().flatten().collect()),
    }
}

struct State<'a, T> {
    jobs: Vec<Option<Job<'a, T>>>,
    results: Vec<Option<Arc<T>>>,
    /// Unfinished jobs that each waits for, and who waits for it.
    waits: Vec<usize>,
    waited_by: Vec<Vec<usize>>,
    ready: BTreeSet<(Rank, usize)>,
    unfinished: usize,
    running: usize,
    memory_mb: u64,
    failed: Option<ProveError>,
}

/// Jobs with more inputs first: they let the inputs go.
type Rank = std::cmp::Reverse<usize>;

struct Pool<'p, 'a, T> {
    state: Mutex<State<'a, T>>,
    changed: Condvar,
    memory_mb: u64,
    progress: &'p dyn Progress,
    stop: &'p AtomicBool,
}

struct Taken<'a, T> {
    place: usize,
    job: Job<'a, T>,
    inputs: Vec<Arc<T>>,
}

impl<'a, T> State<'a, T> {
    fn new(jobs: Vec<Job<'a, T>>) -> Self {
        let mut state = Self {
            results: jobs.iter().map(|_| None).collect(),
            waits: jobs.iter().map(|job| job.after.len()).collect(),
            waited_by: vec![Vec::new(); jobs.len()],
            ready: BTreeSet::new(),
            unfinished: jobs.len(),
            running: 0,
            memory_mb: 0,
            failed: None,
            jobs: Vec::new(),
        };
        for (place, job) in jobs.iter().enumerate() {
            for need in &job.after {
                assert!(*need < place, "{job:?} comes before what it needs");
                state.waited_by[*need].push(place);
            }
            if job.after.is_empty() {
                state.ready.insert((std::cmp::Reverse(0), place));
            }
        }
        state.jobs = jobs.into_iter().map(Some).collect();
        state
    }

    /// The first ready job that fits.
    fn take(&mut self, bound: u64) -> Option<Taken<'a, T>> {
        let fits = |place: usize| {
            let need = self.jobs[place].as_ref().map_or(0, |job| job.memory_mb);
            self.running == 0 || self.memory_mb + need <= bound
        };
        let next = self.ready.iter().copied().find(|(_, place)| fits(*place))?;
        self.ready.remove(&next);
        let place = next.1;
        let job = self.jobs[place].take()?;
        let inputs = job
            .after
            .iter()
            .filter_map(|need| self.results[*need].clone())
            .collect();
        self.running += 1;
        self.memory_mb += job.memory_mb;
        Some(Taken { place, job, inputs })
    }

    fn finish(&mut self, place: usize, memory_mb: u64, result: Result<T, ProveError>) {
        self.running -= 1;
        self.memory_mb -= memory_mb;
        self.unfinished -= 1;
        match result {
            Ok(value) => {
                self.results[place] = Some(Arc::new(value));
                for waiting in std::mem::take(&mut self.waited_by[place]) {
                    self.waits[waiting] -= 1;
                    if self.waits[waiting] == 0 {
                        let inputs = self.jobs[waiting].as_ref().map_or(0, |j| j.after.len());
                        self.ready.insert((std::cmp::Reverse(inputs), waiting));
                    }
                }
            }
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }
}

impl<'a, T: Send + Sync> Pool<'_, 'a, T> {
    fn work(&self) {
        while let Some(taken) = self.next() {
            let Taken { place, job, inputs } = taken;
            let Job {
                label,
                memory_mb,
                run,
                ..
            } = job;
            self.progress.started(&label);
            let result = catch_unwind(AssertUnwindSafe(|| run(&inputs)));
            let result = result
                .unwrap_or_else(|_| {
                    Err(ProveError::Panicked {
                        label: label.clone(),
                    })
                })
                .map(|done| {
                    self.progress.finished(&label, done.reused);
                    done.value
                });
            self.lock().finish(place, memory_mb, result);
            self.changed.notify_all();
        }
    }

    /// Waits for a job; none when all are done, one failed, or the run is stopped.
    fn next(&self) -> Option<Taken<'a, T>> {
        let mut state = self.lock();
        loop {
            if state.unfinished > 0 && self.stop.load(Ordering::Relaxed) {
                state.failed.get_or_insert(ProveError::Stopped);
            }
            if state.unfinished == 0 || state.failed.is_some() {
                return None;
            }
            if let Some(taken) = state.take(self.memory_mb) {
                return Some(taken);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'a, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn job<'a>(
        after: &[usize],
        memory_mb: u64,
        run: impl FnOnce(&[Arc<u64>]) -> Result<u64, ProveError> + Send + 'a,
    ) -> Job<'a, u64> {
        let run: Run<'a, u64> = Box::new(move |inputs| {
            Ok(Done {
                value: run(inputs)?,
                reused: false,
            })
        });
        Job {
            label: format!("after {after:?}"),
            after: after.to_vec(),
            memory_mb,
            run,
        }
    }

    fn limits(workers: usize, memory_mb: u64) -> Limits {
        Limits { workers, memory_mb }
    }

    #[test]
    fn results_flow_along_the_graph() {
        let jobs = vec![
            job(&[], 1, |_| Ok(2)),
            job(&[], 1, |_| Ok(3)),
            job(&[0, 1], 1, |i| Ok(10 * *i[0] + *i[1])),
            job(&[2, 0], 1, |i| Ok(*i[0] - *i[1])),
        ];
        let results = run(jobs, limits(3, 10), &(), &AtomicBool::new(false)).unwrap();
        assert_eq!(
            results.iter().map(|r| **r).collect::<Vec<_>>(),
            [2, 3, 23, 21]
        );
    }

    #[test]
    fn the_memory_bound_holds_and_a_job_beyond_it_runs_alone() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |weight: usize| {
            let now = running.fetch_add(weight, Ordering::SeqCst) + weight;
            most.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            running.fetch_sub(weight, Ordering::SeqCst);
            Ok(0)
        };
        let jobs = (0..12).map(|_| job(&[], 4, |_| work(4))).collect();
        run(jobs, limits(4, 10), &(), &AtomicBool::new(false)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 8);
        let jobs = vec![job(&[], 99, |_| work(99)), job(&[], 4, |_| work(4))];
        run(jobs, limits(4, 10), &(), &AtomicBool::new(false)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 99);
    }

    #[test]
    fn a_failure_a_panic_and_a_stop_end_the_run() {
        let never = AtomicBool::new(false);
        let failing = vec![
            job(&[], 1, |_| Err(ProveError::Empty)),
            job(&[0], 1, |_| Ok(1)),
        ];
        let error = run(failing, limits(2, 1), &(), &never).unwrap_err();
        assert_eq!(error.code(), "prove.empty");
        let panicking = vec![job(&[], 1, |_| panic!("on purpose"))];
        let error = run(panicking, limits(2, 1), &(), &never).unwrap_err();
        assert_eq!(error.code(), "prove.panicked");
        let stop = AtomicBool::new(false);
        let stopping = vec![
            job(&[], 1, |_| {
                stop.store(true, Ordering::SeqCst);
                Ok(1)
            }),
            job(&[0], 1, |_| panic!("must not start")),
        ];
        let error = run(stopping, limits(2, 1), &(), &stop).unwrap_err();
        assert_eq!(error.code(), "prove.stopped");
    }
}
