//! What goes wrong between a client and L1, with the contract's own errors by name.

use std::fmt;
use std::io;
use std::path::PathBuf;

use alloy::hex;
use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolInterface;
use alloy::transports::TransportError;
use thiserror::Error;

use crate::abi::{MockToken, Settlement, WrapVerifier};

/// A contract's refusal, by the name of its custom error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// As in `ISettlement`, `StaleRoot`; empty where the data are of no known error.
    pub name: String,
    /// With its numbers.
    pub text: String,
    pub data: Bytes,
}

impl Revert {
    pub fn decode(data: Bytes) -> Self {
        let known = |name: Option<&'static str>, text: String| {
            name.map(|name| (name.to_owned(), format!("{name}: {text}")))
        };
        let selector = data.first_chunk::<4>().copied().unwrap_or_default();
        let settlement = Settlement::SettlementErrors::abi_decode(&data).ok();
        let token = MockToken::MockTokenErrors::abi_decode(&data).ok();
        let adapter = WrapVerifier::WrapVerifierErrors::abi_decode(&data).ok();
        let found = settlement
            .and_then(|error| {
                let name = Settlement::SettlementErrors::name_by_selector(selector);
                known(name, format!("{error:?}"))
            })
            .or_else(|| {
                let name = MockToken::MockTokenErrors::name_by_selector(selector);
                known(name, format!("{:?}", token?))
            })
            .or_else(|| {
                let name = WrapVerifier::WrapVerifierErrors::name_by_selector(selector);
                known(name, format!("{:?}", adapter?))
            });
        let (name, text) = found.unwrap_or_else(|| (String::new(), hex::encode_prefixed(&data)));
        Self { name, text, data }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the client could not do, and why.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("[l1.url] {url}: {reason}")]
    Url { url: String, reason: String },
    #[error("[l1.rpc] {what}: {source}")]
    Rpc {
        what: &'static str,
        source: TransportError,
    },
    #[error("[l1.answer] {what}: {reason}")]
    Answer { what: &'static str, reason: String },
    #[error("[l1.revert] {what}: {revert}")]
    Reverted { what: String, revert: Revert },
    #[error("[l1.failed] {what}: transaction {hash} failed, and the same call does not fail now")]
    Failed { what: String, hash: B256 },
    #[error("[l1.chain] chain {chain_id} is not a development chain: {what}")]
    NotDevelopment { chain_id: u64, what: &'static str },
    #[error("[l1.dev_setup] a verifier of an insecure setup, on chain {chain_id}")]
    DevSetup { chain_id: u64 },
    #[error("[l1.key] the verifier at {verifier} has key {got}, not {expected}")]
    WrongKey {
        verifier: Address,
        expected: B256,
        got: B256,
    },
    #[error("[l1.no_code] nothing is deployed at {0}")]
    NoCode(Address),
    #[error("[l1.address] the deployment went to {got}, {expected} was expected")]
    OtherAddress { expected: Address, got: Address },
    #[error(
        "[l1.nonce] account {account} has sent {latest} transactions and has {pending} waiting \
         that this client does not know"
    )]
    NonceInUse {
        account: Address,
        latest: u64,
        pending: u64,
    },
    #[error(
        "[l1.replaced] {what}: nonce {nonce} went to a transaction that this client did not send"
    )]
    Replaced { what: String, nonce: u64 },
    #[error("[l1.stuck] {what}: not mined after {attempts} attempts, the last at {fee} wei a gas")]
    Stuck {
        what: String,
        attempts: usize,
        fee: u128,
    },
    #[error("[l1.fee_cap] {what}: {wanted} wei a gas are needed, at most {most} are allowed")]
    FeeCap {
        what: String,
        wanted: u128,
        most: u128,
    },
    #[error("[l1.finality] block {number} was final as {expected} and is now {got}: stop and look")]
    FinalityBroken {
        number: u64,
        expected: B256,
        got: B256,
    },
    #[error("[l1.checkpoint] {path}: {reason}", path = path.display())]
    Checkpoint { path: PathBuf, reason: String },
    #[error("[l1.file] {path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("[l1.batch] batch {number}: {reason}")]
    Batch { number: u64, reason: String },
    #[error(
        "[l1.too_large] epochs {first}..{last}: {bytes} bytes of data, nodes pass on {most}: \
         fewer epochs a batch, or fewer accounts an epoch"
    )]
    TooLarge {
        first: u64,
        last: u64,
        bytes: usize,
        most: usize,
    },
}

impl ClientError {
    /// Stable name of what went wrong; of a refusal the contract's own.
    pub fn code(&self) -> &str {
        match self {
            Self::Url { .. } => "l1.url",
            Self::Rpc { .. } => "l1.rpc",
            Self::Answer { .. } => "l1.answer",
            Self::Reverted { revert, .. } if !revert.name.is_empty() => &revert.name,
            Self::Reverted { .. } => "l1.revert",
            Self::Failed { .. } => "l1.failed",
            Self::NotDevelopment { .. } => "l1.chain",
            Self::DevSetup { .. } => "l1.dev_setup",
            Self::WrongKey { .. } => "l1.key",
            Self::NoCode(_) => "l1.no_code",
            Self::OtherAddress { .. } => "l1.address",
            Self::NonceInUse { .. } => "l1.nonce",
            Self::Replaced { .. } => "l1.replaced",
            Self::Stuck { .. } => "l1.stuck",
            Self::FeeCap { .. } => "l1.fee_cap",
            Self::FinalityBroken { .. } => "l1.finality",
            Self::Checkpoint { .. } => "l1.checkpoint",
            Self::File { .. } => "l1.file",
            Self::Batch { .. } => "l1.batch",
            Self::TooLarge { .. } => "l1.too_large",
        }
    }

    /// The contract's error, where it is one.
    pub fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { revert, .. } => Some(revert),
            _ => None,
        }
    }
}

/// A node's error: the contract's refusal where it carries one.
pub(crate) fn rpc(what: &'static str) -> impl FnOnce(TransportError) -> ClientError {
    move |source| refusal(what, source)
}

pub(crate) fn refusal(what: &'static str, source: TransportError) -> ClientError {
    let data = source.as_error_resp().and_then(|it| it.as_revert_data());
    match data {
        Some(data) => ClientError::Reverted {
            what: what.to_owned(),
            revert: Revert::decode(data),
        },
        None => ClientError::Rpc { what, source },
    }
}
