//! What L1 is shown for a batch: a proof wrapped for it, or, with the mock, a word that it knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::Bytes;
use anyhow::{Context, anyhow};
use plonky2::field::types::PrimeField64;
use tally_circuits::batch::{BatchCircuit, BatchFile};
use tally_circuits::uniform::{Proof, Uniform, VerifierKey, read_proof};
use tally_l1::BatchBytes;
use tally_l1::deploy::VerifierPlan;
use tally_wrap::circuit::Size;
use tally_wrap::wrapper::Wrapper;

use super::config::DevnetConfig;
use super::outward::DATA;
use crate::config::CacheConfig;
use crate::output::write_whole;
use crate::wrap::Events;

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

/// Instances in front of a proof as the generated verifier reads it.
const INSTANCE_BYTES: usize = 96;

impl Verifier {
    /// Minutes where keys are not in the cache: the contract needs the verifier from the start.
    pub fn open(
        config: &DevnetConfig,
        key: impl FnOnce() -> anyhow::Result<VerifierKey>,
    ) -> anyhow::Result<Self> {
        match config.is_mock_verifier() {
            true => Ok(Self::Mock),
            false => Ok(Self::Wrapped(Box::new(Wrapping::open(
                &config.cache,
                &key()?,
            )?))),
        }
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

    /// A batch's bytes, and its proof where it has to be wrapped.
    pub fn read(&self, path: &Path) -> anyhow::Result<(BatchBytes, Option<Proof>)> {
        let name = || path.display().to_string();
        let bytes = fs::read(path).with_context(name)?;
        if path.extension().is_some_and(|kind| kind == DATA) {
            return Ok((BatchBytes::read(bytes, [0; 4]).with_context(name)?, None));
        }
        let file = BatchFile::parse(&bytes).with_context(name)?;
        let common = BatchCircuit::common(Uniform::production());
        let proof = read_proof(&file.proof, &common).map_err(anyhow::Error::msg)?;
        // C is the first of the public inputs.
        let [c0, c1, c2, c3, ..] = proof.public_inputs[..] else {
            return Err(anyhow!("[devnet.proof] {}: no public inputs", name()));
        };
        let content = [c0, c1, c2, c3].map(|word| word.to_canonical_u64());
        let batch = BatchBytes::read(file.data, content).with_context(name)?;
        let proof = matches!(self, Self::Wrapped(_)).then_some(proof);
        Ok((batch, proof))
    }

    /// The proof for L1, kept beside the batch's file: it takes minutes and is made once.
    pub async fn wrap(self: Arc<Self>, path: PathBuf, proof: Proof) -> anyhow::Result<Bytes> {
        let done = tokio::task::spawn_blocking(move || match &*self {
            Self::Mock => Err(anyhow!("[devnet.mock] the mock takes no proofs")),
            Self::Wrapped(wrapping) => wrapping.wrap(&path, &proof),
        });
        done.await?
    }
}

impl Wrapping {
    fn open(cache: &CacheConfig, key: &VerifierKey) -> anyhow::Result<Self> {
        let size = Size {
            k: cache.k as usize,
            ..Size::PRODUCTION
        };
        let common = BatchCircuit::common(Uniform::production());
        let wrapper = Wrapper::open(cache.open()?, key, &common, size, &Events)?;
        let contracts = wrapper.contracts(&Events)?;
        Ok(Self {
            creation: contracts.verifier.creation.into(),
            is_dev: contracts.is_development,
            wrapper: Mutex::new(wrapper),
        })
    }

    fn wrap(&self, path: &Path, proof: &Proof) -> anyhow::Result<Bytes> {
        let kept = path.with_extension("wrapped");
        if let Ok(calldata) = fs::read(&kept)
            && let Some(proof) = calldata.get(INSTANCE_BYTES..)
        {
            return Ok(proof.to_vec().into());
        }
        let wrapper = self.wrapper.lock().unwrap_or_else(PoisonError::into_inner);
        let wrapped = wrapper.wrap(proof, &Events)?;
        write_whole(&kept, |out| out.write_all(&wrapped.calldata()))?;
        Ok(wrapped.proof.into())
    }
}
