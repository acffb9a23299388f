//! The header: one epoch's step of what holds for all of it (docs/segments/tick.md; [S1], [T1],
//! [T2], [T7], [Q6], [Q7]).
//!
//! *Statement.* The context's headers are the ones opened here; the second follows from the first
//! by the round that k distinct reporters signed, by what the rows and the ledger sum up, and by
//! the changes that are due or admitted. Every member of the context but the table, which the
//! epoch's root compares, and the vault, which the ledger compares with the bridge's leaf, is
//! checked here, its width too. *Cost.* 313 rows with three reports, the frame among them.

#[cfg(test)]
mod mutation;
mod pending;

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{
    MAX_REPORTERS, POSTING_CASH_BITS, RECOVERY_BITS, REQUIREMENT_BITS, TIME_BITS,
};
use tally_protocol::entry::Entry;
use tally_protocol::epoch::{EpochTrace, TICK_INDEX};
use tally_protocol::hash::{Tag, signed, unsigned};
use tally_protocol::header::{HEADER_WORDS, Header};
use tally_protocol::instrument::MARGIN_ROW_WORDS;
use tally_protocol::message::MessageKind;
use tally_protocol::oracle::REPORTERS_WORDS;
use tally_protocol::posting::{Needs, POSTING_WORDS, Posting, PostingKind};
use tally_protocol::queue::{Request, Service};
use tally_protocol::socialisation::recovered;
use tally_protocol::types::AccountId;

use crate::bus::{BusTag, EpochSum};
use crate::gadgets::{logic, range};
use crate::message::{DomainTarget, MessageFrame, author};
use crate::row::ReportsTarget;
use crate::row::numbers::min;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F, hash};
use pending::PendingTarget;

/// Places in `Header::words`.
const EPOCH: usize = 0;
const ROUND: usize = 1;
const TIME: usize = 2;
const REPORTERS: usize = 3;
const DEFICIT: usize = 7;
const GLOBALS: usize = 8;
const FILLS_FROM: usize = 12;
const PENDING: usize = 13;

/// The header's targets, in whichever segment it stands.
#[derive(Clone, Debug)]
pub struct HeaderTarget {
    before: [Target; HEADER_WORDS],
    after: [Target; HEADER_WORDS],
    /// n, k, keys.
    reporters: [Target; REPORTERS_WORDS],
    /// Who signed, by rising place in the set.
    signers: Vec<Target>,
    previous: Target,
    group_equity: Target,
    sums: SumsTarget,
    pending: PendingTarget,
    empty_reads: Target,
}

/// What the rows and the journal sum up.
#[derive(Clone, Copy, Debug)]
struct SumsTarget {
    posted: Target,
    collected: Target,
    discounts: Target,
}

/// What the header's witness needs beside the epoch's trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderReads {
    /// How often the ledger reads the row of zeros, for places that serve no instrument.
    pub empty: u64,
    /// Sum of the discounts of unwinds.
    pub discounts: u64,
}

impl HeaderTarget {
    /// Counts as the epoch's header [P5].
    pub fn new(s: &mut SegmentBuilder, reports: &ReportsTarget) -> Self {
        let before: [Target; HEADER_WORDS] = s.add_virtual_target_arr();
        let after: [Target; HEADER_WORDS] = s.add_virtual_target_arr();
        for (words, digest) in [
            (&before, s.context.header_before),
            (&after, s.context.header_after),
        ] {
            let computed = hash::hash(s, Tag::Header, words);
            s.connect_hashes(computed, digest);
        }
        globals(s, &before, &after);
        let previous = advance(s, &before, &after);
        let (reporters, signers) = signatures(s, &before, reports, previous);
        for i in REPORTERS..DEFICIT {
            s.connect(before[i], after[i]);
        }
        let (group_equity, sums) = losses(s, &before, &after);
        let pending = PendingTarget::new(s, &before[PENDING..], &after[PENDING..]);
        let empty_reads = s.add_virtual_target();
        let zero = s.zero();
        s.offer(BusTag::Margin, &[zero; MARGIN_ROW_WORDS], empty_reads);
        s.summary.counts[0] = s.one();
        Self {
            before,
            after,
            reporters,
            signers,
            previous,
            group_equity,
            sums,
            pending,
            empty_reads,
        }
    }

    pub fn set(
        &self,
        witness: &mut PartialWitness<F>,
        header: &HeaderWitness,
    ) -> anyhow::Result<()> {
        let (before, after) = (&header.before, &header.after);
        witness.set_target_arr(&self.before, &before.words())?;
        witness.set_target_arr(&self.after, &after.words())?;
        witness.set_target_arr(&self.reporters, &header.reporters)?;
        anyhow::ensure!(
            header.signers.len() == self.signers.len(),
            "[T1] another quorum"
        );
        for (target, signer) in self.signers.iter().zip(&header.signers) {
            witness.set_target(*target, unsigned((*signer).into()))?;
        }
        let [posted, collected] = header.recovered;
        for (target, value) in [
            (self.previous, unsigned(header.previous.into())),
            (self.group_equity, signed(header.group_equity)),
            (self.sums.posted, unsigned(posted)),
            (self.sums.collected, unsigned(collected)),
            (self.sums.discounts, unsigned(header.reads.discounts)),
            (self.empty_reads, unsigned(header.reads.empty)),
        ] {
            witness.set_target(target, value)?;
        }
        self.pending
            .set(witness, (before, after), &header.refused_changes)
    }
}

/// What the header's witness sets.
#[derive(Clone, Debug)]
pub struct HeaderWitness {
    pub before: Header,
    pub after: Header,
    /// n, k, keys.
    pub reporters: [F; REPORTERS_WORDS],
    /// Places in the set, rising.
    pub signers: Vec<u32>,
    pub previous: u32,
    pub group_equity: i64,
    /// What the shifts post, and the part of it that G gains.
    pub recovered: [u64; 2],
    pub reads: HeaderReads,
    /// Rows of changes that items are refused for [T7].
    pub refused_changes: Vec<u32>,
}

impl HeaderWitness {
    pub fn new(trace: &EpochTrace, reads: HeaderReads) -> Self {
        let reports = trace.round.reports().iter();
        let recovered = recovered(trace.rows.iter().map(|row| &row.shift));
        Self {
            before: trace.header_before,
            after: trace.header_after,
            reporters: trace.reporters.words(),
            signers: reports.map(|(report, _)| report.reporter).collect(),
            previous: trace.round.stamp().previous,
            group_equity: trace.group_equity,
            recovered: [recovered.posted, recovered.collected],
            reads,
            refused_changes: trace.entries.iter().filter_map(refused_change).collect(),
        }
    }
}

/// The row of a change that the header has no place for [T7].
fn refused_change(entry: &Entry) -> Option<u32> {
    let Entry::Item(served) = entry else {
        return None;
    };
    match (&served.item.request, &served.service) {
        (Request::Change(change), Service::Refused(_)) => Some(change.row()),
        _ => None,
    }
}

/// The globals never change; the context's are the header's.
fn globals(s: &mut SegmentBuilder, before: &[Target], after: &[Target]) {
    let words = s.context.globals.words();
    let digest = hash::hash(s, Tag::Globals, &words);
    for words in [before, after] {
        s.connect_all(&digest.elements, &words[GLOBALS..FILLS_FROM]);
    }
}

/// Twin of `Header::advance` [T2]; the previous round that the reporters signed comes back.
fn advance(s: &mut SegmentBuilder, before: &[Target], after: &[Target]) -> Target {
    let (epoch, round, time) = (s.context.epoch, s.context.round, s.context.time);
    for (place, member) in [(EPOCH, epoch), (ROUND, round), (TIME, time)] {
        s.connect(after[place], member);
    }
    let one = s.one();
    let next = s.add(before[EPOCH], one);
    s.connect(next, epoch);
    range::check_32(s, epoch);
    range::check_32(s, round);
    range::check_bits(s, time, TIME_BITS);
    range::assert_lt(s, before[TIME], time);
    let previous = s.add_virtual_target();
    let last = s.sub(round, one);
    range::check_between(s, before[ROUND], previous, last);
    let follows = logic::is_equal(s, previous, before[ROUND]);
    let entries = s.context.entries_allowed;
    s.connect(entries.target, follows.target);
    let pause = s.context.globals.fill_pause;
    let resumed = s.add_many([epoch, pause, one]);
    let fills_from = logic::select(s, follows, before[FILLS_FROM], resumed);
    s.connect(after[FILLS_FROM], fills_from);
    range::check_32(s, fills_from);
    let allowed = range::is_le(s, fills_from, epoch);
    let fills = s.context.fills_allowed;
    s.connect(fills.target, allowed.target);
    previous
}

/// [T1] k distinct reporters of the header's set signed the epoch's round and their prices' root.
fn signatures(
    s: &mut SegmentBuilder,
    before: &[Target],
    reports: &ReportsTarget,
    previous: Target,
) -> ([Target; REPORTERS_WORDS], Vec<Target>) {
    let words: [Target; REPORTERS_WORDS] = s.add_virtual_target_arr();
    let digest = hash::hash(s, Tag::Reporters, &words);
    s.connect_all(&digest.elements, &before[REPORTERS..DEFICIT]);
    let [size, quorum, keys @ ..] = words;
    let expected = s.constant(F::from_canonical_usize(reports.roots().len()));
    s.connect(quorum, expected);
    let globals = s.context.globals;
    let domain = DomainTarget::of(s, &globals);
    let frame = MessageFrame::new(s, &domain, MessageKind::Report);
    let signers = s.add_virtual_targets(reports.roots().len());
    for (i, (&signer, root)) in signers.iter().zip(reports.roots()).enumerate() {
        let after = signers.get(i + 1).copied().unwrap_or(size);
        range::assert_lt(s, signer, after);
        let key = key_of(s, signer, &keys);
        let author = author(s, signer, globals.feed_set);
        let [r0, r1, r2, r3] = root.elements;
        let (round, time) = (s.context.round, s.context.time);
        let body = [author, round, time, previous, r0, r1, r2, r3];
        let digest = frame.digest(s, &body);
        request(s, &key, digest);
    }
    (words, signers)
}

/// The signer's key among the fifteen; also holds the signer below 15.
fn key_of(b: &mut Builder, signer: Target, keys: &[Target]) -> [Target; 5] {
    let chosen = logic::one_hot(b, signer, MAX_REPORTERS);
    core::array::from_fn(|word| {
        let words: Vec<Target> = keys.iter().skip(word).step_by(5).copied().collect();
        logic::choose(b, &chosen, &words)
    })
}

fn request(s: &mut SegmentBuilder, key: &[Target; 5], digest: HashOutTarget) {
    let epoch = s.context.epoch;
    let words = [&[epoch], &key[..], &digest.elements].concat();
    let live = s._true();
    s.send(BusTag::Signature, &words, live);
}

/// Twin of `plan`, `recovered` and `deficit_after` [Q6], and the budget of unwinds [Q7].
fn losses(s: &mut SegmentBuilder, before: &[Target], after: &[Target]) -> (Target, SumsTarget) {
    let equity = s.add_virtual_target();
    s.take_sum(BusTag::GroupEquity, &[], equity);
    // |E_G| ≤ 2^62, or `positive` has no witness; so have sums of it and what is below 2^62 in
    // theirs.
    let budget = positive(s, equity);
    let context = s.context;
    s.connect(budget, context.unwind_budget);
    let owed = s.add(equity, before[DEFICIT]);
    let short = shortfall(s, owed);
    let most = s.constant(unsigned((1 << RECOVERY_BITS) - 1));
    let recovery = min(s, short, most);
    s.connect(recovery, context.recovery);
    take(s, EpochSum::Weight, context.losses);
    range::check_bits(s, context.losses, REQUIREMENT_BITS);
    let sums = SumsTarget {
        posted: s.add_virtual_target(),
        collected: s.add_virtual_target(),
        discounts: s.add_virtual_target(),
    };
    take(s, EpochSum::Posted, sums.posted);
    range::check_bits(s, sums.posted, POSTING_CASH_BITS);
    post(s, sums.posted);
    take(s, EpochSum::Collected, sums.collected);
    range::check_62(s, sums.collected);
    let owed = s.add(equity, sums.collected);
    let deficit = shortfall(s, owed);
    s.connect(deficit, context.deficit);
    s.connect(deficit, after[DEFICIT]);
    take(s, EpochSum::Discount, sums.discounts);
    let zero = s.zero();
    range::check_between(s, zero, sums.discounts, budget);
    (equity, sums)
}

fn take(s: &mut SegmentBuilder, key: EpochSum, amount: Target) {
    let key = s.constant(F::from_canonical_u64(key as u64));
    s.take_sum(BusTag::Loss, &[key], amount);
}

/// max(0, x), as `range::is_nonnegative`.
fn positive(b: &mut Builder, x: Target) -> Target {
    let sign = range::is_nonnegative(b, x);
    b.mul(sign.target, x)
}

/// max(0, −x).
fn shortfall(b: &mut Builder, x: Target) -> Target {
    let negated = b.neg(x);
    positive(b, negated)
}

/// The tick's posting to insurance 0, in every epoch (docs/decisions.md, D19).
fn post(s: &mut SegmentBuilder, posted: Target) {
    let native = Posting {
        index: TICK_INDEX,
        needs: Needs::SYSTEM,
        ..Posting::blank(PostingKind::Tick, AccountId(0))
    };
    let mut words: [Target; POSTING_WORDS] = native.words().map(|word| s.constant(word));
    words[1] = s.context.epoch;
    words[6] = posted;
    let live = s._true();
    s.send(BusTag::Posting, &words, live);
}

/// A segment that is a header alone.
#[derive(Clone, Debug)]
pub struct HeaderSegment {
    pub segment: Segment,
    pub reports: ReportsTarget,
    pub header: HeaderTarget,
}

impl HeaderSegment {
    /// For rounds of `quorum` reports.
    pub fn build(quorum: usize) -> (Builder, Self) {
        Self::build_over(Builder::new(), quorum)
    }

    /// On a given builder, for mutation tests.
    pub fn build_over(builder: Builder, quorum: usize) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Header);
        let reports = ReportsTarget::new(&mut s, quorum);
        let header = HeaderTarget::new(&mut s, &reports);
        let (builder, segment) = s.finish(&[]);
        let header = Self {
            segment,
            reports,
            header,
        };
        (builder, header)
    }
}

#[cfg(test)]
mod tests;
