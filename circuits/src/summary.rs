//! The public inputs of every segment and join, and the rule that joins them \[P5\].
//!
//! `Summary` and `SummaryTarget` mirror each other: same fields, same order, same join. The order
//! of the fields is the order of the public inputs; `tests/vectors/summary.json` holds it.

mod target;
#[cfg(test)]
mod tests;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::{Digest, Tag, hash};
use thiserror::Error;

pub use target::{ChainTarget, ChallengeTarget, DataPolynomialTarget, SummaryTarget};
pub(crate) use target::{TargetReader, join_commitments_target};

use crate::{Ext, F};

/// Public inputs of a segment or join.
pub const SUMMARY_ELEMENTS: usize = 64;
/// Kinds of counted things, in the order of `Counts`.
pub const COUNTS: usize = 6;

/// What a segment states, or several joined segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Digest of what holds for the whole epoch (docs/decisions.md, D3).
    pub context: Digest,
    pub challenge: Challenge,
    /// Σ m/(α − fp) over everything sent, read and received \[P3\], \[P4\].
    pub bus: Ext,
    /// Binds every word on the bus before the challenge \[P2\].
    pub commitment: Digest,
    /// Words that the circuit can put on the bus \[P1\].
    pub words: u64,
    pub counts: Counts,
    /// Account root.
    pub accounts: Chain,
    /// Running state of an account that spans segments \[L1\]; zeros for none.
    pub handoff: Chain,
    /// Table root through the tick, and through the close.
    pub tick_table: Chain,
    pub close_table: Chain,
    pub data: DataPolynomial,
    /// Digest of the join circuit's verifier key.
    pub join_key: Digest,
}

/// One challenge per epoch: the hash of all commitments \[P2\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    pub alpha: Ext,
    pub beta: Ext,
}

impl Challenge {
    /// \[P2\] The epoch's challenge, from the roots of the two commitment trees and the context.
    pub fn derive(main: Digest, data: Digest, context: Digest) -> Self {
        let elements = [main.elements, data.elements, context.elements].concat();
        let [a, b, c, d] = hash(Tag::Challenge, &elements).elements;
        Self {
            alpha: extension(a, b),
            beta: extension(c, d),
        }
    }
}

/// What is counted over an epoch. Each segment's own counts are far below 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub headers: u64,
    pub scans: u64,
    /// Records of each section of the L1 data \[P6\].
    pub data_queue: u64,
    pub data_withdrawals: u64,
    pub data_accounts: u64,
    pub data_rows: u64,
}

/// A value that segments hand along: one's `after` is the next one's `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    pub before: Digest,
    pub after: Digest,
}

/// A list d of L1 data as a polynomial at the batch's point z \[P6\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPolynomial {
    /// Elements of the list.
    pub length: u64,
    /// z
    pub point: Ext,
    /// y = Σ dᵢ zⁱ
    pub value: Ext,
    /// z^length
    pub shift: Ext,
}

/// Why summaries do not join. Positions count from the left, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    #[error("[P5] a join needs at least one child")]
    Empty,
    #[error("[P5] child {child} has another {field} than child 0")]
    Differs { field: &'static str, child: usize },
    #[error("[P5] child {child} does not start where its left neighbour ends: {chain}")]
    Unchained { chain: &'static str, child: usize },
    #[error("[P1] {field} overflows at child {child}")]
    Overflow { field: &'static str, child: usize },
    #[error("[P5] a summary has {SUMMARY_ELEMENTS} elements, got {0}")]
    Length(usize),
}

impl JoinError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            JoinError::Empty => "P5.empty",
            JoinError::Differs { .. } => "P5.differs",
            JoinError::Unchained { .. } => "P5.unchained",
            JoinError::Overflow { .. } => "P1.overflow",
            JoinError::Length(_) => "P5.length",
        }
    }
}

impl Summary {
    /// A segment that touches nothing: chains pass through, no data, nothing on the bus.
    pub fn idle(context: Digest, challenge: Challenge, join_key: Digest) -> Self {
        Self {
            context,
            challenge,
            bus: Ext::ZERO,
            commitment: HashOut::ZERO,
            words: 0,
            counts: Counts::default(),
            accounts: Chain::unchanged(HashOut::ZERO),
            handoff: Chain::unchanged(HashOut::ZERO),
            tick_table: Chain::unchanged(HashOut::ZERO),
            close_table: Chain::unchanged(HashOut::ZERO),
            data: DataPolynomial::empty(Ext::ZERO),
            join_key,
        }
    }

    /// \[P5\] The join rule over children from left to right.
    pub fn join(children: &[Summary]) -> Result<Summary, JoinError> {
        let (first, rest) = children.split_first().ok_or(JoinError::Empty)?;
        let mut joined = first.clone();
        for (child, next) in (1..).zip(rest) {
            joined.append(next, child)?;
        }
        joined.commitment = join_commitments(children.iter().map(|c| c.commitment));
        Ok(joined)
    }

    fn append(&mut self, next: &Summary, child: usize) -> Result<(), JoinError> {
        for (field, equal) in [
            ("context", self.context == next.context),
            ("challenge", self.challenge == next.challenge),
            ("data point", self.data.point == next.data.point),
            ("join key", self.join_key == next.join_key),
        ] {
            if !equal {
                return Err(JoinError::Differs { field, child });
            }
        }
        self.bus += next.bus;
        self.words = add(self.words, next.words, "words", child)?;
        self.counts.append(&next.counts, child)?;
        self.accounts.append(next.accounts, "accounts", child)?;
        self.handoff.append(next.handoff, "handoff", child)?;
        self.tick_table
            .append(next.tick_table, "tick table", child)?;
        self.close_table
            .append(next.close_table, "close table", child)?;
        add(self.data.length, next.data.length, "data length", child)?;
        self.data = self.data.followed_by(&next.data);
        Ok(())
    }

    /// The public inputs.
    pub fn to_elements(&self) -> Vec<F> {
        let ext = |e: Ext| e.0;
        let mut out = Vec::with_capacity(SUMMARY_ELEMENTS);
        out.extend(self.context.elements);
        out.extend(ext(self.challenge.alpha));
        out.extend(ext(self.challenge.beta));
        out.extend(ext(self.bus));
        out.extend(self.commitment.elements);
        out.push(F::from_canonical_u64(self.words));
        out.extend(self.counts.to_array().map(F::from_canonical_u64));
        for chain in [
            self.accounts,
            self.handoff,
            self.tick_table,
            self.close_table,
        ] {
            out.extend(chain.before.elements);
            out.extend(chain.after.elements);
        }
        out.push(F::from_canonical_u64(self.data.length));
        out.extend(ext(self.data.point));
        out.extend(ext(self.data.value));
        out.extend(ext(self.data.shift));
        out.extend(self.join_key.elements);
        out
    }

    pub fn from_elements(elements: &[F]) -> Result<Self, JoinError> {
        if elements.len() != SUMMARY_ELEMENTS {
            return Err(JoinError::Length(elements.len()));
        }
        let mut r = Reader::new(elements);
        let number = |f: F| f.to_canonical_u64();
        Ok(Self {
            context: r.digest(),
            challenge: Challenge {
                alpha: r.ext(),
                beta: r.ext(),
            },
            bus: r.ext(),
            commitment: r.digest(),
            words: number(r.one()),
            counts: Counts::from_array(r.take().map(number)),
            accounts: r.chain(),
            handoff: r.chain(),
            tick_table: r.chain(),
            close_table: r.chain(),
            data: r.data(),
            join_key: r.digest(),
        })
    }
}

impl Counts {
    pub fn to_array(&self) -> [u64; COUNTS] {
        [
            self.headers,
            self.scans,
            self.data_queue,
            self.data_withdrawals,
            self.data_accounts,
            self.data_rows,
        ]
    }

    pub fn from_array(array: [u64; COUNTS]) -> Self {
        let [
            headers,
            scans,
            data_queue,
            data_withdrawals,
            data_accounts,
            data_rows,
        ] = array;
        Self {
            headers,
            scans,
            data_queue,
            data_withdrawals,
            data_accounts,
            data_rows,
        }
    }

    pub(crate) fn append(&mut self, next: &Counts, child: usize) -> Result<(), JoinError> {
        let mut sums = self.to_array();
        for (sum, term) in sums.iter_mut().zip(next.to_array()) {
            *sum = add(*sum, term, "counts", child)?;
        }
        *self = Self::from_array(sums);
        Ok(())
    }
}

impl Chain {
    pub fn unchanged(value: Digest) -> Self {
        Self {
            before: value,
            after: value,
        }
    }

    fn append(&mut self, next: Chain, chain: &'static str, child: usize) -> Result<(), JoinError> {
        if self.after != next.before {
            return Err(JoinError::Unchained { chain, child });
        }
        self.after = next.after;
        Ok(())
    }
}

impl DataPolynomial {
    pub fn empty(point: Ext) -> Self {
        Self {
            length: 0,
            point,
            value: Ext::ZERO,
            shift: Ext::ONE,
        }
    }

    /// The list of `self`, then that of `next`, at the same point.
    pub fn followed_by(&self, next: &Self) -> Self {
        Self {
            length: self.length.saturating_add(next.length),
            point: self.point,
            value: self.value + self.shift * next.value,
            shift: self.shift * next.shift,
        }
    }

    /// \[P6\] y = Σ dᵢ zⁱ.
    pub fn evaluate(list: &[F], point: Ext) -> Self {
        let mut polynomial = Self::empty(point);
        for element in list {
            polynomial.value += polynomial.shift * Ext::from(*element);
            polynomial.shift *= point;
        }
        polynomial.length = list.len() as u64;
        polynomial
    }
}

/// \[P2\] Commitment of a join: the number of its children and their commitments, zeros for absent
/// ones, so that it binds the shape of the tree.
pub fn join_commitments(children: impl ExactSizeIterator<Item = Digest>) -> Digest {
    let mut elements = vec![F::from_canonical_usize(children.len())];
    elements.extend(children.flat_map(|c| c.elements));
    elements.resize(1 + 4 * MAX_ARITY, F::ZERO);
    hash(Tag::Join, &elements)
}

/// Most children of one join.
pub const MAX_ARITY: usize = 3;

fn extension(a: F, b: F) -> Ext {
    QuadraticExtension([a, b])
}

/// Honest sums are far below 2^63; beyond it they might wrap in the field.
fn add(a: u64, b: u64, field: &'static str, child: usize) -> Result<u64, JoinError> {
    match a.checked_add(b) {
        Some(sum) if sum < 1 << 63 => Ok(sum),
        _ => Err(JoinError::Overflow { field, child }),
    }
}

/// Reads fields off a list whose length was checked.
pub(crate) struct Reader<'a>(std::iter::Copied<std::slice::Iter<'a, F>>);

impl<'a> Reader<'a> {
    pub(crate) fn new(elements: &'a [F]) -> Self {
        Self(elements.iter().copied())
    }

    pub(crate) fn one(&mut self) -> F {
        self.0.next().unwrap_or_default()
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [F; N] {
        std::array::from_fn(|_| self.one())
    }

    pub(crate) fn digest(&mut self) -> Digest {
        HashOut {
            elements: self.take(),
        }
    }

    pub(crate) fn ext(&mut self) -> Ext {
        QuadraticExtension(self.take())
    }

    pub(crate) fn chain(&mut self) -> Chain {
        Chain {
            before: self.digest(),
            after: self.digest(),
        }
    }

    pub(crate) fn data(&mut self) -> DataPolynomial {
        DataPolynomial {
            length: self.one().to_canonical_u64(),
            point: self.ext(),
            value: self.ext(),
            shift: self.ext(),
        }
    }
}
