//! Twin of `tally_protocol::listing::apply`: a due change applies or lapses, as the row and it say
//! [T7].
//!
//! Every check is a bit, since the operator must not choose: a change that is due is received (the
//! header sends it, so the bus needs this), and all of its checks decide what becomes of it.
//! Assumes that an admitted change names its row and that its fields fit the widths in which L1
//! holds them: 48 bits for prices and sizes, 32 for the rest; a wider one has no witness.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{
    BRIDGE_ACCOUNTS, FIRST_USER_ACCOUNT, FRACTION_ONE, FRACTION_STEP_FLOOR, LISTING_HEADROOM,
    MAX_LISTING_PRICE, MIN_LISTING_PRICE, NOTIONAL_BITS, OPEN_INTEREST_NOTIONAL_BITS, PRICE_BITS,
    SIZE_BITS, TABLE_DEPTH,
};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::instrument::Status;
use tally_protocol::listing::Change;

use super::numbers::{NumbersTarget, is_lt};
use super::state::{KindTarget, ParamsTarget, RowTarget, STATE_WORDS};
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::segment::SegmentBuilder;
use crate::{Builder, F, hash};

/// Bits of the low part of M, in which M · size is computed.
const PART_BITS: u32 = 21;
/// Sizes of a row whose M is at least 64 · 10^6 fit this.
const LOT_BITS: u32 = 35;

/// A unit's change, if one is due.
#[derive(Clone, Copy, Debug)]
pub struct ChangeTarget {
    /// The row was listed before the epoch, and is listed after its tick.
    pub exists: BoolTarget,
    pub remains: BoolTarget,
    pub due: BoolTarget,
    pub params: ParamsTarget,
    pub price: Target,
    /// rows′.
    pub read: RowTarget,
}

impl ChangeTarget {
    /// `before` is the row before the epoch, `moved` after its tick and shift. Cost: 59 rows.
    pub fn new(
        s: &mut SegmentBuilder,
        before: &RowTarget,
        moved: &RowTarget,
        number: Target,
        live: BoolTarget,
    ) -> Self {
        let exists = s.add_virtual_bool_target_safe();
        let due = s.add_virtual_bool_target_safe();
        logic::assert_implies(s, exists, live);
        logic::assert_implies(s, due, live);
        let absent = s.not(exists);
        for word in before.params.words.into_iter().chain(before.words) {
            let said = s.mul(absent.target, word);
            s.assert_zero(said);
        }
        let (params, price) = receive(s, number, due);
        let case = Case {
            exists,
            moved,
            params: &params,
            price,
            number,
            time: s.context.time,
        };
        let same = case.is_same(s);
        let holds = case.holds(s, same);
        let applied = s.and(due, holds);
        let read = case.read(s, same, applied);
        Self {
            exists,
            remains: s.or(exists, applied),
            due,
            params,
            price,
            read,
        }
    }

    pub(super) fn set(
        &self,
        witness: &mut PartialWitness<F>,
        exists: bool,
        change: Option<&Change>,
    ) -> anyhow::Result<()> {
        witness.set_bool_target(self.exists, exists)?;
        witness.set_bool_target(self.due, change.is_some())?;
        let change = change.copied().unwrap_or_default();
        self.params.set(witness, &change.params)?;
        witness.set_target(self.price, unsigned(change.price))
    }
}

/// The change that the header sends, its fields in their widths, its id one of the row's.
fn receive(s: &mut SegmentBuilder, number: Target, due: BoolTarget) -> (ParamsTarget, Target) {
    let params = ParamsTarget::new_unchecked(s);
    let price = s.add_virtual_target();
    let digest = hash::hash(s, Tag::Change, &[&params.words[..], &[price]].concat());
    let message = [&[number], &digest.elements[..]].concat();
    s.receive(BusTag::Change, &message, due);
    for (place, word) in params.words.into_iter().enumerate() {
        match place {
            3..=5 => range::check_bits(s, word, SIZE_BITS),
            _ => range::check_32(s, word),
        }
    }
    range::check_bits(s, price, SIZE_BITS);
    // id = number + 2^10·uses with number < 2^10 (a place of the tree) and uses < 2^22.
    let uses = s.hint_one("uses of the row", &[params.id()], |v| {
        F::from_canonical_u64(v[0].to_canonical_u64() >> TABLE_DEPTH)
    });
    range::check_bits(s, uses, u32::BITS - TABLE_DEPTH as u32);
    let one = s.one();
    let id = s.arithmetic(unsigned(1 << TABLE_DEPTH), F::ONE, uses, one, number);
    s.conditional_assert_eq(due.target, id, params.id());
    (params, price)
}

/// What decides about a change.
struct Case<'a> {
    exists: BoolTarget,
    moved: &'a RowTarget,
    params: &'a ParamsTarget,
    price: Target,
    number: Target,
    time: Target,
}

impl Case<'_> {
    /// A change of the listed instrument, not another one in its row.
    fn is_same(&self, b: &mut Builder) -> BoolTarget {
        let same = logic::is_equal(b, self.params.id(), self.moved.params.id());
        b.and(self.exists, same)
    }

    /// In the order of `apply`.
    fn holds(&self, b: &mut Builder, same: BoolTarget) -> BoolTarget {
        let quote = logic::is_zero(b, self.number);
        let listable = b.not(quote);
        let kind = KindTarget::of(b, self.params);
        let known = b.or(kind.perpetual, kind.spot);
        let bounded = self.bounds_hold(b, &kind);
        let steps = self.steps_hold(b);
        let listing = self.listing_holds(b);
        let fits = BoolTarget::new_unsafe(logic::select(b, same, steps.target, listing.target));
        // What is out of bounds is not computed with: fractions and marks are 0 there.
        let ranged = b.and(bounded, fits);
        let mark = logic::select(b, same, self.moved.mark(), self.price);
        let mark = b.mul(ranged.target, mark);
        let mut params = *self.params;
        for word in &mut params.words[6..] {
            *word = b.mul(ranged.target, *word);
        }
        let ordered = NumbersTarget::of(b, &params, mark).are_ordered(b);
        all(b, &[listable, known, ranged, ordered])
    }

    /// Twin of `check_params` [N1].
    fn bounds_hold(&self, b: &mut Builder, kind: &KindTarget) -> BoolTarget {
        let params = self.params;
        let least = b.constant(unsigned(MIN_LISTING_PRICE * LISTING_HEADROOM));
        let most = b.constant(unsigned((1 << PRICE_BITS) - 1));
        let price = is_between(b, least, params.max_price(), most);
        let capped = b.mul(price.target, params.max_price());
        let [high, low] = parts(b, capped);
        let size = fits(b, [high, low], params.max_size(), NOTIONAL_BITS);
        let bits = OPEN_INTEREST_NOTIONAL_BITS;
        let open = fits(b, [high, low], params.max_open_interest(), bits);
        let one = b.constant(unsigned(FRACTION_ONE));
        let mut checks = vec![price, size, open];
        for fraction in &params.words[6..] {
            checks.push(range::is_le(b, *fraction, one));
        }
        for (initial, maintenance) in params.initial().into_iter().zip(params.maintenance()) {
            checks.push(is_lt(b, params.penalty(), maintenance));
            let reached = b.add(params.fill_band(), maintenance);
            checks.push(is_lt(b, reached, initial));
        }
        let asset = b.mul(kind.spot.target, self.number);
        checks.push(logic::is_equal(b, params.asset(), asset));
        let bridges = b.constant(unsigned((FIRST_USER_ACCOUNT - BRIDGE_ACCOUNTS).into()));
        checks.push(is_lt(b, asset, bridges));
        all(b, &checks)
    }

    /// Twin of `check_steps`.
    fn steps_hold(&self, b: &mut Builder) -> BoolTarget {
        let (old, new) = (&self.moved.params, self.params);
        let settled = self.is_settled(b);
        let mut checks = vec![
            b.not(settled),
            logic::is_equal(b, old.kind(), new.kind()),
            logic::is_zero(b, self.price),
        ];
        for (old, new) in old.words[3..6].iter().zip(&new.words[3..6]) {
            let twice = b.add(*old, *old);
            checks.push(is_between(b, *old, *new, twice));
        }
        let (two, floor) = (F::TWO, unsigned(FRACTION_STEP_FLOOR));
        let (one, floor) = (b.one(), b.constant(floor));
        for (old, new) in old.words[6..].iter().zip(&new.words[6..]) {
            for (from, to) in [(*old, *new), (*new, *old)] {
                let most = b.arithmetic(two, F::ONE, from, one, floor);
                checks.push(range::is_le(b, to, most));
            }
        }
        all(b, &checks)
    }

    /// Twin of `listed`.
    fn listing_holds(&self, b: &mut Builder) -> BoolTarget {
        let settled = self.is_settled(b);
        let open = b.add(self.moved.open_long(), self.moved.open_short());
        let unheld = logic::is_zero(b, open);
        let later = is_lt(b, self.moved.params.id(), self.params.id());
        let replaces = all(b, &[settled, unheld, later]);
        let absent = b.not(self.exists);
        let free = b.or(absent, replaces);
        let least = b.constant(unsigned(MIN_LISTING_PRICE));
        let most = b.constant(unsigned(MAX_LISTING_PRICE));
        let lot = is_between(b, least, self.price, most);
        let headroom = b.constant(unsigned(LISTING_HEADROOM));
        let above = b.mul(self.price, headroom);
        let room = range::is_le(b, above, self.params.max_price());
        all(b, &[free, lot, room])
    }

    fn is_settled(&self, b: &mut Builder) -> BoolTarget {
        let settled = b.constant(unsigned(Status::Settled as u64));
        logic::is_equal(b, self.moved.status(), settled)
    }

    /// rows′: as moved; with new parameters; or a new row, halted until its first price.
    fn read(&self, b: &mut Builder, same: BoolTarget, applied: BoolTarget) -> RowTarget {
        let (zero, moved) = (b.zero(), self.moved);
        let halted = b.constant(unsigned(Status::Halted as u64));
        let listed = RowTarget {
            words: [zero; STATE_WORDS],
            ..*moved
        };
        let listed = listed
            .with_status(halted)
            .with_round(moved.round())
            .with_time(self.time)
            .with_mark(self.price)
            .with_index(self.price);
        let kept = b.not(applied);
        let stays = b.or(same, kept);
        let words = logic::select_all(b, stays, &moved.words, &listed.words);
        let digest = self.params.digest(b).elements;
        let chosen = logic::select_all(b, applied, &self.params.words, &moved.params.words);
        let digest = logic::select_all(b, applied, &digest, &moved.params_digest.elements);
        RowTarget {
            params: ParamsTarget {
                words: core::array::from_fn(|i| chosen[i]),
            },
            params_digest: HashOutTarget {
                elements: core::array::from_fn(|i| digest[i]),
            },
            words: core::array::from_fn(|i| words[i]),
        }
    }
}

fn all(b: &mut Builder, checks: &[BoolTarget]) -> BoolTarget {
    let whole = b._true();
    checks.iter().fold(whole, |all, check| b.and(all, *check))
}

fn is_between(b: &mut Builder, low: Target, x: Target, high: Target) -> BoolTarget {
    let above = range::is_le(b, low, x);
    let below = range::is_le(b, x, high);
    b.and(above, below)
}

/// x = high·2^21 + low for x < 2^42, both parts below 2^21.
fn parts(b: &mut Builder, x: Target) -> [Target; 2] {
    let hint = b.hint("parts", &[x], 2, |v| {
        let x = v[0].to_canonical_u64();
        [x >> PART_BITS, x % (1 << PART_BITS)]
            .map(F::from_canonical_u64)
            .to_vec()
    });
    for part in &hint {
        range::check_bits(b, *part, PART_BITS);
    }
    let one = b.one();
    let sum = b.arithmetic(unsigned(1 << PART_BITS), F::ONE, hint[0], one, hint[1]);
    b.connect(sum, x);
    [hint[0], hint[1]]
}

/// Whether lots ≥ 1 and M·lots < 2^bits, for M = high·2^21 + low: iff lots < 2^35 (M is above 2^25,
/// or the row fails anyway) and high·lots + ⌊low·lots / 2^21⌋ < 2^(bits − 21), every product below
/// 2^56.
fn fits(b: &mut Builder, [high, low]: [Target; 2], lots: Target, bits: u32) -> BoolTarget {
    let most = b.constant(unsigned(1 << LOT_BITS));
    let small = is_lt(b, lots, most);
    let one = b.one();
    let some = range::is_le(b, one, lots);
    let lots = b.mul(small.target, lots);
    let product = b.mul(low, lots);
    let hint = b.hint("low part", &[product], 2, |v| {
        let x = v[0].to_canonical_u64();
        [x >> PART_BITS, x % (1 << PART_BITS)]
            .map(F::from_canonical_u64)
            .to_vec()
    });
    range::check_bits(b, hint[0], LOT_BITS);
    range::check_bits(b, hint[1], PART_BITS);
    let sum = b.arithmetic(unsigned(1 << PART_BITS), F::ONE, hint[0], one, hint[1]);
    b.connect(sum, product);
    let total = b.mul_add(high, lots, hint[0]);
    let bound = b.constant(unsigned(1 << (bits - PART_BITS)));
    let below = is_lt(b, total, bound);
    all(b, &[small, some, below])
}
