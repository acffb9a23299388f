//! The binary, run from outside.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub fn tally(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(args)
        .output()
        .unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Of a command that went well, the last line: its result.
pub fn last_line(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
}

/// A command's result, or its error where it refuses.
pub fn result(output: &Output) -> Result<Value, String> {
    match output.status.success() {
        true => Ok(last_line(output)),
        false => Err(text(&output.stderr)),
    }
}

/// The summary of a replay.
pub fn replay(out: &Path, args: &[&str]) -> Value {
    let base = ["replay", "--json", "--out", out.to_str().unwrap()];
    last_line(&tally(&[&base[..], args].concat()))
}

pub fn number(summary: &Value, key: &str) -> u64 {
    summary[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} in {summary}"))
}
