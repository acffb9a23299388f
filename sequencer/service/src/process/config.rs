//! Options of the sequencer and of the oracle's reporter.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tally_sequencer::engine::Pace;

use crate::service::Checkpoints;

#[derive(Debug, Args)]
pub struct SequencerConfig {
    /// Directory of the log and everything beside it.
    #[arg(long, env = "TALLY_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Address of the API; port 0 takes a free one, which is printed.
    #[arg(
        long,
        env = "TALLY_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// What the sequencer is for, as JSON: chain, contract, reporters, parameters (docs/api.md).
    #[arg(long, env = "TALLY_DEPLOYMENT", value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// Secret material of the key that signs receipts, 32 bytes or more.
    #[arg(long, env = "TALLY_RECEIPT_KEY", value_name = "FILE")]
    pub receipt_key: Option<PathBuf>,
    /// Development: a deployment with keys that everybody knows, and L1 items over the API.
    #[arg(long, env = "TALLY_DEV")]
    pub dev: bool,
    /// Commands that wait in each of the two lanes; beyond it requests hear that it is busy.
    #[arg(long, env = "TALLY_LANE", default_value_t = 4_096, value_name = "N")]
    pub lane: usize,
    /// Orders a second of one author (an account and who speaks for it). Cancels are not limited.
    #[arg(long, env = "TALLY_RATE", default_value_t = 200, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Orders that an author may save up.
    #[arg(long, env = "TALLY_BURST", default_value_t = 1_000, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub burst: u32,
    /// Connections at once.
    #[arg(
        long,
        env = "TALLY_CONNECTIONS",
        default_value_t = 20_000,
        value_name = "N"
    )]
    pub connections: usize,
    /// Connections of one peer.
    #[arg(
        long,
        env = "TALLY_CONNECTIONS_OF_PEER",
        default_value_t = 20_000,
        value_name = "N"
    )]
    pub connections_of_peer: usize,
    /// WebSocket clients at once.
    #[arg(
        long,
        env = "TALLY_CLIENTS",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub clients: usize,
    /// Threads that check signatures.
    #[arg(long, env = "TALLY_CHECKERS", default_value_t = 1, value_name = "N")]
    pub checkers: usize,
    /// Threads that serve the API.
    #[arg(long, env = "TALLY_THREADS", default_value_t = 2, value_name = "N")]
    pub threads: usize,
    /// Milliseconds that a request may take.
    #[arg(
        long,
        env = "TALLY_TIMEOUT_MS",
        default_value_t = 10_000,
        value_name = "MS"
    )]
    pub timeout_ms: u64,
    /// Milliseconds without commands after which the log notes that time passes: what expires,
    /// expires then at the latest.
    #[arg(long, env = "TALLY_TICK_MS", default_value_t = 1_000, value_name = "MS",
        value_parser = clap::value_parser!(u64).range(10..))]
    pub tick_ms: u64,
    /// Commands after which the next end of a batch is a checkpoint, where a start begins.
    #[arg(
        long,
        env = "TALLY_CHECKPOINT_COMMANDS",
        default_value_t = 100_000,
        value_name = "N"
    )]
    pub checkpoint_commands: u64,
    /// Epochs after which it is, whatever they hold.
    #[arg(
        long,
        env = "TALLY_CHECKPOINT_EPOCHS",
        default_value_t = 240,
        value_name = "N"
    )]
    pub checkpoint_epochs: u32,
    /// Checkpoints that are kept; 0 makes none, and every start replays the log from genesis.
    #[arg(long, env = "TALLY_CHECKPOINTS", default_value_t = 3, value_name = "N")]
    pub checkpoints: usize,
    /// Replays the log from genesis before serving, and compares checkpoints with it.
    #[arg(long, env = "TALLY_VERIFY_LOG")]
    pub verify_log: bool,
}

impl SequencerConfig {
    pub fn checkpoints(&self) -> Option<Checkpoints> {
        let pace = Pace {
            commands: self.checkpoint_commands,
            epochs: self.checkpoint_epochs,
        };
        let keep = self.checkpoints;
        (keep > 0).then_some(Checkpoints { pace, keep })
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_ms)
    }
}

#[derive(Debug, Args)]
pub struct OracleConfig {
    /// The sequencer's API.
    #[arg(
        long,
        env = "TALLY_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub url: String,
    /// This reporter's place in the set.
    #[arg(long, env = "TALLY_REPORTER", value_name = "N")]
    pub reporter: u32,
    /// Secret material of its key, 32 bytes or more.
    #[arg(
        long,
        env = "TALLY_REPORTER_KEY",
        value_name = "FILE",
        required_unless_present = "dev"
    )]
    pub key: Option<PathBuf>,
    /// The development reporter's key, which everybody knows.
    #[arg(long, env = "TALLY_DEV")]
    pub dev: bool,
    /// Prices: lines of `feed,index,mark,premium` in micro-quote per lot under that header; an
    /// empty line ends a round's prices where the file has those of several rounds.
    #[arg(
        long,
        env = "TALLY_PRICES",
        value_name = "FILE",
        required_unless_present = "source"
    )]
    pub csv: Option<PathBuf>,
    /// A URL that answers with such lines for one round, asked anew for each.
    #[arg(
        long,
        env = "TALLY_PRICES_URL",
        value_name = "URL",
        conflicts_with = "csv"
    )]
    pub source: Option<String>,
    /// Milliseconds between rounds; rounds have whole seconds, one a second at most.
    #[arg(long, env = "TALLY_ROUND_MS", default_value_t = 5_000, value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1_000..))]
    pub every_ms: u64,
    /// Ends after so many rounds; a file's last prices are repeated until then. Without it a file's
    /// end is the end, and a URL is asked for ever.
    #[arg(long, env = "TALLY_ROUNDS", value_name = "N")]
    pub rounds: Option<u64>,
}
