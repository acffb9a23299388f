//! Random postings, good and bad, on random accounts: the circuit takes exactly those epochs that
//! the native ledger takes.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tally_protocol::account::{Account, AccountKind};
use tally_protocol::ledger::Facts;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::terms::{Aux, LiquidationTerms};
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::full::{FULL, Made, absorption, at_most, liquidation, plainly, with_aux};
use super::plain::with;
use crate::ledger::LedgerShape;

/// (what, which instrument, lots, cash)
type Move = (u8, usize, i64, i64);

const INSTRUMENTS: [InstrumentId; 5] = [PERP, SPOT, REDUCING, CLAMPED, SETTLED];

fn make(bench: &mut Bench, &(what, which, lots, cash): &Move) -> Made {
    let instrument = INSTRUMENTS[which];
    let lots = if lots == 0 { 1 } else { lots };
    let fill = |bench: &mut Bench| bench.fill(instrument, lots, cash);
    let liquidate = |bench: &mut Bench| liquidation(bench, instrument, lots);
    match what {
        0..4 => plainly(fill(bench)),
        4 => plainly(with(fill(bench), Needs::REDUCE_ONLY)),
        5 => plainly(with(fill(bench), Needs::OUTFLOW)),
        6 => plainly(with(fill(bench), Needs::MAY_GROW | Needs::DEPOSIT)),
        7 => plainly(bench.posting(Needs::FLAG | Needs::WHILE_FLAGGED)),
        8..11 => liquidate(bench),
        11 => {
            let (posting, facts) = liquidate(bench);
            (with(posting, Needs::AT_MOST | Needs::SOLE), facts)
        }
        12 => {
            let (posting, facts) = liquidate(bench);
            let Aux::Liquidation(terms) = facts.aux else {
                return (posting, facts);
            };
            let charge = terms.charge.saturating_add_signed(cash % 2);
            with_aux(
                posting,
                Aux::Liquidation(LiquidationTerms { charge, ..terms }),
            )
        }
        13 => absorption(bench),
        14 => at_most(bench, 0, 20, cash.abs() % 21),
        _ => at_most(bench, 2, 3, lots.abs() % 4),
    }
}

fn before(cash: i64, held: &[(usize, i64)], flagged_at: u32, is_isolated: bool) -> Account {
    let mut slots: Vec<_> = held
        .iter()
        .map(|(i, lots)| (INSTRUMENTS[*i], *lots))
        .collect();
    // Spot is never held short in version 1.
    for (_, lots) in slots.iter_mut().filter(|slot| slot.0 == SPOT) {
        *lots = lots.abs();
    }
    slots.retain(|slot| slot.1 != 0);
    slots.sort();
    slots.dedup_by_key(|slot| slot.0);
    let account = flagged(flagged_at, level(cash, &slots));
    match is_isolated && slots.len() < 2 {
        true => of_kind(AccountKind::Isolated, account),
        false => account,
    }
}

/// The native verdict, with every posting in the bench whatever it says of it.
fn native(bench: &mut Bench, moves: &[Move]) -> bool {
    let mut accepted = true;
    for step in moves {
        let (posting, facts): (Posting, Facts) = make(bench, step);
        // [N3] is the journal's: here it never fails.
        accepted &= match bench.apply(posting.clone(), facts.clone()) {
            Ok(()) => true,
            Err(_) => {
                bench.push_unchecked(posting, facts);
                false
            }
        };
    }
    accepted && bench.running.close().is_ok()
}

type Epoch = (i64, Vec<(usize, i64)>, u32, bool, Vec<Move>);

fn epochs() -> impl Strategy<Value = Epoch> {
    let held = prop::collection::vec((0usize..5, -12i64..13), 0..4);
    let moves = prop::collection::vec((0u8..16, 0usize..5, -6i64..7, -40i64..41), 1..3);
    let flags = prop::sample::select(vec![0u32, 33, 45, 45]);
    (-120i64..220, held, flags, any::<bool>(), moves)
}

/// Random accounts, most of which break something.
pub fn random(count: usize) -> Vec<Bench> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let one = |_| {
        let tree = epochs().new_tree(&mut runner).unwrap();
        let (cash, held, flagged_at, is_isolated, moves) = tree.current();
        let leaf = before(cash, &held, flagged_at, is_isolated);
        let mut bench = Bench::open(2_000, Some(leaf));
        native(&mut bench, &moves);
        bench
    };
    (0..count).map(one).collect()
}

#[test]
fn the_circuit_takes_what_the_native_ledger_takes_and_nothing_else() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let config = Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let taken = Cell::new(0);
    TestRunner::new_with_rng(config, rng)
        .run(&epochs(), |(cash, held, flagged_at, is_isolated, moves)| {
            let leaf = before(cash, &held, flagged_at, is_isolated);
            let mut bench = Bench::open(2_000, Some(leaf));
            let natively = native(&mut bench, &moves);
            let circuit = !rig.refuses(&unchecked(&bench, FULL));
            prop_assert_eq!(natively, circuit);
            taken.set(taken.get() + usize::from(natively));
            Ok(())
        })
        .unwrap();
    assert!((30..540).contains(&taken.get()), "{} taken", taken.get());
}
