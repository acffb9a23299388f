//! The ledger: authority and solvency. An account's epoch is `open`, `apply` for each posting by
//! rising journal index, `close` \[L1\], \[L2\]; the circuit mirrors it line by line.
//!
//! The shape is fixed: sixteen places, one row a place, and no step depends on the order of places
//! but \[S2\]'s lowest empty one. What a posting needs is in its `needs` bits and nothing else;
//! the ledger never looks at its kind. Every number fits one field element: running cash is below
//! 2^62 after each posting here, and the circuit checks it at least every 32, since 32 changes
//! below 2^56 do not reach the field's half \[N4\].
//!
//! `apply` leaves a running account unusable where it fails; callers keep the one from before.

mod apply;
mod authority;
mod close;
mod error;
mod liquidation;
mod open;
mod refusal;
#[cfg(test)]
mod tests;

pub use close::{Closed, totals_changes};
pub use error::LedgerError;
pub use open::GroupShare;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{AccountKind, Keys, Owner, Rest};
use crate::bounds::SLOTS;
use crate::hash::Digest;
use crate::instrument::{MarginRow, flags};
use crate::margin::{Holding, Totals};
use crate::orders::{OrderSlot, OrderTree};
use crate::terms::Aux;
use crate::types::{AccountId, InstrumentId, Side};

/// What holds for all accounts of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub epoch: u32,
    /// X: epochs until a flag is stale \[Q1\].
    pub flag_expiry: u32,
}

/// The rows that the epoch reads, by instrument. Id 0, which unassigned places read, is all zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarginRows(BTreeMap<InstrumentId, MarginRow>);

impl MarginRows {
    pub fn get(&self, id: InstrumentId) -> Result<MarginRow, LedgerError> {
        if id == InstrumentId::default() {
            return Ok(MarginRow::default());
        }
        let unread = LedgerError::Unread { instrument: id.0 };
        self.0.get(&id).copied().ok_or(unread)
    }
}

impl FromIterator<MarginRow> for MarginRows {
    fn from_iter<I: IntoIterator<Item = MarginRow>>(rows: I) -> Self {
        Self(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// What a posting's digests hide and the ledger opens: the prover's witness, the sequencer's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub aux: Aux,
    /// The keys behind a CREATE's or SET_KEYS's digest.
    pub keys: Keys,
    /// The trading key signed, not the account's own.
    pub by_trading_key: bool,
}

/// What `apply` reads beside the posting.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    pub rows: &'a MarginRows,
    /// The account's orders before the epoch.
    pub orders: &'a OrderTree,
}

/// One of an account's sixteen places in its epoch. It serves one instrument an epoch
/// (docs/decisions.md, D7): assigned while `holding.row.id` is not 0, even with no lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub holding: Holding,
    /// Lots after conversion \[L2\], plus what was deposited since: growing beyond it, or changing
    /// sides against it, is risk \[L4\].
    pub base: i64,
    /// Charge per lot of this epoch's liquidation in this slot, if there was one.
    pub charge: Option<u64>,
}

impl Place {
    pub fn is_assigned(&self) -> bool {
        self.holding.row.id != InstrumentId::default()
    }

    pub fn is_settled(&self) -> bool {
        self.holding.row.flags & flags::SETTLED != 0
    }

    pub fn base_side(&self) -> Side {
        if self.base < 0 {
            Side::Short
        } else {
            Side::Long
        }
    }

    /// \[L4\] Beyond `base`, or on the other side.
    pub fn grew(&self) -> bool {
        !is_within(self.holding.size, self.base)
    }
}

/// Between 0 and `whole`, both included.
pub(crate) fn is_within(size: i64, whole: i64) -> bool {
    if whole < 0 {
        (whole..=0).contains(&size)
    } else {
        (0..=whole).contains(&size)
    }
}

/// What is noted when carry is settled and settled slots are converted \[L2\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// E₀, R₀ and the other requirements; zeros for system accounts, which have no margin rule.
    pub totals: Totals,
    /// cash₀.
    pub cash: i64,
    /// \[L5\]
    pub is_liquidatable: bool,
    /// E₀ at carry before this epoch's shift \[Q5\], \[Q6\].
    pub equity_before_shift: i64,
    /// \[Q5\]
    pub is_bankrupt: bool,
    /// Carries a flag that is not stale \[Q1\].
    pub is_flagged: bool,
}

/// What this epoch's postings did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub postings: u32,
    pub last_index: Option<u32>,
    pub sole: bool,
    /// Value left \[L4\].
    pub outflow: bool,
    /// A posting that a flagged account does not take \[Q2\].
    pub unpermitted: bool,
    pub ordinary: bool,
    pub liquidated: bool,
    pub absorbed: bool,
    /// What liquidations charged against the mark \[L5\].
    pub charged: u64,
    /// The order by nonce that the next posting may continue \[S4\].
    pub taker: Option<Taker>,
    pub at_most: Option<AtMost>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    pub nonce: u32,
    pub digest: Digest,
    pub filled: u64,
}

/// An amount that must be the largest possible where it is not all that was asked \[J4\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMost {
    pub asked: u64,
    pub paid: u64,
    /// The place whose lots leave; none for cash.
    pub place: Option<usize>,
}

/// An account within its epoch.
#[derive(Clone, Debug)]
pub struct Running {
    pub id: AccountId,
    pub context: Context,
    pub exists: bool,
    /// Created in this epoch, so its owner is published \[P6\].
    pub created: bool,
    pub owner: Owner,
    /// `orders_root` stays the one from before; `orders` holds what changed.
    pub rest: Rest,
    pub flagged_at: u32,
    pub cash: i64,
    pub places: [Place; SLOTS],
    pub opening: Opening,
    pub done: Done,
    pub orders: BTreeMap<u32, OrderSlot>,
}

impl Running {
    pub(crate) fn holdings(&self) -> [Holding; SLOTS] {
        self.places.map(|place| place.holding)
    }

    pub fn is_system(&self) -> bool {
        self.rest.kind == AccountKind::System
    }

    /// The place that serves an instrument in this epoch.
    pub fn place_of(&self, instrument: InstrumentId) -> Option<usize> {
        self.places
            .iter()
            .position(|place| place.is_assigned() && place.holding.row.id == instrument)
    }

    pub fn order_slot(&self, place: u32, before: &OrderTree) -> OrderSlot {
        let changed = self.orders.get(&place).copied();
        changed.unwrap_or_else(|| before.slot(place))
    }
}
