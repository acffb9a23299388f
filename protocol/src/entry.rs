//! The entry: what the sequencer wants done, and its postings \[J1\].
//!
//! `effects` is pure: of the entry, of what holds for the epoch and of the rows that the epoch
//! reads. What an entry says about accounts (a flag's epoch, a charge, an absorbed account's slots,
//! what an L1 withdrawal can pay) it only claims; the claim goes into the posting, and the ledger
//! checks it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{Keys, Owner};
use crate::header::Context;
use crate::instrument::MarketRow;
use crate::journal::absorption::{Absorption, AbsorptionError};
use crate::journal::cancel_all::CancelError;
use crate::journal::fee_withdraw::{FeeWithdraw, FeeWithdrawError};
use crate::journal::fill::{Fill, FillError};
use crate::journal::flag::Flag;
use crate::journal::liquidation::{Liquidation, LiquidationError};
use crate::journal::sweep::Sweep;
use crate::journal::transfer::{TransferEntry, TransferError};
use crate::journal::unwind::{Unwind, UnwindError};
use crate::journal::withdraw::{WithdrawEntry, WithdrawError};
use crate::journal::{TermsError, key_change};
use crate::message::{Cancel, CancelAll, Domain, KeyChange};
use crate::posting::Posting;
use crate::queue::{QueueError, QueueRecord, Served};
use crate::terms::Aux;
use crate::types::InstrumentId;

/// What the sequencer wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Fill(Box<Fill>),
    Liquidation(Box<Liquidation>),
    Unwind(Box<Unwind>),
    Absorption(Box<Absorption>),
    Transfer(Box<TransferEntry>),
    Withdraw(WithdrawEntry),
    KeyChange(KeyChange),
    CancelAll(CancelAll),
    Cancel(Cancel),
    Flag(Flag),
    FeeWithdraw(FeeWithdraw),
    Sweep(Sweep),
    /// An L1 queue item, done or refused \[J4\].
    Item(Box<Served>),
}

impl Entry {
    /// All checks of the kind's clauses, in their order, then the effects. The postings carry no
    /// epoch and index yet: `journal::layout` gives them.
    pub fn effects(&self, terms: &Terms) -> Result<Effects, EntryError> {
        if !terms.epoch.entries && !matches!(self, Self::Sweep(_)) {
            return Err(EntryError::Skipped);
        }
        Ok(match self {
            Self::Fill(fill) => fill.effects(terms)?,
            Self::Liquidation(liquidation) => liquidation.effects(terms)?,
            Self::Unwind(unwind) => unwind.effects(terms)?,
            Self::Absorption(absorption) => absorption.effects(terms)?,
            Self::Transfer(transfer) => transfer.effects(terms)?,
            Self::Withdraw(withdraw) => withdraw.effects(terms)?,
            Self::KeyChange(change) => key_change::effects(change, terms)?,
            Self::CancelAll(cancel) => crate::journal::cancel_all::effects(cancel, terms)?,
            Self::Cancel(cancel) => crate::journal::cancel_all::cancel_effects(cancel, terms)?,
            Self::Flag(flag) => flag.effects()?,
            Self::FeeWithdraw(withdraw) => withdraw.effects(terms)?,
            Self::Sweep(sweep) => sweep.effects(terms)?,
            Self::Item(served) => served.effects(terms)?,
        })
    }

    /// Fills alone leave their fees to a segment's one fee posting \[N3\].
    pub fn is_fill(&self) -> bool {
        matches!(self, Self::Fill(_))
    }
}

/// Why an entry is no entry: one error a kind, and [T2]'s for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    #[error("[T2] an epoch that skips rounds has no entries")]
    Skipped,
    #[error(transparent)]
    Fill(#[from] FillError),
    #[error(transparent)]
    Liquidation(#[from] LiquidationError),
    #[error(transparent)]
    Unwind(#[from] UnwindError),
    #[error(transparent)]
    Absorption(#[from] AbsorptionError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Withdraw(#[from] WithdrawError),
    #[error(transparent)]
    Cancel(#[from] CancelError),
    #[error(transparent)]
    FeeWithdraw(#[from] FeeWithdrawError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Terms(#[from] TermsError),
}

impl EntryError {
    /// Stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Skipped => "T2.entries",
            Self::Fill(error) => error.code(),
            Self::Liquidation(error) => error.code(),
            Self::Unwind(error) => error.code(),
            Self::Absorption(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Withdraw(error) => error.code(),
            Self::Cancel(error) => error.code(),
            Self::FeeWithdraw(error) => error.code(),
            Self::Queue(error) => error.code(),
            Self::Terms(error) => error.code(),
        }
    }
}

/// All that terms depend on besides the entry itself.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub epoch: &'a EpochTerms,
    pub market: &'a Market,
}

/// What holds for the whole epoch (members of its context).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochTerms {
    pub domain: Domain,
    pub epoch: u32,
    /// Seconds since 1970.
    pub time: u64,
    /// False where the epoch skips rounds \[T2\].
    pub entries: bool,
    /// False there and for the N epochs after \[T2\].
    pub fills: bool,
    /// What insurance owes after this epoch's tick, micro-quote \[Q6\].
    pub deficit: u64,
    /// −(the quote bridge's cash) before the epoch, micro-quote \[Q6\].
    pub vault: u64,
    /// max(0, E_G) \[Q6\]: what discounts of unwinds are paid out of \[Q7\].
    pub unwind_budget: u64,
    /// D: epochs over which a discount opens, 1 to 2^16 − 1 \[Q4\].
    pub auction_epochs: u32,
    /// Whom fees are withdrawn to.
    pub fee_owner: Owner,
}

impl From<&Context> for EpochTerms {
    fn from(context: &Context) -> Self {
        Self {
            domain: context.globals.domain,
            epoch: context.epoch,
            time: context.time,
            entries: context.entries_allowed,
            fills: context.fills_allowed,
            deficit: context.deficit,
            vault: context.vault,
            unwind_budget: context.unwind_budget,
            auction_epochs: context.globals.auction_epochs,
            fee_owner: context.globals.fee_owner,
        }
    }
}

/// The rows that the epoch reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Market {
    by_id: BTreeMap<InstrumentId, MarketRow>,
    /// By row number: what shows that an id is not, or no longer, listed.
    by_row: BTreeMap<u32, MarketRow>,
    /// Places of rows′ that hold a row, read or not; `None` where that is not known.
    occupied: Option<BTreeSet<u32>>,
}

impl Market {
    pub fn new(rows: impl IntoIterator<Item = MarketRow>) -> Self {
        let mut market = Self::default();
        for row in rows {
            market.by_id.insert(row.id, row);
            market.by_row.insert(row.row, row);
        }
        market
    }

    /// The rows that are read, out of a table that holds rows in these places.
    pub fn of_table(
        rows: impl IntoIterator<Item = MarketRow>,
        occupied: impl IntoIterator<Item = u32>,
    ) -> Self {
        Self {
            occupied: Some(occupied.into_iter().collect()),
            ..Self::new(rows)
        }
    }

    /// \[T7\] Nothing was ever listed in this place. Number 0 is the quote asset's for good.
    pub fn is_vacant(&self, number: u32) -> bool {
        let empty = |occupied: &BTreeSet<u32>| !occupied.contains(&number);
        number == 0 || self.occupied.as_ref().is_some_and(empty)
    }

    pub fn row(&self, id: InstrumentId) -> Option<&MarketRow> {
        self.by_id.get(&id)
    }

    pub fn at(&self, row: u32) -> Option<&MarketRow> {
        self.by_row.get(&row)
    }

    pub fn rows(&self) -> impl Iterator<Item = &MarketRow> {
        self.by_row.values()
    }
}

/// A posting with what its digests stand for, as the ledger's native side needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub posting: Posting,
    pub aux: Aux,
    /// The new keys of a CREATE or SET_KEYS.
    pub keys: Keys,
}

impl From<Posting> for Opened {
    fn from(posting: Posting) -> Self {
        Self {
            posting,
            aux: Aux::None,
            keys: Keys::default(),
        }
    }
}

impl Opened {
    pub fn new(posting: Posting, aux: Aux) -> Self {
        let posting = Posting {
            aux: aux.digest(),
            ..posting
        };
        Self {
            posting,
            aux,
            keys: Keys::default(),
        }
    }
}

/// A withdrawal record \[J3\]: what L1 pays to `owner`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    pub owner: Owner,
    pub asset: u32,
    /// Micro-quote for asset 0, else lots.
    pub amount: u64,
}

/// What an entry does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub postings: Vec<Opened>,
    pub withdrawals: Vec<Withdrawal>,
    /// Fees taken, which the segment's fee posting pays out \[N3\]. Micro-quote.
    pub fee: u64,
    /// What an unwind takes out of insurance equity \[Q7\]. Micro-quote.
    pub discount: u64,
    /// An L1 item's outcome \[J4\].
    pub outcome: Option<QueueRecord>,
}

impl Effects {
    pub fn of(postings: Vec<Opened>) -> Self {
        Self {
            postings,
            ..Self::default()
        }
    }

    /// \[J1\] What is left in cash (fees not yet paid out come off) and in each instrument; an
    /// absorption's slots leave through `aux`. All zero for every entry.
    pub fn imbalance(&self) -> BTreeMap<InstrumentId, i128> {
        let mut sums = BTreeMap::new();
        let mut add = |id: InstrumentId, delta: i128| {
            let sum: &mut i128 = sums.entry(id).or_default();
            // At most 2^32 terms below 2^64.
            *sum = sum.saturating_add(delta);
        };
        add(crate::terms::CASH, self.fee.into());
        for Opened { posting, aux, .. } in &self.postings {
            add(crate::terms::CASH, posting.delta_cash.into());
            if posting.delta_size != 0 {
                add(posting.instrument, posting.delta_size.into());
            }
            if let Aux::Absorbed(holdings) = aux {
                for holding in holdings.iter().filter(|holding| holding.size != 0) {
                    add(
                        holding.instrument,
                        i128::from(holding.size).saturating_neg(),
                    );
                }
            }
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }
}
