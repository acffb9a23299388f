//! Merkle trees over a low-degree extension, in an order that feeds vectors.
//!
//! Plonky2 numbers the leaves of an extension of N = n·R points by the point's index, bits
//! reversed. Siblings then are points N/2 apart, and a node at height h stands for the points that
//! are equal modulo N/2^h. So if level h keeps its nodes by *point* (index i modulo N/2^h at place
//! (i mod R)·(n/2^h) + i/R: R blocks, a coset each), both children of consecutive nodes are
//! consecutive too, and no digest changes places between levels.

use plonky2::hash::merkle_proofs::MerkleProof;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::config::{GenericHashOut, Hasher};
use rayon::prelude::*;

use crate::F;
use crate::hashing::Hashing;

/// Leaves hashed by one task.
const LEAVES: usize = 512;

/// Points of an extension: `1 << block_bits` in each of `1 << rate_bits` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    pub block_bits: usize,
    pub rate_bits: usize,
}

impl Domain {
    pub(crate) fn bits(self) -> usize {
        self.block_bits + self.rate_bits
    }

    pub(crate) fn block(self) -> usize {
        1 << self.block_bits
    }

    pub(crate) fn blocks(self) -> usize {
        1 << self.rate_bits
    }

    pub(crate) fn points(self) -> usize {
        1 << self.bits()
    }

    /// Where a point's values are kept.
    pub(crate) fn place(self, point: usize) -> usize {
        ((point & (self.blocks() - 1)) << self.block_bits) + (point >> self.rate_bits)
    }

    /// The point that is a leaf of Plonky2's tree.
    pub(crate) fn point(self, leaf: usize) -> usize {
        reverse(leaf, self.bits())
    }

    /// What is left of the domain when the upper half of the points falls together with the lower.
    fn halved(self) -> Self {
        if self.block_bits > 0 {
            Self {
                block_bits: self.block_bits - 1,
                ..self
            }
        } else {
            Self {
                rate_bits: self.rate_bits - 1,
                ..self
            }
        }
    }
}

/// The lowest `bits` bits in the opposite order.
pub(crate) fn reverse(index: usize, bits: usize) -> usize {
    if bits == 0 {
        0
    } else {
        index.reverse_bits() >> (usize::BITS as usize - bits)
    }
}

/// All digests below a cap.
#[derive(Debug)]
pub(crate) struct Tree<H: Hasher<F>> {
    /// Leaves' digests first, the cap's last.
    levels: Vec<(Domain, Vec<H::Hash>)>,
}

impl<H: Hasher<F>> Tree<H> {
    /// `columns(place, length)`: the leaves' elements at so many places from one on, which are all
    /// in one block.
    pub(crate) fn new<'a>(
        hashing: impl Hashing<H>,
        domain: Domain,
        cap_height: usize,
        columns: impl Fn(usize, usize) -> Vec<&'a [F]> + Sync,
    ) -> Self {
        let leaves = level::<H>(domain, LEAVES.min(domain.block()), |place, digests| {
            hashing.columns(&columns(place, digests.len()), digests);
        });
        let mut levels = vec![(domain, leaves)];
        for _ in cap_height..domain.bits() {
            let next = match levels.last() {
                Some((below, digests)) => (below.halved(), nodes(hashing, *below, digests)),
                None => break,
            };
            levels.push(next);
        }
        Self { levels }
    }

    pub(crate) fn cap(&self) -> MerkleCap<F, H> {
        let Some((domain, digests)) = self.levels.last() else {
            return MerkleCap::default();
        };
        let leaves = 0..domain.points();
        MerkleCap(
            leaves
                .map(|leaf| digests[domain.place(domain.point(leaf))])
                .collect(),
        )
    }

    /// The siblings on a leaf's way to the cap.
    pub(crate) fn prove(&self, leaf: usize) -> MerkleProof<F, H> {
        let below_cap = &self.levels[..self.levels.len() - 1];
        let siblings = below_cap
            .iter()
            .enumerate()
            .map(|(height, (domain, digests))| {
                digests[domain.place(domain.point((leaf >> height) ^ 1))]
            });
        MerkleProof {
            siblings: siblings.collect(),
        }
    }

    /// As Plonky2 lays a tree's digests out, the cap apart.
    #[cfg(test)]
    pub(crate) fn stock_digests(&self) -> Vec<H::Hash> {
        let Some(((_, cap), below)) = self.levels.split_last() else {
            return Vec::new();
        };
        let mut digests = vec![cap[0]; below.iter().map(|(_, level)| level.len()).sum()];
        let leaves = self.levels[0].0.points() / cap.len();
        for (height, (domain, level)) in below.iter().enumerate() {
            let nodes = domain.points() / cap.len();
            for node in 0..domain.points() {
                digests[stock_place(height, node, nodes, leaves)] =
                    level[domain.place(domain.point(node))];
            }
        }
        digests
    }
}

/// Where Plonky2 keeps a node's digest among those below the cap: at a height with so many nodes
/// under each of the cap's, which has so many leaves.
pub(crate) fn stock_place(height: usize, node: usize, nodes: usize, leaves: usize) -> usize {
    // Pairs of the levels alternate: 0, 1, 0, 2, 0, 1, 0, 3 and so on.
    let pair = ((node % nodes / 2) << (height + 1)) + (1 << height) - 1;
    node / nodes * (2 * leaves - 2) + 2 * pair + node % 2
}

fn nodes<H: Hasher<F>>(
    hashing: impl Hashing<H>,
    below: Domain,
    digests: &[H::Hash],
) -> Vec<H::Hash> {
    let half = if below.block_bits > 0 {
        below.block() / 2
    } else {
        below.blocks() / 2
    };
    level::<H>(below.halved(), LEAVES.min(half), |place, nodes| {
        let left = place / half * 2 * half + place % half;
        let right = left + half;
        let length = nodes.len();
        hashing.pairs(
            &digests[left..left + length],
            &digests[right..right + length],
            nodes,
        );
    })
}

/// A level's digests, `step` at a time.
fn level<H: Hasher<F>>(
    domain: Domain,
    step: usize,
    fill: impl Fn(usize, &mut [H::Hash]) + Sync,
) -> Vec<H::Hash> {
    let blank = H::Hash::from_bytes(&vec![0; H::HASH_SIZE]);
    let mut digests = vec![blank; domain.points()];
    digests
        .par_chunks_mut(step)
        .enumerate()
        .for_each(|(i, digests)| fill(i * step, digests));
    digests
}

#[cfg(test)]
mod tests;
