//! Cells and the one gate over them, a + b c = d in four cells that follow each other.
//!
//! Every cell is put by `Chip::put`, and what is computed is computed from the cells as they stand:
//! so that a test may put another value in any of them, everything after it follows, and only what
//! says that it must not be so is broken (`circuit/tests.rs`).

use halo2_base::QuantumCell;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field as _;
use num_bigint::BigUint;

use super::{Cell, Chip, constant};
use crate::side::Place;

impl Chip<'_> {
    /// The next cell; `begins` where it is a gate's first.
    fn put(&mut self, cell: QuantumCell<Fr>, begins: bool) -> Fr {
        let lie = self.side.lie(Place::Cell(self.ctx.advice.len()));
        self.ctx.assign_region([cell], begins.then_some(0));
        let mut value = *cell.value();
        if let (Some(lie), Some(cell)) = (lie, self.ctx.advice.last_mut()) {
            value += lie;
            *cell = halo2_proofs::plonk::Assigned::Trivial(value);
        }
        value
    }

    fn last(&self) -> Cell {
        self.ctx.last().expect("a cell was put")
    }

    /// What a cell will hold that is put this many cells from now.
    pub(super) fn seen(&self, cell: &QuantumCell<Fr>, ahead: usize) -> BigUint {
        let lie = self.side.lie(Place::Cell(self.ctx.advice.len() + ahead));
        let value = *cell.value() + lie.unwrap_or(Fr::ZERO);
        halo2_base::utils::fe_to_biguint(&value)
    }

    /// A cell that is no gate's, yet.
    pub fn load(&mut self, cell: QuantumCell<Fr>) -> Cell {
        self.put(cell, false);
        self.last()
    }

    /// a + b c.
    pub fn gate(&mut self, a: QuantumCell<Fr>, b: QuantumCell<Fr>, c: QuantumCell<Fr>) -> Cell {
        let a = self.put(a, true);
        let [b, c] = [b, c].map(|cell| self.put(cell, false));
        self.load(QuantumCell::Witness(a + b * c))
    }

    /// a + b c = d, of four cells; the first two of them.
    pub fn assert_gate(&mut self, cells: [QuantumCell<Fr>; 4]) -> [Cell; 2] {
        let [a, b, c, d] = cells;
        self.put(a, true);
        let a = self.last();
        let b = self.load(b);
        self.load(c);
        self.load(d);
        [a, b]
    }

    /// a − b.
    pub fn difference(&mut self, a: QuantumCell<Fr>, b: QuantumCell<Fr>) -> Cell {
        self.gate(a, b, QuantumCell::Constant(-Fr::ONE))
    }

    /// Σ aᵢ bᵢ, and the cells of the aᵢ. A first b of one costs nothing.
    pub fn sum_of_products(
        &mut self,
        terms: &[(QuantumCell<Fr>, QuantumCell<Fr>)],
    ) -> (Cell, Vec<Cell>) {
        let mut lefts = Vec::with_capacity(terms.len());
        let is_one = |b: &QuantumCell<Fr>| matches!(b, QuantumCell::Constant(c) if *c == Fr::ONE);
        let (mut sum, rest) = match terms {
            [(a, b), rest @ ..] if is_one(b) && !rest.is_empty() => {
                let sum = self.put(*a, true);
                lefts.push(self.last());
                (sum, rest)
            }
            _ => (self.put(constant(0), true), terms),
        };
        for (i, (a, b)) in rest.iter().enumerate() {
            let a = self.put(*a, false);
            lefts.push(self.last());
            let b = self.put(*b, false);
            // A sum is also the first cell of the next gate.
            sum = self.put(QuantumCell::Witness(sum + a * b), i + 1 < rest.len());
        }
        (self.last(), lefts)
    }

    /// `yes` where the bit is set, else `no`.
    pub fn choose(&mut self, bit: Cell, yes: Cell, no: Cell) -> Cell {
        let difference = self.difference(yes.into(), no.into());
        self.gate(no.into(), bit.into(), difference.into())
    }

    /// x = x².
    pub fn assert_bit(&mut self, x: Cell) {
        self.assert_gate([constant(0), x.into(), x.into(), x.into()]);
    }
}
