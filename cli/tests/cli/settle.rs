//! A replay through the settlement contract, through the binary: on an anvil where npm installed
//! one, else on the chain inside the process.

use std::path::Path;

use serde_json::Value;
use tally_l1::Anvil;

use crate::binary::{number, replay, result, tally};

fn settle(out: &Path, rpc: &str, more: &[&str]) -> Result<Value, String> {
    let out = out.to_str().unwrap();
    let args = ["settle", "--json", "--replay", out, "--rpc", rpc];
    result(&tally(&[&args[..], more].concat()))
}

/// [J4], [C1], [C2] Every item is one that the contract queues as the replay served it; deposits
/// come in, withdrawals are pulled; roots are equal, also of the state rebuilt from the chain.
#[test]
fn c1_c2_a_replay_settles_and_is_rebuilt_from_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let args = [
        "--accounts",
        "60",
        "--epochs",
        "64",
        "--seed",
        "5",
        "--data",
    ];
    let replayed = replay(&out, &[&args[..], &["--epochs-per-batch", "11"]].concat());
    let anvil = Anvil::start().unwrap();
    let rpc = anvil.as_ref().map_or("embedded".into(), Anvil::url);
    let settled = settle(&out, &rpc, &["--mock-verifier", "--try-lies"]).unwrap();
    assert_eq!(settled["verifier_kind"], "mock");
    every_lie_was_refused(&settled);
    for root in ["state_root", "rebuilt_root"] {
        assert_eq!(settled[root], replayed["state_root"], "{root} in {settled}");
    }
    assert_eq!(number(&settled, "batches"), number(&replayed, "batches"));
    assert_eq!(number(&settled, "items"), number(&replayed, "l1_items"));
    assert!(number(&settled, "pulled") > 0 && number(&settled, "deposited") > 0);
    let kinds = [
        "open",
        "deposit",
        "withdraw",
        "key_change",
        "cancel_all",
        "flag",
        "take",
        "absorb",
        "change",
        "run_list_asset",
        "commit",
        "prove",
        "execute",
        "pull",
    ];
    for kind in kinds {
        assert!(
            settled["gas"][kind]["calls"].as_u64() > Some(0),
            "{kind} in {settled}"
        );
    }
    if anvil.is_some() {
        again(&out, &rpc, &settled);
    }
}

/// [P6], [C1], [C2] Each by the error that is meant for it; `settle` fails where one changes
/// anything.
pub fn every_lie_was_refused(settled: &Value) {
    let expected = serde_json::json!({
        "a bit-flipped proof": "ProofRefused",
        "a credit pulled twice": "NothingOwed",
        "a half of 33 bits": "HalfTooWide",
        "a proof out of order": "OutOfOrder",
        "a proof twice": "OutOfOrder",
        "a root at p": "AliasedHalves",
        "a shorter proof": "ProofRefused",
        "a skipped item": "QueueOrder",
        "a skipped item's index taken": "QueueMismatch",
        "a stale root": "StaleRoot",
        "a withdrawal twice": "WithdrawalsMismatch",
        "a withdrawal withheld": "WithdrawalsMismatch",
        "a word of C at p": "ContentNotCanonical",
        "altered bytes": "ProofRefused",
        "an account's cash altered": "ProofRefused",
        "an execution out of order": "OutOfOrder",
        "an execution twice": "OutOfOrder",
        "an invented last batch": "UnknownBatch",
        "an item changed": "QueueMismatch",
        "items miscounted": "SectionMismatch",
        "another C": "ProofRefused",
        "another amount withdrawn": "WithdrawalsMismatch",
        "another batch's proof": "ProofRefused",
        "another chain": "WrongChain",
        "another contract": "WrongContract",
        "another epoch": "WrongEpoch",
        "another length": "WordCount",
        "another one paid": "ProofRefused",
        "execution without proof": "NotProven",
        "items under each other's index": "QueueMismatch",
        "longer bytes": "DataLength",
        "no proof": "ProofRefused",
        "reordered items": "QueueOrder",
        "shorter bytes": "WordCount",
        "x + r": "UnknownBatch",
    });
    assert_eq!(settled["refused"], expected);
}

/// A second run finds everything done; the chain alone gives the state.
fn again(out: &Path, rpc: &str, settled: &Value) {
    let twice = settle(out, rpc, &["--mock-verifier"]).unwrap();
    assert_eq!(twice["contract_root"], settled["contract_root"]);
    assert_eq!(twice["gas"], serde_json::json!({}));
    let contract = settled["contract"].as_str().unwrap();
    let args = ["rebuild", "--json", "--rpc", rpc, "--contract", contract];
    let rebuilt = result(&tally(&args)).unwrap();
    assert_eq!(rebuilt["state_root"], settled["state_root"]);
    assert_eq!(number(&rebuilt, "batches"), number(settled, "batches"));
    let other = "0x00000000000000000000000000000000000000ff";
    let args = ["rebuild", "--json", "--rpc", rpc, "--contract", other];
    let refused = result(&tally(&args)).unwrap_err();
    assert!(refused.contains("[l1.no_code]"), "{refused}");
}

#[test]
fn what_cannot_be_settled_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    let small = ["--accounts", "12", "--epochs", "4"];
    let refused = |error: Result<Value, String>, code: &str| {
        let error = error.unwrap_err();
        assert!(error.contains(code), "{code}: {error}");
    };
    replay(out, &small);
    refused(settle(out, "embedded", &[]), "[settle.no_batches]");
    replay(out, &[&small[..], &["--data"]].concat());
    refused(settle(out, "embedded", &[]), "[settle.no_proofs]");
    let elsewhere = ["--contract", "0x00000000000000000000000000000000000000ff"];
    replay(out, &[&small[..], &["--data"], &elsewhere].concat());
    refused(
        settle(out, "embedded", &["--mock-verifier"]),
        "[settle.contract]",
    );
    replay(
        out,
        &[&small[..], &["--data", "--prove-from", "3"]].concat(),
    );
    refused(
        settle(out, "embedded", &["--mock-verifier"]),
        "[settle.first_epoch]",
    );
    refused(
        settle(out, "http://127.0.0.1:1", &["--mock-verifier"]),
        "[l1.rpc]",
    );
}
