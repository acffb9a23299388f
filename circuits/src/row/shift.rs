//! Twin of `tally_protocol::socialisation` for one row: exposure, share of the recovery, shift
//! [Q6].

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::LOSS_BITS;
use tally_protocol::hash::unsigned;

use super::numbers::{is_lt, max, min};
use super::state::RowTarget;
use super::tick::TickedTarget;
use crate::gadgets::product::{Product, mul_div_down};
use crate::gadgets::{logic, range};
use crate::{Builder, F};

/// What the whole epoch recovers: members of the context.
#[derive(Clone, Copy, Debug)]
pub struct PlanTarget {
    pub recovery: Target,
    /// Above 0: where nobody lost, 1 stands for the 0, and every weight is 0.
    pub divisor: Target,
}

impl PlanTarget {
    pub fn of(b: &mut Builder, recovery: Target, losses: Target) -> Self {
        let none = logic::is_zero(b, losses);
        Self {
            recovery,
            divisor: b.add(losses, none.target),
        }
    }
}

/// Twin of `GroupLots`: long, short.
#[derive(Clone, Copy, Debug)]
pub struct GroupTarget {
    pub lots: [Target; 2],
}

impl GroupTarget {
    /// [Q6] G's lots of a side are among the side's. Cost: 4 lanes.
    pub fn check(&self, b: &mut Builder, row: &RowTarget) {
        let zero = b.zero();
        for (lots, open) in self
            .lots
            .into_iter()
            .zip([row.open_long(), row.open_short()])
        {
            range::check_between(b, zero, lots, open);
        }
    }
}

/// Twin of `Shift`, with the row's weight.
#[derive(Clone, Copy, Debug)]
pub struct ShiftTarget {
    /// Whether the side is the short one.
    pub short: BoolTarget,
    pub per_lot: Target,
    pub weight: Target,
    pub posted: Target,
    pub collected: Target,
}

impl ShiftTarget {
    /// Twin of `exposure` and `shift`. Widths: lots < 2^35 and |delta| ≤ 2M with M · lots < 2^60,
    /// so each product of lots and a gain is below 2^61.
    /// Cost: 11 rows.
    pub fn of(
        b: &mut Builder,
        ticked: &TickedTarget,
        group: &GroupTarget,
        plan: &PlanTarget,
    ) -> Self {
        let (row, [long, short]) = (&ticked.row, group.lots);
        let net = b.sub(long, short);
        // G lost iff its net side's carry rose: the long side's by delta, the short side's by
        // −delta.
        let loss = b.mul(net, ticked.delta);
        let zero = b.zero();
        let lost = is_lt(b, zero, loss);
        let loss = b.mul(lost.target, loss);
        let most = b.constant(unsigned((1 << LOSS_BITS) - 1));
        let weight = min(b, loss, most);
        // The side opposite to G's net lots gained |delta|.
        let rose = is_lt(b, zero, ticked.delta);
        let side = b.and(lost, rose);
        let sign = b.arithmetic(F::TWO, F::NEG_ONE, rose.target, lost.target, lost.target);
        let gain = b.mul(sign, ticked.delta);
        let open = logic::select(b, side, row.open_short(), row.open_long());
        let of_group = logic::select(b, side, short, long);
        let others = b.sub(open, of_group);
        let payers = b.mul(lost.target, others);
        let per_lot = per_lot(b, weight, gain, [payers, of_group], plan);
        Self {
            short: side,
            per_lot,
            weight,
            posted: b.mul(per_lot, open),
            collected: b.mul(per_lot, payers),
        }
    }

    /// Twin of `shifted`.
    pub fn apply(&self, b: &mut Builder, row: &RowTarget) -> RowTarget {
        let of_short = b.mul(self.per_lot, self.short.target);
        let of_long = b.sub(self.per_lot, of_short);
        let long_carry = b.add(row.long_carry(), of_long);
        let short_carry = b.add(row.short_carry(), of_short);
        row.with_long_carry(long_carry)
            .with_short_carry(short_carry)
    }
}

/// min(gain, ⌊⌊recovery·weight/losses⌋ / lots⌋), 0 where nobody outside of G pays.
///
/// Statement of the last division: per_lot ≤ gain and per_lot·lots ≤ share, and either per_lot is
/// the gain or share < (per_lot + 1)·lots. With per_lot ≤ gain both products are at most gain·lots
/// < 2^61.
fn per_lot(
    b: &mut Builder,
    weight: Target,
    gain: Target,
    [payers, of_group]: [Target; 2],
    plan: &PlanTarget,
) -> Target {
    let dividend = Product {
        total: plan.recovery,
        factor: weight,
    };
    let share = mul_div_down(b, dividend, plan.divisor);
    let nobody = logic::is_zero(b, payers);
    let anybody = b.not(nobody);
    let gain = b.mul(gain, anybody.target);
    let lots = max(b, payers, of_group);
    let hints = b.hint("per lot", &[share, lots, gain], 2, |v| {
        let [share, lots, gain] = [v[0], v[1], v[2]].map(|x| x.to_canonical_u64());
        let quotient = share.checked_div(lots).unwrap_or(gain).min(gain);
        [quotient, (quotient == gain).into()]
            .map(F::from_canonical_u64)
            .to_vec()
    });
    let [per_lot, capped] = [hints[0], hints[1]];
    let zero = b.zero();
    range::check_between(b, zero, per_lot, gain);
    let paid = b.mul(per_lot, lots);
    range::assert_le(b, paid, share);
    let capped = BoolTarget::new_unsafe(capped);
    b.assert_bool(capped);
    logic::assert_equal_if(b, capped, per_lot, gain);
    let next = b.add(paid, lots);
    let one = b.one();
    let above = b.add(share, one);
    let free = b.not(capped);
    range::assert_le_if(b, free, above, next);
    per_lot
}

/// Twin of `taking_over` [Q7]: G holds more than insurance's own lots.
pub fn taking_over(
    b: &mut Builder,
    row: &RowTarget,
    group: &GroupTarget,
    epoch: Target,
) -> RowTarget {
    let held = b.add(group.lots[0], group.lots[1]);
    let (own, _) = magnitude(b, row.insurance_size());
    let takes_over = is_lt(b, own, held);
    let since = logic::select(b, takes_over, epoch, row.insurance_since());
    row.with_insurance_since(since)
}

/// |x| and whether x < 0, as `range::is_negative`.
pub fn magnitude(b: &mut Builder, x: Target) -> (Target, BoolTarget) {
    let negative = range::is_negative(b, x);
    let magnitude = b.arithmetic(-F::TWO, F::ONE, negative.target, x, x);
    (magnitude, negative)
}
