//! What an account has sent and not yet seen done, on disk before it is sent: so a crash between
//! sending and receipt sends the same bytes again, never another transaction.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, Bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;

/// A signed transaction; later attempts pay more for the same nonce, so one of them is mined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub hash: B256,
    pub raw: Bytes,
    /// Wei a gas.
    pub max_fee: u128,
    pub tip: u128,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What it does, in the caller's words; the same words are the same transaction.
    pub key: String,
    pub nonce: u64,
    pub to: Option<Address>,
    pub input: Bytes,
    pub gas: u64,
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    chain_id: u64,
    account: Address,
    pending: Option<Pending>,
    /// Contracts made, by key.
    deployed: BTreeMap<String, Made>,
}

/// A contract, and the block in which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub at: Address,
    pub block: u64,
}

/// Of one account on one chain.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    content: Content,
}

impl Journal {
    /// Reads what an earlier run left.
    pub fn open(dir: &Path, chain_id: u64, account: Address) -> Result<Self, ClientError> {
        let path = dir.join(format!("sent-{chain_id}-{account:#x}.json"));
        let found: Option<Content> = load(&path)?;
        let empty = Content {
            chain_id,
            account,
            pending: None,
            deployed: BTreeMap::new(),
        };
        let content = found.unwrap_or(empty);
        if (content.chain_id, content.account) != (chain_id, account) {
            return Err(ClientError::Checkpoint {
                path,
                reason: format!(
                    "of account {} on chain {}",
                    content.account, content.chain_id
                ),
            });
        }
        Ok(Self { path, content })
    }

    pub fn pending(&self) -> Option<&Pending> {
        self.content.pending.as_ref()
    }

    pub fn deployed(&self, key: &str) -> Option<Made> {
        self.content.deployed.get(key).copied()
    }

    pub fn put(&mut self, pending: Option<Pending>) -> Result<(), ClientError> {
        self.content.pending = pending;
        store(&self.path, &self.content)
    }

    /// A deployment is done.
    pub fn remember(&mut self, key: &str, made: Made) -> Result<(), ClientError> {
        self.content.deployed.insert(key.to_owned(), made);
        store(&self.path, &self.content)
    }
}

/// `None` where there is no file.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ClientError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file(path, source)),
    };
    let read = serde_json::from_slice(&bytes).map_err(|error| ClientError::Checkpoint {
        path: path.to_path_buf(),
        reason: error.to_string(),
    });
    read.map(Some)
}

/// Whole or not at all: under another name first, on disk before it gets its own.
pub(crate) fn store<T: Serialize>(path: &Path, content: &T) -> Result<(), ClientError> {
    let write = || {
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let draft = path.with_extension("draft");
        let mut out = File::create(&draft)?;
        serde_json::to_writer(&mut out, content)?;
        out.flush()?;
        out.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| file(path, source))
}

fn file(path: &Path, source: io::Error) -> ClientError {
    ClientError::File {
        path: path.to_path_buf(),
        source,
    }
}
