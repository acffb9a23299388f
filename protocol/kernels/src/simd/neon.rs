//! Two vectors of two lanes with NEON, side by side for their independence.
//!
//! Safety of every intrinsic here: a `Neon` exists only where `detect` has seen that the processor
//! has NEON (its field is private to this file), and each operation takes one. None but `load` and
//! `store` touches memory, and these check the slice's length first.
//!
//! NEON multiplies 32 by 32 bits only, so the products of whole lanes go through the wide scalar
//! multiplication (`Portable`'s); the sums and shifts of the linear layers are what it speeds up.

use core::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::{EPSILON, MAX_WIDTH, Op, P, Portable, Simd};

/// The processor has NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

type V = [uint64x2_t; 2];

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    #[inline(always)]
    fn lanes(self, v: V) -> [u64; 4] {
        let mut lanes = [0; 4];
        self.store(v, &mut lanes);
        lanes
    }
}

/// Both vectors shifted by an immediate, for the counts that this crate's algorithms have; by one
/// in a register for others. Miri knows the former only.
macro_rules! shifted {
    ($by:ident, $count:expr, $of:expr, $signed:expr) => {
        shifted!($by, $count, $of, $signed, 1 2 3 4 22 31 32 33 44)
    };
    ($by:ident, $count:expr, $of:expr, $signed:expr, $($known:literal)*) => {
        match $count {
            $($known => [$by::<$known>($of[0]), $by::<$known>($of[1])],)*
            _ => {
                let count = vdupq_n_s64($signed);
                [vshlq_u64($of[0], count), vshlq_u64($of[1], count)]
            }
        }
    };
}

/// Safety: the processor has NEON, which a `Neon` proves.
#[target_feature(enable = "neon")]
unsafe fn compiled<O: Op>(s: Neon, op: O) -> O::Output {
    op.run(s)
}

impl Simd for Neon {
    type V = V;
    const WIDTH: usize = 4;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        // SAFETY: `self` proves what `compiled` demands.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: u64) -> V {
        // SAFETY: as the module says.
        unsafe { [vdupq_n_u64(x), vdupq_n_u64(x)] }
    }

    #[inline(always)]
    fn load(self, from: &[u64]) -> V {
        assert!(from.len() >= Self::WIDTH);
        // SAFETY: four elements are there to be read.
        unsafe { [vld1q_u64(from.as_ptr()), vld1q_u64(from.as_ptr().add(2))] }
    }

    #[inline(always)]
    fn store(self, v: V, to: &mut [u64]) {
        assert!(to.len() >= Self::WIDTH);
        // SAFETY: four elements are there to be written.
        unsafe {
            vst1q_u64(to.as_mut_ptr(), v[0]);
            vst1q_u64(to.as_mut_ptr().add(2), v[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        // SAFETY: as the module says.
        unsafe { [vaddq_u64(a[0], b[0]), vaddq_u64(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        // SAFETY: as the module says.
        unsafe { [vsubq_u64(a[0], b[0]), vsubq_u64(a[1], b[1])] }
    }

    #[inline(always)]
    fn shl<const K: u32>(self, a: V) -> V {
        // SAFETY: as the module says.
        unsafe { shifted!(vshlq_n_u64, K, a, i64::from(K)) }
    }

    #[inline(always)]
    fn shr<const K: u32>(self, a: V) -> V {
        // SAFETY: as the module says. A negative count shifts to the right.
        unsafe { shifted!(vshrq_n_u64, K, a, -i64::from(K)) }
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        // SAFETY: as the module says.
        unsafe { [vandq_u64(a[0], b[0]), vandq_u64(a[1], b[1])] }
    }

    #[inline(always)]
    fn low(self, a: V) -> V {
        // SAFETY: as the module says.
        unsafe {
            let mask = vdupq_n_u64(EPSILON);
            [vandq_u64(a[0], mask), vandq_u64(a[1], mask)]
        }
    }

    #[inline(always)]
    fn mul_low(self, a: V, b: V) -> V {
        // SAFETY: as the module says.
        unsafe {
            let product = |a, b| vmull_u32(vmovn_u64(a), vmovn_u64(b));
            [product(a[0], b[0]), product(a[1], b[1])]
        }
    }

    #[inline(always)]
    fn add_once(self, a: V, b: V) -> V {
        // SAFETY: as the module says. A comparison's all ones, shifted, are EPSILON.
        unsafe {
            let half = |a, b| {
                let sum = vaddq_u64(a, b);
                vaddq_u64(sum, vshrq_n_u64::<32>(vcltq_u64(sum, a)))
            };
            [half(a[0], b[0]), half(a[1], b[1])]
        }
    }

    #[inline(always)]
    fn sub_once(self, a: V, b: V) -> V {
        // SAFETY: as the module says. A comparison's all ones, shifted, are EPSILON.
        unsafe {
            let half = |a, b| vsubq_u64(vsubq_u64(a, b), vshrq_n_u64::<32>(vcltq_u64(a, b)));
            [half(a[0], b[0]), half(a[1], b[1])]
        }
    }

    #[inline(always)]
    fn canonical(self, a: V) -> V {
        // SAFETY: as the module says.
        unsafe {
            let p = vdupq_n_u64(P);
            let half = |a| vsubq_u64(a, vandq_u64(vcgeq_u64(a, p), p));
            [half(a[0]), half(a[1])]
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [V; MAX_WIDTH]) {
        let mut lanes = rows.map(|row| self.lanes(row));
        Portable.transpose(&mut lanes);
        for (row, lanes) in rows.iter_mut().zip(lanes) {
            *row = self.load(&lanes);
        }
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        self.load(&Portable.mul(self.lanes(a), self.lanes(b)))
    }

    #[inline(always)]
    fn square(self, a: V) -> V {
        self.mul(a, a)
    }
}
