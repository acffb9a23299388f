//! The prover service with stub workers: what it does with lies, failures, deaths and kills. Real
//! proofs are made by `tests/toy.rs` and the binary's own test.

mod epochs;
mod faults;
mod kill;
mod stub;
