//! The prover, a process of its own: started, started again where it ends, asked how far it is.
//!
//! It may be killed at any point and resumes (docs/prover-service.md), so this only watches. Its
//! log is `prover.log`.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tally_jobs::ProverStatus;
use tally_sequencer::command::Command as Told;
use tally_service::service::Shared;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::Stop;
use super::board::{Proving, Shown};
use super::home::{Home, Part};
use super::leftover;
use super::settle::tell;

const POLL: Duration = Duration::from_millis(500);
/// Between two starts at least.
const PAUSE: Duration = Duration::from_secs(5);
/// Running jobs may end; what is not finished then is done again by the next run.
const GRACE: Duration = Duration::from_secs(20);
const NAME: &str = "prover";
const LOG: &str = "prover.log";

pub struct Prover {
    home: Home,
    shared: Arc<Shared>,
    shown: Shown,
    child: Option<Child>,
    next_start: Instant,
    told: u32,
}

impl Prover {
    pub fn new(home: Home, shared: Arc<Shared>, shown: Shown) -> Self {
        Self {
            home,
            shared,
            shown,
            child: None,
            next_start: Instant::now(),
            told: 0,
        }
    }

    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let (dir, out) = (self.home.dir.clone(), self.home.path(Part::Batches));
        spawn_blocking(move || leftover::end(&dir, NAME, &out)).await?;
        while stop.unless(sleep(POLL)).await {
            self.watch()?;
            let status = ProverStatus::read(&self.home.path(Part::Batches))?;
            self.show(&status.unwrap_or_default(), &stop).await?;
        }
        self.end().await;
        Ok(())
    }

    /// Starts one where none runs.
    fn watch(&mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait()? else {
                return Ok(());
            };
            self.shown.say(format!("the prover has ended: {status}"));
            self.child = None;
        }
        if Instant::now() < self.next_start {
            return Ok(());
        }
        self.next_start = Instant::now() + PAUSE;
        let child = self.start()?;
        leftover::note(&self.home.dir, NAME, child.id())?;
        let mut board = self.shown.lock();
        board.proving.starts += 1;
        drop(board);
        self.shown
            .say(format!("a prover runs, process {}", child.id()));
        self.child = Some(child);
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.dir.join(LOG))?;
        let both = || -> std::io::Result<File> { log.try_clone() };
        let per_batch = self.home.facts.epochs_per_batch.to_string();
        Command::new(own_program()?)
            .args(["prover", "--epochs-per-batch", &per_batch])
            // Batches are the engine's: full ones only.
            .args(["--batch-seconds", "1000000"])
            .arg("--inbox")
            .arg(self.home.path(Part::Inbox))
            .arg("--out")
            .arg(self.home.path(Part::Batches))
            .stdin(Stdio::null())
            .stdout(both()?)
            .stderr(both()?)
            // A terminal's Ctrl-C is the devnet's, which tells it.
            .process_group(0)
            .spawn()
            .context("[devnet.prover] starting `tally prover`")
    }

    async fn show(&mut self, status: &ProverStatus, stop: &Stop) -> anyhow::Result<()> {
        let through = status.proven_through.unwrap_or(0);
        let sum = |of: fn(&tally_jobs::status::BatchStatus) -> u64| status.batches.iter().map(of);
        {
            let mut board = self.shown.lock();
            let starts = board.proving.starts;
            board.proving = Proving {
                proven_through: through,
                jobs: sum(|it| it.jobs).sum(),
                done: sum(|it| it.done).sum(),
                starts,
            };
        }
        let failed = status.batches.iter().find_map(|it| it.failure.as_ref());
        if let Some(failed) = failed {
            let (label, failure) = (&failed.label, &failed.failure);
            anyhow::bail!("[{}] {label}: {}", failure.code, failure.reason);
        }
        if through > self.told {
            tell(&self.shared, Told::Proven { epoch: through }, stop).await?;
            self.told = through;
        }
        Ok(())
    }

    async fn end(mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        leftover::terminate(child.id());
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        // It resumes from what is on disk.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// This binary, also where it was replaced while it runs.
fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("[devnet.prover] this program's own path")
}
