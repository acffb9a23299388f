//! What a caller may ask of an epoch under way.

use crate::entry::{Entry, Terms};
use crate::epoch::{EpochBuilder, EpochError, ticks};
use crate::header::Header;
use crate::instrument::MarketRow;
use crate::journal::absorption::Absorption;
use crate::ledger::{Context, MarginRows, Running};
use crate::margin::liquidation_charge;
use crate::oracle::Round;
use crate::state::State;
use crate::types::{AccountId, InstrumentId};

impl EpochBuilder<'_> {
    /// What entries' terms depend on in this epoch.
    pub fn entry_terms(&self) -> Terms<'_> {
        Terms {
            epoch: &self.terms,
            market: &self.market,
        }
    }

    /// The state before the epoch.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// rows′ as the journal reads them.
    pub fn market(&self) -> impl Iterator<Item = &MarketRow> {
        self.market.rows()
    }

    pub fn margin_rows(&self) -> &MarginRows {
        &self.margin
    }

    pub fn context(&self) -> Context {
        self.context
    }

    /// Header after the tick: epoch, time, deficit′.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What this tick shares out of G's loss \[Q6\]: what its shifts post to insurance 0.
    pub fn socialised(&self) -> u64 {
        self.ticks.recovered.posted
    }

    pub fn group_equity(&self) -> i64 {
        self.ticks.group_equity
    }

    /// \[Q7\] What discounts of further unwinds may cost in all, micro-quote.
    pub fn unwind_budget_left(&self) -> u64 {
        self.terms.unwind_budget.saturating_sub(self.discounts)
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// An account that was opened in this epoch.
    pub fn running(&self, id: AccountId) -> Option<&Running> {
        self.accounts.get(&id)
    }

    /// An account as it stands now, carry settled at this epoch's rows.
    pub fn account(&self, id: AccountId) -> Result<Running, EpochError> {
        match self.accounts.get(&id) {
            Some(running) => Ok(running.clone()),
            None => self.fresh(id),
        }
    }

    /// \[L5\] Users that are liquidatable at this epoch's rows, by rising id. Scans all accounts.
    pub fn liquidatable(&self) -> impl Iterator<Item = (AccountId, Running)> {
        let users = self.state.accounts.iter().map(|(id, _)| id);
        let users = users.filter(|id| !id.is_system());
        users.filter_map(|id| {
            let running = self.fresh(id).ok()?;
            running.opening.is_liquidatable.then_some((id, running))
        })
    }

    /// Those who could be absorbed in an epoch of this round: bankrupt before its shift, and with
    /// no slot in a halted row \[Q5\], \[T6\]. Scans all accounts.
    pub fn absorbable(state: &State, round: &Round) -> Result<Vec<AccountId>, EpochError> {
        ticks::absorbable(state, round)
    }

    /// What a liquidation of an account's holding must say \[Q4\]: the charge per lot and the epoch
    /// of the flag. `None` where it does not hold the instrument.
    pub fn liquidation_terms(
        &self,
        id: AccountId,
        instrument: InstrumentId,
    ) -> Result<Option<(u64, u32)>, EpochError> {
        let running = self.account(id)?;
        let place = running.place_of(instrument);
        let held = place.and_then(|index| running.places.get(index));
        let (Some(place), Some(row)) = (held, self.market.row(instrument)) else {
            return Ok(None);
        };
        let initial = place.holding.row.initial(place.base_side());
        let charge = liquidation_charge(&running.opening.totals, initial, row.penalty);
        Ok(Some((charge, running.flagged_at)))
    }

    /// The entry that absorbs an account as it stands \[Q5\].
    pub fn absorption(&self, id: AccountId) -> Result<Entry, EpochError> {
        let running = self.account(id)?;
        Ok(Entry::Absorption(Box::new(Absorption {
            account: id,
            holdings: running.absorbed_holdings(),
            debt: running.absorbed_cash().unsigned_abs(),
        })))
    }
}
