//! The state rebuilt from L1 data alone, through the binary.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binary::{number, replay, result, tally};

/// Files of a replay with one extension, in their order.
fn files(out: &Path, extension: &str) -> Vec<String> {
    let paths = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    let mut files: Vec<String> = found.map(|path| path.to_str().unwrap().into()).collect();
    files.sort();
    files
}

fn rebuild(files: &[String], more: &[&str]) -> Result<Value, String> {
    let mut args = vec!["rebuild", "--json", "--proofs"];
    args.extend(files.iter().map(String::as_str));
    result(&tally(&[&args[..], more].concat()))
}

/// [P6], [C3] Accounts and rows of a whole replay from its batches' data, and from nothing else.
#[test]
fn p6_c3_a_replay_is_rebuilt_from_its_l1_data() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let args = ["--accounts", "200", "--epochs", "96", "--seed", "3"];
    let summary = replay(
        &out,
        &[&args[..], &["--data", "--epochs-per-batch", "9"]].concat(),
    );
    let batches = files(&out, "data");
    assert_eq!(batches.len() as u64, number(&summary, "batches"));
    let copy = dir.path().join("copy");
    let rebuilt = rebuild(&batches, &["--out", copy.to_str().unwrap()]).unwrap();
    assert_eq!(rebuilt["state_root"], summary["state_root"]);
    assert_eq!(number(&rebuilt, "accounts"), 200);
    same_content(&out, &copy);
    // The same data, shared out over other batches.
    let other = dir.path().join("other");
    replay(
        &other,
        &[&args[..], &["--data", "--epochs-per-batch", "100"]].concat(),
    );
    let one = rebuild(&files(&other, "data"), &[]).unwrap();
    assert_eq!(one["state_root"], rebuilt["state_root"]);
    assert_eq!(
        (&one["account_root"], number(&one, "batches")),
        (&rebuilt["account_root"], 1)
    );
    refuses_altered(&batches);
}

/// `state.json` of the replay and `rebuilt.json` hold the same money, owners and rows.
fn same_content(out: &Path, copy: &Path) {
    let read = |path: PathBuf| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let (state, rebuilt) = (
        read(out.join("state.json")),
        read(copy.join("rebuilt.json")),
    );
    assert_eq!(state["rows"], rebuilt["rows"]);
    let (accounts, leaves) = (&state["accounts"], &rebuilt["accounts_by_id"]);
    assert_eq!(
        accounts.as_object().unwrap().len(),
        leaves.as_object().unwrap().len()
    );
    for (id, account) in accounts.as_object().unwrap() {
        let (money, leaf) = (&account["money"], &leaves[id]);
        for key in ["cash", "flagged_at", "touched_at"] {
            assert_eq!(money[key], leaf[key], "{key} of {id}");
        }
        for (place, slot) in money["slots"].as_array().unwrap().iter().enumerate() {
            match slot["size"].as_u64() {
                Some(0) => assert!(leaf["slots"].get(place.to_string()).is_none()),
                _ => assert_eq!(*slot, leaf["slots"][place.to_string()]),
            }
        }
    }
}

/// A batch with one altered word, a missing batch, batches out of order, files that are none.
fn refuses_altered(batches: &[String]) {
    let path = &batches[2];
    let bytes = fs::read(path).unwrap();
    // The last word of the last record is a row's; a little before it are the totals.
    for back in [1, 1 + 7 * 3] {
        let mut lie = bytes.clone();
        let at = lie.len() - back;
        lie[at] ^= 1;
        fs::write(path, lie).unwrap();
        let error = rebuild(batches, &[]).unwrap_err();
        assert!(error.contains("batch-000002.data: [P6.root]"), "{error}");
    }
    fs::write(path, &bytes[..bytes.len() - 7]).unwrap();
    let error = rebuild(batches, &[]).unwrap_err();
    assert!(error.contains("batch-000002.data: [P6.length]"), "{error}");
    assert_eq!(error.matches("[P6.length]").count(), 1);
    fs::write(path, &bytes).unwrap();
    let gap = [&batches[..1], &batches[2..]].concat();
    assert!(rebuild(&gap, &[]).unwrap_err().contains("[P5.epoch]"));
    fs::write(path, "TALLYBAT").unwrap();
    assert!(
        rebuild(batches, &[])
            .unwrap_err()
            .contains("batch-000002.data: [file.short]")
    );
    fs::remove_file(path).unwrap();
    let error = rebuild(batches, &[]).unwrap_err();
    assert!(
        error.contains("batch-000002.data: [file.unreadable]"),
        "{error}"
    );
    assert!(!tally(&["rebuild"]).status.success(), "no file is no state");
}
