use std::sync::OnceLock;
use std::time::Instant;

use halo2_proofs::dev::MockProver;
use plonky2::field::extension::FieldExtension;
use plonky2::field::types::PrimeField64;
use tally_circuits::Ext as NativeExt;

use super::*;
use crate::algebra::Native;
use crate::circuit::{Size, WrapCircuit};
use crate::hash::Digest;
use crate::testing::small;

const SIZE: Size = Size {
    k: 18,
    limb_bits: 16,
};

fn circuit(proof: &LastProof) -> WrapCircuit {
    let last = small().layers.circuit();
    WrapCircuit::with_constraints(SIZE, &last.verifier_only, &last.common, proof).unwrap()
}

fn accepts(circuit: &WrapCircuit, instances: Vec<Fr>) -> bool {
    let prover = MockProver::run(SIZE.k as u32, circuit, vec![instances]).unwrap();
    prover.verify().is_ok()
}

/// In one test, because a small proof takes seconds too.
#[test]
fn a_small_proof_is_verified_whole() {
    let started = Instant::now();
    let last = small().layers.circuit();
    eprintln!(
        "2^{} rows made in {:?}",
        last.common.degree_bits(),
        started.elapsed()
    );
    challenges_are_plonky2s();
    identity_holds_for_the_proof_and_not_for_another();
    each_gate_constraint_is_needed();
    it_is_accepted_with_its_own_instances_only();
    changed_proofs_are_refused();
    crate::evm::tests::a_small_proof_is_wrapped(small());
}

fn it_is_accepted_with_its_own_instances_only() {
    let proof = &small().proof;
    let started = Instant::now();
    let circuit = circuit(proof);
    let instances = instances(&proof.public_inputs);
    assert_eq!(circuit.instances(), instances);
    assert!(circuit.holds() && accepts(&circuit, instances.clone()));
    eprintln!("{:?} in {:?}", circuit.counts(), started.elapsed());
    let mut other = instances;
    other[1] += Fr::one();
    assert!(!accepts(&circuit, other));
}

/// What a lying prover would change, one at a time. `circuit/tests.rs` says that halo2 agrees.
fn changed_proofs_are_refused() {
    let changes: [(&str, fn(&mut LastProof)); 10] = [
        ("public input", |p| p.public_inputs[3] += F::ONE),
        ("wires opening", |p| {
            p.proof.openings.wires[7] += NativeExt::ONE
        }),
        ("next Z", |p| {
            p.proof.openings.plonk_zs_next[0] += NativeExt::ONE
        }),
        ("quotient", |p| {
            p.proof.openings.quotient_polys[1] += NativeExt::ONE
        }),
        ("cap", |p| {
            p.proof.wires_cap.0[2].0 += ark_bn254::Fr::from(1u64)
        }),
        ("leaf", |p| {
            let round = &mut p.proof.opening_proof.query_round_proofs[1];
            round.initial_trees_proof.evals_proofs[1].0[5] += F::ONE;
        }),
        ("sibling", |p| {
            let round = &mut p.proof.opening_proof.query_round_proofs[0];
            let path = &mut round.initial_trees_proof.evals_proofs[2].1;
            path.siblings[1] = Digest(path.siblings[1].0 + ark_bn254::Fr::from(1u64));
        }),
        ("folded value", |p| {
            let round = &mut p.proof.opening_proof.query_round_proofs[0];
            round.steps[0].evals[9] += NativeExt::ONE;
        }),
        ("final polynomial", |p| {
            p.proof.opening_proof.final_poly.coeffs[3] += NativeExt::ONE;
        }),
        ("work", |p| p.proof.opening_proof.pow_witness += F::ONE),
    ];
    for (what, change) in changes {
        let mut proof = small().proof.clone();
        change(&mut proof);
        assert!(!circuit(&proof).holds(), "{what}");
    }
}

fn challenges_are_plonky2s() {
    let last = small().layers.circuit();
    let proof = &small().proof;
    let expected = proof
        .get_challenges(
            proof.get_public_inputs_hash(),
            &last.verifier_only.circuit_digest,
            &last.common,
        )
        .unwrap();
    let drawn = drawn();
    let words = |ints: &[Int]| -> Vec<F> { ints.iter().map(residue).collect() };
    assert_eq!(words(&drawn.betas), expected.plonk_betas);
    assert_eq!(words(&drawn.gammas), expected.plonk_gammas);
    assert_eq!(words(&drawn.alphas), expected.plonk_alphas);
    assert_eq!(ext(&drawn.zeta), expected.plonk_zeta);
    let fri = expected.fri_challenges;
    assert_eq!(ext(&drawn.fri_alpha), fri.fri_alpha);
    let betas: Vec<_> = drawn.fri_betas.iter().map(ext).collect();
    assert_eq!(betas, fri.fri_betas);
    assert_eq!(residue(&drawn.work), fri.fri_pow_response);
    let mask = last.common.lde_size() as u64 - 1;
    let indices = drawn.queries.iter().map(residue);
    let indices: Vec<_> = indices
        .map(|x| (x.to_canonical_u64() & mask) as usize)
        .collect();
    assert_eq!(indices, fri.fri_query_indices);
}

/// The identity over the field itself, with Plonky2's own challenges.
fn identity_holds_for_the_proof_and_not_for_another() {
    let last = small().layers.circuit();
    let proof = &small().proof;
    let hash = proof.get_public_inputs_hash();
    let drawn = proof
        .get_challenges(hash, &last.verifier_only.circuit_digest, &last.common)
        .unwrap();
    let lift = |words: &[F]| -> Vec<NativeExt> { words.iter().map(|x| (*x).into()).collect() };
    let challenges = Challenges {
        betas: lift(&drawn.plonk_betas),
        gammas: lift(&drawn.plonk_gammas),
        alphas: lift(&drawn.plonk_alphas),
        zeta: drawn.plonk_zeta,
    };
    let set = proof.proof.openings.clone();
    let openings = Openings {
        constants: set.constants,
        sigmas: set.plonk_sigmas,
        wires: set.wires,
        zs: set.plonk_zs,
        zs_next: set.plonk_zs_next,
        partial_products: set.partial_products,
        quotients: set.quotient_polys,
    };
    let sides = |openings: &Openings<NativeExt>| {
        let hash = hash.elements.map(NativeExt::from);
        let common = &last.common;
        let inverse = |_: &mut Native, x: &NativeExt| x.inverse();
        identity(&mut Native, common, openings, &challenges, &hash, inverse)
            .unwrap()
            .sides
    };
    assert!(sides(&openings).iter().all(|[left, right]| left == right));
    let count = openings.at_zeta().len() + openings.zs_next.len();
    for i in (0..count).step_by(17) {
        let mut other = openings.clone();
        let mut all: Vec<&mut NativeExt> = other
            .constants
            .iter_mut()
            .chain(&mut other.sigmas)
            .chain(&mut other.wires)
            .chain(&mut other.zs)
            .chain(&mut other.partial_products)
            .chain(&mut other.quotients)
            .chain(&mut other.zs_next)
            .collect();
        *all[i] += NativeExt::ONE;
        assert!(
            sides(&other).iter().any(|[left, right]| left != right),
            "{i}"
        );
    }
}

/// At ζ no constraint of any gate vanishes, so an identity that lacks one does not hold for an
/// honest proof: what is checked once over any algebra cannot lose a constraint unnoticed.
fn each_gate_constraint_is_needed() {
    let common = &small().layers.circuit().common;
    let proof = &small().proof;
    let openings = &proof.proof.openings;
    let selectors = crate::plonk::Selectors::of(common);
    let row = crate::gates::Row {
        constants: &openings.constants[common.selectors_info.num_selectors()..],
        wires: &openings.wires,
        public_inputs_hash: &proof.get_public_inputs_hash().elements.map(NativeExt::from),
    };
    let mut count = 0;
    for (i, gate) in common.gates.iter().enumerate() {
        let filter = selectors.filter(&mut Native, i, &openings.constants);
        let constraints = crate::gates::evaluate(&mut Native, gate, &row).unwrap();
        for (j, constraint) in constraints.iter().enumerate() {
            assert!(
                filter * *constraint != NativeExt::ZERO,
                "{} {j}",
                gate.0.id()
            );
            count += 1;
        }
    }
    assert!(count > 300, "{count} constraints");
}

fn residue(x: &Int) -> F {
    let digits = (crate::chip::value(&x.cell) % crate::chip::modulus()).to_u64_digits();
    F::from_canonical_u64(digits.first().copied().unwrap_or(0))
}

fn ext(x: &Ext) -> NativeExt {
    let parts = [Some(x.low), x.high].map(|part| part.as_ref().map_or(F::ZERO, residue));
    NativeExt::from_basefield_array(parts)
}

/// The challenges that the circuit draws for the small proof.
fn drawn() -> Drawn {
    static DRAWN: OnceLock<Drawn> = OnceLock::new();
    let draw = || {
        let last = small().layers.circuit();
        let (key, proof) = (&last.verifier_only, &small().proof);
        let mut drawn = None;
        WrapCircuit::fill(SIZE, None, |chip| {
            let inputs = proof.public_inputs.iter();
            let inputs: Vec<Ext> = inputs.map(|x| chip.witness(*x).into()).collect();
            let hash = hash_short(chip, &inputs).map(|x| chip.ext_reduce(&x));
            let openings = open(chip, &proof.proof.openings);
            let parts = Parts::assign(chip, key, proof);
            drawn = Some(super::draw(
                chip,
                key,
                &last.common,
                &parts,
                &openings,
                &hash,
            ));
            Ok::<_, UnknownGate>(vec![])
        })
        .unwrap();
        drawn.unwrap()
    };
    DRAWN.get_or_init(draw).clone()
}
