//! Four lanes with AVX2.
//!
//! Safety of every intrinsic here: an `Avx2` exists only where `detect` has seen that the processor
//! has AVX2 (its field is private to this file), and each operation takes one. None but `load` and
//! `store` touches memory, and these check the slice's length first; their instructions demand no
//! alignment.

use core::arch::x86_64::*;

use super::{EPSILON, MAX_WIDTH, Op, P, Simd};

/// The processor has AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// EPSILON where a < b, as unsigned numbers, otherwise 0.
    #[inline(always)]
    fn epsilon_if_less(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as the module says. AVX2 compares signed numbers only; flipping both signs
        // makes that the unsigned comparison.
        unsafe {
            let sign = _mm256_set1_epi64x(i64::MIN);
            let less = _mm256_cmpgt_epi64(_mm256_xor_si256(b, sign), _mm256_xor_si256(a, sign));
            _mm256_srli_epi64::<32>(less)
        }
    }
}

/// Safety: the processor has AVX2, which an `Avx2` proves.
#[target_feature(enable = "avx2")]
unsafe fn compiled<O: Op>(s: Avx2, op: O) -> O::Output {
    op.run(s)
}

impl Simd for Avx2 {
    type V = __m256i;
    const WIDTH: usize = 4;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        // SAFETY: `self` proves what `compiled` demands.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: u64) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_set1_epi64x(x.cast_signed()) }
    }

    #[inline(always)]
    fn load(self, from: &[u64]) -> __m256i {
        assert!(from.len() >= Self::WIDTH);
        // SAFETY: four elements are there to be read.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: __m256i, to: &mut [u64]) {
        assert!(to.len() >= Self::WIDTH);
        // SAFETY: four elements are there to be written.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_sub_epi64(a, b) }
    }

    #[inline(always)]
    fn shl<const K: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: as the module says. The count is at most 63.
        unsafe { _mm256_sll_epi64(a, _mm_cvtsi32_si128(K as i32)) }
    }

    #[inline(always)]
    fn shr<const K: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: as the module says. The count is at most 63.
        unsafe { _mm256_srl_epi64(a, _mm_cvtsi32_si128(K as i32)) }
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    fn low(self, a: __m256i) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_blend_epi32::<0b1010_1010>(a, _mm256_setzero_si256()) }
    }

    #[inline(always)]
    fn mul_low(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as the module says.
        unsafe { _mm256_mul_epu32(a, b) }
    }

    #[inline(always)]
    fn join(self, high: __m256i, low: __m256i) -> __m256i {
        // SAFETY: as the module says. The upper half of each lane is its odd 32-bit element.
        unsafe { _mm256_blend_epi32::<0b1010_1010>(low, _mm256_slli_epi64::<32>(high)) }
    }

    #[inline(always)]
    fn add_once(self, a: __m256i, b: __m256i) -> __m256i {
        let sum = self.add(a, b);
        self.add(sum, self.epsilon_if_less(sum, a))
    }

    #[inline(always)]
    fn sub_once(self, a: __m256i, b: __m256i) -> __m256i {
        self.sub(self.sub(a, b), self.epsilon_if_less(a, b))
    }

    #[inline(always)]
    fn canonical(self, a: __m256i) -> __m256i {
        // SAFETY: as the module says. From p on, the upper half is all ones and the lower one at
        // least 1: then EPSILON added wraps to the value less p.
        unsafe {
            let top = _mm256_set1_epi64x((P - 1).cast_signed());
            let sign = _mm256_set1_epi64x(i64::MIN);
            let over = _mm256_cmpgt_epi64(_mm256_xor_si256(a, sign), _mm256_xor_si256(top, sign));
            let epsilon = _mm256_set1_epi64x(EPSILON.cast_signed());
            _mm256_add_epi64(a, _mm256_and_si256(over, epsilon))
        }
    }

    #[inline(always)]
    fn reduce(self, high: __m256i, low: __m256i) -> __m256i {
        // SAFETY: as the module says. Bounds as in `Simd::reduce`; with the highest bits flipped
        // both comparisons are signed, and what is compared is flipped already.
        unsafe {
            let flip = _mm256_set1_epi64x(i64::MIN);
            let epsilon = _mm256_set1_epi64x(EPSILON.cast_signed());
            let low = _mm256_xor_si256(low, flip);
            let difference = self.sub(low, self.shr::<32>(high));
            let borrowed = self.shr::<32>(_mm256_cmpgt_epi64(difference, low));
            let difference = self.sub(difference, borrowed);
            let sum = self.add(difference, _mm256_mul_epu32(high, epsilon));
            let carried = self.shr::<32>(_mm256_cmpgt_epi64(difference, sum));
            _mm256_xor_si256(self.add(sum, carried), flip)
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m256i; MAX_WIDTH]) {
        // SAFETY: as the module says.
        unsafe {
            let [a, b, c, d, ..] = *rows;
            let (a, b) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            let (c, d) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
            rows[0] = _mm256_permute2x128_si256::<0x20>(a, c);
            rows[1] = _mm256_permute2x128_si256::<0x20>(b, d);
            rows[2] = _mm256_permute2x128_si256::<0x31>(a, c);
            rows[3] = _mm256_permute2x128_si256::<0x31>(b, d);
        }
    }
}
