//! Commands: everything that changes the sequencer's state, in the order of the log.
//!
//! A command carries the protocol's own signed message with the key that signed it, so a signature
//! can be verified without any state, on any thread, in batches; that the key is the account's is
//! the engine's to see, at the command's place in the order.

mod codec;
mod fields;
mod instruction;
#[cfg(test)]
mod tests;
mod verify;
mod wire;

pub use instruction::DeadMan;
pub use verify::{Signer, Verified, VerifyError, verify, verify_all};
pub use wire::{RECORD_VERSION, WireError};

use serde::{Deserialize, Serialize};
use tally_protocol::account::PublicKey;
use tally_protocol::journal::transfer::TransferEntry;
use tally_protocol::message::{Cancel, CancelAll, KeyChange, Withdraw};
use tally_protocol::oracle::SignedReport;
use tally_protocol::order::Order;
use tally_protocol::queue::Item;
use tally_protocol::signature::Signature;
use tally_protocol::types::AccountId;

/// Most operations of one batch.
pub const MAX_BATCH: usize = 64;

/// A command in its place of the log, with the time at which the service took it in. Times never
/// fall; the engine takes an earlier one for the last.
#[derive(Clone, Debug)]
pub struct Record {
    /// Milliseconds since 1970, 48 bits.
    pub at: u64,
    pub command: Command,
}

#[derive(Clone, Debug)]
pub enum Command {
    Submit(Submit),
    /// Each operation stands for itself: one that is refused stops none of the others.
    Batch(Vec<Operation>),
    Cancel(Signed<Cancel>),
    CancelAll(Signed<CancelAll>),
    DeadMan(Signed<DeadMan>),
    Transfer(Box<TransferCommand>),
    Withdraw(Signed<Withdraw>),
    /// New keys, the trading (session) key among them.
    KeyChange(Signed<KeyChange>),
    /// The next finalised item of the L1 queue \[C1\].
    Item(Box<Item>),
    /// The k reports of an oracle round \[T1\].
    Round(Vec<SignedReport>),
    /// Time passes: orders expire, dead-man switches fire, an epoch closes by its age.
    Time,
    CloseEpoch,
    /// The service has begun anew: nothing matches until enough fresh rounds came.
    Restarted,
    /// The epochs up to this one are proven.
    Proven {
        epoch: u32,
    },
    /// The epochs up to this one are executed on L1.
    Settled {
        epoch: u32,
    },
    /// The operator takes fees out to the owner that the deployment fixes, micro-quote.
    FeeWithdraw {
        amount: u64,
    },
}

/// One operation of a batch.
#[derive(Clone, Debug)]
pub enum Operation {
    Submit(Submit),
    Cancel(Signed<Cancel>),
}

/// A message with the key that signed it and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    pub message: T,
    pub auth: Auth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The account's own key or, where the message allows, its trading key.
    pub key: PublicKey,
    pub signature: Signature,
}

/// A signed order with what the book is asked to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    pub order: Order,
    pub auth: Auth,
    pub terms: OrderTerms,
}

/// Instructions to the book. They are not signed: whatever they say, an order fills within what its
/// signature allows, and a receipt shows what was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// The client's name for the order, unique in the account; 0 is none.
    pub client_id: u128,
    pub time_in_force: TimeInForce,
    /// Refused where it would take.
    pub post_only: bool,
    pub self_trade: SelfTrade,
    /// The order waits outside of the book until the mark is there.
    pub trigger: Option<Trigger>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Rests until its signed expiry.
    #[default]
    GoodTillTime = 0,
    /// Takes what it can at once; the rest is cancelled. With a far limit, a market order.
    ImmediateOrCancel = 1,
    /// All at once or nothing.
    FillOrKill = 2,
}

/// What happens where an order would meet one of the same L1 owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// What is left of the incoming order is cancelled.
    #[default]
    CancelNewest = 0,
    /// The resting order is cancelled, the incoming one goes on.
    CancelOldest = 1,
    CancelBoth = 2,
}

/// A stop or take-profit: which it is follows from side and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Micro-quote per lot, against the mark.
    pub price: u64,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Fires where mark ≥ price.
    Above = 0,
    /// Fires where mark ≤ price.
    Below = 1,
}

/// A transfer, with the receiver's signature where it is asked for \[J3\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferCommand {
    pub entry: TransferEntry,
    pub auth: Auth,
    pub accept: Option<Auth>,
}

impl Trigger {
    pub fn is_met(&self, mark: u64) -> bool {
        match self.direction {
            Direction::Above => mark >= self.price,
            Direction::Below => mark <= self.price,
        }
    }
}

impl Operation {
    pub fn account(&self) -> AccountId {
        match self {
            Self::Submit(submit) => submit.order.account,
            Self::Cancel(signed) => signed.message.account,
        }
    }
}

impl Command {
    /// Cancels, and what takes value out or protects an account: served under backpressure too.
    pub fn has_own_lane(&self) -> bool {
        !matches!(self, Self::Submit(_) | Self::Batch(_))
    }
}
