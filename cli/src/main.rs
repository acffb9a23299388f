//! `tally`: replay a market, settle it, inspect the result.

mod account;
mod config;
mod decimal;
mod generated;
mod klines;
mod market;
mod output;
mod progress;
mod replay;
mod state_file;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::config::{AccountConfig, Command, Config, ReplayConfig};
use crate::state_file::SavedState;

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = match &config.command {
        Command::Replay(config) => replay(config),
        Command::Account(config) => show_account(config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(config: &ReplayConfig) -> anyhow::Result<()> {
    let summary = replay::run(config)?;
    if config.json {
        println!(
            "{}",
            serde_json::to_string(&summary).context("writing the summary")?
        );
    } else {
        println!(
            "{}",
            serde_json::to_string_pretty(&summary).context("writing the summary")?
        );
    }
    Ok(())
}

fn show_account(config: &AccountConfig) -> anyhow::Result<()> {
    let view = account::view(&SavedState::load(&config.out)?, config.id)?;
    if config.json {
        println!(
            "{}",
            serde_json::to_string(&view).context("writing the account")?
        );
    } else {
        print!("{}", view.table());
    }
    Ok(())
}
