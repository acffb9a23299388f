//! Newtypes for what crosses a public boundary. Units and widths stand in `bounds`.

use serde::{Deserialize, Serialize};

use crate::bounds;

/// An account's place in the tree.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AccountId(pub u32);

impl AccountId {
    /// \[S6\] Ids below 1,024 are the system's.
    pub fn is_system(self) -> bool {
        self.0 < bounds::FIRST_USER_ACCOUNT
    }

    pub fn is_bridge(self) -> bool {
        self.0 >= bounds::BRIDGE_ACCOUNTS && self.is_system()
    }

    pub fn is_insurance(self) -> bool {
        self.0 < bounds::INSURANCE_ACCOUNTS
    }
}

/// An instrument's id: 32 bits, never used again.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct InstrumentId(pub u32);

/// The long or the short side of an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    #[default]
    Long,
    Short,
}

impl Side {
    /// 0 for long, 1 for short, as hashed.
    pub fn bit(self) -> u64 {
        match self {
            Side::Long => 0,
            Side::Short => 1,
        }
    }

    pub fn opposite(self) -> Self {
        match self {
            Side::Long => Side::Short,
            Side::Short => Side::Long,
        }
    }
}
