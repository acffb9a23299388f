//! The service: its threads, and the handle that the API and the rest of the process use.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tally_api::encoding::hex_of;
use tally_protocol::message::Domain;
use tally_protocol::signature::SecretKey;
use tally_protocol::types::InstrumentId;
use tally_sequencer::command::{Command, Record};
use tally_sequencer::engine::{Engine, Pace};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::clock::now_ms;
use crate::closer::{CloseError, Closings, Outlet, Saved};
use crate::deployment::Deployment;
use crate::hub::Hub;
use crate::intake::{self, Raw, lane_of};
use crate::lanes::{Lane, Lanes, Refused};
use crate::limits::{Limits, Rate};
use crate::metrics::Metrics;
use crate::oracle::Collector;
use crate::start::{Begun, StartError, replay};
use crate::store::{Head, Store};
use crate::teller::Market;
use crate::writer::{NotTaken, Taken, Work, Writer, WriterError};

/// Groups that may wait to be told.
const TOLD: usize = 1_024;
/// Levels a side that a start copies.
const ALL_LEVELS: usize = usize::MAX;

#[derive(Debug)]
pub struct Options {
    /// Directory of the store.
    pub data: PathBuf,
    pub deployment: Deployment,
    /// Signs receipts.
    pub receipt_key: SecretKey,
    /// Commands that wait in a lane.
    pub lane: usize,
    /// Orders a second and author.
    pub rate: Rate,
    pub most_listeners: usize,
    /// Threads that check signatures.
    pub checkers: usize,
    /// Between commands that only say that time passes.
    pub tick: Duration,
    /// L1 items come over the API: for development, where there is no L1.
    pub takes_items: bool,
    /// None: a start replays the log from genesis.
    pub checkpoints: Option<Checkpoints>,
    /// Replays the log from genesis all the same, and compares checkpoints with it.
    pub verify_log: bool,
}

/// How often the state is written beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    pub pace: Pace,
    /// So many are kept.
    pub keep: usize,
}

/// Why a running service ends by itself.
#[derive(Debug, Error)]
pub enum Failure {
    #[error(transparent)]
    Writer(#[from] WriterError),
    #[error(transparent)]
    Closer(#[from] CloseError),
    #[error("a thread panicked")]
    Panic,
}

/// A command that got no answer from the writer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    #[error("the lane is full")]
    Busy,
    #[error("the service is stopping")]
    Stopping,
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

/// What every part of the process shares.
#[derive(Debug)]
pub struct Shared {
    pub deployment: Deployment,
    pub domain: Domain,
    pub receipt_key: SecretKey,
    pub store: Arc<Store>,
    pub hub: Arc<Hub>,
    pub market: Market,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    pub collector: Collector,
    pub takes_items: bool,
    /// Root of the state before the first epoch.
    pub genesis_root: String,
    raw: Arc<Lanes<Raw>>,
    work: Arc<Lanes<Work>>,
    stopping: AtomicBool,
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    pub shared: Arc<Shared>,
    checkers: Vec<JoinHandle<()>>,
    writer: JoinHandle<Result<Head, WriterError>>,
    teller: JoinHandle<()>,
    closer: JoinHandle<Result<(), CloseError>>,
    ended: watch::Receiver<bool>,
}

impl Service {
    /// Rebuilds the state from the log, compares what there is to compare, and starts the threads.
    /// Nothing matches until enough fresh rounds came.
    pub fn start(options: Options, outlet: Option<Outlet>) -> Result<Self, StartError> {
        let session = now_ms();
        let text = options.deployment.text();
        let store = Arc::new(Store::open(&options.data, &text)?);
        let hub = Arc::new(Hub::new(session, options.most_listeners));
        let genesis_root = hex_of(&options.deployment.genesis()?.root().elements);
        let (engine, head, closings) = rebuild(&options, &store, &hub, outlet)?;
        let position = head.position;
        tracing::info!(position, link = %hex::encode(head.link.0), "the log is read");
        let market = Market::new(hub.clone());
        market.set_position(position);
        for row in engine.market() {
            let book = engine.book(row.id, ALL_LEVELS);
            market.set_book(row.id.0, &book.bids, &book.asks);
        }
        let domain = options.deployment.domain()?;
        let reporters = options.deployment.reporters()?;
        let lane = options.lane;
        let shared = Arc::new(Shared {
            domain,
            receipt_key: options.receipt_key,
            store,
            hub,
            market,
            metrics: Arc::new(Metrics::default()),
            limits: Limits::new(options.rate),
            collector: Collector::new(domain, reporters),
            takes_items: options.takes_items,
            genesis_root,
            raw: Arc::new(Lanes::new(lane)),
            work: Arc::new(Lanes::new(lane)),
            stopping: AtomicBool::new(false),
            deployment: options.deployment,
        });
        let threads = Threads {
            shared: &shared,
            checkers: options.checkers,
            tick: options.tick,
        };
        threads.start(engine, head, closings)
    }

    /// Resolves when the service has ended by itself: the process should end too.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // The sender goes with the threads: either way it has ended.
            drop(ended.wait_for(|ended| *ended).await);
        }
    }

    /// Takes nothing more in, answers what was, and waits for the threads.
    pub fn stop(self) -> Result<Head, Failure> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.raw.close();
        for checker in self.checkers {
            checker.join().map_err(|_| Failure::Panic)?;
        }
        self.shared.work.close();
        let head = self.writer.join().map_err(|_| Failure::Panic)??;
        self.teller.join().map_err(|_| Failure::Panic)?;
        self.closer.join().map_err(|_| Failure::Panic)??;
        self.shared.hub.close();
        Ok(head)
    }
}

/// The state out of the store.
fn rebuild(
    options: &Options,
    store: &Arc<Store>,
    hub: &Arc<Hub>,
    outlet: Option<Outlet>,
) -> Result<(Engine, Head, Closings), StartError> {
    let deployment = &options.deployment;
    let begun = match (options.checkpoints, options.verify_log) {
        (Some(_), false) => Begun::latest(deployment, store)?,
        _ => Begun::genesis(deployment)?,
    };
    let Begun {
        mut engine,
        closer,
        head,
    } = begun;
    tracing::info!(from = head.position, "the state before the log's tail");
    let after = match options.checkpoints {
        Some(Checkpoints { keep, .. }) => Saved::Kept(keep),
        None => Saved::Dropped,
    };
    let mut closings = Closings {
        closer,
        store: store.clone(),
        hub: hub.clone(),
        outlet,
        saved: after.clone(),
    };
    if options.verify_log {
        closings.saved = Saved::Compared(store.checkpoints()?.into_iter().collect());
        engine.save_at(Pace {
            commands: 0,
            epochs: 0,
        });
    } else if let Some(Checkpoints { pace, .. }) = options.checkpoints {
        engine.save_at(pace);
    }
    let (mut engine, head) = replay((engine, head), store, &mut closings)?;
    if options.verify_log {
        closings.saved = match closings.saved {
            Saved::Compared(left) => match left.first() {
                Some(position) => return Err(CloseError::Checkpoint(*position).into()),
                None => after,
            },
            saved => saved,
        };
        match options.checkpoints {
            Some(Checkpoints { pace, .. }) => engine.save_at(pace),
            None => engine.save_never(),
        }
    }
    Ok((engine, head, closings))
}

struct Threads<'a> {
    shared: &'a Arc<Shared>,
    checkers: usize,
    tick: Duration,
}

impl Threads<'_> {
    fn start(self, engine: Engine, head: Head, closings: Closings) -> Result<Service, StartError> {
        let shared = self.shared;
        let (told, groups) = sync_channel(TOLD);
        let (to_close, closed) = channel();
        let (over, ended) = watch::channel(false);
        let over = Arc::new(over);
        let writer = Writer {
            domain: shared.domain,
            engine,
            head,
            store: shared.store.clone(),
            lanes: shared.work.clone(),
            metrics: shared.metrics.clone(),
            told,
            closings: to_close,
            tick: self.tick,
        };
        let work = shared.work.clone();
        let end = over.clone();
        let writer = spawn("writer", move || {
            let _last = Last(end);
            let result = writer.run();
            // Whoever waits for an answer hears that there is none.
            work.close();
            if let Err(error) = &result {
                tracing::error!(code = error.code(), %error, "the writer stops");
            }
            result
        })?;
        let telling = shared.clone();
        let teller = spawn("teller", move || telling.market.run(&groups))?;
        let closer = spawn("closer", move || {
            let result = closings.run(&closed);
            if let Err(error) = &result {
                tracing::error!(code = error.code(), %error, "the closer stops");
                over.send_replace(true);
            }
            result
        })?;
        let checkers = intake::start(
            self.checkers,
            shared.domain,
            shared.raw.clone(),
            shared.work.clone(),
        );
        let service = Service {
            shared: shared.clone(),
            checkers: checkers.map_err(StartError::Thread)?,
            writer,
            teller,
            closer,
            ended,
        };
        service.shared.post(Command::Restarted);
        Ok(service)
    }
}

/// Says that a thread is over, also where it panicked.
struct Last(Arc<watch::Sender<bool>>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StartError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(StartError::Thread)
}

impl Shared {
    /// A command to the checkers; its answer comes when it is durable.
    pub async fn submit(&self, command: Command) -> Result<Taken, SubmitError> {
        let answer = self.push(command)?;
        match answer.await {
            Ok(answer) => Ok(answer?),
            Err(_) if self.stopping.load(Ordering::Relaxed) => Err(SubmitError::Stopping),
            // The writer's lane was full.
            Err(_) => Err(SubmitError::Busy),
        }
    }

    fn push(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<crate::writer::Reply>, SubmitError> {
        let lane = lane_of(&command);
        let (reply, answer) = oneshot::channel();
        let raw = Raw {
            record: Record {
                at: now_ms(),
                command,
            },
            reply,
            arrived: Instant::now(),
        };
        match self.raw.push(lane, raw) {
            Ok(()) => Ok(answer),
            Err(Refused::Full(_)) => Err(SubmitError::Busy),
            Err(Refused::Closed(_)) => Err(SubmitError::Stopping),
        }
    }

    /// A command whose answer nobody waits for.
    pub fn post(&self, command: Command) {
        if let Err(error) = self.push(command) {
            tracing::warn!(%error, "a command of our own is lost");
        }
    }

    /// Asks the engine between groups.
    pub async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let query = Box::new(move |engine: &Engine| drop(reply.send(ask(engine))));
        match self.work.push(Lane::Queries, Work::Query(query)) {
            Ok(()) => answer.await.map_err(|_| SubmitError::Stopping),
            Err(Refused::Full(_)) => Err(SubmitError::Busy),
            Err(Refused::Closed(_)) => Err(SubmitError::Stopping),
        }
    }

    /// Waiting commands, by lane, of both queues.
    pub fn waiting(&self) -> [usize; 3] {
        let (raw, work) = (self.raw.depth(), self.work.depth());
        std::array::from_fn(|at| {
            let of = |depth: &[usize; 3]| depth.get(at).copied().unwrap_or(0);
            of(&raw) + of(&work)
        })
    }

    /// Whether an instrument is listed.
    pub async fn is_listed(&self, instrument: u32) -> Result<bool, SubmitError> {
        self.query(move |engine| {
            let mut rows = engine.market();
            rows.any(|row| row.id == InstrumentId(instrument))
        })
        .await
    }
}

/// The last answer of a lock that a panic may have poisoned: the data are whole at any time.
pub fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
