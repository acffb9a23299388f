//! The settlement contract as it is read: its counters, and the batches whose hashes it keeps.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256};
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::{SolCall, SolEvent};

use crate::abi::{Batch, Settlement};
use crate::error::{ClientError, refusal, rpc};

/// Where a contract is, and from which block on it says anything.
#[derive(Clone, Debug)]
pub struct Contract {
    pub provider: DynProvider,
    pub address: Address,
    pub chain_id: u64,
    /// Of its deployment, or any before.
    pub from_block: u64,
    /// The block whose state views answer for.
    pub at: BlockNumberOrTag,
}

/// The contract's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub committed: u64,
    pub proven: u64,
    pub executed: u64,
    pub root: B256,
    pub queue_head: u64,
    pub queue_tail: u64,
    pub is_frozen: bool,
}

impl Contract {
    /// An error where nothing is deployed there.
    pub async fn open(
        provider: DynProvider,
        address: Address,
        from_block: u64,
    ) -> Result<Self, ClientError> {
        let code = provider.get_code_at(address).await;
        if code.map_err(rpc("asking for code"))?.is_empty() {
            return Err(ClientError::NoCode(address));
        }
        let chain_id = crate::endpoint::chain_id(&provider).await?;
        Ok(Self {
            provider,
            address,
            chain_id,
            from_block,
            at: BlockNumberOrTag::Latest,
        })
    }

    /// A view's answer.
    pub async fn view<C: SolCall>(&self, call: C) -> Result<C::Return, ClientError> {
        view(&self.provider, self.address, call, self.at).await
    }

    pub async fn position(&self) -> Result<Position, ClientError> {
        Ok(Position {
            committed: self.view(Settlement::committedCall {}).await?,
            proven: self.view(Settlement::provenCall {}).await?,
            executed: self.view(Settlement::executedCall {}).await?,
            root: self.view(Settlement::rootCall {}).await?,
            queue_head: self.view(Settlement::queueHeadCall {}).await?,
            queue_tail: self.view(Settlement::queueTailCall {}).await?,
            is_frozen: self.view(Settlement::frozenCall {}).await?,
        })
    }

    /// The batch with this number whose hash the contract keeps now, with the log that showed it:
    /// one that was taken back and committed again has several events.
    pub async fn batch(&self, number: u64) -> Result<(Batch, Log), ClientError> {
        let kept: B256 = self.view(Settlement::batchesCall { number }).await?;
        let filter = self
            .events()
            .event_signature(Settlement::BatchCommitted::SIGNATURE_HASH)
            .topic1(B256::from(alloy::primitives::U256::from(number)));
        let logs = self.provider.get_logs(&filter).await;
        let logs = logs.map_err(rpc("reading a batch's event"))?;
        for log in logs.into_iter().rev() {
            let event = Settlement::BatchCommitted::decode_log_data(log.data());
            match event {
                Ok(event) if event.hash == kept => return Ok((event.batch, log)),
                _ => {}
            }
        }
        Err(ClientError::Batch {
            number,
            reason: format!("no event of it from block {} on", self.from_block),
        })
    }

    pub fn events(&self) -> Filter {
        Filter::new()
            .address(self.address)
            .from_block(self.from_block)
    }
}

/// A view of any contract.
pub(crate) async fn view<C: SolCall>(
    provider: &DynProvider,
    at: Address,
    call: C,
    at_block: BlockNumberOrTag,
) -> Result<C::Return, ClientError> {
    let request = alloy::rpc::types::TransactionRequest::default()
        .to(at)
        .input(alloy::primitives::Bytes::from(call.abi_encode()).into());
    let answer = provider.call(request).block(at_block.into()).await;
    let answer = answer.map_err(|source| refusal(C::SIGNATURE, source))?;
    C::abi_decode_returns(&answer).map_err(|error| ClientError::Answer {
        what: C::SIGNATURE,
        reason: error.to_string(),
    })
}
