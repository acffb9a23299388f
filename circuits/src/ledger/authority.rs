//! Twin of `tally_protocol::ledger::authority`: order slots, nonces, generations, keys and the
//! signatures to ask for [S4], [L3].

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::ORDER_DEPTH;
use tally_protocol::hash::{Digest, Tag, unsigned};
use tally_protocol::orders::OrderSlot;
use tally_protocol::posting::Needs;

use super::apply::Step;
use super::running::{RunningTarget, TakerTarget};
use crate::bus::BusTag;
use crate::gadgets::merkle::PathTarget;
use crate::gadgets::{logic, range};
use crate::hash::hash;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// The order slot that a posting opens, before it.
#[derive(Clone, Debug)]
pub(super) struct OrderTarget {
    pub sequence: Target,
    pub hash: HashOutTarget,
    pub filled: Target,
    /// The slot, if the posting names one, else 0.
    pub place: Target,
    pub path: PathTarget,
}

impl OrderTarget {
    pub fn new_unchecked(b: &mut Builder) -> Self {
        let place = b.add_virtual_target();
        Self {
            sequence: b.add_virtual_target(),
            hash: b.add_virtual_hash(),
            filled: b.add_virtual_target(),
            place,
            path: PathTarget::new(b, place, ORDER_DEPTH),
        }
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        slot: &OrderSlot,
        path: &[Digest],
    ) -> anyhow::Result<()> {
        witness.set_target(self.sequence, unsigned(slot.sequence.into()))?;
        witness.set_hash_target(self.hash, slot.hash)?;
        witness.set_target(self.filled, unsigned(slot.filled))?;
        anyhow::ensure!(path.len() == ORDER_DEPTH, "an order's path");
        for (target, sibling) in self.path.siblings.iter().zip(path) {
            witness.set_hash_target(*target, *sibling)?;
        }
        Ok(())
    }

    /// Where the posting names no slot.
    pub fn assign_idle(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        let path = vec![Digest::default(); ORDER_DEPTH];
        self.assign(witness, &OrderSlot::default(), &path)
    }

    /// The slot's digest, 0 if it is empty [S4]. Returns whether it is taken.
    fn leaf(&self, b: &mut Builder) -> (BoolTarget, HashOutTarget) {
        let taken = b.hint_one("order slot taken", &[self.sequence], |v| {
            F::from_bool(v[0] != F::ZERO)
        });
        let taken = BoolTarget::new_unsafe(taken);
        b.assert_bool(taken);
        // An empty slot has sequence 0 and nothing filled.
        let empty = b.not(taken);
        for word in [self.sequence, self.filled] {
            let left = b.mul(empty.target, word);
            b.assert_zero(left);
        }
        let leaf = order_digest(b, self.sequence, self.hash, self.filled);
        let elements = leaf.elements.map(|x| b.mul(taken.target, x));
        (taken, HashOutTarget { elements })
    }
}

fn order_digest(
    b: &mut Builder,
    sequence: Target,
    digest: HashOutTarget,
    filled: Target,
) -> HashOutTarget {
    let words = [&[sequence], digest.elements.as_slice(), &[filled]];
    hash(b, Tag::OrderSlot, &words.concat())
}

/// What an order or message claims, and what came of it.
struct Claim {
    by_slot: BoolTarget,
    nonce: BoolTarget,
    /// Both ORDER and NONCE.
    taker: BoolTarget,
}

impl Step<'_> {
    /// Twin of `Running::authorise`. Cost: 14 rows of the order tree, 2 lanes, 90 operations, and a
    /// signature request.
    pub(super) fn authorise(&self, s: &mut SegmentBuilder, running: &mut RunningTarget) {
        let b: &mut Builder = s;
        let (order, nonce) = (self.needs.has(Needs::ORDER), self.needs.has(Needs::NONCE));
        let taker = b.and(order, nonce);
        let by_slot = BoolTarget::new_unsafe(b.sub(order.target, taker.target));
        let claims = b.add(by_slot.target, nonce.target);
        let (named, held) = (self.unit.posting.generation, running.generation);
        b.conditional_assert_eq(claims, named, held);
        let claim = Claim {
            by_slot,
            nonce,
            taker,
        };
        let (new_order, carried) = self.open_order(b, &claim);
        let (new_message, continued) = self.use_nonce(b, &claim, running);
        let before = b.mul_add(continued.target, running.taker.filled, carried);
        let filled = b.add(before, self.lots);
        // [L3] No order beyond its size.
        let left = b.sub(self.unit.posting.order_size, filled);
        let left = b.mul(order.target, left);
        range::check_62(b, left);
        self.close_order(b, &claim, filled, running);
        running.taker = TakerTarget {
            open: claim.taker,
            digest: self.unit.posting.digest,
            filled,
        };
        let is_new = b.add(new_order.target, new_message);
        self.request(s, BoolTarget::new_unsafe(is_new), running);
    }

    /// [S4] By slot and sequence: whether the order is new to its slot, and the lots that it has
    /// filled before.
    fn open_order(&self, b: &mut Builder, claim: &Claim) -> (BoolTarget, Target) {
        let (posting, slot) = (&self.unit.posting, &self.unit.order);
        let place = b.mul(claim.by_slot.target, posting.place);
        b.connect(place, slot.place);
        let ahead = b.sub(posting.sequence, slot.sequence);
        let ahead = b.mul(claim.by_slot.target, ahead);
        let is_new = b.hint_one("order is new", &[ahead], |v| F::from_bool(v[0] != F::ZERO));
        let is_new = BoolTarget::new_unsafe(is_new);
        b.assert_bool(is_new);
        // New: at least 1 ahead. Not new: level.
        let beyond = b.sub(ahead, is_new.target);
        range::check_32(b, beyond);
        let same = BoolTarget::new_unsafe(b.sub(claim.by_slot.target, is_new.target));
        let behind = b.mul(same.target, ahead);
        b.assert_zero(behind);
        let (taken, leaf) = slot.leaf(b);
        logic::assert_implies(b, same, taken);
        let (named, held) = (posting.digest.elements, slot.hash.elements);
        logic::assert_digests_equal_if(b, same, &named, &held);
        let root = slot.path.root(b, leaf);
        let held = self.orders_root.elements;
        logic::assert_digests_equal_if(b, claim.by_slot, &root.elements, &held);
        let amends = self.needs.has(Needs::AMEND);
        let carries = b.mul_add(is_new.target, amends.target, same.target);
        (is_new, b.mul(carries, slot.filled))
    }

    fn close_order(
        &self,
        b: &mut Builder,
        claim: &Claim,
        filled: Target,
        running: &mut RunningTarget,
    ) {
        let posting = &self.unit.posting;
        let leaf = order_digest(b, posting.sequence, posting.digest, filled);
        let root = self.unit.order.path.root(b, leaf);
        let kept = running.orders_root.elements;
        let next = logic::select_all(b, claim.by_slot, &root.elements, &kept);
        running.orders_root.elements.copy_from_slice(&next);
    }

    /// [S4] By nonce: consumed once, then shared by an order's next postings. Whether the message
    /// is new, and whether it continues the one before.
    fn use_nonce(
        &self,
        b: &mut Builder,
        claim: &Claim,
        running: &mut RunningTarget,
    ) -> (Target, BoolTarget) {
        let posting = &self.unit.posting;
        let inputs = [claim.taker.target, running.nonce, posting.place];
        let continued = b.hint_one("nonce continued", &inputs, |v| {
            F::from_bool(v[0] == F::ONE && v[2] + F::ONE == v[1])
        });
        let continued = BoolTarget::new_unsafe(continued);
        b.assert_bool(continued);
        let open = b.and(claim.taker, running.taker.open);
        logic::assert_implies(b, continued, open);
        let held = running.taker.digest.elements;
        logic::assert_digests_equal_if(b, continued, &posting.digest.elements, &held);
        // New: the account's nonce. Continued: the one just used.
        let named = b.add(posting.place, continued.target);
        b.conditional_assert_eq(claim.nonce.target, named, running.nonce);
        let is_new = b.sub(claim.nonce.target, continued.target);
        running.nonce = b.add(running.nonce, is_new);
        (is_new, continued)
    }

    /// [S2] The account's own key, or for orders and cancels the trading key; zeros sign nothing.
    fn request(&self, s: &mut SegmentBuilder, is_new: BoolTarget, running: &RunningTarget) {
        let by_trading = self.unit.by_trading_key;
        let b: &mut Builder = s;
        let may = self.needs.has(Needs::TRADING_KEY);
        logic::assert_implies(b, by_trading, may);
        let keys = &running.leaf.keys;
        let key = logic::select_all(b, by_trading, &keys.trading_key, &keys.key);
        assert_nonzero_if(b, is_new, &key);
        let epoch = s.context.epoch;
        let words = [&[epoch], key.as_slice(), &self.unit.posting.digest.elements];
        s.send(BusTag::Signature, &words.concat(), is_new);
    }
}

/// If the bit is set, not all of the words are 0. Cost: 7 operations for 5 words.
pub(super) fn assert_nonzero_if(b: &mut Builder, condition: BoolTarget, words: &[Target]) {
    let inverses = b.hint("nonzero", words, words.len(), |v| {
        let mut inverses = vec![F::ZERO; v.len()];
        if let Some(i) = v.iter().position(|x| *x != F::ZERO) {
            inverses[i] = v[i].inverse();
        }
        inverses
    });
    // Zeros sum to 0 under any hint.
    let sum = logic::dot(b, words.iter().copied().zip(inverses));
    let one = b.one();
    b.conditional_assert_eq(condition.target, sum, one);
}
