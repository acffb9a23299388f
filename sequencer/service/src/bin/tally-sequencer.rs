//! The sequencer alone: `tally sequencer`, `oracle` and `bench` without the circuits, the prover
//! and everything else that `tally` links.

use std::io::IsTerminal;

use clap::{Parser, Subcommand};
use tally_service::process::load::{self, BenchSequencerConfig};
use tally_service::process::{OracleConfig, SequencerConfig, oracle, run};
use tracing_subscriber::EnvFilter;

/// The sequencer, without the prover.
#[derive(Debug, Parser)]
#[command(name = "tally-sequencer", version)]
struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The traders' API, matching and epochs over a durable log.
    Sequencer(SequencerConfig),
    /// Reports prices to a sequencer, signed, from a file or a URL.
    Oracle(OracleConfig),
    /// Orders a second and milliseconds to their acknowledgement, over HTTP to another process.
    Bench(BenchSequencerConfig),
}

fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match &config.command {
        Command::Sequencer(config) => run(config),
        Command::Oracle(config) => {
            println!("{}", serde_json::to_string_pretty(&oracle::run(config)?)?);
            Ok(())
        }
        Command::Bench(config) => {
            println!("{}", serde_json::to_string(&load::run(config)?)?);
            Ok(())
        }
    }
}
