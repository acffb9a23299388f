//! Closed epochs out of the sequencer: to the prover's inbox, or, where nothing is proven, into
//! batches of data alone. After a restart epochs come again from the log; what went out before does
//! not go out twice.

use std::path::PathBuf;

use anyhow::{Context, bail};
use tally_jobs::{DirectoryInbox, EpochWitness, Inbox, ProverStatus};
use tally_protocol::data::BatchData;
use tally_prover::release::Sizes;
use tally_sequencer::ClosedEpoch;
use tally_service::closer::Outlet;
use tokio::sync::mpsc::UnboundedSender;

use super::board::{EpochFacts, Shown};
use super::home::{Home, Part, batch_files};
use super::tape;
use crate::output::write_whole;

/// The kinds of files that batches come in.
pub const PROOF: &str = "proof";
pub const DATA: &str = "data";

#[derive(Debug)]
enum Way {
    /// Epochs up to this one are in proof files.
    Prover {
        inbox: DirectoryInbox,
        proven_through: u32,
    },
    Data(Box<Batcher>),
}

/// Gathers the engine's batches.
#[derive(Debug)]
struct Batcher {
    dir: PathBuf,
    sizes: Sizes,
    pending: Option<BatchData>,
}

/// Where closed epochs go. An error ends the devnet, by way of `failed`.
pub fn outlet(
    home: &Home,
    shown: Shown,
    failed: UnboundedSender<anyhow::Error>,
) -> anyhow::Result<Outlet> {
    let dir = home.path(Part::Batches);
    let mut way = match home.facts.mock_prover {
        true => Way::Data(Box::new(Batcher {
            dir,
            sizes: Sizes::production(),
            pending: None,
        })),
        false => Way::Prover {
            inbox: DirectoryInbox::open(home.path(Part::Inbox))?,
            proven_through: ProverStatus::read(&dir)?
                .and_then(|status| status.proven_through)
                .unwrap_or(0),
        },
    };
    Ok(Box::new(move |closed: ClosedEpoch| {
        let (facts, events) = (EpochFacts::of(&closed), tape::events(&closed));
        let taken = way.take(closed);
        let is_kept = taken.is_ok();
        match taken {
            Ok(is_new) => shown.epoch(facts, events, is_new),
            // Nobody listens any more where the devnet is ending anyway.
            Err(error) => drop(failed.send(error)),
        }
        is_kept
    }))
}

impl Way {
    /// Whether the epoch goes out for the first time.
    fn take(&mut self, closed: ClosedEpoch) -> anyhow::Result<bool> {
        match self {
            Self::Prover { proven_through, .. } if closed.epoch <= *proven_through => Ok(false),
            Self::Prover { inbox, .. } => {
                let is_new = inbox.bytes(closed.epoch)?.is_none();
                let witness = EpochWitness {
                    trace: closed.trace,
                    before: closed.table,
                };
                inbox.put(&witness)?;
                Ok(is_new)
            }
            Self::Data(batcher) => batcher.take(&closed),
        }
    }
}

impl Batcher {
    fn take(&mut self, closed: &ClosedEpoch) -> anyhow::Result<bool> {
        let next = BatchData::of_epoch(&closed.trace, &self.sizes.data);
        match &mut self.pending {
            Some(batch) => batch.append(next),
            None => self.pending = Some(next),
        }
        if !closed.ends_batch {
            return Ok(true);
        }
        let Some(batch) = self.pending.take() else {
            return Ok(true);
        };
        let (first, last) = (batch.statement.first_epoch, batch.statement.last_epoch);
        let path = self
            .dir
            .join(format!("batch-{first:010}-{last:010}.{DATA}"));
        let bytes = batch.bytes().context("[devnet.data] a batch's data")?;
        if path.exists() {
            return match std::fs::read(&path)? == bytes {
                true => Ok(false),
                false => bail!("[devnet.data] {} is another batch", path.display()),
            };
        }
        write_whole(&path, |out| out.write_all(&bytes))?;
        Ok(true)
    }
}

/// The file of the batch that begins with this epoch, if it is there.
pub fn batch_file(home: &Home, first_epoch: u64) -> anyhow::Result<Option<PathBuf>> {
    let kind = match home.facts.mock_prover {
        true => DATA,
        false => PROOF,
    };
    let files = batch_files(&home.path(Part::Batches), kind)?;
    let found = files.into_iter().find(|(first, _)| *first == first_epoch);
    Ok(found.map(|(_, path)| path))
}
