//! The loop of the whole system through the binary: deposits made on the chain are traded over the
//! API, batched, settled, and withdrawals are pulled; a second start goes on; a prover that is
//! killed in the middle of a batch settles it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binary::{last_line, number, result, tally};

/// On the chain inside the process, with eight bots.
fn args<'a>(dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["devnet", "--plain", "--json", "--data", dir];
    let small = ["--l1", "embedded", "--listen", "127.0.0.1:0", "--bots", "8"];
    [&base[..], &small, more].concat()
}

fn devnet(dir: &Path) -> Value {
    let more = [
        "--mock-prover",
        "--until-settled",
        "--round-ms",
        "1000",
        "--bot-ms",
        "150",
    ];
    let batches = ["--epochs-per-batch", "12", "--seconds", "300"];
    let more = [&more[..], &batches].concat();
    result(&tally(&args(dir.to_str().unwrap(), &more))).unwrap()
}

/// [C1], [C2] Every root is that of the state rebuilt from the chain; nothing is done twice.
#[test]
fn c1_c2_the_loop_settles_trades_and_liquidations_and_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = devnet(dir.path());
    assert_eq!(first["verifier"], "mock");
    assert!(first["traded_and_liquidated"].is_array(), "{first}");
    assert_eq!(first["settled_root"], first["rebuilt_root"]);
    // Two listings and eight accounts, each opened by its own deposit.
    assert_eq!(number(&first, "l1_items"), 10);
    assert_eq!(number(&first, "rebuilt_accounts"), 8);
    for counter in ["fills", "flags", "liquidations", "withdrawals", "pulled"] {
        assert!(number(&first, counter) > 0, "{counter} in {first}");
    }
    let second = devnet(dir.path());
    assert_eq!(second["settled_root"], second["rebuilt_root"]);
    for counter in ["l1_items", "rebuilt_accounts"] {
        assert_eq!(second[counter], first[counter], "{counter}");
    }
    for counter in ["epochs", "executed_epoch", "fills", "liquidations"] {
        assert!(
            number(&second, counter) >= number(&first, counter),
            "{counter}"
        );
    }
    let third = interrupted(dir.path());
    assert_eq!(third["settled_root"], third["rebuilt_root"]);
    assert!(number(&third, "epochs") > number(&second, "epochs"));
    assert!(number(&third, "executed_epoch") >= number(&second, "executed_epoch"));
    rebuilds(dir.path(), &third);
}

/// Ends by an interrupt, as Ctrl-C sends one, once it has closed an epoch more.
fn interrupted(dir: &Path) -> Value {
    let more = ["--mock-prover", "--round-ms", "1000", "--bot-ms", "150"];
    let mut devnet = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(args(dir.to_str().unwrap(), &more))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(devnet.stderr.take().unwrap()).lines();
    // Epochs of the log may be told again before.
    for part in ["have made their deposits", " fills, "] {
        let is_said = said.by_ref().any(|line| line.unwrap().contains(part));
        assert!(is_said, "{part} was never said");
    }
    kill_process(Pid::from_child(&devnet), Signal::INT).unwrap();
    // Read to its end, or the pipe would hold the devnet.
    assert!(said.by_ref().any(|line| line.unwrap().contains("stopping")));
    said.for_each(drop);
    last_line(&devnet.wait_with_output().unwrap())
}

/// Another process, which reads a copy of the chain and nothing else.
fn rebuilds(dir: &Path, summary: &Value) {
    let at = dir.to_str().unwrap();
    let rebuild = ["rebuild", "--json", "--devnet", at, "--account"];
    let of = |id: &str| result(&tally(&[&rebuild[..], &[id]].concat()));
    let rebuilt = of("1024").unwrap();
    assert_eq!(rebuilt["state_root"], summary["settled_root"]);
    assert_eq!(rebuilt["last_epoch"], summary["executed_epoch"]);
    assert_eq!(rebuilt["account"]["id"], 1024);
    assert!(rebuilt["account"]["equity"].as_i64().unwrap() > 0);
    assert!(of("9999").unwrap_err().contains("[account.unknown]"));
    // The chain's log goes on where it was: the copy was read, not the log.
    let log = fs::read(dir.join("l1/chain.log")).unwrap();
    of("1025").unwrap();
    assert!(fs::read(dir.join("l1/chain.log")).unwrap() == log);
    fs::remove_file(dir.join("devnet.json")).unwrap();
    assert!(of("1024").unwrap_err().contains("[devnet.facts]"));
}

/// Real proofs of one epoch: some minutes of one core, most of them the circuits, which each of the
/// two provers builds.
#[test]
fn c2_a_prover_killed_in_the_middle_of_a_batch_resumes_and_settles_it() {
    let dir = tempfile::tempdir().unwrap();
    let more = ["--mock-verifier", "--epochs-per-batch", "1", "--lead", "1"];
    let more = [&more[..], &["--until-executed", "1", "--seconds", "1500"]].concat();
    let mut devnet = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(args(dir.path().to_str().unwrap(), &more))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let parts = dir.path().join("batches/parts");
    while files(&parts, "proof").len() < 3 {
        assert!(is_running(&mut devnet), "it ended by itself");
        sleep(Duration::from_millis(100));
    }
    let prover = fs::read_to_string(dir.path().join("prover.pid")).unwrap();
    let prover = Pid::from_raw(prover.trim().parse().unwrap()).unwrap();
    kill_process(prover, Signal::KILL).unwrap();
    assert!(files(&dir.path().join("batches"), "proof").is_empty());
    let summary = last_line(&devnet.wait_with_output().unwrap());
    assert_eq!(number(&summary, "prover_starts"), 2, "{summary}");
    assert!(number(&summary, "executed_epoch") >= 1, "{summary}");
    assert_eq!(summary["settled_root"], summary["rebuilt_root"]);
    assert_eq!(summary["mock_prover"], false);

    // What was finished before the kill was not made again. (Two joins share a label.)
    let log = fs::read_to_string(dir.path().join("prover.log")).unwrap();
    let first_batch = log.split("a batch is proven").next().unwrap();
    let finished = |line: &&str| line.contains("finished job=");
    let finished: Vec<&str> = first_batch.lines().filter(finished).collect();
    let is_made = |line: &&&str| line.contains("reused=false");
    let (made, jobs) = (finished.iter().filter(is_made).count(), planned(&log));
    assert!(
        made <= jobs && jobs <= finished.len() && jobs >= 6,
        "{jobs} jobs: {log}"
    );
    let batches = files(&dir.path().join("batches"), "proof");
    let batches: Vec<&str> = batches.iter().map(String::as_str).collect();
    let verified = result(&tally(&[&["verify", "--json"], &batches[..]].concat())).unwrap();
    assert_eq!(number(&verified, "first_epoch"), 1);
}

/// Proofs of the first batch.
fn planned(log: &str) -> usize {
    let planned = log.split("planned jobs=").nth(1).unwrap();
    planned.lines().next().unwrap().trim().parse().unwrap()
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

/// Of this kind, whole.
fn files(dir: &Path, kind: &str) -> Vec<String> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = found.map(|file| file.path());
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == kind));
    let mut names: Vec<String> = files.map(|path| path.to_str().unwrap().into()).collect();
    names.sort();
    names
}
