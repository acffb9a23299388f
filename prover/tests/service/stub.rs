//! Workers whose proofs are hashes, and faults on order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tally_jobs::job::{Child, List};
use tally_jobs::part::PlannedJob;
use tally_jobs::queue::Failure;
use tally_jobs::{
    BatchJob, BatchPlan, DirectoryInbox, Job, JoinJob, ProverStatus, Queue, SegmentJob, Statement,
};
use tally_protocol::hash::{Digest, unsigned};
use tally_prover::farm::{Judge, SettledBatch, SystemClock, Worker};
use tally_prover::service::{Parts, Service, ServiceConfig, ServiceError};
use tally_prover::{Limits, Progress, ProveError, Store};

pub const SEGMENTS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    Fails,
    Lies,
    Panics,
}

/// Does what it is asked to, but for the faults that it has in store.
#[derive(Default)]
pub struct Stub {
    /// By label: which fault, how often.
    pub faults: Mutex<BTreeMap<String, (Fault, u32)>>,
    /// How often each label was begun.
    pub begun: Mutex<BTreeMap<String, u32>>,
    pub broken_chain: AtomicBool,
}

pub fn digest(number: u64) -> Digest {
    let mut digest = Digest::default();
    digest.elements[0] = unsigned(number);
    digest
}

fn statement(circuit: &str, epoch: u32, place: u32) -> Statement {
    Statement {
        release: digest(9),
        circuit: circuit.into(),
        expected: [epoch, place].map(|it| unsigned(it.into())).to_vec(),
    }
}

/// What stands for a statement's proof.
fn proof_of(statement: &Statement) -> Vec<u8> {
    statement.id().0.to_vec()
}

fn add(jobs: &mut Vec<PlannedJob>, job: Job) -> Child {
    let child = Child {
        job: job.id(),
        statement: job.statement().unwrap().clone(),
    };
    jobs.push(PlannedJob {
        job,
        memory_mb: 100,
    });
    child
}

fn join(statement: Statement, label: String, children: Vec<Child>) -> Job {
    Job::Join(JoinJob {
        statement,
        label,
        children,
        epoch: None,
    })
}

impl Stub {
    pub fn with(label: &str, fault: Fault, times: u32) -> Self {
        let stub = Self::default();
        stub.faults
            .lock()
            .unwrap()
            .insert(label.into(), (fault, times));
        stub
    }

    fn fault(&self, label: &str) -> Option<Fault> {
        *self.begun.lock().unwrap().entry(label.into()).or_default() += 1;
        let mut faults = self.faults.lock().unwrap();
        let (fault, left) = faults.get_mut(label)?;
        *left = left.checked_sub(1)?;
        Some(*fault)
    }
}

impl Worker for Stub {
    fn plan(&self, job: &BatchJob) -> Result<BatchPlan, ProveError> {
        if self.fault(&Job::Batch(job.clone()).label()).is_some() {
            return Err(ProveError::Empty);
        }
        let (mut jobs, mut epochs) = (Vec::new(), Vec::new());
        for at in &job.epochs {
            let segments = (0..SEGMENTS).map(|place| {
                let segment = Job::Segment(SegmentJob {
                    statement: statement("segment", at.epoch, place),
                    label: format!("epoch {} segment {place}", at.epoch),
                    epoch: *at,
                    list: List::Main,
                    place,
                    passing: [Digest::default(); 4],
                    has_data: false,
                });
                add(&mut jobs, segment)
            });
            let segments = segments.collect();
            let label = format!("epoch {}", at.epoch);
            epochs.push(add(
                &mut jobs,
                join(statement("epoch", at.epoch, 0), label, segments),
            ));
        }
        let ends = [job.epochs[0].epoch, job.epochs[job.epochs.len() - 1].epoch];
        let label = format!("batch {}", ends[0]);
        add(
            &mut jobs,
            join(statement("batch", ends[0], ends[1]), label, epochs),
        );
        Ok(BatchPlan {
            job: job.id(),
            data: ends.iter().flat_map(|epoch| epoch.to_be_bytes()).collect(),
            jobs,
        })
    }

    fn prove(&self, job: &Job, children: &[Vec<u8>]) -> Result<Vec<u8>, ProveError> {
        if let Job::Join(join) = job {
            let expected: Vec<_> = join
                .children
                .iter()
                .map(|it| proof_of(&it.statement))
                .collect();
            assert_eq!(children, expected, "the children's proofs, in their order");
        }
        let label = job.label();
        let honest = proof_of(job.statement().unwrap());
        match self.fault(&label) {
            None => Ok(honest),
            Some(Fault::Lies) => Ok(vec![1; 32]),
            Some(Fault::Panics) => panic!("on purpose"),
            Some(Fault::Fails) => Err(ProveError::Witness {
                label,
                reason: "on purpose".into(),
            }),
        }
    }
}

impl Judge for Stub {
    fn accepts(&self, statement: &Statement, proof: &[u8]) -> Result<(), ProveError> {
        match proof == proof_of(statement) {
            true => Ok(()),
            false => Err(ProveError::Refused {
                circuit: statement.circuit.clone(),
                reason: "not its proof".into(),
            }),
        }
    }

    fn settle(&self, plan: &BatchPlan, proof: &[u8]) -> Result<SettledBatch, ProveError> {
        let [a, b, c, d, e, f, g, h] = plan.data[..] else {
            return Err(ProveError::Empty);
        };
        let first = u64::from(u32::from_be_bytes([a, b, c, d]));
        let last = u64::from(u32::from_be_bytes([e, f, g, h]));
        let skips = self.broken_chain.load(std::sync::atomic::Ordering::Relaxed);
        Ok(SettledBatch {
            bytes: proof.to_vec(),
            first_epoch: first,
            last_epoch: last,
            state_before: digest(first + u64::from(skips)),
            state_after: digest(last + 1),
        })
    }
}

/// Keeps what failed, and stops after so many finished jobs.
pub struct Watch<'a> {
    pub stop: &'a AtomicBool,
    pub left: Mutex<u32>,
    pub failed: Mutex<Vec<(String, String, bool)>>,
    pub tell: bool,
}

impl<'a> Watch<'a> {
    pub fn new(stop: &'a AtomicBool, left: u32) -> Self {
        Self {
            stop,
            left: Mutex::new(left),
            failed: Mutex::default(),
            tell: false,
        }
    }
}

impl Progress for Watch<'_> {
    fn finished(&self, label: &str, reused: bool) {
        if self.tell {
            println!("finished {label} {reused}");
        }
        let mut left = self.left.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn failed(&self, label: &str, failure: &Failure, again: bool) {
        let failed = (label.to_owned(), failure.code.clone(), again);
        self.failed.lock().unwrap().push(failed);
    }
}

/// A prover's directories.
pub struct Place(pub PathBuf);

impl Place {
    pub fn inbox(&self) -> DirectoryInbox {
        DirectoryInbox::open(self.0.join("inbox")).unwrap()
    }

    pub fn store(&self) -> Store {
        Store::open(self.0.join("parts")).unwrap()
    }

    /// The service asks a witness for nothing but its data's size; workers look into it.
    pub fn deliver(&self, epochs: std::ops::RangeInclusive<u32>) {
        self.inbox();
        for epoch in epochs {
            let path = self
                .0
                .join("inbox")
                .join(format!("epoch-{epoch:010}.witness"));
            fs::write(path, epoch.to_be_bytes()).unwrap();
        }
    }

    pub fn files(&self, directory: &str, extension: &str) -> Vec<String> {
        names(&self.0.join(directory), extension)
    }

    pub fn run(
        &self,
        queue: &dyn Queue,
        stub: &Stub,
        watch: &Watch<'_>,
    ) -> Result<ProverStatus, ServiceError> {
        self.run_with(queue, stub, watch, config())
    }

    pub fn run_with(
        &self,
        queue: &dyn Queue,
        stub: &Stub,
        watch: &Watch<'_>,
        config: ServiceConfig,
    ) -> Result<ProverStatus, ServiceError> {
        let (inbox, store) = (self.inbox(), self.store());
        let parts = Parts {
            inbox: &inbox,
            queue,
            store: &store,
            worker: stub,
            judge: stub,
            clock: &SystemClock,
            progress: watch,
            directory: &self.0,
            release: digest(9),
        };
        Service::open(parts, config)?.run(watch.stop)
    }
}

pub fn names(directory: &Path, extension: &str) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .filter(|file| file.path().extension().is_some_and(|it| it == extension))
        .map(|file| file.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn config() -> ServiceConfig {
    ServiceConfig {
        epochs_per_batch: 2,
        most_data_bytes: 130_048,
        batch_ms: 600_000,
        first_epoch: 1,
        limits: Limits {
            workers: 3,
            memory_mb: 250,
        },
        lease_ms: 2_000,
        attempts: 2,
        keep: false,
        poll: Duration::from_millis(20),
        drain: true,
    }
}
