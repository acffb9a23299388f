//! Commit, prove, execute, each once: what an earlier run, or anybody else, has done is seen on the
//! chain and skipped.

use alloy::primitives::{B256, Bytes};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolCall;

use crate::abi::{Batch, Settlement};
use crate::batch::{BatchBytes, MOST_DATA_BYTES, root_word};
use crate::contract::{Contract, Position};
use crate::endpoint::is_development;
use crate::error::ClientError;
use crate::submit::{Call, Submitter};

/// What a step came to; no receipt where it was done already.
pub type Done = Option<TransactionReceipt>;

/// Takes batches through the contract with the operator's account.
#[derive(Debug)]
pub struct Settler {
    pub contract: Contract,
    pub operator: Submitter,
}

impl Settler {
    /// Commits the next batch. Where the chain has one of these epochs already, it must be this
    /// one, instances included. One that no node would pass on is refused before anything is asked.
    pub async fn commit(&mut self, batch: &BatchBytes) -> Result<(Batch, Done), ClientError> {
        self.check_domain(batch)?;
        check_size(batch)?;
        let position = self.contract.position().await?;
        let (last, _) = self.contract.batch(position.committed).await?;
        if batch.statement().last_epoch <= last.lastEpoch {
            return Ok((self.find(batch, last).await?, None));
        }
        let statement = batch.statement();
        let key = format!(
            "commit epochs {}..{}",
            statement.first_epoch, statement.last_epoch
        );
        let call = Settlement::commitCall {
            last,
            content: batch.content,
            data: batch.bytes.clone(),
        };
        let receipt = self.call(&key, call).await?;
        let (committed, _) = self.contract.batch(position.committed + 1).await?;
        check_same(batch, &committed)?;
        Ok((committed, Some(receipt)))
    }

    /// Proves a committed batch, if nobody has.
    pub async fn prove(&mut self, batch: &Batch, proof: &Bytes) -> Result<Done, ClientError> {
        let position = self.contract.position().await?;
        if batch.number <= position.proven {
            return Ok(None);
        }
        let call = Settlement::proveCall {
            batch: batch.clone(),
            proof: proof.clone(),
        };
        let key = format!("prove {}", tag(batch));
        self.call(&key, call).await.map(Some)
    }

    /// Executes a proven batch, if nobody has.
    pub async fn execute(
        &mut self,
        batch: &Batch,
        withdrawals: &Bytes,
    ) -> Result<Done, ClientError> {
        let position = self.contract.position().await?;
        if batch.number <= position.executed {
            return Ok(None);
        }
        let call = Settlement::executeCall {
            batch: batch.clone(),
            withdrawals: withdrawals.clone(),
        };
        let key = format!("execute {}", tag(batch));
        self.call(&key, call).await.map(Some)
    }

    /// Takes back what is committed and not proven; none where there is nothing.
    pub async fn revert(&mut self) -> Result<Done, ClientError> {
        let Position {
            committed, proven, ..
        } = self.contract.position().await?;
        if committed == proven {
            return Ok(None);
        }
        let key = format!("revert {}..{committed}", proven + 1);
        self.call(&key, Settlement::revertBatchesCall {})
            .await
            .map(Some)
    }

    async fn call<C: SolCall>(
        &mut self,
        key: &str,
        call: C,
    ) -> Result<TransactionReceipt, ClientError> {
        let call = Call {
            to: Some(self.contract.address),
            input: call.abi_encode().into(),
        };
        self.operator.send(key, call).await
    }

    /// The committed batch that ends with these epochs, going back from the last one.
    async fn find(&self, batch: &BatchBytes, mut last: Batch) -> Result<Batch, ClientError> {
        while last.lastEpoch > batch.statement().last_epoch {
            last = self.contract.batch(last.number - 1).await?.0;
        }
        check_same(batch, &last)?;
        Ok(last)
    }

    /// Said here, since the contract would only say it of what was sent.
    fn check_domain(&self, batch: &BatchBytes) -> Result<(), ClientError> {
        let (chain, contract) = (batch.statement().chain_id, batch.contract());
        match chain == self.contract.chain_id && contract == self.contract.address {
            true => Ok(()),
            false => Err(ClientError::Batch {
                number: 0,
                reason: format!(
                    "it is for contract {contract} on chain {chain}, not {} on chain {}",
                    self.contract.address, self.contract.chain_id
                ),
            }),
        }
    }
}

/// Development chains take any transaction.
fn check_size(batch: &BatchBytes) -> Result<(), ClientError> {
    let statement = batch.statement();
    match batch.bytes.len() > MOST_DATA_BYTES && !is_development(statement.chain_id) {
        false => Ok(()),
        true => Err(ClientError::TooLarge {
            first: statement.first_epoch,
            last: statement.last_epoch,
            bytes: batch.bytes.len(),
            most: MOST_DATA_BYTES,
        }),
    }
}

/// Whether the chain's batch is of these bytes and this C.
fn check_same(batch: &BatchBytes, committed: &Batch) -> Result<(), ClientError> {
    let root: B256 = root_word(batch.statement().state_after);
    match committed.root == root && committed.instances == batch.instances()? {
        true => Ok(()),
        false => Err(ClientError::Batch {
            number: committed.number,
            reason: "the chain has another batch of these epochs".into(),
        }),
    }
}

/// A batch that was taken back and committed otherwise is another one.
fn tag(batch: &Batch) -> String {
    format!("batch {} of {}", batch.number, batch.root)
}
