//! Transforms between coefficients and values, without a bit reversal on the way.
//!
//! Coefficients are kept with the bits of their index reversed: interpolation leaves them so, and
//! evaluation wants them so. An extension is one transform for each coset of the small subgroup,
//! its values in the order of the subgroup's elements (`tree::Domain`'s blocks).
//!
//! Values may be any representation on the way in, and are on the way out.

use plonky2::field::types::Field;
use tally_kernels::raw::{raw, raw_mut};
use tally_kernels::simd::{Kernel, MAX_WIDTH, Op, Simd};

use crate::F;
use crate::tree::{Domain, reverse};

/// Larger transforms are split into quarters: half of a first-level cache of 48 kB or more.
const CACHED: usize = 1 << 11;

/// Roots of unity of all orders up to a transform's: place h + j is the j-th power of the root of
/// order 2h, for j < h.
#[derive(Debug)]
pub(crate) struct Roots {
    forward: Vec<F>,
    backward: Vec<F>,
}

impl Roots {
    pub(crate) fn new(bits: usize) -> Self {
        let table = |inverse: bool| {
            let mut table = vec![F::ONE; 1 << bits];
            for level in 0..bits {
                let root = F::primitive_root_of_unity(level + 1);
                let root = if inverse { root.inverse() } else { root };
                let half = 1 << level;
                for (entry, power) in table[half..2 * half].iter_mut().zip(root.powers()) {
                    *entry = canonical(power);
                }
            }
            table
        };
        Self {
            forward: table(false),
            backward: table(true),
        }
    }

    /// Values on the subgroup, in its order, from coefficients.
    pub(crate) fn evaluate(&self, kernel: Kernel, values: &mut [F]) {
        kernel.apply(Evaluate {
            values: raw_mut(values),
            roots: raw(&self.forward),
        });
    }

    /// Coefficients from values on the subgroup.
    pub(crate) fn interpolate(&self, kernel: Kernel, values: &mut [F]) {
        let scale = F::inverse_2exp(values.len().trailing_zeros() as usize);
        kernel.apply(Interpolate {
            values: raw_mut(values),
            roots: raw(&self.backward),
        });
        kernel.apply(Scale {
            values: raw_mut(values),
            factor: canonical(scale).0,
        });
    }
}

/// How a polynomial is extended: the factors of coefficients for each coset.
#[derive(Debug)]
pub(crate) struct Extension {
    domain: Domain,
    /// Powers of the shift.
    shift: Vec<F>,
    /// For each bit of the coset's index, powers of the root that it contributes.
    bits: Vec<Vec<F>>,
}

impl Extension {
    /// To the cosets of `shift` times the powers of the root of the domain's order.
    pub(crate) fn new(kernel: Kernel, domain: Domain, shift: F) -> Self {
        let root = F::primitive_root_of_unity(domain.bits());
        let powers = |base: F| reversed_powers(kernel, base, domain.block_bits);
        Self {
            domain,
            shift: powers(shift),
            bits: (0..domain.rate_bits)
                .map(|bit| powers(root.exp_power_of_2(bit)))
                .collect(),
        }
    }

    pub(crate) fn domain(&self) -> Domain {
        self.domain
    }

    /// All values of a polynomial, from its coefficients.
    pub(crate) fn extend(&self, kernel: Kernel, roots: &Roots, coeffs: &[F], values: &mut [F]) {
        let block = self.domain.block();
        multiply(kernel, coeffs, &self.shift, &mut values[..block]);
        for (bit, factors) in self.bits.iter().enumerate() {
            let (done, rest) = values.split_at_mut(block << bit);
            for (from, to) in done.chunks_exact(block).zip(rest.chunks_exact_mut(block)) {
                multiply(kernel, from, factors, to);
            }
        }
        for block in values.chunks_exact_mut(block) {
            roots.evaluate(kernel, block);
        }
    }
}

/// The first 2^bits powers of a base, canonical, the bits of the exponent reversed.
pub(crate) fn reversed_powers(kernel: Kernel, base: F, bits: usize) -> Vec<F> {
    let mut powers = vec![F::ONE; 1 << bits];
    for done in 0..bits {
        // The next place's bit is the exponent's highest that is not done.
        let factor = canonical(base.exp_power_of_2(bits - 1 - done));
        let (low, high) = powers[..2 << done].split_at_mut(1 << done);
        high.copy_from_slice(low);
        kernel.apply(Scale {
            values: raw_mut(high),
            factor: factor.0,
        });
    }
    powers
        .iter_mut()
        .for_each(|power| *power = canonical(*power));
    powers
}

/// The elements in the order of their indices' reversed bits.
pub(crate) fn reordered<T: Copy>(elements: &[T]) -> Vec<T> {
    let bits = elements.len().trailing_zeros() as usize;
    (0..elements.len())
        .map(|i| elements[reverse(i, bits)])
        .collect()
}

pub(crate) fn canonical(x: F) -> F {
    use plonky2::field::types::PrimeField64;
    F::from_canonical_u64(x.to_canonical_u64())
}

/// Products of two slices, element by element.
pub(crate) fn multiply(kernel: Kernel, a: &[F], b: &[F], product: &mut [F]) {
    kernel.apply(Multiply {
        a: raw(a),
        b: raw(b),
        product: raw_mut(product),
    });
}

struct Multiply<'a> {
    a: &'a [u64],
    b: &'a [u64],
    product: &'a mut [u64],
}

impl Op for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut products = self.product.chunks_exact_mut(S::WIDTH);
        let (a, b) = (self.a.chunks_exact(S::WIDTH), self.b.chunks_exact(S::WIDTH));
        let rest = (a.remainder(), b.remainder());
        for ((product, a), b) in (&mut products).zip(a).zip(b) {
            s.store(s.mul(s.load(a), s.load(b)), product);
        }
        for ((product, a), b) in products.into_remainder().iter_mut().zip(rest.0).zip(rest.1) {
            *product = (F::from_noncanonical_u64(*a) * F::from_noncanonical_u64(*b)).0;
        }
    }
}

struct Scale<'a> {
    values: &'a mut [u64],
    factor: u64,
}

impl Op for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        let mut values = self.values.chunks_exact_mut(S::WIDTH);
        for values in &mut values {
            s.store(s.mul(s.load(values), factor), values);
        }
        let factor = F::from_canonical_u64(self.factor);
        for value in values.into_remainder() {
            *value = (F::from_noncanonical_u64(*value) * factor).0;
        }
    }
}

struct Evaluate<'a> {
    values: &'a mut [u64],
    roots: &'a [u64],
}

impl Op for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { values, roots } = self;
        let tile = S::WIDTH * S::WIDTH;
        if values.len() < tile {
            small_levels(values, roots, true);
            return;
        }
        let part = values.len().min(CACHED).max(tile);
        for part in values.chunks_exact_mut(part) {
            part.chunks_exact_mut(tile)
                .for_each(|tile| tile_levels(s, tile, roots, true));
            evaluate_levels(s, part, roots, S::WIDTH);
        }
        evaluate_levels(s, values, roots, part);
    }
}

struct Interpolate<'a> {
    values: &'a mut [u64],
    roots: &'a [u64],
}

impl Op for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { values, roots } = self;
        let tile = S::WIDTH * S::WIDTH;
        if values.len() < tile {
            small_levels(values, roots, false);
            return;
        }
        let part = values.len().min(CACHED).max(tile);
        interpolate_levels(s, values, roots, part);
        for part in values.chunks_exact_mut(part) {
            interpolate_levels(s, part, roots, S::WIDTH);
            part.chunks_exact_mut(tile)
                .for_each(|tile| tile_levels(s, tile, roots, false));
        }
    }
}

/// Levels from transforms of `from` elements to one of all, two at a time.
#[inline(always)]
fn evaluate_levels<S: Simd>(s: S, values: &mut [u64], roots: &[u64], from: usize) {
    let mut half = from;
    if (values.len() / from).trailing_zeros() % 2 == 1 {
        for pair in values.chunks_exact_mut(2 * half) {
            let (a, b) = pair.split_at_mut(half);
            let rows = a
                .chunks_exact_mut(S::WIDTH)
                .zip(b.chunks_exact_mut(S::WIDTH));
            for ((a, b), root) in rows.zip(roots[half..2 * half].chunks_exact(S::WIDTH)) {
                let (x, y) = forward(s, s.load(a), s.load(b), s.load(root));
                s.store(x, a);
                s.store(y, b);
            }
        }
        half *= 2;
    }
    while half < values.len() {
        for quad in values.chunks_exact_mut(4 * half) {
            quarters::<S, true>(s, quad, roots, half);
        }
        half *= 4;
    }
}

/// Levels from one transform of all to those of `to` elements, two at a time.
#[inline(always)]
fn interpolate_levels<S: Simd>(s: S, values: &mut [u64], roots: &[u64], to: usize) {
    let mut size = values.len();
    while size >= 4 * to {
        let half = size / 4;
        for quad in values.chunks_exact_mut(size) {
            quarters::<S, false>(s, quad, roots, half);
        }
        size = half;
    }
    if size > to {
        let half = size / 2;
        for pair in values.chunks_exact_mut(size) {
            let (a, b) = pair.split_at_mut(half);
            let rows = a
                .chunks_exact_mut(S::WIDTH)
                .zip(b.chunks_exact_mut(S::WIDTH));
            for ((a, b), root) in rows.zip(roots[half..2 * half].chunks_exact(S::WIDTH)) {
                let (x, y) = backward(s, s.load(a), s.load(b), s.load(root));
                s.store(x, a);
                s.store(y, b);
            }
        }
    }
}

/// Both levels that bring four vectors together, for all of four quarters.
#[inline(always)]
fn quarters<S: Simd, const EVALUATE: bool>(s: S, quad: &mut [u64], roots: &[u64], half: usize) {
    let (low, high) = quad.split_at_mut(2 * half);
    let (a, b) = low.split_at_mut(half);
    let (c, d) = high.split_at_mut(half);
    let small = &roots[half..2 * half];
    let (even, odd) = roots[2 * half..4 * half].split_at(half);
    for j in (0..half).step_by(S::WIDTH) {
        let [small, even, odd] = [s.load(&small[j..]), s.load(&even[j..]), s.load(&odd[j..])];
        let (x, y) = (s.load(&a[j..]), s.load(&b[j..]));
        let (z, w) = (s.load(&c[j..]), s.load(&d[j..]));
        let [x, y, z, w] = if EVALUATE {
            let ((x, y), (z, w)) = (forward(s, x, y, small), forward(s, z, w, small));
            let ((x, z), (y, w)) = (forward(s, x, z, even), forward(s, y, w, odd));
            [x, y, z, w]
        } else {
            let ((x, z), (y, w)) = (backward(s, x, z, even), backward(s, y, w, odd));
            let ((x, y), (z, w)) = (backward(s, x, y, small), backward(s, z, w, small));
            [x, y, z, w]
        };
        s.store(x, &mut a[j..]);
        s.store(y, &mut b[j..]);
        s.store(z, &mut c[j..]);
        s.store(w, &mut d[j..]);
    }
}

#[inline(always)]
fn forward<S: Simd>(s: S, a: S::V, b: S::V, root: S::V) -> (S::V, S::V) {
    let product = s.canonical(s.mul(b, root));
    (s.add_once(a, product), s.sub_once(a, product))
}

#[inline(always)]
fn backward<S: Simd>(s: S, a: S::V, b: S::V, root: S::V) -> (S::V, S::V) {
    let b = s.canonical(b);
    (s.add_once(a, b), s.mul(s.sub_once(a, b), root))
}

/// The levels within `WIDTH` neighbours, for `WIDTH` groups at once.
#[inline(always)]
fn tile_levels<S: Simd>(s: S, tile: &mut [u64], roots: &[u64], evaluate: bool) {
    let mut rows = [s.splat(0); MAX_WIDTH];
    for (row, values) in rows.iter_mut().zip(tile.chunks_exact(S::WIDTH)) {
        *row = s.load(values);
    }
    s.transpose(&mut rows);
    let levels = S::WIDTH.trailing_zeros();
    for level in 0..levels {
        let half = 1 << if evaluate { level } else { levels - 1 - level };
        for first in (0..S::WIDTH).step_by(2 * half) {
            for j in 0..half {
                let root = s.splat(roots[half + j]);
                let (a, b) = (rows[first + j], rows[first + j + half]);
                let (a, b) = if evaluate {
                    forward(s, a, b, root)
                } else {
                    backward(s, a, b, root)
                };
                (rows[first + j], rows[first + j + half]) = (a, b);
            }
        }
    }
    s.transpose(&mut rows);
    for (row, values) in rows.iter().zip(tile.chunks_exact_mut(S::WIDTH)) {
        s.store(*row, values);
    }
}

/// A whole transform, one element at a time.
fn small_levels(values: &mut [u64], roots: &[u64], evaluate: bool) {
    let element = F::from_noncanonical_u64;
    let levels = values.len().trailing_zeros();
    for level in 0..levels {
        let half = 1 << if evaluate { level } else { levels - 1 - level };
        for group in values.chunks_exact_mut(2 * half) {
            for j in 0..half {
                let root = element(roots[half + j]);
                let (a, b) = (element(group[j]), element(group[j + half]));
                let (a, b) = if evaluate {
                    (a + b * root, a - b * root)
                } else {
                    (a + b, (a - b) * root)
                };
                (group[j], group[j + half]) = (a.0, b.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
