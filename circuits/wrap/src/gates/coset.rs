//! Interpolation over a coset of a small subgroup, in pieces of the gate's degree.

use plonky2::field::types::Field;
use plonky2::gates::coset_interpolation::CosetInterpolationGate;
use plonky2::gates::gate::Gate;
use tally_circuits::{D, F};

use super::Row;
use crate::algebra::{Algebra, Pair, pair_add, pair_mul, pair_scale, pair_sub};

/// Wires: shift, values, point, value at the point, intermediate values, intermediate products,
/// point divided by the shift.
pub(super) fn evaluate<A: Algebra>(
    algebra: &mut A,
    gate: &CosetInterpolationGate<F, D>,
    row: &Row<'_, A::E>,
) -> Vec<A::E> {
    let points = 1 << gate.subgroup_bits;
    let degree = gate.degree;
    let pieces = (points - 2) / (degree - 1);
    let point = 1 + points * D;
    let (value, evaluations) = (point + D, point + 2 * D);
    let products = evaluations + D * pieces;
    let shifted = row.pair(products + D * pieces);

    let scaled = pair_scale(algebra, &shifted, &row.wires[0]);
    let mut constraints = pair_sub(algebra, &row.pair(point), &scaled).to_vec();
    let domain = F::two_adic_subgroup(gate.subgroup_bits);
    let [zero, one] = [F::ZERO, F::ONE].map(|c| algebra.constant(c));
    let mut state = ([zero.clone(), zero.clone()], [one, zero]);
    let mut start = 0;
    for piece in 0..=pieces {
        let end = points.min(1 + (degree - 1) * (piece + 1));
        for i in start..end {
            let at = row.pair(1 + D * i);
            state = step(
                algebra,
                &state,
                (&at, gate.barycentric_weights[i]),
                (&shifted, domain[i]),
            );
        }
        if piece < pieces {
            let next = (
                row.pair(evaluations + D * piece),
                row.pair(products + D * piece),
            );
            constraints.extend(pair_sub(algebra, &next.0, &state.0));
            constraints.extend(pair_sub(algebra, &next.1, &state.1));
            state = next;
        }
        start = end;
    }
    constraints.extend(pair_sub(algebra, &row.pair(value), &state.0));
    debug_assert_eq!(constraints.len(), gate.num_constraints());
    constraints
}

/// (sum, product) over one more point: sum · (x − d) + weight · value · product, product · (x − d).
fn step<A: Algebra>(
    algebra: &mut A,
    (sum, product): &(Pair<A::E>, Pair<A::E>),
    (value, weight): (&Pair<A::E>, F),
    (x, d): (&Pair<A::E>, F),
) -> (Pair<A::E>, Pair<A::E>) {
    let d = algebra.constant(d);
    let term = [algebra.sub(&x[0], &d), x[1].clone()];
    let weighted = [0, 1].map(|i| algebra.combine(&[(weight, value[i].clone())]));
    let old = pair_mul(algebra, sum, &term);
    let new = pair_mul(algebra, &weighted, product);
    let sum = pair_add(algebra, &old, &new);
    let product = pair_mul(algebra, product, &term);
    (
        sum.map(|part| algebra.settle(&part)),
        product.map(|part| algebra.settle(&part)),
    )
}
