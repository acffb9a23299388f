//! The wire: golden files byte for byte, and everything that decoding refuses.

mod golden;
mod inbox;
mod sample;
mod strict;
