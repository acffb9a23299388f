//! `tally settle`: a replay's batches through the settlement contract on a development chain:
//! deposits in, batches committed, proven and executed, withdrawals pulled, the state rebuilt.

pub mod batches;
mod check;
mod gas;
mod lies;
mod queue;
pub mod verifier;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tally_l1::abi::{MockVerifier, Settlement};
use tally_l1::deploy::{self, Deployment, Plan, VerifierPlan};
use tally_l1::dev::{DevChain, Role, first_address};
use tally_l1::{
    Anvil, BatchBytes, ClientError, Contract, EMBEDDED, Policy, Settler, Submitter, connect,
    root_word,
};
use tally_protocol::data::DataError;
use tally_wrap::keys::WrapError;
use thiserror::Error;

use crate::config::SettleConfig;
use crate::output::OutputError;
use crate::progress::Progress;
use crate::settle::batches::{Batch, ReplayFacts};
use crate::settle::check::Checked;
use crate::settle::gas::{Cost, Gas};
use crate::settle::lies::Lies;
use crate::settle::queue::Queue;
use crate::settle::verifier::Proofs;

/// In place of a URL: one of its own.
const ANVIL: &str = "anvil";
/// What the transactions' journals are kept in, below the replay's directory.
const JOURNALS: &str = "l1";
/// The most that the contract lets in of the quote asset; a limit lets all of it out in a day.
const CAP: u64 = (1 << 59) - 1;
const HOURS: u64 = 24;
/// From governance's calls to the first batch beyond the timelock's two days.
const SLACK: u64 = 600;
const GOVERN_DELAY: u64 = 2 * 24 * 3_600;

#[derive(Debug, Error)]
pub enum SettleError {
    #[error("{}: [settle.unreadable] {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}: [{}] {source}", path.display(), source.code())]
    Data { path: PathBuf, source: DataError },
    #[error(
        "{}: [settle.no_batches] no batch-000000.proof or .data: replay with --prove or --data",
        path.display()
    )]
    NoBatches { path: PathBuf },
    #[error("[settle.no_anvil] no anvil: `npm ci` in contracts/, TALLY_ANVIL, or --rpc embedded")]
    NoAnvil,
    #[error("[settle.no_proofs] these batches have no proofs: prove them, or --mock-verifier")]
    NoProofs,
    #[error("[settle.first_epoch] the first batch begins with epoch {0}: L1 begins with epoch 1")]
    FirstEpoch(u64),
    #[error(
        "[settle.contract] the batches name contract {named} on chain {named_chain}; this \
         deployment will be {at} on chain {chain}: replay with --contract {at} --chain-id {chain}"
    )]
    OtherContract {
        named: String,
        named_chain: u64,
        at: String,
        chain: u64,
    },
    #[error("[settle.item] item {index}: {reason}")]
    Item { index: u64, reason: String },
    #[error("[settle.{rule}] {reason}")]
    Differs { rule: &'static str, reason: String },
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("[{code}] {0}", code = .0.code())]
    Wrap(#[from] WrapError),
    #[error("[settle.verifier] {0}")]
    Verifier(String),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// The last line of `--json`. Amounts in micro-quote and lots.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub chain_id: u64,
    pub contract: String,
    pub verifier: String,
    /// `generated`, or `mock`, which checks nothing.
    pub verifier_kind: &'static str,
    pub dev_setup: bool,
    pub batches: u64,
    pub last_epoch: u64,
    /// Queued, each of which was done or refused.
    pub items: u64,
    pub accounts_opened: u64,
    /// Micro-quote that came in, and that was paid and pulled.
    pub deposited: u64,
    pub pulled: u64,
    pub withdrawals: u64,
    /// Of the last batch, of the contract, and of the state rebuilt from L1 alone.
    pub state_root: String,
    pub contract_root: String,
    pub rebuilt_root: String,
    pub data_bytes: u64,
    pub largest_batch_bytes: u64,
    pub touched_accounts: u64,
    /// Gas of all commits by touched account: statement, queue and rows included.
    pub commit_gas_per_account: Option<f64>,
    pub gas: BTreeMap<&'static str, Cost>,
    /// With --try-lies: each, and the error that refused it.
    pub refused: BTreeMap<&'static str, &'static str>,
}

/// One thread: everything waits for the chain.
pub fn run(config: &SettleConfig) -> Result<Summary, SettleError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| SettleError::Verifier(error.to_string()))?;
    runtime.block_on(settle(config))
}

async fn settle(config: &SettleConfig) -> Result<Summary, SettleError> {
    let batches = batches::load(&config.replay)?;
    let facts = batches::facts(&config.replay)?;
    let anvil = match config.rpc == ANVIL {
        true => Some(Anvil::start()?.ok_or(SettleError::NoAnvil)?),
        false => None,
    };
    let url = anvil.as_ref().map_or(config.rpc.clone(), Anvil::url);
    let dev = DevChain::open(connect(&url)?).await?;
    check_domain(&batches, &dev).await?;
    let mut proofs = Proofs::open(config, &batches)?;
    let mut run = Run::start(config, &dev, &batches, &facts, &proofs).await?;
    let mut progress = Progress::new("batches", batches.len() as u64);
    for batch in &batches {
        run.settle(batch, &mut proofs).await?;
        progress.step(|| format!("epoch {}", batch.bytes.statement().last_epoch));
    }
    progress.finish();
    let contract = run.settler.contract.clone();
    let checked = check::check(&contract, &run.queue, &batches, &facts).await?;
    Ok(run.summary(&batches, &proofs, checked))
}

/// Where this chain's journals lie: by its first block, since a chain that is gone has left
/// nothing to go on with. One that ends with this begins with none.
async fn journals(config: &SettleConfig, dev: &DevChain) -> Result<PathBuf, SettleError> {
    let dir = config.replay.join(JOURNALS);
    if [ANVIL, EMBEDDED].contains(&config.rpc.as_str()) {
        let own = dir.join("own");
        // Absent is what is wanted.
        let _ = std::fs::remove_dir_all(&own);
        return Ok(own);
    }
    Ok(dir.join(format!("{:#x}", dev.genesis().await?)))
}

/// The contract that the batches name is the one that a fresh chain will have.
async fn check_domain(batches: &[Batch], dev: &DevChain) -> Result<(), SettleError> {
    let chain = tally_l1::chain_id(dev.provider()).await?;
    let first = batches[0].bytes.statement();
    if first.first_epoch != 1 {
        return Err(SettleError::FirstEpoch(first.first_epoch));
    }
    let (named, at) = (batches[0].bytes.contract(), first_address());
    match (named, first.chain_id) == (at, chain) {
        true => Ok(()),
        false => Err(SettleError::OtherContract {
            named: named.to_string(),
            named_chain: first.chain_id,
            at: at.to_string(),
            chain,
        }),
    }
}

struct Run<'a> {
    dev: &'a DevChain,
    settler: Settler,
    deployment: Deployment,
    queue: Queue,
    gas: Gas,
    /// Where they are asked for.
    lies: Option<Lies>,
}

impl<'a> Run<'a> {
    /// Deploys, or finds what an earlier run deployed, and lists the assets.
    async fn start(
        config: &SettleConfig,
        dev: &'a DevChain,
        batches: &[Batch],
        facts: &ReplayFacts,
        proofs: &Proofs,
    ) -> Result<Self, SettleError> {
        let dir = journals(config, dev).await?;
        let submitter = |role: Role| {
            let provider = dev.provider().clone();
            Submitter::open(provider, role.signer(), &dir, Policy::development())
        };
        let mut operator = submitter(Role::Operator).await?;
        let mut creator = submitter(Role::Creator).await?;
        let first = batches[0].bytes.statement();
        let plan = Plan {
            governor: Role::Governor.signer().address(),
            operator: operator.account(),
            verifier: proofs.plan(),
            root: root_word(first.state_before),
            time: facts.genesis_time,
            token: None,
            scale: 1,
            cap: CAP,
            outflow: CAP / HOURS + 1,
        };
        let is_there = Contract::open(dev.provider().clone(), first_address(), 0).await;
        let is_fresh = matches!(is_there, Err(ClientError::NoCode(_)));
        if is_fresh {
            dev.set_time(first.time - GOVERN_DELAY - SLACK).await?;
        }
        let expected = is_fresh.then(first_address);
        let deployment = deploy::deploy(&mut operator, &mut creator, &plan, expected).await?;
        let contract = deployment.contract.clone();
        let items = batches.iter().flat_map(|batch| batch.bytes.items());
        let mut gas = Gas::default();
        let mut queue = Queue::new(dev.clone(), contract.clone(), deployment.token);
        queue.announce(&mut operator, items, &mut gas).await?;
        Ok(Self {
            dev,
            settler: Settler { contract, operator },
            deployment,
            queue,
            gas,
            lies: config.try_lies.then(Lies::default),
        })
    }

    async fn settle(&mut self, batch: &Batch, proofs: &mut Proofs) -> Result<(), SettleError> {
        let bytes = &batch.bytes;
        let position = self.settler.contract.position().await?;
        let (last, _) = self.settler.contract.batch(position.executed).await?;
        let is_done = bytes.statement().last_epoch <= last.lastEpoch;
        if !is_done {
            self.dev.set_time(bytes.statement().time).await?;
        }
        self.queue.take(bytes.items(), &mut self.gas).await?;
        let verifier = self.deployment.verifier;
        let proof = proofs.proof(batch, verifier, self.dev).await?;
        if matches!(proofs.plan(), VerifierPlan::Mock) {
            self.register(bytes, &proof).await?;
        }
        let paid = bytes.withdrawal_bytes();
        let paid = paid.map_err(|source| SettleError::Data {
            path: batch.path.clone(),
            source,
        })?;
        let mut all = self.lies.take();
        let mut lies = all.as_mut().filter(|_| !is_done);
        let settler = &mut self.settler;
        if let Some(lies) = &mut lies {
            lies.of_bytes(settler, bytes, &proof).await?;
        }
        let (committed, done) = settler.commit(bytes).await?;
        self.gas.note("commit", done.as_ref());
        if let Some(lies) = &mut lies {
            lies.of_proofs(settler, &committed, &proof).await?;
        }
        let done = settler.prove(&committed, &proof).await?;
        self.gas.note("prove", done.as_ref());
        if let Some(lies) = &mut lies {
            lies.of_withdrawals(settler, &committed, &paid).await?;
        }
        let done = settler.execute(&committed, &paid).await?;
        self.gas.note("execute", done.as_ref());
        if let Some(lies) = &mut lies {
            lies.of_execution(settler, &committed, &paid).await?;
        }
        let contract = &self.settler.contract;
        let pulled = self.queue.pull(bytes.withdrawals(), &mut self.gas).await?;
        if let Some(lies) = &mut lies {
            for credit in pulled {
                lies.of_pull(contract, self.dev, credit).await?;
            }
        }
        self.lies = all;
        Ok(())
    }

    /// Tells the mock what it will accept.
    async fn register(
        &mut self,
        bytes: &BatchBytes,
        proof: &alloy::primitives::Bytes,
    ) -> Result<(), SettleError> {
        use alloy::sol_types::SolCall as _;
        let call = MockVerifier::registerCall {
            proof: proof.clone(),
            instances: bytes.instances()?,
        };
        let (from, to) = (self.settler.operator.account(), self.deployment.verifier);
        self.dev.send_as(from, to, call.abi_encode().into()).await?;
        Ok(())
    }

    fn summary(self, batches: &[Batch], proofs: &Proofs, checked: Checked) -> Summary {
        let sum = |of: fn(&Batch) -> u64| batches.iter().map(of).sum::<u64>();
        let touched = sum(|batch| batch.bytes.statement().sections[2]);
        let sizes = batches.iter().map(|batch| batch.bytes.bytes.len() as u64);
        let commits = self.gas.total("commit");
        Summary {
            chain_id: self.settler.contract.chain_id,
            contract: self.settler.contract.address.to_string(),
            verifier: self.deployment.verifier.to_string(),
            verifier_kind: proofs.kind(),
            dev_setup: proofs.is_dev(),
            batches: batches.len() as u64,
            last_epoch: batches
                .last()
                .map_or(0, |last| last.bytes.statement().last_epoch),
            items: sum(|batch| batch.bytes.statement().sections[0]),
            accounts_opened: checked.accounts_opened,
            deposited: checked.deposited,
            pulled: checked.pulled,
            withdrawals: sum(|batch| batch.bytes.statement().sections[1]),
            state_root: checked.state_root,
            contract_root: checked.contract_root,
            rebuilt_root: checked.rebuilt_root,
            data_bytes: sizes.clone().sum(),
            largest_batch_bytes: sizes.max().unwrap_or_default(),
            touched_accounts: touched,
            commit_gas_per_account: commits
                .filter(|_| touched > 0)
                .map(|gas| gas as f64 / touched as f64),
            gas: self.gas.costs(),
            refused: self.lies.map(|lies| lies.told).unwrap_or_default(),
        }
    }
}

/// A view of the settlement contract that no other module needs typed.
async fn owed(
    contract: &Contract,
    asset: u32,
    owner: alloy::primitives::Address,
) -> Result<u64, ClientError> {
    contract.view(Settlement::owedCall { asset, owner }).await
}
