//! The journal of an epoch: postings in their places, and the fee posting of each segment of fills.
//!
//! Indices rise over the whole epoch. Fills form segments of at most `fills_per_segment`, whatever
//! other entries stand between them, so that an epoch has few fill circuits; the one posting that
//! pays out a segment's fees \[N3\] follows the last of its fills, or ends the journal.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{FEE_ACCOUNT, MAX_EPOCH_WORDS, POSTING_CASH_BITS};
use crate::entry::{Effects, Entry, EntryError, Opened, Terms, Withdrawal};
use crate::journal::{INSURANCE_CASH, TermsError, posting_cash};
use crate::posting::{Needs, POSTING_WORDS, Posting, PostingKind};
use crate::queue::QueueRecord;
use crate::types::AccountId;

/// \[P1\] Most postings of an epoch.
const MAX_POSTINGS: u32 = MAX_EPOCH_WORDS as u32 / POSTING_WORDS as u32;

/// An epoch's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// By rising index, which is the place in this list.
    pub postings: Vec<Opened>,
    pub withdrawals: Vec<Withdrawal>,
    pub outcomes: Vec<QueueRecord>,
    pub segments: Vec<FillSegment>,
    /// Index of each entry's first posting, or of the next one where it has none.
    pub starts: Vec<usize>,
}

/// Fills that share one fee posting: the last of `postings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillSegment {
    pub entries: Vec<usize>,
    pub postings: Vec<usize>,
    pub fee: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    #[error("entry {entry}: {error}")]
    Entry { entry: usize, error: EntryError },
    #[error("[C1] queue item {index} does not follow item {last}")]
    QueueOrder { index: u64, last: u64 },
    #[error("[Q7] discounts of {discounts} from an insurance equity of {budget}")]
    Discounts { discounts: u64, budget: u64 },
    #[error("[P1] {postings} postings are more than 2^27 words")]
    Words { postings: usize },
}

impl LayoutError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entry { error, .. } => error.code(),
            Self::QueueOrder { .. } => "C1.order",
            Self::Discounts { .. } => "Q7.budget",
            Self::Words { .. } => "P1.words",
        }
    }
}

/// Checks all entries and lays out their postings.
pub fn lay_out(
    entries: &[Entry],
    terms: &Terms,
    fills_per_segment: usize,
) -> Result<Journal, LayoutError> {
    let mut layout = Layout {
        terms: *terms,
        journal: Journal::default(),
        open: None,
        discounts: 0,
    };
    for (at, entry) in entries.iter().enumerate() {
        let effects = entry
            .effects(terms)
            .map_err(|error| LayoutError::Entry { entry: at, error })?;
        layout.add(at, entry.is_fill(), effects, fills_per_segment)?;
    }
    layout.close_segment()?;
    Ok(layout.journal)
}

/// \[Q6\] The account that fees go to.
pub fn fee_account(deficit: u64) -> AccountId {
    if deficit > 0 {
        INSURANCE_CASH
    } else {
        AccountId(FEE_ACCOUNT)
    }
}

/// The one fee posting of a segment.
pub fn fee_posting(fee: u64, deficit: u64) -> Result<Posting, TermsError> {
    let delta_cash = posting_cash(fee.into())?;
    let blank = Posting::blank(PostingKind::Fee, fee_account(deficit));
    Ok(Posting {
        delta_cash,
        needs: Needs::SYSTEM,
        ..blank
    })
}

struct Layout<'a> {
    terms: Terms<'a>,
    journal: Journal,
    open: Option<FillSegment>,
    discounts: u64,
}

impl Layout<'_> {
    fn add(
        &mut self,
        at: usize,
        is_fill: bool,
        effects: Effects,
        fills_per_segment: usize,
    ) -> Result<(), LayoutError> {
        // A segment also ends before its sum of fees leaves [N3]'s bound: each fill's two fees are
        // below 2^56 together, so a segment always holds at least one fill.
        let ends = self.open.as_ref().is_some_and(|segment| {
            segment.entries.len() >= fills_per_segment
                || segment.fee.saturating_add(effects.fee) >> POSTING_CASH_BITS != 0
        });
        if is_fill && ends {
            self.close_segment()?;
        }
        let start = self.journal.postings.len();
        self.journal.starts.push(start);
        for opened in effects.postings {
            self.push(opened)?;
        }
        if is_fill {
            let segment = self.open.get_or_insert_default();
            segment.entries.push(at);
            segment.postings.extend(start..self.journal.postings.len());
            segment.fee = segment.fee.saturating_add(effects.fee);
        }
        self.journal.withdrawals.extend(effects.withdrawals);
        if let Some(record) = effects.outcome {
            self.check_queue(&record)?;
            self.journal.outcomes.push(record);
        }
        self.spend(effects.discount)
    }

    /// \[C1\] Items are served in the order of the queue.
    fn check_queue(&self, record: &QueueRecord) -> Result<(), LayoutError> {
        match self.journal.outcomes.last() {
            Some(last) if last.index.checked_add(1) != Some(record.index) => {
                Err(LayoutError::QueueOrder {
                    index: record.index,
                    last: last.index,
                })
            }
            _ => Ok(()),
        }
    }

    /// \[Q7\] All discounts of the epoch together come out of positive insurance equity.
    fn spend(&mut self, discount: u64) -> Result<(), LayoutError> {
        self.discounts = self.discounts.saturating_add(discount);
        let budget = self.terms.epoch.unwind_budget;
        if self.discounts > budget {
            return Err(LayoutError::Discounts {
                discounts: self.discounts,
                budget,
            });
        }
        Ok(())
    }

    fn close_segment(&mut self) -> Result<(), LayoutError> {
        if let Some(mut segment) = self.open.take() {
            let entry = segment.entries.first().copied().unwrap_or_default();
            let fee = fee_posting(segment.fee, self.terms.epoch.deficit).map_err(|error| {
                LayoutError::Entry {
                    entry,
                    error: error.into(),
                }
            })?;
            segment.postings.push(self.journal.postings.len());
            self.push(fee.into())?;
            self.journal.segments.push(segment);
        }
        Ok(())
    }

    fn push(&mut self, mut opened: Opened) -> Result<(), LayoutError> {
        opened.posting.index = index(self.journal.postings.len())?;
        opened.posting.epoch = self.terms.epoch.epoch;
        self.journal.postings.push(opened);
        Ok(())
    }
}

/// \[P1\] The index of one more posting.
fn index(postings: usize) -> Result<u32, LayoutError> {
    u32::try_from(postings)
        .ok()
        .filter(|index| *index < MAX_POSTINGS)
        .ok_or(LayoutError::Words { postings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_an_epoch_has_at_most_2_to_27_words() {
        let most = MAX_POSTINGS as usize;
        assert!(most * POSTING_WORDS <= 1 << 27 && (most + 1) * POSTING_WORDS > 1 << 27);
        assert_eq!(index(most - 1), Ok(MAX_POSTINGS - 1));
        assert_eq!(index(most).unwrap_err().code(), "P1.words");
    }
}
