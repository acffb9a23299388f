//! Colluding users who try everything at once (`testing::TriedEpoch`). Most of it is refused; of
//! what is not, each epoch shows that
//! - it closes, and the trial balance is zero \[S8\], \[T8\];
//! - at the epoch's marks no account loses more than it has: E₁ ≥ min(0, E₀) \[L4\], \[L5\];
//! - what L1 pays is what left the bridges, and no bridge owns \[J3\], \[S6\].

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::bounds::BRIDGE_ACCOUNTS;
use crate::entry::Entry;
use crate::epoch::EpochTrace;
use crate::ledger::{Context, MarginRows, Running};
use crate::listing::row_of;
use crate::queue::{Deposit, Request, Service};
use crate::state::State;
use crate::terms::CASH;
use crate::testing::{TriedEpoch, World, label};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId};

fn epochs() -> impl Strategy<Value = Vec<TriedEpoch>> {
    let numbers = prop::collection::vec(any::<u64>(), 120);
    let epoch = (0usize..16, numbers).prop_map(|(tries, numbers)| {
        let mut numbers = numbers.into_iter();
        TriedEpoch::of(|| numbers.next().unwrap_or_default(), tries)
    });
    prop::collection::vec(epoch, 1..8)
}

fn run(epochs: &[TriedEpoch]) -> usize {
    let (mut world, _) = World::of_tries();
    let mut accepted = 0;
    for epoch in epochs {
        let before = world.state.clone();
        let (taken, trace) = world.try_epoch(epoch).expect("an accepted journal closes");
        trial_balance::check(&world.state).unwrap();
        check_equities(&trace);
        check_bridges(&before, &world.state, &trace);
        accepted += taken;
    }
    accepted
}

fn check_equities(trace: &EpochTrace) {
    let rows: MarginRows = trace.rows.iter().map(|row| row.margin()).collect();
    let context = Context {
        epoch: u32::MAX,
        flag_expiry: 256,
    };
    for step in trace.accounts.iter().filter(|step| !step.id.is_system()) {
        let Some(after) = &step.after else {
            continue;
        };
        let now = Running::open(context, step.id, Some(after), &rows).unwrap();
        let (before, now) = (step.opening.totals.equity, now.opening.totals.equity);
        assert!(now >= before.min(0), "{before} to {now}: {step:?}");
    }
}

fn check_bridges(before: &State, after: &State, trace: &EpochTrace) {
    for (asset, instrument) in [(0, CASH), (3, InstrumentId(3))] {
        let id = AccountId(BRIDGE_ACCOUNTS + asset);
        let held = |state: &State| {
            let money = &state.accounts.account(id).unwrap().money;
            let lots = money.slots.first().unwrap().signed_size();
            if asset == 0 { money.cash } else { lots }
        };
        assert!(held(after) <= 0);
        let paid: u64 = trace
            .journal
            .withdrawals
            .iter()
            .filter(|record| record.asset == asset)
            .map(|record| record.amount)
            .sum();
        let deposited: i64 = trace
            .accounts
            .iter()
            .flat_map(|step| &step.postings)
            .map(|step| &step.posting)
            .filter(|p| p.kind == crate::posting::PostingKind::Deposit)
            .filter(|p| p.instrument == instrument)
            .map(|p| {
                if asset == 0 {
                    p.delta_cash
                } else {
                    p.delta_size
                }
            })
            .sum();
        // What is refused never came in.
        let returned = trace.entries.iter().filter_map(refused_deposit);
        let returned: u64 = returned
            .filter(|deposit| row_of(deposit.instrument.0) == asset)
            .map(|deposit| deposit.amount)
            .sum();
        let left = (paid - returned).cast_signed();
        assert_eq!(held(after) - held(before), left - deposited);
    }
}

fn refused_deposit(entry: &Entry) -> Option<Deposit> {
    let Entry::Item(served) = entry else {
        return None;
    };
    match (&served.item.request, &served.service) {
        (Request::Deposit(deposit), Service::Refused(_)) => Some(*deposit),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn s8_l4_whatever_is_tried_nothing_is_minted_or_owed_anew(epochs in epochs()) {
        run(&epochs);
    }
}

/// The tries are not all refused: every kind of entry is among what is accepted, and every way in
/// which an item ends.
#[test]
fn what_is_tried_reaches_every_kind() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut found = BTreeMap::new();
    for _ in 0..60 {
        let (mut world, _) = World::of_tries();
        for _ in 0..6 {
            let epoch = TriedEpoch::of(|| rng.next_u64(), 16);
            let (_, trace) = world.try_epoch(&epoch).unwrap();
            for entry in &trace.entries {
                *found.entry(label(entry)).or_insert(0) += 1;
            }
        }
    }
    for kind in [
        "Fill",
        "Liquidation",
        "Unwind",
        "Absorption",
        "Absorb done",
        "Transfer",
        "Withdraw",
    ] {
        assert!(found.contains_key(kind), "{kind}: {found:#?}");
    }
    assert!(found.len() >= 40, "{found:#?}");
}
