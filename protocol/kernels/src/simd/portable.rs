//! Four lanes of plain integers. No instruction set is asked for; products are made of 32-bit
//! halves as in the vector kernels, so that the compiler may use whatever vectors its target has.

use super::{EPSILON, MAX_WIDTH, Op, P, Simd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

const LANES: usize = 4;
type V = [u64; LANES];

#[inline(always)]
fn map(a: V, f: impl Fn(u64) -> u64) -> V {
    [f(a[0]), f(a[1]), f(a[2]), f(a[3])]
}

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(u64, u64) -> u64) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// Seventh powers modulo p. A function of its own, because the compiler makes vectors of what is
/// stored side by side, or of loops: within a permutation it finds neither and multiplies lane by
/// lane. Short loops, one step of all elements each, keep products that do not wait for each other
/// side by side.
#[inline(never)]
fn seventh_powers<const N: usize>(vectors: &mut [V; N]) {
    let mut powers = *vectors;
    let (elements, powers) = (vectors.as_flattened_mut(), powers.as_flattened_mut());
    for power in &mut *powers {
        *power = square(*power);
    }
    for (element, power) in elements.iter_mut().zip(&*powers) {
        *element = product(*element, *power);
    }
    for power in &mut *powers {
        *power = square(*power);
    }
    for (element, power) in elements.iter_mut().zip(&*powers) {
        *element = product(*element, *power);
    }
}

/// As `Simd::mul`, of one lane.
#[inline(always)]
fn product(a: u64, b: u64) -> u64 {
    let (a0, a1, b0, b1) = (a & EPSILON, a >> 32, b & EPSILON, b >> 32);
    let (p00, p01, p10, p11) = (a0 * b0, a0 * b1, a1 * b0, a1 * b1);
    let middle = p10.wrapping_add(p00 >> 32);
    let carry = p01.wrapping_add(middle & EPSILON);
    let high = p11.wrapping_add(middle >> 32).wrapping_add(carry >> 32);
    reduce(high, (carry << 32) | (p00 & EPSILON))
}

/// As `Simd::square`, of one lane.
#[inline(always)]
fn square(a: u64) -> u64 {
    let (a0, a1) = (a & EPSILON, a >> 32);
    let (p00, p01, p11) = (a0 * a0, a0 * a1, a1 * a1);
    let carry = p01.wrapping_add(p00 >> 33);
    let high = p11.wrapping_add(carry >> 31);
    reduce(high, (p01 << 33).wrapping_add(p00))
}

/// As `Simd::reduce`, of one lane. With the highest bit flipped an unsigned comparison is a signed
/// one, which vectors have.
#[inline(always)]
fn reduce(high: u64, low: u64) -> u64 {
    const FLIP: u64 = 1 << 63;
    let low = (low ^ FLIP).cast_signed();
    let mut difference = low.wrapping_sub((high >> 32).cast_signed());
    if difference > low {
        difference = difference.wrapping_sub(EPSILON.cast_signed());
    }
    let term = (high & EPSILON) * EPSILON;
    let mut sum = difference.wrapping_add(term.cast_signed());
    if sum < difference {
        sum = sum.wrapping_add(EPSILON.cast_signed());
    }
    sum.cast_unsigned() ^ FLIP
}

#[inline(always)]
fn add_once(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(EPSILON * u64::from(carry))
}

#[inline(always)]
fn sub_once(a: u64, b: u64) -> u64 {
    let (difference, borrow) = a.overflowing_sub(b);
    difference.wrapping_sub(EPSILON * u64::from(borrow))
}

impl Simd for Portable {
    type V = V;
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        op.run(self)
    }

    #[inline(always)]
    fn splat(self, x: u64) -> V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[u64]) -> V {
        [from[0], from[1], from[2], from[3]]
    }

    #[inline(always)]
    fn store(self, v: V, to: &mut [u64]) {
        to[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, u64::wrapping_add)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, u64::wrapping_sub)
    }

    #[inline(always)]
    fn shl<const K: u32>(self, a: V) -> V {
        map(a, |x| x << K)
    }

    #[inline(always)]
    fn shr<const K: u32>(self, a: V) -> V {
        map(a, |x| x >> K)
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn low(self, a: V) -> V {
        map(a, |x| x & EPSILON)
    }

    #[inline(always)]
    fn mul_low(self, a: V, b: V) -> V {
        zip(a, b, |a, b| (a & EPSILON) * (b & EPSILON))
    }

    #[inline(always)]
    fn add_once(self, a: V, b: V) -> V {
        zip(a, b, add_once)
    }

    #[inline(always)]
    fn sub_once(self, a: V, b: V) -> V {
        zip(a, b, sub_once)
    }

    #[inline(always)]
    fn canonical(self, a: V) -> V {
        map(a, |x| if x < P { x } else { x - P })
    }

    #[inline(always)]
    fn seventh_powers<const N: usize>(self, elements: &mut [V; N]) {
        seventh_powers(elements);
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [V; MAX_WIDTH]) {
        let old = *rows;
        for (i, row) in rows.iter_mut().enumerate().take(LANES) {
            *row = [old[0][i], old[1][i], old[2][i], old[3][i]];
        }
    }
}
