//! A replay's batches as L1 would get them: their data bytes, without a proof \[P6\].

use std::path::PathBuf;

use tally_protocol::data::{BatchData, DataError};
use tally_protocol::epoch::EpochTrace;
use tally_prover::release::Sizes;
use thiserror::Error;

use crate::config::ReplayConfig;
use crate::output::{OutputError, write_whole};

#[derive(Debug, Error)]
pub enum DataFileError {
    #[error("[{}] batch {batch}: {source}", source.code())]
    Data { batch: u64, source: DataError },
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Gathers epochs and writes DIR/batch-NNNNNN.data, in the batches that `--prove` proves.
#[derive(Debug)]
pub struct DataWriter {
    out: PathBuf,
    sizes: Sizes,
    per_batch: u64,
    epochs: core::ops::Range<u64>,
    pending: Option<BatchData>,
    /// Written so far.
    pub written: u64,
}

impl DataWriter {
    pub fn new(config: &ReplayConfig) -> Self {
        Self {
            out: config.out.clone(),
            sizes: Sizes::production(),
            per_batch: config.epochs_per_batch,
            epochs: config.window(),
            pending: None,
            written: 0,
        }
    }

    /// Adds an epoch; a batch that it fills is written.
    pub fn push(&mut self, trace: &EpochTrace) -> Result<(), DataFileError> {
        if !self.epochs.contains(&trace.context.epoch.into()) {
            return Ok(());
        }
        let next = BatchData::of_epoch(trace, &self.sizes.data);
        match &mut self.pending {
            Some(batch) => batch.append(next),
            None => self.pending = Some(next),
        }
        let is_full = self.pending.as_ref().is_some_and(|batch| {
            let statement = &batch.statement;
            statement.last_epoch - statement.first_epoch + 1 == self.per_batch
        });
        match is_full {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Writes what is left.
    pub fn flush(&mut self) -> Result<(), DataFileError> {
        let Some(data) = self.pending.take() else {
            return Ok(());
        };
        let batch = self.written;
        let bytes = data
            .bytes()
            .map_err(|source| DataFileError::Data { batch, source })?;
        let path = self.out.join(format!("batch-{batch:06}.data"));
        write_whole(&path, |out| out.write_all(&bytes))?;
        self.written += 1;
        Ok(())
    }
}
