//! The state \[S1\]: header, instrument table and accounts, with what their digests hide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{self, Account};
use crate::bounds::ACCOUNT_DEPTH;
use crate::hash::{Digest, EMPTY};
use crate::header::{Header, state_root};
use crate::listing::Change;
use crate::oracle::Reporters;
use crate::orders::{self, OrderSlot, OrderTree};
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
    /// Without accounts and rows: what stands in for a state that was taken away.
    pub fn emptied(&self) -> Self {
        Self {
            header: self.header,
            reporters: self.reporters.clone(),
            changes: BTreeMap::new(),
            table: Table::genesis(),
            accounts: Accounts::default(),
        }
    }

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
    /// Members that changed since they were hashed.
    stale: BTreeSet<AccountId>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            tree: SparseTree::new(ACCOUNT_DEPTH),
            stale: BTreeSet::new(),
        }
    }
}

impl Accounts {
    /// Where leaves are not hashed yet, it hashes them for this answer alone.
    pub fn root(&self) -> Digest {
        if self.stale.is_empty() {
            return self.tree.root();
        }
        let mut hashed = self.clone();
        match hashed.rehash() {
            Ok(()) => hashed.tree.root(),
            // An id beyond the tree, which `set_unhashed` was not given: no root is this.
            Err(_) => EMPTY,
        }
    }

    /// Replaces a leaf, with the order slots that changed, without hashing it: until `rehash` its
    /// `orders_root` is the old one, and `tree` shows the old leaf.
    pub fn set_unhashed(
        &mut self,
        id: AccountId,
        account: Account,
        orders: &BTreeMap<u32, OrderSlot>,
    ) {
        let member = Arc::make_mut(self.members.entry(id).or_default());
        member.account = account;
        for (place, slot) in orders {
            member.orders.set_unhashed(*place, *slot);
        }
        self.stale.insert(id);
    }

    /// Hashes what `set_unhashed` left.
    pub fn rehash(&mut self) -> Result<(), TreeError> {
        let stale: Vec<AccountId> = core::mem::take(&mut self.stale).into_iter().collect();
        let mut orders = Vec::with_capacity(stale.len());
        for id in &stale {
            let member = self.members.get_mut(id).map(Arc::make_mut);
            orders.push(member.map(|member| core::mem::take(&mut member.orders)));
        }
        let rehashed = orders::rehash(orders.iter_mut().flatten());
        for (id, orders) in stale.iter().zip(orders) {
            if let (Some(member), Some(orders)) = (self.members.get_mut(id), orders) {
                let member = Arc::make_mut(member);
                member.account.rest.orders_root = orders.root();
                member.orders = orders;
            }
        }
        rehashed?;
        let members = stale
            .iter()
            .filter_map(|id| Some((id.0, self.account(*id)?)));
        let (ids, accounts): (Vec<u32>, Vec<&Account>) = members.unzip();
        let digests = account::digests(&accounts);
        self.tree.set_many(ids.into_iter().zip(digests))
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

    /// Of leaves that are hashed.
    pub fn tree(&self) -> &SparseTree {
        &self.tree
    }

    /// Replaces leaves in bulk; each node above them is hashed once.
    pub fn set(
        &mut self,
        members: impl IntoIterator<Item = (AccountId, Member)>,
    ) -> Result<(), TreeError> {
        let members: Vec<(AccountId, Member)> = members.into_iter().collect();
        let accounts: Vec<_> = members.iter().map(|(_, member)| &member.account).collect();
        let digests = account::digests(&accounts);
        let ids = members.iter().map(|(id, _)| id.0);
        let leaves: Vec<_> = ids.zip(digests).collect();
        for (id, member) in members {
            self.stale.remove(&id);
            self.members.insert(id, Arc::new(member));
        }
        self.tree.set_many(leaves)
    }
}
