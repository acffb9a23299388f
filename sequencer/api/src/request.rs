//! Requests: a message with who signed it, and for orders what the book is asked to do.

use serde::{Deserialize, Serialize};
use tally_protocol::journal::transfer::Receiver;
use tally_protocol::message::Domain;
use tally_protocol::order::OrderError;
use tally_sequencer::command::{
    Auth, Command, Direction, Operation, OrderTerms, SelfTrade, Signed, Submit, TimeInForce,
    TransferCommand, Trigger,
};
use thiserror::Error;

use crate::encoding::{self, HexError, hex_of};
use crate::message::{
    CancelAllMessage, CancelMessage, DeadManMessage, KeyChangeMessage, OrderMessage,
    TransferMessage, WithdrawMessage,
};
use crate::range::{RangeError, check_hash, check_transfer};

/// A request that stands for no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    #[error(transparent)]
    Hex(#[from] HexError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error("a client id is 1 to 32 hexadecimal digits, not all 0")]
    ClientId,
}

impl RequestError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Hex(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Range(error) => error.code(),
            Self::ClientId => "api.client_id",
        }
    }
}

/// Who signed: the account's own key or, for orders and cancels, its trading key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthBody {
    /// 40 bytes, hexadecimal.
    pub key: String,
    /// 80 bytes, hexadecimal.
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    pub order: OrderMessage,
    pub auth: AuthBody,
    #[serde(default)]
    pub terms: TermsBody,
}

/// Instructions to the book; not signed, within what the signature allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TermsBody {
    /// The client's name for the order: 1 to 32 hexadecimal digits, unique in the account. The same
    /// request again gets the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default)]
    pub time_in_force: TimeInForceBody,
    /// Refused where it would take.
    #[serde(default)]
    pub post_only: bool,
    #[serde(default)]
    pub self_trade: SelfTradeBody,
    /// The order waits until the mark is there: a stop or a take-profit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerBody>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TimeInForceBody {
    /// Rests until its expiry.
    #[default]
    GoodTillTime,
    /// The rest is cancelled at once. With a far limit, a market order.
    ImmediateOrCancel,
    FillOrKill,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SelfTradeBody {
    #[default]
    CancelNewest,
    CancelOldest,
    CancelBoth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TriggerBody {
    /// Micro-quote per lot.
    pub price: u64,
    pub direction: DirectionBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DirectionBody {
    /// Mark ≥ price.
    Above,
    /// Mark ≤ price.
    Below,
}

/// Requests of a message and its signature.
macro_rules! signed_request {
    ($($name:ident: $message:ident),* $(,)?) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            pub message: $message,
            pub auth: AuthBody,
        }
    )*};
}

signed_request! {
    CancelRequest: CancelMessage,
    CancelAllRequest: CancelAllMessage,
    DeadManRequest: DeadManMessage,
    WithdrawRequest: WithdrawMessage,
    KeyChangeRequest: KeyChangeMessage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    pub message: TransferMessage,
    pub auth: AuthBody,
    /// The receiver's, where the receiver has to accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<AuthBody>,
}

/// 1 to 64 operations; one that is refused stops none of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 64))]
    pub operations: Vec<OperationRequest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OperationRequest {
    Submit(OrderRequest),
    Cancel(CancelRequest),
}

impl AuthBody {
    pub fn to_auth(&self) -> Result<Auth, HexError> {
        Ok(Auth {
            key: encoding::key("key", &self.key)?,
            signature: encoding::signature(&self.signature)?,
        })
    }
}

impl From<&Auth> for AuthBody {
    fn from(auth: &Auth) -> Self {
        Self {
            key: hex_of(&auth.key),
            signature: hex::encode(auth.signature.to_bytes()),
        }
    }
}

impl TermsBody {
    pub fn to_terms(&self) -> Result<OrderTerms, RequestError> {
        let id = self.client_id.as_deref().map(client_id).transpose()?;
        Ok(OrderTerms {
            client_id: id.unwrap_or(0),
            time_in_force: match self.time_in_force {
                TimeInForceBody::GoodTillTime => TimeInForce::GoodTillTime,
                TimeInForceBody::ImmediateOrCancel => TimeInForce::ImmediateOrCancel,
                TimeInForceBody::FillOrKill => TimeInForce::FillOrKill,
            },
            post_only: self.post_only,
            self_trade: match self.self_trade {
                SelfTradeBody::CancelNewest => SelfTrade::CancelNewest,
                SelfTradeBody::CancelOldest => SelfTrade::CancelOldest,
                SelfTradeBody::CancelBoth => SelfTrade::CancelBoth,
            },
            trigger: self.trigger.map(|trigger| Trigger {
                price: trigger.price,
                direction: match trigger.direction {
                    DirectionBody::Above => Direction::Above,
                    DirectionBody::Below => Direction::Below,
                },
            }),
        })
    }
}

/// 1 to 32 hexadecimal digits that are not 0.
pub fn client_id(text: &str) -> Result<u128, RequestError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(text, 16) {
        Ok(id) if digits && text.len() <= 32 && id > 0 => Ok(id),
        _ => Err(RequestError::ClientId),
    }
}

impl OrderRequest {
    pub fn to_submit(&self) -> Result<Submit, RequestError> {
        Ok(Submit {
            order: self.order.to_order()?,
            auth: self.auth.to_auth()?,
            terms: self.terms.to_terms()?,
        })
    }
}

/// A request as the command that it stands for.
pub trait ToCommand {
    fn to_command(&self, domain: &Domain) -> Result<Command, RequestError>;
}

impl ToCommand for OrderRequest {
    fn to_command(&self, _: &Domain) -> Result<Command, RequestError> {
        Ok(Command::Submit(self.to_submit()?))
    }
}

impl ToCommand for BatchRequest {
    fn to_command(&self, _: &Domain) -> Result<Command, RequestError> {
        let operation = |request: &OperationRequest| {
            Ok(match request {
                OperationRequest::Submit(request) => Operation::Submit(request.to_submit()?),
                OperationRequest::Cancel(request) => Operation::Cancel(Signed {
                    message: (&request.message).into(),
                    auth: request.auth.to_auth()?,
                }),
            })
        };
        let operations: Result<_, RequestError> = self.operations.iter().map(operation).collect();
        Ok(Command::Batch(operations?))
    }
}

macro_rules! signed_command {
    ($($request:ident => $command:ident),* $(,)?) => {$(
        impl ToCommand for $request {
            fn to_command(&self, _: &Domain) -> Result<Command, RequestError> {
                Ok(Command::$command(Signed {
                    message: (&self.message).into(),
                    auth: self.auth.to_auth()?,
                }))
            }
        }
    )*};
}

signed_command! {
    CancelRequest => Cancel,
    CancelAllRequest => CancelAll,
    DeadManRequest => DeadMan,
    WithdrawRequest => Withdraw,
}

impl ToCommand for KeyChangeRequest {
    fn to_command(&self, _: &Domain) -> Result<Command, RequestError> {
        Ok(Command::KeyChange(Signed {
            message: self.message.to_change()?,
            auth: self.auth.to_auth()?,
        }))
    }
}

impl ToCommand for TransferRequest {
    fn to_command(&self, domain: &Domain) -> Result<Command, RequestError> {
        check_transfer(&self.message)?;
        let accept = self.accept.as_ref().map(AuthBody::to_auth).transpose()?;
        Ok(Command::Transfer(Box::new(TransferCommand {
            entry: self.message.to_entry(domain)?,
            auth: self.auth.to_auth()?,
            accept,
        })))
    }
}

/// A message whose hash is asked for, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HashRequest {
    Order(OrderMessage),
    Cancel(CancelMessage),
    CancelAll(CancelAllMessage),
    DeadMan(DeadManMessage),
    Withdraw(WithdrawMessage),
    KeyChange(KeyChangeMessage),
    Transfer(TransferMessage),
}

/// What to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HashAnswer {
    /// Four elements of 8 bytes, lowest byte first, hexadecimal: the digest that is signed.
    pub digest: String,
    /// What the receiver signs, where a transfer has to be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
}

impl HashRequest {
    pub fn answer(&self, domain: &Domain) -> Result<HashAnswer, RequestError> {
        use tally_protocol::message::{Cancel, CancelAll, Withdraw};
        use tally_sequencer::command::DeadMan;
        check_hash(self)?;
        let mut accept = None;
        let digest = match self {
            Self::Order(order) => order.to_order()?.digest(domain),
            Self::Cancel(message) => Cancel::from(message).digest(domain),
            Self::CancelAll(message) => CancelAll::from(message).digest(domain),
            Self::DeadMan(message) => DeadMan::from(message).digest(domain),
            Self::Withdraw(message) => Withdraw::from(message).digest(domain),
            Self::KeyChange(message) => message.to_change()?.digest(domain),
            Self::Transfer(message) => {
                let entry = message.to_entry(domain)?;
                if let Receiver::Accepts(accepted) = entry.receiver {
                    accept = Some(hex_of(&accepted.digest(domain).elements));
                }
                entry.message.digest(domain)
            }
        };
        Ok(HashAnswer {
            digest: hex_of(&digest.elements),
            accept,
        })
    }
}
