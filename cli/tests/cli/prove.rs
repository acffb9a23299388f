//! From bars to a proof file and back, through the binary: one epoch with real proofs.
//!
//! One test, because its proofs are made once: some minutes on two cores.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::binary::{last_line, result, tally};

/// Verifies; the error where it is refused.
fn verify(files: &[&Path]) -> Result<Value, String> {
    let files = files.iter().map(|file| file.to_str().unwrap());
    let args: Vec<&str> = ["verify", "--json"].into_iter().chain(files).collect();
    result(&tally(&args))
}

/// The parts that are there, with when they were written.
fn parts(out: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let parts = fs::read_dir(out.join("parts"))
        .into_iter()
        .flatten()
        .flatten();
    let paths = parts.map(|part| part.path());
    let whole = paths.filter(|path| path.extension().is_some_and(|it| it == "proof"));
    let written = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    whole.map(|path| (path.clone(), written(&path))).collect()
}

/// A prover that ends when its inbox is proven and keeps what it made.
fn prover(inbox: &Path, out: &Path, first: &str) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_tally"));
    run.args([
        "prover",
        "--json",
        "--drain",
        "--keep",
        "--first-epoch",
        first,
    ])
    .arg("--inbox")
    .arg(inbox)
    .arg("--out")
    .arg(out);
    run
}

#[test]
fn p5_p6_a_market_epoch_is_proven_resumed_and_verified() {
    let directory = tempfile::tempdir().unwrap();
    let (out, inbox) = (directory.path().join("out"), directory.path().join("inbox"));
    let path = out.to_str().unwrap();
    let base = [
        "replay",
        "--json",
        "--accounts",
        "12",
        "--epochs",
        "2",
        "--out",
        path,
    ];
    let native = last_line(&tally(&base));
    assert_eq!(native["proofs"], 0);
    let first = (native["setup_epochs"].as_u64().unwrap() + 1).to_string();
    let window = ["--data", "--prove-from", &first, "--prove-epochs", "1"];
    let base = [&base[..], &window].concat();
    let witnesses = ["--witnesses", inbox.to_str().unwrap()];
    last_line(&tally(&[&base[..], &witnesses].concat()));

    // Killed when three parts are there; what is finished is not made again.
    let mut killed = prover(&inbox, &out, &first);
    let killed = killed.stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = killed.spawn().unwrap();
    while parts(&out).len() < 3 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(200));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let finished = parts(&out);
    let name = format!("batch-{first:0>10}-{first:0>10}.proof");
    let file = out.join(name);
    assert!(!file.exists());
    let status = last_line(&prover(&inbox, &out, &first).output().unwrap());
    assert_eq!(status["proven_through"].to_string(), first);
    let all = parts(&out);
    assert!(all.len() > finished.len());
    assert!(
        finished.iter().all(|(part, at)| all[part] == *at),
        "made again"
    );

    // A replay that proves the same epoch finds every part: a job done twice is the same job.
    let proven = last_line(&tally(&[&base[..], &["--prove"]].concat()));
    assert_eq!(proven["state_root"], native["state_root"]);
    assert_eq!(
        (&proven["proofs"], &proven["trial_balance"]),
        (&1.into(), &0.into())
    );
    assert_eq!(proven["parts_reused"], all.len());
    assert!(proven["rows_per_fill"].as_f64().unwrap() > 0.0);
    assert!(proven["cpu_seconds_per_fill"].as_f64().unwrap() > 0.0);
    let replayed = fs::read(out.join("batch-000000.proof")).unwrap();
    assert!(fs::read(&file).unwrap() == replayed);

    // What is proven is what the native run wrote: its length, then its bytes, follow the key.
    let data = fs::read(out.join("batch-000000.data")).unwrap();
    let bytes = fs::read(&file).unwrap();
    let start = 8 + 4 + 68 * 8 + 8;
    assert_eq!(bytes[start - 8..start], (data.len() as u64).to_be_bytes());
    assert!(bytes[start..start + data.len()] == data);

    let verified = verify(&[&file]).unwrap();
    assert_eq!(verified["first_epoch"].to_string(), first);
    refuses(directory.path(), &file);
}

/// Bytes changed in data and proof, a file cut short, files out of order.
fn refuses(directory: &Path, file: &PathBuf) {
    let bytes = fs::read(file).unwrap();
    let lie = directory.join("lie.proof");
    let refused = |bytes: &[u8]| {
        fs::write(&lie, bytes).unwrap();
        verify(&[&lie]).unwrap_err()
    };
    // Header and key are 8 + 4 + 68 · 8 bytes; then the data, after its length.
    let data = 8 + 4 + 68 * 8 + 8;
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        refused(&bytes)
    };
    assert!(changed(20).contains("[P5.key]"));
    // The last element of the accounts' data, and one of the statement.
    assert!(changed(data + 7 * 40).contains("[P6."));
    assert!(changed(data + 6).contains("[P6."));
    assert!(changed(bytes.len() / 2).contains("[P6."));
    assert!(changed(bytes.len() - 1).contains("[P6."));
    assert!(refused(&bytes[..bytes.len() - 1]).contains("[file.short]"));
    assert!(refused(&[&bytes[..], &[0]].concat()).contains("[file.trailing]"));
    assert!(verify(&[file, file]).unwrap_err().contains("[P5.epoch]"));
}
