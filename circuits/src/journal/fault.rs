//! L1 items that end refused for a fault of their own \[J4\]: twin of `journal::refusal::fault` and
//! `by_fault`.
//!
//! Statement: the outcome names the first fault, in the native order, of what the item asks, of the
//! row that its instrument names and of the bridge; nothing of it is the prover's choice, and a
//! faultless item has no witness. A refused deposit goes back to its sender; for an empty bridge
//! the bridge is opened, which shows the vault (docs/decisions.md, D20). Where nothing was ever
//! listed, an opening of rows′ shows the place empty, since no row can be read.
//!
//! A change's fault is the header's to show (`change.rs`).

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{
    ACCOUNT_DEPTH, BRIDGE_ACCOUNTS, FIRST_USER_ACCOUNT, INSTRUMENT_BITS, POSTING_CASH_BITS,
    TABLE_DEPTH,
};
use tally_protocol::hash::{Digest, EMPTY, unsigned};
use tally_protocol::instrument::{InstrumentKind, MarketRow, flags};
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::journal::refusal::Fault;
use tally_protocol::listing::row_of;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::queue::{Deposit, Item, Reason, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::AccountId;

use super::fill::idle_row;
use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::terms::{beyond_limit, needs, number_of, or};
use crate::bus::BusTag;
use crate::gadgets::halves::halves;
use crate::gadgets::merkle::PathTarget;
use crate::gadgets::{logic, range};
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Numbers of the kinds that have accounts: 1 to 7.
const KINDS: usize = 8;
const DEPOSIT: usize = 1;
const WITHDRAW: usize = 2;
const TAKE: usize = 6;

/// How the row that an item's instrument names is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowProof {
    /// The fault is found before the row matters, or shows without it.
    None,
    Read(MarketRow),
    /// Siblings of the empty place in rows′.
    Vacant(Vec<Digest>),
}

/// The place in the table that decides about a fault, if any does.
pub fn row_decides(request: &Request, fault: Fault) -> Option<u32> {
    let (instrument, named) = match request {
        Request::Deposit(Deposit {
            instrument, amount, ..
        })
        | Request::Withdraw {
            instrument, amount, ..
        } => {
            let bounded = *amount != 0 && amount >> POSTING_CASH_BITS == 0;
            (*instrument, bounded && *instrument != CASH)
        }
        Request::Take(take) => (take.instrument, true),
        _ => return None,
    };
    let row = row_of(instrument.0);
    let before = matches!(fault, Fault::System | Fault::Outside);
    (named && !before && row != 0).then_some(row)
}

/// An item with its fault.
#[derive(Clone, Debug)]
pub struct FaultTarget {
    pub item: ItemTarget,
    /// `Request::number`.
    pub kind: Target,
    pub row: MarketRowTarget,
    pub vacant: BoolTarget,
    siblings: Vec<HashOutTarget>,
}

/// What an item's words say.
struct Facts {
    deposit: BoolTarget,
    withdraw: BoolTarget,
    take: BoolTarget,
    /// A deposit or a withdrawal.
    asks: BoolTarget,
    creates: BoolTarget,
    is_cash: BoolTarget,
    is_lots: BoolTarget,
    /// The instrument's place in the table, and its bits.
    number: Target,
    bits: Vec<BoolTarget>,
    /// The amount is 0, or 2^56 and more; what it is where it is less.
    nothing: BoolTarget,
    wide: BoolTarget,
    amount: Target,
}

impl Facts {
    fn of(b: &mut Builder, item: &ItemTarget, kinds: &[BoolTarget]) -> Self {
        let [deposit, withdraw, take] = [DEPOSIT, WITHDRAW, TAKE].map(|kind| kinds[kind]);
        let plain = logic::is_zero(b, item.flags);
        let flagged = b.not(plain);
        let is_cash = logic::is_zero(b, item.instrument);
        let bits = logic::to_bits(b, item.instrument, INSTRUMENT_BITS as usize);
        // L1's amounts are numbers of 64 bits: which one shows in the halves alone.
        let [_, high] = halves(b, item.amount);
        let bound = b.constant(unsigned(1 << (POSTING_CASH_BITS - 32)));
        let wide = range::is_le(b, bound, high);
        let fits = b.not(wide);
        Self {
            deposit,
            withdraw,
            take,
            asks: BoolTarget::new_unsafe(b.add(deposit.target, withdraw.target)),
            creates: b.and(deposit, flagged),
            is_cash,
            is_lots: b.not(is_cash),
            number: number_of(b, &bits[..TABLE_DEPTH]),
            bits,
            nothing: logic::is_zero(b, item.amount),
            wide,
            amount: b.mul(fits.target, item.amount),
        }
    }
}

/// Faults tried one after the other: the first that holds is the item's.
struct Search {
    /// None held so far.
    clean: BoolTarget,
    outcome: Target,
}

impl Search {
    fn new(b: &mut Builder) -> Self {
        Self {
            clean: b._true(),
            outcome: b.zero(),
        }
    }

    /// Whether this one is the first. Cost: 3 operations.
    fn refuse_if(&mut self, b: &mut Builder, holds: BoolTarget, fault: Fault) -> BoolTarget {
        let first = b.and(self.clean, holds);
        let clean = b.sub(self.clean.target, first.target);
        self.clean = BoolTarget::new_unsafe(clean);
        let (number, one) = (unsigned(Reason::Terms(fault).outcome().into()), b.one());
        self.outcome = b.arithmetic(number, F::ONE, first.target, one, self.outcome);
        first
    }

    /// \[S6\], \[S3\] Twin of `find_account`, if the bit is set; `last` is the highest account.
    fn refuse_account(
        &mut self,
        b: &mut Builder,
        asked: BoolTarget,
        account: Target,
        last: Target,
    ) {
        let users = b.constant(unsigned((FIRST_USER_ACCOUNT - 1).into()));
        let system = range::is_le(b, account, users);
        let system = b.and(asked, system);
        self.refuse_if(b, system, Fault::System);
        let inside = range::is_le(b, account, last);
        let outside = b.not(inside);
        let outside = b.and(asked, outside);
        self.refuse_if(b, outside, Fault::Outside);
    }
}

impl FaultTarget {
    fn new(s: &mut SegmentBuilder) -> Self {
        let item = ItemTarget::open(s);
        Self {
            item,
            kind: s.add_virtual_target(),
            row: MarketRowTarget::new_unchecked(s),
            vacant: s.add_virtual_bool_target_safe(),
            siblings: s.add_virtual_hashes(TABLE_DEPTH),
        }
    }

    /// Twin of `find`. Whether the fault is an empty bridge comes back.
    fn search(
        &self,
        s: &mut SegmentBuilder,
        facts: &Facts,
        live: BoolTarget,
    ) -> (Search, BoolTarget) {
        let item = &self.item;
        let mut search = Search::new(s);
        let any = s._true();
        let whole = s.constant(unsigned((1 << ACCOUNT_DEPTH) - 1));
        let lower = s.constant(unsigned((FIRST_SUB_ACCOUNT - 1).into()));
        let last = logic::select(s, facts.creates, lower, whole);
        search.refuse_account(s, any, item.account, last);
        search.refuse_account(s, facts.take, item.taker, whole);
        let unbounded = or(s, facts.nothing, facts.wide);
        let asked = s.and(facts.asks, unbounded);
        search.refuse_if(s, asked, Fault::Amount);
        let lots = s.and(facts.asks, facts.is_lots);
        let names = BoolTarget::new_unsafe(s.add(lots.target, facts.take.target));
        self.refuse_row(s, &mut search, facts, names, live);
        self.refuse_take(s, &mut search, facts);
        let vault = s.context.vault;
        let empty = logic::is_zero(s, vault);
        let cash = s.and(facts.withdraw, facts.is_cash);
        let unpaid = s.and(cash, empty);
        let bridge = search.refuse_if(s, unpaid, Fault::Bridge);
        (search, bridge)
    }

    /// \[T7\], \[J3\], \[N3\], \[T6\] What the row says, if the item names one.
    fn refuse_row(
        &self,
        s: &mut SegmentBuilder,
        search: &mut Search,
        facts: &Facts,
        names: BoolTarget,
        live: BoolTarget,
    ) {
        let row = &self.row;
        let listed = self.listed(s, facts, names, search.clean, live);
        let unlisted = s.not(listed);
        let unlisted = s.and(names, unlisted);
        search.refuse_if(s, unlisted, Fault::Unlisted);
        let lots = s.and(facts.asks, facts.is_lots);
        let spot = s.constant(unsigned(InstrumentKind::Spot as u64));
        let spot = logic::is_equal(s, row.kind, spot);
        let other = s.not(spot);
        let no_asset = s.and(lots, other);
        search.refuse_if(s, no_asset, Fault::NotAnAsset);
        let fits = range::is_le(s, facts.amount, row.max_size);
        let more = s.not(fits);
        let more = or(s, more, facts.wide);
        let unbounded = or(s, more, facts.nothing);
        let unbounded = s.and(names, unbounded);
        search.refuse_if(s, unbounded, Fault::Amount);
        let active = logic::is_zero(s, row.flags);
        let bound = s.not(active);
        let deposit = s.and(facts.deposit, facts.is_lots);
        let grows = s.and(deposit, bound);
        search.refuse_if(s, grows, Fault::ReduceOnly);
    }

    /// Twin of `find_row`: the row that the id names, read, or its place vacant. Nothing is read
    /// where a fault is known already, and of row 0, which is never listed.
    fn listed(
        &self,
        s: &mut SegmentBuilder,
        facts: &Facts,
        names: BoolTarget,
        clean: BoolTarget,
        live: BoolTarget,
    ) -> BoolTarget {
        let row = &self.row;
        let quote = logic::is_zero(s, facts.number);
        let none = or(s, quote, self.vacant);
        let some = s.not(none);
        let asked = s.and(names, clean);
        let asked = s.and(asked, some);
        let reads = s.and(asked, live);
        s.receive(BusTag::Market, &row.words(), reads);
        logic::assert_equal_if(s, reads, row.row, facts.number);
        let path = PathTarget {
            bits: facts.bits[..TABLE_DEPTH].to_vec(),
            siblings: self.siblings.clone(),
        };
        let empty = s.constant_hash(EMPTY);
        let root = path.root(s, empty);
        let table = s.context.table;
        logic::assert_digests_equal_if(s, self.vacant, &root.elements, &table.elements);
        let same = logic::is_equal(s, row.id, self.item.instrument);
        let unnamed = logic::is_zero(s, row.kind);
        let named = s.not(unnamed);
        let holds = s.and(same, named);
        s.and(some, holds)
    }

    /// \[T6\], \[J2\], \[Q2\] Twin of the rest of `find_take`.
    fn refuse_take(&self, s: &mut SegmentBuilder, search: &mut Search, facts: &Facts) {
        const { assert!(flags::HALTED == 2 && flags::SETTLED == 4 && flags::COUNT == 4) };
        let (item, row) = (&self.item, &self.row);
        let bits = logic::to_bits(s, row.flags, flags::COUNT as usize);
        let shut = or(s, bits[1], bits[2]);
        let short = BoolTarget::new_unsafe(s.mul(facts.take.target, item.flags));
        let beyond = beyond_limit(s, short, row.mark, item.limit);
        let itself = logic::is_equal(s, item.account, item.taker);
        for (holds, fault) in [
            (shut, Fault::Halted),
            (beyond, Fault::Limit),
            (itself, Fault::SelfTrade),
        ] {
            let holds = s.and(facts.take, holds);
            search.refuse_if(s, holds, fault);
        }
    }
}

impl Unit for FaultTarget {
    /// The item, its fault, and what shows of its row.
    type Value = (Item, Fault, RowProof);

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let unit = Self::new(s);
        let kinds = logic::one_hot(s, unit.kind, KINDS);
        s.assert_zero(kinds[0].target);
        let facts = Facts::of(s, &unit.item, &kinds);
        let (search, bridge) = unit.search(s, &facts, live);
        s.assert_zero(search.clean.target);
        let opened = s.and(bridge, live);
        let account = s.constant(unsigned(BRIDGE_ACCOUNTS.into()));
        let posting = PostingTarget {
            needs: needs(s, Needs::SYSTEM),
            ..PostingTarget::blank(s, PostingKind::Bridge, account, first)
        };
        s.send(BusTag::Posting, &posting.words(), opened);
        let back = s.and(facts.deposit, live);
        unit.item.give_back(s, facts.number, back);
        unit.item.record(s, unit.kind, search.outcome, live);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (item, _, proof): &Self::Value,
    ) -> anyhow::Result<()> {
        self.item.assign(witness, item)?;
        let words = item.request.words();
        witness.set_target(self.kind, words[0])?;
        let (row, siblings) = match proof {
            RowProof::None => (idle_row(), None),
            RowProof::Read(row) => (*row, None),
            RowProof::Vacant(siblings) => (idle_row(), Some(siblings.as_slice())),
        };
        self.row.assign(witness, &row)?;
        witness.set_bool_target(self.vacant, siblings.is_some())?;
        let siblings = siblings.unwrap_or(&[EMPTY; TABLE_DEPTH]);
        anyhow::ensure!(siblings.len() == TABLE_DEPTH, "[T8] a cut path");
        for (target, sibling) in self.siblings.iter().zip(siblings) {
            witness.set_hash_target(*target, *sibling)?;
        }
        Ok(())
    }

    fn idle() -> Self::Value {
        let request = Request::Flag {
            account: AccountId(0),
        };
        let item = Item { index: 0, request };
        (item, Fault::System, RowProof::None)
    }
}
