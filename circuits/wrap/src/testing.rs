//! A small last layer and a proof of it, made once per test process.

use std::sync::OnceLock;

use plonky2::field::types::Field;
use plonky2::fri::FriConfig;
use plonky2::fri::reduction_strategies::FriReductionStrategy;
use plonky2::gates::noop::NoopGate;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::CircuitConfig;
use tally_circuits::uniform::Circuit;
use tally_circuits::{Config, F};

use crate::layers::{Fri, LastCommon, LastLayer, LastProof, Shape, Stock};

/// As few queries as there can be; nothing else differs from production.
pub const SHAPE: Shape = Shape {
    last: Fri {
        rate_bits: 3,
        queries: 2,
        work_bits: 3,
    },
    ..Shape::PRODUCTION
};

/// Rows of the circuit that the last layer verifies: enough that its FRI folds by 16.
const INNER_ROWS: usize = 1 << 6;

#[allow(missing_debug_implementations)]
pub struct Small {
    pub layers: LastLayer,
    pub proof: LastProof,
}

/// Common data alone, which is quick.
pub fn common() -> LastCommon {
    let (inner, _) = inner();
    LastLayer::common(&SHAPE, &inner.verifier_only, &inner.common)
}

/// A layer and a proof: seconds of work, so one test does all that needs them.
pub fn small() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| {
        let (inner, inputs) = inner();
        let mut witness = PartialWitness::new();
        let edges = [0, 1, F::NEG_ONE.0, 1 << 32, u64::from(u32::MAX), 5, 6, 7];
        for (target, value) in inputs.iter().zip(edges) {
            let value = F::from_canonical_u64(value);
            witness.set_target(*target, value).unwrap();
        }
        let proof = inner.prove(witness).unwrap();
        let layers = LastLayer::build(&SHAPE, &inner.verifier_only, &inner.common);
        let proof = layers.prove(&Stock, &proof).unwrap();
        Small { layers, proof }
    })
}

/// The circuit below and its public inputs.
fn inner() -> (Circuit, Vec<Target>) {
    let config = CircuitConfig {
        fri_config: FriConfig {
            rate_bits: 3,
            cap_height: 1,
            proof_of_work_bits: 1,
            reduction_strategy: FriReductionStrategy::ConstantArityBits(4, 2),
            num_query_rounds: 1,
        },
        num_challenges: 1,
        security_bits: 4,
        ..tally_circuits::config()
    };
    let mut builder = CircuitBuilder::<F, 2>::new(config);
    let inputs = builder.add_virtual_targets(8);
    builder.register_public_inputs(&inputs);
    while builder.num_gates() < INNER_ROWS - 8 {
        builder.add_gate(NoopGate, vec![]);
    }
    (builder.build::<Config>(), inputs)
}
