//! Twin of `tally_protocol::ledger::Opening`, for full shapes: what is noted of any account before
//! its first posting [L2], [L5], [Q1], [Q5], [Q6].

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};

use super::leaf::AccountTarget;
use super::place::{PlaceTarget, check_running};
use crate::gadgets::merkle::PathTarget;
use crate::gadgets::{logic, range};
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Bits of an id below which an insurance account's are, and above which a bridge's is [S6].
const INSURANCE_BITS: usize = 6;
const BRIDGE_BITS: usize = 7;

/// See the module's doc. Totals are those of a user; of insurance only the equity; else zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Not the emptiness in which a leaf may be made.
    pub exists: BoolTarget,
    pub isolated: BoolTarget,
    pub system: BoolTarget,
    pub insurance: BoolTarget,
    /// Insurance but account 0.
    pub pooled: BoolTarget,
    pub bridge: BoolTarget,
    pub equity: Target,
    pub initial: Target,
    pub outflow: Target,
    pub equity_before_shift: Target,
    /// E₀ ≥ maintenance.
    pub maintained: BoolTarget,
    /// E₀ < 0.
    pub indebted: BoolTarget,
    /// cash₀ < 0.
    pub owes: BoolTarget,
    pub liquidatable: BoolTarget,
    pub bankrupt: BoolTarget,
    pub flagged: BoolTarget,
}

/// Sums over the places, sizes as converted.
struct Sums {
    equity: Target,
    equity_before_shift: Target,
    initial: Target,
    maintenance: Target,
    outflow: Target,
}

impl Sums {
    /// Statement: the sums. Guarantees |equity before the shift| ≤ 2^62, and so E₀ between cash₀
    /// and it, although a system account's slots reach 2^60 each: no spot slot is short in
    /// version 1, so all terms are ≥ 0, and each partial sum is checked. Requirements of users
    /// only: sixteen times less than 2^55. Cost: 1 lane and 16 operations a place.
    fn new(b: &mut Builder, places: &[PlaceTarget], cash: Target) -> Self {
        let zero = b.zero();
        let mut sums = Self {
            equity: zero,
            equity_before_shift: cash,
            initial: zero,
            maintenance: zero,
            outflow: zero,
        };
        let mut shifted = zero;
        for place in places {
            let row = &place.row;
            let stays = b.not(place.settled);
            let long = b.mul(stays.target, place.long);
            let short = b.mul(stays.target, place.short);
            let shift = b.mul(place.long, row.shift_long);
            let shift = b.mul_add(place.short, row.shift_short, shift);
            shifted = b.add(shifted, shift);
            let raised = b.mul_add(place.size, row.value, shift);
            sums.equity_before_shift = b.add(sums.equity_before_shift, raised);
            check_running(b, sums.equity_before_shift);
            let sides = [
                (&mut sums.initial, row.initial_long, row.initial_short),
                (
                    &mut sums.maintenance,
                    row.maintenance_long,
                    row.maintenance_short,
                ),
                (&mut sums.outflow, row.outflow_long, row.outflow_short),
            ];
            for (sum, per_long, per_short) in sides {
                *sum = b.mul_add(long, per_long, *sum);
                *sum = b.mul_add(short, per_short, *sum);
            }
        }
        sums.equity = b.sub(sums.equity_before_shift, shifted);
        sums
    }
}

impl Opening {
    /// Cost: 6 lanes, about 60 operations, and the sums'.
    pub fn new(
        s: &mut SegmentBuilder,
        exists: BoolTarget,
        before: &AccountTarget,
        path: &PathTarget,
        places: &[PlaceTarget],
        cash: Target,
    ) -> Self {
        let (epoch, lifetime) = (s.context.epoch, s.context.globals.flag_lifetime);
        let b: &mut Builder = s;
        let [isolated, system] = kind_bits(b, before.rest.kind);
        let above = |b: &mut Builder, from: usize| {
            let sum = b.add_many(path.bits[from..].iter().map(|bit| bit.target));
            logic::is_zero(b, sum)
        };
        let low = above(b, INSURANCE_BITS);
        let insurance = b.and(system, low);
        let zeroth = above(b, 0);
        let other = b.not(zeroth);
        let pooled = b.and(insurance, other);
        let low = above(b, BRIDGE_BITS);
        let high = b.not(low);
        let bridge = b.and(system, high);
        let user = b.not(system);

        let sums = Sums::new(b, places, cash);
        let judged = b.add(user.target, insurance.target);
        let equity = b.mul(judged, sums.equity);
        let [initial, maintenance, outflow] = [sums.initial, sums.maintenance, sums.outflow]
            .map(|requirement| b.mul(user.target, requirement));
        let spare = b.sub(equity, maintenance);
        let maintained = range::is_nonnegative(b, spare);
        let indebted = range::is_negative(b, equity);
        let owes = range::is_negative(b, cash);
        let short = b.not(maintained);
        let needs = b.or(short, owes);
        let liquidatable = b.and(user, needs);
        let of_user = b.mul(user.target, sums.equity_before_shift);
        let bankrupt = range::is_negative(b, of_user);
        // [Q1] Set, and not stale.
        let flagged_at = before.money.flagged_at;
        let unset = logic::is_zero(b, flagged_at);
        let age = b.sub(epoch, flagged_at);
        let recent = range::is_le(b, age, lifetime);
        let set = b.not(unset);
        let flagged = b.and(set, recent);
        Self {
            exists,
            isolated,
            system,
            insurance,
            pooled,
            bridge,
            equity,
            initial,
            outflow,
            equity_before_shift: sums.equity_before_shift,
            maintained,
            indebted,
            owes,
            liquidatable,
            bankrupt,
            flagged,
        }
    }
}

/// kind = isolated + 2·system, at most one of them. Cost: 5 operations.
fn kind_bits(b: &mut Builder, kind: Target) -> [BoolTarget; 2] {
    let bits = b.hint("kind", &[kind], 2, |v| {
        vec![F::from_bool(v[0] == F::ONE), F::from_bool(v[0] == F::TWO)]
    });
    let bits = [bits[0], bits[1]].map(BoolTarget::new_unsafe);
    for bit in bits {
        b.assert_bool(bit);
    }
    let one = b.one();
    let sum = b.arithmetic(F::TWO, F::ONE, bits[1].target, one, bits[0].target);
    b.connect(sum, kind);
    let both = b.mul(bits[0].target, bits[1].target);
    b.assert_zero(both);
    bits
}
