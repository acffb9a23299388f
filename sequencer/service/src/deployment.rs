//! What a sequencer is for: chain, contract, reporters, parameters. It decides the genesis state,
//! and a log is only ever replayed under the deployment that it was written under.

use serde::{Deserialize, Serialize};
use tally_api::development::{REPORTERS, reporter};
use tally_api::encoding::{self, HexError, hex_of};
use tally_protocol::account::PublicKey;
use tally_protocol::genesis::genesis;
use tally_protocol::header::Globals;
use tally_protocol::message::{ChainIdError, Domain};
use tally_protocol::oracle::{OracleError, Reporters};
use tally_protocol::state::State;
use tally_protocol::tree::TreeError;
use tally_sequencer::config::Config;
use thiserror::Error;

/// As it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub chain_id: u64,
    /// The L1 contract, 40 hexadecimal digits.
    pub contract: String,
    /// Seconds since 1970 of the genesis header.
    pub time: u64,
    /// N: epochs without fills after skipped rounds \[T2\].
    pub fill_pause: u32,
    /// X: epochs until a flag is stale \[Q1\].
    pub flag_lifetime: u32,
    /// D: epochs over which the discount opens \[Q4\], \[Q7\].
    pub auction_epochs: u32,
    /// Seconds that a change of a row waits \[T7\].
    pub timelock: u32,
    pub feed_set: u32,
    /// Whom fees are withdrawn to, 40 hexadecimal digits.
    pub fee_owner: String,
    /// Public keys, 40 bytes each, hexadecimal.
    pub reporters: Vec<String>,
    /// Of which so many may lie \[T1\].
    pub faults: usize,
    pub engine: Config,
}

#[derive(Debug, Error)]
pub enum DeploymentError {
    #[error(transparent)]
    Hex(#[from] HexError),
    #[error(transparent)]
    Chain(#[from] ChainIdError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
    #[error("the genesis state: {0}")]
    Tree(#[from] TreeError),
}

impl DeploymentError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Hex(error) => error.code(),
            Self::Chain(error) => error.code(),
            Self::Oracle(error) => error.code(),
            Self::Tree(_) => "deployment.tree",
        }
    }
}

impl Deployment {
    /// For development: keys that everybody knows.
    pub fn development(time: u64) -> Self {
        let keys = (0..REPORTERS).map(|number| hex_of(&reporter(number).public()));
        Self {
            chain_id: 31_337,
            contract: "00000000000000000000000000000000007a1175".to_owned(),
            time,
            fill_pause: 3,
            flag_lifetime: 256,
            auction_epochs: 16,
            timelock: 1,
            feed_set: 0,
            fee_owner: "00".repeat(20),
            reporters: keys.collect(),
            faults: 1,
            engine: Config::default(),
        }
    }

    pub fn domain(&self) -> Result<Domain, DeploymentError> {
        let contract = encoding::owner(&self.contract)?;
        Ok(Domain::new(self.chain_id, contract)?)
    }

    pub fn reporters(&self) -> Result<Reporters, DeploymentError> {
        let keys: Result<Vec<PublicKey>, HexError> = self
            .reporters
            .iter()
            .map(|text| encoding::key("reporter", text))
            .collect();
        Ok(Reporters::new(keys?, self.faults)?)
    }

    pub fn genesis(&self) -> Result<State, DeploymentError> {
        let globals = Globals {
            domain: self.domain()?,
            fill_pause: self.fill_pause,
            flag_lifetime: self.flag_lifetime,
            auction_epochs: self.auction_epochs,
            timelock: self.timelock,
            feed_set: self.feed_set,
            fee_owner: encoding::owner(&self.fee_owner)?,
        };
        Ok(genesis(globals, self.reporters()?, self.time)?)
    }

    /// What the store keeps to compare at the next start: everything that replay depends on.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_decides_its_genesis() {
        let first = Deployment::development(1_700_000_000);
        let text = first.text();
        assert_eq!(serde_json::from_str::<Deployment>(&text).unwrap(), first);
        let root = |it: &Deployment| it.genesis().unwrap().root();
        let mut other = first.clone();
        other.reporters.swap(0, 1);
        assert_ne!(root(&first), root(&other));
        let mut other = first.clone();
        other.timelock += 1;
        assert_ne!(root(&first), root(&other));
        other.chain_id = 1 << 56;
        assert_eq!(other.genesis().unwrap_err().code(), "S5.chain_id");
        other.faults = 2;
        assert_eq!(other.reporters().unwrap_err().code(), "T1.quorum");
    }
}
