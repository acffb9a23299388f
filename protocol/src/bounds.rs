//! Every quantity's unit, sign and width, once. Circuits import these constants, and the `const`
//! assertions at the end say how they combine so that nothing wraps in the Goldilocks field.
//!
//! Units: *cash* and *prices* are micro-quote (10⁻⁶ of the quote unit), prices per lot; *size* is
//! whole lots; fractions are parts per million of the mark; times are seconds since 1970.

/// The Goldilocks prime, 2^64 − 2^32 + 1.
pub const FIELD_ORDER: u64 = 0xffff_ffff_0000_0001;

/// \[N1\] Mark, requirements, penalty and |carry| are at most `max_price` < 2^42 micro-quote a lot.
/// A lot is worth at most 10^8 micro-quote (2^26.6) at listing and `max_price` is at least 64 times
/// that, so 42 bits leave a 40,000-fold rise; 42 + 20 (a fraction) stays one field element.
pub const PRICE_BITS: u32 = 42;
/// \[N1\] max_price · max_size < 2^55.
pub const NOTIONAL_BITS: u32 = 55;
/// \[N1\] max_price · max_open_interest < 2^60.
pub const OPEN_INTEREST_NOTIONAL_BITS: u32 = 60;
/// Sizes and open interest: |size| < 2^48 lots (a bound that holds before `max_size` is known).
pub const SIZE_BITS: u32 = 48;
/// \[N3\] |Δcash| of one posting < 2^56.
pub const POSTING_CASH_BITS: u32 = 56;
/// \[N4\] |cash| of a closed account < 2^60.
pub const CASH_BITS: u32 = 60;
/// \[N4\] |cash| while postings are applied < 2^62, checked at least every 32 postings.
pub const RUNNING_CASH_BITS: u32 = 62;
/// \[N4\] Most postings between two checks of running cash.
pub const POSTINGS_PER_CASH_CHECK: usize = 32;
/// \[N5\] |equity| < 2^62, requirement < 2^60; their difference fits 63 bits.
pub const TOTAL_BITS: u32 = 62;
pub const REQUIREMENT_BITS: u32 = 60;
/// Fractions of the mark, in parts per million, at most one.
pub const FRACTION_BITS: u32 = 20;
pub const FRACTION_ONE: u64 = 1_000_000;
/// Epoch numbers, oracle round numbers, sequences, nonces and generations.
pub const EPOCH_BITS: u32 = 32;
pub const ROUND_BITS: u32 = 32;
pub const SEQUENCE_BITS: u32 = 32;
pub const NONCE_BITS: u32 = 32;
pub const GENERATION_BITS: u32 = 32;
/// Journal indices within an epoch.
pub const INDEX_BITS: u32 = 32;
/// Instrument ids; never used again. Id 0 is the quote asset, whose row has only zeros in version 1
/// and is what empty slots read.
pub const INSTRUMENT_BITS: u32 = 32;
/// Seconds since 1970 \[T2\], order expiry \[J2\].
pub const TIME_BITS: u32 = 40;

/// A cumulative premium is below 2^48 in magnitude \[T4\], 64 times the highest price.
pub const PREMIUM_BITS: u32 = 48;
/// Most reporters \[T1\].
pub const MAX_REPORTERS: usize = 15;
/// Row changes that may wait in the header at once \[T7\].
pub const PENDING_CHANGES: usize = 32;
/// Row changes that one epoch refuses for want of a place in the header \[T7\]; others wait.
pub const REFUSED_CHANGES: usize = 8;
/// A fraction may change to twice and half of what it was, and by this much anyway \[T7\].
pub const FRACTION_STEP_FLOOR: u64 = 1_000;
/// \[Q6\] A row's weight is the group's loss in it, at most 2^50 − 1 (1.1 billion quote units), so
/// that the weights of all 2^10 rows stay below 2^62.
pub const LOSS_BITS: u32 = 50;
/// \[Q6\] One tick recovers less than 2^55, so that its posting is below 2^56.
pub const RECOVERY_BITS: u32 = 55;

/// \[Q7\] Discounts of the unwinds of one journal segment add up to less than 2^50 (1.1 billion
/// quote units), so that an epoch's, at most 2^12 segments by \[P1\], stay below 2^62.
pub const UNWIND_COST_BITS: u32 = 50;

/// Slots of an account \[S2\].
pub const SLOTS: usize = 16;
/// Depth of the account tree by default; sub-accounts live in its upper half \[S3\].
pub const ACCOUNT_DEPTH: usize = 28;
/// Depth of an account's order tree.
pub const ORDER_DEPTH: usize = 6;
/// Depth of the instrument table; 1,024 rows.
pub const TABLE_DEPTH: usize = 10;
/// Depth of the tree of prices that a reporter signs; a row's feed is its row number.
pub const FEED_DEPTH: usize = TABLE_DEPTH;

/// First id of a main account; smaller ones are the system's \[S6\].
pub const FIRST_USER_ACCOUNT: u32 = 1024;
/// \[S6\] Row r belongs to insurance account r div 16, slot r mod 16; account 0 holds the cash.
pub const INSURANCE_ACCOUNTS: u32 = 64;
/// The account that collects fees.
pub const FEE_ACCOUNT: u32 = 64;
/// Bridge account of asset a is `BRIDGE_ACCOUNTS + a`; asset 0 is the quote asset.
pub const BRIDGE_ACCOUNTS: u32 = 128;

/// \[T3\] No row with open interest is older than this many rounds.
pub const MAX_ROW_AGE: u64 = 64;
/// \[P1\] Postings × words per epoch.
pub const MAX_EPOCH_WORDS: u64 = 1 << 27;
/// \[N1\] Beyond max_price / 4 a row is reduce_only; at listing max_price ≥ 64 · price.
pub const REDUCE_ONLY_DIVISOR: u64 = 4;
pub const LISTING_HEADROOM: u64 = 64;
/// \[N1\] A lot's worth at listing, micro-quote.
pub const MIN_LISTING_PRICE: u64 = 1_000_000;
pub const MAX_LISTING_PRICE: u64 = 100_000_000;

const _: () = {
    // 16 slots of 2^55 and cash of 2^60 keep equity below 2^62 [N5].
    assert!((SLOTS as u64) << NOTIONAL_BITS <= 1 << (NOTIONAL_BITS + 4));
    assert!((1u64 << CASH_BITS) + (1u64 << (NOTIONAL_BITS + 4)) < 1 << TOTAL_BITS);
    // Settling 16 slots whose carry moved by at most 2·max_price keeps cash below 2^62 [N4].
    assert!((1u64 << CASH_BITS) + (1u64 << (NOTIONAL_BITS + 5)) < 1 << RUNNING_CASH_BITS);
    assert!((SLOTS as u64) << NOTIONAL_BITS <= 1 << REQUIREMENT_BITS);
    // 32 postings of 2^56 on top of a checked 2^62 stay in half the field.
    assert!(
        (1u128 << RUNNING_CASH_BITS) + ((POSTINGS_PER_CASH_CHECK as u128) << POSTING_CASH_BITS)
            < (FIELD_ORDER / 2) as u128
    );
    // mark · fraction fits the field without limbs [T5].
    assert!((1u128 << (PRICE_BITS + FRACTION_BITS)) < FIELD_ORDER as u128);
    assert!(FRACTION_ONE < 1 << FRACTION_BITS);
    // mark · (band fraction per second · seconds) is clamped to one before it is multiplied [T6].
    assert!(FRACTION_BITS + TIME_BITS < 63);
    assert!(LOSS_BITS as usize + TABLE_DEPTH <= REQUIREMENT_BITS as usize);
    // A shift collects from each side at most twice what it is meant to recover [Q6].
    assert!(RECOVERY_BITS < POSTING_CASH_BITS);
    assert!(INSURANCE_ACCOUNTS as usize * SLOTS == 1 << TABLE_DEPTH);
    assert!(BRIDGE_ACCOUNTS < FIRST_USER_ACCOUNT);
};
