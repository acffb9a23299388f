//! Options of `tally devnet`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::CacheConfig;

/// Where L1 is.
#[derive(Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum L1 {
    /// Anvil where npm installed one, else the chain inside the process.
    Auto,
    Anvil,
    Embedded,
}

#[derive(Debug, Args)]
pub struct DevnetConfig {
    /// Directory of everything that runs: a second start goes on where the first one stopped.
    #[arg(
        long,
        env = "TALLY_DEVNET",
        default_value = "out/devnet",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// Address of the traders' API; port 0 takes a free one.
    #[arg(
        long,
        env = "TALLY_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// The development chain. A directory stays with the one that it began with.
    #[arg(long, env = "TALLY_L1", value_enum, default_value = "auto")]
    pub l1: L1,
    /// L1's verifier takes what it is told: batches are proven, but not wrapped for L1.
    #[arg(long)]
    pub mock_verifier: bool,
    /// Nothing is proven at all: batches are data alone, and the verifier is the mock.
    #[arg(long)]
    pub mock_prover: bool,
    /// Trading bots, of which one in eight makes the market.
    #[arg(long, default_value_t = 16, value_name = "N",
        value_parser = clap::value_parser!(u32).range(4..=512))]
    pub bots: u32,
    /// Of prices and bots.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Perpetuals that are listed.
    #[arg(long, default_value_t = 2, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=4))]
    pub instruments: u32,
    /// Between oracle rounds, each of which is an epoch; longer where the prover is behind.
    #[arg(long, default_value_t = 5_000, value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1_000..=30_000))]
    pub round_ms: u64,
    /// Between two looks of a bot at the market.
    #[arg(long, default_value_t = 1_000, value_name = "MS",
        value_parser = clap::value_parser!(u64).range(50..))]
    pub bot_ms: u64,
    #[arg(long, default_value_t = 8, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=32))]
    pub epochs_per_batch: u32,
    /// Closed epochs that may await their proof before the reporters wait.
    #[arg(long, default_value_t = 16, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub lead: u32,
    /// Ends by itself once a batch with trades and liquidations has been executed on L1.
    #[arg(long)]
    pub until_settled: bool,
    /// Ends by itself once this epoch has been executed on L1.
    #[arg(long, value_name = "EPOCH")]
    pub until_executed: Option<u64>,
    /// Ends by itself after so many seconds, whatever has been settled.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// Lines in place of the live view, as when standard output is no terminal.
    #[arg(long)]
    pub plain: bool,
    /// The summary as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheConfig,
}

impl DevnetConfig {
    pub fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms)
    }

    pub fn is_mock_verifier(&self) -> bool {
        self.mock_verifier || self.mock_prover
    }
}
