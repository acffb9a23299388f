//! Column families and their values. Numbers in keys are big-endian, so that keys sort as numbers
//! do; values are JSON unless said otherwise.

use serde::{Deserialize, Serialize};

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Position (8 bytes) → link (32 bytes), record. The write-ahead log, and the only authority.
    Log,
    /// Position (8) → why the command was refused; one that was taken has none.
    Outcomes,
    /// Account (4), client id (16) → position (8): a repeated client id finds its first command.
    Clients,
    /// Epoch (4) → positions, roots, counts.
    Epochs,
    /// Instrument (4), trade (8) → the trade as the channels told it.
    Trades,
    /// Position (8), part (4) → a snapshot in parts (`checkpoint.rs`).
    Checkpoints,
    /// Name → position in something outside (8): the L1 queue, the prover.
    Cursors,
    /// Layout and deployment.
    Meta,
}

impl Family {
    pub const ALL: [Self; 8] = [
        Self::Log,
        Self::Outcomes,
        Self::Clients,
        Self::Epochs,
        Self::Trades,
        Self::Checkpoints,
        Self::Cursors,
        Self::Meta,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Outcomes => "outcomes",
            Self::Clients => "clients",
            Self::Epochs => "epochs",
            Self::Trades => "trades",
            Self::Checkpoints => "checkpoints",
            Self::Cursors => "cursors",
            Self::Meta => "meta",
        }
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Empty where it was taken; else the rule that refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

/// A closed epoch. With the log between its positions, everything that a prover needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EpochRow {
    pub epoch: u32,
    /// Position of the command that closed it.
    pub closed_at: u64,
    pub time_ms: u64,
    pub entries: usize,
    pub fills: usize,
    pub batch: u64,
    pub ends_batch: bool,
    /// State root after it, where it is known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}
