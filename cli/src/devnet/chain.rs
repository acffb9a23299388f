//! The development chain: started or taken up, the contracts on it, its clock, its tokens.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, U256, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::Context;
use plonky2::field::types::PrimeField64;
use tally_l1::abi::{MockToken, Settlement};
use tally_l1::deploy::{self, Deployment, Plan, VerifierPlan};
use tally_l1::dev::{DevChain, Role, first_address};
use tally_l1::embedded::RecordedChain;
use tally_l1::{Anvil, Asking, ClientError, Contract, Policy, Submitter, connect, root_word};
use tally_protocol::account::Keys;
use tally_protocol::hash::Digest;
use tally_protocol::listing::Change;
use tally_protocol::queue::Request;
use tally_service::clock::now_ms;
use tempfile::TempDir;
use tokio::time::interval;

use super::Stop;
use super::board::Shown;
use super::home::{Facts, Home, Part};
use super::leftover;

/// The most that the contract lets in of the quote asset; a limit lets all of it out in a day.
const CAP: u64 = (1 << 59) - 1;
const HOURS: u64 = 24;
/// Seconds that governance's calls wait, and some for the calls themselves.
const GOVERN_DELAY: u64 = 2 * 24 * 3_600;
const SLACK: u64 = 600;
/// Seconds that the chain's clock may be beyond the oldest epoch that is not committed: half of the
/// contract's window, so that a batch that takes the prover long is still of now.
const WINDOW: u64 = 300;
const ANVIL: &str = "anvil";
const ANVIL_FILE: &str = "anvil.json";
const EMBEDDED_FILE: &str = "chain.log";
const TICK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Chain {
    pub dev: DevChain,
    pub contract: Contract,
    pub token: Address,
    pub verifier: Address,
    /// Where a node answers, for `tally rebuild --rpc`; none inside this process.
    pub url: Option<String>,
    anvil: Option<Anvil>,
}

impl Chain {
    /// Deploys, or finds what an earlier run deployed; governance lists the instruments.
    pub async fn open(
        home: &Home,
        genesis: Digest,
        verifier: VerifierPlan,
    ) -> anyhow::Result<Self> {
        let dir = home.path(Part::L1);
        let (provider, anvil) = match home.facts.embedded {
            true => (
                RecordedChain::open(&dir.join(EMBEDDED_FILE))?.provider(),
                None,
            ),
            false => {
                let state = dir.join(ANVIL_FILE);
                leftover::end(&home.dir, ANVIL, &state);
                let anvil = Anvil::start_at(&state)?;
                let anvil = anvil.context("[devnet.no_anvil] no anvil: --l1 embedded")?;
                leftover::note(&home.dir, ANVIL, anvil.id())?;
                (connect(&anvil.url())?, Some(anvil))
            }
        };
        let dev = DevChain::open(provider).await?;
        let there = Contract::open(dev.provider().clone(), first_address(), 0).await;
        let is_fresh = matches!(there, Err(ClientError::NoCode(_)));
        if is_fresh {
            let past = home.facts.genesis - GOVERN_DELAY - SLACK;
            dev.set_time(past).await?;
        }
        let mut operator = submitter(&dev, home, Role::Operator).await?;
        let mut creator = submitter(&dev, home, Role::Creator).await?;
        let plan = Plan {
            governor: Role::Governor.signer().address(),
            operator: operator.account(),
            verifier,
            root: root_word(genesis),
            time: home.facts.genesis,
            token: None,
            scale: 1,
            cap: CAP,
            outflow: CAP / HOURS + 1,
        };
        let expected = is_fresh.then(first_address);
        let done = deploy::deploy(&mut operator, &mut creator, &plan, expected).await?;
        let Deployment {
            contract,
            verifier,
            token,
            ..
        } = done;
        Ok(Self {
            dev,
            contract: Contract {
                from_block: 0,
                ..contract
            },
            token,
            verifier,
            url: anvil.as_ref().map(Anvil::url),
            anvil,
        })
    }

    pub async fn operator(&self, home: &Home) -> anyhow::Result<Submitter> {
        submitter(&self.dev, home, Role::Operator).await
    }

    /// Governance announces the instruments, the timelock passes, and they are queue items.
    pub async fn list(&self, changes: &[Change]) -> anyhow::Result<()> {
        let done = self.contract.position().await?.queue_tail;
        let left = changes.iter().skip(usize::try_from(done)?);
        let calls: Vec<_> = left.map(listing_call).collect();
        let mut ready = 0;
        for call in &calls {
            let id = keccak256(call);
            let view = || self.contract.view(Settlement::readyCall { id });
            if view().await?.is_zero() {
                let call = call.clone().into();
                self.govern(Settlement::scheduleCall { call }.abi_encode())
                    .await?;
            }
            ready = ready.max(view().await?.saturating_to::<u64>());
        }
        if self.dev.time().await? <= ready {
            self.dev.set_time(ready + 1).await?;
        }
        for call in calls {
            let call = call.into();
            self.govern(Settlement::runCall { call }.abi_encode())
                .await?;
        }
        Ok(())
    }

    async fn govern(&self, input: Vec<u8>) -> Result<(), ClientError> {
        let governor = Role::Governor.signer().address();
        self.call(governor, self.contract.address, input).await
    }

    async fn call(&self, from: Address, to: Address, input: Vec<u8>) -> Result<(), ClientError> {
        self.dev.send_as(from, to, input.into()).await.map(drop)
    }

    /// Gives an owner coins and quote tokens that the contract may take.
    pub async fn endow(&self, owner: Address, micro_quote: u64) -> Result<(), ClientError> {
        self.dev.fund(owner).await?;
        let amount = U256::from(micro_quote);
        let mint = MockToken::mintCall { to: owner, amount }.abi_encode();
        self.call(owner, self.token, mint).await?;
        let approve = MockToken::approveCall {
            spender: self.contract.address,
            value: U256::MAX,
        };
        self.call(owner, self.token, approve.abi_encode()).await
    }

    /// A main account with this much quote, numbered by the contract.
    pub async fn open_account(
        &self,
        owner: Address,
        keys: &Keys,
        micro_quote: u64,
    ) -> Result<(), ClientError> {
        let words: Vec<u64> = [keys.key, keys.trading_key]
            .iter()
            .flatten()
            .map(|word| word.to_canonical_u64())
            .collect();
        let call = Settlement::openCall {
            asset: 0,
            lots: micro_quote,
            keys: words.try_into().unwrap_or_default(),
            isolated: false,
        };
        self.call(owner, self.contract.address, call.abi_encode())
            .await
    }

    /// Everything that is credited to the owner, to himself. Micro-quote.
    pub async fn pull(&self, owner: Address) -> Result<u64, ClientError> {
        let (asset, to) = (0, owner);
        let lots = self
            .contract
            .view(Settlement::owedCall { asset, owner })
            .await?;
        if lots > 0 {
            let call = Settlement::pullCall { asset, lots, to }.abi_encode();
            self.call(owner, self.contract.address, call).await?;
        }
        Ok(lots)
    }

    /// Main accounts by their owners.
    pub async fn accounts(&self) -> anyhow::Result<BTreeMap<Address, u32>> {
        let filter: Filter = self
            .contract
            .events()
            .event_signature(Settlement::AccountNumbered::SIGNATURE_HASH);
        let logs = self.dev.provider().get_logs(&filter).await?;
        let numbered = logs
            .iter()
            .map(|log| Settlement::AccountNumbered::decode_log_data(log.data()));
        let owners = numbered.map(|event| event.map(|event| (event.owner, event.account)));
        Ok(owners.collect::<Result<_, _>>()?)
    }

    /// A block a second, of now; but no more than `WINDOW` after what still has to be committed.
    pub async fn keep_time(&self, shown: &Shown, stop: Stop) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        while stop.unless(tick.tick()).await {
            let oldest = shown.lock().oldest_uncommitted();
            let latest = oldest.map_or(u64::MAX, |oldest| oldest + WINDOW);
            let time = (now_ms() / 1_000).min(latest);
            match time > self.dev.time().await? {
                true => self.dev.set_time(time).await?,
                false => self.dev.mine().await?,
            }
            let block = self.dev.provider().get_block_number().await?;
            shown.lock().block = block;
        }
        Ok(())
    }

    /// L1 takes a batch from before its last epoch's time on, within its window.
    pub async fn not_before(&self, time: u64) -> Result<(), ClientError> {
        match self.dev.time().await? < time {
            true => self.dev.set_time(time).await,
            false => Ok(()),
        }
    }

    pub fn stop(self) {
        if let Some(anvil) = self.anvil {
            anvil.stop();
        }
    }
}

/// A stopped or running devnet's chain, in a copy that nobody else has.
#[derive(Debug)]
pub struct ChainCopy {
    pub contract: Contract,
    /// Both go with it.
    _anvil: Option<Anvil>,
    _dir: TempDir,
}

impl ChainCopy {
    pub async fn open(devnet: &Path) -> anyhow::Result<Self> {
        let dir = TempDir::new().context("[devnet.copy] a directory for the chain's copy")?;
        let copied = |name: &str| {
            let (from, to) = (
                devnet.join(Part::L1.name()).join(name),
                dir.path().join(name),
            );
            let done = std::fs::copy(&from, &to);
            done.with_context(|| format!("[devnet.copy] {}", from.display()))
                .map(|_| to)
        };
        let (provider, anvil) = match Facts::read(devnet)?.embedded {
            true => (
                RecordedChain::open(&copied(EMBEDDED_FILE)?)?.provider(),
                None,
            ),
            false => {
                let anvil = Anvil::start_at(&copied(ANVIL_FILE)?)?;
                let anvil = anvil.context("[devnet.no_anvil] no anvil, which this chain needs")?;
                (connect(&anvil.url())?, Some(anvil))
            }
        };
        Ok(Self {
            contract: Contract::open(provider, first_address(), 0).await?,
            _anvil: anvil,
            _dir: dir,
        })
    }
}

async fn submitter(dev: &DevChain, home: &Home, role: Role) -> anyhow::Result<Submitter> {
    let (provider, dir) = (dev.provider().clone(), home.path(Part::L1));
    Ok(Submitter::open(provider, role.signer(), &dir, Policy::development()).await?)
}

fn listing_call(change: &Change) -> Vec<u8> {
    let request = Request::Change(Box::new(*change));
    Asking::of(&request).input.to_vec()
}
