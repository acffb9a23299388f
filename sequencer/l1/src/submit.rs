//! Sends one account's transactions, one at a time: fees that rise while a transaction waits, a
//! nonce that is used once, and a journal from which a later run goes on.
//!
//! *Guarantees.* At most one transaction of a key is mined: until one of its attempts is, every
//! other transaction of this account waits, and all attempts have one nonce. A reorganisation that
//! drops it sends the same bytes again.

use std::path::Path;
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::BlockId;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, Bytes, TxKind};
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use tokio::time::{Instant, sleep};

use crate::endpoint::chain_id;
use crate::error::{ClientError, Revert, refusal, rpc};
use crate::journal::{Attempt, Journal, Made, Pending};

/// Looks that must agree that a nonce went to somebody else.
const LOOKS: u32 = 3;

/// How long to wait, and what to pay.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// A transaction that is not mined after this long is sent again for more.
    pub patience: Duration,
    /// Between two looks at the chain.
    pub poll: Duration,
    /// Of the last attempt's fees; nodes take a replacement from 10 on.
    pub bump_percent: u128,
    /// Attempts before the client reports; what was sent stays in the journal.
    pub attempts: usize,
    /// Wei a gas, never exceeded.
    pub most_fee: u128,
    /// Blocks from the transaction's own on before it counts as done.
    pub confirmations: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(45),
            poll: Duration::from_secs(3),
            bump_percent: 15,
            attempts: 12,
            most_fee: 500_000_000_000,
            confirmations: 1,
        }
    }
}

impl Policy {
    /// For a chain that mines at once.
    pub fn development() -> Self {
        Self {
            patience: Duration::from_secs(2),
            poll: Duration::from_millis(10),
            ..Self::default()
        }
    }
}

/// A call, or without an address a contract's creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub to: Option<Address>,
    pub input: Bytes,
}

#[derive(Debug)]
pub struct Submitter {
    provider: DynProvider,
    signer: PrivateKeySigner,
    chain_id: u64,
    journal: Journal,
    policy: Policy,
}

/// What a look at the chain found of a transaction.
enum Seen {
    Done(Box<TransactionReceipt>),
    /// Mined, not deep enough yet.
    Shallow,
    Waiting,
    /// Its nonce is used, and not by it.
    Replaced,
}

impl Submitter {
    /// The journal lies in `dir`; a transaction that an earlier run left is first in line.
    pub async fn open(
        provider: DynProvider,
        signer: PrivateKeySigner,
        dir: &Path,
        policy: Policy,
    ) -> Result<Self, ClientError> {
        let chain_id = chain_id(&provider).await?;
        let journal = Journal::open(dir, chain_id, signer.address())?;
        Ok(Self {
            provider,
            signer,
            chain_id,
            journal,
            policy,
        })
    }

    pub fn account(&self) -> Address {
        self.signer.address()
    }

    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// What waits, by its key.
    pub fn pending(&self) -> Option<&str> {
        self.journal.pending().map(|pending| pending.key.as_str())
    }

    /// Sends a call and sees it mined. What would revert is refused with the contract's error, and
    /// nothing is sent. With the key of what waits, it is that transaction's receipt.
    pub async fn send(&mut self, key: &str, call: Call) -> Result<TransactionReceipt, ClientError> {
        if let Some(waiting) = self.journal.pending().cloned() {
            let is_same = waiting.key == key;
            let done = self.drive(waiting).await;
            match done {
                Err(error @ (ClientError::Reverted { .. } | ClientError::Failed { .. }))
                    if !is_same =>
                {
                    tracing::warn!(%error, "an earlier transaction failed");
                }
                Err(error) => return Err(error),
                Ok(receipt) if is_same => return Ok(receipt),
                Ok(_) => {}
            }
        }
        let pending = self.prepare(key, call).await?;
        self.drive(pending).await
    }

    /// Creates a contract once: where the journal knows the key, that contract.
    pub async fn create(&mut self, key: &str, code: Bytes) -> Result<Made, ClientError> {
        if let Some(known) = self.journal.deployed(key) {
            let code = self.provider.get_code_at(known.at).await;
            if !code.map_err(rpc("asking for code"))?.is_empty() {
                return Ok(known);
            }
        }
        let call = Call {
            to: None,
            input: code,
        };
        let receipt = self.send(key, call).await?;
        let made = receipt.contract_address.zip(receipt.block_number);
        let (at, block) = made.ok_or(ClientError::Answer {
            what: "creating a contract",
            reason: "the receipt names no contract".into(),
        })?;
        let made = Made { at, block };
        self.journal.remember(key, made)?;
        Ok(made)
    }

    /// Signs the first attempt; nothing is sent yet.
    async fn prepare(&self, key: &str, call: Call) -> Result<Pending, ClientError> {
        let request = self.request(&call);
        let estimate = self.provider.estimate_gas(request).await;
        let gas = estimate.map_err(|source| with_key(key, refusal("estimating gas", source)))?;
        let mut pending = Pending {
            key: key.to_owned(),
            nonce: self.nonce().await?,
            to: call.to,
            input: call.input,
            gas: gas + gas / 4,
            attempts: Vec::new(),
        };
        let (max_fee, tip) = self.fees().await?;
        let most = self.policy.most_fee;
        if max_fee > most {
            return Err(ClientError::FeeCap {
                what: key.to_owned(),
                wanted: max_fee,
                most,
            });
        }
        self.attempt(&mut pending, max_fee, tip)?;
        Ok(pending)
    }

    fn request(&self, call: &Call) -> TransactionRequest {
        let mut request = TransactionRequest::default()
            .from(self.account())
            .input(call.input.clone().into());
        request.to = Some(call.to.map_or(TxKind::Create, TxKind::Call));
        request
    }

    /// The next nonce, once nothing of this account waits that the journal does not know.
    async fn nonce(&self) -> Result<u64, ClientError> {
        let began = Instant::now();
        loop {
            let account = self.account();
            let latest = self.provider.get_transaction_count(account).await;
            let latest = latest.map_err(rpc("asking for the nonce"))?;
            let all = self.provider.get_transaction_count(account).pending().await;
            let all = all.map_err(rpc("asking for the nonce"))?;
            if all <= latest {
                return Ok(latest);
            }
            if began.elapsed() >= self.policy.patience {
                return Err(ClientError::NonceInUse {
                    account,
                    latest,
                    pending: all - latest,
                });
            }
            sleep(self.policy.poll).await;
        }
    }

    /// Wei a gas that the next blocks take, even if the base fee doubles.
    async fn fees(&self) -> Result<(u128, u128), ClientError> {
        let tip = self.provider.get_max_priority_fee_per_gas().await;
        let tip = tip.map_err(rpc("asking for the fee"))?;
        let head = self.provider.get_block(BlockId::latest()).await;
        let head = head.map_err(rpc("asking for the newest block"))?;
        let base = head
            .and_then(|head| head.header.base_fee_per_gas)
            .unwrap_or_default();
        Ok((u128::from(base) * 2 + tip, tip))
    }

    fn attempt(&self, pending: &mut Pending, max_fee: u128, tip: u128) -> Result<(), ClientError> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: pending.nonce,
            gas_limit: pending.gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip.min(max_fee),
            to: pending.to.map_or(TxKind::Create, TxKind::Call),
            input: pending.input.clone(),
            ..TxEip1559::default()
        };
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash());
        let signature = signature.map_err(|error| ClientError::Answer {
            what: "signing",
            reason: error.to_string(),
        })?;
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        pending.attempts.push(Attempt {
            hash: *signed.tx_hash(),
            raw: signed.encoded_2718().into(),
            max_fee,
            tip,
        });
        Ok(())
    }

    /// Until one of the attempts is mined and deep enough.
    async fn drive(&mut self, mut pending: Pending) -> Result<TransactionReceipt, ClientError> {
        self.journal.put(Some(pending.clone()))?;
        self.broadcast(&pending).await?;
        let mut since = Instant::now();
        let (mut rounds, mut lost) = (0, 0);
        loop {
            let seen = self.look(&pending).await?;
            lost = if matches!(seen, Seen::Replaced) {
                lost + 1
            } else {
                0
            };
            match seen {
                Seen::Done(receipt) => {
                    self.journal.put(None)?;
                    return self.judge(&pending, *receipt).await;
                }
                // Behind one address may be nodes of which one has not seen the block yet.
                Seen::Replaced if lost < LOOKS => {}
                Seen::Replaced => {
                    self.journal.put(None)?;
                    return Err(ClientError::Replaced {
                        what: pending.key,
                        nonce: pending.nonce,
                    });
                }
                Seen::Shallow => since = Instant::now(),
                Seen::Waiting if since.elapsed() >= self.policy.patience => {
                    rounds += 1;
                    if rounds >= self.policy.attempts {
                        let fee = pending.attempts.last().map_or(0, |last| last.max_fee);
                        return Err(ClientError::Stuck {
                            what: pending.key,
                            attempts: rounds,
                            fee,
                        });
                    }
                    self.bump(&mut pending).await?;
                    self.broadcast(&pending).await?;
                    since = Instant::now();
                }
                Seen::Waiting => {}
            }
            sleep(self.policy.poll).await;
        }
    }

    /// Signs for more, as far as the policy goes; journalled before anybody can mine it.
    async fn bump(&mut self, pending: &mut Pending) -> Result<(), ClientError> {
        let Some(last) = pending.attempts.last().cloned() else {
            return Ok(());
        };
        let raised = |fee: u128| fee + (fee * self.policy.bump_percent).div_ceil(100) + 1;
        let (now, tip_now) = self.fees().await?;
        let max_fee = raised(last.max_fee).max(now);
        let tip = raised(last.tip).max(tip_now);
        if max_fee > self.policy.most_fee {
            tracing::warn!(key = pending.key, max_fee, "fees are at the policy's bound");
            return Ok(());
        }
        tracing::info!(key = pending.key, max_fee, "sending again for more");
        self.attempt(pending, max_fee, tip)?;
        self.journal.put(Some(pending.clone()))
    }

    /// The newest attempt, where the node does not have it.
    async fn broadcast(&self, pending: &Pending) -> Result<(), ClientError> {
        let Some(last) = pending.attempts.last() else {
            return Ok(());
        };
        let known = self.provider.get_transaction_by_hash(last.hash).await;
        if known.map_err(rpc("asking for a transaction"))?.is_some() {
            return Ok(());
        }
        match self.provider.send_raw_transaction(&last.raw).await {
            Ok(_) => Ok(()),
            // The node answered, so whatever it says is seen by looking: known, mined, too cheap.
            Err(error) if error.as_error_resp().is_some() => {
                tracing::debug!(key = pending.key, %error, "not taken");
                Ok(())
            }
            Err(error) => Err(rpc("sending a transaction")(error)),
        }
    }

    async fn look(&self, pending: &Pending) -> Result<Seen, ClientError> {
        // Asked first: what is mined between the two questions has a receipt then.
        let used = self.provider.get_transaction_count(self.account()).await;
        let used = used.map_err(rpc("asking for the nonce"))?;
        let head = self.provider.get_block_number().await;
        let head = head.map_err(rpc("asking for the newest block"))?;
        for attempt in pending.attempts.iter().rev() {
            let receipt = self.provider.get_transaction_receipt(attempt.hash).await;
            let receipt = receipt.map_err(rpc("asking for a receipt"))?;
            if let Some(receipt) = receipt {
                let block = receipt.block_number.unwrap_or(u64::MAX);
                let is_deep =
                    block.saturating_add(self.policy.confirmations) <= head.saturating_add(1);
                return Ok(match is_deep {
                    true => Seen::Done(Box::new(receipt)),
                    false => Seen::Shallow,
                });
            }
        }
        if used > pending.nonce {
            return Ok(Seen::Replaced);
        }
        self.broadcast(pending).await?;
        Ok(Seen::Waiting)
    }

    /// A failed transaction's reason, asked of the state that it left.
    async fn judge(
        &self,
        pending: &Pending,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, ClientError> {
        if receipt.status() {
            return Ok(receipt);
        }
        let request = self.request(&Call {
            to: pending.to,
            input: pending.input.clone(),
        });
        let answer = self.provider.call(request).await;
        let data = answer
            .err()
            .and_then(|error| error.as_error_resp()?.as_revert_data());
        Err(match data {
            Some(data) => ClientError::Reverted {
                what: pending.key.clone(),
                revert: Revert::decode(data),
            },
            None => ClientError::Failed {
                what: pending.key.clone(),
                hash: receipt.transaction_hash,
            },
        })
    }
}

fn with_key(key: &str, error: ClientError) -> ClientError {
    match error {
        ClientError::Reverted { revert, .. } => ClientError::Reverted {
            what: key.to_owned(),
            revert,
        },
        other => other,
    }
}
