//! A development chain inside the process, for machines without Node.js: the EVM of `revm` behind
//! the JSON-RPC methods that this client and its tests use of anvil, with anvil's extensions.
//!
//! Every transaction is a block of its own. Blocks are final two deep, as on an anvil of one slot
//! an epoch. Nothing is signed for a caller of `eth_sendTransaction`: any address is impersonated.

mod answer;
mod chain;
mod recorded;

pub use recorded::RecordedChain;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use alloy::primitives::{Address, U256};
use alloy::rpc::json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use serde_json::Value;
use tower::Service;

use chain::Chain;

const DEVELOPMENT: u64 = 31_337;
/// Wei.
const RICHES: u128 = 1_000_000_000_000_000_000_000;

/// A handle: clones are the same chain.
#[derive(Clone, Debug)]
pub struct EmbeddedChain(Arc<Mutex<Chain>>);

impl EmbeddedChain {
    /// An empty chain with id 31337, whose first block is of 1970, so that any time can follow.
    pub fn new() -> Self {
        Self::with_id(DEVELOPMENT)
    }

    /// With another id, to see what a client does on one that is no development chain.
    pub fn with_id(id: u64) -> Self {
        Self(Arc::new(Mutex::new(Chain::new(id))))
    }

    /// Gives an account coins.
    pub fn fund(&self, account: Address) {
        let mut chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chain.set_balance(account, U256::from(RICHES));
    }

    fn respond(&self, request: &SerializedRequest) -> Result<Response, TransportError> {
        let empty = || Value::Array(Vec::new());
        let params = request.params().map(|raw| serde_json::from_str(raw.get()));
        let params: Value = params
            .transpose()
            .map_err(TransportErrorKind::custom)?
            .unwrap_or_else(empty);
        let mut chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let payload = match answer::answer(&mut chain, request.method(), &params) {
            Ok(value) => {
                let raw = serde_json::value::to_raw_value(&value);
                ResponsePayload::Success(raw.map_err(TransportErrorKind::custom)?)
            }
            Err(fault) => {
                let data = fault
                    .data
                    .map(|data| serde_json::value::to_raw_value(&data));
                ResponsePayload::Failure(ErrorPayload {
                    code: fault.code,
                    message: fault.message.into(),
                    data: data.transpose().map_err(TransportErrorKind::custom)?,
                })
            }
        };
        Ok(Response {
            id: request.id().clone(),
            payload,
        })
    }

    fn packet(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        Ok(match packet {
            RequestPacket::Single(request) => ResponsePacket::Single(self.respond(&request)?),
            RequestPacket::Batch(requests) => {
                let responses = requests.iter().map(|request| self.respond(request));
                ResponsePacket::Batch(responses.collect::<Result<_, _>>()?)
            }
        })
    }
}

impl Default for EmbeddedChain {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<RequestPacket> for EmbeddedChain {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain = self.clone();
        Box::pin(async move { chain.packet(packet) })
    }
}
