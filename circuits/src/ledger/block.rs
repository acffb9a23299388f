//! A block: one account, opened, given up to P postings and closed, or handed to the next block.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::ACCOUNT_DEPTH;

use super::LedgerShape;
use super::apply::{Step, UnitTarget};
use super::close::{Closed, close_plain};
use super::leaf::{AccountTarget, owned_rest};
use super::needs::NeedsTarget;
use super::open::Opened;
use super::running::RunningTarget;
use crate::Builder;
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::gadgets::merkle::PathTarget;
use crate::hash::compress;
use crate::instrument::MarginRowTarget;
use crate::segment::SegmentBuilder;

/// See the module's doc.
#[derive(Clone, Debug)]
pub struct BlockTarget {
    pub(super) live: BoolTarget,
    /// Whether `continues` is an input, not the constant 0.
    pub(super) spans: bool,
    /// The next block goes on with the account. Implies `live`.
    pub(super) continues: BoolTarget,
    pub(super) id: Target,
    pub(super) path: PathTarget,
    pub(super) before: AccountTarget,
    pub(super) rows: Vec<MarginRowTarget>,
    pub(super) units: Vec<UnitTarget>,
}

/// What a block takes over and hands on.
pub(super) struct Thread {
    pub accounts: HashOutTarget,
    /// The account of this block is that of the one before.
    pub continued: BoolTarget,
    /// Its id, its rows' ids and its running state.
    pub handed: Vec<Target>,
}

impl BlockTarget {
    /// The inputs; the rows and postings are read off the bus.
    pub(super) fn new(s: &mut SegmentBuilder, shape: &LedgerShape) -> Self {
        let live = s.add_virtual_bool_target_safe();
        let continues = if shape.spans() {
            let continues = s.add_virtual_bool_target_safe();
            logic::assert_implies(s, continues, live);
            continues
        } else {
            s._false()
        };
        let id = s.add_virtual_target();
        let path = PathTarget::new(s, id, ACCOUNT_DEPTH);
        let before = AccountTarget::new_unchecked(s, shape.slots);
        let mut rows = Vec::new();
        for _ in 0..shape.slots {
            let row = MarginRowTarget::new_unchecked(s);
            let words = row.words(s);
            s.receive(BusTag::Margin, &words, live);
            rows.push(row);
        }
        let units: Vec<_> = (0..shape.postings)
            .map(|_| UnitTarget::new(s, id))
            .collect();
        // Postings fill the block from the front, and only a live one.
        let mut earlier = live;
        for unit in &units {
            logic::assert_implies(s, unit.live, earlier);
            earlier = unit.live;
        }
        Self {
            live,
            spans: shape.spans(),
            continues,
            id,
            path,
            before,
            rows,
            units,
        }
    }

    /// Runs the block and moves the thread on.
    pub(super) fn run(&self, s: &mut SegmentBuilder, shape: &LedgerShape, thread: &mut Thread) {
        logic::assert_implies(s, thread.continued, self.live);
        let opened = Opened::new(s, shape, &self.before, &self.rows);
        let mut running = opened.running(s, &self.before);
        if shape.spans() {
            running = self.take_over(s, shape, thread, &running);
        }
        for unit in &self.units {
            let needs = NeedsTarget::new(s, unit.posting.needs, shape.full);
            let step = Step::new(s, unit, &opened, needs, &running);
            step.follow(s, &mut running);
            step.authorise(s, &mut running);
            step.change_size(s, &mut running);
            step.change_cash(s, &mut running);
            step.record(s, &mut running);
        }
        let closes = BoolTarget::new_unsafe(s.sub(self.live.target, self.continues.target));
        let mut closed = close_plain(s, shape, closes, &opened, &running, &self.before);
        closed.money.touched_at = s.context.epoch;
        self.replace_leaf(s, closes, &closed, &running, thread);
        self.emit_totals(s, closes, &closed);
        thread.continued = self.continues;
        thread.handed = self.handed(s, &running, shape);
    }

    /// What the next block needs beside the leaf: id and rows, which must be the same, and the
    /// running state.
    fn handed(&self, b: &mut Builder, running: &RunningTarget, shape: &LedgerShape) -> Vec<Target> {
        if !shape.spans() {
            return Vec::new();
        }
        let mut words = vec![self.id];
        words.extend(self.rows.iter().map(|row| row.id));
        words.extend(running.closed_taker(b).words(shape.full));
        words
    }

    fn take_over(
        &self,
        b: &mut Builder,
        shape: &LedgerShape,
        thread: &Thread,
        fresh: &RunningTarget,
    ) -> RunningTarget {
        let (same, state) = thread.handed.split_at(1 + shape.slots);
        b.conditional_assert_eq(thread.continued.target, same[0], self.id);
        for (handed, row) in same[1..].iter().zip(&self.rows) {
            b.conditional_assert_eq(thread.continued.target, *handed, row.id);
        }
        fresh.continue_if(b, shape.full, thread.continued, state)
    }

    /// The leaf before and after along one path; a block that does not close leaves the root.
    fn replace_leaf(
        &self,
        s: &mut SegmentBuilder,
        closes: BoolTarget,
        closed: &Closed,
        running: &RunningTarget,
        thread: &mut Thread,
    ) {
        let b: &mut Builder = s;
        let before = self.before.digest(b);
        let root = self.path.root(b, before);
        for (x, y) in root.elements.iter().zip(thread.accounts.elements) {
            b.conditional_assert_eq(self.live.target, *x, y);
        }
        let money = closed.money.digest(b);
        let rest = closed.rest.digest(b);
        let owned = owned_rest(b, &running.leaf.owner, rest);
        let after = compress(b, money, owned);
        let root = self.path.root(b, after);
        let kept = thread.accounts.elements;
        let next = logic::select_all(b, closes, &root.elements, &kept);
        thread.accounts.elements.copy_from_slice(&next);

        // [P6] Money and rest of every touched account; its owner where it is new.
        let created = running.leaf.created.target;
        let owner = running.leaf.owner.map(|word| s.mul(created, word));
        let words = [&[self.id], &money.elements[..], &rest.elements, &owner].concat();
        s.send(BusTag::DataAccount, &words, closes);
        let accounts = &mut s.summary.counts[DATA_ACCOUNTS];
        let count = *accounts;
        s.summary.counts[DATA_ACCOUNTS] = s.add(count, closes.target);
    }

    /// [T8] What the account's epoch changes in the rows' totals.
    fn emit_totals(&self, s: &mut SegmentBuilder, closes: BoolTarget, closed: &Closed) {
        let slots = self.before.money.slots.iter().zip(&closed.money.slots);
        for (before, after) in slots {
            let less = s.mul(closes.target, before.size);
            let less = s.neg(less);
            s.add_to(BusTag::Total, &[before.key], less);
            let more = s.mul(closes.target, after.size);
            s.add_to(BusTag::Total, &[after.key], more);
        }
    }
}

/// Place of `Counts::data_accounts`.
const DATA_ACCOUNTS: usize = 5;
