//! The prover: Plonky2's protocol, step by step.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use plonky2::field::types::Field;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, Witness};
use plonky2::plonk::circuit_data::{CommonCircuitData, ProverOnlyCircuitData};
use plonky2::plonk::config::{GenericConfig, Hasher, PoseidonGoldilocksConfig};
use plonky2::plonk::proof::{OpeningSet, Proof, ProofWithPublicInputs};
use rayon::prelude::*;
use tally_kernels::simd::Kernel;

use crate::commit::{Columns, Combination, Cpu, Engine, Oracle, Powers, Preprocessed};
use crate::fft::{Extension, Roots};
use crate::fri::{Fri, divide};
use crate::generate::generate;
use crate::hashing::{Hashing, OneByOne, SideBySide};
use crate::permutation::Argument;
use crate::quotient::{Evaluator, Gates, Quotient};
use crate::transcript::Transcript;
use crate::tree::Domain;
use crate::{D, Ext, F};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("circuits with lookups are not supported")]
    Lookups,
    #[error("zero-knowledge blinding is not supported")]
    Blinding,
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("the witness cannot be completed: {0}")]
    Witness(String),
    #[error("the quotient is not a polynomial: some constraint does not hold")]
    Unsatisfied,
    #[error("a challenge hit a value that the protocol excludes")]
    BadLuck,
    #[error("no nonce satisfies the proof of work")]
    Work,
}

impl Error {
    /// Stable name of what went wrong.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lookups => "plonk.lookups",
            Self::Blinding => "plonk.blinding",
            Self::Unsupported(_) => "plonk.unsupported",
            Self::Witness(_) => "plonk.witness",
            Self::Unsatisfied => "plonk.unsatisfied",
            Self::BadLuck => "plonk.bad_luck",
            Self::Work => "plonk.work",
        }
    }
}

/// A part of a proof, told when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Running the generators.
    Witness,
    /// Reading the wires' columns off the witness.
    Columns,
    CommitWires,
    /// The permutation argument's running products.
    Products,
    CommitProducts,
    Quotient,
    CommitQuotient,
    Openings,
    Fri,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Witness => "witness",
            Self::Columns => "columns",
            Self::CommitWires => "commit_wires",
            Self::Products => "products",
            Self::CommitProducts => "commit_products",
            Self::Quotient => "quotient",
            Self::CommitQuotient => "commit_quotient",
            Self::Openings => "openings",
            Self::Fri => "fri",
        }
    }
}

/// Proves with the best kernel of this processor.
pub fn prove<C: GenericConfig<D, F = F> + 'static>(
    circuit: &ProverOnlyCircuitData<F, C, D>,
    common: &CommonCircuitData<F, D>,
    inputs: PartialWitness<F>,
) -> Result<ProofWithPublicInputs<F, C, D>, Error> {
    Prover::new(Kernel::chosen()).prove(circuit, common, inputs, &mut |_| ())
}

/// As `prove`, for a witness whose generators have run.
pub fn prove_witness<C: GenericConfig<D, F = F> + 'static>(
    circuit: &ProverOnlyCircuitData<F, C, D>,
    common: &CommonCircuitData<F, D>,
    witness: PartitionWitness<F>,
) -> Result<ProofWithPublicInputs<F, C, D>, Error> {
    Prover::new(Kernel::chosen()).prove_witness(circuit, common, witness, &mut |_| ())
}

/// Proves with a kernel of the caller's choice.
#[derive(Clone, Copy, Debug)]
pub struct Prover {
    kernel: Kernel,
    evaluators: &'static [Evaluator],
}

impl Prover {
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            evaluators: &[],
        }
    }

    /// With evaluators of gates that Plonky2 does not bring. Without its own a gate is evaluated
    /// all the same, if slower.
    pub fn with(self, evaluators: &'static [Evaluator]) -> Self {
        Self { evaluators, ..self }
    }

    /// Runs the generators and proves; `done` is told of each phase.
    pub fn prove<C: GenericConfig<D, F = F> + 'static>(
        &self,
        circuit: &ProverOnlyCircuitData<F, C, D>,
        common: &CommonCircuitData<F, D>,
        inputs: PartialWitness<F>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<ProofWithPublicInputs<F, C, D>, Error> {
        let witness = self.witness(circuit, common, inputs)?;
        done(Phase::Witness);
        self.prove_witness(circuit, common, witness, done)
    }

    /// Runs the generators only.
    pub fn witness<'a, C: GenericConfig<D, F = F>>(
        &self,
        circuit: &'a ProverOnlyCircuitData<F, C, D>,
        common: &CommonCircuitData<F, D>,
        inputs: PartialWitness<F>,
    ) -> Result<PartitionWitness<'a, F>, Error> {
        generate(self.kernel, circuit, common, inputs)
    }

    /// As `prove`, for a witness whose generators have run.
    pub fn prove_witness<C: GenericConfig<D, F = F> + 'static>(
        &self,
        circuit: &ProverOnlyCircuitData<F, C, D>,
        common: &CommonCircuitData<F, D>,
        witness: PartitionWitness<F>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<ProofWithPublicInputs<F, C, D>, Error> {
        // The kernels hash as Plonky2's own configuration does. It is known by its type.
        type Known = PoseidonGoldilocksConfig;
        let known = (circuit as &dyn Any).downcast_ref::<ProverOnlyCircuitData<F, Known, D>>();
        let Some(circuit) = known else {
            return Run::new(*self, OneByOne, circuit, common)?.prove(witness, done);
        };
        let hashing = SideBySide(self.kernel);
        let proof = Run::new(*self, hashing, circuit, common)?.prove(witness, done)?;
        let proof: Box<dyn Any> = Box::new(proof);
        match proof.downcast() {
            Ok(proof) => Ok(*proof),
            Err(_) => Err(Error::Unsupported(
                "a proof of another type than its circuit's",
            )),
        }
    }
}

/// What all circuits of a size share.
#[derive(Debug)]
struct Tables {
    roots: Roots,
    extension: Extension,
}

impl Tables {
    /// Made once for each size and kernel; a circuit of 2^14 rows takes about a megabyte.
    fn get(kernel: Kernel, domain: Domain) -> Arc<Self> {
        static MADE: Mutex<Vec<((usize, usize), Arc<Tables>)>> = Mutex::new(Vec::new());
        let size = (domain.block_bits, domain.rate_bits);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tables)) = made.iter().find(|(made, _)| *made == size) {
            return tables.clone();
        }
        let tables = Arc::new(Self {
            roots: Roots::new(domain.block_bits),
            extension: Extension::new(kernel, domain, F::coset_shift()),
        });
        made.push((size, tables.clone()));
        tables
    }
}

/// Caps of what is committed to during a proof.
struct Caps<C: GenericConfig<D, F = F>> {
    wires: MerkleCap<F, C::Hasher>,
    products: MerkleCap<F, C::Hasher>,
    quotient: MerkleCap<F, C::Hasher>,
}

/// A circuit to be proven with a way to hash.
struct Run<'a, C: GenericConfig<D, F = F>, T> {
    kernel: Kernel,
    evaluators: &'static [Evaluator],
    hashing: T,
    tables: Arc<Tables>,
    domain: Domain,
    circuit: &'a ProverOnlyCircuitData<F, C, D>,
    common: &'a CommonCircuitData<F, D>,
}

impl<'a, C: GenericConfig<D, F = F>, T: Hashing<C::Hasher>> Run<'a, C, T> {
    fn new(
        Prover { kernel, evaluators }: Prover,
        hashing: T,
        circuit: &'a ProverOnlyCircuitData<F, C, D>,
        common: &'a CommonCircuitData<F, D>,
    ) -> Result<Self, Error> {
        let config = &common.config;
        if !common.luts.is_empty() || common.num_lookup_polys != 0 {
            return Err(Error::Lookups);
        }
        if config.zero_knowledge || common.fri_params.hiding {
            return Err(Error::Blinding);
        }
        let (factor, rate) = (
            common.quotient_degree_factor,
            1 << config.fri_config.rate_bits,
        );
        if factor >= config.num_routed_wires || factor > rate {
            return Err(Error::Unsupported(
                "the quotient's degree exceeds wires or rate",
            ));
        }
        if common.fri_params.total_arities() > common.degree_bits() {
            return Err(Error::Unsupported("FRI folds more than the degree"));
        }
        let domain = Domain {
            block_bits: common.degree_bits(),
            rate_bits: config.fri_config.rate_bits,
        };
        let tables = Tables::get(kernel, domain);
        Ok(Self {
            kernel,
            evaluators,
            hashing,
            tables,
            domain,
            circuit,
            common,
        })
    }

    fn prove(
        &self,
        witness: PartitionWitness<F>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<ProofWithPublicInputs<F, C, D>, Error> {
        let (circuit, common) = (self.circuit, self.common);
        let challenges = common.config.num_challenges;
        let public_inputs = witness.get_targets(&circuit.public_inputs);
        let public_inputs_hash = C::InnerHasher::hash_no_pad(&public_inputs);
        let wires = self.columns(&witness);
        drop(witness);
        done(Phase::Columns);
        let engine = self.engine();
        let wires_batch = engine.commit(Columns::Values(wires.clone()));
        done(Phase::CommitWires);

        let mut transcript = self.transcript(public_inputs_hash);
        transcript.observe_cap(&wires_batch.cap());
        let betas = transcript.challenges(challenges);
        let gammas = transcript.challenges(challenges);
        let products = self.products(&wires, &betas, &gammas)?;
        drop(wires);
        done(Phase::Products);
        let products_batch = engine.commit(Columns::Values(products));
        done(Phase::CommitProducts);

        transcript.observe_cap(&products_batch.cap());
        let alphas = transcript.challenges(challenges);
        let gates = Gates::new(common, self.evaluators);
        let gates = gates.ok_or(Error::Unsupported("unknown selectors"))?;
        let quotient = Quotient {
            kernel: self.kernel,
            roots: &self.tables.roots,
            gates,
            domain: self.domain,
            subgroup: &circuit.subgroup,
            constants: &circuit.constants_sigmas_commitment.merkle_tree.leaves,
            wires: wires_batch.columns().collect(),
            products: products_batch.columns().collect(),
            public_inputs: public_inputs_hash,
            betas: &betas,
            gammas: &gammas,
            alphas: &alphas,
        };
        let chunks = quotient.chunks().ok_or(Error::Unsatisfied)?;
        done(Phase::Quotient);
        let quotient_batch = engine.commit(Columns::Coefficients(chunks));
        done(Phase::CommitQuotient);
        transcript.observe_cap(&quotient_batch.cap());

        let proof = Caps {
            wires: wires_batch.cap(),
            products: products_batch.cap(),
            quotient: quotient_batch.cap(),
        };
        let oracles: [&dyn Oracle<C::Hasher>; 3] = [&wires_batch, &products_batch, &quotient_batch];
        let proof = self.open(proof, oracles, &mut transcript, done)?;
        Ok(ProofWithPublicInputs {
            proof,
            public_inputs,
        })
    }

    /// The openings at a point that the transcript draws, and their proof.
    fn open(
        &self,
        caps: Caps<C>,
        [wires, products, quotient]: [&dyn Oracle<C::Hasher>; 3],
        transcript: &mut Transcript<C::Hasher>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Proof<F, C, D>, Error> {
        let zeta = transcript.extension_challenge();
        if zeta.exp_power_of_2(self.common.degree_bits()) == Ext::ONE {
            return Err(Error::BadLuck);
        }
        let constants = Preprocessed {
            kernel: self.kernel,
            batch: &self.circuit.constants_sigmas_commitment,
        };
        let oracles: [&dyn Oracle<C::Hasher>; 4] = [&constants, wires, products, quotient];
        let openings = self.openings(oracles, zeta, transcript);
        done(Phase::Openings);
        let opening_proof = self.fri(oracles, zeta, transcript)?;
        done(Phase::Fri);
        Ok(Proof {
            wires_cap: caps.wires,
            plonk_zs_partial_products_cap: caps.products,
            quotient_polys_cap: caps.quotient,
            openings,
            opening_proof,
        })
    }

    /// The transcript up to the first message: parameters, circuit, statement.
    fn transcript(
        &self,
        public_inputs: <C::InnerHasher as Hasher<F>>::Hash,
    ) -> Transcript<C::Hasher> {
        let mut transcript = Transcript::new();
        transcript.observe_params(&self.common.fri_params);
        transcript.observe_hash::<C::Hasher>(self.circuit.circuit_digest);
        transcript.observe_hash::<C::InnerHasher>(public_inputs);
        transcript
    }

    /// The running products' columns.
    fn products(&self, wires: &[F], betas: &[F], gammas: &[F]) -> Result<Vec<F>, Error> {
        let common = self.common;
        let argument = Argument {
            degree: common.quotient_degree_factor,
            subgroup: &self.circuit.subgroup,
            shifts: &common.k_is[..common.config.num_routed_wires],
            sigmas: &self.circuit.sigmas,
            betas,
            gammas,
        };
        argument.columns(self.kernel, wires).ok_or(Error::BadLuck)
    }

    fn engine(&self) -> Cpu<'_, T> {
        Cpu {
            kernel: self.kernel,
            hashing: self.hashing,
            roots: &self.tables.roots,
            extension: &self.tables.extension,
            cap_height: self.common.config.fri_config.cap_height,
        }
    }

    /// The wires' values, a column after the other; zero where the witness has none.
    fn columns(&self, witness: &PartitionWitness<F>) -> Vec<F> {
        /// Rows whose wires are read before the next column's: their values share cache lines.
        const ROWS: usize = 64;
        let (rows, wires) = (self.domain.block(), self.common.config.num_wires);
        let mut columns = vec![F::ZERO; rows * wires];
        for first in (0..rows).step_by(ROWS) {
            for (wire, column) in columns.chunks_exact_mut(rows).enumerate() {
                let last = rows.min(first + ROWS);
                for (row, value) in column.iter_mut().enumerate().take(last).skip(first) {
                    let target = Target::wire(row, wire);
                    *value = witness.try_get_target(target).unwrap_or(F::ZERO);
                }
            }
        }
        columns
    }

    /// Every polynomial at ζ and the running products at g·ζ, which the transcript observes.
    fn openings(
        &self,
        oracles: [&dyn Oracle<C::Hasher>; 4],
        zeta: Ext,
        transcript: &mut Transcript<C::Hasher>,
    ) -> OpeningSet<F, D> {
        let common = self.common;
        let powers = Powers::new(zeta, self.domain.block());
        let [constants, wires, products, quotient] = oracles.map(|o| o.evaluate(&powers));
        let powers = Powers::new(self.next(zeta), self.domain.block());
        let next = oracles[2].evaluate(&powers)[common.zs_range()].to_vec();
        for opened in [&constants, &wires, &products, &quotient, &next] {
            transcript.observe_extension(opened);
        }
        OpeningSet {
            constants: constants[common.constants_range()].to_vec(),
            plonk_sigmas: constants[common.sigmas_range()].to_vec(),
            wires,
            plonk_zs: products[common.zs_range()].to_vec(),
            plonk_zs_next: next,
            partial_products: products[common.partial_products_range()].to_vec(),
            quotient_polys: quotient,
            lookup_zs: Vec::new(),
            lookup_zs_next: Vec::new(),
        }
    }

    fn next(&self, zeta: Ext) -> Ext {
        Ext::primitive_root_of_unity(self.domain.block_bits) * zeta
    }

    /// Proves the openings: Σ αⁱ·(fᵢ − fᵢ(ζ)) / (X − ζ), times a power of α that none of the
    /// other point's terms has, plus the same at g·ζ.
    fn fri(
        &self,
        oracles: [&dyn Oracle<C::Hasher>; 4],
        zeta: Ext,
        transcript: &mut Transcript<C::Hasher>,
    ) -> Result<plonky2::fri::proof::FriProof<F, C::Hasher, D>, Error> {
        let common = self.common;
        let alpha = transcript.extension_challenge();
        let products = common.partial_products_range().end;
        let factor = common.config.num_challenges * common.quotient_degree_factor;
        let counts = [
            common.sigmas_range().end,
            common.config.num_wires,
            products,
            factor,
        ];
        let weights: Vec<Ext> = alpha.powers().take(counts.iter().sum()).collect();
        let mut sum = Combination::new(self.domain.block());
        let mut rest = &weights[..];
        for (oracle, count) in oracles.into_iter().zip(counts) {
            let (these, others) = rest.split_at(count);
            oracle.combine(these, &mut sum);
            rest = others;
        }
        let here = divide(&sum.into_coefficients(), zeta);
        let zs = common.config.num_challenges;
        let mut sum = Combination::new(self.domain.block());
        oracles[2].combine(&weights[..zs], &mut sum);
        let next = divide(&sum.into_coefficients(), self.next(zeta));
        let shift = alpha.exp_u64(zs as u64);
        let coefficients = here
            .par_iter()
            .zip(next)
            .map(|(here, next)| *here * shift + next);
        let fri = Fri {
            kernel: self.kernel,
            hashing: self.hashing,
            roots: &self.tables.roots,
            params: &common.fri_params,
        };
        let proof = fri.prove(coefficients.collect(), &oracles, transcript);
        proof.ok_or(Error::Work)
    }
}
