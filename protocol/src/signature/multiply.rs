//! Multiples of points: in constant time of the generator, else as fast as it goes.

use std::sync::LazyLock;

use crate::signature::curve::{Affine, Point, to_affine};
use crate::signature::scalar::Scalar;

/// Bits of a 5-limb number.
const BITS: usize = 320;
/// Digits of the signing table: masked scans touch every entry, so windows are narrow.
const SECRET_WINDOW: usize = 4;
/// Digits of the verifying table.
const PUBLIC_WINDOW: usize = 7;
/// Width of the digits of a point that is met once.
const NAF_WIDTH: usize = 5;

static SECRET_TABLE: LazyLock<Vec<Affine>> = LazyLock::new(|| table(SECRET_WINDOW));
static PUBLIC_TABLE: LazyLock<Vec<Affine>> = LazyLock::new(|| table(PUBLIC_WINDOW));

/// secret·G: neither branches nor addresses depend on the secret.
pub fn generator_times_secret(secret: &Scalar) -> Point {
    let mut sum = Point::NEUTRAL;
    let rows = SECRET_TABLE.chunks_exact(1 << (SECRET_WINDOW - 1));
    for (row, (magnitude, sign)) in rows.zip(digits(secret.limbs(), SECRET_WINDOW)) {
        let mut entry = Affine::NEUTRAL;
        for (candidate, number) in row.iter().zip(1u64..) {
            let differs = number ^ magnitude;
            let mask = (differs | differs.wrapping_neg()) >> 63;
            entry = entry.select(candidate, mask.wrapping_sub(1));
        }
        sum = sum.add_affine(&entry.select(&entry.neg(), sign.wrapping_neg()));
    }
    sum
}

/// scalar·G in variable time.
pub fn generator_times(scalar: &Scalar) -> Point {
    let mut sum = Point::NEUTRAL;
    let rows = PUBLIC_TABLE.chunks_exact(1 << (PUBLIC_WINDOW - 1));
    for (row, (magnitude, sign)) in rows.zip(digits(scalar.limbs(), PUBLIC_WINDOW)) {
        let Some(entry) = (magnitude as usize).checked_sub(1).and_then(|i| row.get(i)) else {
            continue;
        };
        sum = match sign {
            0 => sum.add_affine(entry),
            _ => sum.add_affine(&entry.neg()),
        };
    }
    sum
}

/// scalar·P in variable time, for a scalar of any size below 2^319.
pub fn times(point: &Affine, scalar: &Scalar) -> Point {
    let double = Point::from(*point).double();
    let mut odd = vec![Point::from(*point)];
    for _ in 1..1 << (NAF_WIDTH - 2) {
        let next = odd.last().map(|last| last.add(&double));
        odd.extend(next);
    }
    let mut sum = Point::NEUTRAL;
    let mut doublings = 0u32;
    let digits = naf(scalar.limbs(), NAF_WIDTH).into_iter().rev();
    for digit in digits.skip_while(|digit| *digit == 0) {
        doublings = doublings.saturating_add(1);
        let index = usize::from(digit.unsigned_abs() >> 1);
        if let Some(entry) = odd.get(index).filter(|_| digit != 0) {
            sum = sum.double_times(doublings);
            doublings = 0;
            sum = match digit > 0 {
                true => sum.add(entry),
                false => sum.add(&entry.neg()),
            };
        }
    }
    sum.double_times(doublings)
}

/// Σ scalar·P in variable time, by Pippenger: in each window, points are gathered by digit.
pub fn sum_of_multiples(terms: &[(Affine, Scalar)]) -> Point {
    let window = window_of(terms.len());
    let digits: Vec<Vec<(u64, u64)>> = terms
        .iter()
        .map(|(_, scalar)| digits(scalar.limbs(), window).collect())
        .collect();
    let highest = digits
        .iter()
        .filter_map(|of| of.iter().rposition(|d| d.0 != 0));
    let windows = highest.max().map_or(0, |top| top.saturating_add(1));
    let mut sum = Point::NEUTRAL;
    let mut buckets = vec![Point::NEUTRAL; 1 << window.saturating_sub(1)];
    for place in (0..windows).rev() {
        buckets.fill(Point::NEUTRAL);
        for ((point, _), digits) in terms.iter().zip(&digits) {
            let (magnitude, sign) = digits.get(place).copied().unwrap_or_default();
            let index = (magnitude as usize).checked_sub(1);
            let Some(bucket) = index.and_then(|index| buckets.get_mut(index)) else {
                continue;
            };
            let point = if sign == 0 { *point } else { point.neg() };
            *bucket = match bucket.is_neutral() {
                true => point.into(),
                false => bucket.add_affine(&point),
            };
        }
        // Σ d·bucket_d is the sum of all sums of the highest buckets.
        let (mut running, mut total) = (Point::NEUTRAL, Point::NEUTRAL);
        for bucket in buckets.iter().rev() {
            running = running.add(bucket);
            total = total.add(&running);
        }
        sum = sum
            .double_times(u32::try_from(window).unwrap_or(0))
            .add(&total);
    }
    sum
}

/// The best width for so many points: a point costs one addition a window, and so, twice, does each
/// bucket.
fn window_of(points: usize) -> usize {
    let cost = |window: &usize| {
        let buckets = 2usize << window.saturating_sub(1);
        points
            .saturating_add(buckets)
            .saturating_mul(BITS.div_ceil(*window))
    };
    (3..12).min_by_key(cost).unwrap_or(3)
}

/// Row i: 1 … 2^(window − 1) times 2^(window·i)·G.
fn table(window: usize) -> Vec<Affine> {
    let entries = 1usize << window.saturating_sub(1);
    let mut points = Vec::new();
    let mut base = Point::from(Affine::GENERATOR);
    for _ in 0..BITS.div_ceil(window) {
        let mut multiple = base;
        for _ in 0..entries {
            points.push(multiple);
            multiple = multiple.add(&base);
        }
        base = base.double_times(u32::try_from(window).unwrap_or(0));
    }
    to_affine(&points)
}

/// Signed digits (magnitude ≤ 2^(window − 1), sign bit), lowest first, without a branch. For
/// numbers below 2^319 the last carries nowhere: the top window is not full.
pub(super) fn digits(limbs: [u64; 5], window: usize) -> impl Iterator<Item = (u64, u64)> {
    let half = 1u64 << window.saturating_sub(1);
    let mut carry = 0u64;
    (0..BITS.div_ceil(window)).map(move |index| {
        let digit = bits(&limbs, index.saturating_mul(window), window).wrapping_add(carry);
        // 1 where the digit is above half.
        carry = half.wrapping_sub(digit) >> 63;
        let mask = carry.wrapping_neg();
        let negative = half.wrapping_mul(2).wrapping_sub(digit);
        ((digit & !mask) | (negative & mask), carry)
    })
}

/// Digits that are 0 or odd, below 2^(width − 1) in magnitude, with width − 1 zeros after each.
pub(super) fn naf(limbs: [u64; 5], width: usize) -> Vec<i8> {
    let mut out = vec![0i8; BITS.saturating_add(1)];
    let (half, full) = (1i16 << width.saturating_sub(1), 1i16 << width);
    let (mut position, mut carry) = (0usize, 0i16);
    while let Some(place) = out.get_mut(position) {
        if bits(&limbs, position, 1) == u64::from(carry == 1) {
            position = position.saturating_add(1);
            continue;
        }
        let window = i16::try_from(bits(&limbs, position, width)).unwrap_or(0);
        let digit = window.saturating_add(carry);
        carry = i16::from(digit >= half);
        let signed = digit.saturating_sub(full.saturating_mul(carry));
        *place = i8::try_from(signed).unwrap_or(0);
        position = position.saturating_add(width);
    }
    out
}

/// `count` < 64 bits from `start` on; 0 beyond the end. Addresses depend on `start` alone.
#[inline]
fn bits(limbs: &[u64; 5], start: usize, count: usize) -> u64 {
    let (limb, shift) = (start >> 6, start & 63);
    let low = limbs.get(limb).copied().unwrap_or(0);
    let high = limbs.get(limb.saturating_add(1)).copied().unwrap_or(0);
    let both = (u128::from(high) << 64) | u128::from(low);
    (both >> shift) as u64 & (1u64 << count).wrapping_sub(1)
}
