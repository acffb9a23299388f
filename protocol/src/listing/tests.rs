use super::*;
use crate::hash::EMPTY;
use crate::header::Globals;
use crate::oracle::FeedPrices;
use crate::tick::{margin_row, tick};
use crate::types::InstrumentId;

type Edit = fn(&mut RowParams);

fn listing(id: u32) -> Change {
    let params = RowParams {
        id: InstrumentId(id),
        kind: InstrumentKind::Perpetual,
        max_price: 6_400_000_000,
        max_size: 5_000_000,
        max_open_interest: 100_000_000,
        initial_long: 50_000,
        initial_short: 60_000,
        maintenance_long: 25_000,
        maintenance_short: 30_000,
        penalty: 10_000,
        fill_band: 20_000,
        price_band: 1_000,
        funding_cap: 2,
        ..RowParams::default()
    };
    Change {
        params,
        price: 50_000_000,
    }
}

fn with(change: Change, edit: impl FnOnce(&mut RowParams)) -> Change {
    let mut changed = change;
    edit(&mut changed.params);
    changed
}

fn row() -> Row {
    let row = apply(None, &listing(3), 7, 1_000).unwrap();
    Row {
        status: Status::Active,
        long_carry: -9,
        short_carry: 9,
        open_long: 4,
        open_short: 4,
        ..row
    }
}

/// The listed row's parameters, changed.
fn edited(edit: impl FnOnce(&mut RowParams)) -> Change {
    with(
        Change {
            price: 0,
            ..listing(3)
        },
        edit,
    )
}

fn refused(row: Option<&Row>, change: Change) -> &'static str {
    apply(row, &change, 8, 1_010).unwrap_err().code()
}

#[test]
fn t7_a_listing_starts_halted_at_its_price() {
    let row = apply(None, &listing(3), 7, 1_000).unwrap();
    assert_eq!(
        (row.status, row.mark, row.index),
        (Status::Halted, 50_000_000, 50_000_000)
    );
    assert_eq!((row.round, row.time), (7, 1_000));
    assert_eq!(
        (
            row.long_carry,
            row.short_carry,
            row.open_long,
            row.open_short
        ),
        (0, 0, 0, 0)
    );
}

#[test]
fn n1_a_listing_out_of_bounds_is_refused() {
    let edits: [(Edit, &str); 13] = [
        (|p| p.max_price = 1 << 42, "N1.range"),
        (|p| p.max_price = 3_199_999_999, "N1.headroom"),
        (|p| p.max_price = 63_999_999, "N1.range"),
        (|p| p.max_size = 0, "N1.range"),
        (|p| p.max_size = (1 << 55) / 6_400_000_000 + 1, "N1.range"),
        (
            |p| p.max_open_interest = (1 << 60) / 6_400_000_000 + 1,
            "N1.range",
        ),
        (|p| p.max_open_interest = 0, "N1.range"),
        (|p| p.initial_long = 1_000_001, "N1.range"),
        (|p| p.price_band = 1_000_001, "N1.range"),
        (|p| p.penalty = p.maintenance_short, "N1.range"),
        (|p| p.maintenance_short = p.initial_short, "N1.range"),
        (|p| p.fill_band = 25_000, "N1.range"),
        (|p| p.asset = 3, "N1.range"),
    ];
    for (at, (edit, code)) in edits.into_iter().enumerate() {
        assert_eq!(refused(None, with(listing(3), edit)), code, "edit {at}");
    }
    let at = |price| Change {
        price,
        ..listing(3)
    };
    assert_eq!(refused(None, at(999_999)), "N1.lot");
    assert_eq!(refused(None, at(100_000_001)), "N1.lot");
    assert!(apply(None, &at(100_000_000), 8, 1_010).is_ok());
    assert_eq!(
        refused(None, at(100_000_000).clone_with_max(6_399_999_999)),
        "N1.headroom"
    );
}

impl Change {
    fn clone_with_max(self, max_price: u64) -> Self {
        with(self, |p| p.max_price = max_price)
    }
}

#[test]
fn n2_numbers_that_rounding_makes_equal_are_refused() {
    // At 10^6 a lot, ten millionths of difference are ten micro-quote, one millionth is one.
    let tight = with(
        Change {
            price: 1_000_000,
            ..listing(3)
        },
        |p| {
            (p.penalty, p.maintenance_long, p.maintenance_short) = (1, 2, 2);
            (p.initial_long, p.initial_short, p.fill_band) = (4, 4, 1);
        },
    );
    assert!(apply(None, &tight, 8, 1_010).is_ok());
    // A listed row may have fallen since.
    let low = Row {
        params: tight.params,
        mark: 300_000,
        ..row()
    };
    assert_eq!(
        refused(Some(&low), Change { price: 0, ..tight }),
        "N2.numbers"
    );
}

#[test]
fn t7_a_row_in_use_is_not_listed_over() {
    let settled = Row {
        status: Status::Settled,
        open_long: 0,
        open_short: 0,
        ..row()
    };
    let fresh = apply(Some(&settled), &listing(3 + 1024), 8, 1_010).unwrap();
    assert_eq!(
        (fresh.params.id.0, fresh.long_carry, fresh.status),
        (1027, 0, Status::Halted)
    );
    assert_eq!(refused(Some(&row()), listing(1027)), "T7.in_use");
    let active = Row {
        status: Status::Active,
        ..settled
    };
    assert_eq!(refused(Some(&active), listing(1027)), "T7.in_use");
    assert_eq!(
        refused(
            Some(&Row {
                open_long: 1,
                ..settled
            }),
            listing(1027)
        ),
        "T7.in_use"
    );
    assert_eq!(
        refused(
            Some(&Row {
                open_short: 1,
                ..settled
            }),
            listing(1027)
        ),
        "T7.in_use"
    );
}

#[test]
fn t7_an_id_is_never_used_again() {
    let used = with(listing(3), |p| p.id = InstrumentId(2051));
    let settled = Row {
        params: used.params,
        status: Status::Settled,
        open_long: 0,
        open_short: 0,
        ..row()
    };
    assert_eq!(refused(Some(&settled), listing(1027)), "T7.id");
    assert_eq!(refused(Some(&settled), listing(2051)), "T7.in_use");
    assert!(apply(Some(&settled), &listing(3075), 8, 1_010).is_ok());
    // Ids of different rows differ, whatever their generation.
    assert_eq!(listing(3075).row(), 3);
    assert_eq!(refused(None, listing(0)), "T7.row");
    assert_eq!(refused(None, listing(1024)), "T7.row");
    let quote = with(listing(3), |p| p.kind = InstrumentKind::Quote);
    assert_eq!(refused(None, quote), "T7.row");
}

#[test]
fn t7_an_asset_has_one_row() {
    let spot = |id, asset| {
        with(listing(id), |p| {
            (p.kind, p.asset) = (InstrumentKind::Spot, asset)
        })
    };
    assert!(apply(None, &spot(3, 3), 8, 1_010).is_ok());
    assert_eq!(refused(None, spot(3, 4)), "N1.range");
    // Asset 896 would have a user's account as its bridge.
    assert!(apply(None, &spot(895, 895), 8, 1_010).is_ok());
    assert_eq!(refused(None, spot(896, 896)), "N1.range");
}

#[test]
fn t7_each_field_has_a_step_bound() {
    let good: [Edit; 6] = [
        |p| p.max_size = 5_500_000,
        |p| p.max_open_interest = 150_000_000,
        |p| p.initial_long = 101_000,
        |p| p.initial_short = 50_500,
        |p| p.funding_cap = 1_004,
        |p| p.price_band = 0,
    ];
    for (at, edit) in good.into_iter().enumerate() {
        let after = apply(Some(&row()), &edited(edit), 8, 1_010).unwrap();
        assert_eq!(
            after,
            Row {
                params: edited(edit).params,
                ..row()
            },
            "edit {at}"
        );
    }
    let bad: [(Edit, &str); 8] = [
        (|p| p.max_size = 4_999_999, "T7.step"),
        (|p| p.max_open_interest = 99_999_999, "T7.step"),
        (|p| p.max_price -= 1, "T7.step"),
        (|p| p.initial_long = 101_001, "T7.step"),
        (|p| p.penalty = 4_499, "T7.step"),
        (|p| p.funding_cap = 1_005, "T7.step"),
        (
            |p| (p.kind, p.asset) = (InstrumentKind::Spot, 3),
            "T7.in_use",
        ),
        (|p| p.fill_band = 30_000, "N1.range"),
    ];
    for (at, (edit, code)) in bad.into_iter().enumerate() {
        assert_eq!(refused(Some(&row()), edited(edit)), code, "edit {at}");
    }
    let small = Row {
        params: edited(|p| p.max_size = 7).params,
        ..row()
    };
    assert!(apply(Some(&small), &edited(|p| p.max_size = 14), 8, 1_010).is_ok());
    assert_eq!(
        refused(Some(&small), edited(|p| p.max_size = 15)),
        "T7.step"
    );
    // A change does not set the mark, and a settled row has nothing to change.
    assert_eq!(refused(Some(&row()), listing(3)), "T7.in_use");
    let settled = Row {
        status: Status::Settled,
        ..row()
    };
    assert_eq!(
        refused(Some(&settled), edited(|p| p.penalty += 1)),
        "T7.in_use"
    );
}

#[test]
fn t7_a_change_waits_for_the_timelock() {
    let globals = Globals {
        timelock: 100,
        ..Globals::default()
    };
    let before = Header::genesis(globals, EMPTY, 1_000);
    let waiting = admit(&before, &listing(3)).unwrap();
    assert_eq!(waiting.pending[0].effective, 1_100);
    assert_eq!(waiting.pending[0].digest, listing(3).digest());
    assert_eq!(due(&waiting, 1_099).count(), 0);
    assert_eq!(
        due(&waiting, 1_100)
            .map(|item| item.row)
            .collect::<Vec<_>>(),
        [3]
    );
    let early = Header {
        time: 1_099,
        ..waiting
    };
    assert_eq!(retire(&early), early);
    let then = Header {
        time: 1_100,
        ..waiting
    };
    assert_eq!(
        retire(&then),
        Header {
            time: 1_100,
            ..before
        }
    );
    // Empty places are of no row, not of row 0.
    assert!(admit(&before, &listing(1024)).is_ok());
    let late = Header {
        time: 5_000,
        ..waiting
    };
    assert_eq!(
        retire(&late),
        Header {
            time: 5_000,
            ..before
        }
    );
}

#[test]
fn t7_a_row_has_one_pending_change_and_places_are_few() {
    let mut header = Header::genesis(
        Globals {
            timelock: 100,
            ..Globals::default()
        },
        EMPTY,
        0,
    );
    for id in 1..=32 {
        header = admit(&header, &listing(id)).unwrap();
    }
    assert_eq!(admit(&header, &listing(33)).unwrap_err().code(), "T7.full");
    assert_eq!(
        admit(&header, &listing(1029)).unwrap_err().code(),
        "T7.row_pending"
    );
    header.pending[4] = Pending::default();
    let again = admit(&header, &listing(1029)).unwrap();
    assert_eq!(again.pending[4].row, 5);
}

#[test]
fn t7_the_digest_holds_every_field() {
    let base = listing(3);
    let edits: [fn(&mut Change); 4] = [
        |c| c.price += 1,
        |c| c.params.funding_cap += 1,
        |c| c.params.id.0 += 1024,
        |c| c.params.max_open_interest += 1,
    ];
    for edit in edits {
        let mut changed = base;
        edit(&mut changed);
        assert_ne!(changed.digest(), base.digest());
    }
}

#[test]
fn t7_a_row_is_updated_at_the_old_values_before_its_change() {
    let start = row();
    let mark = start.mark + 400_000;
    let prices = FeedPrices {
        index: mark,
        mark,
        premium: 0,
    };
    let ticked = tick(&start, Some(prices), 8, 1_010).unwrap();
    // A band that would have clamped the move, and a requirement of 8 %.
    let change = edited(|p| (p.price_band, p.initial_long) = (500, 80_000));
    let after = apply(Some(&ticked.row), &change, 8, 1_010).unwrap();
    assert_eq!((after.mark, after.status), (mark, Status::Active));
    assert_eq!(after.long_carry, start.long_carry - 400_000);
    assert_eq!(margin_row(&after, None).initial_long, 4_032_000);
}

#[test]
fn t6_a_listing_trades_once_the_oracle_has_a_price_inside_the_band() {
    let fresh = apply(None, &listing(3), 8, 1_010).unwrap();
    let prices = |mark| {
        Some(FeedPrices {
            index: mark,
            mark,
            premium: 70,
        })
    };
    let near = tick(&fresh, prices(50_400_000), 9, 1_020).unwrap().row;
    assert_eq!((near.status, near.mark), (Status::Active, 50_400_000));
    let far = tick(&fresh, prices(60_000_000), 9, 1_020).unwrap().row;
    assert_eq!((far.status, far.mark), (Status::Clamped, 50_500_000));
}
