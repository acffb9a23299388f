//! Equity and requirements: dot products of an account's sixteen sizes with its sixteen rows
//! \[L2\].
//!
//! Widths \[N5\]: |size|·value and |size|·requirement < 2^55 a slot, so |equity| < 2^62 and each
//! requirement < 2^60 in one field element; only a product of two totals needs limbs. Nothing here
//! rounds but `liquidation_price`, and that one says how.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{FRACTION_ONE, REQUIREMENT_BITS, SLOTS, TOTAL_BITS};
use crate::instrument::{MarginRow, Row};
use crate::types::Side;

/// What an account holds in one instrument while its carry is settled: row and signed lots. An
/// unassigned place reads row 0, which is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    pub row: MarginRow,
    pub size: i64,
}

impl Holding {
    pub fn side(&self) -> Side {
        if self.size < 0 {
            Side::Short
        } else {
            Side::Long
        }
    }
}

/// The totals of an account at one epoch's marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// cash + Σ size·value over owned lots, signed.
    pub equity: i64,
    pub initial: u64,
    pub maintenance: u64,
    /// What equity must cover when value leaves the account \[L4\].
    pub outflow: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MarginError {
    #[error("[N5] equity {equity} does not fit 62 bits")]
    Equity { equity: i128 },
    #[error("[N5] a requirement of {requirement} does not fit 60 bits")]
    Requirement { requirement: u128 },
}

impl MarginError {
    pub fn code(&self) -> &'static str {
        match self {
            MarginError::Equity { .. } => "N5.equity",
            MarginError::Requirement { .. } => "N5.requirement",
        }
    }
}

/// \[L2\] Equity and requirements of settled holdings.
pub fn totals(cash: i64, holdings: &[Holding; SLOTS]) -> Result<Totals, MarginError> {
    let (mut initial, mut maintenance, mut outflow) = (0u128, 0u128, 0u128);
    for holding in holdings {
        let (row, side) = (&holding.row, holding.side());
        let lots = u128::from(holding.size.unsigned_abs());
        // 64 + 42 bits a product and 16 of them: 128 bits cannot overflow.
        initial = initial.saturating_add(lots.saturating_mul(row.initial(side).into()));
        maintenance = maintenance.saturating_add(lots.saturating_mul(row.maintenance(side).into()));
        outflow = outflow.saturating_add(lots.saturating_mul(row.outflow(side).into()));
    }
    Ok(Totals {
        equity: equity(cash, holdings)?,
        initial: fit_requirement(initial)?,
        maintenance: fit_requirement(maintenance)?,
        outflow: fit_requirement(outflow)?,
    })
}

/// \[L2\] cash + Σ size·value, alone: all that insurance accounts need \[Q6\].
pub fn equity(cash: i64, holdings: &[Holding; SLOTS]) -> Result<i64, MarginError> {
    let worth =
        |holding: &Holding| i128::from(holding.size).saturating_mul(holding.row.value.into());
    let sum = holdings
        .iter()
        .map(worth)
        .fold(cash.into(), i128::saturating_add);
    fit_equity(sum)
}

pub(crate) fn fit_equity(equity: i128) -> Result<i64, MarginError> {
    i64::try_from(equity)
        .ok()
        .filter(|equity| equity.unsigned_abs() < 1 << TOTAL_BITS)
        .ok_or(MarginError::Equity { equity })
}

fn fit_requirement(requirement: u128) -> Result<u64, MarginError> {
    u64::try_from(requirement)
        .ok()
        .filter(|requirement| *requirement < 1 << REQUIREMENT_BITS)
        .ok_or(MarginError::Requirement { requirement })
}

/// `equity ≥ requirement`, one 63-bit range check of the difference \[N5\].
pub fn meets(equity: i64, requirement: u64) -> bool {
    i128::from(equity) >= i128::from(requirement)
}

impl Totals {
    pub fn meets_initial(&self) -> bool {
        meets(self.equity, self.initial)
    }

    pub fn meets_maintenance(&self) -> bool {
        meets(self.equity, self.maintenance)
    }

    pub fn meets_outflow(&self) -> bool {
        meets(self.equity, self.outflow)
    }

    /// \[L5\] E < maintenance, or cash below zero after carry is settled.
    pub fn is_liquidatable(&self, cash: i64) -> bool {
        !self.meets_maintenance() || cash < 0
    }

    /// \[L5\] E < 0.
    pub fn is_bankrupt(&self) -> bool {
        self.equity < 0
    }
}

/// \[L4\] E₀·R₁ ≤ E₁·R₀: the ratio of equity to requirement did not fall.
pub fn ratio_kept(before: &Totals, after: &Totals) -> bool {
    // 62 + 60 bits a product.
    let held = i128::from(before.equity).saturating_mul(after.initial.into());
    let now = i128::from(after.equity).saturating_mul(before.initial.into());
    held <= now
}

/// \[Q4\] What a liquidated lot pays against the mark: min(penalty, cap), cap the largest integer
/// with cap·R₀ ≤ initial·E₀, the price at which the ratio stays as it was; with R₀ = 0 the penalty.
/// Rounded down, in the account's favour. E₀ ≥ 0 \[Q2\]: below, the charge is zero.
pub fn liquidation_charge(opening: &Totals, initial: u64, penalty: u64) -> u64 {
    let equity = u128::try_from(opening.equity).unwrap_or(0);
    // 42 + 62 bits.
    let cap = u128::from(initial)
        .saturating_mul(equity)
        .checked_div(opening.initial.into());
    match cap {
        Some(cap) => u64::try_from(cap).unwrap_or(u64::MAX).min(penalty),
        None => penalty,
    }
}

/// The mark at which an account becomes liquidatable by equity if nothing but this row's mark
/// moves: for a long the highest such integer mark, for a short the lowest; `None` where none in
/// 0..=max_price is. Exact, by bisection: equity less maintenance rises with the mark for a long
/// (a lot gains 1 where its requirement, rounded up, gains at most 1) and falls for a short.
pub fn liquidation_price(totals: &Totals, size: i64, row: &Row) -> Option<u64> {
    let (side, fraction) = match size {
        0 => return None,
        1.. => (Side::Long, row.params.maintenance_long),
        _ => (Side::Short, row.params.maintenance_short),
    };
    let falls_short = |mark: u64| {
        let moved = i128::from(mark).saturating_sub(row.mark.into());
        let equity = i128::from(size)
            .saturating_mul(moved)
            .saturating_add(totals.equity.into());
        let growth = requirement_per_lot(mark, fraction)
            .saturating_sub(requirement_per_lot(row.mark, fraction));
        let requirement = i128::from(size.unsigned_abs())
            .saturating_mul(growth)
            .saturating_add(totals.maintenance.into());
        equity < requirement
    };
    let (mut low, mut high) = (0u64, row.params.max_price);
    let found = |mark: u64| falls_short(mark).then_some(mark);
    while low < high {
        let gap = high.saturating_sub(low);
        match side {
            // The highest mark that falls short lies in low..=high.
            Side::Long => {
                let middle = low.saturating_add(gap.div_ceil(2));
                if falls_short(middle) {
                    low = middle;
                } else {
                    high = middle.saturating_sub(1);
                }
            }
            Side::Short => {
                let middle = low.saturating_add(gap.checked_div(2).unwrap_or(0));
                if falls_short(middle) {
                    high = middle;
                } else {
                    low = middle.saturating_add(1);
                }
            }
        }
    }
    found(low)
}

/// \[T5\], \[N6\] mark · fraction, rounded up.
fn requirement_per_lot(mark: u64, fraction: u32) -> i128 {
    let product = u128::from(mark).saturating_mul(fraction.into());
    i128::try_from(product.div_ceil(FRACTION_ONE.into())).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instrument::RowParams;

    fn perpetual(initial: u64, maintenance: u64) -> MarginRow {
        MarginRow {
            initial_long: initial,
            initial_short: initial,
            maintenance_long: maintenance,
            maintenance_short: maintenance,
            outflow_long: initial,
            outflow_short: initial,
            ..MarginRow::default()
        }
    }

    fn account(held: &[(MarginRow, i64)]) -> [Holding; SLOTS] {
        let mut holdings = [Holding::default(); SLOTS];
        for (holding, (row, size)) in holdings.iter_mut().zip(held) {
            *holding = Holding {
                row: *row,
                size: *size,
            };
        }
        holdings
    }

    #[test]
    fn l2_equity_counts_owned_lots_and_requirements_both_sides() {
        let spot = MarginRow {
            value: 100,
            ..perpetual(20, 10)
        };
        let held = account(&[(perpetual(10, 5), -3), (spot, 4)]);
        let t = totals(-50, &held).unwrap();
        assert_eq!((t.equity, t.initial, t.maintenance), (350, 110, 55));
        assert!(t.meets_initial() && t.is_liquidatable(-50) && !t.is_liquidatable(0));
    }

    #[test]
    fn n5_totals_beyond_their_width_are_refused() {
        let row = perpetual(1 << 42, 1 << 41);
        let held = account(&[(row, 1 << 18)]);
        assert_eq!(totals(0, &held).unwrap_err().code(), "N5.requirement");
        let row = MarginRow {
            value: 1 << 42,
            ..MarginRow::default()
        };
        let held = account(&[(row, 1 << 20)]);
        assert_eq!(totals(0, &held).unwrap_err().code(), "N5.equity");
    }

    #[test]
    fn l4_the_ratio_is_compared_without_a_division() {
        let t = |equity, initial| Totals {
            equity,
            initial,
            ..Totals::default()
        };
        assert!(ratio_kept(&t(10, 100), &t(5, 50)));
        assert!(!ratio_kept(&t(10, 100), &t(4, 50)));
        assert!(ratio_kept(&t(-10, 100), &t(-5, 50)));
        let wide = (1i64 << 62) - 1;
        assert!(!ratio_kept(
            &t(wide, (1 << 60) - 1),
            &t(wide - 1, (1 << 60) - 1)
        ));
    }

    #[test]
    fn q4_the_charge_is_the_penalty_or_the_zero_price() {
        let opening = |equity, initial| Totals {
            equity,
            initial,
            ..Totals::default()
        };
        assert_eq!(liquidation_charge(&opening(100, 100), 10, 3), 3);
        assert_eq!(liquidation_charge(&opening(29, 100), 10, 3), 2);
        assert_eq!(liquidation_charge(&opening(0, 100), 10, 3), 0);
        assert_eq!(liquidation_charge(&opening(5, 0), 10, 3), 3);
    }

    fn listed(mark: u64, fraction: u32) -> Row {
        Row {
            params: RowParams {
                max_price: 1 << 20,
                maintenance_long: fraction,
                maintenance_short: fraction,
                ..RowParams::default()
            },
            mark,
            ..Row::default()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Between the largest charge and one more, the ratio turns.
        #[test]
        fn q4_the_cap_is_the_largest_that_keeps_the_ratio(
            equity in 0i64..1 << 50, lots in 1u64..1000, initial in 2u64..1 << 40,
        ) {
            let before = Totals { equity, initial: lots * initial, ..Totals::default() };
            let charge = liquidation_charge(&before, initial, u64::MAX);
            let after = |charge: u64| Totals {
                equity: equity - i64::try_from(charge).unwrap(),
                initial: (lots - 1) * initial,
                ..Totals::default()
            };
            prop_assert!(ratio_kept(&before, &after(charge)));
            prop_assert!(!ratio_kept(&before, &after(charge + 1)));
        }

        #[test]
        fn l5_the_liquidation_price_is_where_maintenance_is_missed(
            mark in 1u64..10_000, fraction in 1u32..500_000, lots in 1i64..100, long: bool,
            spare in 0i64..100_000,
        ) {
            let row = listed(mark, fraction);
            let size = if long { lots } else { -lots };
            let maintenance =
                u64::try_from(i128::from(lots) * requirement_per_lot(mark, fraction)).unwrap();
            let equity = i64::try_from(maintenance).unwrap() + spare;
            let now = Totals { equity, maintenance, ..Totals::default() };
            let missed = |at: u64| {
                let equity = i128::from(equity)
                    + i128::from(size) * (i128::from(at) - i128::from(mark));
                equity < i128::from(lots) * requirement_per_lot(at, fraction)
            };
            match liquidation_price(&now, size, &row) {
                None => {
                    let last = if long { 0 } else { row.params.max_price };
                    prop_assert!(!missed(last));
                }
                Some(price) => {
                    prop_assert!(missed(price));
                    let beyond = if long { price + 1 } else { price - 1 };
                    prop_assert!(!missed(beyond));
                }
            }
        }
    }
}
