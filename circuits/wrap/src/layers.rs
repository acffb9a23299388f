//! From the batch proof to one that a halo2 circuit can afford to verify: three Plonky2 layers.
//!
//! *Statement of each.* The public inputs (C, z, y) are those of a valid proof of the circuit
//! below, whose verifier key is a constant here.
//! *Why three.* Recursion sheds the batch circuit's shape; at rate 2^-7 the second proof takes few
//! queries, so that its verifier fits 2^12 rows of 37 routed wires, the fewest that folding by 16
//! allows; the last proof hashes with Poseidon over BN254, which costs much to make and little to
//! verify there.

use anyhow::Context;
use plonky2::fri::FriConfig;
use plonky2::fri::reduction_strategies::FriReductionStrategy;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{
    CircuitConfig, CircuitData, CommonCircuitData, VerifierOnlyCircuitData,
};
use plonky2::plonk::config::{AlgebraicHasher, GenericConfig};
use plonky2::plonk::proof::{ProofWithPublicInputs, ProofWithPublicInputsTarget};
use tally_circuits::uniform::{Proof, VerifierKey};
use tally_circuits::{Config, D, F, config};

use crate::hash::LastConfig;

/// Arity of the last layers' folding, as a power of two.
const ARITY_BITS: usize = 4;
/// The final polynomial is sent once its degree is 2^8 or less.
const FINAL_POLYNOMIAL_BITS: usize = 8;

/// Conjectured, of FRI \[P7\].
pub const SECURITY_BITS: usize = 100;

pub type LastCircuit = CircuitData<F, LastConfig, D>;
pub type LastProof = ProofWithPublicInputs<F, LastConfig, D>;
pub type LastCommon = CommonCircuitData<F, D>;

/// FRI of one layer. Conjectured bits of security: `rate_bits` · `queries` + `work_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fri {
    pub rate_bits: usize,
    pub queries: usize,
    pub work_bits: u32,
}

impl Fri {
    pub const fn bits(&self) -> usize {
        self.rate_bits * self.queries + self.work_bits as usize
    }
}

/// What the layers above the first are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub recursion: Fri,
    pub shrink: Fri,
    pub last: Fri,
    pub last_routed_wires: usize,
    pub challenges: usize,
}

impl Shape {
    /// 100 bits in each layer \[P7\].
    pub const PRODUCTION: Shape = Shape {
        recursion: Fri {
            rate_bits: 4,
            queries: 21,
            work_bits: 16,
        },
        shrink: Fri {
            rate_bits: 6,
            queries: 14,
            work_bits: 16,
        },
        last: Fri {
            rate_bits: 3,
            queries: 28,
            work_bits: 16,
        },
        last_routed_wires: 37,
        challenges: 3,
    };
}

const _: () = assert!(Shape::PRODUCTION.recursion.bits() >= SECURITY_BITS);
const _: () = assert!(Shape::PRODUCTION.shrink.bits() >= SECURITY_BITS);
const _: () = assert!(Shape::PRODUCTION.last.bits() >= SECURITY_BITS);

fn recursion_config(shape: &Shape) -> CircuitConfig {
    let strategy = config().fri_config.reduction_strategy;
    CircuitConfig {
        security_bits: shape.recursion.bits().min(SECURITY_BITS),
        fri_config: fri_config(&shape.recursion, strategy),
        ..config()
    }
}

fn shrink_config(shape: &Shape) -> CircuitConfig {
    CircuitConfig {
        security_bits: shape.shrink.bits().min(SECURITY_BITS),
        fri_config: fri_config(&shape.shrink, FriReductionStrategy::ConstantArityBits(4, 5)),
        ..config()
    }
}

fn last_config(shape: &Shape) -> CircuitConfig {
    let strategy = FriReductionStrategy::ConstantArityBits(ARITY_BITS, FINAL_POLYNOMIAL_BITS);
    CircuitConfig {
        num_routed_wires: shape.last_routed_wires,
        num_challenges: shape.challenges,
        security_bits: shape.last.bits().min(SECURITY_BITS),
        fri_config: fri_config(&shape.last, strategy),
        ..config()
    }
}

fn fri_config(fri: &Fri, reduction_strategy: FriReductionStrategy) -> FriConfig {
    FriConfig {
        rate_bits: fri.rate_bits,
        cap_height: 4,
        proof_of_work_bits: fri.work_bits,
        reduction_strategy,
        num_query_rounds: fri.queries,
    }
}

/// The statement of every layer.
fn constrain<B: GenericConfig<D, F = F>>(
    config: CircuitConfig,
    key: &VerifierOnlyCircuitData<B, D>,
    common: &CommonCircuitData<F, D>,
) -> (CircuitBuilder<F, D>, ProofWithPublicInputsTarget<D>)
where
    B::Hasher: AlgebraicHasher<F>,
{
    let mut builder = CircuitBuilder::<F, D>::new(config);
    let below = builder.add_virtual_proof_with_pis(common);
    let key = builder.constant_verifier_data(key);
    builder.verify_proof::<B>(&below, &key, common);
    builder.register_public_inputs(&below.public_inputs);
    (builder, below)
}

/// One layer: verifies proofs of the circuit below.
struct Layer<C: GenericConfig<D, F = F>> {
    circuit: CircuitData<F, C, D>,
    below: ProofWithPublicInputsTarget<D>,
}

impl<C: GenericConfig<D, F = F> + 'static> Layer<C> {
    fn build<B: GenericConfig<D, F = F>>(
        config: CircuitConfig,
        key: &VerifierOnlyCircuitData<B, D>,
        common: &CommonCircuitData<F, D>,
    ) -> Self
    where
        B::Hasher: AlgebraicHasher<F>,
    {
        let (builder, below) = constrain(config, key, common);
        Self {
            circuit: builder.build::<C>(),
            below,
        }
    }

    fn prove<B: GenericConfig<D, F = F>>(
        &self,
        prover: &impl LayerProver,
        below: &ProofWithPublicInputs<F, B, D>,
    ) -> anyhow::Result<ProofWithPublicInputs<F, C, D>>
    where
        B::Hasher: AlgebraicHasher<F>,
    {
        let mut witness = PartialWitness::new();
        witness.set_proof_with_pis_target(&self.below, below)?;
        prover.prove(&self.circuit, witness)
    }
}

/// Makes the proofs of these layers' circuits; what verifies does not ask who made them.
pub trait LayerProver {
    fn prove<C: GenericConfig<D, F = F> + 'static>(
        &self,
        circuit: &CircuitData<F, C, D>,
        witness: PartialWitness<F>,
    ) -> anyhow::Result<ProofWithPublicInputs<F, C, D>>;
}

/// Plonky2's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stock;

impl LayerProver for Stock {
    fn prove<C: GenericConfig<D, F = F> + 'static>(
        &self,
        circuit: &CircuitData<F, C, D>,
        witness: PartialWitness<F>,
    ) -> anyhow::Result<ProofWithPublicInputs<F, C, D>> {
        circuit.prove(witness)
    }
}

/// Where the pipeline is, for whoever shows progress.
pub trait Progress {
    fn step(&self, what: &str);
}

impl Progress for () {
    fn step(&self, _: &str) {}
}

/// The last layer over a circuit that hashes as Plonky2 does.
#[allow(missing_debug_implementations)]
pub struct LastLayer(Layer<LastConfig>);

impl LastLayer {
    pub fn build(shape: &Shape, key: &VerifierKey, common: &CommonCircuitData<F, D>) -> Self {
        Self(Layer::build(last_config(shape), key, common))
    }

    /// The common data, without the work of committing to the constants.
    pub fn common(
        shape: &Shape,
        key: &VerifierKey,
        common: &CommonCircuitData<F, D>,
    ) -> LastCommon {
        let (builder, _) = constrain(last_config(shape), key, common);
        builder.mock_build::<LastConfig>().common
    }

    pub fn circuit(&self) -> &LastCircuit {
        &self.0.circuit
    }

    pub fn prove(&self, prover: &impl LayerProver, below: &Proof) -> anyhow::Result<LastProof> {
        self.0.prove(prover, below)
    }
}

/// The three layers over one batch circuit.
#[allow(missing_debug_implementations)]
pub struct Layers {
    recursion: Layer<Config>,
    shrink: Layer<Config>,
    last: LastLayer,
}

impl Layers {
    pub fn build(
        key: &VerifierKey,
        common: &CommonCircuitData<F, D>,
        shape: &Shape,
        progress: &impl Progress,
    ) -> Self {
        progress.step("building the recursion layer");
        let recursion = Layer::build(recursion_config(shape), key, common);
        let below = &recursion.circuit;
        progress.step("building the shrinking layer");
        let shrink =
            Layer::<Config>::build(shrink_config(shape), &below.verifier_only, &below.common);
        let below = &shrink.circuit;
        progress.step("building the last layer");
        let last = LastLayer::build(shape, &below.verifier_only, &below.common);
        Self {
            recursion,
            shrink,
            last,
        }
    }

    pub fn last(&self) -> &LastCircuit {
        self.last.circuit()
    }

    /// Rows of each layer's circuit, as powers of two.
    pub fn degree_bits(&self) -> [usize; 3] {
        [
            self.recursion.circuit.common.degree_bits(),
            self.shrink.circuit.common.degree_bits(),
            self.last.circuit().common.degree_bits(),
        ]
    }

    pub fn prove(
        &self,
        prover: &impl LayerProver,
        batch: &Proof,
        progress: &impl Progress,
    ) -> anyhow::Result<LastProof> {
        progress.step("proving the recursion layer");
        let proof = self.recursion.prove(prover, batch);
        let proof = proof.context("the recursion layer")?;
        progress.step("proving the shrinking layer");
        let proof = self.shrink.prove(prover, &proof);
        let proof = proof.context("the shrinking layer")?;
        progress.step("proving the last layer");
        self.last.prove(prover, &proof).context("the last layer")
    }
}
