//! Keys of development deployments: everybody knows them, so nothing of value may depend on them.

use tally_protocol::account::{Keys, Owner};
use tally_protocol::signature::SecretKey;

/// Reporters of a development deployment.
pub const REPORTERS: u32 = 4;

/// An oracle reporter's.
pub fn reporter(number: u32) -> SecretKey {
    SecretKey::derive("tally development reporter", &number.to_le_bytes())
}

/// The sequencer's, which signs receipts.
pub fn receipt_key() -> SecretKey {
    SecretKey::derive("tally development sequencer", b"receipts")
}

/// An account's.
pub fn account(account: u32) -> SecretKey {
    SecretKey::derive("tally development account", &account.to_le_bytes())
}

/// The same as a leaf holds it: no trading key.
pub fn account_keys(id: u32) -> Keys {
    Keys {
        key: account(id).public(),
        ..Keys::default()
    }
}

/// The L1 owner of a development account.
pub fn owner(account: u32) -> Owner {
    let mut bytes = [0xde; 20];
    let (_, tail) = bytes.split_at_mut(16);
    tail.copy_from_slice(&account.to_be_bytes());
    Owner(bytes)
}
