//! A place for records: tables of keys in order, and writes that happen together.

use tally_jobs::QueueError;

/// | table | key | value |
/// |---|---|---|
/// | job | id | `Record` |
/// | ready | suspect, priority, id | memory, MB |
/// | delayed | time, id | – |
/// | lease | end, id | – |
/// | edge | input, waiting job | – |
/// | meta | name | number |
///
/// All but job and meta follow from the records: they are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Job,
    Ready,
    Delayed,
    Lease,
    Edge,
    Meta,
}

impl Table {
    pub const ALL: [Self; 6] = [
        Self::Job,
        Self::Ready,
        Self::Delayed,
        Self::Lease,
        Self::Edge,
        Self::Meta,
    ];
    pub const INDICES: [Self; 4] = [Self::Ready, Self::Delayed, Self::Lease, Self::Edge];

    pub fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Lease => "lease",
            Self::Edge => "edge",
            Self::Meta => "meta",
        }
    }
}

/// A key and its new value; none deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub table: Table,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// Is told a key and its value; whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

pub trait Storage: Send {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, QueueError>;

    /// The keys with a prefix, rising.
    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), QueueError>;

    /// All of the writes or none, on disk when it returns where there is one.
    fn commit(&mut self, writes: Vec<Write>) -> Result<(), QueueError>;
}
