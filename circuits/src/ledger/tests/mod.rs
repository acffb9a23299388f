//! Accounts run through the native ledger and through the circuit; every clause broken.

mod bench;
mod full;
mod plain;
mod refusals;
