//! Every number of a command fits the field element that it is signed in \[S5\].
//!
//! Two numbers that are equal modulo p would share a digest, so a signature for one would pass for
//! the other. Whoever takes commands in asks this before he computes a digest.

use tally_protocol::bounds::{ACCOUNT_DEPTH, ORDER_DEPTH, POSTING_CASH_BITS, TIME_BITS};
use tally_protocol::journal::transfer::Receiver;
use tally_protocol::order::OrderError;
use tally_protocol::types::AccountId;
use tally_sequencer::command::{Command, Operation, Submit};
use thiserror::Error;

use crate::message::TransferMessage;
use crate::request::HashRequest;

/// Bits of a dead-man switch's counter.
const COUNTER_BITS: u32 = 56;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("[S3] account {0} is outside the tree of depth {ACCOUNT_DEPTH}")]
    Account(u32),
    #[error("[S4] order slot {0} is outside the order tree of depth {ORDER_DEPTH}")]
    Slot(u8),
    #[error("[N3] amount {0} has more than {POSTING_CASH_BITS} bits")]
    Amount(u64),
    #[error("[S4] counter {0} has more than {COUNTER_BITS} bits")]
    Counter(u64),
    #[error("[T2] time {0} has more than {TIME_BITS} bits")]
    Time(u64),
}

impl RangeError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Order(error) => error.code(),
            Self::Account(_) => "S3.account",
            Self::Slot(_) => "S4.slot",
            Self::Amount(_) => "N3.amount",
            Self::Counter(_) => "S4.counter",
            Self::Time(_) => "T2.time",
        }
    }
}

pub fn check(command: &Command) -> Result<(), RangeError> {
    match command {
        Command::Submit(submit) => order(submit),
        Command::Batch(operations) => operations.iter().try_for_each(|operation| match operation {
            Operation::Submit(submit) => order(submit),
            Operation::Cancel(signed) => slot(signed.message.account, signed.message.slot),
        }),
        Command::Cancel(signed) => slot(signed.message.account, signed.message.slot),
        Command::CancelAll(signed) => account(signed.message.account),
        Command::KeyChange(signed) => account(signed.message.account),
        Command::DeadMan(signed) => {
            account(signed.message.account)?;
            let counter = signed.message.counter;
            below(counter, COUNTER_BITS, RangeError::Counter)
        }
        Command::Withdraw(signed) => {
            let message = &signed.message;
            account(message.account)?;
            below(message.amount, POSTING_CASH_BITS, RangeError::Amount)?;
            below(message.least, POSTING_CASH_BITS, RangeError::Amount)
        }
        Command::Transfer(transfer) => {
            let message = &transfer.entry.message;
            account(message.account)?;
            account(message.to)?;
            if let Receiver::Accepts(accept) = &transfer.entry.receiver {
                account(accept.account)?;
            }
            below(message.amount, POSTING_CASH_BITS, RangeError::Amount)
        }
        Command::Round(reports) => reports.iter().try_for_each(|signed| {
            let stamp = &signed.report.stamp;
            account(AccountId(signed.report.reporter))?;
            below(stamp.time, TIME_BITS, RangeError::Time)
        }),
        _ => Ok(()),
    }
}

/// The same for a message that is not signed yet.
pub fn check_hash(request: &HashRequest) -> Result<(), RangeError> {
    match request {
        HashRequest::Order(message) => Ok(message.to_order().map(|_| ())?),
        HashRequest::Cancel(message) => slot(AccountId(message.account), message.slot),
        HashRequest::CancelAll(message) => account(AccountId(message.account)),
        HashRequest::KeyChange(message) => account(AccountId(message.account)),
        HashRequest::DeadMan(message) => {
            account(AccountId(message.account))?;
            below(message.counter, COUNTER_BITS, RangeError::Counter)
        }
        HashRequest::Withdraw(message) => {
            account(AccountId(message.account))?;
            below(message.amount, POSTING_CASH_BITS, RangeError::Amount)?;
            below(message.least, POSTING_CASH_BITS, RangeError::Amount)
        }
        HashRequest::Transfer(message) => check_transfer(message),
    }
}

pub fn check_transfer(message: &TransferMessage) -> Result<(), RangeError> {
    account(AccountId(message.account))?;
    account(AccountId(message.to))?;
    below(message.amount, POSTING_CASH_BITS, RangeError::Amount)
}

fn order(submit: &Submit) -> Result<(), RangeError> {
    Ok(submit.order.check()?)
}

fn slot(id: AccountId, slot: u8) -> Result<(), RangeError> {
    account(id)?;
    below(slot.into(), ORDER_DEPTH as u32, |_| RangeError::Slot(slot))
}

fn account(id: AccountId) -> Result<(), RangeError> {
    below(id.0.into(), ACCOUNT_DEPTH as u32, |_| {
        RangeError::Account(id.0)
    })
}

fn below(value: u64, bits: u32, error: impl Fn(u64) -> RangeError) -> Result<(), RangeError> {
    match value >> bits {
        0 => Ok(()),
        _ => Err(error(value)),
    }
}
