//! `tally`: replay a market, settle it, inspect the result.

mod account;
mod bench;
mod config;
mod data;
mod decimal;
mod devnet;
mod generated;
mod key;
mod klines;
mod market;
mod output;
mod progress;
mod prove;
mod prover;
mod rebuild;
mod replay;
mod settle;
mod state_file;
mod verify;
mod wrap;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Context;
use clap::Parser;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::config::{
    AccountConfig, BenchCommand, BenchConfig, BenchPlonky2Config, BenchProveConfig, Command,
    Config, RebuildConfig, ReplayConfig, SettleConfig, SrsCommand, VerifyConfig,
};
use crate::key::KeyCommand;
use crate::state_file::SavedState;

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    // A live view has the terminal for itself.
    match devnet::log_file(&config.command) {
        Some(file) => log.with_writer(Mutex::new(file)).with_ansi(false).init(),
        None => log
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init(),
    }
    let done = match &config.command {
        Command::Replay(config) => replay(config),
        Command::Account(config) => show_account(config),
        Command::Verify(config) => verify(config),
        Command::Rebuild(config) => rebuild(config),
        Command::Settle(config) => settle(config),
        Command::Prover(config) => {
            prover::run(config).and_then(|it| print_object(&it, config.json))
        }
        Command::Devnet(config) => devnet::run(config).and_then(|it| match config.json {
            true => print_object(&it, true),
            false => print(it.table().trim_end()),
        }),
        Command::Pins => prove::pins()
            .map_err(Into::into)
            .and_then(|it| print_object(&it, false)),
        Command::Bench(BenchCommand::Rows(config)) => bench_rows(config),
        Command::Bench(BenchCommand::Sign(config)) => {
            bench::sign::run().and_then(|it| print_object(&it, config.json))
        }
        Command::Sequencer(config) => tally_service::process::run(config),
        Command::Oracle(config) => {
            tally_service::process::oracle::run(config).and_then(|it| print_object(&it, false))
        }
        Command::Bench(BenchCommand::Sequencer(config)) => {
            tally_service::process::load::run(config).and_then(|it| print_object(&it, config.json))
        }
        Command::Key(command) => keys(command),
        Command::Bench(BenchCommand::Prove(config)) => bench_prove(config),
        Command::Bench(BenchCommand::Plonky2(config)) => bench_plonky2(config),
        Command::Bench(BenchCommand::Wrap(config)) => {
            wrap::bench(config).and_then(|it| print_object(&it, config.json))
        }
        Command::Srs(SrsCommand::Import(config)) => {
            wrap::import(config).and_then(|it| print_object(&it, false))
        }
        Command::Srs(SrsCommand::Dev(config)) => {
            wrap::development(config).and_then(|it| print_object(&it, false))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with those of its causes that it does not name itself.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn replay(config: &ReplayConfig) -> anyhow::Result<()> {
    print_object(&replay::run(config)?, config.json)
}

fn verify(config: &VerifyConfig) -> anyhow::Result<()> {
    print_object(&verify::run(&config.files)?, config.json)
}

fn rebuild(config: &RebuildConfig) -> anyhow::Result<()> {
    let mut rebuilt = rebuild::run(config)?;
    // For people the account has a table of its own.
    let account = rebuilt.account.take_if(|_| !config.json);
    print_object(&rebuilt, config.json)?;
    account.map_or(Ok(()), |account| print(account.table().trim_end()))
}

fn settle(config: &SettleConfig) -> anyhow::Result<()> {
    print_object(&settle::run(config)?, config.json)
}

fn keys(command: &KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::New(config) => print_object(&key::new(config)?, config.json),
        KeyCommand::Show(config) => print_object(&key::show(config)?, config.json),
        KeyCommand::TypedData(config) => print_object(&key::to_sign(config), false),
        KeyCommand::Derive(config) => print_object(&key::derive(config)?, config.json),
    }
}

fn bench_rows(config: &BenchConfig) -> anyhow::Result<()> {
    print_object(&tally_prover::rows::rows(), config.json)
}

fn bench_prove(config: &BenchProveConfig) -> anyhow::Result<()> {
    print_object(&bench::prove(config.limits.limits())?, config.json)
}

fn bench_plonky2(config: &BenchPlonky2Config) -> anyhow::Result<()> {
    print_object(&bench::plonky2::run(config)?, config.json)
}

/// On one line for programs, on several for people.
fn print_object(object: &impl Serialize, is_json: bool) -> anyhow::Result<()> {
    let text = match is_json {
        true => serde_json::to_string(object),
        false => serde_json::to_string_pretty(object),
    };
    print(&text.context("[output.json] writing the result")?)
}

/// A line, or lines, of the result: a full disk behind standard output is an error like any other.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.context("standard output: [output.not_written]")
}

fn show_account(config: &AccountConfig) -> anyhow::Result<()> {
    let view = account::view(&SavedState::load(&config.out)?, config.id)?;
    match config.json {
        true => print_object(&view, true),
        false => print(view.table().trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {source}")]
    struct Outer {
        source: io::Error,
    }

    #[test]
    fn an_error_is_told_once() {
        let cause = || io::Error::other("the disk is full");
        let told_of = |error: anyhow::Error| told(&error);
        let outer = Outer { source: cause() };
        assert_eq!(told_of(outer.into()), "outer: the disk is full");
        let wrapped = anyhow::Error::from(cause()).context("writing");
        assert_eq!(told_of(wrapped), "writing: the disk is full");
    }
}
