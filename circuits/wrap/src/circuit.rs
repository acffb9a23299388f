//! The halo2 circuit: halo2-base's columns, the permutations' and three instances.

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, BaseConfig, CircuitBuilderStage};
use halo2_base::gates::flex_gate::MultiPhaseThreadBreakPoints;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use serde::{Deserialize, Serialize};

use crate::chip::{Chip, Prank};
use crate::gates::UnknownGate;
use crate::layers::{LastCommon, LastProof};
use crate::permutation::{PermutationConfig, Permutations};
use crate::verifier::{LastKey, verify};

/// Rows that halo2 keeps for blinding, at most.
const BLINDING_ROWS: usize = 16;

/// Size of the circuit's table and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// 2^k rows.
    pub k: usize,
    /// The range table holds 2^lookup_bits values.
    pub lookup_bits: usize,
    /// The quotient's degree is raised to this, so that one product serves more columns.
    pub degree: usize,
}

impl Size {
    /// The smallest that the permutations fit.
    pub const PRODUCTION: Size = Size {
        k: 17,
        lookup_bits: 16,
        degree: 6,
    };
}

/// What fixes the columns, and where halo2-base goes on in the next one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Layout {
    pub base: BaseCircuitParams,
    pub degree: usize,
    pub break_points: MultiPhaseThreadBreakPoints,
}

#[derive(Clone, Debug)]
pub struct WrapConfig {
    base: BaseConfig<Fr>,
    permutations: PermutationConfig,
}

/// The last proof's verifier with a witness.
#[derive(Clone, Debug)]
pub struct WrapCircuit {
    builder: BaseCircuitBuilder<Fr>,
    permutations: Permutations,
    degree: usize,
}

impl WrapCircuit {
    /// With constraints, to make keys or to check them. The columns are as many as are needed.
    pub fn with_constraints(
        size: Size,
        key: &LastKey,
        common: &LastCommon,
        proof: &LastProof,
        prank: Option<Prank>,
    ) -> Result<Self, UnknownGate> {
        let builder = BaseCircuitBuilder::from_stage(CircuitBuilderStage::Mock)
            .use_k(size.k)
            .use_lookup_bits(size.lookup_bits)
            .use_instance_columns(1);
        let mut circuit = Self::fill(builder, size.degree, prank, |chip| {
            verify(chip, key, common, proof)
        })?;
        circuit.fit();
        Ok(circuit)
    }

    /// The witness alone, for columns that a key was made for.
    pub fn witness(
        layout: &Layout,
        key: &LastKey,
        common: &LastCommon,
        proof: &LastProof,
    ) -> Result<Self, UnknownGate> {
        let builder = BaseCircuitBuilder::prover(layout.base.clone(), layout.break_points.clone());
        Self::fill(builder, layout.degree, None, |chip| {
            verify(chip, key, common, proof)
        })
    }

    /// A circuit of whatever `body` constrains; it returns the instances.
    pub fn fill<E>(
        mut builder: BaseCircuitBuilder<Fr>,
        degree: usize,
        prank: Option<Prank>,
        body: impl FnOnce(&mut Chip<'_>) -> Result<Vec<crate::chip::Cell>, E>,
    ) -> Result<Self, E> {
        let range = builder.range_chip();
        let mut permutations = Permutations::default();
        let mut chip = Chip::new(builder.main(0), &range, &mut permutations, prank);
        let instances = body(&mut chip)?;
        builder.assigned_instances = vec![instances];
        Ok(Self {
            builder,
            permutations,
            degree,
        })
    }

    /// Takes as many columns as the cells need.
    pub fn fit(&mut self) {
        self.builder.calculate_params(Some(BLINDING_ROWS));
    }

    /// To be asked after the circuit was synthesised for keys.
    pub fn layout(&self) -> Layout {
        Layout {
            base: self.builder.config_params.clone(),
            degree: self.degree,
            break_points: self.builder.break_points(),
        }
    }

    pub fn instances(&self) -> Vec<Fr> {
        let cells = self.builder.assigned_instances.iter().flatten();
        cells.map(|cell| *cell.value()).collect()
    }

    pub fn permutations(&mut self) -> &mut Permutations {
        &mut self.permutations
    }

    /// Cells of halo2-base, cells to look up, permutations.
    pub fn counts(&self) -> [usize; 3] {
        let statistics = self.builder.statistics();
        [
            statistics.gate.total_advice_per_phase.iter().sum(),
            statistics.total_lookup_advice_per_phase.iter().sum(),
            self.permutations.len(),
        ]
    }
}

impl Circuit<Fr> for WrapCircuit {
    type Config = WrapConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Layout;

    fn params(&self) -> Layout {
        Layout {
            base: self.builder.config_params.clone(),
            degree: self.degree,
            break_points: Vec::new(),
        }
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, params: Layout) -> WrapConfig {
        meta.set_minimum_degree(params.degree);
        let k = params.base.k;
        let mut base = BaseConfig::configure(meta, params.base);
        let permutations = PermutationConfig::configure(meta);
        base.set_usable_rows((1 << k) - meta.minimum_rows());
        WrapConfig { base, permutations }
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> WrapConfig {
        unreachable!("halo2 is built with circuit parameters")
    }

    fn synthesize(&self, config: WrapConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let is_witness = self.builder.witness_gen_only();
        let copies = (!is_witness).then(|| self.builder.core().copy_manager.clone());
        layouter.assign_region(
            || "permutations",
            |mut region| {
                let columns = &config.permutations;
                self.permutations
                    .assign(columns, &mut region, copies.as_ref())
            },
        )?;
        // Imposes every copy, those to and from the permutations too.
        self.builder.synthesize(config.base, layouter)
    }
}
