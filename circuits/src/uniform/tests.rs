use plonky2::field::types::Field;
use plonky2::gates::random_access::RandomAccessGate;

use super::*;
use crate::checker::Checker;
use crate::join::Statement;
use crate::summary::SummaryTarget;

/// Small enough to build in a moment.
const SMALL: Shape = Shape {
    degree_bits: 8,
    arity: 1,
};

fn circuit() -> Builder {
    let mut builder = Builder::new();
    SummaryTarget::idle(&mut builder).register(&mut builder);
    builder
}

#[test]
fn p5_different_circuits_share_the_common_data() {
    let uniform = Uniform::new(SMALL);
    let mut other = circuit();
    let x = other.add_virtual_target();
    other.range_check(x, 20);
    let (a, b) = (
        uniform.build(circuit()).unwrap(),
        uniform.build(other).unwrap(),
    );
    assert_eq!(a.common, b.common);
    assert_eq!(a.common, *uniform.common());
    assert_ne!(key_digest(&a.verifier_only), key_digest(&b.verifier_only));
}

#[test]
fn p5_refuses_what_is_not_uniform() {
    let uniform = Uniform::new(SMALL);
    let code = |builder| uniform.build(builder).err().map(|e| e.code());
    let mut foreign = circuit();
    let config = foreign.config.clone();
    foreign.add_gate(
        RandomAccessGate::<F, D>::new_from_config(&config, 2),
        vec![],
    );
    assert_eq!(code(foreign), Some("P5.gates"));
    let mut large = circuit();
    while large.rows() < SMALL.rows() {
        large.add_gate(NoopGate, vec![]);
    }
    assert_eq!(code(large), Some("P5.rows"));
    let mut inputs = circuit();
    inputs.add_virtual_public_input();
    assert_eq!(code(inputs), Some("P5.public_inputs"));
}

#[test]
fn key_digest_binds_digest_and_cap_natively_and_in_circuit() {
    let key = Uniform::new(SMALL).build(circuit()).unwrap().verifier_only;
    let mut builder = Builder::new();
    let target = builder.constant_verifier_data::<Config>(&key);
    let digest = key_digest_target(&mut builder, &target);
    builder.register_public_inputs(&digest.elements);
    let checker = Checker::new(builder);
    let accepted = checker.check(&Default::default()).unwrap();
    assert_eq!(accepted.public_inputs(), key_digest(&key).elements);
    let mut other = key.clone();
    other.constants_sigmas_cap.0[15].elements[3] += F::ONE;
    assert_ne!(key_digest(&key), key_digest(&other));
    let mut other = key.clone();
    other.circuit_digest.elements[0] += F::ONE;
    assert_ne!(key_digest(&key), key_digest(&other));
}

#[test]
fn p7_production_shape() {
    let common = Uniform::production().common();
    assert_eq!(common.config.num_challenges, 3);
    assert_eq!((common.degree_bits(), common.num_public_inputs), (14, 64));
    // Conjectured FRI security: 28 queries of 3 bits and 16 bits of work.
    assert_eq!(common.config.fri_config.num_query_rounds, 28);
    assert_eq!(common.config.fri_config.rate_bits, 3);
    assert_eq!(common.config.fri_config.proof_of_work_bits, 16);
}

#[test]
fn p5_verifying_a_uniform_circuit_needs_uniform_gates_only() {
    let ids = |gates: &[GateRef<F, D>]| -> BTreeSet<String> {
        gates.iter().map(|gate| gate.0.id()).collect()
    };
    let known = ids(gate_set());
    assert_eq!(ids(&Uniform::production().common().gates), known);
    let common = Uniform::production().common();
    let mut outer = Builder::new();
    let proof = outer.add_virtual_proof_with_pis(common);
    let key = outer.add_virtual_verifier_data(common.config.fri_config.cap_height);
    outer.verify_proof::<Config>(&proof, &key, common);
    let needed = ids(&outer.into_inner().mock_build::<Config>().common.gates);
    assert!(needed.is_subset(&known), "{:?}", needed.difference(&known));
}
