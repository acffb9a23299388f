//! Checkpoints: snapshots beside the log, so that a start replays its tail alone.
//!
//! Position (8), part (4) → part 0: link (32), SHA-256 of the snapshot (32), number of parts (4);
//! the parts behind it: the snapshot's bytes. Parts are on the disk before their part 0 is written,
//! so a checkpoint is whole or is none. They do not go through the write-ahead file, where a large
//! one would hold up the writer's groups.

use std::collections::BTreeSet;

use rocksdb::{Direction, WriteBatch, WriteOptions};
use sha2::{Digest as _, Sha256};
use tally_api::Link;

use super::{Family, Store, StoreError};

/// Bytes of a part.
const PART: usize = 1 << 20;
const HEAD_BYTES: usize = 32 + 32 + 4;

/// The engine and its state after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub position: u64,
    /// The log's at this position.
    pub link: Link,
    pub snapshot: Vec<u8>,
}

impl Store {
    /// Writes a checkpoint and drops the oldest beyond so many: one more may be there after a
    /// crash, since what is dropped last is on the disk with the next one.
    pub fn put_checkpoint(&self, checkpoint: &Checkpoint, keep: usize) -> Result<(), StoreError> {
        self.prune_checkpoints(keep)?;
        let column = self.family(Family::Checkpoints)?;
        let position = checkpoint.position;
        let sum: [u8; 32] = Sha256::digest(&checkpoint.snapshot).into();
        let mut parts = 0u32;
        for part in checkpoint.snapshot.chunks(PART) {
            parts = parts.saturating_add(1);
            self.put_beside(&key(position, parts), part)?;
        }
        self.db.flush_cf(column).map_err(StoreError::Database)?;
        let head = [&checkpoint.link.0[..], &sum, &parts.to_be_bytes()].concat();
        self.put_beside(&key(position, 0), &head)?;
        self.db.flush_cf(column).map_err(StoreError::Database)?;
        self.prune_checkpoints(keep)
    }

    /// Positions of whole checkpoints, the latest first.
    pub fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::new();
        let mut last = key(u64::MAX, u32::MAX);
        // One look a checkpoint: from its last part to its part 0.
        while let Some((position, _)) = self.part_before(&last)? {
            let head = key(position, 0);
            if self.get_bytes(Family::Checkpoints, &head)?.is_some() {
                found.push(position);
            }
            let Some(before) = position.checked_sub(1) else {
                break;
            };
            last = key(before, u32::MAX);
        }
        Ok(found)
    }

    /// The checkpoint of a position, its bytes as they were written.
    pub fn checkpoint(&self, position: u64) -> Result<Option<Checkpoint>, StoreError> {
        let bad = |reason: &str| StoreError::Checkpoint {
            position,
            reason: reason.to_owned(),
        };
        let Some(head) = self.get_bytes(Family::Checkpoints, &key(position, 0))? else {
            return Ok(None);
        };
        let head: [u8; HEAD_BYTES] = head.try_into().map_err(|_| bad("its head is cut off"))?;
        let (link, rest) = head.split_first_chunk().ok_or(bad("its head is cut off"))?;
        let (sum, parts) = rest.split_at(32);
        let parts = parts.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte));
        let mut snapshot = Vec::new();
        for part in 1..=parts {
            let part = self.get_bytes(Family::Checkpoints, &key(position, part))?;
            snapshot.extend(part.ok_or(bad("a part is missing"))?);
        }
        match Sha256::digest(&snapshot).as_slice() == sum {
            true => Ok(Some(Checkpoint {
                position,
                link: Link(*link),
                snapshot,
            })),
            false => Err(bad("its bytes are not those that were written")),
        }
    }

    /// Keeps the latest whole ones, and nothing of others.
    fn prune_checkpoints(&self, keep: usize) -> Result<(), StoreError> {
        let column = self.family(Family::Checkpoints)?;
        let kept: BTreeSet<u64> = self.checkpoints()?.into_iter().take(keep).collect();
        let mut last = key(u64::MAX, u32::MAX);
        let mut batch = WriteBatch::default();
        while let Some((position, part)) = self.part_before(&last)? {
            if !kept.contains(&position) {
                let end = key(position, part.saturating_add(1));
                batch.delete_range_cf(column, key(position, 0), end);
            }
            let Some(before) = position.checked_sub(1) else {
                break;
            };
            last = key(before, u32::MAX);
        }
        self.write_beside(batch)
    }

    /// The last part at or before a key.
    fn part_before(&self, last: &[u8; 12]) -> Result<Option<(u64, u32)>, StoreError> {
        let mut pairs = self.pairs_from(Family::Checkpoints, last, Direction::Reverse)?;
        let Some((found, _)) = pairs.next().transpose()? else {
            return Ok(None);
        };
        let bad = |_| StoreError::Value {
            family: Family::Checkpoints.name(),
            key: hex::encode(&found),
            reason: "no part of a checkpoint".to_owned(),
        };
        let (position, part) = found.split_at(8.min(found.len()));
        let position = position.try_into().map(u64::from_be_bytes).map_err(bad)?;
        let part = part.try_into().map(u32::from_be_bytes).map_err(bad)?;
        Ok(Some((position, part)))
    }

    fn put_beside(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(Family::Checkpoints)?, key, value);
        self.write_beside(batch)
    }

    fn write_beside(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db
            .write_opt(batch, &options)
            .map_err(StoreError::Database)
    }
}

fn key(position: u64, part: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (to, rest) = key.split_at_mut(8);
    to.copy_from_slice(&position.to_be_bytes());
    rest.copy_from_slice(&part.to_be_bytes());
    key
}
