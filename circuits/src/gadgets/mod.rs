//! Gadgets: small statements that segments are made of, each with its cost in rows.

pub mod division;
pub mod halves;
pub mod logic;
pub mod merkle;
pub mod product;
pub mod range;
pub mod sponge;
