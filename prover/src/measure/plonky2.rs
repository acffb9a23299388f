//! Our Plonky2 prover beside stock, in one run: CPU time, memory and phases.
//!
//! Both prove the same witness, one after the other, on the same threads. CPU time is the
//! scheduler's, of all threads; what other processes do to shared caches and to a core's other
//! hardware thread slows both alike, which is why only the ratio is worth keeping.

use std::collections::BTreeMap;
use std::fs;
use std::str::FromStr;

use anyhow::Context;
use plonky2::field::types::Field;
use plonky2::iop::generator::generate_partial_witness;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, WitnessWrite};
use plonky2::plonk::proof::ProofWithPublicInputs;
use plonky2::plonk::prover::prove_with_partition_witness;
use plonky2::util::timing::TimingTree;
use serde::Serialize;
use tally_circuits::summary::SUMMARY_ELEMENTS;
use tally_circuits::uniform::{Circuit, Shape, Uniform};
use tally_circuits::{Builder, Config, D, F};
use tally_plonk::{Kernel, free_buffers};
use thiserror::Error;

use super::{hashing_circuit, peak_memory_mb};
use crate::gates::prover;

/// What is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Rows of Poseidon in the standard recursion configuration (two challenges).
    Hashing,
    /// The release's gates and three challenges: what a segment, join or batch costs, since that
    /// depends on the gate set and the rows only; the release's own have 2^14.
    Release,
}

impl Subject {
    pub const ALL: [Subject; 2] = [Subject::Hashing, Subject::Release];

    pub fn name(self) -> &'static str {
        match self {
            Subject::Hashing => "hashing",
            Subject::Release => "release",
        }
    }
}

/// No subject has the name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no subject is called {0:?}, only hashing and release")]
pub struct UnknownSubject(String);

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(name: &str) -> Result<Self, UnknownSubject> {
        let found = Self::ALL.into_iter().find(|subject| subject.name() == name);
        found.ok_or_else(|| UnknownSubject(name.to_owned()))
    }
}

/// One circuit proven by stock and by each kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub subject: Subject,
    pub degree_bits: usize,
    pub stock: Cost,
    pub ours: Vec<Ours>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Ours {
    pub kernel: &'static str,
    /// Stock's CPU time by ours, generators left out.
    pub ratio: f64,
    /// Ours by stock's.
    pub memory_ratio: f64,
    #[serde(flatten)]
    pub cost: Cost,
}

/// What one proof took, the circuit and its completed witness apart.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    pub cpu_seconds: f64,
    /// Beyond what was there before.
    pub peak_memory_mb: u64,
    /// CPU seconds; stock's are its share of the clock's.
    pub phases: BTreeMap<String, f64>,
}

/// CPU seconds of all threads that live, to the nanosecond; none where /proc tells nothing.
pub fn threads_cpu_seconds() -> Option<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that just ended has no file anymore.
        let Ok(told) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        nanoseconds += told.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

/// Compares on one circuit of 2^`degree_bits` rows.
pub fn compare(
    subject: Subject,
    degree_bits: usize,
    kernels: &[Kernel],
) -> anyhow::Result<Comparison> {
    let (circuit, inputs) = match subject {
        Subject::Hashing => hashing_circuit(1 << degree_bits)?,
        Subject::Release => release_circuit(degree_bits)?,
    };
    compare_on(subject, kernels, &circuit, inputs)
}

/// A circuit of the release's shape but for its size, which constrains nothing.
fn release_circuit(degree_bits: usize) -> anyhow::Result<(Circuit, PartialWitness<F>)> {
    let mut builder = Builder::new();
    let inputs = builder.add_virtual_targets(SUMMARY_ELEMENTS);
    builder.register_public_inputs(&inputs);
    let shape = Shape {
        degree_bits,
        ..Shape::PRODUCTION
    };
    let circuit = Uniform::new(shape).build(builder)?;
    let mut witness = PartialWitness::new();
    for input in inputs {
        witness.set_target(input, F::ONE)?;
    }
    Ok((circuit, witness))
}

fn compare_on(
    subject: Subject,
    kernels: &[Kernel],
    circuit: &Circuit,
    inputs: PartialWitness<F>,
) -> anyhow::Result<Comparison> {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let witness = generate_partial_witness(inputs, own, common)?;
    // Stock first: after ours it takes up to a tenth longer.
    let (stock, expected) = prove_stock(circuit, witness.clone())?;
    let mut ours = Vec::new();
    for kernel in kernels {
        let (cost, proof) = prove_ours(*kernel, circuit, witness.clone())?;
        // Stock takes any nonce on several threads, so from there on proofs may differ.
        anyhow::ensure!(
            proof.proof.quotient_polys_cap == expected.proof.quotient_polys_cap
                && proof.proof.openings == expected.proof.openings,
            "{kernel:?} proves something else than stock"
        );
        circuit.verify(proof)?;
        ours.push(Ours {
            kernel: kernel.name(),
            ratio: stock.cpu_seconds / cost.cpu_seconds,
            memory_ratio: cost.peak_memory_mb as f64 / stock.peak_memory_mb.max(1) as f64,
            cost,
        });
    }
    Ok(Comparison {
        subject,
        degree_bits: common.degree_bits(),
        stock,
        ours,
    })
}

type Proof = ProofWithPublicInputs<F, Config, D>;

fn prove_stock(circuit: &Circuit, witness: PartitionWitness<F>) -> anyhow::Result<(Cost, Proof)> {
    free_buffers();
    let mut clock = TimingTree::default();
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let before = Before::new()?;
    let proof = prove_with_partition_witness::<F, Config, D>(own, common, witness, &mut clock)?;
    let (cpu_seconds, peak_memory_mb) = before.spent()?;
    let phases = stock_phases(&format!("{clock:?}"));
    let total: f64 = phases.values().sum();
    let share = |(name, seconds): (String, f64)| (name, seconds / total * cpu_seconds);
    let cost = Cost {
        cpu_seconds,
        peak_memory_mb,
        phases: phases.into_iter().map(share).collect(),
    };
    Ok((cost, proof))
}

fn prove_ours(
    kernel: Kernel,
    circuit: &Circuit,
    witness: PartitionWitness<F>,
) -> anyhow::Result<(Cost, Proof)> {
    let mut phases = BTreeMap::new();
    free_buffers();
    let before = Before::new()?;
    let mut last = before.cpu_seconds;
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let proof = prover(kernel).prove_witness(own, common, witness, &mut |phase| {
        let now = threads_cpu_seconds().unwrap_or(last);
        phases.insert(phase.name().to_owned(), now - last);
        last = now;
    })?;
    let (cpu_seconds, peak_memory_mb) = before.spent()?;
    let cost = Cost {
        cpu_seconds,
        peak_memory_mb,
        phases,
    };
    Ok((cost, proof))
}

/// What the process had used when something began.
struct Before {
    cpu_seconds: f64,
    memory_mb: u64,
}

impl Before {
    fn new() -> anyhow::Result<Self> {
        // Lets the peak begin anew at what is held now; where it cannot be, peaks are too high.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Ok(Self {
            cpu_seconds: threads_cpu_seconds().context("/proc tells no CPU time")?,
            memory_mb: peak_memory_mb().context("/proc tells no memory")?,
        })
    }

    fn spent(&self) -> anyhow::Result<(f64, u64)> {
        let cpu_seconds = threads_cpu_seconds().context("/proc tells no CPU time")?;
        let memory_mb = peak_memory_mb().context("/proc tells no memory")?;
        Ok((
            cpu_seconds - self.cpu_seconds,
            memory_mb.saturating_sub(self.memory_mb),
        ))
    }
}

/// Seconds of stock's steps under our names, from what its timing tree shows of itself; nothing
/// where that has another form than Plonky2 1.1's on Linux.
fn stock_phases(tree: &str) -> BTreeMap<String, f64> {
    let steps = [
        ("compute full witness", "columns"),
        ("compute wire polynomials", "columns"),
        ("compute wires commitment", "commit_wires"),
        ("compute partial products", "products"),
        ("commit to partial products", "commit_products"),
        ("compute quotient polys", "quotient"),
        ("split up quotient polys", "quotient"),
        ("commit to quotient polys", "commit_quotient"),
        ("construct the opening set", "openings"),
        ("compute opening proofs", "fri"),
    ];
    let mut phases = BTreeMap::new();
    for node in tree.split("name: \"").skip(1) {
        let found = steps.iter().find(|(step, _)| node.starts_with(step));
        let Some((_, phase)) = found else { continue };
        // The node's own times stand before its children's names.
        let mut numbers = node.split("tv_sec: ").skip(1).map(|time| {
            let (seconds, rest) = time.split_once(", tv_nsec: ")?;
            let nanoseconds = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            Some(seconds.parse::<f64>().ok()? + nanoseconds.parse::<f64>().ok()? / 1e9)
        });
        if let (Some(Some(from)), Some(Some(to))) = (numbers.next(), numbers.next()) {
            *phases.entry((*phase).to_owned()).or_insert(0.0) += to - from;
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_circuits_compare_equal_with_every_phase_told() {
        let (circuit, inputs) = hashing_circuit(1 << 7).unwrap();
        let found = compare_on(Subject::Hashing, &Kernel::all(), &circuit, inputs).unwrap();
        assert_eq!(found.ours.len(), Kernel::all().len());
        let stock: Vec<&String> = found.stock.phases.keys().collect();
        for ours in &found.ours {
            assert_eq!(ours.cost.phases.keys().collect::<Vec<_>>(), stock);
            assert!(ours.ratio > 0.0);
        }
    }
}
