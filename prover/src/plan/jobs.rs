//! From a plan to the jobs that prove it, each after those it needs.

use plonky2::field::types::Field;
use tally_circuits::segment::PassingChains;
use tally_circuits::span::Span;
use tally_circuits::summary::Summary;
use tally_circuits::{Ext, F};
use tally_jobs::job::{Child, List};
use tally_jobs::part::PlannedJob;
use tally_jobs::{BatchPlan, EpochRef, Job, JobId, JoinJob, SegmentJob, Statement};

use super::{Plan, PlannedEpoch, PlannedSegment, Tree};
use crate::circuits::{BATCH, BATCH_JOIN, EPOCH, JOIN};
use crate::error::ProveError;

/// What is known of a segment's or a join's summary before it is proven: not its bus sum, nor the
/// value of its data, with the power of the point that goes with it.
pub(crate) fn as_planned(mut summary: Summary) -> Vec<F> {
    summary.bus = Ext::ZERO;
    summary.data.value = Ext::ZERO;
    summary.data.shift = Ext::ZERO;
    summary.to_elements()
}

impl Plan<'_> {
    /// The jobs for a batch whose epochs' witnesses are found under `refs`.
    pub(crate) fn jobs(&self, job: JobId, refs: &[EpochRef]) -> Result<BatchPlan, ProveError> {
        let mut jobs = Jobs {
            plan: self,
            list: Vec::new(),
        };
        let mut leaves = Vec::new();
        for (epoch, epoch_ref) in self.epochs.iter().zip(refs) {
            leaves.push((epoch.span.clone(), jobs.epoch(epoch, *epoch_ref)?));
        }
        let leaf = &mut |place: usize| Ok::<_, ProveError>(leaves[place].clone());
        let (_, root) = self.tree.fold(leaf, &mut |children| {
            let (spans, children): (Vec<Span>, Vec<Child>) = children.into_iter().unzip();
            let span = Span::join(&spans)?;
            let statement = self.statement(BATCH_JOIN, span.to_elements());
            Ok((
                span,
                jobs.join(statement, "batch join".into(), children, None),
            ))
        })?;
        let statement = self.statement(BATCH, self.inputs.clone());
        jobs.join(statement, "batch".into(), vec![root], None);
        Ok(BatchPlan {
            job,
            data: self.bytes.clone(),
            jobs: jobs.list,
        })
    }

    fn statement(&self, circuit: &str, expected: Vec<F>) -> Statement {
        Statement {
            release: self.release,
            circuit: circuit.to_owned(),
            expected,
        }
    }
}

struct Jobs<'p> {
    plan: &'p Plan<'p>,
    list: Vec<PlannedJob>,
}

impl Jobs<'_> {
    fn epoch(&mut self, epoch: &PlannedEpoch<'_>, at: EpochRef) -> Result<Child, ProveError> {
        let number = epoch.context.epoch;
        let mut tree = |list, tree: &Tree, segments: &[PlannedSegment<'_>]| {
            let mut places = Vec::new();
            for (place, segment) in (0..).zip(segments) {
                places.push(self.segment(at, list, place, segment));
            }
            let leaf = &mut |i: usize| {
                Ok::<_, ProveError>((segments[i].before_challenge(), places[i].clone()))
            };
            let root = tree.fold(leaf, &mut |children: Vec<(Summary, Child)>| {
                let (summaries, children): (Vec<Summary>, Vec<Child>) =
                    children.into_iter().unzip();
                let joined = Summary::join(&summaries).map_err(|error| ProveError::Join {
                    epoch: number,
                    error,
                })?;
                let statement = self.plan.statement(JOIN, as_planned(joined.clone()));
                let label = format!("epoch {number} join");
                Ok((joined, self.join(statement, label, children, None)))
            });
            root.map(|(_, root): (Summary, Child)| root)
        };
        let main = tree(List::Main, &epoch.main_tree, &epoch.main)?;
        let data = tree(List::Data, &epoch.data_tree, &epoch.data)?;
        let statement = self.plan.statement(EPOCH, epoch.span.to_elements());
        let label = format!("epoch {number}");
        Ok(self.join(statement, label, vec![main, data], Some(at)))
    }

    fn segment(
        &mut self,
        epoch: EpochRef,
        list: List,
        place: u32,
        segment: &PlannedSegment<'_>,
    ) -> Child {
        let PassingChains {
            accounts,
            handoff,
            tick_table,
            close_table,
        } = segment.passing;
        let expected = segment.summary.to_elements();
        let statement = self.plan.statement(segment.input.circuit, expected);
        self.add(Job::Segment(SegmentJob {
            statement,
            label: format!("epoch {} {}", epoch.epoch, segment.input.label()),
            epoch,
            list,
            place,
            passing: [accounts, handoff, tick_table, close_table],
            has_data: segment.has_data,
        }))
    }

    fn join(
        &mut self,
        statement: Statement,
        label: String,
        children: Vec<Child>,
        epoch: Option<EpochRef>,
    ) -> Child {
        self.add(Job::Join(JoinJob {
            statement,
            label,
            children,
            epoch,
        }))
    }

    fn add(&mut self, job: Job) -> Child {
        let statement = job.statement().cloned();
        let child = Child {
            job: job.id(),
            statement: statement.expect("segments and joins state something"),
        };
        self.list.push(PlannedJob {
            job,
            memory_mb: self.plan.memory_mb,
        });
        child
    }
}
