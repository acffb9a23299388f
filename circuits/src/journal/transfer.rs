//! Transfer \[J3\], \[S3\]: twin of `tally_protocol::journal::transfer`.
//!
//! Statement: what the sender signed leaves one account and enters another, which is whatever the
//! signed terms say: anyone (cash alone), of the same L1 owner, consenting by its own signature,
//! or new, of the sender's owner, in the upper half of the tree.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::{AccountKind, Owner};
use tally_protocol::hash::{EMPTY, unsigned};
use tally_protocol::instrument::{MarketRow, flags};
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::message::Transfer;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::terms::CASH;
use tally_protocol::types::AccountId;

use super::fill::idle_row;
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{MovedTarget, digest_if, needs, weigh};
use super::trade::sign;
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::message::{author, pack, pack_flags};
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;
use crate::{Builder, F};

/// Twin of `Receiver`: at most one of three bits; none is anyone.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverTarget {
    pub same_owner: BoolTarget,
    pub accepts: BoolTarget,
    pub creates: BoolTarget,
    pub owner: [Target; 3],
    pub keys: HashOutTarget,
    pub isolated: BoolTarget,
    pub accept_generation: Target,
    pub accept_nonce: Target,
}

impl ReceiverTarget {
    /// Guarantees bits of which at most one is set.
    fn new(b: &mut Builder) -> Self {
        let [same_owner, accepts, creates] = [(); 3].map(|()| b.add_virtual_bool_target_safe());
        let isolated = b.add_virtual_bool_target_safe();
        let sum = b.add_many([same_owner, accepts, creates].map(|bit| bit.target));
        b.assert_bool(BoolTarget::new_unsafe(sum));
        Self {
            same_owner,
            accepts,
            creates,
            owner: b.add_virtual_target_arr(),
            keys: b.add_virtual_hash(),
            isolated,
            accept_generation: b.add_virtual_target(),
            accept_nonce: b.add_virtual_target(),
        }
    }

    /// Whether the terms name the owner: then it is the sender's too.
    fn names_owner(&self, b: &mut Builder) -> BoolTarget {
        BoolTarget::new_unsafe(b.add(self.same_owner.target, self.creates.target))
    }

    /// Twin of `Receiver::aux`: keys and kind only of a new leaf. Cost: 1 row.
    fn aux(&self, b: &mut Builder) -> HashOutTarget {
        let terms = LeafTermsTarget {
            owner: self.owner,
            keys: digest_if(b, self.creates, self.keys),
            kind: b.mul(self.creates.target, self.isolated.target),
        };
        let digest = terms.digest(b);
        let named = self.names_owner(b);
        digest_if(b, named, digest)
    }
}

/// Twin of `TransferEntry`.
#[derive(Clone, Copy, Debug)]
pub struct TransferTarget {
    pub account: Target,
    pub generation: Target,
    pub nonce: Target,
    pub to: Target,
    pub short: BoolTarget,
    pub moved: MovedTarget,
    pub receiver: ReceiverTarget,
}

impl TransferTarget {
    fn new(s: &mut SegmentBuilder, live: BoolTarget) -> Self {
        let [account, generation, nonce, to] = s.add_virtual_target_arr();
        Self {
            account,
            generation,
            nonce,
            to,
            short: s.add_virtual_bool_target_safe(),
            moved: MovedTarget::new(s, live),
            receiver: ReceiverTarget::new(s),
        }
    }

    /// The clauses of `TransferEntry::check` that no digest holds.
    fn check(&self, b: &mut Builder) {
        let moved = &self.moved;
        // [T6] A settled row's lots vanish; a halted or clamped one's move.
        const { assert!(flags::SETTLED == 4 && flags::COUNT == 4) };
        let row_flags = logic::to_bits(b, moved.row.flags, 4);
        b.assert_zero(row_flags[2].target);
        let spot_short = b.mul(moved.is_spot.target, self.short.target);
        let spot_short = b.mul(spot_short, moved.is_lots.target);
        b.assert_zero(spot_short);
        let itself = logic::is_equal(b, self.account, self.to);
        b.assert_zero(itself.target);
        logic::assert_implies(b, self.short, moved.is_lots);
        // [J3] Lots go to nobody who is neither of the owner nor asked.
        let named = self.receiver.names_owner(b);
        let known = BoolTarget::new_unsafe(b.add(named.target, self.receiver.accepts.target));
        logic::assert_implies(b, moved.is_lots, known);
        let first = b.constant(unsigned(FIRST_SUB_ACCOUNT.into()));
        range::assert_le_if(b, self.receiver.creates, first, self.to);
    }

    /// Twin of `Transfer::digest`.
    fn digest(&self, b: &mut Builder, shared: &Shared, aux: HashOutTarget) -> HashOutTarget {
        let [t0, t1, t2, t3] = aux.elements;
        let body = [
            author(b, self.account, self.generation),
            pack(b, self.to, self.nonce),
            pack_flags(b, self.short.target, self.moved.instrument),
            self.moved.amount,
            t0,
            t1,
            t2,
            t3,
        ];
        shared.transfer.digest(b, &body)
    }

    /// Twin of `Accept::digest`, or 0 where the receiver signs nothing.
    fn accepted(&self, b: &mut Builder, shared: &Shared, transfer: HashOutTarget) -> HashOutTarget {
        let [t0, t1, t2, t3] = transfer.elements;
        let (receiver, zero) = (&self.receiver, b.zero());
        let author = author(b, self.to, receiver.accept_generation);
        let body = [author, receiver.accept_nonce, t0, t1, t2, t3, zero, zero];
        let digest = shared.accept.digest(b, &body);
        digest_if(b, receiver.accepts, digest)
    }

    fn out(
        &self,
        s: &mut SegmentBuilder,
        digest: HashOutTarget,
        aux: HashOutTarget,
        first: Target,
    ) -> PostingTarget {
        let fixed = needs(s, Needs::NONCE | Needs::OUTFLOW);
        let named = self.receiver.names_owner(s);
        let fixed = weigh(s, fixed, named, Needs::OWNER);
        let blank = PostingTarget::blank(s, PostingKind::TransferOut, self.account, first);
        let posting = PostingTarget {
            digest,
            place: self.nonce,
            generation: self.generation,
            needs: weigh(s, fixed, self.moved.is_lots, Needs::REDUCE_ONLY),
            aux,
            ..blank
        };
        let amount = self.signed(s);
        let minus = s.neg(amount);
        self.moved.posting(s, minus, posting)
    }

    fn entering(
        &self,
        s: &mut SegmentBuilder,
        digest: HashOutTarget,
        aux: HashOutTarget,
        first: Target,
    ) -> PostingTarget {
        let receiver = &self.receiver;
        let fixed = s.zero();
        let fixed = weigh(s, fixed, receiver.same_owner, Needs::OWNER);
        let fixed = weigh(s, fixed, receiver.accepts, Needs::NONCE);
        let index = place_after(s, first, 1);
        let posting = PostingTarget {
            digest,
            place: s.mul(receiver.accepts.target, receiver.accept_nonce),
            generation: s.mul(receiver.accepts.target, receiver.accept_generation),
            needs: weigh(s, fixed, receiver.creates, Needs::CREATE),
            aux,
            ..PostingTarget::blank(s, PostingKind::TransferIn, self.to, index)
        };
        let amount = self.signed(s);
        self.moved.posting(s, amount, posting)
    }

    /// A short's lots are negative.
    fn signed(&self, b: &mut Builder) -> Target {
        let sign = sign(b, self.short);
        b.mul(sign, self.moved.amount)
    }
}

impl Unit for TransferTarget {
    type Value = (TransferEntry, Option<MarketRow>);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s, live);
        unit.check(s);
        let aux = unit.receiver.aux(s);
        let digest = unit.digest(s, shared, aux);
        let accepted = unit.accepted(s, shared, digest);
        let out = unit.out(s, digest, aux, first);
        s.send(BusTag::Posting, &out.words(), live);
        let into = unit.entering(s, accepted, aux, first);
        s.send(BusTag::Posting, &into.words(), live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (value, row): &Self::Value,
    ) -> anyhow::Result<()> {
        let message = &value.message;
        for (target, number) in [
            (self.account, message.account.0.into()),
            (self.generation, message.generation.into()),
            (self.nonce, message.nonce.into()),
            (self.to, message.to.0.into()),
            (self.short.target, message.short.into()),
            (self.moved.instrument, message.instrument.0.into()),
            (self.moved.amount, message.amount),
        ] {
            witness.set_target(target, unsigned(number))?;
        }
        self.moved
            .row
            .assign(witness, &row.unwrap_or_else(idle_row))?;
        self.receiver.assign(witness, &value.receiver)
    }

    fn idle() -> Self::Value {
        let message = Transfer {
            account: AccountId(0),
            generation: 0,
            nonce: 0,
            to: AccountId(1),
            instrument: CASH,
            short: false,
            amount: 1,
            terms: EMPTY,
        };
        let receiver = Receiver::Anyone;
        (TransferEntry { message, receiver }, None)
    }
}

impl ReceiverTarget {
    fn assign(&self, witness: &mut PartialWitness<F>, value: &Receiver) -> anyhow::Result<()> {
        let (mut owner, mut keys, mut isolated) = (Owner::default(), EMPTY, false);
        let mut accept = [0, 0];
        let mut bits = [false; 3];
        match value {
            Receiver::Anyone => {}
            Receiver::SameOwner(of) => (owner, bits[0]) = (*of, true),
            Receiver::Accepts(a) => (accept, bits[1]) = ([a.generation, a.nonce], true),
            Receiver::New {
                owner: of,
                keys: new,
                kind,
            } => {
                (owner, keys, bits[2]) = (*of, new.digest(), true);
                isolated = *kind == AccountKind::Isolated;
            }
        }
        for (bit, set) in [self.same_owner, self.accepts, self.creates]
            .into_iter()
            .zip(bits)
        {
            witness.set_bool_target(bit, set)?;
        }
        witness.set_bool_target(self.isolated, isolated)?;
        witness.set_target_arr(&self.owner, &owner.words())?;
        witness.set_hash_target(self.keys, keys)?;
        let [generation, nonce] = accept.map(F::from_canonical_u32);
        witness.set_target(self.accept_generation, generation)?;
        witness.set_target(self.accept_nonce, nonce)
    }
}
