//! Each assertion of a segment of fills is needed [STYLE 17]; those of its terms, `super` shows.

use super::*;
use crate::checker::loose::{Coverage, Loose};

/// What a segment asserts beside its units' terms: what is live, and when.
#[test]
fn p1_each_assertion_of_a_segment_is_needed() {
    let (builder, segment) = FillSegment::build(Builder::bare(), 2);
    let row = perpetual();
    let given = |context: &Context, fills: usize| {
        let mut witness = epoch_witness(&segment.segment, context);
        let (fill, row) = (&fill(&row), &row);
        let fills = (0..fills as u32).map(|i| PlacedFill {
            fill,
            row,
            first: 2 * i,
        });
        let (fills, fees_at) = (fills.collect(), 4);
        let value = FillWitness { fills, fees_at };
        segment.assign(&mut witness, &value).unwrap();
        witness
    };
    let loose = Loose::new(builder, &given(&context(), 1));
    let mut coverage = Coverage::new(&loose);
    let paused = Context {
        fills_allowed: false,
        ..context()
    };
    coverage.attack("[T2] a fill in a pause", &given(&paused, 1));
    for fills in [1, 2, 0] {
        let mut scene = loose.scene(&given(&context(), fills));
        assert!(
            scene.broken().nothing(),
            "{:?}",
            coverage.names(&scene.broken())
        );
        coverage.fuzz_open(&mut scene);
    }
    coverage.assert_whole();
}
