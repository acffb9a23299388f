//! Running accounts within an epoch: what the sequencer checks before it accepts a fill.
//!
//! The check per fill is stricter than the ledger's per epoch \[L4\]: whatever prefix of an epoch's
//! fills is settled, each account passes.

use tally_protocol::account::{Account, AccountKind};
use tally_protocol::bounds::{CASH_BITS, SLOTS};
use tally_protocol::instrument::{MarginRow, flags};
use tally_protocol::margin::{Holding, Totals, ratio_kept, totals};
use tally_protocol::types::InstrumentId;

/// The rows of an epoch, by instrument id; ids are row numbers.
#[derive(Clone, Debug, Default)]
pub struct MarginRows(pub Vec<MarginRow>);

impl MarginRows {
    pub fn get(&self, id: InstrumentId) -> MarginRow {
        self.0.get(id.0 as usize).copied().unwrap_or_default()
    }
}

/// An account after its carry was settled and some of the epoch's postings.
#[derive(Clone, Debug)]
pub struct Running {
    pub opening: Totals,
    opening_cash: i64,
    opening_sizes: [i64; SLOTS],
    pub cash: i64,
    /// Slot by slot; one that was emptied in the epoch keeps its instrument (decision D7).
    pub holdings: [Holding; SLOTS],
    pub flagged_at: u32,
    is_isolated: bool,
}

impl Running {
    /// None where the totals do not fit their widths, which no account reaches.
    pub fn open(account: &Account, rows: &MarginRows) -> Option<Self> {
        let money = &account.money;
        let mut cash = money.cash;
        let mut holdings = [Holding::default(); SLOTS];
        for (holding, slot) in holdings.iter_mut().zip(&money.slots) {
            let row = rows.get(slot.instrument);
            if slot.is_empty() {
                continue;
            }
            let moved = row.carry(slot.side).checked_sub(slot.carry)?;
            cash = cash.checked_sub(moved.checked_mul(i64::try_from(slot.size).ok()?)?)?;
            if row.flags & flags::SETTLED == 0 {
                *holding = Holding {
                    row,
                    size: slot.signed_size(),
                };
            }
        }
        let opening = totals(cash, &holdings).ok()?;
        Some(Self {
            opening,
            opening_cash: cash,
            opening_sizes: holdings.map(|holding| holding.size),
            cash,
            holdings,
            flagged_at: money.flagged_at,
            is_isolated: account.rest.kind == AccountKind::Isolated,
        })
    }

    pub fn totals(&self) -> Option<Totals> {
        totals(self.cash, &self.holdings).ok()
    }

    pub fn is_liquidatable(&self) -> bool {
        self.opening.is_liquidatable(self.opening_cash)
    }

    pub fn opening_cash(&self) -> i64 {
        self.opening_cash
    }

    /// Signed lots in one instrument.
    pub fn size(&self, id: InstrumentId) -> i64 {
        let held = self.holdings.iter().find(|holding| holding.row.id == id);
        held.map_or(0, |holding| holding.size)
    }

    /// The account with a posting applied, or none where it has no slot for it or a bound breaks.
    pub fn with(&self, row: &MarginRow, delta_size: i64, delta_cash: i64) -> Option<Self> {
        let mut after = self.clone();
        after.cash = self.cash.checked_add(delta_cash)?;
        if delta_size != 0 {
            let place = self
                .holdings
                .iter()
                .position(|holding| holding.row.id == row.id);
            let free = || {
                self.holdings
                    .iter()
                    .position(|holding| holding.row.id.0 == 0)
            };
            let holding = after.holdings.get_mut(place.or_else(free)?)?;
            holding.row = *row;
            holding.size = holding.size.checked_add(delta_size)?;
            if holding.size.unsigned_abs() > row.max_size {
                return None;
            }
        }
        let fits = after.cash.unsigned_abs() < 1 << CASH_BITS;
        fits.then_some(after)
    }

    /// \[L4\], \[L5\], \[L6\], \[T6\], \[Q2\]: the account could close like this.
    pub fn may_close(&self, grows_freely: bool) -> bool {
        let Some(now) = self.totals() else {
            return false;
        };
        let before = &self.opening;
        let slots = self.holdings.iter().zip(&self.opening_sizes);
        let mut shrank = true;
        for (holding, opening) in slots {
            let grew = holding.size.unsigned_abs() > opening.unsigned_abs()
                || holding.size.signum() * opening.signum() < 0;
            let reduce_only = holding.row.flags & flags::REDUCE_ONLY != 0;
            if (grew && reduce_only && !grows_freely) || (holding.row.value > 0 && holding.size < 0)
            {
                return false;
            }
            shrank &= !grew;
        }
        let held = self
            .holdings
            .iter()
            .filter(|holding| holding.size != 0)
            .count();
        if self.cash < self.opening_cash.min(0) || (self.is_isolated && held > 1) {
            return false;
        }
        let reduced = shrank
            && ratio_kept(before, &now)
            && (before.initial > 0 || now.equity >= before.equity);
        now.meets_initial() || (reduced && self.flagged_at == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_protocol::account::Slot;
    use tally_protocol::types::Side;

    fn row(id: u32) -> MarginRow {
        MarginRow {
            id: InstrumentId(id),
            initial_long: 10,
            initial_short: 10,
            maintenance_long: 5,
            maintenance_short: 5,
            max_size: 1000,
            ..MarginRow::default()
        }
    }

    fn open(cash: i64, held: &[(u32, Side, u64)], rows: &MarginRows) -> Running {
        let mut account = Account::default();
        account.money.cash = cash;
        for (slot, (id, side, size)) in account.money.slots.iter_mut().zip(held) {
            *slot = Slot {
                instrument: InstrumentId(*id),
                side: *side,
                size: *size,
                carry: 0,
            };
        }
        Running::open(&account, rows).unwrap()
    }

    fn rows() -> MarginRows {
        MarginRows(
            (0..30)
                .map(|id| {
                    if id == 0 {
                        MarginRow::default()
                    } else {
                        row(id)
                    }
                })
                .collect(),
        )
    }

    #[test]
    fn l2_opening_settles_carry_and_drops_settled_slots() {
        let mut rows = rows();
        rows.0[1].long_carry = 7;
        rows.0[2].short_carry = -3;
        rows.0[2].flags = flags::SETTLED;
        let running = open(100, &[(1, Side::Long, 2), (2, Side::Short, 4)], &rows);
        assert_eq!((running.cash, running.size(InstrumentId(1))), (98, 2));
        assert_eq!(
            (running.size(InstrumentId(2)), running.opening.initial),
            (0, 20)
        );
    }

    #[test]
    fn l4_growth_needs_the_initial_requirement_and_reduction_keeps_the_ratio() {
        let rows = rows();
        let rich = open(100, &[], &rows);
        assert!(rich.with(&row(1), 10, 0).unwrap().may_close(false));
        assert!(!rich.with(&row(1), 11, 0).unwrap().may_close(false));
        let thin = open(60, &[(1, Side::Long, 10)], &rows);
        assert!(thin.with(&row(1), -1, -6).unwrap().may_close(false));
        assert!(!thin.with(&row(1), -1, -7).unwrap().may_close(false));
        assert!(!thin.with(&row(1), -17, 0).unwrap().may_close(false));
        let flagged = Running {
            flagged_at: 3,
            ..thin
        };
        assert!(!flagged.with(&row(1), -1, 0).unwrap().may_close(false));
        assert!(flagged.with(&row(1), -4, 0).unwrap().may_close(false));
    }

    #[test]
    fn l5_cash_stays_at_or_above_zero_and_slots_are_sixteen() {
        let rows = rows();
        let account = open(5, &[(1, Side::Long, 1)], &rows);
        assert!(!account.with(&row(1), -1, -6).unwrap().may_close(false));
        let full: Vec<_> = (1..17).map(|id| (id, Side::Long, 1)).collect();
        let full = open(1000, &full, &rows);
        assert!(full.with(&row(20), 1, 0).is_none());
        assert!(
            full.with(&row(1), -1, 0)
                .unwrap()
                .with(&row(20), 1, 0)
                .is_none()
        );
    }

    #[test]
    fn l6_an_isolated_account_holds_one_instrument() {
        let rows = rows();
        let isolated = Running {
            is_isolated: true,
            ..open(100, &[(1, Side::Long, 1)], &rows)
        };
        assert!(!isolated.with(&row(2), 1, 0).unwrap().may_close(false));
        assert!(isolated.with(&row(1), 1, 0).unwrap().may_close(false));
    }
}
