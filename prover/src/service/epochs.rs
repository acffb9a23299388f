//! Epochs from the inbox, the last few of them held as segments.

use std::sync::{Arc, Mutex, PoisonError};

use tally_jobs::{EpochRef, Inbox};

use crate::batch::EpochInput;
use crate::epoch::epoch_input;
use crate::error::ProveError;
use crate::release::Sizes;
use crate::work::Epochs;

/// Jobs come by epochs, so neighbours want the same one; two workers may be at a border.
const HELD: usize = 3;

/// Decodes a witness and lays it out in the release's segments.
#[allow(missing_debug_implementations)]
pub struct InboxEpochs<'a> {
    inbox: &'a dyn Inbox,
    sizes: Sizes,
    /// The last used last.
    held: Mutex<Vec<(EpochRef, Arc<EpochInput>)>>,
}

impl<'a> InboxEpochs<'a> {
    pub fn new(inbox: &'a dyn Inbox, sizes: Sizes) -> Self {
        Self {
            inbox,
            sizes,
            held: Mutex::default(),
        }
    }

    fn load(&self, epoch: EpochRef) -> Result<EpochInput, ProveError> {
        let witness = self.inbox.open(epoch)?;
        let witness = witness.ok_or(ProveError::Missing(epoch.epoch))?;
        let input = epoch_input(&witness.trace, &witness.before, &self.sizes);
        input.map_err(|error| ProveError::Trace {
            epoch: epoch.epoch,
            error,
        })
    }
}

impl Epochs for InboxEpochs<'_> {
    fn input(&self, epoch: EpochRef) -> Result<Arc<EpochInput>, ProveError> {
        // Held while one loads: who wants the same epoch then finds it.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.iter().position(|(at, _)| *at == epoch);
        let entry = match found {
            Some(place) => held.remove(place),
            None => (epoch, Arc::new(self.load(epoch)?)),
        };
        let input = Arc::clone(&entry.1);
        held.push(entry);
        if held.len() > HELD {
            held.remove(0);
        }
        Ok(input)
    }
}
