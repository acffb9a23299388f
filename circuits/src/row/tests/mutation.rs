//! Each assertion of a row unit is needed, and no lie about a hint passes (STYLE 16, 17).

use plonky2::field::types::Field;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::bounds::LOSS_BITS;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::Row;

use super::epochs::{SHAPE, absorbed, inputs_at, some_reads, traces};
use super::pranks::shared_and_listed;
use crate::checker::loose::{Coverage, Loose};
use crate::row::{RowSegment, RowShape, RowWitness, plan};
use crate::{Builder, F};

#[test]
fn each_assertion_of_a_unit_is_needed() {
    let shape = RowShape {
        units: 1,
        changes: 1,
        ..SHAPE
    };
    let (builder, segment) = RowSegment::build_over(Builder::bare(), shape);
    let traces = [shared_and_listed(), traces(), absorbed()].concat();
    let all: Vec<_> = traces.iter().flat_map(|t| by_row(&segment, t)).collect();
    let loose = Loose::new(builder, &all[0]);
    let mut coverage = Coverage::new(&loose);
    tell_by_hand(&loose, &segment, &traces, &mut coverage);
    for (i, witness) in all.iter().take(5).chain(&all[all.len() - 3..]).enumerate() {
        let mut scene = loose.scene(witness);
        assert!(scene.broken().nothing(), "{:?}", scene.broken());
        coverage.fuzz_open(&mut scene);
        if i < 2 {
            coverage.fuzz_hints(&mut scene);
        }
    }
    coverage.assert_whole();
}

/// What lies about one target do not show.
fn tell_by_hand(
    loose: &Loose,
    segment: &RowSegment,
    traces: &[EpochTrace],
    coverage: &mut Coverage<'_>,
) {
    let mut scene = loose.scene(&wide_loss(segment, traces));
    for hint in loose.hints("is_nonnegative") {
        coverage.tell(&mut scene, &[(hint[0], F::TWO)]);
    }
    // [T3], [P1] A place where nothing is: shown twice, or with two rows of zeros in it.
    let mut scene = loose.scene(&vacant(segment, traces));
    assert!(
        scene.broken().nothing(),
        "{:?}",
        coverage.names(&scene.broken())
    );
    let unit = &segment.rows.units[0];
    coverage.tell(
        &mut scene,
        &[(segment.rows.live, F::TWO), (unit.live.target, F::TWO)],
    );
    let id = unit.change.as_ref().expect("it may change").params.id();
    coverage.tell(
        &mut scene,
        &[(unit.exists.target, F::TWO), (id, unsigned(5))],
    );
}

/// A unit that opens a place where nothing was and nothing is listed.
fn vacant(segment: &RowSegment, traces: &[EpochTrace]) -> PartialWitness<F> {
    let of_trace = |trace: &EpochTrace| {
        let rows = plan(trace, &some_reads()).unwrap();
        let mut table = trace.table_before;
        for row in rows {
            if row.before.is_none() {
                let part = RowWitness {
                    change: None,
                    after: Row::default(),
                    close_path: row.tick_path.clone(),
                    ..row
                };
                return Some(inputs_at(segment, trace, [table; 2], &[part]));
            }
            table = row.roots[0];
        }
        None
    };
    traces.iter().find_map(of_trace).expect("a listing")
}

/// A loss of so many lots that twice it is above its cap, on a row of no epoch.
fn wide_loss(segment: &RowSegment, traces: &[EpochTrace]) -> PartialWitness<F> {
    let lost = |trace: &&EpochTrace| trace.rows[0].exposure.weight > 0;
    let trace = traces.iter().find(lost).expect("a trace with a loss");
    let step = &trace.rows[0];
    let rows = plan(trace, &some_reads()).unwrap();
    let place = rows.iter().position(|row| row.number == step.number);
    let mut witness = by_row(segment, trace).swap_remove(place.expect("it is planned"));
    let held = step.group.long.max(step.group.short);
    let lots = (3 << (LOSS_BITS - 2)) / step.exposure.weight * held;
    let unit = &segment.rows.units[0];
    let group = unit.group.lots[usize::from(step.group.short > step.group.long)];
    for target in [
        unit.before.open_long(),
        unit.before.open_short(),
        unit.before.params.max_open_interest(),
        group,
    ] {
        witness.target_values.insert(target, unsigned(lots));
    }
    witness
}

/// Each row of an epoch as a segment of its own, and one without a row.
fn by_row(segment: &RowSegment, trace: &EpochTrace) -> Vec<PartialWitness<F>> {
    let rows = plan(trace, &some_reads()).unwrap();
    let mut tables = [trace.table_before, trace.context.table];
    let mut all = Vec::new();
    for row in &rows {
        let part = core::slice::from_ref(row);
        all.push(inputs_at(segment, trace, tables, part));
        tables = row.roots;
    }
    all.push(inputs_at(segment, trace, tables, &[]));
    all
}
