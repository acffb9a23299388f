//! Closing any account: the rest of `tally_protocol::ledger::close`, and where a liquidation must
//! have stopped [Q3].

use tally_protocol::posting::Needs;

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};

use super::LedgerShape;
use super::apply::{Step, absolute};
use super::close::{Closed, ClosedPlace, check_isolated, end_places, money, totals};
use super::leaf::RestTarget;
use super::open::Opened;
use super::opening::Opening;
use super::running::RunningTarget;
use crate::gadgets::product::{Product, assert_products_le};
use crate::gadgets::{logic, range};
use crate::{Builder, F};

/// Twin of `AtMost`, of the block's first posting.
#[derive(Clone, Debug)]
pub(super) struct AtMostTarget {
    applies: BoolTarget,
    asked: Target,
    paid: Target,
    /// The place whose lots leave; none for cash.
    chosen: Vec<BoolTarget>,
    moves: BoolTarget,
}

impl AtMostTarget {
    /// Cost: 1 lane, 5 operations.
    pub fn new(b: &mut Builder, step: &Step<'_>) -> Self {
        let posting = &step.unit.posting;
        let moves = b.add_many(step.chosen.iter().map(|bit| bit.target));
        let moves = BoolTarget::new_unsafe(moves);
        let (_, cash) = absolute(b, posting.delta_cash);
        Self {
            applies: step.needs.has(Needs::AT_MOST),
            asked: posting.order_size,
            paid: logic::select(b, moves, step.lots, cash),
            chosen: step.chosen.clone(),
            moves,
        }
    }
}

/// An account at its end, of whatever kind.
struct End<'a> {
    opened: &'a Opened,
    opening: &'a Opening,
    running: &'a RunningTarget,
    ends: Vec<ClosedPlace>,
    /// A user's account closes here.
    user: BoolTarget,
    equity: Target,
    initial: Target,
    outflow: Target,
    /// E₁ ≥ R₁; a system account's is set.
    meets: BoolTarget,
    /// cash₁ ≥ 0.
    covered: BoolTarget,
    absorbed: BoolTarget,
    liquidated: BoolTarget,
}

/// Twin of `Running::close`.
#[allow(clippy::too_many_arguments)]
pub(super) fn close_full(
    b: &mut Builder,
    shape: &LedgerShape,
    closes: BoolTarget,
    opened: &Opened,
    opening: &Opening,
    running: &RunningTarget,
    absorbed: BoolTarget,
    at_most: &AtMostTarget,
) -> Closed {
    let is_user = b.not(opening.system);
    let user = b.and(closes, is_user);
    let ends = end_places(b, shape, closes, user, opened, running);
    check_system(b, closes, opening, running, &ends);
    let (equity, initial) = totals(b, opened, running, &ends, running.cash, |place| {
        [place.row.initial_long, place.row.initial_short]
    });
    let zero = b.zero();
    let (_, outflow) = totals(b, opened, running, &ends, zero, |place| {
        [place.row.outflow_long, place.row.outflow_short]
    });
    let spare = b.sub(equity, initial);
    let spare = b.mul(user.target, spare);
    let end = End {
        opened,
        opening,
        running,
        user,
        equity: b.mul(user.target, equity),
        initial: b.mul(user.target, initial),
        outflow: b.mul(user.target, outflow),
        meets: range::is_nonnegative(b, spare),
        covered: range::is_nonnegative(b, running.cash),
        absorbed,
        liquidated: b.and(user, running.leaf.liquidated),
        ends,
    };
    end.check_margin(b);
    end.check_cash(b);
    check_isolated(b, closes, running.leaf.isolated, &end.ends);
    end.check_flagged(b);
    end.check_stop(b);
    end.check_at_most(b, at_most);
    // [Q1] Cleared where the account is restored.
    let restored = b.and(end.meets, end.covered);
    let stays = b.not(restored);
    let flagged_at = b.mul(stays.target, running.leaf.flagged_at);
    let one = b.one();
    Closed {
        money: money(b, opened, running, &end.ends, flagged_at),
        rest: RestTarget {
            keys: running.leaf.keys.digest(b),
            nonce: running.nonce,
            generation: running.generation,
            kind: b.arithmetic(
                F::TWO,
                F::ONE,
                opening.system.target,
                one,
                running.leaf.isolated.target,
            ),
            orders_root: running.orders_root,
        },
    }
}

/// [S6] A bridge only ever owes; what leaves a system account's cash is there.
fn check_system(
    b: &mut Builder,
    closes: BoolTarget,
    opening: &Opening,
    running: &RunningTarget,
    ends: &[ClosedPlace],
) {
    let bridge = b.and(closes, opening.bridge);
    let owned = b.add_many(ends.iter().map(|end| end.long));
    let owned = b.mul(bridge.target, owned);
    b.assert_zero(owned);
    let zero = b.zero();
    range::assert_le_if(b, bridge, running.cash, zero);
    let system = b.and(closes, opening.system);
    let pays = b.and(system, running.outflow);
    range::assert_le_if(b, pays, zero, running.cash);
    // [Q6] E_G hears of insurance accounts that hold lots, and of 0 (D15).
    let held = b.add_many(ends.iter().map(|end| end.holds.target));
    let empty = logic::is_zero(b, held);
    let pooled = b.and(closes, opening.pooled);
    let silent = b.and(pooled, empty);
    let hidden = b.mul(silent.target, running.cash);
    b.assert_zero(hidden);
}

impl End<'_> {
    /// [L4] E₁ ≥ R₁, or the epoch only reduced risk; with outflow the stricter requirement.
    fn check_margin(&self, b: &mut Builder) {
        let strict = b.and(self.user, self.running.outflow);
        range::assert_le_if(b, strict, self.outflow, self.equity);
        // An absorbed account keeps no slot, and at most a debt that one posting could not carry.
        let excused = b.or(self.meets, self.absorbed);
        let below = b.not(excused);
        let below = b.and(self.user, below);
        let reduces = b.or(below, self.liquidated);
        self.check_no_growth(b, reduces);
        let mask = |b: &mut Builder, x: Target| b.mul(below.target, x);
        let before = Product {
            total: mask(b, self.opening.equity),
            factor: mask(b, self.initial),
        };
        let after = Product {
            total: mask(b, self.equity),
            factor: mask(b, self.opening.initial),
        };
        assert_products_le(b, before, after);
        // R₀ > 0 or E₁ ≥ E₀.
        let free = logic::is_zero(b, self.opening.initial);
        let applies = b.and(below, free);
        range::assert_le_if(b, applies, self.opening.equity, self.equity);
    }

    /// No slot beyond its `base`, or on the other side. The sign at the end is that of `base` where
    /// lots are left, and may be chosen so where none are. Cost: 1 lane, 4 operations a place.
    fn check_no_growth(&self, b: &mut Builder, applies: BoolTarget) {
        for (end, place) in self.ends.iter().zip(&self.running.places) {
            let base = b.arithmetic(-F::TWO, F::ONE, end.sells.target, place.base, place.base);
            range::assert_le_if(b, applies, end.lots, base);
        }
    }

    /// [L5] cash₁ ≥ min(0, cash₀) less what liquidations charged.
    fn check_cash(&self, b: &mut Builder) {
        let least = b.mul(self.opening.owes.target, self.opened.cash);
        let least = b.sub(least, self.running.leaf.charged);
        range::assert_le_if(b, self.user, least, self.running.cash);
    }

    /// [Q2] From the epoch after the flag; and a liquidation is no other fill's company.
    fn check_flagged(&self, b: &mut Builder) {
        let restricted = b.and(self.opening.flagged, self.running.leaf.unpermitted);
        let restricted = b.and(self.user, restricted);
        logic::assert_implies(b, restricted, self.meets);
        let mixed = b.and(self.liquidated, self.running.leaf.ordinary);
        b.assert_zero(mixed.target);
    }

    /// [Q3] Where liquidations must have stopped: for some liquidated slot, one lot put back breaks
    /// E ≥ R, or cash ≥ 0 where only cash was negative. Cost: 2 lanes, 20 operations, 7 a place.
    fn check_stop(&self, b: &mut Builder) {
        let short = b.not(self.opening.maintained);
        let falls = b.and(self.liquidated, short);
        let one = b.one();
        let next = b.add(self.initial, one);
        range::assert_le_if(b, falls, next, self.opening.initial);
        let shown = self.shown_slot(b);
        let places = self.running.places.iter().zip(&self.opened.places);
        let (mut charge, mut lot, mut value) = (b.zero(), b.zero(), b.zero());
        for ((&bit, end), (running, place)) in shown.iter().zip(&self.ends).zip(places) {
            let row = &place.row;
            // The sign is that of `base`, since the slot did not grow.
            let initial = logic::select(b, end.sells, row.initial_short, row.initial_long);
            charge = b.mul_add(bit.target, running.charge, charge);
            lot = b.mul_add(bit.target, initial, lot);
            value = b.mul_add(bit.target, row.value, value);
        }
        // R₁ + lot − E₁ − charge > 0, or value − charge − cash₁ > 0.
        let burden = b.add(self.initial, lot);
        let missing = b.sub(burden, self.equity);
        let missing = b.sub(missing, charge);
        let brought = b.sub(value, charge);
        let overdrawn = b.sub(brought, self.running.cash);
        let beyond = logic::select(b, self.opening.maintained, overdrawn, missing);
        range::assert_le_if(b, self.liquidated, one, beyond);
    }

    /// One liquidated slot of the prover's choice, none where nothing was liquidated.
    fn shown_slot(&self, b: &mut Builder) -> Vec<BoolTarget> {
        let mut inputs = vec![
            self.opening.maintained.target,
            self.initial,
            self.equity,
            self.running.cash,
            self.liquidated.target,
        ];
        for (end, (running, place)) in self
            .ends
            .iter()
            .zip(self.running.places.iter().zip(&self.opened.places))
        {
            let row = &place.row;
            let initial = logic::select(b, end.sells, row.initial_short, row.initial_long);
            inputs.extend([running.charged.target, running.charge, initial, row.value]);
        }
        let bits = b.hint("shown slot", &inputs, self.ends.len(), |v| {
            use crate::hint::as_signed;
            let [maintained, initial, equity, cash] = [v[0], v[1], v[2], v[3]].map(as_signed);
            let stops = |slot: &[F]| {
                let [charge, lot, value] = [slot[1], slot[2], slot[3]].map(as_signed);
                let stops = if maintained == 1 {
                    cash < value - charge
                } else {
                    equity + charge < initial + lot
                };
                slot[0] == F::ONE && stops
            };
            let found = v[5..].chunks(4).position(stops).filter(|_| v[4] == F::ONE);
            (0..(v.len() - 5) / 4)
                .map(|i| F::from_bool(found == Some(i)))
                .collect()
        });
        let bits: Vec<_> = bits.into_iter().map(BoolTarget::new_unsafe).collect();
        for (&bit, place) in bits.iter().zip(&self.running.places) {
            b.assert_bool(bit);
            logic::assert_implies(b, bit, place.charged);
        }
        let sum = b.add_many(bits.iter().map(|bit| bit.target));
        b.connect(sum, self.liquidated.target);
        bits
    }

    /// [J4] All that was asked, or so much that one more would break a rule.
    /// Cost: 6 lanes, about 50 operations, 3 a place.
    fn check_at_most(&self, b: &mut Builder, at_most: &AtMostTarget) {
        let one = b.one();
        let AtMostTarget {
            applies,
            asked,
            paid,
            ..
        } = *at_most;
        let applies = b.and(applies, self.user);
        range::assert_le_if(b, applies, one, paid);
        range::assert_le_if(b, applies, paid, asked);
        let all = logic::is_equal(b, paid, asked);
        let column =
            |b: &mut Builder, values: Vec<Target>| logic::choose(b, &at_most.chosen, &values);
        let sizes = self.running.places.iter().map(|place| place.size);
        let size = column(b, sizes.collect());
        let rows = self.opened.places.iter().map(|place| place.row);
        let value = column(b, rows.clone().map(|row| row.value).collect());
        let outflow = column(b, rows.map(|row| row.outflow_long).collect());
        // A liquidation: the slot is empty, or the account is restored.
        let maintained = self.opening.maintained;
        let restored = logic::select(b, maintained, self.covered.target, self.meets.target);
        let empty = logic::is_zero(b, size);
        let ended = b.or(empty, BoolTarget::new_unsafe(restored));
        // Lots: none left, or one more breaks E₁ ≥ R₁ with outflow.
        let spare = b.sub(self.equity, self.outflow);
        let sold = b.sub(outflow, value);
        let less = b.add(spare, sold);
        let short = range::is_negative(b, less);
        let sold = b.neg(size);
        let sold_out = range::is_nonnegative(b, sold);
        let lots = b.or(short, sold_out);
        // Cash: one more breaks that, or goes below min(0, cash₀).
        let less = b.sub(spare, one);
        let short = range::is_negative(b, less);
        let floor = b.mul(self.opening.owes.target, self.opened.cash);
        let above = b.sub(self.running.cash, floor);
        let above = b.mul(applies.target, above);
        let less = b.sub(above, one);
        let drained = range::is_negative(b, less);
        let cash = b.or(short, drained);
        let lots = logic::select(b, self.liquidated, ended.target, lots.target);
        let most = logic::select(b, at_most.moves, lots, cash.target);
        let enough = b.or(all, BoolTarget::new_unsafe(most));
        logic::assert_implies(b, applies, enough);
    }
}
