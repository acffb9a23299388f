//! Before the writer: signatures are checked in batches, beside it, and only what holds goes on.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tally_protocol::message::Domain;
use tally_sequencer::command::{Command, Record, Verified, verify_all};
use tokio::sync::oneshot;

use crate::lanes::{Lane, Lanes, Refused};
use crate::writer::{Job, NotTaken, Reply, Work};

/// Signatures of one sum.
const MOST_IN_BATCH: usize = 256;
/// How long a checker sleeps where nothing comes; it is woken by what does.
const WAIT: Duration = Duration::from_secs(3_600);

/// A command as it came in.
#[derive(Debug)]
pub struct Raw {
    pub record: Record,
    pub reply: oneshot::Sender<Reply>,
    pub arrived: Instant,
}

/// Which lane a command has.
pub fn lane_of(command: &Command) -> Lane {
    match command.has_own_lane() {
        true => Lane::Priority,
        false => Lane::Orders,
    }
}

/// Starts so many checkers; they end when the lanes are closed.
pub fn start(
    threads: usize,
    domain: Domain,
    raw: Arc<Lanes<Raw>>,
    work: Arc<Lanes<Work>>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let checker = |number: usize| {
        let (raw, work) = (raw.clone(), work.clone());
        thread::Builder::new()
            .name(format!("intake-{number}"))
            .spawn(move || check(&domain, &raw, &work))
    };
    (0..threads.max(1)).map(checker).collect()
}

fn check(domain: &Domain, raw: &Lanes<Raw>, work: &Lanes<Work>) {
    while let Some(taken) = raw.take(MOST_IN_BATCH, WAIT) {
        let mut records = Vec::with_capacity(taken.len());
        let mut callers = Vec::with_capacity(taken.len());
        for Raw {
            record,
            reply,
            arrived,
        } in taken
        {
            records.push(record);
            callers.push((reply, arrived));
        }
        for (verified, (reply, arrived)) in verify_all(domain, records).into_iter().zip(callers) {
            match verified {
                Ok(verified) => forward(work, verified, reply, arrived),
                Err(error) => {
                    let code = error.code();
                    let error = error.to_string();
                    drop(reply.send(Err(NotTaken::Signature { code, error })));
                }
            }
        }
    }
}

/// A full lane drops the reply: its caller hears that the service is busy.
fn forward(
    work: &Lanes<Work>,
    verified: Verified,
    reply: oneshot::Sender<Reply>,
    arrived: Instant,
) {
    let lane = lane_of(&verified.record().command);
    let job = Job {
        verified,
        reply,
        arrived,
    };
    match work.push(lane, Work::Command(Box::new(job))) {
        Ok(()) => {}
        Err(Refused::Full(_) | Refused::Closed(_)) => tracing::debug!("the writer's lane is full"),
    }
}
