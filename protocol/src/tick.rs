//! The tick \[T2\]–\[T6\]: a row and one oracle round → the row that everybody reads.
//!
//! Every product is of one field element: prices are below 2^42, fractions at most 10^6 < 2^20, so
//! that mark · fraction < 2^62. Divisions are by the constant 10^6; a circuit hints the quotient
//! and range-checks the remainder. Socialised loss \[Q6\] and parameter changes \[T7\] come after,
//! in `socialisation` and `listing`: rows′ = change(shift(tick(row))).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{FRACTION_ONE, REDUCE_ONLY_DIVISOR};
use crate::instrument::{InstrumentKind, MarginRow, MarketRow, Row, RowParams, Status, flags};
use crate::oracle::FeedPrices;
use crate::types::Side;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TickError {
    #[error("[T3] row of round {row} is already in round {round}")]
    Round { row: u32, round: u32 },
    #[error("[T2] row of time {row} cannot move to time {time}")]
    Time { row: u64, time: u64 },
}

impl TickError {
    pub fn code(&self) -> &'static str {
        match self {
            TickError::Round { .. } => "T3.round",
            TickError::Time { .. } => "T2.row_time",
        }
    }
}

/// A row after its tick, before any shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticked {
    pub row: Row,
    /// Change of the long side's carry, the short side's being its opposite: |delta| < 2^43.
    pub delta: i64,
}

/// One row and the medians of its feed (`None`: missing \[T1\]).
pub fn tick(
    row: &Row,
    prices: Option<FeedPrices>,
    round: u32,
    time: u64,
) -> Result<Ticked, TickError> {
    if round <= row.round {
        return Err(TickError::Round {
            row: row.round,
            round,
        });
    }
    if time <= row.time {
        return Err(TickError::Time {
            row: row.time,
            time,
        });
    }
    let stayed = |status| Ticked {
        row: Row {
            status,
            round,
            ..*row
        },
        delta: 0,
    };
    let prices = match (row.params.kind, row.status, prices) {
        (InstrumentKind::Quote, status, _) | (_, status @ Status::Settled, _) => {
            return Ok(stayed(status));
        }
        (_, _, None) => return Ok(stayed(Status::Halted)),
        (_, _, Some(prices)) => prices,
    };
    let moved = Move::of(row, &prices, time);
    if moved.is_valid(&row.params) {
        return Ok(moved.apply(row, &prices, round, time));
    }
    // [N2] The last valid mark and carry stay.
    Ok(stayed(match row.params.kind {
        InstrumentKind::Perpetual => Status::Settled,
        InstrumentKind::Spot | InstrumentKind::Quote => Status::Halted,
    }))
}

/// Where a row would go.
#[derive(Clone, Copy, Debug)]
struct Move {
    mark: u64,
    clamped: bool,
    delta: i64,
    long_carry: i64,
    short_carry: i64,
}

impl Move {
    fn of(row: &Row, prices: &FeedPrices, time: u64) -> Self {
        let params = &row.params;
        // Of the last round that moved the mark, so a halt widens the band. At least 1, 40 bits.
        let elapsed = time.saturating_sub(row.time);
        // [T6] The mark goes to the median, but no further than the band. The band is at most the
        // mark, so mark − band ≥ 0, and mark + band < 2^43. A target below the mark is at least 1:
        // either the median, or above it.
        let band = per_second(row.mark, params.price_band, elapsed);
        let low = row.mark.saturating_sub(band);
        let high = row.mark.saturating_add(band);
        let target = prices.mark.max(low).min(high);
        let clamped = target != prices.mark;
        // [T4] |premium| < 2^48 each, so the change has 49 bits; the cap is at most the mark.
        let cap = i64::try_from(per_second(row.mark, params.funding_cap, elapsed)).unwrap_or(0);
        let change = prices.premium.saturating_sub(row.premium);
        let funding = change.max(cap.saturating_neg()).min(cap);
        let (mark, delta) = match params.kind {
            // |target − mark| ≤ mark < 2^42 and |funding| ≤ mark: |delta| < 2^43.
            InstrumentKind::Perpetual => {
                let rise = target.cast_signed().saturating_sub(row.mark.cast_signed());
                (target, funding.saturating_sub(rise))
            }
            // [N1] A spot mark stays at M.
            InstrumentKind::Spot | InstrumentKind::Quote => (target.min(params.max_price), 0),
        };
        Self {
            mark,
            clamped,
            delta,
            // |carry| ≤ M < 2^42 before: below 2^44 after.
            long_carry: row.long_carry.saturating_add(delta),
            short_carry: row.short_carry.saturating_sub(delta),
        }
    }

    /// \[N1\], \[N2\]
    fn is_valid(&self, params: &RowParams) -> bool {
        let below_max = params.kind != InstrumentKind::Perpetual || self.mark < params.max_price;
        let carried = self.long_carry.unsigned_abs() <= params.max_price
            && self.short_carry.unsigned_abs() <= params.max_price;
        below_max && carried && Numbers::of(params, self.mark).are_ordered()
    }

    fn apply(&self, row: &Row, prices: &FeedPrices, round: u32, time: u64) -> Ticked {
        // 4·mark < 2^44.
        let high = self.mark.saturating_mul(REDUCE_ONLY_DIVISOR) > row.params.max_price;
        let status = match (self.clamped, high) {
            (true, _) => Status::Clamped,
            (false, true) => Status::ReduceOnly,
            (false, false) => Status::Active,
        };
        let row = Row {
            status,
            round,
            time,
            mark: self.mark,
            index: prices.index,
            premium: prices.premium,
            long_carry: self.long_carry,
            short_carry: self.short_carry,
            ..*row
        };
        Ticked {
            row,
            delta: self.delta,
        }
    }
}

/// \[T5\] Per lot at a mark, micro-quote: requirements and penalty round up, the band down \[N6\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub initial_long: u64,
    pub initial_short: u64,
    pub maintenance_long: u64,
    pub maintenance_short: u64,
    pub penalty: u64,
    pub fill_band: u64,
}

impl Numbers {
    pub fn of(params: &RowParams, mark: u64) -> Self {
        Self {
            initial_long: fraction_up(mark, params.initial_long),
            initial_short: fraction_up(mark, params.initial_short),
            maintenance_long: fraction_up(mark, params.maintenance_long),
            maintenance_short: fraction_up(mark, params.maintenance_short),
            penalty: fraction_up(mark, params.penalty),
            fill_band: fraction_down(mark, params.fill_band),
        }
    }

    /// \[N2\] penalty < maintenance < initial and \[J2\] fill band < initial − maintenance, per
    /// side. At a mark of very few micro-quote rounding makes them equal. All are ≤ M: the mark is,
    /// and a fraction is at most one.
    pub fn are_ordered(&self) -> bool {
        let side = |initial: u64, maintenance: u64| {
            self.penalty < maintenance && self.fill_band.saturating_add(maintenance) < initial
        };
        side(self.initial_long, self.maintenance_long)
            && side(self.initial_short, self.maintenance_short)
    }
}

/// ⌈mark · fraction / 10^6⌉: mark < 2^42, fraction ≤ 10^6: the sum is below 2^62 + 2^20.
pub fn fraction_up(mark: u64, fraction: u32) -> u64 {
    mark.saturating_mul(fraction.into()).div_ceil(FRACTION_ONE)
}

/// ⌊mark · fraction / 10^6⌋
pub fn fraction_down(mark: u64, fraction: u32) -> u64 {
    mark.saturating_mul(fraction.into()) / FRACTION_ONE
}

/// ⌊mark · min(10^6, fraction · seconds) / 10^6⌋: fraction · seconds < 2^60.
fn per_second(mark: u64, fraction: u32, seconds: u64) -> u64 {
    let whole = u64::from(fraction)
        .saturating_mul(seconds)
        .min(FRACTION_ONE);
    mark.saturating_mul(whole) / FRACTION_ONE
}

/// What a status forbids, as `flags`.
pub fn status_flags(status: Status) -> u64 {
    match status {
        Status::Active => 0,
        Status::ReduceOnly => flags::REDUCE_ONLY,
        Status::Clamped => flags::REDUCE_ONLY | flags::CLAMPED,
        Status::Halted => flags::REDUCE_ONLY | flags::HALTED,
        Status::Settled => flags::REDUCE_ONLY | flags::HALTED | flags::SETTLED,
    }
}

/// What the ledger reads of a row of rows′. `shift` is the part of a side's carry that is this
/// tick's socialised loss \[Q6\].
pub fn margin_row(row: &Row, shift: Option<(Side, u64)>) -> MarginRow {
    let numbers = Numbers::of(&row.params, row.mark);
    let strict = matches!(row.status, Status::Clamped | Status::Halted);
    let whole = |strictly: u64, otherwise: u64| if strict { strictly } else { otherwise };
    let of_side = |wanted: Side| match shift {
        Some((side, shift)) if side == wanted => shift,
        _ => 0,
    };
    MarginRow {
        id: row.params.id,
        long_carry: row.long_carry,
        short_carry: row.short_carry,
        value: if row.params.kind == InstrumentKind::Spot {
            row.mark
        } else {
            0
        },
        initial_long: numbers.initial_long,
        initial_short: numbers.initial_short,
        maintenance_long: numbers.maintenance_long,
        maintenance_short: numbers.maintenance_short,
        outflow_long: whole(row.mark, numbers.initial_long),
        // [L4] 2·mark < 2^43, but at most M.
        outflow_short: whole(
            row.mark.saturating_mul(2).min(row.params.max_price),
            numbers.initial_short,
        ),
        shift_long: of_side(Side::Long),
        shift_short: of_side(Side::Short),
        max_size: row.params.max_size,
        flags: status_flags(row.status),
    }
}

/// What the journal reads of a row of rows′. `number` is its place in the table.
pub fn market_row(row: &Row, number: u32) -> MarketRow {
    let numbers = Numbers::of(&row.params, row.mark);
    let around_index = fraction_down(row.index, row.params.fill_band);
    // The bands are below mark and index, since fill_band < 10^6.
    let (low, high) = (
        row.mark.saturating_sub(numbers.fill_band),
        row.mark.saturating_add(numbers.fill_band),
    );
    let (min_fill, max_fill) = if row.status == Status::Clamped {
        (low, high)
    } else {
        let index_low = row.index.saturating_sub(around_index);
        (
            low.max(index_low),
            high.min(row.index.saturating_add(around_index)),
        )
    };
    MarketRow {
        id: row.params.id,
        kind: row.params.kind,
        asset: row.params.asset,
        row: number,
        mark: row.mark,
        index: row.index,
        min_fill,
        max_fill,
        penalty: numbers.penalty,
        max_size: row.params.max_size,
        insurance_since: row.insurance_since,
        flags: status_flags(row.status),
    }
}

#[cfg(test)]
mod tests;
