//! Proofs for L1: each batch wrapped, and kept, or a stand-in that the mock was told.

use std::fs;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, Bytes, keccak256};
use serde::{Deserialize, Serialize};
use tally_circuits::batch::BatchCircuit;
use tally_circuits::uniform::{Uniform, VerifierKey};
use tally_l1::Contract;
use tally_l1::abi::WrapVerifier;
use tally_l1::deploy::VerifierPlan;
use tally_l1::dev::DevChain;
use tally_wrap::circuit::Size;
use tally_wrap::keys::Wrapped;
use tally_wrap::layers::Progress;
use tally_wrap::wrapper::Wrapper;

use crate::config::{CacheConfig, SettleConfig};
use crate::output::write_whole;
use crate::settle::SettleError;
use crate::settle::batches::{Batch, INSTANCE_BYTES, wrapped_path};
use crate::wrap::{Events, OwnProver};

/// The generated verifier that the kept proofs are for.
const VERIFIER_FILE: &str = "verifier.json";

/// Where proofs for L1 come from.
pub enum Proofs {
    /// Checks nothing; said in the summary, and possible on a development chain only.
    Mock,
    Wrapped(Box<Wrapping>),
}

/// The code that creates the generated verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Generated {
    creation: Bytes,
    /// Whether anybody may know the setup's secret.
    is_dev: bool,
}

pub struct Wrapping {
    dir: PathBuf,
    cache: CacheConfig,
    generated: Generated,
    /// Opened for the first batch that is not kept: it takes minutes.
    wrapper: Option<Wrapper>,
}

impl Proofs {
    /// The verifier is an earlier run's, or that of the first batch's key.
    pub fn open(config: &SettleConfig, batches: &[Batch]) -> Result<Self, SettleError> {
        if config.mock_verifier {
            tracing::warn!("a mock verifier: no proof is checked");
            return Ok(Self::Mock);
        }
        let (dir, cache) = (config.replay.clone(), config.cache.clone());
        let path = dir.join(VERIFIER_FILE);
        let (generated, wrapper) = match fs::read(&path) {
            Ok(kept) => {
                let kept = serde_json::from_slice(&kept);
                (
                    kept.map_err(|error| unreadable(path, error.to_string()))?,
                    None,
                )
            }
            Err(_) => {
                let (key, _) = batches[0].proof.as_ref().ok_or(SettleError::NoProofs)?;
                let wrapper = open(&cache, key, &Events)?;
                let generated = generated(&wrapper)?;
                write_whole(&path, |out| Ok(serde_json::to_writer(out, &generated)?))?;
                (generated, Some(wrapper))
            }
        };
        Ok(Self::Wrapped(Box::new(Wrapping {
            dir,
            cache,
            generated,
            wrapper,
        })))
    }

    pub fn plan(&self) -> VerifierPlan {
        match self {
            Self::Mock => VerifierPlan::Mock,
            Self::Wrapped(wrapping) => VerifierPlan::Generated {
                creation: wrapping.generated.creation.clone(),
                is_dev: wrapping.generated.is_dev,
            },
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::Wrapped(_) => "generated",
        }
    }

    pub fn is_dev(&self) -> bool {
        match self {
            Self::Mock => true,
            Self::Wrapped(wrapping) => wrapping.generated.is_dev,
        }
    }

    /// A batch's proof: an earlier run's where the verifier takes it.
    pub async fn proof(
        &mut self,
        batch: &Batch,
        verifier: Address,
        dev: &DevChain,
    ) -> Result<Bytes, SettleError> {
        let wrapping = match self {
            Self::Mock => return Ok(keccak256(&batch.bytes.bytes).to_vec().into()),
            Self::Wrapped(wrapping) => wrapping,
        };
        match kept(batch, verifier, dev).await? {
            Some(kept) => Ok(kept),
            None => wrapping.wrap(batch),
        }
    }
}

impl Wrapping {
    fn wrap(&mut self, batch: &Batch) -> Result<Bytes, SettleError> {
        let (key, proof) = batch.proof.as_ref().ok_or(SettleError::NoProofs)?;
        let wrapper = match self.wrapper.take() {
            Some(wrapper) => wrapper,
            None => {
                let wrapper = open(&self.cache, key, &Events)?;
                if generated(&wrapper)? != self.generated {
                    let path = self.dir.join(VERIFIER_FILE);
                    return Err(unreadable(path, "of another key: remove it".into()));
                }
                wrapper
            }
        };
        let wrapped = self.wrapper.insert(wrapper);
        let wrapped = wrapped.wrap_with(&OwnProver, proof, &Events)?;
        keep(&batch.path, &wrapped)?;
        Ok(wrapped.proof.into())
    }
}

/// Over the batch circuit with this key.
pub fn open(
    config: &CacheConfig,
    key: &VerifierKey,
    progress: &impl Progress,
) -> Result<Wrapper, SettleError> {
    let cache = config.open();
    let cache = cache.map_err(|error| SettleError::Verifier(format!("{error:#}")))?;
    let size = Size {
        k: config.k as usize,
        ..Size::PRODUCTION
    };
    let common = BatchCircuit::common(Uniform::production());
    Ok(Wrapper::open(cache, key, &common, size, progress)?)
}

fn generated(wrapper: &Wrapper) -> Result<Generated, SettleError> {
    let contracts = wrapper.contracts(&Events)?;
    Ok(Generated {
        creation: contracts.verifier.creation.into(),
        is_dev: contracts.is_development,
    })
}

/// Beside the batch's file: wrapping takes minutes, so it is not done twice.
pub fn keep(batch: &Path, wrapped: &Wrapped) -> Result<(), SettleError> {
    let path = wrapped_path(batch);
    Ok(write_whole(&path, |out| {
        out.write_all(&wrapped.calldata())
    })?)
}

/// The proof that an earlier run kept, where the verifier on the chain takes it for this batch.
pub async fn kept(
    batch: &Batch,
    verifier: Address,
    dev: &DevChain,
) -> Result<Option<Bytes>, SettleError> {
    let calldata = fs::read(wrapped_path(&batch.path)).unwrap_or_default();
    let Some(proof) = calldata.get(INSTANCE_BYTES..) else {
        return Ok(None);
    };
    let proof = Bytes::copy_from_slice(proof);
    let call = WrapVerifier::verifyCall {
        proof: proof.clone(),
        instances: batch.bytes.instances()?,
    };
    let verifier = Contract::open(dev.provider().clone(), verifier, 0).await?;
    Ok(verifier.view(call).await?.then_some(proof))
}

fn unreadable(path: PathBuf, reason: String) -> SettleError {
    SettleError::Unreadable { path, reason }
}
