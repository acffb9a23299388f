//! The rules of Tally as Plonky2 constraints: gates, gadgets, segments and their aggregation, and a
//! checker that evaluates every constraint without proving.

pub mod builder;
pub mod checker;

pub use builder::{Builder, D, config};
pub use tally_protocol::hash::F;
