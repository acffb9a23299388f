//! The queue's rules, one by one.

use tally_jobs::queue::{Failure, JobState, LIGHT_MB, RETRY_MS, Rank, SUSPECT_DEATHS};
use tally_jobs::{JobId, JobSpec, Lane, Lease, LeaseRequest, Millis, Priority, Queue};
use tally_queue::{MemoryQueue, memory_queue};

use crate::naive::failure;

fn spec(name: u8, after: &[u8], batch: u32, rank: Rank) -> JobSpec {
    JobSpec {
        id: JobId([name; 32]),
        payload: vec![name],
        after: after.iter().map(|name| JobId([*name; 32])).collect(),
        priority: Priority {
            batch,
            rank,
            order: u32::from(name / 2),
        },
        memory_mb: 1,
        attempts: 2,
    }
}

fn request() -> LeaseRequest {
    LeaseRequest {
        worker: "w".into(),
        lane: None,
        memory_mb: u32::MAX,
        lasts: 100,
    }
}

fn take(queue: &MemoryQueue, now: Millis) -> Option<Lease> {
    queue.lease(&request(), now).unwrap()
}

fn taken(queue: &MemoryQueue, now: Millis) -> Vec<u8> {
    std::iter::from_fn(|| take(queue, now))
        .map(|lease| lease.id.0[0])
        .collect()
}

#[test]
fn older_batches_go_first_and_in_a_batch_joins() {
    let queue = memory_queue();
    let jobs = [
        spec(1, &[], 8, Rank::Join),
        spec(2, &[], 1, Rank::Plan),
        spec(3, &[], 1, Rank::Segment),
        spec(4, &[], 1, Rank::Join),
        spec(5, &[4], 1, Rank::Join),
    ];
    assert_eq!(queue.push(&jobs, 0).unwrap(), 5);
    assert_eq!(queue.push(&jobs, 0).unwrap(), 0, "again is nothing");
    assert_eq!(taken(&queue, 0), [4, 3, 2, 1], "5 waits for 4");
}

#[test]
fn lanes_and_free_memory_decide_who_takes_what() {
    let queue = memory_queue();
    let heavy = JobSpec {
        memory_mb: LIGHT_MB + 1,
        ..spec(1, &[], 1, Rank::Join)
    };
    queue
        .push(&[heavy, spec(2, &[], 2, Rank::Segment)], 0)
        .unwrap();
    let light = LeaseRequest {
        lane: Some(Lane::Light),
        ..request()
    };
    assert_eq!(queue.lease(&light, 0).unwrap().unwrap().id.0[0], 2);
    let small = LeaseRequest {
        memory_mb: LIGHT_MB,
        ..request()
    };
    assert!(queue.lease(&small, 0).unwrap().is_none());
    assert_eq!(taken(&queue, 0), [1]);
}

#[test]
fn a_lease_lasts_while_it_is_renewed_and_its_end_spends_no_retry() {
    let queue = memory_queue();
    queue.push(&[spec(1, &[], 1, Rank::Segment)], 0).unwrap();
    let dead = take(&queue, 0).unwrap();
    queue.renew(&dead, 100, 90).unwrap();
    assert!(take(&queue, 150).is_none());
    let next = take(&queue, 190).unwrap();
    assert_eq!((next.failures, next.deaths), (0, 1));
    for answer in [
        queue.ack(&dead, &[], 191),
        queue.renew(&dead, 100, 191),
        queue.nack(&dead, &failure(), 191).map(drop),
    ] {
        assert_eq!(answer.unwrap_err().code(), "queue.lost");
    }
    // An end that nobody saw yet is an end.
    assert_eq!(queue.ack(&next, &[], 290).unwrap_err().code(), "queue.lost");
    let last = take(&queue, 290).unwrap();
    queue.ack(&last, &[7], 291).unwrap();
    assert_eq!(
        queue.ack(&last, &[8], 292).unwrap_err().code(),
        "queue.lost"
    );
    let done = JobState::Done { result: vec![7] };
    assert_eq!(queue.view(last.id).unwrap().unwrap().state, done);
}

#[test]
fn a_job_that_kills_its_workers_goes_behind_all_others() {
    let queue = memory_queue();
    queue
        .push(
            &[spec(1, &[], 1, Rank::Join), spec(2, &[], 9, Rank::Plan)],
            0,
        )
        .unwrap();
    let mut now = 0;
    for _ in 0..SUSPECT_DEATHS {
        assert_eq!(take(&queue, now).unwrap().id.0[0], 1);
        now += 100;
    }
    assert_eq!(taken(&queue, now), [2, 1]);
}

#[test]
fn a_poisoned_job_spends_its_attempts_and_fails_what_waits_for_it_alone() {
    let queue = memory_queue();
    let jobs = [
        spec(1, &[], 1, Rank::Segment),
        spec(2, &[1], 1, Rank::Join),
        spec(3, &[2], 1, Rank::Join),
        spec(4, &[], 2, Rank::Segment),
        spec(5, &[4], 2, Rank::Join),
    ];
    queue.push(&jobs, 0).unwrap();
    let first = take(&queue, 0).unwrap();
    assert!(queue.nack(&first, &failure(), 0).unwrap(), "one is left");
    // While it rests, others go on.
    let other = take(&queue, 0).unwrap();
    assert_eq!(other.id.0[0], 4);
    queue.ack(&other, &[], 1).unwrap();
    assert_eq!(taken(&queue, 2), [5]);
    let again = take(&queue, RETRY_MS).unwrap();
    assert_eq!((again.id.0[0], again.failures), (1, 1));
    let refused = Failure {
        code: "prove.witness".into(),
        reason: "no".into(),
    };
    assert!(!queue.nack(&again, &refused, RETRY_MS).unwrap());
    for name in [1, 2, 3] {
        let state = queue.view(JobId([name; 32])).unwrap().unwrap().state;
        let cause = JobId([1; 32]);
        let failure = refused.clone();
        assert_eq!(state, JobState::Failed { cause, failure }, "{name}");
    }
    // What is pushed onto it later fails with it.
    queue.push(&[spec(6, &[3], 1, Rank::Join)], 0).unwrap();
    assert_eq!(queue.counts().unwrap().failed, 4);
    assert_eq!(queue.revive(0).unwrap(), 4);
    let now = 2 * RETRY_MS;
    for expected in [1, 2, 3, 6] {
        let lease = take(&queue, now).unwrap();
        // The fifth's lease has ended meanwhile, of a later batch.
        assert_eq!(lease.id.0[0], expected);
        queue.ack(&lease, &[], now).unwrap();
    }
}

#[test]
fn a_lost_result_is_made_again_before_what_needs_it() {
    let queue = memory_queue();
    let jobs = [
        spec(1, &[], 1, Rank::Segment),
        spec(2, &[], 1, Rank::Segment),
        spec(3, &[1, 2], 1, Rank::Join),
    ];
    queue.push(&jobs, 0).unwrap();
    for _ in 0..2 {
        let lease = take(&queue, 0).unwrap();
        queue.ack(&lease, &[], 0).unwrap();
    }
    let join = take(&queue, 0).unwrap();
    queue.reopen(&join, &[JobId([2; 32])], 0).unwrap();
    let again = take(&queue, 0).unwrap();
    assert_eq!(again.id.0[0], 2);
    assert!(take(&queue, 0).is_none(), "the join waits");
    queue.ack(&again, &[], 0).unwrap();
    let join = take(&queue, 0).unwrap();
    assert_eq!((join.id.0[0], join.failures, join.deaths), (3, 0, 0));
}

#[test]
fn what_something_waits_for_is_not_forgotten() {
    let queue = memory_queue();
    let jobs = [spec(1, &[], 1, Rank::Segment), spec(2, &[1], 1, Rank::Join)];
    queue.push(&jobs, 0).unwrap();
    let ids = [JobId([1; 32]), JobId([2; 32])];
    assert_eq!(queue.remove(&ids).unwrap(), 0);
    for _ in 0..2 {
        let lease = take(&queue, 0).unwrap();
        queue.ack(&lease, &[], 0).unwrap();
    }
    assert_eq!(queue.remove(&ids).unwrap(), 2);
    assert!(queue.view(ids[0]).unwrap().is_none());
    let missing = queue.push(&jobs[1..], 0).unwrap_err();
    assert_eq!(missing.code(), "queue.input");
}
