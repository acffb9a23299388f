//! [J4]: each refusal is accepted where its fact holds and refused where it does not.

use tally_protocol::account::{Account, AccountKind, Keys, Owner};
use tally_protocol::posting::{Needs, Posting, Refusal};
use tally_protocol::terms::Aux;
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::full::{FULL, terms, with_aux};
use crate::ledger::LedgerShape;

const CASH: InstrumentId = InstrumentId(0);

/// (fact, instrument, amount, short, the account of which it holds, one of which it does not)
type Case = (Refusal, InstrumentId, u64, bool, Account, Account);

fn refused(id: u32, before: Option<Account>, case: &Case) -> Bench {
    let mut bench = Bench::open(id, before);
    let posting = Posting {
        instrument: case.1,
        place: case.0 as u32,
        order_size: case.2,
        sequence: case.3.into(),
        ..bench.posting(Needs::REFUSED | Needs::SOLE | Needs::WHILE_FLAGGED)
    };
    let aux = Aux::Leaf(terms(8, Keys::default(), AccountKind::Cross));
    let (posting, facts) = with_aux(posting, aux);
    bench.push_unchecked(posting, facts);
    bench
}

fn cases() -> Vec<Case> {
    let mut same = level(0, &[]);
    same.owner = Owner([8; 20]);
    let mut exhausted = level(0, &[]);
    exhausted.rest.generation = u32::MAX;
    let isolated = |held| of_kind(AccountKind::Isolated, level(0, held));
    let many: Vec<_> = (100..116).map(|id| (InstrumentId(id), 1)).collect();
    let low = || level(49, &[(PERP, 10)]);
    let high = || level(50, &[(PERP, 10)]);
    let bankrupt = || level(-1, &[(PERP, 10)]);
    let with_flag = || flagged(45, low());
    let wide = (1 << 60) - 5;
    let held = |lots| level(0, &[(SPOT, 2), (PERP, lots)]);
    let of = |refusal, holds, fails| (refusal, PERP, 5, false, holds, fails);
    let (one_perp, one_spot) = (isolated(&[(PERP, 1)]), isolated(&[(SPOT, 1)]));
    vec![
        (Refusal::Owner, CASH, 5, false, level(0, &[]), same),
        (
            Refusal::Slots,
            SPOT,
            5,
            false,
            level(0, &many),
            level(0, &many[..15]),
        ),
        (Refusal::Slots, SPOT, 5, false, one_perp, one_spot),
        (
            Refusal::Bounds,
            SPOT,
            5,
            false,
            level(0, &[(SPOT, 996)]),
            level(0, &[(SPOT, 995)]),
        ),
        (
            Refusal::Bounds,
            PERP,
            5,
            true,
            level(0, &[(PERP, -996)]),
            level(0, &[(PERP, 996)]),
        ),
        (
            Refusal::Bounds,
            CASH,
            5,
            false,
            level(wide, &[]),
            level(wide - 1, &[]),
        ),
        (
            Refusal::Funds,
            CASH,
            5,
            false,
            level(0, &[(SPOT, 1)]),
            level(1, &[(SPOT, 1)]),
        ),
        (
            Refusal::Funds,
            CASH,
            5,
            false,
            level(100, &[(PERP, 10)]),
            level(101, &[(PERP, 10)]),
        ),
        (
            Refusal::Funds,
            SPOT,
            5,
            false,
            level(9, &[]),
            level(0, &[(SPOT, 1)]),
        ),
        (Refusal::Funds, SPOT, 5, false, held(9), held(8)),
        of(Refusal::NotLiquidatable, high(), low()),
        of(Refusal::NotFlagged, low(), with_flag()),
        of(Refusal::Flagged, with_flag(), low()),
        of(Refusal::Bankrupt, bankrupt(), low()),
        of(Refusal::Solvent, level(0, &[(PERP, 10)]), bankrupt()),
        of(Refusal::NotHeld, level(49, &[(PERP, -10)]), low()),
        of(Refusal::NotHeld, level(49, &[(SPOT, 1)]), low()),
        of(Refusal::Held, low(), level(49, &[(SPOT, 1)])),
        of(Refusal::CashOnly, high(), low()),
        of(Refusal::Exhausted, exhausted, level(0, &[])),
        of(Refusal::Margin, level(49, &[]), level(50, &[])),
        (
            Refusal::Margin,
            PERP,
            5,
            true,
            level(54, &[]),
            level(55, &[]),
        ),
        (
            Refusal::Margin,
            PERP,
            5,
            true,
            level(54, &[(PERP, -1)]),
            level(54, &[(PERP, 1)]),
        ),
        (
            Refusal::Margin,
            SPOT,
            5,
            false,
            level(499, &[]),
            level(500, &[]),
        ),
    ]
}

#[test]
fn each_refusal_tells_accounts_apart() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let mut wrong = Vec::new();
    for case in cases() {
        let name = (case.0, case.1, case.3);
        let agrees = |before: Option<Account>, holds: bool| {
            let bench = refused(2_000, before, &case);
            let unit = bench.units[0].clone();
            let mut native = Bench::open(2_000, bench.before.clone());
            let natively = native.apply(unit.posting, unit.facts).is_ok();
            let circuit = !rig.refuses(&unchecked(&bench, FULL));
            natively == holds && circuit == holds
        };
        for (before, holds) in [
            (Some(case.4.clone()), true),
            (Some(case.5.clone()), false),
            (None, false),
        ] {
            if !agrees(before, holds) {
                wrong.push((name, holds));
            }
        }
    }
    let empty = (Refusal::Empty, CASH, 5, false, level(0, &[]), level(0, &[]));
    for (before, holds) in [(None, true), (Some(level(0, &[])), false)] {
        let bench = refused(2_000, before, &empty);
        if rig.refuses(&unchecked(&bench, FULL)) == holds {
            wrong.push(((Refusal::Empty, CASH, false), holds));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_refusal_changes_nothing_and_comes_alone() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let case = (Refusal::Funds, CASH, 5, false, level(0, &[]), level(0, &[]));
    type Change = fn(&mut Posting);
    let changes: [(&str, Change); 6] = [
        ("cash", |p| p.delta_cash = 1),
        ("lots", |p| {
            p.instrument = PERP;
            p.delta_size = 1;
        }),
        ("not alone", |p| p.needs = Needs::REFUSED),
        ("no reason", |p| p.place = 0),
        ("an unknown reason", |p| p.place = 99),
        ("another reason", |p| p.place = Refusal::Flagged as u32),
    ];
    for (name, change) in changes {
        let mut bench = refused(2_000, Some(case.4.clone()), &case);
        change(&mut bench.units[0].posting);
        assert!(rig.refuses(&unchecked(&bench, FULL)), "[J4] {name}");
    }
    // What it would have needed, it does not: no owner, no signature, no order.
    let mut bench = refused(2_000, Some(case.4.clone()), &case);
    let posting = &mut bench.units[0].posting;
    posting.needs = posting.needs | Needs::OWNER | Needs::OUTFLOW | Needs::NONCE | Needs::FLAG;
    assert!(!rig.refuses(&unchecked(&bench, FULL)));
}
