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

/// Refusals of accounts of which the fact holds, and of accounts of which it does not.
pub fn all() -> [Vec<Bench>; 2] {
    let cases = || cases_of_room().into_iter().chain(cases_of_state());
    let of = |account: fn(&Case) -> &Account| {
        cases()
            .map(|case| refused(2_000, Some(account(&case).clone()), &case))
            .collect()
    };
    [of(|case| &case.4), of(|case| &case.5)]
}

/// Facts that hold, of a leaf that is empty and of a system account that has no margin.
pub fn astray() -> Vec<Bench> {
    let healthy = || level(0, &[]);
    let of = |refusal| long(refusal, SPOT, healthy(), healthy());
    let system = of_kind(AccountKind::System, healthy());
    vec![
        refused(9_000, None, &of(Refusal::NotLiquidatable)),
        refused(64, Some(system), &of(Refusal::Margin)),
    ]
}

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

fn long(refusal: Refusal, instrument: InstrumentId, holds: Account, fails: Account) -> Case {
    (refusal, instrument, 5, false, holds, fails)
}

fn short(refusal: Refusal, holds: Account, fails: Account) -> Case {
    (refusal, PERP, 5, true, holds, fails)
}

/// Of owner, slots, bounds and funds.
fn cases_of_room() -> Vec<Case> {
    use Refusal::{Bounds, Funds, Owner as Other, Slots};
    let mut same = level(0, &[]);
    same.owner = Owner([8; 20]);
    let isolated = |held| of_kind(AccountKind::Isolated, level(0, &[(held, 1)]));
    let many: Vec<_> = (100..116).map(|id| (InstrumentId(id), 1)).collect();
    let wide = (1 << 60) - 5;
    let spot = |lots| level(0, &[(SPOT, lots)]);
    let perp = |cash| level(cash, &[(PERP, 10)]);
    let both = |lots| level(0, &[(SPOT, 2), (PERP, lots)]);
    let flat = |cash| level(cash, &[]);
    let sided = |lots| level(0, &[(PERP, lots)]);
    vec![
        long(Other, CASH, flat(0), same),
        long(Slots, SPOT, level(0, &many), level(0, &many[..15])),
        long(Slots, SPOT, isolated(PERP), isolated(SPOT)),
        long(Bounds, SPOT, spot(996), spot(995)),
        short(Bounds, sided(-996), sided(996)),
        long(Bounds, CASH, flat(wide), flat(wide - 1)),
        long(Funds, CASH, spot(1), level(1, &[(SPOT, 1)])),
        long(Funds, CASH, perp(100), perp(101)),
        long(Funds, SPOT, flat(9), spot(1)),
        long(Funds, SPOT, both(9), both(8)),
    ]
}

/// Of the state of a liquidation, of margin and of counters.
fn cases_of_state() -> Vec<Case> {
    use Refusal::{Bankrupt, CashOnly, Exhausted, Flagged, Held, Margin};
    use Refusal::{NotFlagged, NotHeld, NotLiquidatable, Solvent};
    let mut exhausted = level(0, &[]);
    exhausted.rest.generation = u32::MAX;
    let perp = |cash, lots| level(cash, &[(PERP, lots)]);
    let low = || perp(49, 10);
    let with_flag = || flagged(45, low());
    let spot = || level(49, &[(SPOT, 1)]);
    let flat = |cash| level(cash, &[]);
    let of = |refusal, holds, fails| long(refusal, PERP, holds, fails);
    vec![
        of(NotLiquidatable, perp(50, 10), low()),
        of(NotFlagged, low(), with_flag()),
        of(Flagged, with_flag(), low()),
        of(Bankrupt, perp(-1, 10), low()),
        of(Solvent, perp(0, 10), perp(-1, 10)),
        of(NotHeld, perp(49, -10), low()),
        of(NotHeld, spot(), low()),
        of(Held, low(), spot()),
        of(CashOnly, perp(50, 10), low()),
        of(Exhausted, exhausted, flat(0)),
        of(Margin, flat(49), flat(50)),
        short(Margin, flat(54), flat(55)),
        short(Margin, perp(54, -1), perp(54, 1)),
        long(Margin, SPOT, flat(499), flat(500)),
    ]
}

#[test]
fn each_refusal_tells_accounts_apart() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let mut wrong = Vec::new();
    for case in cases_of_room().into_iter().chain(cases_of_state()) {
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
