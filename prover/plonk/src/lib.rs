//! Plonky2 1.1's prover with vector kernels: the same proofs, bit for bit, for less CPU.
//!
//! `prove` and `prove_witness` take what their namesakes in `plonky2::plonk::prover` take and give
//! the same proof. Stock takes *any* nonce that satisfies the proof of work, whichever thread finds
//! one; here it is the least, as stock's on one thread. Lookups and zero-knowledge blinding are
//! refused with an error. docs/prover.md says where the time goes.
//!
//! Kernels (`tally-kernels`) are chosen when the process starts; everything here is ordinary code
//! over slices: `build`, `generate`, `fft`, `tree`, `commit` (the seam for an accelerator),
//! `permutation`, `quotient`, `fri`, `prove`.
#![deny(unsafe_code)]

mod build;
mod commit;
mod fft;
mod fri;
mod gate_poseidon;
mod generate;
mod hashing;
mod permutation;
mod pool;
mod prove;
mod quotient;
mod transcript;
mod tree;

pub use build::build;
pub use hashing::{Hashing, OneByOne, SideBySide};
pub use pool::free_buffers;
pub use prove::{Error, Phase, Prover, prove, prove_witness};
pub use quotient::Evaluator;
pub use tally_kernels::{KERNEL_VARIABLE, Kernel, UnknownKernel};

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::goldilocks_field::GoldilocksField;

/// The field of every circuit.
pub type F = GoldilocksField;
/// Degree of the extension that challenges come from.
pub const D: usize = 2;
/// The extension.
pub(crate) type Ext = QuadraticExtension<F>;

/// An element of the extension from its coordinates.
pub(crate) fn ext(coordinates: [F; D]) -> Ext {
    QuadraticExtension(coordinates)
}
