//! Lies, failures, panics, deaths and losses.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use tally_jobs::queue::JobState;
use tally_jobs::{LeaseRequest, ProverStatus, Queue};
use tally_prover::farm::{Clock, SystemClock};
use tally_prover::service::proof_file;
use tally_queue::{memory_queue, rocks_queue};

use crate::stub::{Fault, Place, Stub, Watch, config};

fn place() -> (tempfile::TempDir, Place) {
    let directory = tempfile::tempdir().unwrap();
    let place = Place(directory.path().to_owned());
    (directory, place)
}

fn five_epochs_are_proven(place: &Place, status: &ProverStatus) {
    assert_eq!(status.proven_through, Some(5));
    assert!(status.batches.is_empty());
    let files = [(1, 2), (3, 4), (5, 5)].map(|(first, last)| proof_file(first, last));
    assert_eq!(place.files("", "proof"), files);
}

#[test]
fn epochs_become_batches_in_order_and_leave_nothing_behind() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let (stub, watch) = (Stub::default(), Watch::new(&stop, u32::MAX));
    let status = place.run(&queue, &stub, &watch).unwrap();
    five_epochs_are_proven(&place, &status);
    assert_eq!(ProverStatus::read(&place.0).unwrap(), Some(status));
    assert!(stub.begun.lock().unwrap().values().all(|times| *times == 1));
    for (directory, extension) in [("inbox", "witness"), ("parts", "proof"), ("parts", "plan")] {
        assert!(place.files(directory, extension).is_empty(), "{directory}");
    }
    assert_eq!(queue.counts().unwrap(), Default::default());
    // Epochs that come later go on from there; a gap is waited for.
    place.deliver(6..=6);
    place.deliver(8..=8);
    let status = place.run(&queue, &stub, &watch).unwrap();
    assert_eq!(
        (status.proven_through, status.received_through),
        (Some(6), Some(6))
    );
}

#[test]
fn a_stopped_service_goes_on_with_what_is_finished() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let stub = Stub::default();
    for _ in 0..30 {
        let queue = rocks_queue(&place.0.join("queue")).unwrap();
        let stop = AtomicBool::new(false);
        let status = place.run(&queue, &stub, &Watch::new(&stop, 4)).unwrap();
        if status.proven_through == Some(5) {
            five_epochs_are_proven(&place, &status);
            let begun = stub.begun.lock().unwrap();
            assert!(begun.values().all(|times| *times == 1), "{begun:?}");
            return;
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn a_lie_and_a_panic_are_told_refused_and_made_good() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let stub = Stub::with("epoch 1 segment 0", Fault::Lies, 1);
    stub.faults
        .lock()
        .unwrap()
        .insert("epoch 3".into(), (Fault::Panics, 1));
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let watch = Watch::new(&stop, u32::MAX);
    let status = place.run(&queue, &stub, &watch).unwrap();
    five_epochs_are_proven(&place, &status);
    let mut failed = watch.failed.into_inner().unwrap();
    failed.sort();
    let told = |label: &str, code: &str| (label.to_owned(), code.to_owned(), true);
    assert_eq!(
        failed,
        [
            told("epoch 1 segment 0", "prove.refused"),
            told("epoch 3", "prove.panicked")
        ]
    );
}

#[test]
fn a_poisoned_job_is_told_and_blocks_no_other_batch() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let stub = Stub::with("epoch 2 segment 1", Fault::Fails, u32::MAX);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let watch = Watch::new(&stop, u32::MAX);
    let status = place.run(&queue, &stub, &watch).unwrap();
    assert_eq!(
        (status.proven_through, status.batched_through),
        (None, Some(5))
    );
    let [poisoned, second, third] = &status.batches[..] else {
        panic!("{status:?}");
    };
    let failure = poisoned.failure.clone().unwrap();
    assert_eq!(failure.label, "epoch 2 segment 1");
    assert_eq!(failure.failure.code, "prove.witness");
    assert_eq!(
        stub.begun.lock().unwrap()["epoch 2 segment 1"],
        2,
        "its attempts"
    );
    for batch in [second, third] {
        assert!(batch.failure.is_none() && batch.jobs > 0 && batch.done == batch.jobs);
    }
    assert!(
        place.files("", "proof").is_empty(),
        "batches settle in order"
    );

    // The operator repairs what was wrong.
    stub.faults.lock().unwrap().clear();
    assert!(queue.revive(0).unwrap() > 0);
    let status = place.run(&queue, &stub, &watch).unwrap();
    five_epochs_are_proven(&place, &status);
    let begun = stub.begun.lock().unwrap();
    assert_eq!(begun["epoch 2 segment 1"], 3);
    assert_eq!(begun["epoch 4"], 1, "what was done stays done");
}

#[test]
fn a_plan_that_fails_is_told() {
    let (_directory, place) = place();
    place.deliver(1..=2);
    let stub = Stub::with("plan of epochs 1 to 2", Fault::Fails, u32::MAX);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let status = place
        .run(&queue, &stub, &Watch::new(&stop, u32::MAX))
        .unwrap();
    let failure = status.batches[0].failure.clone().unwrap();
    assert_eq!(failure.label, "plan of epochs 1 to 2");
    assert_eq!(failure.failure.code, "prove.empty");
}

#[test]
fn a_worker_that_dies_spends_no_retry() {
    let (_directory, place) = place();
    place.deliver(1..=2);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let stub = Stub::default();
    // It leaves after the plan; somebody else takes a job and is never heard of again.
    place.run(&queue, &stub, &Watch::new(&stop, 1)).unwrap();
    let request = LeaseRequest {
        worker: "dead".into(),
        lane: None,
        memory_mb: u32::MAX,
        lasts: 300,
    };
    let lost = queue.lease(&request, SystemClock.now()).unwrap().unwrap();
    stop.store(false, Ordering::Relaxed);
    let keep = tally_prover::service::ServiceConfig {
        keep: true,
        ..config()
    };
    // Stopped before the batch's own proof, the job can still be looked at.
    let jobs = 2 * 4 + 1;
    let watch = Watch::new(&stop, jobs - 2);
    place.run_with(&queue, &stub, &watch, keep).unwrap();
    let view = queue.view(lost.id).unwrap().unwrap();
    assert!(matches!(view.state, JobState::Done { .. }), "{view:?}");
    assert_eq!((view.failures, view.deaths), (0, 1));
    assert_eq!(
        queue.ack(&lost, &[], SystemClock.now()).unwrap_err().code(),
        "queue.lost"
    );
}

#[test]
fn lost_and_damaged_files_are_made_again() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let (queue, stub) = (memory_queue(), Stub::default());
    for damage in [0, 1, 2] {
        let stop = AtomicBool::new(false);
        place.run(&queue, &stub, &Watch::new(&stop, 3)).unwrap();
        for name in place.files("parts", "proof") {
            let path = place.0.join("parts").join(name);
            match damage {
                0 => fs::remove_file(path).unwrap(),
                1 => fs::write(path, b"tallyjob").unwrap(),
                _ => {}
            }
        }
        if damage == 2 {
            for name in place.files("parts", "plan") {
                fs::remove_file(place.0.join("parts").join(name)).unwrap();
            }
        }
    }
    let stop = AtomicBool::new(false);
    let status = place
        .run(&queue, &stub, &Watch::new(&stop, u32::MAX))
        .unwrap();
    five_epochs_are_proven(&place, &status);
}

#[test]
fn a_batch_that_does_not_go_on_where_the_last_ended_is_refused() {
    let (_directory, place) = place();
    place.deliver(1..=5);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let stub = Stub::default();
    let config = tally_prover::service::ServiceConfig {
        epochs_per_batch: 5,
        ..config()
    };
    let watch = Watch::new(&stop, u32::MAX);
    place.run_with(&queue, &stub, &watch, config).unwrap();
    stub.broken_chain.store(true, Ordering::Relaxed);
    place.deliver(6..=6);
    let error = place.run(&queue, &stub, &watch).unwrap_err();
    assert_eq!(error.code(), "service.chain");
    assert_eq!(place.files("", "proof").len(), 1);
}

#[test]
fn a_ledger_that_was_tampered_with_is_refused() {
    let (_directory, place) = place();
    place.deliver(1..=2);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let (stub, watch) = (Stub::default(), Watch::new(&stop, u32::MAX));
    place.run(&queue, &stub, &watch).unwrap();
    let path = place.0.join("batches.json");
    let text = fs::read_to_string(&path).unwrap();
    let lie = text.replace("\"next_epoch\": 3", "\"next_epoch\": 4");
    assert_ne!(lie, text);
    fs::write(&path, lie).unwrap();
    let error = place.run(&queue, &stub, &watch).unwrap_err();
    assert_eq!(error.code(), "service.ledger");
}

#[test]
fn open_batches_of_another_release_are_not_taken_up() {
    let (_directory, place) = place();
    place.deliver(1..=2);
    let (queue, stop) = (memory_queue(), AtomicBool::new(false));
    let (stub, watch) = (Stub::default(), Watch::new(&stop, 2));
    place.run(&queue, &stub, &watch).unwrap();
    let path = place.0.join("batches.json");
    let text = fs::read_to_string(&path).unwrap();
    let release = "\"release\": [\n        9";
    assert!(text.contains(release), "{text}");
    fs::write(&path, text.replace(release, "\"release\": [\n        8")).unwrap();
    let error = place.run(&queue, &stub, &watch).unwrap_err();
    assert_eq!(error.code(), "service.release");
}

/// \[P6\] One transaction of L1 takes a batch: epochs whose data are too much together are batches
/// of their own, though a batch may have more epochs.
#[test]
fn p6_a_batch_is_closed_before_its_data_are_too_many() {
    let (_directory, place) = place();
    place.inbox();
    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/vectors");
    for epoch in [1, 2] {
        let witness = vectors.join(format!("epoch-{epoch}.witness"));
        let name = format!("epoch-{epoch:010}.witness");
        fs::copy(witness, place.0.join("inbox").join(name)).unwrap();
    }
    let run = |most_data_bytes: usize| {
        let (queue, stub) = (memory_queue(), Stub::default());
        let config = tally_prover::service::ServiceConfig {
            epochs_per_batch: 5,
            most_data_bytes,
            keep: true,
            ..config()
        };
        let stop = AtomicBool::new(false);
        let watch = Watch::new(&stop, u32::MAX);
        place.run_with(&queue, &stub, &watch, config).unwrap();
        let files = place.files("", "proof");
        fs::remove_file(place.0.join("batches.json")).unwrap();
        for file in &files {
            fs::remove_file(place.0.join(file)).unwrap();
        }
        files
    };
    assert_eq!(run(1_000_000), [proof_file(1, 2)]);
    assert_eq!(run(1_000), [proof_file(1, 1), proof_file(2, 2)]);
}

#[test]
fn a_full_batch_is_closed_at_once_and_a_started_one_when_it_is_due() {
    let (_directory, place) = place();
    place.deliver(1..=3);
    let (queue, stub) = (memory_queue(), Stub::default());
    // Two epochs have 9 jobs: it stops itself when they are proven, the third still waiting.
    let stop = AtomicBool::new(false);
    let waits = tally_prover::service::ServiceConfig {
        drain: false,
        ..config()
    };
    let status = place
        .run_with(&queue, &stub, &Watch::new(&stop, 9), waits)
        .unwrap();
    assert_eq!(
        (status.batched_through, status.received_through),
        (Some(2), Some(3))
    );
    let stop = AtomicBool::new(false);
    let due = tally_prover::service::ServiceConfig {
        batch_ms: 0,
        ..waits
    };
    let status = place
        .run_with(&queue, &stub, &Watch::new(&stop, 5), due)
        .unwrap();
    assert_eq!(status.batched_through, Some(3));
}
