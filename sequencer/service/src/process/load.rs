//! `tally bench sequencer`: signed orders from this process to a sequencer in another one, over
//! HTTP on the loopback interface.
//!
//! The generator keeps to a schedule: an order's time runs from when it was due, not from when a
//! connection was free to send it, so a service that falls behind shows it in every percentile.
//! Of eight commands five rest or replace what rests, two take, one cancels. Afterwards the service
//! is killed and started again: from its last checkpoint.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tally_api::development;
use tally_client::development::Venue;
use tally_client::{Client, ClientError, Trader};
use tally_protocol::bounds::FIRST_USER_ACCOUNT;
use tally_protocol::order::{Order, Place};
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Command, OrderTerms, Record};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::DEPLOYMENT;
use crate::clock::now_ms;
use crate::deployment::Deployment;

/// Micro-quote per lot, and of cash an account.
const MARK: u64 = 10_000_000;
const CASH: u64 = 1 << 45;
/// Slots of an account that commands go round in.
const SLOTS: u64 = 8;
/// Of so many commands these rest, and all but the last of the others take; the last cancels.
const KINDS: u64 = 8;
const RESTING: u64 = 5;
const KINDS_BUT_ONE: u64 = KINDS - 1;
/// From a slot's command to its next, so that a cancel finds an order that rested.
const KIND_STEP: u64 = 3;
/// Epochs of a batch, at whose end there is a checkpoint.
const BATCH: u32 = 4;
/// Between oracle rounds, each the end of an epoch.
const ROUND: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct BenchSequencerConfig {
    /// Seconds of load.
    #[arg(long, default_value_t = 60, value_name = "S",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Orders a second that are due; cancels come on top.
    #[arg(long, default_value_t = 5_200, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Connections, each with one order under way.
    #[arg(long, default_value_t = 64, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Accounts of each connection.
    #[arg(long, default_value_t = 16, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub accounts: u32,
    /// Instruments.
    #[arg(long, default_value_t = 8, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub instruments: u32,
    /// The result as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Acknowledged means durable, with a signed receipt.
#[derive(Debug, Serialize)]
pub struct BenchSequencer {
    pub orders_per_second: f64,
    pub cancels_per_second: f64,
    /// From when a command was due to its acknowledgement, orders and cancels.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub orders: usize,
    pub cancels: usize,
    pub fills: u64,
    pub seconds: f64,
    /// CPU time a command, microseconds; none where the system does not say.
    pub service_cpu_us: Option<f64>,
    pub generator_cpu_us: Option<f64>,
    /// Commands that got no receipt, by code.
    pub refused: BTreeMap<String, u64>,
    /// Commands of the sequencer's log in the end.
    pub position: u64,
    /// From a start after `kill -9` until it listens.
    pub restart_seconds: f64,
}

/// The sequencer's process; ended with this.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(data: &Path) -> anyhow::Result<Self> {
        let mut child = Process::new(std::env::current_exe()?)
            .args(["sequencer", "--dev", "--listen", "127.0.0.1:0"])
            .args(["--rate", "1000000", "--burst", "1000000"])
            .args(["--checkpoint-commands", "0"])
            .arg("--data")
            .arg(data)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .context("[bench.start] starting the sequencer")?;
        let out = child.stdout.take().context("[bench.start] no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            bail!("[bench.start] the sequencer says {line:?}");
        };
        let url = url.to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = killed {
            tracing::debug!(%error, "the sequencer has ended");
        }
    }
}

pub fn run(config: &BenchSequencerConfig) -> anyhow::Result<BenchSequencer> {
    let data = tempfile::tempdir().context("[bench.data]")?;
    let mut deployment = Deployment::development(now_ms() / 1_000);
    deployment.engine.epochs_per_batch = BATCH;
    std::fs::write(data.path().join(DEPLOYMENT), deployment.text()).context("[bench.data]")?;
    let served = Served::start(data.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let loaded = runtime.block_on(load(config, &served))?;
    drop(served);
    let begun = Instant::now();
    drop(Served::start(data.path())?);
    Ok(BenchSequencer {
        restart_seconds: begun.elapsed().as_secs_f64(),
        ..loaded
    })
}

async fn load(config: &BenchSequencerConfig, served: &Served) -> anyhow::Result<BenchSequencer> {
    let client = Client::connect(&served.url).await?;
    let mut venue = Venue::new(client.clone());
    let accounts = config.connections.saturating_mul(config.accounts);
    let ids = FIRST_USER_ACCOUNT..FIRST_USER_ACCOUNT.saturating_add(accounts);
    venue.open(config.instruments, MARK, ids, CASH).await?;
    let over = Arc::new(AtomicBool::new(false));
    let rounds = tokio::spawn(keep_rounds(venue, over.clone()));
    let pids = [served.child.id(), std::process::id()];
    let (begun, cpu) = (Instant::now(), pids.map(cpu_seconds));
    let mut connections = JoinSet::new();
    for number in 0..config.connections {
        let connection = Connection::new(config, number, &client, begun);
        connections.spawn(connection.run());
    }
    let mut sent = Sent::default();
    while let Some(done) = connections.join_next().await {
        sent.add(done?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = pids.map(cpu_seconds);
    over.store(true, Ordering::Relaxed);
    rounds.await??;
    let position = client.status().await?.position;
    let fills = fills(&client, config.instruments).await?;
    sent.times.sort_unstable();
    let (times, commands) = (&sent.times, sent.times.len());
    let at = |part: usize| {
        let place = (commands * part / 100).min(commands.saturating_sub(1));
        times
            .get(place)
            .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let spent = |(after, before): (Option<f64>, Option<f64>)| {
        let seconds = after? - before?;
        Some(seconds * 1e6 / commands as f64)
    };
    let mut spent = used.into_iter().zip(cpu).map(spent);
    Ok(BenchSequencer {
        orders_per_second: sent.orders as f64 / seconds,
        cancels_per_second: sent.cancels as f64 / seconds,
        p50_ms: at(50),
        p99_ms: at(99),
        max_ms: at(100),
        orders: sent.orders,
        cancels: sent.cancels,
        fills,
        seconds,
        service_cpu_us: spent.next().flatten(),
        generator_cpu_us: spent.next().flatten(),
        refused: sent.codes,
        position,
        restart_seconds: 0.0,
    })
}

/// Trades are numbered by instrument, from 1.
async fn fills(client: &Client, instruments: u32) -> anyhow::Result<u64> {
    let mut fills = 0;
    for id in 1..=instruments {
        let ticker: Value = client.get(&format!("/v1/instruments/{id}/ticker")).await?;
        let last = ticker.pointer("/last/trade").and_then(Value::as_u64);
        fills += last.unwrap_or(0);
    }
    Ok(fills)
}

/// Of a process so far, user and system, from Linux' hundredths of a second.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in brackets and may hold spaces.
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

/// Epochs go on under the load.
async fn keep_rounds(venue: Venue, over: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut every = interval(ROUND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !over.load(Ordering::Relaxed) {
        every.tick().await;
        venue.round().await?;
    }
    Ok(())
}

/// One connection's orders, on its own schedule.
struct Connection {
    client: Client,
    traders: Vec<Trader>,
    instruments: u32,
    begun: Instant,
    end: Instant,
    /// Between two orders of this connection.
    step: Duration,
    first: Duration,
}

/// What a connection sent, and what became of it.
#[derive(Default)]
struct Sent {
    times: Vec<Duration>,
    orders: usize,
    cancels: usize,
    codes: BTreeMap<String, u64>,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.orders += other.orders;
        self.cancels += other.cancels;
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
    }
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rest,
    Take,
    Cancel,
}

impl Connection {
    fn new(config: &BenchSequencerConfig, number: u32, client: &Client, begun: Instant) -> Self {
        let trader = |place: u32| {
            let id = FIRST_USER_ACCOUNT + number * config.accounts + place;
            Trader::new(client.domain(), AccountId(id), development::account(id))
        };
        let commands = config.rate as f64 * KINDS as f64 / KINDS_BUT_ONE as f64;
        let step = Duration::from_secs(config.connections.into()).div_f64(commands);
        Self {
            client: client.clone(),
            traders: (0..config.accounts).map(trader).collect(),
            instruments: config.instruments,
            begun,
            end: begun + Duration::from_secs(config.seconds),
            step,
            first: step.mul_f64(f64::from(number) / f64::from(config.connections)),
        }
    }

    async fn run(self) -> Sent {
        let mut sent = Sent::default();
        let mut due = self.begun + self.first;
        // The connection's accounts in turn.
        for (count, trader) in (0u64..).zip(self.traders.iter().cycle()) {
            if due >= self.end {
                break;
            }
            if due > Instant::now() {
                sleep_until(due.into()).await;
            }
            let (kind, record) = self.command(trader, count);
            match (self.client.send_bytes(record).await, kind) {
                (Ok(()), kind) => {
                    sent.times.push(due.elapsed());
                    match kind {
                        Kind::Cancel => sent.cancels += 1,
                        Kind::Rest | Kind::Take => sent.orders += 1,
                    }
                }
                (Err(error), _) => *sent.codes.entry(code(&error)).or_default() += 1,
            }
            due += self.step;
        }
        sent
    }

    /// Each account goes through its slots in turn.
    fn command(&self, trader: &Trader, count: u64) -> (Kind, Vec<u8>) {
        let turn = count / self.traders.len().max(1) as u64;
        let (slot, sequence) = ((turn % SLOTS) as u8, (turn / SLOTS + 1) as u32);
        let kind = match (count + turn + turn / SLOTS * KIND_STEP) % KINDS {
            0..RESTING => Kind::Rest,
            RESTING..KINDS_BUT_ONE => Kind::Take,
            // In its first round a slot has nothing to cancel.
            _ if turn < SLOTS => Kind::Rest,
            _ => Kind::Cancel,
        };
        let command = match kind {
            Kind::Cancel => Command::Cancel(trader.cancel(slot, sequence)),
            _ => {
                let mixed = mix(u64::from(trader.account.0) << 32 | count);
                let order = self.order((slot, sequence), mixed, kind);
                let terms = OrderTerms {
                    // Every second one has a name, by which it could be sent again.
                    client_id: (u128::from(count) + 1) * u128::from(count % 2),
                    ..OrderTerms::default()
                };
                Command::Submit(trader.order(order, terms))
            }
        };
        (kind, Record { at: 0, command }.to_bytes())
    }

    /// Buys and sells of one lot that rest 1 % off the mark or more, and some that take these.
    fn order(&self, (slot, sequence): (u8, u32), mixed: u64, kind: Kind) -> Order {
        let side = match mixed >> 63 {
            0 => Side::Long,
            _ => Side::Short,
        };
        let away = MARK / 100 + (mixed >> 48) % SLOTS * 1_000;
        let limit = match (side, kind) {
            (Side::Long, Kind::Take) | (Side::Short, Kind::Rest) => MARK + away,
            _ => MARK - away,
        };
        Order {
            account: AccountId(0),
            generation: 0,
            place: Place::Slot { slot, sequence },
            instrument: InstrumentId(((mixed >> 24) % u64::from(self.instruments)) as u32 + 1),
            side,
            size: 1,
            limit,
            max_fee_per_lot: MARK / 100,
            expiry: (1 << 40) - 1,
            reduce_only: false,
            amend: false,
        }
    }
}

/// Fibonacci hashing: side, instrument and price do not go with the kind.
fn mix(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn code(error: &ClientError) -> String {
    error.code().to_owned()
}
