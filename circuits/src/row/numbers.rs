//! Twin of `tally_protocol::tick::Numbers` and of the two readings of a row [T5], [L4], [J2].

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::{FRACTION_ONE, PRICE_BITS};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::flags;

use super::shift::ShiftTarget;
use super::state::{KindTarget, ParamsTarget, RowTarget};
use crate::gadgets::{logic, range};
use crate::instrument::{MarginRowTarget, MarketRowTarget};
use crate::{Builder, F};

/// ⌊x / 10^6⌋ for 0 ≤ x < 2^62.
///
/// Statement: x = q·10^6 + rest, 0 ≤ rest < 10^6, q < 2^42, so neither side reaches 2^63 and the
/// equality holds for integers. Cost: 4 lanes, 5 operations.
#[track_caller]
pub fn per_million(b: &mut Builder, x: Target) -> Target {
    let hint = b.hint("per million", &[x], 2, |v| {
        let x = v[0].to_canonical_u64();
        [x / FRACTION_ONE, x % FRACTION_ONE]
            .map(F::from_canonical_u64)
            .to_vec()
    });
    let [quotient, rest] = [hint[0], hint[1]];
    range::check_bits(b, quotient, PRICE_BITS);
    let (zero, one) = (b.zero(), b.one());
    let most = b.constant(unsigned(FRACTION_ONE - 1));
    range::check_between(b, zero, rest, most);
    let sum = b.arithmetic(unsigned(FRACTION_ONE), F::ONE, quotient, one, rest);
    b.connect(sum, x);
    quotient
}

/// ⌊mark·fraction / 10^6⌋ for mark < 2^42 and fraction ≤ 10^6.
pub fn fraction_down(b: &mut Builder, mark: Target, fraction: Target) -> Target {
    let product = b.mul(mark, fraction);
    per_million(b, product)
}

/// ⌈mark·fraction / 10^6⌉, as `fraction_down`: 2^42 · 10^6 + 10^6 < 2^62.
pub fn fraction_up(b: &mut Builder, mark: Target, fraction: Target) -> Target {
    let almost = b.constant(unsigned(FRACTION_ONE - 1));
    let product = b.mul_add(mark, fraction, almost);
    per_million(b, product)
}

/// The smaller one. Assumes |x − y| < 2^62. Cost: 1 lane, 7 operations.
pub fn min(b: &mut Builder, x: Target, y: Target) -> Target {
    let first = range::is_le(b, x, y);
    logic::select(b, first, x, y)
}

/// The larger one, as `min`.
pub fn max(b: &mut Builder, x: Target, y: Target) -> Target {
    let first = range::is_le(b, x, y);
    logic::select(b, first, y, x)
}

/// Twin of `Numbers`; pairs are (long, short).
#[derive(Clone, Copy, Debug)]
pub struct NumbersTarget {
    pub initial: [Target; 2],
    pub maintenance: [Target; 2],
    pub penalty: Target,
    pub fill_band: Target,
}

impl NumbersTarget {
    /// Cost: 6 divisions, 7 rows.
    pub fn of(b: &mut Builder, params: &ParamsTarget, mark: Target) -> Self {
        Self {
            initial: params.initial().map(|part| fraction_up(b, mark, part)),
            maintenance: params.maintenance().map(|part| fraction_up(b, mark, part)),
            penalty: fraction_up(b, mark, params.penalty()),
            fill_band: fraction_down(b, mark, params.fill_band()),
        }
    }

    /// [N2], [J2] penalty < maintenance and fill band + maintenance < initial, per side.
    pub fn are_ordered(&self, b: &mut Builder) -> BoolTarget {
        let mut all = b._true();
        for (initial, maintenance) in self.initial.into_iter().zip(self.maintenance) {
            let small = is_lt(b, self.penalty, maintenance);
            let reached = b.add(self.fill_band, maintenance);
            let apart = is_lt(b, reached, initial);
            all = b.and(all, small);
            all = b.and(all, apart);
        }
        all
    }
}

/// Whether x < y, as `range::is_le`.
pub fn is_lt(b: &mut Builder, x: Target, y: Target) -> BoolTarget {
    let one = b.one();
    let next = b.add(x, one);
    range::is_le(b, next, y)
}

/// Which status a row has, one bit each.
#[derive(Clone, Copy, Debug)]
pub struct StatusTarget {
    pub clamped: BoolTarget,
    pub halted: BoolTarget,
    pub settled: BoolTarget,
    /// Twin of `status_flags`.
    pub flags: Target,
}

impl StatusTarget {
    pub fn of(b: &mut Builder, status: Target) -> Self {
        let bits = logic::one_hot(b, status, 5);
        let masks = [
            0,
            flags::REDUCE_ONLY,
            flags::REDUCE_ONLY | flags::CLAMPED,
            flags::REDUCE_ONLY | flags::HALTED,
            flags::REDUCE_ONLY | flags::HALTED | flags::SETTLED,
        ];
        let masks: Vec<Target> = masks.map(|mask| b.constant(unsigned(mask))).to_vec();
        Self {
            clamped: bits[2],
            halted: bits[3],
            settled: bits[4],
            flags: logic::choose(b, &bits, &masks),
        }
    }
}

/// Twin of `margin_row`.
pub fn margin_row(
    b: &mut Builder,
    row: &RowTarget,
    numbers: &NumbersTarget,
    status: &StatusTarget,
    shift: &ShiftTarget,
) -> MarginRowTarget {
    let kind = KindTarget::of(b, &row.params);
    let strict = b.add(status.clamped.target, status.halted.target);
    let strict = BoolTarget::new_unsafe(strict);
    let [initial_long, initial_short] = numbers.initial;
    let mark = row.mark();
    let twice = b.add(mark, mark);
    let whole_short = min(b, twice, row.params.max_price());
    let shift_short = b.mul(shift.per_lot, shift.short.target);
    MarginRowTarget {
        id: row.params.id(),
        long_carry: row.long_carry(),
        short_carry: row.short_carry(),
        value: b.mul(kind.spot.target, mark),
        initial_long,
        initial_short,
        maintenance_long: numbers.maintenance[0],
        maintenance_short: numbers.maintenance[1],
        outflow_long: logic::select(b, strict, mark, initial_long),
        outflow_short: logic::select(b, strict, whole_short, initial_short),
        shift_long: b.sub(shift.per_lot, shift_short),
        shift_short,
        max_size: row.params.max_size(),
        flags: status.flags,
    }
}

/// Twin of `market_row`.
pub fn market_row(
    b: &mut Builder,
    row: &RowTarget,
    number: Target,
    numbers: &NumbersTarget,
    status: &StatusTarget,
) -> MarketRowTarget {
    let (mark, index) = (row.mark(), row.index());
    let around = fraction_down(b, index, row.params.fill_band());
    // A clamped row's bounds are the mark's alone.
    let bounds =
        |b: &mut Builder, centre: Target, band: Target| [b.sub(centre, band), b.add(centre, band)];
    let [low, high] = bounds(b, mark, numbers.fill_band);
    let [index_low, index_high] = bounds(b, index, around);
    let highest = max(b, low, index_low);
    let lowest = min(b, high, index_high);
    MarketRowTarget {
        id: row.params.id(),
        kind: row.params.kind(),
        asset: row.params.asset(),
        row: number,
        mark,
        index,
        min_fill: logic::select(b, status.clamped, low, highest),
        max_fill: logic::select(b, status.clamped, high, lowest),
        penalty: numbers.penalty,
        max_size: row.params.max_size(),
        insurance_since: row.insurance_since(),
        flags: status.flags,
    }
}
