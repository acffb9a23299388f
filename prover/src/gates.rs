//! The circuits' custom gates, evaluated in the prover's vectors.

use tally_circuits::gates::bus::BusGate;
use tally_circuits::gates::ladder::{Fixed, LadderGate, Variable};
use tally_circuits::gates::many::{Bit, Bits, EqualIf, IsZero, ManyGate, Select};
use tally_circuits::gates::points::PointsGate;
use tally_circuits::gates::range::RangeGate;
use tally_plonk::{Evaluator, Kernel, Prover};

/// One for each type of gate in `tally_circuits::gates::custom`.
static CUSTOM: [Evaluator; 10] = [
    Evaluator::of::<RangeGate>(),
    Evaluator::of::<BusGate>(),
    Evaluator::of::<ManyGate<Bit>>(),
    Evaluator::of::<ManyGate<EqualIf>>(),
    Evaluator::of::<ManyGate<Select>>(),
    Evaluator::of::<ManyGate<IsZero>>(),
    Evaluator::of::<ManyGate<Bits>>(),
    Evaluator::of::<PointsGate>(),
    Evaluator::of::<LadderGate<Variable>>(),
    Evaluator::of::<LadderGate<Fixed>>(),
];

/// The prover of the release's circuits.
pub fn prover(kernel: Kernel) -> Prover {
    Prover::new(kernel).with(&CUSTOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_custom_gate_is_evaluated_in_vectors() {
        for gate in tally_circuits::gates::custom() {
            let known = CUSTOM.iter().filter(|evaluator| evaluator.is_for(&gate));
            assert_eq!(known.count(), 1, "{}", gate.0.id());
        }
    }
}
