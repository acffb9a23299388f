//! Genesis \[S7\]: the system's leaves with zeros, no rows but the quote's.

use std::collections::BTreeMap;

use crate::account::{Account, AccountKind, Keys, Owner, Rest};
use crate::bounds::FIRST_USER_ACCOUNT;
use crate::header::{Globals, Header};
use crate::instrument::Row;
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
    let mut table = Table::default();
    // Row 0 is the quote asset's: zeros, which empty slots read.
    table.set(0, Row::default())?;
    Ok(State {
        header: Header::genesis(globals, reporters.digest(), time),
        reporters,
        changes: BTreeMap::new(),
        table,
        accounts,
    })
}
