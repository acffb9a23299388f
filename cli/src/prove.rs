//! From a replay's epochs to its batches' proofs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tally_circuits::uniform::{Shape, Uniform};
use tally_protocol::epoch::EpochTrace;
use tally_protocol::table::Table;
use tally_prover::circuits::Pin;
use tally_prover::epoch::{TraceError, epoch_input};
use tally_prover::measure::cpu_seconds;
use tally_prover::release::{self, Sizes};
use tally_prover::{Circuits, EpochInput, Limits, ProveError, Prover, Store};
use thiserror::Error;

use crate::config::ReplayConfig;
use crate::output::{OutputError, write_whole};
use crate::progress::Progress;

/// Where finished proofs of parts are kept, below the replay's directory.
pub const STORE: &str = "parts";

#[derive(Debug, Error)]
pub enum BatchError {
    #[error(
        "[release.pins] these circuits are not the release's: {0}; `tally verify` would refuse"
    )]
    Pins(String),
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
    epochs: core::ops::Range<u64>,
    pending: Vec<EpochInput>,
    /// Written so far.
    pub proofs: u64,
    /// Parts that an earlier run had finished.
    pub reused: u64,
    fills: u64,
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
        Ok(Self {
            circuits: release_circuits()?,
            sizes: Sizes::production(),
            store: Store::open(config.out.join(STORE))?,
            out: config.out.clone(),
            limits: config.limits.limits(),
            per_batch: config.epochs_per_batch as usize,
            epochs: config.window(),
            pending: Vec::new(),
            proofs: 0,
            reused: 0,
            fills: 0,
            segments: 0,
            cpu_seconds: 0.0,
        })
    }

    /// Adds an epoch; a batch that it fills is proven.
    pub fn push(&mut self, trace: &EpochTrace, before: &Table) -> Result<(), BatchError> {
        let epoch = trace.context.epoch;
        if !self.epochs.contains(&epoch.into()) {
            return Ok(());
        }
        let input = epoch_input(trace, before, &self.sizes)
            .map_err(|source| BatchError::Trace { epoch, source })?;
        self.segments += (input.main.len() + input.data.len()) as u64;
        self.fills += trace.entries.iter().filter(|entry| entry.is_fill()).count() as u64;
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
        let bar = Bar::default();
        let prover = Prover {
            circuits: &self.circuits,
            store: &self.store,
            limits: self.limits,
            progress: &bar,
            stop: &AtomicBool::new(false),
        };
        let file = prover
            .prove(&epochs)
            .map_err(|source| BatchError::Prove { batch, source })?;
        let path = self.out.join(format!("batch-{batch:06}.proof"));
        let bytes = file.to_bytes();
        write_whole(&path, |out| out.write_all(&bytes))?;
        self.proofs += 1;
        self.reused += bar.reused.into_inner();
        self.cpu_seconds += since(before);
        Ok(())
    }

    /// Rows of all segments a proven fill, padding included, joins apart.
    pub fn rows_per_fill(&self) -> Option<f64> {
        let rows = self.segments * Shape::PRODUCTION.rows() as u64;
        (self.fills > 0).then(|| rows as f64 / self.fills as f64)
    }

    /// CPU time of this run a proven fill, joins included, building the circuits apart.
    pub fn cpu_seconds_per_fill(&self) -> Option<f64> {
        (self.fills > 0).then(|| self.cpu_seconds / self.fills as f64)
    }
}

fn since(before: Option<f64>) -> f64 {
    let spent = before.zip(cpu_seconds());
    spent.map_or(0.0, |(before, after)| after - before)
}

/// The release's circuits, built and compared with its pins.
pub fn release_circuits() -> Result<Circuits, BatchError> {
    let types = Sizes::production().types();
    let circuits = Circuits::new(Uniform::production().clone(), types);
    tracing::info!("building the circuits");
    let before = cpu_seconds();
    circuits.build_all()?;
    let spent = since(before);
    check_pins(&circuits)?;
    tracing::info!(cpu_seconds = spent, "circuits are built");
    Ok(circuits)
}

/// A proof of other circuits than the pinned ones is worth nothing, so it is not begun.
fn check_pins(circuits: &Circuits) -> Result<(), BatchError> {
    let (pinned, built) = (release::pins(), circuits.pins()?);
    let others = built
        .iter()
        .filter(|(name, pin)| pinned.get(*name) != Some(*pin));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    match others.is_empty() {
        true => Ok(()),
        false => Err(BatchError::Pins(others.join(", "))),
    }
}

/// What a release pins, from its circuits.
pub fn pins() -> Result<BTreeMap<String, Pin>, BatchError> {
    let types = Sizes::production().types();
    Ok(Circuits::new(Uniform::production().clone(), types).pins()?)
}

/// A batch's jobs as a progress bar.
#[derive(Debug, Default)]
pub struct Bar {
    bar: Mutex<Option<Progress>>,
    reused: AtomicU64,
}

impl tally_prover::Progress for Bar {
    fn planned(&self, jobs: usize) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        *bar = Some(Progress::new("proofs", jobs as u64));
    }

    fn finished(&self, label: &str, reused: bool) {
        self.reused.fetch_add(reused.into(), Ordering::Relaxed);
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bar.as_mut() {
            bar.step(|| match reused {
                true => format!("{label}, reused"),
                false => label.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tally_prover::check::Rehearsal;

    use super::*;
    use crate::config::{Command, Config};
    use crate::generated;
    use crate::market::path::PricePath;
    use crate::market::sim::Simulation;

    /// Epochs looked at: all of the setup, the market's first, and those in which something other
    /// than trading happens, from the crash on.
    const MOST: usize = 24;

    #[test]
    fn a_crash_settles_in_the_circuits() {
        let args = ["tally", "replay", "--accounts", "48", "--seed", "5"];
        let Command::Replay(config) = Config::parse_from(args).command else {
            panic!("a replay");
        };
        // The simulation shares fee postings among as many fills as the release's circuit takes.
        let mut sizes = Sizes::small();
        sizes.fills = 200;
        let rehearsal = Rehearsal::new(sizes);
        let path = PricePath::new(generated::series(config.seed), None, Some(60)).unwrap();
        let mut sim = Simulation::new(&config, path).unwrap();
        let (mut looked, mut liquidations, mut absorptions) = (0, 0, 0);
        for n in 0..sim.epochs() {
            let table = sim.state.table.clone();
            let (report, trace) = sim.step().unwrap();
            let first = n <= sim.setup_epochs();
            let events = report.liquidations + report.absorptions + report.unwinds;
            if (!first && events == 0) || looked == MOST {
                continue;
            }
            let at = format!("epoch {}", trace.context.epoch);
            let input = epoch_input(&trace, &table, &rehearsal.sizes);
            let input = input.unwrap_or_else(|error| panic!("{at}: {error}"));
            let rehearsed = rehearsal.run(&input);
            let rehearsed = rehearsed.unwrap_or_else(|error| panic!("{at}: {error}"));
            let compared = rehearsed.compare(&trace, &input.words);
            compared.unwrap_or_else(|error| panic!("{at}: {error}"));
            looked += 1;
            liquidations += report.liquidations;
            absorptions += report.absorptions;
        }
        assert!(
            looked > 5 && liquidations + absorptions > 0,
            "{looked} {liquidations} {absorptions}"
        );
    }
}
