//! The state that a replay leaves behind, as JSON. On load the state root is recomputed from the
//! parts and compared with the stored one, so that a damaged or edited file is noticed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tally_protocol::account::{self, Account, AccountKind, Keys, Money, Owner, PublicKey, Rest};
use tally_protocol::bounds::{ACCOUNT_DEPTH, TABLE_DEPTH};
use tally_protocol::hash::{Digest, F, unsigned};
use tally_protocol::header::{Globals, Header, Pending, state_root};
use tally_protocol::instrument::Row;
use tally_protocol::tree::SparseTree;
use thiserror::Error;

use plonky2::field::types::{Field64, PrimeField64};

use crate::output::{OutputError, write_whole};

/// The file's name in a replay's directory.
pub const STATE_FILE: &str = "state.json";
const VERSION: u32 = 1;

/// Everything that the state root commits to, and the symbols of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    pub header: Header,
    pub rows: BTreeMap<u32, Row>,
    pub accounts: BTreeMap<u32, Account>,
    pub symbols: BTreeMap<u32, Symbol>,
}

/// What a row's lots are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    pub symbol: String,
    /// A lot is 10^lot_exponent units.
    pub lot_exponent: i32,
}

#[derive(Debug, Error)]
pub enum StateFileError {
    #[error("{}: [state.unreadable] {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: [state.malformed] {source}", path.display())]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: [state.version] version {found}, this program reads {VERSION}", path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("{}: [state.root] the parts have root {computed}, the file says {stored}",
        path.display())]
    Root {
        path: PathBuf,
        computed: String,
        stored: String,
    },
    #[error("{}: [state.range] {what}", path.display())]
    Range { path: PathBuf, what: &'static str },
}

impl SavedState {
    /// \[S1\], none where an id is outside its tree.
    pub fn root(&self) -> Option<Digest> {
        let digests = account::digests(&self.accounts.values().collect::<Vec<_>>());
        let leaves = self.accounts.keys().copied().zip(digests);
        let accounts = SparseTree::from_leaves(ACCOUNT_DEPTH, leaves).ok()?;
        let digests = Row::digests(&self.rows.values().collect::<Vec<_>>());
        let leaves = self.rows.keys().copied().zip(digests);
        let table = SparseTree::from_leaves(TABLE_DEPTH, leaves).ok()?;
        Some(state_root(
            accounts.root(),
            table.root(),
            self.header.digest(),
        ))
    }

    pub fn save(&self, dir: &Path, root: Digest) -> Result<(), OutputError> {
        let file = FileContent {
            version: VERSION,
            state_root: show(root),
            header: SavedHeader::of(&self.header),
            rows: self.rows.clone(),
            accounts: self
                .accounts
                .iter()
                .map(|(id, a)| (*id, SavedAccount::of(a)))
                .collect(),
            symbols: self.symbols.clone(),
        };
        write_whole(&dir.join(STATE_FILE), |out| {
            Ok(serde_json::to_writer(out, &file)?)
        })
    }

    pub fn load(dir: &Path) -> Result<Self, StateFileError> {
        let path = dir.join(STATE_FILE);
        let file = File::open(&path).map_err(|source| StateFileError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let file: FileContent =
            serde_json::from_reader(BufReader::new(file)).map_err(|source| {
                StateFileError::Malformed {
                    path: path.clone(),
                    source,
                }
            })?;
        if file.version != VERSION {
            return Err(StateFileError::Version {
                path,
                found: file.version,
            });
        }
        let range = |what| StateFileError::Range {
            path: path.clone(),
            what,
        };
        let accounts = file
            .accounts
            .iter()
            .map(|(id, a)| Some((*id, a.content()?)));
        let state = Self {
            header: file
                .header
                .content()
                .ok_or(range("a digest is not canonical"))?,
            rows: file.rows,
            accounts: accounts
                .collect::<Option<_>>()
                .ok_or(range("a key is not canonical"))?,
            symbols: file.symbols,
        };
        let computed = state.root().ok_or(range("an id is outside its tree"))?;
        if show(computed) != file.state_root {
            let stored = file.state_root;
            return Err(StateFileError::Root {
                path,
                computed: show(computed),
                stored,
            });
        }
        Ok(state)
    }
}

/// A digest as 64 hexadecimal digits.
pub fn show(digest: Digest) -> String {
    let bytes = digest
        .elements
        .map(|element| element.to_canonical_u64().to_be_bytes());
    format!("0x{}", hex::encode(bytes.concat()))
}

#[derive(Serialize, Deserialize)]
struct FileContent {
    version: u32,
    state_root: String,
    header: SavedHeader,
    rows: BTreeMap<u32, Row>,
    accounts: BTreeMap<u32, SavedAccount>,
    symbols: BTreeMap<u32, Symbol>,
}

type Words<const N: usize> = [u64; N];

fn words<const N: usize>(elements: [F; N]) -> Words<N> {
    elements.map(|element| element.to_canonical_u64())
}

/// None where a word is no canonical residue.
fn elements<const N: usize>(words: Words<N>) -> Option<[F; N]> {
    words
        .iter()
        .all(|word| *word < F::ORDER)
        .then(|| words.map(unsigned))
}

#[derive(Serialize, Deserialize)]
struct SavedHeader {
    epoch: u32,
    round: u32,
    time: u64,
    reporters: Words<4>,
    deficit: u64,
    globals: Globals,
    fills_from: u32,
    pending: Vec<(u64, u32, Words<4>)>,
}

impl SavedHeader {
    fn of(header: &Header) -> Self {
        let pending = header.pending.iter();
        Self {
            epoch: header.epoch,
            round: header.round,
            time: header.time,
            reporters: words(header.reporters.elements),
            deficit: header.deficit,
            globals: header.globals,
            fills_from: header.fills_from,
            pending: pending
                .map(|p| (p.effective, p.row, words(p.digest.elements)))
                .collect(),
        }
    }

    fn content(&self) -> Option<Header> {
        let mut header = Header::genesis(
            self.globals,
            Digest {
                elements: elements(self.reporters)?,
            },
            self.time,
        );
        header.epoch = self.epoch;
        header.round = self.round;
        header.deficit = self.deficit;
        header.fills_from = self.fills_from;
        if self.pending.len() != header.pending.len() {
            return None;
        }
        for (to, (effective, row, digest)) in header.pending.iter_mut().zip(&self.pending) {
            let digest = Digest {
                elements: elements(*digest)?,
            };
            *to = Pending {
                effective: *effective,
                row: *row,
                digest,
            };
        }
        Some(header)
    }
}

#[derive(Serialize, Deserialize)]
struct SavedAccount {
    money: Money,
    owner: Owner,
    key: Words<5>,
    trading_key: Words<5>,
    nonce: u32,
    generation: u32,
    kind: AccountKind,
    orders_root: Words<4>,
}

impl SavedAccount {
    fn of(account: &Account) -> Self {
        let rest = &account.rest;
        Self {
            money: account.money.clone(),
            owner: account.owner,
            key: words(rest.keys.key),
            trading_key: words(rest.keys.trading_key),
            nonce: rest.nonce,
            generation: rest.generation,
            kind: rest.kind,
            orders_root: words(rest.orders_root.elements),
        }
    }

    fn content(&self) -> Option<Account> {
        let key = |words: Words<5>| -> Option<PublicKey> { elements(words) };
        let rest = Rest {
            keys: Keys {
                key: key(self.key)?,
                trading_key: key(self.trading_key)?,
            },
            nonce: self.nonce,
            generation: self.generation,
            kind: self.kind,
            orders_root: Digest {
                elements: elements(self.orders_root)?,
            },
        };
        Some(Account {
            money: self.money.clone(),
            owner: self.owner,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn state() -> SavedState {
        let mut account = Account::default();
        account.money.cash = -5;
        account.rest.keys.key[2] = unsigned(F::ORDER - 1);
        let header = Header::genesis(Globals::default(), Digest::default(), 77);
        let row = Row {
            mark: 9,
            ..Row::default()
        };
        SavedState {
            header,
            rows: BTreeMap::from([(3, row)]),
            accounts: BTreeMap::from([(1024, account)]),
            symbols: BTreeMap::from([(
                3,
                Symbol {
                    symbol: "AUSDT".into(),
                    lot_exponent: -2,
                },
            )]),
        }
    }

    fn code(dir: &Path) -> String {
        SavedState::load(dir).unwrap_err().to_string()
    }

    #[test]
    fn what_is_saved_loads() {
        let dir = tempfile::tempdir().unwrap();
        state().save(dir.path(), state().root().unwrap()).unwrap();
        assert_eq!(SavedState::load(dir.path()).unwrap(), state());
    }

    #[test]
    fn damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(code(dir.path()).contains("[state.unreadable]"));
        state().save(dir.path(), state().root().unwrap()).unwrap();
        let path = dir.path().join(STATE_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let max = u64::MAX.to_string();
        let cases = [
            ("\"cash\":-5", "\"cash\":5", "[state.root]"),
            ("\"mark\":9", "\"mark\":10", "[state.root]"),
            ("\"time\":77", "\"time\":78", "[state.root]"),
            ("\"version\":1", "\"version\":2", "[state.version]"),
            (
                "\"reporters\":[0",
                &format!("\"reporters\":[{max}"),
                "[state.range]",
            ),
            ("\"1024\"", "\"4000000000\"", "[state.range]"),
            ("}", "", "[state.malformed]"),
        ];
        for (from, to, expected) in cases {
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert!(
                code(dir.path()).contains(expected),
                "{from}: {}",
                code(dir.path())
            );
        }
    }
}
