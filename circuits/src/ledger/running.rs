//! Twin of `tally_protocol::ledger::Running`: an account within its epoch, and how it is handed
//! from block to block and from segment to segment [L1].

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};

use super::leaf::KeysTarget;
use crate::Builder;
use crate::gadgets::logic;

/// Twin of `Taker`: the order by nonce that the next posting may continue [S4].
#[derive(Clone, Copy, Debug)]
pub(super) struct TakerTarget {
    pub open: BoolTarget,
    pub digest: HashOutTarget,
    pub filled: Target,
}

/// What postings change of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningPlace {
    pub size: Target,
    /// Taken: held before the epoch, or by an instrument new in it.
    pub taken: BoolTarget,
    /// Full shapes: `Place::base`, and `Place::charge` with whether there is one.
    pub base: Target,
    pub charge: Target,
    pub charged: BoolTarget,
}

/// What only full shapes change.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningLeaf {
    pub exists: BoolTarget,
    pub created: BoolTarget,
    pub isolated: BoolTarget,
    pub owner: [Target; 3],
    pub keys: KeysTarget,
    pub flagged_at: Target,
    pub unpermitted: BoolTarget,
    pub ordinary: BoolTarget,
    pub liquidated: BoolTarget,
    pub charged: Target,
}

/// Twin of `Running`.
#[derive(Clone, Debug)]
pub(super) struct RunningTarget {
    pub cash: Target,
    pub orders_root: HashOutTarget,
    pub nonce: Target,
    pub generation: Target,
    /// −1 before the first posting.
    pub last_index: Target,
    pub outflow: BoolTarget,
    pub taker: TakerTarget,
    pub places: Vec<RunningPlace>,
    pub leaf: RunningLeaf,
}

impl RunningTarget {
    /// Everything that a later block cannot find in the leaf, in the order of the handoff.
    pub fn words(&self, full: bool) -> Vec<Target> {
        let taker = &self.taker;
        let mut words = vec![self.cash, self.nonce, self.generation, self.last_index];
        words.extend(self.orders_root.elements);
        words.extend([self.outflow.target, taker.open.target, taker.filled]);
        words.extend(taker.digest.elements);
        for place in &self.places {
            words.extend([place.size, place.taken.target]);
        }
        if full {
            let leaf = &self.leaf;
            for place in &self.places {
                words.extend([place.base, place.charge, place.charged.target]);
            }
            let bits = [
                leaf.exists,
                leaf.created,
                leaf.isolated,
                leaf.unpermitted,
                leaf.ordinary,
                leaf.liquidated,
            ];
            words.extend(bits.map(|bit| bit.target));
            words.extend([leaf.flagged_at, leaf.charged]);
            words.extend(leaf.owner);
            words.extend(leaf.keys.words());
        }
        words
    }

    /// Length of `words`.
    pub fn count(slots: usize, full: bool) -> usize {
        15 + 2 * slots + if full { 3 * slots + 21 } else { 0 }
    }

    /// With a taker of all zeros where none is open: one encoding of one state.
    pub fn closed_taker(&self, b: &mut Builder) -> Self {
        let mut running = self.clone();
        let TakerTarget {
            open,
            digest,
            filled,
        } = &mut running.taker;
        *filled = b.mul(open.target, *filled);
        for word in &mut digest.elements {
            *word = b.mul(open.target, *word);
        }
        running
    }

    /// The same with other words, in the order of `words`.
    fn with_words(&self, full: bool, words: &[Target]) -> Self {
        let mut next = words.iter().copied();
        let mut word = || next.next().expect("as many words as `words` gives");
        let mut running = self.clone();
        running.cash = word();
        running.nonce = word();
        running.generation = word();
        running.last_index = word();
        running.orders_root.elements.fill_with(&mut word);
        running.outflow = BoolTarget::new_unsafe(word());
        running.taker.open = BoolTarget::new_unsafe(word());
        running.taker.filled = word();
        running.taker.digest.elements.fill_with(&mut word);
        for place in &mut running.places {
            place.size = word();
            place.taken = BoolTarget::new_unsafe(word());
        }
        if full {
            for place in &mut running.places {
                place.base = word();
                place.charge = word();
                place.charged = BoolTarget::new_unsafe(word());
            }
            let leaf = &mut running.leaf;
            for bit in [
                &mut leaf.exists,
                &mut leaf.created,
                &mut leaf.isolated,
                &mut leaf.unpermitted,
                &mut leaf.ordinary,
                &mut leaf.liquidated,
            ] {
                *bit = BoolTarget::new_unsafe(word());
            }
            leaf.flagged_at = word();
            leaf.charged = word();
            leaf.owner.fill_with(&mut word);
            leaf.keys = KeysTarget::from_words(core::array::from_fn(|_| word()));
        }
        running
    }

    /// `handed` if `continued`, else this one. Cost: 2 operations a word.
    pub fn continue_if(
        &self,
        b: &mut Builder,
        full: bool,
        continued: BoolTarget,
        handed: &[Target],
    ) -> Self {
        let words = logic::select_all(b, continued, handed, &self.words(full));
        self.with_words(full, &words)
    }
}
