//! Flag, liquidation and absorption as the ledger sees them \[Q1\]–\[Q5\].

use crate::bounds::{POSTING_CASH_BITS, SLOTS};
use crate::ledger::{Facts, LedgerError, Running, is_within};
use crate::margin::{liquidation_charge, meets};
use crate::posting::{Needs, Posting};
use crate::terms::{Aux, Holding};

impl Running {
    /// \[Q1\] Only a liquidatable account; a current flag keeps its age.
    pub(super) fn raise_flag(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        if !posting.needs.has(Needs::FLAG) {
            return Ok(());
        }
        if !self.opening.is_liquidatable {
            return Err(LedgerError::FlagHealthy {
                equity: self.opening.totals.equity,
                maintenance: self.opening.totals.maintenance,
                cash: self.opening.cash,
            });
        }
        if !self.context.is_current(self.flagged_at) {
            self.flagged_at = self.context.epoch;
        }
        Ok(())
    }

    /// \[Q2\], \[Q3\], \[Q4\] The size is already changed; where the liquidation stops is seen at
    /// close.
    pub(super) fn liquidate(
        &mut self,
        posting: &Posting,
        facts: &Facts,
        place: Option<usize>,
    ) -> Result<(), LedgerError> {
        if !posting.needs.has(Needs::LIQUIDATE) {
            return Ok(());
        }
        let Aux::Liquidation(terms) = facts.aux else {
            return Err(LedgerError::Aux);
        };
        let opening = self.opening;
        if !opening.is_flagged {
            return Err(LedgerError::NotFlagged);
        }
        if !opening.is_liquidatable {
            return Err(LedgerError::Healthy);
        }
        if opening.totals.is_bankrupt() {
            let equity = opening.totals.equity;
            return Err(LedgerError::Bankrupt { equity });
        }
        if terms.flagged_at != self.flagged_at {
            return Err(LedgerError::FlaggedAt {
                named: terms.flagged_at,
                held: self.flagged_at,
            });
        }
        let delta = posting.delta_size;
        let Some(place) = place.and_then(|index| self.places.get_mut(index)) else {
            return Err(LedgerError::NotShrinking { size: 0, delta });
        };
        // On the side that was opened, so that `base` still tells it at close.
        let before = place.holding.size.saturating_sub(delta);
        if !is_within(place.holding.size, before) || before.signum() != place.base.signum() {
            return Err(LedgerError::NotShrinking {
                size: before,
                delta,
            });
        }
        let row = &place.holding.row;
        if opening.totals.meets_maintenance() && (row.value == 0 || before < 0) {
            return Err(LedgerError::NotOwned);
        }
        let initial = row.initial(place.base_side());
        let due = liquidation_charge(&opening.totals, initial, terms.penalty);
        if terms.charge != due {
            return Err(LedgerError::Charge {
                named: terms.charge,
                due,
            });
        }
        place.charge = Some(due);
        self.done.liquidated = true;
        // Below the requirement of the slot, so below 2^55 in all postings together.
        let charged = due.saturating_mul(delta.unsigned_abs());
        self.done.charged = self.done.charged.saturating_add(charged);
        Ok(())
    }

    /// \[Q5\] All slots, and as much of the negative cash as one posting holds.
    pub(super) fn absorb(&mut self, posting: &Posting, facts: &Facts) -> Result<(), LedgerError> {
        if !posting.needs.has(Needs::ABSORB) {
            return Ok(());
        }
        let Aux::Absorbed(named) = facts.aux else {
            return Err(LedgerError::Aux);
        };
        if !self.opening.is_bankrupt {
            return Err(LedgerError::NotBankrupt {
                equity: self.opening.equity_before_shift,
            });
        }
        if named != self.absorbed_holdings() || posting.delta_cash != self.absorbed_cash() {
            return Err(LedgerError::NotAbsorbed);
        }
        for place in &mut self.places {
            place.holding.size = 0;
        }
        self.done.absorbed = true;
        Ok(())
    }

    /// What an absorption must name: every slot, zeros where empty.
    pub fn absorbed_holdings(&self) -> [Holding; SLOTS] {
        self.places.map(|place| match place.holding.size {
            0 => Holding::default(),
            size => Holding {
                instrument: place.holding.row.id,
                size,
            },
        })
    }

    /// Δcash of an absorption: all cash, or as much of a debt as one posting holds. A bankrupt's
    /// cash is negative, since what it owns has value ≥ 0; a short of a spot asset could make one
    /// with cash left, which the journal does not absorb (docs/decisions.md, D32).
    pub fn absorbed_cash(&self) -> i64 {
        let most = (1i64 << POSTING_CASH_BITS).saturating_sub(1);
        self.cash.saturating_neg().min(most)
    }

    /// \[Q3\] Where liquidations must have stopped; called at close.
    pub(super) fn check_stop(&self, equity: i64, initial: u64) -> Result<(), LedgerError> {
        let before = &self.opening.totals;
        let liquidated = || {
            self.places
                .iter()
                .filter_map(|place| place.charge.map(|charge| (place, charge)))
        };
        // One lot of a liquidated slot put back: equity has its charge again.
        let stopped = if !before.meets_maintenance() {
            if initial >= before.initial {
                return Err(LedgerError::NotFalling {
                    before: before.initial,
                    after: initial,
                });
            }
            liquidated().any(|(place, charge)| {
                let equity = equity.saturating_add_unsigned(charge);
                let lot = place.holding.row.initial(place.base_side());
                !meets(equity, initial.saturating_add(lot))
            })
        } else {
            // What a lot brought in, off cash again.
            liquidated().any(|(place, charge)| {
                let brought = place.holding.row.value.saturating_sub(charge);
                self.cash.saturating_sub_unsigned(brought) < 0
            })
        };
        if !stopped {
            return Err(LedgerError::PastRestoration);
        }
        Ok(())
    }
}
