//! Closed epochs: hashed beside the writer, one after another, their roots kept and told.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tally_api::encoding::hex_of;
use tally_protocol::epoch::EpochError;
use tally_sequencer::close::{ClosedEpoch, Closer, Closing};
use thiserror::Error;

use crate::hub::{Channel, Hub};
use crate::store::{Batch, Store, StoreError};

/// Who takes closed epochs further, to the prover: called in their order, once each in a run. An
/// epoch comes again after a restart.
pub type Outlet = Box<dyn FnMut(ClosedEpoch) + Send>;

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
}

impl CloseError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Epoch { error, .. } => error.code(),
            Self::Root { .. } => "store.root",
            Self::NoRow(_) => "store.epoch",
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
    pub fn close(&mut self, closing: Closing) -> Result<(), CloseError> {
        let epoch = closing.epoch();
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
        if let Some(outlet) = &mut self.outlet {
            outlet(closed);
        }
        Ok(())
    }
}
