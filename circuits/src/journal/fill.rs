//! Fills: twin of `tally_protocol::journal::fill`, n of them to a segment, which ends with the one
//! posting that pays out their fees \[N3\], \[Q6\].
//!
//! Statement: for each live unit there are two orders with the digests of its two postings, a long
//! and a short of one instrument whose row is the epoch's, such that \[J2\] holds; the fee posting
//! is the sum of the live units' fees and goes to insurance 0 while there is a deficit. Dead units
//! satisfy the same constraints with a trade that nobody made, and send nothing.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{FEE_ACCOUNT, POSTING_CASH_BITS, TIME_BITS};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::{InstrumentKind, MarketRow};
use tally_protocol::journal::INSURANCE_CASH;
use tally_protocol::journal::fill::Fill;
use tally_protocol::message::MessageKind;
use tally_protocol::order::{Order, Place};
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::terms::{
    check_long_limit, check_open, check_short_limit, check_size, cost_per_lot, is_spot,
    posting_cash_paid,
};
use super::{first_place, frame, place_after};
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::instrument::MarketRowTarget;
use crate::message::MessageFrame;
use crate::order::OrderTarget;
use crate::posting::PostingTarget;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};

/// Fills between two checks of the running sum of fees: 16 · 2^57 on top of 2^62 stay in half the
/// field.
const FILLS_PER_FEE_CHECK: usize = 16;

/// Twin of `Fill`.
#[derive(Clone, Copy, Debug)]
pub struct FillTarget {
    pub long: OrderTarget,
    pub short: OrderTarget,
    pub size: Target,
    pub price: Target,
    pub long_fee_per_lot: Target,
    pub short_fee_per_lot: Target,
}

/// Twin of `FillCash`.
#[derive(Clone, Copy, Debug)]
pub struct FillCashTarget {
    pub is_spot: BoolTarget,
    pub long: Target,
    pub short: Target,
    pub fee: Target,
}

impl FillTarget {
    /// Orders of constant sides. Cost: 12 operations.
    pub fn new(b: &mut Builder) -> Self {
        let (long, short) = (b._false(), b._true());
        Self {
            long: OrderTarget::new(b, long),
            short: OrderTarget::new(b, short),
            size: b.add_virtual_target(),
            price: b.add_virtual_target(),
            long_fee_per_lot: b.add_virtual_target(),
            short_fee_per_lot: b.add_virtual_target(),
        }
    }

    /// Twin of `Fill::check`, clause by clause. Cost: 17 lanes, about 30 operations.
    pub fn check(&self, b: &mut Builder, row: &MarketRowTarget, time: Target) -> FillCashTarget {
        b.connect(self.long.instrument, row.id);
        b.connect(self.short.instrument, row.id);
        let is_spot = is_spot(b, row);
        check_open(b, row);
        self.long.check_expiry(b, time);
        self.short.check_expiry(b, time);
        check_size(b, self.size, row);
        range::check_between(b, row.min_fill, self.price, row.max_fill);
        check_long_limit(b, &self.long, self.price);
        check_short_limit(b, &self.short, self.price);
        check_fee(b, self.long_fee_per_lot, &self.long, row);
        check_fee(b, self.short_fee_per_lot, &self.short, row);
        // Factors below 2^30 and 2^44 [N1]: no product wraps.
        let offset = b.sub(self.price, row.mark);
        let cost = cost_per_lot(b, row, is_spot, offset);
        let paid = b.add(cost, self.long_fee_per_lot);
        let received = b.sub(cost, self.short_fee_per_lot);
        let zero = b.zero();
        let long = b.arithmetic(F::NEG_ONE, F::ZERO, self.size, paid, zero);
        let short = b.mul(self.size, received);
        // long + short + fee = 0 with fee ≥ 0, so neither can be 2^56.
        posting_cash_paid(b, long);
        posting_cash_paid(b, short);
        let fees = b.add(self.long_fee_per_lot, self.short_fee_per_lot);
        let fee = b.mul(self.size, fees);
        FillCashTarget {
            is_spot,
            long,
            short,
            fee,
        }
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Fill) -> anyhow::Result<()> {
        self.long.assign(witness, &value.long)?;
        self.short.assign(witness, &value.short)?;
        witness.set_target(self.size, unsigned(value.size))?;
        witness.set_target(self.price, unsigned(value.price))?;
        witness.set_target(self.long_fee_per_lot, unsigned(value.long_fee_per_lot))?;
        witness.set_target(self.short_fee_per_lot, unsigned(value.short_fee_per_lot))
    }
}

/// \[J2\] Twin of `Fill::fee`'s checks: 0 ≤ fee ≤ max_fee_per_lot and ≤ the mark, each as a number:
/// no product is compared, so none can wrap. Cost: 3 lanes, 3 operations.
fn check_fee(b: &mut Builder, per_lot: Target, order: &OrderTarget, row: &MarketRowTarget) {
    let zero = b.zero();
    range::check_between(b, zero, per_lot, row.mark);
    range::assert_le(b, per_lot, order.max_fee_per_lot);
}

/// One fill with the row that it reads.
#[derive(Clone, Copy, Debug)]
pub struct FillUnit {
    pub fill: FillTarget,
    pub row: MarketRowTarget,
    /// Place of the long's posting; the short's follows.
    pub first: Target,
    pub live: BoolTarget,
}

/// A segment of fills.
#[derive(Clone, Debug)]
pub struct FillSegment {
    pub segment: Segment,
    pub units: Vec<FillUnit>,
    /// Live units, the first ones.
    pub n: Target,
    /// Place of the fee posting.
    pub fees_at: Target,
}

/// What a segment of fills is proven from.
#[derive(Clone, Debug)]
pub struct FillWitness<'a> {
    pub fills: Vec<PlacedFill<'a>>,
    /// Place of the fee posting.
    pub fees_at: u32,
}

/// A fill, its row, and the place of its first posting.
#[derive(Clone, Copy, Debug)]
pub struct PlacedFill<'a> {
    pub fill: &'a Fill,
    pub row: &'a MarketRow,
    pub first: u32,
}

impl FillSegment {
    /// Units of the production circuit: what 2^14 rows hold.
    pub const CAPACITY: usize = 880;

    /// A circuit of `capacity` units.
    pub fn build(builder: Builder, capacity: usize) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Journal);
        let frame = frame(&mut s, MessageKind::Order);
        let n = s.add_virtual_target();
        let live = logic::live_bits(&mut s, n, capacity);
        let fills_allowed = s.context.fills_allowed;
        // [T2] The first unit is live if any is.
        logic::assert_implies(&mut s, live[0], fills_allowed);
        let fees_at = first_place(&mut s);
        let mut fees = FeeSum::new(&mut s);
        let mut units = Vec::with_capacity(capacity);
        for &live in &live {
            let (unit, fee) = unit(&mut s, &frame, live);
            fees.add(&mut s, fee, live);
            units.push(unit);
        }
        let fees = fees.total(&mut s);
        send_fees(&mut s, fees, fees_at, live[0]);
        let (builder, segment) = s.finish(&[n]);
        let segment = Self {
            segment,
            units,
            n,
            fees_at,
        };
        (builder, segment)
    }

    pub fn capacity(&self) -> usize {
        self.units.len()
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &FillWitness,
    ) -> anyhow::Result<()> {
        anyhow::ensure!(
            value.fills.len() <= self.capacity(),
            "{} fills in a segment of {}",
            value.fills.len(),
            self.capacity()
        );
        witness.set_target(self.n, F::from_canonical_usize(value.fills.len()))?;
        witness.set_target(self.fees_at, unsigned(value.fees_at.into()))?;
        let (fill, row) = (&idle_fill(), &idle_row());
        let idle = PlacedFill {
            fill,
            row,
            first: 0,
        };
        let fills = value.fills.iter().copied();
        let fills = fills.chain(core::iter::repeat(idle));
        for (unit, placed) in self.units.iter().zip(fills) {
            unit.fill.assign(witness, placed.fill)?;
            unit.row.assign(witness, placed.row)?;
            witness.set_target(unit.first, unsigned(placed.first.into()))?;
        }
        Ok(())
    }
}

/// Checks a unit and puts its read and its two postings on the bus; its fees.
fn unit(s: &mut SegmentBuilder, frame: &MessageFrame, live: BoolTarget) -> (FillUnit, Target) {
    let row = MarketRowTarget::new_unchecked(s);
    let fill = FillTarget::new(s);
    let first = first_place(s);
    let time = s.context.time;
    let cash = fill.check(s, &row, time);
    s.receive(BusTag::Market, &row.words(), live);
    let minus_size = s.neg(fill.size);
    let sold = spot_sale(s, &fill.short, cash.is_spot);
    let zero = s.zero();
    let sides = [
        (&fill.long, fill.size, cash.long, zero),
        (&fill.short, minus_size, cash.short, sold),
    ];
    for (side, (order, delta_size, delta_cash, needs)) in sides.into_iter().enumerate() {
        let index = place_after(s, first, side);
        let order_needs = order.needs(s);
        let needs = s.add(order_needs, needs);
        let posting = PostingTarget {
            instrument: row.id,
            delta_size,
            delta_cash,
            needs: s.add_const(needs, unsigned(Needs::ORDINARY.0.into())),
            ..PostingTarget::blank(s, PostingKind::Fill, order.account, index)
        };
        let posting = posting.by_order(s, order, frame);
        s.send(BusTag::Posting, &posting.words(), live);
    }
    let unit = FillUnit {
        fill,
        row,
        first,
        live,
    };
    (unit, cash.fee)
}

/// Twin of `spot_needs` for a seller: REDUCE_ONLY where the order doesn't say so itself.
fn spot_sale(b: &mut Builder, order: &OrderTarget, is_spot: BoolTarget) -> Target {
    let bit = unsigned(Needs::REDUCE_ONLY.0.into());
    let (spot, says) = (is_spot.target, order.reduce_only.target);
    b.arithmetic(-bit, bit, spot, says, spot)
}

/// The running sum of the live units' fees.
struct FeeSum {
    sum: Target,
    added: usize,
}

impl FeeSum {
    fn new(b: &mut Builder) -> Self {
        Self {
            sum: b.zero(),
            added: 0,
        }
    }

    /// A fee is what its fill's postings leave, so it is below 2^57 by their checks.
    fn add(&mut self, b: &mut Builder, fee: Target, live: BoolTarget) {
        self.sum = b.mul_add(live.target, fee, self.sum);
        self.added += 1;
        if self.added.is_multiple_of(FILLS_PER_FEE_CHECK) {
            range::check_62(b, self.sum);
        }
    }

    /// \[N3\] The whole sum, below 2^56.
    fn total(self, b: &mut Builder) -> Target {
        range::check_bits(b, self.sum, POSTING_CASH_BITS);
        self.sum
    }
}

/// \[Q6\] Sends the twin of `fee_posting`.
fn send_fees(s: &mut SegmentBuilder, fees: Target, index: Target, live: BoolTarget) {
    const { assert!(INSURANCE_CASH.0 == 0) };
    let deficit = s.context.deficit;
    let none = logic::is_zero(s, deficit);
    let account = s.mul_const(unsigned(FEE_ACCOUNT.into()), none.target);
    let posting = PostingTarget {
        delta_cash: fees,
        needs: s.constant(unsigned(Needs::SYSTEM.0.into())),
        ..PostingTarget::blank(s, PostingKind::Fee, account, index)
    };
    s.send(BusTag::Posting, &posting.words(), live);
}

/// What a dead unit holds: one lot at no price, of a row that nobody reads.
fn idle_fill() -> Fill {
    Fill {
        long: idle_order(Side::Long),
        short: idle_order(Side::Short),
        size: 1,
        price: 0,
        long_fee_per_lot: 0,
        short_fee_per_lot: 0,
    }
}

/// An order that nobody signed, good for ever.
pub(crate) fn idle_order(side: Side) -> Order {
    Order {
        account: AccountId(0),
        generation: 0,
        place: Place::Nonce(0),
        instrument: InstrumentId(0),
        side,
        size: 1,
        limit: 0,
        max_fee_per_lot: 0,
        // Later than any time [T2].
        expiry: (1 << TIME_BITS) - 1,
        reduce_only: false,
        amend: false,
    }
}

/// An open row at no price.
pub(crate) fn idle_row() -> MarketRow {
    MarketRow {
        kind: InstrumentKind::Perpetual,
        max_size: 1,
        ..MarketRow::default()
    }
}

#[cfg(test)]
mod tests;
