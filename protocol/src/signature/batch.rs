//! Many signatures at once \[S5\]: with factors zᵢ of 128 bits that no signer can foresee,
//!
//!     (Σ zᵢ·sᵢ)·G = Σ zᵢ·Rᵢ + Σ zᵢ·cᵢ·Aᵢ
//!
//! holds for a list with a forged signature at one list of factors in 2^128 at most: the group's
//! order is prime and above that, so what single verification refuses no sum of others can cancel.
//! The factors are a hash of all that is verified, which keeps this crate free of randomness; who
//! searches for a list that passes needs 2^128 hashes. One sum of many products (Pippenger's) takes
//! the place of one product a signature; signatures of one key share its term.

use std::collections::BTreeMap;

use plonky2::field::types::PrimeField64;
use sha2::{Digest as _, Sha512};
use thiserror::Error;

use crate::message::SignatureRequest;
use crate::signature::curve::{Affine, Point};
use crate::signature::field::Fp5;
use crate::signature::multiply::{generator_times, sum_of_multiples};
use crate::signature::scalar::Scalar;
use crate::signature::schnorr::{
    Signature, SignatureError, challenge, check_nonce, decode_key, verify,
};

const DOMAIN: &[u8] = b"tally v1 schnorr batch";
/// Below so many, one by one is as fast.
const FEW: usize = 24;

/// A request with what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    pub request: SignatureRequest,
    pub signature: Signature,
}

impl SignedRequest {
    pub fn verify(&self) -> Result<(), SignatureError> {
        verify(&self.request.key, self.request.digest, &self.signature)
    }
}

/// The first signature of a list that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("signature {index}: {error}")]
pub struct BatchError {
    pub index: usize,
    pub error: SignatureError,
}

impl BatchError {
    pub fn code(&self) -> &'static str {
        self.error.code()
    }
}

/// Verifies all, or names the first that fails.
pub fn verify_batch(signed: &[SignedRequest]) -> Result<(), BatchError> {
    if signed.len() >= FEW && holds_together(signed).is_ok_and(|holds| holds) {
        return Ok(());
    }
    for (index, signed) in signed.iter().enumerate() {
        signed
            .verify()
            .map_err(|error| BatchError { index, error })?;
    }
    Ok(())
}

fn holds_together(signed: &[SignedRequest]) -> Result<bool, SignatureError> {
    let seed = seed(signed);
    let mut terms: Vec<(Affine, Scalar)> = Vec::with_capacity(signed.len().saturating_mul(2));
    let mut by_key: BTreeMap<[u64; 5], (&SignedRequest, Scalar)> = BTreeMap::new();
    let mut of_generator = Scalar::ZERO;
    for (signed, z) in signed.iter().zip(factors(&seed)) {
        let SignedRequest { request, signature } = signed;
        check_nonce(signature)?;
        let nonce = Affine::decode(&Fp5::from(signature.nonce)).ok_or(SignatureError::Forged)?;
        terms.push((nonce, z));
        let e = challenge(&signature.nonce, &request.key, request.digest);
        let term = z.mul(&e.into());
        let key = request.key.map(|element| element.to_canonical_u64());
        let (_, sum) = by_key.entry(key).or_insert((signed, Scalar::ZERO));
        *sum = sum.add(&term);
        of_generator = of_generator.add(&z.mul(&signature.s));
    }
    for (signed, sum) in by_key.into_values() {
        terms.push((decode_key(&signed.request.key)?, sum));
    }
    let right: Point = sum_of_multiples(&terms);
    Ok(generator_times(&of_generator) == right)
}

fn seed(signed: &[SignedRequest]) -> [u8; 64] {
    let mut hasher = Sha512::new();
    hasher.update(DOMAIN);
    hasher.update((signed.len() as u64).to_le_bytes());
    for SignedRequest { request, signature } in signed {
        for word in request.key.iter().chain(&request.digest.elements) {
            hasher.update(word.to_canonical_u64().to_le_bytes());
        }
        hasher.update(signature.to_bytes());
    }
    hasher.finalize().into()
}

/// Four factors a hash.
fn factors(seed: &[u8; 64]) -> impl Iterator<Item = Scalar> {
    (0u64..).flat_map(move |block| {
        let hash: [u8; 64] = Sha512::new()
            .chain_update(seed)
            .chain_update(block.to_le_bytes())
            .finalize()
            .into();
        let (chunks, _) = hash.as_chunks::<16>();
        let numbers: Vec<Scalar> = chunks
            .iter()
            .map(|bytes| Scalar::from(u128::from_le_bytes(*bytes)))
            .collect();
        numbers
    })
}
