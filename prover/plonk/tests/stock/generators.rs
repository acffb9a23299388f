//! Generators of kinds that matter to who runs them when, and witnesses that nothing completes.

use std::array::from_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use plonky2::field::types::{Field, Field64, Sample};
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::poseidon::{
    ALL_ROUND_CONSTANTS, Poseidon as _, PoseidonHash, PoseidonPermutation, SPONGE_WIDTH,
};
use plonky2::iop::generator::{
    GeneratedValues, WitnessGenerator, WitnessGeneratorRef, generate_partial_witness,
};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, Witness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{CircuitConfig, CircuitData, CommonCircuitData};
use plonky2::plonk::config::AlgebraicHasher;
use plonky2::util::serialization::{Buffer, IoError, IoResult};
use tally_plonk::{D, Error, F, Kernel, Prover};

use super::{Poseidon, assign, compare};

fn builder() -> CircuitBuilder<F, D> {
    CircuitBuilder::new(CircuitConfig::standard_recursion_config())
}

/// Elements that carries and borrows are about, one of them not canonical.
fn edges() -> [F; 6] {
    [0, 1, (1 << 32) - 1, 1 << 32, F::ORDER - 1, F::ORDER + 1].map(F::from_noncanonical_u64)
}

/// A state of which the first S-box's input in the second round is zero, which the kernels come by
/// as p: the first element is solved for, the others are zero.
fn zero_inside() -> [F; SPONGE_WIDTH] {
    let mut powers: [F; SPONGE_WIDTH] = from_fn(|i| constant(i).exp_u64(7));
    powers[0] = F::ZERO;
    let others = F::mds_layer_field(&powers)[0] + constant(SPONGE_WIDTH);
    let weight = F::mds_layer_field(&from_fn(|i| F::from_bool(i == 0)))[0];
    let mut state = [F::ZERO; SPONGE_WIDTH];
    state[0] = (-others / weight).kth_root_u64(7) - constant(0);
    state
}

/// A round constant of the permutation.
fn constant(i: usize) -> F {
    F::from_canonical_u64(ALL_ROUND_CONSTANTS[i])
}

#[test]
fn permutations_with_swaps_and_as_many_at_once_as_may_be() -> Result<()> {
    // Batches that fill no vector, one, and some beside the last.
    for count in [1, 3, 4, 5, 8, 17] {
        let mut builder = builder();
        let mut inputs = PartialWitness::new();
        let mut sums = vec![builder.zero(); 2];
        for i in 0..count {
            let state = builder.add_virtual_targets(SPONGE_WIDTH);
            for (k, target) in state.iter().enumerate() {
                let edge = edges()[(i + k) % edges().len()];
                let value = match i % 3 {
                    0 => edge,
                    1 => zero_inside()[k],
                    _ => F::rand(),
                };
                inputs.set_target(*target, value)?;
            }
            let swap = builder.add_virtual_bool_target_safe();
            inputs.set_bool_target(swap, i % 2 == 0)?;
            let mut state = PoseidonPermutation::new(state);
            // Those of one state come one after the other.
            for _ in 0..=i % 2 {
                state = PoseidonHash::permute_swapped(state, swap, &mut builder);
            }
            for (sum, element) in sums.iter_mut().zip(state.as_ref()) {
                *sum = builder.add(*sum, *element);
            }
        }
        builder.register_public_inputs(&sums);
        let circuit = builder.build::<Poseidon>();
        compare(&circuit, inputs.clone())?;
        canonical(&circuit, &inputs)?;
    }
    Ok(())
}

/// Whatever the Poseidon gates' rows hold beyond their inputs and swaps is canonical.
fn canonical(circuit: &CircuitData<F, Poseidon, D>, inputs: &PartialWitness<F>) -> Result<()> {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    for kernel in Kernel::all() {
        let witness = Prover::new(kernel).witness(own, common, inputs.clone())?;
        for generator in &own.generators {
            let watched = generator.0.watch_list();
            let (Some(Target::Wire(first)), "PoseidonGenerator") =
                (watched.first(), &*generator.0.id())
            else {
                continue;
            };
            let row = first.row;
            for wire in 2 * SPONGE_WIDTH + 1..common.config.num_wires {
                let value = witness.try_get_target(Target::wire(row, wire));
                let below = value.is_none_or(|value| value.0 < F::ORDER);
                assert!(below, "{kernel:?}: wire {wire} of row {row}");
            }
        }
    }
    Ok(())
}

/// What a generator does that is none of Plonky2's simple ones.
#[derive(Debug)]
enum Manner {
    /// Finishes on every second run only, whatever is known.
    Hesitates(AtomicUsize),
    /// Makes its value of the first watched target, and waits for the second to finish.
    MakesDo,
    /// Does not know what to make.
    Panics,
}

#[derive(Debug)]
struct Odd {
    manner: Manner,
    watched: Vec<Target>,
    made: Target,
}

impl WitnessGenerator<F, D> for Odd {
    fn id(&self) -> String {
        "Odd".into()
    }

    fn watch_list(&self) -> Vec<Target> {
        self.watched.clone()
    }

    fn run(&self, witness: &PartitionWitness<F>, out: &mut GeneratedValues<F>) -> bool {
        let finished = match &self.manner {
            Manner::Hesitates(runs) => runs.fetch_add(1, Ordering::Relaxed) % 2 == 1,
            Manner::MakesDo => witness.contains_all(&self.watched),
            Manner::Panics => panic!("out of range"),
        };
        let first = witness.try_get_target(self.watched[0]);
        let set = first.map(|first| out.set_target(self.made, first * first));
        finished && set.is_some_and(|set| set.is_ok())
    }

    fn serialize(&self, _: &mut Vec<u8>, _: &CommonCircuitData<F, D>) -> IoResult<()> {
        Err(IoError)
    }

    fn deserialize(_: &mut Buffer, _: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Err(IoError)
    }
}

#[test]
fn a_generator_that_does_not_finish_the_first_time_is_run_again() -> Result<()> {
    let mut builder = builder();
    let inputs = builder.add_virtual_targets(2);
    let product = builder.mul(inputs[0], inputs[1]);
    let made = builder.add_virtual_target();
    builder.add_generators(vec![WitnessGeneratorRef::new(Odd {
        manner: Manner::Hesitates(AtomicUsize::new(0)),
        watched: vec![product],
        made,
    })]);
    let square = builder.square(product);
    builder.connect(square, made);
    let hash = builder.hash_n_to_hash_no_pad::<PoseidonHash>(vec![made]);
    builder.register_public_inputs(&hash.elements);
    compare(&builder.build::<Poseidon>(), assign(&inputs)?)?;
    Ok(())
}

#[test]
fn a_generator_that_acts_on_part_of_what_it_watches_is_not_waited_for() -> Result<()> {
    let mut builder = builder();
    let inputs = builder.add_virtual_targets(2);
    let product = builder.mul(inputs[0], inputs[1]);
    let made = builder.add_virtual_target();
    // The second depends on what the generator makes.
    let hash = builder.hash_n_to_hash_no_pad::<PoseidonHash>(vec![made]);
    builder.add_generators(vec![WitnessGeneratorRef::new(Odd {
        manner: Manner::MakesDo,
        watched: vec![product, hash.elements[0]],
        made,
    })]);
    builder.register_public_inputs(&hash.elements);
    compare(&builder.build::<Poseidon>(), assign(&inputs)?)?;
    Ok(())
}

/// The code and message of the refusal, which all kernels and both ways to it share.
fn refusal(circuit: &CircuitData<F, Poseidon, D>, inputs: &PartialWitness<F>) -> String {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    for kernel in Kernel::all() {
        let refused = Prover::new(kernel).witness(own, common, inputs.clone());
        assert!(matches!(refused, Err(Error::Witness(_))), "{kernel:?}");
    }
    let error = tally_plonk::prove(own, common, inputs.clone()).unwrap_err();
    assert_eq!(error.code(), "plonk.witness");
    let stock = generate_partial_witness(inputs.clone(), own, common).unwrap_err();
    let (ours, stock) = (error.to_string(), stock.to_string());
    // Which of several targets in conflict is met first depends on the order.
    if stock.contains("weren't run") {
        assert!(ours.contains(&stock), "{ours}, not {stock}");
    }
    ours
}

#[test]
fn a_witness_without_some_input_is_refused() -> Result<()> {
    let mut builder = builder();
    let inputs = builder.add_virtual_targets(3);
    let hash = builder.hash_n_to_hash_no_pad::<PoseidonHash>(inputs.clone());
    let power = builder.exp_u64(hash.elements[0], 5);
    builder.register_public_input(power);
    let circuit = builder.build::<Poseidon>();
    let refusal = refusal(&circuit, &assign(&inputs[1..])?);
    assert!(refusal.contains("generators weren't run"), "{refusal}");
    Ok(())
}

#[test]
fn values_in_conflict_are_refused() -> Result<()> {
    let mut builder = builder();
    let inputs = builder.add_virtual_targets(3);
    builder.connect(inputs[0], inputs[1]);
    let hash = builder.hash_n_to_hash_no_pad::<PoseidonHash>(inputs[1..].to_vec());
    builder.register_public_inputs(&hash.elements);
    let circuit = builder.build::<Poseidon>();
    // Two inputs of one value.
    let both = refusal(&circuit, &assign(&inputs)?);
    assert!(both.contains("set twice"), "{both}");
    // An input and what a Poseidon gate makes.
    let mut witness = assign(&inputs[1..])?;
    witness.set_target(hash.elements[2], F::rand())?;
    let made = refusal(&circuit, &witness);
    assert!(made.contains("set twice"), "{made}");
    Ok(())
}

#[test]
fn a_generator_that_panics_is_an_error() -> Result<()> {
    let mut builder = builder();
    let inputs = builder.add_virtual_targets(1);
    builder.add_generators(vec![WitnessGeneratorRef::new(Odd {
        manner: Manner::Panics,
        watched: inputs.clone(),
        made: inputs[0],
    })]);
    let circuit = builder.build::<Poseidon>();
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let error = tally_plonk::prove(own, common, assign(&inputs)?).unwrap_err();
    assert_eq!(error.code(), "plonk.witness");
    assert!(error.to_string().ends_with("among them Odd"), "{error}");
    Ok(())
}
