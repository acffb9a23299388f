//! What L1 has of a batch: its event, and the bytes in the transaction that committed it. Each is
//! checked against what the contract keeps, so a node that lies is found out.

use alloy::consensus::Transaction as _;
use alloy::primitives::{B256, FixedBytes, keccak256};
use alloy::providers::Provider;
use alloy::sol_types::SolCall;

use crate::abi::{Batch, Settlement};
use crate::batch::{BatchBytes, root_word};
use crate::contract::Contract;
use crate::error::{ClientError, rpc};

/// The queue's hash chain \[C1\].
pub type Chain = FixedBytes<27>;

#[derive(Clone, Debug)]
pub struct Published {
    pub batch: Batch,
    pub bytes: BatchBytes,
    pub transaction: B256,
}

impl Contract {
    /// The batch with this number, from L1 data alone. `chain` is the queue's before it.
    pub async fn published(&self, number: u64, chain: Chain) -> Result<Published, ClientError> {
        let fault = |reason: String| ClientError::Batch { number, reason };
        let (batch, log) = self.batch(number).await?;
        let hash = log.transaction_hash.unwrap_or_default();
        let found = self.provider.get_transaction_by_hash(hash).await;
        let found = found
            .map_err(rpc("reading a batch's transaction"))?
            .ok_or_else(|| fault(format!("the node does not have transaction {hash}")))?;
        if found.to() != Some(self.address) {
            return Err(fault(format!(
                "transaction {hash} committed it by way of another contract"
            )));
        }
        let call = Settlement::commitCall::abi_decode(found.input())
            .map_err(|error| fault(format!("transaction {hash}: {error}")))?;
        let bytes = BatchBytes::read(call.data.to_vec(), call.content)
            .map_err(|error| fault(format!("[{}] {error}", error.code())))?;
        let published = Published {
            batch,
            bytes,
            transaction: hash,
        };
        published.check(chain)?;
        Ok(published)
    }
}

impl Published {
    /// The bytes are those of the batch: its instances, which commit to every byte, its root, its
    /// items' chain, its withdrawals.
    fn check(&self, chain: Chain) -> Result<(), ClientError> {
        let (batch, statement) = (&self.batch, self.bytes.statement());
        let refuse = |reason: &str| ClientError::Batch {
            number: batch.number,
            reason: reason.to_owned(),
        };
        let holds = |holds: bool, reason: &str| if holds { Ok(()) } else { Err(refuse(reason)) };
        holds(
            batch.instances == self.bytes.instances()?,
            "other bytes were proven",
        )?;
        holds(
            batch.root == root_word(statement.state_after),
            "another root was settled",
        )?;
        holds(
            batch.lastEpoch == statement.last_epoch,
            "other epochs were settled",
        )?;
        let paid = self.bytes.withdrawal_bytes();
        let paid = paid.map_err(|error| refuse(&error.to_string()))?;
        holds(
            batch.withdrawals == keccak256(paid),
            "other withdrawals were paid",
        )?;
        let served = self.bytes.chain_after(chain);
        let served = served.map_err(|error| refuse(&error.to_string()))?;
        holds(batch.queueChain == served, "other items were served")
    }
}
