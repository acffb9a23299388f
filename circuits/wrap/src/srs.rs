//! The structured reference string of KZG: powers of a secret that nobody may know.
//!
//! *From outside.* snarkjs `.ptau` and raw halo2 files. Every point is checked to be on its curve,
//! pairings that consecutive powers differ by one secret, and a Lagrange basis that comes along to
//! be the one of the powers.
//! *For development.* The secret is written down here, so that anybody can prove anything; what is
//! made from it says so, and so does any file that turns out to hold the same secret.

mod cache;
mod format;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1, G1Affine, G2Affine};
use halo2_proofs::halo2curves::ff::{Field as _, PrimeField as _};
use halo2_proofs::halo2curves::group::prime::PrimeCurveAffine as _;
use halo2_proofs::halo2curves::group::{Curve as _, Group as _};
use halo2_proofs::halo2curves::pairing::Engine as _;
use halo2_proofs::poly::EvaluationDomain;
use halo2_proofs::poly::commitment::{Params as _, ParamsProver as _};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use thiserror::Error;
use tiny_keccak::{Hasher as _, Keccak};

pub use cache::{Cache, Found};
pub use format::read;

use crate::layers::Progress;

/// Seed of the development secret.
const DEVELOPMENT: &[u8] = b"tally: development setup, insecure";
/// Bits of a window of the fixed-base multiplication.
const WINDOW: usize = 8;

#[derive(Debug, Error)]
pub enum SrsError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("neither a snarkjs .ptau nor a raw halo2 file: {0}")]
    Format(&'static str),
    #[error("the file is for another curve than BN254")]
    Curve,
    #[error("the file has 2^{has} powers, 2^{need} are needed")]
    Power { need: u32, has: u32 },
    #[error("{group} point {index} is not on its curve, or not written in its one way")]
    Point { group: &'static str, index: usize },
    #[error("the powers do not begin with the curve's generators")]
    Generator,
    #[error("the secret is 0 or 1")]
    Trivial,
    #[error("pairings: the points are not consecutive powers of one secret")]
    Pairing,
    #[error("the Lagrange basis is not that of the powers")]
    Lagrange,
    #[error("{}: the cached file's digest does not match", path.display())]
    Corrupt { path: PathBuf },
    #[error("no setup for 2^{k} rows in {}: run `tally srs import` or `dev`", dir.display())]
    Missing { k: u32, dir: PathBuf },
}

impl SrsError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            SrsError::Read { .. } => "srs.read",
            SrsError::Format(_) => "srs.format",
            SrsError::Curve => "srs.curve",
            SrsError::Power { .. } => "srs.power",
            SrsError::Point { .. } => "srs.point",
            SrsError::Generator => "srs.generator",
            SrsError::Trivial => "srs.trivial",
            SrsError::Pairing => "srs.pairing",
            SrsError::Lagrange => "srs.lagrange",
            SrsError::Corrupt { .. } => "srs.corrupt",
            SrsError::Missing { .. } => "srs.missing",
        }
    }
}

/// A checked setup.
#[derive(Clone, Debug)]
pub struct Srs {
    pub params: ParamsKZG<Bn256>,
    /// Keccak of the raw halo2 file.
    pub digest: [u8; 32],
    pub is_development: bool,
}

/// What a file holds before it is checked; without a Lagrange basis where the file has none.
#[derive(Clone, Debug)]
pub struct Powers {
    pub k: u32,
    pub g1: Vec<G1Affine>,
    pub lagrange: Option<Vec<G1Affine>>,
    pub g2: G2Affine,
    pub secret_g2: G2Affine,
}

pub fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak::v256();
    for part in parts {
        hasher.update(part);
    }
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    digest
}

impl Srs {
    /// Insecure: anybody can compute the secret.
    pub fn development(k: u32) -> Self {
        let secret = development_secret();
        let n = 1u64 << k;
        let powers: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |x| Some(x * secret))
            .take(1 << k)
            .collect();
        let g2 = G2Affine::generator();
        let points = multiples(&[powers, lagrange_at(secret, k)].concat());
        let (g1, lagrange) = points.split_at(n as usize);
        Self::assemble(Powers {
            k,
            g1: g1.to_vec(),
            lagrange: Some(lagrange.to_vec()),
            g2,
            secret_g2: (g2 * secret).to_affine(),
        })
    }

    /// Checks the powers and completes them with the Lagrange basis (minutes, if it is missing).
    pub fn check(powers: Powers, progress: &impl Progress) -> Result<Self, SrsError> {
        progress.step("checking the pairings");
        powers.check()?;
        if powers.lagrange.is_none() {
            progress.step("computing the Lagrange basis");
        }
        Ok(Self::assemble(powers))
    }

    fn assemble(powers: Powers) -> Self {
        let is_development = powers.secret_g2 == development_secret_g2();
        // Any parameters will do to reach the constructor from parts.
        let any = ParamsKZG::<Bn256>::new(1);
        let Powers {
            k,
            g1,
            lagrange,
            g2,
            secret_g2,
        } = powers;
        let params = any.from_parts(k, g1, lagrange, g2, secret_g2);
        let digest = keccak(&[&raw(&params)]);
        Self {
            params,
            digest,
            is_development,
        }
    }
}

/// The raw halo2 file.
fn raw(params: &ParamsKZG<Bn256>) -> Vec<u8> {
    let mut bytes = Vec::new();
    params
        .write(&mut bytes)
        .expect("a vector takes what is written");
    bytes
}

fn development_secret() -> Fr {
    Fr::random(ChaCha20Rng::from_seed(keccak(&[DEVELOPMENT])))
}

fn development_secret_g2() -> G2Affine {
    (G2Affine::generator() * development_secret()).to_affine()
}

/// Every Lagrange polynomial of the domain of size 2^k at x: (xⁿ − 1) ωⁱ / (n (x − ωⁱ)).
fn lagrange_at(x: Fr, k: u32) -> Vec<Fr> {
    let n = 1u64 << k;
    let omega = EvaluationDomain::<Fr>::new(1, k).get_omega();
    let inverse = |x: Fr| Option::<Fr>::from(x.invert()).expect("x is not in the domain");
    let factor = (x.pow_vartime([n]) - Fr::ONE) * inverse(Fr::from(n));
    let points: Vec<Fr> = std::iter::successors(Some(Fr::ONE), |point| Some(point * omega))
        .take(1 << k)
        .collect();
    let scale = |point: &Fr| factor * point * inverse(x - point);
    points.par_iter().map(scale).collect()
}

/// Multiples of the generator, by a table of windows.
fn multiples(scalars: &[Fr]) -> Vec<G1Affine> {
    let mut tables = Vec::new();
    let mut base = G1::generator();
    for _ in 0..256 / WINDOW {
        let multiples: Vec<G1> = std::iter::successors(Some(G1::identity()), |x| Some(x + base))
            .take(1 << WINDOW)
            .collect();
        base = multiples[(1 << WINDOW) - 1] + base;
        let mut table = vec![G1Affine::identity(); 1 << WINDOW];
        G1::batch_normalize(&multiples, &mut table);
        tables.push(table);
    }
    let multiple = |scalar: &Fr| {
        let bytes = scalar.to_repr();
        let windows = tables.iter().zip(bytes.as_ref());
        windows.fold(G1::identity(), |sum, (table, byte)| {
            sum + table[*byte as usize]
        })
    };
    let chunks = scalars.par_chunks(1 << 10);
    let chunks = chunks.flat_map_iter(|chunk| {
        let points: Vec<G1> = chunk.iter().map(multiple).collect();
        let mut affine = vec![G1Affine::identity(); points.len()];
        G1::batch_normalize(&points, &mut affine);
        affine
    });
    chunks.collect()
}

impl Powers {
    /// The points are those of some secret's powers.
    fn check(&self) -> Result<(), SrsError> {
        if self.g1.first() != Some(&G1Affine::generator()) || self.g2 != G2Affine::generator() {
            return Err(SrsError::Generator);
        }
        let order = -Fr::ONE;
        let is_torsion_free = (self.secret_g2 * order + self.secret_g2).to_affine();
        if !bool::from(is_torsion_free.is_identity()) {
            return Err(SrsError::Point {
                group: "G2",
                index: 1,
            });
        }
        if bool::from(self.secret_g2.is_identity()) || self.secret_g2 == self.g2 {
            return Err(SrsError::Trivial);
        }
        // What the weights are drawn from binds every point.
        let mut seed = Vec::new();
        for point in self.g1.iter().chain(self.lagrange.iter().flatten()) {
            use halo2_proofs::halo2curves::serde::SerdeObject as _;
            seed.extend(point.to_raw_bytes());
        }
        let mut rng = ChaCha20Rng::from_seed(keccak(&[&seed]));
        let weights: Vec<Fr> = (1..self.g1.len()).map(|_| Fr::random(&mut rng)).collect();
        let lower = best_multiexp(&weights, &self.g1[..weights.len()]).to_affine();
        let upper = best_multiexp(&weights, &self.g1[1..]).to_affine();
        if Bn256::pairing(&lower, &self.secret_g2) != Bn256::pairing(&upper, &self.g2) {
            return Err(SrsError::Pairing);
        }
        let Some(lagrange) = &self.lagrange else {
            return Ok(());
        };
        let domain = EvaluationDomain::<Fr>::new(1, self.k);
        let values: Vec<Fr> = self.g1.iter().map(|_| Fr::random(&mut rng)).collect();
        let committed = best_multiexp(&values, lagrange);
        let coefficients = domain.lagrange_to_coeff(domain.lagrange_from_vec(values));
        match committed == best_multiexp(&coefficients, &self.g1) {
            true => Ok(()),
            false => Err(SrsError::Lagrange),
        }
    }
}
