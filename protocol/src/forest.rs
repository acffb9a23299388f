//! Changes to several trees at once: a level of all of them is hashed side by side, in the
//! processor's vectors.

use crate::hash::{Digest, compress_each};
use crate::tree::{SparseTree, TreeError, ordered, shifted, sibling};

/// A tree and leaves to be set in it.
#[derive(Debug)]
pub struct Change<'t> {
    pub tree: &'t mut SparseTree,
    /// Index and leaf, in turn.
    pub leaves: Vec<(u32, Digest)>,
}

/// Siblings from a leaf upwards.
pub type Path = Vec<Digest>;

/// Sets leaves (the last value of an index counts) and hashes each node above them once.
pub fn set_many(changes: Vec<Change<'_>>) -> Result<(), TreeError> {
    check(&changes)?;
    let mut changed: Vec<(&mut SparseTree, Vec<u32>)> = Vec::with_capacity(changes.len());
    for Change { tree, leaves } in changes {
        for (index, leaf) in &leaves {
            tree.store(0, *index, *leaf);
        }
        let mut indices: Vec<u32> = leaves.into_iter().map(|(index, _)| index).collect();
        indices.sort_unstable();
        changed.push((tree, indices));
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut below = 0;
    while !changed.is_empty() {
        changed.retain(|(tree, _)| below < tree.depth());
        for (tree, indices) in &mut changed {
            indices.iter_mut().for_each(|index| *index >>= 1);
            indices.dedup();
            left.extend(indices.iter().map(|index| tree.node(below, index << 1)));
            right.extend(indices.iter().map(|index| tree.node(below, index << 1 | 1)));
        }
        below = below.saturating_add(1);
        let mut nodes = compress_each(&left, &right).into_iter();
        for (tree, indices) in &mut changed {
            for (index, node) in indices.iter().zip(&mut nodes) {
                tree.store(below, *index, node);
            }
        }
        left.clear();
        right.clear();
    }
    Ok(())
}

/// A tree on the way of `set_in_turn` from its leaves to its root.
struct Turns<'t> {
    tree: &'t mut SparseTree,
    /// Of each leaf, its index and the node above it at its turn.
    nodes: Vec<(u32, Digest)>,
    paths: Vec<Path>,
}

/// Sets each tree's leaves one after another, and gives the path of each as it then is.
///
/// Level by level: a node at some leaf's turn is made of the node below and of that one's sibling,
/// and both are known for all turns when the level below is.
pub fn set_in_turn(changes: Vec<Change<'_>>) -> Result<Vec<Vec<Path>>, TreeError> {
    check(&changes)?;
    let turns = changes.into_iter().map(|Change { tree, leaves }| Turns {
        tree,
        paths: vec![Path::new(); leaves.len()],
        nodes: leaves,
    });
    let mut turns: Vec<Turns<'_>> = turns.collect();
    let deepest = turns.iter().map(|turns| turns.tree.depth()).max();
    for level in 0..=deepest.unwrap_or_default() {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for turns in &mut turns {
            for (a, b) in turns.take(level) {
                left.push(a);
                right.push(b);
            }
        }
        let mut above = compress_each(&left, &right).into_iter();
        for turns in turns.iter_mut().filter(|turns| level < turns.tree.depth()) {
            for ((_, node), above) in turns.nodes.iter_mut().zip(&mut above) {
                *node = above;
            }
        }
    }
    Ok(turns.into_iter().map(|turns| turns.paths).collect())
}

impl Turns<'_> {
    /// Stores a level's nodes in turn; both children of each node above them.
    fn take(&mut self, level: usize) -> Vec<(Digest, Digest)> {
        let depth = self.tree.depth();
        let mut children = Vec::with_capacity(self.nodes.len());
        for ((index, node), path) in self.nodes.iter().zip(&mut self.paths) {
            let place = shifted(*index, level);
            if level <= depth {
                self.tree.store(level, place, *node);
            }
            if level < depth {
                let beside = self.tree.node(level, sibling(*index, level));
                path.push(beside);
                children.push(ordered(place, *node, beside));
            }
        }
        children
    }
}

fn check(changes: &[Change<'_>]) -> Result<(), TreeError> {
    for Change { tree, leaves } in changes {
        let depth = tree.depth();
        if let Some((index, _)) = leaves.iter().find(|(i, _)| shifted(*i, depth) != 0) {
            return Err(TreeError::Index {
                index: *index,
                depth,
            });
        }
    }
    Ok(())
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

    /// Depth, leaves at first, leaves to be set. Value 0 empties a leaf.
    fn tree() -> impl Strategy<Value = (SparseTree, Vec<(u32, Digest)>)> {
        let leaves = |most| prop::collection::vec((0u32..64, 0u64..4), 0..most);
        (6usize..9, leaves(12), leaves(40)).prop_map(|(depth, first, then)| {
            let leaf = |(index, value)| (index, digest(value));
            let mut tree = SparseTree::new(depth);
            for (index, leaf) in first.into_iter().map(leaf) {
                tree.set(index, leaf).unwrap();
            }
            (tree, then.into_iter().map(leaf).collect())
        })
    }

    fn changes<'t>(trees: &'t mut [SparseTree], leaves: &[Vec<(u32, Digest)>]) -> Vec<Change<'t>> {
        let both = trees.iter_mut().zip(leaves.to_vec());
        both.map(|(tree, leaves)| Change { tree, leaves }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn s2_trees_changed_together_are_as_each_changed_alone(
            given in prop::collection::vec(tree(), 0..6)
        ) {
            let (trees, leaves): (Vec<_>, Vec<_>) = given.into_iter().unzip();
            let mut alone = trees.clone();
            let mut expected = Vec::new();
            for (tree, leaves) in alone.iter_mut().zip(&leaves) {
                let mut paths = Vec::new();
                for (index, leaf) in leaves {
                    paths.push(tree.path(*index));
                    tree.set(*index, *leaf).unwrap();
                }
                expected.push(paths);
            }
            let (mut many, mut in_turn) = (trees.clone(), trees);
            set_many(changes(&mut many, &leaves)).unwrap();
            prop_assert_eq!(set_in_turn(changes(&mut in_turn, &leaves)).unwrap(), expected);
            prop_assert_eq!(&many, &alone);
            prop_assert_eq!(&in_turn, &alone);
        }
    }

    #[test]
    fn s2_an_index_outside_of_one_tree_changes_none() {
        let trees = || vec![SparseTree::new(3), SparseTree::new(2)];
        let leaves = [vec![(4, digest(1))], vec![(4, digest(1))]];
        let mut changed = trees();
        let error = set_many(changes(&mut changed, &leaves)).unwrap_err();
        assert_eq!(error.code(), "S2.index");
        let error = set_in_turn(changes(&mut changed, &leaves)).unwrap_err();
        assert_eq!(error.code(), "S2.index");
        assert_eq!(changed, trees());
    }
}
