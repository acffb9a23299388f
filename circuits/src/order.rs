//! Twin of `tally_protocol::order`: what a trader signs \[S4\], \[J2\].

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::unsigned;
use tally_protocol::message::BODY_WORDS;
use tally_protocol::order::{Order, order_flags};
use tally_protocol::posting::Needs;

use crate::gadgets::range;
use crate::message::{MessageFrame, author, pack_flags};
use crate::{Builder, F};

/// Twin of `Place`: the order's slot or nonce, and the slot's sequence.
#[derive(Clone, Copy, Debug)]
pub struct PlaceTarget {
    pub number: Target,
    pub sequence: Target,
    pub is_nonce: BoolTarget,
}

/// Twin of `Order`.
#[derive(Clone, Copy, Debug)]
pub struct OrderTarget {
    pub account: Target,
    pub generation: Target,
    pub place: PlaceTarget,
    pub instrument: Target,
    /// Set for a short.
    pub side: BoolTarget,
    pub size: Target,
    pub limit: Target,
    pub max_fee_per_lot: Target,
    pub expiry: Target,
    pub reduce_only: BoolTarget,
    pub amend: BoolTarget,
}

impl OrderTarget {
    /// An order of a side that the caller holds to 0 or 1.
    ///
    /// Guarantees: flags are bits; an order by nonce amends nothing and has sequence 0. The packed
    /// words are held by `body`. Of `Order::check`, what is left either binds only the signer (a
    /// limit beyond any price, an expiry beyond any time) or is the ledger's: account and slot lie
    /// in their trees, generation and sequence are compared with the leaf's, and size covers the
    /// lots. Cost: 6 operations.
    pub fn new(b: &mut Builder, side: BoolTarget) -> Self {
        let order = Self::new_unchecked(b, side);
        b.assert_bool(order.place.is_nonce);
        b.assert_bool(order.reduce_only);
        b.assert_bool(order.amend);
        let amends = b.mul(order.place.is_nonce.target, order.amend.target);
        b.assert_zero(amends);
        let sequence = b.mul(order.place.is_nonce.target, order.place.sequence);
        b.assert_zero(sequence);
        order
    }

    fn new_unchecked(b: &mut Builder, side: BoolTarget) -> Self {
        Self {
            account: b.add_virtual_target(),
            generation: b.add_virtual_target(),
            place: PlaceTarget {
                number: b.add_virtual_target(),
                sequence: b.add_virtual_target(),
                is_nonce: b.add_virtual_bool_target_unsafe(),
            },
            instrument: b.add_virtual_target(),
            side,
            size: b.add_virtual_target(),
            limit: b.add_virtual_target(),
            max_fee_per_lot: b.add_virtual_target(),
            expiry: b.add_virtual_target(),
            reduce_only: b.add_virtual_bool_target_unsafe(),
            amend: b.add_virtual_bool_target_unsafe(),
        }
    }

    /// Twin of `Order::body`. Guarantees account < 2^30 and generation, place < 2^32, hence one
    /// reading of the packed words. Cost: 2 lanes, 6 operations.
    pub fn body(&self, b: &mut Builder) -> [Target; BODY_WORDS] {
        let flags = self.flags(b);
        [
            author(b, self.account, self.generation),
            pack_flags(b, flags, self.place.number),
            self.place.sequence,
            self.instrument,
            self.size,
            self.limit,
            self.max_fee_per_lot,
            self.expiry,
        ]
    }

    /// Twin of `Order::digest`; `frame` is that of orders. Cost: `body` and 1 row.
    pub fn digest(&self, b: &mut Builder, frame: &MessageFrame) -> HashOutTarget {
        let body = self.body(b);
        frame.digest(b, &body)
    }

    /// Twin of `Order::flags`.
    pub fn flags(&self, b: &mut Builder) -> Target {
        let zero = b.zero();
        let bits = [
            (self.side, order_flags::SHORT),
            (self.reduce_only, order_flags::REDUCE_ONLY),
            (self.amend, order_flags::AMEND),
            (self.place.is_nonce, order_flags::BY_NONCE),
        ];
        weighted(b, zero, &bits)
    }

    /// Twin of `Order::needs`.
    pub fn needs(&self, b: &mut Builder) -> Target {
        let base = b.constant(unsigned((Needs::ORDER | Needs::TRADING_KEY).0.into()));
        let bits = [
            (self.place.is_nonce, Needs::NONCE.0),
            (self.reduce_only, Needs::REDUCE_ONLY.0),
            (self.amend, Needs::AMEND.0),
        ];
        weighted(b, base, &bits)
    }

    /// Twin of `check_expiry`. Time is below 2^40 and the difference below 2^62, so the expiry that
    /// was hashed is a number ≥ time. Cost: 1 lane, 1 operation.
    pub fn check_expiry(&self, b: &mut Builder, time: Target) {
        range::assert_le(b, time, self.expiry);
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Order) -> anyhow::Result<()> {
        let pairs = [
            (self.account, unsigned(value.account.0.into())),
            (self.generation, unsigned(value.generation.into())),
            (self.place.number, unsigned(value.place.number().into())),
            (self.place.sequence, unsigned(value.place.sequence().into())),
            (
                self.place.is_nonce.target,
                F::from_bool(value.place.is_nonce()),
            ),
            (self.instrument, unsigned(value.instrument.0.into())),
            (self.side.target, unsigned(value.side.bit())),
            (self.size, unsigned(value.size)),
            (self.limit, unsigned(value.limit)),
            (self.max_fee_per_lot, unsigned(value.max_fee_per_lot)),
            (self.expiry, unsigned(value.expiry)),
            (self.reduce_only.target, F::from_bool(value.reduce_only)),
            (self.amend.target, F::from_bool(value.amend)),
        ];
        for (target, element) in pairs {
            witness.set_target(target, element)?;
        }
        Ok(())
    }
}

/// base + Σ bit·weight.
fn weighted(b: &mut Builder, base: Target, bits: &[(BoolTarget, u32)]) -> Target {
    let one = b.one();
    bits.iter().fold(base, |sum, &(bit, weight)| {
        b.arithmetic(unsigned(weight.into()), F::ONE, bit.target, one, sum)
    })
}
