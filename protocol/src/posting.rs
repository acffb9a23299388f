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
    Cancel = 20,
}

/// What a posting needs of its account: a set of bits, each one check of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Needs(pub u32);

impl Needs {
    /// Authorised by an order of `order_size` lots, of which its postings never sum to more. The
    /// order is named by slot and sequence, or, with NONCE, by the account's nonce, which the
    /// order's consecutive postings share \[S4\].
    pub const ORDER: Self = Self(1 << 0);
    /// Consumes the account's nonce, in `place` \[S4\], \[S5\]. Without ORDER by this posting
    /// alone.
    pub const NONCE: Self = Self(1 << 1);
    /// The trading key may sign it (orders and cancels) \[S2\].
    pub const TRADING_KEY: Self = Self(1 << 2);
    /// |size| must not grow or flip, against the running size \[L3\].
    pub const REDUCE_ONLY: Self = Self(1 << 3);
    /// A higher sequence carries `filled` over \[S4\].
    pub const AMEND: Self = Self(1 << 4);
    /// The epoch must end with E₁ ≥ R₁, clamped and halted rows at the whole mark \[L4\]; a system
    /// account with cash ≥ 0.
    pub const OUTFLOW: Self = Self(1 << 5);
    /// The account's only posting in its epoch \[J4\], \[Q5\].
    pub const SOLE: Self = Self(1 << 6);
    /// Replaces an empty leaf by the default leaf of `aux` (owner, keys, a user's kind) \[S3\].
    pub const CREATE: Self = Self(1 << 7);
    /// Sets the keys to those of `aux` and bumps the generation \[S4\].
    pub const SET_KEYS: Self = Self(1 << 8);
    /// Bumps the generation \[S4\].
    pub const CANCEL_ALL: Self = Self(1 << 9);
    /// Flags a liquidatable account \[Q1\].
    pub const FLAG: Self = Self(1 << 10);
    /// A liquidation's posting on the liquidated account \[Q2\], \[Q3\], \[Q4\]. With AT_MOST
    /// \[J4\]: |Δsize| is `order_size`, or what empties the slot or restores the account.
    pub const LIQUIDATE: Self = Self(1 << 11);
    /// Empties a bankrupt account \[Q5\]: every slot, named by `aux`, and as much of its negative
    /// cash as one posting holds: Δcash = min(−cash, 2^56 − 1).
    pub const ABSORB: Self = Self(1 << 12);
    /// A fill of another kind than a liquidation: never beside one on the same account \[Q2\].
    pub const ORDINARY: Self = Self(1 << 13);
    /// The account is the system's \[S6\]; without it, it is not.
    pub const SYSTEM: Self = Self(1 << 14);
    /// Growth is allowed in a reduce_only row: takers of a liquidation, insurance \[T6\].
    pub const MAY_GROW: Self = Self(1 << 15);
    /// `aux` names the account's L1 owner, which must be the leaf's \[J3\], \[J4\].
    pub const OWNER: Self = Self(1 << 16);
    /// The slot is given by `place` (insurance accounts: row mod 16; bridges: 0) \[S6\].
    pub const FIXED_SLOT: Self = Self(1 << 17);
    /// Permitted to a flagged account: liquidations, deposits, cancels \[Q2\].
    pub const WHILE_FLAGGED: Self = Self(1 << 18);
    /// Takes the smaller of `order_size` and what the account can bear \[J4\]; > 0.
    pub const AT_MOST: Self = Self(1 << 19);
    /// Value that comes in against nothing: the slot's growth is no risk to \[L4\], since an owned
    /// lot's requirement is below its value.
    pub const DEPOSIT: Self = Self(1 << 20);
    /// Changes nothing; the `Refusal` in `place` is proven about the account before the epoch, in
    /// place of all that the request would have needed \[J4\].
    pub const REFUSED: Self = Self(1 << 21);
    /// Bits in use; the ledger's circuit decomposes exactly these.
    pub const COUNT: u32 = 22;

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

/// The fact about an account before its epoch for which an L1 item is refused \[J4\]. The number is
/// in the `place` of a REFUSED posting, which also gives `instrument`, the item's amount in
/// `order_size` and, where a side matters, its bit in `sequence`. But for `Empty`, the leaf exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u32)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The leaf is empty \[S3\].
    Empty = 1,
    /// The leaf's L1 owner is not `aux`'s \[J3\].
    Owner = 2,
    /// No slot for the instrument: none holds it and none that the account may use is empty
    /// \[S2\], \[L6\].
    Slots = 3,
    /// The amount (lots to the side, or cash) would leave \[N4\]'s bounds.
    Bounds = 4,
    /// AT_MOST would pay nothing \[L4\].
    Funds = 5,
    /// Not `is_liquidatable` \[Q1\].
    NotLiquidatable = 6,
    /// No flag that a liquidation may use: none, older than X, or set in this epoch \[Q2\].
    NotFlagged = 7,
    /// E₀ < 0: to be absorbed, not liquidated \[Q2\].
    Bankrupt = 8,
    /// E₀ ≥ 0: not to be absorbed \[Q5\].
    Solvent = 9,
    /// Does not hold the instrument on the side \[Q3\].
    NotHeld = 10,
    /// Holds the instrument, whose row the journal shows to be halted \[T6\].
    Held = 11,
    /// E₀ ≥ maintenance: only owned slots may go, and the journal shows that this is none \[Q3\].
    CashOnly = 12,
    /// Carries a flag that is not stale: takes no liquidation \[Q2\].
    Flagged = 13,
    /// With `order_size` lots more on the side at the mark (cash less lots · value for a long, more
    /// for a short), E₁ < R₁ or cash₁ < min(0, cash₀) \[L4\], \[L5\].
    Margin = 14,
    /// The generation has no successor \[S4\].
    Exhausted = 15,
}

/// The fixed tuple of \[J1\].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(with = "crate::wire")]
    pub digest: Digest,
    /// Order slot, nonce, fixed account slot or `Refusal`, as `needs` says.
    pub place: u32,
    pub sequence: u32,
    pub generation: u32,
    /// The order's size in lots; with AT_MOST or REFUSED the amount asked for.
    pub order_size: u64,
    pub needs: Needs,
    /// Digest of the kind's own fields (`aux`), opened at both ends; zero where it has none.
    #[serde(with = "crate::wire")]
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
