//! A listing or parameter change that L1 asks for and that ends done \[T7\], \[J4\].
//!
//! Statement: the item's words are a change's, and the header takes in the change's digest for the
//! row that its id names. Whether the header has room, and whether the change is sound
//! when due, is the header's and the row's.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{INSTRUMENT_BITS, TABLE_DEPTH};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::listing::{CHANGE_WORDS, Change};
use tally_protocol::queue::{ITEM_WORDS, Item, Request};

use super::item::send_record;
use super::list::{Shared, Unit};
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
}

impl Unit for ChangeTarget {
    /// An item whose request is a change.
    type Value = Item;

    fn build(s: &mut SegmentBuilder, _: &Shared, _: Target, live: BoolTarget) -> Self {
        let words: [Target; CHANGE_WORDS] = s.add_virtual_target_arr();
        let digest = hash(s, Tag::Change, &words).elements;
        let zero = s.zero();
        let index = s.add_virtual_target();
        let mut item = [zero; ITEM_WORDS];
        item[0] = s.constant(unsigned(8));
        item[1..=CHANGE_WORDS].copy_from_slice(&words);
        send_record(s, index, &item, zero, live);
        // Twin of `row_of`: the low bits of the id, which is the first word.
        let bits = logic::to_bits(s, words[0], INSTRUMENT_BITS as usize);
        let one = s.one();
        let row = bits[..TABLE_DEPTH].iter().rev();
        let row = row.fold(zero, |sum, bit| {
            s.arithmetic(F::TWO, F::ONE, sum, one, bit.target)
        });
        let [d0, d1, d2, d3] = digest;
        s.send(BusTag::Admit, &[row, d0, d1, d2, d3], live);
        Self { index, words }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Item) -> anyhow::Result<()> {
        if let Request::Change(change) = &value.request {
            witness.set_target_arr(&self.words, &change.words())?;
        }
        witness.set_target(self.index, unsigned(value.index))
    }

    fn idle() -> Item {
        let request = Request::Change(Box::new(Change::default()));
        Item { index: 0, request }
    }
}
