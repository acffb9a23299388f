//! Why a batch is not proven.

use std::path::PathBuf;

use tally_circuits::epoch::EpochError;
use tally_circuits::join::ChildError;
use tally_circuits::span::SpanError;
use tally_circuits::summary::JoinError;
use tally_circuits::uniform::ShapeError;
use tally_protocol::data::DataError;
use thiserror::Error;

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
}

impl ProveError {
    /// Stable name of what went wrong.
    pub fn code(&self) -> &'static str {
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
        }
    }
}
