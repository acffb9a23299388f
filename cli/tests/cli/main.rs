//! The `tally` binary from outside. One test binary: linking it is what costs.

mod binary;
mod devnet;
mod key;
mod prove;
mod rebuild;
mod replay;
mod settle;
