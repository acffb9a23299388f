//! What completing a witness takes, one thread: Plonky2's generators as it runs them, and as the
//! prover does with each kernel. `cargo bench -p tally-plonk --bench witness` prints milliseconds
//! as JSON, the least of many runs, for a circuit that verifies a proof and for one whose
//! permutations all wait for each other.

use std::time::Instant;

use plonky2::field::types::Field;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::generator::generate_partial_witness;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{CircuitConfig, CircuitData};
use plonky2::plonk::config::PoseidonGoldilocksConfig;
use tally_plonk::{D, F, Kernel, Prover};

type Config = PoseidonGoldilocksConfig;
type Circuit = CircuitData<F, Config, D>;

const RUNS: usize = 50;
/// Permutations one after another, of 2^12 rows.
const CHAIN: usize = 3_000;

fn builder() -> CircuitBuilder<F, D> {
    CircuitBuilder::new(CircuitConfig::standard_recursion_config())
}

/// A digest hashed so many times.
fn chain(length: usize) -> anyhow::Result<(Circuit, PartialWitness<F>)> {
    let mut builder = builder();
    let first: Vec<Target> = builder.add_virtual_targets(4);
    let mut elements = first.clone();
    for _ in 0..length {
        let digest = builder.hash_n_to_hash_no_pad::<PoseidonHash>(elements);
        elements = digest.elements.to_vec();
    }
    builder.register_public_inputs(&elements);
    let mut inputs = PartialWitness::new();
    for target in first {
        inputs.set_target(target, F::TWO)?;
    }
    Ok((tally_plonk::build(builder), inputs))
}

/// Verifies a proof of a short chain.
fn recursion() -> anyhow::Result<(Circuit, PartialWitness<F>)> {
    let (inner, inputs) = chain(100)?;
    let proof = tally_plonk::prove(&inner.prover_only, &inner.common, inputs)?;
    let mut builder = builder();
    let below = builder.add_virtual_proof_with_pis(&inner.common);
    let key = builder.constant_verifier_data(&inner.verifier_only);
    builder.verify_proof::<Config>(&below, &key, &inner.common);
    let mut inputs = PartialWitness::new();
    inputs.set_proof_with_pis_target(&below, &proof)?;
    Ok((tally_plonk::build(builder), inputs))
}

/// Milliseconds.
fn least(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        least = least.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(least)
}

fn line(name: &str, circuit: &Circuit, inputs: &PartialWitness<F>) -> anyhow::Result<String> {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let stock = least(|| generate_partial_witness(inputs.clone(), own, common).map(drop))?;
    let mut line = format!(
        r#""{name}":{{"rows":{},"generators":{},"plonky2":{stock:.1}"#,
        common.degree(),
        own.generators.len(),
    );
    for kernel in Kernel::all() {
        let prover = Prover::new(kernel);
        let ours = least(|| Ok(prover.witness(own, common, inputs.clone()).map(drop)?))?;
        line += &format!(r#","{}":{ours:.1}"#, kernel.name());
    }
    Ok(line + "}")
}

fn main() -> anyhow::Result<()> {
    let (verifies, proof) = recursion()?;
    let (waits, first) = chain(CHAIN)?;
    let lines = [
        line("recursion", &verifies, &proof)?,
        line("chain", &waits, &first)?,
    ];
    println!("{{{}}}", lines.join(","));
    Ok(())
}
