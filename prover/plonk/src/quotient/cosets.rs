//! Polynomials of a few times the rows' number, on cosets and as chunks.
//!
//! A polynomial below x^(m·rows) is Σ x^(c·rows)·chunk_c. On the coset of shift s, x^rows is the
//! constant s^rows, so there it equals a polynomial below x^rows; on m cosets these determine the
//! chunks, coefficient by coefficient.

use plonky2::field::types::Field;
use rayon::prelude::*;

use crate::F;
use crate::fft::{Roots, canonical, multiply, reversed_powers};
use crate::raw::{raw, raw_mut};
use crate::simd::{Kernel, Op, Simd};
use crate::tree::Domain;

/// The cosets of an extension.
pub(super) struct Cosets<'a> {
    pub kernel: Kernel,
    pub roots: &'a Roots,
    pub domain: Domain,
}

impl Cosets<'_> {
    /// The block that is the i-th of `count` evenly spaced ones.
    pub(super) fn block(&self, i: usize, count: usize) -> usize {
        i * (self.domain.blocks() / count)
    }

    /// The shift of a block's coset.
    pub(super) fn shift(&self, block: usize) -> F {
        F::coset_shift() * F::primitive_root_of_unity(self.domain.bits()).exp_u64(block as u64)
    }

    /// From values on evenly spaced blocks to chunks.
    pub(super) fn interpolate(&self, values: &mut [F]) {
        let rows = self.domain.block();
        let count = values.len() / rows;
        values
            .par_chunks_exact_mut(rows)
            .enumerate()
            .for_each(|(i, values)| {
                self.roots.interpolate(self.kernel, values);
                let inverse = self.shift(self.block(i, count)).inverse();
                let factors = reversed_powers(self.kernel, inverse, self.domain.block_bits);
                let shifted = values.to_vec();
                multiply(self.kernel, &shifted, &factors, values);
            });
        let bits = count.trailing_zeros() as usize;
        let root = F::primitive_root_of_unity(bits).inverse();
        let step = F::coset_shift().exp_u64(rows as u64).inverse();
        let scale = F::inverse_2exp(bits);
        let remainders = values.to_vec();
        values
            .par_chunks_exact_mut(rows)
            .enumerate()
            .for_each(|(c, chunk)| {
                let weights = (0..count)
                    .map(|i| scale * root.exp_u64((i * c) as u64) * step.exp_u64(c as u64));
                self.weigh(&remainders, &weights.collect::<Vec<_>>(), chunk);
            });
    }

    /// From chunks to values on a block.
    pub(super) fn evaluate(&self, chunks: &[F], shifts: &[F], block: usize, values: &mut [F]) {
        let rows = self.domain.block();
        let base = self.shift(block).exp_u64(rows as u64);
        let weights: Vec<F> = base.powers().take(chunks.len() / rows).collect();
        let mut sum = vec![F::ZERO; rows];
        self.weigh(chunks, &weights, &mut sum);
        multiply(self.kernel, &sum, shifts, values);
        self.roots.evaluate(self.kernel, values);
    }

    /// Powers of a block's shift, for `evaluate`.
    pub(super) fn shifts(&self, block: usize) -> Vec<F> {
        reversed_powers(self.kernel, self.shift(block), self.domain.block_bits)
    }

    /// Σ weight·column.
    fn weigh(&self, columns: &[F], weights: &[F], sum: &mut [F]) {
        sum.fill(F::ZERO);
        for (column, weight) in columns.chunks_exact(sum.len()).zip(weights) {
            self.kernel.apply(AddTerm {
                sum: raw_mut(sum),
                terms: raw(column),
                factor: canonical(*weight).0,
            });
        }
    }
}

/// sum += factor · terms.
struct AddTerm<'a> {
    sum: &'a mut [u64],
    terms: &'a [u64],
    factor: u64,
}

impl Op for AddTerm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        let mut sums = self.sum.chunks_exact_mut(S::WIDTH);
        let terms = self.terms.chunks_exact(S::WIDTH);
        let rest = terms.remainder();
        for (sum, terms) in (&mut sums).zip(terms) {
            s.store(s.add_mod(s.load(sum), s.mul(s.load(terms), factor)), sum);
        }
        let element = F::from_noncanonical_u64;
        for (sum, term) in sums.into_remainder().iter_mut().zip(rest) {
            *sum = (element(*sum) + element(*term) * element(self.factor)).0;
        }
    }
}
