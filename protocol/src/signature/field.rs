//! GF(p⁵) = GF(p)\[z\]/(z⁵ − 3) over Goldilocks, p = 2^64 − 2^32 + 1.
//!
//! Plonky2's `QuinticExtension` is the same field; here no operation but `sqrt`, `is_square` and
//! `is_zero` has a branch or an index that depends on a value, so secrets may pass through: carries
//! become masks.

use plonky2::field::types::PrimeField64;

use crate::hash::{F, unsigned};

const P: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod p.
const EPSILON: u64 = 0xffff_ffff;
/// 3^((p − 1)/5): z^p = z·ROOT, so the Frobenius map multiplies coefficient i by ROOT^i.
const ROOT: [u64; 5] = [
    1,
    1_041_288_259_238_279_555,
    15_820_824_984_080_659_046,
    211_587_555_138_949_697,
    1_373_043_270_956_696_022,
];
/// 7^(2^32 − 1), 7 being a generator: of order 2^32.
const ORDER_32: u64 = 1_753_635_133_440_165_772;

/// An element as canonical residues, constant coefficient first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fp5([u64; 5]);

impl Fp5 {
    pub const ZERO: Self = Self([0; 5]);
    pub const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// `None` where a coefficient is p or more.
    pub fn new(coefficients: [u64; 5]) -> Option<Self> {
        let is_canonical = coefficients.iter().all(|c| *c < P);
        is_canonical.then_some(Self(coefficients))
    }

    /// Coefficients that their author knows to be below p.
    pub(super) const fn constant(coefficients: [u64; 5]) -> Self {
        Self(coefficients)
    }

    pub const fn coefficients(self) -> [u64; 5] {
        self.0
    }

    /// In variable time: for comparisons of what is public.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 5]
    }

    /// All ones where the element is 0, else 0.
    #[inline]
    pub(super) fn zero_mask(&self) -> u64 {
        let [a, b, c, d, e] = self.0;
        let any = a | b | c | d | e;
        let is_nonzero = (any | any.wrapping_neg()) >> 63;
        is_nonzero.wrapping_sub(1)
    }

    /// `self` where the mask is 0, `other` where it is all ones.
    #[inline]
    pub(super) fn select(&self, other: &Self, mask: u64) -> Self {
        let mut out = *self;
        for (to, from) in out.0.iter_mut().zip(other.0) {
            *to ^= (*to ^ from) & mask;
        }
        out
    }

    #[inline]
    pub fn add(&self, other: &Self) -> Self {
        self.zip(other, add)
    }

    #[inline]
    pub fn sub(&self, other: &Self) -> Self {
        self.zip(other, sub)
    }

    #[inline]
    pub fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline]
    pub fn double(&self) -> Self {
        self.add(self)
    }

    #[inline]
    fn zip(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        Self([f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3), f(a4, b4)])
    }

    /// By a small constant.
    #[inline]
    pub fn times(&self, factor: u32) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let f = u64::from(factor);
        Self([mul(a0, f), mul(a1, f), mul(a2, f), mul(a3, f), mul(a4, f)])
    }

    /// By factor·z; 3·factor has to fit a u32.
    #[inline]
    pub(super) fn times_z(&self, factor: u32) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let f = u64::from(factor);
        let f3 = f.wrapping_mul(3);
        Self([mul(a4, f3), mul(a0, f), mul(a1, f), mul(a2, f), mul(a3, f)])
    }

    #[inline]
    pub fn mul(&self, other: &Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        let (c1, c2, c3, c4) = (triple(b1), triple(b2), triple(b3), triple(b4));
        Self([
            dot([a0, a1, a2, a3, a4], [b0, c4, c3, c2, c1]),
            dot([a0, a1, a2, a3, a4], [b1, b0, c4, c3, c2]),
            dot([a0, a1, a2, a3, a4], [b2, b1, b0, c4, c3]),
            dot([a0, a1, a2, a3, a4], [b3, b2, b1, b0, c4]),
            dot([a0, a1, a2, a3, a4], [b4, b3, b2, b1, b0]),
        ])
    }

    #[inline]
    pub fn square(&self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        let (d1, d2, d3, d4) = (add(a1, a1), add(a2, a2), add(a3, a3), add(a4, a4));
        let (t3, t4) = (add(a3, d3), add(a4, d4));
        let (s3, s4) = (add(t3, t3), add(t4, t4));
        Self([
            dot([a0, a1, a2], [a0, s4, s3]),
            dot([a0, a2, a3], [d1, s4, t3]),
            dot([a0, a1, a3], [d2, a1, s4]),
            dot([a0, a1, a4], [d3, d2, t4]),
            dot([a0, a1, a2], [d4, d3, a2]),
        ])
    }

    /// 0 for 0.
    pub fn inverse(&self) -> Self {
        let (rest, norm) = self.norm();
        let n = inverse(norm);
        let [r0, r1, r2, r3, r4] = rest.0;
        Self([mul(r0, n), mul(r1, n), mul(r2, n), mul(r3, n), mul(r4, n)])
    }

    /// (a^(r−1), a^r) with r = 1 + p + p² + p³ + p⁴; the latter is in GF(p).
    fn norm(&self) -> (Self, u64) {
        let first = self.frobenius();
        let pair = first.mul(&first.frobenius());
        let rest = pair.mul(&pair.frobenius().frobenius());
        (rest, self.constant_term(&rest))
    }

    fn frobenius(&self) -> Self {
        self.zip(&Self(ROOT), mul)
    }

    /// Of a product.
    fn constant_term(&self, other: &Self) -> u64 {
        let [b0, b1, b2, b3, b4] = other.0;
        dot(self.0, [b0, triple(b4), triple(b3), triple(b2), triple(b1)])
    }

    /// Whether a square root exists: a is one iff its norm is one in GF(p), since r is odd.
    pub fn is_square(&self) -> bool {
        let (_, norm) = self.norm();
        let root = power_31(norm);
        is_square_from(norm, root)
    }

    /// A square root; which of the two is fixed by the algorithm. Variable time.
    ///
    /// With e = a^((r−1)/2): a·e² = a^r is in GF(p); if s² = a^r then (a·e/s)² = a.
    pub fn sqrt(&self) -> Option<Self> {
        if self.is_zero() {
            return Some(Self::ZERO);
        }
        // (r − 1)/2 = p·(1 + p²)·(p + 1)/2, and (p + 1)/2 = (2^32 − 1)·2^31 + 1.
        let half = self.squared(31, &self.power_32()).mul(self);
        let e = half.mul(&half.frobenius().frobenius()).frobenius();
        let norm = self.constant_term(&e.square());
        let s = sqrt(norm)?;
        let root = self.mul(&e);
        let i = inverse(s);
        let [r0, r1, r2, r3, r4] = root.0;
        Some(Self([
            mul(r0, i),
            mul(r1, i),
            mul(r2, i),
            mul(r3, i),
            mul(r4, i),
        ]))
    }

    /// a^(2^32 − 1).
    fn power_32(&self) -> Self {
        let mut power = *self;
        for doubling in 0..5 {
            power = self.squared(1 << doubling, &power).mul(&power);
        }
        power
    }

    /// value^(2^times).
    fn squared(&self, times: u32, value: &Self) -> Self {
        let mut value = *value;
        for _ in 0..times {
            value = value.square();
        }
        value
    }
}

impl From<[F; 5]> for Fp5 {
    fn from(elements: [F; 5]) -> Self {
        Self(elements.map(|element| element.to_canonical_u64()))
    }
}

impl From<Fp5> for [F; 5] {
    fn from(value: Fp5) -> Self {
        value.0.map(unsigned)
    }
}

/// Canonical summands, canonical sum.
#[inline]
fn add(a: u64, b: u64) -> u64 {
    sub(a, P.wrapping_sub(b))
}

/// a < p, b ≤ p, canonical difference.
#[inline]
fn sub(a: u64, b: u64) -> u64 {
    let (difference, borrow) = a.overflowing_sub(b);
    difference.wrapping_add(P & mask(borrow))
}

#[inline]
fn triple(a: u64) -> u64 {
    add(a, add(a, a))
}

#[inline]
fn mul(a: u64, b: u64) -> u64 {
    reduce(u128::from(a).wrapping_mul(u128::from(b)), 0)
}

/// Σ aᵢ·bᵢ of at most five products: below 5·2^128.
#[inline]
fn dot<const N: usize>(a: [u64; N], b: [u64; N]) -> u64 {
    let (mut sum, mut top) = (0u128, 0u64);
    for (a, b) in a.into_iter().zip(b) {
        let product = u128::from(a).wrapping_mul(u128::from(b));
        let (next, carry) = sum.overflowing_add(product);
        sum = next;
        top = top.wrapping_add(carry.into());
    }
    reduce(sum, top)
}

/// low + top·2^128 mod p, for top ≤ 4: 2^64 = 2^32 − 1, 2^96 = −1 and 2^128 = −2^32.
#[inline]
fn reduce(low: u128, top: u64) -> u64 {
    let high = (low >> 64) as u64;
    // Below 2^32 + 4·2^32.
    let minus = (high >> 32).wrapping_add(top << 32);
    let (value, borrow) = (low as u64).overflowing_sub(minus);
    // After a borrow the value is above 2^64 − 2^35, so this does not wrap.
    let value = value.wrapping_sub(EPSILON & mask(borrow));
    let plus = (high & EPSILON).wrapping_mul(EPSILON);
    let (value, carry) = value.overflowing_add(plus);
    // After a carry the value is below `plus` ≤ (2^32 − 1)², so this does not wrap.
    let value = value.wrapping_add(EPSILON & mask(carry));
    let (reduced, borrow) = value.overflowing_sub(P);
    reduced.wrapping_add(P & mask(borrow))
}

#[inline]
fn mask(bit: bool) -> u64 {
    u64::from(bit).wrapping_neg()
}

/// a^(p − 2); p − 2 = (2^31 − 1)·2^33 + 2^32 − 1.
fn inverse(a: u64) -> u64 {
    let power_31 = power_31(a);
    let power_32 = mul(mul(power_31, power_31), a);
    mul(squared(power_31, 33), power_32)
}

/// a^(2^31 − 1).
fn power_31(a: u64) -> u64 {
    let p2 = mul(squared(a, 1), a);
    let p3 = mul(squared(p2, 1), a);
    let p6 = mul(squared(p3, 3), p3);
    let p12 = mul(squared(p6, 6), p6);
    let p24 = mul(squared(p12, 12), p12);
    let p30 = mul(squared(p24, 6), p6);
    mul(squared(p30, 1), a)
}

fn squared(mut a: u64, times: u32) -> u64 {
    for _ in 0..times {
        a = mul(a, a);
    }
    a
}

/// From a and a^(2^31 − 1): a^((p − 1)/2) is 1, or a is 0.
fn is_square_from(a: u64, power_31: u64) -> bool {
    let odd = mul(mul(power_31, power_31), a);
    squared(odd, 31) <= 1
}

/// Tonelli and Shanks: p − 1 = 2^32·(2^32 − 1).
fn sqrt(a: u64) -> Option<u64> {
    let power = power_31(a);
    if !is_square_from(a, power) {
        return None;
    }
    let mut root = mul(a, power);
    let mut rest = mul(root, power);
    let mut unit = ORDER_32;
    // root² = a·rest; the order of `rest` divides 2^(k + 1), that of `unit` is twice it.
    for k in (0..31).rev() {
        if squared(rest, k) > 1 {
            root = mul(root, unit);
            unit = mul(unit, unit);
            rest = mul(rest, unit);
        } else {
            unit = mul(unit, unit);
        }
    }
    Some(root)
}
