//! A feed's leaf in each of the k reports, and the medians [T1].

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::{PREMIUM_BITS, PRICE_BITS};
use tally_protocol::hash::{Digest, Tag, unsigned};
use tally_protocol::oracle::FeedPrices;

use crate::gadgets::merkle::PathTarget;
use crate::gadgets::{logic, range};
use crate::hint::as_signed;
use crate::segment::SegmentBuilder;
use crate::{Builder, F, hash};

/// Roots of the prices of the epoch's k reports.
#[derive(Clone, Debug)]
pub struct ReportsTarget {
    roots: Vec<HashOutTarget>,
}

impl ReportsTarget {
    /// Those that the context names. The digest's length says that there are exactly `quorum`.
    pub fn new(s: &mut SegmentBuilder, quorum: usize) -> Self {
        assert!(quorum % 2 == 1);
        let roots = s.add_virtual_hashes(quorum);
        let words: Vec<Target> = roots.iter().flat_map(|root| root.elements).collect();
        let digest = hash::hash(s, Tag::Reports, &words);
        let reports = s.context.reports;
        s.connect_hashes(digest, reports);
        Self { roots }
    }

    pub fn roots(&self) -> &[HashOutTarget] {
        &self.roots
    }

    pub fn set(&self, witness: &mut PartialWitness<F>, roots: &[Digest]) -> anyhow::Result<()> {
        anyhow::ensure!(roots.len() == self.roots.len(), "[T1] another quorum");
        for (target, root) in self.roots.iter().zip(roots) {
            witness.set_hash_target(*target, *root)?;
        }
        Ok(())
    }
}

/// A report's leaf for one feed.
#[derive(Clone, Debug)]
struct LeafTarget {
    present: BoolTarget,
    /// Index, mark, premium.
    words: [Target; 3],
    siblings: Vec<HashOutTarget>,
}

/// What one report says of a feed, and its path.
pub type FeedOpening = (Option<FeedPrices>, Vec<Digest>);

/// A feed's medians, or that it is missing.
#[derive(Clone, Copy, Debug)]
pub struct MedianTarget {
    /// In all k reports.
    pub present: BoolTarget,
    pub index: Target,
    pub mark: Target,
    pub premium: Target,
}

/// A feed in the k reports.
#[derive(Clone, Debug)]
pub struct FeedTarget {
    pub median: MedianTarget,
    leaves: Vec<LeafTarget>,
}

impl FeedTarget {
    /// Statement: if `live`, every report's leaf at the place that `bits` name is empty or holds
    /// prices in range; the medians are those of the leaves if all are present. A report whose leaf
    /// is out of range cannot be read at all [T1].
    /// Cost: 11 rows a report for its leaf, 3.8 for ranges and medians.
    pub fn new(
        b: &mut Builder,
        reports: &ReportsTarget,
        bits: &[BoolTarget],
        live: BoolTarget,
    ) -> Self {
        let leaves: Vec<LeafTarget> = reports
            .roots
            .iter()
            .map(|&root| LeafTarget::new(b, root, bits, live))
            .collect();
        let mut present = leaves[0].present;
        for leaf in &leaves[1..] {
            present = b.and(present, leaf.present);
        }
        let mut middle = |word: usize| {
            let values: Vec<Target> = leaves.iter().map(|leaf| leaf.words[word]).collect();
            median(b, &values)
        };
        let (index, mark, premium) = (middle(0), middle(1), middle(2));
        let median = MedianTarget {
            present,
            index,
            mark,
            premium,
        };
        Self { median, leaves }
    }

    pub fn set(
        &self,
        witness: &mut PartialWitness<F>,
        openings: &[FeedOpening],
    ) -> anyhow::Result<()> {
        for (leaf, (prices, path)) in self.leaves.iter().zip(openings) {
            witness.set_bool_target(leaf.present, prices.is_some())?;
            witness.set_target_arr(&leaf.words, &prices.unwrap_or(ABSENT).words())?;
            for (sibling, digest) in leaf.siblings.iter().zip(path) {
                witness.set_hash_target(*sibling, *digest)?;
            }
        }
        Ok(())
    }

    /// Of a unit that isn't live.
    pub fn set_dead(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        let path = vec![Digest::default(); self.leaves[0].siblings.len()];
        self.set(witness, &vec![(None, path); self.leaves.len()])
    }
}

/// Words of a leaf that isn't there: anything in range.
const ABSENT: FeedPrices = FeedPrices {
    index: 1,
    mark: 1,
    premium: 0,
};

impl LeafTarget {
    fn new(b: &mut Builder, root: HashOutTarget, bits: &[BoolTarget], live: BoolTarget) -> Self {
        let present = b.add_virtual_bool_target_safe();
        let words: [Target; 3] = b.add_virtual_target_arr();
        let one = b.one();
        let top = b.constant(unsigned((1 << PRICE_BITS) - 1));
        range::check_between(b, one, words[0], top);
        range::check_between(b, one, words[1], top);
        range::check_signed(b, words[2], PREMIUM_BITS);
        let digest = hash::hash(b, Tag::Feed, &words);
        let leaf = HashOutTarget {
            elements: digest.elements.map(|x| b.mul(present.target, x)),
        };
        let path = PathTarget {
            bits: bits.to_vec(),
            siblings: b.add_virtual_hashes(bits.len()),
        };
        let computed = path.root(b, leaf);
        logic::assert_digests_equal_if(b, live, &computed.elements, &root.elements);
        Self {
            present,
            words,
            siblings: path.siblings,
        }
    }
}

/// The middle of 2f + 1 values of less than 2^61 in magnitude.
///
/// Statement: f + 1 of them are ≤ m and f + 1 are ≥ m. Two such sets share a value, which m then
/// equals, and no other value has the property. Cost: 2 lanes and 8 operations a value.
#[track_caller]
pub fn median(b: &mut Builder, values: &[Target]) -> Target {
    let majority = values.len() / 2 + 1;
    let middle = b.hint_one("median", values, move |v| {
        let mut sorted: Vec<(i128, F)> = v.iter().map(|x| (as_signed(*x), *x)).collect();
        sorted.sort_by_key(|(value, _)| *value);
        sorted[majority - 1].1
    });
    for below in [true, false] {
        let inputs = [&[middle], values].concat();
        let bits = b.hint("median sides", &inputs, values.len(), move |v| {
            let middle = as_signed(v[0]);
            let mut left = majority;
            let mut take = |x: &F| {
                let value = as_signed(*x);
                let fits = left > 0 && (value == middle || (value < middle) == below);
                left -= usize::from(fits);
                F::from_bool(fits)
            };
            v[1..].iter().map(&mut take).collect()
        });
        for (&bit, &value) in bits.iter().zip(values) {
            let bit = BoolTarget::new_unsafe(bit);
            b.assert_bool(bit);
            let (x, y) = if below {
                (value, middle)
            } else {
                (middle, value)
            };
            range::assert_le_if(b, bit, x, y);
        }
        let count = b.add_many(bits);
        let expected = b.constant(F::from_canonical_usize(majority));
        b.connect(count, expected);
    }
    middle
}
