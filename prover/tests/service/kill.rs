//! The service's process is killed at random points: it settles every batch all the same, and what
//! was finished is not made again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use tally_jobs::ProverStatus;
use tally_queue::rocks_queue;

use crate::stub::{Place, Stub, Watch};

const DIRECTORY: &str = "TALLY_PROVER_KILL_TEST";
const EPOCHS: u32 = 12;

/// What is killed.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let place = Place(directory.into());
    let queue = rocks_queue(&place.0.join("queue")).unwrap();
    let stop = AtomicBool::new(false);
    let mut watch = Watch::new(&stop, u32::MAX);
    watch.tell = true;
    place.run(&queue, &Stub::default(), &watch).unwrap();
}

#[test]
fn killed_anywhere_it_settles_every_batch_and_makes_little_twice() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place(directory.path().to_owned());
    place.deliver(1..=EPOCHS);
    let (mut made, mut kills) = (BTreeMap::<String, u32>::new(), 0);
    for round in 1.. {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--nocapture"])
            .env(DIRECTORY, &place.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut left = 1 + round * 5 % 7;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let Some((_, told)) = line.split_once("finished ") else {
                continue;
            };
            let (label, reused) = told.rsplit_once(' ').unwrap();
            if reused == "false" {
                *made.entry(label.into()).or_default() += 1;
            }
            left -= 1;
            if left == 0 {
                child.kill().unwrap();
                kills += 1;
            }
        }
        let ended = child.wait().unwrap();
        assert!(round < 60, "it comes to an end");
        if ended.success() {
            break;
        }
    }
    assert!(kills >= 5, "{kills}");
    let status = ProverStatus::read(&place.0).unwrap().unwrap();
    assert_eq!(status.proven_through, Some(EPOCHS));
    assert_eq!(place.files("", "proof").len() as u32, EPOCHS / 2);
    assert!(place.files("parts", "proof").is_empty());
    // "Finished" is told after the proof is stored, so it is told as made at most once.
    assert!(made.values().all(|times| *times == 1), "{made:?}");
}
