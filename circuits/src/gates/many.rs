//! Rows of many small equal operations, where the stock arithmetic gate holds twenty products.
//!
//! | operation | statement | a row |
//! |---|---|---|
//! | `Bit` | b is 0 or 1 | 80 |
//! | `EqualIf` | c·(x − y) = 0 | 26 |
//! | `Select` | out = b·(x − y) + y | 20 |
//! | `IsZero` | bit = 1 − x·i and x·bit = 0 for some i | 40 |
//! | `Bits` | value = Σ bᵢ·2^i over 39 bits, each 0 or 1 | 2 |
//!
//! All of degree 2. The inputs of lanes that aren't used are joined to zero when the builder is
//! done (`Builder::into_inner`).

use core::fmt::Debug;
use core::marker::PhantomData;

use plonky2::field::packed::PackedField;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::gates::gate::Gate;
use plonky2::gates::packed_util::PackedEvaluableBase;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::generator::{GeneratedValues, SimpleGenerator, WitnessGeneratorRef};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartitionWitness, Witness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::{
    EvaluationTargets, EvaluationVars, EvaluationVarsBaseBatch, EvaluationVarsBasePacked,
};
use plonky2::util::serialization::{Buffer, IoResult, Read, Write};

use crate::{D, Ext, F};

type Recursive = CircuitBuilder<F, D>;
type Element = ExtensionTarget<D>;

/// A small operation on wires of its own: first the routed ones, then the others.
pub trait Operation: 'static + Copy + Default + Debug + Send + Sync {
    const NAME: &'static str;
    const LANES: usize;
    const ROUTED: usize;
    const ADVICE: usize;
    const CONSTRAINTS: usize;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, yield_constr: impl FnMut(P));

    /// `constrain` in a circuit that verifies a proof.
    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element>;

    /// The first wires, from which the others follow.
    const INPUTS: usize;

    /// The values of the wires after the inputs.
    fn generate(inputs: &[F]) -> Vec<F>;
}

/// A row of an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManyGate<O: Operation>(PhantomData<O>);

impl<O: Operation> ManyGate<O> {
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Column of a lane's wire.
    pub const fn wire(lane: usize, wire: usize) -> usize {
        if wire < O::ROUTED {
            lane * O::ROUTED + wire
        } else {
            O::LANES * O::ROUTED + lane * O::ADVICE + wire - O::ROUTED
        }
    }

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        for lane in 0..O::LANES {
            O::constrain(|i| wire(Self::wire(lane, i)), &mut yield_constr);
        }
    }
}

impl<O: Operation> Gate<F, D> for ManyGate<O> {
    fn id(&self) -> String {
        format!("TallyManyGate {}", O::NAME)
    }

    fn serialize(&self, _dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Ok(())
    }

    fn deserialize(_src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self::new())
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<F, D>) -> Vec<Ext> {
        let mut constraints = Vec::with_capacity(O::LANES * O::CONSTRAINTS);
        Self::constrain(|wire| vars.local_wires[wire], |c: Ext| constraints.push(c));
        constraints
    }

    fn eval_unfiltered_base_batch(&self, vars: EvaluationVarsBaseBatch<F>) -> Vec<F> {
        self.eval_unfiltered_base_batch_packed(vars)
    }

    fn eval_unfiltered_circuit(
        &self,
        builder: &mut CircuitBuilder<F, D>,
        vars: EvaluationTargets<D>,
    ) -> Vec<ExtensionTarget<D>> {
        let lane = |lane: usize| move |wire: usize| Self::wire(lane, wire);
        (0..O::LANES)
            .flat_map(|i| {
                let column = lane(i);
                O::constrain_recursively(builder, |wire| vars.local_wires[column(wire)])
            })
            .collect()
    }

    fn generators(&self, row: usize, _constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        let generator = |lane| LaneGenerator {
            row,
            lane,
            operation: PhantomData::<O>,
        };
        (0..O::LANES)
            .map(|lane| WitnessGeneratorRef::new(generator(lane).adapter()))
            .collect()
    }

    fn num_wires(&self) -> usize {
        O::LANES * (O::ROUTED + O::ADVICE)
    }

    fn num_constants(&self) -> usize {
        0
    }

    fn degree(&self) -> usize {
        2
    }

    fn num_constraints(&self) -> usize {
        O::LANES * O::CONSTRAINTS
    }
}

impl<O: Operation> PackedEvaluableBase<F, D> for ManyGate<O> {
    fn eval_unfiltered_base_packed<P: PackedField<Scalar = F>>(
        &self,
        vars: EvaluationVarsBasePacked<P>,
        mut yield_constr: StridedConstraintConsumer<P>,
    ) {
        Self::constrain(
            |wire| vars.local_wires[wire],
            |constraint| yield_constr.one(constraint),
        );
    }
}

#[derive(Debug, Default)]
struct LaneGenerator<O: Operation> {
    row: usize,
    lane: usize,
    operation: PhantomData<O>,
}

impl<O: Operation> LaneGenerator<O> {
    fn wire(&self, wire: usize) -> Target {
        Target::wire(self.row, ManyGate::<O>::wire(self.lane, wire))
    }
}

impl<O: Operation> SimpleGenerator<F, D> for LaneGenerator<O> {
    fn id(&self) -> String {
        format!("TallyManyGenerator {}", O::NAME)
    }

    fn dependencies(&self) -> Vec<Target> {
        (0..O::INPUTS).map(|wire| self.wire(wire)).collect()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let inputs: Vec<F> = (0..O::INPUTS)
            .map(|wire| witness.get_target(self.wire(wire)))
            .collect();
        for (i, value) in O::generate(&inputs).into_iter().enumerate() {
            out_buffer.set_target(self.wire(O::INPUTS + i), value)?;
        }
        Ok(())
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.row)?;
        dst.write_usize(self.lane)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        let (row, lane) = (src.read_usize()?, src.read_usize()?);
        Ok(Self {
            row,
            lane,
            operation: PhantomData,
        })
    }
}

/// b² − b = 0. Wires: b.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bit;

impl Operation for Bit {
    const NAME: &'static str = "Bit";
    const LANES: usize = 80;
    const ROUTED: usize = 1;
    const ADVICE: usize = 0;
    const CONSTRAINTS: usize = 1;
    const INPUTS: usize = 1;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        yield_constr(wire(0) * wire(0) - wire(0));
    }

    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element> {
        vec![b.mul_sub_extension(wire(0), wire(0), wire(0))]
    }

    fn generate(_inputs: &[F]) -> Vec<F> {
        Vec::new()
    }
}

/// c·(x − y) = 0. Wires: c, x, y.
#[derive(Clone, Copy, Debug, Default)]
pub struct EqualIf;

impl Operation for EqualIf {
    const NAME: &'static str = "EqualIf";
    const LANES: usize = 26;
    const ROUTED: usize = 3;
    const ADVICE: usize = 0;
    const CONSTRAINTS: usize = 1;
    const INPUTS: usize = 3;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        yield_constr(wire(0) * (wire(1) - wire(2)));
    }

    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element> {
        let difference = b.sub_extension(wire(1), wire(2));
        vec![b.mul_extension(wire(0), difference)]
    }

    fn generate(_inputs: &[F]) -> Vec<F> {
        Vec::new()
    }
}

/// out = b·(x − y) + y. Wires: b, x, y, out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Select;

impl Operation for Select {
    const NAME: &'static str = "Select";
    const LANES: usize = 20;
    const ROUTED: usize = 4;
    const ADVICE: usize = 0;
    const CONSTRAINTS: usize = 1;
    const INPUTS: usize = 3;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        yield_constr(wire(0) * (wire(1) - wire(2)) + wire(2) - wire(3));
    }

    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element> {
        let difference = b.sub_extension(wire(1), wire(2));
        let out = b.mul_add_extension(wire(0), difference, wire(2));
        vec![b.sub_extension(out, wire(3))]
    }

    fn generate(inputs: &[F]) -> Vec<F> {
        vec![inputs[0] * (inputs[1] - inputs[2]) + inputs[2]]
    }
}

/// bit = 1 − x·i and x·bit = 0. Wires: x, bit, i.
#[derive(Clone, Copy, Debug, Default)]
pub struct IsZero;

impl Operation for IsZero {
    const NAME: &'static str = "IsZero";
    const LANES: usize = 40;
    const ROUTED: usize = 2;
    const ADVICE: usize = 1;
    const CONSTRAINTS: usize = 2;
    const INPUTS: usize = 1;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        let (x, bit, inverse) = (wire(0), wire(1), wire(2));
        yield_constr(P::ONES - x * inverse - bit);
        yield_constr(x * bit);
    }

    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element> {
        let (x, bit, inverse) = (wire(0), wire(1), wire(2));
        let one = b.one_extension();
        let rest = b.arithmetic_extension(F::NEG_ONE, F::ONE, x, inverse, one);
        vec![b.sub_extension(rest, bit), b.mul_extension(x, bit)]
    }

    fn generate(inputs: &[F]) -> Vec<F> {
        let bit = F::from_bool(inputs[0] == F::ZERO);
        vec![bit, inputs[0].try_inverse().unwrap_or_default()]
    }
}

/// value = Σ bᵢ·2^i, each bᵢ 0 or 1. Wires: value, then bits from the lowest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bits;

impl Bits {
    pub const WIDTH: usize = 39;
}

impl Operation for Bits {
    const NAME: &'static str = "Bits";
    const LANES: usize = 2;
    const ROUTED: usize = 1 + Self::WIDTH;
    const ADVICE: usize = 0;
    const CONSTRAINTS: usize = 1 + Self::WIDTH;
    const INPUTS: usize = 1;

    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        let bits = (1..=Self::WIDTH).rev();
        let sum = bits.fold(P::ZEROS, |sum, i| sum + sum + wire(i));
        yield_constr(sum - wire(0));
        for i in 1..=Self::WIDTH {
            yield_constr(wire(i) * wire(i) - wire(i));
        }
    }

    fn constrain_recursively(b: &mut Recursive, wire: impl Fn(usize) -> Element) -> Vec<Element> {
        let (one, top) = (b.one_extension(), wire(Self::WIDTH));
        let bits = (1..Self::WIDTH).rev();
        let sum = bits.fold(top, |sum, i| {
            b.arithmetic_extension(F::TWO, F::ONE, sum, one, wire(i))
        });
        let mut constraints = vec![b.sub_extension(sum, wire(0))];
        for i in 1..=Self::WIDTH {
            constraints.push(b.mul_sub_extension(wire(i), wire(i), wire(i)));
        }
        constraints
    }

    fn generate(inputs: &[F]) -> Vec<F> {
        let value = inputs[0].to_canonical_u64();
        (0..Self::WIDTH)
            .map(|i| F::from_bool(value >> i & 1 == 1))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use plonky2::gates::gate_testing::{test_eval_fns, test_low_degree};
    use plonky2::iop::witness::PartialWitness;

    use super::*;
    use crate::checker::{Attack, assert_each_gate_constraint_needed};
    use crate::{Builder, Config};

    /// Evaluations agree; each constraint of each lane stops one of the bad lanes, and the honest
    /// lane passes.
    fn is_sound<O: Operation>(bad: &[Vec<i64>]) {
        test_low_degree::<F, _, D>(ManyGate::<O>::new());
        test_eval_fns::<F, Config, _, D>(ManyGate::<O>::new()).unwrap();
        let config = crate::config();
        assert!(O::LANES * O::ROUTED <= config.num_routed_wires);
        let gate = ManyGate::<O>::new();
        assert!(Gate::<F, D>::num_wires(&gate) <= config.num_wires);
        let build = |b: &mut Builder| b.add_gate(ManyGate::<O>::new(), vec![]);
        let id = Gate::<F, D>::id(&gate);
        assert_each_gate_constraint_needed(&id, build, |&row| {
            let lies = |lane: usize, values: &[i64]| -> Vec<(Target, F)> {
                let wire = |i| Target::wire(row, ManyGate::<O>::wire(lane, i));
                let number = |value: &i64| F::from_noncanonical_i64(*value);
                values
                    .iter()
                    .map(number)
                    .enumerate()
                    .map(|(i, v)| (wire(i), v))
                    .collect()
            };
            let attack = |lane: usize, values: &Vec<i64>| {
                // The other lanes are as their generators leave them for zeros.
                let zeros = vec![0; O::INPUTS];
                let mut all: Vec<_> = (0..O::LANES)
                    .filter(|other| *other != lane)
                    .flat_map(|other| lies(other, &zeros))
                    .collect();
                all.extend(lies(lane, values));
                Attack::new("lane", PartialWitness::new(), &all)
            };
            let lanes = 0..O::LANES;
            lanes
                .flat_map(|lane| bad.iter().map(move |values| attack(lane, values)))
                .collect()
        });
    }

    #[test]
    fn bit() {
        is_sound::<Bit>(&[vec![2], vec![-1]]);
    }

    #[test]
    fn equal_if() {
        is_sound::<EqualIf>(&[vec![1, 4, 5], vec![7, 1, 0]]);
    }

    #[test]
    fn select() {
        is_sound::<Select>(&[vec![1, 4, 5, 5], vec![0, 4, 5, 4]]);
    }

    #[test]
    fn is_zero() {
        // A bit that neither is; a zero without the bit; a bit for 5.
        is_sound::<IsZero>(&[vec![0, 0, 1], vec![5, 1, 0]]);
    }

    #[test]
    fn bits() {
        let lane = |value: i64, at: usize, bit: i64| {
            let mut bits = vec![0; Bits::WIDTH];
            bits[at] = bit;
            [vec![value], bits].concat()
        };
        let mut bad: Vec<_> = (0..Bits::WIDTH).map(|i| lane(2 << i, i, 2)).collect();
        bad.push(lane(1, 0, 0));
        is_sound::<Bits>(&bad);
    }
}
