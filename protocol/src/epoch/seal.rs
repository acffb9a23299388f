//! The end of an epoch in two parts, for a sequencer that must not wait for hashes: `seal` gives
//! the next epoch its state, whose accounts are right and not hashed; `Sealed::finish` hashes and
//! makes the witness, elsewhere, from the hashed state that the epoch before left.
//!
//! Both compute the same accounts by different ways (as the entries came, and from the journal in
//! its places), and `finish` compares them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{Account, Money};
use crate::entry::{Entry, Opened};
use crate::epoch::held::Held;
use crate::epoch::{EpochBuilder, EpochError, EpochTrace, Undo};
use crate::journal::layout::fee_account;
use crate::ledger::totals_changes;
use crate::state::State;
use crate::types::AccountId;

/// An epoch that takes no more entries, without the state that it began with.
#[derive(Debug)]
pub struct Sealed {
    builder: EpochBuilder<'static>,
    /// What each touched account was left with.
    closed: BTreeMap<AccountId, Money>,
}

impl EpochBuilder<'static> {
    /// As `begin`, with a share of the state instead of a borrow.
    pub fn begin_shared(
        state: Arc<State>,
        round: crate::oracle::Round,
        plan: crate::epoch::Plan,
    ) -> Result<Self, EpochError> {
        Self::start(Held::Shared(state), round, plan)
    }

    /// The next epoch's state, its accounts not hashed, and the rest of this one's work. The state
    /// is changed in place where nobody else shares it.
    pub fn seal(mut self) -> Result<(State, Sealed), EpochError> {
        self.sweep()?;
        self.check_declared()?;
        // A segment's fee posting is there also where fills took no fee [N3].
        if self.entries.iter().any(Entry::is_fill) {
            self.open_account(fee_account(self.terms.deficit))?;
        }
        let tick = Opened::from(self.tick_posting());
        self.apply(&tick, &mut Undo::default())?;
        let mut totals = Vec::with_capacity(self.accounts.len());
        let mut closed = BTreeMap::new();
        for (id, running) in &self.accounts {
            let failed = |error| EpochError::Ledger {
                account: *id,
                error,
            };
            let money = running.close().map_err(failed)?.money;
            let before = self.state.accounts.account(*id);
            let nothing = Money::default();
            let old = before.map_or(&nothing, |account| &account.money);
            let changes = match id.is_bridge() {
                true => BTreeMap::new(),
                false => totals_changes(old, &money),
            };
            totals.push((*id, changes));
            if running.exists {
                closed.insert(*id, money);
            }
        }
        self.close_rows(totals.iter().map(|(id, changes)| (*id, changes)))?;
        let mut state = self.state.take();
        for (id, money) in &closed {
            let Some(running) = self.accounts.get(id) else {
                continue;
            };
            let account = Account {
                money: money.clone(),
                owner: running.owner,
                rest: running.rest.clone(),
            };
            state.accounts.set_unhashed(*id, account, &running.orders);
        }
        let rows = self.ticks.rows.iter().map(|(n, row)| (*n, row.after));
        state.table.set_many(rows)?;
        self.leave_header(&mut state);
        let sealed = Sealed {
            builder: self,
            closed,
        };
        Ok((state, sealed))
    }
}

impl Sealed {
    pub fn epoch(&self) -> u32 {
        self.builder.context.epoch
    }

    /// Accounts that the epoch touched, by rising id.
    pub fn touched(&self) -> impl Iterator<Item = AccountId> {
        self.closed.keys().copied()
    }

    /// The hashed state and the witness. `before` is what `finish` gave for the epoch before.
    pub fn finish(self, before: State) -> Result<(State, EpochTrace), EpochError> {
        let Self {
            mut builder,
            closed,
        } = self;
        builder.state = Held::Shared(Arc::new(before));
        let (state, trace) = builder.finish()?;
        let mut left = trace.accounts.iter().filter(|step| step.after.is_some());
        if let Some(step) = left.find(|step| !closed.contains_key(&step.id)) {
            return Err(EpochError::Sealed { account: step.id });
        }
        for (account, money) in closed {
            let found = state.accounts.account(account).map(|found| &found.money);
            if found != Some(&money) {
                return Err(EpochError::Sealed { account });
            }
        }
        Ok((state, trace))
    }
}
