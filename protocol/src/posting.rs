//! The posting: an entry's effect on one account, the message from journal to ledger \[J1\].
//!
//! The journal decides *terms* and writes them here; the ledger decides *authority and solvency*
//! and reads nothing but this tuple. What the ledger has to check is spelled out by `Needs`, which
//! the journal's circuits set as constants of the entry's kind (plus what the signed order itself
//! says), so the ledger never decodes a kind.

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, F, signed, unsigned};
use crate::types::{AccountId, InstrumentId};

/// Elements of a posting's tuple.
pub const POSTING_WORDS: usize = 20;

/// What an entry's posting is. The number is in the tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
#[serde(rename_all = "snake_case")]
pub enum PostingKind {
    Fill = 1,
    Fee = 2,
    Deposit = 3,
    Withdraw = 4,
    TransferOut = 5,
    TransferIn = 6,
    KeyChange = 7,
    CancelAll = 8,
    Flag = 9,
    Liquidated = 10,
    LiquidationTaker = 11,
    Penalty = 12,
    Absorbed = 13,
    Absorption = 14,
    FeeWithdraw = 15,
    Unwound = 16,
    Refused = 17,
    Tick = 18,
    Bridge = 19,
}

/// What a posting needs of its account: a set of bits, each one check of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Needs(pub u32);

impl Needs {
    /// Authorised by an order in the order tree, named by slot and sequence \[S4\].
    pub const ORDER: Self = Self(1 << 0);
    /// Authorised by a message that carries the account's nonce \[S4\], \[S5\].
    pub const NONCE: Self = Self(1 << 1);
    /// The trading key may sign it (orders and cancels) \[S2\].
    pub const TRADING_KEY: Self = Self(1 << 2);
    /// |size| must not grow or flip, against the running size \[L3\].
    pub const REDUCE_ONLY: Self = Self(1 << 3);
    /// A higher sequence carries `filled` over \[S4\].
    pub const AMEND: Self = Self(1 << 4);
    /// The epoch must end with E₁ ≥ R₁, clamped and halted rows at the whole mark \[L4\].
    pub const OUTFLOW: Self = Self(1 << 5);
    /// The account's only posting in its epoch \[J4\], \[Q5\].
    pub const SOLE: Self = Self(1 << 6);
    /// Replaces an empty leaf by the default leaf of `aux` (owner, keys, kind) \[S3\].
    pub const CREATE: Self = Self(1 << 7);
    /// Sets the keys to those of `aux` and bumps the generation \[S4\].
    pub const SET_KEYS: Self = Self(1 << 8);
    /// Bumps the generation \[S4\].
    pub const CANCEL_ALL: Self = Self(1 << 9);
    /// Flags a liquidatable account \[Q1\].
    pub const FLAG: Self = Self(1 << 10);
    /// A liquidation's posting on the liquidated account \[Q2\], \[Q3\], \[Q4\].
    pub const LIQUIDATE: Self = Self(1 << 11);
    /// Empties a bankrupt account \[Q5\].
    pub const ABSORB: Self = Self(1 << 12);
    /// A fill of another kind than a liquidation: never beside one on the same account \[Q2\].
    pub const ORDINARY: Self = Self(1 << 13);
    /// The account is the system's \[S6\]; without it, it is not.
    pub const SYSTEM: Self = Self(1 << 14);
    /// Growth is allowed in a reduce_only row: takers of a liquidation, insurance \[T6\].
    pub const MAY_GROW: Self = Self(1 << 15);
    /// `aux` names the account's L1 owner, which must be the leaf's \[J3\], \[J4\].
    pub const OWNER: Self = Self(1 << 16);
    /// The slot is given by `place` (insurance accounts: row mod 16) \[S6\].
    pub const FIXED_SLOT: Self = Self(1 << 17);
    /// Permitted to a flagged account: liquidations, deposits, cancels \[Q2\].
    pub const WHILE_FLAGGED: Self = Self(1 << 18);
    /// Pays the smaller of the amount asked and what keeps E₁ ≥ R₁ \[J4\].
    pub const AT_MOST: Self = Self(1 << 19);
    /// Refusals: the named fact about the account before the epoch is proven false \[J4\].
    pub const REFUSE_EMPTY: Self = Self(1 << 20);
    pub const REFUSE_OWNER: Self = Self(1 << 21);
    pub const REFUSE_LIQUIDATABLE: Self = Self(1 << 22);
    pub const REFUSE_BANKRUPT: Self = Self(1 << 23);
    pub const REFUSE_SLOTS: Self = Self(1 << 24);
    pub const REFUSE_FLAGGED: Self = Self(1 << 25);
    pub const REFUSE_FUNDS: Self = Self(1 << 26);
    /// Bits in use; the ledger's circuit decomposes exactly these.
    pub const COUNT: u32 = 27;

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl core::ops::BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The fixed tuple of \[J1\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    pub kind: PostingKind,
    pub epoch: u32,
    pub account: AccountId,
    /// Place in the epoch's journal; an account's postings are applied by rising index \[L1\].
    pub index: u32,
    pub instrument: InstrumentId,
    /// Lots, signed, |Δsize| ≤ the row's max_size.
    pub delta_size: i64,
    /// Micro-quote, signed, below 2^56.
    pub delta_cash: i64,
    /// Digest of the message that authorises it; zero where none does.
    pub digest: Digest,
    /// Order slot, nonce, or fixed account slot, as `needs` says.
    pub place: u32,
    pub sequence: u32,
    pub generation: u32,
    /// The order's size in lots.
    pub order_size: u64,
    pub needs: Needs,
    /// Digest of the kind's own fields (`aux`), opened at both ends; zero where it has none.
    pub aux: Digest,
}

impl Posting {
    /// The tuple as field elements, in the order in which it is absorbed and fingerprinted.
    pub fn words(&self) -> [F; POSTING_WORDS] {
        let digest = self.digest.elements;
        let aux = self.aux.elements;
        [
            unsigned(self.kind as u64),
            unsigned(self.epoch.into()),
            unsigned(self.account.0.into()),
            unsigned(self.index.into()),
            unsigned(self.instrument.0.into()),
            signed(self.delta_size),
            signed(self.delta_cash),
            digest[0],
            digest[1],
            digest[2],
            digest[3],
            unsigned(self.place.into()),
            unsigned(self.sequence.into()),
            unsigned(self.generation.into()),
            unsigned(self.order_size),
            unsigned(self.needs.0.into()),
            aux[0],
            aux[1],
            aux[2],
            aux[3],
        ]
    }
}
