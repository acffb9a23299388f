//! One shape for every circuit below the batch root: same gates, same degree, same number of public
//! inputs, hence one `CommonCircuitData` and one join circuit that verifies any of them.
//!
//! The common data depends on nothing but the gate set, the shape and the configuration (not on
//! what a circuit constrains), so it is found once, by building an empty circuit without its
//! commitment.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use plonky2::gates::constant::ConstantGate;
use plonky2::gates::gate::GateRef;
use plonky2::gates::noop::NoopGate;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{
    CircuitData, CommonCircuitData, VerifierCircuitTarget, VerifierOnlyCircuitData,
};
use plonky2::plonk::proof::ProofWithPublicInputs;
use tally_protocol::hash::{Digest, Tag, hash};
use thiserror::Error;

use crate::summary::{MAX_ARITY, SUMMARY_ELEMENTS};
use crate::{Builder, Config, D, F, config};

/// A built circuit with its prover data.
pub type Circuit = CircuitData<F, Config, D>;
pub type Proof = ProofWithPublicInputs<F, Config, D>;
/// What a verifier needs to know of a circuit beside the common data.
pub type VerifierKey = VerifierOnlyCircuitData<Config, D>;

/// Degree and arity; docs/proof.md has the measurements behind the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Every circuit has 2^degree_bits rows.
    pub degree_bits: usize,
    /// Children of a join.
    pub arity: usize,
}

impl Shape {
    pub const PRODUCTION: Shape = Shape {
        degree_bits: 14,
        arity: MAX_ARITY,
    };

    pub fn rows(&self) -> usize {
        1 << self.degree_bits
    }
}

/// What builds a circuit: Plonky2, or whatever gives the same for less work.
pub type Make = fn(CircuitBuilder<F, D>) -> Circuit;

/// A shape with its common data.
#[derive(Clone, Debug)]
pub struct Uniform {
    shape: Shape,
    common: Arc<CommonCircuitData<F, D>>,
    make: Make,
}

/// Why a circuit is not uniform.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    #[error("[P5] the circuit has {got} public inputs, every uniform one has {expected}")]
    PublicInputs { got: usize, expected: usize },
    #[error("[P5] gates outside the uniform set: {0:?}")]
    Gates(Vec<String>),
    #[error("[P5] the circuit takes 2^{got} rows, the shape has 2^{expected}")]
    Rows { got: usize, expected: usize },
    #[error("[P5] the circuit's common data differs from the shape's")]
    Common,
}

impl ShapeError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            ShapeError::PublicInputs { .. } => "P5.public_inputs",
            ShapeError::Gates(_) => "P5.gates",
            ShapeError::Rows { .. } => "P5.rows",
            ShapeError::Common => "P5.common",
        }
    }
}

impl Uniform {
    /// The production shape, found once per process.
    pub fn production() -> &'static Uniform {
        static PRODUCTION: OnceLock<Uniform> = OnceLock::new();
        PRODUCTION.get_or_init(|| Uniform::new(Shape::PRODUCTION))
    }

    pub fn new(shape: Shape) -> Self {
        let mut builder = Builder::new();
        let inputs = builder.add_virtual_targets(SUMMARY_ELEMENTS);
        builder.register_public_inputs(&inputs);
        prepare(&mut builder, shape);
        let common = builder.into_inner().mock_build::<Config>().common;
        assert_eq!(
            common.degree_bits(),
            shape.degree_bits,
            "the shape holds an empty circuit"
        );
        Self {
            shape,
            common: Arc::new(common),
            make: CircuitBuilder::build,
        }
    }

    /// With another way to build circuits than Plonky2's.
    pub fn made_by(self, make: Make) -> Self {
        Self { make, ..self }
    }

    /// Builds a circuit that need not be uniform.
    pub(crate) fn make(&self, builder: Builder) -> Circuit {
        (self.make)(builder.into_inner())
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn common(&self) -> &CommonCircuitData<F, D> {
        &self.common
    }

    /// Pads the circuit to the shape and builds it.
    pub fn build(&self, mut builder: Builder) -> Result<Circuit, ShapeError> {
        if builder.num_public_inputs() != SUMMARY_ELEMENTS {
            let got = builder.num_public_inputs();
            return Err(ShapeError::PublicInputs {
                got,
                expected: SUMMARY_ELEMENTS,
            });
        }
        let expected = self.shape.degree_bits;
        if builder.rows() > self.shape.rows() {
            let got = builder.rows().next_power_of_two().ilog2() as usize;
            return Err(ShapeError::Rows { got, expected });
        }
        prepare(&mut builder, self.shape);
        let circuit = self.make(builder);
        self.compare(&circuit.common)?;
        Ok(circuit)
    }

    fn compare(&self, common: &CommonCircuitData<F, D>) -> Result<(), ShapeError> {
        let ids = |c: &CommonCircuitData<F, D>| -> BTreeSet<String> {
            c.gates.iter().map(|gate| gate.0.id()).collect()
        };
        let foreign: Vec<String> = ids(common)
            .difference(&ids(&self.common))
            .cloned()
            .collect();
        if !foreign.is_empty() {
            return Err(ShapeError::Gates(foreign));
        }
        let (got, expected) = (common.degree_bits(), self.shape.degree_bits);
        if got != expected {
            return Err(ShapeError::Rows { got, expected });
        }
        if *common != *self.common {
            Err(ShapeError::Common)
        } else {
            Ok(())
        }
    }
}

/// Every gate that a uniform circuit may use: the custom ones, and what it takes to verify a
/// circuit that has all of these.
///
/// The stock gates are read off a verifier, because Plonky2 lets nobody else construct its
/// interpolation gate. The inner circuit's size does not change them as long as its FRI folds by
/// 2^4, which 2^12 rows already do.
pub fn gate_set() -> &'static [GateRef<F, D>] {
    static GATES: OnceLock<Vec<GateRef<F, D>>> = OnceLock::new();
    GATES.get_or_init(|| {
        let mut gates = crate::gates::custom();
        let num_consts = config().num_constants;
        gates.extend([
            GateRef::new(NoopGate),
            GateRef::new(ConstantGate::new(num_consts)),
        ]);
        loop {
            let known: BTreeSet<String> = gates.iter().map(|gate| gate.0.id()).collect();
            let needed = gates_to_verify(&gates);
            let new = needed
                .into_iter()
                .filter(|gate| !known.contains(&gate.0.id()));
            let before = gates.len();
            gates.extend(new);
            if gates.len() == before {
                return gates;
            }
        }
    })
}

/// The gates of a circuit that verifies one with these gates.
fn gates_to_verify(gates: &[GateRef<F, D>]) -> Vec<GateRef<F, D>> {
    let mut inner = Builder::new();
    for gate in gates {
        inner.add_gate_to_gate_set(gate.clone());
    }
    while inner.rows() <= 1 << 11 {
        inner.add_gate(NoopGate, vec![]);
    }
    let inner = inner.into_inner().mock_build::<Config>().common;
    let mut outer = Builder::new();
    let proof = outer.add_virtual_proof_with_pis(&inner);
    let key = outer.add_virtual_verifier_data(inner.config.fri_config.cap_height);
    outer.verify_proof::<Config>(&proof, &key, &inner);
    outer.into_inner().mock_build::<Config>().common.gates
}

/// Adds the whole gate set, and padding to just above half the degree.
fn prepare(builder: &mut Builder, shape: Shape) {
    for gate in gate_set() {
        builder.add_gate_to_gate_set(gate.clone());
    }
    while builder.rows() <= shape.rows() / 2 {
        builder.add_gate(NoopGate, vec![]);
    }
}

/// Reads a proof in its one encoding, or says why it is none. Plonky2's reader asserts that
/// elements are canonical in builds with debug assertions, hence the guard; without them, writing
/// the proof again shows an alias.
pub fn read_proof(bytes: &[u8], common: &CommonCircuitData<F, D>) -> Result<Proof, String> {
    let read = || Proof::from_bytes(bytes.to_vec(), common);
    let proof = catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "an element is not below p".to_owned())?
        .map_err(|error| error.to_string())?;
    let canonical =
        proof.public_inputs.len() == common.num_public_inputs && proof.to_bytes() == bytes;
    if canonical {
        Ok(proof)
    } else {
        Err("not in canonical form".to_owned())
    }
}

/// A verifier key's digest: its circuit digest and its constants' cap. Plonky2's verifier checks
/// the two independently, so both are bound.
pub fn key_digest(key: &VerifierKey) -> Digest {
    let mut elements = key.circuit_digest.elements.to_vec();
    elements.extend(key.constants_sigmas_cap.0.iter().flat_map(|h| h.elements));
    hash(Tag::VerifierKeys, &elements)
}

/// Twin of `key_digest`.
pub fn key_digest_target(builder: &mut Builder, key: &VerifierCircuitTarget) -> HashOutTarget {
    let mut elements = key.circuit_digest.elements.to_vec();
    elements.extend(key.constants_sigmas_cap.0.iter().flat_map(|h| h.elements));
    crate::hash::hash(builder, Tag::VerifierKeys, &elements)
}
