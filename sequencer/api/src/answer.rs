//! Answers that no engine type already has the shape of.

use serde::{Deserialize, Serialize};

use crate::receipt::SignedReceipt;

/// A command is durable, in its place, and this is what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ack {
    /// The sequencer's signature under the command's position.
    pub receipt: SignedReceipt,
    /// What happened at that position, in order: the same objects as the channels tell.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub events: serde_json::Value,
    /// The same client id came before: this is the first one's answer, without its events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// The service at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusAnswer {
    /// Version of the service.
    pub version: String,
    pub chain_id: u64,
    /// The L1 contract, 0x and 40 hexadecimal digits.
    pub contract: String,
    /// The key that receipts are signed with, 40 bytes, hexadecimal.
    pub receipt_key: String,
    /// The last durable position of the log.
    pub position: u64,
    pub link: String,
    pub time_ms: u64,
    /// `starting`, `between`, `paused` or `open`; with `starting` the fresh rounds still missing.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub phase: serde_json::Value,
    /// The epoch under way, or the last one.
    pub epoch: u32,
    /// The last closed epoch, and the state root after it.
    pub closed: u32,
    pub root: String,
    /// Commands that wait: orders, and the priority lane.
    pub waiting: [usize; 2],
    pub clients: usize,
    /// The next L1 queue item, and the last oracle round.
    pub next_item: u64,
    pub round: u32,
    /// The epoch's time, seconds.
    pub epoch_time: u64,
    /// L1 items that wait for an epoch.
    pub items: usize,
}

/// Where a channel stands; every message carries its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelMessage {
    /// `book:ID`, `trades:ID`, `ticker:ID`, `account:ID` or `epochs`.
    pub channel: String,
    /// Rises by one from message to message, from 1 at the session's start.
    pub sequence: u64,
    /// Position of the log that the message is about.
    pub position: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: serde_json::Value,
}

/// Messages that a client has missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelAnswer {
    /// Of the service's run: numbers of another session do not compare.
    pub session: u64,
    pub messages: Vec<ChannelMessage>,
}

/// A price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LevelBody {
    /// Micro-quote per lot.
    pub price: u64,
    pub lots: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookAnswer {
    pub instrument: u32,
    pub session: u64,
    /// The book's channel goes on from here.
    pub sequence: u64,
    pub position: u64,
    /// Best first.
    pub bids: Vec<LevelBody>,
    pub asks: Vec<LevelBody>,
}

/// An oracle reporter's prices, signed \[T1\].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Place in the set of reporters.
    pub reporter: u32,
    pub feed_set: u32,
    pub round: u32,
    /// Seconds since 1970.
    pub time: u64,
    /// The round completed before, as the reporter saw it.
    pub previous: u32,
    /// By rising feed, at most 1,024.
    pub prices: Vec<FeedBody>,
    /// 80 bytes, hexadecimal.
    pub signature: String,
}

/// Micro-quote per lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FeedBody {
    /// Row number of the instrument.
    pub feed: u32,
    pub index: u64,
    pub mark: u64,
    /// Cumulative premium, signed \[T4\].
    #[serde(default)]
    pub premium: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportAnswer {
    pub round: u32,
    /// Reports that agree on the round by now.
    pub reports: usize,
    /// How many make a round.
    pub quorum: usize,
    /// The position of the round, if this report completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}
