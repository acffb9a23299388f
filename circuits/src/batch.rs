//! The batch circuit: one proof of consecutive epochs, with eight words of public inputs \[P6\].
//!
//! *Statement.* There is a valid span of epochs, joined by the real batch join; d = statement words
//! ‖ data of its epochs; C binds the statement words, the length of d and every epoch's data; y = Σ
//! dᵢ zⁱ. The public inputs are C (4), z (2) and y (2).
//! *Use.* Whoever has the bytes of d takes z from `point`, which depends on C and the bytes, and
//! evaluates them. C is fixed before z on the prover's side, the bytes are on the reader's, so
//! equal y means equal lists but for (elements of d) / 2^128.
//! *Why halves.* A digest's element has 64 bits and an element of d 7 bytes, so it is written as
//! two 32-bit halves of its canonical residue; x + p is refused \[word aliasing\].

mod file;
mod statement;
mod target;
#[cfg(test)]
mod tests;

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::witness::PartialWitness;
use plonky2::plonk::circuit_data::CommonCircuitData;
use tally_protocol::hash::{Digest, EMPTY};

pub use file::{BatchFile, FileError, Verifier, VerifyError, verify_chain};
pub use statement::{content, point};

use crate::join::{Child, ChildError, ChildTarget};
use crate::uniform::{Circuit, Uniform, VerifierKey, key_digest};
use crate::{Builder, Config, D, F};
use target::constrain;

/// Public inputs of a batch: C, z, y.
pub const BATCH_ELEMENTS: usize = 8;

/// The batch circuit, built. It is not uniform: nothing of ours verifies it but the last layers.
#[allow(missing_debug_implementations)]
pub struct BatchCircuit {
    pub circuit: Circuit,
    span: ChildTarget,
    allowed: [Digest; 2],
}

impl BatchCircuit {
    /// Over the epoch circuit and the batch join with these key digests; a batch of one epoch needs
    /// no join.
    pub fn build(uniform: &Uniform, epoch: Digest, join: Digest) -> Self {
        let allowed = [epoch, join];
        let (builder, span) = Self::constrain(uniform, allowed);
        Self {
            circuit: uniform.make(builder),
            span,
            allowed,
        }
    }

    /// The common data, which no digest changes, without the work of building.
    pub fn common(uniform: &Uniform) -> CommonCircuitData<F, D> {
        let (builder, _) = Self::constrain(uniform, [EMPTY; 2]);
        builder.into_inner().mock_build::<Config>().common
    }

    fn constrain(uniform: &Uniform, allowed: [Digest; 2]) -> (Builder, ChildTarget) {
        let mut builder = Builder::new();
        let keys: [HashOutTarget; 2] = allowed.map(|digest| builder.constant_hash(digest));
        let span = ChildTarget::verify(&mut builder, uniform, &keys);
        let public_inputs = constrain(&mut builder, &span.statement(), keys[1]);
        builder.register_public_inputs(&public_inputs);
        (builder, span)
    }

    pub fn digest(&self) -> Digest {
        key_digest(&self.circuit.verifier_only)
    }

    pub fn key(&self) -> &VerifierKey {
        &self.circuit.verifier_only
    }

    /// The witness for the span's proof.
    pub fn assign(&self, span: Child) -> Result<PartialWitness<F>, ChildError> {
        let mut witness = PartialWitness::new();
        self.span.assign(&mut witness, &self.allowed, 0, span)?;
        Ok(witness)
    }
}
