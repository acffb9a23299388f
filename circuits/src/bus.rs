//! The bus: all messages, table reads and keyed sums as terms m/(α − fp) of one sum
//! (docs/decisions.md, D2; [P1] to [P4]).
//!
//! fp = tag + β·w₀ + β²·w₁ + … over GF(p²). Terms of an epoch must add up to 0, which as rational
//! functions of α they only do if the multiplicities of every tuple do. Whatever goes on the bus is
//! committed before the challenge is drawn (`segment`).

use std::collections::BTreeMap;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::gates::reducing::ReducingGate;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::target::Target;
use tally_protocol::instrument::{MARGIN_ROW_WORDS, MARKET_ROW_WORDS};
use tally_protocol::posting::POSTING_WORDS;

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
}

impl BusTag {
    /// [P1] Each tag's tuples have a fixed length.
    pub const fn words(self) -> usize {
        match self {
            Self::Posting => POSTING_WORDS,
            Self::Signature => 10,
            Self::Margin => MARGIN_ROW_WORDS,
            Self::Market => MARKET_ROW_WORDS,
            Self::Total | Self::Group => 1,
            Self::GroupEquity | Self::Loss => 0,
            Self::DataAccount => 12,
            Self::DataWithdrawal => 5,
            Self::DataQueue => 6,
            Self::DataRow => 5,
        }
    }
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

/// Wires of the stock `ReducingGate`, which keeps them to itself: output, β, the sum before, then
/// coefficients from the highest power.
#[derive(Clone, Copy, Debug)]
struct ReducingWires {
    row: usize,
}

impl ReducingWires {
    fn pair(self, column: usize) -> ExtensionTarget<D> {
        ExtensionTarget([column, column + 1].map(|column| Target::wire(self.row, column)))
    }

    fn output(self) -> ExtensionTarget<D> {
        self.pair(0)
    }

    fn beta(self) -> ExtensionTarget<D> {
        self.pair(D)
    }

    fn start(self) -> ExtensionTarget<D> {
        self.pair(2 * D)
    }

    fn coefficient(self, index: usize) -> Target {
        Target::wire(self.row, 3 * D + index)
    }
}

/// Twin of `fingerprint`.
///
/// Statement: fp = tag + Σ β^(i+1)·wᵢ. Cost: 1 row for up to 42 words (none for no word).
pub fn fingerprint_target(
    b: &mut Builder,
    tag: BusTag,
    words: &[Target],
    beta: ExtensionTarget<D>,
) -> ExtensionTarget<D> {
    let tag = b.constant(F::from_canonical_u64(tag as u64));
    if words.is_empty() {
        return b.convert_to_ext(tag);
    }
    let gate = ReducingGate::<D>::new(ReducingGate::<D>::max_coeffs_len(
        b.config.num_wires,
        b.config.num_routed_wires,
    ));
    assert!(words.len() < gate.num_coeffs, "{} words", words.len());
    let row = b.add_gate(gate.clone(), vec![]);
    let zero = b.zero();
    let wires = ReducingWires { row };
    b.connect_extension(beta, wires.beta());
    let none = b.zero_extension();
    b.connect_extension(none, wires.start());
    let padding = core::iter::repeat_n(zero, gate.num_coeffs - 1 - words.len());
    let coefficients = padding.chain(words.iter().rev().copied()).chain([tag]);
    for (i, coefficient) in coefficients.enumerate() {
        b.connect(coefficient, wires.coefficient(i));
    }
    wires.output()
}

/// Twin of `term`: t with t·(α − fp) = m, t a hint. Assumes α ≠ fp (else t would be free for m = 0;
/// α is drawn after the tuple is committed). Cost: the fingerprint's, and 2 extension operations
/// (1/10 row each).
pub fn term_target(
    b: &mut Builder,
    challenge: &ChallengeTarget,
    tag: BusTag,
    words: &[Target],
    multiplicity: Target,
) -> ExtensionTarget<D> {
    assert_eq!(words.len(), tag.words(), "{tag:?}");
    let fp = fingerprint_target(b, tag, words, challenge.beta);
    let denominator = b.sub_extension(challenge.alpha, fp);
    let [d0, d1] = denominator.0;
    let hint = b.hint("bus term", &[d0, d1, multiplicity], D, |v| {
        let inverse = QuadraticExtension([v[0], v[1]])
            .try_inverse()
            .unwrap_or_default();
        (inverse * Ext::from(v[2])).0.to_vec()
    });
    let term = ExtensionTarget([hint[0], hint[1]]);
    let product = b.mul_extension(term, denominator);
    let multiplicity = b.convert_to_ext(multiplicity);
    b.connect_extension(product, multiplicity);
    term
}

/// Twin of a whole segment's sum. Cost: 1 extension operation a term.
pub fn sum_target(
    b: &mut Builder,
    challenge: &ChallengeTarget,
    entries: &[Entry],
) -> ExtensionTarget<D> {
    let mut sum = b.zero_extension();
    for entry in entries {
        let term = term_target(b, challenge, entry.tag, &entry.words, entry.multiplicity);
        sum = match entry.direction {
            Direction::Out => b.add_extension(sum, term),
            Direction::In => b.sub_extension(sum, term),
        };
    }
    sum
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
