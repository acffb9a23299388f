//! A start: the state of the latest checkpoint that holds, and the log after it; or, where one is
//! asked for or no checkpoint holds, the log from genesis \[STYLE 21\].
//!
//! Compared are the links of all records read, every refusal, and the root of every epoch that was
//! closed; a difference is refused by name, and nothing is repaired.

use std::sync::Arc;

use tally_api::encoding::hex_of;

use tally_sequencer::close::Closer;
use tally_sequencer::command::{Record, Verified};
use tally_sequencer::engine::Engine;
use tally_sequencer::snapshot::Snapshot;
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

/// Where a start begins.
#[derive(Debug)]
pub struct Begun {
    pub engine: Engine,
    pub closer: Closer,
    pub head: Head,
}

impl Begun {
    pub fn genesis(deployment: &Deployment) -> Result<Self, StartError> {
        let state = deployment.genesis()?;
        Ok(Self {
            engine: Engine::genesis(deployment.engine, state.clone()),
            closer: Closer::new(state),
            head: Head::default(),
        })
    }

    /// From the latest checkpoint that holds; one that does not is named and passed over, down to
    /// genesis, since the log has everything. But a log that ends before one has lost records.
    pub fn latest(deployment: &Deployment, store: &Store) -> Result<Self, StartError> {
        let last = store.head()?.position;
        for position in store.checkpoints()? {
            if position > last {
                let (wanted, found) = (position, last);
                return Err(StoreError::Gap { wanted, found }.into());
            }
            match Self::checkpoint(deployment, store, position) {
                Ok(begun) => return Ok(begun),
                Err(error) => {
                    let code = error.code();
                    tracing::warn!(position, code, %error, "a checkpoint is passed over");
                }
            }
        }
        Self::genesis(deployment)
    }

    /// The bytes are those that were written, for this place of this log, and the state's root is
    /// the one that its epoch was closed with.
    fn checkpoint(
        deployment: &Deployment,
        store: &Store,
        position: u64,
    ) -> Result<Self, StartError> {
        let bad = |reason: String| StoreError::Checkpoint { position, reason };
        let found = store.checkpoint(position)?;
        let found = found.ok_or_else(|| bad("it is gone".to_owned()))?;
        let link = store.link(position)?;
        if found.link != link {
            return Err(bad("the log has another link there".to_owned()).into());
        }
        let Snapshot { state, held } = Snapshot::from_bytes(&found.snapshot)
            .map_err(|error| bad(format!("[{}] {error}", error.code())))?;
        if held.position != position {
            return Err(bad(format!("it is of position {}", held.position)).into());
        }
        let root = hex_of(&state.root().elements);
        let row = store.epoch(held.epoch)?;
        let wanted = row.and_then(|row| row.root);
        if wanted.as_ref() != Some(&root) {
            return Err(CloseError::Root {
                epoch: held.epoch,
                found: root,
                wanted: wanted.unwrap_or_default(),
            }
            .into());
        }
        let closer = Closer::new(state.clone());
        let engine = Engine::restore(deployment.engine, state, held)
            .map_err(|error| bad(format!("[{}] {error}", error.code())))?;
        let head = Head { position, link };
        Ok(Self {
            engine,
            closer,
            head,
        })
    }
}

/// The engine after every further record of the log, and where the log ends.
pub fn replay(
    (mut engine, mut head): (Engine, Head),
    store: &Arc<Store>,
    closings: &mut Closings,
) -> Result<(Engine, Head), StartError> {
    let domain = engine.domain();
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
