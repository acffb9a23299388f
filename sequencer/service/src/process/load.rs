//! `tally bench sequencer`: signed orders from this process to a sequencer in another one, over
//! HTTP on the loopback interface.
//!
//! The generator keeps to a schedule: an order's time runs from when it was due, not from when a
//! connection was free to send it, so a service that falls behind shows it in every percentile.

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
use tally_api::development;
use tally_client::development::Venue;
use tally_client::{Client, ClientError, Trader};
use tally_protocol::bounds::FIRST_USER_ACCOUNT;
use tally_protocol::order::{Order, Place};
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Command, OrderTerms, Record};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// Micro-quote per lot, and of cash an account.
const MARK: u64 = 10_000_000;
const CASH: u64 = 1 << 45;
/// Slots of an account that orders go round in.
const SLOTS: u64 = 8;
/// One order in so many takes; the others rest.
const TAKES: u64 = 8;
/// Between oracle rounds, each the end of an epoch.
const ROUND: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct BenchSequencerConfig {
    /// Seconds of load.
    #[arg(long, default_value_t = 60, value_name = "S",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Orders a second that are due.
    #[arg(long, default_value_t = 5_500, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Connections, each with one order under way.
    #[arg(long, default_value_t = 64, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Accounts of each connection.
    #[arg(long, default_value_t = 4, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub accounts: u32,
    /// Instruments.
    #[arg(long, default_value_t = 4, value_name = "N",
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
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub acknowledged: usize,
    pub seconds: f64,
    /// Orders that got no receipt, by code.
    pub refused: BTreeMap<String, u64>,
    /// Commands of the sequencer's log in the end.
    pub position: u64,
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
    let served = Served::start(data.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(load(config, &served.url))
}

async fn load(config: &BenchSequencerConfig, url: &str) -> anyhow::Result<BenchSequencer> {
    let client = Client::connect(url).await?;
    let mut venue = Venue::new(client.clone());
    let accounts = config.connections.saturating_mul(config.accounts);
    let ids = FIRST_USER_ACCOUNT..FIRST_USER_ACCOUNT.saturating_add(accounts);
    venue.open(config.instruments, MARK, ids, CASH).await?;
    let over = Arc::new(AtomicBool::new(false));
    let rounds = tokio::spawn(keep_rounds(venue, over.clone()));
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for number in 0..config.connections {
        let connection = Connection::new(config, number, &client, begun);
        connections.spawn(connection.run());
    }
    let (mut times, mut refused) = (Vec::new(), BTreeMap::new());
    while let Some(done) = connections.join_next().await {
        let (own, codes) = done?;
        times.extend(own);
        for (code, count) in codes {
            *refused.entry(code).or_default() += count;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    rounds.await??;
    let position = client.status().await?.position;
    times.sort_unstable();
    let at = |part: usize| {
        let place = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times
            .get(place)
            .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    Ok(BenchSequencer {
        orders_per_second: times.len() as f64 / seconds,
        p50_ms: at(50),
        p99_ms: at(99),
        max_ms: at(100),
        acknowledged: times.len(),
        seconds,
        refused,
        position,
    })
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

type Codes = BTreeMap<String, u64>;

impl Connection {
    fn new(config: &BenchSequencerConfig, number: u32, client: &Client, begun: Instant) -> Self {
        let trader = |place: u32| {
            let id = FIRST_USER_ACCOUNT + number * config.accounts + place;
            Trader::new(client.domain(), AccountId(id), development::account(id))
        };
        let step = Duration::from_secs(config.connections.into()).div_f64(config.rate as f64);
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

    async fn run(self) -> (Vec<Duration>, Codes) {
        let (mut times, mut codes) = (Vec::new(), Codes::new());
        let mut due = self.begun + self.first;
        let mut count = 0u64;
        while due < self.end {
            if due > Instant::now() {
                sleep_until(due.into()).await;
            }
            match self.client.send_bytes(self.order(count)).await {
                Ok(()) => times.push(due.elapsed()),
                Err(error) => *codes.entry(code(&error)).or_default() += 1,
            }
            count += 1;
            due += self.step;
        }
        (times, codes)
    }

    /// Buys and sells of one lot that rest 1 % off the mark, and some that take.
    fn order(&self, count: u64) -> Vec<u8> {
        let traders = self.traders.len() as u64;
        let trader = &self.traders[(count % traders) as usize];
        let turn = count / traders;
        let side = match turn % 2 {
            0 => Side::Long,
            _ => Side::Short,
        };
        let off = if count % TAKES == TAKES - 1 { -1 } else { 1 };
        let away = off * (MARK / 100 + turn % SLOTS * 1_000) as i64;
        let limit = match side {
            Side::Long => MARK as i64 - away,
            Side::Short => MARK as i64 + away,
        };
        let order = Order {
            account: trader.account,
            generation: 0,
            place: Place::Slot {
                slot: (turn % SLOTS) as u8,
                sequence: (turn / SLOTS + 1) as u32,
            },
            instrument: InstrumentId((turn % u64::from(self.instruments)) as u32 + 1),
            side,
            size: 1,
            limit: limit as u64,
            max_fee_per_lot: MARK / 100,
            expiry: (1 << 40) - 1,
            reduce_only: false,
            amend: false,
        };
        let command = Command::Submit(trader.order(order, OrderTerms::default()));
        Record { at: 0, command }.to_bytes()
    }
}

fn code(error: &ClientError) -> String {
    error.code().to_owned()
}
