//! The order tree in an account's leaf \[S4\]: 64 slots of (sequence, order hash, filled).
//!
//! An order names a slot and a sequence. Equal sequence needs the same hash, so a resting order's
//! signature is checked once, when it enters its slot; a higher sequence replaces the slot; a
//! lower one is refused. So the state is bounded, an old order never fills again, and a cancel is
//! a higher sequence with nothing to fill.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{ORDER_DEPTH, SIZE_BITS};
use crate::forest::{self, Change, Path};
use crate::hash::{Digest, EMPTY, F, Tag, hash, hash_each, unsigned};
use crate::tree::{SparseTree, TreeError, empty_root};

/// What is left of an order. Empty if and only if all is zero; an order's sequence is at least 1,
/// since nothing hashes to the empty slot's hash 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSlot {
    pub sequence: u32,
    #[serde(with = "crate::wire")]
    pub hash: Digest,
    /// Lots filled so far.
    pub filled: u64,
}

impl OrderSlot {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn digest(&self) -> Digest {
        if self.is_empty() {
            return EMPTY;
        }
        hash(Tag::OrderSlot, &self.words())
    }

    fn words(&self) -> [F; 6] {
        let h = self.hash.elements;
        [
            unsigned(self.sequence.into()),
            h[0],
            h[1],
            h[2],
            h[3],
            unsigned(self.filled),
        ]
    }
}

/// What a posting claims of an order slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderClaim {
    pub place: u32,
    pub sequence: u32,
    pub hash: Digest,
    /// The order's size in lots.
    pub size: u64,
    /// Lots that this posting fills.
    pub lots: u64,
    /// A higher sequence carries `filled` over.
    pub amend: bool,
}

/// The slot after a claim, and whether the order is new to it: then its signature is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderStep {
    pub before: OrderSlot,
    pub after: OrderSlot,
    pub is_new: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    #[error("[S4] order slot {place} is outside of the order tree")]
    Place { place: u32 },
    #[error("[S4] sequence {sequence} is below slot {place}'s {held}")]
    Old {
        place: u32,
        sequence: u32,
        held: u32,
    },
    #[error("[S4] slot {place} holds another order of sequence {sequence}")]
    Other { place: u32, sequence: u32 },
    #[error("[L3] {lots} lots on top of {filled} are beyond the order's {size}")]
    Filled { lots: u64, filled: u64, size: u64 },
}

impl OrderError {
    pub fn code(&self) -> &'static str {
        match self {
            OrderError::Place { .. } => "S4.place",
            OrderError::Old { .. } => "S4.old",
            OrderError::Other { .. } => "S4.other",
            OrderError::Filled { .. } => "L3.filled",
        }
    }
}

impl OrderSlot {
    /// \[S4\], \[L3\] The slot after a claim on it.
    pub fn step(&self, claim: &OrderClaim) -> Result<OrderStep, OrderError> {
        let (place, sequence) = (claim.place, claim.sequence);
        if place >> ORDER_DEPTH != 0 {
            return Err(OrderError::Place { place });
        }
        if sequence < self.sequence {
            let held = self.sequence;
            return Err(OrderError::Old {
                place,
                sequence,
                held,
            });
        }
        let is_new = sequence > self.sequence;
        if !is_new && claim.hash != self.hash {
            return Err(OrderError::Other { place, sequence });
        }
        let carried = if is_new && !claim.amend {
            0
        } else {
            self.filled
        };
        let filled = fill(carried, claim.lots, claim.size)?;
        let after = OrderSlot {
            sequence,
            hash: claim.hash,
            filled,
        };
        Ok(OrderStep {
            before: *self,
            after,
            is_new,
        })
    }
}

/// \[L3\] No order beyond its size, which has 48 bits.
pub fn fill(filled: u64, lots: u64, size: u64) -> Result<u64, OrderError> {
    filled
        .checked_add(lots)
        .filter(|sum| *sum <= size && *sum < 1 << SIZE_BITS)
        .ok_or(OrderError::Filled { lots, filled, size })
}

/// All slots of an account with their tree.
#[derive(Clone, Debug)]
pub struct OrderTree {
    slots: BTreeMap<u32, OrderSlot>,
    tree: SparseTree,
    /// Slots that changed since they were hashed.
    stale: BTreeSet<u32>,
}

impl Default for OrderTree {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            tree: SparseTree::new(ORDER_DEPTH),
            stale: BTreeSet::new(),
        }
    }
}

impl OrderTree {
    /// Where slots are not hashed yet, it hashes them for this answer alone.
    pub fn root(&self) -> Digest {
        self.hashed(|tree| tree.root())
    }

    pub fn slot(&self, place: u32) -> OrderSlot {
        self.slots.get(&place).copied().unwrap_or_default()
    }

    /// Siblings from the slot upwards.
    pub fn path(&self, place: u32) -> Vec<Digest> {
        self.hashed(|tree| tree.path(place))
    }

    fn hashed<T>(&self, read: impl Fn(&SparseTree) -> T) -> T {
        if self.stale.is_empty() {
            return read(&self.tree);
        }
        let mut hashed = self.clone();
        // A slot beyond the tree is refused before it is set [S4].
        let _ = rehash([&mut hashed]);
        read(&hashed.tree)
    }

    /// Changes a slot without hashing it.
    pub(crate) fn set_unhashed(&mut self, place: u32, slot: OrderSlot) {
        self.slots.insert(place, slot);
        self.stale.insert(place);
    }

    pub fn set(&mut self, place: u32, slot: OrderSlot) -> Result<(), TreeError> {
        self.tree.set(place, slot.digest())?;
        self.stale.remove(&place);
        self.slots.insert(place, slot);
        Ok(())
    }

    /// From slots as `slots` lists them, a tree for each list; each node is hashed once.
    pub fn each_from_slots(
        lists: impl IntoIterator<Item = impl IntoIterator<Item = (u32, OrderSlot)>>,
    ) -> Result<Vec<Self>, TreeError> {
        let mut trees = Vec::new();
        for slots in lists {
            let mut orders = Self::default();
            for (place, slot) in slots {
                orders.set_unhashed(place, slot);
            }
            trees.push(orders);
        }
        rehash(&mut trees)?;
        Ok(trees)
    }

    /// Slots that were ever used, by rising place.
    pub fn slots(&self) -> impl Iterator<Item = (u32, OrderSlot)> {
        self.slots.iter().map(|(place, slot)| (*place, *slot))
    }
}

/// Hashes what `set_unhashed` left in any of the trees.
pub(crate) fn rehash<'t>(
    trees: impl IntoIterator<Item = &'t mut OrderTree>,
) -> Result<(), TreeError> {
    let mut changes = Vec::new();
    let mut slots = Vec::new();
    for orders in trees {
        let stale = core::mem::take(&mut orders.stale);
        slots.extend(stale.iter().map(|place| orders.slot(*place)));
        let leaves = stale.into_iter().map(|place| (place, EMPTY)).collect();
        let tree = &mut orders.tree;
        changes.push(Change { tree, leaves });
    }
    fill_in(&mut changes, &slots);
    forest::set_many(changes)
}

/// Changes slots of several trees, each tree's in turn, and gives the path of each as it then is.
pub(crate) fn set_in_turn<'t>(
    trees: impl IntoIterator<Item = (&'t mut OrderTree, Vec<(u32, OrderSlot)>)>,
) -> Result<Vec<Vec<Path>>, TreeError> {
    let mut changes = Vec::new();
    let mut all = Vec::new();
    for (orders, slots) in trees {
        for (place, slot) in &slots {
            orders.stale.remove(place);
            orders.slots.insert(*place, *slot);
        }
        all.extend(slots.iter().map(|(_, slot)| *slot));
        let leaves = slots.into_iter().map(|(place, _)| (place, EMPTY)).collect();
        let tree = &mut orders.tree;
        changes.push(Change { tree, leaves });
    }
    fill_in(&mut changes, &all);
    forest::set_in_turn(changes)
}

/// Gives the changes' leaves the slots' digests.
fn fill_in(changes: &mut [Change<'_>], slots: &[OrderSlot]) {
    let words: Vec<_> = slots.iter().map(OrderSlot::words).collect();
    let digests = hash_each(Tag::OrderSlot, &words);
    let leaves = changes.iter_mut().flat_map(|change| &mut change.leaves);
    for (((_, leaf), slot), digest) in leaves.zip(slots).zip(digests) {
        *leaf = if slot.is_empty() { EMPTY } else { digest };
    }
}

/// `orders_root` of the default leaf \[S3\].
pub fn empty_orders() -> Digest {
    empty_root(ORDER_DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::verify;

    fn claim(sequence: u32, hash: u64, lots: u64) -> OrderClaim {
        let elements = [unsigned(hash); 4];
        OrderClaim {
            place: 3,
            sequence,
            hash: Digest { elements },
            size: 10,
            lots,
            amend: false,
        }
    }

    fn code(slot: OrderSlot, claim: OrderClaim) -> &'static str {
        slot.step(&claim).unwrap_err().code()
    }

    #[test]
    fn s4_a_new_order_asks_for_its_signature_once() {
        let first = OrderSlot::default().step(&claim(1, 7, 4)).unwrap();
        assert!(first.is_new);
        let second = first.after.step(&claim(1, 7, 6)).unwrap();
        assert!(!second.is_new);
        assert_eq!(second.after.filled, 10);
    }

    #[test]
    fn s4_an_old_sequence_or_another_order_is_refused() {
        let held = OrderSlot::default().step(&claim(5, 7, 4)).unwrap().after;
        assert_eq!(code(held, claim(4, 7, 1)), "S4.old");
        assert_eq!(code(held, claim(5, 8, 1)), "S4.other");
        // An empty slot has sequence 0 and hash 0: no order matches it.
        assert_eq!(code(OrderSlot::default(), claim(0, 7, 1)), "S4.other");
        let outside = OrderClaim {
            place: 64,
            ..claim(6, 7, 1)
        };
        assert_eq!(code(held, outside), "S4.place");
    }

    #[test]
    fn s4_a_higher_sequence_starts_anew_or_amends() {
        let held = OrderSlot::default().step(&claim(1, 7, 8)).unwrap().after;
        let anew = held.step(&claim(2, 9, 8)).unwrap();
        assert_eq!((anew.after.filled, anew.is_new), (8, true));
        let amend = OrderClaim {
            amend: true,
            ..claim(2, 9, 2)
        };
        assert_eq!(held.step(&amend).unwrap().after.filled, 10);
        assert_eq!(code(held, OrderClaim { lots: 3, ..amend }), "L3.filled");
    }

    #[test]
    fn l3_no_order_is_filled_beyond_its_size() {
        assert_eq!(code(OrderSlot::default(), claim(1, 7, 11)), "L3.filled");
        let huge = OrderClaim {
            lots: u64::MAX,
            size: u64::MAX,
            ..claim(1, 7, 0)
        };
        assert_eq!(code(OrderSlot::default(), huge), "L3.filled");
        let held = OrderSlot::default().step(&claim(1, 7, 10)).unwrap().after;
        assert_eq!(code(held, claim(1, 7, 1)), "L3.filled");
    }

    #[test]
    fn s4_the_tree_opens_each_slot() {
        let mut orders = OrderTree::default();
        assert_eq!(orders.root(), empty_orders());
        let slot = OrderSlot::default().step(&claim(1, 7, 4)).unwrap().after;
        orders.set(3, slot).unwrap();
        assert!(verify(orders.root(), 3, slot.digest(), &orders.path(3)));
        assert_eq!(orders.slot(4).digest(), EMPTY);
        assert!(verify(orders.root(), 4, EMPTY, &orders.path(4)));
        let lists = [vec![], orders.slots().collect()];
        let again = OrderTree::each_from_slots(lists).unwrap();
        assert_eq!(again[0].root(), empty_orders());
        assert_eq!(again[1].root(), orders.root());
        assert_eq!(again[1].slot(3), slot);
        let outside = OrderTree::each_from_slots([[(64, slot)]]).unwrap_err();
        assert_eq!(outside.code(), "S2.index");
    }
}
