//! The header \[S1\], the state root, and the context: what holds for a whole epoch.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::Owner;
use crate::bounds::PENDING_CHANGES;
use crate::hash::{Digest, F, Tag, hash, unsigned};
use crate::message::Domain;
use crate::oracle::Stamp;

/// Fixed by the contract that holds the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Globals {
    /// Chain and contract that signed messages are for \[S5\].
    pub domain: Domain,
    /// N: epochs without fills after skipped rounds \[T2\].
    pub fill_pause: u32,
    /// X: epochs until a flag is stale \[Q1\].
    pub flag_lifetime: u32,
    /// D: epochs over which the discount opens \[Q4\], \[Q7\].
    pub auction_epochs: u32,
    /// Seconds that a change of a row waits \[T7\].
    pub timelock: u32,
    /// The assignment of feeds to rows that reporters sign \[T1\].
    pub feed_set: u32,
    /// Whom fees are withdrawn to \[S6\].
    pub fee_owner: Owner,
}

pub const GLOBALS_WORDS: usize = 12;

impl Globals {
    pub fn words(&self) -> [F; GLOBALS_WORDS] {
        let [c0, c1, c2] = self.domain.contract.words();
        let [f0, f1, f2] = self.fee_owner.words();
        [
            unsigned(self.domain.chain_id),
            c0,
            c1,
            c2,
            unsigned(self.fill_pause.into()),
            unsigned(self.flag_lifetime.into()),
            unsigned(self.auction_epochs.into()),
            unsigned(self.timelock.into()),
            unsigned(self.feed_set.into()),
            f0,
            f1,
            f2,
        ]
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Globals, &self.words())
    }
}

/// A listing or parameter change that waits for its timelock \[T7\]; an empty place is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// First second at which it applies, > 0.
    pub effective: u64,
    pub row: u32,
    /// Digest of the `Change`.
    #[serde(with = "crate::wire")]
    pub digest: Digest,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.effective == 0
    }
}

/// What the state root commits to besides accounts and table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub epoch: u32,
    /// Oracle round of the epoch.
    pub round: u32,
    /// Its time, seconds since 1970.
    pub time: u64,
    /// Digest of the reporters with k.
    #[serde(with = "crate::wire")]
    pub reporters: Digest,
    /// What insurance owes beyond what it has, micro-quote \[Q6\].
    pub deficit: u64,
    pub globals: Globals,
    /// First epoch that may hold fills again after a skip \[T2\].
    pub fills_from: u32,
    pub pending: [Pending; PENDING_CHANGES],
}

const FIXED_WORDS: usize = 13;
const PENDING_WORDS: usize = 6;
pub const HEADER_WORDS: usize = FIXED_WORDS + PENDING_WORDS * PENDING_CHANGES;

impl Header {
    pub fn genesis(globals: Globals, reporters: Digest, time: u64) -> Self {
        Self {
            globals,
            reporters,
            time,
            ..Self::default()
        }
    }

    pub fn words(&self) -> [F; HEADER_WORDS] {
        let mut words = [F::default(); HEADER_WORDS];
        let (fixed, pending) = words.split_at_mut(FIXED_WORDS);
        let [r0, r1, r2, r3] = self.reporters.elements;
        let [g0, g1, g2, g3] = self.globals.digest().elements;
        fixed.copy_from_slice(&[
            unsigned(self.epoch.into()),
            unsigned(self.round.into()),
            unsigned(self.time),
            r0,
            r1,
            r2,
            r3,
            unsigned(self.deficit),
            g0,
            g1,
            g2,
            g3,
            unsigned(self.fills_from.into()),
        ]);
        for (chunk, item) in pending.chunks_mut(PENDING_WORDS).zip(&self.pending) {
            let [d0, d1, d2, d3] = item.digest.elements;
            let words = [
                unsigned(item.effective),
                unsigned(item.row.into()),
                d0,
                d1,
                d2,
                d3,
            ];
            chunk.copy_from_slice(&words);
        }
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Header, &self.words())
    }

    /// \[T2\] The next epoch's header before its changes, its deficit still that of this one.
    pub fn advance(&self, stamp: &Stamp) -> Result<Advance, HeaderError> {
        if stamp.feed_set != self.globals.feed_set {
            return Err(HeaderError::FeedSet {
                signed: stamp.feed_set,
                current: self.globals.feed_set,
            });
        }
        if stamp.previous < self.round || stamp.round <= stamp.previous {
            return Err(HeaderError::Round {
                last: self.round,
                stamp: *stamp,
            });
        }
        if stamp.time <= self.time {
            return Err(HeaderError::Time {
                last: self.time,
                time: stamp.time,
            });
        }
        let end = HeaderError::LastEpoch { epoch: self.epoch };
        let epoch = self.epoch.checked_add(1).ok_or(end.clone())?;
        let skips = stamp.previous != self.round;
        let fills_from = if skips {
            let pause = self.globals.fill_pause.checked_add(1);
            pause
                .and_then(|pause| epoch.checked_add(pause))
                .ok_or(end)?
        } else {
            self.fills_from
        };
        let header = Header {
            epoch,
            round: stamp.round,
            time: stamp.time,
            fills_from,
            ..*self
        };
        Ok(Advance {
            header,
            entries_allowed: !skips,
            fills_allowed: epoch >= fills_from,
        })
    }
}

/// The next header and what its epoch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    pub header: Header,
    /// False where rounds were skipped.
    pub entries_allowed: bool,
    pub fills_allowed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    #[error("[T1] reports of feed set {signed}, the current one is {current}")]
    FeedSet { signed: u32, current: u32 },
    #[error("[T2] round {} after {} does not follow round {last}", stamp.round, stamp.previous)]
    Round { last: u32, stamp: Stamp },
    #[error("[T2] time {time} is not after {last}")]
    Time { last: u64, time: u64 },
    #[error("[T2] no epoch number is left after {epoch}")]
    LastEpoch { epoch: u32 },
}

impl HeaderError {
    pub fn code(&self) -> &'static str {
        match self {
            HeaderError::FeedSet { .. } => "T1.feed_set",
            HeaderError::Round { .. } => "T2.round",
            HeaderError::Time { .. } => "T2.time",
            HeaderError::LastEpoch { .. } => "T2.last_epoch",
        }
    }
}

/// \[S1\]
pub fn state_root(accounts: Digest, table: Digest, header: Digest) -> Digest {
    let (a, t, h) = (accounts.elements, table.elements, header.elements);
    let words = [
        a[0], a[1], a[2], a[3], t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3],
    ];
    hash(Tag::State, &words)
}

/// What every segment of an epoch may open (docs/decisions.md, D3). The header segment shows the
/// members against both headers, the rows' sums and the reports; the table root is checked by the
/// epoch's root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Chain and contract of messages \[S5\], and the epoch-wide constants X, D.
    pub globals: Globals,
    pub epoch: u32,
    pub round: u32,
    pub time: u64,
    /// \[T2\]
    pub entries_allowed: bool,
    pub fills_allowed: bool,
    /// After this tick: while it is positive fees go to insurance 0 and withdrawals are cut \[Q6\].
    pub deficit: u64,
    /// −(the quote bridge's cash) before the epoch: the ledger shows it when it opens the bridge.
    pub vault: u64,
    /// What this tick may recover, and the sum of the rows' weights that it is spread over \[Q6\].
    pub recovery: u64,
    pub losses: u64,
    /// max(0, E_G): what discounts of unwinds are paid out of \[Q7\].
    pub unwind_budget: u64,
    #[serde(with = "crate::wire")]
    pub header_before: Digest,
    #[serde(with = "crate::wire")]
    pub header_after: Digest,
    /// Root of rows′ \[T8\].
    #[serde(with = "crate::wire")]
    pub table: Digest,
    /// Digest of the k prices roots \[T1\].
    #[serde(with = "crate::wire")]
    pub reports: Digest,
}

pub const CONTEXT_WORDS: usize = GLOBALS_WORDS + 10 + 16;

impl Context {
    /// The globals, ten numbers, four digests.
    pub fn words(&self) -> [F; CONTEXT_WORDS] {
        let numbers = [
            self.epoch.into(),
            self.round.into(),
            self.time,
            self.entries_allowed.into(),
            self.fills_allowed.into(),
            self.deficit,
            self.vault,
            self.recovery,
            self.losses,
            self.unwind_budget,
        ];
        let digests = [
            self.header_before,
            self.header_after,
            self.table,
            self.reports,
        ];
        let list = self
            .globals
            .words()
            .into_iter()
            .chain(numbers.map(unsigned));
        let list = list.chain(digests.into_iter().flat_map(|digest| digest.elements));
        let mut words = [F::default(); CONTEXT_WORDS];
        for (word, value) in words.iter_mut().zip(list) {
            *word = value;
        }
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Context, &self.words())
    }
}

#[cfg(test)]
mod tests;
