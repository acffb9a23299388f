//! What only a development chain lets one do: set its clock, send for anybody, give anybody coins.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::deploy::demand_development;
use crate::endpoint::chain_id;
use crate::error::{ClientError, refusal, rpc};

/// The first three accounts of every anvil: their keys are known to everybody.
const KEYS: [&str; 3] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];
/// Wei: more than any test spends.
const RICHES: u128 = 1_000_000_000_000_000_000_000;
/// Looks for a receipt, a few milliseconds apart.
const LOOKS: u32 = 2_000;

/// Keys for the roles on a development chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Operator,
    Governor,
    /// Creates the settlement contract and nothing else, so that its address is always the same.
    Creator,
}

impl Role {
    pub fn signer(self) -> PrivateKeySigner {
        let place = match self {
            Self::Operator => 0,
            Self::Governor => 1,
            Self::Creator => 2,
        };
        let bytes: B256 = KEYS[place].parse().expect("32 bytes");
        PrivateKeySigner::from_bytes(&bytes).expect("below the order")
    }
}

/// The settlement contract's address on a fresh development chain.
pub fn first_address() -> Address {
    Role::Creator.signer().address().create(0)
}

#[derive(Clone, Debug)]
pub struct DevChain {
    provider: DynProvider,
}

impl DevChain {
    /// Blocks keep the time that is set from now on, and anybody is impersonated. Refused unless
    /// the chain is a development one.
    pub async fn open(provider: DynProvider) -> Result<Self, ClientError> {
        demand_development(chain_id(&provider).await?, "its clock is set")?;
        let chain = Self { provider };
        chain
            .ask("anvil_autoImpersonateAccount", json!([true]))
            .await?;
        chain
            .ask("anvil_setBlockTimestampInterval", json!([0]))
            .await?;
        for role in [Role::Operator, Role::Governor, Role::Creator] {
            chain.fund(role.signer().address()).await?;
        }
        Ok(chain)
    }

    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Also backwards, as a market of the past wants it.
    pub async fn set_time(&self, time: u64) -> Result<(), ClientError> {
        self.ask("evm_setTime", json!([time])).await?;
        self.ask("evm_setNextBlockTimestamp", json!([time])).await?;
        self.mine().await
    }

    /// The newest block's.
    pub async fn time(&self) -> Result<u64, ClientError> {
        let head = self
            .provider
            .get_block(alloy::eips::BlockId::latest())
            .await;
        let head = head.map_err(rpc("asking for the newest block"))?;
        Ok(head.map_or(0, |head| head.header.timestamp))
    }

    /// The first block's hash, which says which chain of that id this is.
    pub async fn genesis(&self) -> Result<B256, ClientError> {
        let first = self
            .provider
            .get_block(alloy::eips::BlockId::earliest())
            .await;
        let first = first.map_err(rpc("asking for the first block"))?;
        Ok(first.map_or(B256::ZERO, |first| first.header.hash))
    }

    pub async fn mine(&self) -> Result<(), ClientError> {
        self.ask("evm_mine", json!([])).await.map(drop)
    }

    pub async fn snapshot(&self) -> Result<Value, ClientError> {
        self.ask("evm_snapshot", json!([])).await
    }

    pub async fn revert(&self, snapshot: &Value) -> Result<(), ClientError> {
        self.ask("evm_revert", json!([snapshot])).await.map(drop)
    }

    /// Whether each transaction is mined as it comes.
    pub async fn set_automine(&self, mines: bool) -> Result<(), ClientError> {
        self.ask("evm_setAutomine", json!([mines])).await.map(drop)
    }

    pub async fn fund(&self, account: Address) -> Result<(), ClientError> {
        let params = json!([account, U256::from(RICHES)]);
        self.ask("anvil_setBalance", params).await.map(drop)
    }

    /// A transaction of `from`, unsigned. What reverts is refused with the contract's error.
    pub async fn send_as(
        &self,
        from: Address,
        to: Address,
        input: Bytes,
    ) -> Result<TransactionReceipt, ClientError> {
        const WHAT: &str = "a development transaction";
        let request = TransactionRequest::default()
            .from(from)
            .to(to)
            .input(input.into());
        let gas = self.provider.estimate_gas(request.clone()).await;
        let gas = gas.map_err(|source| refusal(WHAT, source))?;
        let params = json!([request.gas_limit(gas + gas / 2)]);
        let hash: B256 = serde_json::from_value(self.ask("eth_sendTransaction", params).await?)
            .map_err(|error| ClientError::Answer {
                what: WHAT,
                reason: error.to_string(),
            })?;
        for _ in 0..LOOKS {
            let receipt = self.provider.get_transaction_receipt(hash).await;
            match receipt.map_err(rpc(WHAT))? {
                Some(receipt) if receipt.status() => return Ok(receipt),
                Some(_) => break,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
        let what = WHAT.to_owned();
        Err(ClientError::Failed { what, hash })
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, ClientError> {
        let answer = self.provider.raw_request(method.into(), params).await;
        answer.map_err(|source| refusal(method, source))
    }
}
