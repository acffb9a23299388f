use plonky2::hash::hash_types::HashOut;
use proptest::prelude::*;
use tally_protocol::header::Context;
use tally_protocol::instrument::RowParams;
use tally_protocol::types::InstrumentId;

use super::*;
use crate::checker::loose::{Coverage, Loose};
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::segment::PassingChains;
use crate::summary::Challenge;

const DEPTH: usize = 2;
const ROUND_NOW: u32 = 100;

fn context(table: &Table) -> Context {
    Context {
        epoch: 3,
        round: ROUND_NOW,
        table: table.root(),
        ..Context::default()
    }
}

fn row(id: u32, round: u32) -> Row {
    Row {
        params: RowParams {
            id: InstrumentId(id),
            ..RowParams::default()
        },
        round,
        ..Row::default()
    }
}

fn table(rows: &[(u32, Row)]) -> Table {
    let mut table = Table::genesis();
    table.set_many(rows.iter().copied()).unwrap();
    table
}

fn inputs(scan: &ScanSegment, context: &Context, table: &Table) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    scan.segment.set_context(&mut witness, context, 0).unwrap();
    let chains = PassingChains::default();
    scan.segment.set_passing(&mut witness, &chains).unwrap();
    scan.segment
        .set_challenge(&mut witness, Challenge::default(), HashOut::ZERO)
        .unwrap();
    scan.scan.set(&mut witness, table).unwrap();
    witness
}

thread_local! {
    static CIRCUIT: (ScanSegment, Checker) = {
        let (builder, segment) = ScanSegment::build(DEPTH);
        (segment, Checker::new(builder))
    };
}

fn accepts(table: &Table) -> bool {
    CIRCUIT.with(|(scan, checker)| {
        let witness = inputs(scan, &context(table), table);
        let verdict = checker.check(&witness);
        if let Ok(accepted) = &verdict {
            let summary = scan.segment.summary(|t| accepted.get(t));
            assert_eq!((summary.counts.scans, summary.counts.headers), (1, 0));
        }
        verdict.is_ok()
    })
}

fn rows() -> impl Strategy<Value = Vec<(u32, Row)>> {
    let lots = || prop_oneof![Just(0u64), 1..4u64, Just((1 << 47) - 1)];
    let one = (1..4u32, 30..=ROUND_NOW, lots(), lots(), -1..2i64);
    let one = one.prop_map(|(number, round, open_long, open_short, insurance_size)| {
        let held = Row {
            open_long,
            open_short,
            insurance_size,
            ..row(number, round)
        };
        (number, held)
    });
    prop::collection::vec(one, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn t3_agrees_with_check_ages(rows in rows()) {
        let table = table(&rows);
        prop_assert_eq!(accepts(&table), table.check_ages(ROUND_NOW).is_ok());
    }
}

/// [stale row] Rows of every age around the limit, on each side.
#[test]
fn t3_a_stale_row_is_refused() {
    let held = |round, open_long, open_short| Row {
        open_long,
        open_short,
        ..row(3, round)
    };
    let accepted = |row| accepts(&table(&[(3, row)]));
    assert!(accepted(held(ROUND_NOW - 64, 1, 1)));
    assert!(!accepted(held(ROUND_NOW - 65, 1, 0)));
    assert!(!accepted(held(ROUND_NOW - 65, 0, 1)));
    assert!(accepted(held(ROUND_NOW - 65, 0, 0)));
}

#[test]
fn q6_inventory_that_was_not_read_is_refused() {
    let with = |insurance_size, round| Row {
        insurance_size,
        ..row(2, round)
    };
    let accepted = |row| accepts(&table(&[(2, row)]));
    assert!(accepted(with(-7, ROUND_NOW)));
    assert!(!accepted(with(-7, ROUND_NOW - 1)));
    assert!(!accepted(with(7, ROUND_NOW - 1)));
}

/// A place of the table on its own: its leaf must be a given one.
struct Place {
    round: Target,
    leaf: HashOutTarget,
    row: ScanRowTarget,
}

fn place(b: &mut Builder) -> Place {
    let round = b.add_virtual_target();
    let leaf = b.add_virtual_hash();
    let row = ScanRowTarget::new(b);
    let computed = row.leaf(b);
    b.connect_hashes(computed, leaf);
    row.check_age(b, round);
    Place { round, leaf, row }
}

/// An age hidden on each side, inventory unread, another row than the tree's, a multiple of a
/// digest.
#[test]
fn t3_pranks_are_refused() {
    let stale = |open_long, open_short, insurance_size| Row {
        open_long,
        open_short,
        insurance_size,
        ..row(1, ROUND_NOW - 65)
    };
    assert_each_assertion_needed(place, |t| {
        let attack = |name, row: Row, scale: u64, lies: &[(Target, F)]| {
            let mut witness = PartialWitness::new();
            let round = unsigned(ROUND_NOW.into());
            witness.set_target(t.round, round).unwrap();
            let leaf = row.digest().elements.map(|x| x * unsigned(scale));
            witness.set_target_arr(&t.leaf.elements, &leaf).unwrap();
            t.row.set(&mut witness, Some(&row)).unwrap();
            Attack::new(name, witness, lies)
        };
        let idle = |value| [(t.row.idle.target, value)];
        let one = unsigned(1);
        vec![
            attack("held", stale(1, 1, 0), 1, &idle(unsigned(0))),
            attack("idle long", stale(1, 0, 0), 1, &idle(one)),
            attack("idle short", stale(0, 1, 0), 1, &idle(one)),
            attack("inventory", stale(0, 0, 1), 1, &idle(one)),
            attack("another row", stale(0, 0, 0), 0, &idle(one)),
            attack(
                "twice the digest",
                row(1, ROUND_NOW),
                2,
                &[(t.row.listed.target, unsigned(2))],
            ),
        ]
    });
}

/// A row that is left out, and one that is put in, lead to another root.
#[test]
fn t3_a_hidden_row_is_refused() {
    let held = Row {
        open_long: 1,
        ..row(1, 1)
    };
    let (full, bare) = (table(&[(1, held)]), table(&[]));
    CIRCUIT.with(|(scan, checker)| {
        for (stated, shown) in [(&full, &bare), (&bare, &full)] {
            let witness = inputs(scan, &context(stated), shown);
            assert!(checker.check_with_lies(&witness, &[]).is_err());
        }
    });
}

#[test]
fn rows_are_pinned() {
    let (builder, _) = ScanSegment::build(DEPTH);
    assert_eq!(builder.rows(), 30);
    let (builder, _) = ScanSegment::build(TABLE_DEPTH);
    assert_eq!(builder.rows(), 3910);
}

/// Constraint mutation [STYLE 17] of the whole segment, its row held on either side.
#[test]
fn each_assertion_is_needed() {
    let (builder, scan) = ScanSegment::build_over(Builder::loose(), 1);
    let held = |open_long, open_short| {
        let row = Row {
            open_long,
            open_short,
            insurance_size: 2,
            ..row(1, ROUND_NOW)
        };
        let table = table(&[(1, row)]);
        inputs(&scan, &context(&table), &table)
    };
    let loose = Loose::new(builder, &held(3, 0));
    let mut coverage = Coverage::new(&loose);
    for witness in [held(3, 0), held(0, 3)] {
        let mut scene = loose.scene(&witness);
        coverage.fuzz_open(&mut scene);
        coverage.fuzz_hints(&mut scene);
    }
    coverage.assert_whole();
}
