//! Real proofs through the contract, through the binary: `tests/golden/settle` has two batches of a
//! replay, proven and wrapped once, and the verifier generated for their key. Whoever changes a
//! circuit renews them with `scripts/golden.sh`; tests/tests/golden.rs checks that the verifier is
//! that of today's circuits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alloy::providers::Provider as _;
use serde_json::Value;
use tally_l1::dev::first_address;
use tally_l1::{Anvil, Contract, connect};
use tempfile::TempDir;

use crate::binary::{number, result, tally};
use crate::settle::every_lie_was_refused;

/// Of a whole `prove`, its calldata and the contract's own work in it; 450,000 are allowed.
const MOST_GAS: u64 = 375_000;

fn golden(name: &str) -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/settle");
    Path::new(dir).join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A replay's directory, as it is once everything is wrapped.
fn replay_of() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(golden("")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

fn settle(out: &Path, rpc: &str, more: &[&str]) -> Result<Value, String> {
    let out = out.to_str().unwrap();
    let args = ["settle", "--json", "--replay", out, "--rpc", rpc];
    result(&tally(&[&args[..], more].concat()))
}

#[test]
fn golden_batches_are_of_the_releases_batch_circuit() {
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../prover/release.json");
    let release = json(Path::new(release));
    let kept = json(&golden("golden.json"));
    assert_eq!(
        kept["batch_key"], release["batch"]["key"],
        "tests/golden/settle is of another release: renew it with scripts/golden.sh"
    );
}

/// \[P6\], \[C1\], \[C2\] Deposits in, proven by the generated verifier, executed, withdrawals
/// pulled, roots equal, rebuilt; every lie refused by its name. On a chain inside the process, and
/// on an anvil where there is one.
#[test]
fn p6_c1_c2_real_proofs_settle_and_lies_are_refused() {
    let anvil = Anvil::start().unwrap();
    let urls = [Some("embedded".into()), anvil.as_ref().map(Anvil::url)];
    let mut spent = Vec::new();
    for rpc in urls.into_iter().flatten() {
        let dir = replay_of();
        let settled = settle(dir.path(), &rpc, &["--try-lies"]).unwrap();
        let kept = json(&golden("summary.json"));
        assert_eq!(settled["verifier_kind"], "generated");
        assert_eq!(settled["dev_setup"], true);
        every_lie_was_refused(&settled);
        for root in ["state_root", "rebuilt_root"] {
            assert_eq!(settled[root], kept["state_root"], "{root} in {settled}");
        }
        for count in ["batches", "withdrawals"] {
            assert_eq!(number(&settled, count), number(&kept, count), "{count}");
        }
        assert_eq!(number(&settled, "items"), number(&kept, "l1_items"));
        assert!(number(&settled, "pulled") > 0 && number(&settled, "deposited") > 0);
        let gas = settled["gas"]["prove"]["most"].as_u64().unwrap();
        assert!(gas <= MOST_GAS, "prove takes {gas}");
        spent.push(settled["gas"].clone());
    }
    assert!(spent.windows(2).all(|pair| pair[0] == pair[1]), "{spent:?}");
}

/// What was kept must be what the verifier takes; without the batch's own proof there is no other.
#[test]
fn p6_a_kept_proof_that_does_not_hold_is_not_sent() {
    let dir = replay_of();
    let path = dir.path().join("batch-000001.wrapped");
    let mut wrapped = fs::read(&path).unwrap();
    wrapped[500] ^= 1;
    fs::write(&path, wrapped).unwrap();
    let refused = settle(dir.path(), "embedded", &[]).unwrap_err();
    assert!(refused.contains("[settle.no_proofs]"), "{refused}");
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

/// A life of `tally settle` that is killed so many blocks after its beginning; whether it was done.
fn a_life(out: &Path, anvil: &Anvil, blocks: u64) -> bool {
    let runtime = runtime();
    let provider = connect(&anvil.url()).unwrap();
    let height = || runtime.block_on(provider.get_block_number()).unwrap();
    let first = height();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["settle", "--json", "--replay", out.to_str().unwrap()])
        .args(["--rpc", &anvil.url()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return true;
        }
        if height() >= first + blocks {
            // It may have ended meanwhile.
            let _ = child.kill();
            return child.wait().unwrap().success();
        }
    }
}

/// Wrapped and not committed, committed and not proven, proven and not executed, executed and not
/// pulled, and whatever lies between: killed there, the next run goes on, and nothing is done
/// twice.
#[test]
fn a_settlement_killed_at_any_block_goes_on() {
    let Some(anvil) = Anvil::start().unwrap() else {
        eprintln!("not tried: no anvil, and a chain inside the process ends with it");
        return;
    };
    let dir = replay_of();
    let mut lives = 1;
    while !a_life(dir.path(), &anvil, 3 + lives % 4) {
        lives += 1;
        assert!(lives < 100, "it does not get on");
    }
    eprintln!("{lives} lives");
    assert!(lives > 5, "killed {} times only", lives - 1);
    let settled = settle(dir.path(), &anvil.url(), &[]).unwrap();
    assert_eq!(settled["gas"], serde_json::json!({}), "nothing was left");
    let kept = json(&golden("summary.json"));
    assert_eq!(settled["rebuilt_root"], kept["state_root"]);
    let position = runtime().block_on(async {
        let provider = connect(&anvil.url()).unwrap();
        let contract = Contract::open(provider, first_address(), 0).await.unwrap();
        contract.position().await.unwrap()
    });
    assert_eq!((position.committed, position.executed), (2, 2));
}
