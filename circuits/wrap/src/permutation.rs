//! Poseidon in columns of its own: a round a row, three cells of state, degree 6.
//!
//! *Statement.* Of each permutation the 66th row holds the 65 rounds' result on the first.
//! *How it meets the rest.* A permutation's first and last row are cells like any others of
//! halo2-base: what is put in is a copy, what comes out can be copied.
//! *Cost.* 66 rows of three columns a permutation.

use std::collections::HashMap;

use halo2_base::virtual_region::copy_constraints::SharedCopyConstraintManager;
use halo2_base::{AssignedValue, Context, ContextCell, QuantumCell};
use halo2_proofs::circuit::{Region, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{
    Advice, Assigned, Column, ConstraintSystem, Error, Expression, Fixed, VirtualCells,
};
use halo2_proofs::poly::Rotation;

use crate::chip::Cell;
use crate::poseidon::{ROUNDS, Spec, State, WIDTH, from_halo, is_full, to_halo};

/// Rows of one permutation: one before each round, one after the last.
pub const ROWS: usize = ROUNDS + 1;
const REGION: &str = "tally-wrap: permutations";

/// The columns.
#[derive(Clone, Debug)]
pub struct PermutationConfig {
    state: [Column<Advice>; WIDTH],
    constants: [Column<Fixed>; WIDTH],
    is_full: Column<Fixed>,
    is_partial: Column<Fixed>,
}

impl PermutationConfig {
    pub fn configure(meta: &mut ConstraintSystem<Fr>) -> Self {
        let config = Self {
            state: [(); WIDTH].map(|()| meta.advice_column()),
            constants: [(); WIDTH].map(|()| meta.fixed_column()),
            is_full: meta.fixed_column(),
            is_partial: meta.fixed_column(),
        };
        for column in config.state {
            meta.enable_equality(column);
        }
        meta.create_gate("a round of Poseidon", |cells| config.constraints(cells));
        config
    }

    fn constraints(&self, cells: &mut VirtualCells<'_, Fr>) -> Vec<Expression<Fr>> {
        let shifted = [0, 1, 2].map(|i| {
            cells.query_advice(self.state[i], Rotation::cur())
                + cells.query_fixed(self.constants[i], Rotation::cur())
        });
        let next = self
            .state
            .map(|column| cells.query_advice(column, Rotation::next()));
        let [full, partial] = [self.is_full, self.is_partial]
            .map(|column| cells.query_fixed(column, Rotation::cur()));
        let boxed = shifted.clone().map(|x| {
            let square = x.clone() * x.clone();
            square.clone() * square * x
        });
        let product = |row: &State, input: &[Expression<Fr>; WIDTH]| {
            let [a, b, c] = [0, 1, 2].map(|i| input[i].clone() * to_halo(row[i]));
            a + b + c
        };
        let partly = [boxed[0].clone(), shifted[1].clone(), shifted[2].clone()];
        let mut constraints = Vec::new();
        for (row, next) in Spec::get().matrix.iter().zip(next) {
            constraints.push(full.clone() * (product(row, &boxed) - next.clone()));
            constraints.push(partial.clone() * (product(row, &partly) - next));
        }
        constraints
    }
}

/// The permutations of one circuit, in order.
#[derive(Clone, Debug, Default)]
pub struct Permutations {
    inputs: Vec<State>,
    /// Tests change a row to see it refused: permutation, row, column.
    pub prank: Option<(usize, usize, usize)>,
}

impl Permutations {
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Rows that the permutations take.
    pub fn rows(&self) -> usize {
        self.len() * ROWS
    }

    /// The cells after a permutation of these.
    pub fn permute(
        &mut self,
        ctx: &mut Context<Fr>,
        input: [QuantumCell<Fr>; WIDTH],
    ) -> [Cell; WIDTH] {
        let first = self.rows();
        let state = input.map(|cell| from_halo(*cell.value()));
        self.inputs.push(state);
        for (column, cell) in input.into_iter().enumerate() {
            copy(ctx, cell, virtual_cell(first, column));
        }
        let output = Spec::get().permute(&state);
        let is_witness = ctx.witness_gen_only();
        [0, 1, 2].map(|column| AssignedValue {
            value: Assigned::Trivial(to_halo(output[column])),
            cell: (!is_witness).then(|| virtual_cell(first + ROUNDS, column)),
        })
    }

    /// Fills the columns; where copy constraints are kept, tells the manager where cells are.
    pub fn assign(
        &self,
        config: &PermutationConfig,
        region: &mut Region<'_, Fr>,
        copies: Option<&SharedCopyConstraintManager<Fr>>,
    ) -> Result<(), Error> {
        let spec = Spec::get();
        let mut cells = HashMap::new();
        for (index, input) in self.inputs.iter().enumerate() {
            let mut state = *input;
            for round in 0..ROWS {
                let row = index * ROWS + round;
                for (column, x) in state.iter().enumerate() {
                    let mut x = to_halo(*x);
                    if self.prank == Some((index, round, column)) {
                        x += Fr::one();
                    }
                    let cell = region.assign_advice(config.state[column], row, Value::known(x));
                    if round == 0 || round == ROUNDS {
                        cells.insert(virtual_cell(row, column), cell.cell());
                    }
                }
                if round < ROUNDS {
                    config.assign_round(region, row, round);
                    state = spec.round(round, &state);
                }
            }
        }
        if let Some(copies) = copies {
            let mut copies = copies.lock().expect("no thread of ours panics holding it");
            copies.assigned_advices.extend(cells);
        }
        Ok(())
    }
}

impl PermutationConfig {
    fn assign_round(&self, region: &mut Region<'_, Fr>, row: usize, round: usize) {
        let selector = match is_full(round) {
            true => self.is_full,
            false => self.is_partial,
        };
        region.assign_fixed(selector, row, Fr::one());
        for (column, constant) in self.constants.iter().zip(Spec::get().constants[round]) {
            region.assign_fixed(*column, row, to_halo(constant));
        }
    }
}

fn virtual_cell(row: usize, column: usize) -> ContextCell {
    ContextCell::new(REGION, 0, WIDTH * row + column)
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
            unreachable!("a permutation's input is a cell or a constant")
        }
    }
}
