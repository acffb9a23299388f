//! What a command did: the events of `Engine::apply`, in the order in which they happened.

use serde::{Deserialize, Serialize, Serializer};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::reject::Reject;

/// An order's name, given when it is taken in; rising, never used again.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OrderId(pub u64);

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The command's place in the order of all, from 1: what a receipt names.
    pub position: u64,
    /// The reason if the command was refused. What time brought about before it stands in `events`
    /// all the same.
    pub result: Result<(), Reject>,
    pub events: Vec<Event>,
}

/// An order and its author, as events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OrderRef {
    pub order: OrderId,
    pub account: AccountId,
    /// The client's name for it; 0 is none. Hexadecimal in JSON, whose numbers are too short.
    #[serde(serialize_with = "hexadecimal", skip_serializing_if = "is_none")]
    pub client_id: u128,
}

fn hexadecimal<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:x}"))
}

fn is_none(id: &u128) -> bool {
    *id == 0
}

/// One end of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FillSide {
    #[serde(flatten)]
    pub order: OrderRef,
    /// Lots of the order still open.
    pub left: u64,
    /// Micro-quote per lot.
    pub fee_per_lot: u64,
}

/// Lots are whole lots, prices micro-quote per lot, amounts micro-quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The order is taken in. What follows says where it went.
    Accepted {
        #[serde(flatten)]
        order: OrderRef,
        instrument: InstrumentId,
        side: Side,
        lots: u64,
        limit: u64,
    },
    /// One operation of a batch is refused; `operation` counts from 0.
    Refused {
        operation: usize,
        reject: Reject,
    },
    /// In the book with so many lots.
    Resting {
        #[serde(flatten)]
        order: OrderRef,
        instrument: InstrumentId,
        side: Side,
        price: u64,
        lots: u64,
    },
    /// Waits for the mark.
    Waiting {
        #[serde(flatten)]
        order: OrderRef,
        instrument: InstrumentId,
        price: u64,
    },
    Triggered {
        #[serde(flatten)]
        order: OrderRef,
        mark: u64,
    },
    Fill {
        /// Counts the fills of the instrument's book and its liquidations.
        trade: u64,
        instrument: InstrumentId,
        price: u64,
        lots: u64,
        taker_side: Side,
        maker: FillSide,
        taker: FillSide,
    },
    /// A reduce-only order is left with so many lots, since its position shrank \[L3\].
    Reduced {
        #[serde(flatten)]
        order: OrderRef,
        lots: u64,
    },
    /// The order is gone with so many lots unfilled.
    Cancelled {
        #[serde(flatten)]
        order: OrderRef,
        instrument: InstrumentId,
        lots: u64,
        reason: CancelReason,
    },
    /// All of an account's orders are gone, each with its own event.
    CancelledAll {
        account: AccountId,
    },
    /// Armed until this time in milliseconds; 0 is disarmed.
    DeadMan {
        account: AccountId,
        deadline: u64,
    },
    /// Lots of a price level now; 0 where it is gone.
    Level {
        instrument: InstrumentId,
        side: Side,
        price: u64,
        lots: u64,
    },
    EpochOpened {
        epoch: u32,
        round: u32,
        /// Seconds since 1970.
        time: u64,
        /// False in a pause of fills \[T2\].
        fills: bool,
    },
    /// Its root follows when the closer has hashed it.
    EpochClosed {
        epoch: u32,
        entries: usize,
        fills: usize,
        batch: u64,
        /// The last of its batch.
        ends_batch: bool,
    },
    /// \[Q6\] What this epoch's tick took from winners, and what insurance still owes.
    Socialised {
        amount: u64,
        deficit: u64,
    },
    Flagged {
        account: AccountId,
    },
    Liquidated {
        trade: u64,
        account: AccountId,
        instrument: InstrumentId,
        /// Of the holding.
        side: Side,
        lots: u64,
        /// The taker's.
        price: u64,
        /// Per lot, against the mark \[Q4\].
        charge: u64,
        discount: u64,
        taker: FillSide,
    },
    /// Insurance sold inventory \[Q7\].
    Unwound {
        trade: u64,
        instrument: InstrumentId,
        side: Side,
        lots: u64,
        price: u64,
        discount: u64,
        taker: FillSide,
    },
    Absorbed {
        account: AccountId,
    },
    Transferred {
        from: AccountId,
        to: AccountId,
        instrument: InstrumentId,
        amount: u64,
    },
    /// In the journal; L1 pays it when the batch is executed.
    Withdrawn {
        account: AccountId,
        instrument: InstrumentId,
        amount: u64,
    },
    KeysChanged {
        account: AccountId,
    },
    /// Taken in while no epoch was open; its outcome comes with the next one.
    Queued {
        position: u64,
    },
    /// What was queued at `position` has now been done, or is refused.
    Served {
        position: u64,
        reject: Option<Reject>,
    },
    /// An L1 item has ended; 0 is done, else `Reason::outcome` \[J4\].
    Item {
        index: u64,
        outcome: u32,
    },
    Phase {
        phase: Phase,
    },
}

/// What the engine takes and does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// After a start: nothing matches until so many more fresh rounds came.
    Starting {
        rounds: u32,
    },
    /// No epoch is open: orders rest but do not match, messages wait for the next round.
    #[default]
    Between,
    /// An epoch is open, without fills \[T2\].
    Paused,
    Open,
}

/// Why an order is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CancelReason {
    /// By its author's message.
    Requested,
    /// By a newer order in its slot.
    Replaced,
    Expired,
    /// What an immediate order did not get.
    Unfilled,
    SelfTrade,
    DeadMan,
    /// Key change or cancel-all ended its generation.
    Generation,
    /// Its account is liquidatable, flagged or absorbed.
    Liquidation,
    /// Its instrument is settled or gone.
    Delisted,
    /// The rules refuse to fill it: the clause's code.
    Rule {
        code: &'static str,
    },
}

impl CancelReason {
    /// Stable, for the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Requested => "cancel.requested",
            Self::Replaced => "cancel.replaced",
            Self::Expired => "J2.expired",
            Self::Unfilled => "cancel.unfilled",
            Self::SelfTrade => "cancel.self_trade",
            Self::DeadMan => "cancel.dead_man",
            Self::Generation => "S4.generation",
            Self::Liquidation => "Q2.orders",
            Self::Delisted => "T7.unlisted",
            Self::Rule { code } => code,
        }
    }
}
