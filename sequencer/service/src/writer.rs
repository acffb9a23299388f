//! The one writer: applies commands to the engine in their order, makes them durable in groups, and
//! only then lets anybody see what they did.
//!
//! Whatever waits when the writer is free becomes one group: applied, written with one synced
//! batch, answered, told. A busy writer so has large groups and an idle one no delay. Questions
//! about the state are answered between groups, when all of it is durable.

mod admit;
mod group;

use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::{Duration, Instant};

use tally_api::Receipt;
use tally_protocol::message::Domain;
use tally_sequencer::close::Closing;
use tally_sequencer::command::{Command, Record, Verified, verify};
use tally_sequencer::engine::Engine;
use tally_sequencer::event::Event;
use tally_sequencer::reject::Reject;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::now_ms;
use crate::lanes::Lanes;
use crate::metrics::Metrics;
use crate::store::{Head, Store, StoreError};
use admit::Refusals;
use group::Group;

/// Commands and questions of one group at most.
pub const MOST_IN_GROUP: usize = 512;

/// What is put before the writer.
pub enum Work {
    Command(Box<Job>),
    Query(Box<dyn FnOnce(&Engine) + Send>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "Command",
            Self::Query(_) => "Query",
        })
    }
}

#[derive(Debug)]
pub struct Job {
    pub verified: Verified,
    pub reply: oneshot::Sender<Reply>,
    pub arrived: Instant,
}

/// How a command ended; sent when it is durable.
pub type Reply = Result<Taken, NotTaken>;

/// In the log.
#[derive(Clone, Debug)]
pub struct Taken {
    pub receipt: Receipt,
    pub result: Result<(), Refusal>,
    pub events: Arc<[Event]>,
    /// The answer is that of the first command with this client id.
    pub repeated: bool,
}

/// A rule's refusal, of this command or of the one that it repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    /// The same may be taken a little later.
    pub is_passing: bool,
}

/// Not in the log: nothing can have come of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    #[error(transparent)]
    Refused(#[from] Reject),
    #[error("[O1] the client id names another command, at position {0}")]
    ClientId(u64),
    #[error("[S5] {error}")]
    Signature { code: &'static str, error: String },
}

impl NotTaken {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(reject) => reject.code(),
            Self::ClientId(_) => "O1.client_id",
            Self::Signature { code, .. } => code,
        }
    }
}

/// Durable, in order; for whoever tells the channels.
#[derive(Debug)]
pub struct Told {
    pub position: u64,
    pub time_ms: u64,
    pub events: Arc<[Event]>,
}

/// The writer cannot go on: the process ends, and starts again from the log.
#[derive(Debug, Error)]
pub enum WriterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the engine is at position {engine}, the log at {log}")]
    Position { engine: u64, log: u64 },
}

impl WriterError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Position { .. } => "writer.position",
        }
    }
}

#[derive(Debug)]
pub struct Writer {
    pub domain: Domain,
    pub engine: Engine,
    pub head: Head,
    pub store: Arc<Store>,
    pub lanes: Arc<Lanes<Work>>,
    pub metrics: Arc<Metrics>,
    /// Waits where the teller is far behind.
    pub told: SyncSender<Vec<Told>>,
    pub closings: Sender<Closing>,
    /// Between commands that only say that time passes.
    pub tick: Duration,
}

impl Writer {
    /// Until the lanes are closed and empty. What was taken in is answered.
    pub fn run(mut self) -> Result<Head, WriterError> {
        let mut refusals = Refusals::default();
        while let Some(work) = self.lanes.take(MOST_IN_GROUP, self.tick) {
            let is_idle = work.is_empty();
            let (mut jobs, mut queries) = (Vec::with_capacity(work.len()), Vec::new());
            for work in work {
                match work {
                    Work::Command(job) => jobs.push(*job),
                    Work::Query(query) => queries.push(query),
                }
            }
            if is_idle {
                jobs.extend(self.time_passes());
            }
            if !jobs.is_empty() {
                self.write(jobs, &mut refusals)?;
            }
            for query in queries {
                query(&self.engine);
            }
        }
        Ok(self.head)
    }

    /// Applied, durable, answered, told: in this order.
    fn write(&mut self, jobs: Vec<Job>, refusals: &mut Refusals) -> Result<(), WriterError> {
        let mut group = Group::new(self.head);
        for job in jobs {
            group.add(&mut self.engine, (&self.store, refusals), job)?;
        }
        let closings = self.engine.take_closings();
        let (head, batch, rest) = group.into_parts();
        if !batch.is_empty() {
            let begun = Instant::now();
            self.store.commit(batch)?;
            let seconds = begun.elapsed().as_secs_f64();
            self.metrics.commit_seconds.observe(seconds);
            self.metrics.groups.inc();
        }
        self.head = head;
        self.metrics.position.set(head.position);
        let told = rest.answer(&self.metrics);
        // Whoever they went to is gone only when the process ends.
        if !told.is_empty() && self.told.send(told).is_err() {
            tracing::debug!("nobody tells the channels any more");
        }
        for closing in closings {
            if self.closings.send(closing).is_err() {
                tracing::debug!("nobody closes epochs any more");
            }
        }
        Ok(())
    }

    fn time_passes(&self) -> Option<Job> {
        let at = now_ms();
        let command = Command::Time;
        let verified = verify(&self.domain, Record { at, command }).ok()?;
        let (reply, _) = oneshot::channel();
        Some(Job {
            verified,
            reply,
            arrived: Instant::now(),
        })
    }
}
