//! L1 items that end refused for a fact about an account \[J4\]: twin of
//! `journal::refusal::effects`.
//!
//! Statement: the outcome is one that this kind of item admits, and the posting makes the ledger
//! prove it of the account before the epoch; a refused deposit goes back to its sender. Of an item
//! that has a fault too (`fault.rs`) either may be named: both are so, and it ends refused.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{INSTRUMENT_BITS, TABLE_DEPTH};
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::{MarketRow, flags};
use tally_protocol::posting::{Needs, PostingKind, Refusal};
use tally_protocol::queue::{Item, Reason, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};

use super::fill::idle_row;
use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::terms::{digest_if, is_spot, needs, number_of};
use crate::F;
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::terms::LeafTermsTarget;

const DEPOSIT: u64 = 1;
const WITHDRAW: u64 = 2;
const KEY_CHANGE: u64 = 3;
const CANCEL_ALL: u64 = 4;
const FLAG: u64 = 5;
const TAKE: u64 = 6;
const ABSORB: u64 = 7;

/// What an item may be refused for, and of whom.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// `Request::number`.
    kind: u64,
    refusal: Refusal,
    taker: bool,
    only: Only,
}

/// What else a case is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Always,
    /// \[J3\] Cash may come from anyone.
    Lots,
    /// \[Q3\] Lots that are not owned.
    NotSpot,
    /// \[T6\] The row read is halted.
    Halted,
}

const fn case(kind: u64, refusal: Refusal, only: Only) -> Case {
    Case {
        kind,
        refusal,
        taker: false,
        only,
    }
}

const fn taker(refusal: Refusal) -> Case {
    Case {
        taker: true,
        ..case(TAKE, refusal, Only::Always)
    }
}

/// Twin of `Request::reasons`, and of `Reason::Halted`.
const CASES: [Case; 30] = {
    use Only::{Always, Halted, Lots, NotSpot};
    use Refusal as R;
    [
        case(DEPOSIT, R::Empty, Always),
        case(DEPOSIT, R::Owner, Lots),
        case(DEPOSIT, R::Slots, Lots),
        case(DEPOSIT, R::Bounds, Always),
        case(WITHDRAW, R::Empty, Always),
        case(WITHDRAW, R::Owner, Always),
        case(WITHDRAW, R::Funds, Always),
        case(KEY_CHANGE, R::Empty, Always),
        case(KEY_CHANGE, R::Owner, Always),
        case(KEY_CHANGE, R::Exhausted, Always),
        case(CANCEL_ALL, R::Empty, Always),
        case(CANCEL_ALL, R::Owner, Always),
        case(CANCEL_ALL, R::Exhausted, Always),
        case(FLAG, R::Empty, Always),
        case(FLAG, R::NotLiquidatable, Always),
        case(TAKE, R::Empty, Always),
        case(TAKE, R::NotLiquidatable, Always),
        case(TAKE, R::NotFlagged, Always),
        case(TAKE, R::Bankrupt, Always),
        case(TAKE, R::NotHeld, Always),
        case(TAKE, R::CashOnly, NotSpot),
        taker(R::Empty),
        taker(R::Owner),
        taker(R::Flagged),
        taker(R::Slots),
        taker(R::Bounds),
        taker(R::Margin),
        case(ABSORB, R::Empty, Always),
        case(ABSORB, R::Solvent, Always),
        case(ABSORB, R::Held, Halted),
    ]
};

/// A refused item with its case, and the row that the case needs.
#[derive(Clone, Debug)]
pub struct RefusedTarget {
    pub item: ItemTarget,
    /// One of `CASES`.
    pub cases: Vec<BoolTarget>,
    /// Of the item's instrument, or the halted one that an account to be absorbed holds.
    pub row: MarketRowTarget,
}

impl RefusedTarget {
    fn new(s: &mut SegmentBuilder) -> Self {
        let item = ItemTarget::open(s);
        let cases: Vec<_> = CASES
            .iter()
            .map(|_| s.add_virtual_bool_target_safe())
            .collect();
        let sum = s.add_many(cases.iter().map(|bit| bit.target));
        s.assert_one(sum);
        Self {
            item,
            cases,
            row: MarketRowTarget::new_unchecked(s),
        }
    }

    /// Σ of the case's number.
    fn chosen(&self, s: &mut SegmentBuilder, number: impl Fn(&Case) -> u64) -> Target {
        let (zero, one) = (s.zero(), s.one());
        self.cases
            .iter()
            .zip(&CASES)
            .fold(zero, |sum, (bit, case)| match number(case) {
                0 => sum,
                n => s.arithmetic(unsigned(n), F::ONE, bit.target, one, sum),
            })
    }

    fn is(&self, s: &mut SegmentBuilder, holds: impl Fn(&Case) -> bool) -> BoolTarget {
        BoolTarget::new_unsafe(self.chosen(s, |case| holds(case).into()))
    }

    /// What a case is bound to: the row read for it, and that a deposit creates nothing. An account
    /// that L1 has just numbered admits no refusal.
    fn check(&self, s: &mut SegmentBuilder, live: BoolTarget) {
        let item = &self.item;
        let lots = self.is(s, |case| case.only == Only::Lots);
        let is_cash = logic::is_zero(s, item.instrument);
        let both = s.and(lots, is_cash);
        s.assert_zero(both.target);
        let deposit = self.is(s, |case| case.kind == DEPOSIT);
        let creates = s.mul(deposit.target, item.flags);
        s.assert_zero(creates);
        let perpetual = self.is(s, |case| case.only == Only::NotSpot);
        logic::assert_equal_if(s, perpetual, self.row.id, item.instrument);
        let spot = is_spot(s, &self.row);
        let both = s.and(perpetual, spot);
        s.assert_zero(both.target);
        const { assert!(flags::HALTED == 2 && flags::SETTLED == 4 && flags::COUNT == 4) };
        let halted = self.is(s, |case| case.only == Only::Halted);
        let bits = logic::to_bits(s, self.row.flags, 4);
        logic::assert_implies(s, halted, bits[1]);
        let gone = s.and(halted, bits[2]);
        s.assert_zero(gone.target);
        let reads = s.add(perpetual.target, halted.target);
        let reads = s.and(BoolTarget::new_unsafe(reads), live);
        s.receive(BusTag::Market, &self.row.words(), reads);
    }

    /// Twin of `Asked::amount`: what is payable of a withdrawal; \[Q1\], \[Q5\] and keys ask for
    /// none.
    fn asked(&self, s: &mut SegmentBuilder, shared: &Shared) -> Target {
        let item = &self.item;
        let is_cash = logic::is_zero(s, item.instrument);
        let withdraw = self.is(s, |case| case.kind == WITHDRAW);
        let cut = s.and(withdraw, is_cash);
        let payable = shared.payout.payable(s, item.amount, cut);
        let asks = self.is(s, |case| matches!(case.kind, DEPOSIT | WITHDRAW | TAKE));
        s.mul(asks.target, payable)
    }

    fn posting(&self, s: &mut SegmentBuilder, shared: &Shared, first: Target) -> PostingTarget {
        let item = &self.item;
        let of_taker = self.is(s, |case| case.taker);
        let account = logic::select(s, of_taker, item.taker, item.account);
        let halted = self.is(s, |case| case.only == Only::Halted);
        let take = self.is(s, |case| case.kind == TAKE);
        let owner = self.is(s, |case| case.refusal == Refusal::Owner);
        let terms = LeafTermsTarget::owned_by(s, item.sender);
        let aux = terms.digest(s);
        let fixed = Needs::REFUSED | Needs::SOLE | Needs::WHILE_FLAGGED;
        PostingTarget {
            // An item about neither lots nor cash has 0 there.
            instrument: logic::select(s, halted, self.row.id, item.instrument),
            place: self.chosen(s, |case| case.refusal as u64),
            sequence: s.mul(take.target, item.flags),
            order_size: self.asked(s, shared),
            needs: needs(s, fixed),
            aux: digest_if(s, owner, aux),
            ..PostingTarget::blank(s, PostingKind::Refused, account, first)
        }
    }

    /// \[J4\] A refused deposit goes back; its asset is the row of its id.
    fn give_back(&self, s: &mut SegmentBuilder, live: BoolTarget) {
        let item = &self.item;
        let bits = logic::to_bits(s, item.instrument, INSTRUMENT_BITS as usize);
        let asset = number_of(s, &bits[..TABLE_DEPTH]);
        let deposit = self.is(s, |case| case.kind == DEPOSIT);
        let back = s.and(deposit, live);
        item.give_back(s, asset, back);
    }
}

impl Unit for RefusedTarget {
    /// The item, why it is refused, and the row for a reason that needs one.
    type Value = (Item, Reason, Option<MarketRow>);

    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        unit.check(s, live);
        let posting = unit.posting(s, shared, first);
        s.send(BusTag::Posting, &posting.words(), live);
        unit.give_back(s, live);
        let kind = unit.chosen(s, |case| case.kind);
        let outcome = unit.chosen(s, |case| {
            let reason = match (case.taker, case.only) {
                (true, _) => Reason::Taker(case.refusal),
                (_, Only::Halted) => Reason::Halted(InstrumentId(0)),
                _ => Reason::Account(case.refusal),
            };
            reason.outcome().into()
        });
        unit.item.record(s, kind, outcome, live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, reason, row): &Self::Value,
    ) -> anyhow::Result<()> {
        self.item.assign(witness, item)?;
        self.row.assign(witness, &row.unwrap_or_else(idle_row))?;
        let kind = item.request.number();
        let of_taker = matches!(reason, Reason::Taker(_));
        let outcome = reason.outcome() & 31;
        for (&bit, case) in self.cases.iter().zip(&CASES) {
            let same = case.kind == kind && case.refusal as u32 == outcome;
            witness.set_bool_target(bit, same && case.taker == of_taker)?;
        }
        Ok(())
    }

    fn idle() -> Self::Value {
        let request = Request::Flag {
            account: AccountId(0),
        };
        let item = Item { index: 0, request };
        (item, Reason::Account(Refusal::Empty), None)
    }
}

/// The instrument whose row a refusal reads.
pub(crate) fn row_read(request: &Request, reason: &Reason) -> InstrumentId {
    match (request, reason) {
        (_, Reason::Halted(instrument)) => *instrument,
        (Request::Take(take), Reason::Account(Refusal::CashOnly)) => take.instrument,
        _ => CASH,
    }
}
