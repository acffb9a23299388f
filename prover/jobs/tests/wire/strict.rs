//! What decoding refuses, by name.

use tally_jobs::job::{Job, MAX_EXPECTED};
use tally_jobs::part::{BatchPlan, ProofPart};
use tally_jobs::wire::Wire;
use tally_jobs::witness::EpochWitness;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::hash::unsigned;

use crate::sample;

fn code<T: Wire>(bytes: &[u8]) -> &'static str {
    match T::decode(bytes) {
        Ok(_) => "decoded",
        Err(error) => error.code(),
    }
}

#[test]
fn frames_are_refused_by_name() {
    let bytes = sample::part().encode();
    let with = |at: usize, byte: u8| {
        let mut lie = bytes.clone();
        lie[at] = byte;
        code::<ProofPart>(&lie)
    };
    assert_eq!(with(0, b'x'), "wire.magic");
    assert_eq!(with(9, 2), "wire.kind");
    assert_eq!(with(11, 9), "wire.version");
    for cut in 0..bytes.len() {
        assert_eq!(code::<ProofPart>(&bytes[..cut]), "wire.short", "{cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(code::<ProofPart>(&longer), "wire.trailing");
    assert_eq!(code::<Job>(&bytes), "wire.kind");
}

#[test]
fn a_value_has_one_encoding() {
    // The length of a batch's list of epochs follows the variant and the release.
    let bytes = Job::Batch(sample::batch()).encode();
    let at = 12 + 1 + 32;
    assert_eq!(bytes[at], 2);
    let longer = [&bytes[..at], &[0x82, 0], &bytes[at + 1..]].concat();
    assert!(["wire.canonical", "wire.malformed"].contains(&code::<Job>(&longer)));
    // A length beyond the bytes allocates nothing like it.
    let lie = [&bytes[..at], &[0xff, 0xff, 0xff, 0x7f], &bytes[at + 1..]].concat();
    assert_eq!(code::<Job>(&lie), "wire.short");

    let bytes = Job::Segment(sample::segment(1)).encode();
    let element = 0x1234u64.to_le_bytes();
    let at = bytes.windows(8).position(|it| it == element).unwrap();
    let other = (FIELD_ORDER + 0x1234).to_le_bytes();
    let lie = [&bytes[..at], &other, &bytes[at + 8..]].concat();
    assert_eq!(code::<Job>(&lie), "wire.value");
}

#[test]
fn jobs_keep_their_bounds() {
    let mut job = sample::batch();
    job.epochs[1].epoch = 9;
    assert_eq!(
        code::<Job>(&Job::Batch(job.clone()).encode()),
        "wire.epochs"
    );
    job.epochs.clear();
    assert_eq!(code::<Job>(&Job::Batch(job).encode()), "wire.epochs");

    let mut job = sample::segment(0);
    job.statement.expected = vec![unsigned(1); MAX_EXPECTED + 1];
    assert_eq!(
        code::<Job>(&Job::Segment(job.clone()).encode()),
        "wire.bound"
    );
    job.statement.expected.clear();
    job.label = "x".repeat(65);
    assert_eq!(code::<Job>(&Job::Segment(job).encode()), "wire.bound");

    let mut job = sample::join();
    job.children[0].statement.circuit = "ledger_wide".into();
    assert_eq!(code::<Job>(&Job::Join(job.clone()).encode()), "wire.child");
    job.children.clear();
    assert_eq!(code::<Job>(&Job::Join(job).encode()), "wire.children");

    let mut plan = sample::plan();
    plan.jobs.swap(0, 2);
    assert_eq!(code::<BatchPlan>(&plan.encode()), "wire.plan");
    plan.jobs.clear();
    assert_eq!(code::<BatchPlan>(&plan.encode()), "wire.plan");
}

#[test]
fn witnesses_keep_their_bounds() {
    type Lie = (&'static str, fn(&mut EpochWitness));
    let lies: [Lie; 11] = [
        ("wire.depth", |w| {
            w.trace.accounts[0].path.pop();
        }),
        ("wire.depth", |w| w.trace.accounts[0].id.0 |= 1 << 28),
        ("wire.depth", |w| {
            w.trace.rows[0].path.pop();
        }),
        ("wire.depth", |w| w.trace.rows[0].number = 1 << 10),
        ("wire.order", |w| w.trace.accounts.swap(0, 1)),
        ("wire.index", |w| {
            w.trace.journal.starts.pop();
        }),
        ("wire.index", |w| w.trace.journal.starts[0] = usize::MAX),
        ("wire.index", |w| {
            w.trace.journal.segments[0].entries[0] = 99
        }),
        ("wire.root", |w| w.trace.header_before.deficit += 1),
        ("wire.root", |w| w.trace.accounts_after = sample::digest(5)),
        ("wire.root", |w| {
            w.trace.context.header_after = sample::digest(5)
        }),
    ];
    let honest = sample::witnesses().pop().unwrap();
    assert_eq!(code::<EpochWitness>(&honest.encode()), "decoded");
    for (expected, lie) in lies {
        let mut witness = honest.clone();
        lie(&mut witness);
        assert_eq!(code::<EpochWitness>(&witness.encode()), expected);
    }
    let other = sample::witnesses().remove(0);
    let mut witness = honest;
    witness.trace.round = other.trace.round;
    witness.before = tally_protocol::table::Table::genesis();
    assert_eq!(code::<EpochWitness>(&witness.encode()), "wire.root");
}

/// Whatever a byte becomes: an error, or another value with this encoding; never a panic.
#[test]
fn no_byte_of_a_witness_breaks_the_decoder() {
    let honest = sample::witnesses().pop().unwrap().encode();
    let mut refused = 0;
    for at in (0..honest.len()).step_by(53) {
        let mut lie = honest.clone();
        lie[at] ^= 0x81;
        match EpochWitness::decode(&lie) {
            Ok(witness) => assert!(witness.encode() == lie, "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10, "{refused}");
    for cut in (0..honest.len()).step_by(509) {
        assert!(
            EpochWitness::decode(&honest[..cut]).is_err(),
            "cut at {cut}"
        );
    }
}
