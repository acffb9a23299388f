//! The `tally` binary from outside. One test binary: linking it is what costs.

mod binary;
mod devnet;
mod golden;
mod key;
mod prove;
mod rebuild;
mod replay;
mod settle;
