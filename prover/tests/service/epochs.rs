//! A witness that went over the wire keeps every constraint: what the prover decodes is what the
//! sequencer meant. The files are the golden ones of `prover/jobs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tally_jobs::{DirectoryInbox, EpochWitness, Inbox, Wire};
use tally_prover::check::Rehearsal;
use tally_prover::release::Sizes;
use tally_prover::service::InboxEpochs;
use tally_prover::work::Epochs;

#[test]
fn a_decoded_witness_satisfies_the_circuits() {
    let directory = tempfile::tempdir().unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/vectors");
    let inbox = DirectoryInbox::open(directory.path()).unwrap();
    let rehearsal = Rehearsal::new(Sizes::small());
    let epochs = InboxEpochs::new(&inbox, Sizes::small());
    for epoch in [1, 2] {
        let bytes = fs::read(vectors.join(format!("epoch-{epoch}.witness"))).unwrap();
        let witness = EpochWitness::decode(&bytes).unwrap();
        let at = inbox.put(&witness).unwrap();
        let input = epochs.input(at).unwrap();
        let rehearsed = rehearsal
            .run(&input)
            .unwrap_or_else(|error| panic!("{epoch}: {error}"));
        rehearsed.compare(&witness.trace, &input.words).unwrap();
        assert!(
            Arc::ptr_eq(&input, &epochs.input(at).unwrap()),
            "it is held"
        );
    }
    let mut other = inbox.bytes(1).unwrap().unwrap().0;
    other.witness.0[0] ^= 1;
    let code = |at| epochs.input(at).map(drop).unwrap_err().code().to_owned();
    assert_eq!(code(other), "inbox.address");
    other.epoch = 3;
    assert_eq!(code(other), "prove.missing");
}
