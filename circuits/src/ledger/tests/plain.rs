//! Plain shapes: random accounts agree, each clause broken is refused, each hint's lie too.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tally_protocol::ledger::Facts;
use tally_protocol::orders::OrderSlot;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::types::InstrumentId;

use super::attacks::{self, start};
use super::bench::*;
use crate::bus::Traffic;
use crate::ledger::{LedgerShape, PlannedSegment};
use crate::summary::Summary;

pub const ONE: LedgerShape = LedgerShape {
    slots: 4,
    postings: 1,
    blocks: 2,
    full: false,
};
pub const MANY: LedgerShape = LedgerShape {
    slots: 4,
    postings: 3,
    blocks: 2,
    full: false,
};
pub const WIDE: LedgerShape = LedgerShape { slots: 16, ..MANY };

/// (what, which, lots): a posting in a random account's epoch.
type Move = (u8, u32, i64);

/// A random account's epoch, of the postings that the native rules take. None where it does not
/// close.
pub fn random_epoch(id: u32, cash: i64, held: &[(u32, i64)], moves: &[Move]) -> Option<Bench> {
    let held: Vec<_> = held
        .iter()
        .map(|(which, lots)| (instrument(*which), *lots))
        .collect();
    let mut distinct = held.clone();
    distinct.sort();
    distinct.dedup_by_key(|slot| slot.0);
    let known = OrderSlot {
        sequence: 4,
        hash: digest(4),
        filled: 3,
    };
    let mut bench = Bench::with_orders(id, account(cash, &distinct), &[(0, known)]);
    for &(what, which, lots) in moves {
        let named = instrument(which);
        let nonce = bench.running.rest.nonce;
        let mut facts = Facts {
            by_trading_key: what & 1 == 1,
            ..Facts::default()
        };
        let posting = match what % 8 {
            0 | 1 => bench.by_slot(which, 4 + u32::from(what / 8), named.0, lots),
            2 => bench.by_nonce(nonce, named.0, lots),
            3 => bench.by_nonce(nonce.saturating_sub(1), named.0, lots),
            4 => {
                let order = bench.by_slot(which % 2, 9, named.0, lots);
                with(order, Needs::AMEND | Needs::REDUCE_ONLY)
            }
            5 => with(bench.posting(Needs::CANCEL_ALL), Needs::default()),
            6 => with(bench.fill(named, 0, -lots.abs()), Needs::OUTFLOW),
            _ => with(bench.fill(named, lots, 0), Needs::MAY_GROW | Needs::DEPOSIT),
        };
        if !posting.needs.has(Needs::TRADING_KEY) {
            facts.by_trading_key = false;
        }
        let _ = bench.apply(posting, facts);
    }
    let closed = bench.running.close().ok()?;
    let covered = match bench.running.done.outflow {
        true => closed.totals.meets_outflow(),
        false => closed.totals.meets_initial(),
    };
    covered.then_some(bench)
}

fn instrument(which: u32) -> InstrumentId {
    InstrumentId([1, 2, 3, 4, 100, 101, 102][which as usize % 7])
}

pub fn with(mut posting: Posting, needs: Needs) -> Posting {
    posting.needs = posting.needs | needs;
    posting
}

/// Runs segments through their circuits; roots and handoffs chain and the bus is what it should be.
pub fn agree(rigs: &[Rig], benches: &[Bench]) -> Vec<PlannedSegment> {
    let shapes: Vec<LedgerShape> = rigs.iter().map(|rig| rig.ledger.shape).collect();
    let segments = planned(benches, &shapes);
    let mut traffic = Traffic::default();
    let mut last: Option<Summary> = None;
    for segment in &segments {
        let rig = rigs
            .iter()
            .find(|rig| rig.ledger.shape == segment.shape)
            .unwrap();
        let accepted = rig.check(segment).unwrap();
        rig.add_traffic(&accepted, &mut traffic);
        let summary = rig.ledger.segment.summary(|t| accepted.get(t));
        assert_eq!(summary.accounts.after, segment.accounts);
        if let Some(last) = last {
            assert_eq!(last.accounts.after, summary.accounts.before);
            assert_eq!(last.handoff.after, summary.handoff.before);
        }
        last = Some(summary);
    }
    assert_eq!(
        traffic.unmatched(),
        expected(benches, &segments).unmatched()
    );
    segments
}

#[test]
fn agrees_with_the_native_ledger() {
    let rigs = [ONE, MANY, WIDE].map(Rig::new);
    let held = prop::collection::vec((0u32..7, -20i64..20), 0..6);
    let moves = prop::collection::vec((0u8..16, 0u32..7, -15i64..15), 0..9);
    let accounts = prop::collection::vec((1_000i64..9_000, held, moves), 1..5);
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        config,
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let spans = core::cell::Cell::new(0);
    runner
        .run(&accounts, |accounts| {
            let benches: Vec<Bench> = (2_000u32..)
                .zip(&accounts)
                .filter_map(|(id, (cash, held, moves))| random_epoch(id, *cash, held, moves))
                .collect();
            if !benches.is_empty() {
                let segments = agree(&rigs, &benches);
                let handed = segments.iter().filter(|s| !s.witness.handed.is_empty());
                spans.set(spans.get() + handed.count());
            }
            Ok(())
        })
        .unwrap();
    assert!(spans.get() > 0, "no account spans segments");
}

#[test]
fn rejects_each_broken_clause() {
    let rig = Rig::new(MANY);
    let attacks = attacks::all();
    let passing = attacks.iter().filter(|(_, attack)| !rig.refuses(attack));
    let passing: Vec<&str> = passing.map(|(name, _)| *name).collect();
    assert!(passing.is_empty(), "accepted: {passing:?}");
}

/// [N4] Three changes of 2^61 and one back: each sum wraps nothing at close, but on the way.
#[test]
fn rejects_cash_that_wraps_on_the_way() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..MANY });
    let mut bench = start(100_000, &[]);
    for _ in 0..3 {
        let posting = bench.fill(PERP, 0, 1 << 61);
        bench.push_unchecked(posting, Facts::default());
    }
    let mut segment = unchecked(&bench, MANY);
    segment.witness.blocks[0].continues = true;
    assert!(rig.refuses(&segment));
    for unit in &mut segment.witness.blocks[0].units {
        unit.posting.delta_cash = 1 << 55;
    }
    assert!(!rig.refuses(&segment));
}

/// The unchecked witness of an honest epoch is accepted: what refuses above is the break.
#[test]
fn accepts_the_same_unbroken() {
    let rig = Rig::new(MANY);
    let mut bench = start(100_000, &[(PERP, 5), (REDUCING, 5)]);
    for posting in [
        bench.by_slot(5, 6, 100, 7),
        bench.by_nonce(0, 100, 7),
        with(
            bench.fill(PERP, -3, -3),
            Needs::REDUCE_ONLY | Needs::OUTFLOW,
        ),
    ] {
        bench.apply(posting, Facts::default()).unwrap();
    }
    assert!(!rig.refuses(&unchecked(&bench, MANY)));
}

#[test]
fn rejects_a_handoff_that_was_not_handed() {
    let rigs = [Rig::new(LedgerShape { blocks: 1, ..MANY })];
    let mut bench = start(100_000, &[(PERP, 5)]);
    for lots in 1..6 {
        let posting = bench.by_nonce(0, 100, lots);
        bench.apply(posting, Facts::default()).unwrap();
    }
    let segments = agree(&rigs, &[bench]);
    let rig = &rigs[0];
    // Other running cash: the digest of what was handed differs, so the join refuses it.
    let mut richer = segments[1].clone();
    richer.witness.handed[5] += crate::F::from(tally_protocol::hash::unsigned(1));
    let summary = |segment: &PlannedSegment| {
        let accepted = rig.checker.check_with_lies(&rig.inputs(segment), &[]);
        accepted
            .ok()
            .map(|accepted| rig.ledger.segment.summary(|t| accepted.get(t)))
    };
    let honest = summary(&segments[1]).unwrap();
    let richer = summary(&richer).unwrap();
    assert_ne!(honest.handoff.before, richer.handoff.before);
    // Another account, or another row in a place.
    let mut other = segments[1].clone();
    other.witness.handed[0] += tally_protocol::hash::unsigned(1);
    assert!(rig.refuses(&other), "[L1] another account");
    let mut other = segments[1].clone();
    other.witness.handed[2] += tally_protocol::hash::unsigned(1);
    assert!(rig.refuses(&other), "[S2] another row");
    // Nothing handed: an account that goes on from a state of its own.
    let mut alone = segments[1].clone();
    alone.witness.handed.clear();
    let alone = summary(&alone);
    assert!(alone.is_none_or(|alone| alone.handoff.before != honest.handoff.before));
}

/// A lie about any hint is refused or changes nothing that the segment states.
#[test]
fn pranks_about_each_hint_change_nothing() {
    let shape = LedgerShape { blocks: 1, ..MANY };
    let (rig, hints) = Rig::with_hints(shape);
    let mut bench = start(100_000, &[(PERP, 5), (SPOT, -2)]);
    for posting in [
        bench.by_slot(5, 6, 100, 7),
        bench.by_nonce(0, 2, 1),
        bench.fill(PERP, -3, -3),
    ] {
        bench.apply(posting, Facts::default()).unwrap();
    }
    prank_all(&rig, &hints, &unchecked(&bench, shape));
}

#[test]
fn pinned_rows() {
    let rows = |shape: LedgerShape| Rig::new(shape).checker.used_rows();
    let block = |shape: LedgerShape| {
        let of = |blocks| rows(LedgerShape { blocks, ..shape });
        (of(21) - of(1)) / 20
    };
    let ten = LedgerShape {
        postings: 10,
        ..MANY
    };
    assert_eq!((block(ONE), block(ten), block(WIDE)), (128, 368, 294));
}
