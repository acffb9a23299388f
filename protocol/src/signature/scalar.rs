//! Numbers mod n, the order of the group \[S5\].
//!
//! Nothing here branches on a value or takes an index from one, but `ScalarError`'s test of input.

use zeroize::Zeroize;

use crate::signature::curve::ORDER;

/// −1/n mod 2^64.
const NEGATED_INVERSE: u64 = 0xd78b_ef72_057b_7bdf;
/// 2^640 mod n.
const R_SQUARED: Scalar = Scalar([
    0xa010_01dc_e33d_c739,
    0x6c32_28d3_3f62_accf,
    0xd1d7_96cc_91cf_8525,
    0xaadf_ff5d_1574_c1d8,
    0x4aca_13b2_8ca2_51f5,
]);

/// Bytes of a scalar, lowest first.
pub const SCALAR_BYTES: usize = 40;

/// Below n, limbs of 64 bits, lowest first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scalar([u64; 5]);

impl Scalar {
    pub const ZERO: Self = Self([0; 5]);

    /// `None` where the number is n or more: s + n is no other name of s.
    pub fn new(limbs: [u64; 5]) -> Option<Self> {
        let (_, borrow) = subtract(limbs, ORDER);
        borrow.then_some(Self(limbs))
    }

    pub fn limbs(&self) -> [u64; 5] {
        self.0
    }

    pub fn from_bytes(bytes: &[u8; SCALAR_BYTES]) -> Option<Self> {
        Self::new(limbs(bytes))
    }

    pub fn to_bytes(self) -> [u8; SCALAR_BYTES] {
        let mut bytes = [0; SCALAR_BYTES];
        for (to, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// 512 bits mod n: from uniform bits, uniform but for 2^-193.
    pub fn reduce(bytes: &[u8; 64]) -> Self {
        let (low, high) = bytes.split_at(SCALAR_BYTES);
        // 2^320 < 2n + 2^288, so twice is enough.
        let low = Self(minus_order(minus_order(limbs(low))));
        low.add(&Self(limbs(high)).montgomery(&R_SQUARED))
    }

    pub fn is_zero(&self) -> bool {
        let [a, b, c, d, e] = self.0;
        a | b | c | d | e == 0
    }

    pub fn add(&self, other: &Self) -> Self {
        let mut sum = [0; 5];
        let mut carry = false;
        for ((to, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            let (partial, first) = a.overflowing_add(b);
            let (whole, second) = partial.overflowing_add(carry.into());
            (*to, carry) = (whole, first | second);
        }
        // Below 2n < 2^320: no carry is left.
        Self(minus_order(sum))
    }

    pub fn mul(&self, other: &Self) -> Self {
        self.montgomery(&R_SQUARED).montgomery(other)
    }

    /// a·b/2^320; a < 2^320, b < n.
    fn montgomery(&self, other: &Self) -> Self {
        let mut sum = [0u64; 6];
        for a in self.0 {
            accumulate(&mut sum, a, &other.0);
            let [lowest, ..] = sum;
            accumulate(&mut sum, lowest.wrapping_mul(NEGATED_INVERSE), &ORDER);
            let [_, s1, s2, s3, s4, s5] = sum;
            sum = [s1, s2, s3, s4, s5, 0];
        }
        // Below 2n < 2^320.
        let [s0, s1, s2, s3, s4, _] = sum;
        Self(minus_order([s0, s1, s2, s3, s4]))
    }
}

impl From<u128> for Scalar {
    fn from(value: u128) -> Self {
        Self([value as u64, (value >> 64) as u64, 0, 0, 0])
    }
}

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A scalar may be a secret.
impl core::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Scalar(..)")
    }
}

/// sum + a·b, which stays below 2^384 in `montgomery`: the sum there is below 2n·2^64.
#[inline]
fn accumulate(sum: &mut [u64; 6], a: u64, b: &[u64; 5]) {
    let mut carry = 0u64;
    let [low @ .., top] = sum;
    for (to, b) in low.iter_mut().zip(b) {
        let term = u128::from(a)
            .wrapping_mul(u128::from(*b))
            .wrapping_add(u128::from(*to))
            .wrapping_add(u128::from(carry));
        (*to, carry) = (term as u64, (term >> 64) as u64);
    }
    *top = top.wrapping_add(carry);
}

/// a − n, or a where that is negative.
fn minus_order(a: [u64; 5]) -> [u64; 5] {
    let (mut out, borrow) = subtract(a, ORDER);
    let keep = u64::from(borrow).wrapping_neg();
    for (to, a) in out.iter_mut().zip(a) {
        *to ^= (*to ^ a) & keep;
    }
    out
}

fn subtract(a: [u64; 5], b: [u64; 5]) -> ([u64; 5], bool) {
    let mut out = [0; 5];
    let mut borrow = false;
    for ((to, a), b) in out.iter_mut().zip(a).zip(b) {
        let (partial, first) = a.overflowing_sub(b);
        let (whole, second) = partial.overflowing_sub(borrow.into());
        (*to, borrow) = (whole, first | second);
    }
    (out, borrow)
}

/// Lowest first; at most 40 bytes.
fn limbs(bytes: &[u8]) -> [u64; 5] {
    let mut out = [0u64; 5];
    for (to, bytes) in out.iter_mut().zip(bytes.chunks(8)) {
        let number = |acc: u64, byte: &u8| (acc << 8) | u64::from(*byte);
        *to = bytes.iter().rev().fold(0, number);
    }
    out
}
