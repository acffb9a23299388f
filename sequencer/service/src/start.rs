//! A start: the state is rebuilt from the log alone, and what the store says beside the log is
//! compared with it \[STYLE 21\].
//!
//! Compared are the links of all records, every refusal, and the root of every epoch that was
//! closed; a difference is refused by name, and nothing is repaired.

use std::sync::Arc;

use tally_sequencer::command::{Record, Verified};
use tally_sequencer::engine::Engine;
use thiserror::Error;

use crate::closer::{CloseError, Closings};
use crate::deployment::{Deployment, DeploymentError};
use crate::store::{Entry, Head, Store, StoreError};

/// Records between two lines of progress.
const PROGRESS: u64 = 100_000;

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error("position {position} ends with {found}, the store has {wanted}")]
    Outcome {
        position: u64,
        found: String,
        wanted: String,
    },
    #[error("the engine is at position {engine}, the log at {log}")]
    Position { engine: u64, log: u64 },
    #[error("a thread does not start: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Deployment(error) => error.code(),
            Self::Close(error) => error.code(),
            Self::Outcome { .. } => "store.outcome",
            Self::Position { .. } => "writer.position",
            Self::Thread(_) => "start.thread",
        }
    }
}

/// The engine after every record of the log, and where the log ends.
pub fn replay(
    deployment: &Deployment,
    store: &Arc<Store>,
    closings: &mut Closings,
) -> Result<(Engine, Head), StartError> {
    let mut engine = Engine::genesis(deployment.engine, deployment.genesis()?);
    let domain = deployment.domain()?;
    let mut head = Head::default();
    for entry in store.log(head)? {
        let entry = entry?;
        let verified = read(&entry)
            .and_then(|record| {
                Verified::from_log(&domain, record).map_err(|error| error.to_string())
            })
            .map_err(|reason| StoreError::Record {
                position: entry.position,
                reason,
            })?;
        let applied = engine.apply(verified);
        if applied.position != entry.position {
            return Err(StartError::Position {
                engine: applied.position,
                log: entry.position,
            });
        }
        let code = applied.result.as_ref().err().map(|reject| reject.code());
        compare(store, entry.position, code)?;
        for closing in engine.take_closings() {
            closings.close(closing)?;
        }
        head = Head {
            position: entry.position,
            link: entry.link,
        };
        if head.position.is_multiple_of(PROGRESS) {
            tracing::info!(position = head.position, "reading the log");
        }
    }
    Ok((engine, head))
}

fn read(entry: &Entry) -> Result<Record, String> {
    Record::from_bytes(&entry.record).map_err(|error| error.to_string())
}

/// What a receipt said once, it says again.
fn compare(store: &Store, position: u64, code: Option<&'static str>) -> Result<(), StartError> {
    let kept = store.outcome(position)?;
    let refused = kept.and_then(|outcome| outcome.refused);
    let wanted = refused.as_ref().map_or("ok", |refused| &refused.code);
    let found = code.unwrap_or("ok");
    match found == wanted {
        true => Ok(()),
        false => Err(StartError::Outcome {
            position,
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        }),
    }
}
