//! L1 queue items \[J4\], \[C1\]: each ends *done*, or *refused* with the clause that fails,
//! proven.
//!
//! A refusal depends on the item itself, its row and the bridge (`Fault`: a function that leaves no
//! choice) or on its account before the epoch (`Refusal`: a fact that the ledger proves). Whatever
//! the state, one of them holds or the item can be done, so the operator can neither keep an item
//! back by making it fail nor be frozen by one that cannot end. An instrument names its row and its
//! asset (docs/decisions.md, D12).

use plonky2::field::types::Field;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{AccountKind, Keys, Owner};
use crate::bounds::SLOTS;
use crate::entry::{Effects, Terms};
use crate::hash::{Digest, F, Tag, compress, hash, unsigned};
use crate::journal::absorption::{Absorption, AbsorptionError};
use crate::journal::liquidation::LiquidationError;
use crate::journal::refusal::{Fault, fault};
use crate::journal::{
    TermsError, cancel_all, deposit, flag, key_change, liquidation, refusal, withdraw,
};
use crate::listing::{Change, row_of};
use crate::posting::Refusal;
use crate::terms::Holding;
use crate::types::{AccountId, InstrumentId, Side};

/// An item in its place of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Counted by the contract from 0.
    pub index: u64,
    pub request: Request,
}

/// What L1 asks for. `sender` is who called the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Deposit(Deposit),
    Withdraw {
        sender: Owner,
        account: AccountId,
        instrument: InstrumentId,
        amount: u64,
    },
    KeyChange {
        sender: Owner,
        account: AccountId,
        keys: Keys,
    },
    CancelAll {
        sender: Owner,
        account: AccountId,
    },
    Flag {
        account: AccountId,
    },
    Take(Take),
    Absorb {
        account: AccountId,
    },
    /// A listing or parameter change \[T7\]: the header keeps it until its time.
    Change(Box<Change>),
}

/// Micro-quote of `CASH`, or whole lots of a spot asset, which L1 holds by now \[C1\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    pub sender: Owner,
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub amount: u64,
    /// The contract has just numbered this account for its sender \[S3\].
    pub create: Option<NewAccount>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    pub keys: Keys,
    pub isolated: bool,
}

impl NewAccount {
    pub fn kind(&self) -> AccountKind {
        if self.isolated {
            AccountKind::Isolated
        } else {
            AccountKind::Cross
        }
    }
}

/// A liquidation by the owner of `taker`, who needs the margin for all of `size` at the mark. He
/// gets the whole discount that is open, and never a mark beyond his limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    pub sender: Owner,
    /// The account to liquidate.
    pub account: AccountId,
    pub taker: AccountId,
    pub instrument: InstrumentId,
    /// The taker's, which is that of the holding he takes over.
    pub side: Side,
    /// Lots, at most: fewer where the account has fewer or is restored by fewer.
    pub size: u64,
    /// Micro-quote per lot.
    pub limit: u64,
}

/// Elements of an item's digest.
pub const ITEM_WORDS: usize = 20;

impl Request {
    /// Kind, account, taker, sender 3..5, instrument, amount, limit, flags, keys 10..19; of a
    /// change its kind and its own words in 1..15. What a kind does not use is 0. L1 publishes
    /// them as they are, words 10.. as halves, so the others are below 2^56 (docs/decisions.md,
    /// D22).
    pub fn words(&self) -> [F; ITEM_WORDS] {
        let mut fields = Fields::default();
        match self {
            Self::Deposit(deposit) => {
                fields.account = deposit.account;
                fields.sender = deposit.sender;
                fields.instrument = deposit.instrument;
                fields.amount = deposit.amount;
                if let Some(new) = &deposit.create {
                    fields.flags = 2 | (u64::from(new.isolated) << 2);
                    fields.keys = key_words(&new.keys);
                }
            }
            Self::Withdraw {
                sender,
                account,
                instrument,
                amount,
            } => {
                (fields.sender, fields.account) = (*sender, *account);
                (fields.instrument, fields.amount) = (*instrument, *amount);
            }
            Self::KeyChange {
                sender,
                account,
                keys,
            } => {
                (fields.sender, fields.account) = (*sender, *account);
                fields.keys = key_words(keys);
            }
            Self::CancelAll { sender, account } => {
                (fields.sender, fields.account) = (*sender, *account);
            }
            Self::Flag { account } | Self::Absorb { account } => fields.account = *account,
            Self::Take(take) => {
                (fields.sender, fields.account) = (take.sender, take.account);
                (fields.taker, fields.instrument) = (take.taker, take.instrument);
                (fields.amount, fields.limit) = (take.size, take.limit);
                fields.flags = take.side.bit();
            }
            Self::Change(change) => return change_words(self.number(), change),
        }
        fields.words(self.number())
    }

    pub fn digest(&self) -> Digest {
        item_digest(&self.words())
    }

    /// The kind's number in the digest.
    pub fn number(&self) -> u64 {
        match self {
            Self::Deposit(_) => 1,
            Self::Withdraw { .. } => 2,
            Self::KeyChange { .. } => 3,
            Self::CancelAll { .. } => 4,
            Self::Flag { .. } => 5,
            Self::Take(_) => 6,
            Self::Absorb { .. } => 7,
            Self::Change(_) => 8,
        }
    }

    /// The row that decides about the item, if there is one: an epoch that serves it reads it.
    pub fn row(&self) -> Option<u32> {
        match self {
            Self::Deposit(Deposit { instrument, .. })
            | Self::Withdraw { instrument, .. }
            | Self::Take(Take { instrument, .. }) => Some(row_of(instrument.0)),
            _ => None,
        }
    }

    /// The account that the item is about; a change is about none.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Deposit(Deposit { account, .. })
            | Self::Withdraw { account, .. }
            | Self::KeyChange { account, .. }
            | Self::CancelAll { account, .. }
            | Self::Flag { account }
            | Self::Take(Take { account, .. })
            | Self::Absorb { account } => Some(*account),
            Self::Change(_) => None,
        }
    }
}

#[derive(Default)]
struct Fields {
    account: AccountId,
    taker: AccountId,
    sender: Owner,
    instrument: InstrumentId,
    amount: u64,
    limit: u64,
    flags: u64,
    keys: [F; 10],
}

impl Fields {
    fn words(&self, kind: u64) -> [F; ITEM_WORDS] {
        let sender = self.sender.words();
        let mut words = [F::default(); ITEM_WORDS];
        let (numbers, keys) = words.split_at_mut(10);
        numbers.copy_from_slice(&[
            unsigned(kind),
            unsigned(self.account.0.into()),
            unsigned(self.taker.0.into()),
            sender[0],
            sender[1],
            sender[2],
            unsigned(self.instrument.0.into()),
            wide(self.amount),
            wide(self.limit),
            unsigned(self.flags),
        ]);
        keys.copy_from_slice(&self.keys);
        words
    }
}

fn change_words(kind: u64, change: &Change) -> [F; ITEM_WORDS] {
    let mut words = [F::default(); ITEM_WORDS];
    let own = [unsigned(kind)].into_iter().chain(change.words());
    for (word, value) in words.iter_mut().zip(own) {
        *word = value;
    }
    words
}

fn item_digest(words: &[F; ITEM_WORDS]) -> Digest {
    hash(Tag::QueueItem, words)
}

/// A number of 64 bits; L1 takes and publishes those below 2^56.
fn wide(number: u64) -> F {
    F::from_noncanonical_u64(number)
}

fn key_words(keys: &Keys) -> [F; 10] {
    let (k, t) = (keys.key, keys.trading_key);
    [k[0], k[1], k[2], k[3], k[4], t[0], t[1], t[2], t[3], t[4]]
}

/// The queue's head after one more item \[C1\].
pub fn chain(head: Digest, request: &Request) -> Digest {
    compress(head, request.digest())
}

/// An item and how it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub item: Item,
    pub service: Service,
}

/// How an item ends, with what the sequencer claims about the accounts; the ledger checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// Deposit, key change, cancel-all, flag, change.
    Done,
    /// Withdrawal: the smaller of the amount and what the account can pay.
    Paid(u64),
    /// Take: lots, the charge per lot \[Q4\] and the epoch of the flag.
    Taken {
        size: u64,
        charge: u64,
        flagged_at: u32,
    },
    /// Absorb: as in an `Absorption`.
    Absorbed {
        holdings: Box<[Holding; SLOTS]>,
        debt: u64,
    },
    Refused(Reason),
}

/// Why an item is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// By the item, its row or the bridge.
    Terms(Fault),
    /// By its account before the epoch.
    Account(Refusal),
    /// By the taker's.
    Taker(Refusal),
    /// The account to absorb holds this instrument, whose row is halted \[T6\].
    Halted(InstrumentId),
}

impl Reason {
    /// The outcome's number in L1 data; *done* is 0.
    pub fn outcome(self) -> u32 {
        match self {
            Self::Account(refusal) => refusal as u32,
            Self::Halted(_) => Refusal::Held as u32,
            Self::Taker(refusal) => (refusal as u32) | 32,
            Self::Terms(fault) => (fault as u32) | 64,
        }
    }
}

/// What L1 learns of an item \[P6\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRecord {
    pub index: u64,
    /// The item's, `Request::words`.
    #[serde(with = "crate::wire")]
    pub words: [F; ITEM_WORDS],
    /// 0 done, else `Reason::outcome`.
    pub outcome: u32,
}

impl QueueRecord {
    pub fn digest(&self) -> Digest {
        item_digest(&self.words)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueueError {
    #[error("[J4] {code}: this item must be refused for it", code = .0.code())]
    MustRefuse(Fault),
    #[error("[J4] {code} does not hold of this item", code = .0.code())]
    NoFault(Fault),
    #[error("[J4] this kind of item is not refused for {0:?}")]
    Inadmissible(Reason),
    #[error("[T6] instrument {} is not halted", .0.0)]
    NotHalted(InstrumentId),
    #[error("[J4] a {kind} item does not end like that")]
    Mismatch { kind: u64 },
    #[error("[J4] serves {served} of {asked}")]
    Amount { served: u64, asked: u64 },
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error(transparent)]
    Liquidation(#[from] LiquidationError),
    #[error(transparent)]
    Absorption(#[from] AbsorptionError),
}

impl QueueError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::MustRefuse(_) => "J4.must_refuse",
            Self::NoFault(_) => "J4.no_fault",
            Self::Inadmissible(_) => "J4.inadmissible",
            Self::NotHalted(_) => "T6.not_halted",
            Self::Mismatch { .. } => "J4.service",
            Self::Amount { .. } => "J4.amount",
            Self::Terms(error) => error.code(),
            Self::Liquidation(error) => error.code(),
            Self::Absorption(error) => error.code(),
        }
    }
}

impl Served {
    pub fn effects(&self, terms: &Terms) -> Result<Effects, QueueError> {
        let request = &self.item.request;
        let effects = match (fault(request, terms)?, self.service.clone()) {
            (Some(found), Service::Refused(Reason::Terms(claimed))) if found == claimed => {
                refusal::by_fault(request, found)
            }
            // A change's place in the header is not the journal's to see.
            (None, Service::Refused(Reason::Terms(Fault::Pending)))
                if matches!(request, Request::Change(_)) =>
            {
                refusal::returned(request)
            }
            (Some(found), _) => return Err(QueueError::MustRefuse(found)),
            (None, Service::Refused(reason)) => refusal::effects(request, reason, terms)?,
            (None, service) => self.done(service, terms)?,
        };
        let outcome = match self.service {
            Service::Refused(reason) => reason.outcome(),
            _ => 0,
        };
        let outcome = Some(QueueRecord {
            index: self.item.index,
            words: request.words(),
            outcome,
        });
        Ok(Effects { outcome, ..effects })
    }

    fn done(&self, service: Service, terms: &Terms) -> Result<Effects, QueueError> {
        match (&self.item.request, service) {
            (Request::Deposit(deposit), Service::Done) => Ok(deposit::effects(deposit)),
            (
                Request::Withdraw {
                    sender,
                    account,
                    instrument,
                    amount,
                },
                Service::Paid(paid),
            ) => {
                let asked = refusal::payable(terms, *instrument, *amount);
                within(paid, asked)?;
                let who = (*sender, *account);
                Ok(withdraw::requested(terms, who, *instrument, (asked, paid)))
            }
            (
                Request::KeyChange {
                    sender,
                    account,
                    keys,
                },
                Service::Done,
            ) => Ok(key_change::requested(*sender, *account, *keys)),
            (Request::CancelAll { sender, account }, Service::Done) => {
                Ok(cancel_all::requested(*sender, *account))
            }
            (Request::Flag { account }, Service::Done) => Ok(flag::requested(*account)),
            (
                Request::Take(take),
                Service::Taken {
                    size,
                    charge,
                    flagged_at,
                },
            ) => {
                within(size, take.size)?;
                Ok(liquidation::take(take, (size, charge, flagged_at), terms)?)
            }
            (Request::Absorb { account }, Service::Absorbed { holdings, debt }) => Ok(Absorption {
                account: *account,
                holdings: *holdings,
                debt,
            }
            .effects(terms)?),
            (Request::Change(_), Service::Done) => Ok(Effects::default()),
            (request, _) => Err(QueueError::Mismatch {
                kind: request.number(),
            }),
        }
    }
}

/// \[J4\] 1 ≤ served ≤ asked; the ledger shows that no more can be.
fn within(served: u64, asked: u64) -> Result<(), QueueError> {
    if served == 0 || served > asked {
        return Err(QueueError::Amount { served, asked });
    }
    Ok(())
}
