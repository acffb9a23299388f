//! Close \[T8\]: rows′ → rows″ by what the ledger did to the slots of each row.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::instrument::Row;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloseError {
    #[error("[T8] open interest {open} changes by {change}: below zero")]
    Negative { open: u64, change: i64 },
    #[error("[T8] open interest {open} exceeds {max}")]
    OpenInterest { open: u64, max: u64 },
    #[error("[N4] insurance inventory {size} exceeds {max}")]
    Inventory { size: i128, max: u64 },
}

impl CloseError {
    pub fn code(&self) -> &'static str {
        match self {
            CloseError::Negative { .. } => "T8.negative",
            CloseError::OpenInterest { .. } => "T8.open_interest",
            CloseError::Inventory { .. } => "N4.inventory",
        }
    }
}

/// Sums over an epoch's touched accounts but the bridges, lots. Settled slots that vanished count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    pub long: i64,
    pub short: i64,
    /// Of the row's insurance account, signed lots.
    pub insurance: i64,
}

/// A row after its epoch. Totals are below 2^35 where M · total < 2^60, and a true sum of changes
/// is below 2^62 \[P4\]: their sum is one range check against 0..=max_open_interest.
pub fn close(row: &Row, change: &RowChange, epoch: u32) -> Result<Row, CloseError> {
    let max = row.params.max_open_interest;
    let open_long = total(row.open_long, change.long, max)?;
    let open_short = total(row.open_short, change.short, max)?;
    let size = i128::from(row.insurance_size).saturating_add(change.insurance.into());
    // Inventory is part of the totals.
    let fits = i64::try_from(size)
        .ok()
        .filter(|size| size.unsigned_abs() <= max);
    let insurance_size = fits.ok_or(CloseError::Inventory { size, max })?;
    // [Q6] The discount of an unwind runs anew for inventory that grew or changed its side.
    let grew = insurance_size.unsigned_abs() > row.insurance_size.unsigned_abs();
    let flipped = insurance_size
        .signum()
        .saturating_mul(row.insurance_size.signum())
        < 0;
    let insurance_since = if grew || flipped {
        epoch
    } else {
        row.insurance_since
    };
    Ok(Row {
        open_long,
        open_short,
        insurance_size,
        insurance_since,
        ..*row
    })
}

fn total(open: u64, change: i64, max: u64) -> Result<u64, CloseError> {
    let after = open
        .checked_add_signed(change)
        .ok_or(CloseError::Negative { open, change })?;
    if after > max {
        return Err(CloseError::OpenInterest { open: after, max });
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::RowParams;

    fn row() -> Row {
        Row {
            params: RowParams {
                max_open_interest: 100,
                ..RowParams::default()
            },
            open_long: 90,
            open_short: 80,
            insurance_size: 5,
            insurance_since: 3,
            ..Row::default()
        }
    }

    fn change(long: i64, short: i64, insurance: i64) -> RowChange {
        RowChange {
            long,
            short,
            insurance,
        }
    }

    #[test]
    fn t8_totals_take_the_changes_up_to_the_highest_open_interest() {
        let after = close(&row(), &change(10, -80, 0), 9).unwrap();
        assert_eq!(
            after,
            Row {
                open_long: 100,
                open_short: 0,
                ..row()
            }
        );
        let refused = |long, short| {
            close(&row(), &change(long, short, 0), 9)
                .unwrap_err()
                .code()
        };
        assert_eq!(refused(11, 0), "T8.open_interest");
        assert_eq!(refused(0, 21), "T8.open_interest");
        assert_eq!(refused(-91, 0), "T8.negative");
        assert_eq!(refused(0, -81), "T8.negative");
        assert_eq!(refused(i64::MAX, 0), "T8.open_interest");
    }

    #[test]
    fn q7_growth_of_the_inventory_starts_its_auction_anew() {
        let since = |insurance| {
            let row = close(&row(), &change(0, 0, insurance), 9).unwrap();
            (row.insurance_size, row.insurance_since)
        };
        assert_eq!(since(0), (5, 3));
        assert_eq!(since(-4), (1, 3));
        assert_eq!(since(-5), (0, 3));
        assert_eq!(since(1), (6, 9));
        // A smaller inventory on the other side is a new one.
        assert_eq!(since(-6), (-1, 9));
        assert_eq!(since(-11), (-6, 9));
    }

    #[test]
    fn n4_inventory_stays_within_the_open_interest() {
        let refused = |insurance| {
            close(&row(), &change(0, 0, insurance), 9)
                .unwrap_err()
                .code()
        };
        assert_eq!(refused(96), "N4.inventory");
        assert_eq!(refused(-106), "N4.inventory");
        assert_eq!(refused(i64::MIN), "N4.inventory");
    }
}
