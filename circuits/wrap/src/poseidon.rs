//! Poseidon over BN254's scalar field, as Ethereum's tools know it: x⁵, width 3, 8 + 57 rounds.
//!
//! The round constants and the matrix come from `poseidon-primitives` (the Grain generator of the
//! Poseidon paper); the tests compare with the paper's published vector. `Spec::permute` is the
//! definition, `Fast::permute` the same function with the partial rounds' matrices made sparse.

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField};
use halo2_base::poseidon::hasher::spec::OptimizedPoseidonSpec;
use halo2_proofs::halo2curves::bn256::Fr as HaloFr;
use halo2_proofs::halo2curves::ff::{Field as _, PrimeField as _};
use poseidon_primitives::poseidon::primitives::Spec as Parameters;

pub const WIDTH: usize = 3;
pub const FULL_ROUNDS: usize = 8;
pub const PARTIAL_ROUNDS: usize = 57;
pub const ROUNDS: usize = FULL_ROUNDS + PARTIAL_ROUNDS;

pub type State = [Fr; WIDTH];

/// The same element for arkworks and for halo2: both are residues mod r.
pub fn to_halo(x: Fr) -> HaloFr {
    let BigInt(limbs) = x.into_bigint();
    HaloFr::from_raw(limbs)
}

pub fn from_halo(x: HaloFr) -> Fr {
    Fr::from_le_bytes_mod_order(&x.to_repr())
}

/// Whether all three elements go through the S-box in this round.
pub fn is_full(round: usize) -> bool {
    !(FULL_ROUNDS / 2..FULL_ROUNDS / 2 + PARTIAL_ROUNDS).contains(&round)
}

/// The permutation's constants.
#[derive(Clone, Debug)]
pub struct Spec {
    pub constants: Vec<State>,
    pub matrix: [State; WIDTH],
}

#[derive(Debug)]
struct Generator;

impl Parameters<HaloFr, WIDTH, 2> for Generator {
    fn full_rounds() -> usize {
        FULL_ROUNDS
    }

    fn partial_rounds() -> usize {
        PARTIAL_ROUNDS
    }

    fn sbox(x: HaloFr) -> HaloFr {
        x.pow_vartime([5])
    }

    fn secure_mds() -> usize {
        0
    }
}

impl Spec {
    pub fn get() -> &'static Spec {
        static SPEC: OnceLock<Spec> = OnceLock::new();
        SPEC.get_or_init(|| {
            let (constants, matrix, _) = Generator::constants();
            Spec {
                constants: constants.iter().map(|row| row.map(from_halo)).collect(),
                matrix: matrix.map(|row| row.map(from_halo)),
            }
        })
    }

    /// One round: constants, S-boxes, matrix. A row of the halo2 circuit.
    pub fn round(&self, round: usize, state: &State) -> State {
        let mut boxed = [0, 1, 2].map(|i| state[i] + self.constants[round][i]);
        let last = if is_full(round) { WIDTH } else { 1 };
        boxed[..last].iter_mut().for_each(fifth_power);
        self.matrix
            .map(|row| row[0] * boxed[0] + row[1] * boxed[1] + row[2] * boxed[2])
    }

    pub fn permute(&self, state: &State) -> State {
        (0..ROUNDS).fold(*state, |state, round| self.round(round, &state))
    }
}

fn fifth_power(x: &mut Fr) {
    let fourth = x.square().square();
    *x *= fourth;
}

/// Constants moved through the matrices, so that a partial round costs five products by constants.
#[derive(Clone, Debug)]
pub struct Fast {
    start: Vec<State>,
    partial: Vec<Fr>,
    end: Vec<State>,
    matrix: [State; WIDTH],
    before_partial: [State; WIDTH],
    /// First row, then what the first element adds to the others.
    sparse: Vec<(State, [Fr; 2])>,
}

impl Fast {
    pub fn get() -> &'static Fast {
        static FAST: OnceLock<Fast> = OnceLock::new();
        FAST.get_or_init(|| {
            let spec =
                OptimizedPoseidonSpec::<HaloFr, WIDTH, 2>::new::<FULL_ROUNDS, PARTIAL_ROUNDS, 0>();
            let states = |rows: &[[HaloFr; WIDTH]]| -> Vec<State> {
                rows.iter().map(|row| row.map(from_halo)).collect()
            };
            let matrices = spec.mds_matrices();
            let sparse = matrices.sparse_matrices().iter();
            Fast {
                start: states(spec.constants().start()),
                partial: spec
                    .constants()
                    .partial()
                    .iter()
                    .copied()
                    .map(from_halo)
                    .collect(),
                end: states(spec.constants().end()),
                matrix: matrices.mds().as_ref().map(|row| row.map(from_halo)),
                before_partial: matrices
                    .pre_sparse_mds()
                    .as_ref()
                    .map(|row| row.map(from_halo)),
                sparse: sparse
                    .map(|m| (m.row().map(from_halo), m.col_hat().map(from_halo)))
                    .collect(),
            }
        })
    }

    pub fn permute(&self, state: &mut State) {
        add(state, &self.start[0]);
        let (last, start) = self.start[1..]
            .split_last()
            .unwrap_or((&self.start[0], &[]));
        for constants in start {
            full(state, constants, &self.matrix);
        }
        full(state, last, &self.before_partial);
        for (constant, (row, column)) in self.partial.iter().zip(&self.sparse) {
            fifth_power(&mut state[0]);
            state[0] += constant;
            let first = state[0];
            state[0] = Fr::sum_of_products(row, state);
            state[1] += column[0] * first;
            state[2] += column[1] * first;
        }
        for constants in &self.end {
            full(state, constants, &self.matrix);
        }
        full(state, &[Fr::ZERO; WIDTH], &self.matrix);
    }
}

fn add(state: &mut State, constants: &State) {
    for (x, c) in state.iter_mut().zip(constants) {
        *x += c;
    }
}

fn full(state: &mut State, constants: &State, matrix: &[State; WIDTH]) {
    state.iter_mut().for_each(fifth_power);
    add(state, constants);
    let before = *state;
    for (x, row) in state.iter_mut().zip(matrix) {
        *x = Fr::sum_of_products(row, &before);
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::{MontFp, UniformRand};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// `poseidonperm_x5_254_3` of the paper's authors; its first element is circomlib's hash of
    /// (1, 2).
    #[test]
    fn permutation_of_0_1_2_is_the_published_one() {
        let published: State = [
            MontFp!("7853200120776062878684798364095072458815029376092732009249414926327459813530"),
            MontFp!("7142104613055408817911962100316808866448378443474503659992478482890339429929"),
            MontFp!("6549537674122432311777789598043107870002137484850126429160507761192163713804"),
        ];
        let start = [0u64, 1, 2].map(Fr::from);
        assert_eq!(Spec::get().permute(&start), published);
        let mut fast = start;
        Fast::get().permute(&mut fast);
        assert_eq!(fast, published);
    }

    #[test]
    fn fast_agrees_with_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20 {
            let state: State = [(); 3].map(|()| Fr::rand(&mut rng));
            let mut fast = state;
            Fast::get().permute(&mut fast);
            assert_eq!(fast, Spec::get().permute(&state));
            assert_eq!(state.map(to_halo).map(from_halo), state);
        }
    }
}
