//! Twin of `tally_protocol::ledger::apply`: a posting, each `needs` bit one check, in the order in
//! which they stand here.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::ledger::Facts;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::terms::Aux;

use super::authority::OrderTarget;
use super::needs::NeedsTarget;
use super::open::Opened;
use super::place::restricted;
use super::running::RunningTarget;
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::hint::as_signed;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// A place in a block for one posting.
#[derive(Clone, Debug)]
pub struct UnitTarget {
    pub(super) live: BoolTarget,
    pub(super) posting: PostingTarget,
    pub(super) by_trading_key: BoolTarget,
    pub(super) order: OrderTarget,
    /// Full shapes: the words behind `aux`.
    pub(super) aux: [Target; 8],
}

impl UnitTarget {
    /// Receives the posting: whatever the journal sent, of this epoch and account.
    pub(super) fn new(s: &mut SegmentBuilder, account: Target) -> Self {
        let live = s.add_virtual_bool_target_safe();
        let posting = PostingTarget {
            epoch: s.context.epoch,
            account,
            ..PostingTarget::new_unchecked(s)
        };
        s.receive(BusTag::Posting, &posting.words(), live);
        // A unit without a posting changes nothing.
        let idle = s.not(live);
        for word in [posting.needs, posting.delta_size, posting.delta_cash] {
            let left = s.mul(idle.target, word);
            s.assert_zero(left);
        }
        Self {
            live,
            posting,
            by_trading_key: s.add_virtual_bool_target_safe(),
            order: OrderTarget::new_unchecked(s),
            aux: s.add_virtual_target_arr(),
        }
    }

    /// A unit without a posting.
    pub(super) fn assign_idle(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        witness.set_bool_target(self.live, false)?;
        witness.set_bool_target(self.by_trading_key, false)?;
        witness.set_target_arr(&self.aux, &[F::ZERO; 8])?;
        let words = self.posting.words();
        for (i, word) in words.into_iter().enumerate() {
            // Epoch and account are the block's.
            if i != 1 && i != 2 {
                witness.set_target(word, F::ZERO)?;
            }
        }
        Ok(())
    }

    pub(super) fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        posting: &Posting,
        facts: &Facts,
    ) -> anyhow::Result<()> {
        witness.set_bool_target(self.live, true)?;
        witness.set_bool_target(self.by_trading_key, facts.by_trading_key)?;
        let aux = match facts.aux {
            Aux::Leaf(terms) => terms.words(),
            Aux::Liquidation(terms) => terms.words(),
            Aux::None | Aux::Absorbed(_) => Default::default(),
        };
        witness.set_target_arr(&self.aux, &aux)?;
        self.posting.assign(witness, posting)
    }
}

/// One posting on its way through the checks.
pub(super) struct Step<'a> {
    pub unit: &'a UnitTarget,
    pub opened: &'a Opened,
    pub needs: NeedsTarget,
    /// |Δsize|, and whether Δsize < 0.
    pub lots: Target,
    pub sells: BoolTarget,
    /// The place that the posting changes: one bit set, or none where Δsize is 0.
    pub chosen: Vec<BoolTarget>,
    /// Lots in it before.
    pub size: Target,
    pub orders_root: HashOutTarget,
}

impl<'a> Step<'a> {
    /// Decodes the posting and finds its place.
    pub fn new(
        b: &mut Builder,
        unit: &'a UnitTarget,
        opened: &'a Opened,
        needs: NeedsTarget,
        running: &RunningTarget,
    ) -> Self {
        let delta = unit.posting.delta_size;
        let (sells, lots) = absolute(b, delta);
        let chosen = choose_place(b, opened, &unit.posting);
        let sizes: Vec<Target> = running.places.iter().map(|place| place.size).collect();
        let size = logic::choose(b, &chosen, &sizes);
        Self {
            unit,
            opened,
            needs,
            lots,
            sells,
            chosen,
            size,
            orders_root: running.orders_root,
        }
    }

    /// [L1] A rising index. Cost: 1 lane, 4 operations.
    pub fn follow(&self, b: &mut Builder, running: &mut RunningTarget) {
        let ahead = b.sub(self.unit.posting.index, running.last_index);
        let ahead = b.mul(self.unit.live.target, ahead);
        let beyond = b.sub(ahead, self.unit.live.target);
        range::check_62(b, beyond);
        running.last_index = b.add(running.last_index, ahead);
    }

    /// The slot by [S2] and D7, and what may not grow: [T6], [L3]. That |Δsize| ≤ max_size is the
    /// journal's [N3]. Cost: 1 lane, 8 operations and 6 a place.
    pub fn change_size(&self, b: &mut Builder, running: &mut RunningTarget) {
        self.take_lowest(b, running);
        self.check_growth(b);
        let delta = self.unit.posting.delta_size;
        for (place, chosen) in running.places.iter_mut().zip(&self.chosen) {
            place.size = b.mul_add(chosen.target, delta, place.size);
        }
    }

    /// [S2] An instrument new to the account takes the lowest place that is not taken; one that
    /// FIXED_SLOT gives takes that one.
    fn take_lowest(&self, b: &mut Builder, running: &mut RunningTarget) {
        let zero = b.zero();
        let mut below = zero;
        let mut skipped = zero;
        for (place, chosen) in running.places.iter_mut().zip(&self.chosen) {
            let free = b.not(place.taken);
            let newly = b.and(*chosen, free);
            skipped = b.mul_add(newly.target, below, skipped);
            below = b.add(below, free.target);
            place.taken = BoolTarget::new_unsafe(b.add(place.taken.target, newly.target));
        }
        let fixed = self.needs.has(Needs::FIXED_SLOT);
        let free = b.not(fixed);
        let skipped = b.mul(skipped, free.target);
        b.assert_zero(skipped);
    }

    /// [T6] In a row that is not active every posting reduces, but for takers of a liquidation and
    /// insurance; [L3] so does a reduce-only order's; [Q3] so does a liquidation.
    fn check_growth(&self, b: &mut Builder) {
        let labels: Vec<Target> = self.opened.places.iter().map(|place| place.label).collect();
        let label = logic::choose(b, &self.chosen, &labels);
        let named = b.add_many(self.chosen.iter().map(|bit| bit.target));
        let instrument = b.mul(named, self.unit.posting.instrument);
        let in_row = restricted(b, label, instrument);
        let may_grow = self.needs.has(Needs::MAY_GROW);
        let must_not = b.not(may_grow);
        let in_row = b.and(in_row, must_not);
        let order = self.needs.has(Needs::REDUCE_ONLY);
        let reduces = b.or(in_row, order);
        let reduces = b.or(reduces, self.needs.has(Needs::LIQUIDATE));
        // Selling must end at or above 0, buying at or below: then 0 lies on the other side of it.
        let after = b.add(self.size, self.unit.posting.delta_size);
        let one = b.one();
        let sign = b.arithmetic(F::TWO, F::NEG_ONE, self.sells.target, one, one);
        let masked = b.mul(reduces.target, sign);
        let left = b.mul(masked, after);
        range::check_62(b, left);
    }

    /// [N3] The journal bounds |Δcash|; the block's end checks the sum [N4].
    pub fn change_cash(&self, b: &mut Builder, running: &mut RunningTarget) {
        running.cash = b.add(running.cash, self.unit.posting.delta_cash);
    }

    /// What the close has to know.
    pub fn record(&self, b: &mut Builder, running: &mut RunningTarget) {
        running.outflow = b.or(running.outflow, self.needs.has(Needs::OUTFLOW));
        let cancels = self.needs.has(Needs::CANCEL_ALL);
        let bumps = b.or(cancels, self.needs.has(Needs::SET_KEYS));
        running.generation = b.add(running.generation, bumps.target);
    }
}

/// (x < 0, |x|) for |x| < 2^62; the bit is free at 0. Cost: 1 lane, 3 operations.
pub(super) fn absolute(b: &mut Builder, x: Target) -> (BoolTarget, Target) {
    let negative = b.hint_one("sells", &[x], |v| F::from_bool(as_signed(v[0]) < 0));
    let negative = BoolTarget::new_unsafe(negative);
    b.assert_bool(negative);
    let absolute = b.arithmetic(-F::TWO, F::ONE, negative.target, x, x);
    range::check_62(b, absolute);
    (negative, absolute)
}

/// One bit for the place whose row is the posting's, none where Δsize is 0. That the row is the
/// posting's is held with its label. Cost: 3 operations and 2 a place.
fn choose_place(b: &mut Builder, opened: &Opened, posting: &PostingTarget) -> Vec<BoolTarget> {
    let still = logic::is_zero(b, posting.delta_size);
    let moves = b.not(still);
    let mut inputs = vec![moves.target, posting.instrument];
    inputs.extend(opened.places.iter().map(|place| place.row.id));
    let count = opened.places.len();
    let bits = b.hint("place", &inputs, count, |v| {
        let named = v[2..].iter().position(|id| *id == v[1]);
        let named = named.filter(|_| v[0] == F::ONE);
        (0..v.len() - 2)
            .map(|i| F::from_bool(named == Some(i)))
            .collect()
    });
    let bits: Vec<_> = bits.into_iter().map(BoolTarget::new_unsafe).collect();
    for &bit in &bits {
        b.assert_bool(bit);
    }
    let sum = b.add_many(bits.iter().map(|bit| bit.target));
    b.connect(sum, moves.target);
    bits
}
