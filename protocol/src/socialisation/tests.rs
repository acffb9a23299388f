use proptest::prelude::*;

use super::*;
use crate::entry::EpochTerms;
use crate::instrument::{InstrumentKind, RowParams, Status};
use crate::oracle::FeedPrices;
use crate::tick::tick;
use crate::types::InstrumentId;

const MAX: u64 = 6_400_000_000;
const MARK: u64 = 50_000_000;

fn row(open: u64) -> Row {
    let params = RowParams {
        id: InstrumentId(3),
        kind: InstrumentKind::Perpetual,
        max_price: MAX,
        max_size: 1_000_000,
        max_open_interest: 100_000_000,
        initial_long: 50_000,
        initial_short: 50_000,
        maintenance_long: 25_000,
        maintenance_short: 25_000,
        penalty: 10_000,
        fill_band: 20_000,
        price_band: 1_000_000,
        funding_cap: 0,
        ..RowParams::default()
    };
    Row {
        params,
        status: Status::Active,
        round: 1,
        time: 100,
        mark: MARK,
        index: MARK,
        open_long: open,
        open_short: open,
        ..Row::default()
    }
}

fn ticked(row: &Row, mark: u64) -> Ticked {
    tick(
        row,
        Some(FeedPrices {
            index: mark,
            mark,
            premium: 0,
        }),
        2,
        200,
    )
    .unwrap()
}

fn lots(long: u64, short: u64) -> GroupLots {
    GroupLots { long, short }
}

#[test]
fn q6_only_what_the_group_lost_in_this_tick_counts() {
    let falling = ticked(&row(100), MARK - 1_000);
    let hit = exposure(&falling, lots(30, 10)).unwrap();
    let expected = Exposure {
        side: Side::Short,
        gain: 1_000,
        weight: 20_000,
        open: 100,
        payers: 90,
    };
    assert_eq!(hit, expected);
    // It won, it was flat, or nothing moved: nobody is charged.
    assert_eq!(
        exposure(&falling, lots(10, 30)).unwrap(),
        Exposure::default()
    );
    assert_eq!(
        exposure(&falling, lots(30, 30)).unwrap(),
        Exposure::default()
    );
    assert_eq!(
        exposure(&ticked(&row(100), MARK), lots(30, 10)).unwrap(),
        Exposure::default()
    );
    let huge = Ticked {
        row: row(1 << 31),
        delta: 1 << 30,
    };
    assert_eq!(
        exposure(&huge, lots(1 << 30, 0)).unwrap().weight,
        (1 << 50) - 1
    );
    let rising = exposure(&ticked(&row(100), MARK + 1_000), lots(10, 30)).unwrap();
    assert_eq!(
        rising,
        Exposure {
            side: Side::Long,
            ..expected
        }
    );
}

#[test]
fn q6_the_group_holds_what_the_totals_and_the_insurance_say() {
    let with = Ticked {
        row: Row {
            insurance_size: -20,
            ..row(100)
        },
        delta: 5,
    };
    let refused = |group| exposure(&with, group).unwrap_err().code();
    assert_eq!(refused(lots(0, 101)), "Q6.lots");
    assert_eq!(refused(lots(101, 20)), "Q6.lots");
    assert_eq!(refused(lots(50, 19)), "Q6.insurance");
    assert!(exposure(&with, lots(50, 20)).is_ok());
}

#[test]
fn q6_recovers_no_more_than_the_new_loss() {
    let of = |equity, deficit| plan(equity, deficit, [70, 30]).unwrap();
    assert_eq!(
        of(-500, 0),
        Plan {
            recovery: 500,
            losses: 100
        }
    );
    // What was owed before this tick stays owed: winners of today did not win it.
    assert_eq!(of(-500, 200).recovery, 300);
    assert_eq!(of(-500, 600).recovery, 0);
    assert_eq!(of(500, 0).recovery, 0);
    assert_eq!(of(-(1 << 60), 0).recovery, (1 << 55) - 1);
    assert_eq!(plan(1 << 62, 0, []).unwrap_err().code(), "Q6.equity");
    assert_eq!(
        deficit_after(-(1 << 62), 0).unwrap_err().code(),
        "Q6.equity"
    );
    assert_eq!(plan(0, 0, [1 << 61, 1 << 61]).unwrap_err().code(), "Q6.sum");
    assert_eq!(deficit_after(-500, 300).unwrap(), 200);
    assert_eq!(deficit_after(-500, 501).unwrap(), 0);
    assert_eq!(deficit_after(7, 0).unwrap(), 0);
}

#[test]
fn q6_a_shift_is_in_proportion_rounded_down_and_at_most_the_gain() {
    let hit = |weight, gain, payers| Exposure {
        side: Side::Short,
        gain,
        weight,
        open: payers + 10,
        payers,
    };
    let plan = Plan {
        recovery: 1_000,
        losses: 3_000,
    };
    // A third of 1,000 is 333; over 100 lots 3.
    let third = shift(&plan, &hit(1_000, 50, 100));
    let expected = Shift {
        side: Side::Short,
        per_lot: 3,
        posted: 330,
        collected: 300,
    };
    assert_eq!(third, expected);
    assert_eq!(shift(&plan, &hit(2_000, 50, 100)).per_lot, 6);
    assert_eq!(shift(&plan, &hit(2_000, 5, 100)).per_lot, 5);
    assert_eq!(shift(&plan, &hit(2_000, 50, 667)).per_lot, 0);
    // No lots but the group's own: no shift.
    assert_eq!(shift(&plan, &hit(2_000, 50, 0)), Shift::default());
    assert_eq!(shift(&plan, &Exposure::default()).per_lot, 0);
    assert_eq!(shift(&Plan::default(), &hit(0, 50, 100)).per_lot, 0);
}

#[test]
fn q6_losers_and_bystanders_pay_nothing() {
    let fallen = ticked(&row(100), MARK - 1_000);
    let exposure = exposure(&fallen, lots(30, 0)).unwrap();
    let plan = plan(-20_000, 0, [exposure.weight]).unwrap();
    let shift = shift(&plan, &exposure);
    let after = shifted(&fallen.row, &shift);
    assert_eq!(shift.per_lot, 200);
    // The losing side's carry is as the tick left it; the winners keep 800 of 1,000.
    assert_eq!(after.long_carry, fallen.row.long_carry);
    assert_eq!(after.short_carry, fallen.row.short_carry + 200);
    assert_eq!(after.short_carry, -800);
}

#[test]
fn q6_newcomers_do_not_pay() {
    let fallen = ticked(&row(100), MARK - 1_000);
    let exposure = exposure(&fallen, lots(30, 0)).unwrap();
    let shift = shift(&plan(-20_000, 0, [exposure.weight]).unwrap(), &exposure);
    let after = shifted(&fallen.row, &shift);
    // Whoever trades in this epoch enters at the carry that has the shift in it; the total that is
    // posted is that of the lots from before.
    let entry = after.short_carry;
    assert_eq!(after.short_carry - entry, 0);
    assert_eq!(shift.posted, 200 * fallen.row.open_short);
}

#[test]
fn q6_a_withdrawal_is_cut_by_the_deficit() {
    let paid = |amount, deficit, vault| {
        EpochTerms {
            deficit,
            vault,
            ..EpochTerms::default()
        }
        .payout(amount)
    };
    assert_eq!(paid(1_000, 0, 0), 1_000);
    assert_eq!(paid(1_000, 1, 3), 666);
    assert_eq!(paid(1_000, 3, 3), 0);
    assert_eq!(paid(1_000, 4, 3), 0);
    assert_eq!(paid(1_000, 4, 0), 0);
    assert_eq!(paid((1 << 56) - 1, 1 << 58, 1 << 59), (1 << 55) - 1);
}

/// A small exchange: lots per account and row, cash such that all settled cash sums to zero.
#[derive(Debug, Clone)]
struct Exchange {
    rows: Vec<Row>,
    marks: Vec<u64>,
    /// Per account: cash, in G?, signed lots per row. Carry was settled at the rows as they are.
    accounts: Vec<(i64, bool, Vec<i64>)>,
    deficit: u64,
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let account = (
        -2_000_000_000i64..2_000_000_000,
        any::<bool>(),
        prop::collection::vec(-60i64..60, 3),
    );
    (
        prop::collection::vec(account, 2..7),
        prop::collection::vec((1u64..2 * MARK, -1_000i64..1_000), 3),
        0u64..1_000_000_000,
    )
        .prop_map(|(mut accounts, moves, deficit)| {
            // The last account takes the other side of everything.
            let cash = accounts.iter().map(|account| account.0).sum::<i64>();
            let other = (0..3)
                .map(|r| -accounts.iter().map(|a| a.2[r]).sum::<i64>())
                .collect();
            accounts.push((-cash, false, other));
            let open = |r: usize| accounts.iter().map(|a| a.2[r].max(0) as u64).sum();
            let rows = (0..3)
                .map(|r| Row {
                    long_carry: moves[r].1,
                    short_carry: -moves[r].1,
                    ..row(open(r))
                })
                .collect();
            let marks = moves.iter().map(|(mark, _)| *mark).collect();
            Exchange {
                rows,
                marks,
                accounts,
                deficit,
            }
        })
}

fn carry(row: &Row, lots: i64) -> i64 {
    if lots < 0 {
        row.short_carry
    } else {
        row.long_carry
    }
}

/// Settled cash, which for perpetuals is equity.
fn settled(account: &(i64, bool, Vec<i64>), before: &[Row], now: &[Row]) -> i128 {
    let cost = |r: usize| {
        let lots = account.2[r];
        i128::from(lots.unsigned_abs()) * i128::from(carry(&now[r], lots) - carry(&before[r], lots))
    };
    i128::from(account.0) - (0..3).map(cost).sum::<i128>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn q6_s8_sharing_a_loss_mints_nothing_and_takes_only_gains(ex in exchange()) {
        let ticked: Vec<Ticked> =
            ex.rows.iter().zip(&ex.marks).map(|(row, mark)| ticked(row, *mark)).collect();
        let unshifted: Vec<Row> = ticked.iter().map(|t| t.row).collect();
        let group = |r: usize, sign: i64| -> u64 {
            let held = |a: &&(i64, bool, Vec<i64>)| a.1 && a.2[r].signum() == sign;
            ex.accounts.iter().filter(held).map(|a| a.2[r].unsigned_abs()).sum()
        };
        let exposures: Vec<Exposure> = (0..3)
            .map(|r| exposure(&ticked[r], lots(group(r, 1), group(r, -1))).unwrap())
            .collect();
        let equity_of = |rows: &[Row]| -> i128 {
            ex.accounts.iter().filter(|a| a.1).map(|a| settled(a, &ex.rows, rows)).sum()
        };
        let before = equity_of(&unshifted);
        let plan = plan(before, ex.deficit, exposures.iter().map(|e| e.weight)).unwrap();
        let shifts: Vec<Shift> = exposures.iter().map(|e| shift(&plan, e)).collect();
        let rows: Vec<Row> =
            unshifted.iter().zip(&shifts).map(|(row, s)| shifted(row, s)).collect();
        let sum = recovered(&shifts);

        // The trial balance: what all carries take, the one posting gives.
        let total: i128 = ex.accounts.iter().map(|a| settled(a, &ex.rows, &rows)).sum();
        prop_assert_eq!(total + i128::from(sum.posted), 0);
        // The group ends with what was collected from others, and the deficit is what is missing.
        let after = equity_of(&rows) + i128::from(sum.posted);
        prop_assert_eq!(after, before + i128::from(sum.collected));
        prop_assert_eq!(i128::from(deficit_after(before, sum.collected).unwrap()), (-after).max(0));
        // Never more than the new loss; never more than was won in a row.
        prop_assert!(i128::from(sum.collected) <= (-(before + i128::from(ex.deficit))).max(0));
        prop_assert!(sum.posted < 1 << 56);
        for r in 0..3 {
            prop_assert!(rows[r].long_carry <= ex.rows[r].long_carry.max(unshifted[r].long_carry));
            prop_assert!(
                rows[r].short_carry <= ex.rows[r].short_carry.max(unshifted[r].short_carry));
            let winner = if ticked[r].delta > 0 { Side::Short } else { Side::Long };
            prop_assert!(shifts[r].per_lot == 0 || shifts[r].side == winner);
        }
        // Where nothing caps it, only rounding is left: less than a micro-quote a lot and row.
        let capped = exposures.iter().zip(&shifts).any(|(e, s)| {
            e.weight > 0 && (s.per_lot == e.gain || 2 * e.payers < e.open)
        });
        if plan.losses > 0 && !capped {
            let lots: u64 = exposures.iter().map(|e| e.payers + 1).sum();
            prop_assert!(sum.collected + lots >= plan.recovery);
        }
    }
}

#[test]
fn q6_the_groups_own_lots_cannot_swell_the_posting() {
    // The group is nearly the whole row: 99 of 100 on each side but for one net lot.
    let fallen = ticked(&row(1_000_000), MARK / 2);
    let exposure = exposure(&fallen, lots(1_000_000, 999_999)).unwrap();
    assert_eq!((exposure.payers, exposure.weight), (1, MARK / 2));
    let plan = plan(-(MARK as i128 / 2), 0, [exposure.weight]).unwrap();
    let shift = shift(&plan, &exposure);
    assert_eq!(shift.per_lot, 25);
    assert!(shift.posted <= 2 * plan.recovery);
}

#[test]
fn q7_inventory_that_is_taken_over_has_no_old_age() {
    let row = Row {
        insurance_size: -5,
        insurance_since: 3,
        ..Row::default()
    };
    let since = |long, short| taking_over(&row, GroupLots { long, short }, 9).insurance_since;
    assert_eq!([since(0, 5), since(0, 6), since(1, 5)], [3, 9, 9]);
}
