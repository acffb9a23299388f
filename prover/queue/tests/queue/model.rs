//! Random interleavings of all transitions, crashes among them, on both implementations and the
//! naive model: the same answers, the same state after each step, and in the end no job is lost.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tally_jobs::queue::Rank;
use tally_jobs::{JobId, JobSpec, Lane, Lease, LeaseRequest, Millis, Priority, Queue, QueueError};
use tally_queue::{memory_queue, rocks_queue};

use crate::naive::{Naive, State, agrees, failure};

const JOBS: usize = 8;
const LASTS: Millis = 500;

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Lease { heavy: Option<bool>, memory_mb: u32 },
    Renew(usize),
    Ack(usize),
    Nack(usize),
    Release(usize),
    Reopen(usize, u8),
    Revive,
    Remove(u8),
    Pass(Millis),
    Crash,
}

/// A job's inputs among those before it, its priority, memory and attempts.
fn specs() -> impl Strategy<Value = Vec<JobSpec>> {
    let one = (any::<u8>(), 1..4u32, 0..3u8, 0..3u32, 1..4u32);
    prop::collection::vec(one, JOBS).prop_map(|jobs| {
        type Job = (u8, u32, u8, u32, u32);
        let spec = |(at, (mask, batch, rank, memory, attempts)): (usize, Job)| JobSpec {
            id: id(at),
            payload: vec![at as u8],
            after: (0..at).filter(|i| mask >> i & 1 == 1).map(id).collect(),
            priority: Priority {
                batch,
                rank: [Rank::Join, Rank::Segment, Rank::Plan][usize::from(rank)],
                order: mask.into(),
            },
            memory_mb: memory * 700,
            attempts,
        };
        jobs.into_iter().enumerate().map(spec).collect()
    })
}

fn id(at: usize) -> JobId {
    // Not in the order of the jobs.
    JobId([(at as u8).wrapping_mul(91); 32])
}

fn step() -> impl Strategy<Value = Step> {
    let held = 0..6usize;
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Push),
        6 => (prop::option::weighted(0.2, any::<bool>()), 0..3000u32)
            .prop_map(|(heavy, memory_mb)| Step::Lease { heavy, memory_mb }),
        1 => held.clone().prop_map(Step::Renew),
        5 => held.clone().prop_map(Step::Ack),
        3 => held.clone().prop_map(Step::Nack),
        1 => held.clone().prop_map(Step::Release),
        1 => (held, any::<u8>()).prop_map(|(at, mask)| Step::Reopen(at, mask)),
        1 => Just(Step::Revive),
        1 => any::<u8>().prop_map(Step::Remove),
        3 => (0..900u64).prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

struct Run {
    specs: Vec<JobSpec>,
    model: Naive,
    leases: Vec<Lease>,
    now: Millis,
    acks: u8,
}

impl Run {
    fn masked(&self, mask: u8) -> Vec<JobSpec> {
        let chosen = |at: &usize| mask >> at & 1 == 1;
        let chosen = (0..JOBS).filter(chosen);
        chosen.map(|at| self.specs[at].clone()).collect()
    }

    /// One of the leases ever given, the newest first.
    fn lease(&self, at: usize) -> Option<Lease> {
        self.leases.iter().rev().nth(at).cloned()
    }

    /// What is done with a lease is refused exactly where the model says that it has ended.
    fn held<T>(
        &mut self,
        lease: &Lease,
        answer: Result<T, QueueError>,
        apply: impl FnOnce(&mut Naive) -> T,
    ) where
        T: PartialEq + std::fmt::Debug,
    {
        match (self.model.holds(lease.id, lease.token, self.now), answer) {
            (true, answer) => assert_eq!(answer.unwrap(), apply(&mut self.model)),
            (false, answer) => {
                let code = answer.unwrap_err().code();
                assert!(["queue.lost", "queue.unknown"].contains(&code));
            }
        }
    }

    fn step(&mut self, queue: &dyn Queue, step: &Step) {
        let now = self.now;
        match step {
            Step::Push(mask) => {
                let specs = self.masked(*mask);
                let pushed = queue.push(&specs, now);
                match self.model.push(&specs) {
                    Some(new) => assert_eq!(pushed.unwrap(), new),
                    None => assert_eq!(pushed.unwrap_err().code(), "queue.input"),
                }
            }
            Step::Lease { heavy, memory_mb } => {
                let lane = heavy.map(|heavy| if heavy { Lane::Heavy } else { Lane::Light });
                self.take(queue, lane, *memory_mb);
            }
            Step::Renew(at) => {
                let Some(lease) = self.lease(*at) else { return };
                let answer = queue.renew(&lease, LASTS, now);
                self.held(&lease, answer, |model| model.renew(lease.id, LASTS, now));
            }
            Step::Ack(at) => {
                let Some(lease) = self.lease(*at) else { return };
                self.acks = self.acks.wrapping_add(1);
                let result = [self.acks];
                let answer = queue.ack(&lease, &result, now);
                self.held(&lease, answer, |model| model.ack(lease.id, &result));
            }
            Step::Nack(at) => {
                let Some(lease) = self.lease(*at) else { return };
                let answer = queue.nack(&lease, &failure(), now);
                self.held(&lease, answer, |model| model.nack(lease.id, now));
            }
            Step::Release(at) => {
                let Some(lease) = self.lease(*at) else { return };
                let answer = queue.release(&lease, now);
                self.held(&lease, answer, |model| model.release(lease.id));
            }
            Step::Reopen(at, mask) => self.reopen(queue, *at, *mask),
            Step::Revive => assert_eq!(queue.revive(now).unwrap(), self.model.revive()),
            Step::Remove(mask) => self.remove(queue, *mask),
            Step::Pass(time) => self.now += time,
            Step::Crash => {}
        }
    }

    fn take(&mut self, queue: &dyn Queue, lane: Option<Lane>, memory_mb: u32) -> bool {
        let request = LeaseRequest {
            worker: "w".into(),
            lane,
            memory_mb,
            lasts: LASTS,
        };
        let lease = queue.lease(&request, self.now).unwrap();
        let told = lease.as_ref().map(|lease| (lease.id, lease.token));
        assert_eq!(told, self.model.lease(&request, self.now));
        if let Some(lease) = &lease {
            let job = self.model.find(lease.id).unwrap();
            assert_eq!(
                (&lease.payload, lease.failures),
                (&job.spec.payload, job.failures)
            );
        }
        self.leases.extend(lease.clone());
        lease.is_some()
    }

    /// Inputs that somebody else removed would be refused; the service removes whole batches.
    fn reopen(&mut self, queue: &dyn Queue, at: usize, mask: u8) {
        let Some(lease) = self.lease(at) else { return };
        let lost: Vec<JobId> = self.masked(mask).iter().map(|spec| spec.id).collect();
        let answer = queue.reopen(&lease, &lost, self.now);
        self.held(&lease, answer, |model| model.reopen(lease.id, &lost));
    }

    /// Only together with all that come after them.
    fn remove(&mut self, queue: &dyn Queue, mask: u8) {
        let mut chosen = self.masked(mask);
        chosen.retain(|spec| {
            let needs = |job: &&crate::naive::Job| job.spec.after.contains(&spec.id);
            !self.model.jobs.iter().any(|job| needs(&job))
        });
        let ids: Vec<JobId> = chosen.iter().map(|spec| spec.id).collect();
        assert_eq!(queue.remove(&ids).unwrap(), self.model.remove(&ids));
    }

    fn compare(&self, queue: &dyn Queue) {
        for spec in &self.specs {
            let view = queue.view(spec.id).unwrap();
            match (self.model.find(spec.id), view) {
                (None, None) => {}
                (Some(job), Some(view)) if agrees(job, &view) => {}
                other => panic!("{other:?}"),
            }
        }
        let counts = queue.counts().unwrap();
        let sum = counts.waiting + counts.ready + counts.leased + counts.done + counts.failed;
        assert_eq!(sum, self.model.jobs.len() as u64);
    }

    /// Workers that do all they get: nothing stays open.
    fn finish(&mut self, queue: &dyn Queue) {
        for _ in 0..200 {
            self.now += 60_000;
            if !self.take(queue, None, u32::MAX) {
                break;
            }
            self.step(queue, &Step::Ack(0));
        }
        self.compare(queue);
        let finished =
            |job: &crate::naive::Job| matches!(job.state, State::Done(_) | State::Failed(_));
        assert!(self.model.jobs.iter().all(finished), "{:?}", self.model);
    }
}

fn run(specs: &[JobSpec], steps: &[Step], directory: Option<&Path>) {
    let mut run = Run {
        specs: specs.to_vec(),
        model: Naive::default(),
        leases: Vec::new(),
        now: 1_000,
        acks: 0,
    };
    let open = |directory: &Path| Box::new(rocks_queue(directory).unwrap());
    let mut queue: Box<dyn Queue> = match directory {
        Some(directory) => open(directory),
        None => Box::new(memory_queue()),
    };
    for step in steps {
        run.step(&*queue, step);
        if let (Step::Crash, Some(directory)) = (step, directory) {
            drop(queue);
            queue = open(directory);
            run.model.crash();
        }
        run.compare(&*queue);
    }
    run.finish(&*queue);
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_251_010),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(400))]
    #[test]
    fn the_queue_in_memory_is_the_model(
        specs in specs(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(&specs, &steps, None);
    }
}

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn the_queue_on_disk_is_the_model_through_crashes(
        specs in specs(),
        steps in prop::collection::vec(step(), 40..120),
    ) {
        let directory = tempfile::tempdir().unwrap();
        run(&specs, &steps, Some(directory.path()));
    }
}
