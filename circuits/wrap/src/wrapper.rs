//! The whole way: batch proof, three layers, halo2 proof.

use std::sync::OnceLock;

use hashbrown::HashMap;
use plonky2::field::types::Field;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::recursion::dummy_circuit::{dummy_circuit, dummy_proof};
use tally_circuits::uniform::{Circuit, Proof, VerifierKey};
use tally_circuits::{D, F};

use crate::circuit::Size;
use crate::evm::{Compiler, Contracts, EvmError};
use crate::keys::{Keys, WrapError, Wrapped};
use crate::layers::{Layers, Progress, Shape};
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

    pub fn wrap(&self, batch: &Proof, progress: &impl Progress) -> Result<Wrapped, WrapError> {
        let proof = self.layers.prove(batch, progress)?;
        let last = self.layers.last();
        let keys = match self.keys.get() {
            Some(keys) => keys,
            None => {
                let (cache, srs, size) = (&self.cache, &self.srs, self.size);
                let made = Keys::load_or_make(cache, srs, size, last, &proof, progress)?;
                self.keys.get_or_init(|| made)
            }
        };
        progress.step("proving in halo2");
        keys.prove(&self.srs, last, &proof)
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

    /// Known once something was wrapped.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.get()
    }

    /// The contracts of this key; none before something was wrapped.
    pub fn contracts(&self, compiler: &Compiler) -> Result<Option<Contracts>, EvmError> {
        let contracts = |keys: &Keys| compiler.contracts(&self.srs, keys.verifying());
        self.keys.get().map(contracts).transpose()
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
