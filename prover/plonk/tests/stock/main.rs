//! Witnesses and proofs equal stock Plonky2's byte by byte, whatever the kernel.

mod generators;

use anyhow::Result;
use plonky2::field::types::{Field, Sample};
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::generator::generate_partial_witness;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{CircuitConfig, CircuitData};
use plonky2::plonk::config::{GenericConfig, KeccakGoldilocksConfig, PoseidonGoldilocksConfig};
use plonky2::plonk::proof::ProofWithPublicInputs;
use plonky2::plonk::prover::prove_with_partition_witness;
use plonky2::util::timing::TimingTree;
use tally_plonk::{D, Error, F, Kernel, Prover};

type Poseidon = PoseidonGoldilocksConfig;
type Proof<C> = ProofWithPublicInputs<F, C, D>;

/// Stock's proof with the least nonce: one thread looks for it from zero on.
fn stock<C: GenericConfig<D, F = F>>(
    circuit: &CircuitData<F, C, D>,
    witness: PartitionWitness<F>,
) -> Result<Proof<C>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let (own, common) = (&circuit.prover_only, &circuit.common);
    pool.install(|| prove_with_partition_witness(own, common, witness, &mut TimingTree::default()))
}

fn compare<C: GenericConfig<D, F = F> + 'static>(
    circuit: &CircuitData<F, C, D>,
    inputs: PartialWitness<F>,
) -> Result<Proof<C>> {
    // Once for all: Plonky2 fills wires that no constraint is about at random.
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let witness = generate_partial_witness(inputs.clone(), own, common)?;
    compare_witness(circuit, &inputs, &witness)?;
    let expected = stock(circuit, witness.clone())?;
    for kernel in Kernel::all() {
        let prover = Prover::new(kernel);
        let proof = prover.prove_witness(own, common, witness.clone(), &mut |_| ())?;
        let (ours, theirs) = (&proof.proof, &expected.proof);
        // From the first step on, so that a failure tells where they part.
        let steps = [
            (
                "public inputs",
                proof.public_inputs == expected.public_inputs,
            ),
            ("wires", ours.wires_cap == theirs.wires_cap),
            (
                "products",
                ours.plonk_zs_partial_products_cap == theirs.plonk_zs_partial_products_cap,
            ),
            (
                "quotient",
                ours.quotient_polys_cap == theirs.quotient_polys_cap,
            ),
            ("openings", ours.openings == theirs.openings),
        ];
        let (ours, theirs) = (&ours.opening_proof, &theirs.opening_proof);
        let caps = ours.commit_phase_merkle_caps == theirs.commit_phase_merkle_caps;
        let fri = [
            ("FRI's layers", caps),
            (
                "FRI's last polynomial",
                ours.final_poly == theirs.final_poly,
            ),
            ("proof of work", ours.pow_witness == theirs.pow_witness),
            (
                "queries",
                ours.query_round_proofs == theirs.query_round_proofs,
            ),
            ("bytes", proof.to_bytes() == expected.to_bytes()),
        ];
        for (step, equal) in steps.into_iter().chain(fri) {
            assert!(equal, "{kernel:?}: {step}");
        }
        circuit.verify(proof)?;
    }
    Ok(expected)
}

/// The witness that we complete is stock's, save what stock itself makes another each time.
fn compare_witness<C: GenericConfig<D, F = F>>(
    circuit: &CircuitData<F, C, D>,
    inputs: &PartialWitness<F>,
    expected: &PartitionWitness<F>,
) -> Result<()> {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let again = generate_partial_witness(inputs.clone(), own, common)?;
    let random = |i: &usize| expected.values[*i] != again.values[*i];
    let drawn = own
        .generators
        .iter()
        .filter(|generator| generator.0.id() == "RandomValueGenerator");
    assert!((0..expected.values.len()).filter(random).count() <= drawn.count());
    for kernel in Kernel::all() {
        let found = Prover::new(kernel).witness(own, common, inputs.clone())?;
        assert_eq!(found.values.len(), expected.values.len());
        for i in (0..found.values.len()).filter(|i| !random(i)) {
            assert_eq!(
                found.values[i], expected.values[i],
                "{kernel:?}: target {i}"
            );
        }
    }
    Ok(())
}

/// A bit of everything that the builder makes gates of.
fn mixed(config: CircuitConfig, hashes: usize) -> (CircuitBuilder<F, D>, Vec<Target>) {
    let mut builder = CircuitBuilder::<F, D>::new(config);
    let inputs = builder.add_virtual_targets(4);
    let mut elements = inputs.clone();
    for i in 0..hashes {
        let hash = builder.hash_n_to_hash_no_pad::<PoseidonHash>(elements.clone());
        let low = builder.low_bits(hash.elements[0], 3, 64);
        let index = builder.le_sum(low.iter());
        let list = (0..8).map(|k| builder.add_const(hash.elements[1], F::from_canonical_usize(k)));
        let list: Vec<Target> = list.collect();
        let chosen = builder.random_access(index, list);
        let power = builder.exp_u64(hash.elements[2], 5 + i as u64);
        let product = builder.mul(chosen, power);
        elements = [product, hash.elements[3], chosen, elements[0]].to_vec();
    }
    builder.register_public_inputs(&elements);
    (builder, inputs)
}

fn assign(inputs: &[Target]) -> Result<PartialWitness<F>> {
    let mut witness = PartialWitness::new();
    for input in inputs {
        witness.set_target(*input, F::rand())?;
    }
    Ok(witness)
}

#[test]
fn circuits_of_mixed_gates_and_any_size() -> Result<()> {
    for hashes in [0, 1, 3, 40] {
        let (builder, inputs) = mixed(CircuitConfig::standard_recursion_config(), hashes);
        let circuit = builder.build::<Poseidon>();
        compare(&circuit, assign(&inputs)?)?;
    }
    Ok(())
}

#[test]
fn circuits_are_built_as_stock_builds_them() {
    let mut fast = CircuitConfig::standard_recursion_config();
    fast.fri_config.rate_bits = 5;
    fast.fri_config.cap_height = 1;
    for (config, hashes) in [
        (CircuitConfig::standard_recursion_config(), 0),
        (CircuitConfig::standard_recursion_config(), 40),
        (fast, 3),
    ] {
        let builder = || mixed(config.clone(), hashes).0;
        let (expected, found) = (builder().build::<Poseidon>(), tally_plonk::build(builder()));
        assert!(found == expected, "{hashes}");
    }
}

#[test]
#[should_panic(expected = "domain separator")]
fn a_domain_separator_is_refused() {
    let (mut builder, _) = mixed(CircuitConfig::standard_recursion_config(), 0);
    builder.set_domain_separator(vec![F::ONE]);
    tally_plonk::build(builder);
}

#[test]
fn other_configurations() -> Result<()> {
    let mut three = CircuitConfig::standard_recursion_config();
    three.num_challenges = 3;
    let mut fast = CircuitConfig::standard_recursion_config();
    fast.fri_config.rate_bits = 5;
    fast.fri_config.cap_height = 1;
    fast.max_quotient_degree_factor = 16;
    let mut odd = CircuitConfig::standard_recursion_config();
    odd.max_quotient_degree_factor = 7;
    odd.num_routed_wires = 75;
    for config in [three, fast, odd, CircuitConfig::wide_ecc_config()] {
        let (builder, inputs) = mixed(config, 3);
        let circuit = builder.build::<Poseidon>();
        compare(&circuit, assign(&inputs)?)?;
    }
    Ok(())
}

#[test]
fn recursion_over_a_proof_of_ours() -> Result<()> {
    let (builder, inputs) = mixed(CircuitConfig::standard_recursion_config(), 2);
    let inner = builder.build::<Poseidon>();
    let proof = compare(&inner, assign(&inputs)?)?;
    let mut builder = CircuitBuilder::<F, D>::new(CircuitConfig::standard_recursion_config());
    let below = builder.add_virtual_proof_with_pis(&inner.common);
    let key = builder.constant_verifier_data(&inner.verifier_only);
    builder.verify_proof::<Poseidon>(&below, &key, &inner.common);
    let outer = builder.build::<Poseidon>();
    let mut witness = PartialWitness::new();
    witness.set_proof_with_pis_target(&below, &proof)?;
    compare(&outer, witness)?;
    Ok(())
}

#[test]
fn another_hasher() -> Result<()> {
    let (builder, inputs) = mixed(CircuitConfig::standard_recursion_config(), 2);
    let circuit = builder.build::<KeccakGoldilocksConfig>();
    compare(&circuit, assign(&inputs)?)?;
    Ok(())
}

#[test]
fn what_is_not_supported_is_refused() -> Result<()> {
    let refusal = |circuit: &CircuitData<F, Poseidon, D>, inputs| {
        let (own, common) = (&circuit.prover_only, &circuit.common);
        tally_plonk::prove(own, common, inputs)
            .map(|_| ())
            .unwrap_err()
    };
    let mut blinding = CircuitConfig::standard_recursion_zk_config();
    // As many blinding rows as there are queries: fewer, for a small circuit.
    (blinding.fri_config.num_query_rounds, blinding.security_bits) = (1, 0);
    let (builder, inputs) = mixed(blinding, 0);
    let blinded = builder.build::<Poseidon>();
    assert!(matches!(
        refusal(&blinded, assign(&inputs)?),
        Error::Blinding
    ));

    let mut builder = CircuitBuilder::<F, D>::new(CircuitConfig::standard_recursion_config());
    let table = builder.add_lookup_table_from_pairs(std::sync::Arc::new(vec![(1, 2), (3, 4)]));
    let input = builder.add_virtual_target();
    let output = builder.add_lookup_from_index(input, table);
    builder.register_public_input(output);
    let lookups = builder.build::<Poseidon>();
    let mut witness = PartialWitness::new();
    witness.set_target(input, F::ONE)?;
    assert!(matches!(refusal(&lookups, witness), Error::Lookups));

    let (builder, inputs) = mixed(CircuitConfig::standard_recursion_config(), 1);
    let circuit = builder.build::<Poseidon>();
    let short = assign(&inputs[1..])?;
    assert!(matches!(refusal(&circuit, short), Error::Witness(_)));
    Ok(())
}
