//! The log: records in their order, chained by their hashes.
//!
//! Positions have no gaps and each link is that of its record, checked whenever the log is read: a
//! record that is missing, changed or moved is found, whatever the database thinks of its bytes.

use rocksdb::{Direction, IteratorMode};
use tally_api::{CommandHash, Link, Receipt};

use super::{Batch, Family, Store, StoreError};

/// Where the log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// 0 before the first record.
    pub position: u64,
    pub link: Link,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub position: u64,
    pub link: Link,
    pub command: CommandHash,
    pub record: Vec<u8>,
}

impl Head {
    /// The head after one more record.
    pub fn next(&self, record: &[u8]) -> (Self, CommandHash) {
        let command = CommandHash::of(record);
        let position = self.position.saturating_add(1);
        let link = self.link.next(position, &command);
        (Self { position, link }, command)
    }
}

impl Entry {
    /// Time stands behind the record's version.
    pub fn receipt(&self) -> Receipt {
        let time = self.record.get(1..9).and_then(|time| time.try_into().ok());
        Receipt {
            position: self.position,
            time_ms: time.map_or(0, u64::from_le_bytes),
            command: self.command,
            link: self.link,
        }
    }
}

impl Batch {
    /// The record at the head's position, which the caller made with `Head::next`.
    pub fn record(&mut self, store: &Store, head: &Head, record: &[u8]) -> Result<(), StoreError> {
        let value = [&head.link.0[..], record].concat();
        self.put_bytes(store, Family::Log, &head.position.to_be_bytes(), &value)
    }
}

impl Store {
    /// Where the log ends; its links are checked by who reads it.
    pub fn head(&self) -> Result<Head, StoreError> {
        let column = self.family(Family::Log)?;
        let last = self.db.iterator_cf(column, IteratorMode::End).next();
        let Some(pair) = last else {
            return Ok(Head::default());
        };
        let (key, value) = pair.map_err(StoreError::Database)?;
        let position = position(&key)?;
        let (link, _) = split(position, &value)?;
        Ok(Head { position, link })
    }

    pub fn entry(&self, position: u64) -> Result<Option<Entry>, StoreError> {
        let found = self.get_bytes(Family::Log, &position.to_be_bytes())?;
        found.map(|value| entry(position, &value)).transpose()
    }

    /// The link of a position; zeros before the first.
    pub fn link(&self, position: u64) -> Result<Link, StoreError> {
        if position == 0 {
            return Ok(Link::default());
        }
        let head = self.head()?;
        let missing = StoreError::Gap {
            wanted: position,
            found: head.position,
        };
        Ok(self.entry(position)?.ok_or(missing)?.link)
    }

    /// Every record after a head, in order; each is checked against the one before it.
    pub fn log(
        &self,
        after: Head,
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>>, StoreError> {
        let first = after.position.saturating_add(1).to_be_bytes();
        let pairs = self.pairs_from(Family::Log, &first, Direction::Forward)?;
        let mut head = after;
        Ok(pairs.map(move |pair| {
            let (key, value) = pair?;
            let found = position(&key)?;
            let entry = entry(found, &value)?;
            let (next, _) = head.next(&entry.record);
            if found != next.position {
                let wanted = next.position;
                return Err(StoreError::Gap { wanted, found });
            }
            if entry.link != next.link {
                return Err(StoreError::Link { position: found });
            }
            head = next;
            Ok(entry)
        }))
    }
}

fn position(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.try_into().map_err(|_| StoreError::Value {
        family: Family::Log.name(),
        key: hex::encode(key),
        reason: "no position".to_owned(),
    })?;
    Ok(u64::from_be_bytes(bytes))
}

fn entry(position: u64, value: &[u8]) -> Result<Entry, StoreError> {
    let (link, record) = split(position, value)?;
    Ok(Entry {
        position,
        link,
        command: CommandHash::of(record),
        record: record.to_vec(),
    })
}

fn split(position: u64, value: &[u8]) -> Result<(Link, &[u8]), StoreError> {
    let short = || StoreError::Record {
        position,
        reason: format!("{} bytes are less than a link", value.len()),
    };
    let (link, record) = value.split_at_checked(32).ok_or_else(short)?;
    let link = link.try_into().map_err(|_| short())?;
    Ok((Link(link), record))
}
