//! Loss sharing \[Q6\]: what the group G owes beyond what it has is recovered from those who won
//! in this tick, by a shift of the carry of one side of a row.
//!
//! G is the insurance accounts and those absorbed in the epoch. Whoever holds the shifted side pays
//! `per_lot` a lot when his carry settles, G's own lots there included, and insurance 0 is posted
//! exactly per_lot · side total: all settled cash falls by what one posting adds, so the trial
//! balance stays zero \[S8\]. What G gains by it is per_lot · (side total − G's lots): that alone
//! counts against the deficit (docs/decisions.md, D14).
//!
//! For a perpetual the sides' gains are opposite, so of G's lots only the net ones lost, and the
//! side that paid them is the other one. Widths: lots < 2^35 where M · lots < 2^60; a move of carry
//! is below 2^43 and, as |carry| ≤ M before and after it, at most 2M, so loss < 2^61.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{LOSS_BITS, RECOVERY_BITS, REQUIREMENT_BITS, TOTAL_BITS};
use crate::instrument::Row;
use crate::tick::Ticked;
use crate::types::Side;

const MAX_WEIGHT: u64 = (1 << LOSS_BITS) - 1;
const MAX_RECOVERY: u64 = (1 << RECOVERY_BITS) - 1;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SocialisationError {
    #[error("[Q6] the group holds {group} lots of a side that has {open}")]
    Lots { group: u64, open: u64 },
    #[error("[Q6] the row's insurance holds {insurance} lots, of which the group has {group}")]
    Insurance { insurance: i64, group: u64 },
    #[error("[Q6] the group's equity {equity} does not fit 62 bits")]
    Equity { equity: i128 },
    #[error("[Q6] a sum of {sum} does not fit its width")]
    Sum { sum: u128 },
}

impl SocialisationError {
    pub fn code(&self) -> &'static str {
        match self {
            SocialisationError::Lots { .. } => "Q6.lots",
            SocialisationError::Insurance { .. } => "Q6.insurance",
            SocialisationError::Equity { .. } => "Q6.equity",
            SocialisationError::Sum { .. } => "Q6.sum",
        }
    }
}

/// G's lots in a row before the epoch's postings, insurance's included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLots {
    pub long: u64,
    pub short: u64,
}

impl GroupLots {
    pub fn of(&self, side: Side) -> u64 {
        match side {
            Side::Long => self.long,
            Side::Short => self.short,
        }
    }
}

/// What a row's tick did to G, and who won from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// The side opposite to G's net lots, which gained.
    pub side: Side,
    /// What a lot of that side gained in this tick, micro-quote.
    pub gain: u64,
    /// The row's part in the spread: G's loss, at most 2^50 − 1.
    pub weight: u64,
    /// Lots of that side, and how many of them are not G's.
    pub open: u64,
    pub payers: u64,
}

/// The exposure of a ticked row; zeros where G did not lose. `ticked` is before any shift.
pub fn exposure(ticked: &Ticked, group: GroupLots) -> Result<Exposure, SocialisationError> {
    let row = &ticked.row;
    check_group(row, group)?;
    let net = group
        .long
        .cast_signed()
        .saturating_sub(group.short.cast_signed());
    // G lost iff its net side's carry rose: the long side's by delta, the short side's by −delta.
    if net.signum() != ticked.delta.signum() || net == 0 {
        return Ok(Exposure::default());
    }
    let side = if net > 0 { Side::Short } else { Side::Long };
    let open = open_lots(row, side);
    let gain = ticked.delta.unsigned_abs();
    Ok(Exposure {
        side,
        gain,
        weight: net.unsigned_abs().saturating_mul(gain).min(MAX_WEIGHT),
        open,
        payers: open.saturating_sub(group.of(side)),
    })
}

fn check_group(row: &Row, group: GroupLots) -> Result<(), SocialisationError> {
    for side in [Side::Long, Side::Short] {
        let (group, open) = (group.of(side), open_lots(row, side));
        if group > open {
            return Err(SocialisationError::Lots { group, open });
        }
    }
    let insurance = row.insurance_size;
    let group = group.of(if insurance < 0 {
        Side::Short
    } else {
        Side::Long
    });
    if group < insurance.unsigned_abs() {
        return Err(SocialisationError::Insurance { insurance, group });
    }
    Ok(())
}

fn open_lots(row: &Row, side: Side) -> u64 {
    match side {
        Side::Long => row.open_long,
        Side::Short => row.open_short,
    }
}

/// What one tick recovers, and the sum of weights over which it is spread: in the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// max(0, −(E_G + deficit)), at most 2^55 − 1; what is beyond stays in the deficit.
    pub recovery: u64,
    /// Below 2^60: at most 2^10 rows of weights below 2^50.
    pub losses: u64,
}

/// `group_equity` is E_G: G's equities at this tick's marks and carry before any shift, before
/// postings, insurance 0 always among them. `deficit` is the header's before this tick.
pub fn plan(
    group_equity: i128,
    deficit: u64,
    weights: impl IntoIterator<Item = u64>,
) -> Result<Plan, SocialisationError> {
    check_equity(group_equity)?;
    let short = group_equity
        .saturating_add(deficit.into())
        .saturating_neg()
        .max(0);
    let sum: u128 = weights.into_iter().map(u128::from).sum();
    let losses = u64::try_from(sum)
        .ok()
        .filter(|losses| *losses < 1 << REQUIREMENT_BITS);
    Ok(Plan {
        recovery: u64::try_from(short).unwrap_or(u64::MAX).min(MAX_RECOVERY),
        losses: losses.ok_or(SocialisationError::Sum { sum })?,
    })
}

fn check_equity(equity: i128) -> Result<(), SocialisationError> {
    if equity.unsigned_abs() >= 1 << TOTAL_BITS {
        return Err(SocialisationError::Equity { equity });
    }
    Ok(())
}

/// A row's shift: `per_lot` is added to the carry of `side`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    pub side: Side,
    pub per_lot: u64,
    /// per_lot · side total: what the side pays and insurance 0 is posted.
    pub posted: u64,
    /// per_lot · lots that are not G's: what G's equity gains.
    pub collected: u64,
}

/// The row's part of the plan. Both divisions round down: the row's share is
/// ⌊recovery · weight / losses⌋ (products of totals: limbs), per lot ⌊share / lots⌋ (share < 2^55),
/// at most the gain. Where G itself holds most of the side the divisor is its lots, so that what
/// its own lots pay is at most the share too: posted ≤ 2 · share, summed over rows < 2^56 \[N3\].
pub fn shift(plan: &Plan, exposure: &Exposure) -> Shift {
    let share = u128::from(plan.recovery)
        .saturating_mul(exposure.weight.into())
        .checked_div(plan.losses.into())
        .unwrap_or(0);
    // A row's weight is one of the summed ones, so the share is at most the recovery.
    let share = u64::try_from(share).unwrap_or(0);
    let lots = match exposure.payers {
        // Nobody outside of G is there: no shift.
        0 => return Shift::default(),
        payers => payers.max(exposure.open.saturating_sub(payers)),
    };
    let per_lot = share.checked_div(lots).unwrap_or(0).min(exposure.gain);
    Shift {
        side: exposure.side,
        per_lot,
        posted: per_lot.saturating_mul(exposure.open),
        collected: per_lot.saturating_mul(exposure.payers),
    }
}

/// The row with its shift in the carry. At most what the side gained in this tick, so the carry
/// ends at most where it began: |carry| ≤ M still holds \[N2\].
pub fn shifted(row: &Row, shift: &Shift) -> Row {
    let per_lot = shift.per_lot.cast_signed();
    match shift.side {
        Side::Long => Row {
            long_carry: row.long_carry.saturating_add(per_lot),
            ..*row
        },
        Side::Short => Row {
            short_carry: row.short_carry.saturating_add(per_lot),
            ..*row
        },
    }
}

/// \[Q7\] A row whose lots insurance takes over in this epoch offers no discount in it, or the new
/// inventory would go at the old one's age: G then holds more than insurance's own lots.
pub fn taking_over(row: &Row, group: GroupLots, epoch: u32) -> Row {
    let held = group.long.saturating_add(group.short);
    let takes_over = held > row.insurance_size.unsigned_abs();
    let insurance_since = if takes_over {
        epoch
    } else {
        row.insurance_since
    };
    Row {
        insurance_since,
        ..*row
    }
}

/// What the tick recovered over all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The posting to insurance 0, below 2^56.
    pub posted: u64,
    pub collected: u64,
}

pub fn recovered<'a>(shifts: impl IntoIterator<Item = &'a Shift>) -> Recovered {
    shifts
        .into_iter()
        .fold(Recovered::default(), |sum, shift| Recovered {
            posted: sum.posted.saturating_add(shift.posted),
            collected: sum.collected.saturating_add(shift.collected),
        })
}

/// deficit′ = max(0, −(E_G + collected)), below 2^62.
pub fn deficit_after(group_equity: i128, collected: u64) -> Result<u64, SocialisationError> {
    check_equity(group_equity)?;
    let short = group_equity
        .saturating_add(collected.into())
        .saturating_neg()
        .max(0);
    Ok(u64::try_from(short).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
