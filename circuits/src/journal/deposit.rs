//! Deposit \[J3\], \[S3\]: twin of `tally_protocol::journal::deposit`, for one L1 item that ends
//! done.
//!
//! Statement: the item's amount goes from its asset's bridge to its account, which it creates with
//! the item's owner, keys and kind, or which is its sender's if lots come.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::Owner;
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::queue::{Deposit, Item, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::AccountId;

use super::fill::idle_row;
use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{MovedTarget, digest_if, needs, or, weigh};
use crate::F;
use crate::bus::BusTag;
use crate::gadgets::range;
use crate::hash::hash;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;

/// A deposit item that ends done.
#[derive(Clone, Debug)]
pub struct DepositTarget {
    pub item: ItemTarget,
    pub moved: MovedTarget,
    pub creates: BoolTarget,
    pub isolated: BoolTarget,
}

impl DepositTarget {
    fn new(s: &mut SegmentBuilder, live: BoolTarget) -> Self {
        let moved = MovedTarget::new(s, live);
        let creates = s.add_virtual_bool_target_safe();
        let isolated = s.add_virtual_bool_target_safe();
        // 2 | isolated << 2 of a new account; else L1 has 0 there, and no such item otherwise.
        let (four, one) = (F::from_canonical_u64(4), s.one());
        let new = s.arithmetic(F::TWO, F::ZERO, creates.target, one, one);
        let flags = s.arithmetic(four, F::ONE, isolated.target, one, new);
        let item = ItemTarget {
            instrument: moved.instrument,
            amount: moved.amount,
            flags,
            keys: s.add_virtual_target_arr(),
            ..ItemTarget::new(s)
        };
        Self {
            item,
            moved,
            creates,
            isolated,
        }
    }

    /// The clauses for which it would have to be refused: asset, status of the row, a main account
    /// in the lower half.
    fn check(&self, s: &mut SegmentBuilder) {
        self.moved.check_asset(s);
        let flagged = s.mul(self.moved.is_lots.target, self.moved.row.flags);
        s.assert_zero(flagged);
        let last = s.constant(unsigned((FIRST_SUB_ACCOUNT - 1).into()));
        range::assert_le_if(s, self.creates, self.item.account, last);
    }
}

impl Unit for DepositTarget {
    /// The item, and the row of lots.
    type Value = (Item, Option<MarketRow>);

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s, live);
        unit.check(s);
        let (item, moved) = (&unit.item, &unit.moved);
        let fixed = needs(s, Needs::SOLE | Needs::WHILE_FLAGGED | Needs::DEPOSIT);
        let fixed = weigh(s, fixed, unit.creates, Needs::CREATE);
        // Lots to an account that exists: its owner's alone.
        let exists = s.not(unit.creates);
        let owned = s.and(moved.is_lots, exists);
        let keys = hash(s, Tag::Keys, &item.keys);
        let terms = LeafTermsTarget {
            owner: item.sender,
            keys: digest_if(s, unit.creates, keys),
            kind: s.mul(unit.creates.target, unit.isolated.target),
        };
        let aux = terms.digest(s);
        let named = or(s, unit.creates, moved.is_lots);
        let posting = PostingTarget {
            needs: weigh(s, fixed, owned, Needs::OWNER),
            aux: digest_if(s, named, aux),
            ..PostingTarget::blank(s, PostingKind::Deposit, item.account, first)
        };
        let posting = moved.posting(s, moved.amount, posting);
        s.send(BusTag::Posting, &posting.words(), live);
        let asset = s.mul(moved.is_lots.target, moved.row.row);
        let minus = s.neg(moved.amount);
        let index = place_after(s, first, 1);
        let bridge = moved.bridge(s, asset, minus, index);
        s.send(BusTag::Posting, &bridge.words(), live);
        let done = s.zero();
        let kind = s.constant(unsigned(1));
        item.record(s, kind, done, live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.item.assign(witness, item)?;
        if let Request::Deposit(deposit) = &item.request {
            let (creates, isolated) = match &deposit.create {
                Some(new) => (true, new.isolated),
                None => (false, false),
            };
            witness.set_bool_target(self.creates, creates)?;
            witness.set_bool_target(self.isolated, isolated)?;
        }
        self.moved
            .row
            .assign(witness, &row.unwrap_or_else(idle_row))
    }

    fn idle() -> Self::Value {
        let request = Request::Deposit(Deposit {
            sender: Owner::default(),
            account: AccountId(0),
            instrument: CASH,
            amount: 1,
            create: None,
        });
        (Item { index: 0, request }, None)
    }
}
