//! Every line of the ledger's circuit that asserts something is needed: with its assertion left
//! out, an attack on it passes.

use core::panic::Location;
use std::collections::BTreeMap;

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use tally_protocol::ledger::Facts;

use super::attacks::{self, start};
use super::bench::*;
use super::plain::MANY;
use crate::ledger::{LedgerSegment, LedgerShape, PlannedSegment};
use crate::{Builder, F};

/// Assertions of one line that are tried; blocks repeat their units' and places'.
const TRIED: usize = 12;

/// Lines of `circuits/src/ledger/` whose assertions no attack notices.
pub fn unnoticed(
    shape: LedgerShape,
    attacks: &[PlannedSegment],
    honest: &[PlannedSegment],
) -> Vec<String> {
    let (builder, _) = LedgerSegment::build_over(Builder::new(), shape);
    let mut lines: BTreeMap<(String, u32), Vec<usize>> = BTreeMap::new();
    for (index, location) in builder.assertions().iter().enumerate() {
        let location: &Location<'_> = location;
        if location.file().contains("/ledger/") {
            let line = (location.file().to_owned(), location.line());
            lines.entry(line).or_default().push(index);
        }
    }
    let rig = Rig::new(shape);
    let stated: Vec<Vec<F>> = honest
        .iter()
        .map(|segment| rig.check(segment).unwrap().public_inputs().to_vec())
        .collect();
    let noticed = |indices: &[usize]| {
        indices.iter().take(TRIED).any(|&index| {
            let (rig, hints) = Rig::over(Builder::dropping(index), shape);
            attacks.iter().any(|attack| !rig.refuses(attack))
                || honest
                    .iter()
                    .zip(&stated)
                    .any(|(segment, stated)| lie_passes(&rig, &hints, segment, stated))
        })
    };
    let idle = lines.iter().filter(|(_, indices)| !noticed(indices));
    idle.map(|((file, line), _)| format!("{file}:{line}"))
        .collect()
}

/// Whether some hint can be lied about so that the segment states something else.
fn lie_passes(
    rig: &Rig,
    hints: &[(&'static str, Target)],
    segment: &PlannedSegment,
    stated: &[F],
) -> bool {
    let inputs = rig.inputs(segment);
    let Ok(honest) = rig.checker.check_with_lies(&inputs, &[]) else {
        return false;
    };
    hints
        .iter()
        .filter(|(name, _)| *name != "bus term")
        .any(|&(_, target)| {
            let lie = F::ONE - honest.get(target);
            let told = rig.checker.check_with_lies(&inputs, &[(target, lie)]);
            told.is_ok_and(|told| told.public_inputs() != stated)
        })
}

/// An honest epoch that uses everything a plain block has.
fn honest(shape: LedgerShape) -> Vec<PlannedSegment> {
    let mut bench = start(100_000, &[(PERP, 5), (SPOT, -2)]);
    for posting in [
        bench.by_slot(5, 6, 100, 7),
        bench.by_nonce(0, 2, 1),
        bench.by_nonce(0, 2, -1),
    ] {
        bench.apply(posting, Facts::default()).unwrap();
    }
    vec![unchecked(&bench, shape)]
}

#[test]
fn each_asserting_line_of_a_plain_block_is_needed() {
    let shape = LedgerShape { blocks: 1, ..MANY };
    let attacks: Vec<PlannedSegment> = attacks::all().into_iter().map(|(_, a)| a).collect();
    let idle = unnoticed(shape, &attacks, &honest(shape));
    assert!(idle.is_empty(), "{idle:#?}");
}
