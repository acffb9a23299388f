//! Batches through L1: committed, proven, executed, their withdrawals pulled, the engine told. Each
//! step is seen on the chain by a later run, so it is taken once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, keccak256};
use alloy::sol_types::SolCall;
use anyhow::bail;
use tally_l1::abi::{self, MockVerifier};
use tally_l1::dev::Role;
use tally_l1::{BatchBytes, Contract, Settler};
use tally_sequencer::command::Command;
use tally_service::service::{Shared, SubmitError};
use tokio::time::sleep;

use super::Stop;
use super::board::{BatchFacts, Shown, Stage};
use super::chain::Chain;
use super::home::Home;
use super::outward::batch_file;
use super::tape::quote;
use super::verifier::Verifier;
use crate::settle::batches::{Batch, one};
use crate::settle::verifier::kept;

const POLL: Duration = Duration::from_millis(300);

pub struct Outward {
    pub home: Home,
    pub chain: Arc<Chain>,
    pub verifier: Arc<Verifier>,
    pub settler: Settler,
    pub shared: Arc<Shared>,
    pub shown: Shown,
}

impl Outward {
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let mut last = executed(&self.settler.contract).await?;
        self.recall(last)?;
        self.tell(last, &stop).await?;
        while !stop.is_set() {
            let Some(path) = batch_file(&self.home, last + 1)? else {
                stop.unless(sleep(POLL)).await;
                continue;
            };
            let Some(settled) = self.settle(path, &stop).await? else {
                return Ok(());
            };
            last = settled;
            self.tell(last, &stop).await?;
        }
        Ok(())
    }

    /// What an earlier run has executed, for the view.
    fn recall(&self, last: u64) -> anyhow::Result<()> {
        let mut next = 1;
        while next <= last {
            let Some(path) = batch_file(&self.home, next)? else {
                bail!("[devnet.batches] the file of the batch from epoch {next} on is missing");
            };
            let facts = facts(&one(path)?.bytes, Stage::Executed);
            next = facts.last_epoch + 1;
            self.shown.lock().batches.insert(facts.first_epoch, facts);
        }
        Ok(())
    }

    /// The last epoch, unless the devnet stops meanwhile.
    async fn settle(&mut self, path: PathBuf, stop: &Stop) -> anyhow::Result<Option<u64>> {
        let file = Arc::new(one(path)?);
        let batch = &file.bytes;
        self.show(batch, Stage::Ready);
        // Where the devnet stood still within the batch, the clock is still at its first epochs.
        self.chain.not_before(batch.statement().time).await?;
        let (committed, _) = self.settler.commit(batch).await?;
        self.show(batch, Stage::Committed);
        let Some(proof) = self.proof(&file, stop).await? else {
            return Ok(None);
        };
        self.settler.prove(&committed, &proof).await?;
        self.show(batch, Stage::Proven);
        let paid = batch.withdrawal_bytes()?;
        self.settler.execute(&committed, &paid).await?;
        self.show(batch, Stage::Executed);
        self.pull(batch).await?;
        Ok(Some(batch.statement().last_epoch))
    }

    /// What L1's verifier takes for a batch, an earlier run's where it does; none where the devnet
    /// stops meanwhile.
    async fn proof(&self, batch: &Arc<Batch>, stop: &Stop) -> anyhow::Result<Option<Bytes>> {
        if matches!(*self.verifier, Verifier::Mock) {
            return Ok(Some(self.register(&batch.bytes).await?));
        }
        if let Some(kept) = kept(batch, self.chain.verifier, &self.chain.dev).await? {
            return Ok(Some(kept));
        }
        self.shown.step("the proof is being wrapped for L1");
        let wrapped = self.verifier.clone();
        let wrapped = wrapped.wrap(batch.clone(), self.shown.clone());
        let Some(wrapped) = stop.during(wrapped).await else {
            return Ok(None);
        };
        self.shown.lock().wrapping = None;
        self.shown.step("the proof is wrapped");
        wrapped.map(Some)
    }

    /// Tells the mock what it will take.
    async fn register(&self, batch: &BatchBytes) -> anyhow::Result<Bytes> {
        let proof = Bytes::from(keccak256(&batch.bytes).to_vec());
        let call = MockVerifier::registerCall {
            proof: proof.clone(),
            instances: batch.instances()?,
        };
        let (from, to) = (Role::Governor.signer().address(), self.chain.verifier);
        self.chain
            .dev
            .send_as(from, to, call.abi_encode().into())
            .await?;
        Ok(proof)
    }

    /// What the batch credited, to its owners; those of a batch whose pulls a crash cut short stay
    /// credited and go out with their owner's next.
    async fn pull(&self, batch: &BatchBytes) -> anyhow::Result<()> {
        let owners = batch.withdrawals().map(|paid| Address::from(paid.owner.0));
        let (mut pulled, mut pulls) = (0, 0);
        for owner in owners.collect::<BTreeSet<_>>() {
            self.chain.dev.fund(owner).await?;
            let lots = self.chain.pull(owner).await?;
            if lots > 0 {
                (pulled, pulls) = (pulled + lots, pulls + 1);
                let mut board = self.shown.lock();
                board.pulled += lots;
                board.pulls += 1;
            }
        }
        let pulled = quote(pulled.into());
        self.shown
            .step(format!("{pulls} owners have pulled {pulled} out of L1"));
        Ok(())
    }

    fn show(&self, batch: &BatchBytes, stage: Stage) {
        self.shown.batch(facts(batch, stage));
    }

    /// The engine's lead over L1 ends here.
    async fn tell(&self, epoch: u64, stop: &Stop) -> anyhow::Result<()> {
        let epoch = u32::try_from(epoch)?;
        if epoch > 0 {
            tell(&self.shared, Command::Settled { epoch }, stop).await?;
        }
        Ok(())
    }
}

fn facts(batch: &BatchBytes, stage: Stage) -> BatchFacts {
    let statement = batch.statement();
    BatchFacts {
        first_epoch: statement.first_epoch,
        last_epoch: statement.last_epoch,
        stage,
        bytes: batch.bytes.len(),
        withdrawals: batch.withdrawals().count(),
    }
}

/// A command of the bridge, repeated while the lane is full.
pub async fn tell(shared: &Shared, command: Command, stop: &Stop) -> anyhow::Result<()> {
    loop {
        match shared.submit(command.clone()).await {
            Ok(_) | Err(SubmitError::Stopping) => return Ok(()),
            Err(SubmitError::Busy) => {
                if !stop.unless(sleep(POLL)).await {
                    return Ok(());
                }
            }
            Err(SubmitError::NotTaken(error)) => bail!("[{}] {error}", error.code()),
        }
    }
}

/// Last epoch of the last executed batch.
async fn executed(contract: &Contract) -> anyhow::Result<u64> {
    let number = contract.position().await?.executed;
    let (batch, _): (abi::Batch, _) = contract.batch(number).await?;
    Ok(batch.lastEpoch)
}
