//! Terms of each kind of entry \[J1\] to \[J4\], \[Q1\] to \[Q7\]: one file a kind.
//!
//! Every kind checks its numbered clauses in the order of its error's variants before it produces
//! anything; `layout` then gives postings their place in the epoch's journal.

pub mod absorption;
pub mod cancel_all;
pub mod deposit;
pub mod fee_withdraw;
pub mod fill;
pub mod flag;
pub mod key_change;
pub mod layout;
pub mod liquidation;
pub mod refusal;
pub mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transfer;
pub mod unwind;
pub mod withdraw;

#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::bounds::{ACCOUNT_DEPTH, BRIDGE_ACCOUNTS, POSTING_CASH_BITS, SLOTS};
use crate::entry::{Opened, Terms};
use crate::hash::EMPTY;
use crate::instrument::{InstrumentKind, MarketRow, flags};
use crate::order::{Order, OrderError};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::CASH;
use crate::types::{AccountId, InstrumentId, Side};

/// The account that holds insurance's cash \[S6\].
pub const INSURANCE_CASH: AccountId = AccountId(0);
/// First id of the upper half of the tree, where sub-accounts live \[S3\].
pub const FIRST_SUB_ACCOUNT: u32 = 1 << (ACCOUNT_DEPTH - 1);

/// Clauses that several kinds share.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TermsError {
    #[error("[S6] account {} is the system's", .0.0)]
    System(AccountId),
    #[error("[S3] account {} is outside the tree of depth {ACCOUNT_DEPTH}", .0.0)]
    Outside(AccountId),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("[T2] no fills in this epoch: rounds were skipped not long ago")]
    NoFills,
    #[error("[T7] instrument {} is not listed, or its row not read in this epoch", .0.0)]
    Unlisted(InstrumentId),
    #[error("[T3] row {0} is not read in this epoch")]
    Unread(u32),
    #[error("[T6] instrument {} is halted", .0.0)]
    Halted(InstrumentId),
    #[error("[T6] instrument {} is settled", .0.0)]
    Settled(InstrumentId),
    #[error("[J2] the order expired at {expiry}, it is {time}")]
    Expired { expiry: u64, time: u64 },
    #[error("[N3] {size} lots are not between 1 and {max_size}")]
    Size { size: u64, max_size: u64 },
    #[error("[N3] an amount of {0} is not between 1 and 2^{POSTING_CASH_BITS} - 1")]
    Amount(u64),
    #[error("[J2] price {price} is worse than the order's limit {limit}")]
    Limit { price: i128, limit: u64 },
    #[error("[N3] a posting's cash {0} does not fit {POSTING_CASH_BITS} bits")]
    Cash(i128),
}

impl TermsError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::System(_) => "S6.system",
            Self::Outside(_) => "S3.outside",
            Self::Order(error) => error.code(),
            Self::NoFills => "T2.fills",
            Self::Unlisted(_) => "T7.unlisted",
            Self::Unread(_) => "T3.unread",
            Self::Halted(_) => "T6.halted",
            Self::Settled(_) => "T6.settled",
            Self::Expired { .. } => "J2.expired",
            Self::Size { .. } => "N3.size",
            Self::Amount(_) => "N3.amount",
            Self::Limit { .. } => "J2.limit",
            Self::Cash(_) => "N3.cash",
        }
    }
}

/// \[S6\], \[S3\] An account that its owner's entries may name.
pub(crate) fn check_user(account: AccountId) -> Result<(), TermsError> {
    if account.is_system() {
        return Err(TermsError::System(account));
    }
    if account.0 >> ACCOUNT_DEPTH != 0 {
        return Err(TermsError::Outside(account));
    }
    Ok(())
}

/// A well-formed order of a user's account.
pub(crate) fn check_order(order: &Order) -> Result<(), TermsError> {
    order.check()?;
    check_user(order.account)
}

/// \[T2\]
pub(crate) fn check_fills(terms: &Terms) -> Result<(), TermsError> {
    if terms.epoch.fills {
        Ok(())
    } else {
        Err(TermsError::NoFills)
    }
}

/// \[T7\] The row of a listed instrument; the quote asset is none.
pub(crate) fn listed<'a>(terms: &Terms<'a>, id: InstrumentId) -> Result<&'a MarketRow, TermsError> {
    terms
        .market
        .row(id)
        .filter(|row| row.kind != InstrumentKind::Quote)
        .ok_or(TermsError::Unlisted(id))
}

/// \[T6\] A row in which lots change hands.
pub(crate) fn open_row<'a>(
    terms: &Terms<'a>,
    id: InstrumentId,
) -> Result<&'a MarketRow, TermsError> {
    let row = listed(terms, id)?;
    if row.flags & flags::SETTLED != 0 {
        return Err(TermsError::Settled(id));
    }
    if row.flags & flags::HALTED != 0 {
        return Err(TermsError::Halted(id));
    }
    Ok(row)
}

/// \[J2\] An order is good up to its last second.
pub(crate) fn check_expiry(order: &Order, time: u64) -> Result<(), TermsError> {
    if time > order.expiry {
        return Err(TermsError::Expired {
            expiry: order.expiry,
            time,
        });
    }
    Ok(())
}

/// \[N3\] 1 ≤ size ≤ max_size, so that size · price < 2^55 for every price ≤ M \[N1\].
pub(crate) fn check_size(size: u64, row: &MarketRow) -> Result<(), TermsError> {
    if size == 0 || size > row.max_size {
        return Err(TermsError::Size {
            size,
            max_size: row.max_size,
        });
    }
    Ok(())
}

/// \[N3\] An amount of cash that an entry moves.
pub(crate) fn check_amount(amount: u64) -> Result<(), TermsError> {
    if amount == 0 || amount >> POSTING_CASH_BITS != 0 {
        return Err(TermsError::Amount(amount));
    }
    Ok(())
}

/// \[J2\] The price is the limit or better. It may be negative or above M by a discount.
pub(crate) fn check_limit(order: &Order, price: i128) -> Result<(), TermsError> {
    let limit = order.limit;
    let met = match order.side {
        Side::Long => price <= limit.into(),
        Side::Short => price >= limit.into(),
    };
    if met {
        Ok(())
    } else {
        Err(TermsError::Limit { price, limit })
    }
}

/// \[N3\] |Δcash| < 2^56.
pub(crate) fn posting_cash(cash: i128) -> Result<i64, TermsError> {
    if cash.unsigned_abs() >> POSTING_CASH_BITS != 0 {
        return Err(TermsError::Cash(cash));
    }
    i64::try_from(cash).map_err(|_| TermsError::Cash(cash))
}

/// Lots as a signed change: a long buys, a short sells. Sizes are below 2^48.
pub(crate) fn signed_lots(side: Side, size: u64) -> i64 {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    match side {
        Side::Long => size,
        Side::Short => size.saturating_neg(),
    }
}

/// \[J2\] Cash of a trade of `delta` lots at `mark + offset`: a perpetual's profit against the
/// mark, a spot asset's whole price. Below 2^56 for |offset| ≤ M: max_size · 2M.
pub(crate) fn trade_cash(row: &MarketRow, delta: i64, offset: i128) -> i128 {
    let per_lot = match row.kind {
        InstrumentKind::Spot => offset.saturating_add(row.mark.into()),
        InstrumentKind::Perpetual | InstrumentKind::Quote => offset,
    };
    i128::from(delta).saturating_neg().saturating_mul(per_lot)
}

/// \[Q4\], \[Q7\] discount · D ≤ bound · min(D, age), so the reward opens over D epochs. Both sides
/// are below 2^42 · 2^16. With D = 0, which no deployment should have, there is no discount.
pub(crate) fn discount_opens(discount: u64, bound: u64, age: u32, epochs: u32) -> bool {
    let due = u128::from(bound).saturating_mul(age.min(epochs).into());
    let wanted = u128::from(discount).saturating_mul(epochs.into());
    wanted <= due && (epochs > 0 || discount == 0)
}

/// A spot lot is only ever sold by who owns it (no short spot slot in version 1): a reduction.
pub(crate) fn spot_needs(row: &MarketRow, delta: i64) -> Needs {
    if row.kind == InstrumentKind::Spot && delta < 0 {
        Needs::REDUCE_ONLY
    } else {
        Needs::default()
    }
}

impl Posting {
    /// A posting that needs and changes nothing yet; `layout` gives it epoch and index.
    pub fn blank(kind: PostingKind, account: AccountId) -> Self {
        Self {
            kind,
            epoch: 0,
            account,
            index: 0,
            instrument: CASH,
            delta_size: 0,
            delta_cash: 0,
            digest: EMPTY,
            place: 0,
            sequence: 0,
            generation: 0,
            order_size: 0,
            needs: Needs::default(),
            aux: EMPTY,
        }
    }

    /// Authorised by an order \[S4\].
    pub(crate) fn by_order(self, order: &Order, terms: &Terms) -> Self {
        Self {
            digest: order.digest(&terms.epoch.domain),
            place: order.place.number(),
            sequence: order.place.sequence(),
            generation: order.generation,
            order_size: order.size,
            needs: self.needs | order.needs(),
            ..self
        }
    }

    pub(crate) fn needing(self, needs: Needs) -> Self {
        Self {
            needs: self.needs | needs,
            ..self
        }
    }
}

/// A change of insurance's cash \[S6\].
pub(crate) fn insurance_cash(kind: PostingKind, delta_cash: i64) -> Opened {
    Posting {
        delta_cash,
        needs: Needs::SYSTEM,
        ..Posting::blank(kind, INSURANCE_CASH)
    }
    .into()
}

/// \[S6\] A row's insurance account, and its slot there.
pub(crate) fn insurance_place(row: &MarketRow) -> (AccountId, u32) {
    const SLOTS_U32: u32 = SLOTS as u32;
    (AccountId(row.row / SLOTS_U32), row.row % SLOTS_U32)
}

/// \[S6\] A change of an asset's bridge: cash for the quote asset, else lots in slot 0.
pub(crate) fn bridge(asset: u32, instrument: InstrumentId, delta: i64) -> Opened {
    // Assets are below 1024 − 128, which `check_asset` and the rows' listing see to.
    let account = AccountId(BRIDGE_ACCOUNTS.saturating_add(asset));
    let blank = Posting::blank(PostingKind::Bridge, account);
    let posting = if instrument == CASH {
        Posting {
            delta_cash: delta,
            needs: Needs::SYSTEM,
            ..blank
        }
    } else {
        let needs = Needs::SYSTEM | Needs::FIXED_SLOT;
        Posting {
            instrument,
            delta_size: delta,
            needs,
            ..blank
        }
    };
    posting.into()
}
