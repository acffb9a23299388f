//! L1 items about keys, orders and flags that end done \[J4\]: twins of the functions `requested`
//! in `tally_protocol::journal::{key_change, cancel_all, flag}`.
//!
//! Statement: the item's posting asks what the item asks, in its sender's name (a flag in
//! nobody's), and is its account's only one.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::queue::{Item, Request};
use tally_protocol::types::AccountId;

use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::terms::{digest_if, needs, weigh};
use crate::F;
use crate::bus::BusTag;
use crate::hash::hash;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;

/// An item of one of three kinds.
#[derive(Clone, Debug)]
pub struct RequestedTarget {
    pub item: ItemTarget,
    pub key_change: BoolTarget,
    pub cancel_all: BoolTarget,
    pub flag: BoolTarget,
}

impl RequestedTarget {
    /// Guarantees that exactly one of the three bits is set.
    fn new(s: &mut SegmentBuilder) -> Self {
        let keys = s.add_virtual_target_arr();
        let item = ItemTarget {
            keys,
            ..ItemTarget::new(s)
        };
        let [key_change, cancel_all, flag] = [(); 3].map(|()| s.add_virtual_bool_target_safe());
        let sum = s.add_many([key_change, cancel_all, flag].map(|bit| bit.target));
        s.assert_one(sum);
        Self {
            item,
            key_change,
            cancel_all,
            flag,
        }
    }

    /// What stands for each kind, by its bit.
    fn chosen(&self, s: &mut SegmentBuilder, numbers: [u64; 3]) -> Target {
        let zero = s.zero();
        let bits = [self.key_change, self.cancel_all, self.flag];
        let one = s.one();
        bits.into_iter().zip(numbers).fold(zero, |sum, (bit, n)| {
            s.arithmetic(unsigned(n), F::ONE, bit.target, one, sum)
        })
    }
}

impl Unit for RequestedTarget {
    type Value = Item;

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        let item = &unit.item;
        let kinds = [
            PostingKind::KeyChange,
            PostingKind::CancelAll,
            PostingKind::Flag,
        ];
        let kind = unit.chosen(s, kinds.map(|kind| kind as u64));
        let fixed = needs(s, Needs::SOLE | Needs::WHILE_FLAGGED);
        let fixed = weigh(s, fixed, unit.key_change, Needs::OWNER | Needs::SET_KEYS);
        let fixed = weigh(s, fixed, unit.cancel_all, Needs::OWNER | Needs::CANCEL_ALL);
        let keys = hash(s, Tag::Keys, &item.keys);
        let terms = LeafTermsTarget {
            owner: item.sender,
            keys: digest_if(s, unit.key_change, keys),
            kind: s.zero(),
        };
        let aux = terms.digest(s);
        let named = s.not(unit.flag);
        let posting = PostingTarget {
            kind,
            needs: weigh(s, fixed, unit.flag, Needs::FLAG),
            aux: digest_if(s, named, aux),
            ..PostingTarget::blank(s, PostingKind::Flag, item.account, first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        let number = unit.chosen(s, [3, 4, 5]);
        let done = s.zero();
        item.record(s, number, done, live);
        unit
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Item) -> anyhow::Result<()> {
        self.item.assign(witness, value)?;
        let number = value.request.number();
        for (bit, kind) in [(self.key_change, 3), (self.cancel_all, 4), (self.flag, 5)] {
            witness.set_bool_target(bit, number == kind)?;
        }
        Ok(())
    }

    fn idle() -> Item {
        let account = AccountId(0);
        let request = Request::Flag { account };
        Item { index: 0, request }
    }
}
