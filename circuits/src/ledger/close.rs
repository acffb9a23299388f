//! Twin of `tally_protocol::ledger::close`: what holds at an account's end [L4] to [L6], and the
//! leaf that it leaves.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::{CASH_BITS, SIZE_BITS};

use super::LedgerShape;
use super::leaf::{AccountTarget, MoneyTarget, RestTarget, SlotTarget};
use super::open::Opened;
use super::place::{PlaceTarget, check_running};
use super::running::{RunningPlace, RunningTarget};
use crate::gadgets::{logic, range};
use crate::hint::as_signed;
use crate::{Builder, F};

/// A place at the block's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClosedPlace {
    pub long: Target,
    pub short: Target,
    /// Lots, without their sign.
    pub lots: Target,
    /// The sign: set for a short. Where there are no lots, the sign of `base` or free.
    pub sells: BoolTarget,
    pub holds: BoolTarget,
}

impl ClosedPlace {
    /// [N4] |size| ≤ max_size at close, below 2^48 where the account goes on. Cost: 2 lanes,
    /// 12 operations.
    fn new(b: &mut Builder, place: &RunningPlace, bound: Target) -> Self {
        let sells = b.hint_one("closes short", &[place.size, place.base], |v| {
            let size = if v[0] == F::ZERO { v[1] } else { v[0] };
            F::from_bool(as_signed(size) < 0)
        });
        let sells = BoolTarget::new_unsafe(sells);
        b.assert_bool(sells);
        let lots = b.arithmetic(-F::TWO, F::ONE, sells.target, place.size, place.size);
        range::check_62(b, lots);
        range::assert_le(b, lots, bound);
        let short = b.mul(lots, sells.target);
        let long = b.sub(lots, short);
        let none = logic::is_zero(b, lots);
        Self {
            long,
            short,
            lots,
            sells,
            holds: b.not(none),
        }
    }

    /// The slot that the place leaves, its carry settled now; all zeros where it is empty.
    /// Cost: 6 operations.
    fn slot(&self, b: &mut Builder, place: &PlaceTarget) -> SlotTarget {
        let one = b.one();
        let key = b.arithmetic(F::TWO, F::ONE, place.row.id, one, self.sells.target);
        let (long, short) = (place.row.long_carry, place.row.short_carry);
        let carry = logic::select(b, self.sells, short, long);
        SlotTarget {
            key: b.mul(self.holds.target, key),
            size: self.lots,
            carry: b.mul(self.holds.target, carry),
        }
    }
}

/// An account at its block's end.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub money: MoneyTarget,
    pub rest: RestTarget,
}

/// [N4] at the end of a block: |cash| < 2^60 if the account closes, 2^62 if it goes on; sizes up to
/// their max_size if `bounded`, else below 2^48. Cost: 4 lanes and the places'.
pub(super) fn end_places(
    b: &mut Builder,
    shape: &LedgerShape,
    closes: BoolTarget,
    bounded: BoolTarget,
    opened: &Opened,
    running: &RunningTarget,
) -> Vec<ClosedPlace> {
    let at_close = b.mul(closes.target, running.cash);
    range::check_signed(b, at_close, CASH_BITS);
    if shape.spans() {
        check_running(b, running.cash);
    }
    let widest = b.constant(F::from_canonical_u64((1 << SIZE_BITS) - 1));
    let mut ends = Vec::new();
    for (place, end) in opened.places.iter().zip(&running.places) {
        let own = place.row.max_size;
        let bound = if shape.spans() {
            logic::select(b, bounded, own, widest)
        } else {
            own
        };
        ends.push(ClosedPlace::new(b, end, bound));
    }
    ends
}

/// Equity and one requirement per lot and side over all places. A short spot slot, which version 1
/// never has, would count against equity as it does natively. Cost: 3 operations a place.
pub(super) fn totals(
    b: &mut Builder,
    opened: &Opened,
    running: &RunningTarget,
    ends: &[ClosedPlace],
    cash: Target,
    requirement: impl Fn(&PlaceTarget) -> [Target; 2],
) -> (Target, Target) {
    let mut equity = cash;
    let mut required = b.zero();
    let sizes = running.places.iter().map(|place| place.size);
    for ((place, end), size) in opened.places.iter().zip(ends).zip(sizes) {
        let [long, short] = requirement(place);
        equity = b.mul_add(size, place.row.value, equity);
        required = b.mul_add(end.long, long, required);
        required = b.mul_add(end.short, short, required);
    }
    (equity, required)
}

/// Closes a plain account: E₁ ≥ R₁, with outflow the stricter one [L4]. What only reduces risk
/// below that goes to a full shape. Widths [N5]: |cash₁| < 2^60 and four to sixteen slots of 2^55
/// keep every difference below 2^62.
pub(super) fn close_plain(
    b: &mut Builder,
    shape: &LedgerShape,
    closes: BoolTarget,
    opened: &Opened,
    running: &RunningTarget,
    before: &AccountTarget,
) -> Closed {
    let ends = end_places(b, shape, closes, closes, opened, running);
    let (equity, initial) = totals(b, opened, running, &ends, running.cash, |place| {
        [place.row.initial_long, place.row.initial_short]
    });
    let zero = b.zero();
    let (_, outflow) = totals(b, opened, running, &ends, zero, |place| {
        [place.row.outflow_long, place.row.outflow_short]
    });
    let required = logic::select(b, running.outflow, outflow, initial);
    range::assert_le_if(b, closes, required, equity);
    // [L5] cash₁ ≥ 0 or cash₁ ≥ cash₀: either gives cash₁ ≥ min(0, cash₀).
    let owed = b.hint_one("cash floor", &[opened.cash], |v| {
        F::from_bool(as_signed(v[0]) < 0)
    });
    let owed = BoolTarget::new_unsafe(owed);
    b.assert_bool(owed);
    let least = b.mul(owed.target, opened.cash);
    range::assert_le_if(b, closes, least, running.cash);
    check_isolated(b, closes, running.leaf.isolated, &ends);
    Closed {
        money: money(b, opened, running, &ends, before.money.flagged_at),
        rest: RestTarget {
            keys: before.rest.keys,
            nonce: running.nonce,
            generation: running.generation,
            kind: before.rest.kind,
            orders_root: running.orders_root,
        },
    }
}

/// [L6] An isolated account has at most one slot. Cost: 4 operations and 1 a place.
pub(super) fn check_isolated(
    b: &mut Builder,
    closes: BoolTarget,
    isolated: BoolTarget,
    ends: &[ClosedPlace],
) {
    let held = b.add_many(ends.iter().map(|end| end.holds.target));
    let more = b.mul_sub(held, held, held);
    let applies = b.and(closes, isolated);
    let wrong = b.mul(applies.target, more);
    b.assert_zero(wrong);
}

/// Twin of `Running::money`; `touched_at` is set by the block.
pub(super) fn money(
    b: &mut Builder,
    opened: &Opened,
    running: &RunningTarget,
    ends: &[ClosedPlace],
    flagged_at: Target,
) -> MoneyTarget {
    let slots = opened.places.iter().zip(ends);
    MoneyTarget {
        cash: running.cash,
        flagged_at,
        touched_at: b.zero(),
        slots: slots.map(|(place, end)| end.slot(b, place)).collect(),
    }
}
