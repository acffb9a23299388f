//! The circuit's second column: Poseidon's permutations, and the limbs of range checks.
//!
//! *Statement.* Of each permutation's cells the last three are the result on the first three. Of
//! each check's five cells the first is the number whose limbs the other four are.
//! *How it meets the rest.* These cells are copies of halo2-base's, and can be copied.
//! *One fixed column beside it* holds the permutations' constants and, beside limbs, the table of
//! what a limb may be: so the table's rows are those of the limbs, and there must be as many.
//! *Cost.* 122 rows a permutation, 5 rows a check.

use halo2_base::utils::fe_to_biguint;
use halo2_base::{AssignedValue, Context, ContextCell, QuantumCell};
use halo2_proofs::circuit::{Cell as Placed, Region, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{
    Advice, Assigned, Column, ConstraintSystem, Expression, Fixed, VirtualCells,
};
use halo2_proofs::poly::Rotation;

use num_bigint::BigUint;

use crate::chip::Cell;
use crate::permutation::{ROWS, Step, Trace, constants, constraints, length, step, trace};
use crate::poseidon::{WIDTH, from_halo, to_halo};

/// Limbs of a check.
pub const LIMBS: usize = 4;
/// Rows of a check: the number, then its limbs, lowest first.
pub(crate) const CHECK_ROWS: usize = 1 + LIMBS;
pub(crate) const PERMUTATIONS: &str = "tally-wrap: permutations";
pub(crate) const CHECKS: &str = "tally-wrap: checks";

/// The columns.
#[derive(Clone, Debug)]
pub struct SideConfig {
    cells: Column<Advice>,
    /// Constants and table.
    pub fixed: Column<Fixed>,
    is_limb: Column<Fixed>,
    is_full: Column<Fixed>,
    is_partial: Column<Fixed>,
}

impl SideConfig {
    pub fn configure(meta: &mut ConstraintSystem<Fr>, limb_bits: usize) -> Self {
        let config = Self {
            cells: meta.advice_column(),
            fixed: meta.fixed_column(),
            is_limb: meta.fixed_column(),
            is_full: meta.fixed_column(),
            is_partial: meta.fixed_column(),
        };
        meta.enable_equality(config.cells);
        for (step, selector) in [
            (Step::Full, config.is_full),
            (Step::Partial, config.is_partial),
        ] {
            meta.create_gate("a step of Poseidon", |cells| {
                let selector = cells.query_fixed(selector, Rotation::cur());
                let constraints = config.step(cells, step).into_iter();
                constraints
                    .map(|constraint| selector.clone() * constraint)
                    .collect::<Vec<_>>()
            });
        }
        meta.create_gate("limbs", |cells| vec![config.limbs(cells, limb_bits)]);
        meta.lookup_any("a limb", |cells| {
            let is_limb = cells.query_fixed(config.is_limb, Rotation::cur());
            let limb = cells.query_advice(config.cells, Rotation::cur());
            let table = cells.query_fixed(config.fixed, Rotation::cur());
            vec![(is_limb.clone() * limb, is_limb * table)]
        });
        config
    }

    fn step(&self, cells: &mut VirtualCells<'_, Fr>, step: Step) -> Vec<Expression<Fr>> {
        let count = length(step) + WIDTH;
        let advice: Vec<Expression<Fr>> = (0..count)
            .map(|i| cells.query_advice(self.cells, Rotation(i as i32)))
            .collect();
        let fixed = [0, 1, 2].map(|i| cells.query_fixed(self.fixed, Rotation(i)));
        constraints(step, &advice, &fixed)
    }

    /// A row that is no limb, before one that is: a number before its limbs.
    fn limbs(&self, cells: &mut VirtualCells<'_, Fr>, limb_bits: usize) -> Expression<Fr> {
        let [here, next] = [Rotation::cur(), Rotation::next()]
            .map(|rotation| cells.query_fixed(self.is_limb, rotation));
        let mut rest = cells.query_advice(self.cells, Rotation::cur());
        for i in 0..LIMBS {
            let limb = cells.query_advice(self.cells, Rotation(i as i32 + 1));
            rest = rest - limb * Fr::from(1 << (i * limb_bits));
        }
        (Expression::Constant(Fr::one()) - here) * next * rest
    }
}

/// A cell of the circuit, counted among its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Of halo2-base's column.
    Cell(usize),
    Check(usize),
    Permutation(usize),
    Constant(usize),
}

/// What stands in the column, in order.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub(crate) permutations: Vec<Trace>,
    pub(crate) checks: Vec<[Fr; CHECK_ROWS]>,
    /// What tests add to cells when they are put.
    pub(crate) lies: Vec<(Place, Fr)>,
}

impl Side {
    pub fn permutations(&self) -> usize {
        self.permutations.len()
    }

    pub fn checks(&self) -> usize {
        self.checks.len()
    }

    /// Rows that all of it takes, with as many checks as the table is long.
    pub fn rows(&self, limb_bits: usize) -> usize {
        self.permutations() * ROWS + self.all_checks(limb_bits) * CHECK_ROWS
    }

    fn all_checks(&self, limb_bits: usize) -> usize {
        self.checks().max((1 << limb_bits) / LIMBS)
    }

    pub(crate) fn lie(&self, place: Place) -> Option<Fr> {
        let mut lies = self.lies.iter().filter(|(at, _)| *at == place);
        lies.next().map(|(_, lie)| *lie)
    }

    /// What the next check will see of this number.
    pub(crate) fn next_number(&self, number: &Cell) -> BigUint {
        let lie = self.lie(Place::Check(self.checks() * CHECK_ROWS));
        fe_to_biguint(&(*number.value() + lie.unwrap_or(Fr::zero())))
    }

    /// The cells after a permutation of these.
    pub fn permute(
        &mut self,
        ctx: &mut Context<Fr>,
        input: [QuantumCell<Fr>; WIDTH],
    ) -> [Cell; WIDTH] {
        let first = self.permutations() * ROWS;
        let input_values = input.map(|cell| from_halo(*cell.value()));
        let trace = trace(&input_values, |row| {
            let lie = self.lie(Place::Permutation(first + row));
            lie.map_or(0.into(), from_halo)
        });
        self.permutations.push(trace);
        for (i, cell) in input.into_iter().enumerate() {
            copy(ctx, cell, ContextCell::new(PERMUTATIONS, 0, first + i));
        }
        [0, 1, 2].map(|i| {
            let row = ROWS - WIDTH + i;
            placed(
                ctx,
                trace[row],
                ContextCell::new(PERMUTATIONS, 0, first + row),
            )
        })
    }

    /// The number is Σ limbᵢ 2^(i · bits of a limb), all limbs from `used` on are zero; the limbs.
    pub fn check(
        &mut self,
        ctx: &mut Context<Fr>,
        number: Cell,
        limbs: [Fr; LIMBS],
        used: usize,
    ) -> [Cell; LIMBS] {
        let first = self.checks() * CHECK_ROWS;
        let [a, b, c, d] = limbs;
        let mut cells = [*number.value(), a, b, c, d];
        for (i, cell) in cells.iter_mut().enumerate() {
            *cell += self.lie(Place::Check(first + i)).unwrap_or(Fr::zero());
        }
        self.checks.push(cells);
        let at = |i: usize| ContextCell::new(CHECKS, 0, first + i);
        copy(ctx, number.into(), at(0));
        for i in used..LIMBS {
            copy(ctx, QuantumCell::Constant(Fr::zero()), at(1 + i));
        }
        [1, 2, 3, 4].map(|i| placed(ctx, from_halo(cells[i]), at(i)))
    }

    /// Fills the columns from this row on.
    pub fn assign(
        &self,
        config: &SideConfig,
        region: &mut Region<'_, Fr>,
        start: usize,
        limb_bits: usize,
        with_fixed: bool,
    ) -> SideCells {
        let mut placed = SideCells::default();
        for (index, cells) in self.permutations.iter().enumerate() {
            for (i, x) in cells.iter().enumerate() {
                let row = start + index * ROWS + i;
                let x = Value::known(to_halo(*x));
                let cell = region.assign_advice(config.cells, row, x).cell();
                placed.permutations.push(cell);
                if with_fixed {
                    config.assign_step(region, row, i);
                }
            }
        }
        let start = start + self.permutations() * ROWS;
        let zeros = [Fr::zero(); CHECK_ROWS];
        for index in 0..self.all_checks(limb_bits) {
            let cells = self.checks.get(index).unwrap_or(&zeros);
            for (i, x) in cells.iter().enumerate() {
                let row = start + index * CHECK_ROWS + i;
                let cell = region.assign_advice(config.cells, row, Value::known(*x));
                placed.checks.push(cell.cell());
                if with_fixed && i > 0 {
                    let entry = (index * LIMBS + i - 1) as u64 % (1 << limb_bits);
                    region.assign_fixed(config.is_limb, row, Fr::one());
                    region.assign_fixed(config.fixed, row, Fr::from(entry));
                }
            }
        }
        placed
    }
}

impl SideConfig {
    fn assign_step(&self, region: &mut Region<'_, Fr>, row: usize, cell: usize) {
        region.assign_fixed(self.fixed, row, to_halo(constants()[cell]));
        match step(cell) {
            None => None,
            Some(Step::Full) => Some(region.assign_fixed(self.is_full, row, Fr::one())),
            Some(Step::Partial) => Some(region.assign_fixed(self.is_partial, row, Fr::one())),
        };
    }
}

/// Where the cells are.
#[derive(Debug, Default)]
pub struct SideCells {
    permutations: Vec<Placed>,
    checks: Vec<Placed>,
}

impl SideCells {
    /// None for a cell of another column.
    pub fn find(&self, cell: &ContextCell) -> Option<Placed> {
        match cell.type_id {
            PERMUTATIONS => Some(self.permutations[cell.offset]),
            CHECKS => Some(self.checks[cell.offset]),
            _ => None,
        }
    }
}

fn placed(ctx: &Context<Fr>, value: ark_bn254::Fr, cell: ContextCell) -> Cell {
    AssignedValue {
        value: Assigned::Trivial(to_halo(value)),
        cell: (!ctx.witness_gen_only()).then_some(cell),
    }
}

/// Queues the constraint that `to` equals the cell or constant.
fn copy(ctx: &mut Context<Fr>, from: QuantumCell<Fr>, to: ContextCell) {
    if ctx.witness_gen_only() {
        return;
    }
    let mut copies = ctx
        .copy_manager
        .lock()
        .expect("no thread of ours panics holding it");
    match from {
        QuantumCell::Existing(cell) => {
            let cell = cell
                .cell
                .expect("cells are known where constraints are kept");
            copies.advice_equalities.push((to, cell));
        }
        QuantumCell::Constant(constant) => copies.constant_equalities.push((constant, to)),
        QuantumCell::Witness(_) | QuantumCell::WitnessFraction(_) => {
            unreachable!("what goes into the side column is a cell or a constant")
        }
    }
}
