//! Liquidation \[Q2\] to \[Q4\]: twin of `tally_protocol::journal::liquidation`.
//!
//! Statement: a signed order takes lots of `account` at mark ∓ discount, the account pays mark ∓
//! charge, insurance gets the rest; the discount is open by the flag's age. Charge and flag's
//! epoch are claims that `aux` carries to the ledger, which checks them against the account.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::liquidation::Liquidation;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::types::{AccountId, Side};

use super::fill::{idle_order, idle_row};
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{insurance_cash, needs, posting_cash};
use super::trade::{TakenTarget, TakerTarget, discount_opens};
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LiquidationTermsTarget;
use crate::{Builder, F};

/// Twin of `Liquidation`, with its row.
#[derive(Clone, Copy, Debug)]
pub struct LiquidationTarget {
    pub account: Target,
    pub taker: TakerTarget,
    pub auction: AuctionTarget,
    pub row: MarketRowTarget,
}

impl LiquidationTarget {
    fn new(b: &mut Builder) -> Self {
        Self {
            account: b.add_virtual_target(),
            taker: TakerTarget::new(b),
            auction: AuctionTarget::new_unchecked(b),
            row: MarketRowTarget::new_unchecked(b),
        }
    }
}

/// What the ledger checks of the liquidated account, and the row \[Q4\].
#[derive(Clone, Copy, Debug)]
pub struct AuctionTarget {
    pub charge: Target,
    pub flagged_at: Target,
}

impl AuctionTarget {
    /// Free targets.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            charge: b.add_virtual_target(),
            flagged_at: b.add_virtual_target(),
        }
    }

    /// \[Q2\] 0 < flagged_at < epoch (a dead unit has neither); \[Q4\] charge ≤ penalty. The
    /// flag's age.
    pub fn check(&self, s: &mut SegmentBuilder, row: &MarketRowTarget, live: BoolTarget) -> Target {
        let epoch = s.context.epoch;
        let last = s.sub(epoch, live.target);
        range::check_between(s, live.target, self.flagged_at, last);
        let zero = s.zero();
        range::check_between(s, zero, self.charge, row.penalty);
        s.sub(epoch, self.flagged_at)
    }

    /// Twin of `Trade::new`'s cash: what account, taker and insurance get, which sums to 0.
    pub fn settle(&self, b: &mut Builder, taken: &TakenTarget, size: Target) -> [Target; 3] {
        let paid = b.mul(size, self.charge);
        let account = b.sub(taken.at_mark, paid);
        let taker = b.sub(taken.gain, taken.at_mark);
        let insurance = b.sub(paid, taken.gain);
        for cash in [account, taker, insurance] {
            posting_cash(b, cash);
        }
        [account, taker, insurance]
    }

    /// Twin of the liquidated account's posting in `Trade::postings`.
    pub fn posting(
        &self,
        s: &mut SegmentBuilder,
        row: &MarketRowTarget,
        (lots, cash): (Target, Target),
        (account, index): (Target, Target),
    ) -> PostingTarget {
        let terms = LiquidationTermsTarget {
            charge: self.charge,
            penalty: row.penalty,
            flagged_at: self.flagged_at,
        };
        PostingTarget {
            instrument: row.id,
            delta_size: s.neg(lots),
            delta_cash: cash,
            needs: needs(s, Needs::LIQUIDATE | Needs::WHILE_FLAGGED),
            aux: terms.digest(s),
            ..PostingTarget::blank(s, PostingKind::Liquidated, account, index)
        }
    }
}

impl Unit for LiquidationTarget {
    type Value = (Liquidation, MarketRow);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        let (taker, row) = (&unit.taker, &unit.row);
        let itself = logic::is_equal(s, unit.account, taker.order.account);
        s.assert_zero(itself.target);
        let age = unit.auction.check(s, row, live);
        let epochs = s.context.globals.auction_epochs;
        discount_opens(s, taker.discount, unit.auction.charge, age, epochs);
        let time = s.context.time;
        let taken = taker.check(s, row, time);
        s.receive(BusTag::Market, &row.words(), live);
        let [account, gets, insurance] = unit.auction.settle(s, &taken, taker.size);
        let of = (unit.account, first);
        let liquidated = unit.auction.posting(s, row, (taken.lots, account), of);
        s.send(BusTag::Posting, &liquidated.words(), live);
        let index = place_after(s, first, 1);
        let posting = taker.posting(s, shared, &taken, gets, index);
        s.send(BusTag::Posting, &posting.words(), live);
        let index = place_after(s, first, 2);
        let penalty = insurance_cash(s, PostingKind::Penalty, insurance, index);
        s.send(BusTag::Posting, &penalty.words(), live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (value, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.taker.order.assign(witness, &value.order)?;
        self.row.assign(witness, row)?;
        for (target, number) in [
            (self.account, value.account.0.into()),
            (self.taker.size, value.size),
            (self.taker.discount, value.discount),
            (self.auction.charge, value.charge),
            (self.auction.flagged_at, value.flagged_at.into()),
        ] {
            witness.set_target(target, unsigned(number))?;
        }
        Ok(())
    }

    fn idle() -> Self::Value {
        let value = Liquidation {
            account: AccountId(1),
            order: idle_order(Side::Long),
            size: 1,
            charge: 0,
            discount: 0,
            flagged_at: 0,
        };
        (value, idle_row())
    }
}
