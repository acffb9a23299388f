use plonky2::hash::hash_types::HashOut;
use tally_protocol::listing::Change;
use tally_protocol::queue::{Request, Service};
use tally_protocol::testing::{World, perpetual, spot};

use super::*;
use crate::checker::Checker;
use crate::row::RowSegment;
use crate::segment::PassingChains;
use crate::summary::{Challenge, Summary};

const MARK: u64 = 10_000_000;
const SHAPE: TickShape = TickShape {
    scan_depth: 3,
    rows: RowShape {
        units: 2,
        changes: 1,
        quorum: 3,
    },
};
const MORE: RowShape = RowShape {
    units: 2,
    changes: 1,
    quorum: 3,
};

thread_local! {
    static TICK: (TickSegment, Checker) = {
        let (builder, segment) = TickSegment::build(SHAPE);
        (segment, Checker::new(builder))
    };
    static ROWS: (RowSegment, Checker) = {
        let (builder, segment) = RowSegment::build(MORE);
        (segment, Checker::new(builder))
    };
}

fn inputs(segment: &Segment, trace: &EpochTrace) -> PartialWitness<F> {
    let mut inputs = PartialWitness::new();
    segment.set_context(&mut inputs, &trace.context, 0).unwrap();
    let chains = PassingChains::default();
    segment.set_passing(&mut inputs, &chains).unwrap();
    segment
        .set_challenge(&mut inputs, Challenge::default(), HashOut::ZERO)
        .unwrap();
    inputs
}

fn tick(trace: &EpochTrace, witness: &TickWitness) -> Summary {
    TICK.with(|(tick, checker)| {
        let mut inputs = inputs(&tick.segment, trace);
        tick.set(&mut inputs, witness).unwrap();
        let accepted = checker.check(&inputs).unwrap();
        tick.segment.summary(|target| accepted.get(target))
    })
}

fn more(trace: &EpochTrace, witness: &RowsWitness) -> Summary {
    ROWS.with(|(rows, checker)| {
        let mut inputs = inputs(&rows.segment, trace);
        rows.rows.set(&mut inputs, &rows.segment, witness).unwrap();
        let accepted = checker.check(&inputs).unwrap();
        rows.segment.summary(|target| accepted.get(target))
    })
}

/// The chains lead through all segments from the table before to the table after.
fn check(trace: &EpochTrace, before: &Table) -> usize {
    let plan = TickPlan::new(trace, before, &Reads::default(), (SHAPE, MORE)).unwrap();
    let first = tick(trace, &plan.tick);
    assert_eq!((first.counts.headers, first.counts.scans), (1, 1));
    let mut rows = first.counts.data_rows;
    let (mut ticked, mut closed) = (first.tick_table, first.close_table);
    for witness in &plan.more {
        let next = more(trace, witness);
        assert_eq!(next.tick_table.before, ticked.after);
        assert_eq!(next.close_table.before, closed.after);
        (ticked.after, closed.after) = (next.tick_table.after, next.close_table.after);
        rows += next.counts.data_rows;
    }
    assert_eq!(ticked.before, trace.table_before);
    assert_eq!(ticked.after, trace.context.table);
    assert_eq!(closed.before, trace.context.table);
    assert_eq!(closed.after, trace.table_after);
    assert_eq!(rows, trace.rows.len() as u64);
    plan.more.len()
}

#[test]
fn t3_t7_t8_epochs_of_several_segments_agree() {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK), perpetual(5, MARK)]);
    let lots = [
        (3, MARK),
        // [N1] A lot worth too little: it lapses, and there is no row.
        (4, 999_999),
    ];
    let items: Vec<_> = lots
        .into_iter()
        .map(|(row, price)| {
            let params = perpetual(row, MARK).params;
            let change = Box::new(Change { params, price });
            world.item(Request::Change(change), Service::Done)
        })
        .collect();
    let mut segments = 0;
    let mut lapsed = 0;
    for epoch in 0..4 {
        let before = world.state.table.clone();
        let pushed = world.epoch(|builder| {
            let items = items.iter().filter(|_| epoch == 0);
            items
                .cloned()
                .try_for_each(|item| builder.push(item).map(drop))
        });
        let (_, trace) = pushed.unwrap();
        segments += check(&trace, &before);
        lapsed += trace.lapsed.len();
    }
    assert_eq!(lapsed, 1);
    assert!(segments > 4);
    assert!(world.state.table.get(3).is_some() && world.state.table.get(4).is_none());
}

#[test]
fn rows_are_pinned() {
    let (builder, _) = TickSegment::build(TickShape::PRODUCTION);
    assert_eq!(builder.rows(), 13_339);
}
