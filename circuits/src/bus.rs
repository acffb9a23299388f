//! The bus: all messages, table reads and keyed sums as terms m/(α − fp) of one sum
//! (docs/decisions.md, D2; [P1] to [P4]).
//!
//! fp = tag + β·w₀ + β²·w₁ + … over GF(p²). Terms of an epoch must add up to 0, which as rational
//! functions of α they only do if the multiplicities of every tuple do. Whatever goes on the bus is
//! committed before the challenge is drawn (`segment`).

use std::collections::BTreeMap;

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::target::Target;
use tally_protocol::instrument::{MARGIN_ROW_WORDS, MARKET_ROW_WORDS};
use tally_protocol::posting::POSTING_WORDS;

use crate::gates::bus::{BusGate, LONG, SHORT};
use crate::hint::as_signed;
use crate::summary::{Challenge, ChallengeTarget};
use crate::{Builder, D, Ext, F};

/// What a tuple is. The number is the constant term of its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub enum BusTag {
    Posting = 1,
    Signature = 2,
    Margin = 3,
    Market = 4,
    Total = 5,
    Group = 6,
    GroupEquity = 7,
    Loss = 8,
    DataAccount = 9,
    DataWithdrawal = 10,
    DataQueue = 11,
    DataRow = 12,
    /// A slot that an insurance account held or holds: id, signed lots before and after the epoch.
    Inventory = 13,
    /// A change that is due: row, digest [T7].
    Change = 14,
    /// A change that an item brings into the header: row, digest [T7].
    Admit = 15,
    /// A row for whose change the header has no place, as an item that is refused says [T7].
    NoPlace = 16,
}

impl BusTag {
    /// [P1] Each tag's tuples have a fixed length.
    pub const fn words(self) -> usize {
        match self {
            Self::Posting => POSTING_WORDS,
            Self::Signature => 10,
            Self::Margin => MARGIN_ROW_WORDS,
            Self::Market => MARKET_ROW_WORDS,
            Self::Total | Self::Group | Self::Loss | Self::NoPlace => 1,
            Self::GroupEquity => 0,
            Self::Inventory => 3,
            Self::DataAccount => 12,
            Self::DataWithdrawal => 5,
            Self::DataQueue => 6,
            Self::DataRow | Self::Change | Self::Admit => 5,
        }
    }
}

/// Keys of `BusTag::Loss`: sums over an epoch that the header takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EpochSum {
    /// G's losses, over which the recovery is spread [Q6].
    Weight = 0,
    /// What shifts post to insurance 0, and the part of it that G gains [Q6].
    Posted = 1,
    Collected = 2,
    /// Discounts of unwinds, at most what insurance has [Q7].
    Discount = 3,
}

/// Whether a term is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Out,
    In,
}

/// One term: `multiplicity` (0 where the tuple is not live) times ±1/(α − fp).
#[derive(Clone, Debug)]
pub struct Entry {
    pub tag: BusTag,
    pub direction: Direction,
    pub multiplicity: Target,
    pub words: Vec<Target>,
}

/// fp of a tuple, natively.
pub fn fingerprint(tag: BusTag, words: &[F], beta: Ext) -> Ext {
    let tail = words
        .iter()
        .rev()
        .fold(Ext::ZERO, |sum, word| (sum + Ext::from(*word)) * beta);
    tail + Ext::from_canonical_u64(tag as u64)
}

/// ±m/(α − fp), natively. None if α is the fingerprint, which has probability 2^-128.
pub fn term(challenge: Challenge, tag: BusTag, words: &[F], multiplicity: F) -> Option<Ext> {
    let denominator = challenge.alpha - fingerprint(tag, words, challenge.beta);
    Some(denominator.try_inverse()? * Ext::from(multiplicity))
}

/// The sum of all terms of a segment.
///
/// Statement: Σ ±mᵢ/(α − fpᵢ) over the entries. Assumes α is no fingerprint (else that term would
/// be free where m = 0; α is drawn after the tuples are committed).
/// Cost: a third of a row for a posting, a fifth for any other tuple; tag and direction fill rows
/// of their own, so up to one row more for each pair of them.
pub fn sum_target(
    b: &mut Builder,
    challenge: &ChallengeTarget,
    entries: &[Entry],
) -> ExtensionTarget<D> {
    let mut groups: BTreeMap<(BusTag, bool), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        assert_eq!(entry.words.len(), entry.tag.words(), "{:?}", entry.tag);
        let key = (entry.tag, entry.direction == Direction::Out);
        groups.entry(key).or_default().push(entry);
    }
    let mut sum = b.zero_extension();
    for ((tag, out), group) in groups {
        let gate = if tag.words() <= SHORT.words {
            SHORT
        } else {
            LONG
        };
        for lanes in group.chunks(gate.lanes) {
            let row = BusRow {
                gate,
                row: add_row(b, gate, tag, out),
            };
            sum = row.wire_up(b, challenge, sum, lanes);
        }
    }
    sum
}

fn add_row(b: &mut Builder, gate: BusGate, tag: BusTag, out: bool) -> usize {
    let sign = if out { F::ONE } else { F::NEG_ONE };
    b.add_gate(gate, vec![sign, F::from_canonical_u64(tag as u64)])
}

/// A row of a `BusGate`.
#[derive(Clone, Copy, Debug)]
struct BusRow {
    gate: BusGate,
    row: usize,
}

impl BusRow {
    fn wire(self, column: usize) -> Target {
        Target::wire(self.row, column)
    }

    fn pair(self, column: usize) -> ExtensionTarget<D> {
        ExtensionTarget([self.wire(column), self.wire(column + 1)])
    }

    /// Joins the row's inputs to their values, and unused ones to zero; returns the sum after it.
    fn wire_up(
        self,
        b: &mut Builder,
        challenge: &ChallengeTarget,
        sum: ExtensionTarget<D>,
        lanes: &[&Entry],
    ) -> ExtensionTarget<D> {
        b.connect_extension(challenge.alpha, self.pair(BusGate::WIRE_ALPHA));
        b.connect_extension(challenge.beta, self.pair(BusGate::WIRE_BETA));
        b.connect_extension(sum, self.pair(BusGate::WIRE_SUM_IN));
        let zero = b.zero();
        for lane in 0..self.gate.lanes {
            let entry = lanes.get(lane);
            for i in 0..self.gate.words {
                let word = entry.and_then(|entry| entry.words.get(i)).copied();
                b.connect(
                    word.unwrap_or(zero),
                    self.wire(self.gate.wire_word(lane, i)),
                );
            }
            let multiplicity = entry.map_or(zero, |entry| entry.multiplicity);
            b.connect(multiplicity, self.wire(self.gate.wire_multiplicity(lane)));
        }
        self.pair(BusGate::WIRE_SUM_OUT)
    }
}

/// All tuples of several segments with their net multiplicities: what tests and tools compare, and
/// what tells which message is unmatched when an epoch's sum isn't 0.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    net: BTreeMap<(BusTag, Vec<u64>), i128>,
}

impl Traffic {
    /// Adds a segment's entries with their values.
    pub fn add(&mut self, entries: &[Entry], value: impl Fn(Target) -> F) {
        for entry in entries {
            let words: Vec<F> = entry.words.iter().map(|&word| value(word)).collect();
            let multiplicity = as_signed(value(entry.multiplicity));
            let sign = match entry.direction {
                Direction::Out => 1,
                Direction::In => -1,
            };
            self.add_tuple(entry.tag, &words, sign * multiplicity);
        }
    }

    /// Adds one tuple.
    pub fn add_tuple(&mut self, tag: BusTag, words: &[F], multiplicity: i128) {
        if multiplicity != 0 {
            let words = words.iter().map(|word| word.to_canonical_u64()).collect();
            *self.net.entry((tag, words)).or_default() += multiplicity;
        }
    }

    /// Tuples whose multiplicities do not cancel.
    pub fn unmatched(&self) -> Vec<(BusTag, &[u64], i128)> {
        let unmatched = self.net.iter().filter(|(_, net)| **net != 0);
        unmatched
            .map(|((tag, words), &net)| (*tag, words.as_slice(), net))
            .collect()
    }

    /// The sum of all terms; None if α hits a fingerprint.
    pub fn sum(&self, challenge: Challenge) -> Option<Ext> {
        self.net
            .iter()
            .try_fold(Ext::ZERO, |sum, ((tag, words), &net)| {
                let words: Vec<F> = words
                    .iter()
                    .map(|&word| F::from_canonical_u64(word))
                    .collect();
                Some(sum + term(challenge, *tag, &words, crate::hint::from_signed(net))?)
            })
    }
}

#[cfg(test)]
mod tests;
