//! \[L4\]–\[L6\], \[Q1\], \[Q2\]: what holds of an account when it closes.

use super::*;

#[test]
fn l4_risk_is_taken_only_above_the_initial_requirement() {
    let mut bench = Bench::open(&account(100, &[]));
    bench.fill(PERP, 10, 0).unwrap();
    bench.close();
    bench.fill(PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
}

#[test]
fn l4_below_it_risk_may_only_fall_in_proportion() {
    // E₀ 60, R₀ 100.
    let mut bench = Bench::open(&account(60, &[(PERP, 10)]));
    bench.fill(PERP, -5, -30).unwrap();
    bench.close();
    bench.fill(PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
    // R falls, but a slot grew.
    let mut bench = Bench::open(&account(60, &[(PERP, 10)]));
    bench.fill(PERP, -4, 0).unwrap();
    bench.fill(InstrumentId(100), 1, 0).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
    // A flip is no reduction.
    let mut bench = Bench::open(&account(60, &[(PERP, 10)]));
    bench.fill(PERP, -17, 0).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
}

/// With R₀ = 0 the ratio says nothing: E may not fall.
#[test]
fn l4_the_exception_with_no_requirement() {
    let mut bench = Bench::open(&account(-50, &[]));
    bench.close();
    bench.fill(PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
    let mut bench = Bench::open(&account(-50, &[]));
    bench.fill(PERP, 0, 1).unwrap();
    bench.close();
    bench.fill(PERP, 1, 0).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
}

#[test]
fn l4_a_deposited_lot_is_no_risk() {
    // Below initial by a perpetual's loss; a spot deposit must not be refused for its haircut.
    let mut bench = Bench::open(&account(60, &[(PERP, 10)]));
    bench.change(Needs::DEPOSIT, SPOT, 3, 0).unwrap();
    bench.close();
    let mut bench = Bench::open(&account(10, &[(PERP, 40)]));
    bench.change(Needs::DEPOSIT, SPOT, 3, 0).unwrap();
    bench.close();
    // Only what was deposited: one lot more is growth.
    bench.fill(SPOT, 1, -100).unwrap();
    assert_eq!(bench.refused(), "L4.initial");
}

#[test]
fn l4_value_leaves_only_above_the_strict_requirement() {
    let mut bench = Bench::open(&account(500, &[(CLAMPED, 4)]));
    bench.change(Needs::OUTFLOW, PERP, 0, -100).unwrap();
    bench.close();
    bench.change(Needs::OUTFLOW, PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L4.outflow");
    // A short counts at twice the mark.
    let mut bench = Bench::open(&account(500, &[(CLAMPED, -2)]));
    bench.change(Needs::OUTFLOW, PERP, 0, -101).unwrap();
    assert_eq!(bench.refused(), "L4.outflow");
    // Not even a risk-reducing epoch lets value out below it.
    let mut bench = Bench::open(&account(60, &[(PERP, 10)]));
    bench.fill(PERP, -9, 0).unwrap();
    bench.change(Needs::OUTFLOW, PERP, 0, -51).unwrap();
    assert_eq!(bench.refused(), "L4.outflow");
}

#[test]
fn l5_cash_is_not_borrowed_against_collateral() {
    let mut bench = Bench::open(&account(50, &[(SPOT, 10)]));
    bench.change(Needs::OUTFLOW, PERP, 0, -51).unwrap();
    assert_eq!(bench.refused(), "L5.cash");
    // Cash that is already negative must not fall; a deposit below zero is welcome.
    let mut bench = Bench::open(&account(-50, &[(SPOT, 10)]));
    bench.fill(PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L5.cash");
    let mut bench = Bench::open(&account(-50, &[(SPOT, 10)]));
    bench.change(Needs::WHILE_FLAGGED, PERP, 0, 20).unwrap();
    bench.close();
}

#[test]
fn l6_an_isolated_account_has_one_slot() {
    let mut bench = Bench::open(&isolated(1_000, &[(PERP, 5)]));
    bench.fill(InstrumentId(100), 1, 0).unwrap();
    assert_eq!(bench.refused(), "L6.isolated");
    bench.fill(PERP, -5, 0).unwrap();
    bench.close();
}

#[test]
fn q1_the_flag_needs_a_liquidatable_account() {
    let flag = |account: Account| {
        let mut bench = Bench::open(&account);
        let outcome = bench.change(Needs::FLAG | Needs::WHILE_FLAGGED, PERP, 0, 0);
        outcome.map(|_| bench.close().money.flagged_at)
    };
    assert_eq!(flag(account(49, &[(PERP, 10)])), Ok(EPOCH));
    assert_eq!(flag(account(-1, &[(SPOT, 10)])), Ok(EPOCH));
    assert_eq!(
        flag(account(50, &[(PERP, 10)])).unwrap_err().code(),
        "Q1.healthy"
    );
    // A current flag keeps its age; one older than X counts as none.
    assert_eq!(flag(flagged(49, &[(PERP, 10)], 34)), Ok(34));
    assert_eq!(flag(flagged(49, &[(PERP, 10)], 33)), Ok(EPOCH));
}

#[test]
fn q1_a_close_above_initial_clears_the_flag() {
    let mut bench = Bench::open(&flagged(49, &[(PERP, 10)], 45));
    bench.change(Needs::WHILE_FLAGGED, PERP, 0, 50).unwrap();
    assert_eq!(bench.close().money.flagged_at, 45);
    bench.change(Needs::WHILE_FLAGGED, PERP, 0, 1).unwrap();
    assert_eq!(bench.close().money.flagged_at, 0);
    let negative = Bench::open(&flagged(-1, &[(SPOT, 10)], 45));
    assert_eq!(negative.close().money.flagged_at, 45);
}

#[test]
fn q2_a_flagged_account_does_not_trade_below_initial() {
    let mut bench = Bench::open(&flagged(49, &[(PERP, 10)], 45));
    bench.fill(PERP, -4, 0).unwrap();
    assert_eq!(bench.refused(), "Q2.restricted");
    bench.fill(PERP, -2, 0).unwrap();
    bench.close();
    // Nor by another order of the same owner, however good its price.
    let mut bench = Bench::open(&flagged(49, &[(PERP, 10)], 45));
    bench.fill(PERP, -1, 5).unwrap();
    assert_eq!(bench.refused(), "Q2.restricted");
    // A stale flag restricts nothing.
    let mut bench = Bench::open(&flagged(49, &[(PERP, 10)], 33));
    bench.fill(PERP, -1, 5).unwrap();
    bench.close();
}
