//! `tally devnet`: the loop of the whole system in one command (docs/devnet.md).
//!
//! ```text
//!  anvil or revm ─► inward: queue items ─► sequencer ◄─ API ◄─ bots, reporters
//!        ▲                                    │ closed epochs
//!        └── settle: commit, prove, execute ◄─┴─ outward: inbox ─► `tally prover` ─► batches
//! ```
//!
//! One process but for anvil and the prover. What each part knows of the others is on disk or on
//! the chain, so any of them may end at any point and goes on where it was.

mod board;
mod bots;
mod chain;
mod config;
mod home;
mod inward;
mod leftover;
mod outward;
mod panes;
mod prices;
mod prover;
mod reporters;
mod settle;
mod stop;
mod summary;
mod tape;
mod verifier;
mod view;

use std::fs::File;
use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tally_client::Client;
use tally_service::api;
use tally_service::api::serve::{ServeOptions, serve};
use tally_service::limits::Rate;
use tally_service::service::{Options, Service, Shared};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::interval;

pub use chain::ChainCopy;
pub use config::DevnetConfig;
pub use summary::Summary;

use crate::config::Command;
use board::Shown;
use bots::Venue;
use chain::Chain;
use home::{Home, Part};
use inward::Inward;
use prices::{Walk, listings};
use prover::Prover;
use reporters::Reporters;
use settle::Outward;
use stop::Stop;
use tally_l1::Settler;
use verifier::Verifier;

const TIMEOUT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);
const LOG: &str = "devnet.log";

/// Where the log goes while the live view has the terminal.
pub fn log_file(command: &Command) -> Option<File> {
    let Command::Devnet(config) = command else {
        return None;
    };
    if !is_live(config) || std::fs::create_dir_all(&config.data).is_err() {
        return None;
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(config.data.join(LOG));
    file.ok()
}

fn is_live(config: &DevnetConfig) -> bool {
    !config.plain && stdout().is_terminal()
}

/// Until Ctrl-C, or until what a bounded run waits for.
pub fn run(config: &DevnetConfig) -> anyhow::Result<Summary> {
    let home = Home::open(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("[devnet.runtime] starting threads")?;
    let devnet = Devnet {
        config,
        home,
        shown: Shown::new(!is_live(config)),
        stop: Stop::default(),
    };
    let summary = runtime.block_on(devnet.run());
    // A wrap under way is made again by the next run.
    runtime.shutdown_background();
    summary
}

struct Devnet<'a> {
    config: &'a DevnetConfig,
    home: Home,
    shown: Shown,
    stop: Stop,
}

/// What has to be there before a trade.
struct Begun {
    /// None where nothing is proven.
    prover: Option<Prover>,
    verifier: Arc<Verifier>,
    chain: Arc<Chain>,
}

type Tasks = JoinSet<anyhow::Result<()>>;

impl Devnet<'_> {
    async fn run(self) -> anyhow::Result<Summary> {
        let view = is_live(self.config).then(|| view::spawn(self.shown.clone(), self.stop.clone()));
        let signals = tokio::spawn(stop_on_signals(self.stop.clone()));
        let ended = self.live().await;
        // Whatever happened: the terminal goes back before anything is said about it.
        self.stop.set();
        if let Some(view) = view {
            // A view that panicked has said so itself.
            let _ = spawn_blocking(move || view.join()).await?;
        }
        signals.abort();
        let (chain, verifier) = ended?;
        self.shown.say("the state is rebuilt from L1 alone");
        let summary = Summary::of(&self.home, &chain, verifier, &self.shown).await;
        if let Some(chain) = Arc::into_inner(chain) {
            chain.stop();
        }
        summary
    }

    /// From the start of the first part to the end of the last; what is left is L1.
    async fn live(&self) -> anyhow::Result<(Arc<Chain>, &'static str)> {
        let begun = self.stop.during(self.begin()).await;
        let begun = begun.context("[devnet.stopped] told to stop before L1 was there")??;
        let (chain, verifier) = (begun.chain.clone(), begun.verifier.kind());
        let (failed, mut failures) = mpsc::unbounded_channel();
        let outlet = outward::outlet(&self.home, self.shown.clone(), failed)?;
        let options = self.options();
        let service = spawn_blocking(move || Service::start(options, Some(outlet))).await?;
        let service = service.map_err(|error| anyhow!("[{}] {error}", error.code()))?;
        if self.stop.is_set() {
            let head = spawn_blocking(move || service.stop()).await?;
            head.context("[devnet.service] the sequencer's last words")?;
            return Err(anyhow!(
                "[devnet.stopped] told to stop while the log was read"
            ));
        }
        let (client, serving) = self.serve(&service.shared).await?;
        let mut tasks = Tasks::new();
        self.bridge(&mut tasks, begun, &service.shared).await?;
        self.market(&mut tasks, &chain, client);
        let ended = tokio::select! {
            ended = self.until(&mut tasks) => ended,
            Some(error) = failures.recv() => Err(error),
            () = service.ended() => Err(anyhow!("[devnet.service] the sequencer has ended")),
        };
        self.shown.step("stopping");
        self.stop.set();
        let ended = drain(tasks, ended).await;
        serving.await?;
        let head = spawn_blocking(move || service.stop()).await?;
        let head = head.context("[devnet.service] the sequencer's last words")?;
        let position = head.position;
        self.shown
            .say(format!("the log ends at position {position}"));
        ended.map(|()| (chain, verifier))
    }

    /// The prover first: its circuits are the longest to build, and the wrap's verifier, which the
    /// contract needs, follows from them.
    async fn begin(&self) -> anyhow::Result<Begun> {
        let (facts, shown) = (&self.home.facts, &self.shown);
        let mut prover = match facts.mock_prover {
            true => None,
            false => Some(Prover::begin(self.home.clone(), shown.clone()).await?),
        };
        let verifier = match prover.as_mut().filter(|_| !facts.mock_verifier) {
            None => {
                shown.say("a mock verifier: L1 checks no proof");
                Verifier::Mock
            }
            Some(prover) => {
                shown.say("the prover builds the circuits");
                let key = prover.key().await?;
                shown.step("the batch circuit's key is there");
                let (cache, shown) = (self.config.cache.clone(), shown.clone());
                spawn_blocking(move || Verifier::open(&cache, &key, &shown)).await??
            }
        };
        shown.step(format!("L1's verifier is there: {}", verifier.kind()));
        Ok(Begun {
            prover,
            chain: self.chain(&verifier).await?,
            verifier: Arc::new(verifier),
        })
    }

    /// With contracts, and instruments in the queue.
    async fn chain(&self, verifier: &Verifier) -> anyhow::Result<Arc<Chain>> {
        let genesis = self.home.deployment().genesis()?.root();
        let chain = Chain::open(&self.home, genesis, verifier.plan()).await?;
        chain.list(&listings(self.home.facts.instruments)).await?;
        let (at, node) = (chain.contract.address, chain.url.as_deref());
        let node = node.unwrap_or("this process");
        self.shown.lock().kinds = [self.home.facts.l1(), verifier.kind()];
        let said = format!("L1 is {node}, the contract {at}, the instruments are listed");
        self.shown.step(said);
        Ok(Arc::new(chain))
    }

    fn options(&self) -> Options {
        Options {
            data: self.home.path(Part::Store),
            deployment: self.home.deployment(),
            receipt_key: home::receipt_key(),
            lane: 4_096,
            rate: Rate {
                per_second: 200,
                burst: 1_000,
            },
            most_listeners: 1_000,
            checkers: 1,
            tick: Duration::from_secs(1),
            takes_items: false,
            checkpoints: None,
            verify_log: false,
        }
    }

    async fn serve(&self, shared: &Arc<Shared>) -> anyhow::Result<(Client, JoinHandle<()>)> {
        let listener = TcpListener::bind(self.config.listen)
            .await
            .with_context(|| format!("[devnet.listen] {}", self.config.listen))?;
        let base = format!("http://{}", listener.local_addr()?);
        let router = api::router(shared.clone(), TIMEOUT);
        let stop = self.stop.clone();
        let serving = tokio::spawn(async move {
            serve(listener, router, ServeOptions::default(), stop.wait()).await;
        });
        let client = Client::connect(&base).await?;
        self.shown.lock().api.clone_from(&base);
        self.shown.step(format!("the API is {base}/v1"));
        Ok((client, serving))
    }

    /// A part. Once all parts are told to stop, what fails because another one is gone is no error.
    fn spawn(
        &self,
        tasks: &mut Tasks,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        tasks.spawn(async move {
            match part.await {
                Err(error) if stop.is_set() => tracing::info!(%error, "while stopping"),
                done => return done,
            }
            Ok(())
        });
    }

    /// Between L1, the sequencer and the prover.
    async fn bridge(
        &self,
        tasks: &mut Tasks,
        begun: Begun,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<()> {
        let (shown, stop) = (&self.shown, &self.stop);
        let (chain, verifier) = (begun.chain, begun.verifier);
        let contract = chain.contract.clone();
        let inward = Inward::open(&self.home, contract, shared.clone(), shown.clone()).await?;
        self.spawn(tasks, inward.run(stop.clone()));
        let outward = Outward {
            home: self.home.clone(),
            chain: chain.clone(),
            verifier,
            settler: Settler {
                contract: chain.contract.clone(),
                operator: chain.operator(&self.home).await?,
            },
            shared: shared.clone(),
            shown: shown.clone(),
        };
        self.spawn(tasks, outward.run(stop.clone()));
        let (clock, on, until) = (chain.clone(), shown.clone(), stop.clone());
        self.spawn(tasks, async move { clock.keep_time(&on, until).await });
        if let Some(prover) = begun.prover {
            self.spawn(tasks, prover.run(shared.clone(), stop.clone()));
        }
        Ok(())
    }

    /// Reporters and bots, over the API.
    fn market(&self, tasks: &mut Tasks, chain: &Arc<Chain>, client: Client) {
        let facts = self.home.facts.clone();
        let reporters = Reporters {
            client: client.clone(),
            walk: Walk::new(facts.seed, facts.instruments),
            round: self.config.round(),
            lead: self.config.lead,
            per_batch: self.config.until_settled.then_some(facts.epochs_per_batch),
            shown: self.shown.clone(),
        };
        self.spawn(tasks, reporters.run(self.stop.clone()));
        let (venue, seen) = watch::channel(Venue::default());
        let (shown, stop) = (self.shown.clone(), self.stop.clone());
        self.spawn(
            tasks,
            bots::look(client.clone(), shown.clone(), venue, stop.clone()),
        );
        let every = Duration::from_millis(self.config.bot_ms);
        let chain = chain.clone();
        self.spawn(tasks, async move {
            let accounts = bots::open_accounts(&chain, &facts, &stop).await?;
            let queued = chain.contract.position().await?.queue_tail;
            drop(chain);
            shown.step(format!(
                "{} bots have made their deposits on L1",
                accounts.len()
            ));
            shown.lock().queued = Some(queued);
            let mut running = JoinSet::new();
            for bot in bots::crowd(&facts, &accounts, &client, &shown) {
                running.spawn(bot.run(every, seen.clone(), stop.clone()));
            }
            while let Some(bot) = running.join_next().await {
                bot??;
            }
            Ok(())
        });
    }

    /// Until the word to stop, a task's end, or what a bounded run waits for.
    async fn until(&self, tasks: &mut Tasks) -> anyhow::Result<()> {
        let mut tick = interval(LOOK);
        loop {
            tokio::select! {
                // First: parts end by themselves once they are told to.
                biased;
                () = self.stop.clone().wait() => return Ok(()),
                Some(done) = tasks.join_next() => {
                    done??;
                    return Err(anyhow!("[devnet.task] a part has ended by itself"));
                }
                _ = tick.tick() => {}
            }
            let board = self.shown.lock();
            let is_late = |most: u64| board.seconds() >= most as f64;
            let is_executed = |epoch: u64| board.executed() >= epoch;
            if self.config.seconds.is_some_and(is_late)
                || self.config.until_executed.is_some_and(is_executed)
                || (self.config.until_settled && board.settled_batch().is_some())
            {
                return Ok(());
            }
        }
    }
}

/// The first signal is the word to stop; the second ends the process, which loses nothing either.
async fn stop_on_signals(stop: Stop) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    for is_first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        match is_first {
            true => stop.set(),
            // As a shell says it of a process that an interrupt ended.
            false => std::process::exit(130),
        }
    }
    Ok(())
}

/// All parts end; the first error is the run's.
async fn drain(mut tasks: Tasks, mut ended: anyhow::Result<()>) -> anyhow::Result<()> {
    while let Some(done) = tasks.join_next().await {
        let done = done.map_err(anyhow::Error::from).flatten();
        match (&ended, done) {
            (Ok(()), done) => ended = done,
            (Err(_), Err(error)) => tracing::warn!(%error, "while stopping"),
            (Err(_), Ok(())) => {}
        }
    }
    ended
}
