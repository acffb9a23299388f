//! Products of two totals, compared exactly: |e| < 2^62 times 0 ≤ r < 2^60, by limbs of 32 and 30
//! bits [N5], [L4], [Q4].
//!
//! With e = e₀ + 2^32·e₁ (0 ≤ e₀ < 2^32, |e₁| ≤ 2^30) and r = r₀ + 2^30·r₁ (limbs below 2^30):
//!   e·r = e₀r₀ + 2^30·e₀r₁ + 2^32·e₁r₀ + 2^62·e₁r₁,
//! where e₀r₀ = x + 2^32·y and e₀r₁ = x' + 2^32·y' are split by one lane each, so
//!   e·r = (x + 2^30·x') + 2^32·(y + e₁r₀) + 2^62·(y' + e₁r₁) = S + 2^32·V + 2^62·W.
//! Of a difference of two products: |S| < 2^62 + 2^32; |V| < 2^61 − 2^31, because |e| < 2^62 keeps
//! e₁ < 2^30;
//! |W| < 2^61 + 2^31.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::hash::unsigned;

use super::range::{assert_lt, check_32, check_62, split, split_low};
use crate::hint::{as_signed, from_signed};
use crate::{Builder, F};

/// e·r with |e| < 2^62 and 0 ≤ r < 2^60.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub total: Target,
    pub factor: Target,
}

/// S + 2^32·V + 2^62·W.
#[derive(Clone, Copy, Debug)]
struct Wide {
    s: Target,
    v: Target,
    w: Target,
}

impl Wide {
    /// Statement: the limbs above. Assumes the factor is below 2^60. Guarantees |total| ≤ 2^62.
    /// Cost: 4 lanes, 16 operations.
    #[track_caller]
    fn new(b: &mut Builder, product: Product) -> Self {
        let [e0, e1] = split_signed(b, product.total);
        let [r0, r1] = split_factor(b, product.factor);
        let low = b.mul(e0, r0);
        let [x, y] = split(b, low);
        let middle = b.mul(e0, r1);
        let [x1, y1] = split(b, middle);
        let one = b.one();
        let s = b.arithmetic(unsigned(1 << 30), F::ONE, x1, one, x);
        let v = b.mul_add(e1, r0, y);
        let w = b.mul_add(e1, r1, y1);
        Self { s, v, w }
    }

    fn minus(self, b: &mut Builder, other: Self) -> Self {
        Self {
            s: b.sub(self.s, other.s),
            v: b.sub(self.v, other.v),
            w: b.sub(self.w, other.w),
        }
    }
}

/// e = low + 2^32·high with low < 2^32 and |high| ≤ 2^30: e + 2^62 is a bit above a lane's 62 bits.
/// Guarantees |e| ≤ 2^62. Cost: 1 lane, 4 operations.
#[track_caller]
fn split_signed(b: &mut Builder, e: Target) -> [Target; 2] {
    let sign = b.hint_one("split sign", &[e], |v| F::from_bool(as_signed(v[0]) >= 0));
    let sign = BoolTarget::new_unsafe(sign);
    b.assert_bool(sign);
    let one = b.one();
    let half = unsigned(1 << 62);
    let offset = b.constant(half);
    let above = b.add(e, offset);
    let rest = b.arithmetic(-half, F::ONE, sign.target, one, above);
    let low = split_low(b, rest);
    let shift = unsigned(1 << 32).inverse();
    let high = b.arithmetic(shift, -shift, e, one, low);
    [low, high]
}

/// r = low + 2^30·high, both below 2^30, from the lane of 4·r. Assumes r < 2^60.
/// Cost: 1 lane, 3 operations.
#[track_caller]
fn split_factor(b: &mut Builder, r: Target) -> [Target; 2] {
    let one = b.one();
    let four = b.constant(unsigned(4));
    let scaled = b.mul(r, four);
    let low = split_low(b, scaled);
    let quarter = b.constant(unsigned(4).inverse());
    let low = b.mul(low, quarter);
    let shift = unsigned(1 << 30).inverse();
    let high = b.arithmetic(shift, -shift, r, one, low);
    [low, high]
}

/// x = low + 2^bits·high with 0 ≤ low < 2^32 and −2^31 ≤ high < 2^31. Neither is unique if
/// bits < 32, and need not be. Assumes |x| < 2^63 − 2^33, so that nothing wraps.
/// Cost: 2 lanes, 2 operations.
#[track_caller]
fn carry(b: &mut Builder, x: Target, bits: u32) -> [Target; 2] {
    let high = b.hint_one("carry", &[x], move |v| from_signed(as_signed(v[0]) >> bits));
    check_signed_32(b, high);
    let one = b.one();
    let low = b.arithmetic(-unsigned(1 << bits), F::ONE, high, one, x);
    check_32(b, low);
    [low, high]
}

/// −2^31 ≤ x < 2^31. Cost: 1 lane, 1 operation.
#[track_caller]
fn check_signed_32(b: &mut Builder, x: Target) {
    let offset = b.constant(unsigned(1 << 31));
    let shifted = b.add(x, offset);
    check_32(b, shifted);
}

/// left ≤ right, as integers.
///
/// Statement: right − left = low + 2^32·t + 2^62·w with low, t, w ≥ 0.
/// Assumes both factors below 2^60. Guarantees the order, and |totals| ≤ 2^62.
/// Cost: 13 lanes and about 40 operations, 5 rows.
#[track_caller]
pub fn assert_products_le(b: &mut Builder, left: Product, right: Product) {
    let left = Wide::new(b, left);
    let right = Wide::new(b, right);
    let difference = right.minus(b, left);
    let [_, s] = carry(b, difference.s, 32);
    let t = b.add(difference.v, s);
    let [_, t] = carry(b, t, 30);
    let w = b.add(difference.w, t);
    check_62(b, w);
}

/// q = ⌊e·r/d⌋ for e·r = `dividend`, d = `divisor`.
///
/// Statement: e·r = q·d + rest with 0 ≤ rest < d: the difference of both sides is 0 mod p and
/// mod 2^62, and smaller than their product. Its limbs hold |q| ≤ 2^62, and q ≥ 0 follows.
/// Assumes 0 ≤ e, 0 ≤ r < 2^60, 0 ≤ d < 2^60 and ⌊e·r/d⌋ < 2^62. Guarantees q; refuses d = 0.
/// Cost: 12 lanes and about 45 operations, 5 rows.
#[track_caller]
pub fn mul_div_down(b: &mut Builder, dividend: Product, divisor: Target) -> Target {
    let inputs = [dividend.total, dividend.factor, divisor];
    let hints = b.hint("mul_div_down", &inputs, 2, |v| {
        let [e, r, d] = [as_signed(v[0]), as_signed(v[1]), as_signed(v[2])];
        let product = e * r;
        let quotient = product.checked_div_euclid(d).unwrap_or(0);
        [quotient, product - quotient * d].map(from_signed).to_vec()
    });
    let [quotient, rest] = [hints[0], hints[1]];
    check_62(b, rest);
    assert_lt(b, rest, divisor);
    // Mod p.
    let part = b.mul_add(quotient, divisor, rest);
    let whole = b.mul(dividend.total, dividend.factor);
    b.connect(part, whole);
    // Mod 2^62: S − rest and then V plus the carry vanish.
    let left = Wide::new(b, dividend);
    let right = Wide::new(
        b,
        Product {
            total: quotient,
            factor: divisor,
        },
    );
    let difference = left.minus(b, right);
    let s = b.sub(difference.s, rest);
    let s = exact_carry(b, s, 32);
    let v = b.add(difference.v, s);
    exact_carry(b, v, 30);
    quotient
}

/// x = 2^bits·high with −2^31 ≤ high < 2^31. Assumes |x| < 2^63 − 2^33. Cost: 1 lane, 2 operations.
#[track_caller]
fn exact_carry(b: &mut Builder, x: Target, bits: u32) -> Target {
    let scale = b.constant(unsigned(1 << bits).inverse());
    let high = b.mul(x, scale);
    check_signed_32(b, high);
    high
}

#[cfg(test)]
mod tests;
