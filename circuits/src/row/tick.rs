//! Twin of `tally_protocol::tick::tick`: rows → ticked rows [T2] to [T6], [N1], [N2].

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::{FRACTION_ONE, REDUCE_ONLY_DIVISOR};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::Status;

use super::feed::MedianTarget;
use super::numbers::{NumbersTarget, is_lt, max, min, per_million};
use super::state::{KindTarget, RowTarget};
use crate::gadgets::{logic, range};
use crate::{Builder, F};

/// Twin of `Ticked`.
#[derive(Clone, Copy, Debug)]
pub struct TickedTarget {
    pub row: RowTarget,
    pub delta: Target,
}

/// Twin of `tick`. [T3] The row is of an earlier round, so no row ticks twice in an epoch; [T2] and
/// of an earlier time. Cost: 14 rows.
pub fn tick(
    b: &mut Builder,
    row: &RowTarget,
    feed: &MedianTarget,
    round: Target,
    time: Target,
) -> TickedTarget {
    range::assert_lt(b, row.round(), round);
    range::assert_lt(b, row.time(), time);
    let kind = KindTarget::of(b, &row.params);
    let moved = Move::of(b, row, &kind, feed, time);
    let valid = moved.is_valid(b, row, &kind);
    let settled = b.constant(unsigned(Status::Settled as u64));
    let settled = logic::is_equal(b, row.status(), settled);
    let ticks = b.or(kind.perpetual, kind.spot);
    let open = b.not(settled);
    let ticks = b.and(ticks, open);
    let status = moved.status(b, row, &kind, feed.present, valid);
    let moves = b.and(ticks, feed.present);
    let moves = b.and(moves, valid);
    let mut select = |x: Target, y: Target| logic::select(b, moves, x, y);
    let ticked = row
        .with_time(select(time, row.time()))
        .with_mark(select(moved.mark, row.mark()))
        .with_index(select(feed.index, row.index()))
        .with_premium(select(feed.premium, row.premium()))
        .with_long_carry(select(moved.long_carry, row.long_carry()))
        .with_short_carry(select(moved.short_carry, row.short_carry()))
        .with_round(round);
    let status = logic::select(b, ticks, status, row.status());
    TickedTarget {
        row: ticked.with_status(status),
        delta: b.mul(moves.target, moved.delta),
    }
}

/// Twin of `Move`.
#[derive(Clone, Copy, Debug)]
struct Move {
    mark: Target,
    clamped: BoolTarget,
    delta: Target,
    long_carry: Target,
    short_carry: Target,
}

impl Move {
    fn of(
        b: &mut Builder,
        row: &RowTarget,
        kind: &KindTarget,
        feed: &MedianTarget,
        time: Target,
    ) -> Self {
        let (mark, params) = (row.mark(), &row.params);
        let elapsed = b.sub(time, row.time());
        // [T6] The mark goes to the median, but no further than the band.
        let band = per_second(b, mark, params.price_band(), elapsed);
        let (low, high) = (b.sub(mark, band), b.add(mark, band));
        let above = max(b, feed.mark, low);
        let target = min(b, above, high);
        let unclamped = logic::is_equal(b, target, feed.mark);
        // [T4] Of 49 bits, against a cap of at most the mark.
        let cap = per_second(b, mark, params.funding_cap(), elapsed);
        let change = b.sub(feed.premium, row.premium());
        let floor = b.neg(cap);
        let funding = max(b, change, floor);
        let funding = min(b, funding, cap);
        let rise = b.sub(target, mark);
        let delta = b.sub(funding, rise);
        let delta = b.mul(kind.perpetual.target, delta);
        // [N1] A spot mark stays at M.
        let spot_mark = min(b, target, params.max_price());
        Self {
            mark: logic::select(b, kind.spot, spot_mark, target),
            clamped: b.not(unclamped),
            delta,
            long_carry: b.add(row.long_carry(), delta),
            short_carry: b.sub(row.short_carry(), delta),
        }
    }

    /// Twin of `Move::is_valid`.
    fn is_valid(&self, b: &mut Builder, row: &RowTarget, kind: &KindTarget) -> BoolTarget {
        let most = row.params.max_price();
        let reached = range::is_le(b, most, self.mark);
        let beyond = b.and(kind.perpetual, reached);
        let mut valid = b.not(beyond);
        let least = b.neg(most);
        for carry in [self.long_carry, self.short_carry] {
            let below = range::is_le(b, carry, most);
            let above = range::is_le(b, least, carry);
            valid = b.and(valid, below);
            valid = b.and(valid, above);
        }
        let ordered = NumbersTarget::of(b, &row.params, self.mark).are_ordered(b);
        b.and(valid, ordered)
    }

    /// [T6] The status of a row that ticks: halted without a price; what the move says; settled
    /// (a perpetual) or halted (spot) where it would break [N1] or [N2].
    fn status(
        &self,
        b: &mut Builder,
        row: &RowTarget,
        kind: &KindTarget,
        present: BoolTarget,
        valid: BoolTarget,
    ) -> Target {
        let divisor = unsigned(REDUCE_ONLY_DIVISOR);
        let zero = b.zero();
        let one = b.one();
        let scaled = b.arithmetic(divisor, F::ZERO, self.mark, one, zero);
        let high = is_lt(b, row.params.max_price(), scaled);
        let clamped = b.constant(unsigned(Status::Clamped as u64));
        let halted = b.constant(unsigned(Status::Halted as u64));
        // Active is 0 and reduce_only 1; halted is 3 and settled 4.
        let moved = logic::select(b, self.clamped, clamped, high.target);
        let ended = b.add(halted, kind.perpetual.target);
        let ticked = logic::select(b, valid, moved, ended);
        logic::select(b, present, ticked, halted)
    }
}

/// Twin of `per_second`: fraction · seconds < 2^60, mark · 10^6 < 2^62.
fn per_second(b: &mut Builder, mark: Target, fraction: Target, seconds: Target) -> Target {
    let one = b.constant(unsigned(FRACTION_ONE));
    let part = b.mul(fraction, seconds);
    let part = min(b, part, one);
    let product = b.mul(mark, part);
    per_million(b, product)
}
