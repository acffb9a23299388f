//! What L1 is shown for a batch: a proof wrapped for it, or, with the mock, a word that it knows.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::Bytes;
use anyhow::Context;
use serde::Deserialize;
use tally_circuits::uniform::{Proof, VerifierKey};
use tally_l1::deploy::VerifierPlan;
use tally_wrap::evm::{Code, EvmError};
use tally_wrap::keys::WrapError;
use tally_wrap::layers::Progress;
use tally_wrap::srs::{Cache, SrsError};
use tally_wrap::wrapper::Wrapper;

use super::board::Shown;
use crate::config::CacheConfig;
use crate::settle::SettleError;
use crate::settle::batches::Batch;
use crate::settle::verifier::{keep, open};
use crate::wrap::OwnProver;

/// Where proofs for L1 come from.
pub enum Verifier {
    Mock,
    Wrapped(Box<Wrapping>),
}

pub struct Wrapping {
    /// One wrap at a time: it takes all the cores and gigabytes.
    wrapper: Mutex<Wrapper>,
    creation: Bytes,
    is_dev: bool,
}

impl Verifier {
    /// Over the batch circuit with this key. A minute where the cache has no keys: the contract
    /// needs the verifier from the start.
    pub fn open(cache: &CacheConfig, key: &VerifierKey, shown: &Shown) -> anyhow::Result<Self> {
        let wrapping = Wrapping::open(cache, key, shown)?;
        Ok(Self::Wrapped(Box::new(wrapping)))
    }

    pub fn plan(&self) -> VerifierPlan {
        match self {
            Self::Mock => VerifierPlan::Mock,
            Self::Wrapped(wrapping) => VerifierPlan::Generated {
                creation: wrapping.creation.clone(),
                is_dev: wrapping.is_dev,
            },
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::Wrapped(wrapping) if wrapping.is_dev => "generated, insecure setup",
            Self::Wrapped(_) => "generated",
        }
    }

    /// The proof for L1, kept beside the batch's file.
    pub async fn wrap(self: Arc<Self>, batch: Arc<Batch>, shown: Shown) -> anyhow::Result<Bytes> {
        let done = tokio::task::spawn_blocking(move || match (&*self, &batch.proof) {
            (Self::Wrapped(wrapping), Some((_, proof))) => {
                wrapping.wrap(&batch.path, proof, &shown)
            }
            _ => Err(SettleError::NoProofs.into()),
        });
        done.await?
    }
}

/// The generated verifier of this release under the insecure setup, for where Node.js is missing.
#[derive(Deserialize)]
struct Compiled {
    /// Digest of what was compiled. Another key's verifier is another source, so it is never taken
    /// for this one.
    source: String,
    creation: String,
    runtime: String,
}

impl Compiled {
    fn committed() -> anyhow::Result<Self> {
        let text = include_str!("../../fixtures/verifier.json");
        serde_json::from_str(text).context("[devnet.fixture] cli/fixtures/verifier.json")
    }

    fn code(&self) -> anyhow::Result<Code> {
        Ok(Code {
            creation: hex::decode(&self.creation)?,
            runtime: hex::decode(&self.runtime)?,
        })
    }

    /// As if it had been compiled here.
    fn put(&self, cache: &Cache) -> anyhow::Result<()> {
        let name = format!("verifier-{}.code", self.source);
        cache.put(&name, &serde_json::to_vec(&self.code()?)?)?;
        Ok(())
    }
}

/// What the wrap does, told and shown.
struct Steps<'a>(&'a Shown);

impl Progress for Steps<'_> {
    fn step(&self, what: &str) {
        self.0.say(what);
        self.0.lock().wrapping = Some(what.to_owned());
    }
}

impl Wrapping {
    /// Where there is no setup, the insecure one is made.
    fn open(config: &CacheConfig, key: &VerifierKey, shown: &Shown) -> anyhow::Result<Self> {
        let steps = Steps(shown);
        let cache = config.open()?;
        if let Err(SrsError::Missing { .. }) = cache.setup(config.k, &steps) {
            shown.say("no setup is in the cache: the insecure one is made");
            cache.make_development(config.k)?;
        }
        let wrapper = open(config, key, &steps)?;
        let contracts = match wrapper.contracts(&steps) {
            Err(WrapError::Contracts(EvmError::NoCompiler | EvmError::Compiler(_))) => {
                shown.say("nothing here compiles the verifier: the committed code is taken");
                Compiled::committed()?.put(&config.open()?)?;
                wrapper.contracts(&steps)
            }
            contracts => contracts,
        };
        let contracts = contracts?;
        shown.lock().wrapping = None;
        Ok(Self {
            creation: contracts.verifier.creation.into(),
            is_dev: contracts.is_development,
            wrapper: Mutex::new(wrapper),
        })
    }

    fn wrap(&self, batch: &Path, proof: &Proof, shown: &Shown) -> anyhow::Result<Bytes> {
        let wrapper = self.wrapper.lock().unwrap_or_else(PoisonError::into_inner);
        let wrapped = wrapper.wrap_with(&OwnProver, proof, &Steps(shown))?;
        keep(batch, &wrapped)?;
        Ok(wrapped.proof.into())
    }
}

#[cfg(test)]
mod tests {
    use tally_wrap::evm::MAX_CODE;

    use super::*;

    #[test]
    fn the_committed_verifier_is_code_and_what_deploys_it() {
        let compiled = Compiled::committed().unwrap();
        let code = compiled.code().unwrap();
        assert!(code.creation.ends_with(&code.runtime));
        assert!((1_000..=MAX_CODE).contains(&code.runtime.len()));
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        compiled.put(&cache).unwrap();
        let name = format!("verifier-{}.code", compiled.source);
        assert!(dir.path().join(name).is_file());
    }
}
