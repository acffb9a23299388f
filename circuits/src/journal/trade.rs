//! A signed order that takes lots at the mark less a discount: what liquidation and unwind share
//! \[Q4\], \[Q7\].

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::posting::{Needs, PostingKind};

use super::list::Shared;
use super::terms::{check_open, check_size, is_spot, needs, or, weigh};
use crate::gadgets::{logic, range};
use crate::instrument::MarketRowTarget;
use crate::order::OrderTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// The taker's half of an entry.
#[derive(Clone, Copy, Debug)]
pub struct TakerTarget {
    pub order: OrderTarget,
    pub size: Target,
    pub discount: Target,
}

/// What the taker's half says of the other half.
#[derive(Clone, Copy, Debug)]
pub struct TakenTarget {
    pub is_spot: BoolTarget,
    /// Lots that the taker gets, signed.
    pub lots: Target,
    /// What they cost at the mark, signed: 0 for a perpetual.
    pub at_mark: Target,
    /// size · discount.
    pub gain: Target,
}

impl TakenTarget {
    /// Factors below 2^30 and 2^43 \[N1\]: no product wraps.
    pub fn new(
        b: &mut Builder,
        row: &MarketRowTarget,
        is_spot: BoolTarget,
        sign: Target,
        [size, discount]: [Target; 2],
    ) -> Self {
        let lots = b.mul(sign, size);
        let value = b.mul(is_spot.target, row.mark);
        Self {
            is_spot,
            lots,
            at_mark: b.mul(lots, value),
            gain: b.mul(size, discount),
        }
    }
}

impl TakerTarget {
    pub fn new(b: &mut Builder) -> Self {
        let side = b.add_virtual_bool_target_safe();
        Self {
            order: OrderTarget::new(b, side),
            size: b.add_virtual_target(),
            discount: b.add_virtual_target(),
        }
    }

    /// \[J2\] Open row, expiry, size and limit, in the order of `Liquidation::check`. Assumes that
    /// the discount was bounded by the caller to 0 ≤ discount ≤ 2^42.
    pub fn check(&self, b: &mut Builder, row: &MarketRowTarget, time: Target) -> TakenTarget {
        b.connect(self.order.instrument, row.id);
        let is_spot = is_spot(b, row);
        check_open(b, row);
        self.order.check_expiry(b, time);
        check_size(b, self.size, row);
        let sign = sign(b, self.order.side);
        let offset = b.mul(sign, self.discount);
        let price = b.sub(row.mark, offset);
        check_signed_limit(b, &self.order, sign, price);
        TakenTarget::new(b, row, is_spot, sign, [self.size, self.discount])
    }

    /// Twin of `Trade::taker_posting`, authorised by the order.
    pub fn posting(
        &self,
        s: &mut SegmentBuilder,
        shared: &Shared,
        taken: &TakenTarget,
        cash: Target,
        index: Target,
    ) -> PostingTarget {
        let order = &self.order;
        let sold = b_and(s, taken.is_spot, order.side);
        let reduces = or(s, order.reduce_only, sold);
        let base = order.needs(s);
        // The order's own bit is in `base` already.
        let added = s.sub(reduces.target, order.reduce_only.target);
        let base = weigh(s, base, BoolTarget::new_unsafe(added), Needs::REDUCE_ONLY);
        let fixed = needs(s, Needs::MAY_GROW | Needs::ORDINARY);
        PostingTarget {
            instrument: order.instrument,
            delta_size: taken.lots,
            delta_cash: cash,
            needs: s.add(base, fixed),
            ..PostingTarget::blank(s, PostingKind::LiquidationTaker, order.account, index)
        }
        .by_order(s, order, &shared.order)
    }
}

/// 1 for a long, −1 for a short.
pub fn sign(b: &mut Builder, side: BoolTarget) -> Target {
    let one = b.one();
    b.arithmetic(-F::TWO, F::ONE, side.target, one, one)
}

fn b_and(b: &mut Builder, x: BoolTarget, y: BoolTarget) -> BoolTarget {
    BoolTarget::new_unsafe(b.mul(x.target, y.target))
}

/// \[J2\] Twin of `check_limit` for either side; the limit is a number, as in `check_short_limit`.
/// Cost: 2 lanes, 2 operations.
fn check_signed_limit(b: &mut Builder, order: &OrderTarget, sign: Target, price: Target) {
    range::check_62(b, order.limit);
    let slack = b.sub(order.limit, price);
    let slack = b.mul(sign, slack);
    range::check_62(b, slack);
}

/// \[Q4\], \[Q7\] Twin of `discount_opens`: discount · D ≤ bound · min(age, D). Guarantees
/// 0 ≤ discount ≤ bound, so that with bound < 2^42 and D < 2^16 nothing wraps.
/// Assumes 0 ≤ age < 2^32. Cost: 5 lanes, 15 operations.
pub fn discount_opens(
    b: &mut Builder,
    discount: Target,
    bound: Target,
    age: Target,
    epochs: Target,
) {
    let zero = b.zero();
    range::check_between(b, zero, discount, bound);
    // No auction, no discount: with D = 0 the products below say nothing.
    let never = logic::is_zero(b, epochs);
    let given = b.mul(never.target, discount);
    b.assert_zero(given);
    let young = range::is_le(b, age, epochs);
    let open = logic::select(b, young, age, epochs);
    let due = b.mul(bound, open);
    let taken = b.mul(discount, epochs);
    range::assert_le(b, taken, due);
}
