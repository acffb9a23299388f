//! Gadgets: small statements that segments are made of, each with its cost in rows.

pub mod merkle;
pub mod range;
