//! Signed messages as JSON, and what is signed of them \[S5\].
//!
//! Field by field the protocol's own messages; accounts, generations, nonces and sequences have 32
//! bits, amounts and prices are micro-quote, sizes whole lots. Numbers may exceed 2^53: a client in
//! JavaScript needs a parser that keeps them.

use serde::{Deserialize, Serialize};
use tally_protocol::account::{AccountKind, Keys, PublicKey};
use tally_protocol::hash::Digest;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::message::{self as signed, Domain};
use tally_protocol::order::{Order, OrderError, Place};
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::DeadMan;

use crate::encoding::{self, HexError, hex_of};

/// An order as it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderMessage {
    pub account: u32,
    pub generation: u32,
    pub place: PlaceBody,
    pub instrument: u32,
    pub side: SideBody,
    /// Lots over the order's life, 1 to 2^48 - 1.
    pub size: u64,
    /// Micro-quote per lot: the highest price for a long, the lowest for a short.
    pub limit: u64,
    /// Micro-quote per lot.
    pub max_fee_per_lot: u64,
    /// Last second of validity, since 1970.
    pub expiry: u64,
    #[serde(default)]
    pub reduce_only: bool,
    /// A higher sequence in the slot carries what was filled over: the order is amended.
    #[serde(default)]
    pub amend: bool,
}

/// A slot of the account's order tree, or the account's nonce for an order that does not rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlaceBody {
    Slot { slot: u8, sequence: u32 },
    Nonce(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SideBody {
    Long,
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelMessage {
    pub account: u32,
    pub generation: u32,
    pub slot: u8,
    /// At least the order's: the slot then takes higher ones only.
    pub sequence: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelAllMessage {
    pub account: u32,
    pub generation: u32,
    pub nonce: u32,
}

/// Cancels all of the account's orders unless it is renewed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeadManMessage {
    pub account: u32,
    pub generation: u32,
    /// Rises with each message of the account, 56 bits.
    pub counter: u64,
    /// From when the message is taken in; 0 disarms.
    pub timeout_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawMessage {
    pub account: u32,
    pub generation: u32,
    pub nonce: u32,
    /// 0 is cash.
    pub instrument: u32,
    /// Micro-quote of cash, else lots.
    pub amount: u64,
    /// The least that L1 may pay out where a deficit's haircut applies.
    #[serde(default)]
    pub least: u64,
}

/// New keys. The trading key is a session key: it may sign orders and cancels and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyChangeMessage {
    pub account: u32,
    pub generation: u32,
    pub nonce: u32,
    /// 40 bytes, hexadecimal.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trading_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferMessage {
    pub account: u32,
    pub generation: u32,
    pub nonce: u32,
    pub to: u32,
    /// 0 is cash.
    pub instrument: u32,
    /// The lots sent are a short's.
    #[serde(default)]
    pub short: bool,
    pub amount: u64,
    pub receiver: ReceiverBody,
}

/// What the receiving account has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReceiverBody {
    /// Any account: cash only.
    Anyone,
    /// One of this L1 owner, who is the sender's too.
    SameOwner { owner: String },
    /// One whose key signs for it: instruments from another owner.
    Accepts { generation: u32, nonce: u32 },
    /// A sub-account that does not exist yet, of the sender's L1 owner.
    New {
        owner: String,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trading_key: Option<String>,
        #[serde(default)]
        isolated: bool,
    },
}

impl From<SideBody> for Side {
    fn from(side: SideBody) -> Self {
        match side {
            SideBody::Long => Self::Long,
            SideBody::Short => Self::Short,
        }
    }
}

impl From<Side> for SideBody {
    fn from(side: Side) -> Self {
        match side {
            Side::Long => Self::Long,
            Side::Short => Self::Short,
        }
    }
}

impl OrderMessage {
    /// The order, every number within its bounds.
    pub fn to_order(&self) -> Result<Order, OrderError> {
        let order = Order {
            account: AccountId(self.account),
            generation: self.generation,
            place: match self.place {
                PlaceBody::Slot { slot, sequence } => Place::Slot { slot, sequence },
                PlaceBody::Nonce(nonce) => Place::Nonce(nonce),
            },
            instrument: InstrumentId(self.instrument),
            side: self.side.into(),
            size: self.size,
            limit: self.limit,
            max_fee_per_lot: self.max_fee_per_lot,
            expiry: self.expiry,
            reduce_only: self.reduce_only,
            amend: self.amend,
        };
        order.check()?;
        Ok(order)
    }
}

impl From<&Order> for OrderMessage {
    fn from(order: &Order) -> Self {
        Self {
            account: order.account.0,
            generation: order.generation,
            place: match order.place {
                Place::Slot { slot, sequence } => PlaceBody::Slot { slot, sequence },
                Place::Nonce(nonce) => PlaceBody::Nonce(nonce),
            },
            instrument: order.instrument.0,
            side: order.side.into(),
            size: order.size,
            limit: order.limit,
            max_fee_per_lot: order.max_fee_per_lot,
            expiry: order.expiry,
            reduce_only: order.reduce_only,
            amend: order.amend,
        }
    }
}

impl From<&CancelMessage> for signed::Cancel {
    fn from(message: &CancelMessage) -> Self {
        Self {
            account: AccountId(message.account),
            generation: message.generation,
            slot: message.slot,
            sequence: message.sequence,
        }
    }
}

impl From<&CancelAllMessage> for signed::CancelAll {
    fn from(message: &CancelAllMessage) -> Self {
        Self {
            account: AccountId(message.account),
            generation: message.generation,
            nonce: message.nonce,
        }
    }
}

impl From<&DeadManMessage> for DeadMan {
    fn from(message: &DeadManMessage) -> Self {
        Self {
            account: AccountId(message.account),
            generation: message.generation,
            counter: message.counter,
            timeout: message.timeout_ms,
        }
    }
}

impl From<&WithdrawMessage> for signed::Withdraw {
    fn from(message: &WithdrawMessage) -> Self {
        Self {
            account: AccountId(message.account),
            generation: message.generation,
            nonce: message.nonce,
            instrument: InstrumentId(message.instrument),
            amount: message.amount,
            least: message.least,
        }
    }
}

impl KeyChangeMessage {
    pub fn to_change(&self) -> Result<signed::KeyChange, HexError> {
        Ok(signed::KeyChange {
            account: AccountId(self.account),
            generation: self.generation,
            nonce: self.nonce,
            keys: keys(&self.key, self.trading_key.as_deref())?,
        })
    }
}

impl From<&signed::KeyChange> for KeyChangeMessage {
    fn from(change: &signed::KeyChange) -> Self {
        let trading = change.keys.trading_key;
        Self {
            account: change.account.0,
            generation: change.generation,
            nonce: change.nonce,
            key: hex_of(&change.keys.key),
            trading_key: (trading != PublicKey::default()).then(|| hex_of(&trading)),
        }
    }
}

impl TransferMessage {
    /// The transfer with the terms that its receiver implies; what an acceptance signs follows.
    pub fn to_entry(&self, domain: &Domain) -> Result<TransferEntry, HexError> {
        let message = |terms: Digest| signed::Transfer {
            account: AccountId(self.account),
            generation: self.generation,
            nonce: self.nonce,
            to: AccountId(self.to),
            instrument: InstrumentId(self.instrument),
            short: self.short,
            amount: self.amount,
            terms,
        };
        let receiver = match &self.receiver {
            ReceiverBody::Anyone => Receiver::Anyone,
            ReceiverBody::SameOwner { owner } => Receiver::SameOwner(encoding::owner(owner)?),
            ReceiverBody::Accepts { generation, nonce } => Receiver::Accepts(signed::Accept {
                account: AccountId(self.to),
                generation: *generation,
                nonce: *nonce,
                transfer: message(Receiver::Anyone.aux().digest()).digest(domain),
            }),
            ReceiverBody::New {
                owner,
                key,
                trading_key,
                isolated,
            } => Receiver::New {
                owner: encoding::owner(owner)?,
                keys: keys(key, trading_key.as_deref())?,
                kind: match isolated {
                    true => AccountKind::Isolated,
                    false => AccountKind::Cross,
                },
            },
        };
        Ok(TransferEntry {
            message: message(receiver.aux().digest()),
            receiver,
        })
    }
}

fn keys(key: &str, trading_key: Option<&str>) -> Result<Keys, HexError> {
    let trading_key = trading_key.map(|text| encoding::key("trading key", text));
    Ok(Keys {
        key: encoding::key("key", key)?,
        trading_key: trading_key.transpose()?.unwrap_or_default(),
    })
}
