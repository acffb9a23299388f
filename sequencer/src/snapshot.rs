//! A snapshot: engine and state at the end of an epoch, as bytes.
//!
//! ```text
//! "tally engine"   12 bytes
//! version          1 byte
//! body             postcard of header, reporters, changes, rows, accounts, and what the engine
//!                  holds beside them
//! ```
//!
//! A value has one encoding: what decodes is encoded again and compared. Hashes are not written but
//! where a leaf commits to one: trees are built anew from what they commit to, and the order tree's
//! root is compared with the leaf's. The state root is the caller's to compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_protocol::account::Account;
use tally_protocol::header::Header;
use tally_protocol::listing::Change;
use tally_protocol::oracle::Reporters;
use tally_protocol::orders::{OrderSlot, OrderTree};
use tally_protocol::state::{Accounts, Member, State};
use tally_protocol::table::Table;
use tally_protocol::tree::TreeError;
use tally_protocol::types::AccountId;
use thiserror::Error;

use crate::engine::Held;

const MAGIC: &[u8] = b"tally engine";
/// Rises with every change of the encoding; another version's snapshots are not read.
pub const SNAPSHOT_VERSION: u8 = 1;

/// Engine and state between two epochs.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub state: State,
    pub held: Held,
}

/// Why bytes are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    #[error("not a snapshot of version {SNAPSHOT_VERSION}")]
    Version,
    #[error("{0}")]
    Malformed(String),
    #[error("{0} bytes follow the snapshot")]
    Trailing(usize),
    #[error("these bytes are not the snapshot's encoding")]
    Canonical,
    #[error("account {account} does not have the orders that its leaf commits to")]
    Orders { account: u32 },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the engine ended epoch {wanted}, the state is of {found}")]
    Epoch { wanted: u32, found: u32 },
    #[error("the message that waits from position {position}: {reason}")]
    Message { position: u64, reason: String },
}

impl SnapshotError {
    /// Stable, for logs, docs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version => "snapshot.version",
            Self::Malformed(_) => "snapshot.malformed",
            Self::Trailing(_) => "snapshot.trailing",
            Self::Canonical => "snapshot.canonical",
            Self::Orders { .. } => "snapshot.orders",
            Self::Tree(error) => error.code(),
            Self::Epoch { .. } => "snapshot.epoch",
            Self::Message { .. } => "snapshot.message",
        }
    }
}

/// An order tree's slots, by place.
type Slots = Vec<(u32, OrderSlot)>;

#[derive(Serialize)]
struct Put<'a> {
    header: &'a Header,
    reporters: &'a Reporters,
    changes: &'a BTreeMap<u32, Change>,
    table: &'a Table,
    accounts: Vec<(AccountId, &'a Account, Slots)>,
    held: &'a Held,
}

#[derive(Deserialize)]
struct Taken {
    header: Header,
    reporters: Reporters,
    changes: BTreeMap<u32, Change>,
    table: Table,
    accounts: Vec<(AccountId, Account, Slots)>,
    held: Held,
}

/// The encoding of a hashed state and what the engine holds beside it.
pub fn encode(state: &State, held: &Held) -> Result<Vec<u8>, SnapshotError> {
    let accounts = state.accounts.iter();
    let put = Put {
        header: &state.header,
        reporters: &state.reporters,
        changes: &state.changes,
        table: &state.table,
        accounts: accounts
            .map(|(id, member)| (id, &member.account, member.orders.slots().collect()))
            .collect(),
        held,
    };
    let head = [MAGIC, &[SNAPSHOT_VERSION]].concat();
    postcard::to_extend(&put, head).map_err(|error| SnapshotError::Malformed(error.to_string()))
}

impl Snapshot {
    /// Reads what `encode` wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let body = bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first);
        let body = match body {
            Some((&SNAPSHOT_VERSION, body)) => body,
            _ => return Err(SnapshotError::Version),
        };
        let (taken, rest): (Taken, _) = postcard::take_from_bytes(body)
            .map_err(|error| SnapshotError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(SnapshotError::Trailing(rest.len()));
        }
        let Taken {
            header,
            reporters,
            changes,
            table,
            accounts,
            held,
        } = taken;
        let state = State {
            header,
            reporters,
            changes,
            table,
            accounts: members(accounts)?,
        };
        match encode(&state, &held)? == bytes {
            true => Ok(Self { state, held }),
            false => Err(SnapshotError::Canonical),
        }
    }
}

fn members(listed: Vec<(AccountId, Account, Slots)>) -> Result<Accounts, SnapshotError> {
    let mut members = Vec::with_capacity(listed.len());
    let trees = OrderTree::each_from_slots(listed.iter().map(|(.., slots)| slots.iter().copied()))?;
    for ((id, account, _), orders) in listed.into_iter().zip(trees) {
        if orders.root() != account.rest.orders_root {
            return Err(SnapshotError::Orders { account: id.0 });
        }
        members.push((id, Member { account, orders }));
    }
    let mut accounts = Accounts::default();
    accounts.set(members)?;
    Ok(accounts)
}
