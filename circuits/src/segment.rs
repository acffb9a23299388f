//! The frame of a segment: context, bus, commitment, public inputs (docs/segments.md).
//!
//! Statement: the commitment is hash(Tag::Commitment, [chain id, epoch, kind, index, counts…] ‖ for
//! each tuple in the order in which it was put on the bus: multiplicity (unless a constant of the
//! circuit), words); the sum in the summary is that of exactly these tuples at the summary's
//! challenge; the context opened here has the summary's digest.
//! Guarantees [P1], [P2]: no word, live bit or multiplicity can be chosen after the challenge.
//! Cost: 5 rows for the context; per tuple of w words (w + 1)/8 rows for the commitment and 1/5 for
//! the term (1/3 for a posting).

use core::ops::{Deref, DerefMut};

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::{Digest, Tag};
use tally_protocol::header::Context;

use crate::bus::{BusTag, Direction, Entry, sum_target};
use crate::context::ContextTarget;
use crate::join::Statement;
use crate::summary::{Challenge, SUMMARY_ELEMENTS, Summary, SummaryTarget};
use crate::{Builder, F, hash};

/// Which circuit a segment is; part of its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub enum SegmentKind {
    Header = 1,
    Row = 2,
    Scan = 3,
    Journal = 4,
    Ledger4 = 5,
    Ledger16 = 6,
    Data = 8,
    /// Verified signature requests.
    Signature = 13,
    /// Tests and the example in docs/segments.md.
    Example = 9,
    /// Later circuits number on.
    JournalOther = 10,
    LedgerSystem = 11,
    /// Header, scan and the epoch's first rows in one circuit.
    Tick = 12,
    /// Accounts of four slots with many postings.
    LedgerBusy = 16,
}

/// Builds a segment: a `Builder` with a bus. Set the parts of `summary` that the segment touches
/// (chains, counts, data) before `finish`; context, challenge, bus, commitment and words are the
/// frame's.
#[allow(missing_debug_implementations)]
pub struct SegmentBuilder {
    builder: Builder,
    kind: SegmentKind,
    index: Target,
    pub context: ContextTarget,
    pub summary: SummaryTarget,
    entries: Vec<Entry>,
}

impl SegmentBuilder {
    pub fn new(kind: SegmentKind) -> Self {
        Self::over(Builder::new(), kind)
    }

    /// On a given builder, for mutation tests.
    pub fn over(mut builder: Builder, kind: SegmentKind) -> Self {
        let summary = SummaryTarget::idle(&mut builder);
        let context = ContextTarget::new(&mut builder);
        let digest = context.digest(&mut builder);
        builder.connect_hashes(digest, summary.context);
        let index = builder.add_virtual_target();
        Self {
            builder,
            kind,
            index,
            context,
            summary,
            entries: Vec::new(),
        }
    }

    /// Sends a message if it is live.
    pub fn send(&mut self, tag: BusTag, words: &[Target], live: BoolTarget) {
        self.put(tag, Direction::Out, live.target, words);
    }

    /// Receives a message, or reads a row of a table, if it is live.
    pub fn receive(&mut self, tag: BusTag, words: &[Target], live: BoolTarget) {
        self.put(tag, Direction::In, live.target, words);
    }

    /// Offers a row of a table for `multiplicity` reads (0 is not offered).
    pub fn offer(&mut self, tag: BusTag, words: &[Target], multiplicity: Target) {
        self.put(tag, Direction::Out, multiplicity, words);
    }

    /// Adds to the sum that is kept under a key [P4]. The amount is 0 where nothing is added.
    pub fn add_to(&mut self, tag: BusTag, key: &[Target], amount: Target) {
        self.put(tag, Direction::Out, amount, key);
    }

    /// Takes the whole sum that was kept under a key.
    pub fn take_sum(&mut self, tag: BusTag, key: &[Target], amount: Target) {
        self.put(tag, Direction::In, amount, key);
    }

    fn put(&mut self, tag: BusTag, direction: Direction, multiplicity: Target, words: &[Target]) {
        assert_eq!(words.len(), tag.words(), "{tag:?}");
        self.entries.push(Entry {
            tag,
            direction,
            multiplicity,
            words: words.to_vec(),
        });
    }

    /// Commits, sums and registers the public inputs. `counts` are the lengths n of the segment's
    /// lists, absorbed first.
    pub fn finish(mut self, counts: &[Target]) -> (Builder, Segment) {
        let committed = match self.builder.is_bare() {
            true => self.state(counts),
            false => self.commit(counts),
        };
        let segment = Segment {
            kind: self.kind,
            index: self.index,
            context: self.context,
            summary: self.summary,
            entries: self.entries,
            committed,
        };
        (self.builder, segment)
    }

    /// For mutation tests (`Builder::bare`): all that would be committed, and the summary.
    fn state(&mut self, counts: &[Target]) -> Vec<Target> {
        let entries = self.entries.iter();
        let stated = entries.flat_map(|entry| entry.words.iter().chain([&entry.multiplicity]));
        let stated: Vec<Target> = counts.iter().chain(stated).copied().collect();
        self.builder.state(&stated);
        self.builder.state(&self.summary.to_targets());
        stated
    }

    fn commit(&mut self, counts: &[Target]) -> Vec<Target> {
        let b = &mut self.builder;
        let kind = b.constant(F::from_canonical_u64(self.kind as u64));
        let prefix = [
            self.context.globals.chain_id,
            self.context.epoch,
            kind,
            self.index,
        ];
        let mut committed = [&prefix, counts].concat();
        for entry in &self.entries {
            if b.target_as_constant(entry.multiplicity).is_none() {
                committed.push(entry.multiplicity);
            }
            committed.extend(&entry.words);
        }
        self.summary.commitment = hash::hash(b, Tag::Commitment, &committed);
        self.summary.bus = sum_target(b, &self.summary.challenge, &self.entries);
        let words: usize = self.entries.iter().map(|entry| 1 + entry.words.len()).sum();
        self.summary.words = b.constant(F::from_canonical_usize(words));
        self.summary.register(b);
        committed
    }
}

impl Deref for SegmentBuilder {
    type Target = Builder;

    fn deref(&self) -> &Builder {
        &self.builder
    }
}

impl DerefMut for SegmentBuilder {
    fn deref_mut(&mut self) -> &mut Builder {
        &mut self.builder
    }
}

/// Where the epoch stands as a segment begins: what it hands on of the chains that it doesn't
/// touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassingChains {
    pub accounts: Digest,
    pub handoff: Digest,
    pub tick_table: Digest,
    pub close_table: Digest,
}

/// The targets of a finished segment that every segment has.
#[derive(Clone, Debug)]
pub struct Segment {
    pub kind: SegmentKind,
    pub index: Target,
    pub context: ContextTarget,
    pub summary: SummaryTarget,
    /// What is on the bus, in order.
    pub entries: Vec<Entry>,
    /// What the commitment absorbs.
    committed: Vec<Target>,
}

impl Segment {
    /// Sets what is known before the challenge.
    pub fn set_context(
        &self,
        witness: &mut PartialWitness<F>,
        context: &Context,
        index: u32,
    ) -> anyhow::Result<()> {
        self.context.set(witness, context)?;
        witness.set_target(self.index, F::from_canonical_u32(index))
    }

    /// Sets the chains that the segment passes through.
    pub fn set_passing(
        &self,
        witness: &mut PartialWitness<F>,
        chains: &PassingChains,
    ) -> anyhow::Result<()> {
        for (target, value) in [
            (self.summary.accounts, chains.accounts),
            (self.summary.handoff, chains.handoff),
            (self.summary.tick_table, chains.tick_table),
            (self.summary.close_table, chains.close_table),
        ] {
            if target.before == target.after {
                witness.set_hash_target(target.before, value)?;
            }
        }
        Ok(())
    }

    /// Sets the challenge and the joins' key, in a second stage (`witness::Staged`).
    pub fn set_challenge(
        &self,
        witness: &mut PartialWitness<F>,
        challenge: Challenge,
        join_key: Digest,
    ) -> anyhow::Result<()> {
        witness.set_extension_target(self.summary.challenge.alpha, challenge.alpha)?;
        witness.set_extension_target(self.summary.challenge.beta, challenge.beta)?;
        witness.set_hash_target(self.summary.join_key, join_key)
    }

    /// The summary from the values of the witness.
    pub fn summary(&self, value: impl Fn(Target) -> F) -> Summary {
        let elements: Vec<F> = self.summary.to_targets().into_iter().map(value).collect();
        debug_assert_eq!(elements.len(), SUMMARY_ELEMENTS);
        Summary::from_elements(&elements).expect("a summary has its length")
    }

    /// The commitment, known before the challenge.
    pub fn commitment<E>(&self, value: impl Fn(Target) -> Result<F, E>) -> Result<Digest, E> {
        let [a, b, c, d] = self.summary.commitment.elements;
        Ok(Digest {
            elements: [value(a)?, value(b)?, value(c)?, value(d)?],
        })
    }

    /// The words under the commitment.
    pub fn committed(&self) -> &[Target] {
        &self.committed
    }
}

#[cfg(test)]
mod tests;
