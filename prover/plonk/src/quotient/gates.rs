//! The gates' constraints, filtered by their selectors.
//!
//! Filters make every gate's constraints of the quotient's full degree, but a gate's own degree is
//! often 2 to 5, and a weighted sum of its constraints is a polynomial of no higher degree: on as
//! many cosets it is determined. So such a gate is evaluated on the first ones only, its sum for
//! each challenge is extended to the others, and the filter comes last.

use std::ops::Range;
use std::sync::Arc;

use plonky2::field::types::Field;
use plonky2::gates::gate::GateRef;
use plonky2::gates::poseidon::PoseidonGate;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::EvaluationVarsBaseBatch;
use rayon::prelude::*;
use serde::Deserialize;
use tally_kernels::raw::{elements, raw, raw_mut};
use tally_kernels::simd::{Op, P, Simd};

use super::cosets::Cosets;
use super::evaluator::{Evaluator, Inputs, STOCK};
use super::tape::{Cell, Play, Tape};
use super::{POINTS, Quotient, Shared};
use crate::gate_poseidon::PoseidonConstraints;
use crate::tree::reverse;
use crate::{D, F};

/// The value of a selector in rows of other selectors' gates.
const UNUSED: u64 = u32::MAX as u64;

/// Cosets that a gate is not evaluated on, at least, where it is not evaluated on all.
const SPARED: usize = 2;

/// Gates and their selectors.
pub(crate) struct Gates<'a> {
    common: &'a CommonCircuitData<F, D>,
    /// Of each selector, its gates.
    groups: Vec<Range<usize>>,
    /// Gates with constraints.
    active: Vec<Active<'a>>,
}

/// A gate with constraints.
struct Active<'a> {
    /// Its place among all gates.
    index: usize,
    gate: &'a GateRef<F, D>,
    way: Way,
    /// How many cosets determine its constraints' sums; none if all are needed.
    cosets: Option<usize>,
}

/// How a gate is evaluated.
enum Way {
    Tape(Arc<Tape>),
    Poseidon,
    Stock,
}

impl Active<'_> {
    /// Whether it is evaluated on a coset.
    fn is_on(&self, coset: usize) -> bool {
        self.cosets.is_none_or(|count| coset < count)
    }
}

/// What Plonky2 keeps to itself of `SelectorsInfo`, as it serializes it.
#[derive(Deserialize)]
struct Selectors {
    selector_indices: Vec<usize>,
    groups: Vec<Range<usize>>,
}

impl<'a> Gates<'a> {
    /// With evaluators of gates that Plonky2 does not have. None if Plonky2 does not tell its
    /// selectors as expected.
    pub(crate) fn new(
        common: &'a CommonCircuitData<F, D>,
        evaluators: &'a [Evaluator],
    ) -> Option<Self> {
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
        let inputs = Inputs {
            wires: common.config.num_wires,
            constants: common.num_constants - groups.len() - common.num_lookup_selectors,
        };
        let most = common.quotient_degree_factor.next_power_of_two();
        let active = common.gates.iter().enumerate().map(|(index, gate)| {
            let mut known = STOCK.iter().chain(evaluators);
            let tape = known.find_map(|evaluator| evaluator.tape(gate, inputs));
            let cosets = gate.0.degree().max(1);
            Active {
                index,
                gate,
                way: match tape {
                    Some(tape) => Way::Tape(tape),
                    None if gate.0.as_any().is::<PoseidonGate<F, D>>() => Way::Poseidon,
                    None => Way::Stock,
                },
                // One coset less is not worth the transforms.
                cosets: (cosets + SPARED <= most).then_some(cosets),
            }
        });
        Some(Self {
            common,
            groups,
            active: active
                .filter(|active| active.gate.0.num_constraints() > 0)
                .collect(),
        })
    }

    pub(super) fn common(&self) -> &CommonCircuitData<F, D> {
        self.common
    }
}

/// Weighted sums of the gates that a few cosets determine.
pub(super) struct Low<'a> {
    gates: &'a [Active<'a>],
    rows: usize,
    /// Of each gate and challenge: values on the first cosets, then chunks; nothing for gates that
    /// all cosets are needed for.
    sums: Vec<Vec<F>>,
    /// Of each gate and challenge, the values on the current coset if it is evaluated no more.
    values: Vec<Vec<F>>,
    challenges: usize,
}

impl<'a> Low<'a> {
    pub(super) fn new(q: &'a Quotient) -> Self {
        let (rows, challenges) = (q.domain.block(), q.alphas.len());
        let gates = &q.gates.active[..];
        let sums = gates
            .iter()
            .flat_map(|gate| vec![gate.cosets.unwrap_or(0) * rows; challenges]);
        Self {
            gates,
            rows,
            sums: sums.map(|size| vec![F::ZERO; size]).collect(),
            values: vec![Vec::new(); gates.len() * challenges],
            challenges,
        }
    }

    /// Goes on to a coset.
    pub(super) fn reach(&mut self, coset: usize, cosets: &Cosets) {
        let (gates, challenges) = (self.gates, self.challenges);
        let block = cosets.block(coset);
        let shifts = cosets.shifts(block);
        self.sums
            .par_iter_mut()
            .zip(&mut self.values)
            .enumerate()
            .filter(|(i, _)| !gates[i / challenges].is_on(coset))
            .for_each(|(i, (sum, values))| {
                if gates[i / challenges].cosets == Some(coset) {
                    cosets.interpolate(sum);
                    values.resize(cosets.domain.block(), F::ZERO);
                }
                cosets.evaluate(sum, &shifts, block, values);
            });
    }

    /// Keeps what the coset's tasks have found, in the order of points.
    pub(super) fn keep<'t>(&mut self, coset: usize, tasks: impl Iterator<Item = &'t [F]>) {
        for (task, found) in tasks.enumerate() {
            let mut found = found.chunks_exact(POINTS);
            for (gate, sums) in self.gates.iter().zip(self.sums.chunks_mut(self.challenges)) {
                if gate.cosets.is_none() || !gate.is_on(coset) {
                    continue;
                }
                for (sum, found) in sums.iter_mut().zip(&mut found) {
                    let at = task * POINTS;
                    let count = POINTS.min(self.rows - at);
                    sum[coset * self.rows + at..][..count].copy_from_slice(&found[..count]);
                }
            }
        }
    }

    /// A gate's sums at some points of the current coset, challenge by challenge.
    fn read(&self, gate: usize, points: Range<usize>, sums: &mut [F]) {
        let values = &self.values[gate * self.challenges..];
        for (sums, values) in sums.chunks_exact_mut(POINTS).zip(values) {
            sums[..points.len()].copy_from_slice(&values[points.clone()]);
        }
    }
}

/// A task's columns, `POINTS` values of each; what a small block has no points for stays zero.
#[derive(Default)]
pub(super) struct Buffers {
    pub constants: Vec<F>,
    /// Wires, then the gates' constants, then what tapes need.
    cells: Vec<Cell>,
    pub products: Vec<F>,
    pub next: Vec<F>,
    /// Of every gate.
    filters: Vec<F>,
}

impl Buffers {
    /// Reads constants and wires of `count` points from `at` on.
    pub(super) fn fill(&mut self, q: &Quotient, block: usize, at: usize, count: usize) {
        self.constants
            .resize(q.constants[0].len() * POINTS, F::ZERO);
        let (wires, constants) = (q.wires.len(), self.constants_of_gates(q));
        let others = q.gates.active.iter().map(|active| match &active.way {
            Way::Tape(tape) => tape.cells(),
            _ => 0,
        });
        let cells = others.max().unwrap_or(0).max(wires + constants.len());
        self.cells.resize(cells, [0; POINTS]);
        let bits = q.domain.bits();
        for i in 0..count {
            let point = block + ((at + i) << q.domain.rate_bits);
            for (column, value) in q.constants[reverse(point, bits)].iter().enumerate() {
                self.constants[column * POINTS + i] = *value;
            }
        }
        let start = (block << q.domain.block_bits) + at;
        for (cell, column) in self.cells.iter_mut().zip(&q.wires) {
            cell[..count].copy_from_slice(raw(&column[start..start + count]));
        }
        let from = raw(&self.constants[constants.start * POINTS..constants.end * POINTS]);
        for (cell, column) in self.cells[wires..]
            .iter_mut()
            .zip(from.chunks_exact(POINTS))
        {
            cell.copy_from_slice(column);
        }
    }

    /// The columns of constants that gates see: selectors come before.
    fn constants_of_gates(&self, q: &Quotient) -> Range<usize> {
        let common = q.gates.common;
        q.gates.groups.len() + common.num_lookup_selectors..common.num_constants
    }

    /// The wires' columns.
    pub(super) fn wires(&self, q: &Quotient) -> &[u64] {
        self.cells[..q.wires.len()].as_flattened()
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

    /// Adds every gate's filtered sums for each challenge; the sums before the filter of those that
    /// `Low` is to keep.
    pub(super) fn gates(
        &mut self,
        q: &Quotient,
        shared: &Shared,
        low: &Low,
        coset: usize,
        points: Range<usize>,
        sums: &mut [F],
    ) -> Vec<F> {
        self.filter(q);
        let mut kept = Vec::new();
        let mut own = vec![F::ZERO; sums.len()];
        for (i, gate) in q.gates.active.iter().enumerate() {
            if gate.is_on(coset) {
                self.weigh(q, shared, gate, &mut own);
                if gate.cosets.is_some() {
                    kept.extend_from_slice(&own);
                }
            } else {
                low.read(i, points.clone(), &mut own);
            }
            q.kernel.apply(AddFiltered {
                sums: raw_mut(sums),
                terms: raw(&own),
                filter: raw(&self.filters[gate.index * POINTS..][..POINTS]),
            });
        }
        kept
    }

    /// Filters of all gates.
    fn filter(&mut self, q: &Quotient) {
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
    }

    /// A gate's constraints at all points, added up for each challenge by its powers.
    fn weigh(&mut self, q: &Quotient, shared: &Shared, active: &Active, sums: &mut [F]) {
        let gate = &active.gate.0;
        let mut values = Vec::new();
        let constraints = match &active.way {
            Way::Tape(tape) => {
                let cells = &mut self.cells;
                q.kernel.apply(Play { tape, cells });
                self.cells[tape.constraints()].as_flattened()
            }
            Way::Poseidon => {
                values.resize(gate.num_constraints() * POINTS, F::ZERO);
                q.kernel.apply(PoseidonConstraints {
                    points: POINTS,
                    wires: self.wires(q),
                    constraints: raw_mut(&mut values),
                });
                raw(&values)
            }
            Way::Stock => {
                let constants = self.constants_of_gates(q);
                let constants = &self.constants[constants.start * POINTS..constants.end * POINTS];
                let (wires, hash) = (elements(self.wires(q)), &q.public_inputs);
                let vars = EvaluationVarsBaseBatch::new(POINTS, constants, wires, hash);
                values = gate.eval_unfiltered_base_batch(vars);
                raw(&values)
            }
        };
        q.kernel.apply(Weigh {
            sums: raw_mut(sums),
            constraints,
            powers: &shared.powers,
            first: shared.first_gate,
        });
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

/// Adds terms times a filter, challenge by challenge.
struct AddFiltered<'a> {
    sums: &'a mut [u64],
    terms: &'a [u64],
    filter: &'a [u64],
}

impl Op for AddFiltered<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let sums = self.sums.chunks_exact_mut(POINTS);
        for (sums, terms) in sums.zip(self.terms.chunks_exact(POINTS)) {
            for at in (0..POINTS).step_by(S::WIDTH) {
                let term = s.mul(s.load(&terms[at..]), s.load(&self.filter[at..]));
                s.store(s.add_mod(s.load(&sums[at..]), term), &mut sums[at..]);
            }
        }
    }
}

/// All constraints added up, each times a power, for each challenge.
struct Weigh<'a> {
    sums: &'a mut [u64],
    constraints: &'a [u64],
    powers: &'a [Vec<u64>],
    /// The first constraint's power.
    first: usize,
}

impl Op for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (sums, powers) in self.sums.chunks_exact_mut(POINTS).zip(self.powers) {
            for at in (0..POINTS).step_by(S::WIDTH) {
                let mut sum = s.splat(0);
                let powers = powers[self.first..].chunks(LAZY);
                for (constraints, powers) in self.constraints.chunks(LAZY * POINTS).zip(powers) {
                    sum = s.add_mod(weighted(s, constraints, powers, at), sum);
                }
                s.store(sum, &mut sums[at..]);
            }
        }
    }
}

/// Products of a limb of 22 bits and one of 32 that add up to less than 2^64.
const LAZY: usize = 1 << 10;

/// Σ power·constraint at the points from one on; in limbs, so that what is reduced is the sum.
#[inline(always)]
fn weighted<S: Simd>(s: S, constraints: &[u64], powers: &[u64], at: usize) -> S::V {
    let limb = s.splat((1 << 22) - 1);
    let mut sums = [[s.splat(0); 2]; 3];
    for (constraint, power) in constraints.chunks_exact(POINTS).zip(powers) {
        let constraint = s.load(&constraint[at..]);
        let limbs = [
            s.and(constraint, limb),
            s.and(s.shr::<22>(constraint), limb),
            s.shr::<44>(constraint),
        ];
        let power = s.splat(*power);
        let power = [power, s.shr::<32>(power)];
        for i in 0..3 {
            for j in 0..2 {
                sums[i][j] = s.add(sums[i][j], s.mul_low(limbs[i], power[j]));
            }
        }
    }
    let mut sum = s.splat(0);
    for i in 0..3 {
        for j in 0..2 {
            let scale = ((1u128 << (22 * i + 32 * j)) % u128::from(P)) as u64;
            sum = s.add_mod(s.mul(sums[i][j], s.splat(scale)), sum);
        }
    }
    sum
}
