//! The client of the settlement contract (docs/l1.md): deploys it, follows its events, submits
//! batches and reads them back. No circuits and no prover: it moves bytes and proofs that others
//! made.

pub mod abi;
pub mod embedded;
mod endpoint;
mod error;

pub use endpoint::{EMBEDDED, chain_id, connect, is_development};
pub use error::{ClientError, Revert};
