//! Oracle rounds \[T1\]: k signed reports of one round, and per feed the median of their prices.
//!
//! A reporter signs the root of a tree of prices (feed number = row number), the round, its time
//! and the number of the round completed before. A round is complete when k reporters signed it; it
//! has no digest of its own, since which k of the n reports a tick takes is the sequencer's choice
//! and two choices must not fork what the reporters sign next (docs/decisions.md, D8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::PublicKey;
use crate::bounds::{FEED_DEPTH, MAX_REPORTERS, PREMIUM_BITS, PRICE_BITS, TIME_BITS};
use crate::hash::{Digest, EMPTY, F, Tag, hash, hash_each, signed, unsigned};
use crate::message::{BODY_WORDS, Domain, MessageKind, SignatureRequest, author};
use crate::signature::{Signature, SignatureError, SignedRequest};
use crate::tree::SparseTree;
use crate::types::AccountId;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OracleError {
    #[error("[T1] {reporters} reporters with {faults} faults: k = {quorum} is not above 2n/3")]
    Quorum {
        reporters: usize,
        faults: usize,
        quorum: usize,
    },
    #[error("[T1] a round takes {quorum} reports, not {reports}")]
    Count { reports: usize, quorum: usize },
    #[error("[T1] reporter {reporter} is not in a set of {reporters}")]
    Unknown { reporter: u32, reporters: usize },
    #[error("[T1] reporter {reporter} reports twice")]
    Twice { reporter: u32 },
    #[error("[T1] reporter {reporter} signed another round, time, previous round or feed set")]
    Stamp { reporter: u32 },
    #[error("[T1] the prices of reporter {reporter} are not those whose root it signed")]
    Root { reporter: u32 },
    #[error("[T1] feed {feed} has a price or premium outside of its range: {prices:?}")]
    Range { feed: u32, prices: FeedPrices },
    #[error("[T1] feed {feed} is outside of the tree of prices")]
    Feed { feed: u32 },
    #[error("[T1] reporter {reporter}'s report came without its signature")]
    Unsigned { reporter: u32 },
    #[error("[T1] reporter {reporter}: {error}")]
    Signature {
        reporter: u32,
        error: SignatureError,
    },
    #[error("[T1] round {} at {}, after {}: out of range or order", .0.round, .0.time, .0.previous)]
    Order(Stamp),
}

impl OracleError {
    pub fn code(&self) -> &'static str {
        match self {
            OracleError::Quorum { .. } => "T1.quorum",
            OracleError::Count { .. } => "T1.count",
            OracleError::Unknown { .. } => "T1.unknown_reporter",
            OracleError::Twice { .. } => "T1.reporter_twice",
            OracleError::Stamp { .. } => "T1.stamp",
            OracleError::Root { .. } => "T1.prices_root",
            OracleError::Range { .. } => "T1.price_range",
            OracleError::Feed { .. } => "T1.feed",
            OracleError::Unsigned { .. } => "T1.unsigned",
            OracleError::Signature { .. } => "T1.signature",
            OracleError::Order(_) => "T1.order",
        }
    }
}

/// A feed's prices in one report, micro-quote per lot. A feed that is absent has no leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPrices {
    pub index: u64,
    pub mark: u64,
    /// Cumulative, signed \[T4\].
    pub premium: i64,
}

impl FeedPrices {
    /// 1 ≤ index, mark < 2^42 and |premium| < 2^48. A leaf that holds anything else cannot be read;
    /// the sequencer then takes another reporter's report, of which f + 1 … k are honest.
    pub fn in_range(&self) -> bool {
        let price = 1..1u64 << PRICE_BITS;
        price.contains(&self.index)
            && price.contains(&self.mark)
            && self.premium.unsigned_abs() < 1 << PREMIUM_BITS
    }

    pub fn words(&self) -> [F; 3] {
        [
            unsigned(self.index),
            unsigned(self.mark),
            signed(self.premium),
        ]
    }

    fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    /// The leaf: (0, 0, 0) is an absent feed and has the empty leaf.
    pub fn digest(&self) -> Digest {
        if self.is_absent() {
            EMPTY
        } else {
            hash(Tag::Feed, &self.words())
        }
    }
}

/// What one reporter saw: prices by feed, under the root that it signs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    into = "BTreeMap<u32, FeedPrices>",
    try_from = "BTreeMap<u32, FeedPrices>"
)]
pub struct Prices {
    feeds: BTreeMap<u32, FeedPrices>,
    tree: SparseTree,
}

impl Prices {
    pub fn new(feeds: BTreeMap<u32, FeedPrices>) -> Result<Self, OracleError> {
        if let Some((feed, prices)) = feeds.iter().find(|(_, prices)| !prices.in_range()) {
            return Err(OracleError::Range {
                feed: *feed,
                prices: *prices,
            });
        }
        let words: Vec<_> = feeds.values().map(FeedPrices::words).collect();
        let leaves = feeds.iter().zip(hash_each(Tag::Feed, &words));
        let leaves = leaves.map(|((feed, prices), digest)| match prices.is_absent() {
            true => (*feed, EMPTY),
            false => (*feed, digest),
        });
        let tree = SparseTree::from_leaves(FEED_DEPTH, leaves).map_err(|_| OracleError::Feed {
            feed: feeds.keys().next_back().copied().unwrap_or_default(),
        })?;
        Ok(Self { feeds, tree })
    }

    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    pub fn get(&self, feed: u32) -> Option<FeedPrices> {
        self.feeds.get(&feed).copied()
    }

    /// By rising feed.
    pub fn feeds(&self) -> impl Iterator<Item = (u32, FeedPrices)> {
        self.feeds.iter().map(|(feed, prices)| (*feed, *prices))
    }

    /// Siblings of a feed's leaf, for witnesses.
    pub fn path(&self, feed: u32) -> Vec<Digest> {
        self.tree.path(feed)
    }
}

impl From<Prices> for BTreeMap<u32, FeedPrices> {
    fn from(prices: Prices) -> Self {
        prices.feeds
    }
}

impl TryFrom<BTreeMap<u32, FeedPrices>> for Prices {
    type Error = OracleError;

    fn try_from(feeds: BTreeMap<u32, FeedPrices>) -> Result<Self, OracleError> {
        Self::new(feeds)
    }
}

/// The reporters: n keys of which k = 2f + 1 > 2n/3 sign a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedReporters")]
pub struct Reporters {
    #[serde(with = "crate::wire")]
    keys: Vec<PublicKey>,
    faults: usize,
}

/// As decoded.
#[derive(Deserialize)]
struct UncheckedReporters {
    #[serde(with = "crate::wire")]
    keys: Vec<PublicKey>,
    faults: usize,
}

impl TryFrom<UncheckedReporters> for Reporters {
    type Error = OracleError;

    fn try_from(decoded: UncheckedReporters) -> Result<Self, OracleError> {
        Self::new(decoded.keys, decoded.faults)
    }
}

/// n, k and fifteen keys.
pub const REPORTERS_WORDS: usize = 2 + 5 * MAX_REPORTERS;

impl Reporters {
    pub fn new(keys: Vec<PublicKey>, faults: usize) -> Result<Self, OracleError> {
        let reporters = keys.len();
        let quorum = faults.saturating_mul(2).saturating_add(1);
        let two_thirds = quorum.saturating_mul(3) > reporters.saturating_mul(2);
        if reporters > MAX_REPORTERS || quorum > reporters || !two_thirds {
            return Err(OracleError::Quorum {
                reporters,
                faults,
                quorum,
            });
        }
        Ok(Self { keys, faults })
    }

    /// k, odd: a median is one of the values.
    pub fn quorum(&self) -> usize {
        self.faults.saturating_mul(2).saturating_add(1)
    }

    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    pub fn words(&self) -> [F; REPORTERS_WORDS] {
        let mut words = [F::default(); REPORTERS_WORDS];
        let keys = self.keys.iter().flatten().copied();
        let counts = [self.keys.len() as u64, self.quorum() as u64].map(unsigned);
        for (word, value) in words.iter_mut().zip(counts.into_iter().chain(keys)) {
            *word = value;
        }
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Reporters, &self.words())
    }
}

/// What all reports of a round agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The assignment of feeds to rows that the reporter follows; the header's.
    pub feed_set: u32,
    pub round: u32,
    /// Seconds since 1970; becomes the epoch's time \[T2\].
    pub time: u64,
    /// Number of the round completed before this one, as the reporter saw it.
    pub previous: u32,
}

/// A reporter's signed statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Place in the set of reporters.
    pub reporter: u32,
    pub stamp: Stamp,
    #[serde(with = "crate::wire")]
    pub prices_root: Digest,
}

impl Report {
    /// The reporter stands in the author for the account, the feed set for the generation.
    pub fn body(&self) -> [F; BODY_WORDS] {
        let [r0, r1, r2, r3] = self.prices_root.elements;
        [
            author(AccountId(self.reporter), self.stamp.feed_set),
            unsigned(self.stamp.round.into()),
            unsigned(self.stamp.time),
            unsigned(self.stamp.previous.into()),
            r0,
            r1,
            r2,
            r3,
        ]
    }

    /// What the reporter signs \[S5\].
    pub fn digest(&self, domain: &Domain) -> Digest {
        domain.digest(MessageKind::Report, &self.body())
    }
}

/// Exactly k reports of distinct reporters that agree on their stamp, by rising reporter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    stamp: Stamp,
    reports: Vec<(Report, Prices)>,
    /// Of the reports; none where they came without.
    signatures: Vec<Signature>,
}

/// A report as it comes in.
#[derive(Clone, Debug)]
pub struct SignedReport {
    pub report: Report,
    pub prices: Prices,
    pub signature: Signature,
}

impl Round {
    /// A round whose reporters signed it.
    pub fn signed(
        reporters: &Reporters,
        domain: &Domain,
        mut reports: Vec<SignedReport>,
    ) -> Result<Self, OracleError> {
        reports.sort_by_key(|signed| signed.report.reporter);
        let signatures = reports.iter().map(|signed| signed.signature).collect();
        let parts = reports
            .into_iter()
            .map(|signed| (signed.report, signed.prices));
        let round = Self {
            signatures,
            ..Self::new(reporters, parts.collect())?
        };
        for (signed, (report, _)) in round
            .signed_requests(domain, reporters)?
            .iter()
            .zip(&round.reports)
        {
            let reporter = report.reporter;
            let failed = |error| OracleError::Signature { reporter, error };
            signed.verify().map_err(failed)?;
        }
        Ok(round)
    }

    /// A round by its reports alone, which no segment can show.
    pub fn new(
        reporters: &Reporters,
        mut reports: Vec<(Report, Prices)>,
    ) -> Result<Self, OracleError> {
        reports.sort_by_key(|(report, _)| report.reporter);
        let stamp = reports.first().map(|(first, _)| first.stamp);
        let round = Self {
            stamp: stamp.unwrap_or_default(),
            reports,
            signatures: Vec::new(),
        };
        round.check(reporters)?;
        Ok(round)
    }

    /// What `new` demands, of a round that was decoded; signatures apart.
    pub fn check(&self, reporters: &Reporters) -> Result<(), OracleError> {
        let (quorum, stamp) = (reporters.quorum(), self.stamp);
        if self.reports.len() != quorum {
            return Err(OracleError::Count {
                reports: self.reports.len(),
                quorum,
            });
        }
        let after = |earlier: Option<u32>, reporter: u32| earlier.is_none_or(|e| e < reporter);
        let mut earlier = None;
        for (report, prices) in &self.reports {
            let reporter = report.reporter;
            if reporter as usize >= reporters.keys.len() {
                return Err(OracleError::Unknown {
                    reporter,
                    reporters: reporters.keys.len(),
                });
            }
            if !after(earlier, reporter) {
                return Err(OracleError::Twice { reporter });
            }
            if report.stamp != stamp {
                return Err(OracleError::Stamp { reporter });
            }
            if report.prices_root != prices.root() {
                return Err(OracleError::Root { reporter });
            }
            earlier = Some(reporter);
        }
        let fits = stamp.time < 1 << TIME_BITS;
        if !fits || stamp.previous >= stamp.round {
            return Err(OracleError::Order(stamp));
        }
        Ok(())
    }

    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub fn reports(&self) -> &[(Report, Prices)] {
        &self.reports
    }

    /// Digest of the k roots, by rising reporter: what rows are read against.
    pub fn digest(&self) -> Digest {
        reports_digest(self.reports.iter().map(|(report, _)| report.prices_root))
    }

    /// The feed's medians; `None` where any of the k lacks it.
    pub fn median(&self, feed: u32) -> Option<FeedPrices> {
        let seen: Option<Vec<FeedPrices>> = self
            .reports
            .iter()
            .map(|(_, prices)| prices.get(feed))
            .collect();
        let seen = seen?;
        Some(FeedPrices {
            index: median(seen.iter().map(|prices| prices.index))?,
            mark: median(seen.iter().map(|prices| prices.mark))?,
            premium: median(seen.iter().map(|prices| prices.premium))?,
        })
    }

    pub fn signature_requests(
        &self,
        domain: &Domain,
        reporters: &Reporters,
    ) -> Result<Vec<SignatureRequest>, OracleError> {
        let request = |(report, _): &(Report, Prices)| {
            let key = reporters.keys.get(report.reporter as usize).copied();
            key.map(|key| SignatureRequest {
                key,
                digest: report.digest(domain),
            })
            .ok_or(OracleError::Unknown {
                reporter: report.reporter,
                reporters: reporters.keys.len(),
            })
        };
        self.reports.iter().map(request).collect()
    }

    /// The requests with their signatures.
    pub fn signed_requests(
        &self,
        domain: &Domain,
        reporters: &Reporters,
    ) -> Result<Vec<SignedRequest>, OracleError> {
        let requests = self.signature_requests(domain, reporters)?;
        if let Some((report, _)) = self.reports.get(self.signatures.len()) {
            let reporter = report.reporter;
            return Err(OracleError::Unsigned { reporter });
        }
        let signed = requests.into_iter().zip(&self.signatures);
        let signed = signed.map(|(request, signature)| SignedRequest {
            request,
            signature: *signature,
        });
        Ok(signed.collect())
    }
}

pub fn reports_digest(roots: impl Iterator<Item = Digest>) -> Digest {
    let words: Vec<F> = roots.flat_map(|root| root.elements).collect();
    hash(Tag::Reports, &words)
}

/// The middle of an odd number of values.
pub fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() >> 1).copied()
}

/// What the circuit shows of a hinted median: at least half of the values are ≤ it and at least
/// half are ≥ it. With an odd number 2f + 1 both counts are at least f + 1, so they share a value:
/// the median is one of the reported values, and the only one with the property.
pub fn is_median<T: Ord>(values: &[T], median: &T) -> bool {
    let below = values.iter().filter(|value| *value <= median).count();
    let above = values.iter().filter(|value| *value >= median).count();
    below.saturating_mul(2) >= values.len() && above.saturating_mul(2) >= values.len()
}

#[cfg(test)]
mod tests;
