//! Each assertion of a row unit is needed, and no lie about a hint passes (STYLE 16, 17).

use plonky2::field::types::Field;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::bounds::LOSS_BITS;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::unsigned;

use super::epochs::{SHAPE, absorbed, inputs_at, some_reads, traces};
use super::pranks::shared_and_listed;
use crate::checker::loose::{Coverage, Loose};
use crate::row::{RowSegment, RowShape, plan};
use crate::{Builder, F};

#[test]
fn each_assertion_of_a_unit_is_needed() {
    let shape = RowShape {
        units: 1,
        changes: 1,
        ..SHAPE
    };
    let (builder, segment) = RowSegment::build_over(Builder::loose(), shape);
    let traces = [shared_and_listed(), traces(), absorbed()].concat();
    let all = traces.iter().map(|trace| by_row(&segment, trace));
    let all: Vec<_> = all.flatten().collect();
    let loose = Loose::new(builder, &all[0]);
    let mut coverage = Coverage::new(&loose);
    for (i, witness) in all.iter().take(5).chain(&all[all.len() - 3..]).enumerate() {
        let mut scene = loose.scene(witness);
        assert!(scene.broken().nothing(), "{:?}", scene.broken());
        coverage.fuzz_open(&mut scene);
        if i < 2 {
            coverage.fuzz_hints(&mut scene);
        }
    }
    let mut scene = loose.scene(&wide_loss(&segment, &traces));
    for hint in loose.hints("is_nonnegative") {
        coverage.tell(&mut scene, &[(hint[0], F::TWO)]);
    }
    // Not shown alone: that `live`, `exists` and three status bits are bits, and that the bit is at
    // the cap of a loss.
    coverage.assert_all_but(6);
}

/// A loss of so many lots that twice it is above its cap, on a row of no epoch.
fn wide_loss(segment: &RowSegment, traces: &[EpochTrace]) -> PartialWitness<F> {
    let lost = |trace: &&EpochTrace| trace.rows[0].exposure.weight > 0;
    let trace = traces.iter().find(lost).expect("a trace with a loss");
    let mut witness = by_row(segment, trace).swap_remove(0);
    let step = &trace.rows[0];
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
