//! Epochs that end in two parts, and trades that are all taken or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochTrace, Plan};
use crate::queue::Service;
use crate::state::State;
use crate::testing::{TriedEpoch, World, perpetual};
use crate::types::AccountId;

/// What the epoch had planned, and what was pushed into it.
fn planned(trace: &EpochTrace) -> (Plan, Vec<Entry>) {
    let mut plan = Plan {
        fills_per_segment: 4,
        ..Plan::default()
    };
    let mut entries = Vec::new();
    for entry in &trace.entries {
        match entry {
            Entry::Absorption(absorption) => {
                plan.absorb.push(absorption.account);
                continue;
            }
            Entry::Item(served) if matches!(served.service, Service::Absorbed { .. }) => {
                plan.absorb_by_item.extend(served.item.request.account());
            }
            _ => {}
        }
        entries.push(entry.clone());
    }
    (plan, entries)
}

/// The same epoch on a shared state, sealed first and finished on a hashed one.
fn sealed(before: &State, trace: &EpochTrace) {
    let (plan, entries) = planned(trace);
    let shared = Arc::new(before.clone());
    let mut builder = EpochBuilder::begin_shared(shared, trace.round.clone(), plan).unwrap();
    for entry in entries {
        builder.push(entry).unwrap();
    }
    let (mut state, sealed) = builder.seal().unwrap();
    let touched: BTreeSet<AccountId> = sealed.touched().collect();
    let steps = trace.accounts.iter().filter(|step| step.after.is_some());
    assert_eq!(touched, steps.map(|step| step.id).collect());
    // Not hashed, and right all the same.
    assert_eq!(state.root(), trace.root_after);
    state.accounts.rehash().unwrap();
    assert_eq!(state.accounts.tree().root(), trace.accounts_after);
    let (hashed, again) = sealed.finish(before.clone()).unwrap();
    assert_eq!(
        (hashed.root(), again.root_before),
        (trace.root_after, trace.root_before)
    );
    assert_eq!(again.journal, trace.journal);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn l4_a_sealed_epoch_leaves_what_a_finished_one_leaves(
        numbers in proptest::collection::vec(any::<u64>(), 64),
    ) {
        let (mut world, _) = World::of_tries();
        let mut at = numbers.iter().cycle();
        for _ in 0..3 {
            let epoch = TriedEpoch::of(|| at.next().copied().unwrap_or(0), 12);
            let before = world.state.clone();
            let (_, trace) = world.try_epoch(&epoch).unwrap();
            sealed(&before, &trace);
        }
    }
}

#[test]
fn trades_are_taken_all_or_none() {
    let mut world = World::new(&[perpetual(1, 10_000_000)]);
    world.fund(&[
        (2_000, 100_000_000),
        (2_001, 100_000_000),
        (2_002, 1_000_000),
    ]);
    let good = world.fill(2_000, 2_001, 1, 5, 10_000_000);
    let poor = world.fill(2_002, 2_001, 1, 5, 10_000_000);
    let next = world.fill(2_000, 2_001, 1, 1, 10_000_000);
    let round = world.round();
    let state = world.state.clone();
    let mut builder = EpochBuilder::begin(&state, round, world.plan(Vec::new())).unwrap();
    let before = format!("{builder:?}");
    let (place, error) = builder
        .push_all_signed(vec![good.clone(), poor], &())
        .unwrap_err();
    assert_eq!((place, error.code()), (1, "L4.initial"));
    assert_eq!(format!("{builder:?}"), before);
    builder.push_all_signed(vec![good, next], &()).unwrap();
    let (_, trace) = builder.finish().unwrap();
    assert_eq!(trace.entries.len(), 2);
}
