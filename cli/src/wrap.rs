//! `tally srs` and `tally bench wrap`: the way from the batch proof to L1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use plonky2::iop::witness::PartialWitness;
use plonky2::plonk::circuit_data::CircuitData;
use plonky2::plonk::config::GenericConfig;
use plonky2::plonk::proof::ProofWithPublicInputs;
use serde::Serialize;
use tally_circuits::batch::{BatchCircuit, BatchFile};
use tally_circuits::uniform::{Proof, Uniform, VerifierKey, read_proof};
use tally_circuits::{D, F};
use tally_prover::measure::{cpu_seconds, peak_memory_mb};
use tally_wrap::circuit::Size;
use tally_wrap::evm::{Anvil, Contracts, Embedded, EvmError, Report, try_on};
use tally_wrap::keys::{WrapError, Wrapped};
use tally_wrap::layers::{LayerProver, Progress};
use tally_wrap::srs::{Cache, Srs};
use tally_wrap::wrapper::{Wrapper, stand_in};

use crate::config::{BenchWrapConfig, CacheConfig, SrsImportConfig};

/// Our Plonky2 prover, for the layers of the wrap.
#[derive(Clone, Copy, Debug)]
pub struct OwnProver;

impl LayerProver for OwnProver {
    fn prove<C: GenericConfig<D, F = F> + 'static>(
        &self,
        circuit: &CircuitData<F, C, D>,
        witness: PartialWitness<F>,
    ) -> anyhow::Result<ProofWithPublicInputs<F, C, D>> {
        let proof = tally_plonk::prove(&circuit.prover_only, &circuit.common, witness);
        Ok(proof?)
    }
}

/// Events; each step takes seconds to a minute.
pub struct Events;

impl Progress for Events {
    fn step(&self, what: &str) {
        tracing::info!("{what}");
    }
}

/// What `tally srs` made.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    pub file: PathBuf,
    pub k: u32,
    pub digest: String,
    /// Whether anybody may know the secret.
    pub development: bool,
}

impl Setup {
    fn new((srs, file): (Srs, PathBuf), k: u32) -> Self {
        Self {
            file,
            k,
            digest: hex::encode(srs.digest),
            development: srs.is_development,
        }
    }
}

pub fn import(config: &SrsImportConfig) -> anyhow::Result<Setup> {
    let cache = config.cache.open()?;
    let k = config.cache.k;
    let imported = cache.import(&config.file, k, &Events);
    let made = imported.map_err(|error| anyhow::anyhow!("[{}] {error}", error.code()))?;
    Ok(Setup::new(made, k))
}

/// Insecure, and marked so.
pub fn development(config: &CacheConfig) -> anyhow::Result<Setup> {
    tracing::warn!("this setup's secret is public: nothing made from it proves anything");
    let made = config.open()?.make_development(config.k)?;
    Ok(Setup::new(made, config.k))
}

/// `tally bench wrap`.
#[derive(Clone, Debug, Serialize)]
pub struct WrapCost {
    /// From the batch proof to the calldata, circuits and keys at hand.
    pub seconds: f64,
    /// CPU time of the same, all threads together.
    pub cpu_seconds: Option<f64>,
    /// Building the three layers' circuits, which a prover does once.
    pub build_seconds: f64,
    pub peak_memory_mb: u64,
    /// Of a transaction that calls the generated verifier; none if it was never compiled and solc
    /// is not here.
    pub gas: Option<u64>,
    /// Where that was measured: anvil, or revm where Node.js is missing.
    pub evm: Option<&'static str>,
    pub k: usize,
    /// The generated verifier's code.
    pub code_bytes: Option<usize>,
    pub proof_bytes: usize,
    /// Rows of the three layers, as powers of two.
    pub layers: [usize; 3],
    /// Cells of halo2-base, checks of four limbs, permutations.
    pub counts: [usize; 3],
    /// Whether a stand-in with the batch circuit's shape was wrapped, not a batch.
    pub stand_in: bool,
    pub development: bool,
}

/// The keys are read, or made where they are not cached, before the clock runs.
pub fn bench(config: &BenchWrapConfig) -> anyhow::Result<WrapCost> {
    let cache = config.cache.open()?;
    let uniform = Uniform::production();
    let common = BatchCircuit::common(uniform);
    let (key, proof): (VerifierKey, Proof) = match &config.proof {
        Some(path) => batch(path, &common)?,
        None => {
            let (circuit, proof) = stand_in(&common)?;
            (circuit.verifier_only, proof)
        }
    };
    let started = Instant::now();
    let size = Size {
        k: config.cache.k as usize,
        ..Size::PRODUCTION
    };
    let wrapper = Wrapper::open(cache, &key, &common, size, &Events)?;
    let build_seconds = started.elapsed().as_secs_f64();
    wrapper.keys(&Events)?;
    let (started, before) = (Instant::now(), cpu_seconds());
    let wrapped = wrapper.wrap_with(&OwnProver, &proof, &Events)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds().zip(before).map(|(now, before)| now - before);
    let peak_memory_mb = peak_memory_mb().unwrap_or_default();
    let contracts = match wrapper.contracts(&Events) {
        Err(WrapError::Contracts(EvmError::NoCompiler)) => {
            tracing::warn!("no gas figure: {}", EvmError::NoCompiler);
            None
        }
        contracts => Some(contracts?),
    };
    let report = contracts
        .as_ref()
        .map(|contracts| tried(contracts, &wrapped));
    let report = report.transpose()?;
    Ok(WrapCost {
        seconds,
        cpu_seconds,
        build_seconds,
        peak_memory_mb,
        gas: report.as_ref().map(|report| report.verifier_gas),
        evm: report.map(|report| report.host),
        k: wrapper.size().k,
        code_bytes: contracts.map(|contracts| contracts.verifier.runtime.len()),
        proof_bytes: wrapped.proof.len(),
        layers: wrapper.layers().degree_bits(),
        counts: wrapper.keys(&Events)?.counts(),
        stand_in: config.proof.is_none(),
        development: wrapper.srs().is_development,
    })
}

/// What the contracts cost, unless they answered wrongly.
fn tried(contracts: &Contracts, wrapped: &Wrapped) -> anyhow::Result<Report> {
    let report = match Anvil::start() {
        Ok(mut anvil) => try_on(&mut anvil, contracts, wrapped),
        Err(EvmError::NoAnvil) => try_on(&mut Embedded::default(), contracts, wrapped),
        Err(error) => Err(error),
    }?;
    ensure!(report.accepted, "the contracts refuse the proof");
    let wrong = &report.wrongly_accepted;
    ensure!(wrong.is_empty(), "the adapter takes {}", wrong.join(", "));
    Ok(report)
}

/// A batch's key and proof, from its file. The layers verify the proof.
fn batch(
    path: &Path,
    common: &plonky2::plonk::circuit_data::CommonCircuitData<tally_circuits::F, 2>,
) -> anyhow::Result<(VerifierKey, Proof)> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = BatchFile::parse(&bytes)?;
    let proof = read_proof(&file.proof, common).map_err(anyhow::Error::msg)?;
    Ok((file.key, proof))
}

impl CacheConfig {
    pub fn open(&self) -> anyhow::Result<Cache> {
        let dir = match &self.cache {
            Some(dir) => dir.clone(),
            None => std::env::home_dir()
                .context("no home directory: name a cache with --cache")?
                .join(".cache/tally"),
        };
        Ok(Cache::open(&dir)?)
    }
}
