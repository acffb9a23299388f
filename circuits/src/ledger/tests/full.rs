//! Full shapes: everything that plain accounts never do.

use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::hash::unsigned;
use tally_protocol::ledger::Facts;
use tally_protocol::margin::liquidation_charge;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::terms::{Aux, LeafTerms, LiquidationTerms};
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::plain::{MANY, agree, with};
use crate::Config;
use crate::ledger::{LedgerSegment, LedgerShape};

pub const FULL: LedgerShape = LedgerShape {
    slots: 16,
    postings: 2,
    blocks: 2,
    full: true,
};

const PENALTY: u64 = 2;

pub type Made = (Posting, Facts);

pub fn plainly(posting: Posting) -> Made {
    (posting, Facts::default())
}

pub fn with_aux(mut posting: Posting, aux: Aux) -> Made {
    posting.aux = aux.digest();
    let facts = Facts {
        aux,
        ..Facts::default()
    };
    (posting, facts)
}

pub fn other_keys() -> Keys {
    Keys {
        key: [21, 22, 23, 24, 25].map(unsigned),
        trading_key: Default::default(),
    }
}

pub fn terms(owner: u8, keys: Keys, kind: AccountKind) -> LeafTerms {
    LeafTerms {
        owner: Owner([owner; 20]),
        keys: keys.digest(),
        kind,
    }
}

fn with_keys((posting, mut facts): Made, keys: Keys) -> Made {
    facts.keys = keys;
    (posting, facts)
}

pub fn creation(bench: &mut Bench, more: Needs) -> Made {
    let posting = Posting {
        delta_cash: 9_000,
        ..bench.posting(Needs::CREATE | Needs::OWNER | Needs::DEPOSIT | Needs::WHILE_FLAGGED | more)
    };
    let made = with_aux(
        posting,
        Aux::Leaf(terms(9, other_keys(), AccountKind::Cross)),
    );
    with_keys(made, other_keys())
}

pub fn key_change(bench: &mut Bench) -> Made {
    key_change_to(bench, other_keys())
}

fn key_change_to(bench: &mut Bench, keys: Keys) -> Made {
    let posting = Posting {
        digest: digest(55),
        place: bench.running.rest.nonce,
        ..bench.posting(Needs::NONCE | Needs::SET_KEYS)
    };
    let named = LeafTerms {
        keys: keys.digest(),
        ..LeafTerms::default()
    };
    with_keys(with_aux(posting, Aux::Leaf(named)), keys)
}

/// Takes lots off at the right charge.
pub fn liquidation(bench: &mut Bench, instrument: InstrumentId, lots: i64) -> Made {
    let row = rows().get(instrument).unwrap();
    let initial = if lots < 0 {
        row.initial_long
    } else {
        row.initial_short
    };
    let charge = liquidation_charge(&bench.running.opening.totals, initial, PENALTY);
    liquidation_at(bench, instrument, lots, charge)
}

pub fn liquidation_at(bench: &mut Bench, instrument: InstrumentId, lots: i64, charge: u64) -> Made {
    let row = rows().get(instrument).unwrap();
    let charged = lots.abs() * charge as i64;
    let posting = Posting {
        instrument,
        delta_size: lots,
        delta_cash: -charged - lots * row.value as i64,
        order_size: 4,
        ..bench.posting(Needs::LIQUIDATE | Needs::WHILE_FLAGGED)
    };
    let aux = Aux::Liquidation(LiquidationTerms {
        charge,
        penalty: PENALTY,
        flagged_at: 45,
    });
    with_aux(posting, aux)
}

pub fn absorption(bench: &mut Bench) -> Made {
    let aux = Aux::Absorbed(bench.running.absorbed_holdings());
    let posting = Posting {
        delta_cash: bench.running.absorbed_cash(),
        ..bench.posting(Needs::ABSORB | Needs::WHILE_FLAGGED | Needs::SOLE)
    };
    with_aux(posting, aux)
}

pub fn at_most(bench: &mut Bench, instrument: u32, asked: u64, paid: i64) -> Made {
    let lots = if instrument == 0 { 0 } else { -paid };
    let cash = if instrument == 0 { -paid } else { 0 };
    plainly(Posting {
        instrument: InstrumentId(instrument),
        delta_size: lots,
        delta_cash: cash,
        order_size: asked,
        ..bench.posting(Needs::AT_MOST | Needs::OUTFLOW | Needs::SOLE)
    })
}

pub fn fixed(bench: &mut Bench, place: u32, instrument: InstrumentId, lots: i64) -> Made {
    let needs = Needs::SYSTEM | Needs::FIXED_SLOT | Needs::MAY_GROW;
    plainly(Posting {
        instrument,
        delta_size: lots,
        place,
        ..bench.posting(needs)
    })
}

pub fn system(id: u32, cash: i64, held: &[(InstrumentId, i64)]) -> Bench {
    Bench::open(id, Some(of_kind(AccountKind::System, level(cash, held))))
}

pub fn cash(bench: &mut Bench, needs: Needs, delta: i64) -> Made {
    plainly(Posting {
        delta_cash: delta,
        ..bench.posting(needs)
    })
}

/// E₀ 49 and R₀ 100 with ten lots, flagged long enough.
pub fn below(cash: i64, lots: i64) -> Bench {
    Bench::open(2_001, Some(flagged(45, level(cash, &[(PERP, lots)]))))
}

/// An account on which nothing is special yet.
pub fn user(id: u32, cash: i64, held: &[(InstrumentId, i64)]) -> Bench {
    Bench::open(id, Some(level(cash, held)))
}

pub type Play<'a> = &'a dyn Fn(&mut Bench) -> Made;

pub fn played(mut bench: Bench, moves: &[Play<'_>]) -> Bench {
    for play in moves {
        let (posting, facts) = play(&mut bench);
        bench.apply(posting, facts).unwrap();
    }
    bench
}

/// Flagged, below maintenance, and two lots less.
pub fn liquidated() -> Bench {
    played(below(49, 10), &[&|b| liquidation(b, PERP, -2)])
}

/// All honest accounts of these tests.
pub fn honest() -> Vec<Bench> {
    [leaves(), distressed(), margins(), systems()].concat()
}

fn leaves() -> Vec<Bench> {
    let back = |b: &mut Bench| key_change_to(b, keys());
    let nonce = |b: &mut Bench| {
        let nonce = b.running.rest.nonce;
        plainly(b.by_nonce(nonce, 100, 7))
    };
    let moved = |b: &mut Bench| plainly(with(b.by_slot(3, 1, 1, 2), Needs::MAY_GROW));
    vec![
        played(Bench::open(9_000, None), &[&|b| creation(b, Needs::SOLE)]),
        // Made, traded with its new key and closed over two blocks.
        played(
            Bench::open(9_001, None),
            &[&|b| creation(b, Needs::default()), &nonce, &moved, &nonce],
        ),
        played(user(2_010, 9_000, &[]), &[&nonce, &key_change, &nonce]),
        // Two pairs of keys do not fit one block.
        played(
            user(2_013, 9_000, &[]),
            &[&key_change, &back, &nonce, &key_change],
        ),
        played(
            user(2_011, 9_000, &[(PERP, 2)]),
            &[&|b| {
                let posting = b.posting(Needs::OWNER | Needs::SOLE | Needs::CANCEL_ALL);
                with_aux(posting, Aux::Leaf(LeafTerms::owned_by(Owner([7; 20]))))
            }],
        ),
        user(2_012, 5, &[]),
    ]
}

fn distressed() -> Vec<Bench> {
    let sell = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, -lots);
    let buy = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, lots);
    let spot = |b: &mut Bench| liquidation(b, SPOT, -1);
    let flag = |b: &mut Bench| plainly(b.posting(Needs::FLAG | Needs::SOLE | Needs::WHILE_FLAGGED));
    let with_id = |id: u32, bench: Bench| Bench::open(id, bench.before);
    vec![
        played(user(2_020, 49, &[(PERP, 10)]), &[&flag]),
        played(with_id(2_021, below(49, 10)), &[&flag]),
        played(with_id(2_022, below(49, 10)), &[&sell(1)]),
        played(
            with_id(2_023, below(49, 10)),
            &[&sell(2), &sell(2), &sell(3)],
        ),
        played(with_id(2_024, below(15, 10)), &[&sell(1)]),
        played(with_id(2_025, below(0, 10)), &[&sell(10)]),
        played(with_id(2_026, below(53, -10)), &[&buy(1), &buy(2)]),
        played(
            Bench::open(
                2_027,
                Some(flagged(45, level(-150, &[(SPOT, 10), (PERP, 2)]))),
            ),
            &[&spot, &spot],
        ),
        played(
            with_id(2_028, below(49, 10)),
            &[&|b| {
                let (posting, facts) = liquidation(b, PERP, -4);
                (with(posting, Needs::AT_MOST | Needs::SOLE), facts)
            }],
        ),
        played(with_id(2_029, below(-3, 10)), &[&absorption]),
        played(
            Bench::open(2_030, Some(level(-90, &[(PERP, 10), (SETTLED, 3)]))),
            &[&absorption],
        ),
        // Restored by a deposit: the flag is cleared.
        played(
            with_id(2_031, below(49, 10)),
            &[&|b| cash(b, Needs::DEPOSIT | Needs::WHILE_FLAGGED, 60)],
        ),
    ]
}

fn margins() -> Vec<Bench> {
    let sells = |lots: i64, got: i64| move |b: &mut Bench| plainly(b.fill(PERP, -lots, got));
    vec![
        // Below initial, and only reducing.
        played(user(2_040, 60, &[(PERP, 10)]), &[&sells(5, 0)]),
        played(user(2_041, 60, &[(PERP, 10)]), &[&sells(1, -6)]),
        played(
            user(2_042, 60, &[(PERP, 10)]),
            &[&sells(3, -1), &sells(2, 0), &sells(5, -50)],
        ),
        // Nothing at risk, in debt, and no worse.
        played(user(2_043, -5, &[]), &[&|b| cash(b, Needs::default(), 3)]),
        played(user(2_044, -9, &[(PERP, 10)]), &[&sells(5, 5)]),
        played(
            user(2_045, 120, &[(PERP, 10)]),
            &[&|b| at_most(b, 0, 15, 15)],
        ),
        played(
            user(2_046, 120, &[(PERP, 10)]),
            &[&|b| at_most(b, 0, 90, 20)],
        ),
        played(
            user(2_047, 0, &[(SPOT, 4), (PERP, 10)]),
            &[&|b| at_most(b, 2, 4, 2)],
        ),
        // A deposited lot is no risk.
        played(
            user(2_048, 20, &[(PERP, 10)]),
            &[&|b| plainly(with(b.fill(SPOT, 1, 0), Needs::DEPOSIT))],
        ),
    ]
}

fn systems() -> Vec<Bench> {
    let hundred = InstrumentId(100);
    vec![
        played(
            system(1, 40, &[(hundred, 5)]),
            &[
                &|b| fixed(b, 9, PERP, -900),
                &|b| fixed(b, 9, PERP, -900),
                &|b| fixed(b, 0, hundred, -5),
            ],
        ),
        system(0, -7, &[(SPOT, 2)]),
        played(system(2, -5, &[]), &[&|b| cash(b, Needs::SYSTEM, 5)]),
        played(system(128, -100, &[]), &[&|b| cash(b, Needs::SYSTEM, 100)]),
        played(
            system(130, 0, &[(SPOT, -3)]),
            &[&|b| plainly(with(b.fill(SPOT, 2, 0), Needs::SYSTEM | Needs::MAY_GROW))],
        ),
        played(
            system(64, 10, &[]),
            &[&|b| cash(b, Needs::SYSTEM | Needs::OUTFLOW, -10)],
        ),
    ]
}

#[test]
fn agrees_with_the_native_ledger() {
    let rigs = [Rig::new(FULL)];
    for benches in [leaves(), distressed(), margins(), systems()] {
        agree(&rigs, &benches);
    }
}

/// Plain accounts go to plain shapes, the others to the full one; both leave one root.
#[test]
fn agrees_where_shapes_share_an_epoch() {
    let rigs = [Rig::new(MANY), Rig::new(FULL)];
    let mut benches = leaves();
    benches.extend(distressed());
    benches.extend(margins());
    let shapes: Vec<bool> = agree(&rigs, &benches)
        .iter()
        .map(|segment| segment.shape.full)
        .collect();
    assert!(shapes.contains(&true) && shapes.contains(&false));
}

/// [Q4] No dead zone: at every equity between maintenance and zero one lot can go, on either side.
#[test]
fn agrees_that_no_equity_is_beyond_liquidation() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    for (lots, step) in [(1i64, 2), (10, 7), (-10, 7)] {
        for cash in (0..5 * lots.abs()).step_by(step) {
            let bench = played(
                below(cash, lots),
                &[&|b| liquidation(b, PERP, -lots.signum())],
            );
            bench.running.close().unwrap();
            assert!(!rig.refuses(&unchecked(&bench, FULL)), "{lots} {cash}");
        }
    }
}

/// [Q6] The quote bridge shows the vault; another bridge says nothing of it.
#[test]
fn rejects_another_vault() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let opened = |id, owed: u64| {
        let bench = system(id, -owed.cast_signed(), &[]);
        let bench = played(bench, &[&|b| cash(b, Needs::SYSTEM, 0)]);
        rig.refuses(&unchecked(&bench, FULL))
    };
    assert!(!opened(128, VAULT) && !opened(129, VAULT - 1));
    assert!(opened(128, VAULT - 1) && opened(128, VAULT + 1) && opened(128, 0));
}

#[test]
fn pranks_about_each_hint_change_nothing() {
    let shape = LedgerShape { blocks: 1, ..FULL };
    let (rig, hints) = Rig::with_hints(shape);
    prank_all(&rig, &hints, &unchecked(&liquidated(), shape));
}

#[test]
fn pinned_rows() {
    let of = |blocks| Rig::new(LedgerShape { blocks, ..FULL }).checker.used_rows();
    let more = LedgerShape {
        postings: 4,
        blocks: 1,
        ..FULL
    };
    let posting = (Rig::new(more).checker.used_rows() - of(1)) / 2;
    assert_eq!(((of(9) - of(1)) / 8, posting), (415, 51));
}

/// Public inputs' hash and constants included, each fills 2^14 rows: two blocks more would not fit.
#[test]
fn pinned_production_shapes() {
    for shape in LedgerShape::ALL {
        let (builder, _) = LedgerSegment::build(shape);
        let rows = builder.rows();
        let two_blocks = 2 * rows / shape.blocks;
        assert!(rows + two_blocks > 1 << 14, "{shape:?}: {rows} rows");
        let common = builder.into_inner().mock_build::<Config>().common;
        assert_eq!(common.degree_bits(), 14, "{shape:?}: {rows} rows");
    }
}
