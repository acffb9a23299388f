//! The sequencer as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Killed, SIGKILL, at once, where it is dropped.
pub struct Served {
    child: Child,
    pub url: String,
}

impl Served {
    /// Over `data` of the directory, for its `deployment.json`.
    pub fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tally-sequencer"))
            .args(["sequencer", "--dev", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .args(["--rate", "100000", "--burst", "100000", "--data"])
            .arg(dir.join("data"))
            .arg("--deployment")
            .arg(dir.join("deployment.json"))
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ");
        let url = url.expect("the service listens").to_owned();
        Self { child, url }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}
