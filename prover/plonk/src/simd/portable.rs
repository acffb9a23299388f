//! Four lanes of plain integers: no instruction set is asked for, and the independent lanes keep a
//! processor's multipliers busy where a single permutation would wait for its own results.

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

/// high·2^64 + low modulo p.
#[inline(always)]
fn reduce(wide: u128) -> u64 {
    let (high, low) = ((wide >> 64) as u64, wide as u64);
    let (difference, borrow) = low.overflowing_sub(high >> 32);
    // Less than 2^32 was subtracted, so a borrow leaves more than EPSILON to subtract from.
    let difference = difference.wrapping_sub(EPSILON * u64::from(borrow));
    let (sum, carry) = difference.overflowing_add((high & EPSILON) * EPSILON);
    // At most p − 1 was added, so a carry leaves less than p − 1, and EPSILON more does not wrap.
    sum.wrapping_add(EPSILON * u64::from(carry))
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
    fn low(self, a: V) -> V {
        map(a, |x| x & EPSILON)
    }

    #[inline(always)]
    fn mul_low(self, a: V, b: V) -> V {
        zip(a, b, |a, b| (a & EPSILON) * (b & EPSILON))
    }

    #[inline(always)]
    fn add_once(self, a: V, b: V) -> V {
        zip(a, b, |a, b| {
            let (sum, carry) = a.overflowing_add(b);
            sum.wrapping_add(EPSILON * u64::from(carry))
        })
    }

    #[inline(always)]
    fn sub_once(self, a: V, b: V) -> V {
        zip(a, b, |a, b| {
            let (difference, borrow) = a.overflowing_sub(b);
            difference.wrapping_sub(EPSILON * u64::from(borrow))
        })
    }

    #[inline(always)]
    fn canonical(self, a: V) -> V {
        map(a, |x| if x < P { x } else { x - P })
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [V; MAX_WIDTH]) {
        let old = *rows;
        for (i, row) in rows.iter_mut().enumerate().take(LANES) {
            *row = [old[0][i], old[1][i], old[2][i], old[3][i]];
        }
    }

    /// One wide multiplication a lane, which is what plain processors have.
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| reduce(u128::from(a) * u128::from(b)))
    }

    #[inline(always)]
    fn square(self, a: V) -> V {
        self.mul(a, a)
    }
}
