//! Refusals of L1 items \[J4\]: which reasons a request admits, and the postings that prove them.
//!
//! Complete: a request without a `Fault` either can be done or one of its `reasons` holds, for each
//! check of its postings in the ledger has a reason beside it. Clauses that depend on neither the
//! account, the row nor the bridge (\[T2\]) only postpone.

use serde::{Deserialize, Serialize};

use crate::account::Owner;
use crate::bounds::{ACCOUNT_DEPTH, POSTING_CASH_BITS};
use crate::entry::{Effects, Opened, Terms, Withdrawal};
use crate::instrument::{InstrumentKind, MarketRow, flags};
use crate::journal::{FIRST_SUB_ACCOUNT, TermsError, bridge, open_row, signed_lots};
use crate::listing::row_of;
use crate::posting::{Needs, Posting, PostingKind, Refusal};
use crate::queue::{Deposit, QueueError, Reason, Request, Take};
use crate::terms::{Aux, CASH, LeafTerms};
use crate::types::{AccountId, InstrumentId, Side};

/// Why the journal alone refuses, by the item, its row and the bridge. At most one holds: the
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
pub enum Fault {
    /// \[S6\] A system account.
    System = 1,
    /// \[S3\] Outside the tree, or a new main account in its upper half.
    Outside = 2,
    /// \[N3\] Nothing, or more than a posting moves.
    Amount = 3,
    /// \[T7\] The instrument's row does not hold it, or holds it no longer.
    Unlisted = 4,
    /// \[J3\] No asset that L1 holds.
    NotAnAsset = 5,
    /// \[T6\] No growth in the row now.
    ReduceOnly = 6,
    /// \[T6\] No liquidation in the row now.
    Halted = 7,
    /// \[J2\] The mark is beyond the limit.
    Limit = 8,
    /// \[Q2\] Taker and account are one.
    SelfTrade = 9,
    /// \[S6\] The bridge holds nothing to pay with.
    Bridge = 10,
    /// \[T7\] The header has no place for the change; `listing::admit` shows it.
    Pending = 11,
}

impl Fault {
    pub fn code(self) -> &'static str {
        match self {
            Self::System => "S6.system",
            Self::Outside => "S3.outside",
            Self::Amount => "N3.amount",
            Self::Unlisted => "T7.unlisted",
            Self::NotAnAsset => "J3.asset",
            Self::ReduceOnly => "T6.reduce_only",
            Self::Halted => "T6.halted",
            Self::Limit => "J2.limit",
            Self::SelfTrade => "Q2.self",
            Self::Bridge => "S6.bridge",
            Self::Pending => "T7.pending",
        }
    }
}

/// The fault of a request, if any: no choice is left to whoever serves it. An error where the epoch
/// does not read the row that decides; then the item waits.
pub fn fault(request: &Request, terms: &Terms) -> Result<Option<Fault>, TermsError> {
    match find(request, terms) {
        Ok(()) => Ok(None),
        Err(Stop::Fault(fault)) => Ok(Some(fault)),
        Err(Stop::Unread(row)) => Err(TermsError::Unread(row)),
    }
}

/// What ends the search for a fault.
enum Stop {
    Fault(Fault),
    Unread(u32),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn refuse_if(holds: bool, fault: Fault) -> Result<(), Stop> {
    if holds { Err(fault.into()) } else { Ok(()) }
}

fn find(request: &Request, terms: &Terms) -> Result<(), Stop> {
    if let Some(account) = request.account() {
        find_account(account)?;
    }
    match request {
        Request::Deposit(deposit) => find_deposit(deposit, terms),
        Request::Withdraw {
            instrument, amount, ..
        } => {
            find_asset(*instrument, *amount, terms)?;
            refuse_if(*instrument == CASH && terms.epoch.vault == 0, Fault::Bridge)
        }
        Request::Take(take) => find_take(take, terms),
        Request::KeyChange { .. }
        | Request::CancelAll { .. }
        | Request::Flag { .. }
        | Request::Absorb { .. }
        | Request::Change(_) => Ok(()),
    }
}

/// \[S6\], \[S3\]
fn find_account(account: AccountId) -> Result<(), Stop> {
    refuse_if(account.is_system(), Fault::System)?;
    refuse_if(account.0 >> ACCOUNT_DEPTH != 0, Fault::Outside)
}

fn find_deposit(deposit: &Deposit, terms: &Terms) -> Result<(), Stop> {
    // [S3] Main accounts are numbered by L1, in the lower half.
    let upper = deposit.account.0 >= FIRST_SUB_ACCOUNT;
    refuse_if(deposit.create.is_some() && upper, Fault::Outside)?;
    let row = find_asset(deposit.instrument, deposit.amount, terms)?;
    refuse_if(row.is_some_and(|row| row.flags != 0), Fault::ReduceOnly)
}

/// \[N3\], \[T7\], \[J3\] The row of what L1 holds, none for cash.
fn find_asset<'a>(
    instrument: InstrumentId,
    amount: u64,
    terms: &Terms<'a>,
) -> Result<Option<&'a MarketRow>, Stop> {
    refuse_if(
        amount == 0 || amount >> POSTING_CASH_BITS != 0,
        Fault::Amount,
    )?;
    if instrument == CASH {
        return Ok(None);
    }
    let row = find_row(instrument, terms)?;
    refuse_if(row.kind != InstrumentKind::Spot, Fault::NotAnAsset)?;
    refuse_if(amount > row.max_size, Fault::Amount)?;
    Ok(Some(row))
}

/// \[T7\] An id names its row; what the row holds shows whether it is listed. A vacant place shows
/// it unread, as there is no row to read.
fn find_row<'a>(instrument: InstrumentId, terms: &Terms<'a>) -> Result<&'a MarketRow, Stop> {
    let number = row_of(instrument.0);
    refuse_if(terms.market.is_vacant(number), Fault::Unlisted)?;
    let row = terms.market.at(number).ok_or(Stop::Unread(number))?;
    let listed = row.id == instrument && row.kind != InstrumentKind::Quote;
    refuse_if(!listed, Fault::Unlisted)?;
    Ok(row)
}

fn find_take(take: &Take, terms: &Terms) -> Result<(), Stop> {
    find_account(take.taker)?;
    let row = find_row(take.instrument, terms)?;
    refuse_if(take.size == 0 || take.size > row.max_size, Fault::Amount)?;
    refuse_if(
        row.flags & (flags::HALTED | flags::SETTLED) != 0,
        Fault::Halted,
    )?;
    let beyond = match take.side {
        Side::Long => row.mark > take.limit,
        Side::Short => row.mark < take.limit,
    };
    refuse_if(beyond, Fault::Limit)?;
    refuse_if(take.account == take.taker, Fault::SelfTrade)
}

impl Request {
    /// All reasons in the accounts for which the request may be refused, each a fact that would
    /// make a check of its postings fail. A halted row of an account to absorb comes on top.
    pub fn reasons(&self, terms: &Terms) -> Vec<Reason> {
        use Refusal as R;
        let account =
            |refusals: &[Refusal]| refusals.iter().copied().map(Reason::Account).collect();
        match self {
            // A leaf that L1 has just numbered is empty, and one deposit fits it.
            Self::Deposit(Deposit {
                create: Some(_), ..
            }) => Vec::new(),
            // Cash may come from anyone; lots only from the owner [J3].
            Self::Deposit(Deposit {
                instrument: CASH, ..
            }) => account(&[R::Empty, R::Bounds]),
            Self::Deposit(_) => account(&[R::Empty, R::Owner, R::Slots, R::Bounds]),
            Self::Withdraw { .. } => account(&[R::Empty, R::Owner, R::Funds]),
            Self::KeyChange { .. } | Self::CancelAll { .. } => {
                account(&[R::Empty, R::Owner, R::Exhausted])
            }
            Self::Flag { .. } => account(&[R::Empty, R::NotLiquidatable]),
            Self::Absorb { .. } => account(&[R::Empty, R::Solvent]),
            Self::Take(take) => take_reasons(take, terms),
            Self::Change(_) => Vec::new(),
        }
    }
}

fn take_reasons(take: &Take, terms: &Terms) -> Vec<Reason> {
    use Refusal as R;
    let account = [
        R::Empty,
        R::NotLiquidatable,
        R::NotFlagged,
        R::Bankrupt,
        R::NotHeld,
    ];
    let taker = [
        R::Empty,
        R::Owner,
        R::Flagged,
        R::Slots,
        R::Bounds,
        R::Margin,
    ];
    let mut reasons: Vec<Reason> = account.into_iter().map(Reason::Account).collect();
    // [Q3] Where only cash is negative, lots that are not owned stay.
    let owned = terms
        .market
        .row(take.instrument)
        .is_some_and(|row| row.kind == InstrumentKind::Spot);
    if !owned {
        reasons.push(Reason::Account(R::CashOnly));
    }
    reasons.extend(taker.into_iter().map(Reason::Taker));
    reasons
}

/// A refusal for a fact about an account: one posting that proves it.
pub(crate) fn effects(
    request: &Request,
    reason: Reason,
    terms: &Terms,
) -> Result<Effects, QueueError> {
    let (account, refusal, instrument) = match (request, reason) {
        (Request::Absorb { account }, Reason::Halted(instrument)) => {
            check_halted(instrument, terms)?;
            (*account, Refusal::Held, Some(instrument))
        }
        (_, Reason::Terms(fault)) => return Err(QueueError::NoFault(fault)),
        (Request::Take(take), Reason::Taker(refusal)) => (take.taker, refusal, None),
        (_, Reason::Account(refusal)) => {
            let account = request.account().ok_or(QueueError::Inadmissible(reason))?;
            (account, refusal, None)
        }
        _ => return Err(QueueError::Inadmissible(reason)),
    };
    if instrument.is_none() && !request.reasons(terms).contains(&reason) {
        return Err(QueueError::Inadmissible(reason));
    }
    let asked = Asked::of(request, terms);
    let posting = Posting {
        instrument: instrument.unwrap_or(asked.instrument),
        place: refusal as u32,
        sequence: u32::from(asked.side == Side::Short),
        order_size: asked.amount,
        needs: Needs::REFUSED | Needs::SOLE | Needs::WHILE_FLAGGED,
        ..Posting::blank(PostingKind::Refused, account)
    };
    let opened = match (refusal, asked.sender) {
        (Refusal::Owner, Some(owner)) => {
            Opened::new(posting, Aux::Leaf(LeafTerms::owned_by(owner)))
        }
        _ => posting.into(),
    };
    let back = returned(request);
    Ok(Effects {
        postings: vec![opened],
        ..back
    })
}

/// \[T6\] The row of a slot that keeps an account from being absorbed.
fn check_halted(instrument: InstrumentId, terms: &Terms) -> Result<(), QueueError> {
    match open_row(terms, instrument) {
        Err(TermsError::Halted(_)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(QueueError::NotHalted(instrument)),
    }
}

/// What a request asks of an account, as its refusal says it.
struct Asked {
    instrument: InstrumentId,
    side: Side,
    amount: u64,
    sender: Option<Owner>,
}

impl Asked {
    fn of(request: &Request, terms: &Terms) -> Self {
        let nothing = Self {
            instrument: CASH,
            side: Side::Long,
            amount: 0,
            sender: None,
        };
        match request {
            Request::Deposit(deposit) => Self {
                instrument: deposit.instrument,
                amount: deposit.amount,
                sender: Some(deposit.sender),
                ..nothing
            },
            Request::Withdraw {
                sender,
                instrument,
                amount,
                ..
            } => Self {
                instrument: *instrument,
                amount: payable(terms, *instrument, *amount),
                sender: Some(*sender),
                ..nothing
            },
            Request::KeyChange { sender, .. } | Request::CancelAll { sender, .. } => Self {
                sender: Some(*sender),
                ..nothing
            },
            Request::Take(take) => Self {
                instrument: take.instrument,
                // The taker's own, and so the holding's: a long slot shrinks by the taker's buying.
                side: take.side,
                amount: take.size,
                sender: Some(take.sender),
            },
            Request::Flag { .. } | Request::Absorb { .. } | Request::Change(_) => nothing,
        }
    }
}

/// \[S6\] No withdrawal is above what the quote bridge held before the epoch; lots are all there,
/// since a spot asset's sizes sum to zero with its bridge.
pub(crate) fn payable(terms: &Terms, instrument: InstrumentId, amount: u64) -> u64 {
    if instrument == CASH {
        amount.min(terms.epoch.vault)
    } else {
        amount
    }
}

/// The L1 asset of an instrument: its row's number (docs/decisions.md, D12), 0 for cash.
pub(crate) fn asset(instrument: InstrumentId) -> u32 {
    row_of(instrument.0)
}

/// A refusal by a fault. For an empty bridge it opens the bridge, whose opening shows the vault:
/// else nothing would, and a prover could name any (docs/decisions.md, D20).
pub(crate) fn by_fault(request: &Request, fault: Fault) -> Effects {
    let mut effects = returned(request);
    if fault == Fault::Bridge {
        effects.postings.push(bridge(asset(CASH), CASH, 0));
    }
    effects
}

/// A refused deposit is a withdrawal record to its sender; other requests brought nothing.
pub(crate) fn returned(request: &Request) -> Effects {
    let mut effects = Effects::default();
    if let Request::Deposit(deposit) = request {
        effects.withdrawals.push(Withdrawal {
            owner: deposit.sender,
            asset: asset(deposit.instrument),
            amount: deposit.amount,
        });
    }
    effects
}

/// Lots as a signed change on the long side.
pub(crate) fn owned_lots(amount: u64) -> i64 {
    signed_lots(Side::Long, amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{EpochTerms, Market};

    /// A take is refused as *not held* only by showing that nothing is held on the side that it
    /// would shrink; the other side is empty for every holder.
    #[test]
    fn j4_not_held_names_the_side_that_the_take_would_shrink() {
        let row = MarketRow {
            id: InstrumentId(3),
            kind: InstrumentKind::Perpetual,
            row: 3,
            max_size: 9,
            mark: 5,
            ..MarketRow::default()
        };
        let (epoch, market) = (EpochTerms::default(), Market::new([row]));
        let terms = Terms {
            epoch: &epoch,
            market: &market,
        };
        for (side, sequence) in [(Side::Long, 0), (Side::Short, 1)] {
            let take = Take {
                sender: Owner::default(),
                account: AccountId(1024),
                taker: AccountId(1025),
                instrument: InstrumentId(3),
                side,
                size: 1,
                limit: 5,
            };
            let reason = Reason::Account(Refusal::NotHeld);
            let effects = effects(&Request::Take(take), reason, &terms).unwrap();
            assert_eq!(effects.postings[0].posting.sequence, sequence);
        }
    }
}
