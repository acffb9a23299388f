//! Why a batch is not proven.

use std::path::PathBuf;

use tally_circuits::epoch::EpochError;
use tally_circuits::join::ChildError;
use tally_circuits::span::SpanError;
use tally_circuits::summary::JoinError;
use tally_circuits::uniform::ShapeError;
use tally_jobs::queue::Failure;
use tally_jobs::{InboxError, QueueError, WireError};
use tally_protocol::data::DataError;
use tally_protocol::hash::Digest;
use thiserror::Error;

use crate::epoch::TraceError;

#[derive(Debug, Error)]
pub enum ProveError {
    #[error("{circuit}: {error}")]
    Shape { circuit: String, error: ShapeError },
    #[error("no circuit for {0} segments")]
    Unknown(String),
    #[error("a batch needs at least one epoch, and an epoch both of its trees")]
    Empty,
    #[error("{label}: the witness is refused: {reason}")]
    Witness { label: String, reason: String },
    #[error("[P5] {label} does not start where the segment before it ends: {chain}")]
    Unchained { label: String, chain: &'static str },
    #[error("epoch {epoch}: {error}")]
    Epoch { epoch: u32, error: EpochError },
    #[error("epoch {epoch}: {error}")]
    Join { epoch: u32, error: JoinError },
    #[error("{0}")]
    Span(#[from] SpanError),
    #[error("{0}")]
    Statement(#[from] DataError),
    #[error("[P6] epoch {epoch}: the data segments' list is not the epoch's data")]
    Data { epoch: u32 },
    #[error("{label}: {error}")]
    Child { label: String, error: ChildError },
    #[error("{label}: the proof fails, so a constraint does not hold: {reason}")]
    Proof { label: String, reason: String },
    #[error("{path}: {error}")]
    Store {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{label} panicked")]
    Panicked { label: String },
    #[error("stopped; finished proofs are kept")]
    Stopped,
    #[error("a job of release {0:?}, which is not this build's")]
    Release(Digest),
    #[error("no {what} {place} in epoch {epoch}")]
    Place {
        epoch: u32,
        what: String,
        place: u32,
    },
    #[error("a proof by circuit {circuit} is refused: {reason}")]
    Refused { circuit: String, reason: String },
    #[error("epoch {0} is not in the inbox")]
    Missing(u32),
    #[error("the batch's file is refused: [{code}] {reason}")]
    File { code: &'static str, reason: String },
    #[error("{label}: [{}] {}", failure.code, failure.reason)]
    Job { label: String, failure: Failure },
    #[error("epoch {epoch}: {error}")]
    Trace { epoch: u32, error: TraceError },
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl ProveError {
    /// What a queue keeps of it.
    pub fn failure(&self) -> Failure {
        Failure {
            code: self.code().to_owned(),
            reason: self.to_string(),
        }
    }

    /// Stable name of what went wrong.
    pub fn code(&self) -> &str {
        match self {
            ProveError::Shape { error, .. } => error.code(),
            ProveError::Unknown(_) => "prove.unknown",
            ProveError::Empty => "prove.empty",
            ProveError::Witness { .. } => "prove.witness",
            ProveError::Unchained { .. } => "P5.unchained",
            ProveError::Epoch { error, .. } => error.code(),
            ProveError::Join { error, .. } => error.code(),
            ProveError::Span(error) => error.code(),
            ProveError::Statement(error) => error.code(),
            ProveError::Data { .. } => "P6.data",
            ProveError::Child { error, .. } => error.code(),
            ProveError::Proof { .. } => "prove.proof",
            ProveError::Store { .. } => "prove.store",
            ProveError::Panicked { .. } => "prove.panicked",
            ProveError::Stopped => "prove.stopped",
            ProveError::Release(_) => "prove.release",
            ProveError::Place { .. } => "prove.place",
            ProveError::Refused { .. } => "prove.refused",
            ProveError::Missing(_) => "prove.missing",
            ProveError::File { code, .. } => code,
            ProveError::Job { failure, .. } => &failure.code,
            ProveError::Trace { error, .. } => error.code(),
            ProveError::Queue(error) => error.code(),
            ProveError::Inbox(error) => error.code(),
            ProveError::Wire(error) => error.code(),
        }
    }
}
