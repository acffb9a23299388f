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
    let cases: [(fn(&Store, &mut Batch), &str); 3] = [
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
fn a_checkpoint_is_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let kept = Checkpoint {
        position: 9,
        link: tally_api::Link([4; 32]),
        snapshot: b"state".to_vec(),
    };
    let mut batch = Batch::default();
    batch.checkpoint(&store, &kept).unwrap();
    batch.client(&store, 1024, 7, 9).unwrap();
    batch.cursor(&store, "l1", 3).unwrap();
    store.commit(batch).unwrap();
    assert_eq!(store.checkpoint(8).unwrap(), None);
    assert_eq!(store.checkpoint(20).unwrap(), Some(kept.clone()));
    assert_eq!(store.client(1024, 7).unwrap(), Some(9));
    assert_eq!(store.client(1025, 7).unwrap(), None);
    assert_eq!(store.cursor("l1").unwrap(), Some(3));
    let mut batch = Batch::default();
    let mut value = kept.to_value();
    value[70 - 2] ^= 1;
    let key = 9u64.to_be_bytes();
    batch
        .put_bytes(&store, Family::Checkpoints, &key, &value)
        .unwrap();
    store.commit(batch).unwrap();
    assert_eq!(store.checkpoint(20).unwrap_err().code(), "store.checkpoint");
}
