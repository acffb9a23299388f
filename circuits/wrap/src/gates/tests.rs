use plonky2::field::types::Sample;
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::plonk::config::Hasher;
use plonky2::plonk::vars::EvaluationVars;
use tally_circuits::Ext;
use tally_circuits::gates::custom;

use super::poseidon::hash_short;
use super::*;
use crate::algebra::Native;
use crate::testing;

/// At random points, so a constraint that is wrong, left out or out of place differs.
#[test]
fn gates_agree_with_plonky2() {
    let common = testing::common();
    assert!(common.gates.len() >= 12);
    for gate in &common.gates {
        let wires = Ext::rand_vec(common.config.num_wires);
        let constants = Ext::rand_vec(common.config.num_constants);
        let hash = HashOut::<F>::rand();
        let expected = gate.0.eval_unfiltered(EvaluationVars {
            local_constants: &constants,
            local_wires: &wires,
            public_inputs_hash: &hash,
        });
        let row = Row {
            constants: &constants,
            wires: &wires,
            public_inputs_hash: &hash.elements.map(Ext::from),
        };
        let got = evaluate(&mut Native, gate, &row).unwrap();
        assert_eq!(got, expected, "{}", gate.0.id());
    }
}

#[test]
fn public_inputs_are_hashed_as_plonky2_does() {
    let input = F::rand_vec(8);
    let lifted: Vec<Ext> = input.iter().map(|x| (*x).into()).collect();
    let expected = PoseidonHash::hash_no_pad(&input).elements.map(Ext::from);
    assert_eq!(hash_short(&mut Native, &lifted), expected);
}

#[test]
fn a_gate_without_twin_is_refused() {
    let gate = custom().remove(0);
    let row = Row {
        constants: &[],
        wires: &[],
        public_inputs_hash: &[Ext::ZERO; 4],
    };
    let error = evaluate(&mut Native, &gate, &row).unwrap_err();
    assert_eq!(error, UnknownGate(gate.0.id()));
}
