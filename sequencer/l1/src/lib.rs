//! The client of the settlement contract (docs/l1.md): deploys it, follows its events, submits
//! batches and reads them back. No circuits and no prover: it moves bytes and proofs that others
//! made.

pub mod abi;
mod anvil;
mod batch;
mod contract;
pub mod deploy;
pub mod dev;
pub mod embedded;
mod endpoint;
mod error;
pub mod follow;
mod items;
mod journal;
mod published;
mod request;
mod settle;
mod submit;

pub use anvil::Anvil;
pub use batch::{BatchBytes, MOST_DATA_BYTES, root_word};
pub use contract::{Contract, Position};
pub use endpoint::{EMBEDDED, chain_id, connect, is_development};
pub use error::{ClientError, Revert};
pub use items::{Asker, Asking};
pub use published::{Chain, Published};
pub use request::request_of;
pub use settle::{Done, Settler};
pub use submit::{Call, Policy, Submitter};
