//! Schnorr signatures \[S5\]: s·G = R + c·A with c = 2^128 + 2e + 1.
//!
//! c is what a circuit's ladder of 128 steps ±A from 2A arrives at, without an exceptional case for
//! any e (docs/decisions.md, D27); it is one for one with e, so it challenges as well.
//!
//! e = 128 bits of H(Tag::Signature, R ‖ A ‖ message digest), each point as the five elements of
//! its encoding: e = d₀ + 2^64·d₁, with d₀ and d₁ the *canonical* residues of the digest's first
//! two elements. So e is a function of (R, A, digest) alone: a verifier that reads its bits from a
//! decomposition has to show that each half is below p. s is below n here; in a circuit any s will
//! do, since s + n says the same.
//!
//! Without the neutral point as A: its signatures would bind no one. Without it as R: nobody's
//! nonce is 0. The group has prime order, so there is no cofactor and single and batch verification
//! agree.

use plonky2::field::types::PrimeField64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::PublicKey;
use crate::hash::{Digest, F, Tag, hash, unsigned};
use crate::signature::curve::{Affine, Point};
use crate::signature::field::Fp5;
use crate::signature::multiply::{generator_times, times};
use crate::signature::scalar::{SCALAR_BYTES, Scalar};

/// Bytes of a signature: five elements and a scalar, lowest byte first.
pub const SIGNATURE_BYTES: usize = 40 + SCALAR_BYTES;
/// Bits of the challenge.
pub const CHALLENGE_BITS: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Signature {
    /// R's encoding.
    pub nonce: [F; 5],
    pub s: Scalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    #[error("[S5] a signature has {SIGNATURE_BYTES} bytes, not {0}")]
    Length(usize),
    #[error("[S5] element {0} of a signature's nonce is not below p")]
    Encoding(usize),
    #[error("[S5] a signature's scalar is not below the group's order")]
    Scalar,
    #[error("[S5] the public key encodes no point of the group")]
    Key,
    #[error("[S5] the public key is the neutral point")]
    NeutralKey,
    #[error("[S5] the signature's nonce is the neutral point")]
    NeutralNonce,
    #[error("[S5] the signature is not one of this key for this message")]
    Forged,
}

impl SignatureError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length(_) => "S5.length",
            Self::Encoding(_) => "S5.encoding",
            Self::Scalar => "S5.scalar",
            Self::Key => "S5.key",
            Self::NeutralKey => "S5.neutral_key",
            Self::NeutralNonce => "S5.neutral_nonce",
            Self::Forged => "S5.signature",
        }
    }
}

impl Signature {
    pub fn to_bytes(&self) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        let (nonce, s) = bytes.split_at_mut(40);
        for (to, element) in nonce.chunks_exact_mut(8).zip(self.nonce) {
            to.copy_from_slice(&element.to_canonical_u64().to_le_bytes());
        }
        s.copy_from_slice(&self.s.to_bytes());
        bytes
    }

    /// Of all encodings, the one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let length = || SignatureError::Length(bytes.len());
        let bytes: &[u8; SIGNATURE_BYTES] = bytes.try_into().map_err(|_| length())?;
        let (nonce, s) = bytes.split_at(40);
        let nonce = elements(nonce).map_err(SignatureError::Encoding)?;
        let s = s.try_into().map_err(|_| length())?;
        let s = Scalar::from_bytes(s).ok_or(SignatureError::Scalar)?;
        Ok(Self { nonce, s })
    }
}

impl From<Signature> for Vec<u8> {
    fn from(signature: Signature) -> Self {
        signature.to_bytes().to_vec()
    }
}

impl TryFrom<Vec<u8>> for Signature {
    type Error = SignatureError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        Self::from_bytes(&bytes)
    }
}

/// e of the module's doc; as a scalar it is c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge(pub u128);

impl From<Challenge> for Scalar {
    /// 2^128 + 2e + 1, below 2^130.
    fn from(challenge: Challenge) -> Self {
        let e = challenge.0;
        let top = Self::from(1 << 127);
        let half = top.add(&Self::from(e));
        half.add(&half).add(&Self::from(1))
    }
}

/// The challenge of a signature.
pub fn challenge(nonce: &[F; 5], key: &PublicKey, message: Digest) -> Challenge {
    let mut words = [F::default(); 14];
    let parts = nonce.iter().chain(key).chain(&message.elements);
    for (word, part) in words.iter_mut().zip(parts) {
        *word = *part;
    }
    let [d0, d1, ..] = hash(Tag::Signature, &words).elements;
    let [low, high] = [d0, d1].map(|element| u128::from(element.to_canonical_u64()));
    Challenge((high << 64) | low)
}

/// Whether the key's holder signed the message.
pub fn verify(
    key: &PublicKey,
    message: Digest,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let point = decode_key(key)?;
    check_nonce(signature)?;
    let e = challenge(&signature.nonce, key, message);
    // R = s·G + c·(−A)
    let nonce = generator_times(&signature.s).add(&times(&point.neg(), &e.into()));
    match nonce.is_encoded_by(&signature.nonce) {
        true => Ok(()),
        false => Err(SignatureError::Forged),
    }
}

/// The key as a point that can sign.
pub fn decode_key(key: &PublicKey) -> Result<Affine, SignatureError> {
    let point = Point::decode(key).ok_or(SignatureError::Key)?;
    match point.u.is_zero() {
        true => Err(SignatureError::NeutralKey),
        false => Ok(point),
    }
}

pub(super) fn check_nonce(signature: &Signature) -> Result<(), SignatureError> {
    match Fp5::from(signature.nonce).is_zero() {
        true => Err(SignatureError::NeutralNonce),
        false => Ok(()),
    }
}

/// Five elements of 8 bytes, lowest first; the error is the place of one that is not below p.
pub fn elements(bytes: &[u8]) -> Result<[F; 5], usize> {
    let mut numbers = [0u64; 5];
    for (to, bytes) in numbers.iter_mut().zip(bytes.chunks(8)) {
        let number = |acc: u64, byte: &u8| (acc << 8) | u64::from(*byte);
        *to = bytes.iter().rev().fold(0, number);
    }
    match Fp5::new(numbers) {
        Some(value) => Ok(value.coefficients().map(unsigned)),
        None => Err(numbers
            .iter()
            .position(|c| Fp5::new([*c; 5]).is_none())
            .unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_a_challenge_stands_for_2_to_128_plus_2e_plus_1() {
        for (e, limbs) in [
            (0, [1, 0, 1, 0, 0]),
            (1, [3, 0, 1, 0, 0]),
            (1 << 63, [1, 1, 1, 0, 0]),
            (u128::MAX, [u64::MAX, u64::MAX, 2, 0, 0]),
        ] {
            assert_eq!(Scalar::from(Challenge(e)).limbs(), limbs);
        }
    }
}
