//! Eight lanes with AVX-512.
//!
//! Safety of every intrinsic here: an `Avx512` exists only where `detect` has seen that the
//! processor has AVX-512 F and DQ (its field is private to this file), and each operation takes
//! one. None but `load` and `store` touches memory, and these check the slice's length first;
//! their instructions demand no alignment.

use core::arch::x86_64::*;

use super::{EPSILON, MAX_WIDTH, Op, P, Simd};

/// The processor has AVX-512 F and DQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
        has.then_some(Self(()))
    }

    /// Lanes (0, 1) and (4, 5) of both, and (2, 3) and (6, 7) of both.
    #[inline(always)]
    fn halves(self, x: __m512i, y: __m512i) -> (__m512i, __m512i) {
        // SAFETY: as the module says.
        unsafe {
            let even = _mm512_shuffle_i64x2::<0b10_00_10_00>(x, y);
            (even, _mm512_shuffle_i64x2::<0b11_01_11_01>(x, y))
        }
    }
}

/// Safety: the processor has AVX-512 F and DQ, which an `Avx512` proves.
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn compiled<O: Op>(s: Avx512, op: O) -> O::Output {
    op.run(s)
}

impl Simd for Avx512 {
    type V = __m512i;
    const WIDTH: usize = 8;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        // SAFETY: `self` proves what `compiled` demands.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: u64) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_set1_epi64(x.cast_signed()) }
    }

    #[inline(always)]
    fn load(self, from: &[u64]) -> __m512i {
        assert!(from.len() >= Self::WIDTH);
        // SAFETY: eight elements are there to be read.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: __m512i, to: &mut [u64]) {
        assert!(to.len() >= Self::WIDTH);
        // SAFETY: eight elements are there to be written.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_sub_epi64(a, b) }
    }

    #[inline(always)]
    fn shl<const K: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_slli_epi64::<K>(a) }
    }

    #[inline(always)]
    fn shr<const K: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_srli_epi64::<K>(a) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn low(self, a: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_and_si512(a, _mm512_set1_epi64(EPSILON.cast_signed())) }
    }

    #[inline(always)]
    fn mul_low(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe { _mm512_mul_epu32(a, b) }
    }

    #[inline(always)]
    fn join(self, high: __m512i, low: __m512i) -> __m512i {
        // SAFETY: as the module says. The upper half of each lane is its odd 32-bit element.
        unsafe { _mm512_mask_shuffle_epi32::<0b10_10_00_00>(low, 0xaaaa, high) }
    }

    #[inline(always)]
    fn add_once(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe {
            let sum = _mm512_add_epi64(a, b);
            let wrapped = _mm512_cmplt_epu64_mask(sum, a);
            _mm512_mask_sub_epi64(sum, wrapped, sum, _mm512_set1_epi64(P.cast_signed()))
        }
    }

    #[inline(always)]
    fn sub_once(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as the module says.
        unsafe {
            let difference = _mm512_sub_epi64(a, b);
            let wrapped = _mm512_cmplt_epu64_mask(a, b);
            let p = _mm512_set1_epi64(P.cast_signed());
            _mm512_mask_add_epi64(difference, wrapped, difference, p)
        }
    }

    #[inline(always)]
    fn canonical(self, a: __m512i) -> __m512i {
        // SAFETY: as the module says. Below p the difference wraps to something larger.
        unsafe { _mm512_min_epu64(a, _mm512_sub_epi64(a, _mm512_set1_epi64(P.cast_signed()))) }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m512i; MAX_WIDTH]) {
        // SAFETY: as the module says.
        unsafe {
            let [a, b, c, d, e, f, g, h] = *rows;
            // Pairs of lanes, then pairs of pairs, then halves change places.
            let (a, b) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
            let (c, d) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
            let (e, f) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
            let (g, h) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
            let ((a, c), (b, d)) = (self.halves(a, c), self.halves(b, d));
            let ((e, g), (f, h)) = (self.halves(e, g), self.halves(f, h));
            let ((a, e), (b, f)) = (self.halves(a, e), self.halves(b, f));
            let ((c, g), (d, h)) = (self.halves(c, g), self.halves(d, h));
            *rows = [a, b, c, d, e, f, g, h];
        }
    }
}
