//! The quotient polynomials: every constraint, combined by powers of a challenge, over Z_H.
//!
//! Points are taken `POINTS` at a time, consecutive ones of a coset, so that every column's values
//! are consecutive and so are the ones at the next row. `gates` evaluates the gates: those of low
//! degree on as few cosets as determine their constraints, the others on all, in the vectors that
//! `evaluator` knows for them. `combine` adds the permutation argument's terms.

mod combine;
mod cosets;
mod evaluator;
mod extension;
mod gates;
mod symbol;
mod tape;

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use rayon::prelude::*;
use tally_kernels::raw::{raw, raw_mut};
use tally_kernels::simd::Kernel;

use crate::F;
use crate::fft::{Roots, canonical};
use crate::tree::Domain;

use combine::Combine;
use cosets::Cosets;
pub use evaluator::Evaluator;
pub(crate) use gates::Gates;
use gates::{Buffers, Low};

/// Points evaluated together; a multiple of every vector's width.
const POINTS: usize = 32;

/// Where the committed columns are read and what they are combined with.
pub(crate) struct Quotient<'a> {
    pub kernel: Kernel,
    pub roots: &'a Roots,
    pub gates: Gates<'a>,
    pub domain: Domain,
    pub subgroup: &'a [F],
    /// Leaves of the constants and sigmas, as Plonky2 orders them.
    pub constants: &'a [Vec<F>],
    pub wires: Vec<&'a [F]>,
    /// Z of every challenge, then partial products.
    pub products: Vec<&'a [F]>,
    pub public_inputs: HashOut<F>,
    pub betas: &'a [F],
    pub gammas: &'a [F],
    pub alphas: &'a [F],
}

/// Constants that every point shares.
struct Shared {
    /// β·k of each challenge and wire.
    shifts: Vec<u64>,
    betas: Vec<u64>,
    gammas: Vec<u64>,
    /// Powers of each challenge, as many as there are terms.
    powers: Vec<Vec<u64>>,
    /// The term that is the gates' first constraint.
    first_gate: usize,
}

impl Quotient<'_> {
    /// Coefficients of the quotient's chunks, reversed, every challenge's after the other. None if
    /// it has more chunks than it may, so that some constraint does not hold.
    pub(crate) fn chunks(&self) -> Option<Vec<F>> {
        let factor = self.gates.common().quotient_degree_factor;
        let cosets = Cosets {
            kernel: self.kernel,
            roots: self.roots,
            domain: self.domain,
            count: factor.next_power_of_two(),
        };
        let rows = self.domain.block();
        let shared = self.shared();
        let challenges = self.alphas.len();
        let mut low = Low::new(self);
        let mut values = vec![F::ZERO; challenges * cosets.count * rows];
        for coset in 0..cosets.count {
            low.reach(coset, &cosets);
            let tasks: Vec<(Vec<F>, Vec<F>)> = (0..rows.div_ceil(POINTS))
                .into_par_iter()
                .map_init(Buffers::default, |buffers, task| {
                    self.evaluate(&shared, buffers, &low, &cosets, coset, task * POINTS)
                })
                .collect();
            for challenge in 0..challenges {
                let to = &mut values[(challenge * cosets.count + coset) * rows..][..rows];
                for (to, (sums, _)) in to.chunks_mut(POINTS).zip(&tasks) {
                    to.copy_from_slice(&sums[challenge * POINTS..][..to.len()]);
                }
            }
            low.keep(coset, tasks.iter().map(|(_, low)| &low[..]));
        }
        drop(low);
        let mut kept = Vec::with_capacity(challenges * factor * rows);
        for values in values.chunks_exact_mut(cosets.count * rows) {
            cosets.interpolate(values);
            let (within, beyond) = values.split_at(factor * rows);
            if beyond.iter().any(|coefficient| coefficient.is_nonzero()) {
                return None;
            }
            kept.extend_from_slice(within);
        }
        Some(kept)
    }

    fn shared(&self) -> Shared {
        let common = self.gates.common();
        let chunks = common.num_partial_products + 1;
        let first_gate = self.alphas.len() * (1 + chunks);
        let terms = first_gate + common.num_gate_constraints;
        let shifts = self.betas.iter().flat_map(|beta| {
            let routed = &common.k_is[..common.config.num_routed_wires];
            routed.iter().map(|k| canonical(*beta * *k).0)
        });
        let powers = |alpha: &F| alpha.powers().take(terms).map(|x| canonical(x).0).collect();
        Shared {
            shifts: shifts.collect(),
            betas: self.betas.iter().map(|x| canonical(*x).0).collect(),
            gammas: self.gammas.iter().map(|x| canonical(*x).0).collect(),
            powers: self.alphas.iter().map(powers).collect(),
            first_gate,
        }
    }

    /// The quotient's values at `POINTS` points of a coset, challenge by challenge, and the gates'
    /// sums that `Low` is to keep.
    fn evaluate(
        &self,
        shared: &Shared,
        buffers: &mut Buffers,
        low: &Low,
        cosets: &Cosets,
        coset: usize,
        at: usize,
    ) -> (Vec<F>, Vec<F>) {
        let block = cosets.block(coset);
        let common = self.gates.common();
        let count = POINTS.min(self.domain.block() - at);
        buffers.fill(self, block, at, count);
        buffers.fill_products(self, block, at, count);
        let shift = cosets.shift(block);
        let vanishing = shift.exp_u64(self.domain.block() as u64) - F::ONE;
        // L_0(x) = Z_H(x) / (n·(x − 1)), and x is never 1 on a coset.
        let n = F::from_canonical_usize(self.domain.block());
        let mut points = vec![F::ZERO; POINTS];
        let mut divisors = vec![F::ONE; POINTS];
        for (i, x) in self.subgroup[at..at + count].iter().enumerate() {
            points[i] = *x * shift;
            divisors[i] = n * (points[i] - F::ONE);
        }
        let lagrange = F::batch_multiplicative_inverse(&divisors);
        let lagrange: Vec<F> = lagrange
            .iter()
            .map(|inverse| *inverse * vanishing)
            .collect();
        let mut sums = vec![F::ZERO; self.alphas.len() * POINTS];
        let kept = buffers.gates(self, shared, low, coset, at..at + count, &mut sums);
        self.kernel.apply(Combine {
            degree: common.quotient_degree_factor,
            routed: common.config.num_routed_wires,
            challenges: self.alphas.len(),
            constants: common.num_constants,
            shifts: &shared.shifts,
            betas: &shared.betas,
            gammas: &shared.gammas,
            powers: &shared.powers,
            points: raw(&points),
            lagrange: raw(&lagrange),
            constants_sigmas: raw(&buffers.constants),
            wires: buffers.wires(self),
            products: raw(&buffers.products),
            next: raw(&buffers.next),
            divisor: canonical(vanishing.inverse()).0,
            sums: raw_mut(&mut sums),
        });
        (sums, kept)
    }
}
