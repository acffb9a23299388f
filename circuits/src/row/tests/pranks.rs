//! Every hint of a row segment, lied about: refused, or the segment still states
//! and sends the same.

use plonky2::field::types::Field;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::listing::Change;
use tally_protocol::queue::{Request, Service};
use tally_protocol::testing::World;

use super::epochs::{SHAPE, inputs, some_reads, traces};
use super::*;
use crate::bus::Traffic;
use crate::checker::{Accepted, Checker};
use crate::row::{RowSegment, RowShape, plan};
use crate::segment::Segment;

/// What an accepted witness tells the others: public inputs and messages.
fn told(segment: &Segment, accepted: &Accepted<'_>) -> (Vec<F>, String) {
    let mut traffic = Traffic::default();
    traffic.add(&segment.entries, |t| accepted.get(t));
    let messages = format!("{:?}", traffic.unmatched());
    (accepted.public_inputs().to_vec(), messages)
}

/// One more, and the opposite bit.
fn check_hints(
    segment: &Segment,
    checker: &Checker,
    hints: &[(&'static str, Target)],
    inputs: &PartialWitness<F>,
) {
    let honest = checker.check(inputs).unwrap();
    let stated = told(segment, &honest);
    for &(name, target) in hints.iter().filter(|(name, _)| *name != "bus term") {
        let value = honest.get(target);
        let one = F::ONE;
        for lie in [value + one, one - value] {
            if let Ok(accepted) = checker.check_with_lies(inputs, &[(target, lie)]) {
                assert_eq!(told(segment, &accepted), stated, "a lie about {name}");
            }
        }
    }
}

/// An epoch in which insurance's loss is shared, and one that lists a row.
pub(super) fn shared_and_listed() -> Vec<EpochTrace> {
    let mut world = World::new(&[perpetual(1, MARK)]);
    world.fund(&[(2_000, 110_000_000), (2_001, 1_000_000_000)]);
    let fill = world.fill(2_000, 2_001, 1, 97, MARK);
    let change = Change {
        params: spot(2, MARK).params,
        price: MARK,
    };
    let item = world.item(Request::Change(Box::new(change)), Service::Done);
    let first = world.epoch(|builder| {
        builder.push(fill)?;
        builder.push(item).map(drop)
    });
    first.unwrap();
    world.marks.insert(1, MARK * 4 / 5);
    vec![world.epoch(|_| Ok(())).unwrap().1]
}

#[test]
fn t4_t7_q6_lies_about_hints_are_refused() {
    let trace = &shared_and_listed()[0];
    let rows = plan(trace, &some_reads()).unwrap();
    assert!(rows[0].change.is_some() && trace.rows[0].shift.per_lot > 0);
    let shape = RowShape {
        units: 2,
        changes: 1,
        ..SHAPE
    };
    let (builder, segment) = RowSegment::build(shape);
    let hints = builder.all_hints();
    let checker = Checker::new(builder);
    let inputs = inputs(&segment, trace, &rows);
    check_hints(&segment.segment, &checker, &hints, &inputs);
}

#[test]
fn t1_t6_lies_about_a_moving_row_are_refused() {
    let trace = &traces()[1];
    let rows = plan(trace, &some_reads()).unwrap();
    let shape = RowShape {
        units: 2,
        changes: 0,
        ..SHAPE
    };
    let (builder, segment) = RowSegment::build(shape);
    let hints = builder.all_hints();
    let checker = Checker::new(builder);
    let inputs = inputs(&segment, trace, &rows);
    check_hints(&segment.segment, &checker, &hints, &inputs);
}
