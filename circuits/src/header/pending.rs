//! The header's pending changes: kept until due, sent to their rows, replaced by admitted ones
//! [T7].

use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::PENDING_CHANGES;

use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::segment::SegmentBuilder;

/// Words of a place: effective, row, digest.
const WORDS: usize = 6;

/// A place of the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingTarget {
    /// Takes a change that an item of this epoch brings.
    pub admitted: BoolTarget,
}

/// Statement: a place in use stays as it is until its time has come; then its change goes to its
/// row, which must take it. A place that is empty by then may take an admitted change, due after
/// the timelock; else it is all zeros. Which empty place takes which change is the prover's choice
/// and changes nothing else. Cost: 6 rows a place.
pub(super) fn transition(
    s: &mut SegmentBuilder,
    before: &[Target],
    after: &[Target],
) -> Vec<PendingTarget> {
    let (time, timelock) = (s.context.time, s.context.globals.timelock);
    // The time is above an earlier one, so this is at least 1; it has at most 41 bits.
    let effective = s.add(time, timelock);
    let places = before.chunks(WORDS).zip(after.chunks(WORDS));
    let places: Vec<PendingTarget> = places
        .map(|(before, after)| place(s, before, after, effective))
        .collect();
    assert_eq!(places.len(), PENDING_CHANGES);
    places
}

fn place(
    s: &mut SegmentBuilder,
    before: &[Target],
    after: &[Target],
    effective: Target,
) -> PendingTarget {
    let time = s.context.time;
    let empty = logic::is_zero(s, before[0]);
    let used = s.not(empty);
    let reached = range::is_le(s, before[0], time);
    let due = s.and(used, reached);
    s.send(BusTag::Change, &before[1..], due);
    let waits = s.not(reached);
    let kept = s.and(used, waits);
    let admitted = s.add_virtual_bool_target_safe();
    s.receive(BusTag::Admit, &after[1..], admitted);
    let both = s.and(kept, admitted);
    s.assert_zero(both.target);
    // effective′ is the old one, the new one, or 0; the rest follows it.
    let old = s.mul(kept.target, before[0]);
    let stays = s.mul_add(admitted.target, effective, old);
    s.connect(after[0], stays);
    let taken = s.add(kept.target, admitted.target);
    let free = s.not(BoolTarget::new_unsafe(taken));
    for (old, new) in before[1..].iter().zip(&after[1..]) {
        s.conditional_assert_eq(kept.target, *old, *new);
        let left = s.mul(free.target, *new);
        s.assert_zero(left);
    }
    PendingTarget { admitted }
}
