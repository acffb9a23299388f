//! What full shapes do for a posting beside a plain one's checks: leaves made and named, flags,
//! liquidation and absorption. Twin of the rest of `tally_protocol::ledger::apply` and of
//! `tally_protocol::ledger::liquidation`.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::POSTING_CASH_BITS;
use tally_protocol::hash::Tag;
use tally_protocol::posting::Needs;

use super::apply::Step;
use super::leaf::KeysTarget;
use super::opening::Opening;
use super::running::RunningTarget;
use crate::gadgets::product::{Product, mul_div_down};
use crate::gadgets::{logic, range};
use crate::hash::hash;
use crate::{Builder, F};

/// Needs of which the posting is its account's only one [J4], [Q5]; served by a block's first unit.
pub(super) const SOLE_NEEDS: [Needs; 4] =
    [Needs::SOLE, Needs::ABSORB, Needs::REFUSED, Needs::AT_MOST];

/// What a full block's units share.
pub(super) struct Special<'a> {
    pub opening: &'a Opening,
    pub epoch: Target,
    /// Keys that a posting may set, one pair a block.
    pub new_keys: &'a KeysTarget,
    pub new_keys_digest: [Target; 4],
    /// REFUSED, and whether for the owner: then `aux` is opened.
    pub refused: BoolTarget,
    pub refused_owner: BoolTarget,
}

impl Step<'_> {
    /// [J1] The fields behind `aux`, where something reads them. Cost: 1 row, 14 operations.
    pub fn open_aux(&self, b: &mut Builder, special: &Special<'_>) {
        let readers = [
            Needs::CREATE,
            Needs::SET_KEYS,
            Needs::OWNER,
            Needs::LIQUIDATE,
        ];
        let mut opens = special.refused_owner;
        for need in readers {
            opens = b.or(opens, self.needs.has(need));
        }
        let digest = hash(b, Tag::Aux, &self.unit.aux);
        let named = self.unit.posting.aux.elements;
        logic::assert_digests_equal_if(b, opens, &digest.elements, &named);
    }

    /// [S2], [S3], [S6], [J3] The leaf is there, or is made, and is whose the posting says.
    pub fn check_leaf(&self, b: &mut Builder, special: &Special<'_>, running: &mut RunningTarget) {
        let [owner, aux_keys, kind] = self.leaf_terms();
        let creates = self.needs.has(Needs::CREATE);
        let leaf = &mut running.leaf;
        // Nothing is made where something is. Redundant, and due to go with the next change of this
        // key: `exists` would be 2, and who makes a leaf touches it (`mutation` lists it).
        let occupied = b.and(creates, leaf.exists);
        b.assert_zero(occupied.target);
        let new_kind = b.mul(creates.target, kind[0]);
        b.assert_bool(BoolTarget::new_unsafe(new_kind));
        leaf.exists = BoolTarget::new_unsafe(b.add(leaf.exists.target, creates.target));
        leaf.created = b.or(leaf.created, creates);
        let isolated = logic::select(b, creates, new_kind, leaf.isolated.target);
        leaf.isolated = BoolTarget::new_unsafe(isolated);
        let made = logic::select_all(b, creates, owner, &leaf.owner);
        leaf.owner.copy_from_slice(&made);
        self.set_keys(b, special, creates, aux_keys, running);

        let leaf = &running.leaf;
        let not_refused = b.not(special.refused);
        let touches = b.and(self.unit.live, not_refused);
        let one = b.one();
        b.conditional_assert_eq(touches.target, leaf.exists.target, one);
        let system = self.needs.has(Needs::SYSTEM);
        let held = special.opening.system;
        b.conditional_assert_eq(touches.target, system.target, held.target);
        let owned = self.needs.has(Needs::OWNER);
        logic::assert_digests_equal_if(b, owned, owner, &leaf.owner);
    }

    fn leaf_terms(&self) -> [&[Target]; 3] {
        let aux = &self.unit.aux;
        [&aux[..3], &aux[3..7], &aux[7..]]
    }

    /// A new leaf's keys count before its first signature.
    fn set_keys(
        &self,
        b: &mut Builder,
        special: &Special<'_>,
        sets: BoolTarget,
        named: &[Target],
        running: &mut RunningTarget,
    ) {
        logic::assert_digests_equal_if(b, sets, named, &special.new_keys_digest);
        let words = running.leaf.keys.words();
        let words = logic::select_all(b, sets, &special.new_keys.words(), &words);
        running.leaf.keys = KeysTarget::from_words(core::array::from_fn(|i| words[i]));
    }

    /// [S4] A key change counts after its own signature.
    pub fn change_keys(&self, b: &mut Builder, special: &Special<'_>, running: &mut RunningTarget) {
        let sets = self.needs.has(Needs::SET_KEYS);
        let [_, named, _] = self.leaf_terms();
        self.set_keys(b, special, sets, named, running);
    }

    /// [Q1] Only a liquidatable account; a current flag keeps its age. Cost: 4 operations.
    pub fn raise_flag(&self, b: &mut Builder, special: &Special<'_>, running: &mut RunningTarget) {
        let flag = self.needs.has(Needs::FLAG);
        logic::assert_implies(b, flag, special.opening.liquidatable);
        let unflagged = b.not(special.opening.flagged);
        let sets = b.and(flag, unflagged);
        let flagged_at = running.leaf.flagged_at;
        running.leaf.flagged_at = logic::select(b, sets, special.epoch, flagged_at);
    }

    /// [Q2], [Q3], [Q4] That the slot shrinks is checked with its size, where the liquidation stops
    /// at close. Cost: 5 rows, 1 lane, about 25 operations and 5 a place.
    pub fn liquidate(&self, b: &mut Builder, special: &Special<'_>, running: &mut RunningTarget) {
        let opening = special.opening;
        let liquidates = self.needs.has(Needs::LIQUIDATE);
        let [charge, penalty, flagged_at, ..] = self.unit.aux;
        logic::assert_implies(b, liquidates, opening.flagged);
        logic::assert_implies(b, liquidates, opening.liquidatable);
        let solvent = b.not(opening.indebted);
        logic::assert_implies(b, liquidates, solvent);
        b.conditional_assert_eq(liquidates.target, flagged_at, running.leaf.flagged_at);
        let named = b.add_many(self.chosen.iter().map(|bit| bit.target));
        logic::assert_implies(b, liquidates, BoolTarget::new_unsafe(named));
        self.check_owned(b, opening, liquidates);
        self.check_charge(b, opening, liquidates, charge, penalty);
        let due = b.mul(liquidates.target, charge);
        for (place, chosen) in running.places.iter_mut().zip(&self.chosen) {
            let here = b.and(*chosen, liquidates);
            place.charge = logic::select(b, here, charge, place.charge);
            place.charged = b.or(place.charged, here);
        }
        // Below the slot's requirement, so below 2^55 in all postings together.
        let leaf = &mut running.leaf;
        leaf.charged = b.mul_add(due, self.lots, leaf.charged);
        leaf.liquidated = b.or(leaf.liquidated, liquidates);
    }

    /// [Q3] Where only cash was negative: owned slots, which have a value and are sold.
    fn check_owned(&self, b: &mut Builder, opening: &Opening, liquidates: BoolTarget) {
        let applies = b.and(liquidates, opening.maintained);
        logic::assert_implies(b, applies, self.sells);
        let values: Vec<Target> = self.opened.places.iter().map(|p| p.row.value).collect();
        let value = logic::choose(b, &self.chosen, &values);
        let worthless = logic::is_zero(b, value);
        let wrong = b.and(applies, worthless);
        b.assert_zero(wrong.target);
    }

    /// [Q4] charge = min(penalty, cap), cap = ⌊initial·E₀/R₀⌋; with R₀ = 0 the penalty. The
    /// quotient fits: initial ≤ R₀ where the slot is held, so it is at most E₀. Masked where
    /// nothing is liquidated.
    fn check_charge(
        &self,
        b: &mut Builder,
        opening: &Opening,
        liquidates: BoolTarget,
        charge: Target,
        penalty: Target,
    ) {
        let rows = self.opened.places.iter().map(|place| place.row);
        let (long, short): (Vec<_>, Vec<_>) = rows
            .map(|row| (row.initial_long, row.initial_short))
            .unzip();
        let long = logic::choose(b, &self.chosen, &long);
        let short = logic::choose(b, &self.chosen, &short);
        // A long is what is sold.
        let initial = logic::select(b, self.sells, long, short);
        let free = logic::is_zero(b, opening.initial);
        let bears = b.not(free);
        let divides = b.and(liquidates, bears);
        let one = b.one();
        let divisor = logic::select(b, divides, opening.initial, one);
        let dividend = Product {
            total: b.mul(divides.target, opening.equity),
            factor: b.mul(divides.target, initial),
        };
        let cap = mul_div_down(b, dividend, divisor);
        let cap = logic::select(b, divides, cap, penalty);
        let inputs = [penalty, cap];
        let whole = b.hint_one("whole penalty", &inputs, |v| {
            F::from_bool(v[0].to_canonical_u64() <= v[1].to_canonical_u64())
        });
        let whole = BoolTarget::new_unsafe(whole);
        b.assert_bool(whole);
        let due = logic::select(b, whole, penalty, cap);
        b.conditional_assert_eq(liquidates.target, charge, due);
        // The other one is no less.
        let both = b.add(penalty, cap);
        let other = b.arithmetic(-F::TWO, F::ONE, due, one, both);
        let other = b.mul(liquidates.target, other);
        range::check_62(b, other);
    }

    /// [Q5] All slots, and as much of the negative cash as one posting holds.
    /// Cost: 4 rows, 2 lanes, 20 operations and 4 a place.
    pub fn absorb(
        &self,
        b: &mut Builder,
        opening: &Opening,
        running: &mut RunningTarget,
    ) -> BoolTarget {
        let absorbs = self.needs.has(Needs::ABSORB);
        logic::assert_implies(b, absorbs, opening.bankrupt);
        let mut words = Vec::new();
        for place in &self.opened.places {
            let stays = b.not(place.settled);
            let holds = b.and(place.held, stays);
            words.extend([b.mul(holds.target, place.row.id), place.size]);
        }
        let digest = hash(b, Tag::Absorbed, &words);
        let named = self.unit.posting.aux.elements;
        logic::assert_digests_equal_if(b, absorbs, &digest.elements, &named);
        // Δcash = min(−cash, 2^56 − 1): at most both, and one of them.
        let delta = self.unit.posting.delta_cash;
        let most = b.constant(F::from_canonical_u64((1 << POSTING_CASH_BITS) - 1));
        let debt = b.neg(running.cash);
        let left = [debt, most].map(|bound| {
            let left = b.sub(bound, delta);
            let left = b.mul(absorbs.target, left);
            range::check_62(b, left);
            left
        });
        let between = b.mul(left[0], left[1]);
        b.assert_zero(between);
        let stays = b.not(absorbs);
        for place in &mut running.places {
            place.size = b.mul(stays.target, place.size);
        }
        absorbs
    }

    /// What the close has to know beside a plain shape's.
    pub fn record_special(
        &self,
        b: &mut Builder,
        special: &Special<'_>,
        running: &mut RunningTarget,
    ) {
        let leaf = &mut running.leaf;
        leaf.ordinary = b.or(leaf.ordinary, self.needs.has(Needs::ORDINARY));
        let not_refused = b.not(special.refused);
        let touches = b.and(self.unit.live, not_refused);
        let permitted = self.needs.has(Needs::WHILE_FLAGGED);
        let refused = b.not(permitted);
        let unpermitted = b.and(touches, refused);
        leaf.unpermitted = b.or(leaf.unpermitted, unpermitted);
        // [L4] A deposited lot is no risk.
        let deposit = self.needs.has(Needs::DEPOSIT);
        let deposited = b.mul(deposit.target, self.unit.posting.delta_size);
        for (place, chosen) in running.places.iter_mut().zip(&self.chosen) {
            place.base = b.mul_add(chosen.target, deposited, place.base);
        }
    }

    /// FIXED_SLOT's place is the one that `place` names [S6]. Cost: 2 operations and 1 a place.
    pub fn check_fixed(&self, b: &mut Builder) {
        let fixed = self.needs.has(Needs::FIXED_SLOT);
        let named = b.add_many(self.chosen.iter().map(|bit| bit.target));
        let applies = b.mul(fixed.target, named);
        let numbers: Vec<Target> = (0..self.chosen.len())
            .map(|i| b.constant(F::from_canonical_usize(i)))
            .collect();
        let number = logic::choose(b, &self.chosen, &numbers);
        b.conditional_assert_eq(applies, number, self.unit.posting.place);
    }
}
