//! Gates whose constraints the prover computes in a kernel's vectors.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, PoisonError};

use plonky2::field::packed::PackedField;
use plonky2::field::types::Field;
use plonky2::gates::arithmetic_base::ArithmeticGate;
use plonky2::gates::arithmetic_extension::ArithmeticExtensionGate;
use plonky2::gates::base_sum::BaseSumGate;
use plonky2::gates::constant::ConstantGate;
use plonky2::gates::coset_interpolation::CosetInterpolationGate;
use plonky2::gates::exponentiation::ExponentiationGate;
use plonky2::gates::gate::{Gate, GateRef};
use plonky2::gates::multiplication_extension::MulExtensionGate;
use plonky2::gates::packed_util::PackedEvaluableBase;
use plonky2::gates::random_access::RandomAccessGate;
use plonky2::gates::reducing::ReducingGate;
use plonky2::gates::reducing_extension::ReducingExtensionGate;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::hash::hash_types::HashOut;
use plonky2::plonk::vars::{EvaluationVarsBaseBatch, EvaluationVarsBasePacked};

use super::extension::InPairs;
use super::symbol::{Symbol, place, record};
use super::tape::Tape;
use crate::{D, F};

/// How to see what gates of a type compute. A gate that nobody has an evaluator for takes Plonky2's
/// way, in whatever vectors the build has.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator {
    gate: fn() -> TypeId,
    tape: fn(&dyn Any, Inputs) -> Option<Tape>,
}

/// A gate's type, its id and what is before it.
type Key = (TypeId, String, Inputs);

/// How many wires and constants a gate has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    pub wires: usize,
    pub constants: usize,
}

impl Evaluator {
    /// Of a gate that is generic over the packed field and does not read the public inputs.
    pub const fn of<G: PackedEvaluableBase<F, D> + 'static>() -> Self {
        Self::by::<G, Itself>()
    }

    const fn by<G: Gate<F, D> + 'static, C: Constraints<G>>() -> Self {
        Self {
            gate: TypeId::of::<G>,
            tape: |gate, inputs| Some(tape::<G, C>(gate.downcast_ref()?, inputs)),
        }
    }

    pub fn is_for(&self, gate: &GateRef<F, D>) -> bool {
        gate.0.as_any().type_id() == (self.gate)()
    }

    /// None if it is for other gates. Made once for each gate, which Plonky2 knows by its id.
    pub(super) fn tape(&self, gate: &GateRef<F, D>, inputs: Inputs) -> Option<Arc<Tape>> {
        static MADE: Mutex<Vec<(Key, Arc<Tape>)>> = Mutex::new(Vec::new());
        if !self.is_for(gate) {
            return None;
        }
        let key = ((self.gate)(), gate.0.id(), inputs);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tape)) = made.iter().find(|(made, _)| *made == key) {
            return Some(tape.clone());
        }
        let tape = Arc::new((self.tape)(gate.0.as_any(), inputs)?);
        made.push((key, tape.clone()));
        Some(tape)
    }
}

/// For gates that Plonky2 brings.
pub(super) static STOCK: [Evaluator; 10] = [
    Evaluator::of::<ArithmeticGate>(),
    Evaluator::of::<BaseSumGate<2>>(),
    Evaluator::of::<ConstantGate>(),
    Evaluator::of::<ExponentiationGate<F, D>>(),
    Evaluator::of::<RandomAccessGate<F, D>>(),
    Evaluator::by::<ArithmeticExtensionGate<D>, InPairs>(),
    Evaluator::by::<CosetInterpolationGate<F, D>, InPairs>(),
    Evaluator::by::<MulExtensionGate<D>, InPairs>(),
    Evaluator::by::<ReducingExtensionGate<D>, InPairs>(),
    Evaluator::by::<ReducingGate<D>, InPairs>(),
];

/// A gate's constraints over any packed field.
pub(super) trait Constraints<G> {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &G,
        vars: EvaluationVarsBasePacked<'_, P>,
        out: StridedConstraintConsumer<'_, P>,
    );
}

/// As the gate itself has them.
struct Itself;

impl<G: PackedEvaluableBase<F, D>> Constraints<G> for Itself {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &G,
        vars: EvaluationVarsBasePacked<'_, P>,
        out: StridedConstraintConsumer<'_, P>,
    ) {
        gate.eval_unfiltered_base_packed(vars, out);
    }
}

fn tape<G: Gate<F, D>, C: Constraints<G>>(gate: &G, inputs: Inputs) -> Tape {
    let count = inputs.wires + inputs.constants;
    let (nodes, constraints) = record(count, |symbols| {
        let (wires, constants) = symbols.split_at(inputs.wires);
        let mut constraints = vec![F::ZERO; gate.num_constraints()];
        let unread = HashOut::ZERO;
        let vars = EvaluationVarsBaseBatch::new(1, constants, wires, &unread);
        for vars in vars.pack::<Symbol>().0 {
            C::constrain(
                gate,
                vars,
                StridedConstraintConsumer::new(&mut constraints, 1, 0),
            );
        }
        constraints
    });
    let constraints: Vec<usize> = constraints.into_iter().map(place).collect();
    Tape::new(&nodes, count, &constraints)
}
