//! Range checks and comparisons of integers, on lanes of `RangeGate` (four to a row).
//!
//! Elements stand for integers in (−p/2, p/2]. Each function says which bounds it assumes and which
//! it guarantees; a difference that wraps is refused because it would need more than 62 bits.
//! Cost is in lanes (¼ row) and arithmetic operations (1/20 row).

use core::ops::Range;

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::hash::unsigned;

use crate::gates::range::{LANE_BITS, LOW_BITS, RangeGate};
use crate::hint::as_signed;
use crate::{Builder, F};

/// x < 2^62; returns x mod 2^32. Cost: 1 lane.
#[track_caller]
pub fn split_low(b: &mut Builder, x: Target) -> Target {
    let lane = Lane::free(b);
    b.connect(x, lane.value);
    b.belongs_to_last(lane.row, lane.constraints);
    lane.low
}

/// A lane of a `RangeGate`; tests find its value and low wires as the hint "lane".
struct Lane {
    row: usize,
    constraints: Range<usize>,
    value: Target,
    low: Target,
}

impl Lane {
    fn free(b: &mut Builder) -> Self {
        let (row, lane) = b.find_slot(RangeGate, &[], &[]);
        let wires = [RangeGate::wire_value(lane), RangeGate::wire_low(lane)];
        let [value, low] = wires.map(|column| Target::wire(row, column));
        b.record_hint("lane", &[value, low]);
        Self {
            row,
            constraints: RangeGate::constraints(lane),
            value,
            low,
        }
    }
}

/// x = low + 2^32·high, low < 2^32, high < 2^30. Cost: 1 lane, 1 operation.
#[track_caller]
pub fn split(b: &mut Builder, x: Target) -> [Target; 2] {
    let low = split_low(b, x);
    let shift = F::from_canonical_u64(1 << LOW_BITS).inverse();
    let one = b.one();
    let high = b.arithmetic(shift, -shift, x, one, low);
    [low, high]
}

/// x < 2^62. Cost: 1 lane.
#[track_caller]
pub fn check_62(b: &mut Builder, x: Target) {
    split_low(b, x);
}

/// x < 2^32, as the low part of a lane, whose limbs bound it whatever the lane's value is; the
/// value is set to x only so that the hint fills the limbs. Cost: 1 lane.
#[track_caller]
pub fn check_32(b: &mut Builder, x: Target) {
    let lane = Lane::free(b);
    b.generate_copy(x, lane.value);
    b.connect(x, lane.low);
    b.belongs_to_last(lane.row, lane.constraints);
}

/// x < 2^bits for bits ≤ 63. Cost: 1 lane for 32 and 62 bits; 2 lanes and 1 operation for fewer
/// than 62; 1 lane and 3 operations for 63.
#[track_caller]
pub fn check_bits(b: &mut Builder, x: Target, bits: u32) {
    match bits {
        LOW_BITS => check_32(b, x),
        LANE_BITS => check_62(b, x),
        63 => check_63(b, x),
        _ => {
            assert!(bits < LANE_BITS, "{bits} bits");
            let zero = b.zero();
            let top = b.constant(unsigned((1 << bits) - 1));
            check_between(b, zero, x, top);
        }
    }
}

/// x < 2^63, as a bit above 62 bits. Cost: 1 lane, 3 operations.
#[track_caller]
fn check_63(b: &mut Builder, x: Target) {
    let top = b.hint_one("bit 62", &[x], |v| {
        F::from_bool(as_signed(v[0]) < 0 || as_signed(v[0]) >= 1 << 62)
    });
    let top = BoolTarget::new_unsafe(top);
    b.assert_bool(top);
    let one = b.one();
    let rest = b.arithmetic(-unsigned(1 << 62), F::ONE, top.target, one, x);
    check_62(b, rest);
}

/// low ≤ x ≤ high. Assumes |high − low| < 2^63. Guarantees the order as integers: x − low and
/// high − x are below 2^62 and add up to high − low without wrapping. Cost: 2 lanes, 2 operations.
#[track_caller]
pub fn check_between(b: &mut Builder, low: Target, x: Target, high: Target) {
    let above = b.sub(x, low);
    let below = b.sub(high, x);
    check_62(b, above);
    check_62(b, below);
}

/// |x| < 2^bits, bits ≤ 61. Cost: 2 lanes, 2 operations.
#[track_caller]
pub fn check_signed(b: &mut Builder, x: Target, bits: u32) {
    assert!(bits < LANE_BITS, "{bits} bits");
    let top = unsigned((1 << bits) - 1);
    let (low, high) = (b.constant(-top), b.constant(top));
    check_between(b, low, x, high);
}

/// x ≤ y. Assumes 2^62 − p < y − x < p, which holds if both are below 2^62 in magnitude. Guarantees
/// 0 ≤ y − x < 2^62. Cost: 1 lane, 1 operation.
#[track_caller]
pub fn assert_le(b: &mut Builder, x: Target, y: Target) {
    let difference = b.sub(y, x);
    check_62(b, difference);
}

/// x < y, as `assert_le`. Cost: 1 lane, 2 operations.
#[track_caller]
pub fn assert_lt(b: &mut Builder, x: Target, y: Target) {
    let one = b.one();
    let next = b.add(x, one);
    assert_le(b, next, y);
}

/// If `condition`: x ≤ y, as `assert_le`. Cost: 1 lane, 2 operations.
#[track_caller]
pub fn assert_le_if(b: &mut Builder, condition: BoolTarget, x: Target, y: Target) {
    let difference = b.sub(y, x);
    let masked = b.mul(condition.target, difference);
    check_62(b, masked);
}

/// Whether x ≤ y. Assumes |y − x| < 2^62. The hint is checked both ways: the difference that must
/// be non-negative is y − x if true and x − y − 1 if false. Cost: 1 lane, 5 operations.
#[track_caller]
pub fn is_le(b: &mut Builder, x: Target, y: Target) -> BoolTarget {
    let difference = b.sub(y, x);
    is_nonnegative(b, difference)
}

/// Whether x ≥ 0. Assumes |x| < 2^62. Cost: 1 lane, 4 operations.
#[track_caller]
pub fn is_nonnegative(b: &mut Builder, x: Target) -> BoolTarget {
    let hint = b.hint_one("is_nonnegative", &[x], |v| {
        F::from_bool(as_signed(v[0]) >= 0)
    });
    let bit = BoolTarget::new_unsafe(hint);
    b.assert_bool(bit);
    // x if the bit is set, −x − 1 if not: (2·bit − 1)·x + bit − 1.
    let signed = b.arithmetic(F::TWO, F::NEG_ONE, bit.target, x, x);
    let sum = b.add(signed, bit.target);
    let one = b.one();
    let checked = b.sub(sum, one);
    check_62(b, checked);
    bit
}

/// Whether x < 0, as `is_nonnegative`.
#[track_caller]
pub fn is_negative(b: &mut Builder, x: Target) -> BoolTarget {
    let bit = is_nonnegative(b, x);
    b.not(bit)
}

#[cfg(test)]
mod tests;
