//! Keys: a secret scalar k, the public key A = k·G.
//!
//! Signing takes no branch and no address from the secret or from the nonce (`field`, `scalar`,
//! `multiply::generator_times_secret`); SHA-512 does neither. What is public is not protected: the
//! message, A and R. Secrets are wiped when dropped; copies that the compiler leaves in registers
//! and on the stack are not.

use core::fmt;

use sha2::{Digest as _, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::account::PublicKey;
use crate::hash::{Digest, F};
use crate::signature::multiply::generator_times_secret;
use crate::signature::scalar::{SCALAR_BYTES, Scalar};
use crate::signature::schnorr::{Signature, challenge};

const DERIVE: &[u8] = b"tally v1 secret key";
const NONCE: &[u8] = b"tally v1 schnorr nonce";

/// A secret scalar with its public key.
#[derive(Clone)]
pub struct SecretKey {
    scalar: Scalar,
    public: PublicKey,
}

impl SecretKey {
    /// `None` for 0 and for what is not below n.
    pub fn from_bytes(bytes: &[u8; SCALAR_BYTES]) -> Option<Self> {
        Self::new(Scalar::from_bytes(bytes)?)
    }

    pub fn to_bytes(&self) -> Zeroizing<[u8; SCALAR_BYTES]> {
        Zeroizing::new(self.scalar.to_bytes())
    }

    /// From secret material of at least 128 bits of entropy, in a domain of its own for each use.
    pub fn derive(domain: &str, material: &[u8]) -> Self {
        let mut attempt = 0u8;
        // A hash that is 0 mod n is not met; the next one would be taken.
        loop {
            let mut hasher = Sha512::new();
            absorb(&mut hasher, DERIVE);
            absorb(&mut hasher, domain.as_bytes());
            absorb(&mut hasher, material);
            hasher.update([attempt]);
            if let Some(key) = Self::new(reduce(hasher)) {
                return key;
            }
            attempt = attempt.wrapping_add(1);
        }
    }

    fn new(scalar: Scalar) -> Option<Self> {
        let public = generator_times_secret(&scalar).encode();
        (!scalar.is_zero()).then_some(Self { scalar, public })
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// A signature with a nonce from secret and message, the same each time.
    pub fn sign(&self, message: Digest) -> Signature {
        self.sign_with(message, &[0; 32])
    }

    /// As `sign`, with randomness mixed into the nonce: it need not be good, and protects where an
    /// adversary can fault or measure repeated signing.
    pub fn sign_with(&self, message: Digest, randomness: &[u8; 32]) -> Signature {
        let nonce = self.nonce(message, randomness);
        let point = generator_times_secret(&nonce).encode();
        let e = challenge(&point, &self.public, message);
        let s = nonce.add(&self.scalar.mul(&e.into()));
        Signature { nonce: point, s }
    }

    fn nonce(&self, message: Digest, randomness: &[u8; 32]) -> Zeroizing<Scalar> {
        let mut hasher = Sha512::new();
        absorb(&mut hasher, NONCE);
        hasher.update(*self.to_bytes());
        let words = self.public.iter().chain(&message.elements);
        words.for_each(|word| hasher.update(word_bytes(word)));
        hasher.update(randomness);
        // 0 has probability 2^-319: R would be neutral and nobody would accept the signature.
        Zeroizing::new(reduce(hasher))
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// With its length, so that lists of parts cannot be confused.
fn absorb(hasher: &mut Sha512, part: &[u8]) {
    hasher.update((part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn reduce(hasher: Sha512) -> Scalar {
    let mut bytes = Zeroizing::new([0; 64]);
    bytes.copy_from_slice(&hasher.finalize());
    Scalar::reduce(&bytes)
}

fn word_bytes(word: &F) -> [u8; 8] {
    use plonky2::field::types::PrimeField64;
    word.to_canonical_u64().to_le_bytes()
}
