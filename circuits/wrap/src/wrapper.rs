//! The whole way: batch proof, three layers, halo2 proof.

use std::sync::OnceLock;

use hashbrown::HashMap;
use plonky2::field::types::Field;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::recursion::dummy_circuit::{dummy_circuit, dummy_proof};
use tally_circuits::uniform::{Circuit, Proof, VerifierKey};
use tally_circuits::{D, F};

use crate::circuit::Size;
use crate::evm::Contracts;
use crate::keys::{Keys, WrapError, Wrapped};
use crate::layers::{LayerProver, Layers, Progress, Shape, Stock};
use crate::srs::{Cache, Srs};

/// Wraps proofs of one batch circuit.
#[allow(missing_debug_implementations)]
pub struct Wrapper {
    cache: Cache,
    srs: Srs,
    size: Size,
    layers: Layers,
    keys: OnceLock<Keys>,
}

impl Wrapper {
    /// Over the batch circuit with this key; the setup comes from the cache.
    pub fn open(
        cache: Cache,
        key: &VerifierKey,
        common: &CommonCircuitData<F, D>,
        size: Size,
        progress: &impl Progress,
    ) -> Result<Self, WrapError> {
        progress.step("reading the setup");
        let srs = cache.setup(size.k as u32, progress)?;
        let layers = Layers::build(key, common, &Shape::PRODUCTION, progress);
        Ok(Self {
            cache,
            srs,
            size,
            layers,
            keys: OnceLock::new(),
        })
    }

    /// Proves the batch proof's statement anew, in the form that L1 takes.
    pub fn wrap(&self, batch: &Proof, progress: &impl Progress) -> Result<Wrapped, WrapError> {
        self.wrap_with(&Stock, batch, progress)
    }

    /// The same, with another prover of the Plonky2 layers.
    pub fn wrap_with(
        &self,
        prover: &impl LayerProver,
        batch: &Proof,
        progress: &impl Progress,
    ) -> Result<Wrapped, WrapError> {
        let proof = self.layers.prove(prover, batch, progress)?;
        let keys = self.keys(progress)?;
        progress.step("proving in halo2");
        keys.prove(&self.srs, self.layers.last(), &proof)
    }

    /// The halo2 keys, from the cache or made: no proof is needed for them.
    pub fn keys(&self, progress: &impl Progress) -> Result<&Keys, WrapError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let (cache, last) = (&self.cache, self.layers.last());
        let keys = Keys::load_or_make(cache, &self.srs, self.size, last, progress)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The generated verifier and its adapter. Compiled once for each key, which needs solc.
    pub fn contracts(&self, progress: &impl Progress) -> Result<Contracts, WrapError> {
        let key = self.keys(progress)?.verifying();
        let contracts = Contracts::load_or_compile(&self.cache, &self.srs, key, progress);
        Ok(contracts?)
    }

    pub fn srs(&self) -> &Srs {
        &self.srs
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn layers(&self) -> &Layers {
        &self.layers
    }
}

/// A circuit with the same common data that proves nothing, and a proof of it: what wrapping costs
/// does not depend on what was proven.
pub fn stand_in(common: &CommonCircuitData<F, D>) -> anyhow::Result<(Circuit, Proof)> {
    let circuit: Circuit = dummy_circuit(common);
    let inputs: HashMap<usize, F> = (0..common.num_public_inputs)
        .map(|i| (i, F::from_canonical_usize(i + 1)))
        .collect();
    let proof = dummy_proof(&circuit, inputs)?;
    Ok((circuit, proof))
}
