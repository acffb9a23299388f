//! Building a circuit, its constants' commitment hashed side by side.
//!
//! Plonky2 hides a builder's constants, and commits to them while it builds. So it builds with a
//! configuration whose hash of that commitment costs nothing, and the tree is hashed afterwards.
//! What comes out is, bit for bit, what `CircuitBuilder::build` makes.

use plonky2::field::types::Field;
use plonky2::fri::oracle::PolynomialBatch;
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::merkle_tree::{MerkleCap, MerkleTree};
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{CircuitData, ProverOnlyCircuitData, VerifierOnlyCircuitData};
use plonky2::plonk::config::{GenericConfig, Hasher, PoseidonGoldilocksConfig};
use rayon::prelude::*;
use tally_kernels::poseidon::STATE;
use tally_kernels::{Kernel, many};

use crate::tree::stock_place;
use crate::{D, Ext, F};

type Config = PoseidonGoldilocksConfig;

/// Leaves or nodes hashed by one task.
const TASK: usize = 512;

/// Plonky2's Poseidon, but a tree's leaves and nodes are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unhashed;

impl Hasher<F> for Unhashed {
    const HASH_SIZE: usize = <PoseidonHash as Hasher<F>>::HASH_SIZE;
    type Hash = HashOut<F>;
    type Permutation = PoseidonPermutation<F>;

    fn hash_no_pad(input: &[F]) -> HashOut<F> {
        PoseidonHash::hash_no_pad(input)
    }

    fn hash_or_noop(_: &[F]) -> HashOut<F> {
        HashOut::ZERO
    }

    fn two_to_one(_: HashOut<F>, _: HashOut<F>) -> HashOut<F> {
        HashOut::ZERO
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Uncommitted;

impl GenericConfig<D> for Uncommitted {
    type F = F;
    type FE = Ext;
    type Hasher = Unhashed;
    type InnerHasher = PoseidonHash;
}

/// As the builder's own `build`.
///
/// # Panics
/// Where that does, and on a circuit with a domain separator, which none of ours has.
pub fn build(builder: CircuitBuilder<F, D>) -> CircuitData<F, Config, D> {
    let CircuitData {
        prover_only: prover,
        common,
        ..
    } = builder.build::<Uncommitted>();
    let uncommitted = &prover.constants_sigmas_commitment.merkle_tree.cap;
    assert_eq!(
        prover.circuit_digest,
        circuit_digest(uncommitted.flatten(), common.degree_bits()),
        "circuits with a domain separator are not supported"
    );
    let commitment = commit(prover.constants_sigmas_commitment);
    let cap = commitment.merkle_tree.cap.clone();
    let circuit_digest = circuit_digest(cap.flatten(), common.degree_bits());
    CircuitData {
        prover_only: ProverOnlyCircuitData {
            generators: prover.generators,
            generator_indices_by_watches: prover.generator_indices_by_watches,
            constants_sigmas_commitment: commitment,
            sigmas: prover.sigmas,
            subgroup: prover.subgroup,
            public_inputs: prover.public_inputs,
            representative_map: prover.representative_map,
            fft_root_table: prover.fft_root_table,
            circuit_digest,
            lookup_rows: prover.lookup_rows,
            lut_to_lookups: prover.lut_to_lookups,
        },
        verifier_only: VerifierOnlyCircuitData {
            constants_sigmas_cap: cap,
            circuit_digest,
        },
        common,
    }
}

fn circuit_digest(mut cap: Vec<F>, degree_bits: usize) -> HashOut<F> {
    cap.extend(<PoseidonHash as Hasher<F>>::hash_pad(&[]).elements);
    cap.push(F::from_canonical_usize(degree_bits));
    PoseidonHash::hash_no_pad(&cap)
}

fn commit(batch: PolynomialBatch<F, Uncommitted, D>) -> PolynomialBatch<F, Config, D> {
    let tree = batch.merkle_tree;
    PolynomialBatch {
        polynomials: batch.polynomials,
        merkle_tree: hash(Kernel::chosen(), tree.leaves, tree.cap.len()),
        degree_log: batch.degree_log,
        rate_bits: batch.rate_bits,
        blinding: batch.blinding,
    }
}

/// Plonky2's tree over leaves of more elements than a digest, which are their own digests else.
fn hash(kernel: Kernel, leaves: Vec<Vec<F>>, cap: usize) -> MerkleTree<F, PoseidonHash> {
    let mut level = vec![HashOut::ZERO; leaves.len()];
    let tasks = level.par_chunks_mut(TASK).zip(leaves.par_chunks(TASK));
    tasks.for_each(|(digests, leaves)| {
        let mut states = vec![[F::ZERO; STATE]; leaves.len()];
        many::absorb_each(kernel, leaves, &mut states);
        for (digest, state) in digests.iter_mut().zip(&states) {
            *digest = many::digest(state);
        }
    });
    let mut digests = vec![HashOut::ZERO; 2 * (leaves.len() - cap)];
    let mut height = 0;
    while level.len() > cap {
        let nodes = level.len() / cap;
        for (node, digest) in level.iter().enumerate() {
            digests[stock_place(height, node, nodes, leaves.len() / cap)] = *digest;
        }
        level = parents(kernel, &level);
        height += 1;
    }
    MerkleTree {
        leaves,
        digests,
        cap: MerkleCap(level),
    }
}

fn parents(kernel: Kernel, level: &[HashOut<F>]) -> Vec<HashOut<F>> {
    let mut parents = vec![HashOut::ZERO; level.len() / 2];
    let tasks = parents.par_chunks_mut(TASK).zip(level.par_chunks(2 * TASK));
    tasks.for_each(|(parents, children)| {
        let (pairs, _) = children.as_chunks::<2>();
        let (left, right): (Vec<_>, Vec<_>) = pairs.iter().map(|[l, r]| (*l, *r)).unzip();
        many::pairs(kernel, &left, &right, parents);
    });
    parents
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Sample;

    use super::*;

    #[test]
    fn trees_equal_the_reference_digest_by_digest() {
        for (leaf_bits, cap_height, length) in [(0, 0, 5), (3, 0, 9), (5, 4, 85), (6, 6, 8)] {
            let leaves: Vec<Vec<F>> = (0..1 << leaf_bits).map(|_| F::rand_vec(length)).collect();
            let expected = MerkleTree::<F, PoseidonHash>::new(leaves.clone(), cap_height);
            for kernel in Kernel::all() {
                let found = hash(kernel, leaves.clone(), 1 << cap_height);
                assert_eq!(found, expected, "{kernel:?} {leaf_bits} {cap_height}");
            }
        }
    }
}
