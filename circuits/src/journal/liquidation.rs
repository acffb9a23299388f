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
use super::trade::{TakerTarget, discount_opens};
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
    pub charge: Target,
    pub flagged_at: Target,
    pub row: MarketRowTarget,
}

impl LiquidationTarget {
    fn new(b: &mut Builder) -> Self {
        Self {
            account: b.add_virtual_target(),
            taker: TakerTarget::new(b),
            charge: b.add_virtual_target(),
            flagged_at: b.add_virtual_target(),
            row: MarketRowTarget::new_unchecked(b),
        }
    }

    /// \[Q2\] No self-trade, 0 < flagged_at < epoch (a dead unit has neither); \[Q4\] charge ≤
    /// penalty and the discount open.
    fn check_auction(&self, s: &mut SegmentBuilder, live: BoolTarget) {
        let itself = logic::is_equal(s, self.account, self.taker.order.account);
        s.assert_zero(itself.target);
        let (epoch, epochs) = (s.context.epoch, s.context.globals.auction_epochs);
        let last = s.sub(epoch, live.target);
        range::check_between(s, live.target, self.flagged_at, last);
        let zero = s.zero();
        range::check_between(s, zero, self.charge, self.row.penalty);
        let age = s.sub(epoch, self.flagged_at);
        discount_opens(s, self.taker.discount, self.charge, age, epochs);
    }
}

impl Unit for LiquidationTarget {
    type Value = (Liquidation, MarketRow);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        unit.check_auction(s, live);
        let time = s.context.time;
        let taken = unit.taker.check(s, &unit.row, time);
        s.receive(BusTag::Market, &unit.row.words(), live);
        let paid = s.mul(unit.taker.size, unit.charge);
        let account = s.sub(taken.at_mark, paid);
        let taker = s.sub(taken.gain, taken.at_mark);
        let insurance = s.sub(paid, taken.gain);
        for cash in [account, taker, insurance] {
            posting_cash(s, cash);
        }
        let terms = LiquidationTermsTarget {
            charge: unit.charge,
            penalty: unit.row.penalty,
            flagged_at: unit.flagged_at,
        };
        let liquidated = PostingTarget {
            instrument: unit.row.id,
            delta_size: s.neg(taken.lots),
            delta_cash: account,
            needs: needs(s, Needs::LIQUIDATE | Needs::WHILE_FLAGGED),
            aux: terms.digest(s),
            ..PostingTarget::blank(s, PostingKind::Liquidated, unit.account, first)
        };
        s.send(BusTag::Posting, &liquidated.words(), live);
        let index = place_after(s, first, 1);
        let taker = unit.taker.posting(s, shared, &taken, taker, index);
        s.send(BusTag::Posting, &taker.words(), live);
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
            (self.charge, value.charge),
            (self.flagged_at, value.flagged_at.into()),
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
