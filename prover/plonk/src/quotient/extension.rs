//! Gates over the extension field, which stock evaluates point by point, over any packed field.
//!
//! Their wires are where Plonky2 1.1 has them; its own functions for that are not public.

use plonky2::field::extension::Extendable;
use plonky2::field::packed::PackedField;
use plonky2::field::types::Field;
use plonky2::gates::arithmetic_extension::ArithmeticExtensionGate;
use plonky2::gates::coset_interpolation::CosetInterpolationGate;
use plonky2::gates::multiplication_extension::MulExtensionGate;
use plonky2::gates::reducing::ReducingGate;
use plonky2::gates::reducing_extension::ReducingExtensionGate;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::plonk::vars::EvaluationVarsBasePacked;

use super::evaluator::Constraints;
use crate::{D, F};

/// With an element of the extension as a pair of coordinates.
pub(super) struct InPairs;

type Vars<'a, P> = EvaluationVarsBasePacked<'a, P>;
type Out<'a, P> = StridedConstraintConsumer<'a, P>;

#[derive(Clone, Copy)]
struct Pair<P>([P; D]);

impl<P: PackedField<Scalar = F>> Pair<P> {
    const ZERO: Self = Self([P::ZEROS, P::ZEROS]);
    const ONE: Self = Self([P::ONES, P::ZEROS]);

    fn wires(vars: &Vars<'_, P>, first: usize) -> Self {
        Self([vars.local_wires[first], vars.local_wires[first + 1]])
    }

    fn plus(self, other: Self) -> Self {
        Self([self.0[0] + other.0[0], self.0[1] + other.0[1]])
    }

    fn minus(self, other: Self) -> Self {
        Self([self.0[0] - other.0[0], self.0[1] - other.0[1]])
    }

    fn times(self, other: Self) -> Self {
        let [a, b] = [self.0, other.0];
        let seven = <F as Extendable<D>>::W;
        let real = a[0] * b[0] + a[1] * b[1] * seven;
        Self([real, a[0] * b[1] + a[1] * b[0]])
    }

    fn scaled(self, by: P) -> Self {
        Self([self.0[0] * by, self.0[1] * by])
    }

    fn scaled_by(self, constant: F) -> Self {
        Self([self.0[0] * constant, self.0[1] * constant])
    }
}

impl Constraints<ArithmeticExtensionGate<D>> for InPairs {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &ArithmeticExtensionGate<D>,
        vars: Vars<'_, P>,
        mut out: Out<'_, P>,
    ) {
        let (first, second) = (vars.local_constants[0], vars.local_constants[1]);
        for i in 0..gate.num_ops {
            let wire = |k: usize| Pair::wires(&vars, D * (4 * i + k));
            let product = wire(0).times(wire(1)).scaled(first);
            let sum = product.plus(wire(2).scaled(second));
            out.many(wire(3).minus(sum).0);
        }
    }
}

impl Constraints<MulExtensionGate<D>> for InPairs {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &MulExtensionGate<D>,
        vars: Vars<'_, P>,
        mut out: Out<'_, P>,
    ) {
        let factor = vars.local_constants[0];
        for i in 0..gate.num_ops {
            let wire = |k: usize| Pair::wires(&vars, D * (3 * i + k));
            let product = wire(0).times(wire(1)).scaled(factor);
            out.many(wire(2).minus(product).0);
        }
    }
}

/// acc_i = acc_(i−1)·α + coefficient_i, with the output as the last: wires are output, α and the
/// first accumulator, then coefficients, then the accumulators between.
fn reduce<P: PackedField<Scalar = F>>(
    vars: &Vars<'_, P>,
    count: usize,
    accumulators: usize,
    coefficient: impl Fn(usize) -> Pair<P>,
    mut out: Out<'_, P>,
) {
    let (alpha, mut before) = (Pair::wires(vars, D), Pair::wires(vars, 2 * D));
    for i in 0..count {
        let after = match i + 1 == count {
            true => Pair::wires(vars, 0),
            false => Pair::wires(vars, accumulators + D * i),
        };
        let sum = before.times(alpha).plus(coefficient(i));
        out.many(sum.minus(after).0);
        before = after;
    }
}

impl Constraints<ReducingGate<D>> for InPairs {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &ReducingGate<D>,
        vars: Vars<'_, P>,
        out: Out<'_, P>,
    ) {
        let count = gate.num_coeffs;
        let coefficient = |i: usize| Pair([vars.local_wires[3 * D + i], P::ZEROS]);
        reduce(&vars, count, 3 * D + count, coefficient, out);
    }
}

impl Constraints<ReducingExtensionGate<D>> for InPairs {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &ReducingExtensionGate<D>,
        vars: Vars<'_, P>,
        out: Out<'_, P>,
    ) {
        let count = gate.num_coeffs;
        let coefficient = |i: usize| Pair::wires(&vars, 3 * D + D * i);
        reduce(&vars, count, 3 * D + D * count, coefficient, out);
    }
}

/// Wires: shift, values, point, value at the point, then the sums and the products so far, after
/// every degree − 1 points, and the point without the shift.
impl Constraints<CosetInterpolationGate<F, D>> for InPairs {
    fn constrain<P: PackedField<Scalar = F>>(
        gate: &CosetInterpolationGate<F, D>,
        vars: Vars<'_, P>,
        mut out: Out<'_, P>,
    ) {
        let points = 1 << gate.subgroup_bits;
        let steps = (points - 2) / (gate.degree - 1);
        let point = 1 + D * points;
        let sums = point + 2 * D;
        let products = sums + D * steps;
        let wires = |first: usize| Pair::wires(&vars, first);
        let shifted = wires(products + D * steps);
        let shift = vars.local_wires[0];
        out.many(wires(point).minus(shifted.scaled(shift)).0);

        let domain = F::two_adic_subgroup(gate.subgroup_bits);
        let (mut sum, mut product) = (Pair::ZERO, Pair::ONE);
        let mut next = 0;
        for step in 0..=steps {
            let end = points.min(1 + (gate.degree - 1) * (step + 1));
            for (i, x) in domain.iter().enumerate().take(end).skip(next) {
                let Pair([real, imaginary]) = shifted;
                let term = Pair([real - *x, imaginary]);
                let value = wires(1 + D * i).scaled_by(gate.barycentric_weights[i]);
                sum = sum.times(term).plus(value.times(product));
                product = product.times(term);
            }
            next = end;
            if step < steps {
                let told = [wires(sums + D * step), wires(products + D * step)];
                out.many(told[0].minus(sum).0);
                out.many(told[1].minus(product).0);
                [sum, product] = told;
            }
        }
        out.many(wires(point + D).minus(sum).0);
    }
}
