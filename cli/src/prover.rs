//! `tally prover`: proves epochs as the sequencer closes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use tally_circuits::uniform::{VerifierKey, key_digest};
use tally_jobs::queue::Failure;
use tally_jobs::{DirectoryInbox, ProverStatus, Queue};
use tally_prover::farm::{Clock, SystemClock};
use tally_prover::release::{self, Sizes};
use tally_prover::service::{InboxEpochs, Parts, Service, ServiceConfig};
use tally_prover::work::{CircuitJudge, ProofWorker};
use tally_prover::{Progress, Store};
use tally_queue::rocks_queue;

use crate::config::LimitsConfig;
use crate::output::{make_dir, write_whole};
use crate::prove::{STORE, release_circuits};

/// The queue's database, below the prover's directory.
const QUEUE: &str = "queue";
/// The batch circuit's verifier key, below the prover's directory: who wraps its proofs needs it
/// and would else build the circuits himself.
const KEY: &str = "batch.key";
/// How often the inbox is looked at.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct ProverConfig {
    /// Directory in which the sequencer leaves the witnesses of closed epochs,
    /// epoch-NNNNNNNNNN.witness.
    #[arg(long, env = "TALLY_INBOX", default_value = "inbox", value_name = "DIR")]
    pub inbox: PathBuf,
    /// Directory for the queue, the parts, batch-FIRST-LAST.proof and status.json. One prover at a
    /// time has it.
    #[arg(
        long,
        env = "TALLY_PROVER_OUT",
        default_value = "prover-out",
        value_name = "DIR"
    )]
    pub out: PathBuf,
    /// Epochs that fill a batch, 1 to 4096.
    #[arg(long, env = "TALLY_EPOCHS_PER_BATCH", default_value_t = 8, value_name = "B",
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub epochs_per_batch: u32,
    /// Closes a batch before its L1 data would have more bytes: what a node passes on in one
    /// transaction. An epoch that alone has more is a batch, for development chains.
    #[arg(long, env = "TALLY_BATCH_BYTES", default_value_t = tally_l1::MOST_DATA_BYTES,
        value_name = "BYTES")]
    pub batch_bytes: usize,
    /// Closes a batch that is not full when its first epoch has waited so long.
    #[arg(
        long,
        env = "TALLY_BATCH_SECONDS",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    pub batch_seconds: u64,
    /// Where a fresh prover begins; an OUT that has proven something goes on from there.
    #[arg(long, env = "TALLY_FIRST_EPOCH", default_value_t = 1, value_name = "EPOCH",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub first_epoch: u32,
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// A job whose worker is not heard of for so long is given to another, 1 to 3600.
    #[arg(long, env = "TALLY_LEASE_SECONDS", default_value_t = 30, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub lease_seconds: u64,
    /// How often a job may fail, 1 to 100, before its batch waits for an operator.
    #[arg(long, env = "TALLY_ATTEMPTS", default_value_t = 3, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts: u32,
    /// Keeps witnesses and parts of batches that are proven.
    #[arg(long)]
    pub keep: bool,
    /// Gives jobs that have spent their attempts new ones, at the start.
    #[arg(long)]
    pub retry: bool,
    /// Ends when all that is in the inbox is proven, the last batch full or not.
    #[arg(long)]
    pub drain: bool,
    /// The last status as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
}

impl ProverConfig {
    fn service(&self) -> ServiceConfig {
        ServiceConfig {
            epochs_per_batch: self.epochs_per_batch,
            most_data_bytes: self.batch_bytes,
            batch_ms: self.batch_seconds.saturating_mul(1_000),
            first_epoch: self.first_epoch,
            limits: self.limits.limits(),
            lease_ms: self.lease_seconds * 1_000,
            attempts: self.attempts,
            keep: self.keep,
            poll: POLL,
            drain: self.drain,
        }
    }
}

/// Until it is told to stop; with --drain, until nothing is left to prove.
pub fn run(config: &ProverConfig) -> anyhow::Result<ProverStatus> {
    let stop = stop_on_signals()?;
    let inbox = DirectoryInbox::open(&config.inbox)?;
    make_dir(&config.out)?;
    let queue = rocks_queue(&config.out.join(QUEUE))?;
    if config.retry {
        let revived = queue.revive(SystemClock.now())?;
        tracing::info!(revived, "failed jobs have new attempts");
    }
    let store = Store::open(config.out.join(STORE))?;
    let circuits = release_circuits()?;
    let key = circuits
        .batch_key()?
        .to_bytes()
        .map_err(anyhow::Error::msg)?;
    write_whole(&config.out.join(KEY), |out| out.write_all(&key))?;
    let epochs = InboxEpochs::new(&inbox, Sizes::production());
    let worker = ProofWorker {
        circuits: &circuits,
        epochs: &epochs,
    };
    let parts = Parts {
        inbox: &inbox,
        queue: &queue,
        store: &store,
        worker: &worker,
        judge: &CircuitJudge::new(&circuits),
        clock: &SystemClock,
        progress: &Events,
        directory: &config.out,
        release: circuits.batch_digest()?,
    };
    let mut service = Service::open(parts, config.service())?;
    tracing::info!(inbox = %config.inbox.display(), out = %config.out.display(), "proving");
    let status = service.run(&stop)?;
    let failed = status.batches.iter().find_map(|it| it.failure.as_ref());
    if let Some(failed) = failed.filter(|_| config.drain) {
        let Failure { code, reason } = &failed.failure;
        anyhow::bail!("{}: [{code}] {reason}; --retry tries again", failed.label);
    }
    Ok(status)
}

/// The key that a prover left in its directory, if it is this release's. The file needs no trust:
/// its digest is pinned.
pub fn read_key(out: &Path) -> io::Result<Option<VerifierKey>> {
    let bytes = match fs::read(out.join(KEY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let key = VerifierKey::from_bytes(bytes).ok();
    Ok(key.filter(|key| key_digest(key) == release::batch_digest()))
}

/// The first signal lets running jobs finish, the second ends the process: what is finished is kept
/// either way.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let again = Arc::clone(&stop);
        let hooked = signal_hook::flag::register_conditional_shutdown(signal, 1, again)
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        hooked.context("[prover.signals] listening for signals")?;
    }
    Ok(stop)
}

/// Jobs as tracing events.
struct Events;

impl Progress for Events {
    fn planned(&self, jobs: usize) {
        tracing::info!(jobs, "planned");
    }

    fn started(&self, label: &str) {
        tracing::debug!(job = label, "started");
    }

    fn finished(&self, label: &str, reused: bool) {
        tracing::info!(job = label, reused, "finished");
    }

    fn failed(&self, label: &str, failure: &Failure, again: bool) {
        let Failure { code, reason } = failure;
        tracing::error!(job = label, code, reason, again, "failed");
    }
}
