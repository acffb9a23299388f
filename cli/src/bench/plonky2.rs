//! `tally bench plonky2`: our Plonky2 prover beside stock.
//!
//! Each circuit has processes of its own, so that no proof finds memory that an earlier circuit
//! has left behind. CPU time is taken in one with malloc as it is everywhere; peaks of memory in
//! another with fixed limits of what malloc keeps. By default glibc raises these while a circuit
//! is built, and peaks come out too low, stock's most of all; with them, stock spends a tenth more
//! of its time on page faults.

use std::env;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;
use tally_plonk::Kernel;
use tally_prover::measure::plonky2::{Subject, compare};

use crate::config::BenchPlonky2Config;

/// Tells a process that it is one of these.
const ALONE: &str = "TALLY_BENCH_ALONE";
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
    if let (true, Some(subject)) = (env::var_os(ALONE).is_some(), config.subject) {
        let compared = compare(subject, config.largest.into(), &kernels)?;
        return Ok(vec![serde_json::to_value(compared)?]);
    }
    let subjects = config
        .subject
        .map_or(Subject::ALL.to_vec(), |subject| vec![subject]);
    let mut compared = Vec::new();
    for subject in subjects {
        for bits in sizes.clone() {
            let mut found = alone(subject, bits, &kernels, &[])?;
            let memory = alone(subject, bits, &kernels, &KEPT)?;
            take_memory(&mut found, &memory);
            compared.push(found);
        }
    }
    Ok(compared)
}

/// One of them, in a process of its own.
fn alone(
    subject: Subject,
    bits: u8,
    kernels: &[Kernel],
    malloc: &[(&str, &str)],
) -> anyhow::Result<Value> {
    let mut command = Command::new(env::current_exe().context("[bench.process] which program")?);
    let size = bits.to_string();
    command.args(["bench", "plonky2", "--json", "--subject", subject.name()]);
    command.args(["--smallest", &size, "--largest", &size]);
    for kernel in kernels {
        command.args(["--kernel", kernel.name()]);
    }
    command.env(ALONE, "1").envs(malloc.iter().copied());
    command.stderr(Stdio::inherit());
    let output = command.output().context("[bench.process] starting it")?;
    anyhow::ensure!(
        output.status.success(),
        "[bench.process] {} at 2^{bits}: {}",
        subject.name(),
        output.status
    );
    let printed: Vec<Value> =
        serde_json::from_slice(&output.stdout).context("[bench.process] what it printed")?;
    let [comparison] = <[Value; 1]>::try_from(printed)
        .map_err(|all| anyhow::anyhow!("[bench.process] {} comparisons", all.len()))?;
    Ok(comparison)
}

/// Replaces the memory in a comparison by another's.
fn take_memory(comparison: &mut Value, other: &Value) {
    const PEAK: &str = "peak_memory_mb";
    comparison["stock"][PEAK] = other["stock"][PEAK].clone();
    let (Some(ours), Some(others)) = (comparison["ours"].as_array_mut(), other["ours"].as_array())
    else {
        return;
    };
    for (ours, other) in ours.iter_mut().zip(others) {
        for name in [PEAK, "memory_ratio"] {
            ours[name] = other[name].clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn memory_is_the_other_runs_and_time_its_own() {
        let run = |seconds: u64, peak: u64| {
            json!({
                "stock": { "cpu_seconds": seconds, "peak_memory_mb": 2 * peak },
                "ours": [{ "ratio": seconds, "peak_memory_mb": peak, "memory_ratio": peak }],
            })
        };
        let mut comparison = run(7, 1);
        take_memory(&mut comparison, &run(9, 40));
        assert_eq!(comparison, run(7, 40));
    }
}
