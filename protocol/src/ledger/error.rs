//! Every reason for which the ledger refuses, in the order in which it checks.

use thiserror::Error;

use crate::margin::MarginError;
use crate::orders::OrderError;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerError {
    #[error("[L1] the account was last opened in epoch {touched_at}, this is epoch {epoch}")]
    Reopened { touched_at: u32, epoch: u32 },
    #[error("[T3] instrument {instrument} is not read in this epoch")]
    Unread { instrument: u32 },
    #[error("[L1] posting {index} belongs to account {account} in epoch {epoch}")]
    Misdirected {
        index: u32,
        account: u32,
        epoch: u32,
    },
    #[error("[L1] posting {index} does not follow posting {last}")]
    Index { index: u32, last: u32 },
    #[error("[J4] posting {index} must be its account's only one, or another one of its must")]
    Sole { index: u32 },
    #[error("[J1] the posting's aux is not the digest of these terms")]
    Aux,
    #[error("[S2] the leaf is empty")]
    Missing,
    #[error("[S3] the leaf to be created is occupied")]
    Occupied,
    #[error("[S3] only cross and isolated accounts are created")]
    CreatedKind,
    #[error("[S6] only system postings, and they only, touch a system account")]
    System,
    #[error("[J3] the account has another L1 owner")]
    Owner,
    #[error("[S4] generation {named}, the account's is {held}")]
    Generation { named: u32, held: u32 },
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("[S4] nonce {named}, the account's is {held}")]
    Nonce { named: u32, held: u32 },
    #[error("[S2] the account has no such key")]
    NoKey,
    #[error("[S2] the trading key may not sign this")]
    TradingKey,
    #[error("[S4] the counter of nonces or generations is exhausted")]
    Exhausted,
    #[error("[Q1] E₀ {equity} covers maintenance {maintenance} and cash {cash} is not negative")]
    FlagHealthy {
        equity: i64,
        maintenance: u64,
        cash: i64,
    },
    #[error("[J4] refusal {place} names what does not hold of the account before its epoch")]
    Refusal { place: u32 },
    #[error("[N3] a change of {delta} lots, at most {max_size}")]
    DeltaSize { delta: i64, max_size: u64 },
    #[error("[S2] no empty slot is left")]
    SlotsFull,
    #[error("[S6] slot {place} does not hold this instrument")]
    FixedSlot { place: u32 },
    #[error("[T6] the row is settled")]
    Settled,
    #[error("[T6] {delta} lots on {size} grow a holding in a reduce_only row")]
    RowReduceOnly { size: i64, delta: i64 },
    #[error("[L3] {delta} lots on {size} do not reduce")]
    ReduceOnly { size: i64, delta: i64 },
    #[error("[Q2] the account was not flagged before this epoch")]
    NotFlagged,
    #[error("[Q2] the account is not liquidatable")]
    Healthy,
    #[error("[Q2] E₀ {equity} is below zero: absorb it")]
    Bankrupt { equity: i64 },
    #[error("[Q3] {delta} lots on {size} do not shrink the slot")]
    NotShrinking { size: i64, delta: i64 },
    #[error("[Q3] only cash is negative, and this slot is not owned")]
    NotOwned,
    #[error("[Q4] flagged in epoch {held}, the liquidation says {named}")]
    FlaggedAt { named: u32, held: u32 },
    #[error("[Q4] the charge per lot is {named}, it must be {due}")]
    Charge { named: u64, due: u64 },
    #[error("[Q5] equity {equity} before the shift is not below zero")]
    NotBankrupt { equity: i64 },
    #[error("[N3] |Δcash| {delta} does not fit 56 bits")]
    DeltaCash { delta: i64 },
    #[error("[N4] running cash {cash} does not fit 62 bits")]
    RunningCash { cash: i128 },
    #[error("[N4] {size} lots at close, at most {max_size}")]
    Size { size: i64, max_size: u64 },
    #[error("[N4] cash {cash} at close does not fit 60 bits")]
    Cash { cash: i64 },
    #[error("[S6] a bridge closes with cash {cash} or a size above zero")]
    Bridge { cash: i64 },
    #[error("[S6] value left a system account that closes with cash {cash}")]
    SystemCash { cash: i64 },
    #[error("[Q6] an insurance account without lots keeps cash {cash}")]
    InsuranceCash { cash: i64 },
    #[error(transparent)]
    Margin(#[from] MarginError),
    #[error("[L4] E₁ {equity} does not cover {initial}, and risk did not only fall")]
    Initial { equity: i64, initial: u64 },
    #[error("[L4] value leaves, and E₁ {equity} does not cover {outflow}")]
    Outflow { equity: i64, outflow: u64 },
    #[error("[L5] cash {cash} at close, at least {least}")]
    CashFloor { cash: i64, least: i128 },
    #[error("[L6] an isolated account closes with {held} slots")]
    Isolated { held: usize },
    #[error("[Q2] a flagged account takes nothing else until E₁ covers {initial}, it is {equity}")]
    Restricted { equity: i64, initial: u64 },
    #[error("[Q2] a liquidation shares its epoch with no other fill")]
    Mixed,
    #[error("[Q3] the requirement does not fall: {before} to {after}")]
    NotFalling { before: u64, after: u64 },
    #[error("[Q3] one lot less would have restored the account")]
    PastRestoration,
    #[error("[Q5] an absorbed account closes empty and takes nothing else")]
    NotAbsorbed,
    #[error("[J4] pays {paid} of {asked}, and one more could be paid")]
    AtMost { paid: u64, asked: u64 },
}

impl LedgerError {
    /// Stable over releases: shared by API, docs and the circuit's assertion labels.
    pub fn code(&self) -> &'static str {
        match self {
            LedgerError::Reopened { .. } => "L1.reopened",
            LedgerError::Unread { .. } => "T3.unread",
            LedgerError::Misdirected { .. } => "L1.misdirected",
            LedgerError::Index { .. } => "L1.index",
            LedgerError::Sole { .. } => "J4.sole",
            LedgerError::Aux => "J1.aux",
            LedgerError::Missing => "S2.missing",
            LedgerError::Occupied => "S3.occupied",
            LedgerError::CreatedKind => "S3.kind",
            LedgerError::System => "S6.system",
            LedgerError::Owner => "J3.owner",
            LedgerError::Generation { .. } => "S4.generation",
            LedgerError::Order(error) => error.code(),
            LedgerError::Nonce { .. } => "S4.nonce",
            LedgerError::NoKey => "S2.no_key",
            LedgerError::TradingKey => "S2.trading_key",
            LedgerError::Exhausted => "S4.exhausted",
            LedgerError::FlagHealthy { .. } => "Q1.healthy",
            LedgerError::Refusal { .. } => "J4.refusal",
            LedgerError::DeltaSize { .. } => "N3.size",
            LedgerError::SlotsFull => "S2.slots_full",
            LedgerError::FixedSlot { .. } => "S6.fixed_slot",
            LedgerError::Settled => "T6.settled",
            LedgerError::RowReduceOnly { .. } => "T6.reduce_only",
            LedgerError::ReduceOnly { .. } => "L3.reduce_only",
            LedgerError::NotFlagged => "Q2.not_flagged",
            LedgerError::Healthy => "Q2.healthy",
            LedgerError::Bankrupt { .. } => "Q2.bankrupt",
            LedgerError::NotShrinking { .. } => "Q3.not_shrinking",
            LedgerError::NotOwned => "Q3.not_owned",
            LedgerError::FlaggedAt { .. } => "Q4.flagged_at",
            LedgerError::Charge { .. } => "Q4.charge",
            LedgerError::NotBankrupt { .. } => "Q5.not_bankrupt",
            LedgerError::DeltaCash { .. } => "N3.cash",
            LedgerError::RunningCash { .. } => "N4.running_cash",
            LedgerError::Size { .. } => "N4.size",
            LedgerError::Cash { .. } => "N4.cash",
            LedgerError::Bridge { .. } => "S6.bridge",
            LedgerError::SystemCash { .. } => "S6.cash",
            LedgerError::InsuranceCash { .. } => "Q6.insurance_cash",
            LedgerError::Margin(error) => error.code(),
            LedgerError::Initial { .. } => "L4.initial",
            LedgerError::Outflow { .. } => "L4.outflow",
            LedgerError::CashFloor { .. } => "L5.cash",
            LedgerError::Isolated { .. } => "L6.isolated",
            LedgerError::Restricted { .. } => "Q2.restricted",
            LedgerError::Mixed => "Q2.mixed",
            LedgerError::NotFalling { .. } => "Q3.not_falling",
            LedgerError::PastRestoration => "Q3.past_restoration",
            LedgerError::NotAbsorbed => "Q5.not_absorbed",
            LedgerError::AtMost { .. } => "J4.at_most",
        }
    }
}
