//! A block: one account, opened, given up to P postings and closed, or handed to the next block.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::bounds::ACCOUNT_DEPTH;

use super::LedgerShape;
use super::apply::{Step, UnitTarget};
use super::close::{Closed, close_plain};
use super::full::{FullBlock, run_full};
use super::leaf::{AccountTarget, owned_rest};
use super::needs::{NeedsTarget, PLAIN_NEEDS};
use super::open::Opened;
use super::running::RunningTarget;
use crate::Builder;
use crate::bus::BusTag;
use crate::gadgets::merkle::PathTarget;
use crate::gadgets::{logic, range};
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
    /// What only full shapes are told.
    pub(super) full: Option<FullBlock>,
}

/// What a block takes over and hands on.
pub(super) struct Thread {
    pub accounts: HashOutTarget,
    /// The account of this block is that of the one before.
    pub continued: BoolTarget,
    /// Its id, its rows' ids and its running state.
    pub handed: Vec<Target>,
}

/// How a block ended.
pub(super) struct Ended {
    pub closed: Closed,
    pub running: RunningTarget,
    /// The account closes here.
    pub closes: BoolTarget,
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
        let rows = (0..shape.slots).map(|_| read_row(s, live)).collect();
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
            full: shape.full.then(|| FullBlock::new(s, live)),
        }
    }

    /// Runs the block and moves the thread on.
    pub(super) fn run(&self, s: &mut SegmentBuilder, shape: &LedgerShape, thread: &mut Thread) {
        logic::assert_implies(s, thread.continued, self.live);
        let opened = Opened::new(s, shape, &self.before, &self.rows);
        let ended = match &self.full {
            Some(full) => run_full(s, shape, self, full, &opened, thread),
            None => self.run_plain(s, shape, &opened, thread),
        };
        // [S4] No counter reaches 2^32, where a message's packed elements would collide.
        range::check_32(s, ended.running.nonce);
        range::check_32(s, ended.running.generation);
        thread.continued = self.continues;
        thread.handed = self.handed(s, &ended.running, shape);
    }

    fn run_plain(
        &self,
        s: &mut SegmentBuilder,
        shape: &LedgerShape,
        opened: &Opened,
        thread: &mut Thread,
    ) -> Ended {
        let isolated = Opened::plain_kind(s, &self.before);
        let exists = s._true();
        let fresh = opened.running(s, &self.before, exists, isolated);
        let mut running = self.take_over(s, shape, thread, fresh);
        for unit in &self.units {
            let serves = |need| PLAIN_NEEDS.contains(&need);
            let needs = NeedsTarget::new(s, unit.posting.needs, serves);
            let step = Step::new(s, unit, opened, needs, &running);
            step.follow(s, &mut running);
            step.authorise(s, &mut running);
            step.change_size(s, &mut running);
            step.change_cash(s, &mut running);
            step.record(s, &mut running);
        }
        let closes = self.closes(s);
        let closed = close_plain(s, shape, closes, opened, &running, &self.before);
        let ended = Ended {
            closed,
            running,
            closes,
        };
        let leaf = self.before.digest(s);
        self.replace_leaf(s, leaf, &ended, thread);
        self.emit_totals(s, closes, &ended);
        ended
    }

    pub(super) fn closes(&self, b: &mut Builder) -> BoolTarget {
        BoolTarget::new_unsafe(b.sub(self.live.target, self.continues.target))
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

    pub(super) fn take_over(
        &self,
        b: &mut Builder,
        shape: &LedgerShape,
        thread: &Thread,
        fresh: RunningTarget,
    ) -> RunningTarget {
        if !shape.spans() {
            return fresh;
        }
        let (same, state) = thread.handed.split_at(1 + shape.slots);
        b.conditional_assert_eq(thread.continued.target, same[0], self.id);
        for (handed, row) in same[1..].iter().zip(&self.rows) {
            b.conditional_assert_eq(thread.continued.target, *handed, row.id);
        }
        fresh.continue_if(b, shape.full, thread.continued, state)
    }

    /// The leaf before and after along one path; a block that does not close leaves the root. Where
    /// nothing exists, before or after, the leaf is empty.
    pub(super) fn replace_leaf(
        &self,
        s: &mut SegmentBuilder,
        before: HashOutTarget,
        ended: &Ended,
        thread: &mut Thread,
    ) {
        let Ended {
            closed,
            running,
            closes,
        } = ended;
        let mut money = closed.money.clone();
        money.touched_at = s.context.epoch;
        let b: &mut Builder = s;
        let root = self.path.root(b, before);
        let held = thread.accounts.elements;
        logic::assert_digests_equal_if(b, self.live, &root.elements, &held);
        let money = money.digest(b);
        let rest = closed.rest.digest(b);
        let owned = owned_rest(b, &running.leaf.owner, rest);
        let leaf = compress(b, money, owned);
        let after = mask(b, running.leaf.exists, leaf);
        let root = self.path.root(b, after);
        let kept = thread.accounts.elements;
        let next = logic::select_all(b, *closes, &root.elements, &kept);
        thread.accounts.elements.copy_from_slice(&next);

        // [P6] Money and rest of every touched account; its owner where it is new.
        let created = running.leaf.created.target;
        let owner = running.leaf.owner.map(|word| s.mul(created, word));
        let words = [&[self.id], &money.elements[..], &rest.elements, &owner].concat();
        let left = s.and(*closes, running.leaf.exists);
        s.send(BusTag::DataAccount, &words, left);
        let count = s.summary.counts[DATA_ACCOUNTS];
        s.summary.counts[DATA_ACCOUNTS] = s.add(count, left.target);
    }

    /// [T8] What the account's epoch changes in the rows' totals.
    pub(super) fn emit_totals(&self, s: &mut SegmentBuilder, counts: BoolTarget, ended: &Ended) {
        let slots = ended.closed.money.slots.iter();
        for (before, after) in self.before.money.slots.iter().zip(slots) {
            let less = s.mul(counts.target, before.size);
            let less = s.neg(less);
            s.add_to(BusTag::Total, &[before.key], less);
            let more = s.mul(counts.target, after.size);
            s.add_to(BusTag::Total, &[after.key], more);
        }
    }
}

/// The digest, or that of an empty leaf. Free where `exists` is the constant 1.
pub(super) fn mask(b: &mut Builder, exists: BoolTarget, digest: HashOutTarget) -> HashOutTarget {
    HashOutTarget {
        elements: digest.elements.map(|x| b.mul(exists.target, x)),
    }
}

/// A row as the ledger reads it.
pub(super) fn read_row(s: &mut SegmentBuilder, live: BoolTarget) -> MarginRowTarget {
    let row = MarginRowTarget::new_unchecked(s);
    let words = row.words(s);
    s.receive(BusTag::Margin, &words, live);
    row
}

/// Place of `Counts::data_accounts`.
const DATA_ACCOUNTS: usize = 4;
