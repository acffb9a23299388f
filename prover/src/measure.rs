//! What proving costs: CPU time and peak memory of this process, and a stock proof to compare with.

pub mod plonky2;

use std::fs;
use std::ops::Range;

use ::plonky2::hash::hash_types::HashOut;
use ::plonky2::hash::poseidon::PoseidonHash;
use ::plonky2::iop::witness::{PartialWitness, WitnessWrite};
use ::plonky2::plonk::circuit_builder::CircuitBuilder;
use ::plonky2::plonk::circuit_data::CircuitConfig;
use tally_circuits::uniform::Circuit;
use tally_circuits::{Config, D, F};

/// Rows of the reference circuit.
const REFERENCE_ROWS: usize = 1 << 14;
/// Left for public inputs and constants, so that padding does not double the degree.
const SPARE_ROWS: usize = 16;
/// The unit of /proc/self/stat; fixed in Linux's user interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that this process, all threads together, has used; none where /proc is missing.
pub fn cpu_seconds() -> Option<f64> {
    seconds_of(11..13)
}

/// The same, with the processes that it has started and that have ended.
pub fn cpu_seconds_with_children() -> Option<f64> {
    seconds_of(11..15)
}

/// Of fields counted after the command, which may hold spaces: user and system time, then those of
/// children.
fn seconds_of(fields: Range<usize>) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let told: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = told.get(fields)?.iter().map(|it| it.parse::<f64>().ok());
    Some(ticks.sum::<Option<f64>>()? / TICKS_PER_SECOND)
}

/// The most memory that this process has held, in MB.
pub fn peak_memory_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes / 1_024)
}

/// CPU seconds of one stock Plonky2 proof of 2^14 rows of hashing (standard recursion
/// configuration, two challenges), building left out.
pub fn reference_cpu_seconds() -> anyhow::Result<Option<f64>> {
    let (circuit, witness) = hashing_circuit(REFERENCE_ROWS)?;
    let before = cpu_seconds();
    circuit.prove(witness)?;
    Ok(before
        .zip(cpu_seconds())
        .map(|(before, after)| after - before))
}

/// So many rows of hashing in the standard recursion configuration, and inputs.
fn hashing_circuit(rows: usize) -> anyhow::Result<(Circuit, PartialWitness<F>)> {
    let mut builder = CircuitBuilder::<F, D>::new(CircuitConfig::standard_recursion_config());
    let first = builder.add_virtual_hash();
    let mut digest = first;
    while builder.num_gates() < rows - SPARE_ROWS {
        let inputs = [digest.elements, first.elements].concat();
        digest = builder.hash_n_to_hash_no_pad::<PoseidonHash>(inputs);
    }
    let circuit = builder.build::<Config>();
    anyhow::ensure!(
        circuit.common.degree() == rows,
        "the circuit has {rows} rows"
    );
    let mut witness = PartialWitness::new();
    witness.set_hash_target(first, HashOut::ZERO)?;
    Ok((circuit, witness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_and_memory_are_read() {
        let before = cpu_seconds().unwrap();
        let mut x = 1u64;
        while cpu_seconds().unwrap() < before + 0.02 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(peak_memory_mb().unwrap() > 0);
        let (own, all) = (cpu_seconds().unwrap(), cpu_seconds_with_children().unwrap());
        assert!((own..1e6).contains(&all), "{own} {all}");
    }
}
