//! What the sequencer asks before it accepts a fill: could both accounts close the epoch after it?
//!
//! The question per fill is stricter than the ledger's per epoch \[L4\]: whatever prefix of an
//! epoch's fills is settled, each account passes. The rules are the ledger's own; this tries a
//! change on a copy of the running account without naming an order.

use tally_protocol::instrument::{MarginRow, flags};
use tally_protocol::ledger::Running;
use tally_protocol::margin::{Holding, Totals, totals};
use tally_protocol::types::InstrumentId;

/// A running account with the changes tried so far.
#[derive(Clone, Debug)]
pub struct Desk {
    running: Running,
}

impl Desk {
    pub fn new(running: Running) -> Self {
        Self { running }
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Totals now; zeros where they do not fit, which no account reaches.
    pub fn totals(&self) -> Totals {
        totals(self.running.cash, &self.running.places.map(|p| p.holding)).unwrap_or_default()
    }

    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.running
            .places
            .iter()
            .map(|place| &place.holding)
            .filter(|held| held.size != 0)
    }

    /// Signed lots in one instrument.
    pub fn size(&self, id: InstrumentId) -> i64 {
        self.holdings()
            .find(|held| held.row.id == id)
            .map_or(0, |held| held.size)
    }

    /// The account after a fill, or none where a rule refuses it. `may_grow` is for those who take
    /// over a liquidation or inventory \[T6\].
    pub fn filled(
        &self,
        row: &MarginRow,
        delta_size: i64,
        delta_cash: i64,
        may_grow: bool,
    ) -> Option<Self> {
        let mut after = self.clone();
        let running = &mut after.running;
        let free = || {
            self.running
                .places
                .iter()
                .position(|place| !place.is_assigned())
        };
        let place = self.running.place_of(row.id).or_else(free)?;
        let place = running.places.get_mut(place)?;
        place.holding.row = *row;
        place.holding.size = place.holding.size.checked_add(delta_size)?;
        let restricted = row.flags & (flags::REDUCE_ONLY | flags::HALTED) != 0;
        if restricted && !may_grow && place.grew() {
            return None;
        }
        running.cash = running.cash.checked_add(delta_cash)?;
        running.done.ordinary = true;
        running.done.unpermitted = true;
        running.close().ok()?;
        Some(after)
    }

    /// Cash that leaves or comes by a message; none where the ledger would refuse it \[L4\].
    pub fn paid(&self, delta_cash: i64) -> Option<Self> {
        let mut after = self.clone();
        after.running.cash = after.running.cash.checked_add(delta_cash)?;
        after.running.done.outflow |= delta_cash < 0;
        after.running.done.unpermitted = true;
        after.running.close().ok()?;
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_protocol::account::{Account, Slot};
    use tally_protocol::ledger::Context;
    use tally_protocol::types::{AccountId, Side};

    fn row(id: u32) -> MarginRow {
        MarginRow {
            id: InstrumentId(id),
            initial_long: 10,
            initial_short: 10,
            maintenance_long: 5,
            maintenance_short: 5,
            outflow_long: 10,
            outflow_short: 10,
            max_size: 1000,
            ..MarginRow::default()
        }
    }

    fn open(cash: i64, held: &[(u32, i64)], flagged_at: u32) -> Desk {
        let mut account = Account::default();
        account.money.cash = cash;
        account.money.flagged_at = flagged_at;
        for (slot, (id, size)) in account.money.slots.iter_mut().zip(held) {
            let side = if *size < 0 { Side::Short } else { Side::Long };
            let (instrument, size) = (InstrumentId(*id), size.unsigned_abs());
            *slot = Slot {
                instrument,
                side,
                size,
                carry: 0,
            };
        }
        let context = Context {
            epoch: 9,
            flag_expiry: 256,
        };
        let rows = (1..30).map(row).collect();
        Desk::new(Running::open(context, AccountId(1024), Some(&account), &rows).unwrap())
    }

    #[test]
    fn l4_growth_needs_the_initial_requirement_and_reduction_keeps_the_ratio() {
        let rich = open(100, &[], 0);
        assert!(rich.filled(&row(1), 10, 0, false).is_some());
        assert!(rich.filled(&row(1), 11, 0, false).is_none());
        let thin = open(60, &[(1, 10)], 0);
        assert!(thin.filled(&row(1), -1, -6, false).is_some());
        assert!(thin.filled(&row(1), -1, -7, false).is_none());
        assert!(thin.filled(&row(1), -17, 0, false).is_none());
        let flagged = open(60, &[(1, 10)], 3);
        assert!(flagged.filled(&row(1), -1, 0, false).is_none());
        assert!(flagged.filled(&row(1), -4, 0, false).is_some());
        assert!(rich.paid(-100).is_some() && rich.paid(-101).is_none());
        assert!(thin.paid(-1).is_none());
    }

    #[test]
    fn t6_only_takers_grow_in_a_restricted_row() {
        let clamped = MarginRow {
            flags: flags::REDUCE_ONLY,
            ..row(1)
        };
        let holder = open(1000, &[(1, 10)], 0);
        assert!(holder.filled(&clamped, 1, 0, false).is_none());
        assert!(holder.filled(&clamped, 1, 0, true).is_some());
        assert!(holder.filled(&clamped, -3, 0, false).is_some());
    }

    #[test]
    fn s2_slots_are_sixteen_and_an_emptied_one_is_free_in_the_next_epoch() {
        let held: Vec<_> = (1..17).map(|id| (id, 1)).collect();
        let full = open(1000, &held, 0);
        assert!(full.filled(&row(20), 1, 0, false).is_none());
        let emptied = full.filled(&row(1), -1, 0, false).unwrap();
        assert!(emptied.filled(&row(20), 1, 0, false).is_none());
        assert!(emptied.filled(&row(1), 1, 0, false).is_some());
    }
}
