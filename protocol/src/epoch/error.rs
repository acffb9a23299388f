//! Why an epoch does not begin, an entry is not accepted, or an epoch cannot finish.

use thiserror::Error;

use crate::close::CloseError;
use crate::entry::EntryError;
use crate::header::HeaderError;
use crate::journal::layout::LayoutError;
use crate::ledger::LedgerError;
use crate::listing::ListingError;
use crate::oracle::OracleError;
use crate::signature::SignatureError;
use crate::socialisation::SocialisationError;
use crate::table::TableError;
use crate::tick::TickError;
use crate::tree::TreeError;
use crate::types::AccountId;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EpochError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Tick(#[from] TickError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
    #[error(transparent)]
    Socialisation(#[from] SocialisationError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("[Q5] account {} is not bankrupt before this epoch's shift", .account.0)]
    NotBankrupt { account: AccountId },
    #[error("[Q6] account {} is absorbed but was not declared", .account.0)]
    Undeclared { account: AccountId },
    #[error("[Q6] account {} was declared but is not absorbed", .account.0)]
    NotAbsorbed { account: AccountId },
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error("[C1] queue item {index}, the next is {next}")]
    QueueOrder { index: u64, next: u64 },
    #[error("[Q7] discounts of {discounts} from an insurance equity of {budget}")]
    Discounts { discounts: u64, budget: u64 },
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("[T7] the header has a place for the change of row {row}: it may not be refused")]
    Admissible { row: u32 },
    #[error("[T7] changes of an epoch are all admitted, or some refused: that of row {row} waits")]
    ChangeWaits { row: u32 },
    #[error("account {}: {error}", .account.0)]
    Ledger {
        account: AccountId,
        error: LedgerError,
    },
    #[error("[S5] account {} did not sign", .account.0)]
    Unsigned { account: AccountId },
    #[error("account {}: {error}", .account.0)]
    Signature {
        account: AccountId,
        error: SignatureError,
    },
    #[error("[T8] open interest of instrument {instrument} would be {open}, at most {max}")]
    OpenInterest {
        instrument: u32,
        open: i64,
        max: u64,
    },
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("row {row}: {error}")]
    Close { row: u32, error: CloseError },
    #[error("[L4] account {} is not left as it was sealed", .account.0)]
    Sealed { account: AccountId },
    #[error("[T3] instrument {instrument} changed but its row was not read")]
    Unread { instrument: u32 },
}

impl EpochError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            EpochError::Header(error) => error.code(),
            EpochError::Tick(error) => error.code(),
            EpochError::Oracle(error) => error.code(),
            EpochError::Socialisation(error) => error.code(),
            EpochError::Table(error) => error.code(),
            EpochError::Tree(error) => error.code(),
            EpochError::NotBankrupt { .. } => "Q5.not_bankrupt",
            EpochError::Undeclared { .. } => "Q6.undeclared",
            EpochError::NotAbsorbed { .. } => "Q6.not_absorbed",
            EpochError::Entry(error) => error.code(),
            EpochError::QueueOrder { .. } => "C1.order",
            EpochError::Discounts { .. } => "Q7.budget",
            EpochError::Listing(error) => error.code(),
            EpochError::Admissible { .. } => "T7.admissible",
            EpochError::ChangeWaits { .. } => "T7.waits",
            EpochError::Ledger { error, .. } => error.code(),
            EpochError::Unsigned { .. } => "S5.unsigned",
            EpochError::Signature { error, .. } => error.code(),
            EpochError::OpenInterest { .. } => "T8.open_interest",
            EpochError::Layout(error) => error.code(),
            EpochError::Close { error, .. } => error.code(),
            EpochError::Sealed { .. } => "L4.sealed",
            EpochError::Unread { .. } => "T3.unread",
        }
    }
}
