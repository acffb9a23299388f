//! Opening: settle carry, convert settled slots, note E₀ and R₀ \[L2\].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Rest, Slot};
use crate::bounds::{RUNNING_CASH_BITS, SLOTS};
use crate::ledger::{Context, Done, LedgerError, MarginRows, Opening, Place, Running};
use crate::margin::{Holding, Totals, equity, totals};
use crate::orders::empty_orders;
use crate::types::AccountId;

/// An account's part of the group G of \[Q6\]: its slots (2·id + side, lots) as they stood before
/// the epoch, and its equity at carry before the shift and before postings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupShare {
    pub sizes: Vec<(u64, u64)>,
    pub equity: i64,
}

impl Running {
    /// Opens a leaf, or the emptiness in which one may be created \[S3\].
    pub fn open(
        context: Context,
        id: AccountId,
        before: Option<&Account>,
        rows: &MarginRows,
    ) -> Result<Self, LedgerError> {
        let Some(account) = before else {
            return Ok(Self::empty(context, id));
        };
        let money = &account.money;
        // [L1] by D1: a leaf tells when it was last opened.
        if money.touched_at >= context.epoch {
            return Err(LedgerError::Reopened {
                touched_at: money.touched_at,
                epoch: context.epoch,
            });
        }
        let mut running = Self {
            exists: true,
            owner: account.owner,
            rest: account.rest.clone(),
            flagged_at: money.flagged_at,
            cash: money.cash,
            ..Self::empty(context, id)
        };
        // What the shift cost: equity before it is E₀ plus this.
        let mut shifted = 0i128;
        for (place, slot) in running.places.iter_mut().zip(&money.slots) {
            let row = rows.get(slot.instrument)?;
            running.cash = settle(running.cash, slot, row.carry(slot.side))?;
            let shift = i128::from(slot.size).saturating_mul(row.shift(slot.side).into());
            shifted = shifted.saturating_add(shift);
            let size = slot.signed_size();
            let holding = Holding { row, size };
            *place = Place {
                holding,
                base: size,
                charge: None,
            };
            if place.is_settled() {
                place.holding.size = 0;
                place.base = 0;
            }
        }
        running.opening = running.note(shifted)?;
        Ok(running)
    }

    fn empty(context: Context, id: AccountId) -> Self {
        let rest = Rest {
            orders_root: empty_orders(),
            ..Rest::default()
        };
        Self {
            id,
            context,
            exists: false,
            created: false,
            owner: Default::default(),
            rest,
            flagged_at: 0,
            cash: 0,
            places: [Place::default(); SLOTS],
            opening: Opening::default(),
            done: Done::default(),
            orders: BTreeMap::new(),
        }
    }

    fn note(&self, shifted: i128) -> Result<Opening, LedgerError> {
        let holdings = self.holdings();
        let noted = if !self.is_system() {
            totals(self.cash, &holdings)?
        } else if self.id.is_insurance() {
            let equity = equity(self.cash, &holdings)?;
            Totals {
                equity,
                ..Totals::default()
            }
        } else {
            Totals::default()
        };
        let equity_before_shift = i128::from(noted.equity).saturating_add(shifted);
        let equity_before_shift = crate::margin::fit_equity(equity_before_shift)?;
        let user = !self.is_system();
        Ok(Opening {
            totals: noted,
            cash: self.cash,
            is_liquidatable: user && noted.is_liquidatable(self.cash),
            equity_before_shift,
            is_bankrupt: user && equity_before_shift < 0,
            is_flagged: self.context.is_current(self.flagged_at),
        })
    }

    /// \[Q6\] What the account adds to G: insurance accounts, and those absorbed in this epoch.
    pub fn group_share(&self, before: &Account) -> Option<GroupShare> {
        let insurance = self.is_system() && self.id.is_insurance();
        (insurance || self.done.absorbed).then(|| GroupShare::of(before, &self.opening))
    }
}

impl GroupShare {
    pub fn of(before: &Account, opening: &Opening) -> Self {
        let held = before.money.slots.iter().filter(|slot| !slot.is_empty());
        Self {
            sizes: held.map(|slot| (slot.key(), slot.size)).collect(),
            equity: opening.equity_before_shift,
        }
    }
}

impl Context {
    /// \[Q1\] A flag of this epoch is set and not stale.
    pub fn is_current(&self, flagged_at: u32) -> bool {
        flagged_at != 0 && self.epoch.saturating_sub(flagged_at) <= self.flag_expiry
    }
}

/// \[L2\] cash −= size·(carry now − carry at entry). Users settle at most 2^56 a slot and stay in
/// range for all sixteen; a system account's slot reaches 2^61, so each is checked \[N4\].
fn settle(cash: i64, slot: &Slot, carry: i64) -> Result<i64, LedgerError> {
    let moved = i128::from(carry).saturating_sub(slot.carry.into());
    let due = i128::from(slot.size).saturating_mul(moved);
    running_cash(i128::from(cash).saturating_sub(due))
}

/// \[N4\] Running cash has 62 bits.
pub(super) fn running_cash(cash: i128) -> Result<i64, LedgerError> {
    i64::try_from(cash)
        .ok()
        .filter(|cash| cash.unsigned_abs() < 1 << RUNNING_CASH_BITS)
        .ok_or(LedgerError::RunningCash { cash })
}
