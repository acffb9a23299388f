//! The state from L1 data alone \[P6\], \[C3\]: what anyone does once the operator is gone.
//!
//! Batches are applied from genesis on. After each the accounts' tree and the table are recomputed,
//! and with the header's digest, which the statement has, they must give the root that the batch
//! states. The order trees and keys behind an account's `rest` are its owner's to know; the
//! header's deficit and pause are behind its digest. No claim reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountRecord, BatchData, BatchStatement, DataError};
use crate::account::{AccountKind, Keys, Money, Owner, leaf_digests, owned_rest};
use crate::bounds::{ACCOUNT_DEPTH, FIRST_USER_ACCOUNT};
use crate::genesis::default_leaf;
use crate::hash::{Digest, compress};
use crate::header::state_root;
use crate::table::Table;
use crate::tree::SparseTree;

/// An account as L1 knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub owner: Owner,
    pub money: Money,
    /// Digest of keys, nonce, generation, kind and orders.
    pub rest: Digest,
}

impl Leaf {
    /// \[S2\]
    pub fn digest(&self) -> Digest {
        compress(self.money.digest(), owned_rest(&self.owner, self.rest))
    }

    fn parts(&self) -> (&Money, Owner, Digest) {
        (&self.money, self.owner, self.rest)
    }
}

/// The state after the batches applied so far.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    pub accounts: BTreeMap<u32, Leaf>,
    pub table: Table,
    tree: SparseTree,
    last: Option<BatchStatement>,
}

impl Rebuilt {
    /// \[S7\] The system's leaves and the quote's row.
    pub fn genesis() -> Result<Self, DataError> {
        let system = default_leaf(Owner::default(), Keys::default(), AccountKind::System);
        let leaf = Leaf {
            owner: system.owner,
            rest: system.rest.digest(),
            money: system.money,
        };
        let digest = leaf.digest();
        let ids = 0..FIRST_USER_ACCOUNT;
        let mut tree = SparseTree::new(ACCOUNT_DEPTH);
        tree.set_many(ids.clone().map(|id| (id, digest)))?;
        Ok(Self {
            accounts: ids.map(|id| (id, leaf.clone())).collect(),
            table: Table::genesis(),
            tree,
            last: None,
        })
    }

    /// The last batch applied.
    pub fn last(&self) -> Option<&BatchStatement> {
        self.last.as_ref()
    }

    /// Leaves whose paths lead to the account root.
    pub fn tree(&self) -> &SparseTree {
        &self.tree
    }

    /// Applies the next batch. On an error nothing that this holds is to be relied on.
    pub fn apply(&mut self, batch: &BatchData) -> Result<(), DataError> {
        let statement = &batch.statement;
        self.check_next(statement)?;
        let mut touched = BTreeSet::new();
        for list in &batch.lists {
            for record in list.small.iter().chain(&list.large) {
                let leaf = self.leaf(record)?;
                touched.insert(record.id);
                self.accounts.insert(record.id, leaf);
            }
            self.table.set_many(list.rows.iter().copied())?;
        }
        let leaves = touched.iter().filter_map(|id| self.accounts.get(id));
        let leaves: Vec<_> = leaves.map(Leaf::parts).collect();
        let digests = leaf_digests(&leaves);
        self.tree.set_many(touched.into_iter().zip(digests))?;
        let (accounts, table) = (self.tree.root(), self.table.root());
        let got = state_root(accounts, table, statement.header_after);
        let stated = statement.state_after;
        if got != stated {
            return Err(DataError::Root { stated, got });
        }
        self.last = Some(statement.clone());
        Ok(())
    }

    /// \[P5\]
    fn check_next(&self, next: &BatchStatement) -> Result<(), DataError> {
        let last = self.last.as_ref();
        let domain = |it: &BatchStatement| (it.chain_id, it.contract);
        if last.is_some_and(|last| domain(last) != domain(next)) {
            return Err(DataError::Domain);
        }
        let (expected, got) = (
            last.map_or(0, |last| last.last_epoch).saturating_add(1),
            next.first_epoch,
        );
        if got != expected {
            return Err(DataError::Epoch { expected, got });
        }
        if last.is_some_and(|last| last.state_after != next.state_before) {
            return Err(DataError::Chain);
        }
        Ok(())
    }

    /// An owner is published once, when the account is created \[S3\].
    fn leaf(&self, record: &AccountRecord) -> Result<Leaf, DataError> {
        let (id, named) = (record.id, record.owner);
        let known = self.accounts.get(&id).map(|leaf| leaf.owner);
        let is_named = named != Owner::default();
        if known.is_some() && is_named {
            return Err(DataError::Created { id });
        }
        let owner = known.unwrap_or(named);
        Ok(Leaf {
            owner,
            money: record.money.clone(),
            rest: record.rest,
        })
    }
}
