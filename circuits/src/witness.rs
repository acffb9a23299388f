//! Runs a circuit's generators in stages: what doesn't depend on the challenge first.
//!
//! The challenge is a hash of all segments' commitments [P2], and a segment's commitment is
//! computed by its own circuit, so `Staged` fills what it can, the commitment is read off, the
//! challenge is set and the rest runs. There is no second implementation of the commitment that
//! could drift from it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use plonky2::iop::generator::GeneratedValues;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, Witness};
use plonky2::plonk::circuit_data::{CommonCircuitData, ProverOnlyCircuitData};
use plonky2::plonk::config::GenericConfig;
use thiserror::Error;

use crate::{D, F};

/// Why a witness cannot be completed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WitnessError {
    #[error("{target} is given two values")]
    Inputs { target: String },
    #[error("{generator} contradicts the value of {target}")]
    Conflict { target: String, generator: String },
    #[error("{count} generators did not run, the first is {generator}")]
    NotRun { count: usize, generator: String },
    #[error("{target} has no value yet")]
    Missing { target: String },
}

impl WitnessError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Inputs { .. } => "witness.inputs",
            Self::Conflict { .. } => "witness.conflict",
            Self::NotRun { .. } => "witness.not_run",
            Self::Missing { .. } => "witness.missing",
        }
    }
}

/// A witness under way. The first value of a target stays.
pub struct Staged<'a, C: GenericConfig<D, F = F>> {
    prover: &'a ProverOnlyCircuitData<F, C, D>,
    witness: PartitionWitness<'a, F>,
    done: Vec<bool>,
    /// Generators to be tried in the next run.
    pending: Vec<usize>,
}

impl<'a, C: GenericConfig<D, F = F>> Staged<'a, C> {
    pub fn new(
        prover: &'a ProverOnlyCircuitData<F, C, D>,
        common: &CommonCircuitData<F, D>,
    ) -> Self {
        let generators = prover.generators.len();
        Self {
            prover,
            witness: PartitionWitness::new(
                common.config.num_wires,
                common.degree(),
                &prover.representative_map,
            ),
            done: vec![false; generators],
            pending: (0..generators).collect(),
        }
    }

    /// Sets inputs and runs what they allow, as an honest prover.
    pub fn advance(&mut self, inputs: &PartialWitness<F>) -> Result<(), WitnessError> {
        for (&target, &value) in &inputs.target_values {
            self.set(target, value).map_err(|()| WitnessError::Inputs {
                target: format!("{target:?}"),
            })?;
        }
        let mut conflict = None;
        self.run(|target, generator| {
            let (target, generator) = (format!("{target:?}"), generator.to_owned());
            conflict.get_or_insert(WitnessError::Conflict { target, generator });
        });
        conflict.map_or(Ok(()), Err)
    }

    /// A value that is known by now.
    pub fn get(&self, target: Target) -> Result<F, WitnessError> {
        let missing = || WitnessError::Missing {
            target: format!("{target:?}"),
        };
        self.witness.try_get_target(target).ok_or_else(missing)
    }

    /// The whole witness, for `prove_with_partition_witness`.
    pub fn finish(self) -> Result<PartitionWitness<'a, F>, WitnessError> {
        let mut idle = self.not_run();
        match idle.next() {
            None => {}
            Some(generator) => {
                return Err(WitnessError::NotRun {
                    count: 1 + idle.count(),
                    generator,
                });
            }
        }
        drop(idle);
        Ok(self.witness)
    }

    /// Sets a target unless it has another value already.
    pub(crate) fn set(&mut self, target: Target, value: F) -> Result<(), ()> {
        match self.witness.set_target_returning_rep(target, value) {
            Ok(Some(rep)) => {
                let watchers = self.prover.generator_indices_by_watches.get(&rep);
                let done = &self.done;
                self.pending
                    .extend(watchers.into_iter().flatten().filter(|&&i| !done[i]));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(_) => Err(()),
        }
    }

    /// Runs generators until nothing changes; tells of values that were thrown away because another
    /// stood there first.
    pub(crate) fn run(&mut self, mut conflict: impl FnMut(Target, &str)) {
        let mut buffer = GeneratedValues::empty();
        while !self.pending.is_empty() {
            for index in core::mem::take(&mut self.pending) {
                if self.done[index] {
                    continue;
                }
                let generator = &self.prover.generators[index].0;
                let witness = &self.witness;
                // A generator may panic on values out of its range; then it writes nothing.
                let ran = catch_unwind(AssertUnwindSafe(|| generator.run(witness, &mut buffer)));
                match ran {
                    Ok(finished) => self.done[index] = finished,
                    Err(_) => buffer.target_values.clear(),
                }
                for (target, value) in core::mem::take(&mut buffer.target_values) {
                    if self.set(target, value).is_err() {
                        conflict(target, &generator.id());
                    }
                }
            }
        }
    }

    /// The ids of generators that did not run.
    pub(crate) fn not_run(&self) -> impl Iterator<Item = String> + '_ {
        let generators = self.prover.generators.iter().zip(&self.done);
        generators
            .filter(|(_, done)| !**done)
            .map(|(generator, _)| generator.0.id())
    }

    pub(crate) fn into_inner(self) -> PartitionWitness<'a, F> {
        self.witness
    }
}

impl<C: GenericConfig<D, F = F>> core::fmt::Debug for Staged<'_, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let done = self.done.iter().filter(|done| **done).count();
        write!(f, "Staged({done} of {} generators)", self.done.len())
    }
}

#[cfg(test)]
mod tests {
    use plonky2::iop::witness::WitnessWrite;
    use plonky2::plonk::prover::prove_with_partition_witness;
    use plonky2::util::timing::TimingTree;

    use super::*;
    use crate::{Builder, Config};
    use plonky2::field::types::Field;

    #[test]
    fn a_witness_in_stages_proves() {
        let mut b = Builder::new();
        let [x, challenge] = b.add_virtual_target_arr();
        let square = b.mul(x, x);
        let scaled = b.mul(square, challenge);
        b.register_public_input(scaled);
        let circuit = b.into_inner().build::<Config>();
        let mut staged = Staged::new(&circuit.prover_only, &circuit.common);
        let mut inputs = PartialWitness::new();
        inputs.set_target(x, F::from_canonical_u64(3)).unwrap();
        staged.advance(&inputs).unwrap();
        assert_eq!(staged.get(square), Ok(F::from_canonical_u64(9)));
        assert!(matches!(
            staged.get(scaled),
            Err(WitnessError::Missing { .. })
        ));
        let mut inputs = PartialWitness::new();
        inputs.set_target(challenge, F::TWO).unwrap();
        staged.advance(&inputs).unwrap();
        let witness = staged.finish().unwrap();
        let proof = prove_with_partition_witness(
            &circuit.prover_only,
            &circuit.common,
            witness,
            &mut TimingTree::default(),
        )
        .unwrap();
        assert_eq!(proof.public_inputs, [F::from_canonical_u64(18)]);
        circuit.verify(proof).unwrap();
    }

    #[test]
    fn an_unfinished_or_contradictory_witness_is_told() {
        let mut b = Builder::new();
        let x = b.add_virtual_target();
        let square = b.mul(x, x);
        let circuit = b.into_inner().build::<Config>();
        let mut inputs = PartialWitness::new();
        let staged = Staged::new(&circuit.prover_only, &circuit.common);
        assert!(matches!(staged.finish(), Err(WitnessError::NotRun { .. })));
        inputs.set_target(x, F::TWO).unwrap();
        inputs.set_target(square, F::TWO).unwrap();
        let mut staged = Staged::new(&circuit.prover_only, &circuit.common);
        assert!(matches!(
            staged.advance(&inputs),
            Err(WitnessError::Conflict { .. })
        ));
    }
}
