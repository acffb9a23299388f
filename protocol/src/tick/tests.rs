use proptest::prelude::*;

use super::*;
use crate::types::InstrumentId;

const MAX: u64 = 6_400_000_000;
const MARK: u64 = 50_000_000;

fn params(kind: InstrumentKind) -> RowParams {
    RowParams {
        id: InstrumentId(3),
        kind,
        max_price: MAX,
        max_size: 1_000_000,
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
    }
}

fn row(kind: InstrumentKind) -> Row {
    Row {
        params: params(kind),
        round: 7,
        time: 1_000,
        mark: MARK,
        index: MARK,
        ..Row::default()
    }
}

fn perpetual() -> Row {
    row(InstrumentKind::Perpetual)
}

fn spot() -> Row {
    row(InstrumentKind::Spot)
}

fn at(mark: u64) -> Option<FeedPrices> {
    Some(FeedPrices {
        index: mark,
        mark,
        premium: 0,
    })
}

/// Ten seconds later: a band of 1 %, of 500,000 at the start.
fn next(row: &Row, prices: Option<FeedPrices>) -> Ticked {
    tick(row, prices, row.round + 1, row.time + 10).unwrap()
}

#[test]
fn t3_a_row_is_updated_once_in_a_round_and_time_rises() {
    let row = perpetual();
    let refused = |round, time| tick(&row, at(MARK), round, time).unwrap_err().code();
    assert_eq!(refused(7, 1_010), "T3.round");
    assert_eq!(refused(6, 1_010), "T3.round");
    assert_eq!(refused(8, 1_000), "T2.row_time");
    assert_eq!(next(&row, at(MARK)).row.round, 8);
}

#[test]
fn t4_a_perpetual_pays_through_carry_and_spot_by_value() {
    let up = next(&perpetual(), at(MARK + 400_000));
    assert_eq!(
        (up.row.long_carry, up.row.short_carry, up.delta),
        (-400_000, 400_000, -400_000)
    );
    assert_eq!(margin_row(&up.row, None).value, 0);
    let up = next(&spot(), at(MARK + 400_000));
    assert_eq!((up.row.long_carry, up.row.short_carry, up.delta), (0, 0, 0));
    assert_eq!(margin_row(&up.row, None).value, MARK + 400_000);
}

#[test]
fn t4_funding_is_the_change_of_the_premium_clamped_per_second() {
    // 2 millionths a second for ten seconds: 1,000 of 50,000,000.
    for (change, funding) in [
        (0, 0),
        (999, 999),
        (1_000, 1_000),
        (5_000, 1_000),
        (-400, -400),
        (-5_000, -1_000),
    ] {
        let start = Row {
            premium: 70,
            ..perpetual()
        };
        let premium = 70 + change;
        let prices = Some(FeedPrices {
            premium,
            ..at(MARK).unwrap()
        });
        let ticked = next(&start, prices);
        assert_eq!(
            (ticked.row.long_carry, ticked.row.short_carry),
            (funding, -funding)
        );
        assert_eq!(ticked.row.premium, premium);
        assert_eq!(
            next(
                &Row {
                    premium: 70,
                    ..spot()
                },
                prices
            )
            .row
            .long_carry,
            0
        );
    }
}

#[test]
fn t5_n6_requirements_round_up_and_bands_down() {
    let row = Row {
        mark: 10_000_019,
        index: 10_000_019,
        ..perpetual()
    };
    let margin = margin_row(&row, None);
    // 500,000.95 and 600,001.14; 250,000.475 and 300,000.57; 100,000.19; 200,000.38.
    assert_eq!(
        (margin.initial_long, margin.initial_short),
        (500_001, 600_002)
    );
    assert_eq!(
        (margin.maintenance_long, margin.maintenance_short),
        (250_001, 300_001)
    );
    let market = market_row(&row, 3);
    assert_eq!(market.penalty, 100_001);
    assert_eq!(
        (market.min_fill, market.max_fill),
        (10_000_019 - 200_000, 10_000_019 + 200_000)
    );
}

#[test]
fn t6_a_jump_moves_the_mark_by_the_band_and_clamps_the_row() {
    for (median, mark, status) in [
        (MARK + 500_000, MARK + 500_000, Status::Active),
        (MARK + 500_001, MARK + 500_000, Status::Clamped),
        (MARK * 90, MARK + 500_000, Status::Clamped),
        (MARK - 500_001, MARK - 500_000, Status::Clamped),
        (1, MARK - 500_000, Status::Clamped),
    ] {
        let ticked = next(&perpetual(), at(median)).row;
        assert_eq!(
            (ticked.mark, ticked.status),
            (mark, status),
            "median {median}"
        );
        assert_eq!(ticked.long_carry, MARK as i64 - mark as i64);
        assert_eq!(ticked.index, median);
    }
    // The band is per elapsed second, at most the whole mark.
    let late = tick(&perpetual(), at(2 * MARK + 1), 8, 1_000_000)
        .unwrap()
        .row;
    assert_eq!((late.mark, late.status), (2 * MARK, Status::Clamped));
    // The next round inside the band ends it.
    let clamped = next(&perpetual(), at(MARK + 900_000)).row;
    assert_eq!(clamped.status, Status::Clamped);
    assert_eq!(
        next(&clamped, at(MARK + 900_000)).row.status,
        Status::Active
    );
}

#[test]
fn t6_a_clamped_row_fills_within_the_marks_band_alone_and_pays_out_strictly() {
    let row = next(&perpetual(), at(MARK * 2)).row;
    let (mark, band) = (MARK + 500_000, 1_010_000);
    let market = market_row(&row, 3);
    assert_eq!(
        (market.min_fill, market.max_fill),
        (mark - band, mark + band)
    );
    assert_eq!(market.flags, flags::REDUCE_ONLY | flags::CLAMPED);
    let margin = margin_row(&row, None);
    assert_eq!(
        (margin.outflow_long, margin.outflow_short),
        (mark, 2 * mark)
    );
    let halted = Row {
        status: Status::Halted,
        mark: MAX - 5,
        ..perpetual()
    };
    assert_eq!(margin_row(&halted, None).outflow_short, MAX);
    let active = margin_row(&perpetual(), None);
    assert_eq!(
        (active.outflow_long, active.outflow_short),
        (2_500_000, 3_000_000)
    );
}

#[test]
fn j2_fills_stay_near_mark_and_index() {
    let row = Row {
        index: MARK - 1_500_000,
        ..perpetual()
    };
    let market = market_row(&row, 3);
    assert_eq!(
        (market.min_fill, market.max_fill),
        (MARK - 1_000_000, MARK - 530_000)
    );
    // Mark and index too far apart: no price is legal.
    let market = market_row(
        &Row {
            index: MARK / 2,
            ..perpetual()
        },
        3,
    );
    assert!(market.min_fill > market.max_fill);
}

#[test]
fn t6_a_missing_price_halts_one_row_and_the_next_round_ends_it() {
    for start in [perpetual(), spot()] {
        let halted = next(&start, None);
        assert_eq!(
            halted.row,
            Row {
                status: Status::Halted,
                round: 8,
                ..start
            }
        );
        assert_eq!(
            status_flags(halted.row.status),
            flags::REDUCE_ONLY | flags::HALTED
        );
        // Twenty seconds since the last mark: the band has doubled.
        let back = tick(&halted.row, at(MARK + 1_000_000), 9, 1_020)
            .unwrap()
            .row;
        assert_eq!((back.status, back.mark), (Status::Active, MARK + 1_000_000));
    }
}

#[test]
fn n1_beyond_a_quarter_of_the_highest_price_a_row_is_reduce_only() {
    for (mark, status) in [(MAX / 4, Status::Active), (MAX / 4 + 1, Status::ReduceOnly)] {
        for start in [perpetual(), spot()] {
            assert_eq!(next(&Row { mark, ..start }, at(mark)).row.status, status);
        }
    }
}

#[test]
fn n1_at_the_highest_price_a_perpetual_settles_at_its_last_mark() {
    let near = Row {
        mark: MAX - 10,
        long_carry: 5,
        short_carry: -5,
        ..perpetual()
    };
    assert_eq!(next(&near, at(MAX - 1)).row.status, Status::ReduceOnly);
    let settled = next(&near, at(MAX));
    assert_eq!(
        settled.row,
        Row {
            status: Status::Settled,
            round: 8,
            ..near
        }
    );
    assert_eq!(settled.delta, 0);
    // For good: no price brings it back.
    let later = next(&settled.row, at(MAX / 2));
    assert_eq!(
        later.row,
        Row {
            round: 9,
            ..settled.row
        }
    );
    let flags = market_row(&later.row, 3).flags;
    assert_eq!(flags, flags::REDUCE_ONLY | flags::HALTED | flags::SETTLED);
}

#[test]
fn n1_a_spot_mark_stays_at_the_highest_price() {
    let near = Row {
        mark: MAX - 10,
        ..spot()
    };
    let top = next(&near, at(MAX + 3)).row;
    assert_eq!((top.mark, top.status), (MAX, Status::ReduceOnly));
    let back = next(&top, at(MAX - 3)).row;
    assert_eq!(back.mark, MAX - 3);
}

#[test]
fn n2_a_perpetual_whose_carry_would_exceed_m_settles_at_the_last_carry() {
    let edge = MAX as i64;
    let near = Row {
        long_carry: 100 - edge,
        short_carry: edge - 100,
        ..perpetual()
    };
    let fine = next(&near, at(MARK + 100)).row;
    assert_eq!((fine.status, fine.long_carry), (Status::Active, -edge));
    let settled = next(&near, at(MARK + 101)).row;
    assert_eq!(
        settled,
        Row {
            status: Status::Settled,
            round: 8,
            ..near
        }
    );
    // After a socialised loss the two sides are no longer opposite: each is checked.
    let uneven = Row {
        long_carry: 0,
        ..near
    };
    assert_eq!(next(&uneven, at(MARK + 101)).row.status, Status::Settled);
}

#[test]
fn n2_where_rounding_breaks_the_order_a_perpetual_settles_and_spot_halts() {
    // At a mark of 40: penalty 1, maintenance 1.
    assert!(!Numbers::of(&params(InstrumentKind::Spot), 40).are_ordered());
    assert!(Numbers::of(&params(InstrumentKind::Spot), 400).are_ordered());
    let low = |start: Row| Row {
        mark: 80,
        index: 80,
        ..start
    };
    let wide = |start: Row| {
        let params = RowParams {
            price_band: 1_000_000,
            ..start.params
        };
        next(&low(Row { params, ..start }), at(40)).row
    };
    assert_eq!(
        (wide(perpetual()).status, wide(perpetual()).mark),
        (Status::Settled, 80)
    );
    assert_eq!(
        (wide(spot()).status, wide(spot()).mark),
        (Status::Halted, 80)
    );
}

#[test]
fn j2_a_fill_band_as_wide_as_the_gap_of_requirements_is_out_of_order() {
    let gap = RowParams {
        fill_band: 25_000,
        ..params(InstrumentKind::Perpetual)
    };
    assert!(!Numbers::of(&gap, MARK).are_ordered());
    assert!(
        Numbers::of(
            &RowParams {
                fill_band: 24_999,
                ..gap
            },
            MARK
        )
        .are_ordered()
    );
}

#[test]
fn the_quote_row_reads_as_zeros_whatever_its_feed_says() {
    let ticked = tick(&Row::default(), at(MARK), 8, 1_010).unwrap().row;
    assert_eq!(
        ticked,
        Row {
            round: 8,
            ..Row::default()
        }
    );
    assert_eq!(margin_row(&ticked, None), MarginRow::default());
}

/// Listing's bounds on what a row may be.
fn arbitrary_row() -> impl Strategy<Value = (Row, Option<FeedPrices>, u64)> {
    let price = 1..1u64 << 42;
    let carry = -(MAX as i64)..MAX as i64;
    let prices =
        (price.clone(), price, -(1i64 << 47)..1i64 << 47).prop_map(|(index, mark, premium)| {
            FeedPrices {
                index,
                mark,
                premium,
            }
        });
    let near = (1..MAX, -(1i64 << 47)..1i64 << 47).prop_map(|(mark, premium)| FeedPrices {
        index: mark,
        mark,
        premium,
    });
    let prices = prop_oneof![prices.prop_map(Some), near.prop_map(Some), Just(None)];
    (
        any::<bool>(),
        1..MAX,
        carry.clone(),
        carry,
        0u32..=1_000_000,
        prices,
        1u64..1 << 39,
    )
        .prop_map(
            |(is_spot, mark, long_carry, short_carry, band, prices, elapsed)| {
                let mut start = if is_spot { spot() } else { perpetual() };
                start.params.price_band = band;
                (
                    Row {
                        mark,
                        long_carry,
                        short_carry,
                        ..start
                    },
                    prices,
                    elapsed,
                )
            },
        )
}

proptest! {
    #[test]
    fn t4_s8_a_tick_moves_no_money_between_equal_sides(
        (start, prices, elapsed) in arbitrary_row(), lots in 0u64..100_000_000
    ) {
        let ticked = tick(&start, prices, 8, start.time + elapsed).unwrap();
        let long = ticked.row.long_carry - start.long_carry;
        let short = ticked.row.short_carry - start.short_carry;
        prop_assert_eq!(long + short, 0);
        prop_assert_eq!(long, ticked.delta);
        prop_assert_eq!(i128::from(lots) * i128::from(long + short), 0);
    }

    #[test]
    fn n2_after_every_tick_all_numbers_are_within_m((start, prices, elapsed) in arbitrary_row()) {
        prop_assume!(Numbers::of(&start.params, start.mark).are_ordered());
        let row = tick(&start, prices, 8, start.time + elapsed).unwrap().row;
        let numbers = Numbers::of(&row.params, row.mark);
        let max = row.params.max_price;
        prop_assert!(row.mark >= 1 && row.mark <= max);
        prop_assert!(row.long_carry.unsigned_abs() <= max && row.short_carry.unsigned_abs() <= max);
        prop_assert!(numbers.are_ordered() && numbers.initial_short <= max);
        let margin = margin_row(&row, None);
        prop_assert!(margin.outflow_long <= max && margin.outflow_short <= max);
        prop_assert!(margin.outflow_long >= margin.initial_long);
        prop_assert!(margin.outflow_short >= margin.initial_short || row.mark * 2 > max);
    }

    #[test]
    fn t6_the_mark_moves_towards_the_median_within_the_band(
        (start, prices, elapsed) in arbitrary_row()
    ) {
        let row = tick(&start, prices, 8, start.time + elapsed).unwrap().row;
        let whole = (u64::from(start.params.price_band) * elapsed).min(1_000_000);
        prop_assert!(row.mark.abs_diff(start.mark) <= start.mark * whole / 1_000_000);
        if let Some(prices) = prices {
            prop_assert!(row.mark.abs_diff(prices.mark) <= start.mark.abs_diff(prices.mark));
        }
    }

    #[test]
    fn n6_a_fraction_rounds_by_less_than_one(mark in 1u64..1 << 42, fraction in 0u32..=1_000_000) {
        let exact = u128::from(mark) * u128::from(fraction);
        let (up, down) = (fraction_up(mark, fraction), fraction_down(mark, fraction));
        let one = 1_000_000;
        prop_assert!(u128::from(up) * one >= exact && u128::from(up) * one < exact + one);
        prop_assert!(u128::from(down) * one <= exact && u128::from(down) * one + one > exact);
        prop_assert!(up <= mark);
    }
}
