//! What survives: the log of commands and what is kept beside it, in RocksDB.
//!
//! Everything that a command leaves behind is one write batch with the command's record, and a
//! group of commands is one synced write: after a crash all of it is there or none. Only the log is
//! authority. What the other families hold can be made again from it; they are there so that the
//! service answers and starts without doing so.

mod checkpoint;
mod error;
mod family;
mod log;
#[cfg(test)]
mod tests;

pub use checkpoint::Checkpoint;
pub use error::StoreError;
pub use family::{EpochRow, Family, Outcome, Refusal};
pub use log::{Entry, Head};

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode, Direction,
    IteratorMode, Options, WriteBatch, WriteOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Layout of keys and values; a store of another one is refused.
pub const LAYOUT: &str = "1";
/// Bytes of write-ahead files.
const MOST_WAL: u64 = 256 << 20;
/// Of a key in a filter: one question in a hundred reads a block for nothing.
const BLOOM_BITS: f64 = 10.0;
const LAYOUT_KEY: &[u8] = b"layout";
const DEPLOYMENT_KEY: &[u8] = b"deployment";

pub struct Store {
    db: DB,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.db.path())
            .finish()
    }
}

/// Writes that become durable together.
#[derive(Default)]
pub struct Batch {
    writes: WriteBatch,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("writes", &self.writes.len())
            .finish()
    }
}

impl Store {
    /// Opens or makes the store of a deployment: what must not change between starts, as text.
    pub fn open(path: &Path, deployment: &str) -> Result<Self, StoreError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        // A record cut off at the log's end was never synced, so never acknowledged. A bad record
        // before others is damage, and refused: dropping what follows would drop acknowledged ones.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_open_files(256);
        // Opening reads the write-ahead files again: no more than this.
        options.set_max_total_wal_size(MOST_WAL);
        options.set_keep_log_file_num(4);
        let families =
            Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), of_family(family)));
        let db = DB::open_cf_descriptors(&options, path, families).map_err(StoreError::opening)?;
        let store = Self { db };
        store.check_meta(LAYOUT_KEY, LAYOUT)?;
        store.check_meta(DEPLOYMENT_KEY, deployment)?;
        Ok(store)
    }

    fn check_meta(&self, key: &'static [u8], wanted: &str) -> Result<(), StoreError> {
        let name = str::from_utf8(key).unwrap_or_default();
        match self.get_bytes(Family::Meta, key)? {
            Some(found) if found == wanted.as_bytes() => Ok(()),
            Some(found) => Err(StoreError::Deployment {
                what: name,
                found: String::from_utf8_lossy(&found).into_owned(),
                wanted: wanted.to_owned(),
            }),
            None => {
                let mut batch = Batch::default();
                batch.put_bytes(self, Family::Meta, key, wanted.as_bytes())?;
                self.commit(batch)
            }
        }
    }

    /// All of the batch or nothing, and not before it is on the disk.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db
            .write_opt(batch.writes, &options)
            .map_err(StoreError::Database)
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily, StoreError> {
        let name = family.name();
        self.db.cf_handle(name).ok_or(StoreError::Family(name))
    }

    fn get_bytes(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let column = self.family(family)?;
        self.db.get_cf(column, key).map_err(StoreError::Database)
    }

    fn get<T: DeserializeOwned>(
        &self,
        family: Family,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let bytes = self.get_bytes(family, key)?;
        bytes.map(|bytes| value(family, key, &bytes)).transpose()
    }

    /// Pairs from a key on, in the order of keys.
    fn pairs_from<'a>(
        &'a self,
        family: Family,
        key: &[u8],
        direction: Direction,
    ) -> Result<impl Iterator<Item = Result<Pair, StoreError>> + use<'a>, StoreError> {
        let mode = IteratorMode::From(key, direction);
        let pairs = self.db.iterator_cf(self.family(family)?, mode);
        Ok(pairs.map(|pair| pair.map_err(StoreError::Database)))
    }

    pub fn outcome(&self, position: u64) -> Result<Option<Outcome>, StoreError> {
        self.get(Family::Outcomes, &position.to_be_bytes())
    }

    /// The command that a client named so.
    pub fn client(&self, account: u32, client_id: u128) -> Result<Option<u64>, StoreError> {
        let key = client_key(account, client_id);
        let found = self.get_bytes(Family::Clients, &key)?;
        found
            .map(|bytes| number(Family::Clients, &key, &bytes))
            .transpose()
    }

    pub fn epoch(&self, epoch: u32) -> Result<Option<EpochRow>, StoreError> {
        self.get(Family::Epochs, &epoch.to_be_bytes())
    }

    /// Rows of closed epochs before this one, the latest first.
    pub fn epochs(&self, before: u32, most: usize) -> Result<Vec<EpochRow>, StoreError> {
        let Some(last) = before.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let key = last.to_be_bytes();
        let pairs = self.pairs_from(Family::Epochs, &key, Direction::Reverse)?;
        let rows = pairs.take(most).map(|pair| {
            let (key, bytes) = pair?;
            value(Family::Epochs, &key, &bytes)
        });
        rows.collect()
    }

    /// Trades of an instrument from a number on, as they were told.
    pub fn trades(
        &self,
        instrument: u32,
        from: u64,
        most: usize,
    ) -> Result<Vec<serde_json::Value>, StoreError> {
        let key = trade_key(instrument, from);
        let pairs = self.pairs_from(Family::Trades, &key, Direction::Forward)?;
        let mut found = Vec::new();
        for pair in pairs.take(most) {
            let (key, bytes) = pair?;
            if !key.starts_with(&instrument.to_be_bytes()) {
                break;
            }
            found.push(value(Family::Trades, &key, &bytes)?);
        }
        Ok(found)
    }

    /// How far something outside has been followed: the L1 queue, the prover.
    pub fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let found = self.get_bytes(Family::Cursors, name.as_bytes())?;
        found
            .map(|bytes| number(Family::Cursors, name.as_bytes(), &bytes))
            .transpose()
    }
}

/// Most questions to these families are for what is not there.
fn of_family(family: Family) -> Options {
    let mut options = Options::default();
    if matches!(family, Family::Clients | Family::Outcomes) {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_bloom_filter(BLOOM_BITS, false);
        options.set_block_based_table_factory(&blocks);
    }
    options
}

type Pair = (Box<[u8]>, Box<[u8]>);

impl Batch {
    fn put_bytes(
        &mut self,
        store: &Store,
        family: Family,
        key: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.writes.put_cf(store.family(family)?, key, bytes);
        Ok(())
    }

    fn put<T: Serialize>(
        &mut self,
        store: &Store,
        family: Family,
        key: &[u8],
        value: &T,
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|error| StoreError::Value {
            family: family.name(),
            key: hex::encode(key),
            reason: error.to_string(),
        })?;
        self.put_bytes(store, family, key, &bytes)
    }

    pub fn outcome(
        &mut self,
        store: &Store,
        position: u64,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        self.put(store, Family::Outcomes, &position.to_be_bytes(), outcome)
    }

    pub fn client(
        &mut self,
        store: &Store,
        account: u32,
        client_id: u128,
        position: u64,
    ) -> Result<(), StoreError> {
        let key = client_key(account, client_id);
        self.put_bytes(store, Family::Clients, &key, &position.to_be_bytes())
    }

    pub fn epoch(&mut self, store: &Store, row: &EpochRow) -> Result<(), StoreError> {
        self.put(store, Family::Epochs, &row.epoch.to_be_bytes(), row)
    }

    pub fn trade<T: Serialize>(
        &mut self,
        store: &Store,
        instrument: u32,
        trade: u64,
        told: &T,
    ) -> Result<(), StoreError> {
        self.put(store, Family::Trades, &trade_key(instrument, trade), told)
    }

    pub fn cursor(&mut self, store: &Store, name: &str, at: u64) -> Result<(), StoreError> {
        self.put_bytes(store, Family::Cursors, name.as_bytes(), &at.to_be_bytes())
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

fn client_key(account: u32, client_id: u128) -> Vec<u8> {
    [&account.to_be_bytes()[..], &client_id.to_be_bytes()].concat()
}

fn trade_key(instrument: u32, trade: u64) -> Vec<u8> {
    [&instrument.to_be_bytes()[..], &trade.to_be_bytes()].concat()
}

fn value<T: DeserializeOwned>(family: Family, key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Value {
        family: family.name(),
        key: hex::encode(key),
        reason: error.to_string(),
    })
}

fn number(family: Family, key: &[u8], bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Value {
        family: family.name(),
        key: hex::encode(key),
        reason: format!("{} bytes are no number", bytes.len()),
    })?;
    Ok(u64::from_be_bytes(bytes))
}
