//! From the batch proof to L1: a last Plonky2 layer hashing over BN254, a halo2 circuit that
//! verifies it whole, and the EVM verifier.

pub mod algebra;
pub mod chip;
pub mod circuit;
pub mod evm;
pub mod fri;
pub mod gates;
pub mod hash;
pub mod keys;
pub mod layers;
pub mod permutation;
pub mod plonk;
pub mod poseidon;
pub mod sample;
pub mod side;
pub mod srs;
#[cfg(test)]
mod testing;
pub mod transcript;
mod tree;
pub mod verifier;
pub mod wrapper;
