//! Sparse Merkle trees of digests with a fixed depth: accounts, instrument table, prices, orders.
//!
//! An index is read little-endian: bit 0 chooses left (0) or right (1) at the leaf level, and a
//! node is compress(left, right). Paths list siblings from the leaf upwards. An empty leaf is
//! `EMPTY` \[S2\]; an empty subtree is built from it, so absence is a proof like any other.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use thiserror::Error;

use crate::forest::{self, Change};
use crate::hash::{Digest, EMPTY, compress};

/// Deepest tree: an index is a `u32`.
pub const MAX_DEPTH: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    #[error("[S2] index {index} is outside of a tree of depth {depth}")]
    Index { index: u32, depth: usize },
    #[error("[S2] the path of index {index} has {length} siblings, the tree's depth is {depth}")]
    Length {
        index: u32,
        length: usize,
        depth: usize,
    },
    #[error("[S2] the path of index {index} does not lead to the root")]
    Root { index: u32 },
    #[error("[S2] index {index} was not opened in this partial tree")]
    Unopened { index: u32 },
}

impl TreeError {
    pub fn code(&self) -> &'static str {
        match self {
            TreeError::Index { .. } => "S2.index",
            TreeError::Length { .. } => "S2.path_length",
            TreeError::Root { .. } => "S2.path_root",
            TreeError::Unopened { .. } => "S2.unopened",
        }
    }
}

/// The root of an empty tree of a depth (at most `MAX_DEPTH`).
pub fn empty_root(depth: usize) -> Digest {
    static ROOTS: OnceLock<Vec<Digest>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let next = |node: &Digest| Some(compress(*node, *node));
        core::iter::successors(Some(EMPTY), next)
            .take(MAX_DEPTH.saturating_add(1))
            .collect()
    });
    roots.get(depth).copied().unwrap_or(EMPTY)
}

/// The root that a leaf and its path lead to.
pub fn root_from_path(index: u32, leaf: Digest, path: &[Digest]) -> Digest {
    let step =
        |(node, index): (Digest, u32), sibling: &Digest| (join(index, node, *sibling), index >> 1);
    path.iter().fold((leaf, index), step).0
}

/// Does the tree of this root and of depth `path.len()` hold `leaf` at `index`?
pub fn verify(root: Digest, index: u32, leaf: Digest, path: &[Digest]) -> bool {
    in_range(index, path.len()) && root_from_path(index, leaf, path) == root
}

/// A whole tree; only what is not empty is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseTree {
    /// `levels[0]` the leaves, `levels[depth]` the root.
    levels: Vec<BTreeMap<u32, Digest>>,
}

impl SparseTree {
    /// The empty tree; depths above `MAX_DEPTH` count as that.
    pub fn new(depth: usize) -> Self {
        let count = depth.min(MAX_DEPTH).saturating_add(1);
        Self {
            levels: vec![BTreeMap::new(); count],
        }
    }

    pub fn from_leaves(
        depth: usize,
        leaves: impl IntoIterator<Item = (u32, Digest)>,
    ) -> Result<Self, TreeError> {
        let mut tree = Self::new(depth);
        tree.set_many(leaves)?;
        Ok(tree)
    }

    pub fn depth(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    pub fn root(&self) -> Digest {
        self.node(self.depth(), 0)
    }

    /// `EMPTY` where nothing was set.
    pub fn leaf(&self, index: u32) -> Digest {
        self.node(0, index)
    }

    /// Leaves that are not empty, by rising index.
    pub fn leaves(&self) -> impl Iterator<Item = (u32, Digest)> {
        self.levels
            .first()
            .into_iter()
            .flatten()
            .map(|(index, leaf)| (*index, *leaf))
    }

    /// Siblings from the leaf upwards.
    pub fn path(&self, index: u32) -> Vec<Digest> {
        (0..self.depth())
            .map(|level| self.node(level, sibling(index, level)))
            .collect()
    }

    pub fn set(&mut self, index: u32, leaf: Digest) -> Result<(), TreeError> {
        self.set_many([(index, leaf)])
    }

    /// Sets leaves (the last value of an index counts) and hashes each node above them once.
    pub fn set_many(
        &mut self,
        leaves: impl IntoIterator<Item = (u32, Digest)>,
    ) -> Result<(), TreeError> {
        let leaves = leaves.into_iter().collect();
        forest::set_many(vec![Change { tree: self, leaves }])
    }

    pub(crate) fn node(&self, level: usize, index: u32) -> Digest {
        let stored = self.levels.get(level).and_then(|nodes| nodes.get(&index));
        stored.copied().unwrap_or_else(|| empty_root(level))
    }

    pub(crate) fn store(&mut self, level: usize, index: u32, node: Digest) {
        if let Some(nodes) = self.levels.get_mut(level) {
            if node == empty_root(level) {
                nodes.remove(&index);
            } else {
                nodes.insert(index, node);
            }
        }
    }
}

/// The part of a tree that some openings of one root show: enough to change the opened leaves one
/// after another and to read the path of each as it then is.
#[derive(Clone, Debug)]
pub struct PartialTree {
    levels: Vec<BTreeMap<u32, Digest>>,
}

/// A leaf with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub index: u32,
    pub leaf: Digest,
    pub path: Vec<Digest>,
}

impl PartialTree {
    /// Without an opening it is the bare root.
    pub fn new<'a>(
        depth: usize,
        root: Digest,
        openings: impl IntoIterator<Item = &'a Opening>,
    ) -> Result<Self, TreeError> {
        let depth = depth.min(MAX_DEPTH);
        let mut levels = vec![BTreeMap::new(); depth.saturating_add(1)];
        if let Some(top) = levels.last_mut() {
            top.insert(0, root);
        }
        let mut tree = Self { levels };
        for opening in openings {
            tree.open(opening, root)?;
        }
        Ok(tree)
    }

    /// The openings that a whole tree gives of some indices.
    pub fn of(
        tree: &SparseTree,
        indices: impl IntoIterator<Item = u32>,
    ) -> Result<Self, TreeError> {
        let open = |index| Opening {
            index,
            leaf: tree.leaf(index),
            path: tree.path(index),
        };
        let openings: Vec<Opening> = indices.into_iter().map(open).collect();
        Self::new(tree.depth(), tree.root(), &openings)
    }

    pub fn depth(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    pub fn root(&self) -> Digest {
        self.levels
            .last()
            .and_then(|top| top.get(&0))
            .copied()
            .unwrap_or(EMPTY)
    }

    pub fn leaf(&self, index: u32) -> Result<Digest, TreeError> {
        self.node(0, index).ok_or(TreeError::Unopened { index })
    }

    pub fn path(&self, index: u32) -> Result<Vec<Digest>, TreeError> {
        (0..self.depth())
            .map(|level| self.node(level, sibling(index, level)))
            .collect::<Option<_>>()
            .ok_or(TreeError::Unopened { index })
    }

    /// Sets an opened leaf and returns its path, which is the same before and after.
    pub fn set(&mut self, index: u32, leaf: Digest) -> Result<Vec<Digest>, TreeError> {
        self.leaf(index)?;
        let path = self.path(index)?;
        self.write(index, leaf, &path);
        Ok(path)
    }

    fn open(&mut self, opening: &Opening, root: Digest) -> Result<(), TreeError> {
        let Opening {
            index,
            leaf,
            ref path,
        } = *opening;
        let depth = self.depth();
        if path.len() != depth {
            return Err(TreeError::Length {
                index,
                length: path.len(),
                depth,
            });
        }
        if !in_range(index, depth) {
            return Err(TreeError::Index { index, depth });
        }
        if root_from_path(index, leaf, path) != root {
            return Err(TreeError::Root { index });
        }
        for ((level, nodes), node) in self.levels.iter_mut().enumerate().zip(path) {
            nodes.insert(sibling(index, level), *node);
        }
        self.write(index, leaf, path);
        Ok(())
    }

    fn write(&mut self, index: u32, leaf: Digest, path: &[Digest]) {
        let mut node = leaf;
        let mut siblings = path.iter();
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            let place = shifted(index, level);
            nodes.insert(place, node);
            if let Some(sibling) = siblings.next() {
                node = join(place, node, *sibling);
            }
        }
    }

    fn node(&self, level: usize, index: u32) -> Option<Digest> {
        self.levels
            .get(level)
            .and_then(|nodes| nodes.get(&index))
            .copied()
    }
}

/// The parent of a node and its sibling.
fn join(index: u32, node: Digest, sibling: Digest) -> Digest {
    let (left, right) = ordered(index, node, sibling);
    compress(left, right)
}

/// A node and its sibling from left to right; bit 0 of `index` says that the node is the right one.
pub(crate) fn ordered(index: u32, node: Digest, sibling: Digest) -> (Digest, Digest) {
    if index & 1 == 0 {
        (node, sibling)
    } else {
        (sibling, node)
    }
}

/// The index, at `level`, of the node beside the one on the way from leaf `index`.
pub(crate) fn sibling(index: u32, level: usize) -> u32 {
    shifted(index, level) ^ 1
}

/// Levels run up to 32, where nothing is left of an index.
pub(crate) fn shifted(index: u32, level: usize) -> u32 {
    u32::try_from(level)
        .ok()
        .and_then(|level| index.checked_shr(level))
        .unwrap_or(0)
}

fn in_range(index: u32, depth: usize) -> bool {
    shifted(index, depth) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::unsigned;

    fn digest(value: u64) -> Digest {
        Digest {
            elements: [unsigned(value); 4],
        }
    }

    /// Hashes all 2^depth leaves.
    fn naive_root(depth: usize, leaves: &BTreeMap<u32, Digest>) -> Digest {
        let mut nodes: Vec<Digest> = (0..1u32 << depth)
            .map(|i| leaves.get(&i).copied().unwrap_or(EMPTY))
            .collect();
        while nodes.len() > 1 {
            nodes = nodes
                .chunks(2)
                .map(|pair| compress(pair[0], pair[1]))
                .collect();
        }
        nodes[0]
    }

    #[test]
    fn s2_an_empty_tree_has_the_empty_root_at_every_depth() {
        for depth in [0, 1, 6, 10, 28, 32] {
            assert_eq!(SparseTree::new(depth).root(), empty_root(depth));
        }
        assert_eq!(empty_root(0), EMPTY);
        assert_eq!(empty_root(1), compress(EMPTY, EMPTY));
    }

    #[test]
    fn s2_indices_outside_of_the_tree_are_refused() {
        let mut tree = SparseTree::new(6);
        let error = tree.set(64, digest(1)).unwrap_err();
        assert_eq!(
            error,
            TreeError::Index {
                index: 64,
                depth: 6
            }
        );
        assert_eq!(error.code(), "S2.index");
        tree.set(0, digest(1)).unwrap();
        // The same bits of a longer index lead to the same root, so the range must be checked.
        assert!(verify(tree.root(), 0, digest(1), &tree.path(0)));
        assert_eq!(root_from_path(64, digest(1), &tree.path(0)), tree.root());
        assert!(!verify(tree.root(), 64, digest(1), &tree.path(0)));
        let mut deepest = SparseTree::new(32);
        deepest.set(u32::MAX, digest(2)).unwrap();
        assert!(verify(
            deepest.root(),
            u32::MAX,
            digest(2),
            &deepest.path(u32::MAX)
        ));
    }

    #[test]
    fn s2_wrong_openings_are_refused() {
        let mut tree = SparseTree::new(4);
        tree.set_many([(3, digest(3)), (5, digest(5))]).unwrap();
        let good = Opening {
            index: 3,
            leaf: digest(3),
            path: tree.path(3),
        };
        let refuse = |opening: Opening| {
            PartialTree::new(4, tree.root(), [&opening])
                .unwrap_err()
                .code()
        };
        assert_eq!(
            refuse(Opening {
                leaf: digest(4),
                ..good.clone()
            }),
            "S2.path_root"
        );
        assert_eq!(
            refuse(Opening {
                index: 2,
                ..good.clone()
            }),
            "S2.path_root"
        );
        assert_eq!(
            refuse(Opening {
                index: 19,
                ..good.clone()
            }),
            "S2.index"
        );
        let short = good.path[..3].to_vec();
        assert_eq!(
            refuse(Opening {
                path: short,
                ..good.clone()
            }),
            "S2.path_length"
        );
        let mut partial = PartialTree::new(4, tree.root(), [&good]).unwrap();
        assert_eq!(partial.set(5, digest(6)).unwrap_err().code(), "S2.unopened");
        assert_eq!(partial.path(5).unwrap_err().code(), "S2.unopened");
    }

    #[test]
    fn s2_emptied_leaves_leave_no_trace() {
        let mut tree = SparseTree::new(10);
        tree.set_many([(3, digest(3)), (700, digest(5))]).unwrap();
        tree.set_many([(3, EMPTY), (700, EMPTY)]).unwrap();
        assert_eq!(tree.root(), empty_root(10));
        assert!(tree.levels.iter().all(BTreeMap::is_empty));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn s2_agrees_with_hashing_every_leaf(
            batches in prop::collection::vec(
                prop::collection::vec((0u32..64, 0u64..4), 0..8), 0..5)
        ) {
            let mut tree = SparseTree::new(6);
            let mut leaves = BTreeMap::new();
            for batch in batches {
                // Digest 0 empties a leaf.
                let batch: Vec<_> = batch.into_iter().map(|(i, v)| (i, digest(v))).collect();
                tree.set_many(batch.clone()).unwrap();
                leaves.extend(batch);
                prop_assert_eq!(tree.root(), naive_root(6, &leaves));
            }
            for index in 0..64 {
                let leaf = leaves.get(&index).copied().unwrap_or(EMPTY);
                prop_assert_eq!(tree.leaf(index), leaf);
                prop_assert!(verify(tree.root(), index, leaf, &tree.path(index)));
            }
        }

        #[test]
        fn s2_a_partial_tree_follows_the_whole(
            start in prop::collection::vec((0u32..256, 1u64..99), 0..20),
            changes in prop::collection::vec((0u32..256, 0u64..99), 1..20),
        ) {
            let start = start.into_iter().map(|(i, v)| (i, digest(v)));
            let mut tree = SparseTree::from_leaves(8, start).unwrap();
            let mut partial = PartialTree::of(&tree, changes.iter().map(|c| c.0)).unwrap();
            prop_assert_eq!(partial.root(), tree.root());
            for (index, value) in changes {
                prop_assert_eq!(partial.leaf(index).unwrap(), tree.leaf(index));
                let path = partial.set(index, digest(value)).unwrap();
                tree.set(index, digest(value)).unwrap();
                prop_assert_eq!(path, tree.path(index));
                prop_assert_eq!(partial.root(), tree.root());
            }
        }
    }
}
