//! FRI's prover: the batched opening's polynomial, its folded layers, grinding and queries.

use plonky2::field::polynomial::PolynomialCoeffs;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::fri::FriParams;
use plonky2::fri::proof::{FriInitialTreeProof, FriProof, FriQueryRound, FriQueryStep};
use plonky2::plonk::config::Hasher;
use rayon::prelude::*;
use tally_kernels::simd::Kernel;

use crate::commit::Oracle;
use crate::fft::{Extension, Roots, reordered};
use crate::hashing::Hashing;
use crate::transcript::Transcript;
use crate::tree::{Domain, Tree, reverse};
use crate::{D, Ext, F, ext};

/// What proving needs to know and have.
pub(crate) struct Fri<'a, T> {
    pub kernel: Kernel,
    pub hashing: T,
    pub roots: &'a Roots,
    pub params: &'a FriParams,
}

/// (p − p(point)) / (X − point), padded with a zero to p's length.
pub(crate) fn divide(coefficients: &[Ext], point: Ext) -> Vec<Ext> {
    let mut quotient = vec![Ext::ZERO; coefficients.len()];
    let mut carry = Ext::ZERO;
    for (i, coefficient) in coefficients.iter().enumerate().skip(1).rev() {
        carry = carry * point + *coefficient;
        quotient[i - 1] = carry;
    }
    quotient
}

/// A committed layer: the values of its polynomial, `1 << arity_bits` to a leaf.
struct Layer<H: Hasher<F>> {
    domain: Domain,
    arity_bits: usize,
    /// Both coordinates, by place.
    values: [Vec<F>; D],
    tree: Tree<H>,
}

impl<T> Fri<'_, T> {
    /// Proves that a polynomial, which the oracles' openings determine, is of low degree.
    pub(crate) fn prove<H: Hasher<F>>(
        &self,
        mut coefficients: Vec<Ext>,
        oracles: &[&dyn Oracle<H>],
        transcript: &mut Transcript<H>,
    ) -> Option<FriProof<F, H, D>>
    where
        T: Hashing<H>,
    {
        let config = &self.params.config;
        let mut shift = F::coset_shift();
        let mut layers = Vec::new();
        for &arity_bits in &self.params.reduction_arity_bits {
            let layer = self.layer(&coefficients, arity_bits, shift);
            transcript.observe_cap(&layer.tree.cap());
            layers.push(layer);
            let beta = transcript.extension_challenge();
            coefficients = fold(&coefficients, arity_bits, beta);
            shift = shift.exp_power_of_2(arity_bits);
        }
        transcript.observe_extension(&coefficients);
        let pow_witness = transcript.grind(self.hashing, config.proof_of_work_bits)?;
        let queries = transcript.challenges(config.num_query_rounds);
        let points = self.params.lde_size() as u64;
        let queries = queries.into_par_iter().map(|query| {
            let leaf = query.to_canonical_u64() % points;
            answer(leaf as usize, oracles, &layers)
        });
        Some(FriProof {
            query_round_proofs: queries.collect(),
            commit_phase_merkle_caps: layers.iter().map(|layer| layer.tree.cap()).collect(),
            final_poly: PolynomialCoeffs::new(coefficients),
            pow_witness,
        })
    }

    fn layer<H: Hasher<F>>(&self, coefficients: &[Ext], arity_bits: usize, shift: F) -> Layer<H>
    where
        T: Hashing<H>,
    {
        let domain = Domain {
            block_bits: coefficients.len().trailing_zeros() as usize,
            rate_bits: self.params.config.rate_bits,
        };
        let extension = Extension::new(self.kernel, domain, shift);
        let coefficients = reordered(coefficients);
        let values = [0, 1].map(|half: usize| {
            let coefficients: Vec<F> = coefficients.iter().map(|c| c.0[half]).collect();
            let mut values = vec![F::ZERO; domain.points()];
            extension.extend(self.kernel, self.roots, &coefficients, &mut values);
            values
        });
        let leaves = Domain {
            block_bits: domain.block_bits - arity_bits,
            ..domain
        };
        let tree = Tree::new(
            self.hashing,
            leaves,
            self.params.config.cap_height,
            |place, length| {
                let starts = places(domain, arity_bits, place);
                let columns =
                    starts.flat_map(|start| values.each_ref().map(|v| &v[start..][..length]));
                columns.collect()
            },
        );
        Layer {
            domain,
            arity_bits,
            values,
            tree,
        }
    }
}

/// Places of the values that make the leaf at a place, in the leaf's order.
fn places(domain: Domain, arity_bits: usize, leaf: usize) -> impl Iterator<Item = usize> {
    let bits = domain.block_bits - arity_bits;
    let (block, offset) = (leaf >> bits, leaf & ((1 << bits) - 1));
    let start = (block << domain.block_bits) + offset;
    (0..1 << arity_bits).map(move |i| start + (reverse(i, arity_bits) << bits))
}

/// Σ βⁱ·Pᵢ for P = Σ xⁱ·Pᵢ(x^arity).
fn fold(coefficients: &[Ext], arity_bits: usize, beta: Ext) -> Vec<Ext> {
    let chunks = coefficients.par_chunks_exact(1 << arity_bits);
    let reduce = |chunk: &[Ext]| chunk.iter().rfold(Ext::ZERO, |sum, c| sum * beta + *c);
    chunks.map(reduce).collect()
}

fn answer<H: Hasher<F>>(
    leaf: usize,
    oracles: &[&dyn Oracle<H>],
    layers: &[Layer<H>],
) -> FriQueryRound<F, H, D> {
    let evals_proofs = oracles.iter().map(|oracle| oracle.open(leaf)).collect();
    let mut leaf = leaf;
    let mut steps = Vec::with_capacity(layers.len());
    for layer in layers {
        leaf >>= layer.arity_bits;
        let leaves = Domain {
            block_bits: layer.domain.block_bits - layer.arity_bits,
            ..layer.domain
        };
        let place = leaves.place(leaves.point(leaf));
        let value = |place: usize| ext([layer.values[0][place], layer.values[1][place]]);
        steps.push(FriQueryStep {
            evals: places(layer.domain, layer.arity_bits, place)
                .map(value)
                .collect(),
            merkle_proof: layer.tree.prove(leaf),
        });
    }
    FriQueryRound {
        initial_trees_proof: FriInitialTreeProof { evals_proofs },
        steps,
    }
}
