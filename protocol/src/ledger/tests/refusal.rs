//! \[J4\]: each refusal is accepted where its fact holds and refused where it does not.

use super::*;
use crate::posting::Refusal;

struct Item {
    refusal: Refusal,
    instrument: InstrumentId,
    amount: u64,
    short: bool,
}

fn item(refusal: Refusal, instrument: InstrumentId, amount: u64) -> Item {
    Item {
        refusal,
        instrument,
        amount,
        short: false,
    }
}

fn refuse(bench: &mut Bench, item: &Item) -> Outcome {
    let posting = Posting {
        instrument: item.instrument,
        place: item.refusal as u32,
        order_size: item.amount,
        sequence: item.short.into(),
        ..bench.posting(Needs::REFUSED | Needs::SOLE)
    };
    let (posting, facts) = with_aux(posting, leaf_terms(8, &Keys::default(), AccountKind::Cross));
    bench.apply(&posting, &facts)
}

/// The fact holds of the first account and not of the second.
fn tells_apart(item: Item, holds: Account, fails: Account) {
    refuse(&mut Bench::open(&holds), &item).unwrap();
    assert_eq!(code(refuse(&mut Bench::open(&fails), &item)), "J4.refusal");
    assert_eq!(code(refuse(&mut Bench::empty(), &item)), "S2.missing");
}

const CASH: InstrumentId = InstrumentId(0);

#[test]
fn j4_refused_for_an_empty_leaf() {
    refuse(&mut Bench::empty(), &item(Refusal::Empty, CASH, 5)).unwrap();
    let mut there = Bench::open(&account(0, &[]));
    let outcome = refuse(&mut there, &item(Refusal::Empty, CASH, 5));
    assert_eq!(code(outcome), "J4.refusal");
}

#[test]
fn j4_refused_for_the_owner() {
    let mut same = account(0, &[]);
    same.owner = owner(8);
    tells_apart(item(Refusal::Owner, CASH, 5), account(0, &[]), same);
}

#[test]
fn j4_refused_for_want_of_a_slot_or_of_bounds() {
    let full: Vec<_> = (100..116).map(|id| (InstrumentId(id), 1)).collect();
    let slots = || item(Refusal::Slots, SPOT, 5);
    tells_apart(slots(), account(0, &full), account(0, &full[..15]));
    tells_apart(
        slots(),
        isolated(0, &[(PERP, 1)]),
        isolated(0, &[(SPOT, 1)]),
    );
    let bounds = || item(Refusal::Bounds, SPOT, 5);
    tells_apart(
        bounds(),
        account(0, &[(SPOT, 996)]),
        account(0, &[(SPOT, 995)]),
    );
    let cash = (1 << 60) - 5;
    let bounds = item(Refusal::Bounds, CASH, 5);
    tells_apart(bounds, account(cash, &[]), account(cash - 1, &[]));
}

#[test]
fn j4_refused_for_want_of_funds() {
    let cash = || item(Refusal::Funds, CASH, 5);
    tells_apart(cash(), account(0, &[(SPOT, 1)]), account(1, &[(SPOT, 1)]));
    tells_apart(
        cash(),
        account(100, &[(PERP, 10)]),
        account(101, &[(PERP, 10)]),
    );
    let spot = || item(Refusal::Funds, SPOT, 5);
    tells_apart(spot(), account(9, &[]), account(0, &[(SPOT, 1)]));
    let held = |lots| [(SPOT, 2), (PERP, lots)];
    tells_apart(spot(), account(0, &held(9)), account(0, &held(8)));
}

#[test]
fn j4_refused_for_the_state_of_a_liquidation() {
    let refused = |refusal| item(refusal, PERP, 5);
    let low = || account(49, &[(PERP, 10)]);
    let high = || account(50, &[(PERP, 10)]);
    let bankrupt = || account(-1, &[(PERP, 10)]);
    let with_flag = || flagged(49, &[(PERP, 10)], 45);
    tells_apart(refused(Refusal::NotLiquidatable), high(), low());
    tells_apart(refused(Refusal::NotFlagged), low(), with_flag());
    tells_apart(refused(Refusal::Flagged), with_flag(), low());
    tells_apart(refused(Refusal::Bankrupt), bankrupt(), low());
    tells_apart(
        refused(Refusal::Solvent),
        account(0, &[(PERP, 10)]),
        bankrupt(),
    );
    tells_apart(
        refused(Refusal::NotHeld),
        account(49, &[(PERP, -10)]),
        low(),
    );
    tells_apart(refused(Refusal::Held), low(), account(49, &[(SPOT, 1)]));
    tells_apart(refused(Refusal::CashOnly), high(), low());
}

#[test]
fn j4_refused_for_want_of_margin() {
    let margin = |instrument, short| Item {
        short,
        ..item(Refusal::Margin, instrument, 5)
    };
    tells_apart(margin(PERP, false), account(49, &[]), account(50, &[]));
    tells_apart(margin(PERP, true), account(49, &[]), account(50, &[]));
    tells_apart(
        margin(PERP, true),
        account(49, &[(PERP, -1)]),
        account(49, &[(PERP, 1)]),
    );
    tells_apart(margin(SPOT, false), account(499, &[]), account(500, &[]));
}

#[test]
fn j4_a_refusal_changes_nothing_and_comes_alone() {
    let mut bench = Bench::open(&account(0, &[]));
    let base = Posting {
        place: Refusal::Funds as u32,
        ..bench.posting(Needs::REFUSED | Needs::SOLE)
    };
    for moved in [
        Posting {
            delta_cash: 1,
            ..base.clone()
        },
        Posting {
            delta_size: 1,
            ..base.clone()
        },
        Posting {
            needs: Needs::REFUSED,
            ..base.clone()
        },
        Posting {
            place: 0,
            ..base.clone()
        },
        Posting {
            place: 99,
            ..base.clone()
        },
    ] {
        assert_eq!(code(bench.apply(&moved, &Facts::default())), "J4.refusal");
    }
    bench.apply(&base, &Facts::default()).unwrap();
    bench.close();
}

fn at_most(bench: &mut Bench, instrument: InstrumentId, asked: u64, paid: i64) -> &'static str {
    let (delta_size, delta_cash) = if instrument == CASH {
        (0, -paid)
    } else {
        (-paid, 0)
    };
    let posting = Posting {
        instrument,
        delta_size,
        delta_cash,
        order_size: asked,
        ..bench.posting(Needs::AT_MOST | Needs::OUTFLOW | Needs::SOLE)
    };
    bench.apply(&posting, &Facts::default()).unwrap();
    bench
        .running
        .close()
        .map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn j4_a_withdrawal_pays_the_most_that_margin_allows() {
    let pays = |asked, paid| {
        let mut bench = Bench::open(&account(120, &[(PERP, 10)]));
        at_most(&mut bench, CASH, asked, paid)
    };
    assert_eq!(pays(15, 15), "ok");
    assert_eq!(pays(15, 14), "J4.at_most");
    assert_eq!(pays(15, 16), "J4.at_most");
    assert_eq!(pays(90, 20), "ok");
    assert_eq!(pays(90, 19), "J4.at_most");
    assert_eq!(pays(90, 21), "L4.outflow");
    assert_eq!(pays(90, 0), "J4.at_most");
    let pays = |asked, paid| {
        let mut bench = Bench::open(&account(0, &[(SPOT, 4), (PERP, 10)]));
        at_most(&mut bench, SPOT, asked, paid)
    };
    // Each lot is worth 80 of margin; 320 − 100 lets two go.
    assert_eq!(pays(4, 2), "ok");
    assert_eq!(pays(4, 1), "J4.at_most");
    assert_eq!(pays(4, 3), "L4.outflow");
    assert_eq!(pays(2, 2), "ok");
}
