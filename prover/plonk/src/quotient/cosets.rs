//! Polynomials of a few times the rows' number, on cosets and as chunks.
//!
//! A polynomial below x^(m·rows) is Σ x^(c·rows)·chunk_c. On the coset of shift s, x^rows is the
//! constant s^rows, so there it equals a polynomial below x^rows; on any m cosets these determine
//! the chunks, coefficient by coefficient: s^rows is another constant on each.

use plonky2::field::types::Field;
use rayon::prelude::*;
use tally_kernels::raw::{raw, raw_mut};
use tally_kernels::simd::{Kernel, Op, Simd};

use crate::F;
use crate::fft::{Roots, canonical, multiply, reversed_powers};
use crate::tree::Domain;

/// The cosets of an extension that the quotient is evaluated on.
pub(super) struct Cosets<'a> {
    pub kernel: Kernel,
    pub roots: &'a Roots,
    pub domain: Domain,
    /// How many; evenly spaced among the extension's.
    pub count: usize,
}

impl Cosets<'_> {
    /// The block that is the i-th coset's.
    pub(super) fn block(&self, i: usize) -> usize {
        i * (self.domain.blocks() / self.count)
    }

    /// The shift of a block's coset.
    pub(super) fn shift(&self, block: usize) -> F {
        F::coset_shift() * F::primitive_root_of_unity(self.domain.bits()).exp_u64(block as u64)
    }

    /// From values on the first cosets, any number of them, to as many chunks.
    pub(super) fn interpolate(&self, values: &mut [F]) {
        let rows = self.domain.block();
        values
            .par_chunks_exact_mut(rows)
            .enumerate()
            .for_each(|(i, values)| {
                self.roots.interpolate(self.kernel, values);
                let inverse = self.shift(self.block(i)).inverse();
                let factors = reversed_powers(self.kernel, inverse, self.domain.block_bits);
                let shifted = values.to_vec();
                multiply(self.kernel, &shifted, &factors, values);
            });
        let points = (0..values.len() / rows).map(|i| self.power(self.block(i)));
        let weights = interpolation(&points.collect::<Vec<_>>());
        let remainders = values.to_vec();
        values
            .par_chunks_exact_mut(rows)
            .zip(weights)
            .for_each(|(chunk, weights)| self.weigh(&remainders, &weights, chunk));
    }

    /// x^rows on a block's coset.
    fn power(&self, block: usize) -> F {
        self.shift(block).exp_power_of_2(self.domain.block_bits)
    }

    /// From chunks to values on a block.
    pub(super) fn evaluate(&self, chunks: &[F], shifts: &[F], block: usize, values: &mut [F]) {
        let rows = self.domain.block();
        let powers = self.power(block).powers();
        let weights: Vec<F> = powers.take(chunks.len() / rows).collect();
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

/// Row c makes coefficient c of a polynomial from its values at the points.
fn interpolation(points: &[F]) -> Vec<Vec<F>> {
    let mut rows = vec![vec![F::ZERO; points.len()]; points.len()];
    for (i, point) in points.iter().enumerate() {
        // The product of X − x over the other points, and its value at this one.
        let (mut product, mut value) = (vec![F::ONE], F::ONE);
        for (_, x) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            value *= *point - *x;
            product.push(F::ZERO);
            for c in (0..product.len()).rev() {
                let below = if c > 0 { product[c - 1] } else { F::ZERO };
                product[c] = below - product[c] * *x;
            }
        }
        let scale = value.inverse();
        for (row, coefficient) in rows.iter_mut().zip(product) {
            row[i] = coefficient * scale;
        }
    }
    rows
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

#[cfg(test)]
mod tests {
    use plonky2::field::polynomial::PolynomialCoeffs;
    use plonky2::field::types::Sample;

    use super::*;
    use crate::tree::reverse;

    /// Chunks found on any number of cosets are the polynomial's, and give its values on others.
    #[test]
    fn a_polynomial_is_determined_by_as_many_cosets_as_it_has_chunks() {
        let (domain, kernel) = (
            Domain {
                block_bits: 5,
                rate_bits: 3,
            },
            Kernel::chosen(),
        );
        let (rows, roots) = (domain.block(), Roots::new(5));
        let cosets = Cosets {
            kernel,
            roots: &roots,
            domain,
            count: 8,
        };
        for count in 1..=8 {
            let polynomial = PolynomialCoeffs::new(F::rand_vec(count * rows));
            let root = F::primitive_root_of_unity(5);
            let on = |i: usize| {
                let shift = cosets.shift(cosets.block(i));
                root.powers()
                    .take(rows)
                    .map(move |x| shift * x)
                    .collect::<Vec<_>>()
            };
            let values = |i: usize| on(i).into_iter().map(|x| polynomial.eval(x));
            let mut chunks: Vec<F> = (0..count).flat_map(values).collect();
            cosets.interpolate(&mut chunks);
            for (chunk, expected) in chunks.chunks(rows).zip(polynomial.coeffs.chunks(rows)) {
                let chunk: Vec<F> = (0..rows).map(|i| chunk[reverse(i, 5)]).collect();
                assert_eq!(chunk, expected, "{count}");
            }
            let block = cosets.block(7);
            let mut found = vec![F::ZERO; rows];
            cosets.evaluate(&chunks, &cosets.shifts(block), block, &mut found);
            assert_eq!(found, values(7).collect::<Vec<_>>(), "{count}");
        }
    }
}
