//! Our prover against stock Plonky2, over every gate that a release's circuits have.
//!
//! Both compute the quotient on a coset whatever the witness, so random values on every wire
//! exercise each constraint where none of them vanishes; the proof is invalid then, and equal all
//! the same. An honest witness follows.

use plonky2::field::types::{Field, Sample};
use plonky2::gates::noop::NoopGate;
use plonky2::iop::generator::generate_partial_witness;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, WitnessWrite};
use plonky2::plonk::circuit_data::CircuitData;
use plonky2::plonk::prover::prove_with_partition_witness;
use plonky2::util::timing::TimingTree;
use rand::seq::SliceRandom;
use tally_circuits::uniform::{Proof, gate_set};
use tally_circuits::{Builder, Config, D, F};
use tally_plonk::Kernel;
use tally_prover::gates::prover;

type Circuit = CircuitData<F, Config, D>;

/// Stock's proof with the least nonce: one thread looks for it from zero on.
fn stock(circuit: &Circuit, witness: PartitionWitness<F>) -> Proof {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let (own, common) = (&circuit.prover_only, &circuit.common);
    pool.install(|| {
        prove_with_partition_witness(own, common, witness, &mut TimingTree::default()).unwrap()
    })
}

fn compare(circuit: &Circuit, witness: &PartitionWitness<F>) -> Proof {
    let expected = stock(circuit, witness.clone());
    for kernel in Kernel::all() {
        let (own, common) = (&circuit.prover_only, &circuit.common);
        let proof = prover(kernel)
            .prove_witness(own, common, witness.clone(), &mut |_| ())
            .unwrap();
        let cap = &proof.proof.quotient_polys_cap;
        assert!(
            *cap == expected.proof.quotient_polys_cap,
            "{kernel:?}: quotient"
        );
        assert!(proof.to_bytes() == expected.to_bytes(), "{kernel:?}");
    }
    expected
}

/// All gates of the uniform set, in any order: gates of a degree are grouped as they come.
fn every_gate() -> Builder {
    let mut builder = Builder::new();
    let mut gates = gate_set().to_vec();
    gates.shuffle(&mut rand::thread_rng());
    for gate in gates {
        builder.add_gate_to_gate_set(gate);
    }
    builder
}

#[test]
fn every_gate_on_random_wires() {
    let mut builder = every_gate();
    for _ in 0..40 {
        builder.add_gate(NoopGate, vec![]);
    }
    let circuit = builder.into_inner().build::<Config>();
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let mut witness = PartitionWitness::new(
        common.config.num_wires,
        common.degree(),
        &own.representative_map,
    );
    for value in &mut witness.values {
        *value = Some(F::rand());
    }
    let proof = compare(&circuit, &witness);
    assert!(
        circuit.verify(proof).is_err(),
        "random wires satisfy nothing"
    );
}

#[test]
fn every_gate_on_an_honest_witness() {
    let mut builder = every_gate();
    let inputs = builder.add_virtual_targets(3);
    let product = builder.mul_many(&inputs);
    let bits = builder.split_le(inputs[0], 40);
    let sum = builder.le_sum(bits.iter());
    let sum = builder.add(sum, product);
    builder.register_public_input(sum);
    let circuit = builder.into_inner().build::<Config>();
    let mut inputs_set = PartialWitness::new();
    for (i, input) in inputs.iter().enumerate() {
        inputs_set
            .set_target(*input, F::from_canonical_usize(i + 7))
            .unwrap();
    }
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let witness = generate_partial_witness(inputs_set, own, common).unwrap();
    circuit.verify(compare(&circuit, &witness)).unwrap();
}
