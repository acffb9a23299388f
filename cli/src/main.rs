//! `tally`: replay a market, settle it, inspect the result.

mod account;
mod config;
mod decimal;
mod generated;
mod klines;
mod market;
mod output;
mod progress;
mod state_file;

fn main() {}
