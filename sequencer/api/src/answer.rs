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
