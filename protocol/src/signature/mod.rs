//! Signatures \[S5\]: Schnorr over ecGFp5, whose field is Goldilocks' extension of degree five, so
//! that circuits verify them in their own arithmetic.

pub mod batch;
pub mod curve;
pub mod field;
pub mod key;
mod multiply;
pub mod scalar;
pub mod schnorr;
#[cfg(test)]
mod tests;

pub use batch::{BatchError, SignedRequest, verify_batch};
pub use curve::{Affine, Point};
pub use field::Fp5;
pub use key::SecretKey;
pub use scalar::Scalar;
pub use schnorr::{Challenge, SIGNATURE_BYTES, Signature, SignatureError, challenge, verify};
