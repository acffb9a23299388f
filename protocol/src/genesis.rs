//! Genesis \[S7\]: the system's leaves with zeros, no rows but the quote's.

use std::collections::BTreeMap;

use crate::account::{Account, AccountKind, Keys, Owner, Rest};
use crate::bounds::FIRST_USER_ACCOUNT;
use crate::header::{Globals, Header};
use crate::oracle::Reporters;
use crate::orders::{OrderTree, empty_orders};
use crate::state::{Accounts, Member, State};
use crate::table::Table;
use crate::tree::TreeError;
use crate::types::AccountId;

/// \[S3\] The leaf that every account begins as: zeros and an empty order tree, but for owner, keys
/// and kind.
pub fn default_leaf(owner: Owner, keys: Keys, kind: AccountKind) -> Account {
    Account {
        owner,
        rest: Rest {
            keys,
            kind,
            orders_root: empty_orders(),
            ..Rest::default()
        },
        ..Account::default()
    }
}

/// The state that the contract is constructed with.
pub fn genesis(globals: Globals, reporters: Reporters, time: u64) -> Result<State, TreeError> {
    let leaf = default_leaf(Owner::default(), Keys::default(), AccountKind::System);
    let member = Member {
        account: leaf,
        orders: OrderTree::default(),
    };
    let mut accounts = Accounts::default();
    let system = (0..FIRST_USER_ACCOUNT).map(|id| (AccountId(id), member.clone()));
    accounts.set(system)?;
    Ok(State {
        header: Header::genesis(globals, reporters.digest(), time),
        reporters,
        changes: BTreeMap::new(),
        table: Table::genesis(),
        accounts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{EMPTY, unsigned};
    use crate::trial_balance;

    fn fixed() -> State {
        let keys = (1..=4u64).map(|seed| [unsigned(seed); 5]).collect();
        let reporters = Reporters::new(keys, 1).unwrap();
        genesis(Globals::default(), reporters, 1_760_000_000).unwrap()
    }

    /// The digest that the contract is constructed with, for four reporters and zero globals.
    #[test]
    fn s7_the_genesis_root_is_pinned() {
        let root = fixed().root().elements;
        let pinned = [
            16485597928502873044,
            17045138941351989530,
            6817161431938953544,
            8045843735204238011,
        ];
        assert_eq!(root, pinned.map(unsigned));
    }

    #[test]
    fn s7_only_the_systems_leaves_are_there_and_all_are_zeros() {
        let state = fixed();
        assert_eq!(state.accounts.len(), 1_024);
        for (id, member) in state.accounts.iter() {
            assert!(id.is_system());
            assert_eq!(member.account.rest.kind, AccountKind::System);
            assert_eq!(member.account.money, Default::default());
            assert_eq!(member.account.rest.orders_root, member.orders.root());
        }
        assert_eq!(state.accounts.tree().leaf(1_024), EMPTY);
        assert_eq!(state.table.rows().count(), 1);
        trial_balance::check(&state).unwrap();
    }
}
