//! What follows the end of an epoch: hashing, the new root, and all that a prover needs. It is pure
//! and slow, so a service runs it beside the engine, epoch after epoch.

use tally_protocol::epoch::{EpochError, EpochTrace, Sealed};
use tally_protocol::hash::Digest;
use tally_protocol::state::State;
use tally_protocol::table::Table;

use crate::engine::Held;

/// An epoch that the engine has ended.
#[derive(Debug)]
pub struct Closing {
    pub(crate) sealed: Sealed,
    pub batch: u64,
    pub ends_batch: bool,
    /// The engine as it was then, where it is time to save it (`Engine::save_at`): with the
    /// closer's state after this epoch it is a snapshot.
    pub held: Option<Box<Held>>,
}

/// An epoch with its root and its witness.
#[derive(Clone, Debug)]
pub struct ClosedEpoch {
    pub epoch: u32,
    pub root: Digest,
    pub batch: u64,
    /// The last of its batch.
    pub ends_batch: bool,
    /// The table before the epoch.
    pub table: Table,
    pub trace: EpochTrace,
}

/// Keeps the hashed state, one epoch or more behind the engine's.
#[derive(Debug)]
pub struct Closer {
    state: Option<State>,
}

impl Closing {
    pub fn epoch(&self) -> u32 {
        self.sealed.epoch()
    }
}

impl Closer {
    /// From the state that the engine began with, hashed.
    pub fn new(state: State) -> Self {
        Self { state: Some(state) }
    }

    /// The state after the last closed epoch; none after an error.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Closings come in the order in which the engine gave them. An error is the program's fault:
    /// the engine's accounts are not those of the journal, and nothing can be settled any more.
    pub fn close(&mut self, closing: Closing) -> Result<ClosedEpoch, EpochError> {
        let Some(before) = self.state.take() else {
            let account = tally_protocol::types::AccountId(0);
            return Err(EpochError::Sealed { account });
        };
        let table = before.table.clone();
        let (state, trace) = closing.sealed.finish(before)?;
        self.state = Some(state);
        Ok(ClosedEpoch {
            epoch: trace.context.epoch,
            root: trace.root_after,
            batch: closing.batch,
            ends_batch: closing.ends_batch,
            table,
            trace,
        })
    }
}
