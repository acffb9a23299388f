//! Why a command is refused: one variant a rule, each with its stable code.

use serde::{Serialize, Serializer};
use tally_protocol::epoch::EpochError;
use tally_protocol::oracle::OracleError;
use tally_protocol::order::OrderError;
use thiserror::Error;

/// What the sequencer demands beyond the rules' own errors.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    #[error("[S2] the account does not exist")]
    NoAccount,
    #[error("[S2] the key is not one that may sign this for the account")]
    Key,
    #[error("[S5] generation {named}, the account's is {held}")]
    Generation { named: u32, held: u32 },
    #[error("[S4] nonce {named}, the account's is {held}")]
    Nonce { named: u32, held: u32 },
    #[error("[S4] sequence {named} of a slot that has seen {seen}")]
    Sequence { named: u32, seen: u32 },
    #[error("[S4] this order by nonce came before")]
    Replayed,
    #[error("[S4] an order that was never filled is replaced, not amended")]
    AmendsNothing,
    #[error("[S4] all {filled} lots of the amended order are filled")]
    Filled { filled: u64 },
    #[error("[S4] a message's counter {named} does not rise above {seen}")]
    Counter { named: u64, seen: u64 },
    #[error("[O1] the client id names order {0}")]
    ClientId(u64),
    #[error("[O2] the account has {0} orders already")]
    Orders(usize),
    #[error("[O3] an order by nonce cannot rest, nor wait for a trigger")]
    NonceRests,
    #[error("[O4] these instructions exclude each other")]
    Terms,
    #[error("[O5] post-only, and it would take at {price}")]
    WouldTake { price: u64 },
    #[error("[O6] fill or kill, and {found} of {wanted} lots are there")]
    NotAll { found: u64, wanted: u64 },
    #[error("[L3] there is no position to reduce")]
    NothingToReduce,
    #[error("[J2] the fee is {fee} a lot, the order signs at most {max}")]
    Fee { fee: u64, max: u64 },
    #[error("[J2] the order expired at {expiry}, it is {time}")]
    Expired { expiry: u64, time: u64 },
    #[error("[T7] instrument {0} is not traded")]
    Instrument(u32),
    #[error("[T6] the instrument's row only takes orders that reduce")]
    RowReduceOnly,
    #[error("[N3] the worst case of open orders is {lots} lots, at most {max}")]
    Size { lots: u64, max: u64 },
    #[error("[S2] the worst case of open orders fills more slots than the account has")]
    Slots,
    #[error("[L4] equity {equity} in the worst case of open orders, the requirement is {required}")]
    Margin { equity: i128, required: i128 },
    #[error("[L5] cash {cash} in the worst case of open orders, at least {least} must stay")]
    Cash { cash: i128, least: i128 },
    #[error("[Q2] the account is liquidatable")]
    Liquidatable,
    #[error("[J4] an L1 item has the account for this epoch")]
    Reserved,
    #[error("[C3] nothing matches yet: {rounds} fresh rounds are missing")]
    Starting { rounds: u32 },
    #[error("[T2] nothing matches now, and the order would take")]
    NoMatching,
    #[error("[B2] {behind} epochs await {what}: orders are not taken")]
    Behind { behind: u32, what: &'static str },
    #[error("[B3] too many messages wait for the next epoch")]
    Queue,
    #[error("[T1] the round is of {time} s, it is {now} s")]
    Stale { time: u64, now: u64 },
    #[error("[C1] queue item {index}, the next is {next}")]
    Item { index: u64, next: u64 },
    #[error("[S5] there is no such order")]
    NoOrder,
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
    #[error(transparent)]
    Epoch(#[from] EpochError),
}

impl Reject {
    /// Stable, for the API, docs and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoAccount => "S2.account",
            Self::Key => "S2.key",
            Self::Generation { .. } => "S4.generation",
            Self::Nonce { .. } => "S4.nonce",
            Self::Sequence { .. } => "S4.old",
            Self::Replayed => "S4.replayed",
            Self::AmendsNothing => "S4.amend",
            Self::Filled { .. } => "L3.filled",
            Self::Counter { .. } => "S4.counter",
            Self::ClientId(_) => "O1.client_id",
            Self::Orders(_) => "O2.orders",
            Self::NonceRests => "O3.nonce",
            Self::Terms => "O4.terms",
            Self::WouldTake { .. } => "O5.post_only",
            Self::NotAll { .. } => "O6.fill_or_kill",
            Self::NothingToReduce => "L3.reduce_only",
            Self::Fee { .. } => "J2.fee",
            Self::Expired { .. } => "J2.expired",
            Self::Instrument(_) => "T7.unlisted",
            Self::RowReduceOnly => "T6.reduce_only",
            Self::Size { .. } => "N3.size",
            Self::Slots => "S2.slots",
            Self::Margin { .. } => "L4.margin",
            Self::Cash { .. } => "L5.cash",
            Self::Liquidatable => "Q2.liquidatable",
            Self::Reserved => "J4.reserved",
            Self::Starting { .. } => "C3.starting",
            Self::NoMatching => "T2.no_matching",
            Self::Behind { .. } => "B2.behind",
            Self::Queue => "B3.queue",
            Self::Stale { .. } => "T1.stale",
            Self::Item { .. } => "C1.order",
            Self::NoOrder => "S4.no_order",
            Self::Order(error) => error.code(),
            Self::Oracle(error) => error.code(),
            Self::Epoch(error) => error.code(),
        }
    }

    /// Whether the same command may be taken a little later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Reserved
                | Self::Starting { .. }
                | Self::NoMatching
                | Self::Behind { .. }
                | Self::Queue
        )
    }
}

/// Code and words.
impl Serialize for Reject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Reject", 2)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}
