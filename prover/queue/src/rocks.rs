//! Records in RocksDB: one process at a time, which its lock enforces. Workers of other processes
//! need a queue that is a server.

use std::path::Path;

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, Direction, IteratorMode, Options, WriteBatch,
    WriteOptions,
};
use tally_jobs::QueueError;

use crate::machine::StoredQueue;
use crate::storage::{Storage, Table, Visit, Write};

/// Log files of RocksDB itself that are kept.
const INFO_LOGS: usize = 2;

pub struct Rocks {
    db: DB,
}

impl std::fmt::Debug for Rocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rocks({})", self.db.path().display())
    }
}

pub type RocksQueue = StoredQueue<Rocks>;

/// Opens a queue, creating it where it is missing. Leases that it finds are those of a process that
/// is dead, since this one holds the lock: they end now, as if their time had come. The indices are
/// compared with the records.
pub fn rocks_queue(directory: &Path) -> Result<RocksQueue, QueueError> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_keep_log_file_num(INFO_LOGS);
    let families =
        Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), Options::default()));
    let db = DB::open_cf_descriptors(&options, directory, families).map_err(failed)?;
    let queue = StoredQueue::new(Rocks { db });
    queue.recover()?;
    Ok(queue)
}

impl Rocks {
    fn family(&self, table: Table) -> Result<&ColumnFamily, QueueError> {
        let family = self.db.cf_handle(table.name());
        family.ok_or_else(|| QueueError::Corrupt(format!("no table {}", table.name())))
    }
}

impl Storage for Rocks {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, QueueError> {
        self.db.get_cf(self.family(table)?, key).map_err(failed)
    }

    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), QueueError> {
        let from = IteratorMode::From(prefix, Direction::Forward);
        for item in self.db.iterator_cf(self.family(table)?, from) {
            let (key, value) = item.map_err(failed)?;
            if !key.starts_with(prefix) || !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<(), QueueError> {
        let mut batch = WriteBatch::default();
        for write in writes {
            let family = self.family(write.table)?;
            match write.value {
                Some(value) => batch.put_cf(family, write.key, value),
                None => batch.delete_cf(family, write.key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(failed)
    }
}

fn failed(error: rocksdb::Error) -> QueueError {
    QueueError::Storage(error.into_string())
}
