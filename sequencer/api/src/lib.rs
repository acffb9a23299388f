//! What the sequencer's API says, shared by the service, its clients and the tests: requests and
//! answers as JSON, receipts, error codes. No I/O (docs/api.md).
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]

pub mod answer;
pub mod code;
pub mod development;
pub mod encoding;
pub mod message;
pub mod range;
pub mod receipt;
pub mod request;

pub use code::ErrorBody;
pub use receipt::{CommandHash, Link, Receipt, ReceiptError, SignedReceipt};
pub use request::{RequestError, ToCommand};
