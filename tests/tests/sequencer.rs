//! The sequencer never accepts what the circuits would refuse: random API traffic, valid and
//! hostile, through the engine, and every epoch that it closes through all segments.

use std::collections::BTreeMap;

use tally_prover::check::Rehearsal;
use tally_prover::epoch::epoch_input;
use tally_prover::release::Sizes;
use tally_sequencer::ClosedEpoch;
use tally_sequencer::testing::traffic::Traffic;

/// The epoch's segments hold and state what the native run did; segments by circuit.
fn settle(rehearsal: &Rehearsal, seed: u64, closed: &ClosedEpoch) -> BTreeMap<String, usize> {
    let at =
        |error: &dyn std::fmt::Display| format!("seed {seed}, epoch {}: {error}", closed.epoch);
    let input = epoch_input(&closed.trace, &closed.table, &rehearsal.sizes);
    let input = input.unwrap_or_else(|error| panic!("{}", at(&error)));
    let rehearsed = rehearsal.run(&input);
    let rehearsed = rehearsed.unwrap_or_else(|error| panic!("{}", at(&error)));
    let compared = rehearsed.compare(&closed.trace, &input.words);
    compared.unwrap_or_else(|error| panic!("{}", at(&error)));
    let segments = rehearsed.segments.into_iter();
    segments
        .map(|(circuit, segments)| (circuit.to_owned(), segments))
        .collect()
}

/// Kinds of entries in an epoch.
fn kinds(closed: &ClosedEpoch) -> impl Iterator<Item = String> + '_ {
    let name = |text: String| text.split(['(', ' ']).next().unwrap_or_default().to_owned();
    closed
        .trace
        .entries
        .iter()
        .map(move |entry| name(format!("{entry:?}")))
}

#[test]
fn epochs_of_random_traffic_settle_in_the_circuits() {
    let rehearsal = Rehearsal::new(Sizes::small());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in [3, 42] {
        let mut traffic = Traffic::new(seed);
        for _ in 0..STEPS {
            traffic.step();
        }
        traffic.rig.round().result.unwrap();
        let mut head = None;
        for closed in &traffic.rig.closed {
            assert!(head.is_none_or(|head| head == closed.trace.root_before));
            head = Some(closed.root);
            settle(&rehearsal, seed, closed);
            for kind in kinds(closed) {
                *seen.entry(kind).or_default() += 1;
            }
        }
    }
    for kind in KINDS {
        assert!(seen.contains_key(kind), "{seen:?}");
    }
}

const STEPS: usize = 400;

/// Kinds of entries that the traffic must reach.
const KINDS: [&str; 11] = [
    "Fill",
    "Cancel",
    "Item",
    "Flag",
    "Liquidation",
    "Absorption",
    "Unwind",
    "Withdraw",
    "Transfer",
    "CancelAll",
    "KeyChange",
];
