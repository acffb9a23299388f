//! An anvil of one's own on a free loopback port, stopped when it goes.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::ClientError;

/// Where npm puts its program, by platform.
const PACKAGES: &str = "contracts/node_modules/@foundry-rs";

#[derive(Debug)]
pub struct Anvil {
    child: Child,
    port: u16,
}

impl Anvil {
    /// `None` where none is installed: `TALLY_ANVIL` names none, and `contracts/node_modules` has
    /// none here or above.
    pub fn start() -> Result<Option<Self>, ClientError> {
        program()
            .map(|program| Self::run(&program, &[]))
            .transpose()
    }

    /// One that keeps its chain in a file, from an earlier run on.
    pub fn start_at(state: &Path) -> Result<Option<Self>, ClientError> {
        let state = state.as_os_str();
        let more = [
            OsStr::new("--state"),
            state,
            OsStr::new("--state-interval"),
            OsStr::new("1"),
        ];
        program()
            .map(|program| Self::run(&program, &more))
            .transpose()
    }

    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it write its state, where it keeps one, and waits for its end.
    pub fn stop(mut self) {
        if kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok() {
            // An error is what `drop` sees too.
            let _ = self.child.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn run(program: &Path, more: &[&OsStr]) -> Result<Self, ClientError> {
        let file = |source| ClientError::File {
            path: program.to_path_buf(),
            source,
        };
        let child = Command::new(program)
            .args(["--port", "0", "--host", "127.0.0.1"])
            .args(more)
            // A terminal's Ctrl-C is for the caller, who still needs it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(file)?;
        let mut anvil = Self { child, port: 0 };
        let silent = || ClientError::Answer {
            what: "starting anvil",
            reason: "it does not say where it listens".into(),
        };
        let out = anvil.child.stdout.take().ok_or_else(silent)?;
        let mut lines = BufReader::new(out).lines();
        anvil.port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let address = line.strip_prefix("Listening on ")?;
                address.rsplit(':').next()?.trim().parse().ok()
            })
            .ok_or_else(silent)?;
        // Its log is read to the end, or it would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(anvil)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program itself, not npm's script around it, so that it is what ends.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TALLY_ANVIL") {
        return Some(named.into());
    }
    let here = env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roots = here.ancestors().chain(built.ancestors());
    let mut found = roots.filter_map(|root| {
        let packages = fs::read_dir(root.join(PACKAGES)).ok()?.flatten();
        packages
            .map(|package| package.path().join("bin/anvil"))
            .find(|path| path.is_file())
    });
    found.next()
}
