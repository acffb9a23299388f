//! \[Q2\]–\[Q6\]: liquidation and absorption on the account that suffers them.

use super::*;
use crate::margin::liquidation_charge;
use crate::terms::LiquidationTerms;

const PENALTY: u64 = 2;

/// Takes lots off at the right charge.
fn liquidate(bench: &mut Bench, instrument: InstrumentId, lots: i64) -> Outcome {
    let row = bench.rows.get(instrument).unwrap();
    let initial = row.initial_long;
    let charge = liquidation_charge(&bench.running.opening.totals, initial, PENALTY);
    liquidate_at(bench, instrument, lots, charge, 45, Needs::default())
}

fn liquidate_at(
    bench: &mut Bench,
    instrument: InstrumentId,
    lots: i64,
    charge: u64,
    flagged_at: u32,
    more: Needs,
) -> Outcome {
    let row = bench.rows.get(instrument).unwrap();
    let count = i64::try_from(lots.unsigned_abs()).unwrap();
    let charged = count * i64::try_from(charge).unwrap();
    let posting = Posting {
        instrument,
        delta_size: lots,
        delta_cash: -charged - lots * i64::try_from(row.value).unwrap(),
        order_size: 4,
        ..bench.posting(Needs::LIQUIDATE | Needs::WHILE_FLAGGED | more)
    };
    let aux = Aux::Liquidation(LiquidationTerms {
        charge,
        penalty: PENALTY,
        flagged_at,
    });
    let (posting, facts) = with_aux(posting, aux);
    bench.apply(&posting, &facts)
}

fn below(cash: i64, lots: i64) -> Bench {
    Bench::open(&flagged(cash, &[(PERP, lots)], 45))
}

#[test]
fn q2_a_liquidation_needs_flag_and_need() {
    let mut unflagged = Bench::open(&account(49, &[(PERP, 10)]));
    assert_eq!(code(liquidate(&mut unflagged, PERP, -1)), "Q2.not_flagged");
    let mut stale = Bench::open(&flagged(49, &[(PERP, 10)], 33));
    assert_eq!(code(liquidate(&mut stale, PERP, -1)), "Q2.not_flagged");
    // A flag of this very epoch opens nothing yet.
    let mut fresh = Bench::open(&account(49, &[(PERP, 10)]));
    fresh.change(Needs::FLAG, PERP, 0, 0).unwrap();
    assert_eq!(code(liquidate(&mut fresh, PERP, -1)), "Q2.not_flagged");
    assert_eq!(code(liquidate(&mut below(50, 10), PERP, -1)), "Q2.healthy");
    assert_eq!(code(liquidate(&mut below(-1, 10), PERP, -1)), "Q2.bankrupt");
}

#[test]
fn q2_a_liquidation_shares_its_epoch_with_no_other_fill() {
    let mut bench = below(49, 10);
    liquidate(&mut bench, PERP, -1).unwrap();
    bench.close();
    bench.fill(PERP, -9, 0).unwrap();
    assert_eq!(bench.refused(), "Q2.mixed");
}

#[test]
fn q3_slots_only_shrink() {
    assert_eq!(
        code(liquidate(&mut below(49, 10), PERP, 1)),
        "Q3.not_shrinking"
    );
    assert_eq!(
        code(liquidate(&mut below(49, 10), PERP, -11)),
        "Q3.not_shrinking"
    );
    let other = InstrumentId(100);
    assert_eq!(
        code(liquidate(&mut below(49, 10), other, -1)),
        "Q3.not_shrinking"
    );
    let mut bench = below(49, 10);
    liquidate(&mut bench, PERP, -1).unwrap();
    // Received from elsewhere, with cash enough that margin is no objection.
    bench.change(Needs::WHILE_FLAGGED, SPOT, 1, 500).unwrap();
    assert_eq!(bench.refused(), "Q3.not_shrinking");
}

/// E₀ 49, R₀ 100, charge 2: after n lots E = 49 − 2n, R = 100 − 10n; restored at n = 7.
#[test]
fn q3_a_liquidation_stops_at_restoration() {
    for lots in 1..=10 {
        let mut bench = below(49, 10);
        liquidate(&mut bench, PERP, -lots).unwrap();
        if lots <= 7 {
            bench.close();
        } else {
            assert_eq!(bench.refused(), "Q3.past_restoration", "{lots} lots");
        }
    }
    let mut bench = below(49, 10);
    liquidate(&mut bench, PERP, -7).unwrap();
    assert_eq!(bench.close().money.flagged_at, 0);
}

#[test]
fn q3_where_only_cash_is_negative_owned_slots_bring_it_back() {
    let held = [(SPOT, 10), (PERP, 2)];
    let mut bench = Bench::open(&flagged(-150, &held, 45));
    assert_eq!(code(liquidate(&mut bench, PERP, -1)), "Q3.not_owned");
    // A lot brings 98: the second restores cash, the third is too many.
    liquidate(&mut bench, SPOT, -1).unwrap();
    bench.close();
    liquidate(&mut bench, SPOT, -1).unwrap();
    assert_eq!(bench.close().money.flagged_at, 0);
    liquidate(&mut bench, SPOT, -1).unwrap();
    assert_eq!(bench.refused(), "Q3.past_restoration");
}

#[test]
fn q4_the_charge_is_exact() {
    // E₀ 15, R₀ 100: the zero price is 1, below the penalty.
    for (cash, due) in [(15, 1), (49, 2), (9, 0), (0, 0)] {
        for charge in 0..4 {
            let outcome =
                liquidate_at(&mut below(cash, 10), PERP, -1, charge, 45, Needs::default());
            let expected = (charge != due).then_some("Q4.charge");
            assert_eq!(outcome.err().map(|error| error.code()), expected);
        }
    }
    let outcome = liquidate_at(&mut below(49, 10), PERP, -1, 2, 40, Needs::default());
    assert_eq!(code(outcome), "Q4.flagged_at");
}

/// No dead zone: at every equity between maintenance and zero one lot can go, on either side.
#[test]
fn q4_a_partial_liquidation_is_possible_at_every_equity() {
    for lots in [1i64, 3, 10, -10] {
        for cash in 0..5 * lots.abs() {
            let mut bench = below(cash, lots);
            liquidate(&mut bench, PERP, -lots.signum()).unwrap();
            bench.close();
        }
    }
}

#[test]
fn q4_cash_may_fall_by_the_charge_alone() {
    // A perpetual goes where cash is negative and a spot holding is worth too little.
    let mut bench = Bench::open(&flagged(-60, &[(PERP, 10), (SPOT, 1)], 45));
    liquidate(&mut bench, PERP, -1).unwrap();
    bench.close();
    bench.change(Needs::WHILE_FLAGGED, PERP, 0, -1).unwrap();
    assert_eq!(bench.refused(), "L5.cash");
}

#[test]
fn j4_a_take_from_l1_takes_all_it_can() {
    let take = |lots: i64| {
        let mut bench = below(49, 10);
        let needs = Needs::AT_MOST | Needs::SOLE;
        liquidate_at(&mut bench, PERP, -lots, 2, 45, needs).unwrap();
        bench.running.close().err().map(|error| error.code())
    };
    // Four were asked for.
    assert_eq!(take(4), None);
    assert_eq!(take(3), Some("J4.at_most"));
    assert_eq!(take(5), Some("J4.at_most"));
}

fn absorb(bench: &mut Bench) -> Outcome {
    let aux = Aux::Absorbed(bench.running.absorbed_holdings());
    let posting = Posting {
        delta_cash: bench.running.absorbed_cash(),
        ..bench.posting(Needs::ABSORB | Needs::WHILE_FLAGGED | Needs::SOLE)
    };
    let (posting, facts) = with_aux(posting, aux);
    bench.apply(&posting, &facts)
}

#[test]
fn q5_only_bankrupts_are_absorbed_and_whole() {
    let mut solvent = below(0, 10);
    assert_eq!(code(absorb(&mut solvent)), "Q5.not_bankrupt");
    let mut bench = below(-3, 10);
    absorb(&mut bench).unwrap();
    let money = bench.close().money;
    assert_eq!((money.cash, money.flagged_at), (0, 0));
    assert!(money.slots.iter().all(Slot::is_empty));
    // A slot kept back, or other cash.
    let mut bench = below(-3, 10);
    let posting = Posting {
        delta_cash: 3,
        ..bench.posting(Needs::ABSORB)
    };
    let (posting, facts) = with_aux(posting, Aux::Absorbed(Default::default()));
    assert_eq!(code(bench.apply(&posting, &facts)), "Q5.not_absorbed");
    let aux = Aux::Absorbed(bench.running.absorbed_holdings());
    let (posting, facts) = with_aux(
        Posting {
            delta_cash: 4,
            ..posting
        },
        aux,
    );
    assert_eq!(code(bench.apply(&posting, &facts)), "Q5.not_absorbed");
}

/// [Q5] A short of a spot asset, which version 1 never holds, could leave a bankrupt with cash:
/// all of it would go, and the journal has no such entry.
#[test]
fn q5_a_bankrupts_cash_goes_whole_whatever_its_sign() {
    let mut bench = below(-3, 10);
    bench.running.cash = 8;
    assert_eq!(bench.running.absorbed_cash(), -8);
    bench.running.cash = -(1 << 57);
    assert_eq!(bench.running.absorbed_cash(), (1 << 56) - 1);
}

#[test]
fn q5_an_absorption_is_the_accounts_only_posting() {
    let mut bench = below(-3, 10);
    bench.change(Needs::WHILE_FLAGGED, PERP, 0, 0).unwrap();
    let aux = Aux::Absorbed(bench.running.absorbed_holdings());
    let posting = Posting {
        delta_cash: 3,
        ..bench.posting(Needs::ABSORB)
    };
    let (posting, facts) = with_aux(posting, aux);
    bench.apply(&posting, &facts).unwrap();
    assert_eq!(bench.refused(), "Q5.not_absorbed");
}

/// The shift of this very epoch bankrupts nobody.
#[test]
fn q5_bankruptcy_is_judged_before_this_epochs_shift() {
    let shifted = MarginRow {
        long_carry: 8,
        shift_long: 8,
        ..row(PERP)
    };
    let held = flagged(70, &[(PERP, 10)], 45);
    let mut bench = Bench::try_open(USER, Some(&held), &[shifted]).unwrap();
    assert_eq!(bench.running.cash, -10);
    assert_eq!(code(absorb(&mut bench)), "Q5.not_bankrupt");
    assert_eq!(bench.running.opening.equity_before_shift, 70);
    // Of what is lost besides, it must pay itself.
    let held = flagged(69, &[(PERP, 10)], 45);
    let carried = MarginRow {
        long_carry: 15,
        shift_long: 8,
        ..row(PERP)
    };
    let mut bench = Bench::try_open(USER, Some(&held), &[carried]).unwrap();
    assert_eq!(bench.running.opening.equity_before_shift, -1);
    absorb(&mut bench).unwrap();
    let share = bench.running.group_share(&held).unwrap();
    assert_eq!((share.sizes, share.equity), (vec![(2, 10)], -1));
}

#[test]
fn q6_insurance_is_always_in_the_group_and_users_only_when_absorbed() {
    let held = system(-7, &[(SPOT, 2)]);
    let bench = Bench::system(3, &held);
    let share = bench.running.group_share(&held).unwrap();
    assert_eq!((share.sizes, share.equity), (vec![(4, 2)], 193));
    let held = account(5, &[(PERP, 1)]);
    assert_eq!(Bench::open(&held).running.group_share(&held), None);
}
