//! How a node is reached: over HTTP, or a chain inside this process.

use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;

use crate::embedded::EmbeddedChain;
use crate::error::{ClientError, rpc};

/// The name of the chain inside this process, in place of a URL.
pub const EMBEDDED: &str = "embedded";

/// Chains on which insecure setups, mocks and set clocks are accepted, as by the contract.
pub fn is_development(chain_id: u64) -> bool {
    matches!(chain_id, 31_337 | 1_337)
}

/// A node at an http or https URL, or `EMBEDDED`, a new chain with every call.
pub fn connect(url: &str) -> Result<DynProvider, ClientError> {
    if url == EMBEDDED {
        return Ok(EmbeddedChain::new().provider());
    }
    let parsed = url.parse().map_err(|error| ClientError::Url {
        url: url.to_owned(),
        reason: format!("{error}"),
    })?;
    Ok(ProviderBuilder::new()
        .disable_recommended_fillers()
        .connect_http(parsed)
        .erased())
}

impl EmbeddedChain {
    pub fn provider(&self) -> DynProvider {
        ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_client(RpcClient::new(self.clone(), true))
            .erased()
    }
}

pub async fn chain_id(provider: &DynProvider) -> Result<u64, ClientError> {
    provider
        .get_chain_id()
        .await
        .map_err(rpc("asking for the chain id"))
}
