//! What a kind of segment provides, and a segment to be proven.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use plonky2::iop::witness::PartialWitness;
use tally_circuits::segment::{Segment, SegmentKind};
use tally_circuits::uniform::{Circuit, ShapeError, Uniform};
use tally_circuits::{Builder, F};

/// A kind of segment: its circuit and how a native witness fills it.
pub trait SegmentCircuit: Send + Sync + Sized + 'static {
    /// What the native run hands over, without context, index, challenge and passing chains.
    type Witness: Send + Sync + 'static;
    const KIND: SegmentKind;

    /// The constraints, through `SegmentBuilder::finish`; self keeps the targets that `assign` sets.
    fn build() -> (Builder, Self);

    /// The frame that `finish` returned.
    fn segment(&self) -> &Segment;

    /// Sets the segment's own inputs. The frame's are the prover's to set.
    fn assign(&self, inputs: &mut PartialWitness<F>, witness: &Self::Witness)
    -> anyhow::Result<()>;
}

/// One segment to be proven: which circuit, and its witness.
#[derive(Clone)]
pub struct SegmentInput {
    pub kind: SegmentKind,
    /// Of the segments of its kind in the epoch \[P1\].
    pub index: u32,
    pub(crate) witness: Arc<dyn Any + Send + Sync>,
}

impl SegmentInput {
    pub fn new<S: SegmentCircuit>(index: u32, witness: S::Witness) -> Self {
        Self {
            kind: S::KIND,
            index,
            witness: Arc::new(witness),
        }
    }

    /// "ledger4 3", for progress and errors.
    pub fn label(&self) -> String {
        format!("{:?} {}", self.kind, self.index).to_lowercase()
    }
}

impl fmt::Debug for SegmentInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentInput({})", self.label())
    }
}

/// A kind that a prover is set up for.
#[derive(Clone, Copy)]
pub struct SegmentType {
    pub kind: SegmentKind,
    pub(crate) build: fn(&Uniform) -> Result<BuiltSegment, ShapeError>,
}

impl SegmentType {
    pub fn of<S: SegmentCircuit>() -> Self {
        Self {
            kind: S::KIND,
            build: BuiltSegment::build::<S>,
        }
    }
}

impl fmt::Debug for SegmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentType({:?})", self.kind)
    }
}

type Assign = dyn Fn(&mut PartialWitness<F>, &dyn Any) -> anyhow::Result<()> + Send + Sync;

/// A segment's circuit, built, with its author's type erased.
pub(crate) struct BuiltSegment {
    pub(crate) circuit: Circuit,
    pub(crate) segment: Segment,
    /// Rows before padding.
    pub(crate) rows: usize,
    assign: Box<Assign>,
}

impl BuiltSegment {
    fn build<S: SegmentCircuit>(uniform: &Uniform) -> Result<Self, ShapeError> {
        let (builder, targets) = S::build();
        let rows = builder.rows();
        let circuit = uniform.build(builder)?;
        let segment = targets.segment().clone();
        let assign = move |inputs: &mut PartialWitness<F>, witness: &dyn Any| {
            let witness = witness.downcast_ref::<S::Witness>();
            let witness = witness.ok_or_else(|| anyhow::anyhow!("a witness of another type"))?;
            targets.assign(inputs, witness)
        };
        Ok(Self {
            circuit,
            segment,
            rows,
            assign: Box::new(assign),
        })
    }

    pub(crate) fn assign(
        &self,
        inputs: &mut PartialWitness<F>,
        witness: &dyn Any,
    ) -> anyhow::Result<()> {
        (self.assign)(inputs, witness)
    }
}
