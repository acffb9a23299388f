//! The inbox keeps what was put, once.

use std::fs;

use tally_jobs::inbox::{DirectoryInbox, Inbox};
use tally_jobs::wire::Wire;

use crate::sample;

#[test]
fn an_inbox_keeps_the_first_witness_of_an_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = DirectoryInbox::open(directory.path().join("inbox")).unwrap();
    let witnesses = sample::witnesses();
    let first = inbox.put(&witnesses[0]).unwrap();
    assert_eq!(inbox.put(&witnesses[0]).unwrap(), first, "again is nothing");
    assert_eq!(first.witness, witnesses[0].address());
    let second = inbox.put(&witnesses[1]).unwrap();
    let mut other = witnesses[0].clone();
    other.trace.group_equity += 1;
    assert_eq!(inbox.put(&other).unwrap_err().code(), "inbox.other");
    assert_eq!(inbox.epochs().unwrap(), [first.epoch, second.epoch]);

    let opened = inbox.open(first).unwrap().unwrap();
    assert!(opened.encode() == witnesses[0].encode());
    let mut asked = first;
    asked.witness.0[0] ^= 1;
    assert_eq!(inbox.open(asked).unwrap_err().code(), "inbox.address");
    asked.epoch = 99;
    assert!(inbox.open(asked).unwrap().is_none());
    assert!(inbox.remove(first.epoch).unwrap() && !inbox.remove(first.epoch).unwrap());
}

#[test]
fn what_lies_under_a_wrong_name_or_is_cut_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = DirectoryInbox::open(directory.path()).unwrap();
    let witness = sample::witnesses().remove(0);
    let there = inbox.put(&witness).unwrap();
    let path = |epoch: u32| directory.path().join(format!("epoch-{epoch:010}.witness"));
    fs::rename(path(there.epoch), path(55)).unwrap();
    let (asked, bytes) = inbox.bytes(55).unwrap().unwrap();
    assert_eq!(inbox.open(asked).unwrap_err().code(), "inbox.epoch");
    fs::write(path(55), &bytes[..bytes.len() - 1]).unwrap();
    let (asked, _) = inbox.bytes(55).unwrap().unwrap();
    assert_eq!(inbox.open(asked).unwrap_err().code(), "wire.short");
    // Other files are not epochs.
    for name in ["epoch-7.witness", "epoch-0000000007.partial-1", "notes"] {
        fs::write(directory.path().join(name), b"").unwrap();
    }
    assert_eq!(inbox.epochs().unwrap(), [55]);
}
