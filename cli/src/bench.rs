//! `tally bench`: what a fill costs, in rows and in CPU time.

pub mod plonky2;
pub mod sign;

use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Parser;
use serde::Serialize;
use tally_circuits::uniform::Uniform;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::table::Table;
use tally_prover::epoch::epoch_input;
use tally_prover::measure::{cpu_seconds, peak_memory_mb, reference_cpu_seconds};
use tally_prover::release::Sizes;
use tally_prover::{Circuits, Limits, Prover, Store};

use crate::config::{Command, Config};
use crate::generated;
use crate::market::path::PricePath;
use crate::market::sim::Simulation;
use crate::prove::Bar;

/// Accounts of the market whose busiest early epoch is proven.
const ACCOUNTS: &str = "400";
/// Epochs of the market that are looked at.
const EPOCHS: u64 = 4;

/// `tally bench prove`.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    pub fills: u64,
    /// Proofs of the epoch: segments, joins, epoch and batch.
    pub cpu_seconds: f64,
    pub cpu_seconds_per_fill: f64,
    /// One stock Plonky2 proof of 2^14 rows, in the same run.
    pub reference_cpu_seconds: f64,
    /// The first by the second.
    pub ratio: f64,
    pub peak_memory_mb: u64,
}

/// Proves one epoch of the generated market; building the circuits is not counted.
pub fn prove(limits: Limits) -> anyhow::Result<Cost> {
    let sizes = Sizes::production();
    let (input, fills) = busiest(&sizes)?;
    let circuits = Circuits::new(Uniform::production().clone(), sizes.types());
    circuits.build_all()?;
    let directory = std::env::temp_dir().join(format!("tally-bench-{}", std::process::id()));
    let store = Store::open(&directory)?;
    let prover = Prover {
        circuits: &circuits,
        store: &store,
        limits,
        progress: &Bar::default(),
        stop: &AtomicBool::new(false),
    };
    let before = cpu_seconds();
    let proven = prover.prove(&[input]);
    let spent = before
        .zip(cpu_seconds())
        .map(|(before, after)| after - before);
    // The parts are of no use to anyone; what proving says matters more than a leftover.
    let _ = std::fs::remove_dir_all(&directory);
    proven?;
    let spent = spent.context("/proc tells no CPU time")?;
    let reference = reference_cpu_seconds()?.context("/proc tells no CPU time")?;
    let per_fill = spent / fills.max(1) as f64;
    Ok(Cost {
        fills,
        cpu_seconds: spent,
        cpu_seconds_per_fill: per_fill,
        reference_cpu_seconds: reference,
        ratio: per_fill / reference,
        peak_memory_mb: peak_memory_mb().unwrap_or_default(),
    })
}

/// The epoch with the most fills among the market's first ones.
fn busiest(sizes: &Sizes) -> anyhow::Result<(tally_prover::EpochInput, u64)> {
    let config = Config::try_parse_from(["tally", "replay", "--accounts", ACCOUNTS])?;
    let Command::Replay(config) = config.command else {
        anyhow::bail!("not a replay");
    };
    let series = generated::series(config.seed);
    let path = PricePath::new(series, None, Some(EPOCHS))?;
    let mut sim = Simulation::new(&config, path)?;
    let mut best: Option<(u64, EpochTrace, Table)> = None;
    for _ in 0..sim.epochs() {
        let table = sim.state.table.clone();
        let (report, trace) = sim.step()?;
        if best
            .as_ref()
            .is_none_or(|(fills, ..)| report.fills > *fills)
        {
            best = Some((report.fills, trace, table));
        }
    }
    let (fills, trace, table) = best.context("the market has no epoch")?;
    Ok((epoch_input(&trace, &table, sizes)?, fills))
}
