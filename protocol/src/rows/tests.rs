use super::*;
use crate::hash::EMPTY;
use crate::header::Globals;
use crate::instrument::{InstrumentKind, RowParams, Status};
use crate::listing::{admit, retire};
use crate::oracle::{Prices, Report, Reporters, Stamp};
use crate::types::InstrumentId;

const MARK: u64 = 50_000_000;

fn listing(id: u32) -> Change {
    let params = RowParams {
        id: InstrumentId(id),
        kind: InstrumentKind::Perpetual,
        max_price: 6_400_000_000,
        max_size: 5_000_000,
        max_open_interest: 1_000,
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
        params: RowParams {
            max_size: 1_000,
            ..params
        },
        price: MARK,
    }
}

fn stamp(header: &Header) -> Stamp {
    let (round, time) = (header.round + 1, header.time + 10);
    Stamp {
        feed_set: 0,
        round,
        time,
        previous: header.round,
    }
}

/// The next round, with one mark for every feed in `feeds`.
fn round(header: &Header, feeds: &[(u32, u64)]) -> Round {
    let reporters = Reporters::new(vec![Default::default(); 4], 1).unwrap();
    let reports = (0..3)
        .map(|reporter| {
            let of = |mark| FeedPrices {
                index: mark,
                mark,
                premium: 0,
            };
            let prices = Prices::new(
                feeds
                    .iter()
                    .map(|(feed, mark)| (*feed, of(*mark)))
                    .collect(),
            )
            .unwrap();
            (
                Report {
                    reporter,
                    stamp: stamp(header),
                    prices_root: prices.root(),
                },
                prices,
            )
        })
        .collect();
    Round::new(&reporters, reports).unwrap()
}

/// Instruments 3 and 4 listed and active at `MARK`, 100 lots of each open.
fn listed() -> (Table, Header) {
    let mut table = Table::genesis();
    let row = |id| {
        let row = apply(None, &listing(id), 1, 1_000).unwrap();
        (
            id,
            Row {
                status: Status::Active,
                open_long: 100,
                open_short: 100,
                ..row
            },
        )
    };
    table.set_many([row(3), row(4)]).unwrap();
    let header = Header::genesis(
        Globals {
            timelock: 15,
            ..Globals::default()
        },
        EMPTY,
        1_000,
    );
    (
        table,
        Header {
            epoch: 5,
            round: 1,
            ..header
        },
    )
}

fn ticked(table: &Table, header: &Header, wanted: &[u32], marks: &[(u32, u64)]) -> Rows {
    let next = header.advance(&stamp(header)).unwrap().header;
    Rows::tick(
        table,
        &next,
        &round(header, marks),
        wanted.iter().copied(),
        &[].into(),
    )
    .unwrap()
}

#[test]
fn t3_only_read_rows_are_updated_and_only_they_can_be_read() {
    let (table, header) = listed();
    let rows = ticked(&table, &header, &[3], &[(3, MARK), (4, MARK)]);
    let read: Vec<(u32, u32)> = rows
        .read()
        .map(|(number, row)| (number, row.round))
        .collect();
    assert_eq!(read, [(0, 2), (3, 2)]);
    let close = |key| rows.close(&[(key, 1)].into(), &[].into());
    assert!(close(6).is_ok());
    assert_eq!(close(8).unwrap_err().code(), "T3.unread");
    // An id that the row had before, or will have.
    assert_eq!(close(2 * 1027).unwrap_err().code(), "T3.unread");
    let next = header.advance(&stamp(&header)).unwrap().header;
    let unlisted = Rows::tick(&table, &next, &round(&header, &[]), [7], &[].into());
    assert_eq!(unlisted.unwrap_err().code(), "T3.unlisted");
}

#[test]
fn t3_an_old_row_with_open_interest_is_read_without_being_asked_for() {
    let (table, header) = listed();
    let header = Header {
        round: 65,
        ..header
    };
    let rows = ticked(&table, &header, &[], &[(3, MARK)]);
    assert_eq!(
        rows.read().map(|(number, _)| number).collect::<Vec<_>>(),
        [0, 3, 4]
    );
    let mut after = table.clone();
    assert_eq!(after.check_ages(66).unwrap_err().code(), "T3.stale");
    after
        .set_many(rows.close(&[].into(), &[].into()).unwrap())
        .unwrap();
    assert_eq!(after.check_ages(66), Ok(()));
    // [T6] Feed 4 is missing: its row halts, the tick goes on.
    assert_eq!(after.get(3).unwrap().status, Status::Active);
    assert_eq!(after.get(4).unwrap().status, Status::Halted);
}

#[test]
fn t7_a_due_change_is_applied_after_the_row_was_updated_at_the_old_values() {
    let (table, header) = listed();
    let raised = Change {
        params: RowParams {
            initial_long: 80_000,
            ..listing(3).params
        },
        price: 0,
    };
    let header = admit(&header, &raised).unwrap();
    let changes = [(3, raised)].into();
    let mark = MARK + 700_000;
    let next = header
        .advance(&Stamp {
            time: 1_014,
            ..stamp(&header)
        })
        .unwrap()
        .header;
    let early = Rows::tick(&table, &next, &round(&header, &[]), [3], &changes).unwrap();
    assert_eq!(early.read().last().unwrap().1.params.initial_long, 50_000);

    let next = header
        .advance(&Stamp {
            time: 1_015,
            ..stamp(&header)
        })
        .unwrap()
        .header;
    let prices = round(&header, &[(3, mark)]);
    // It need not be asked for, and cannot be left out.
    let rows = Rows::tick(&table, &next, &prices, [], &changes).unwrap();
    let row = *rows.read().last().unwrap().1;
    assert_eq!((row.mark, row.long_carry), (mark, -700_000));
    assert_eq!(rows.margin_rows().last().unwrap().initial_long, 4_056_000);
    assert_eq!(row.params.initial_long, 80_000);
    assert!(retire(&next).pending.iter().all(Pending::is_empty));
    let missing = Rows::tick(&table, &next, &prices, [], &[].into());
    assert_eq!(missing.unwrap_err().code(), "T7.change");
    let other = Rows::tick(&table, &next, &prices, [], &[(3, listing(3))].into());
    assert_eq!(other.unwrap_err().code(), "T7.change");
}

#[test]
fn t7_a_listing_takes_an_empty_row_and_a_bad_one_lapses() {
    let (table, header) = listed();
    let good = listing(7);
    let bad = Change {
        price: 1,
        ..listing(8)
    };
    let header = admit(&admit(&header, &good).unwrap(), &bad).unwrap();
    let next = header
        .advance(&Stamp {
            time: 1_020,
            ..stamp(&header)
        })
        .unwrap()
        .header;
    let changes = [(7, good), (8, bad)].into();
    let rows = Rows::tick(&table, &next, &round(&header, &[]), [], &changes).unwrap();
    assert_eq!(
        rows.read().map(|(number, _)| number).collect::<Vec<_>>(),
        [0, 7]
    );
    let lapsed: Vec<_> = rows
        .steps()
        .filter_map(|(number, step)| Some((number, step.lapsed.as_ref()?)))
        .collect();
    assert_eq!(lapsed, [(8, &ListingError::Lot { price: 1 })]);
    let closed = rows.close(&[].into(), &[].into()).unwrap();
    assert_eq!(closed[&7].status, Status::Halted);
}

#[test]
fn q6_sharing_starts_anew_with_each_group() {
    let (table, header) = listed();
    let mut rows = ticked(&table, &header, &[3, 4], &[(3, MARK - 1_000), (4, MARK)]);
    let before: Vec<Row> = rows.read().map(|(_, row)| *row).collect();
    // G is long 50 in instrument 3, lost 50,000 there and has 20,000 too little.
    let lots = [(6, 50)].into();
    let shared = rows.share(&lots, -20_000, 0).unwrap();
    assert_eq!(
        shared.plan,
        Plan {
            recovery: 20_000,
            losses: 50_000
        }
    );
    assert_eq!(
        shared.recovered,
        Recovered {
            posted: 20_000,
            collected: 20_000
        }
    );
    assert_eq!(shared.deficit, 0);
    let margin: Vec<MarginRow> = rows.margin_rows().collect();
    assert_eq!((margin[1].shift_long, margin[1].shift_short), (0, 200));
    assert_eq!((margin[1].long_carry, margin[1].short_carry), (1_000, -800));
    assert_eq!(rows.share(&lots, -20_000, 0).unwrap(), shared);
    // A deficit that was there before is not shared, and stays.
    let shared = rows.share(&lots, -20_000, 30_000).unwrap();
    assert_eq!(
        (shared.recovered, shared.deficit),
        (Recovered::default(), 20_000)
    );
    assert_eq!(rows.read().map(|(_, row)| *row).collect::<Vec<_>>(), before);
    assert_eq!(
        rows.share(&[(12, 1)].into(), 0, 0).unwrap_err().code(),
        "T3.unread"
    );
}

#[test]
fn t8_close_adds_what_the_ledger_emits() {
    let (table, header) = listed();
    let rows = ticked(&table, &header, &[3], &[(3, MARK)]);
    let closed = rows
        .close(&[(6, 7), (7, 5)].into(), &[(7, 2)].into())
        .unwrap();
    let row = closed[&3];
    assert_eq!((row.open_long, row.open_short), (107, 105));
    assert_eq!((row.insurance_size, row.insurance_since), (-2, 6));
    let over = rows.close(&[(6, 901)].into(), &[].into()).unwrap_err();
    assert_eq!(over.code(), "T8.open_interest");
    let under = rows.close(&[(7, -101)].into(), &[].into()).unwrap_err();
    assert_eq!(under.code(), "T8.negative");
}
