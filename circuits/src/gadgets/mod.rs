//! Gadgets: small statements that segments are made of, each with its cost in rows.

pub mod logic;
pub mod merkle;
pub mod range;
