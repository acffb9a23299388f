//! Hand-made rows and postings; every refusal is asked for by its code.

mod authority;
mod close;
mod leaf;
mod liquidation;
mod refusal;

use crate::account::{Account, AccountKind, Keys, Owner, PublicKey, Slot};
use crate::hash::{Digest, unsigned};
use crate::instrument::{MarginRow, flags};
use crate::ledger::{Closed, Context, Env, Facts, LedgerError, MarginRows, Running};
use crate::message::SignatureRequest;
use crate::orders::{OrderTree, empty_orders};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, LeafTerms};
use crate::types::{AccountId, InstrumentId, Side};

/// Perpetual: initial 10, maintenance 5.
pub const PERP: InstrumentId = InstrumentId(1);
/// Spot at 100, haircut 20, maintenance 10.
pub const SPOT: InstrumentId = InstrumentId(2);
/// As PERP, but reduce_only, clamped, halted, settled.
pub const REDUCING: InstrumentId = InstrumentId(3);
pub const CLAMPED: InstrumentId = InstrumentId(4);
pub const SETTLED: InstrumentId = InstrumentId(5);
pub const MAX_SIZE: u64 = 1_000;
pub const EPOCH: u32 = 50;
pub const USER: AccountId = AccountId(2_000);

pub fn row(id: InstrumentId) -> MarginRow {
    MarginRow {
        id,
        initial_long: 10,
        initial_short: 10,
        maintenance_long: 5,
        maintenance_short: 5,
        outflow_long: 10,
        outflow_short: 10,
        max_size: MAX_SIZE,
        ..MarginRow::default()
    }
}

pub fn rows() -> Vec<MarginRow> {
    let spot = MarginRow {
        value: 100,
        initial_long: 20,
        maintenance_long: 10,
        outflow_long: 20,
        ..row(SPOT)
    };
    let flagged = |id, flags| MarginRow { flags, ..row(id) };
    let mut list = vec![
        row(PERP),
        spot,
        flagged(REDUCING, flags::REDUCE_ONLY),
        MarginRow {
            outflow_long: 100,
            outflow_short: 200,
            ..flagged(CLAMPED, flags::REDUCE_ONLY | flags::CLAMPED)
        },
        flagged(SETTLED, flags::REDUCE_ONLY | flags::HALTED | flags::SETTLED),
    ];
    list.extend((100..120).map(|id| row(InstrumentId(id))));
    list
}

pub fn key(seed: u64) -> PublicKey {
    [unsigned(seed); 5]
}

pub fn digest(seed: u64) -> Digest {
    Digest {
        elements: [unsigned(seed); 4],
    }
}

pub fn owner(seed: u8) -> Owner {
    Owner([seed; 20])
}

pub fn keys() -> Keys {
    Keys {
        key: key(1),
        trading_key: key(2),
    }
}

/// A cross account with cash and signed sizes, its carry settled at 0.
pub fn account(cash: i64, held: &[(InstrumentId, i64)]) -> Account {
    let mut account = Account::default();
    account.owner = owner(7);
    account.rest.keys = keys();
    account.rest.orders_root = empty_orders();
    account.money.cash = cash;
    for (slot, (instrument, size)) in account.money.slots.iter_mut().zip(held) {
        *slot = Slot {
            instrument: *instrument,
            side: if *size < 0 { Side::Short } else { Side::Long },
            size: size.unsigned_abs(),
            carry: 0,
        };
    }
    account
}

pub fn flagged(cash: i64, held: &[(InstrumentId, i64)], flagged_at: u32) -> Account {
    let mut account = account(cash, held);
    account.money.flagged_at = flagged_at;
    account
}

pub fn isolated(cash: i64, held: &[(InstrumentId, i64)]) -> Account {
    let mut account = account(cash, held);
    account.rest.kind = AccountKind::Isolated;
    account
}

pub fn system(cash: i64, held: &[(InstrumentId, i64)]) -> Account {
    let mut account = account(cash, held);
    account.rest.kind = AccountKind::System;
    account
}

/// An account within its epoch, with the rows it reads.
pub struct Bench {
    pub running: Running,
    pub rows: MarginRows,
    pub orders: OrderTree,
    next: u32,
}

pub type Outcome = Result<Option<SignatureRequest>, LedgerError>;

impl Bench {
    pub fn open(account: &Account) -> Self {
        Self::try_open(USER, Some(account), &rows()).unwrap()
    }

    pub fn system(id: u32, account: &Account) -> Self {
        Self::try_open(AccountId(id), Some(account), &rows()).unwrap()
    }

    pub fn empty() -> Self {
        Self::try_open(USER, None, &rows()).unwrap()
    }

    pub fn try_open(
        id: AccountId,
        account: Option<&Account>,
        rows: &[MarginRow],
    ) -> Result<Self, LedgerError> {
        let rows: MarginRows = rows.iter().copied().collect();
        let context = Context {
            epoch: EPOCH,
            flag_expiry: 16,
        };
        Ok(Self {
            running: Running::open(context, id, account, &rows)?,
            rows,
            orders: OrderTree::default(),
            next: 0,
        })
    }

    /// A posting of the next index.
    pub fn posting(&mut self, needs: Needs) -> Posting {
        self.next += 1;
        Posting {
            kind: PostingKind::Fill,
            epoch: EPOCH,
            account: self.running.id,
            index: self.next,
            instrument: InstrumentId(0),
            delta_size: 0,
            delta_cash: 0,
            digest: Digest::default(),
            place: 0,
            sequence: 0,
            generation: 0,
            order_size: 0,
            needs,
            aux: Digest::default(),
        }
    }

    pub fn apply(&mut self, posting: &Posting, facts: &Facts) -> Outcome {
        let env = Env {
            rows: &self.rows,
            orders: &self.orders,
        };
        // A failed posting spends the running account; callers keep the one from before.
        let before = self.running.clone();
        let outcome = self.running.apply(posting, facts, &env);
        if outcome.is_err() {
            self.running = before;
        }
        outcome
    }

    /// A change that needs nothing else.
    pub fn change(
        &mut self,
        needs: Needs,
        instrument: InstrumentId,
        delta_size: i64,
        delta_cash: i64,
    ) -> Outcome {
        let posting = Posting {
            instrument,
            delta_size,
            delta_cash,
            ..self.posting(needs)
        };
        self.apply(&posting, &Facts::default())
    }

    pub fn fill(&mut self, instrument: InstrumentId, lots: i64, cash: i64) -> Outcome {
        self.change(Needs::ORDINARY, instrument, lots, cash)
    }

    pub fn close(&self) -> Closed {
        self.running.close().unwrap()
    }

    pub fn refused(&self) -> &'static str {
        self.running.close().unwrap_err().code()
    }
}

pub fn code(outcome: Outcome) -> &'static str {
    outcome.unwrap_err().code()
}

/// A posting with an aux, and the facts behind it.
pub fn with_aux(posting: Posting, aux: Aux) -> (Posting, Facts) {
    let posting = Posting {
        aux: aux.digest(),
        ..posting
    };
    let facts = Facts {
        aux,
        ..Facts::default()
    };
    (posting, facts)
}

pub fn leaf_terms(owner_seed: u8, keys: &Keys, kind: AccountKind) -> Aux {
    Aux::Leaf(LeafTerms {
        owner: owner(owner_seed),
        keys: keys.digest(),
        kind,
    })
}
