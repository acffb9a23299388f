//! The running products of Plonk's permutation argument.
//!
//! For each challenge, Z(g·x) = Z(x)·Π (w_j + β·k_j·x + γ) / (w_j + β·σ_j + γ) over the routed
//! wires j. The product is taken in chunks of the quotient's degree, with a column for each chunk
//! but the last. Numerators and denominators of `ROWS` rows are made side by side, and one
//! inversion serves all of a task's denominators.

use plonky2::field::types::Field;
use rayon::prelude::*;
use tally_kernels::raw::{raw, raw_mut};
use tally_kernels::simd::{Kernel, MAX_WIDTH, Op, Simd};

use crate::F;
use crate::fft::canonical;

/// Rows of one task; a multiple of every vector's width.
const ROWS: usize = 64;

/// What the products are made of.
pub(crate) struct Argument<'a> {
    /// Of the quotient, hence of a chunk's product.
    pub degree: usize,
    /// Elements of the subgroup, in its order.
    pub subgroup: &'a [F],
    /// Of each routed wire, what its identity permutation multiplies x by.
    pub shifts: &'a [F],
    /// σ by row, then by wire.
    pub sigmas: &'a [Vec<F>],
    pub betas: &'a [F],
    pub gammas: &'a [F],
}

impl Argument<'_> {
    fn chunks(&self) -> usize {
        self.shifts.len().div_ceil(self.degree)
    }

    /// Values on the subgroup, a column after the other: every challenge's Z, then every
    /// challenge's partial products. None if a denominator is zero, which takes bad luck of about
    /// 2^-40 in the challenges.
    pub(crate) fn columns(&self, kernel: Kernel, wires: &[F]) -> Option<Vec<F>> {
        let (rows, challenges) = (self.subgroup.len(), self.betas.len());
        let quotients = (0..rows.div_ceil(ROWS)).into_par_iter();
        let quotients: Option<Vec<Vec<F>>> = quotients
            .map(|task| self.quotients(kernel, wires, task * ROWS))
            .collect();
        let quotients = quotients?;
        let mut columns = vec![F::ZERO; challenges * self.chunks() * rows];
        let (zs, partials) = columns.split_at_mut(challenges * rows);
        let products = zs.par_chunks_mut(rows);
        let partials: Vec<&mut [F]> = if self.chunks() > 1 {
            partials.chunks_mut((self.chunks() - 1) * rows).collect()
        } else {
            (0..challenges).map(|_| <&mut [F]>::default()).collect()
        };
        products
            .zip(partials)
            .enumerate()
            .for_each(|(challenge, (zs, partials))| {
                let mut product = F::ONE;
                for (row, z) in zs.iter_mut().enumerate() {
                    *z = product;
                    let task = &quotients[row / ROWS];
                    for chunk in 0..self.chunks() {
                        let place = (challenge * self.chunks() + chunk) * ROWS + row % ROWS;
                        product *= task[place];
                        if chunk + 1 < self.chunks() {
                            partials[chunk * rows + row] = product;
                        }
                    }
                }
            });
        Some(columns)
    }

    /// Of `ROWS` rows, each challenge's and chunk's quotient.
    fn quotients(&self, kernel: Kernel, wires: &[F], first: usize) -> Option<Vec<F>> {
        let rows = self.subgroup.len();
        let count = ROWS.min(rows - first);
        let routed = self.shifts.len();
        let mut inputs = vec![F::ZERO; (2 * routed + 1) * ROWS];
        let (wire_rows, rest) = inputs.split_at_mut(routed * ROWS);
        let (sigma_rows, points) = rest.split_at_mut(routed * ROWS);
        for (wire, to) in wire_rows.chunks_exact_mut(ROWS).enumerate() {
            to[..count].copy_from_slice(&wires[wire * rows + first..][..count]);
        }
        for (row, sigmas) in self.sigmas[first..first + count].iter().enumerate() {
            for (wire, sigma) in sigmas[..routed].iter().enumerate() {
                sigma_rows[wire * ROWS + row] = *sigma;
            }
        }
        points[..count].copy_from_slice(&self.subgroup[first..first + count]);
        let size = self.betas.len() * self.chunks() * ROWS;
        let (mut numerators, mut denominators) = (vec![F::ZERO; size], vec![F::ONE; size]);
        for (challenge, (beta, gamma)) in self.betas.iter().zip(self.gammas).enumerate() {
            let part = challenge * self.chunks() * ROWS..(challenge + 1) * self.chunks() * ROWS;
            kernel.apply(Products {
                wires: raw(wire_rows),
                sigmas: raw(sigma_rows),
                points: raw(points),
                shifts: &self
                    .shifts
                    .iter()
                    .map(|k| canonical(*beta * *k).0)
                    .collect::<Vec<_>>(),
                beta: canonical(*beta).0,
                gamma: canonical(*gamma).0,
                degree: self.degree,
                numerators: raw_mut(&mut numerators[part.clone()]),
                denominators: raw_mut(&mut denominators[part]),
            });
        }
        if count < ROWS {
            for denominators in denominators.chunks_exact_mut(ROWS) {
                denominators[count..].fill(F::ONE);
            }
        }
        let inverses = kernel.apply(Divide {
            numerators: raw_mut(&mut numerators),
            denominators: raw(&denominators),
        });
        inverses.then_some(numerators)
    }
}

/// Both products of each chunk of wires, of `ROWS` rows.
struct Products<'a> {
    wires: &'a [u64],
    sigmas: &'a [u64],
    points: &'a [u64],
    /// β·k of each wire.
    shifts: &'a [u64],
    beta: u64,
    gamma: u64,
    degree: usize,
    numerators: &'a mut [u64],
    denominators: &'a mut [u64],
}

impl Op for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (beta, gamma) = (s.splat(self.beta), s.splat(self.gamma));
        for at in (0..ROWS).step_by(S::WIDTH) {
            let point = s.load(&self.points[at..]);
            for (chunk, shifts) in self.shifts.chunks(self.degree).enumerate() {
                let (mut numerator, mut denominator) = (s.splat(1), s.splat(1));
                for (i, shift) in shifts.iter().enumerate() {
                    let place = (chunk * self.degree + i) * ROWS + at;
                    let wire = s.add_once(s.load(&self.wires[place..]), gamma);
                    let sigma = s.mul(s.load(&self.sigmas[place..]), beta);
                    let identity = s.mul(point, s.splat(*shift));
                    numerator = s.mul(numerator, s.add_mod(wire, identity));
                    denominator = s.mul(denominator, s.add_mod(wire, sigma));
                }
                s.store(numerator, &mut self.numerators[chunk * ROWS + at..]);
                s.store(denominator, &mut self.denominators[chunk * ROWS + at..]);
            }
        }
    }
}

/// Divides element by element; false if a divisor is zero. Lengths are multiples of `MAX_WIDTH`.
struct Divide<'a> {
    numerators: &'a mut [u64],
    denominators: &'a [u64],
}

impl Op for Divide<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> bool {
        // products[i] is the product of all divisors before vector i, lane by lane.
        let mut products = Vec::with_capacity(self.denominators.len() / S::WIDTH);
        let mut product = s.splat(1);
        for divisor in self.denominators.chunks_exact(S::WIDTH) {
            products.push(product);
            product = s.mul(product, s.load(divisor));
        }
        let mut lanes = [1; MAX_WIDTH];
        s.store(product, &mut lanes);
        for lane in &mut lanes {
            match F::from_noncanonical_u64(*lane).try_inverse() {
                Some(inverse) => *lane = inverse.0,
                None => return false,
            }
        }
        let mut inverse = s.load(&lanes);
        let values = self.numerators.chunks_exact_mut(S::WIDTH);
        let divisors = self.denominators.chunks_exact(S::WIDTH);
        for ((value, divisor), product) in values.zip(divisors).zip(products).rev() {
            s.store(s.mul(s.load(value), s.mul(inverse, product)), value);
            inverse = s.mul(inverse, s.load(divisor));
        }
        true
    }
}
