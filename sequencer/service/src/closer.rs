//! Closed epochs: hashed beside the writer, one after another, their roots kept and told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tally_api::encoding::hex_of;
use tally_protocol::epoch::EpochError;
use tally_sequencer::close::{ClosedEpoch, Closer, Closing};
use tally_sequencer::engine::Held;
use tally_sequencer::snapshot::{SnapshotError, encode};
use thiserror::Error;

use crate::hub::{Channel, Hub};
use crate::store::{Batch, Checkpoint, Store, StoreError};

/// Who takes closed epochs further, to the prover: called in their order, once each in a run. True
/// where it has them for good once a batch has ended. Those since the last checkpoint come again
/// after a restart; after a false no checkpoint is made any more, so that it comes again then.
pub type Outlet = Box<dyn FnMut(ClosedEpoch) -> bool + Send>;

#[derive(Debug, Error)]
pub enum CloseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("epoch {epoch} cannot be closed: {error}")]
    Epoch { epoch: u32, error: EpochError },
    #[error("epoch {epoch} closes to root {found}, the store has {wanted}")]
    Root {
        epoch: u32,
        found: String,
        wanted: String,
    },
    #[error("the store has no row of epoch {0}")]
    NoRow(u32),
    #[error("epoch {epoch} cannot be saved: {error}")]
    Snapshot { epoch: u32, error: SnapshotError },
    #[error("the checkpoint of position {0} is not what a replay from genesis comes to")]
    Checkpoint(u64),
}

impl CloseError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Epoch { error, .. } => error.code(),
            Self::Root { .. } => "store.root",
            Self::NoRow(_) => "store.epoch",
            Self::Snapshot { error, .. } => error.code(),
            Self::Checkpoint(_) => "store.checkpoint",
        }
    }
}

/// What the channel of epochs hears of a root.
#[derive(serde::Serialize)]
struct Rooted<'a> {
    event: &'static str,
    epoch: u32,
    root: &'a str,
}

pub struct Closings {
    pub closer: Closer,
    pub store: Arc<Store>,
    pub hub: Arc<Hub>,
    pub outlet: Option<Outlet>,
    pub saved: Saved,
}

/// What becomes of the engine where it was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// A checkpoint; so many are kept.
    Kept(usize),
    /// Those of these positions must come, and be what is in the store; nothing is written.
    Compared(BTreeSet<u64>),
    /// An outlet has lost an epoch: it has to come again after a restart.
    Dropped,
}

impl std::fmt::Debug for Closings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closings").finish_non_exhaustive()
    }
}

impl Closings {
    pub fn run(mut self, closings: &Receiver<Closing>) -> Result<(), CloseError> {
        while let Ok(closing) = closings.recv() {
            self.close(closing)?;
        }
        Ok(())
    }

    /// Hashes an epoch. A root that is known by now is compared; one that is new is kept.
    pub fn close(&mut self, mut closing: Closing) -> Result<(), CloseError> {
        let (epoch, held) = (closing.epoch(), closing.held.take());
        let closed = self.closer.close(closing);
        let closed = closed.map_err(|error| CloseError::Epoch { epoch, error })?;
        let root = hex_of(&closed.root.elements);
        let mut row = self.store.epoch(epoch)?.ok_or(CloseError::NoRow(epoch))?;
        match &row.root {
            Some(wanted) if *wanted != root => {
                let wanted = wanted.clone();
                return Err(CloseError::Root {
                    epoch,
                    found: root,
                    wanted,
                });
            }
            Some(_) => {}
            None => {
                row.root = Some(root.clone());
                let mut batch = Batch::default();
                batch.epoch(&self.store, &row)?;
                self.store.commit(batch)?;
            }
        }
        let told = Rooted {
            event: "epoch_rooted",
            epoch,
            root: &root,
        };
        self.hub.tell(Channel::Epochs, row.closed_at, &told);
        if let Some(outlet) = &mut self.outlet
            && !outlet(closed)
        {
            self.saved = Saved::Dropped;
        }
        match held {
            Some(held) => self.save(&held),
            None => Ok(()),
        }
    }

    /// The engine and the state that the epoch left, as a checkpoint.
    fn save(&mut self, held: &Held) -> Result<(), CloseError> {
        let (epoch, position) = (held.epoch, held.position);
        let keep = match &mut self.saved {
            Saved::Compared(positions) => match positions.remove(&position) {
                true => None,
                false => return Ok(()),
            },
            Saved::Kept(keep) => Some(*keep),
            Saved::Dropped => return Ok(()),
        };
        let state = self.closer.state().ok_or(CloseError::NoRow(epoch))?;
        let snapshot =
            encode(state, held).map_err(|error| CloseError::Snapshot { epoch, error })?;
        let Some(keep) = keep else {
            let (kept, link) = (self.store.checkpoint(position)?, self.store.link(position)?);
            let is_same = |kept: Checkpoint| kept.snapshot == snapshot && kept.link == link;
            return match kept.is_some_and(is_same) {
                true => Ok(()),
                false => Err(CloseError::Checkpoint(position)),
            };
        };
        let link = self.store.link(position)?;
        let bytes = snapshot.len();
        let checkpoint = Checkpoint {
            position,
            link,
            snapshot,
        };
        self.store.put_checkpoint(&checkpoint, keep)?;
        tracing::info!(position, epoch, bytes, "a checkpoint");
        Ok(())
    }
}
