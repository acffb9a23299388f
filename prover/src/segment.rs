//! The segments that a prover knows, and a segment to be proven.
//!
//! A segment's author keeps whatever types fit: a kind is a name, how to build its circuit and
//! where its frame is; an input is a name and how to set the circuit's targets.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use plonky2::iop::witness::PartialWitness;
use tally_circuits::segment::Segment;
use tally_circuits::uniform::{Circuit, ShapeError, Uniform};
use tally_circuits::{Builder, F};

type Targets = dyn Any + Send + Sync;
type Open = dyn Fn() -> (Builder, OpenSegment) + Send + Sync;
type Assign = dyn Fn(&Targets, &mut PartialWitness<F>) -> anyhow::Result<()> + Send + Sync;

/// A segment circuit of a release. One name for each circuit: shapes of a kind are several.
#[derive(Clone)]
pub struct SegmentType {
    pub name: &'static str,
    open: Arc<Open>,
}

impl SegmentType {
    /// `build` makes the constraints, through `SegmentBuilder::finish`, and the targets to assign;
    /// `frame` finds what `finish` returned.
    pub fn new<S: Send + Sync + 'static>(
        name: &'static str,
        build: impl Fn() -> (Builder, S) + Send + Sync + 'static,
        frame: fn(&S) -> &Segment,
    ) -> Self {
        let open = move || {
            let (builder, targets) = build();
            let segment = frame(&targets).clone();
            let targets = Box::new(targets);
            (builder, OpenSegment { segment, targets })
        };
        Self {
            name,
            open: Arc::new(open),
        }
    }

    /// The constraints with their targets, not built: for the checker and for counting rows.
    pub fn open(&self) -> (Builder, OpenSegment) {
        (self.open)()
    }

    pub(crate) fn build(&self, uniform: &Uniform) -> Result<BuiltSegment, ShapeError> {
        let (builder, open) = self.open();
        let rows = builder.rows();
        let circuit = uniform.build(builder)?;
        Ok(BuiltSegment {
            circuit,
            open,
            rows,
        })
    }
}

impl fmt::Debug for SegmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentType({})", self.name)
    }
}

/// One segment to be proven.
#[derive(Clone)]
pub struct SegmentInput {
    /// Name of its circuit.
    pub circuit: &'static str,
    /// Of the segments of its kind in the epoch \[P1\].
    pub index: u32,
    assign: Arc<Assign>,
}

impl SegmentInput {
    /// `assign` sets the segment's own inputs on the targets that its `build` returned, a pure
    /// function of what it holds. Context, index, challenge and passing chains are the prover's to
    /// set.
    pub fn new<S: 'static>(
        circuit: &'static str,
        index: u32,
        assign: impl Fn(&S, &mut PartialWitness<F>) -> anyhow::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let assign = move |targets: &Targets, inputs: &mut PartialWitness<F>| {
            let targets = targets.downcast_ref::<S>();
            let targets = targets.ok_or_else(|| anyhow::anyhow!("targets of another circuit"))?;
            assign(targets, inputs)
        };
        Self {
            circuit,
            index,
            assign: Arc::new(assign),
        }
    }

    /// "ledger4 3", for progress and errors.
    pub fn label(&self) -> String {
        format!("{} {}", self.circuit, self.index)
    }
}

impl fmt::Debug for SegmentInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentInput({})", self.label())
    }
}

/// A segment's frame and its author's targets, their type erased.
#[allow(missing_debug_implementations)]
pub struct OpenSegment {
    pub segment: Segment,
    targets: Box<Targets>,
}

impl OpenSegment {
    /// Sets the segment's own inputs.
    pub fn assign(
        &self,
        inputs: &mut PartialWitness<F>,
        input: &SegmentInput,
    ) -> anyhow::Result<()> {
        (input.assign)(&*self.targets, inputs)
    }
}

/// A segment's circuit, built.
pub(crate) struct BuiltSegment {
    pub(crate) circuit: Circuit,
    pub(crate) open: OpenSegment,
    /// Rows before padding.
    pub(crate) rows: usize,
}
