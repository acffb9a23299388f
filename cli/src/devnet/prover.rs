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
use tally_circuits::uniform::VerifierKey;
use tally_jobs::ProverStatus;
use tally_sequencer::command::Command as Told;
use tally_service::service::Shared;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::Stop;
use super::board::{OpenBatch, Proving, Shown};
use super::home::{Home, Part};
use super::leftover;
use super::settle::tell;
use crate::prover::read_key;

const POLL: Duration = Duration::from_millis(500);
/// Between two starts at least.
const PAUSE: Duration = Duration::from_secs(5);
/// Running jobs may end; what is not finished then is done again by the next run.
const GRACE: Duration = Duration::from_secs(20);
const NAME: &str = "prover";
const LOG: &str = "prover.log";

/// Ended where it is dropped before its run has ended it.
pub struct Prover {
    home: Home,
    shown: Shown,
    child: Option<Child>,
    next_start: Instant,
    told: u32,
}

impl Prover {
    /// Ends what an earlier run left, and starts: the circuits take a while to build.
    pub async fn begin(home: Home, shown: Shown) -> anyhow::Result<Self> {
        let (dir, out) = (home.dir.clone(), home.path(Part::Batches));
        spawn_blocking(move || leftover::end(&dir, NAME, &out)).await?;
        let mut prover = Self {
            home,
            shown,
            child: None,
            next_start: Instant::now(),
            told: 0,
        };
        prover.watch()?;
        Ok(prover)
    }

    /// The batch circuit's, once the prover has built it. Fails where a prover ends before.
    pub async fn key(&mut self) -> anyhow::Result<VerifierKey> {
        loop {
            if let Some(key) = read_key(&self.home.path(Part::Batches))? {
                return Ok(key);
            }
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?;
            if let Some(Some(status)) = ended {
                let log = self.home.dir.join(LOG);
                anyhow::bail!(
                    "[devnet.prover] it has ended: {status}, see {}",
                    log.display()
                );
            }
            sleep(POLL).await;
        }
    }

    /// Until the word to stop.
    pub async fn run(mut self, shared: Arc<Shared>, stop: Stop) -> anyhow::Result<()> {
        while stop.unless(sleep(POLL)).await {
            self.watch()?;
            let status = ProverStatus::read(&self.home.path(Part::Batches))?.unwrap_or_default();
            self.show(&status);
            self.tell(&status, &shared, &stop).await?;
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
        // Noted first: whatever happens next, the next run ends it.
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
            // Batches are the engine's: full ones only, on a chain that takes any transaction.
            .args(["--batch-seconds", "1000000"])
            .args(["--batch-bytes", "100000000"])
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

    fn show(&mut self, status: &ProverStatus) {
        let open = status.batches.iter().map(|it| OpenBatch {
            first_epoch: it.first_epoch,
            last_epoch: it.last_epoch,
            jobs: it.jobs,
            done: it.done,
        });
        let mut board = self.shown.lock();
        board.proving = Proving {
            proven_through: status.proven_through.unwrap_or(0),
            queue: status.jobs,
            batches: open.collect(),
            starts: board.proving.starts,
        };
    }

    /// The engine's lead over the prover ends where it says. A batch that waits for an operator is
    /// the devnet's end.
    async fn tell(
        &mut self,
        status: &ProverStatus,
        shared: &Shared,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let through = status.proven_through.unwrap_or(0);
        let failed = status.batches.iter().find_map(|it| it.failure.as_ref());
        if let Some(failed) = failed {
            let (label, failure) = (&failed.label, &failed.failure);
            anyhow::bail!("[{}] {label}: {}", failure.code, failure.reason);
        }
        if through > self.told {
            tell(shared, Told::Proven { epoch: through }, stop).await?;
            self.told = through;
        }
        Ok(())
    }

    /// Waits for running jobs, within bounds.
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

impl Drop for Prover {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It resumes from what is on disk, and while it builds circuits it hears no word.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This binary, also where it was replaced while it runs.
fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("[devnet.prover] this program's own path")
}
