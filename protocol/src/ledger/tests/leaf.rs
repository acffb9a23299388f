//! \[L1\]–\[L3\], \[S2\], \[S3\], \[S6\], \[N3\], \[N4\]: opening, places, bounds.

use super::*;
use crate::ledger::totals_changes;

#[test]
fn l1_an_account_is_not_opened_twice_in_an_epoch() {
    let mut account = account(100, &[]);
    account.money.touched_at = EPOCH - 1;
    let touched = Bench::open(&account).close().money.touched_at;
    assert_eq!(touched, EPOCH);
    account.money.touched_at = touched;
    let again = Bench::try_open(USER, Some(&account), &rows());
    assert_eq!(again.err().unwrap().code(), "L1.reopened");
}

#[test]
fn l1_postings_come_by_rising_index_to_their_account_and_epoch() {
    let mut bench = Bench::open(&account(100, &[]));
    let posting = bench.posting(Needs::default());
    bench.apply(&posting, &Facts::default()).unwrap();
    assert_eq!(code(bench.apply(&posting, &Facts::default())), "L1.index");
    let other = Posting {
        account: AccountId(9_999),
        ..bench.posting(Needs::default())
    };
    assert_eq!(
        code(bench.apply(&other, &Facts::default())),
        "L1.misdirected"
    );
    let late = Posting {
        epoch: EPOCH - 1,
        ..bench.posting(Needs::default())
    };
    assert_eq!(
        code(bench.apply(&late, &Facts::default())),
        "L1.misdirected"
    );
}

#[test]
fn l2_carry_settles_per_side_before_anything_else() {
    let row = MarginRow {
        long_carry: 7,
        short_carry: -3,
        ..row(PERP)
    };
    let mut long = account(100, &[(PERP, 4)]);
    long.money.slots[0].carry = 2;
    let bench = Bench::try_open(USER, Some(&long), &[row]).unwrap();
    assert_eq!(bench.running.cash, 80);
    assert_eq!(bench.close().money.slots[0].carry, 7);
    let short = account(100, &[(PERP, -4)]);
    let bench = Bench::try_open(USER, Some(&short), &[row]).unwrap();
    assert_eq!(bench.running.cash, 112);
}

#[test]
fn t3_an_account_cannot_open_without_its_rows() {
    let opened = Bench::try_open(USER, Some(&account(0, &[(PERP, 1)])), &[]);
    assert_eq!(opened.err().unwrap().code(), "T3.unread");
    let mut bench = Bench::open(&account(100, &[]));
    assert_eq!(code(bench.fill(InstrumentId(77), 1, 0)), "T3.unread");
}

#[test]
fn t6_a_settled_slot_vanishes_and_takes_nothing() {
    let mut held = account(100, &[(SETTLED, 3), (PERP, 1)]);
    held.money.slots[0].carry = -5;
    let mut bench = Bench::open(&held);
    assert_eq!(bench.running.cash, 85);
    assert_eq!(code(bench.fill(SETTLED, 1, 0)), "T6.settled");
    // Its place is free from the next epoch only, so each place reads one row.
    bench.fill(InstrumentId(100), 1, 0).unwrap();
    let money = bench.close().money;
    assert!(money.slots[0].is_empty());
    assert_eq!(money.slots[2].instrument, InstrumentId(100));
    let changes = totals_changes(&held.money, &money);
    assert_eq!(
        changes.into_iter().collect::<Vec<_>>(),
        [(10, -3), (200, 1)]
    );
}

#[test]
fn s2_a_new_instrument_takes_the_lowest_empty_slot_and_one_only() {
    let mut bench = Bench::open(&account(1_000, &[(PERP, 2), (InstrumentId(100), 1)]));
    bench.fill(PERP, -2, 0).unwrap();
    bench.fill(InstrumentId(101), 1, 0).unwrap();
    bench.fill(InstrumentId(101), 1, 0).unwrap();
    bench.fill(PERP, -1, 0).unwrap();
    let money = bench.close().money;
    assert_eq!(money.slots[0].signed_size(), -1);
    assert_eq!((money.slots[2].instrument.0, money.slots[2].size), (101, 2));
    assert!(money.slots[3].is_empty());
}

#[test]
fn s2_a_seventeenth_instrument_is_refused() {
    let held: Vec<_> = (100..116).map(|id| (InstrumentId(id), 1)).collect();
    let mut bench = Bench::open(&account(1_000, &held));
    assert_eq!(code(bench.fill(PERP, 1, 0)), "S2.slots_full");
    // An emptied slot is free from the next epoch.
    bench.fill(InstrumentId(100), -1, 0).unwrap();
    assert_eq!(code(bench.fill(PERP, 1, 0)), "S2.slots_full");
}

#[test]
fn s2_an_empty_leaf_takes_nothing() {
    let mut bench = Bench::empty();
    assert_eq!(
        code(bench.change(Needs::default(), PERP, 0, 5)),
        "S2.missing"
    );
}

#[test]
fn s3_a_new_leaf_is_the_default_but_for_what_its_maker_names() {
    let make = |kind| leaf_terms(9, &keys(), kind);
    let mut bench = Bench::empty();
    let posting = bench.posting(Needs::CREATE);
    let (posting, mut facts) = with_aux(posting, make(AccountKind::Isolated));
    // Planted keys: not those of the digest.
    assert_eq!(code(bench.apply(&posting, &facts)), "J1.aux");
    facts.keys = keys();
    // A planted owner: not the aux of the posting.
    let mut planted = facts.clone();
    planted.aux = leaf_terms(8, &keys(), AccountKind::Isolated);
    assert_eq!(code(bench.apply(&posting, &planted)), "J1.aux");
    bench.apply(&posting, &facts).unwrap();
    let made = &bench.running;
    assert_eq!((made.owner, made.rest.nonce), (owner(9), 0));
    assert_eq!(made.rest.orders_root, empty_orders());
    assert_eq!(made.rest.kind, AccountKind::Isolated);
    assert!(made.created);

    let mut occupied = Bench::open(&account(0, &[]));
    let posting = occupied.posting(Needs::CREATE);
    let (posting, mut facts) = with_aux(posting, make(AccountKind::Cross));
    facts.keys = keys();
    assert_eq!(code(occupied.apply(&posting, &facts)), "S3.occupied");

    let mut bench = Bench::empty();
    let posting = bench.posting(Needs::CREATE);
    let (posting, mut facts) = with_aux(posting, make(AccountKind::System));
    facts.keys = keys();
    assert_eq!(code(bench.apply(&posting, &facts)), "S3.kind");
}

#[test]
fn s6_only_system_postings_touch_a_system_account() {
    let mut insurance = Bench::system(1, &system(0, &[]));
    assert_eq!(code(insurance.fill(PERP, 1, 0)), "S6.system");
    let mut user = Bench::open(&account(0, &[]));
    assert_eq!(code(user.change(Needs::SYSTEM, PERP, 1, 0)), "S6.system");
}

#[test]
fn s6_insurance_holds_a_row_in_its_own_slot() {
    let needs = Needs::SYSTEM | Needs::FIXED_SLOT | Needs::MAY_GROW;
    let mut bench = Bench::system(1, &system(0, &[(InstrumentId(100), 5)]));
    let mut at = |place, instrument, lots| {
        let posting = Posting {
            instrument,
            delta_size: lots,
            place,
            ..bench.posting(needs)
        };
        bench.apply(&posting, &Facts::default())
    };
    assert_eq!(code(at(0, PERP, 1)), "S6.fixed_slot");
    assert_eq!(code(at(1, InstrumentId(100), 1)), "S6.fixed_slot");
    assert_eq!(code(at(16, PERP, 1)), "S6.fixed_slot");
    at(9, PERP, -900).unwrap();
    at(9, PERP, -900).unwrap();
    // No margin rule, and no max_size.
    let money = bench.close().money;
    assert_eq!(money.slots[9].signed_size(), -1_800);
}

#[test]
fn s6_a_bridge_only_owes_and_fees_leave_only_where_they_are() {
    let mut bridge = Bench::system(128, &system(-100, &[]));
    bridge.change(Needs::SYSTEM, PERP, 0, 100).unwrap();
    bridge.close();
    bridge.change(Needs::SYSTEM, PERP, 0, 1).unwrap();
    assert_eq!(bridge.refused(), "S6.bridge");
    let mut asset = Bench::system(129, &system(0, &[(SPOT, -3)]));
    let needs = Needs::SYSTEM | Needs::MAY_GROW;
    asset.change(needs, SPOT, 4, 0).unwrap();
    assert_eq!(asset.refused(), "S6.bridge");
    let mut fees = Bench::system(64, &system(10, &[]));
    let needs = Needs::SYSTEM | Needs::OUTFLOW;
    fees.change(needs, PERP, 0, -10).unwrap();
    fees.close();
    fees.change(needs, PERP, 0, -1).unwrap();
    assert_eq!(fees.refused(), "S6.cash");
}

#[test]
fn q6_an_insurance_account_without_lots_hides_no_cash() {
    let needs = Needs::SYSTEM | Needs::MAY_GROW;
    let mut bench = Bench::system(3, &system(10, &[(PERP, 2)]));
    bench.close();
    bench.change(needs, PERP, -2, 0).unwrap();
    assert_eq!(bench.refused(), "Q6.insurance_cash");
    bench.change(needs, PERP, 0, -10).unwrap();
    bench.close();
    // Account 0 is where it goes.
    Bench::system(0, &system(10, &[])).close();
}

#[test]
fn n3_one_posting_is_bounded() {
    let mut bench = Bench::open(&account(0, &[]));
    let most = 1i64 << 56;
    assert_eq!(code(bench.fill(PERP, 0, most)), "N3.cash");
    assert_eq!(code(bench.fill(PERP, 0, -most)), "N3.cash");
    assert_eq!(code(bench.fill(PERP, 0, i64::MIN)), "N3.cash");
    assert_eq!(code(bench.fill(PERP, 1_001, 0)), "N3.size");
    assert_eq!(code(bench.fill(PERP, i64::MIN, 0)), "N3.size");
    bench.fill(PERP, 1_000, most - 1).unwrap();
}

/// Minting by wrap-around: many postings, each in range, whose sum leaves the field's half.
#[test]
fn n4_many_small_postings_do_not_wrap() {
    let mut bench = Bench::open(&account(0, &[]));
    let step = (1i64 << 56) - 1;
    let refused = (0..1 << 9).find_map(|_| bench.fill(PERP, 0, -step).err());
    assert_eq!(refused.unwrap().code(), "N4.running_cash");
    assert_eq!(bench.refused(), "N4.cash");
    let mut bench = Bench::system(0, &system(0, &[]));
    let refused = (0..1 << 9).find_map(|_| bench.change(Needs::SYSTEM, PERP, 0, step).err());
    assert_eq!(refused.unwrap().code(), "N4.running_cash");
}

#[test]
fn n4_a_close_keeps_cash_and_sizes_in_range() {
    let mut bench = Bench::open(&account((1 << 60) - 1, &[(PERP, 600)]));
    bench.close();
    bench.fill(PERP, 401, 0).unwrap();
    assert_eq!(bench.refused(), "N4.size");
    bench.fill(PERP, -1, 1).unwrap();
    assert_eq!(bench.refused(), "N4.cash");
    bench.fill(PERP, 0, -1).unwrap();
    bench.close();
}

#[test]
fn n4_a_system_accounts_carry_is_checked_slot_by_slot() {
    let wide = MarginRow {
        long_carry: (1 << 42) - 1,
        ..row(PERP)
    };
    let mut held = system(0, &[(PERP, (1 << 22) - 1)]);
    held.money.slots[0].carry = -((1 << 42) - 1);
    let opened = Bench::try_open(AccountId(0), Some(&held), &[wide]);
    assert_eq!(opened.err().unwrap().code(), "N4.running_cash");
}
