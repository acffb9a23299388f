//! The Goldilocks field and Plonky2's Poseidon in vectors.
//!
//! `simd` has one implementation for each instruction set, chosen when the process starts;
//! `poseidon` is the permutation over them, and `many` hashes many messages at once with it: leaves
//! and nodes of trees, lists, nonces. Results are those of Plonky2's scalar code, whatever the
//! kernel.
#![deny(unsafe_code)]

pub mod many;
pub mod poseidon;
pub mod raw;
pub mod simd;

pub use simd::{KERNEL_VARIABLE, Kernel, UnknownKernel};

use plonky2::field::goldilocks_field::GoldilocksField;
use plonky2::hash::hash_types::HashOut;

/// An element of the field p = 2^64 − 2^32 + 1.
pub type F = GoldilocksField;
/// Four elements.
pub type Digest = HashOut<F>;
