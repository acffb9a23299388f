//! The Fiat-Shamir transcript, as Plonky2's `Challenger`, whose state is hidden: grinding needs it.

use plonky2::field::types::Field;
use plonky2::fri::FriParams;
use plonky2::hash::hashing::PlonkyPermutation;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::config::{GenericHashOut, Hasher};

use crate::hashing::Hashing;
use crate::{Ext, F, ext};

/// A duplex sponge in overwrite mode.
pub(crate) struct Transcript<H: Hasher<F>> {
    state: H::Permutation,
    /// Observed, not yet taken in; less than a rate of them.
    inputs: Vec<F>,
    /// Squeezed, not yet given out; the last is the next.
    outputs: Vec<F>,
}

impl<H: Hasher<F>> Transcript<H> {
    pub(crate) fn new() -> Self {
        Self {
            state: H::Permutation::new(std::iter::repeat(F::ZERO)),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    pub(crate) fn observe(&mut self, elements: &[F]) {
        for element in elements {
            self.outputs.clear();
            self.inputs.push(*element);
            if self.inputs.len() == H::Permutation::RATE {
                self.duplex();
            }
        }
    }

    pub(crate) fn observe_extension(&mut self, elements: &[Ext]) {
        for element in elements {
            self.observe(&element.0);
        }
    }

    pub(crate) fn observe_hash<G: Hasher<F>>(&mut self, hash: G::Hash) {
        self.observe(&hash.to_vec());
    }

    pub(crate) fn observe_cap(&mut self, cap: &MerkleCap<F, H>) {
        for hash in &cap.0 {
            self.observe_hash::<H>(*hash);
        }
    }

    pub(crate) fn observe_params(&mut self, params: &FriParams) {
        let size = |size: usize| F::from_canonical_usize(size);
        let config = &params.config;
        self.observe(&[size(config.rate_bits), size(config.cap_height)]);
        self.observe(&[F::from_canonical_u32(config.proof_of_work_bits)]);
        self.observe(&config.reduction_strategy.serialize());
        self.observe(&[size(config.num_query_rounds)]);
        self.observe(&[F::from_bool(params.hiding), size(params.degree_bits)]);
        for bits in &params.reduction_arity_bits {
            self.observe(&[size(*bits)]);
        }
    }

    pub(crate) fn challenge(&mut self) -> F {
        loop {
            if self.inputs.is_empty()
                && let Some(challenge) = self.outputs.pop()
            {
                return challenge;
            }
            self.duplex();
        }
    }

    pub(crate) fn challenges(&mut self, count: usize) -> Vec<F> {
        (0..count).map(|_| self.challenge()).collect()
    }

    pub(crate) fn extension_challenge(&mut self) -> Ext {
        let first = self.challenge();
        ext([first, self.challenge()])
    }

    /// Finds the least proof of work, observes it and takes the response off the transcript.
    pub(crate) fn grind(&mut self, hashing: impl Hashing<H>, bits: u32) -> Option<F> {
        let mut state = self.state;
        state.set_from_slice(&self.inputs, 0);
        let nonce = hashing.nonce(state, self.inputs.len(), bits)?;
        self.observe(&[nonce]);
        self.challenge();
        Some(nonce)
    }

    fn duplex(&mut self) {
        self.state.set_from_slice(&self.inputs, 0);
        self.inputs.clear();
        self.state.permute();
        self.outputs = self.state.squeeze().to_vec();
    }
}
