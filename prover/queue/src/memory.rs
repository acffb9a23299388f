//! Records in a process's memory: for runs that need no queue afterwards, and for tests.

use std::collections::BTreeMap;

use tally_jobs::QueueError;

use crate::machine::StoredQueue;
use crate::storage::{Storage, Table, Visit, Write};

#[derive(Clone, Debug, Default)]
pub struct Memory {
    tables: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

pub type MemoryQueue = StoredQueue<Memory>;

pub fn memory_queue() -> MemoryQueue {
    StoredQueue::new(Memory::default())
}

impl Storage for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(self.tables.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), QueueError> {
        let from = (table, prefix.to_vec());
        for ((at, key), value) in self.tables.range(from..) {
            if *at != table || !key.starts_with(prefix) || !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<(), QueueError> {
        for write in writes {
            let key = (write.table, write.key);
            match write.value {
                Some(value) => self.tables.insert(key, value),
                None => self.tables.remove(&key),
            };
        }
        Ok(())
    }
}
