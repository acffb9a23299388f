//! A listing or parameter change that L1 asks for \[T7\], \[J4\].
//!
//! Statement: the item's words are a change's. If it ends done, the header takes in the change's
//! digest for the row that its id names; if it is refused, the header shows that it has no place
//! for this row. Whether the change is sound when due is the row's.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{INSTRUMENT_BITS, TABLE_DEPTH};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::journal::refusal::Fault;
use tally_protocol::listing::{CHANGE_WORDS, Change};
use tally_protocol::queue::{ITEM_WORDS, Item, Reason, Request};

use super::item::send_record;
use super::list::{Shared, Unit};
use super::terms::number_of;
use crate::F;
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::hash::hash;
use crate::segment::SegmentBuilder;

/// A change's item: its place and its words.
#[derive(Clone, Debug)]
pub struct ChangeTarget {
    pub index: Target,
    pub words: [Target; CHANGE_WORDS],
    pub refused: BoolTarget,
}

impl Unit for ChangeTarget {
    /// An item whose request is a change, and whether it is refused.
    type Value = (Item, bool);

    fn build(s: &mut SegmentBuilder, _: &Shared, _: Target, live: BoolTarget) -> Self {
        let words: [Target; CHANGE_WORDS] = s.add_virtual_target_arr();
        let digest = hash(s, Tag::Change, &words).elements;
        let zero = s.zero();
        let index = s.add_virtual_target();
        let mut item = [zero; ITEM_WORDS];
        item[0] = s.constant(unsigned(8));
        item[1..=CHANGE_WORDS].copy_from_slice(&words);
        let refused = s.add_virtual_bool_target_safe();
        let pending = Reason::Terms(Fault::Pending).outcome();
        let outcome = s.mul_const(unsigned(pending.into()), refused.target);
        send_record(s, index, &item, outcome, live);
        // Twin of `row_of`: the low bits of the id, which is the first word.
        let bits = logic::to_bits(s, words[0], INSTRUMENT_BITS as usize);
        let row = number_of(s, &bits[..TABLE_DEPTH]);
        let [d0, d1, d2, d3] = digest;
        let turned_away = s.and(live, refused);
        let done = s.sub(live.target, turned_away.target);
        let done = BoolTarget::new_unsafe(done);
        s.send(BusTag::Admit, &[row, d0, d1, d2, d3], done);
        s.send(BusTag::NoPlace, &[row], turned_away);
        Self {
            index,
            words,
            refused,
        }
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, refused): &Self::Value,
    ) -> anyhow::Result<()> {
        if let Request::Change(change) = &item.request {
            witness.set_target_arr(&self.words, &change.words())?;
        }
        witness.set_bool_target(self.refused, *refused)?;
        witness.set_target(self.index, unsigned(item.index))
    }

    fn idle() -> Self::Value {
        let request = Request::Change(Box::new(Change::default()));
        (Item { index: 0, request }, false)
    }
}
