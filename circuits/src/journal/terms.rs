//! Clauses that several kinds share: twins of the functions of the same names in
//! `tally_protocol::journal`.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::{BRIDGE_ACCOUNTS, POSTING_CASH_BITS, SLOTS, TABLE_DEPTH};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::{InstrumentKind, flags};
use tally_protocol::journal::INSURANCE_CASH;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::terms::CASH;

use super::trade::sign;
use crate::bus::BusTag;
use crate::gadgets::halves::halves;
use crate::gadgets::{logic, range};
use crate::instrument::MarketRowTarget;
use crate::order::OrderTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

const HALTED_OR_SETTLED: u64 = flags::HALTED | flags::SETTLED;

/// Whether a listed instrument is a spot asset. Guarantees that it is one or a perpetual, not the
/// quote asset \[T7\]. Cost: 2 operations.
pub fn is_spot(b: &mut Builder, row: &MarketRowTarget) -> BoolTarget {
    const { assert!(InstrumentKind::Perpetual as u64 == 1 && InstrumentKind::Spot as u64 == 2) };
    let bit = b.add_const(row.kind, F::NEG_ONE);
    let bit = BoolTarget::new_unsafe(bit);
    b.assert_bool(bit);
    bit
}

/// \[T6\] Twin of `open_row`'s flags: neither halted nor settled, which leaves 0, 1, 8 and 9:
/// with y = f² − 9f, y is 0 for 0 and 9 and −8 for 1 and 8. Cost: 2 operations.
pub fn check_open(b: &mut Builder, row: &MarketRowTarget) {
    const { assert!(HALTED_OR_SETTLED == 6 && flags::REDUCE_ONLY == 1 && flags::CLAMPED == 8) };
    let f = row.flags;
    let y = b.arithmetic(F::ONE, -F::from_canonical_u64(9), f, f, f);
    let product = b.arithmetic(F::ONE, F::from_canonical_u64(8), y, y, y);
    b.assert_zero(product);
}

/// \[N3\] Twin of `check_size`: 1 ≤ size ≤ max_size. Cost: 2 lanes, 2 operations.
pub fn check_size(b: &mut Builder, size: Target, row: &MarketRowTarget) {
    let one = b.one();
    range::check_between(b, one, size, row.max_size);
}

/// \[J2\] Twin of `check_limit` for a buyer; |price| < 2^56, so the limit that was hashed is a
/// number ≥ price. Cost: 1 lane, 1 operation.
pub fn check_long_limit(b: &mut Builder, order: &OrderTarget, price: Target) {
    range::assert_le(b, price, order.limit);
}

/// \[J2\] Twin of `check_limit` for a seller: 0 ≤ limit ≤ price. A negative limit, which no order
/// has, would be met by every price. Cost: 2 lanes, 1 operation.
pub fn check_short_limit(b: &mut Builder, order: &OrderTarget, price: Target) {
    range::check_62(b, order.limit);
    range::assert_le(b, order.limit, price);
}

/// \[J2\] Whether the mark is beyond a limit that L1 holds: any number of 64 bits, of which all
/// above 2^56 are beyond every mark. Cost: 6 lanes, 20 operations.
pub fn beyond_limit(b: &mut Builder, short: BoolTarget, mark: Target, limit: Target) -> BoolTarget {
    let [_, high] = halves(b, limit);
    let bound = b.constant(unsigned(1 << (POSTING_CASH_BITS - 32)));
    let wide = range::is_le(b, bound, high);
    let most = b.constant(unsigned(1 << POSTING_CASH_BITS));
    let capped = logic::select(b, wide, most, limit);
    let sign = sign(b, short);
    let slack = b.sub(capped, mark);
    let slack = b.mul(sign, slack);
    range::is_negative(b, slack)
}

/// \[J2\] Twin of `trade_cash` per lot and for a purchase of one lot: mark + offset for a spot
/// asset, offset for a perpetual. Cost: 1 operation.
pub fn cost_per_lot(
    b: &mut Builder,
    row: &MarketRowTarget,
    is_spot: BoolTarget,
    offset: Target,
) -> Target {
    b.mul_add(is_spot.target, row.mark, offset)
}

/// \[N3\] Twin of `posting_cash`: |Δcash| < 2^56. Cost: 2 lanes, 2 operations.
pub fn posting_cash(b: &mut Builder, cash: Target) {
    range::check_signed(b, cash, POSTING_CASH_BITS);
}

/// \[N3\] Half of `posting_cash`: Δcash > −2^56, for a posting whose entry's others are held to it
/// too and sum with it to what nobody pays: then none is 2^56 either. Cost: 1 lane, 1 operation.
pub fn posting_cash_paid(b: &mut Builder, cash: Target) {
    let least = b.constant(-unsigned((1 << POSTING_CASH_BITS) - 1));
    range::assert_le(b, least, cash);
}

/// \[N3\] Twin of `check_amount`: 1 ≤ amount < 2^56. Cost: 2 lanes, 2 operations.
pub fn check_amount(b: &mut Builder, amount: Target) {
    let one = b.one();
    let most = b.constant(unsigned((1 << POSTING_CASH_BITS) - 1));
    range::check_between(b, one, amount, most);
}

/// Needs as a constant.
pub fn needs(b: &mut Builder, needs: Needs) -> Target {
    b.constant(unsigned(needs.0.into()))
}

/// base + bit·needs: each need is added once, so the sum is the set. Cost: 1 operation.
pub fn weigh(b: &mut Builder, base: Target, bit: BoolTarget, needs: Needs) -> Target {
    let one = b.one();
    b.arithmetic(unsigned(needs.0.into()), F::ONE, bit.target, one, base)
}

/// x ∨ y. Cost: 2 operations.
pub fn or(b: &mut Builder, x: BoolTarget, y: BoolTarget) -> BoolTarget {
    let sum = b.add(x.target, y.target);
    let either = b.arithmetic(F::NEG_ONE, F::ONE, x.target, y.target, sum);
    BoolTarget::new_unsafe(either)
}

/// A digest or, unless the bit is set, the digest 0. Cost: 4 operations.
pub fn digest_if(b: &mut Builder, bit: BoolTarget, digest: HashOutTarget) -> HashOutTarget {
    HashOutTarget {
        elements: digest.elements.map(|e| b.mul(bit.target, e)),
    }
}

/// Twin of `insurance_cash`.
pub fn insurance_cash(
    s: &mut SegmentBuilder,
    kind: PostingKind,
    delta_cash: Target,
    index: Target,
) -> PostingTarget {
    let account = s.constant(unsigned(INSURANCE_CASH.0.into()));
    PostingTarget {
        delta_cash,
        needs: needs(s, Needs::SYSTEM),
        ..PostingTarget::blank(s, kind, account, index)
    }
}

/// Twin of `insurance_place`: the row's number as account and slot. Cost: 30 operations.
pub fn insurance_place(b: &mut Builder, row: &MarketRowTarget) -> (Target, Target) {
    let bits = logic::to_bits(b, row.row, TABLE_DEPTH);
    let low = SLOTS.trailing_zeros() as usize;
    (number_of(b, &bits[low..]), number_of(b, &bits[..low]))
}

/// The number of these bits, lowest first. Cost: 1 operation a bit.
pub fn number_of(b: &mut Builder, bits: &[BoolTarget]) -> Target {
    let (zero, one) = (b.zero(), b.one());
    bits.iter().rev().fold(zero, |sum, bit| {
        b.arithmetic(F::TWO, F::ONE, sum, one, bit.target)
    })
}

/// What an entry moves: cash, or lots of a listed instrument whose row it reads then.
#[derive(Clone, Copy, Debug)]
pub struct MovedTarget {
    pub instrument: Target,
    pub amount: Target,
    pub is_cash: BoolTarget,
    pub is_lots: BoolTarget,
    pub is_spot: BoolTarget,
    pub row: MarketRowTarget,
}

impl MovedTarget {
    /// \[N3\], \[T7\] 1 ≤ amount, below 2^56 in cash and ≤ max_size in lots; the row is read if
    /// live and not cash.
    pub fn new(s: &mut SegmentBuilder, live: BoolTarget) -> Self {
        const { assert!(CASH.0 == 0) };
        let [instrument, amount] = s.add_virtual_target_arr();
        let row = MarketRowTarget::new_unchecked(s);
        let is_cash = logic::is_zero(s, instrument);
        let is_lots = s.not(is_cash);
        let named = s.mul(is_lots.target, row.id);
        s.connect(named, instrument);
        let is_spot = is_spot(s, &row);
        let read = s.and(live, is_lots);
        s.receive(BusTag::Market, &row.words(), read);
        let most = s.constant(unsigned((1 << POSTING_CASH_BITS) - 1));
        let most = logic::select(s, is_cash, most, row.max_size);
        let one = s.one();
        range::check_between(s, one, amount, most);
        Self {
            instrument,
            amount,
            is_cash,
            is_lots,
            is_spot,
            row,
        }
    }

    /// \[J3\] Lots are those of an asset that L1 holds.
    pub fn check_asset(&self, b: &mut Builder) {
        logic::assert_implies(b, self.is_lots, self.is_spot);
    }

    /// A posting of `amount`, which is signed by now, in cash or lots.
    pub fn posting(&self, b: &mut Builder, amount: Target, blank: PostingTarget) -> PostingTarget {
        PostingTarget {
            instrument: self.instrument,
            delta_cash: b.mul(self.is_cash.target, amount),
            delta_size: b.mul(self.is_lots.target, amount),
            ..blank
        }
    }

    /// Twin of `bridge` for `asset` (0 for cash).
    pub fn bridge(
        &self,
        s: &mut SegmentBuilder,
        asset: Target,
        amount: Target,
        index: Target,
    ) -> PostingTarget {
        let account = s.add_const(asset, unsigned(BRIDGE_ACCOUNTS.into()));
        let blank = PostingTarget::blank(s, PostingKind::Bridge, account, index);
        let system = needs(s, Needs::SYSTEM);
        let needs = weigh(s, system, self.is_lots, Needs::FIXED_SLOT);
        self.posting(s, amount, PostingTarget { needs, ..blank })
    }
}
