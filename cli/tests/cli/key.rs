//! `tally key`: what it writes, what it tells and what it refuses.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PASSPHRASE: &str = "a staff cut in two";
/// A wallet and its signature, as in `key/wallet.rs`.
const WALLET: &str = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
const SIGNATURE: &str = "9b13c326d8f4ea13044cc3c878afad6254e2b2870b8ce000b18041197feab69f\
    31e6c0f518fb5925f663fd42245f506ff0dc7f9ef21ddc1484013dd71409bc651c";

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
    command.arg("key").args(args).current_dir(dir);
    for name in [
        "TALLY_PASSPHRASE",
        "TALLY_PASSPHRASE_FILE",
        "TALLY_KEY_FILE",
        "TALLY_WALLET",
        "TALLY_CHAIN_ID",
        "TALLY_CONTRACT",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).stdin(Stdio::null()).output().unwrap()
}

fn json(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output, code: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains(code),
        "{errors}"
    );
    assert!(!errors.contains(PASSPHRASE));
}

#[test]
fn a_new_key_is_kept_and_opens_with_its_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("pass"), format!("{PASSPHRASE}\n")).unwrap();
    std::fs::write(dir.join("short"), "1234567").unwrap();
    let made = run(dir, &["new", "--passphrase-file", "pass", "--json"]);
    let made = json(&made);
    let public = made["public"].as_str().unwrap();
    assert_eq!(public.len(), 80);
    let shown = json(&run(dir, &["show", "--json"]));
    assert_eq!(
        (&shown["public"], &shown["checked"]),
        (&made["public"], &false.into())
    );
    let mut opened = command(dir, &["show", "--check"]);
    let opened = opened.env("TALLY_PASSPHRASE", PASSPHRASE).output().unwrap();
    assert_eq!(json(&opened)["checked"], true);
    let wrong = run(dir, &["show", "--check", "--passphrase-file", "short"]);
    refused(&wrong, "[key.passphrase]");
    refused(
        &run(dir, &["new", "--passphrase-file", "pass"]),
        "[key.exists]",
    );
    let other = ["new", "--file", "other.json", "--passphrase-file"];
    let with = |pass| [other.as_slice(), &[pass]].concat();
    refused(&run(dir, &with("short")), "[passphrase.short]");
    refused(&run(dir, &with("none")), "[passphrase.not_read]");
    refused(
        &run(dir, &["show", "--file", "none.json"]),
        "[key.not_read]",
    );
    assert_ne!(json(&run(dir, &with("pass")))["public"], public);
}

#[test]
fn a_wallets_signature_makes_the_same_key_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let contract = format!("0x{}", "ab".repeat(20));
    let args = ["typed-data", "--chain-id", "5", "--contract", &contract];
    let data = json(&run(dir, &args));
    assert_eq!(data["primaryType"], "TallyKey");
    assert_eq!(data["domain"]["chainId"], 5);
    assert_eq!(data["domain"]["verifyingContract"], contract.as_str());
    let derive = |file: &str, index: &str, signature: &str, input: &str| {
        let named = ["--chain-id", "5", "--contract", &contract, "--index", index];
        let wallet = ["--wallet", WALLET, "--signature-file", signature];
        let args = [&["derive", "--file", file][..], &named, &wallet].concat();
        let mut child = command(dir, &args)
            .env("TALLY_PASSPHRASE", PASSPHRASE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses its arguments does not read its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    std::fs::write(dir.join("signature"), format!("0x{SIGNATURE}\n")).unwrap();
    let first = json(&derive("one.json", "3", "signature", ""));
    let again = json(&derive("two.json", "3", "-", &format!("{SIGNATURE}\n")));
    assert_eq!(first["public"], again["public"]);
    let refuses = |index, input, code| refused(&derive("three.json", index, "-", input), code);
    refuses("3", &SIGNATURE[..20], "[wallet.not_hex]");
    refuses("4", SIGNATURE, "[wallet.other]");
}
