//! The state \[S1\]: header, instrument table and accounts, with what their digests hide.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::Account;
use crate::bounds::ACCOUNT_DEPTH;
use crate::hash::Digest;
use crate::header::{Header, state_root};
use crate::listing::Change;
use crate::oracle::Reporters;
use crate::orders::OrderTree;
use crate::table::Table;
use crate::tree::{SparseTree, TreeError};
use crate::types::AccountId;

/// Everything that an epoch starts from.
#[derive(Clone, Debug)]
pub struct State {
    pub header: Header,
    /// Behind the header's digest of the reporter set.
    pub reporters: Reporters,
    /// Behind the header's pending changes, by row \[T7\].
    pub changes: BTreeMap<u32, Change>,
    pub table: Table,
    pub accounts: Accounts,
}

impl State {
    /// \[S1\]
    pub fn root(&self) -> Digest {
        state_root(
            self.accounts.root(),
            self.table.root(),
            self.header.digest(),
        )
    }
}

/// A leaf's content with the order tree behind its `orders_root`.
#[derive(Clone, Debug, Default)]
pub struct Member {
    pub account: Account,
    pub orders: OrderTree,
}

/// All accounts that exist, and their tree. An id that is absent has the empty leaf \[S2\].
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Shared between the states of consecutive epochs: a copy of the state copies no leaf.
    members: BTreeMap<AccountId, Arc<Member>>,
    tree: SparseTree,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            tree: SparseTree::new(ACCOUNT_DEPTH),
        }
    }
}

impl Accounts {
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    pub fn get(&self, id: AccountId) -> Option<&Member> {
        self.members.get(&id).map(Arc::as_ref)
    }

    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.get(id).map(|member| &member.account)
    }

    /// By rising id.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &Member)> {
        self.members
            .iter()
            .map(|(id, member)| (*id, member.as_ref()))
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn tree(&self) -> &SparseTree {
        &self.tree
    }

    /// Replaces leaves in bulk; each node above them is hashed once.
    pub fn set(
        &mut self,
        members: impl IntoIterator<Item = (AccountId, Member)>,
    ) -> Result<(), TreeError> {
        let mut leaves = Vec::new();
        for (id, member) in members {
            leaves.push((id.0, member.account.digest()));
            self.members.insert(id, Arc::new(member));
        }
        self.tree.set_many(leaves)
    }
}
