//! Who plans and proves jobs with a release's circuits, and who judges what was proven.

use std::sync::{Arc, OnceLock};

use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_circuits::F;
use tally_circuits::batch::{BatchFile, Verifier};
use tally_circuits::join::{Child, ChildError};
use tally_circuits::segment::PassingChains;
use tally_circuits::summary::Summary;
use tally_circuits::uniform::{Circuit, Proof, read_proof};
use tally_jobs::job::List;
use tally_jobs::{BatchJob, BatchPlan, EpochRef, Job, JoinJob, SegmentJob, Statement};
use tally_plonk::Kernel;

use crate::batch::EpochInput;
use crate::circuits::{CircuitId, Circuits};
use crate::error::ProveError;
use crate::farm::{Judge, SettledBatch, Worker};
use crate::gates;
use crate::plan::{Plan, as_planned, first_inputs};
use crate::segment::{BuiltSegment, SegmentInput};

/// Where a worker finds the epochs that jobs are about.
pub trait Epochs: Send + Sync {
    fn input(&self, epoch: EpochRef) -> Result<Arc<EpochInput>, ProveError>;
}

/// Plans and proves on this machine's processors.
#[allow(missing_debug_implementations)]
pub struct ProofWorker<'a> {
    pub circuits: &'a Circuits,
    pub epochs: &'a dyn Epochs,
}

impl Worker for ProofWorker<'_> {
    fn plan(&self, job: &BatchJob) -> Result<BatchPlan, ProveError> {
        self.check_release(&Job::Batch(job.clone()))?;
        let inputs: Vec<Arc<EpochInput>> = job
            .epochs
            .iter()
            .map(|epoch| self.epochs.input(*epoch))
            .collect::<Result<_, _>>()?;
        let inputs: Vec<&EpochInput> = inputs.iter().map(|input| &**input).collect();
        Plan::new(self.circuits, &inputs)?.jobs(job.id(), &job.epochs)
    }

    fn prove(&self, job: &Job, children: &[Vec<u8>]) -> Result<Vec<u8>, ProveError> {
        self.check_release(job)?;
        let proof = match job {
            Job::Batch(_) => return Err(ProveError::Unknown("plan".into())),
            Job::Segment(job) => self.segment(job)?,
            Job::Join(job) => self.join(job, children)?,
        };
        Ok(proof.to_bytes())
    }
}

impl ProofWorker<'_> {
    fn check_release(&self, job: &Job) -> Result<(), ProveError> {
        let release = job.release();
        match release == self.circuits.batch_digest()? {
            true => Ok(()),
            false => Err(ProveError::Release(release)),
        }
    }

    fn segment(&self, job: &SegmentJob) -> Result<Proof, ProveError> {
        let epoch = self.epochs.input(job.epoch)?;
        let list = match job.list {
            List::Main => &epoch.main,
            List::Data => &epoch.data,
        };
        let input = list.get(job.place as usize);
        let circuit = &job.statement.circuit;
        let input = input.filter(|input| input.circuit == circuit);
        let input = input.ok_or_else(|| ProveError::Place {
            epoch: job.epoch.epoch,
            what: circuit.clone(),
            place: job.place,
        })?;
        let refused = |reason: String| ProveError::Witness {
            label: job.label.clone(),
            reason,
        };
        let built = self.circuits.segment(self.circuits.place(circuit)?)?;
        let inputs =
            segment_inputs(built, &epoch, input, job).map_err(|e| refused(e.to_string()))?;
        prove(&built.circuit, inputs, &job.label)
    }

    fn join(&self, job: &JoinJob, children: &[Vec<u8>]) -> Result<Proof, ProveError> {
        let label = &job.label;
        let failed = |error: ChildError| ProveError::Child {
            label: label.clone(),
            error,
        };
        let mut proofs = Vec::new();
        for (child, bytes) in job.children.iter().zip(children) {
            let id = self.circuits.id(&child.statement.circuit)?;
            proofs.push((self.read(&child.statement, id, bytes)?, id));
        }
        let mut parts = Vec::new();
        for (proof, id) in &proofs {
            let key = self.circuits.key(*id)?;
            parts.push(Child { proof, key });
        }
        let id = self.circuits.id(&job.statement.circuit)?;
        let inputs = match (id, &parts[..], job.epoch) {
            (CircuitId::Join, parts, _) => self.circuits.join()?.assign(parts),
            (CircuitId::BatchJoin, parts, _) => self.circuits.batch_join()?.assign(parts),
            (CircuitId::Batch, [root], _) => self.circuits.batch()?.assign(*root),
            (CircuitId::Epoch, [main, data], Some(epoch)) => {
                let epoch = self.epochs.input(epoch)?;
                let join = self.circuits.batch_join()?.digest();
                let circuit = self.circuits.epoch()?;
                circuit.assign(*main, *data, &epoch.context, join)
            }
            _ => return Err(ProveError::Unknown(job.statement.circuit.clone())),
        };
        prove(self.circuits.circuit(id)?, inputs.map_err(failed)?, label)
    }

    fn read(&self, of: &Statement, id: CircuitId, bytes: &[u8]) -> Result<Proof, ProveError> {
        let circuit = self.circuits.circuit(id)?;
        read_proof(bytes, &circuit.common).map_err(|reason| ProveError::Refused {
            circuit: of.circuit.clone(),
            reason,
        })
    }
}

/// What the plan fixed, and the segment's own inputs.
fn segment_inputs(
    built: &BuiltSegment,
    epoch: &EpochInput,
    input: &SegmentInput,
    job: &SegmentJob,
) -> anyhow::Result<PartialWitness<F>> {
    let planned = Summary::from_elements(&job.statement.expected)?;
    let [accounts, handoff, tick_table, close_table] = job.passing;
    let passing = PassingChains {
        accounts,
        handoff,
        tick_table,
        close_table,
    };
    let mut inputs = first_inputs(built, &epoch.context, input)?;
    let frame = &built.open.segment;
    frame.set_passing(&mut inputs, &passing)?;
    frame.set_challenge(&mut inputs, planned.challenge, planned.join_key)?;
    if job.has_data {
        inputs.set_extension_target(frame.summary.data.point, planned.data.point)?;
    }
    Ok(inputs)
}

/// The one place where proofs are made.
fn prove(circuit: &Circuit, inputs: PartialWitness<F>, label: &str) -> Result<Proof, ProveError> {
    let (own, common) = (&circuit.prover_only, &circuit.common);
    let prover = gates::prover(Kernel::chosen());
    let witness = prover.witness(own, common, inputs);
    let witness = witness.map_err(|error| ProveError::Witness {
        label: label.to_owned(),
        reason: error.to_string(),
    })?;
    let proof = prover.prove_witness(own, common, witness, &mut |_| ());
    proof.map_err(|error| ProveError::Proof {
        label: label.to_owned(),
        reason: error.to_string(),
    })
}

/// Verifies with a release's circuits.
#[allow(missing_debug_implementations)]
pub struct CircuitJudge<'a> {
    circuits: &'a Circuits,
    verifier: OnceLock<Verifier>,
}

impl<'a> CircuitJudge<'a> {
    pub fn new(circuits: &'a Circuits) -> Self {
        let verifier = OnceLock::new();
        Self { circuits, verifier }
    }

    /// The proof, if it verifies and states what it is to state.
    pub(crate) fn proof(&self, statement: &Statement, bytes: &[u8]) -> Result<Proof, ProveError> {
        let release = statement.release;
        if release != self.circuits.batch_digest()? {
            return Err(ProveError::Release(release));
        }
        let refused = |reason: String| ProveError::Refused {
            circuit: statement.circuit.clone(),
            reason,
        };
        let id = self.circuits.id(&statement.circuit)?;
        let circuit = self.circuits.circuit(id)?;
        let proof = read_proof(bytes, &circuit.common).map_err(refused)?;
        let stated = match id {
            CircuitId::Segment(_) | CircuitId::Join => {
                let summary = Summary::from_elements(&proof.public_inputs);
                as_planned(summary.map_err(|error| refused(error.to_string()))?)
            }
            CircuitId::Epoch | CircuitId::BatchJoin | CircuitId::Batch => {
                proof.public_inputs.clone()
            }
        };
        if stated != statement.expected {
            return Err(refused("it states something else than it was to".into()));
        }
        let verified = circuit.verify(proof.clone());
        verified.map_err(|error| refused(error.to_string()))?;
        Ok(proof)
    }

    pub(crate) fn batch_file(
        &self,
        plan: &BatchPlan,
        bytes: &[u8],
    ) -> Result<BatchFile, ProveError> {
        let root = plan.root().and_then(Job::statement);
        let root = root.ok_or(ProveError::Empty)?;
        let proof = self.proof(root, bytes)?;
        let key = self.circuits.key(CircuitId::Batch)?;
        Ok(BatchFile::new(key, plan.data.clone(), &proof))
    }
}

impl Judge for CircuitJudge<'_> {
    fn accepts(&self, statement: &Statement, proof: &[u8]) -> Result<(), ProveError> {
        self.proof(statement, proof).map(drop)
    }

    /// As `tally verify` will see it, from its bytes alone.
    fn settle(&self, plan: &BatchPlan, proof: &[u8]) -> Result<SettledBatch, ProveError> {
        let refused = |code, reason| ProveError::File { code, reason };
        let bytes = self.batch_file(plan, proof)?.to_bytes();
        let file = BatchFile::parse(&bytes).map_err(|e| refused(e.code(), e.to_string()))?;
        let release = self.circuits.batch_digest()?;
        let uniform = self.circuits.uniform();
        let verifier = self
            .verifier
            .get_or_init(|| Verifier::new(uniform, release));
        let statement = verifier.verify(&file);
        let statement = statement.map_err(|e| refused(e.code(), e.to_string()))?;
        Ok(SettledBatch {
            bytes,
            first_epoch: statement.first_epoch,
            last_epoch: statement.last_epoch,
            state_before: statement.state_before,
            state_after: statement.state_after,
        })
    }
}
