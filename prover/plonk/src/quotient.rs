//! The quotient polynomials: every constraint, combined by powers of a challenge, over Z_H.
//!
//! Points are taken `POINTS` at a time, consecutive ones of a coset, so that every column's values
//! are consecutive and so are the ones at the next row. A gate's constraints are evaluated at all
//! of them together (`Gate::eval_unfiltered_base_batch`), the filters of a selector's gates are
//! computed once from shared prefix and suffix products, and each constraint is combined for
//! every challenge at once.

use plonky2::field::types::Field;
use plonky2::gates::gate::GateRef;
use plonky2::hash::hash_types::HashOut;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::EvaluationVarsBaseBatch;
use rayon::prelude::*;
use serde::Deserialize;
use std::ops::Range;

use crate::fft::{Roots, canonical, multiply, reversed_powers};
use crate::raw::{raw, raw_mut};
use crate::simd::{Kernel, Op, Simd};
use crate::tree::{Domain, reverse};
use crate::{D, F};

/// Points evaluated together; a multiple of every vector's width.
const POINTS: usize = 32;
/// The value of a selector in rows of other selectors' gates.
const UNUSED: u64 = u32::MAX as u64;

/// Gates and their selectors.
pub(crate) struct Gates<'a> {
    common: &'a CommonCircuitData<F, D>,
    /// Of each selector, its gates.
    groups: Vec<Range<usize>>,
}

/// What Plonky2 keeps to itself of `SelectorsInfo`, as it serializes it.
#[derive(Deserialize)]
struct Selectors {
    selector_indices: Vec<usize>,
    groups: Vec<Range<usize>>,
}

impl<'a> Gates<'a> {
    /// None if Plonky2 does not tell its selectors as expected.
    pub(crate) fn new(common: &'a CommonCircuitData<F, D>) -> Option<Self> {
        let told = serde_json::to_value(&common.selectors_info).ok()?;
        let Selectors {
            selector_indices,
            groups,
        } = serde_json::from_value(told).ok()?;
        let of_group = |(gate, group): (usize, &usize)| groups[*group].contains(&gate);
        let complete = selector_indices.len() == common.gates.len();
        (complete && selector_indices.iter().enumerate().all(of_group))
            .then_some(Self { common, groups })
    }

    fn group(&self, group: usize) -> &[GateRef<F, D>] {
        &self.common.gates[self.groups[group].clone()]
    }
}

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
    /// Powers of each challenge, as many as there are terms.
    powers: Vec<Vec<u64>>,
}

impl Quotient<'_> {
    /// Coefficients of the quotient's chunks, reversed, every challenge's after the other. None if
    /// it has more chunks than it may, so that some constraint does not hold.
    pub(crate) fn chunks(&self) -> Option<Vec<F>> {
        let common = self.gates.common;
        let factor = common.quotient_degree_factor;
        let bits = factor.next_power_of_two().trailing_zeros() as usize;
        let blocks = 1 << bits;
        let rows = self.domain.block();
        let shared = self.shared();
        let tasks = rows.div_ceil(POINTS);
        // Of each block and task, each challenge's values.
        let challenges = self.alphas.len();
        let values: Vec<Vec<F>> = (0..blocks * tasks)
            .into_par_iter()
            .map_init(Buffers::default, |buffers, task| {
                let block = (task / tasks) << (self.domain.rate_bits - bits);
                self.evaluate(&shared, buffers, block, task % tasks * POINTS)
            })
            .collect();
        let shifts: Vec<F> = (0..blocks)
            .map(|block| self.shift(block << (self.domain.rate_bits - bits)))
            .collect();
        let mut remainders = vec![F::ZERO; challenges * blocks * rows];
        remainders
            .par_chunks_mut(rows)
            .enumerate()
            .for_each(|(i, remainder)| {
                let (challenge, block) = (i / blocks, i % blocks);
                for (to, from) in remainder.chunks_mut(POINTS).zip(&values[block * tasks..]) {
                    to.copy_from_slice(&from[challenge * POINTS..][..to.len()]);
                }
                self.roots.interpolate(self.kernel, remainder);
                let inverse = shifts[block].inverse();
                let factors = reversed_powers(self.kernel, inverse, self.domain.block_bits);
                let unshifted = remainder.to_vec();
                multiply(self.kernel, &unshifted, &factors, remainder);
            });
        self.recombine(&remainders, blocks, factor)
    }

    /// The coset that a block of points lies on.
    fn shift(&self, block: usize) -> F {
        F::coset_shift() * F::primitive_root_of_unity(self.domain.bits()).exp_u64(block as u64)
    }

    /// The polynomials below x^rows that a polynomial equals on each coset determine its chunks:
    /// on the coset of shift s, x^rows is the constant s^rows.
    fn recombine(&self, remainders: &[F], blocks: usize, factor: usize) -> Option<Vec<F>> {
        let rows = self.domain.block();
        let bits = blocks.trailing_zeros() as usize;
        let root = F::primitive_root_of_unity(bits).inverse();
        let step = F::coset_shift().exp_u64(rows as u64).inverse();
        let scale = F::inverse_2exp(bits);
        let challenges = self.alphas.len();
        let mut chunks = vec![F::ZERO; challenges * blocks * rows];
        chunks
            .par_chunks_mut(rows)
            .enumerate()
            .for_each(|(i, chunk)| {
                let (challenge, place) = (i / blocks, i % blocks);
                let remainders = remainders
                    .chunks_exact(rows)
                    .skip(challenge * blocks)
                    .take(blocks);
                for (block, remainder) in remainders.enumerate() {
                    let weight = root.exp_u64((block * place) as u64) * step.exp_u64(place as u64);
                    self.kernel.apply(AddTerm {
                        sum: raw_mut(chunk),
                        terms: raw(remainder),
                        factor: canonical(weight * scale).0,
                    });
                }
            });
        if factor == blocks {
            return Some(chunks);
        }
        let mut kept = Vec::with_capacity(challenges * factor * rows);
        for chunks in chunks.chunks_exact(blocks * rows) {
            let (within, beyond) = chunks.split_at(factor * rows);
            if beyond.iter().any(|coefficient| coefficient.is_nonzero()) {
                return None;
            }
            kept.extend_from_slice(within);
        }
        Some(kept)
    }

    fn shared(&self) -> Shared {
        let common = self.gates.common;
        let chunks = common.num_partial_products + 1;
        let terms = self.alphas.len() * (1 + chunks) + common.num_gate_constraints;
        let shifts = self.betas.iter().flat_map(|beta| {
            let routed = &common.k_is[..common.config.num_routed_wires];
            routed.iter().map(|k| canonical(*beta * *k).0)
        });
        let powers = |alpha: &F| alpha.powers().take(terms).map(|x| canonical(x).0).collect();
        Shared {
            shifts: shifts.collect(),
            powers: self.alphas.iter().map(powers).collect(),
        }
    }

    /// The quotient's values at `POINTS` points of a block, challenge by challenge.
    fn evaluate(&self, shared: &Shared, buffers: &mut Buffers, block: usize, at: usize) -> Vec<F> {
        let common = self.gates.common;
        let count = POINTS.min(self.domain.block() - at);
        buffers.fill(self, block, at, count);
        let shift = self.shift(block);
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
        buffers.gates(self);
        let mut sums = vec![F::ZERO; self.alphas.len() * POINTS];
        let challenges = self.alphas.len();
        self.kernel.apply(Combine {
            degree: common.quotient_degree_factor,
            routed: common.config.num_routed_wires,
            challenges,
            constants: common.num_constants,
            shifts: &shared.shifts,
            betas: &self
                .betas
                .iter()
                .map(|x| canonical(*x).0)
                .collect::<Vec<_>>(),
            gammas: &self
                .gammas
                .iter()
                .map(|x| canonical(*x).0)
                .collect::<Vec<_>>(),
            powers: &shared.powers,
            points: raw(&points),
            lagrange: raw(&lagrange),
            constants_sigmas: raw(&buffers.constants),
            wires: raw(&buffers.wires),
            products: raw(&buffers.products),
            next: raw(&buffers.next),
            gates: raw(&buffers.constraints),
            divisor: canonical(vanishing.inverse()).0,
            sums: raw_mut(&mut sums),
        });
        sums
    }
}

/// A task's columns, `POINTS` values of each; what a small block has no points for stays zero.
#[derive(Default)]
struct Buffers {
    constants: Vec<F>,
    wires: Vec<F>,
    products: Vec<F>,
    next: Vec<F>,
    constraints: Vec<F>,
    filters: Vec<F>,
}

impl Buffers {
    fn fill(&mut self, q: &Quotient, block: usize, at: usize, count: usize) {
        let challenges = q.alphas.len();
        self.constants
            .resize(q.constants[0].len() * POINTS, F::ZERO);
        self.wires.resize(q.wires.len() * POINTS, F::ZERO);
        self.products.resize(q.products.len() * POINTS, F::ZERO);
        self.next.resize(challenges * POINTS, F::ZERO);
        let (bits, rows) = (q.domain.bits(), q.domain.block());
        for i in 0..count {
            let point = block + ((at + i) << q.domain.rate_bits);
            for (column, value) in q.constants[reverse(point, bits)].iter().enumerate() {
                self.constants[column * POINTS + i] = *value;
            }
        }
        let start = block * rows;
        let copy = |to: &mut [F], columns: &[&[F]]| {
            for (to, column) in to.chunks_exact_mut(POINTS).zip(columns) {
                to[..count].copy_from_slice(&column[start + at..][..count]);
            }
        };
        copy(&mut self.wires, &q.wires);
        copy(&mut self.products, &q.products);
        for (to, column) in self.next.chunks_exact_mut(POINTS).zip(&q.products) {
            let column = &column[start..start + rows];
            to[..count - 1].copy_from_slice(&column[at + 1..at + count]);
            to[count - 1] = column[(at + count) % rows];
        }
    }

    /// Every gate's constraints, filtered and added up.
    fn gates(&mut self, q: &Quotient) {
        let common = q.gates.common;
        self.constraints.clear();
        self.constraints
            .resize(common.num_gate_constraints * POINTS, F::ZERO);
        let selectors = q.gates.groups.len();
        let prefix = selectors + common.num_lookup_selectors;
        let columns = &self.constants[prefix * POINTS..common.num_constants * POINTS];
        let vars = EvaluationVarsBaseBatch::new(POINTS, columns, &self.wires, &q.public_inputs);
        for (group, gates) in q.gates.groups.iter().enumerate() {
            self.filters.resize(gates.len() * POINTS, F::ZERO);
            q.kernel.apply(Filters {
                selector: raw(&self.constants[group * POINTS..][..POINTS]),
                first: gates.start as u64,
                others: selectors > 1,
                filters: raw_mut(&mut self.filters[..gates.len() * POINTS]),
            });
            let filters = self.filters.chunks_exact(POINTS);
            for (gate, filter) in q.gates.group(group).iter().zip(filters) {
                let constraints = gate.0.eval_unfiltered_base_batch(vars);
                q.kernel.apply(AddFiltered {
                    sums: raw_mut(&mut self.constraints),
                    constraints: raw(&constraints),
                    filter: raw(filter),
                });
            }
        }
    }
}

/// Of each gate of a selector, the product that is zero in the other gates' rows.
struct Filters<'a> {
    selector: &'a [u64],
    /// Index of the first gate.
    first: u64,
    /// Whether there are other selectors.
    others: bool,
    filters: &'a mut [u64],
}

impl Op for Filters<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let gates = self.filters.len() / POINTS;
        for at in (0..POINTS).step_by(S::WIDTH) {
            let selector = s.canonical(s.load(&self.selector[at..]));
            let mut product = if self.others {
                s.sub_once(s.splat(UNUSED), selector)
            } else {
                s.splat(1)
            };
            for gate in 0..gates {
                s.store(product, &mut self.filters[gate * POINTS + at..]);
                let other = s.sub_once(s.splat(self.first + gate as u64), selector);
                product = s.mul(product, other);
            }
            let mut product = s.splat(1);
            for gate in (0..gates).rev() {
                let filter = &mut self.filters[gate * POINTS + at..];
                s.store(s.mul(s.load(filter), product), filter);
                let other = s.sub_once(s.splat(self.first + gate as u64), selector);
                product = s.mul(product, other);
            }
        }
    }
}

struct AddFiltered<'a> {
    sums: &'a mut [u64],
    constraints: &'a [u64],
    filter: &'a [u64],
}

impl Op for AddFiltered<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let sums = self.sums.chunks_exact_mut(POINTS);
        for (sums, constraint) in sums.zip(self.constraints.chunks_exact(POINTS)) {
            for at in (0..POINTS).step_by(S::WIDTH) {
                let term = s.mul(s.load(&constraint[at..]), s.load(&self.filter[at..]));
                s.store(s.add_mod(s.load(&sums[at..]), term), &mut sums[at..]);
            }
        }
    }
}

/// sum += factor · terms.
struct AddTerm<'a> {
    sum: &'a mut [u64],
    terms: &'a [u64],
    factor: u64,
}

impl Op for AddTerm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        let mut sums = self.sum.chunks_exact_mut(S::WIDTH);
        let terms = self.terms.chunks_exact(S::WIDTH);
        let rest = terms.remainder();
        for (sum, terms) in (&mut sums).zip(terms) {
            s.store(s.add_mod(s.load(sum), s.mul(s.load(terms), factor)), sum);
        }
        let element = F::from_noncanonical_u64;
        for (sum, term) in sums.into_remainder().iter_mut().zip(rest) {
            *sum = (element(*sum) + element(*term) * element(self.factor)).0;
        }
    }
}

/// Adds up all terms, weighted by powers of each challenge, and divides by Z_H.
struct Combine<'a> {
    degree: usize,
    routed: usize,
    challenges: usize,
    constants: usize,
    shifts: &'a [u64],
    betas: &'a [u64],
    gammas: &'a [u64],
    powers: &'a [Vec<u64>],
    points: &'a [u64],
    lagrange: &'a [u64],
    constants_sigmas: &'a [u64],
    wires: &'a [u64],
    products: &'a [u64],
    next: &'a [u64],
    gates: &'a [u64],
    /// 1 / Z_H.
    divisor: u64,
    sums: &'a mut [u64],
}

impl Op for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for at in (0..POINTS).step_by(S::WIDTH) {
            let mut term = 0;
            for challenge in 0..self.challenges {
                let z = s.load(&self.products[challenge * POINTS + at..]);
                let one = s.sub_once(z, s.splat(1));
                let value = s.mul(one, s.load(&self.lagrange[at..]));
                self.add(s, at, term, value);
                term += 1;
            }
            for challenge in 0..self.challenges {
                term = self.chunks(s, at, term, challenge);
            }
            let gates = self.gates;
            for constraint in gates.chunks_exact(POINTS) {
                self.add(s, at, term, s.load(&constraint[at..]));
                term += 1;
            }
            for sum in self.sums.chunks_exact_mut(POINTS) {
                s.store(
                    s.mul(s.load(&sum[at..]), s.splat(self.divisor)),
                    &mut sum[at..],
                );
            }
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    fn add<S: Simd>(&mut self, s: S, at: usize, term: usize, value: S::V) {
        for (sum, powers) in self.sums.chunks_exact_mut(POINTS).zip(self.powers) {
            let weighted = s.mul(value, s.splat(powers[term]));
            s.store(s.add_mod(s.load(&sum[at..]), weighted), &mut sum[at..]);
        }
    }

    /// The checks that each running product follows from the one before.
    #[inline(always)]
    fn chunks<S: Simd>(&mut self, s: S, at: usize, term: usize, challenge: usize) -> usize {
        let (beta, gamma) = (
            s.splat(self.betas[challenge]),
            s.splat(self.gammas[challenge]),
        );
        let shifts = &self.shifts[challenge * self.routed..][..self.routed];
        let count = self.routed.div_ceil(self.degree);
        let point = s.load(&self.points[at..]);
        let mut before = s.load(&self.products[challenge * POINTS + at..]);
        for (chunk, shifts) in shifts.chunks(self.degree).enumerate() {
            let (mut numerator, mut denominator) = (s.splat(1), s.splat(1));
            for (i, shift) in shifts.iter().enumerate() {
                let wire = chunk * self.degree + i;
                let value = s.add_once(s.load(&self.wires[wire * POINTS + at..]), gamma);
                let sigma = s.load(&self.constants_sigmas[(self.constants + wire) * POINTS + at..]);
                let identity = s.mul(point, s.splat(*shift));
                numerator = s.mul(numerator, s.add_mod(value, identity));
                denominator = s.mul(denominator, s.add_mod(value, s.mul(sigma, beta)));
            }
            let after = if chunk + 1 < count {
                let partial = self.challenges + challenge * (count - 1) + chunk;
                s.load(&self.products[partial * POINTS + at..])
            } else {
                s.load(&self.next[challenge * POINTS + at..])
            };
            let check = s.sub_mod(s.mul(before, numerator), s.mul(after, denominator));
            self.add(s, at, term + chunk, check);
            before = after;
        }
        term + count
    }
}
