//! Opening: each slot with its row, carry settled, settled rows converted [L2], [T6].
//!
//! A *place* is one of the shape's slots in this epoch; it serves one instrument (D7). Its row is
//! read from the bus; a place that serves none reads row 0, all zeros.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::SIZE_BITS;
use tally_protocol::instrument::flags;

use super::leaf::{MoneyTarget, SlotTarget};
use crate::gadgets::{logic, range};
use crate::instrument::MarginRowTarget;
use crate::{Builder, F};

/// Above every instrument id: says in `PlaceTarget::label` that growth is restricted, and, further
/// up, that the place takes no posting at all.
const RESTRICTED: u64 = 1 << 32;
const CLOSED: u64 = 1 << 40;

/// Twin of `Place` as opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceTarget {
    pub row: MarginRowTarget,
    /// Held before the epoch, in a row that may be settled by now.
    pub held: BoolTarget,
    pub settled: BoolTarget,
    /// Lots of each side before the epoch.
    pub long: Target,
    pub short: Target,
    /// Signed lots after conversion.
    pub size: Target,
    /// id + 2^32·(growth is restricted) + 2^40·(takes no posting): what a posting's instrument is
    /// matched with.
    pub label: Target,
    /// 1 − (serves an instrument).
    pub unassigned: BoolTarget,
}

impl PlaceTarget {
    /// Statement: slot and row are of one instrument, or the slot is empty. Assumes of the slot
    /// what every leaf keeps [S2]: empty is all zeros, else size < 2^48 and key = 2·id + side; of
    /// the row what the row segment holds. Cost: 2 lanes, 32 operations.
    pub fn open(b: &mut Builder, slot: &SlotTarget, row: MarginRowTarget) -> Self {
        // bounds = 16·max_size + flags is below 2^52, so it has one such split.
        let bits = logic::to_bits(b, row.flags, flags::COUNT as usize);
        range::check_bits(b, row.max_size, SIZE_BITS);
        let flag = |flag: u64| bits[flag.trailing_zeros() as usize];
        let restricted = b.or(flag(flags::REDUCE_ONLY), flag(flags::HALTED));
        let settled = flag(flags::SETTLED);

        let empty = logic::is_zero(b, slot.key);
        let held = b.not(empty);
        let side = b.hint_one("slot side", &[slot.key], |v| {
            F::from_bool(v[0].to_canonical_u64() & 1 == 1)
        });
        let side = BoolTarget::new_unsafe(side);
        b.assert_bool(side);
        let one = b.one();
        let key = b.arithmetic(F::TWO, F::ONE, row.id, one, side.target);
        b.conditional_assert_eq(held.target, key, slot.key);
        let short = b.mul(slot.size, side.target);
        let long = b.sub(slot.size, short);
        let signed = b.sub(long, short);
        // Conversion: a settled row's slot vanishes once its carry is settled.
        let gone = b.mul(settled.target, signed);
        let size = b.sub(signed, gone);

        let unassigned = logic::is_zero(b, row.id);
        let closed = b.add(settled.target, unassigned.target);
        let unrestricted = F::from_canonical_u64(RESTRICTED);
        let label = b.arithmetic(unrestricted, F::ONE, restricted.target, one, row.id);
        let label = b.arithmetic(F::from_canonical_u64(CLOSED), F::ONE, closed, one, label);
        Self {
            row,
            held,
            settled,
            long,
            short,
            size,
            label,
            unassigned,
        }
    }

    /// cash − size·(carry now − carry at entry) [L2]. Cost: 3 operations.
    pub fn settle(&self, b: &mut Builder, slot: &SlotTarget, cash: Target) -> Target {
        let cash = b.mul_add(slot.size, slot.carry, cash);
        let long = b.arithmetic(F::NEG_ONE, F::ONE, self.long, self.row.long_carry, cash);
        b.arithmetic(F::NEG_ONE, F::ONE, self.short, self.row.short_carry, long)
    }
}

/// Whether growth is restricted, of the place with this label, if it serves `instrument`. Refused
/// by a bit of 256 or more where the place takes no posting. Cost: 2 operations.
pub(super) fn restricted(b: &mut Builder, label: Target, instrument: Target) -> BoolTarget {
    let inverse = F::from_canonical_u64(RESTRICTED).inverse();
    let one = b.one();
    let bit = b.arithmetic(inverse, -inverse, label, one, instrument);
    let bit = BoolTarget::new_unsafe(bit);
    b.assert_bool(bit);
    bit
}

/// All places of an account and cash₀. `check` holds cash to 62 bits after each slot, which system
/// accounts need and others keep by [N1]: sixteen slots settle less than 2^60. Guarantees that no
/// two places serve one instrument [S2].
pub(super) fn open_places(
    b: &mut Builder,
    money: &MoneyTarget,
    rows: &[MarginRowTarget],
    check: bool,
) -> (Vec<PlaceTarget>, Target) {
    let mut cash = money.cash;
    let mut places = Vec::new();
    for (slot, row) in money.slots.iter().zip(rows) {
        let place = PlaceTarget::open(b, slot, *row);
        cash = place.settle(b, slot, cash);
        if check {
            check_running(b, cash);
        }
        places.push(place);
    }
    assert_distinct(b, &places);
    (places, cash)
}

/// −2^62 ≤ x < 2^62 [N4]. Cost: 1 lane, 4 operations.
pub(super) fn check_running(b: &mut Builder, x: Target) {
    let raised = b.add_const(x, F::from_canonical_u64(1 << 62));
    range::check_bits(b, raised, 63);
}

/// The product of all differences is not zero; places that serve nothing stand apart at −1, −2, ….
/// Cost: n·n operations for n places.
fn assert_distinct(b: &mut Builder, places: &[PlaceTarget]) {
    let ids: Vec<Target> = (1u64..)
        .zip(places)
        .map(|(i, place)| {
            let apart = b.constant(-F::from_canonical_u64(i));
            b.mul_add(place.unassigned.target, apart, place.row.id)
        })
        .collect();
    let mut product = b.one();
    for (i, &x) in ids.iter().enumerate() {
        for &y in &ids[..i] {
            let difference = b.sub(x, y);
            product = b.mul(product, difference);
        }
    }
    let clash = logic::is_zero(b, product);
    b.assert_zero(clash.target);
}
