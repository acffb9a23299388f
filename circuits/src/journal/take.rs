//! A take \[J4\]: a liquidation that L1 asks for. Twin of `journal::liquidation::take`.
//!
//! Statement: the item's taker gets up to the item's lots at the mark less the whole discount that
//! is open, so that nobody chooses it, and never a mark beyond the item's limit; the account pays
//! as in any liquidation. How many lots, at most the item's, is the ledger's to check (AT_MOST).

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::Owner;
use tally_protocol::bounds::PRICE_BITS;
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::MarketRow;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::queue::{Item, Request, Service, Take};
use tally_protocol::types::{AccountId, Side};

use super::fill::idle_row;
use super::item::ItemTarget;
use super::liquidation::AuctionTarget;
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{beyond_limit, check_open, check_size, insurance_cash, is_spot, needs, weigh};
use super::trade::{TakenTarget, sign};
use crate::F;
use crate::bus::BusTag;
use crate::gadgets::{division, logic, range};
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;

/// A take item that ends done.
#[derive(Clone, Debug)]
pub struct TakeTarget {
    pub item: ItemTarget,
    /// The taker's: set for a short.
    pub side: BoolTarget,
    /// Lots taken.
    pub size: Target,
    pub auction: AuctionTarget,
    pub row: MarketRowTarget,
}

impl TakeTarget {
    fn new(s: &mut SegmentBuilder) -> Self {
        let side = s.add_virtual_bool_target_safe();
        let [taker, amount, limit, size] = s.add_virtual_target_arr();
        let row = MarketRowTarget::new_unchecked(s);
        let item = ItemTarget {
            taker,
            instrument: row.id,
            amount,
            limit,
            flags: side.target,
            ..ItemTarget::new(s)
        };
        Self {
            item,
            side,
            size,
            auction: AuctionTarget::new_unchecked(s),
            row,
        }
    }

    /// What would be a fault of the item, and its bounds: an open row, 1 ≤ size ≤ what is asked ≤
    /// max_size, the mark within the limit, two accounts.
    fn check(&self, s: &mut SegmentBuilder) -> BoolTarget {
        let is_spot = is_spot(s, &self.row);
        check_open(s, &self.row);
        check_size(s, self.item.amount, &self.row);
        let one = s.one();
        range::check_between(s, one, self.size, self.item.amount);
        let beyond = beyond_limit(s, self.side, self.row.mark, self.item.limit);
        s.assert_zero(beyond.target);
        let itself = logic::is_equal(s, self.item.account, self.item.taker);
        s.assert_zero(itself.target);
        is_spot
    }

    /// \[Q4\] Twin of `open_discount`: ⌊charge · min(age, D) / D⌋, 0 with D = 0; 42 + 16 bits.
    fn open_discount(&self, s: &mut SegmentBuilder, age: Target) -> Target {
        let epochs = s.context.globals.auction_epochs;
        let young = range::is_le(s, age, epochs);
        let open = logic::select(s, young, age, epochs);
        let due = s.mul(self.auction.charge, open);
        let never = logic::is_zero(s, epochs);
        let divisor = s.add(epochs, never.target);
        division::div_down(s, due, divisor, PRICE_BITS)[0]
    }

    /// Twin of `Trade::taker_posting` in the sender's name.
    fn taker(
        &self,
        s: &mut SegmentBuilder,
        taken: &TakenTarget,
        cash: Target,
        index: Target,
    ) -> PostingTarget {
        let fixed = Needs::MAY_GROW | Needs::ORDINARY | Needs::OWNER | Needs::SOLE;
        let fixed = needs(s, fixed);
        let sold = s.and(taken.is_spot, self.side);
        let terms = LeafTermsTarget::owned_by(s, self.item.sender);
        PostingTarget {
            instrument: self.row.id,
            delta_size: taken.lots,
            delta_cash: cash,
            needs: weigh(s, fixed, sold, Needs::REDUCE_ONLY),
            aux: terms.digest(s),
            ..PostingTarget::blank(s, PostingKind::LiquidationTaker, self.item.taker, index)
        }
    }
}

impl Unit for TakeTarget {
    /// The item, its service (`Taken`) and its row.
    type Value = (Item, Service, MarketRow);

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        let sign = sign(s, unit.side);
        let is_spot = unit.check(s);
        let age = unit.auction.check(s, &unit.row, live);
        let discount = unit.open_discount(s, age);
        s.receive(BusTag::Market, &unit.row.words(), live);
        let taken = TakenTarget::new(s, &unit.row, is_spot, sign, [unit.size, discount]);
        let [account, taker, insurance] = unit.auction.settle(s, &taken, unit.size);
        let (cash, of) = ((taken.lots, account), (unit.item.account, first));
        let liquidated = unit.auction.posting(s, &unit.row, cash, of);
        let sole = unsigned((Needs::SOLE | Needs::AT_MOST).0.into());
        let liquidated = PostingTarget {
            needs: s.add_const(liquidated.needs, sole),
            order_size: unit.item.amount,
            ..liquidated
        };
        s.send(BusTag::Posting, &liquidated.words(), live);
        let index = place_after(s, first, 1);
        let posting = unit.taker(s, &taken, taker, index);
        s.send(BusTag::Posting, &posting.words(), live);
        let index = place_after(s, first, 2);
        let penalty = insurance_cash(s, PostingKind::Penalty, insurance, index);
        s.send(BusTag::Posting, &penalty.words(), live);
        let (kind, done) = (s.constant(unsigned(6)), s.zero());
        unit.item.record(s, kind, done, live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, service, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.row.assign(witness, row)?;
        self.item.assign(witness, item)?;
        let (size, charge, flagged_at) = match service {
            Service::Taken {
                size,
                charge,
                flagged_at,
            } => (*size, *charge, *flagged_at),
            _ => anyhow::bail!("a take ends taken"),
        };
        witness.set_target(self.size, unsigned(size))?;
        witness.set_target(self.auction.charge, unsigned(charge))?;
        witness.set_target(self.auction.flagged_at, F::from_canonical_u32(flagged_at))
    }

    fn idle() -> Self::Value {
        let row = idle_row();
        let request = Request::Take(Take {
            sender: Owner::default(),
            account: AccountId(0),
            taker: AccountId(1),
            instrument: row.id,
            side: Side::Long,
            size: 1,
            limit: 0,
        });
        let service = Service::Taken {
            size: 1,
            charge: 0,
            flagged_at: 0,
        };
        (Item { index: 0, request }, service, row)
    }
}
