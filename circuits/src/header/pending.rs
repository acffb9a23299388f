//! The header's pending changes: kept until due, sent to their rows, joined by admitted ones, or
//! shown to leave no place for others [T7].

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{PENDING_CHANGES, REFUSED_CHANGES, TABLE_DEPTH};
use tally_protocol::hash::unsigned;
use tally_protocol::header::Header;

use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Words of a place: effective, row, digest.
const WORDS: usize = 6;

/// The list, and the changes that it has no place for.
#[derive(Clone, Debug)]
pub(super) struct PendingTarget {
    /// Of each place: takes a change that an item of this epoch brings.
    pub admitted: Vec<BoolTarget>,
    pub refused: Vec<RefusedTarget>,
}

/// A change that an item of this epoch is refused for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedTarget {
    pub live: BoolTarget,
    pub row: Target,
}

/// A place after the epoch.
struct Place {
    kept: BoolTarget,
    admitted: BoolTarget,
    /// The row that it is for; where it is empty, a number that is no row and nobody else's.
    key: Target,
}

impl PendingTarget {
    /// Statement: a place in use stays as it is until its time has come; then its change goes to
    /// its row, which must take it. A place that is empty by then may take an admitted change, due
    /// after the timelock; else it is all zeros. No two places are for one row. An epoch that
    /// refuses a change admits none, and its places then are all in use or one is for that row.
    /// Which empty place takes which change is the prover's choice and changes nothing else.
    /// Assumes that admitted and refused rows are below 2^10, as the journal sees to.
    /// Cost: 8 rows a place, 3.5 a refusal.
    pub fn new(s: &mut SegmentBuilder, before: &[Target], after: &[Target]) -> Self {
        let (time, timelock) = (s.context.time, s.context.globals.timelock);
        // The time is above an earlier one, so this is at least 1; it has at most 41 bits.
        let effective = s.add(time, timelock);
        let places = before.chunks(WORDS).zip(after.chunks(WORDS)).enumerate();
        let places: Vec<Place> = places
            .map(|(number, words)| place(s, number, words, effective))
            .collect();
        assert_eq!(places.len(), PENDING_CHANGES);
        let keys: Vec<Target> = places.iter().map(|place| place.key).collect();
        assert_distinct(s, &keys);
        Self {
            admitted: places.iter().map(|place| place.admitted).collect(),
            refused: refusals(s, &places, &keys),
        }
    }

    /// `refused` are the rows of changes that items are refused for.
    pub fn set(
        &self,
        witness: &mut PartialWitness<F>,
        (before, after): (&Header, &Header),
        refused: &[u32],
    ) -> anyhow::Result<()> {
        let items = before.pending.iter().zip(&after.pending);
        for (&admitted, (old, new)) in self.admitted.iter().zip(items) {
            let kept = !old.is_empty() && old.effective > after.time;
            witness.set_bool_target(admitted, !kept && !new.is_empty())?;
        }
        anyhow::ensure!(refused.len() <= REFUSED_CHANGES, "[T7] too many refusals");
        for (i, target) in self.refused.iter().enumerate() {
            let row = refused.get(i);
            witness.set_bool_target(target.live, row.is_some())?;
            let row = row.copied().unwrap_or_default();
            witness.set_target(target.row, unsigned(row.into()))?;
        }
        Ok(())
    }
}

fn place(
    s: &mut SegmentBuilder,
    number: usize,
    (before, after): (&[Target], &[Target]),
    effective: Target,
) -> Place {
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
    let taken = BoolTarget::new_unsafe(taken);
    let free = s.not(taken);
    for (old, new) in before[1..].iter().zip(&after[1..]) {
        s.conditional_assert_eq(kept.target, *old, *new);
        let left = s.mul(free.target, *new);
        s.assert_zero(left);
    }
    let nobodys = s.constant(unsigned((1 << TABLE_DEPTH) + number as u64));
    Place {
        kept,
        admitted,
        key: logic::select(s, taken, after[1], nobodys),
    }
}

/// Π (x − key): 0 iff x is one of them. Cost: 2 operations a key.
fn differences(b: &mut Builder, x: Target, keys: &[Target]) -> Target {
    let one = b.one();
    keys.iter().fold(one, |product, &key| {
        let difference = b.sub(x, key);
        b.mul(product, difference)
    })
}

/// Cost: 2 operations a pair.
fn assert_distinct(b: &mut Builder, keys: &[Target]) {
    let one = b.one();
    let product = keys.iter().enumerate().fold(one, |product, (i, &key)| {
        let others = differences(b, key, &keys[..i]);
        b.mul(product, others)
    });
    let equal = logic::is_zero(b, product);
    b.assert_zero(equal.target);
}

/// What is refused finds no place in the header as it was before the epoch's items: an epoch that
/// refuses admits nothing (docs/decisions.md, D30).
fn refusals(s: &mut SegmentBuilder, places: &[Place], keys: &[Target]) -> Vec<RefusedTarget> {
    let admitted = s.add_many(places.iter().map(|place| place.admitted.target));
    let kept = s.add_many(places.iter().map(|place| place.kept.target));
    let all = s.constant(unsigned(PENDING_CHANGES as u64));
    let full = logic::is_equal(s, kept, all);
    let refusal = |s: &mut SegmentBuilder| {
        let live = s.add_virtual_bool_target_safe();
        let row = s.add_virtual_target();
        s.receive(BusTag::NoPlace, &[row], live);
        let mixed = s.mul(live.target, admitted);
        s.assert_zero(mixed);
        let product = differences(s, row, keys);
        let pending = logic::is_zero(s, product);
        let no_place = s.or(full, pending);
        logic::assert_implies(s, live, no_place);
        RefusedTarget { live, row }
    };
    (0..REFUSED_CHANGES).map(|_| refusal(s)).collect()
}
