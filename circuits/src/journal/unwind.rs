//! Unwind \[Q7\]: twin of `tally_protocol::journal::unwind`.
//!
//! Statement: a signed order takes lots of a row's insurance account at mark ∓ discount, the
//! discount open by the inventory's age. What discounts cost is added to the epoch's sum
//! `EpochSum::Discount`, which the header segment compares with the context's budget.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::unwind::Unwind;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::types::Side;

use super::fill::{idle_order, idle_row};
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{insurance_place, needs, posting_cash};
use super::trade::{TakerTarget, discount_opens};
use crate::bus::BusTag;
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Twin of `Unwind`, with its row.
#[derive(Clone, Copy, Debug)]
pub struct UnwindTarget {
    pub taker: TakerTarget,
    pub row: MarketRowTarget,
    /// Twin of `Unwind::cost`.
    pub cost: Target,
}

impl UnwindTarget {
    /// \[Q7\] The discount is open; insurance_since is at most the epoch.
    fn check_auction(
        b: &mut Builder,
        taker: &TakerTarget,
        row: &MarketRowTarget,
        now: [Target; 2],
    ) {
        let [epoch, epochs] = now;
        let age = b.sub(epoch, row.insurance_since);
        discount_opens(b, taker.discount, row.penalty, age, epochs);
    }
}

impl Unit for UnwindTarget {
    type Value = (Unwind, MarketRow);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let taker = TakerTarget::new(s);
        let row = MarketRowTarget::new_unchecked(s);
        let now = [s.context.epoch, s.context.globals.auction_epochs];
        Self::check_auction(s, &taker, &row, now);
        let time = s.context.time;
        let taken = taker.check(s, &row, time);
        s.receive(BusTag::Market, &row.words(), live);
        let cash = s.sub(taken.gain, taken.at_mark);
        posting_cash(s, cash);
        let posting = taker.posting(s, shared, &taken, cash, first);
        s.send(BusTag::Posting, &posting.words(), live);
        let (account, place) = insurance_place(s, &row);
        let index = place_after(s, first, 1);
        let fixed = Needs::SYSTEM | Needs::FIXED_SLOT | Needs::REDUCE_ONLY;
        let insurance = PostingTarget {
            instrument: row.id,
            delta_size: s.neg(taken.lots),
            delta_cash: s.neg(cash),
            place,
            needs: needs(s, fixed),
            ..PostingTarget::blank(s, PostingKind::Unwound, account, index)
        };
        s.send(BusTag::Posting, &insurance.words(), live);
        Self {
            taker,
            row,
            cost: taken.gain,
        }
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (value, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.taker.order.assign(witness, &value.order)?;
        self.row.assign(witness, row)?;
        witness.set_target(self.taker.size, unsigned(value.size))?;
        witness.set_target(self.taker.discount, unsigned(value.discount))
    }

    fn idle() -> Self::Value {
        let value = Unwind {
            order: idle_order(Side::Long),
            size: 1,
            discount: 0,
        };
        (value, idle_row())
    }
}
