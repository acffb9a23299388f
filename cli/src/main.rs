//! `tally`: replay a market, settle it, inspect the result.

mod decimal;
mod generated;
mod klines;
mod market;
mod output;

fn main() {}
