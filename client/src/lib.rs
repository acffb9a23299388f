//! A thin client of the sequencer's API: signs, sends, checks receipts, listens.
//!
//! `Trader` makes signed messages, `Client` sends them and reads answers, `Channels` is the
//! WebSocket. Every acknowledgement's receipt is verified against the sequencer's key and the bytes
//! that were sent, so a client knows what it holds in its hands.

mod channels;
pub mod development;
mod error;
mod http;
mod oracle;
mod trader;

pub use channels::{Answer, Channels, Said};
pub use error::ClientError;
pub use http::{Acked, Client};
pub use oracle::signed_report;
pub use trader::Trader;
