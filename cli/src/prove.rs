//! From a replay's epochs to its batches' proofs.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use tally_circuits::uniform::{Shape, Uniform};
use tally_protocol::epoch::EpochTrace;
use tally_protocol::table::Table;
use tally_prover::epoch::{TraceError, epoch_input};
use tally_prover::measure::cpu_seconds;
use tally_prover::release::Sizes;
use tally_prover::{Circuits, EpochInput, Limits, ProveError, Prover, Store};
use thiserror::Error;

use crate::config::ReplayConfig;
use crate::output::{OutputError, write_whole};
use crate::progress::Progress;

/// Where finished proofs of parts are kept, below the replay's directory.
const STORE: &str = "parts";

#[derive(Debug, Error)]
pub enum BatchError {
    #[error("[{}] epoch {epoch}: {source}", source.code())]
    Trace { epoch: u32, source: TraceError },
    #[error("[{}] batch {batch}: {source}", source.code())]
    Prove { batch: u64, source: ProveError },
    #[error("[{code}] {0}", code = .0.code())]
    Store(#[from] ProveError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Gathers epochs and proves them, a batch at a time.
pub struct Batcher {
    circuits: Circuits,
    sizes: Sizes,
    store: Store,
    out: PathBuf,
    limits: Limits,
    per_batch: usize,
    pending: Vec<EpochInput>,
    /// Written so far.
    pub proofs: u64,
    segments: u64,
    cpu_seconds: f64,
}

impl std::fmt::Debug for Batcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batcher({} proofs)", self.proofs)
    }
}

impl Batcher {
    pub fn new(config: &ReplayConfig) -> Result<Self, BatchError> {
        let sizes = Sizes::production();
        Ok(Self {
            circuits: Circuits::new(Uniform::production().clone(), sizes.types()),
            sizes,
            store: Store::open(config.out.join(STORE))?,
            out: config.out.clone(),
            limits: config.limits.limits(),
            per_batch: config.epochs_per_batch as usize,
            pending: Vec::new(),
            proofs: 0,
            segments: 0,
            cpu_seconds: 0.0,
        })
    }

    /// Adds an epoch; a batch that it fills is proven.
    pub fn push(&mut self, trace: &EpochTrace, before: &Table) -> Result<(), BatchError> {
        let epoch = trace.context.epoch;
        let input = epoch_input(trace, before, &self.sizes)
            .map_err(|source| BatchError::Trace { epoch, source })?;
        self.segments += (input.main.len() + input.data.len()) as u64;
        self.pending.push(input);
        if self.pending.len() == self.per_batch {
            self.flush()?;
        }
        Ok(())
    }

    /// Proves what is left.
    pub fn flush(&mut self) -> Result<(), BatchError> {
        let epochs = std::mem::take(&mut self.pending);
        if epochs.is_empty() {
            return Ok(());
        }
        let batch = self.proofs;
        let before = cpu_seconds();
        let prover = Prover {
            circuits: &self.circuits,
            store: &self.store,
            limits: self.limits,
            progress: &Bar::default(),
            stop: &AtomicBool::new(false),
        };
        let file = prover
            .prove(&epochs)
            .map_err(|source| BatchError::Prove { batch, source })?;
        let path = self.out.join(format!("batch-{batch:06}.proof"));
        let bytes = file.to_bytes();
        write_whole(&path, |out| out.write_all(&bytes))?;
        self.proofs += 1;
        let spent = before
            .zip(cpu_seconds())
            .map(|(before, after)| after - before);
        self.cpu_seconds += spent.unwrap_or_default();
        Ok(())
    }

    /// Rows of all segments, padding included; joins apart.
    pub fn rows_per(&self, fills: u64) -> Option<f64> {
        let rows = self.segments * Shape::PRODUCTION.rows() as u64;
        (fills > 0).then(|| rows as f64 / fills as f64)
    }

    /// CPU time of this run, building the circuits included.
    pub fn cpu_seconds_per(&self, fills: u64) -> Option<f64> {
        (fills > 0).then(|| self.cpu_seconds / fills as f64)
    }
}

/// A batch's jobs as a progress bar.
#[derive(Debug, Default)]
pub struct Bar(Mutex<Option<Progress>>);

impl tally_prover::Progress for Bar {
    fn planned(&self, jobs: usize) {
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *bar = Some(Progress::new("proofs", jobs as u64));
    }

    fn finished(&self, label: &str, reused: bool) {
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bar.as_mut() {
            bar.step(|| match reused {
                true => format!("{label}, reused"),
                false => label.to_owned(),
            });
        }
    }
}
