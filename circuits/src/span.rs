//! What consecutive epochs state together: the public inputs of epoch circuits and batch joins
//! \[P5\].
//!
//! Like `Summary` it mirrors a target twin, fits the uniform circuits' public inputs (zeros fill
//! them up), and has a join rule.

mod target;
#[cfg(test)]
mod tests;

use plonky2::field::types::{Field, PrimeField64};
use tally_protocol::hash::Digest;
use thiserror::Error;

pub use target::SpanTarget;

use crate::F;
use crate::summary::{Chain, DataPolynomial, Reader, SUMMARY_ELEMENTS, join_commitments};

/// Elements before the zeros.
pub const SPAN_ELEMENTS: usize = 39;
pub const DOMAIN_ELEMENTS: usize = 4;

/// A statement about the epochs from `first` to `last`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Chain id and contract (3), as messages begin \[S5\].
    pub domain: [F; DOMAIN_ELEMENTS],
    pub first_epoch: u64,
    pub last_epoch: u64,
    /// Of the last epoch \[T2\].
    pub round: u64,
    pub time: u64,
    /// State roots \[S1\].
    pub state: Chain,
    /// Digest of the last epoch's header: whoever has accounts and rows opens `state.after` with
    /// it.
    pub header: Digest,
    /// Data records: queue outcomes, withdrawals, accounts, rows \[P6\].
    pub sections: [u64; 4],
    /// Binds the data of every epoch before the batch's point is drawn.
    pub digest: Digest,
    pub data: DataPolynomial,
    /// Digest of the batch join's verifier key.
    pub join_key: Digest,
}

/// Why spans do not join. Positions count from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpanError {
    #[error("[P5] a join needs at least one child")]
    Empty,
    #[error("[P5] child {child} has another {field} than child 0")]
    Differs { field: &'static str, child: usize },
    #[error("[P5] child {child} begins with epoch {got} where {expected} is next")]
    Epoch {
        child: usize,
        expected: u64,
        got: u64,
    },
    #[error("[P5] child {child} does not start from the state where its left neighbour ends")]
    State { child: usize },
    #[error("[P5] a span has {SUMMARY_ELEMENTS} elements, the last ones zero")]
    Elements,
}

impl SpanError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            SpanError::Empty => "P5.empty",
            SpanError::Differs { .. } => "P5.differs",
            SpanError::Epoch { .. } => "P5.epoch",
            SpanError::State { .. } => "P5.state",
            SpanError::Elements => "P5.elements",
        }
    }
}

impl Span {
    /// \[P5\] Epochs follow one another, states chain, data are concatenated.
    pub fn join(children: &[Span]) -> Result<Span, SpanError> {
        let (first, rest) = children.split_first().ok_or(SpanError::Empty)?;
        let mut joined = first.clone();
        for (child, next) in (1..).zip(rest) {
            joined.append(next, child)?;
        }
        joined.digest = join_commitments(children.iter().map(|c| c.digest));
        Ok(joined)
    }

    fn append(&mut self, next: &Span, child: usize) -> Result<(), SpanError> {
        for (field, equal) in [
            ("domain", self.domain == next.domain),
            ("data point", self.data.point == next.data.point),
            ("join key", self.join_key == next.join_key),
        ] {
            if !equal {
                return Err(SpanError::Differs { field, child });
            }
        }
        let (expected, got) = (self.last_epoch + 1, next.first_epoch);
        if got != expected {
            return Err(SpanError::Epoch {
                child,
                expected,
                got,
            });
        }
        if self.state.after != next.state.before {
            return Err(SpanError::State { child });
        }
        self.last_epoch = next.last_epoch;
        self.round = next.round;
        self.time = next.time;
        self.state.after = next.state.after;
        self.header = next.header;
        for (sum, term) in self.sections.iter_mut().zip(next.sections) {
            *sum += term;
        }
        self.data = self.data.followed_by(&next.data);
        Ok(())
    }

    /// The public inputs.
    pub fn to_elements(&self) -> Vec<F> {
        let n = F::from_canonical_u64;
        let mut out = self.domain.to_vec();
        out.extend([self.first_epoch, self.last_epoch, self.round, self.time].map(n));
        out.extend(self.state.before.elements);
        out.extend(self.state.after.elements);
        out.extend(self.header.elements);
        out.extend(self.sections.map(n));
        out.extend(self.digest.elements);
        out.push(n(self.data.length));
        out.extend(self.data.point.0);
        out.extend(self.data.value.0);
        out.extend(self.data.shift.0);
        out.extend(self.join_key.elements);
        out.resize(SUMMARY_ELEMENTS, F::ZERO);
        out
    }

    pub fn from_elements(elements: &[F]) -> Result<Self, SpanError> {
        let mut padding = elements.iter().skip(SPAN_ELEMENTS);
        if elements.len() != SUMMARY_ELEMENTS || padding.any(|e| *e != F::ZERO) {
            return Err(SpanError::Elements);
        }
        let mut r = Reader::new(elements);
        let number = |f: F| f.to_canonical_u64();
        Ok(Self {
            domain: r.take(),
            first_epoch: number(r.one()),
            last_epoch: number(r.one()),
            round: number(r.one()),
            time: number(r.one()),
            state: r.chain(),
            header: r.digest(),
            sections: r.take().map(number),
            digest: r.digest(),
            data: r.data(),
            join_key: r.digest(),
        })
    }
}
