//! Proven refusals of L1 items \[J4\]: a fact about the account before the epoch, in place of all
//! that the request would have needed. A REFUSED posting changes nothing.

use crate::account::AccountKind;
use crate::bounds::CASH_BITS;
use crate::instrument::MarginRow;
use crate::ledger::apply::leaf_terms;
use crate::ledger::{Env, Facts, LedgerError, Place, Running};
use crate::margin::{Holding, meets, totals};
use crate::posting::{Posting, Refusal};
use crate::terms::CASH;

impl Running {
    pub(super) fn check_refusal(
        &self,
        posting: &Posting,
        facts: &Facts,
        env: &Env<'_>,
    ) -> Result<(), LedgerError> {
        let untouched = posting.delta_size == 0 && posting.delta_cash == 0;
        // Before the epoch: nothing may have been applied, and a sole posting is the only one.
        let first = self.done.postings == 1 && self.done.sole;
        if untouched && first && self.holds(posting, facts, env)? {
            return Ok(());
        }
        Err(LedgerError::Refusal {
            place: posting.place,
        })
    }

    fn holds(&self, posting: &Posting, facts: &Facts, env: &Env<'_>) -> Result<bool, LedgerError> {
        let Some(refusal) = named(posting.place) else {
            return Ok(false);
        };
        if refusal == Refusal::Empty {
            return Ok(!self.exists);
        }
        if !self.exists {
            return Err(LedgerError::Missing);
        }
        let opening = &self.opening;
        let row = env.rows.get(posting.instrument)?;
        Ok(match refusal {
            Refusal::Empty => false,
            Refusal::Owner => leaf_terms(facts)?.owner != self.owner,
            Refusal::Slots => self.is_full_for(posting),
            Refusal::Bounds => self.is_beyond_bounds(posting, &row),
            Refusal::Funds => self.pays_nothing(posting),
            Refusal::NotLiquidatable => !opening.is_liquidatable,
            Refusal::NotFlagged => !opening.is_flagged,
            Refusal::Bankrupt => opening.totals.is_bankrupt(),
            Refusal::Solvent => !opening.is_bankrupt,
            Refusal::NotHeld => !self.is_held_on_side(posting),
            Refusal::Held => self.held(posting).size != 0,
            Refusal::CashOnly => opening.totals.meets_maintenance(),
            Refusal::Flagged => opening.is_flagged,
            Refusal::Margin => self.lacks_margin(posting, &row),
            Refusal::Exhausted => self.rest.generation == u32::MAX,
        })
    }

    fn held(&self, posting: &Posting) -> Holding {
        let place = self.place_of(posting.instrument);
        let place = place.and_then(|index| self.places.get(index));
        place.map(|place| place.holding).unwrap_or_default()
    }

    fn is_held_on_side(&self, posting: &Posting) -> bool {
        let size = self.held(posting).size;
        if is_short(posting) {
            size < 0
        } else {
            size > 0
        }
    }

    /// \[S2\], \[L6\]
    fn is_full_for(&self, posting: &Posting) -> bool {
        let holds = |index: usize| self.places.get(index).is_some_and(|p| p.holding.size != 0);
        let is_assigned = self.place_of(posting.instrument).is_some();
        let is_full = self.places.iter().all(|place| place.is_assigned());
        let is_isolated = self.rest.kind == AccountKind::Isolated;
        let has_other = is_isolated && (0..self.places.len()).any(holds);
        !is_assigned && (is_full || has_other)
    }

    /// \[N4\]
    fn is_beyond_bounds(&self, posting: &Posting, row: &MarginRow) -> bool {
        let amount = i128::from(posting.order_size);
        if posting.instrument == CASH {
            return i128::from(self.cash).saturating_add(amount) >= 1 << CASH_BITS;
        }
        let size = i128::from(self.held(posting).size);
        let after = match is_short(posting) {
            true => size.saturating_sub(amount),
            false => size.saturating_add(amount),
        };
        after.unsigned_abs() > row.max_size.into()
    }

    /// AT_MOST would pay not even one.
    fn pays_nothing(&self, posting: &Posting) -> bool {
        let totals = &self.opening.totals;
        if posting.instrument == CASH {
            let equity = totals.equity.saturating_sub(1);
            let least = self.opening.cash.min(0);
            return !meets(equity, totals.outflow) || self.cash.saturating_sub(1) < least;
        }
        let held = self.held(posting);
        let equity = totals.equity.saturating_sub_unsigned(held.row.value);
        let outflow = totals.outflow.saturating_sub(held.row.outflow_long);
        held.size <= 0 || !meets(equity, outflow)
    }

    /// With the lots at the mark, E is as it was: \[L4\] by R₁, \[L5\] by the cash they cost.
    fn lacks_margin(&self, posting: &Posting, row: &MarginRow) -> bool {
        let mut holdings = self.holdings();
        let place = self.place_of(posting.instrument).or_else(|| {
            let empty = |place: &Place| !place.is_assigned();
            self.places.iter().position(empty)
        });
        let Some(holding) = place.and_then(|index| holdings.get_mut(index)) else {
            return false;
        };
        let lots = i64::try_from(posting.order_size).unwrap_or(i64::MAX);
        let delta = if is_short(posting) {
            lots.saturating_neg()
        } else {
            lots
        };
        let cost = i128::from(delta).saturating_mul(row.value.into());
        let cash = i128::from(self.cash).saturating_sub(cost);
        *holding = Holding {
            row: *row,
            size: holding.size.saturating_add(delta),
        };
        if cash < self.opening.cash.min(0).into() {
            return true;
        }
        let cash = i64::try_from(cash).unwrap_or(i64::MAX);
        // Totals beyond their width are no margin either.
        totals(cash, &holdings).map_or(true, |after| !after.meets_initial())
    }
}

/// The side of a refused item: its bit is in the sequence.
fn is_short(posting: &Posting) -> bool {
    posting.sequence & 1 == 1
}

fn named(place: u32) -> Option<Refusal> {
    ALL.into_iter().find(|refusal| *refusal as u32 == place)
}

const ALL: [Refusal; 15] = [
    Refusal::Empty,
    Refusal::Owner,
    Refusal::Slots,
    Refusal::Bounds,
    Refusal::Funds,
    Refusal::NotLiquidatable,
    Refusal::NotFlagged,
    Refusal::Bankrupt,
    Refusal::Solvent,
    Refusal::NotHeld,
    Refusal::Held,
    Refusal::CashOnly,
    Refusal::Flagged,
    Refusal::Margin,
    Refusal::Exhausted,
];
