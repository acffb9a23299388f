//! Closing: what must hold of every touched account at the end of its epoch \[L4\]–\[L6\], and the
//! leaf that it leaves.

use std::collections::BTreeMap;

use crate::account::{AccountKind, Money, Slot};
use crate::bounds::{CASH_BITS, SLOTS};
use crate::ledger::{AtMost, LedgerError, Place, Running};
use crate::margin::{Totals, meets, ratio_kept, totals};

/// What a closed account leaves behind. Keys, counters and owner are the running account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub money: Money,
    /// E₁, R₁ and the other requirements; zeros for system accounts.
    pub totals: Totals,
}

impl Running {
    /// Every check of an account's end. It changes nothing, so a caller may ask after each posting
    /// whether the account could close now.
    pub fn close(&self) -> Result<Closed, LedgerError> {
        self.check_bounds()?;
        let totals = if self.is_system() {
            self.check_system()?;
            Totals::default()
        } else {
            let totals = totals(self.cash, &self.holdings())?;
            self.check_user(&totals)?;
            totals
        };
        Ok(Closed {
            money: self.money(&totals),
            totals,
        })
    }

    /// \[N4\] |cash| < 2^60; |size| ≤ max_size but for the system, whose sizes the rows' totals
    /// bound.
    fn check_bounds(&self) -> Result<(), LedgerError> {
        if self.cash.unsigned_abs() >> CASH_BITS != 0 {
            return Err(LedgerError::Cash { cash: self.cash });
        }
        let beyond = |place: &&Place| {
            place.holding.size.unsigned_abs() > place.holding.row.max_size && !self.is_system()
        };
        match self.places.iter().find(beyond) {
            None => Ok(()),
            Some(place) => Err(LedgerError::Size {
                size: place.holding.size,
                max_size: place.holding.row.max_size,
            }),
        }
    }

    /// \[S6\] A bridge only ever owes; what leaves a system account's cash is there.
    fn check_system(&self) -> Result<(), LedgerError> {
        let cash = self.cash;
        let owns = self.places.iter().any(|place| place.holding.size > 0);
        if self.id.is_bridge() && (cash > 0 || owns) {
            return Err(LedgerError::Bridge { cash });
        }
        if self.done.outflow && cash < 0 {
            return Err(LedgerError::SystemCash { cash });
        }
        // [Q6] E_G hears of insurance accounts that hold lots, and of 0 (docs/decisions.md, D15).
        let empty = self.places.iter().all(|place| place.holding.size == 0);
        if self.id.is_insurance() && self.id.0 != 0 && empty && cash != 0 {
            return Err(LedgerError::InsuranceCash { cash });
        }
        Ok(())
    }

    fn check_user(&self, totals: &Totals) -> Result<(), LedgerError> {
        self.check_margin(totals)?;
        self.check_cash()?;
        let held = self.places.iter().filter(|place| place.holding.size != 0);
        let held = held.count();
        if self.rest.kind == AccountKind::Isolated && held > 1 {
            return Err(LedgerError::Isolated { held });
        }
        // [Q2] From the epoch after the flag.
        if self.opening.is_flagged && self.done.unpermitted && !totals.meets_initial() {
            return Err(LedgerError::Restricted {
                equity: totals.equity,
                initial: totals.initial,
            });
        }
        if self.done.liquidated {
            if self.done.ordinary {
                return Err(LedgerError::Mixed);
            }
            if let Some(place) = self.places.iter().find(|place| place.grew()) {
                return Err(LedgerError::NotShrinking {
                    size: place.base,
                    delta: place.holding.size.saturating_sub(place.base),
                });
            }
            self.check_stop(totals.equity, totals.initial)?;
        }
        // [Q5] The account's only posting.
        if self.done.absorbed && self.done.postings != 1 {
            return Err(LedgerError::NotAbsorbed);
        }
        self.check_at_most(totals)
    }

    /// \[L4\]
    fn check_margin(&self, after: &Totals) -> Result<(), LedgerError> {
        if self.done.outflow && !after.meets_outflow() {
            return Err(LedgerError::Outflow {
                equity: after.equity,
                outflow: after.outflow,
            });
        }
        let before = &self.opening.totals;
        let only_reduced = !self.places.iter().any(Place::grew)
            && ratio_kept(before, after)
            && (before.initial > 0 || after.equity >= before.equity);
        // An absorbed account keeps no slot, and at most a debt that one posting could not carry.
        if after.meets_initial() || only_reduced || self.done.absorbed {
            return Ok(());
        }
        Err(LedgerError::Initial {
            equity: after.equity,
            initial: after.initial,
        })
    }

    /// \[L5\] cash₁ ≥ min(0, cash₀) less what liquidations charged.
    fn check_cash(&self) -> Result<(), LedgerError> {
        let least = i128::from(self.opening.cash.min(0)).saturating_sub(self.done.charged.into());
        if i128::from(self.cash) < least {
            return Err(LedgerError::CashFloor {
                cash: self.cash,
                least,
            });
        }
        Ok(())
    }

    /// \[J4\] All that was asked, or so much that one more would break a rule.
    fn check_at_most(&self, after: &Totals) -> Result<(), LedgerError> {
        let Some(AtMost { asked, paid, place }) = self.done.at_most else {
            return Ok(());
        };
        let place = place.and_then(|index| self.places.get(index));
        let is_most = match place {
            _ if paid == asked => true,
            // A liquidation: the slot is empty, or the account is restored.
            Some(place) if self.done.liquidated => {
                let restored = if self.opening.totals.meets_maintenance() {
                    self.cash >= 0
                } else {
                    after.meets_initial()
                };
                place.holding.size == 0 || restored
            }
            Some(place) => {
                let row = &place.holding.row;
                let equity = after.equity.saturating_sub_unsigned(row.value);
                let outflow = after.outflow.saturating_sub(row.outflow_long);
                place.holding.size <= 0 || !meets(equity, outflow)
            }
            None => {
                let equity = after.equity.saturating_sub(1);
                let least = self.opening.cash.min(0);
                !meets(equity, after.outflow) || self.cash.saturating_sub(1) < least
            }
        };
        if paid == 0 || paid > asked || !is_most {
            return Err(LedgerError::AtMost { paid, asked });
        }
        Ok(())
    }

    /// The leaf's new money: slots at this epoch's carry, the flag cleared where \[Q1\] says so.
    fn money(&self, totals: &Totals) -> Money {
        let mut slots = [Slot::default(); SLOTS];
        for (slot, place) in slots.iter_mut().zip(&self.places) {
            let (row, side) = (&place.holding.row, place.holding.side());
            if place.holding.size != 0 {
                *slot = Slot {
                    instrument: row.id,
                    side,
                    size: place.holding.size.unsigned_abs(),
                    carry: row.carry(side),
                };
            }
        }
        let restored = totals.meets_initial() && self.cash >= 0;
        Money {
            cash: self.cash,
            flagged_at: if restored { 0 } else { self.flagged_at },
            touched_at: self.context.epoch,
            slots,
        }
    }
}

/// \[T8\] What an account's epoch changes in the rows' totals, by 2·id + side. Bridges are outside.
pub fn totals_changes(before: &Money, after: &Money) -> BTreeMap<u64, i64> {
    let mut changes = BTreeMap::new();
    let signed = |slot: &Slot| i64::try_from(slot.size).unwrap_or(i64::MAX);
    for slot in &before.slots {
        let change: &mut i64 = changes.entry(slot.key()).or_default();
        *change = change.saturating_sub(signed(slot));
    }
    for slot in &after.slots {
        let change: &mut i64 = changes.entry(slot.key()).or_default();
        *change = change.saturating_add(signed(slot));
    }
    changes.retain(|_, change| *change != 0);
    changes
}
