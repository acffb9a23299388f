//! The replay's queue items onto the chain, in their order and with their bytes, and what batches
//! credited off it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256, aliases::U96};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::{SolCall, SolEvent};
use plonky2::field::types::PrimeField64;
use tally_l1::abi::{MockToken, Settlement};
use tally_l1::deploy::test_token;
use tally_l1::dev::{DevChain, Role};
use tally_l1::{Asker, Asking, Contract, Submitter, request_of};
use tally_protocol::entry::Withdrawal;
use tally_protocol::queue::QueueRecord;

use crate::settle::gas::Gas;
use crate::settle::{GOVERN_DELAY, HOURS, SettleError, owed};

#[derive(Debug)]
pub struct Queue {
    dev: DevChain,
    contract: Contract,
    /// By asset.
    pub tokens: BTreeMap<u32, Address>,
    approved: BTreeSet<(Address, u32)>,
    funded: BTreeSet<Address>,
    pub pulled: u64,
}

impl Queue {
    pub fn new(dev: DevChain, contract: Contract, quote: Address) -> Self {
        Self {
            dev,
            contract,
            tokens: BTreeMap::from([(0, quote)]),
            approved: BTreeSet::new(),
            funded: BTreeSet::new(),
            pulled: 0,
        }
    }

    /// Governance's part, before the first item: tokens of the assets, their listings and all
    /// changes announced, the time until they may run passed.
    pub async fn announce<'r>(
        &mut self,
        operator: &mut Submitter,
        items: impl Iterator<Item = &'r QueueRecord>,
        gas: &mut Gas,
    ) -> Result<(), SettleError> {
        let mut calls = Vec::new();
        let mut listings = Vec::new();
        for record in items {
            let asking = asking(record)?;
            if asking.by != Asker::Governor {
                continue;
            }
            if let Some((asset, most)) = asking.lists
                && !self.tokens.contains_key(&asset)
            {
                let token = test_token(operator, &format!("asset {asset}"), 8).await?;
                self.tokens.insert(asset, token);
                let listing = Settlement::listAssetCall {
                    asset,
                    token,
                    scale: U96::from(1),
                    cap: most,
                    limit: most / HOURS + 1,
                };
                listings.push((asset, listing.abi_encode()));
            }
            calls.push(asking.input.to_vec());
        }
        if self.contract.position().await?.queue_tail > 0 {
            return Ok(());
        }
        let all = listings.iter().map(|(_, call)| call).chain(&calls);
        for call in all {
            let id = alloy::primitives::keccak256(call);
            if self
                .contract
                .view(Settlement::readyCall { id })
                .await?
                .is_zero()
            {
                let call = call.clone().into();
                self.govern(Settlement::scheduleCall { call }.abi_encode())
                    .await?;
            }
        }
        let time = self.dev.time().await?;
        self.dev.set_time(time + GOVERN_DELAY).await?;
        for (asset, call) in listings {
            let listed = self
                .contract
                .view(Settlement::assetOfCall { asset })
                .await?;
            if listed.token.is_zero() {
                let call = call.into();
                let receipt = self
                    .govern(Settlement::runCall { call }.abi_encode())
                    .await?;
                gas.note("run_list_asset", Some(&receipt));
            }
        }
        Ok(())
    }

    /// A batch's items, but for those that the chain has.
    pub async fn take<'r>(
        &mut self,
        items: impl Iterator<Item = &'r QueueRecord>,
        gas: &mut Gas,
    ) -> Result<(), SettleError> {
        let mut tail = self.contract.position().await?.queue_tail;
        for record in items
            .filter(|record| record.index >= tail)
            .collect::<Vec<_>>()
        {
            if record.index != tail {
                return Err(SettleError::Item {
                    index: record.index,
                    reason: format!("the chain's next one is {tail}"),
                });
            }
            self.admit(record, gas).await?;
            tail += 1;
        }
        Ok(())
    }

    async fn admit(&mut self, record: &QueueRecord, gas: &mut Gas) -> Result<(), SettleError> {
        let asking = asking(record)?;
        let words = record.words.map(|word| word.to_canonical_u64());
        let name = asking.name;
        let anyone = Role::Governor.signer().address();
        let receipt = match asking.by {
            Asker::Governor => {
                let call = asking.input;
                self.govern(Settlement::runCall { call }.abi_encode()).await
            }
            Asker::Anyone => self.send(anyone, asking.input.to_vec()).await,
            Asker::Sender(sender) => {
                self.fund(sender).await?;
                if let Some((asset, lots)) = asking.brings {
                    self.endow(sender, asset, lots).await?;
                }
                self.send(sender, asking.input.to_vec()).await
            }
        };
        let receipt = receipt.map_err(|error| SettleError::Item {
            index: record.index,
            reason: format!("{name}: {error}"),
        })?;
        gas.note(name, Some(&receipt));
        self.check_queued(record, &words, &receipt)
    }

    /// The contract queued exactly this item.
    fn check_queued(
        &self,
        record: &QueueRecord,
        words: &[u64; 20],
        receipt: &TransactionReceipt,
    ) -> Result<(), SettleError> {
        let mut logs = receipt.inner.logs().iter();
        let queued = logs.find_map(|log| Settlement::ItemQueued::decode_log_data(log.data()).ok());
        let fault = |reason: String| SettleError::Item {
            index: record.index,
            reason,
        };
        let queued = queued.ok_or_else(|| fault("no item was queued".into()))?;
        match queued.index == record.index && queued.words == *words {
            true => Ok(()),
            false => Err(fault(format!(
                "the contract queued {:?} as item {}, the replay served {words:?}",
                queued.words, queued.index
            ))),
        }
    }

    /// Everything that these withdrawals credited, to its owners; by asset and owner.
    pub async fn pull<'r>(
        &mut self,
        withdrawals: impl Iterator<Item = &'r Withdrawal>,
        gas: &mut Gas,
    ) -> Result<Vec<(u32, Address)>, SettleError> {
        let mut pulled = Vec::new();
        let credits = withdrawals.map(|paid| (paid.asset, Address::from(paid.owner.0)));
        for (asset, owner) in credits.collect::<BTreeSet<_>>() {
            let lots = owed(&self.contract, asset, owner).await?;
            // The contract's own credits, of fees, are its governor's to think about.
            if lots == 0 || owner == self.contract.address {
                continue;
            }
            self.fund(owner).await?;
            let to = owner;
            let call = Settlement::pullCall { asset, lots, to };
            let receipt = self.send(owner, call.abi_encode()).await?;
            gas.note("pull", Some(&receipt));
            if asset == 0 {
                self.pulled += lots;
            }
            pulled.push((asset, owner));
        }
        Ok(pulled)
    }

    async fn govern(&self, input: Vec<u8>) -> Result<TransactionReceipt, SettleError> {
        self.send(Role::Governor.signer().address(), input).await
    }

    async fn send(&self, from: Address, input: Vec<u8>) -> Result<TransactionReceipt, SettleError> {
        let to = self.contract.address;
        Ok(self.dev.send_as(from, to, input.into()).await?)
    }

    async fn fund(&mut self, account: Address) -> Result<(), SettleError> {
        if self.funded.insert(account) {
            self.dev.fund(account).await?;
        }
        Ok(())
    }

    /// Gives an owner what he deposits, and lets the contract take it.
    async fn endow(&mut self, owner: Address, asset: u32, lots: u64) -> Result<(), SettleError> {
        let Some(token) = self.tokens.get(&asset).copied() else {
            return Ok(());
        };
        let amount = U256::from(lots);
        let mint = MockToken::mintCall { to: owner, amount };
        self.dev
            .send_as(owner, token, mint.abi_encode().into())
            .await?;
        if self.approved.insert((owner, asset)) {
            let approve = MockToken::approveCall {
                spender: self.contract.address,
                value: U256::MAX,
            };
            self.dev
                .send_as(owner, token, approve.abi_encode().into())
                .await?;
        }
        Ok(())
    }
}

fn asking(record: &QueueRecord) -> Result<Asking, SettleError> {
    let request = request_of(&record.words.map(|word| word.to_canonical_u64()));
    let request = request.ok_or_else(|| SettleError::Item {
        index: record.index,
        reason: "its words are no request's".into(),
    })?;
    Ok(Asking::of(&request))
}
