//! Signed messages that move nothing: cancel, cancel-all \[S4\] and key change \[S5\]; and the fee
//! withdrawal \[S6\]. Twins of `tally_protocol::journal::{cancel_all, key_change, fee_withdraw}`.
//!
//! Statement: a posting carries the digest of the message that its words say, with the needs of
//! its kind. Slot, sequence, nonce and generation are the leaf's by the ledger's word.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::Keys;
use tally_protocol::bounds::{BRIDGE_ACCOUNTS, FEE_ACCOUNT};
use tally_protocol::hash::unsigned;
use tally_protocol::journal::fee_withdraw::FeeWithdraw;
use tally_protocol::message::{Cancel, CancelAll, KeyChange};
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::types::AccountId;

use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{check_amount, needs};
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::message::{MessageFrame, author};
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;
use crate::{Builder, F};

/// Twin of `Cancel`: an order of no lots.
#[derive(Clone, Copy, Debug)]
pub struct CancelTarget {
    pub account: Target,
    pub generation: Target,
    pub slot: Target,
    pub sequence: Target,
}

impl Unit for CancelTarget {
    type Value = Cancel;

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let [account, generation, slot, sequence] = s.add_virtual_target_arr();
        let zero = s.zero();
        let author = author(s, account, generation);
        let body = [author, slot, sequence, zero, zero, zero, zero, zero];
        let posting = PostingTarget {
            digest: shared.cancel.digest(s, &body),
            place: slot,
            sequence,
            generation,
            needs: needs(s, Needs::ORDER | Needs::TRADING_KEY | Needs::WHILE_FLAGGED),
            ..PostingTarget::blank(s, PostingKind::Cancel, account, first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        Self {
            account,
            generation,
            slot,
            sequence,
        }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Cancel) -> anyhow::Result<()> {
        for (target, number) in [
            (self.account, value.account.0),
            (self.generation, value.generation),
            (self.slot, value.slot.into()),
            (self.sequence, value.sequence),
        ] {
            witness.set_target(target, unsigned(number.into()))?;
        }
        Ok(())
    }

    fn idle() -> Cancel {
        Cancel {
            account: AccountId(0),
            generation: 0,
            slot: 0,
            sequence: 0,
        }
    }
}

/// What a message by nonce names: who signs, and which of his messages it is.
#[derive(Clone, Copy, Debug)]
pub struct SignerTarget {
    pub account: Target,
    pub generation: Target,
    pub nonce: Target,
}

impl SignerTarget {
    fn new(b: &mut Builder) -> Self {
        let [account, generation, nonce] = b.add_virtual_target_arr();
        Self {
            account,
            generation,
            nonce,
        }
    }

    /// A posting by the message whose body ends with these words.
    fn posting(
        &self,
        s: &mut SegmentBuilder,
        (kind, frame): (PostingKind, &MessageFrame),
        [w0, w1, w2, w3]: [Target; 4],
        first: Target,
    ) -> PostingTarget {
        let zero = s.zero();
        let author = author(s, self.account, self.generation);
        let body = [author, self.nonce, w0, w1, w2, w3, zero, zero];
        PostingTarget {
            digest: frame.digest(s, &body),
            place: self.nonce,
            generation: self.generation,
            ..PostingTarget::blank(s, kind, self.account, first)
        }
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        account: AccountId,
        [generation, nonce]: [u32; 2],
    ) -> anyhow::Result<()> {
        witness.set_target(self.account, unsigned(account.0.into()))?;
        witness.set_target(self.generation, unsigned(generation.into()))?;
        witness.set_target(self.nonce, unsigned(nonce.into()))
    }
}

/// Twin of `CancelAll`.
#[derive(Clone, Copy, Debug)]
pub struct CancelAllTarget {
    pub signer: SignerTarget,
}

impl Unit for CancelAllTarget {
    type Value = CancelAll;

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let signer = SignerTarget::new(s);
        let zero = s.zero();
        let message = (PostingKind::CancelAll, &shared.cancel_all);
        let fixed = Needs::NONCE | Needs::TRADING_KEY | Needs::CANCEL_ALL | Needs::WHILE_FLAGGED;
        let posting = PostingTarget {
            needs: needs(s, fixed),
            ..signer.posting(s, message, [zero; 4], first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        Self { signer }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &CancelAll) -> anyhow::Result<()> {
        let counters = [value.generation, value.nonce];
        self.signer.assign(witness, value.account, counters)
    }

    fn idle() -> CancelAll {
        CancelAll {
            account: AccountId(0),
            generation: 0,
            nonce: 0,
        }
    }
}

/// Twin of `KeyChange`, by the digest of the new keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyChangeTarget {
    pub signer: SignerTarget,
    pub keys: HashOutTarget,
}

impl Unit for KeyChangeTarget {
    type Value = KeyChange;

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let signer = SignerTarget::new(s);
        let keys = s.add_virtual_hash();
        let zero = s.zero();
        let terms = LeafTermsTarget {
            owner: [zero; 3],
            keys,
            kind: zero,
        };
        let message = (PostingKind::KeyChange, &shared.key_change);
        let posting = PostingTarget {
            needs: needs(s, Needs::NONCE | Needs::SET_KEYS | Needs::WHILE_FLAGGED),
            aux: terms.digest(s),
            ..signer.posting(s, message, keys.elements, first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        Self { signer, keys }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &KeyChange) -> anyhow::Result<()> {
        let counters = [value.generation, value.nonce];
        self.signer.assign(witness, value.account, counters)?;
        witness.set_hash_target(self.keys, value.keys.digest())
    }

    fn idle() -> KeyChange {
        KeyChange {
            account: AccountId(0),
            generation: 0,
            nonce: 0,
            keys: Keys::default(),
        }
    }
}

/// Twin of `FeeWithdraw`.
#[derive(Clone, Copy, Debug)]
pub struct FeeWithdrawTarget {
    pub amount: Target,
}

impl Unit for FeeWithdrawTarget {
    type Value = FeeWithdraw;

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let amount = s.add_virtual_target();
        check_amount(s, amount);
        // [Q6] Fees stay while insurance owes.
        let deficit = s.context.deficit;
        let sound = logic::is_zero(s, deficit);
        logic::assert_implies(s, live, sound);
        let fees = s.constant(unsigned(FEE_ACCOUNT.into()));
        let posting = PostingTarget {
            delta_cash: s.neg(amount),
            needs: needs(s, Needs::SYSTEM | Needs::OUTFLOW),
            ..PostingTarget::blank(s, PostingKind::FeeWithdraw, fees, first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        let bridge = s.constant(unsigned(BRIDGE_ACCOUNTS.into()));
        let index = place_after(s, first, 1);
        let posting = PostingTarget {
            delta_cash: amount,
            needs: needs(s, Needs::SYSTEM),
            ..PostingTarget::blank(s, PostingKind::Bridge, bridge, index)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        let [o0, o1, o2] = s.context.globals.fee_owner;
        let cash = s.zero();
        s.send(BusTag::DataWithdrawal, &[o0, o1, o2, cash, amount], live);
        Self { amount }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &FeeWithdraw) -> anyhow::Result<()> {
        witness.set_target(self.amount, unsigned(value.amount))
    }

    fn idle() -> FeeWithdraw {
        FeeWithdraw { amount: 1 }
    }
}
