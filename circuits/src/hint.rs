//! Hints: values that the prover computes beside the circuit and that constraints then pin down.

use core::fmt;
use std::sync::Arc;

use plonky2::field::types::PrimeField64;
use plonky2::iop::generator::{GeneratedValues, SimpleGenerator};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartitionWitness, Witness, WitnessWrite};
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::util::serialization::{Buffer, IoError, IoResult};

use crate::{Builder, D, F};

type Compute = dyn Fn(&[F]) -> Vec<F> + Send + Sync;

/// A generator from a closure. Circuits are rebuilt from their code, never stored, so it refuses to
/// be serialised.
#[derive(Clone)]
struct Hint {
    name: &'static str,
    inputs: Vec<Target>,
    outputs: Vec<Target>,
    compute: Arc<Compute>,
}

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hint({})", self.name)
    }
}

impl SimpleGenerator<F, D> for Hint {
    fn id(&self) -> String {
        format!("Hint({})", self.name)
    }

    fn dependencies(&self) -> Vec<Target> {
        self.inputs.clone()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let inputs = witness.get_targets(&self.inputs);
        let values = (self.compute)(&inputs);
        anyhow::ensure!(
            values.len() == self.outputs.len(),
            "hint {} is short",
            self.name
        );
        for (&target, value) in self.outputs.iter().zip(values) {
            out_buffer.set_target(target, value)?;
        }
        Ok(())
    }

    fn serialize(&self, _dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Err(IoError)
    }

    fn deserialize(_src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Err(IoError)
    }
}

impl Builder {
    /// New unconstrained targets that `compute` fills from the values of `inputs`.
    pub fn hint(
        &mut self,
        name: &'static str,
        inputs: &[Target],
        outputs: usize,
        compute: impl Fn(&[F]) -> Vec<F> + Send + Sync + 'static,
    ) -> Vec<Target> {
        let outputs = self.add_virtual_targets(outputs);
        self.record_hint(name, &outputs);
        self.add_simple_generator(Hint {
            name,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            compute: Arc::new(compute),
        });
        outputs
    }

    /// A hint of one value.
    pub fn hint_one(
        &mut self,
        name: &'static str,
        inputs: &[Target],
        compute: impl Fn(&[F]) -> F + Send + Sync + 'static,
    ) -> Target {
        self.hint(name, inputs, 1, move |values| vec![compute(values)])[0]
    }
}

/// The integer in (−p/2, p/2] that an element stands for.
pub fn as_signed(element: F) -> i128 {
    let value = i128::from(element.to_canonical_u64());
    let order = i128::from(tally_protocol::bounds::FIELD_ORDER);
    if value > order / 2 {
        value - order
    } else {
        value
    }
}

/// The element of an integer.
pub fn from_signed(value: i128) -> F {
    use plonky2::field::types::Field;
    let order = i128::from(tally_protocol::bounds::FIELD_ORDER);
    F::from_canonical_u64(value.rem_euclid(order) as u64)
}
