//! What a prover needs of an epoch: every segment's witness follows from this and from nothing
//! else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::Account;
use crate::close::RowChange;
use crate::entry::Entry;
use crate::hash::Digest;
use crate::header::{Context, Header};
use crate::instrument::{MarginRow, MarketRow, Row};
use crate::journal::layout::Journal;
use crate::ledger::{Facts, GroupShare, Opening};
use crate::listing::Change;
use crate::message::SignatureRequest;
use crate::oracle::{OracleError, Reporters, Round};
use crate::orders::OrderSlot;
use crate::posting::Posting;
use crate::signature::{BatchError, Signature, SignedRequest, verify_batch};
use crate::socialisation::{Exposure, GroupLots, Shift};
use crate::tick::{Ticked, margin_row, market_row};
use crate::types::AccountId;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochTrace {
    pub context: Context,
    #[serde(with = "crate::wire")]
    pub root_before: Digest,
    #[serde(with = "crate::wire")]
    pub root_after: Digest,
    pub header_before: Header,
    pub header_after: Header,
    /// Roots of the account tree and of the table, before and after; rows′ is in the context.
    #[serde(with = "crate::wire")]
    pub accounts_before: Digest,
    #[serde(with = "crate::wire")]
    pub accounts_after: Digest,
    #[serde(with = "crate::wire")]
    pub table_before: Digest,
    #[serde(with = "crate::wire")]
    pub table_after: Digest,
    pub reporters: Reporters,
    pub round: Round,
    /// The rows that the epoch reads, by rising number.
    pub rows: Vec<RowStep>,
    /// Listings that were due and lapsed where there was no row, and still is none \[T7\].
    pub lapsed: Vec<LapsedListing>,
    pub group_equity: i64,
    /// What the tick posts to insurance 0 \[Q6\], if only 0; its index is `TICK_INDEX`.
    pub tick_posting: Posting,
    pub entries: Vec<Entry>,
    /// Postings in their places, withdrawals, queue outcomes, segments of fills.
    pub journal: Journal,
    /// Each touched account, by rising id.
    pub accounts: Vec<AccountStep>,
}

impl EpochTrace {
    /// All signatures that the ledger asks for, by account and posting.
    pub fn requests(&self) -> impl Iterator<Item = &SignatureRequest> {
        let steps = self.accounts.iter().flat_map(|account| &account.postings);
        steps.filter_map(|step| step.request.as_ref())
    }

    /// What signature segments verify: the ledger's requests, then the round's, each with its
    /// signature.
    pub fn signed_requests(&self) -> Result<Vec<SignedRequest>, UnsignedError> {
        let mut signed = Vec::new();
        for account in &self.accounts {
            for step in &account.postings {
                let Some(request) = step.request else {
                    continue;
                };
                let unsigned = UnsignedError::Message {
                    account: account.id,
                };
                let signature = step.signature.ok_or(unsigned)?;
                signed.push(SignedRequest { request, signature });
            }
        }
        let domain = &self.context.globals.domain;
        signed.extend(self.round.signed_requests(domain, &self.reporters)?);
        Ok(signed)
    }

    /// All of them, at once.
    pub fn verify_signatures(&self) -> Result<(), UnsignedError> {
        Ok(verify_batch(&self.signed_requests()?)?)
    }
}

/// A row's way through the epoch: row → ticked → shifted, taking over → changed (rows′) → closed
/// (rows″).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowStep {
    pub number: u32,
    /// `None` where nothing was ever listed.
    pub before: Option<Row>,
    pub ticked: Option<Ticked>,
    /// G's lots before postings \[Q6\].
    pub group: GroupLots,
    pub exposure: Exposure,
    pub shift: Shift,
    /// Due in this epoch; where it lapsed, rows′ is as shifted \[T7\].
    pub change: Option<Change>,
    /// rows′, which everybody reads.
    pub read: Row,
    /// What the epoch's accounts change in the totals and in the inventory \[T8\].
    pub totals: RowChange,
    /// rows″.
    pub after: Row,
    /// Siblings in the table before the epoch.
    #[serde(with = "crate::wire")]
    pub path: Vec<Digest>,
}

/// A listing that lapsed, and the empty place that it was for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LapsedListing {
    pub change: Change,
    /// Siblings in the table before the epoch.
    #[serde(with = "crate::wire")]
    pub path: Vec<Digest>,
}

impl RowStep {
    pub fn margin(&self) -> MarginRow {
        let shift = (self.shift.per_lot > 0).then_some((self.shift.side, self.shift.per_lot));
        margin_row(&self.read, shift)
    }

    pub fn market(&self) -> MarketRow {
        market_row(&self.read, self.number)
    }
}

/// An account's epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountStep {
    pub id: AccountId,
    /// `None` for an empty leaf.
    pub before: Option<Account>,
    /// Siblings in the account tree before the epoch.
    #[serde(with = "crate::wire")]
    pub path: Vec<Digest>,
    /// What was noted at opening \[L2\].
    pub opening: Opening,
    /// By rising index.
    pub postings: Vec<PostingStep>,
    /// `None` where the leaf was empty and stays so (a refusal).
    pub after: Option<Account>,
    /// Created in this epoch: its owner is published \[P6\].
    pub created: bool,
    /// Changes of the rows' totals by 2·id + side; empty for bridges \[T8\].
    pub totals: BTreeMap<u64, i64>,
    /// The part of G \[Q6\].
    pub group: Option<GroupShare>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostingStep {
    pub posting: Posting,
    pub facts: Facts,
    /// The order slot that it changes, in the order tree as it then is \[S4\].
    pub order: Option<OrderOpening>,
    /// Emitted where authority is new \[L3\].
    pub request: Option<SignatureRequest>,
    /// Of the request; `None` also where the builder was given none.
    pub signature: Option<Signature>,
}

/// An epoch that no signature segment can show.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnsignedError {
    #[error("[S5] a message of account {} came without its signature", .account.0)]
    Message { account: AccountId },
    #[error(transparent)]
    Oracle(#[from] OracleError),
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl UnsignedError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Message { .. } => "S5.unsigned",
            Self::Oracle(error) => error.code(),
            Self::Batch(error) => error.code(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderOpening {
    pub place: u32,
    pub before: OrderSlot,
    pub after: OrderSlot,
    #[serde(with = "crate::wire")]
    pub path: Vec<Digest>,
}
