//! A proof in shape only: keys and contracts depend on where values stand, not on what they are, so
//! none has to be proven first.

use plonky2::field::polynomial::PolynomialCoeffs;
use plonky2::field::types::Field;
use plonky2::fri::FriParams;
use plonky2::fri::proof::{FriInitialTreeProof, FriProof, FriQueryRound, FriQueryStep};
use plonky2::hash::merkle_proofs::MerkleProof;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::proof::{OpeningSet, Proof};
use tally_circuits::{Ext, F};

use crate::fri::tree_widths;
use crate::hash::{Bn254Poseidon, Digest};
use crate::layers::{LastCommon, LastProof};

/// Zeros wherever a proof of the circuit with these common data has something.
pub fn sample(common: &LastCommon) -> LastProof {
    let widths = tree_widths(common);
    let params = &common.fri_params;
    let cap = || MerkleCap::<F, Bn254Poseidon>(vec![zero(); 1 << params.config.cap_height]);
    let [constants, wires, zs, quotients] = widths;
    let challenges = common.config.num_challenges;
    let openings = OpeningSet {
        constants: vec![Ext::ZERO; common.num_constants],
        plonk_sigmas: vec![Ext::ZERO; constants - common.num_constants],
        wires: vec![Ext::ZERO; wires],
        plonk_zs: vec![Ext::ZERO; challenges],
        plonk_zs_next: vec![Ext::ZERO; challenges],
        partial_products: vec![Ext::ZERO; zs - challenges],
        quotient_polys: vec![Ext::ZERO; quotients],
        lookup_zs: Vec::new(),
        lookup_zs_next: Vec::new(),
    };
    let queries = params.config.num_query_rounds;
    let opening_proof = FriProof {
        commit_phase_merkle_caps: params.reduction_arity_bits.iter().map(|_| cap()).collect(),
        query_round_proofs: vec![query(params, widths); queries],
        final_poly: PolynomialCoeffs::new(vec![Ext::ZERO; params.final_poly_len()]),
        pow_witness: F::ZERO,
    };
    LastProof {
        proof: Proof {
            wires_cap: cap(),
            plonk_zs_partial_products_cap: cap(),
            quotient_polys_cap: cap(),
            openings,
            opening_proof,
        },
        public_inputs: vec![F::ZERO; common.num_public_inputs],
    }
}

fn zero() -> Digest {
    Digest(0.into())
}

fn path(leaf_bits: usize, params: &FriParams) -> MerkleProof<F, Bn254Poseidon> {
    MerkleProof {
        siblings: vec![zero(); leaf_bits - params.config.cap_height],
    }
}

fn query(params: &FriParams, widths: [usize; 4]) -> FriQueryRound<F, Bn254Poseidon, 2> {
    let mut bits = params.lde_bits();
    let leaf = |width| (vec![F::ZERO; width], path(bits, params));
    let initial_trees_proof = FriInitialTreeProof {
        evals_proofs: widths.map(leaf).to_vec(),
    };
    let steps = params.reduction_arity_bits.iter().map(|arity| {
        bits -= arity;
        FriQueryStep {
            evals: vec![Ext::ZERO; 1 << arity],
            merkle_proof: path(bits, params),
        }
    });
    FriQueryRound {
        initial_trees_proof,
        steps: steps.collect(),
    }
}
