//! Twin of `tally_protocol::ledger::refusal`: the fact about an account before its epoch for which
//! an L1 item is refused [J4].
//!
//! The number of the `Refusal` is in the posting's `place`; every fact is computed, and the named
//! one must hold. A REFUSED posting is its account's only one and changes nothing, so facts are the
//! opening's. The row of the named instrument is read beside the places' rows.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::{CASH_BITS, SIZE_BITS};
use tally_protocol::instrument::flags;
use tally_protocol::posting::{Needs, Refusal};

use super::apply::{Step, absolute};
use super::opening::Opening;
use crate::gadgets::{logic, range};
use crate::instrument::MarginRowTarget;
use crate::{Builder, F};

/// Kinds of refusal, and 0 for none.
const KINDS: usize = 16;

/// A refused item, its numbers 0 where nothing is refused.
pub(super) struct Refused {
    pub refused: BoolTarget,
    /// One bit by the `Refusal`'s number; the first where nothing is refused.
    named: Vec<BoolTarget>,
    instrument: Target,
    short: BoolTarget,
    amount: Target,
    row: MarginRowTarget,
    /// Signed lots held in the instrument, and whether a slot holds it.
    size: Target,
    held: BoolTarget,
    /// Whether all slots are held.
    full: BoolTarget,
}

impl Refused {
    /// Cost: 3 lanes, about 150 operations.
    pub fn new(b: &mut Builder, step: &Step<'_>, row: MarginRowTarget) -> Self {
        let posting = &step.unit.posting;
        let refused = step.needs.has(Needs::REFUSED);
        for delta in [posting.delta_size, posting.delta_cash] {
            let moved = b.mul(refused.target, delta);
            b.assert_zero(moved);
        }
        let masked = |b: &mut Builder, x: Target| b.mul(refused.target, x);
        let place = masked(b, posting.place);
        let named = logic::one_hot(b, place, KINDS);
        // Refused for some reason. Redundant, and due to go with the next change of this key: no
        // fact is of number 0, so `check` would find none (`mutation` lists it).
        let nothing = b.and(refused, named[0]);
        b.assert_zero(nothing.target);
        let instrument = masked(b, posting.instrument);
        b.connect(instrument, row.id);
        logic::to_bits(b, row.flags, flags::COUNT as usize);
        range::check_bits(b, row.max_size, SIZE_BITS);
        let sequence = masked(b, posting.sequence);
        let short = lowest_bit(b, sequence);
        let amount = masked(b, posting.order_size);
        range::check_62(b, amount);

        let zero = b.zero();
        let (mut size, mut held, mut taken) = (zero, zero, zero);
        for place in &step.opened.places {
            let same = logic::is_equal(b, place.row.id, instrument);
            let here = b.and(same, place.held);
            size = b.mul_add(here.target, place.size, size);
            held = b.add(held, here.target);
            taken = b.add(taken, place.held.target);
        }
        let slots = b.constant(F::from_canonical_usize(step.opened.places.len()));
        Self {
            refused,
            named,
            instrument,
            short,
            amount,
            row,
            size,
            held: BoolTarget::new_unsafe(held),
            full: logic::is_equal(b, taken, slots),
        }
    }

    pub fn names(&self, refusal: Refusal) -> BoolTarget {
        self.named[refusal as usize]
    }

    /// The named fact holds. `differs` says whether `aux` names another owner; `generation` is the
    /// account's.
    pub fn check(
        &self,
        b: &mut Builder,
        step: &Step<'_>,
        opening: &Opening,
        differs: BoolTarget,
        generation: Target,
    ) {
        let last = b.constant(F::from_canonical_u64(u32::MAX.into()));
        let exhausted = logic::is_equal(b, generation, last);
        let missing = b.not(opening.exists);
        // But for `Empty`, the leaf exists.
        let empty = self.names(Refusal::Empty);
        let otherwise = b.sub(self.refused.target, empty.target);
        let wrong = b.mul(otherwise, missing.target);
        b.assert_zero(wrong);
        let not = |b: &mut Builder, bit: BoolTarget| b.not(bit);
        let none = logic::is_zero(b, self.size);
        let facts = [
            (Refusal::Empty, missing),
            (Refusal::Owner, differs),
            (Refusal::Slots, self.lacks_slot(b, step, opening)),
            (Refusal::Bounds, self.is_beyond_bounds(b, step)),
            (Refusal::Funds, self.pays_nothing(b, step, opening)),
            (Refusal::NotLiquidatable, not(b, opening.liquidatable)),
            (Refusal::NotFlagged, not(b, opening.flagged)),
            (Refusal::Bankrupt, opening.indebted),
            (Refusal::Solvent, not(b, opening.bankrupt)),
            (Refusal::NotHeld, self.is_not_on_side(b)),
            (Refusal::Held, not(b, none)),
            (Refusal::CashOnly, opening.maintained),
            (Refusal::Flagged, opening.flagged),
            (Refusal::Margin, self.lacks_margin(b, step, opening)),
            (Refusal::Exhausted, exhausted),
        ];
        let bits = facts.map(|(refusal, fact)| (self.names(refusal).target, fact.target));
        let holds = logic::dot(b, bits);
        b.connect(holds, self.refused.target);
    }

    /// [S2], [L6]
    fn lacks_slot(&self, b: &mut Builder, step: &Step<'_>, opening: &Opening) -> BoolTarget {
        let mut holdings = b.zero();
        for place in &step.opened.places {
            let stays = b.not(place.settled);
            holdings = b.mul_add(place.held.target, stays.target, holdings);
        }
        let none = logic::is_zero(b, holdings);
        let some = b.not(none);
        let other = b.and(opening.isolated, some);
        let lacks = b.or(self.full, other);
        let free = b.not(self.held);
        b.and(free, lacks)
    }

    /// [N4]
    fn is_beyond_bounds(&self, b: &mut Builder, step: &Step<'_>) -> BoolTarget {
        let named = self.names(Refusal::Bounds);
        let amount = b.mul(named.target, self.amount);
        let cash = b.add(step.opened.cash, amount);
        let limit = b.constant(F::from_canonical_u64(1 << CASH_BITS));
        let cash = range::is_le(b, limit, cash);
        let signed = self.signed(b, amount);
        let after = b.add(self.size, signed);
        let (_, lots) = absolute(b, after);
        let within = range::is_le(b, lots, self.row.max_size);
        let size = b.not(within);
        self.by_instrument(b, cash, size)
    }

    /// AT_MOST would pay not even one.
    fn pays_nothing(&self, b: &mut Builder, step: &Step<'_>, opening: &Opening) -> BoolTarget {
        let one = b.one();
        let spare = b.sub(opening.equity, opening.outflow);
        let less = b.sub(spare, one);
        let short = range::is_negative(b, less);
        let owed = b.neg(step.opened.cash);
        let broke = range::is_nonnegative(b, owed);
        let cash = b.or(short, broke);
        let sold = b.sub(self.row.outflow_long, self.row.value);
        let less = b.add(spare, sold);
        let short = range::is_negative(b, less);
        let owed = b.neg(self.size);
        let none = range::is_nonnegative(b, owed);
        let lots = b.or(short, none);
        self.by_instrument(b, cash, lots)
    }

    fn is_not_on_side(&self, b: &mut Builder) -> BoolTarget {
        let on_side = self.signed(b, self.size);
        let against = b.neg(on_side);
        range::is_nonnegative(b, against)
    }

    /// With the lots at the mark, E is as it was: [L4] by R₁, [L5] by the cash they cost. Of a
    /// user, and of at most twice max_size: more is `Bounds`.
    fn lacks_margin(&self, b: &mut Builder, step: &Step<'_>, opening: &Opening) -> BoolTarget {
        let named = self.names(Refusal::Margin);
        let user = b.not(opening.system);
        logic::assert_implies(b, named, user);
        let amount = b.mul(named.target, self.amount);
        let most = b.add(self.row.max_size, self.row.max_size);
        let room = b.sub(most, amount);
        let room = b.mul(named.target, room);
        range::check_62(b, room);
        let delta = self.signed(b, amount);
        let cost = b.mul(delta, self.row.value);
        let cash = b.sub(step.opened.cash, cost);
        let least = b.mul(opening.owes.target, step.opened.cash);
        let spare = b.sub(cash, least);
        let overdrawn = range::is_negative(b, spare);
        let [old_value, old_initial] = self.weigh(b, self.size);
        let after = b.add(self.size, delta);
        let [new_value, new_initial] = self.weigh(b, after);
        let gain = b.sub(new_value, old_value);
        let gain = b.sub(gain, cost);
        let equity = b.add(opening.equity, gain);
        let burden = b.sub(new_initial, old_initial);
        let initial = b.add(opening.initial, burden);
        let spare = b.sub(equity, initial);
        let spare = b.mul(user.target, spare);
        let short = range::is_negative(b, spare);
        let lacks = b.or(overdrawn, short);
        let place = b.not(self.full);
        let place = b.or(place, self.held);
        b.and(lacks, place)
    }

    /// Value and initial requirement of signed lots.
    fn weigh(&self, b: &mut Builder, size: Target) -> [Target; 2] {
        let (negative, lots) = absolute(b, size);
        let short = b.mul(negative.target, lots);
        let long = b.sub(lots, short);
        let initial = b.mul(long, self.row.initial_long);
        let initial = b.mul_add(short, self.row.initial_short, initial);
        [b.mul(size, self.row.value), initial]
    }

    /// x, or −x where the item is short.
    fn signed(&self, b: &mut Builder, x: Target) -> Target {
        b.arithmetic(-F::TWO, F::ONE, self.short.target, x, x)
    }

    fn by_instrument(&self, b: &mut Builder, cash: BoolTarget, lots: BoolTarget) -> BoolTarget {
        let is_cash = logic::is_zero(b, self.instrument);
        BoolTarget::new_unsafe(logic::select(b, is_cash, cash.target, lots.target))
    }
}

/// x mod 2 for x < 2^33. Cost: 1 lane, 3 operations.
fn lowest_bit(b: &mut Builder, x: Target) -> BoolTarget {
    let bit = b.hint_one("side of a refusal", &[x], |v| {
        F::from_bool(v[0].to_canonical_u64() & 1 == 1)
    });
    let bit = BoolTarget::new_unsafe(bit);
    b.assert_bool(bit);
    let half = F::TWO.inverse();
    let one = b.one();
    let rest = b.arithmetic(half, -half, x, one, bit.target);
    range::check_32(b, rest);
    bit
}
