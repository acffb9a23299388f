//! L1 queue items \[J4\]: their digests, and the record of their outcome. Twin of `queue::Request`.
//!
//! A record's index and digest go to the data segment, which publishes the words behind the digest;
//! the contract compares them with its own queue. An item that L1 does not hold finds no partner.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::queue::{ITEM_WORDS, Item};

use super::DATA_WITHDRAWALS;
use crate::bus::BusTag;
use crate::hash::hash;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Twin of `Item`: its place in the queue and the fields of its request.
#[derive(Clone, Debug)]
pub struct ItemTarget {
    pub index: Target,
    pub account: Target,
    pub taker: Target,
    pub sender: [Target; 3],
    pub instrument: Target,
    pub amount: Target,
    pub limit: Target,
    pub flags: Target,
    pub keys: [Target; 10],
}

impl ItemTarget {
    /// An item about an account, of zeros but for sender and account.
    pub fn new(b: &mut Builder) -> Self {
        let zero = b.zero();
        Self {
            index: b.add_virtual_target(),
            account: b.add_virtual_target(),
            taker: zero,
            sender: b.add_virtual_target_arr(),
            instrument: zero,
            amount: zero,
            limit: zero,
            flags: zero,
            keys: [zero; 10],
        }
    }

    /// An item of which every field is open: of any kind, to end refused.
    pub fn open(b: &mut Builder) -> Self {
        let [taker, instrument, amount, limit, flags] = b.add_virtual_target_arr();
        Self {
            taker,
            instrument,
            amount,
            limit,
            flags,
            keys: b.add_virtual_target_arr(),
            ..Self::new(b)
        }
    }

    /// Twin of `Request::words`; `kind` is `Request::number`.
    pub fn words(&self, kind: Target) -> [Target; ITEM_WORDS] {
        let s = self.sender;
        let mut words = [kind; ITEM_WORDS];
        words[1..10].copy_from_slice(&[
            self.account,
            self.taker,
            s[0],
            s[1],
            s[2],
            self.instrument,
            self.amount,
            self.limit,
            self.flags,
        ]);
        words[10..].copy_from_slice(&self.keys);
        words
    }

    /// Sends the record of an outcome, if live. Cost: 3 rows and the tuple's.
    pub fn record(&self, s: &mut SegmentBuilder, kind: Target, outcome: Target, live: BoolTarget) {
        let words = self.words(kind);
        send_record(s, self.index, &words, outcome, live);
    }

    /// \[J4\] A refused deposit is a withdrawal record to its sender, and counts as one.
    pub fn give_back(&self, s: &mut SegmentBuilder, asset: Target, live: BoolTarget) {
        let [o0, o1, o2] = self.sender;
        let words = [o0, o1, o2, asset, self.amount];
        s.send(BusTag::DataWithdrawal, &words, live);
        let counted = s.summary.counts[DATA_WITHDRAWALS];
        s.summary.counts[DATA_WITHDRAWALS] = s.add(counted, live.target);
    }

    /// Sets the fields that are not constants of the kind.
    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Item) -> anyhow::Result<()> {
        let words = value.request.words();
        witness.set_target(self.index, unsigned(value.index))?;
        witness.set_target(self.account, words[1])?;
        witness.set_target_arr(&self.sender, &words[3..6])?;
        for (target, word) in [
            (self.taker, 2),
            (self.instrument, 6),
            (self.amount, 7),
            (self.limit, 8),
            (self.flags, 9),
        ] {
            witness.set_target(target, words[word])?;
        }
        witness.set_target_arr(&self.keys, &words[10..])
    }
}

/// Sends the record of an item of these words.
pub(super) fn send_record(
    s: &mut SegmentBuilder,
    index: Target,
    words: &[Target; ITEM_WORDS],
    outcome: Target,
    live: BoolTarget,
) {
    let digest = hash(s, Tag::QueueItem, words).elements;
    let record = [index, digest[0], digest[1], digest[2], digest[3], outcome];
    s.send(BusTag::DataQueue, &record, live);
}
