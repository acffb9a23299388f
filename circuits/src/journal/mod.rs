//! Journal segments: entries → postings \[J1\]. One circuit a family of kinds, so that a fill
//! never pays for the other kinds' terms (docs/segments/journal.md).
//!
//! What every family relies on: the context's members and the rows read from the bus are what tick
//! and header segments proved of them ([N1], [N2], [T8]); an account lies in the tree, is a user's
//! without SYSTEM, and generation, sequence and nonce are its leaf's because the ledger says so.

pub mod absorption;
pub mod act;
pub mod change;
pub mod deposit;
pub mod fault;
pub mod fill;
pub mod flag;
pub mod item;
pub mod liquidation;
pub mod list;
pub mod other;
pub mod refused;
pub mod requested;
pub mod take;
pub mod terms;
pub mod trade;
pub mod transfer;
pub mod unwind;
pub mod withdraw;

#[cfg(test)]
pub(crate) mod testing;

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use tally_protocol::bounds::INDEX_BITS;
use tally_protocol::hash::{EMPTY, unsigned};
use tally_protocol::message::MessageKind;
use tally_protocol::posting::PostingKind;

use crate::gadgets::range;
use crate::message::{DomainTarget, MessageFrame};
use crate::order::OrderTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Places of `Counts::data_queue` and `Counts::data_withdrawals`.
const DATA_QUEUE: usize = 2;
const DATA_WITHDRAWALS: usize = 3;

/// The place of an entry's first posting in the epoch's journal; its others follow. Whoever proves
/// chooses it: the ledger demands that an account's places rise \[L1\], and nothing else depends on
/// them. Guarantees 32 bits. Cost: 1 lane.
pub(crate) fn first_place(b: &mut Builder) -> Target {
    let first = b.add_virtual_target();
    range::check_bits(b, first, INDEX_BITS);
    first
}

/// The `offset`-th posting's place. Cost: 1 operation.
pub(crate) fn place_after(b: &mut Builder, first: Target, offset: usize) -> Target {
    b.add_const(first, F::from_canonical_usize(offset))
}

/// The frame of messages of a kind in this epoch's deployment.
pub(crate) fn frame(s: &mut SegmentBuilder, kind: MessageKind) -> MessageFrame {
    let globals = s.context.globals;
    let domain = DomainTarget::of(s, &globals);
    MessageFrame::new(s, &domain, kind)
}

impl PostingTarget {
    /// Twin of `Posting::blank`, with epoch and place.
    pub(crate) fn blank(
        s: &mut SegmentBuilder,
        kind: PostingKind,
        account: Target,
        index: Target,
    ) -> Self {
        let epoch = s.context.epoch;
        let zero = s.zero();
        let empty = s.constant_hash(EMPTY);
        Self {
            kind: s.constant(unsigned(kind as u64)),
            epoch,
            account,
            index,
            instrument: zero,
            delta_size: zero,
            delta_cash: zero,
            digest: empty,
            place: zero,
            sequence: zero,
            generation: zero,
            order_size: zero,
            needs: zero,
            aux: empty,
        }
    }

    /// Twin of `Posting::by_order`, whose needs the caller has set. Cost: the order's digest.
    pub(crate) fn by_order(
        self,
        b: &mut Builder,
        order: &OrderTarget,
        frame: &MessageFrame,
    ) -> Self {
        Self {
            digest: order.digest(b, frame),
            place: order.place.number,
            sequence: order.place.sequence,
            generation: order.generation,
            order_size: order.size,
            ..self
        }
    }
}
