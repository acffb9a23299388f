//! Where the sequencer leaves epochs' witnesses for the prover.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{read_if_there, remove_if_there, write_whole};
use crate::id::Address;
use crate::job::EpochRef;
use crate::wire::{Wire, WireError};
use crate::witness::EpochWitness;

const EXTENSION: &str = "witness";

#[derive(Debug, Error)]
pub enum InboxError {
    #[error("[inbox.io] {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("[inbox.other] epoch {epoch} is there already, as {there:?}, not {new:?}")]
    Other {
        epoch: u32,
        there: Address,
        new: Address,
    },
    #[error("[inbox.address] epoch {epoch} is there as {there:?}, the job is about {asked:?}")]
    Address {
        epoch: u32,
        there: Address,
        asked: Address,
    },
    #[error("[inbox.epoch] under the name of epoch {epoch} lies epoch {found}")]
    Epoch { epoch: u32, found: u32 },
    #[error("epoch {epoch}: {source}")]
    Wire { epoch: u32, source: WireError },
}

impl InboxError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "inbox.io",
            Self::Other { .. } => "inbox.other",
            Self::Address { .. } => "inbox.address",
            Self::Epoch { .. } => "inbox.epoch",
            Self::Wire { source, .. } => source.code(),
        }
    }
}

/// Closed epochs, by number. What was put is there until it is removed, and never becomes another.
pub trait Inbox: Send + Sync {
    /// Puts an epoch's encoded witness; again the same is nothing, another one is refused.
    fn put(&self, witness: &EpochWitness) -> Result<EpochRef, InboxError>;

    /// The epoch, if it is there: name and encoding.
    fn bytes(&self, epoch: u32) -> Result<Option<(EpochRef, Vec<u8>)>, InboxError>;

    /// The numbers that are there, rising.
    fn epochs(&self) -> Result<Vec<u32>, InboxError>;

    /// Removes an epoch; whether it was there.
    fn remove(&self, epoch: u32) -> Result<bool, InboxError>;

    /// The epoch that a job is about, and no other of its number; none where it is not there.
    fn open(&self, asked: EpochRef) -> Result<Option<EpochWitness>, InboxError> {
        let epoch = asked.epoch;
        let Some((there, bytes)) = self.bytes(epoch)? else {
            return Ok(None);
        };
        if there.witness != asked.witness {
            return Err(InboxError::Address {
                epoch,
                there: there.witness,
                asked: asked.witness,
            });
        }
        let witness = EpochWitness::decode(&bytes);
        let witness = witness.map_err(|source| InboxError::Wire { epoch, source })?;
        match witness.epoch() == epoch {
            true => Ok(Some(witness)),
            false => Err(InboxError::Epoch {
                epoch,
                found: witness.epoch(),
            }),
        }
    }
}

/// A directory with one file an epoch, `epoch-0000000007.witness`.
#[derive(Clone, Debug)]
pub struct DirectoryInbox {
    directory: PathBuf,
}

impl DirectoryInbox {
    /// Opens a directory, creating it where it is missing.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, InboxError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|source| failed(&directory, source))?;
        Ok(Self { directory })
    }

    fn path(&self, epoch: u32) -> PathBuf {
        self.directory
            .join(format!("epoch-{epoch:010}.{EXTENSION}"))
    }
}

impl Inbox for DirectoryInbox {
    fn put(&self, witness: &EpochWitness) -> Result<EpochRef, InboxError> {
        let (epoch, bytes) = (witness.epoch(), witness.encode());
        let new = EpochRef {
            epoch,
            witness: Address::of(&bytes),
        };
        match self.bytes(epoch)? {
            Some((there, _)) if there == new => Ok(new),
            Some((there, _)) => Err(InboxError::Other {
                epoch,
                there: there.witness,
                new: new.witness,
            }),
            None => {
                let path = self.path(epoch);
                write_whole(&path, &bytes).map_err(|source| failed(&path, source))?;
                Ok(new)
            }
        }
    }

    fn bytes(&self, epoch: u32) -> Result<Option<(EpochRef, Vec<u8>)>, InboxError> {
        let path = self.path(epoch);
        let bytes = read_if_there(&path).map_err(|source| failed(&path, source))?;
        Ok(bytes.map(|bytes| {
            let witness = Address::of(&bytes);
            (EpochRef { epoch, witness }, bytes)
        }))
    }

    fn epochs(&self) -> Result<Vec<u32>, InboxError> {
        let failed = |source| failed(&self.directory, source);
        let mut epochs = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            epochs.extend(number(&path));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn remove(&self, epoch: u32) -> Result<bool, InboxError> {
        let path = self.path(epoch);
        remove_if_there(&path).map_err(|source| failed(&path, source))
    }
}

/// The epoch that a file is named for, in the one way in which this inbox names it.
fn number(path: &Path) -> Option<u32> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let digits = path.file_stem()?.to_str()?.strip_prefix("epoch-")?;
    let is_plain = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

fn failed(path: &Path, source: io::Error) -> InboxError {
    InboxError::Io {
        path: path.to_owned(),
        source,
    }
}
