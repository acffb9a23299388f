//! The gates' constraints, filtered by their selectors.
//!
//! Filters make every gate's constraints of the quotient's full degree, but a gate's own degree is
//! often 2 to 4, and a weighted sum of its constraints is a polynomial of no higher degree: on two
//! or four cosets it is determined. So such a gate is evaluated there only, its sum for each
//! challenge is extended to the other cosets, and the filter comes last.

use std::ops::Range;

use plonky2::field::types::Field;
use plonky2::gates::gate::GateRef;
use plonky2::gates::poseidon::PoseidonGate;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::EvaluationVarsBaseBatch;
use rayon::prelude::*;
use serde::Deserialize;

use super::cosets::Cosets;
use super::{POINTS, Quotient, Shared};
use crate::gate_poseidon::PoseidonConstraints;
use crate::raw::{raw, raw_mut};
use crate::simd::{Op, Simd};
use crate::tree::reverse;
use crate::{D, F};

/// The value of a selector in rows of other selectors' gates.
const UNUSED: u64 = u32::MAX as u64;

/// Gates and their selectors.
pub(crate) struct Gates<'a> {
    common: &'a CommonCircuitData<F, D>,
    /// Of each selector, its gates.
    groups: Vec<Range<usize>>,
    /// Gates that a few cosets determine, with their number.
    low: Vec<(usize, usize)>,
    /// The other gates with constraints.
    full: Vec<usize>,
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
        if selector_indices.len() != common.gates.len()
            || !selector_indices.iter().enumerate().all(of_group)
        {
            return None;
        }
        let blocks = common.quotient_degree_factor.next_power_of_two();
        let (mut low, mut full) = (Vec::new(), Vec::new());
        for (i, gate) in common.gates.iter().enumerate() {
            let cosets = gate.0.degree().max(1).next_power_of_two();
            match gate.0.num_constraints() {
                0 => {}
                _ if cosets < blocks => low.push((i, cosets)),
                _ => full.push(i),
            }
        }
        Some(Self {
            common,
            groups,
            low,
            full,
        })
    }

    pub(super) fn common(&self) -> &CommonCircuitData<F, D> {
        self.common
    }
}

/// Each low gate's weighted sums, challenge by challenge, as chunks.
pub(super) fn low_polynomials(
    q: &Quotient,
    cosets: &Cosets,
    shared: &Shared,
    blocks: usize,
) -> Vec<Vec<F>> {
    let (rows, challenges) = (q.domain.block(), q.alphas.len());
    let sizes = q
        .gates
        .low
        .iter()
        .flat_map(|(_, count)| vec![*count; challenges]);
    let mut sums: Vec<Vec<F>> = sizes.map(|count| vec![F::ZERO; count * rows]).collect();
    for place in 0..blocks {
        // Of all blocks, a gate on m cosets is evaluated on each (blocks / m)-th.
        let here: Vec<usize> = (0..q.gates.low.len())
            .filter(|i| place % (blocks / q.gates.low[*i].1) == 0)
            .collect();
        if here.is_empty() {
            continue;
        }
        let block = cosets.block(place, blocks);
        let tasks: Vec<Vec<F>> = (0..rows.div_ceil(POINTS))
            .into_par_iter()
            .map_init(Buffers::default, |buffers, task| {
                buffers.fill(q, block, task * POINTS, POINTS.min(rows - task * POINTS));
                buffers.low_sums(q, shared, &here)
            })
            .collect();
        for (k, i) in here.iter().enumerate() {
            let coset = place / (blocks / q.gates.low[*i].1);
            for challenge in 0..challenges {
                let sum = &mut sums[i * challenges + challenge][coset * rows..][..rows];
                for (to, task) in sum.chunks_mut(POINTS).zip(&tasks) {
                    let from = &task[(k * challenges + challenge) * POINTS..];
                    to.copy_from_slice(&from[..to.len()]);
                }
            }
        }
    }
    sums.par_iter_mut().for_each(|sum| cosets.interpolate(sum));
    sums
}

/// The low gates' sums on a block.
pub(super) fn low_values(cosets: &Cosets, low: &[Vec<F>], block: usize) -> Vec<Vec<F>> {
    let shifts = cosets.shifts(block);
    low.par_iter()
        .map(|chunks| {
            let mut values = vec![F::ZERO; cosets.domain.block()];
            cosets.evaluate(chunks, &shifts, block, &mut values);
            values
        })
        .collect()
}

/// A task's columns, `POINTS` values of each; what a small block has no points for stays zero.
#[derive(Default)]
pub(super) struct Buffers {
    pub constants: Vec<F>,
    pub wires: Vec<F>,
    pub products: Vec<F>,
    pub next: Vec<F>,
    /// Sums of the full gates' filtered constraints.
    pub constraints: Vec<F>,
    /// Of every gate.
    filters: Vec<F>,
}

impl Buffers {
    /// Reads constants and wires of `count` points from `at` on.
    pub(super) fn fill(&mut self, q: &Quotient, block: usize, at: usize, count: usize) {
        self.constants
            .resize(q.constants[0].len() * POINTS, F::ZERO);
        self.wires.resize(q.wires.len() * POINTS, F::ZERO);
        let bits = q.domain.bits();
        for i in 0..count {
            let point = block + ((at + i) << q.domain.rate_bits);
            for (column, value) in q.constants[reverse(point, bits)].iter().enumerate() {
                self.constants[column * POINTS + i] = *value;
            }
        }
        let start = (block << q.domain.block_bits) + at;
        copy(&mut self.wires, &q.wires, start, count);
    }

    /// Reads running products of the same points, and Z at the next row.
    pub(super) fn fill_products(&mut self, q: &Quotient, block: usize, at: usize, count: usize) {
        self.products.resize(q.products.len() * POINTS, F::ZERO);
        self.next.resize(q.alphas.len() * POINTS, F::ZERO);
        let rows = q.domain.block();
        let start = block * rows;
        copy(&mut self.products, &q.products, start + at, count);
        for (to, column) in self.next.chunks_exact_mut(POINTS).zip(&q.products) {
            let column = &column[start..start + rows];
            to[..count - 1].copy_from_slice(&column[at + 1..at + count]);
            to[count - 1] = column[(at + count) % rows];
        }
    }

    /// Filters of all gates, and the full gates' constraints, filtered and added up.
    pub(super) fn gates(&mut self, q: &Quotient) {
        let gates = &q.gates;
        self.filters
            .resize(gates.common.gates.len() * POINTS, F::ZERO);
        for (group, range) in gates.groups.iter().enumerate() {
            q.kernel.apply(Filters {
                selector: raw(&self.constants[group * POINTS..][..POINTS]),
                first: range.start as u64,
                others: gates.groups.len() > 1,
                filters: raw_mut(&mut self.filters[range.start * POINTS..range.end * POINTS]),
            });
        }
        let mut sums = std::mem::take(&mut self.constraints);
        sums.clear();
        sums.resize(gates.common.num_gate_constraints * POINTS, F::ZERO);
        for gate in &gates.full {
            q.kernel.apply(AddFiltered {
                sums: raw_mut(&mut sums),
                constraints: raw(&self.constraints(q, &gates.common.gates[*gate])),
                filter: raw(&self.filters[gate * POINTS..][..POINTS]),
            });
        }
        self.constraints = sums;
    }

    /// Adds the low gates' sums, filtered, for each challenge.
    pub(super) fn add_low(
        &self,
        q: &Quotient,
        low: &[Vec<F>],
        at: usize,
        count: usize,
        sums: &mut [F],
    ) {
        let challenges = q.alphas.len();
        let mut values = [F::ZERO; POINTS];
        for ((gate, _), low) in q.gates.low.iter().zip(low.chunks_exact(challenges)) {
            for (sum, low) in sums.chunks_exact_mut(POINTS).zip(low) {
                values[..count].copy_from_slice(&low[at..at + count]);
                q.kernel.apply(AddFiltered {
                    sums: raw_mut(sum),
                    constraints: raw(&values),
                    filter: raw(&self.filters[gate * POINTS..][..POINTS]),
                });
            }
        }
    }

    /// Some low gates' constraints, added up for each challenge by its powers.
    fn low_sums(&self, q: &Quotient, shared: &Shared, low: &[usize]) -> Vec<F> {
        let challenges = q.alphas.len();
        let mut sums = vec![F::ZERO; low.len() * challenges * POINTS];
        for (i, sums) in low.iter().zip(sums.chunks_exact_mut(challenges * POINTS)) {
            let gate = &q.gates.common.gates[q.gates.low[*i].0];
            q.kernel.apply(AddWeighted {
                sums: raw_mut(sums),
                constraints: raw(&self.constraints(q, gate)),
                powers: &shared.powers,
                first: shared.first_gate,
            });
        }
        sums
    }

    /// A gate's constraints at all points, one after the other.
    fn constraints(&self, q: &Quotient, gate: &GateRef<F, D>) -> Vec<F> {
        if gate.0.as_any().is::<PoseidonGate<F, D>>() {
            let mut constraints = vec![F::ZERO; gate.0.num_constraints() * POINTS];
            q.kernel.apply(PoseidonConstraints {
                points: POINTS,
                wires: raw(&self.wires),
                constraints: raw_mut(&mut constraints),
            });
            return constraints;
        }
        let common = q.gates.common;
        let prefix = q.gates.groups.len() + common.num_lookup_selectors;
        let columns = &self.constants[prefix * POINTS..common.num_constants * POINTS];
        let vars = EvaluationVarsBaseBatch::new(POINTS, columns, &self.wires, &q.public_inputs);
        gate.0.eval_unfiltered_base_batch(vars)
    }
}

fn copy(to: &mut [F], columns: &[&[F]], start: usize, count: usize) {
    for (to, column) in to.chunks_exact_mut(POINTS).zip(columns) {
        to[..count].copy_from_slice(&column[start..start + count]);
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
            let mut product = s.splat(1);
            if self.others {
                product = s.sub_once(s.splat(UNUSED), selector);
            }
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

/// Adds constraint after constraint, times a filter.
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

/// Adds all constraints, each times a power, for each challenge.
struct AddWeighted<'a> {
    sums: &'a mut [u64],
    constraints: &'a [u64],
    powers: &'a [Vec<u64>],
    /// The first constraint's power.
    first: usize,
}

impl Op for AddWeighted<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (sums, powers) in self.sums.chunks_exact_mut(POINTS).zip(self.powers) {
            let constraints = self.constraints.chunks_exact(POINTS);
            for (constraint, power) in constraints.zip(&powers[self.first..]) {
                let power = s.splat(*power);
                for at in (0..POINTS).step_by(S::WIDTH) {
                    let term = s.mul(s.load(&constraint[at..]), power);
                    s.store(s.add_mod(s.load(&sums[at..]), term), &mut sums[at..]);
                }
            }
        }
    }
}
