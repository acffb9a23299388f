//! Accounts run through the native ledger and through the circuit; every clause broken.

mod attacks;
mod bench;
mod breaks;
mod full;
mod mutation;
mod plain;
mod refusals;
mod tables;
mod verdicts;
