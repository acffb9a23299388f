//! `tally bench plonky2`: our Plonky2 prover beside stock.
//!
//! Each circuit has a process of its own, so that no proof finds memory that an earlier circuit has
//! left behind, with fixed limits of what malloc keeps: by default glibc raises them while a
//! circuit is built. Otherwise peaks come out too low, stock's most of all.

use std::env;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;
use tally_plonk::Kernel;
use tally_prover::measure::plonky2::{Subject, compare};

use crate::config::BenchPlonky2Config;

/// What glibc keeps when it is freed, in bytes.
const KEPT: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
];

/// One comparison for each subject and size.
pub fn run(config: &BenchPlonky2Config) -> anyhow::Result<Vec<Value>> {
    let sizes = config.smallest..=config.largest;
    anyhow::ensure!(
        !sizes.is_empty(),
        "[bench.sizes] from 2^{} to 2^{} there is no size",
        config.smallest,
        config.largest
    );
    let kernels = match config.kernel.is_empty() {
        true => Kernel::all(),
        false => config.kernel.clone(),
    };
    let fixed = KEPT.iter().all(|(name, _)| env::var_os(name).is_some());
    if let (true, true, Some(subject)) = (fixed, config.smallest == config.largest, config.subject)
    {
        let compared = compare(subject, config.largest.into(), &kernels)?;
        return Ok(vec![serde_json::to_value(compared)?]);
    }
    let subjects = config
        .subject
        .map_or(Subject::ALL.to_vec(), |subject| vec![subject]);
    let mut compared = Vec::new();
    for subject in subjects {
        for bits in sizes.clone() {
            compared.extend(alone(subject, bits, &kernels)?);
        }
    }
    Ok(compared)
}

/// One of them, in a process of its own.
fn alone(subject: Subject, bits: u8, kernels: &[Kernel]) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new(env::current_exe().context("[bench.process] which program")?);
    let size = bits.to_string();
    command.args(["bench", "plonky2", "--json", "--subject", subject.name()]);
    command.args(["--smallest", &size, "--largest", &size]);
    for kernel in kernels {
        command.args(["--kernel", kernel.name()]);
    }
    command.envs(KEPT).stderr(Stdio::inherit());
    let output = command.output().context("[bench.process] starting it")?;
    anyhow::ensure!(
        output.status.success(),
        "[bench.process] {} at 2^{bits}: {}",
        subject.name(),
        output.status
    );
    serde_json::from_slice(&output.stdout).context("[bench.process] what it printed")
}
