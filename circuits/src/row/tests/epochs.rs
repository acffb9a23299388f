//! Whole epochs of a small exchange through row segments.

use plonky2::hash::hash_types::HashOut;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::{Digest, hash, unsigned};
use tally_protocol::testing::World;

use super::*;
use crate::bus::{BusTag, EpochSum, Traffic};
use crate::checker::{Checker, Refused};
use crate::hint::from_signed;
use crate::row::{Reads, RowSegment, RowShape, RowWitness, RowsWitness, plan};
use crate::segment::PassingChains;
use crate::summary::{Challenge, Summary};

const A: u32 = 2_000;
const B: u32 = 2_001;
pub(super) const SHAPE: RowShape = RowShape {
    units: 3,
    changes: 1,
    quorum: 3,
};

thread_local! {
    static CIRCUIT: (RowSegment, Checker) = {
        let (builder, segment) = RowSegment::build(SHAPE);
        (segment, Checker::new(builder))
    };
}

fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world
}

/// Three epochs: a fill, a move, a feed that is missing.
pub(super) fn traces() -> Vec<EpochTrace> {
    let mut world = world();
    let fill = world.fill(A, B, 1, 100, MARK);
    let mut traces = vec![world.epoch(|builder| builder.push(fill)).unwrap().1];
    world.marks.insert(1, MARK * 21 / 20);
    world.marks.insert(2, MARK * 9 / 10);
    traces.push(world.epoch(|_| Ok(())).unwrap().1);
    world.missing.insert(1);
    traces.push(world.epoch(|_| Ok(())).unwrap().1);
    traces
}

pub(super) fn inputs(
    segment: &RowSegment,
    trace: &EpochTrace,
    rows: &[RowWitness],
) -> PartialWitness<F> {
    let tables = [trace.table_before, trace.context.table];
    inputs_at(segment, trace, tables, rows)
}

/// With the chains begun elsewhere.
pub(super) fn inputs_at(
    segment: &RowSegment,
    trace: &EpochTrace,
    tables: [Digest; 2],
    rows: &[RowWitness],
) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    let frame = &segment.segment;
    frame.set_context(&mut witness, &trace.context, 0).unwrap();
    frame
        .set_passing(&mut witness, &PassingChains::default())
        .unwrap();
    frame
        .set_challenge(&mut witness, Challenge::default(), HashOut::ZERO)
        .unwrap();
    let part = RowsWitness::new(trace, tables, rows);
    segment.rows.set(&mut witness, frame, &part).unwrap();
    witness
}

fn run(trace: &EpochTrace, rows: &[RowWitness]) -> Result<(Summary, Traffic), Refused> {
    CIRCUIT.with(|(segment, checker)| {
        let accepted = checker.check(&inputs(segment, trace, rows))?;
        let mut traffic = Traffic::default();
        traffic.add(&segment.segment.entries, |t| accepted.get(t));
        Ok((segment.segment.summary(|t| accepted.get(t)), traffic))
    })
}

pub(super) fn some_reads() -> Reads {
    let mut reads = Reads::default();
    reads.margin.extend([(1, 3), (2, 1)]);
    reads.market.insert(1, 2);
    reads
}

/// What the other segments put on the bus for these rows.
fn expected(trace: &EpochTrace, rows: &[RowWitness]) -> Traffic {
    let mut traffic = Traffic::default();
    let mut sums = [0u64; 3];
    for row in rows {
        let step = trace.rows.iter().find(|s| s.number == row.number).unwrap();
        let id = u64::from(step.read.params.id.0);
        let (margin, market) = (step.margin().words(), step.market().words());
        traffic.add_tuple(BusTag::Margin, &margin, row.reads[0].into());
        traffic.add_tuple(BusTag::Market, &market, row.reads[1].into());
        let keyed = [
            (
                BusTag::Group,
                step.group.long as i64,
                step.group.short as i64,
            ),
            (BusTag::Total, step.totals.long, step.totals.short),
        ];
        for (tag, long, short) in keyed {
            traffic.add_tuple(tag, &[unsigned(2 * id)], -i128::from(long));
            traffic.add_tuple(tag, &[unsigned(2 * id + 1)], -i128::from(short));
        }
        let [from, to] = row.inventory.map(|lots| from_signed(lots.into()));
        let moved = row.inventory != [0, 0];
        let inventory = [unsigned(id), from, to];
        traffic.add_tuple(BusTag::Inventory, &inventory, -i128::from(moved));
        let digest = step.after.digest().elements;
        let data = [&[unsigned(step.number.into())], &digest[..]].concat();
        traffic.add_tuple(BusTag::DataRow, &data, 1);
        let parts = [
            step.exposure.weight,
            step.shift.posted,
            step.shift.collected,
        ];
        sums.iter_mut()
            .zip(parts)
            .for_each(|(sum, part)| *sum += part);
    }
    let keys = [EpochSum::Weight, EpochSum::Posted, EpochSum::Collected];
    for (key, sum) in keys.into_iter().zip(sums) {
        traffic.add_tuple(BusTag::Loss, &[unsigned(key as u64)], sum.into());
    }
    traffic
}

fn check(trace: &EpochTrace) {
    let rows = plan(trace, &some_reads()).unwrap();
    let (summary, traffic) = run(trace, &rows).unwrap();
    assert_eq!(summary.counts.data_rows, rows.len() as u64);
    assert_eq!(summary.tick_table.before, trace.table_before);
    assert_eq!(summary.tick_table.after, trace.context.table);
    assert_eq!(summary.close_table.before, trace.context.table);
    assert_eq!(summary.close_table.after, trace.table_after);
    assert_eq!(traffic.unmatched(), expected(trace, &rows).unmatched());
}

#[test]
fn t3_t8_epochs_agree() {
    traces().iter().for_each(check);
}

/// A crash through a position's equity: absorption, and epochs that share insurance's loss.
pub(super) fn absorbed() -> Vec<EpochTrace> {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    world.fund(&[(A, 110_000_000), (B, 1_000_000_000)]);
    let fill = world.fill(A, B, 1, 100, MARK);
    world.epoch(|builder| builder.push(fill)).unwrap();
    let mut after = |part| {
        world.marks.insert(1, MARK * part / 100);
        world.epoch(|_| Ok(())).unwrap().1
    };
    [80, 60, 45].map(&mut after).to_vec()
}

#[test]
fn q5_q6_absorption_and_socialisation_agree() {
    let traces = absorbed();
    traces.iter().for_each(check);
    let rows = traces.iter().flat_map(|trace| &trace.rows);
    let socialised: u64 = rows.map(|row| row.shift.posted).sum();
    assert!(socialised > 0, "nothing was shared");
}

#[test]
fn p1_two_segments_hand_the_chains_on() {
    let trace = &traces()[0];
    let rows = plan(trace, &Reads::default()).unwrap();
    let (first, _) = run(trace, &rows[..1]).unwrap();
    assert_ne!(first.tick_table.after, trace.context.table);
    CIRCUIT.with(|(segment, checker)| {
        let mut witness = inputs(segment, trace, &rows[1..]);
        let summary = &segment.segment.summary;
        for (target, value) in [
            (summary.tick_table.before, first.tick_table.after),
            (summary.close_table.before, first.close_table.after),
        ] {
            for (target, value) in target.elements.into_iter().zip(value.elements) {
                witness.target_values.insert(target, value);
            }
        }
        let accepted = checker.check(&witness).unwrap();
        let last = segment.segment.summary(|t| accepted.get(t));
        assert_eq!(last.tick_table.after, trace.context.table);
        assert_eq!(last.close_table.after, trace.table_after);
    });
}

/// Each lie about a row, its prices, its sums or its paths is refused by constraints alone.
#[test]
fn t3_t8_rejects() {
    let trace = &traces()[1];
    let rows = plan(trace, &some_reads()).unwrap();
    type Lie = fn(&mut RowWitness);
    let lies: [(&str, Lie); 12] = [
        ("another row", |row| row.number += 1),
        ("its mark", |row| row.before.as_mut().unwrap().mark += 1),
        ("its parameters", |row| {
            row.before.as_mut().unwrap().params.max_open_interest += 1;
        }),
        ("a price", |row| row.feed[0].0.as_mut().unwrap().mark += 1),
        ("a missing price", |row| row.feed[0].0 = None),
        ("the tick's path", |row| row.tick_path[3] = HashOut::ZERO),
        ("the close's path", |row| row.close_path[3] = HashOut::ZERO),
        ("a feed's path", |row| {
            row.feed[1].1[0].elements[0] += unsigned(1)
        }),
        ("more lots of G", |row| row.group.long = 1_000),
        ("totals below 0", |row| row.totals.long = -101),
        ("totals above M", |row| row.totals.short = 1_000_000),
        ("hidden inventory", |row| row.after.insurance_size = 3),
    ];
    CIRCUIT.with(|(segment, checker)| {
        for (name, lie) in lies {
            let mut told = rows.clone();
            lie(&mut told[0]);
            let witness = inputs(segment, trace, &told);
            let verdict = checker.check_with_lies(&witness, &[]);
            assert!(verdict.is_err(), "{name} passes");
        }
    });
}

/// [T3] A row ticks once in an epoch: its second unit meets the round of the first.
#[test]
fn t3_a_row_that_ticks_twice_is_refused() {
    let trace = &traces()[0];
    let mut rows = plan(trace, &Reads::default()).unwrap();
    let again = RowWitness {
        before: Some(trace.rows[0].read),
        tick_path: rows[0].close_path.clone(),
        ..rows[0].clone()
    };
    rows.push(again);
    assert!(run(trace, &rows).is_err());
}

/// [forged table read] A count of reads is committed: a chosen one changes the commitment, and with
/// it the challenge that it would have to be chosen for.
#[test]
fn p2_counts_of_reads_are_committed() {
    let trace = &traces()[0];
    let honest = plan(trace, &some_reads()).unwrap();
    let (first, _) = run(trace, &honest).unwrap();
    let mut forged = honest.clone();
    forged[0].reads[0] += 1;
    let (second, _) = run(trace, &forged).unwrap();
    assert_ne!(first.commitment, second.commitment);
    CIRCUIT.with(|(segment, checker)| {
        // The old commitment with the new count.
        let commitment = segment.segment.summary.commitment.elements;
        let kept: Vec<_> = commitment
            .into_iter()
            .zip(first.commitment.elements)
            .collect();
        let witness = inputs(segment, trace, &forged);
        assert!(checker.check_with_lies(&witness, &kept).is_err());
    });
}

/// A dead unit offers nothing and takes nothing, whatever its witness says.
#[test]
fn p1_dead_units_are_silent() {
    let trace = &traces()[0];
    let rows = plan(trace, &Reads::default()).unwrap();
    CIRCUIT.with(|(segment, checker)| {
        let mut witness = inputs(segment, trace, &rows[..1]);
        let dead = &segment.rows.units[2];
        witness.target_values.insert(dead.reads[0], unsigned(5));
        witness.target_values.insert(dead.reads[1], unsigned(5));
        let accepted = checker.check(&witness).unwrap();
        let mut traffic = Traffic::default();
        traffic.add(&segment.segment.entries, |t| accepted.get(t));
        assert_eq!(traffic.unmatched(), expected(trace, &rows[..1]).unmatched());
    });
}

/// [T1] The reports are those of the context, exactly k of them.
#[test]
fn t1_other_reports_are_refused() {
    let trace = &traces()[0];
    let rows = plan(trace, &Reads::default()).unwrap();
    let mut other = trace.clone();
    let words = [unsigned(1); 12];
    other.context.reports = hash(tally_protocol::hash::Tag::Reports, &words);
    assert!(run(&other, &rows).is_err());
}

#[test]
fn rows_are_pinned() {
    let rows = |units, changes| {
        let shape = RowShape {
            units,
            changes,
            quorum: 3,
        };
        RowSegment::build(shape).0.rows()
    };
    let (one, two, changed) = (rows(1, 0), rows(2, 0), rows(2, 1));
    assert_eq!([one, two - one, changed - two], [178, 148, 59]);
}
