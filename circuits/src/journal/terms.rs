//! Clauses that several kinds share: twins of the functions of the same names in
//! `tally_protocol::journal`.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::POSTING_CASH_BITS;
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::{InstrumentKind, flags};

use crate::gadgets::range;
use crate::instrument::MarketRowTarget;
use crate::order::OrderTarget;
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

/// \[J2\] Twin of `check_limit` for a buyer; |price| < 2^56, so the limit that was hashed is a number
/// ≥ price. Cost: 1 lane, 1 operation.
pub fn check_long_limit(b: &mut Builder, order: &OrderTarget, price: Target) {
    range::assert_le(b, price, order.limit);
}

/// \[J2\] Twin of `check_limit` for a seller: 0 ≤ limit ≤ price. A negative limit, which no order has,
/// would be met by every price. Cost: 2 lanes, 1 operation.
pub fn check_short_limit(b: &mut Builder, order: &OrderTarget, price: Target) {
    range::check_62(b, order.limit);
    range::assert_le(b, order.limit, price);
}

/// \[J2\] Twin of `trade_cash` per lot and for a purchase of one lot: mark + offset for a spot asset,
/// offset for a perpetual. Cost: 1 operation.
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

/// \[N3\] Half of `posting_cash`: Δcash > −2^56, for a posting whose entry's others are held to it too
/// and sum with it to what nobody pays: then none is 2^56 either. Cost: 1 lane, 1 operation.
pub fn posting_cash_paid(b: &mut Builder, cash: Target) {
    let least = b.constant(-unsigned((1 << POSTING_CASH_BITS) - 1));
    range::assert_le(b, least, cash);
}
