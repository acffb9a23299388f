//! The binary, from outside: what it settles, what it refuses, what it leaves on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::binary::{number, replay, tally, text};

/// (time, column) of every epoch.
fn column(out: &Path, name: &str) -> Vec<(u64, u64)> {
    let table = fs::read_to_string(out.join("epochs.csv")).unwrap();
    let mut lines = table.lines();
    let place = |wanted: &str, header: &str| header.split(',').position(|c| c == wanted).unwrap();
    let header = lines.next().unwrap();
    let (time, wanted) = (place("time", header), place(name, header));
    let cell = |line: &str, at: usize| line.split(',').nth(at).unwrap().parse().unwrap();
    lines
        .map(|line| (cell(line, time), cell(line, wanted)))
        .collect()
}

/// The crash hours' liquidations and absorptions.
fn in_hours(out: &Path, name: &str, first: u64, hours: u64) -> u64 {
    let hours = first..first + hours * 3_600;
    column(out, name)
        .iter()
        .filter(|(time, _)| hours.contains(time))
        .map(|(_, n)| n)
        .sum()
}

#[test]
fn a_generated_crash_settles_and_its_seed_decides_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, three) = (
        dir.path().join("1"),
        dir.path().join("2"),
        dir.path().join("3"),
    );
    let args = [
        "--accounts",
        "120",
        "--epochs",
        "64",
        "--epochs-per-batch",
        "7",
        "--seed",
        "5",
    ];
    let summary = replay(&one, &args);
    assert_eq!(summary["trial_balance"], 0);
    assert_eq!(number(&summary, "epochs"), 64);
    assert_eq!(number(&summary, "accounts"), 120);
    let all = 64 + number(&summary, "setup_epochs");
    assert_eq!(number(&summary, "batches"), all.div_ceil(7));
    for key in [
        "entries",
        "fills",
        "flags",
        "absorptions",
        "deposits",
        "withdrawals",
        "refusals",
        "transfers",
        "cancels",
        "cancel_alls",
        "key_changes",
        "l1_items",
    ] {
        assert!(number(&summary, key) > 0, "{key} in {summary}");
    }
    // The crash is hour 12 of the generated market, between hours in which it slides.
    let crash = 1_735_689_600 + 12 * 3_600;
    assert!(in_hours(&one, "liquidations", crash - 2 * 3_600, 5) > 0);
    assert!(in_hours(&one, "absorptions", crash, 1) > 0);
    assert_eq!(replay(&two, &args)["state_root"], summary["state_root"]);
    let other = ["--accounts", "120", "--epochs", "64", "--seed", "6"];
    assert_ne!(replay(&three, &other)["state_root"], summary["state_root"]);
}

#[test]
fn an_account_is_shown_and_a_damaged_state_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    replay(dir.path(), &["--accounts", "20", "--epochs", "8"]);
    let shown = tally(&["account", "1024", "--out", out, "--json"]);
    let view: Value = serde_json::from_str(&text(&shown.stdout)).unwrap();
    assert_eq!(view["id"], 1024);
    assert!(view["equity"].as_i64().unwrap() > 0);
    let unknown = tally(&["account", "9999", "--out", out]);
    assert!(!unknown.status.success() && text(&unknown.stderr).contains("[account.unknown]"));
    let path = dir.path().join("state.json");
    let state = fs::read_to_string(&path).unwrap();
    let deficit = "\"fills_from\":0";
    assert!(state.contains(deficit));
    fs::write(&path, state.replace(deficit, "\"fills_from\":1")).unwrap();
    let damaged = tally(&["account", "1024", "--out", out]);
    assert!(!damaged.status.success() && text(&damaged.stderr).contains("[state.root]"));
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// Bars of one instrument, an hour apart, with one line replaced.
fn klines(dir: &Path, line: usize, instead: &str) {
    let mut lines = vec!["open_time_ms,open,high,low,close,volume".to_string()];
    lines.extend((0..4).map(|hour| format!("{},20.5,21,20,20.7,100", hour * 3_600_000)));
    lines[line - 1] = instead.to_string();
    fs::write(dir.join("AUSDT-1h.csv"), lines.join("\n")).unwrap();
}

#[test]
fn bad_bars_are_refused_by_file_line_and_rule() {
    let cases = [
        (
            1,
            "open_time_ms,open,high,low,volume",
            "klines.missing_column",
        ),
        (3, "3600000,20.5,twenty,20,20.7,100", "klines.not_a_number"),
        (3, "3600000,0,21,20,20.7,100", "klines.not_positive"),
        (4, "3600000,20.5,21,20,20.7,100", "klines.reversal"),
        (3, "7200000,20.5,21,20,20.7,100", "klines.gap"),
    ];
    for (line, instead, rule) in cases {
        let dir = tempfile::tempdir().unwrap();
        klines(dir.path(), line, instead);
        let out = dir.path().join("out");
        let bars = dir.path().to_str().unwrap();
        let output = tally(&["replay", "--klines", bars, "--out", out.to_str().unwrap()]);
        let error = text(&output.stderr);
        assert!(!output.status.success());
        assert_eq!(
            count(&error, &format!("AUSDT-1h.csv:{line}: [{rule}]")),
            1,
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "told once: {error}");
        assert!(
            !out.exists(),
            "nothing is written before the input is known to be good"
        );
    }
}

#[test]
fn bad_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    klines(dir.path(), 1, "open_time_ms,open,high,low,close,volume");
    let bars = dir.path().to_str().unwrap();
    let out = dir.path().join("out");
    let cases: [(&[&str], &str); 14] = [
        (&["--klines", bars], "[start.too_early]"),
        (&["--accounts", "2000000"], "[accounts.too_many]"),
        (&["--accounts", "3"], "[accounts.too_few]"),
        (
            &["--klines", bars, "--symbols", "BUSDT"],
            "[klines.unknown_symbol]",
        ),
        (&["--klines", bars, "--epochs", "17"], "[epochs.too_many]"),
        (
            &["--klines", bars, "--start", "2025-10-10T20:00:00Z"],
            "[start.outside]",
        ),
        (&["--start", "yesterday"], "RFC 3339"),
        (&["--contract", "0x12"], "--contract"),
        (&["--epochs", "0"], "--epochs"),
        (&["--workers", "0"], "--workers"),
        (&["--chain-id", "0"], "--chain-id"),
        (&["--prove-from", "7"], "[prove.unused]"),
        (&["--data", "--prove-from", "9000"], "[prove.from]"),
        (&["--symbols", "AUSDT"], "--klines"),
    ];
    for (args, expected) in cases {
        let base = ["replay", "--out", out.to_str().unwrap()];
        let output = tally(&[&base[..], args].concat());
        assert!(!output.status.success());
        assert!(
            text(&output.stderr).contains(expected),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn files_that_are_no_proofs_are_refused_by_name_and_rule() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("batch-000000.proof");
    let verify = || tally(&["verify", path.to_str().unwrap()]);
    let magic = b"TALLYBAT".to_vec();
    let cases: [(Vec<u8>, &str); 4] = [
        (b"not a proof".to_vec(), "file.magic"),
        (magic.clone(), "file.short"),
        ([magic.clone(), vec![0, 0, 0, 9]].concat(), "file.format"),
        ([magic, vec![0, 0, 0, 1, 7]].concat(), "file.short"),
    ];
    let missing = verify();
    assert!(!missing.status.success() && text(&missing.stderr).contains("[file.unreadable]"));
    for (bytes, rule) in cases {
        fs::write(&path, bytes).unwrap();
        let output = verify();
        let error = text(&output.stderr);
        assert!(!output.status.success());
        assert!(
            error.contains(&format!("batch-000000.proof: [{rule}]")),
            "{error}"
        );
        assert_eq!(count(&error, &format!("[{rule}]")), 1, "told once: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(!tally(&["verify"]).status.success(), "no file is no proof");
}

/// The kernel refuses any file beyond a kilobyte, as a full disk would.
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec {} replay --accounts 8 --epochs 2 --out {}",
        env!("CARGO_BIN_EXE_tally"),
        out.display(),
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(
        error.contains("state.json: [output.not_written]"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

/// What cannot be printed is an error, not a result that nobody saw.
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args([
            "replay",
            "--accounts",
            "8",
            "--epochs",
            "1",
            "--json",
            "--out",
        ])
        .arg(dir.path())
        .stdout(full)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(
        error.contains("standard output: [output.not_written]"),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
}

/// Each command says what it takes: units, bounds, defaults.
#[test]
fn every_command_explains_itself() {
    let helps: [(&[&str], &[&str]); 15] = [
        (
            &[],
            &[
                "replay",
                "account",
                "verify",
                "rebuild",
                "key",
                "bench",
                "sequencer",
                "oracle",
                "prover",
                "devnet",
                "settle",
                "srs",
            ],
        ),
        (
            &["replay"],
            &[
                "8 to 1,000,000",
                "RFC 3339",
                "[default: 8]",
                "TALLY_SEED",
                "batch-NNNNNN.data",
            ],
        ),
        (&["account"], &["<ID>", "1024", "state.json"]),
        (&["verify"], &["in the order of their epochs"]),
        (&["rebuild"], &["--proofs <FILE>", "rebuilt.json"]),
        (&["bench", "rows"], &["--json"]),
        (&["bench", "prove"], &["MB", "[default: 2048]"]),
        (&["bench", "sign"], &["--json"]),
        (
            &["key", "new"],
            &["TALLY_PASSPHRASE", "[default: tally-key.json]"],
        ),
        (&["key", "derive"], &["65 bytes", "TALLY_WALLET"]),
        (&["sequencer"], &["TALLY_DEPLOYMENT", "[default: 4096]"]),
        (&["oracle"], &["micro-quote per lot", "TALLY_REPORTER_KEY"]),
        (&["prover"], &["1 to 4096", "TALLY_INBOX"]),
        (&["devnet"], &["--mock-prover", "[default: out/devnet]"]),
        (&["settle"], &["31337", "TALLY_RPC"]),
    ];
    for (command, parts) in helps {
        let output = tally(&[command, &["--help"]].concat());
        assert!(output.status.success());
        for part in parts {
            assert!(
                text(&output.stdout).contains(part),
                "{part} in help of {command:?}"
            );
        }
    }
}

/// The real crash where the data lies beside the checkout, else the generated one.
#[test]
fn a_crash_hour_liquidates() {
    let dir = tempfile::tempdir().unwrap();
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crash-2025-10-10");
    let (args, crash) = match data.is_dir() {
        true => {
            let bars = data.to_str().unwrap().to_string();
            let start = "2025-10-10T18:00:00Z".to_string();
            (
                vec!["--klines".into(), bars, "--start".into(), start],
                1_760_130_000,
            )
        }
        false => (Vec::<String>::new(), 1_735_689_600 + 10 * 3_600),
    };
    // Real bars gap, so most go from sound to bankrupt within an epoch: it takes more accounts to
    // see some in between.
    let (accounts, epochs, hours) = match data.is_dir() {
        true => ("600", "20", 1),
        false => ("200", "64", 5),
    };
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend(["--accounts", accounts, "--epochs", epochs]);
    let summary = replay(dir.path(), &args);
    assert_eq!(summary["trial_balance"], 0);
    assert!(
        in_hours(dir.path(), "liquidations", crash, hours) > 0,
        "{summary}"
    );
    assert!(
        in_hours(dir.path(), "absorptions", crash, hours) > 0,
        "{summary}"
    );
}
