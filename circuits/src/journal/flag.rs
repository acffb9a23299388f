//! Flag \[Q1\] and sweep \[S6\]: twins of `tally_protocol::journal::flag` and `sweep`.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::INSURANCE_ACCOUNTS;
use tally_protocol::hash::{signed, unsigned};
use tally_protocol::journal::flag::Flag;
use tally_protocol::journal::sweep::Sweep;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::types::AccountId;

use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{insurance_cash, needs, posting_cash};
use crate::F;
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;

/// Twin of `Flag`: anyone may ask; whether the account is liquidatable is the ledger's.
#[derive(Clone, Copy, Debug)]
pub struct FlagTarget {
    pub account: Target,
}

impl Unit for FlagTarget {
    type Value = Flag;

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let account = s.add_virtual_target();
        let posting = PostingTarget {
            needs: needs(s, Needs::FLAG | Needs::WHILE_FLAGGED),
            ..PostingTarget::blank(s, PostingKind::Flag, account, first)
        };
        s.send(BusTag::Posting, &posting.words(), live);
        Self { account }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Flag) -> anyhow::Result<()> {
        witness.set_target(self.account, unsigned(value.account.0.into()))
    }

    fn idle() -> Flag {
        Flag {
            account: AccountId(0),
        }
    }
}

/// Twin of `Sweep`.
#[derive(Clone, Copy, Debug)]
pub struct SweepTarget {
    pub account: Target,
    pub amount: Target,
}

impl Unit for SweepTarget {
    type Value = Sweep;

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let [account, amount] = s.add_virtual_target_arr();
        let one = s.one();
        let last = s.constant(unsigned((INSURANCE_ACCOUNTS - 1).into()));
        range::check_between(s, one, account, last);
        let nothing = logic::is_zero(s, amount);
        s.assert_zero(nothing.target);
        posting_cash(s, amount);
        let from = PostingTarget {
            delta_cash: s.neg(amount),
            needs: needs(s, Needs::SYSTEM),
            ..PostingTarget::blank(s, PostingKind::Unwound, account, first)
        };
        s.send(BusTag::Posting, &from.words(), live);
        let index = place_after(s, first, 1);
        let to = insurance_cash(s, PostingKind::Unwound, amount, index);
        s.send(BusTag::Posting, &to.words(), live);
        Self { account, amount }
    }

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Sweep) -> anyhow::Result<()> {
        witness.set_target(self.account, unsigned(value.account.0.into()))?;
        witness.set_target(self.amount, signed(value.amount))
    }

    fn idle() -> Sweep {
        Sweep {
            account: AccountId(1),
            amount: 1,
        }
    }
}
