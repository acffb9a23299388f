//! The halo2 circuit: two columns, one of halo2-base's cells, one beside it (`side.rs`), and the
//! instances. Few columns, because each costs L1 a point to multiply for itself, one for its
//! permutation and one for each of its selectors.
//!
//! | rows of the first column | kind | constraint |
//! |---|---|---|
//! | instances, one each | 2 | a = instance |
//! | cells of halo2-base | 1 where a gate begins | a + b c = d, in four rows |
//! | the constants, once each | 2 | a = the fixed column, where the side column has ended |

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::PrimeField as _;
use halo2_base::virtual_region::copy_constraints::SharedCopyConstraintManager;
use halo2_base::{Context, ContextCell};
use halo2_proofs::circuit::{Cell as Placed, Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{
    Advice, Assigned, Circuit, Column, ConstraintSystem, Error, Expression, Fixed, Instance,
};
use halo2_proofs::poly::Rotation;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chip::{Cell, Chip, Prank};
use crate::gates::UnknownGate;
use crate::layers::{LastCommon, LastProof};
use crate::side::{Place, Side, SideCells, SideConfig};
use crate::verifier::{LastKey, verify};

const CELLS: &str = "tally-wrap: cells";
/// Of the widest constraint, a partial step; halo2-axiom allows five unless told.
pub const DEGREE: usize = 6;
const GATE: u64 = 1;
const FIXED: u64 = 2;

/// Size of the circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// 2^k rows.
    pub k: usize,
    /// Bits of a limb: the range table holds 2^limb_bits values.
    pub limb_bits: usize,
}

impl Size {
    /// The smallest that holds the verifier in two columns.
    pub const PRODUCTION: Size = Size {
        k: 19,
        limb_bits: 16,
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CircuitError {
    #[error(transparent)]
    Gate(#[from] UnknownGate),
    #[error("the circuit takes {need} rows, 2^{k} leave {have}")]
    Rows { need: usize, have: usize, k: usize },
}

#[derive(Clone, Debug)]
pub struct WrapConfig {
    cells: Column<Advice>,
    kind: Column<Fixed>,
    side: SideConfig,
    usable_rows: usize,
}

impl WrapConfig {
    fn configure(meta: &mut ConstraintSystem<Fr>, size: Size) -> Self {
        let cells = meta.advice_column();
        meta.set_minimum_degree(DEGREE);
        let kind = meta.fixed_column();
        let instance = meta.instance_column();
        meta.enable_equality(cells);
        let side = SideConfig::configure(meta, size.limb_bits);
        gate(meta, cells, kind);
        constant(meta, cells, kind, instance, side.fixed);
        Self {
            cells,
            kind,
            side,
            usable_rows: (1 << size.k) - meta.minimum_rows(),
        }
    }
}

/// kind (2 − kind) (a + b c − d).
fn gate(meta: &mut ConstraintSystem<Fr>, cells: Column<Advice>, kind: Column<Fixed>) {
    meta.create_gate("a + b c = d", |meta| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| meta.query_advice(cells, Rotation(i)));
        let kind = meta.query_fixed(kind, Rotation::cur());
        let other = Expression::Constant(Fr::from(FIXED)) - kind.clone();
        vec![kind * other * (a + b * c - d)]
    });
}

/// kind (kind − 1) (a − fixed − instance).
fn constant(
    meta: &mut ConstraintSystem<Fr>,
    cells: Column<Advice>,
    kind: Column<Fixed>,
    instance: Column<Instance>,
    fixed: Column<Fixed>,
) {
    meta.create_gate("a constant or an instance", |meta| {
        let a = meta.query_advice(cells, Rotation::cur());
        let instance = meta.query_instance(instance, Rotation::cur());
        let fixed = meta.query_fixed(fixed, Rotation::cur());
        let kind = meta.query_fixed(kind, Rotation::cur());
        let other = kind.clone() - Expression::Constant(Fr::from(GATE));
        vec![kind * other * (a - fixed - instance)]
    });
}

/// What a witness is laid out by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub size: Size,
    /// In their order, as little-endian limbs.
    constants: Vec<[u64; 4]>,
}

/// The last proof's verifier with a witness.
#[derive(Clone, Debug)]
pub struct WrapCircuit {
    size: Size,
    cells: Vec<Assigned<Fr>>,
    gates: Vec<bool>,
    instances: Vec<Cell>,
    side: Side,
    constants: Vec<Fr>,
    /// None where only the witness is wanted, for a key that has them.
    copies: Option<Copies>,
}

#[derive(Clone, Debug)]
struct Copies {
    equal: Vec<(ContextCell, ContextCell)>,
    constants: Vec<(Fr, ContextCell)>,
}

impl WrapCircuit {
    /// With constraints, to make keys or to check them.
    pub fn with_constraints(
        size: Size,
        key: &LastKey,
        common: &LastCommon,
        proof: &LastProof,
    ) -> Result<Self, CircuitError> {
        Self::fill(size, None, |chip| verify(chip, key, common, proof))
    }

    /// The witness alone.
    pub fn witness(
        layout: &Layout,
        key: &LastKey,
        common: &LastCommon,
        proof: &LastProof,
    ) -> Result<Self, CircuitError> {
        let verify = |chip: &mut Chip<'_>| verify(chip, key, common, proof);
        let mut circuit = Self::build(layout.size, false, None, verify)?;
        circuit.constants = layout.constants.iter().map(|x| Fr::from_raw(*x)).collect();
        Ok(circuit)
    }

    /// A circuit of whatever `body` constrains; it returns the instances.
    pub fn fill<E>(
        size: Size,
        prank: Option<Prank>,
        body: impl FnOnce(&mut Chip<'_>) -> Result<Vec<Cell>, E>,
    ) -> Result<Self, CircuitError>
    where
        CircuitError: From<E>,
    {
        let circuit = Self::build(size, true, prank, body)?;
        let mut meta = ConstraintSystem::default();
        let have = WrapConfig::configure(&mut meta, size).usable_rows;
        let need = circuit.constants_start() + circuit.constants.len();
        match need > have {
            true => Err(CircuitError::Rows {
                need,
                have,
                k: size.k,
            }),
            false => Ok(circuit),
        }
    }

    fn build<E>(
        size: Size,
        with_constraints: bool,
        prank: Option<Prank>,
        body: impl FnOnce(&mut Chip<'_>) -> Result<Vec<Cell>, E>,
    ) -> Result<Self, CircuitError>
    where
        CircuitError: From<E>,
    {
        let manager = SharedCopyConstraintManager::<Fr>::default();
        let mut ctx = Context::new(!with_constraints, 0, CELLS, 0, manager.clone());
        let mut side = Side::default();
        let mut chip = Chip::new(&mut ctx, &mut side, size.limb_bits, prank);
        let instances = body(&mut chip)?;
        let mut copies = manager.lock().expect("no thread of ours panics holding it");
        let copies = Copies {
            equal: std::mem::take(&mut copies.advice_equalities),
            constants: std::mem::take(&mut copies.constant_equalities),
        };
        let constants: BTreeSet<Fr> = copies.constants.iter().map(|(c, _)| *c).collect();
        Ok(Self {
            size,
            cells: ctx.advice,
            gates: ctx.selector,
            instances,
            side,
            constants: constants.into_iter().collect(),
            copies: with_constraints.then_some(copies),
        })
    }

    /// Where both columns have ended.
    fn constants_start(&self) -> usize {
        let side = self.side.rows(self.size.limb_bits);
        self.instances.len() + self.cells.len().max(side)
    }

    pub fn layout(&self) -> Layout {
        let limbs = |x: &Fr| crate::poseidon::from_halo(*x).into_bigint().0;
        Layout {
            size: self.size,
            constants: self.constants.iter().map(limbs).collect(),
        }
    }

    pub fn instances(&self) -> Vec<Fr> {
        self.instances.iter().map(|cell| *cell.value()).collect()
    }

    /// Cells of halo2-base, checks of four limbs, permutations.
    pub fn counts(&self) -> [usize; 3] {
        [
            self.cells.len(),
            self.side.checks(),
            self.side.permutations(),
        ]
    }

    fn assign(&self, config: &WrapConfig, region: &mut Region<'_, Fr>) {
        let with_fixed = self.copies.is_some();
        let put = |region: &mut Region<'_, Fr>, row: usize, x: Assigned<Fr>, kind: u64| {
            if with_fixed && kind != 0 {
                region.assign_fixed(config.kind, row, Fr::from(kind));
            }
            let x = Value::known(x);
            region.assign_advice(config.cells, row, x).cell()
        };
        let mut instances = Vec::new();
        for (row, cell) in self.instances.iter().enumerate() {
            instances.push(put(region, row, cell.value, FIXED));
        }
        let start = instances.len();
        let mut cells = Vec::with_capacity(self.cells.len());
        for (i, x) in self.cells.iter().enumerate() {
            let begins = self.gates.get(i) == Some(&true);
            cells.push(put(region, start + i, *x, GATE * u64::from(begins)));
        }
        let mut constants = BTreeMap::new();
        let constants_start = self.constants_start();
        for (i, c) in self.constants.iter().enumerate() {
            let row = constants_start + i;
            let lie = self.side.lie(Place::Constant(i)).unwrap_or(Fr::zero());
            let cell = put(region, row, Assigned::Trivial(*c + lie), FIXED);
            constants.insert(*c, cell);
            if with_fixed {
                region.assign_fixed(config.side.fixed, row, *c);
            }
        }
        let bits = self.size.limb_bits;
        let side = self
            .side
            .assign(&config.side, region, start, bits, with_fixed);
        if let Some(copies) = &self.copies {
            let found = Found { cells, side };
            for (cell, instance) in instances.iter().zip(&self.instances) {
                let instance = instance.cell.expect("constraints are kept");
                region.constrain_equal(*cell, found.find(&instance));
            }
            for (constant, cell) in &copies.constants {
                region.constrain_equal(constants[constant], found.find(cell));
            }
            for (left, right) in &copies.equal {
                region.constrain_equal(found.find(left), found.find(right));
            }
        }
    }
}

/// Where every cell is.
#[derive(Debug)]
struct Found {
    cells: Vec<Placed>,
    side: SideCells,
}

impl Found {
    fn find(&self, cell: &ContextCell) -> Placed {
        let side = self.side.find(cell);
        side.unwrap_or_else(|| self.cells[cell.offset])
    }
}

impl Circuit<Fr> for WrapCircuit {
    type Config = WrapConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Size;

    fn params(&self) -> Size {
        self.size
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, size: Size) -> WrapConfig {
        WrapConfig::configure(meta, size)
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> WrapConfig {
        unreachable!("halo2 is built with circuit parameters")
    }

    fn synthesize(&self, config: WrapConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "wrap",
            |mut region| {
                self.assign(&config, &mut region);
                Ok(())
            },
        )
    }
}
