//! The trial balance \[S8\]: one invariant for the conservation of everything.
//!
//! Claim: over all accounts, cash settled at current carry sums to zero, the sizes of each
//! instrument sum to zero, and a row's totals are its open interest. Mechanism: postings sum to
//! zero [J1], a perpetual's sides move by opposite carry over equal totals [T4], and a shift is
//! posted exactly [Q6]. It is computed here from nothing but leaves and rows, which is what makes
//! it a test.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::instrument::{Row, Status};
use crate::state::State;
use crate::types::{InstrumentId, Side};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialBalance {
    /// Micro-quote; 0 for every reachable state.
    pub cash: i128,
    /// Signed lots by instrument that is not settled; 0 each.
    pub sizes: BTreeMap<InstrumentId, i128>,
    /// Lots that are held on each side, bridges apart \[T8\].
    pub open: BTreeMap<(InstrumentId, Side), u128>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrialBalanceError {
    #[error("[S8] settled cash sums to {cash}")]
    Cash { cash: i128 },
    #[error("[S8] the sizes of instrument {instrument} sum to {size}")]
    Size { instrument: u32, size: i128 },
    #[error("[S8] instrument {instrument} is held but has no row")]
    Row { instrument: u32 },
    #[error("[T8] instrument {instrument}: {held:?} lots are held, the row says {totals:?}")]
    Totals {
        instrument: u32,
        held: [u128; 2],
        totals: [u64; 2],
    },
}

impl TrialBalanceError {
    pub fn code(&self) -> &'static str {
        match self {
            TrialBalanceError::Cash { .. } => "S8.cash",
            TrialBalanceError::Size { .. } => "S8.size",
            TrialBalanceError::Row { .. } => "S8.row",
            TrialBalanceError::Totals { .. } => "T8.totals",
        }
    }
}

impl TrialBalance {
    pub fn of(state: &State) -> Result<Self, TrialBalanceError> {
        let rows: BTreeMap<InstrumentId, &Row> = state
            .table
            .rows()
            .map(|(_, row)| (row.params.id, row))
            .collect();
        let mut balance = Self::default();
        for (id, member) in state.accounts.iter() {
            let money = &member.account.money;
            balance.cash = balance.cash.saturating_add(money.cash.into());
            for slot in money.slots.iter().filter(|slot| !slot.is_empty()) {
                let instrument = slot.instrument;
                let row = rows.get(&instrument);
                let row = row.ok_or(TrialBalanceError::Row {
                    instrument: instrument.0,
                })?;
                let carry = match slot.side {
                    Side::Long => row.long_carry,
                    Side::Short => row.short_carry,
                };
                let moved = i128::from(carry).saturating_sub(slot.carry.into());
                let due = i128::from(slot.size).saturating_mul(moved);
                balance.cash = balance.cash.saturating_sub(due);
                // A settled slot is worth its carry alone and vanishes when its leaf is opened
                // [T6].
                if row.status != Status::Settled {
                    let size = balance.sizes.entry(instrument).or_default();
                    *size = size.saturating_add(slot.signed_size().into());
                }
                if !id.is_bridge() {
                    let open = balance.open.entry((instrument, slot.side)).or_default();
                    *open = open.saturating_add(slot.size.into());
                }
            }
        }
        Ok(balance)
    }

    pub fn check(&self, state: &State) -> Result<(), TrialBalanceError> {
        if self.cash != 0 {
            return Err(TrialBalanceError::Cash { cash: self.cash });
        }
        if let Some((instrument, size)) = self.sizes.iter().find(|(_, size)| **size != 0) {
            return Err(TrialBalanceError::Size {
                instrument: instrument.0,
                size: *size,
            });
        }
        for (_, row) in state.table.rows() {
            let id = row.params.id;
            let held = [Side::Long, Side::Short]
                .map(|side| self.open.get(&(id, side)).copied().unwrap_or_default());
            let totals = [row.open_long, row.open_short];
            if held != totals.map(u128::from) {
                return Err(TrialBalanceError::Totals {
                    instrument: id.0,
                    held,
                    totals,
                });
            }
        }
        Ok(())
    }
}

/// \[S8\] Computes and checks.
pub fn check(state: &State) -> Result<TrialBalance, TrialBalanceError> {
    let balance = TrialBalance::of(state)?;
    balance.check(state)?;
    Ok(balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountKind, Keys, Owner, Slot};
    use crate::genesis::{default_leaf, genesis};
    use crate::header::Globals;
    use crate::instrument::{InstrumentKind, RowParams};
    use crate::oracle::Reporters;
    use crate::orders::OrderTree;
    use crate::state::Member;
    use crate::types::AccountId;

    /// Three lots between two users at different carries, and the bridge's debt.
    fn balanced() -> State {
        let reporters = Reporters::new(vec![[Default::default(); 5]; 4], 1).unwrap();
        let mut state = genesis(Globals::default(), reporters, 0).unwrap();
        let params = RowParams {
            id: InstrumentId(1),
            kind: InstrumentKind::Perpetual,
            ..RowParams::default()
        };
        let row = Row {
            params,
            long_carry: 7,
            short_carry: -7,
            open_long: 3,
            open_short: 3,
            ..Row::default()
        };
        state.table.set_many([(1, row)]).unwrap();
        // Settled: 100 − 3·(7 − 5) and 50 + 3·(7 − 5) against −150.
        put(&mut state, 2_000, 100, Some((Side::Long, 3, 5)));
        put(&mut state, 2_001, 50, Some((Side::Short, 3, -5)));
        put(&mut state, 128, -150, None);
        state
    }

    fn put(state: &mut State, id: u32, cash: i64, held: Option<(Side, u64, i64)>) {
        let mut account = default_leaf(Owner::default(), Keys::default(), AccountKind::Cross);
        account.money.cash = cash;
        if let Some((side, size, carry)) = held {
            let instrument = InstrumentId(1);
            account.money.slots[0] = Slot {
                instrument,
                side,
                size,
                carry,
            };
        }
        let orders = OrderTree::default();
        state
            .accounts
            .set([(AccountId(id), Member { account, orders })])
            .unwrap();
    }

    #[test]
    fn s8_everything_is_held_by_someone() {
        let state = balanced();
        assert_eq!(check(&state).unwrap().open.len(), 2);
        let code = |change: fn(&mut State)| {
            let mut state = state.clone();
            change(&mut state);
            check(&state).unwrap_err().code()
        };
        assert_eq!(code(|s| put(s, 128, -149, None)), "S8.cash");
        assert_eq!(code(|s| put(s, 2_001, 56, None)), "S8.size");
        // Carry moved with nothing to show for it.
        assert_eq!(
            code(|s| put(s, 2_000, 100, Some((Side::Long, 3, 4)))),
            "S8.cash"
        );
        let other = |s: &mut State, change: fn(&mut Row)| {
            let mut row = *s.table.get(1).unwrap();
            change(&mut row);
            s.table.set_many([(1, row)]).unwrap();
        };
        let mut wrong = state.clone();
        other(&mut wrong, |row| row.open_short = 2);
        assert_eq!(check(&wrong).unwrap_err().code(), "T8.totals");
        let mut wrong = state.clone();
        other(&mut wrong, |row| row.params.id = InstrumentId(1_025));
        assert_eq!(check(&wrong).unwrap_err().code(), "S8.row");
    }
}
