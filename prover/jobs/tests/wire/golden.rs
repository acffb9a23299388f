//! Files in git that decode and encode to themselves: who changes the encoding sees it here, and
//! raises the version. `TALLY_WRITE_VECTORS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tally_jobs::job::Job;
use tally_jobs::part::{BatchPlan, ProofPart};
use tally_jobs::wire::Wire;
use tally_jobs::witness::EpochWitness;

use crate::sample;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The file is the value's encoding, and decodes to what encodes to it.
fn golden<T: Wire>(name: &str, value: &T) -> String {
    let path = directory().join(name);
    let encoded = value.encode();
    if std::env::var_os("TALLY_WRITE_VECTORS").is_some() {
        fs::write(&path, &encoded).unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    assert!(bytes == encoded, "{name} is not what is encoded now");
    let decoded = T::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(decoded.encode() == bytes, "{name}");
    name.into()
}

#[test]
fn golden_files_decode_and_encode_to_themselves() {
    let mut read = BTreeSet::new();
    for witness in sample::witnesses() {
        let name = format!("epoch-{}.witness", witness.epoch());
        read.insert(golden::<EpochWitness>(&name, &witness));
    }
    for (name, job) in ["batch.job", "segment.job", "join.job"]
        .into_iter()
        .zip(sample::jobs())
    {
        read.insert(golden::<Job>(name, &job));
    }
    read.insert(golden::<ProofPart>("proof.part", &sample::part()));
    read.insert(golden::<BatchPlan>("batch.plan", &sample::plan()));
    read.insert(names_are_pinned());
    let files = fs::read_dir(directory()).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, read, "a vector that no test reads");
}

/// A change of what names a job would make finished work unknown.
fn names_are_pinned() -> String {
    let path = directory().join("names.txt");
    let ids: Vec<String> = sample::jobs()
        .iter()
        .map(|job| job.id().to_string())
        .collect();
    let address = sample::witnesses()[0].address();
    let found = format!("{}\n{address}\n", ids.join("\n"));
    if std::env::var_os("TALLY_WRITE_VECTORS").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap());
    "names.txt".into()
}

#[test]
fn a_job_is_named_by_what_it_shows() {
    let (job, mut other) = (sample::segment(1), sample::segment(1));
    other.label = "somebody else's".into();
    other.epoch.witness.0[0] ^= 1;
    assert_eq!(
        Job::Segment(job.clone()).id(),
        Job::Segment(other.clone()).id()
    );
    other.statement.circuit = "ledger_wide".into();
    assert_ne!(Job::Segment(job).id(), Job::Segment(other).id());
}

/// Every kind of entry and outcome that the tables have.
#[test]
fn traces_of_all_tables_survive_the_wire() {
    let tables = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/tables");
    let mut traces = 0;
    for file in fs::read_dir(tables).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let Ok(found) = tally_protocol::testing::run_table(&text) else {
            continue;
        };
        for trace in found {
            let bytes = postcard::to_allocvec(&trace).unwrap();
            let decoded: tally_protocol::epoch::EpochTrace = postcard::from_bytes(&bytes).unwrap();
            assert!(postcard::to_allocvec(&decoded).unwrap() == bytes);
            assert_eq!(decoded.root_after, trace.root_after);
            assert_eq!(decoded.entries, trace.entries);
            traces += 1;
        }
    }
    assert!(traces > 10, "{traces}");
}
