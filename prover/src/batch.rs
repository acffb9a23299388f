//! Proves a batch: segments, joins, epochs, batch joins, batch.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plonky2::field::types::Field;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_circuits::batch::BatchFile;
use tally_circuits::join::{Child, ChildError};
use tally_circuits::segment::PassingChains;
use tally_circuits::span::Span;
use tally_circuits::summary::Summary;
use tally_circuits::uniform::{Circuit, Proof};
use tally_circuits::witness::Staged;
use tally_circuits::{Config, Ext, F};
use tally_plonk::{prove, prove_witness};
use tally_protocol::header::Context;

use crate::circuits::{CircuitId, Circuits};
use crate::error::ProveError;
use crate::plan::{Plan, PlannedEpoch, PlannedSegment, Tree, first_inputs};
use crate::pool::{Done, Job, Limits, Progress, run};
use crate::segment::SegmentInput;
use crate::store::{Address, Store};

/// What the native run hands over for one epoch.
#[derive(Clone, Debug)]
pub struct EpochInput {
    pub context: Context,
    /// Roots as the epoch begins.
    pub start: PassingChains,
    /// Segments in the order of their chains; all but data segments.
    pub main: Vec<SegmentInput>,
    /// Data segments, in the order of their lists.
    pub data: Vec<SegmentInput>,
    /// The epoch's part of the L1 data \[P6\].
    pub words: Vec<u64>,
}

/// Proves batches with a release's circuits.
pub struct Prover<'a> {
    pub circuits: &'a Circuits,
    pub store: &'a Store,
    pub limits: Limits,
    pub progress: &'a dyn Progress,
    /// Set it to stop after the jobs that run.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Prover<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prover({:?})", self.limits)
    }
}

/// A proof and whose it is.
struct Proven {
    proof: Proof,
    id: CircuitId,
}

/// Memory of one proof per row of its circuit; 2^14 rows took 430 MB beyond the built circuit.
const BYTES_PER_ROW: u64 = 28_000;

impl<'a> Prover<'a> {
    /// The batch's file; finished proofs of an earlier run are reused.
    pub fn prove(&self, epochs: &[EpochInput]) -> Result<BatchFile, ProveError> {
        let plan = Plan::new(self.circuits, epochs)?;
        let mut jobs = Vec::new();
        let mut leaves = Vec::new();
        for epoch in &plan.epochs {
            leaves.push(self.add_epoch(&mut jobs, epoch));
        }
        let root = self.add_tree(
            &mut jobs,
            &plan.tree,
            &leaves,
            "batch join",
            CircuitId::BatchJoin,
        );
        jobs.push(self.job("batch".into(), vec![root], |children| {
            let batch = self.circuits.batch()?;
            let address = Address::new(&batch.circuit, &plan.inputs);
            self.prove_or_load(CircuitId::Batch, "batch", address, &plan.inputs, || {
                batch
                    .assign(self.child(&children[0])?)
                    .map_err(|e| failed("batch", e))
            })
        }));
        let results = run(jobs, self.limits, self.progress, self.stop)?;
        let batch = results.last().ok_or(ProveError::Empty)?;
        let key = self.circuits.key(CircuitId::Batch)?;
        Ok(BatchFile::new(key, plan.bytes.clone(), &batch.proof))
    }

    fn add_epoch<'p>(
        &'p self,
        jobs: &mut Vec<Job<'p, Proven>>,
        epoch: &'p PlannedEpoch<'p>,
    ) -> usize {
        let number = epoch.context.epoch;
        let main = self.add_segments(jobs, epoch, &epoch.main);
        let data = self.add_segments(jobs, epoch, &epoch.data);
        let name = format!("epoch {number} join");
        let main = self.add_tree(jobs, &epoch.main_tree, &main, &name, CircuitId::Join);
        let data = self.add_tree(jobs, &epoch.data_tree, &data, &name, CircuitId::Join);
        let label = format!("epoch {number}");
        jobs.push(self.job(label.clone(), vec![main, data], move |children| {
            self.prove_epoch(&label, epoch, children)
        }));
        jobs.len() - 1
    }

    fn add_segments<'p>(
        &'p self,
        jobs: &mut Vec<Job<'p, Proven>>,
        epoch: &'p PlannedEpoch<'p>,
        segments: &'p [PlannedSegment<'p>],
    ) -> Vec<usize> {
        let mut places = Vec::new();
        for segment in segments {
            let label = format!("epoch {} {}", epoch.context.epoch, segment.input.label());
            places.push(jobs.len());
            jobs.push(self.job(label.clone(), vec![], move |_| {
                self.prove_segment(&label, epoch.context, segment)
            }));
        }
        places
    }

    /// Adds the joins over the jobs at `leaves`; the place of the root.
    fn add_tree<'p>(
        &'p self,
        jobs: &mut Vec<Job<'p, Proven>>,
        tree: &Tree,
        leaves: &[usize],
        name: &str,
        id: CircuitId,
    ) -> usize {
        match tree {
            Tree::Leaf(place) => leaves[*place],
            Tree::Join(children) => {
                let after = children
                    .iter()
                    .map(|child| self.add_tree(jobs, child, leaves, name, id))
                    .collect();
                let label = name.to_owned();
                jobs.push(self.job(label.clone(), after, move |children| {
                    self.prove_join(&label, id, children)
                }));
                jobs.len() - 1
            }
        }
    }

    fn job<'p>(
        &self,
        label: String,
        after: Vec<usize>,
        run: impl FnOnce(&[Arc<Proven>]) -> Result<Done<Proven>, ProveError> + Send + 'p,
    ) -> Job<'p, Proven> {
        let rows = self.circuits.uniform().shape().rows() as u64;
        Job {
            label,
            after,
            memory_mb: rows * BYTES_PER_ROW / 1_000_000,
            run: Box::new(run),
        }
    }

    fn prove_segment(
        &self,
        label: &str,
        context: &Context,
        segment: &PlannedSegment,
    ) -> Result<Done<Proven>, ProveError> {
        let built = self.circuits.segment(segment.place)?;
        let expected = segment.summary.to_elements();
        let address = Address::new(&built.circuit, &expected);
        let as_planned = |inputs: &[F]| {
            Summary::from_elements(inputs).is_ok_and(|mut summary| {
                summary.bus = Ext::ZERO;
                summary.data.value = Ext::ZERO;
                summary.data.shift = Ext::ZERO;
                summary == segment.summary
            })
        };
        let id = CircuitId::Segment(segment.place);
        if let Some(proof) = self.store.load(address, &built.circuit, as_planned)? {
            return Ok(Done {
                value: Proven { proof, id },
                reused: true,
            });
        }
        let refused = |reason: String| ProveError::Witness {
            label: label.to_owned(),
            reason,
        };
        let mut inputs =
            first_inputs(built, context, segment.input).map_err(|e| refused(e.to_string()))?;
        second_inputs(&mut inputs, built, segment).map_err(|e| refused(e.to_string()))?;
        let circuit = &built.circuit;
        let mut staged = Staged::<Config>::new(&circuit.prover_only, &circuit.common);
        staged
            .advance(&inputs)
            .map_err(|e| refused(e.to_string()))?;
        let witness = staged.finish().map_err(|e| refused(e.to_string()))?;
        let proof = prove_witness(&circuit.prover_only, &circuit.common, witness);
        let proof = proof.map_err(|e| unproven(label, e))?;
        if !as_planned(&proof.public_inputs) {
            return Err(refused(
                "it states something else than it was planned to".into(),
            ));
        }
        self.keep(label, address, circuit, proof, id)
    }

    fn prove_join(
        &self,
        label: &str,
        id: CircuitId,
        children: &[Arc<Proven>],
    ) -> Result<Done<Proven>, ProveError> {
        let inputs = children.iter().map(|child| &child.proof.public_inputs[..]);
        let expected = match id {
            CircuitId::BatchJoin => {
                let spans: Result<Vec<Span>, _> = inputs.map(Span::from_elements).collect();
                Span::join(&spans?)?.to_elements()
            }
            _ => {
                let parts: Result<Vec<Summary>, _> = inputs.map(Summary::from_elements).collect();
                let joined = parts.and_then(|parts| Summary::join(&parts));
                let refused = |error| ProveError::Join { epoch: 0, error };
                joined.map_err(refused)?.to_elements()
            }
        };
        let address = Address::new(self.circuits.circuit(id)?, &expected);
        self.prove_or_load(id, label, address, &expected, || {
            let children: Vec<Child> = children
                .iter()
                .map(|child| self.child(child))
                .collect::<Result<_, _>>()?;
            let inputs = match id {
                CircuitId::BatchJoin => self.circuits.batch_join()?.assign(&children),
                _ => self.circuits.join()?.assign(&children),
            };
            inputs.map_err(|e| failed(label, e))
        })
    }

    fn prove_epoch(
        &self,
        label: &str,
        epoch: &PlannedEpoch,
        children: &[Arc<Proven>],
    ) -> Result<Done<Proven>, ProveError> {
        let number = epoch.context.epoch;
        let circuit = self.circuits.epoch()?;
        let (join, batch_join) = (self.circuits.join()?, self.circuits.batch_join()?);
        let refused = |error| ProveError::Join {
            epoch: number,
            error,
        };
        let root = |child: &Proven| Summary::from_elements(&child.proof.public_inputs);
        let (main, data) = (root(&children[0]), root(&children[1]));
        let (main, data) = (main.map_err(refused)?, data.map_err(refused)?);
        let keys = (join.digest(), batch_join.digest());
        let span =
            Span::of_epoch(&main, &data, epoch.context, keys.0, keys.1).map_err(|error| {
                ProveError::Epoch {
                    epoch: number,
                    error,
                }
            })?;
        if span != epoch.span {
            return Err(ProveError::Data { epoch: number });
        }
        let expected = span.to_elements();
        let address = Address::new(&circuit.circuit, &expected);
        self.prove_or_load(CircuitId::Epoch, label, address, &expected, || {
            let (main, data) = (self.child(&children[0])?, self.child(&children[1])?);
            circuit
                .assign(main, data, epoch.context, keys.1)
                .map_err(|e| failed(label, e))
        })
    }

    fn prove_or_load(
        &self,
        id: CircuitId,
        label: &str,
        address: Address,
        expected: &[F],
        inputs: impl FnOnce() -> Result<PartialWitness<F>, ProveError>,
    ) -> Result<Done<Proven>, ProveError> {
        let circuit = self.circuits.circuit(id)?;
        if let Some(proof) = self
            .store
            .load(address, circuit, |inputs| inputs == expected)?
        {
            return Ok(Done {
                value: Proven { proof, id },
                reused: true,
            });
        }
        let (prover, common) = (&circuit.prover_only, &circuit.common);
        let proof = prove(prover, common, inputs()?);
        self.keep(
            label,
            address,
            circuit,
            proof.map_err(|e| unproven(label, e))?,
            id,
        )
    }

    /// Verifies, because a witness that breaks a constraint shows only then, and stores.
    fn keep(
        &self,
        label: &str,
        address: Address,
        circuit: &Circuit,
        proof: Proof,
        id: CircuitId,
    ) -> Result<Done<Proven>, ProveError> {
        circuit
            .verify(proof.clone())
            .map_err(|e| unproven(label, e))?;
        self.store.save(address, &proof)?;
        Ok(Done {
            value: Proven { proof, id },
            reused: false,
        })
    }

    fn child<'c>(&self, proven: &'c Proven) -> Result<Child<'c>, ProveError>
    where
        'a: 'c,
    {
        Ok(Child {
            proof: &proven.proof,
            key: self.circuits.key(proven.id)?,
        })
    }
}

/// What is known once the challenge and, for data, the point are drawn.
fn second_inputs(
    inputs: &mut PartialWitness<F>,
    built: &crate::segment::BuiltSegment,
    segment: &PlannedSegment,
) -> anyhow::Result<()> {
    let frame = &built.open.segment;
    frame.set_passing(inputs, &segment.passing)?;
    frame.set_challenge(inputs, segment.summary.challenge, segment.summary.join_key)?;
    if segment.has_data {
        inputs.set_extension_target(frame.summary.data.point, segment.summary.data.point)?;
    }
    Ok(())
}

fn failed(label: &str, error: ChildError) -> ProveError {
    ProveError::Child {
        label: label.to_owned(),
        error,
    }
}

fn unproven(label: &str, error: impl std::fmt::Display) -> ProveError {
    ProveError::Proof {
        label: label.to_owned(),
        reason: error.to_string(),
    }
}
