//! `tally bench plonky2`: our Plonky2 prover beside stock.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;
use tally_plonk::Kernel;
use tally_prover::measure::plonky2::{Comparison, compare};

use crate::config::BenchPlonky2Config;

/// glibc's limits of what it keeps when it is freed, in bytes. Fixed ones, because by default it
/// raises them while circuits are built, keeps their memory for the proofs, and peaks come out too
/// low.
const KEPT: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
];

/// Starts the process anew with these limits unless it has been.
pub fn run(config: &BenchPlonky2Config) -> anyhow::Result<Vec<Comparison>> {
    let (smallest, largest) = (config.smallest, config.largest);
    anyhow::ensure!(
        smallest <= largest,
        "[bench.sizes] from 2^{smallest} to 2^{largest} there is no size"
    );
    if KEPT.iter().any(|(name, _)| env::var_os(name).is_none()) {
        let own = env::current_exe().context("[bench.restart] which program this is")?;
        let limits = KEPT.map(|(name, bytes)| (name, env::var(name).unwrap_or(bytes.to_owned())));
        let error = Command::new(own)
            .args(env::args_os().skip(1))
            .envs(limits)
            .exec();
        return Err(error).context("[bench.restart] starting anew with malloc's limits");
    }
    let kernels = match config.kernel.is_empty() {
        true => Kernel::all(),
        false => config.kernel.clone(),
    };
    compare(&kernels, smallest.into(), largest.into())
}
