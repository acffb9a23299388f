//! The command line; every option is documented where it stands.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use tally_protocol::account::Owner;
use tally_prover::Limits;
use tally_service::process::load::BenchSequencerConfig;
use tally_service::process::{OracleConfig, SequencerConfig};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::devnet::DevnetConfig;
use crate::key::KeyCommand;
use crate::prover::ProverConfig;

/// Settles margin trading: replay a market by the rules, and look at what became of it.
#[derive(Debug, Parser)]
#[command(name = "tally", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lets seeded agents trade through a market's bars and settles every epoch.
    Replay(ReplayConfig),
    /// Shows an account after a replay: slots, equity, requirements, liquidation prices.
    Account(AccountConfig),
    /// Checks batch proofs: each alone, and that each starts where the one before it ends.
    Verify(VerifyConfig),
    /// Rebuilds accounts and rows from the L1 data of consecutive batches, from genesis on, and
    /// from nothing else. Proofs are not checked: `tally verify` does that.
    Rebuild(RebuildConfig),
    /// Settles a replay on a development chain: contracts deployed, the queue's items asked for,
    /// every batch committed, proven and executed, withdrawals pulled, the state rebuilt from L1.
    Settle(SettleConfig),
    /// Proves epochs as the sequencer closes them, batch after batch; killed at any point it goes
    /// on where it was (docs/prover-service.md).
    Prover(ProverConfig),
    /// Runs the whole system on a development chain: contracts, sequencer, prover, reporters, bots;
    /// Ctrl-C stops it, and a second start goes on where it was (docs/devnet.md).
    Devnet(DevnetConfig),
    /// Prints key digests and rows of all circuits, as `prover/release.json` pins them.
    Pins,
    /// Makes, derives and shows the keys that sign messages.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The setup that proofs for L1 are made with.
    #[command(subcommand)]
    Srs(SrsCommand),
    /// Runs the sequencer: the traders' API, matching, epochs, over a durable log.
    Sequencer(SequencerConfig),
    /// Reports prices to a sequencer, signed, from a file or a URL.
    Oracle(OracleConfig),
    /// Measures what proving, signatures and wrapping cost.
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Rows a fill, by segment, from the circuits themselves.
    Rows(BenchConfig),
    /// Signatures a second and core: signing, verifying, verifying in batches.
    Sign(BenchConfig),
    /// Orders a second and milliseconds to their acknowledgement, over HTTP to another process.
    Sequencer(BenchSequencerConfig),
    /// CPU seconds a fill of one proven epoch, beside one stock Plonky2 proof.
    Prove(BenchProveConfig),
    /// CPU time, memory and phases of our Plonky2 prover beside stock's.
    Plonky2(BenchPlonky2Config),
    /// Seconds, memory and gas of one proof for L1, keys at hand.
    Wrap(BenchWrapConfig),
}

#[derive(Debug, Subcommand)]
pub enum SrsCommand {
    /// Checks a powers-of-tau file (snarkjs .ptau or raw halo2) and keeps what is needed of it.
    Import(SrsImportConfig),
    /// Makes an insecure setup for development: anybody can forge proofs made with it.
    Dev(CacheConfig),
}

/// Where setups and keys are kept.
#[derive(Clone, Debug, Args)]
pub struct CacheConfig {
    /// Directory for setups and keys; ~/.cache/tally where absent.
    #[arg(long, env = "TALLY_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// The circuit for L1 has 2^k rows: a larger k has fewer columns, so it costs less gas and more
    /// time.
    #[arg(long, env = "TALLY_WRAP_K", default_value_t = 19, value_name = "K",
        value_parser = clap::value_parser!(u32).range(19..=22))]
    pub k: u32,
}

#[derive(Debug, Args)]
pub struct SrsImportConfig {
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub cache: CacheConfig,
}

#[derive(Debug, Args)]
pub struct BenchWrapConfig {
    /// A batch's proof file; a stand-in of the same shape where absent.
    #[arg(long, value_name = "FILE")]
    pub proof: Option<PathBuf>,
    #[command(flatten)]
    pub cache: CacheConfig,
    /// One JSON object in place of the table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyConfig {
    /// Proof files, in the order of their epochs.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The result as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SettleConfig {
    /// Directory of a replay with --prove or --data, from epoch 1 on.
    #[arg(long, value_name = "OUT")]
    pub replay: PathBuf,
    /// A development node (chain id 31337 or 1337) whose clock may be set, as anvil's; `anvil` is
    /// one of its own, `embedded` a chain inside this process: both end with it.
    #[arg(
        long,
        env = "TALLY_RPC",
        value_name = "URL",
        default_value = "http://127.0.0.1:8545"
    )]
    pub rpc: String,
    /// A verifier that takes whatever it is told, in place of wrapped proofs: nothing is proven.
    #[arg(long)]
    pub mock_verifier: bool,
    /// Before each batch, tries what must be refused: other bytes, other proofs, the wrong order.
    #[arg(long)]
    pub try_lies: bool,
    #[command(flatten)]
    pub cache: CacheConfig,
    /// The result as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RebuildConfig {
    /// Files in the order of their epochs, the first from epoch 1: batch-NNNNNN.proof or .data.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with_all = ["rpc", "devnet"],
        required_unless_present_any = ["rpc", "devnet"])]
    pub proofs: Vec<PathBuf>,
    /// A node from whose chain every executed batch is read, in place of files.
    #[arg(long, value_name = "URL", requires = "contract")]
    pub rpc: Option<String>,
    /// A devnet's directory, in place of files: every executed batch is read from a copy of its
    /// chain, and from nothing else of it.
    #[arg(long, value_name = "DIR", conflicts_with = "rpc")]
    pub devnet: Option<PathBuf>,
    /// The settlement contract, with --rpc.
    #[arg(long, env = "TALLY_CONTRACT", value_name = "ADDRESS")]
    pub contract: Option<Address>,
    /// With --rpc: a block not after the contract's deployment; events before it are not asked for.
    #[arg(
        long,
        env = "TALLY_FROM_BLOCK",
        value_name = "BLOCK",
        default_value_t = 0
    )]
    pub from_block: u64,
    /// Directory for what was rebuilt, rebuilt.json; nothing is written where absent.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Shows this account of it too.
    #[arg(long, value_name = "ID")]
    pub account: Option<u32>,
    /// The result as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchConfig {
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchProveConfig {
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchPlonky2Config {
    /// Smallest circuit's rows, as a power of two.
    #[arg(long, default_value_t = 12, value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(12..=18))]
    pub smallest: u8,
    /// Largest circuit's rows, as a power of two.
    #[arg(long, default_value_t = 16, value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(12..=18))]
    pub largest: u8,
    /// What is proven; both where absent.
    #[arg(long)]
    pub subject: Option<tally_prover::measure::plonky2::Subject>,
    /// Kernels to compare, `avx512`, `avx2`, `neon` or `portable`; all of this processor's where
    /// absent.
    #[arg(long, value_name = "NAME")]
    pub kernel: Vec<tally_plonk::Kernel>,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// How much proving may take at once.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitsConfig {
    /// Memory for running proofs in MB; built circuits take about 3 GB beside it.
    #[arg(long, env = "TALLY_MEMORY_MB", default_value_t = 2_048, value_name = "MB",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub memory_mb: u64,
    /// Proofs that run side by side, 1 to 256; each also spreads over the cores.
    #[arg(long, env = "TALLY_WORKERS", default_value_t = 2, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

impl LimitsConfig {
    pub fn limits(self) -> Limits {
        Limits {
            workers: self.workers.into(),
            memory_mb: self.memory_mb,
        }
    }
}

#[derive(Debug, Args)]
pub struct ReplayConfig {
    /// Directory with one SYMBOL-1h.csv per perpetual; a small generated market where absent.
    #[arg(long, env = "TALLY_KLINES", value_name = "DIR")]
    pub klines: Option<PathBuf>,
    /// Only these symbols of the directory, separated by commas.
    #[arg(
        long,
        env = "TALLY_SYMBOLS",
        value_delimiter = ',',
        requires = "klines"
    )]
    pub symbols: Vec<String>,
    /// Accounts that trade, isolated sub-accounts included: 8 to 1,000,000.
    #[arg(long, env = "TALLY_ACCOUNTS", default_value_t = 200, value_name = "N")]
    pub accounts: usize,
    /// Epochs to settle from the start, four to a bar (15 minutes each); all bars' where absent.
    /// Those of the setup (listings, first deposits) come before them.
    #[arg(long, env = "TALLY_EPOCHS", value_name = "E",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// Epochs that one batch, and so one proof, spans: 1 to 4096.
    #[arg(long, env = "TALLY_EPOCHS_PER_BATCH", default_value_t = 8, value_name = "B",
        value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub epochs_per_batch: u64,
    /// Seed of everything random; the same seed gives the same state root.
    #[arg(long, env = "TALLY_SEED", default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Time to start from, RFC 3339 (2025-10-10T20:00:00Z): the bar that it falls into is the
    /// first. The first bar of all where absent.
    #[arg(long, env = "TALLY_START", value_name = "TIME")]
    pub start: Option<StartTime>,
    /// Directory for state.json, epochs.csv, summary.json, and proofs or data where asked for.
    #[arg(long, env = "TALLY_OUT", default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    /// Writes the L1 data of each batch to OUT/batch-NNNNNN.data, the bytes that a proof is about.
    #[arg(long)]
    pub data: bool,
    /// Proves each batch of the market's epochs to OUT/batch-NNNNNN.proof; a stopped run goes on
    /// from the proofs that it finished.
    #[arg(long)]
    pub prove: bool,
    /// Leaves each epoch's witness in this directory, the inbox of `tally prover`.
    #[arg(long, value_name = "DIR")]
    pub witnesses: Option<PathBuf>,
    /// With --prove, --data or --witnesses: from this epoch on, counted from genesis with the
    /// setup's first as 1; the first batch then starts from the state that the native run reached.
    #[arg(long, env = "TALLY_PROVE_FROM", default_value_t = 1, value_name = "EPOCH",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub prove_from: u32,
    /// With --prove, --data or --witnesses: so many epochs at most.
    #[arg(long, env = "TALLY_PROVE_EPOCHS", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub prove_epochs: Option<u64>,
    #[command(flatten)]
    pub limits: LimitsConfig,
    /// The result as one line of JSON in place of several.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub deployment: DeploymentConfig,
}

impl ReplayConfig {
    /// The epochs whose batches are proven or written.
    pub fn window(&self) -> core::ops::Range<u64> {
        let first = u64::from(self.prove_from);
        first..first.saturating_add(self.prove_epochs.unwrap_or(u64::MAX))
    }
}

/// Which deployment messages are for.
#[derive(Debug, Args)]
pub struct DeploymentConfig {
    /// Chain id that every signed message begins with: 1 to 2^56 - 1.
    #[arg(long, env = "TALLY_CHAIN_ID", default_value_t = 31_337,
        value_parser = clap::value_parser!(u64).range(1..1 << 56))]
    pub chain_id: u64,
    /// L1 contract that every signed message names, 0x and 40 hexadecimal digits; the default is
    /// where a fresh development chain will have it (`tally settle`).
    #[arg(
        long,
        env = "TALLY_CONTRACT",
        value_name = "ADDRESS",
        default_value = "0x663f3ad617193148711d28f5334ee4ed07016602"
    )]
    pub contract: Address,
}

#[derive(Debug, Args)]
pub struct AccountConfig {
    /// The account's number: the system's below 1024, main accounts from 1024 on, isolated
    /// sub-accounts from 2^27 on.
    #[arg(value_name = "ID")]
    pub id: u32,
    /// Directory that a replay wrote, with its state.json.
    #[arg(long, env = "TALLY_OUT", default_value = "out", value_name = "DIR")]
    pub out: PathBuf,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Seconds since 1970, written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTime(pub u64);

impl FromStr for StartTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|error| format!("not an RFC 3339 time: {error}"))?;
        let seconds = u64::try_from(time.unix_timestamp());
        seconds.map(Self).map_err(|_| "before 1970".into())
    }
}

/// An L1 address: 0x and 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub Owner);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").ok_or("an address begins with 0x")?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|error| error.to_string())?;
        Ok(Self(Owner(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn a_replay_names_the_contract_that_settle_deploys() {
        let Command::Replay(config) = Config::parse_from(["tally", "replay"]).command else {
            panic!("a replay");
        };
        let named = config.deployment.contract.0.0;
        assert_eq!(named, tally_l1::dev::first_address().into_array());
    }

    #[test]
    fn times_and_addresses_parse_or_say_why_not() {
        assert_eq!("2025-10-10T20:00:00Z".parse(), Ok(StartTime(1_760_126_400)));
        assert_eq!(
            "2025-10-10T22:00:00+02:00".parse(),
            Ok(StartTime(1_760_126_400))
        );
        assert!("2025-10-10".parse::<StartTime>().is_err());
        assert!("1960-01-01T00:00:00Z".parse::<StartTime>().is_err());
        let address: Address = "0x00000000000000000000000000000000000000ff"
            .parse()
            .unwrap();
        assert_eq!(address.0.0[19], 255);
        for text in [
            "00ff",
            "0x00ff",
            "0xzz00000000000000000000000000000000000000",
        ] {
            assert!(text.parse::<Address>().is_err());
        }
    }
}
