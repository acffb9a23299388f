//! Plonky2's gates at a point: twin of each gate's `eval_unfiltered`, over any algebra.
//!
//! Only the gates that the last layer's circuit has. Another one is an error when the halo2 circuit
//! is built, never something that is left unchecked.

mod coset;
mod poseidon;
#[cfg(test)]
mod tests;

use plonky2::field::types::Field;
use plonky2::gates::arithmetic_base::ArithmeticGate;
use plonky2::gates::arithmetic_extension::ArithmeticExtensionGate;
use plonky2::gates::base_sum::BaseSumGate;
use plonky2::gates::constant::ConstantGate;
use plonky2::gates::coset_interpolation::CosetInterpolationGate;
use plonky2::gates::exponentiation::ExponentiationGate;
use plonky2::gates::gate::{AnyGate, GateRef};
use plonky2::gates::multiplication_extension::MulExtensionGate;
use plonky2::gates::noop::NoopGate;
use plonky2::gates::poseidon::PoseidonGate;
use plonky2::gates::public_input::PublicInputGate;
use plonky2::gates::random_access::RandomAccessGate;
use plonky2::gates::reducing::ReducingGate;
use plonky2::gates::reducing_extension::ReducingExtensionGate;
use tally_circuits::{D, F};
use thiserror::Error;

pub use poseidon::hash_short;

use crate::algebra::{Algebra, Pair, pair_add, pair_mul, pair_scale, pair_sub};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the wrap knows no constraints for the gate {0}")]
pub struct UnknownGate(pub String);

/// What a gate's constraints are about: openings at one point.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, E> {
    /// Without selectors.
    pub constants: &'a [E],
    pub wires: &'a [E],
    pub public_inputs_hash: &'a [E; 4],
}

impl<E: Clone> Row<'_, E> {
    pub fn pair(&self, start: usize) -> Pair<E> {
        [self.wires[start].clone(), self.wires[start + 1].clone()]
    }
}

pub fn evaluate<A: Algebra>(
    algebra: &mut A,
    gate: &GateRef<F, D>,
    row: &Row<'_, A::E>,
) -> Result<Vec<A::E>, UnknownGate> {
    let gate: &dyn AnyGate<F, D> = &*gate.0;
    let any = gate.as_any();
    let constraints = if any.is::<NoopGate>() {
        vec![]
    } else if any.is::<ConstantGate>() {
        constant(algebra, gate.num_constants(), row)
    } else if any.is::<PublicInputGate>() {
        let pairs = row.wires.iter().zip(row.public_inputs_hash);
        pairs
            .map(|(wire, input)| algebra.sub(wire, input))
            .collect()
    } else if let Some(gate) = any.downcast_ref::<ArithmeticGate>() {
        arithmetic(algebra, gate.num_ops, row)
    } else if let Some(gate) = any.downcast_ref::<ArithmeticExtensionGate<D>>() {
        arithmetic_extension(algebra, gate.num_ops, row)
    } else if let Some(gate) = any.downcast_ref::<MulExtensionGate<D>>() {
        mul_extension(algebra, gate.num_ops, row)
    } else if let Some(gate) = any.downcast_ref::<BaseSumGate<2>>() {
        bit_sum(algebra, gate.num_limbs, row)
    } else if let Some(gate) = any.downcast_ref::<ExponentiationGate<F, D>>() {
        exponentiation(algebra, gate.num_power_bits, row)
    } else if let Some(gate) = any.downcast_ref::<RandomAccessGate<F, D>>() {
        random_access(algebra, gate, row)
    } else if let Some(gate) = any.downcast_ref::<ReducingGate<D>>() {
        reducing(algebra, gate.num_coeffs, 1, row)
    } else if let Some(gate) = any.downcast_ref::<ReducingExtensionGate<D>>() {
        reducing(algebra, gate.num_coeffs, D, row)
    } else if let Some(gate) = any.downcast_ref::<CosetInterpolationGate<F, D>>() {
        coset::evaluate(algebra, gate, row)
    } else if any.is::<PoseidonGate<F, D>>() {
        poseidon::evaluate(algebra, row)
    } else {
        return Err(UnknownGate(gate.id()));
    };
    // The twin must be as long as the original: a constraint that is missing is not checked.
    assert_eq!(constraints.len(), gate.num_constraints(), "{}", gate.id());
    Ok(constraints)
}

fn constant<A: Algebra>(algebra: &mut A, count: usize, row: &Row<'_, A::E>) -> Vec<A::E> {
    let pairs = row.constants.iter().zip(row.wires).take(count);
    pairs.map(|(c, wire)| algebra.sub(c, wire)).collect()
}

/// Per operation: factors, addend, output.
fn arithmetic<A: Algebra>(algebra: &mut A, operations: usize, row: &Row<'_, A::E>) -> Vec<A::E> {
    let operation = |algebra: &mut A, w: &[A::E]| {
        let product = algebra.product(&[w[0].clone(), w[1].clone(), row.constants[0].clone()]);
        let addend = algebra.mul(&w[2], &row.constants[1]);
        let sum = algebra.add(&product, &addend);
        algebra.sub(&w[3], &sum)
    };
    let chunks = row.wires.chunks(4).take(operations);
    chunks.map(|wires| operation(algebra, wires)).collect()
}

fn arithmetic_extension<A: Algebra>(
    algebra: &mut A,
    operations: usize,
    row: &Row<'_, A::E>,
) -> Vec<A::E> {
    let operation = |i: usize| {
        let at = |part: usize| row.pair(4 * D * i + D * part);
        let product = pair_mul(algebra, &at(0), &at(1));
        let product = pair_scale(algebra, &product, &row.constants[0]);
        let addend = pair_scale(algebra, &at(2), &row.constants[1]);
        let sum = pair_add(algebra, &product, &addend);
        pair_sub(algebra, &at(3), &sum)
    };
    (0..operations).flat_map(operation).collect()
}

fn mul_extension<A: Algebra>(algebra: &mut A, operations: usize, row: &Row<'_, A::E>) -> Vec<A::E> {
    let operation = |i: usize| {
        let at = |part: usize| row.pair(3 * D * i + D * part);
        let product = pair_mul(algebra, &at(0), &at(1));
        let product = pair_scale(algebra, &product, &row.constants[0]);
        pair_sub(algebra, &at(2), &product)
    };
    (0..operations).flat_map(operation).collect()
}

/// x² − x.
fn boolean<A: Algebra>(algebra: &mut A, x: &A::E) -> A::E {
    let square = algebra.mul(x, x);
    algebra.sub(&square, x)
}

/// Σ 2ⁱ bitᵢ − sum.
fn bits_against<A: Algebra>(algebra: &mut A, bits: &[A::E], sum: &A::E) -> A::E {
    let mut terms: Vec<(F, A::E)> = (0..)
        .zip(bits)
        .map(|(i, bit)| (F::TWO.exp_u64(i), bit.clone()))
        .collect();
    terms.push((F::NEG_ONE, sum.clone()));
    algebra.combine(&terms)
}

fn bit_sum<A: Algebra>(algebra: &mut A, limbs: usize, row: &Row<'_, A::E>) -> Vec<A::E> {
    let bits = &row.wires[1..=limbs];
    let mut constraints = vec![bits_against(algebra, bits, &row.wires[0])];
    constraints.extend(bits.iter().map(|bit| boolean(algebra, bit)));
    constraints
}

fn exponentiation<A: Algebra>(algebra: &mut A, count: usize, row: &Row<'_, A::E>) -> Vec<A::E> {
    let (base, output) = (&row.wires[0], &row.wires[1 + count]);
    let values = &row.wires[2 + count..2 + 2 * count];
    let one = algebra.constant(F::ONE);
    let mut constraints = Vec::new();
    for i in 0..count {
        // Bits are wired from the lowest, taken from the highest.
        let bit = &row.wires[count - i];
        let scaled = algebra.mul(bit, base);
        let factor = algebra.combine(&[
            (F::ONE, scaled),
            (F::ONE, one.clone()),
            (F::NEG_ONE, bit.clone()),
        ]);
        let computed = match i {
            0 => factor,
            _ => algebra.product(&[values[i - 1].clone(), values[i - 1].clone(), factor]),
        };
        constraints.push(algebra.sub(&computed, &values[i]));
    }
    constraints.push(algebra.sub(output, &values[count - 1]));
    constraints
}

fn random_access<A: Algebra>(
    algebra: &mut A,
    gate: &RandomAccessGate<F, D>,
    row: &Row<'_, A::E>,
) -> Vec<A::E> {
    let size = 1 << gate.bits;
    let routed = gate.num_routed_wires();
    let mut constraints = Vec::new();
    for copy in 0..gate.num_copies {
        let start = (2 + size) * copy;
        let bits = &row.wires[routed + copy * gate.bits..][..gate.bits];
        constraints.extend(bits.iter().map(|bit| boolean(algebra, bit)));
        constraints.push(bits_against(algebra, bits, &row.wires[start]));
        let mut items = row.wires[start + 2..start + 2 + size].to_vec();
        for bit in bits {
            let folded = items.chunks(2).map(|pair| {
                let difference = algebra.sub(&pair[1], &pair[0]);
                let step = algebra.mul(bit, &difference);
                algebra.add(&pair[0], &step)
            });
            items = folded.collect();
        }
        constraints.push(algebra.sub(&items[0], &row.wires[start + 1]));
    }
    let scratch = &row.wires[(2 + size) * gate.num_copies..routed];
    for (constant, wire) in row.constants.iter().zip(scratch) {
        constraints.push(algebra.sub(constant, wire));
    }
    constraints
}

/// Output, alpha, old accumulator, coefficients of `width` wires, all accumulators but the last.
fn reducing<A: Algebra>(
    algebra: &mut A,
    count: usize,
    width: usize,
    row: &Row<'_, A::E>,
) -> Vec<A::E> {
    let (coefficients, alpha) = (3 * D, row.pair(D));
    let accumulators = coefficients + count * width;
    let mut sum = row.pair(2 * D);
    let mut constraints = Vec::new();
    for i in 0..count {
        let mut computed = pair_mul(algebra, &sum, &alpha);
        for (j, part) in computed.iter_mut().take(width).enumerate() {
            *part = algebra.add(part, &row.wires[coefficients + width * i + j]);
        }
        let next = row.pair(if i + 1 == count {
            0
        } else {
            accumulators + D * i
        });
        constraints.extend(pair_sub(algebra, &computed, &next));
        sum = next;
    }
    constraints
}
