//! Withdrawal \[J3\], \[J4\]: twins of `tally_protocol::journal::withdraw`, signed or asked for on
//! L1.
//!
//! Statement: an account pays `amount` to its asset's bridge, one record to its L1 owner says so,
//! and of quote money the cut of \[Q6\] goes to insurance 0. The owner is the leaf's by the
//! ledger's word.

use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::Owner;
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::{InstrumentKind, MarketRow};
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::message::Withdraw;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::queue::{Item, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};

use super::fill::idle_row;
use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::place_after;
use super::terms::{MovedTarget, insurance_cash, needs, weigh};
use crate::bus::BusTag;
use crate::gadgets::product::{Product, mul_div_down};
use crate::gadgets::{logic, range};
use crate::message::{author, pack_flags};
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;
use crate::{Builder, F};

/// \[Q6\] Twin of `EpochTerms::payout`: amount · kept / vault, where without a deficit both are 1.
#[derive(Clone, Copy, Debug)]
pub struct Payout {
    kept: Target,
    whole: Target,
    owes: BoolTarget,
    vault: Target,
}

impl Payout {
    /// vault and deficit are below 2^60 by the header segment. An empty vault keeps nothing, over
    /// 1.
    pub fn new(s: &mut SegmentBuilder) -> Self {
        let (deficit, vault) = (s.context.deficit, s.context.vault);
        let sound = logic::is_zero(s, deficit);
        let owes = s.not(sound);
        let covers = range::is_le(s, deficit, vault);
        let rest = s.sub(vault, deficit);
        let rest = s.mul(covers.target, rest);
        let empty = logic::is_zero(s, vault);
        let whole = s.add(vault, empty.target);
        let one = s.one();
        Self {
            kept: logic::select(s, sound, one, rest),
            whole: logic::select(s, sound, one, whole),
            owes,
            vault,
        }
    }

    /// Twin of `payable`: at most the vault, if the bit is set.
    pub fn payable(&self, b: &mut Builder, amount: Target, is_cash: BoolTarget) -> Target {
        let covered = range::is_le(b, amount, self.vault);
        let cash = logic::select(b, covered, amount, self.vault);
        logic::select(b, is_cash, cash, amount)
    }

    /// What leaves of `amount` < 2^56. Cost: 5.3 rows.
    fn of(&self, b: &mut Builder, amount: Target) -> Target {
        let dividend = Product {
            total: amount,
            factor: self.kept,
        };
        mul_div_down(b, dividend, self.whole)
    }
}

/// Twin of `pay_out`: the account's posting as the caller authorises it, with the owner's name, the
/// bridge's, insurance's, and the record. What is paid.
fn pay_out(
    s: &mut SegmentBuilder,
    payout: &Payout,
    posting: PostingTarget,
    (owner, asset): ([Target; 3], Target),
    moved: &MovedTarget,
    live: BoolTarget,
) -> Target {
    let whole = payout.of(s, moved.amount);
    let paid = logic::select(s, moved.is_cash, whole, moved.amount);
    let terms = LeafTermsTarget::owned_by(s, owner);
    let aux = terms.digest(s);
    let out = s.add_const(
        posting.needs,
        unsigned((Needs::OUTFLOW | Needs::OWNER).0.into()),
    );
    let needs = weigh(s, out, moved.is_lots, Needs::REDUCE_ONLY);
    let minus = s.neg(moved.amount);
    let first = posting.index;
    let posting = PostingTarget {
        needs,
        aux,
        ..posting
    };
    let posting = moved.posting(s, minus, posting);
    s.send(BusTag::Posting, &posting.words(), live);
    let index = place_after(s, first, 1);
    let bridge = moved.bridge(s, asset, paid, index);
    s.send(BusTag::Posting, &bridge.words(), live);
    let index = place_after(s, first, 2);
    let rest = s.sub(moved.amount, paid);
    let insurance = insurance_cash(s, PostingKind::Bridge, rest, index);
    let cut = s.and(moved.is_cash, payout.owes);
    let cut = s.and(cut, live);
    s.send(BusTag::Posting, &insurance.words(), cut);
    let [o0, o1, o2] = owner;
    s.send(BusTag::DataWithdrawal, &[o0, o1, o2, asset, paid], live);
    paid
}

/// Twin of `WithdrawEntry`.
#[derive(Clone, Copy, Debug)]
pub struct WithdrawTarget {
    pub account: Target,
    pub generation: Target,
    pub nonce: Target,
    pub least: Target,
    pub owner: [Target; 3],
    pub moved: MovedTarget,
}

impl Unit for WithdrawTarget {
    type Value = (WithdrawEntry, Option<MarketRow>);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let [account, generation, nonce, least] = s.add_virtual_target_arr();
        let owner = s.add_virtual_target_arr();
        let moved = MovedTarget::new(s, live);
        moved.check_asset(s);
        let zero = s.zero();
        let body = [
            author(s, account, generation),
            pack_flags(s, zero, nonce),
            moved.instrument,
            moved.amount,
            least,
            zero,
            zero,
            zero,
        ];
        let posting = PostingTarget {
            digest: shared.withdraw.digest(s, &body),
            place: nonce,
            generation,
            needs: needs(s, Needs::NONCE),
            ..PostingTarget::blank(s, PostingKind::Withdraw, account, first)
        };
        let asset = s.mul(moved.is_lots.target, moved.row.asset);
        let paid = pay_out(s, &shared.payout, posting, (owner, asset), &moved, live);
        // [Q6] least is a number: a negative one would accept any cut.
        range::check_62(s, least);
        range::assert_le(s, least, paid);
        Self {
            account,
            generation,
            nonce,
            least,
            owner,
            moved,
        }
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
            (self.least, message.least),
            (self.moved.instrument, message.instrument.0.into()),
            (self.moved.amount, message.amount),
        ] {
            witness.set_target(target, unsigned(number))?;
        }
        witness.set_target_arr(&self.owner, &value.owner.words())?;
        self.moved
            .row
            .assign(witness, &row.unwrap_or_else(idle_row))
    }

    fn idle() -> Self::Value {
        let message = Withdraw {
            account: AccountId(0),
            generation: 0,
            nonce: 0,
            instrument: CASH,
            amount: 1,
            least: 0,
        };
        let value = WithdrawEntry {
            message,
            owner: Owner::default(),
        };
        (value, None)
    }
}

/// A withdrawal that L1 asked for, paid \[J4\]: `withdraw::requested`.
#[derive(Clone, Debug)]
pub struct RequestedWithdrawTarget {
    pub item: ItemTarget,
    pub moved: MovedTarget,
}

impl Unit for RequestedWithdrawTarget {
    /// The item, what leaves the account, and the row of lots.
    type Value = (Item, u64, Option<MarketRow>);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let moved = MovedTarget::new(s, live);
        moved.check_asset(s);
        let amount = s.add_virtual_target();
        let item = ItemTarget {
            instrument: moved.instrument,
            amount,
            ..ItemTarget::new(s)
        };
        let asked = Self::asked(s, &shared.payout, &item, &moved);
        range::assert_le(s, moved.amount, asked);
        let posting = PostingTarget {
            order_size: asked,
            needs: needs(s, Needs::SOLE | Needs::AT_MOST),
            ..PostingTarget::blank(s, PostingKind::Withdraw, item.account, first)
        };
        let asset = s.mul(moved.is_lots.target, moved.row.row);
        let to = (item.sender, asset);
        pay_out(s, &shared.payout, posting, to, &moved, live);
        let done = s.zero();
        let kind = s.constant(unsigned(2));
        item.record(s, kind, done, live);
        Self { item, moved }
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, paid, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.item.assign(witness, item)?;
        witness.set_target(self.moved.amount, unsigned(*paid))?;
        self.moved
            .row
            .assign(witness, &row.unwrap_or_else(idle_row))
    }

    fn idle() -> Self::Value {
        // Lots, since an empty vault has no cash to pay.
        let row = MarketRow {
            id: InstrumentId(1),
            kind: InstrumentKind::Spot,
            ..idle_row()
        };
        let request = Request::Withdraw {
            sender: Owner::default(),
            account: AccountId(0),
            instrument: row.id,
            amount: 1,
        };
        (Item { index: 0, request }, 1, Some(row))
    }
}

impl RequestedWithdrawTarget {
    /// Twin of `payable`, with the bounds without which the item must be refused: what it asks is
    /// below 2^56 in cash (of which at most the vault) or ≤ max_size.
    fn asked(b: &mut Builder, payout: &Payout, item: &ItemTarget, moved: &MovedTarget) -> Target {
        let most = b.constant(unsigned((1 << 56) - 1));
        let most = logic::select(b, moved.is_cash, most, moved.row.max_size);
        range::assert_le(b, item.amount, most);
        range::check_62(b, item.amount);
        payout.payable(b, item.amount, moved.is_cash)
    }
}
