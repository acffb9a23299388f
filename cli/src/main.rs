//! `tally`: replay a market, settle it, inspect the result.

mod account;
mod bench;
mod config;
mod data;
mod decimal;
mod generated;
mod klines;
mod market;
mod output;
mod progress;
mod prove;
mod rebuild;
mod replay;
mod state_file;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::config::{
    AccountConfig, BenchCommand, BenchConfig, BenchProveConfig, Command, Config, RebuildConfig,
    ReplayConfig, VerifyConfig,
};
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
        Command::Verify(config) => verify(config),
        Command::Rebuild(config) => rebuild(config),
        Command::Pins => prove::pins()
            .map_err(Into::into)
            .and_then(|it| print_object(&it, false)),
        Command::Bench(BenchCommand::Rows(config)) => bench_rows(config),
        Command::Bench(BenchCommand::Prove(config)) => bench_prove(config),
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
    print_object(&replay::run(config)?, config.json)
}

fn verify(config: &VerifyConfig) -> anyhow::Result<()> {
    print_object(&verify::run(&config.files)?, config.json)
}

fn rebuild(config: &RebuildConfig) -> anyhow::Result<()> {
    print_object(&rebuild::run(config)?, config.json)
}

fn bench_rows(config: &BenchConfig) -> anyhow::Result<()> {
    print_object(&tally_prover::rows::rows(), config.json)
}

fn bench_prove(config: &BenchProveConfig) -> anyhow::Result<()> {
    print_object(&bench::prove(config.limits.limits())?, config.json)
}

/// On one line for programs, on several for people.
fn print_object(object: &impl Serialize, is_json: bool) -> anyhow::Result<()> {
    let text = match is_json {
        true => serde_json::to_string(object),
        false => serde_json::to_string_pretty(object),
    };
    println!("{}", text.context("writing the result")?);
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
