//! The shape of a join tree, the same for commitments and proofs.

/// How leaves are joined: as few joins as the arity allows, order kept, no join of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    Leaf(usize),
    Join(Vec<Tree>),
}

impl Tree {
    /// Over leaves 0..n; none for no leaves. Each level joins as many full groups as it has, from
    /// the left, and passes the rest up; only the root may have fewer children than the arity.
    pub fn of(leaves: usize, arity: usize) -> Option<Tree> {
        assert!(arity > 1, "joins of one never end");
        let mut level: Vec<Tree> = (0..leaves).map(Tree::Leaf).collect();
        while level.len() > arity {
            let full = level.len() - level.len() % arity;
            let rest = level.split_off(full);
            let groups = level.chunks(arity);
            let joined: Vec<Tree> = groups.map(|group| Tree::Join(group.to_vec())).collect();
            level = joined;
            level.extend(rest);
        }
        if level.len() > 1 {
            Some(Tree::Join(level))
        } else {
            level.pop()
        }
    }

    /// Folds the tree from its leaves, left to right.
    pub fn fold<T, E>(
        &self,
        leaf: &mut impl FnMut(usize) -> Result<T, E>,
        join: &mut impl FnMut(Vec<T>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            Tree::Leaf(place) => leaf(*place),
            Tree::Join(children) => {
                let mut parts = Vec::with_capacity(children.len());
                for child in children {
                    parts.push(child.fold(leaf, join)?);
                }
                join(parts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves in order, joins, and whether each join has 2 to 3 children.
    fn walk(tree: &Tree) -> (Vec<usize>, usize) {
        let mut joins = 0;
        let leaves = tree.fold(&mut |i| Ok::<_, ()>(vec![i]), &mut |children: Vec<
            Vec<usize>,
        >| {
            joins += 1;
            assert!((2..=3).contains(&children.len()));
            Ok(children.concat())
        });
        (leaves.unwrap(), joins)
    }

    #[test]
    fn joins_are_few_and_keep_the_order() {
        assert_eq!(Tree::of(0, 3), None);
        for n in 1..60 {
            let (leaves, joins) = walk(&Tree::of(n, 3).unwrap());
            assert_eq!(leaves, (0..n).collect::<Vec<_>>());
            assert_eq!(joins, (n - 1).div_ceil(2), "{n} leaves");
        }
    }
}
