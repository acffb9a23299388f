//! Why a store is refused.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the database: {0}")]
    Database(rocksdb::Error),
    #[error("the database's own checks fail: {0}")]
    Damaged(rocksdb::Error),
    #[error("another process has the database open: {0}")]
    Locked(rocksdb::Error),
    #[error("column family {0} is missing")]
    Family(&'static str),
    #[error("the store is of {what} {found:?}, this is {wanted:?}")]
    Deployment {
        what: &'static str,
        found: String,
        wanted: String,
    },
    #[error("{family} at {key}: {reason}")]
    Value {
        family: &'static str,
        key: String,
        reason: String,
    },
    #[error("the log has position {found} where {wanted} is next")]
    Gap { wanted: u64, found: u64 },
    #[error("the log's link at position {position} is not that of its record")]
    Link { position: u64 },
    #[error("the log's record at position {position} cannot be read: {reason}")]
    Record { position: u64, reason: String },
    #[error("checkpoint {position} does not hold what it says: {reason}")]
    Checkpoint { position: u64, reason: String },
}

impl StoreError {
    /// Stable, for logs, docs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database(_) => "store.database",
            Self::Damaged(_) => "store.damaged",
            Self::Locked(_) => "store.locked",
            Self::Family(_) => "store.family",
            Self::Deployment { .. } => "store.deployment",
            Self::Value { .. } => "store.value",
            Self::Gap { .. } => "store.gap",
            Self::Link { .. } => "store.link",
            Self::Record { .. } => "store.record",
            Self::Checkpoint { .. } => "store.checkpoint",
        }
    }

    pub(super) fn opening(error: rocksdb::Error) -> Self {
        match error.kind() {
            rocksdb::ErrorKind::Corruption => Self::Damaged(error),
            rocksdb::ErrorKind::IOError if error.to_string().contains("lock") => {
                Self::Locked(error)
            }
            _ => Self::Database(error),
        }
    }
}
