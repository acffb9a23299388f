use std::fs;
use std::path::Path;

use super::*;

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, "test")
}

/// Writes so many records, each its own synced batch.
fn fill(store: &Store, records: u64) -> Head {
    let mut head = store.head().unwrap();
    for number in 0..records {
        let record = [b"record".as_slice(), &number.to_be_bytes()].concat();
        let (next, _) = head.next(&record);
        let mut batch = Batch::default();
        batch.record(store, &next, &record).unwrap();
        store.commit(batch).unwrap();
        head = next;
    }
    head
}

fn read(store: &Store) -> Result<Vec<Entry>, StoreError> {
    store.log(Head::default())?.collect()
}

/// The write-ahead file of the database.
fn wal(path: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .filter(|path| fs::metadata(path).unwrap().len() > 0)
        .collect();
    logs.sort();
    logs.pop().unwrap()
}

#[test]
fn the_log_is_there_after_a_new_start() {
    let dir = tempfile::tempdir().unwrap();
    let head = fill(&open(dir.path()).unwrap(), 5);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.head().unwrap(), head);
    let entries = read(&store).unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[4].link, head.link);
    let later = store.log(Head {
        position: 3,
        link: entries[2].link,
    });
    let later = later.unwrap().collect();
    assert_eq!(later_positions(later), [4, 5]);
}

fn later_positions(entries: Result<Vec<Entry>, StoreError>) -> Vec<u64> {
    entries
        .unwrap()
        .iter()
        .map(|entry| entry.position)
        .collect()
}

#[test]
fn a_torn_tail_is_what_was_never_synced() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()).unwrap(), 5);
    let path = wal(dir.path());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    assert_eq!(read(&open(dir.path()).unwrap()).unwrap().len(), 4);
}

#[test]
fn damage_before_the_tail_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()).unwrap(), 5);
    let path = wal(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|word| word == b"record").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().code(), "store.damaged");
}

#[test]
fn a_changed_moved_or_missing_record_is_found() {
    type Lie = fn(&Store, &mut Batch);
    let cases: [(Lie, &str); 3] = [
        (
            |store, batch| {
                let mut value = store.get_bytes(Family::Log, &3u64.to_be_bytes());
                let value = value.as_mut().unwrap().as_mut().unwrap();
                *value.last_mut().unwrap() ^= 1;
                let key = 3u64.to_be_bytes();
                batch.put_bytes(store, Family::Log, &key, value).unwrap();
            },
            "store.link",
        ),
        (
            |store, batch| {
                let column = store.family(Family::Log).unwrap();
                batch.writes.delete_cf(column, 3u64.to_be_bytes());
            },
            "store.gap",
        ),
        (
            |store, batch| {
                let key = 3u64.to_be_bytes();
                batch.put_bytes(store, Family::Log, &key, b"short").unwrap();
            },
            "store.record",
        ),
    ];
    for (lie, code) in cases {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        fill(&store, 5);
        let mut batch = Batch::default();
        lie(&store, &mut batch);
        store.commit(batch).unwrap();
        assert_eq!(read(&store).unwrap_err().code(), code);
    }
}

#[test]
fn a_store_of_another_deployment_or_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().code(), "store.locked");
    drop(store);
    let refused = Store::open(dir.path(), "other").unwrap_err();
    assert_eq!(refused.code(), "store.deployment");
}

#[test]
fn names_and_cursors_are_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let mut batch = Batch::default();
    batch.client(&store, 1024, 7, 9).unwrap();
    batch.cursor(&store, "l1", 3).unwrap();
    store.commit(batch).unwrap();
    assert_eq!(store.client(1024, 7).unwrap(), Some(9));
    assert_eq!(store.client(1025, 7).unwrap(), None);
    assert_eq!(store.cursor("l1").unwrap(), Some(3));
}

fn checkpoint(position: u64, bytes: usize) -> Checkpoint {
    let byte = |at: usize| (at as u64 ^ position) as u8;
    Checkpoint {
        position,
        link: tally_api::Link([4; 32]),
        snapshot: (0..bytes).map(byte).collect(),
    }
}

fn change(store: &Store, key: &[u8], change: impl Fn(&mut Vec<u8>)) {
    let mut value = store.get_bytes(Family::Checkpoints, key).unwrap().unwrap();
    change(&mut value);
    let mut batch = Batch::default();
    batch
        .put_bytes(store, Family::Checkpoints, key, &value)
        .unwrap();
    store.commit(batch).unwrap();
}

fn part(position: u64, part: u32) -> Vec<u8> {
    [&position.to_be_bytes()[..], &part.to_be_bytes()].concat()
}

#[test]
fn checkpoints_are_kept_whole_and_so_many() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.checkpoints().unwrap(), [0; 0]);
    let large = (2 << 20) + 5;
    for (position, bytes) in [(0, 3), (5, large), (9, large), (12, 0)] {
        let kept = checkpoint(position, bytes);
        store.put_checkpoint(&kept, 3).unwrap();
        assert_eq!(store.checkpoint(position).unwrap(), Some(kept));
    }
    assert_eq!(store.checkpoints().unwrap(), [12, 9, 5]);
    assert_eq!(store.checkpoint(0).unwrap(), None);
    drop(store);
    // Without the write-ahead file, and there all the same.
    let store = open(dir.path()).unwrap();
    assert_eq!(store.checkpoints().unwrap(), [12, 9, 5]);
    assert_eq!(store.checkpoint(5).unwrap(), Some(checkpoint(5, large)));
    store.put_checkpoint(&checkpoint(20, large), 1).unwrap();
    assert_eq!(store.checkpoints().unwrap(), [20]);
    let column = store.family(Family::Checkpoints).unwrap();
    let left = store.db.iterator_cf(column, IteratorMode::Start).count();
    assert_eq!(left, 4, "a head and three parts");
}

#[test]
fn a_damaged_checkpoint_is_named_and_a_torn_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let code = |position| store.checkpoint(position).unwrap_err().code();
    for position in [1, 2, 3, 4] {
        store
            .put_checkpoint(&checkpoint(position, 2 << 20), 9)
            .unwrap();
    }
    change(&store, &part(1, 2), |bytes| bytes[700] ^= 1);
    change(&store, &part(2, 0), |bytes| bytes[40] ^= 1);
    change(&store, &part(3, 0), |bytes| bytes.truncate(60));
    change(&store, &part(4, 0), |bytes| bytes[67] += 1);
    for position in [1, 2, 3, 4] {
        assert_eq!(code(position), "store.checkpoint");
    }
    let mut batch = Batch::default();
    let column = store.family(Family::Checkpoints).unwrap();
    batch.writes.delete_cf(column, part(4, 0));
    store.commit(batch).unwrap();
    assert_eq!(store.checkpoints().unwrap(), [3, 2, 1]);
    assert_eq!(store.checkpoint(4).unwrap(), None);
    store.put_checkpoint(&checkpoint(7, 1), 1).unwrap();
    assert_eq!(store.checkpoints().unwrap(), [7]);
}
