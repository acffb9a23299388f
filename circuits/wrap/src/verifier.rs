//! The last layer's verifier as constraints, whole.
//!
//! *Statement.* There is a proof of the last layer's circuit with public inputs C, z, y; each
//! instance is three of these words (the last has two), each word below p.
//! *What is constant.* The circuit digest, the constants' cap, all of the common data: another
//! circuit is another key and another contract.

#[cfg(test)]
mod tests;

use halo2_base::QuantumCell;
use halo2_proofs::halo2curves::bn256::Fr;
use plonky2::field::types::Field;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::circuit_data::VerifierOnlyCircuitData;
use plonky2::plonk::config::GenericHashOut;
use plonky2::plonk::proof::OpeningSet;
use tally_circuits::{D, F};

use crate::algebra::Algebra;
use crate::chip::{Cell, Chip, Ext, Int};
use crate::fri::{Batch, Instance, Queries, check_work, polynomials};
use crate::gates::{UnknownGate, hash_short};
use crate::hash::{Bn254Poseidon, LastConfig, PACKED};
use crate::layers::{LastCommon, LastProof};
use crate::plonk::{Challenges, Openings, identity};
use crate::poseidon::to_halo;
use crate::transcript::Challenger;

pub type LastKey = VerifierOnlyCircuitData<LastConfig, D>;

/// Every challenge, in the transcript's order.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub betas: Vec<Int>,
    pub gammas: Vec<Int>,
    pub alphas: Vec<Int>,
    pub zeta: Ext,
    pub fri_alpha: Ext,
    pub fri_betas: Vec<Ext>,
    pub work: Int,
    pub queries: Vec<Int>,
}

/// Constrains a valid proof and returns the three instances.
pub fn verify(
    chip: &mut Chip<'_>,
    key: &LastKey,
    common: &LastCommon,
    proof: &LastProof,
) -> Result<Vec<Cell>, UnknownGate> {
    let inputs: Vec<Int> = proof
        .public_inputs
        .iter()
        .map(|x| {
            let word = chip.witness(*x);
            chip.assert_canonical(word);
            word
        })
        .collect();
    let lifted: Vec<Ext> = inputs.iter().map(|x| (*x).into()).collect();
    let hash = hash_short(chip, &lifted).map(|x| chip.ext_reduce(&x));
    let openings = open(chip, &proof.proof.openings);
    let parts = Parts::assign(chip, key, proof);
    let drawn = draw(chip, key, common, &parts, &openings, &hash);
    check_identity(chip, common, &openings, &drawn, &hash)?;
    check_openings(chip, common, proof, parts, &openings, &drawn);
    let packed = inputs.chunks(PACKED).map(|words| match chip.pack(words) {
        QuantumCell::Existing(cell) => cell,
        _ => unreachable!("there are words"),
    });
    Ok(packed.collect())
}

/// The committed parts, as cells.
#[derive(Debug)]
struct Parts {
    /// Constants, wires, Z's, quotients.
    caps: Vec<Vec<Cell>>,
    commit_caps: Vec<Vec<Cell>>,
    final_polynomial: Vec<Ext>,
    work: Int,
}

impl Parts {
    fn assign(chip: &mut Chip<'_>, key: &LastKey, proof: &LastProof) -> Self {
        type Cap = MerkleCap<F, Bn254Poseidon>;
        let constants = key.constants_sigmas_cap.0.iter();
        let constants = constants.map(|digest| chip.load(QuantumCell::Constant(to_halo(digest.0))));
        let mut caps: Vec<Vec<Cell>> = vec![constants.collect()];
        let load = |chip: &mut Chip<'_>, cap: &Cap| -> Vec<Cell> {
            let digests = cap.0.iter();
            digests
                .map(|digest| chip.load(QuantumCell::Witness(to_halo(digest.0))))
                .collect()
        };
        let proof = &proof.proof;
        for cap in [
            &proof.wires_cap,
            &proof.plonk_zs_partial_products_cap,
            &proof.quotient_polys_cap,
        ] {
            caps.push(load(chip, cap));
        }
        let opening = &proof.opening_proof;
        let commit_caps = opening.commit_phase_merkle_caps.iter();
        let commit_caps = commit_caps.map(|cap| load(chip, cap)).collect();
        let coefficients = opening.final_poly.coeffs.iter();
        Self {
            caps,
            commit_caps,
            final_polynomial: coefficients.map(|x| chip.ext_witness(*x)).collect(),
            work: chip.witness(opening.pow_witness),
        }
    }
}

fn open(chip: &mut Chip<'_>, openings: &OpeningSet<F, D>) -> Openings<Ext> {
    assert!(openings.lookup_zs.is_empty() && openings.lookup_zs_next.is_empty());
    let mut load = |values: &[tally_circuits::Ext]| -> Vec<Ext> {
        values.iter().map(|x| chip.ext_witness(*x)).collect()
    };
    Openings {
        constants: load(&openings.constants),
        sigmas: load(&openings.plonk_sigmas),
        wires: load(&openings.wires),
        zs: load(&openings.plonk_zs),
        zs_next: load(&openings.plonk_zs_next),
        partial_products: load(&openings.partial_products),
        quotients: load(&openings.quotient_polys),
    }
}

/// Plonky2's `get_challenges`.
fn draw(
    chip: &mut Chip<'_>,
    key: &LastKey,
    common: &LastCommon,
    parts: &Parts,
    openings: &Openings<Ext>,
    public_inputs_hash: &[Ext; 4],
) -> Drawn {
    let mut challenger = Challenger::default();
    let transcript = &mut challenger;
    let repetitions = common.config.num_challenges;
    transcript.observe_params(chip, &common.fri_params);
    for part in key.circuit_digest.to_vec() {
        transcript.observe_constant(chip, part);
    }
    for part in public_inputs_hash {
        transcript.observe(chip, part.low);
    }
    transcript.observe_digests(chip, &parts.caps[1]);
    let betas = transcript.challenges(chip, repetitions);
    let gammas = transcript.challenges(chip, repetitions);
    transcript.observe_digests(chip, &parts.caps[2]);
    let alphas = transcript.challenges(chip, repetitions);
    transcript.observe_digests(chip, &parts.caps[3]);
    let zeta = transcript.ext_challenge(chip);
    for opening in openings.at_zeta().iter().chain(&openings.zs_next) {
        transcript.observe_ext(chip, opening);
    }
    let fri_alpha = transcript.ext_challenge(chip);
    let mut fri_betas = Vec::new();
    for cap in &parts.commit_caps {
        transcript.observe_digests(chip, cap);
        fri_betas.push(transcript.ext_challenge(chip));
    }
    for coefficient in &parts.final_polynomial {
        transcript.observe_ext(chip, coefficient);
    }
    transcript.observe(chip, parts.work);
    let work = transcript.challenge(chip);
    let queries = transcript.challenges(chip, common.config.fri_config.num_query_rounds);
    Drawn {
        betas,
        gammas,
        alphas,
        zeta,
        fri_alpha,
        fri_betas,
        work,
        queries,
    }
}

fn check_identity(
    chip: &mut Chip<'_>,
    common: &LastCommon,
    openings: &Openings<Ext>,
    drawn: &Drawn,
    public_inputs_hash: &[Ext; 4],
) -> Result<(), UnknownGate> {
    let lift = |words: &[Int]| -> Vec<Ext> { words.iter().map(|x| (*x).into()).collect() };
    let challenges = Challenges {
        betas: lift(&drawn.betas),
        gammas: lift(&drawn.gammas),
        alphas: lift(&drawn.alphas),
        zeta: drawn.zeta,
    };
    let identity = identity(
        chip,
        common,
        openings,
        &challenges,
        public_inputs_hash,
        |chip, x| chip.ext_invert(x),
    )?;
    for [left, right] in &identity.sides {
        chip.ext_assert_equal(left, right);
    }
    Ok(())
}

fn check_openings(
    chip: &mut Chip<'_>,
    common: &LastCommon,
    proof: &LastProof,
    parts: Parts,
    openings: &Openings<Ext>,
    drawn: &Drawn,
) {
    let params = &common.fri_params;
    check_work(chip, params, drawn.work);
    let generator = F::primitive_root_of_unity(common.degree_bits());
    let next = Algebra::combine(chip, &[(generator, drawn.zeta)]);
    let next = chip.ext_reduce(&next);
    let [all, zs] = polynomials(common);
    let batch = |point, polynomials, values| Batch {
        point,
        polynomials,
        values,
    };
    let instance = Instance {
        batches: vec![
            batch(drawn.zeta, all, openings.at_zeta()),
            batch(next, zs, openings.zs_next.clone()),
        ],
        caps: parts.caps,
        commit_caps: parts.commit_caps,
        final_polynomial: parts.final_polynomial,
        alpha: drawn.fri_alpha,
        betas: drawn.fri_betas.clone(),
    };
    let queries = Queries::new(chip, &instance, params);
    let rounds = &proof.proof.opening_proof.query_round_proofs;
    assert_eq!(rounds.len(), drawn.queries.len());
    for (challenge, round) in drawn.queries.iter().zip(rounds) {
        queries.check(chip, *challenge, round);
    }
}

/// The instances of a proof, natively.
pub fn instances(public_inputs: &[F]) -> Vec<Fr> {
    let groups = public_inputs.chunks(PACKED);
    groups
        .map(|words| to_halo(crate::hash::pack(words)))
        .collect()
}
