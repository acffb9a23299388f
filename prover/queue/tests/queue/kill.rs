//! The process is killed, not dropped: what it said was done is done, and everything else is still
//! to do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tally_jobs::queue::{JobState, Rank};
use tally_jobs::{JobId, JobSpec, LeaseRequest, Priority, Queue};
use tally_queue::rocks_queue;

const DIRECTORY: &str = "TALLY_QUEUE_KILL_TEST";
const JOBS: u32 = 120;
const LASTS: u64 = 60_000;

fn id(at: u32) -> JobId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&at.to_be_bytes());
    JobId(id)
}

/// A tree: each job after two earlier ones.
fn specs() -> Vec<JobSpec> {
    let spec = |at: u32| JobSpec {
        id: id(at),
        payload: at.to_be_bytes().to_vec(),
        after: if at < 8 {
            vec![]
        } else {
            vec![id(at / 2), id(at / 3)]
        },
        priority: Priority {
            batch: at / 16,
            rank: Rank::Segment,
            order: at % 3,
        },
        memory_mb: 1,
        attempts: 3,
    };
    (0..JOBS).map(spec).collect()
}

fn request() -> LeaseRequest {
    LeaseRequest {
        worker: "child".into(),
        lane: None,
        memory_mb: 10,
        lasts: LASTS,
    }
}

/// What is killed: pushes all, then does one after the other and says so when it is done.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let queue = rocks_queue(Path::new(&directory)).unwrap();
    queue.push(&specs(), 1).unwrap();
    let mut out = std::io::stdout();
    while let Some(lease) = queue.lease(&request(), 1).unwrap() {
        queue.ack(&lease, &lease.token.to_be_bytes(), 1).unwrap();
        writeln!(out, "acked {} {}", lease.id, lease.token).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn kill_9_loses_nothing_and_does_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut told: BTreeMap<JobId, u64> = BTreeMap::new();
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 1 + round * 2;
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ').skip_while(|word| !word.ends_with("acked"));
            let (Some(_), Some(id), Some(token)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let again = told.insert(id.parse().unwrap(), token.parse().unwrap());
            assert_eq!(again, None, "{id} was done twice");
            left -= 1;
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    assert!(told.len() >= 50, "{}", told.len());

    let queue = rocks_queue(directory.path()).unwrap();
    for (id, token) in &told {
        let result = token.to_be_bytes().to_vec();
        let state = queue.view(*id).unwrap().unwrap().state;
        assert_eq!(state, JobState::Done { result });
    }
    // What was acknowledged between the last line and the kill is done too; the rest is done now.
    while let Some(lease) = queue.lease(&request(), 1).unwrap() {
        assert!(!told.contains_key(&lease.id));
        queue.ack(&lease, &[], 1).unwrap();
    }
    assert_eq!(queue.counts().unwrap().done, u64::from(JOBS));
}
