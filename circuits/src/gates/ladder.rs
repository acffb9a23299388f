//! Eight steps of a ladder on ecGFp5 in one row: P ↦ 2P + Q, with a summand Q per step.
//!
//! Statement, over GF(p⁵) on y² = x³ + 2x² + bx: per step λ₁·(x − x_Q) = y − y_Q and
//! (λ₁ + λ₂)·(x − x₃) = 2y with x₃ = λ₁² − 2 − x − x_Q; the next point is x′ = λ₂² − 2 − x − x₃,
//! y′ = λ₂·(x − x′) − y, that is (P + Q) + P. Coordinates between the steps are polynomials in the
//! slopes, so a step takes the two slopes and its bits. The last point is the row's output.
//!
//! | summand | Q | a row |
//! |---|---|---|
//! | `Variable` | B or −B as the bit says; the row's input B | 8 bits, as a number |
//! | `Fixed` | ±G ± 2^80·G ± 2^160·G ± 2^240·G as four bits say | 32 bits |
//!
//! Assumes P and Q in the subgroup of order n, and P ∉ {Q, O}. Where P = Q, λ₁ would be free; who
//! uses the gate has to rule it out (`crate::signature::verify` does). Elsewhere there is nothing
//! to choose: P = −Q leaves 0 = 2y, and 2P + Q = O too (y is 0 nowhere in a group of odd order),
//! so those are refused. Degree 3, and 5 with fixed summands.

use core::fmt::Debug;
use core::marker::PhantomData;

use plonky2::field::extension::quintic::QuinticExtension;
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

use super::curve::{self, Fp5};
use super::ring::{self, Point, Ring, Values};
use crate::{D, Ext, F};

/// Steps of a row.
pub const STEPS: usize = 8;
const POINT: usize = 10;

/// What a step adds.
pub trait Summand: 'static + Copy + Default + Debug + Send + Sync {
    const NAME: &'static str;
    /// Bits of a step.
    const BITS: usize;
    /// Wires of the row that the summand is given.
    const INPUTS: usize;
    /// Whether the bits are given too, instead of following from the inputs.
    const BITS_GIVEN: bool;
    const DEGREE: usize;

    fn point<R: Ring>(
        r: &mut R,
        input: impl Fn(usize) -> R::Element,
        bit: impl Fn(usize) -> R::Element,
    ) -> Point<R::Element>;

    /// What else has to be 0, of all bits of the row in order: as many as `CHECKS`.
    const CHECKS: usize;
    fn check<R: Ring>(
        r: &mut R,
        input: impl Fn(usize) -> R::Element,
        bit: impl Fn(usize) -> R::Element,
        yield_constr: impl FnMut(&mut R, R::Element),
    );

    /// Bit `i` of the row.
    fn bit(input: impl Fn(usize) -> F, i: usize) -> F;
}

/// See the module's doc.
#[derive(Clone, Copy, Debug, Default)]
pub struct LadderGate<S: Summand>(PhantomData<S>);

impl<S: Summand> LadderGate<S> {
    pub const WIRE_BEFORE: usize = 0;
    pub const WIRE_AFTER: usize = POINT;
    const WIRES: usize = Self::wire_slope(STEPS, 0);
    const CONSTRAINTS: usize = STEPS * (S::BITS + POINT) + POINT + S::CHECKS;

    pub fn new() -> Self {
        Self(PhantomData)
    }

    pub const fn wire_input(i: usize) -> usize {
        2 * POINT + i
    }

    /// Bit `i` of the row; the first step takes the first bits.
    pub const fn wire_bit(i: usize) -> usize {
        Self::wire_input(S::INPUTS) + i
    }

    const fn wire_slope(step: usize, which: usize) -> usize {
        Self::wire_bit(STEPS * S::BITS) + step * POINT + 5 * which
    }

    /// Wires that the row is given.
    fn given() -> impl Iterator<Item = usize> {
        let bits = if S::BITS_GIVEN { STEPS * S::BITS } else { 0 };
        (0..POINT).chain(Self::wire_input(0)..Self::wire_bit(bits))
    }

    #[inline(always)]
    fn constrain<R: Ring>(
        r: &mut R,
        wire: impl Fn(usize) -> R::Element,
        mut yield_constr: impl FnMut(R::Element),
    ) {
        let quintic = |column: usize| core::array::from_fn(|i| wire(column + i));
        let input = |i: usize| wire(Self::wire_input(i));
        let zero = r.constant(F::ZERO);
        for i in 0..STEPS * S::BITS {
            let bit = wire(Self::wire_bit(i));
            let minus = r.difference(zero, bit);
            yield_constr(r.product(1, bit, bit, minus));
        }
        S::check(
            r,
            input,
            |i| wire(Self::wire_bit(i)),
            |_, constraint| yield_constr(constraint),
        );
        let mut point = Point {
            x: quintic(Self::WIRE_BEFORE),
            y: quintic(Self::WIRE_BEFORE + 5),
        };
        for step in 0..STEPS {
            let summand = S::point(r, input, |i| wire(Self::wire_bit(step * S::BITS + i)));
            let slopes = [0, 1].map(|which| quintic(Self::wire_slope(step, which)));
            let (next, constraints) = constrain_step(r, point, summand, slopes);
            constraints
                .into_iter()
                .flatten()
                .for_each(&mut yield_constr);
            point = next;
        }
        let after = [Self::WIRE_AFTER, Self::WIRE_AFTER + 5].map(quintic);
        for (computed, given) in [(point.x, after[0]), (point.y, after[1])] {
            let difference = ring::sub(r, computed, given);
            difference.into_iter().for_each(&mut yield_constr);
        }
    }

    /// The row's bits, given or from its inputs.
    fn bits(given: impl Fn(usize) -> F) -> Vec<F> {
        let bit = |i: usize| match S::BITS_GIVEN {
            true => given(Self::wire_bit(i)),
            false => S::bit(|input| given(Self::wire_input(input)), i),
        };
        (0..STEPS * S::BITS).map(bit).collect()
    }

    /// The values of the wires that the gate computes, from those that it is given and the bits;
    /// `perturb` as in `BusGate::fill`, over GF(p⁵).
    fn fill(
        given: impl Fn(usize) -> F,
        bits: &[F],
        mut perturb: impl FnMut(Fp5, Fp5) -> Fp5,
    ) -> Vec<(usize, F)> {
        let input = |i: usize| given(Self::wire_input(i));
        let mut filled = Vec::with_capacity(Self::WIRES);
        if !S::BITS_GIVEN {
            let wires = bits.iter().enumerate();
            filled.extend(wires.map(|(i, &bit)| (Self::wire_bit(i), bit)));
        }
        let mut put = |column: usize, value: Fp5, unit: Fp5| {
            let value = perturb(value, unit);
            filled.extend((column..).zip(value.0));
            value
        };
        let quintic = |column: usize| QuinticExtension(core::array::from_fn(|i| given(column + i)));
        let two = Fp5::TWO;
        let (mut x, mut y) = (quintic(Self::WIRE_BEFORE), quintic(Self::WIRE_BEFORE + 5));
        for step in 0..STEPS {
            let bit = |i: usize| bits[step * S::BITS + i];
            let q = S::point(&mut Values::<F>::new(), input, bit);
            let (xq, yq) = (QuinticExtension(q.x), QuinticExtension(q.y));
            let inverse = (x - xq).try_inverse().unwrap_or_default();
            let first = put(Self::wire_slope(step, 0), (y - yq) * inverse, inverse);
            let third = first * first - two - x - xq;
            let inverse = (x - third).try_inverse().unwrap_or_default();
            let second = (y + y) * inverse - first;
            let second = put(Self::wire_slope(step, 1), second, inverse);
            let next = second * second - two - x - third;
            (x, y) = (next, second * (x - next) - y);
        }
        put(Self::WIRE_AFTER, x, Fp5::ONE);
        put(Self::WIRE_AFTER + 5, y, Fp5::ONE);
        filled
    }
}

/// The next point, and what has to be 0.
#[inline(always)]
fn constrain_step<R: Ring>(
    r: &mut R,
    p: Point<R::Element>,
    q: Point<R::Element>,
    [first, second]: [ring::Quintic<R::Element>; 2],
) -> (Point<R::Element>, [ring::Quintic<R::Element>; 2]) {
    let run = ring::sub(r, p.x, q.x);
    let rise = ring::sub(r, q.y, p.y);
    let chord = ring::product(r, 1, first, run, rise);
    // x − x₃ = 2x + x_Q + 2 − λ₁²
    let gap = ring::scale(r, 2, p.x, q.x);
    let gap = ring::shift(r, gap, curve::A, 0);
    let gap = ring::square(r, -1, first, gap);
    let slopes = ring::add(r, first, second);
    let zero = ring::zero(r);
    let minus_twice = ring::scale(r, -2, p.y, zero);
    let closing = ring::product(r, 1, slopes, gap, minus_twice);
    // x′ = λ₂² − 2 − x − x₃
    let x = ring::scale(r, -2, p.x, gap);
    let x = ring::shift(r, x, -curve::A, 0);
    let x = ring::square(r, 1, second, x);
    let run = ring::sub(r, p.x, x);
    let minus = ring::sub(r, zero, p.y);
    let y = ring::product(r, 1, second, run, minus);
    (Point { x, y }, [chord, closing])
}

/// ±B. Inputs: B, and the number before and after the row's bits, highest first: after =
/// 2^8·before + bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variable;

impl Variable {
    pub const NUMBER_BEFORE: usize = POINT;
    pub const NUMBER_AFTER: usize = POINT + 1;
}

impl Summand for Variable {
    const NAME: &'static str = "Variable";
    const BITS: usize = 1;
    const INPUTS: usize = POINT + 2;
    const BITS_GIVEN: bool = false;
    const DEGREE: usize = 3;

    #[inline(always)]
    fn point<R: Ring>(
        r: &mut R,
        input: impl Fn(usize) -> R::Element,
        bit: impl Fn(usize) -> R::Element,
    ) -> Point<R::Element> {
        let sign = signs::<R, 1>(r, bit)[0];
        let zero = r.constant(F::ZERO);
        Point {
            x: core::array::from_fn(&input),
            y: core::array::from_fn(|i| r.product(1, sign, input(5 + i), zero)),
        }
    }

    const CHECKS: usize = 1;

    #[inline(always)]
    fn check<R: Ring>(
        r: &mut R,
        input: impl Fn(usize) -> R::Element,
        bit: impl Fn(usize) -> R::Element,
        mut yield_constr: impl FnMut(&mut R, R::Element),
    ) {
        let before = input(Self::NUMBER_BEFORE);
        let number = (0..STEPS).fold(before, |number, i| r.scaled(F::TWO, number, bit(i)));
        let constraint = r.difference(number, input(Self::NUMBER_AFTER));
        yield_constr(r, constraint);
    }

    fn bit(input: impl Fn(usize) -> F, i: usize) -> F {
        let before = input(Self::NUMBER_BEFORE) * F::from_canonical_u64(1 << STEPS);
        let bits = (input(Self::NUMBER_AFTER) - before).to_canonical_u64();
        F::from_bool(bits >> (STEPS - 1 - i) & 1 == 1)
    }
}

/// Σ ±2^(80·j)·G over four j: the bit j of a step, lowest j first, is 1 for +.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed;

impl Summand for Fixed {
    const NAME: &'static str = "Fixed";
    const BITS: usize = curve::CHUNKS;
    const INPUTS: usize = 0;
    const BITS_GIVEN: bool = true;
    const DEGREE: usize = 5;

    #[inline(always)]
    fn point<R: Ring>(
        r: &mut R,
        _input: impl Fn(usize) -> R::Element,
        bit: impl Fn(usize) -> R::Element,
    ) -> Point<R::Element> {
        let [s0, s1, s2, s3] = signs(r, bit);
        let zero = r.constant(F::ZERO);
        let mut times = |x, y| r.product(1, x, y, zero);
        let (low, high) = (times(s0, s1), times(s2, s3));
        // x is even in the signs, y is odd.
        let even = [
            low,
            times(s0, s2),
            times(s0, s3),
            times(s1, s2),
            times(s1, s3),
            high,
            times(low, high),
        ];
        let odd = [
            s0,
            s1,
            s2,
            s3,
            times(low, s2),
            times(low, s3),
            times(s0, high),
            times(s1, high),
        ];
        let table = curve::table();
        let x = core::array::from_fn(|i| {
            let first = r.constant(table.x[i][0]);
            weigh(r, &table.x[i][1..], &even, first)
        });
        let y = core::array::from_fn(|i| weigh(r, &table.y[i], &odd, zero));
        Point { x, y }
    }

    const CHECKS: usize = 0;

    fn check<R: Ring>(
        _r: &mut R,
        _input: impl Fn(usize) -> R::Element,
        _bit: impl Fn(usize) -> R::Element,
        _yield_constr: impl FnMut(&mut R, R::Element),
    ) {
    }

    fn bit(_input: impl Fn(usize) -> F, _i: usize) -> F {
        F::ZERO
    }
}

/// first + Σ weight·monomial
#[inline(always)]
fn weigh<R: Ring>(
    r: &mut R,
    weights: &[F],
    monomials: &[R::Element],
    first: R::Element,
) -> R::Element {
    let terms = weights.iter().zip(monomials);
    terms.fold(first, |sum, (&weight, &monomial)| {
        r.scaled(weight, monomial, sum)
    })
}

/// 1 for a set bit, else −1.
#[inline(always)]
fn signs<R: Ring, const N: usize>(r: &mut R, bit: impl Fn(usize) -> R::Element) -> [R::Element; N] {
    let minus_one = r.constant(F::NEG_ONE);
    core::array::from_fn(|i| r.scaled(F::TWO, bit(i), minus_one))
}

impl<S: Summand> Gate<F, D> for LadderGate<S> {
    fn id(&self) -> String {
        format!("TallyLadderGate {}", S::NAME)
    }

    fn serialize(&self, _dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Ok(())
    }

    fn deserialize(_src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self::new())
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<F, D>) -> Vec<Ext> {
        let mut constraints = Vec::with_capacity(Self::CONSTRAINTS);
        Self::constrain(
            &mut Values::<Ext>::new(),
            |wire| vars.local_wires[wire],
            |constraint| constraints.push(constraint),
        );
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
        let mut constraints = Vec::with_capacity(Self::CONSTRAINTS);
        Self::constrain(
            builder,
            |wire| vars.local_wires[wire],
            |constraint| constraints.push(constraint),
        );
        constraints
    }

    fn generators(&self, row: usize, _constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        let generator = LadderGenerator {
            row,
            summand: PhantomData::<S>,
        };
        vec![WitnessGeneratorRef::new(generator.adapter())]
    }

    fn num_wires(&self) -> usize {
        Self::WIRES
    }

    fn num_constants(&self) -> usize {
        0
    }

    fn degree(&self) -> usize {
        S::DEGREE
    }

    fn num_constraints(&self) -> usize {
        Self::CONSTRAINTS
    }
}

impl<S: Summand> PackedEvaluableBase<F, D> for LadderGate<S> {
    fn eval_unfiltered_base_packed<P: PackedField<Scalar = F>>(
        &self,
        vars: EvaluationVarsBasePacked<P>,
        mut yield_constr: StridedConstraintConsumer<P>,
    ) {
        Self::constrain(
            &mut Values::<P>::new(),
            |wire| vars.local_wires[wire],
            |constraint| yield_constr.one(constraint),
        );
    }
}

#[derive(Debug, Default)]
struct LadderGenerator<S: Summand> {
    row: usize,
    summand: PhantomData<S>,
}

impl<S: Summand> SimpleGenerator<F, D> for LadderGenerator<S> {
    fn id(&self) -> String {
        format!("TallyLadderGenerator {}", S::NAME)
    }

    fn dependencies(&self) -> Vec<Target> {
        LadderGate::<S>::given()
            .map(|column| Target::wire(self.row, column))
            .collect()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let given = |column| witness.get_target(Target::wire(self.row, column));
        let bits = LadderGate::<S>::bits(given);
        for (column, value) in LadderGate::<S>::fill(given, &bits, |value, _| value) {
            out_buffer.set_target(Target::wire(self.row, column), value)?;
        }
        Ok(())
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.row)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self {
            row: src.read_usize()?,
            summand: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Sample;
    use plonky2::gates::gate_testing::{test_eval_fns, test_low_degree};
    use plonky2::iop::witness::PartialWitness;

    use super::*;
    use crate::checker::{Attack, assert_each_gate_constraint_needed};
    use crate::{Builder, Config};

    #[test]
    fn degree_is_low_and_wires_fit() {
        test_low_degree::<F, _, D>(LadderGate::<Variable>::new());
        test_low_degree::<F, _, D>(LadderGate::<Fixed>::new());
        let config = crate::config();
        assert!(LadderGate::<Variable>::wire_bit(0) <= config.num_routed_wires);
        assert!(LadderGate::<Variable>::WIRES <= config.num_wires);
        assert!(LadderGate::<Fixed>::wire_bit(0) <= config.num_routed_wires);
        assert!(LadderGate::<Fixed>::WIRES <= config.num_wires);
    }

    #[test]
    fn evaluations_agree() {
        test_eval_fns::<F, Config, _, D>(LadderGate::<Variable>::new()).unwrap();
        test_eval_fns::<F, Config, _, D>(LadderGate::<Fixed>::new()).unwrap();
    }

    /// The lies about a row: what is given, and what is computed from it and the bits with one
    /// coordinate moved so that its own constraint alone is off.
    fn lies<S: Summand>(row: usize, given: &[F], bits: &[F], broken: Option<usize>) -> Attack {
        let mut made = 0;
        let perturb = |value, scale| {
            let mut unit = Fp5::ZERO;
            if let Some(coordinate) = broken.filter(|b| b / 5 == made) {
                unit.0[coordinate % 5] = F::ONE;
            }
            made += 1;
            value + unit * scale
        };
        let filled = LadderGate::<S>::fill(|i| given[i], bits, perturb);
        let inputs = LadderGate::<S>::given().map(|i| (i, given[i]));
        let wires = inputs.chain(filled);
        let lies: Vec<_> = wires
            .map(|(column, value)| (Target::wire(row, column), value))
            .collect();
        Attack::new("row", PartialWitness::new(), &lies)
    }

    /// Each slope and output off by one, each bit as 2, and a number that isn't the bits'.
    fn every_constraint_is_needed<S: Summand>() {
        let id = Gate::<F, D>::id(&LadderGate::<S>::new());
        let build = |b: &mut Builder| b.add_gate(LadderGate::<S>::new(), vec![]);
        assert_each_gate_constraint_needed(&id, build, |&row| {
            let given = F::rand_vec(LadderGate::<S>::WIRES);
            let random = F::rand_vec(STEPS * S::BITS);
            let bits: Vec<F> = random.iter().map(|x| F::from_bool(x.0 & 1 == 1)).collect();
            let attack = |bits: &[F], off: F, broken: Option<usize>| {
                let mut given = given.clone();
                if S::BITS_GIVEN {
                    let first = LadderGate::<S>::wire_bit(0);
                    given[first..first + bits.len()].copy_from_slice(bits);
                } else {
                    let before = LadderGate::<S>::wire_input(Variable::NUMBER_BEFORE);
                    let number = bits.iter().fold(given[before], |n, &bit| n.double() + bit);
                    given[before + 1] = number + off;
                }
                lies::<S>(row, &given, bits, broken)
            };
            let coordinates = 0..STEPS * POINT + POINT;
            let mut attacks: Vec<Attack> = coordinates
                .map(|broken| attack(&bits, F::ZERO, Some(broken)))
                .collect();
            for i in 0..bits.len() {
                let mut bits = bits.clone();
                bits[i] = F::TWO;
                attacks.push(attack(&bits, F::ZERO, None));
            }
            if !S::BITS_GIVEN {
                attacks.push(attack(&bits, F::ONE, None));
            }
            attacks
        });
    }

    #[test]
    fn p3_every_constraint_of_a_variable_row_is_needed() {
        every_constraint_is_needed::<Variable>();
    }

    #[test]
    fn p3_every_constraint_of_a_fixed_row_is_needed() {
        every_constraint_is_needed::<Fixed>();
    }
}
