//! The circuits of a release: each built once, when it is first needed, and kept.
//!
//! A built circuit of 2^14 rows holds about 150 MB, mostly its constants' commitment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use plonky2::field::types::PrimeField64;
use serde::{Deserialize, Serialize};
use tally_circuits::batch::BatchCircuit;
use tally_circuits::epoch::EpochCircuit;
use tally_circuits::join::JoinCircuit;
use tally_circuits::span::SpanTarget;
use tally_circuits::summary::SummaryTarget;
use tally_circuits::uniform::{Circuit, ShapeError, Uniform, VerifierKey, key_digest};
use tally_protocol::hash::Digest;

use crate::error::ProveError;
use crate::segment::{BuiltSegment, SegmentType};

/// Names of the circuits that join; a segment's is its type's.
pub(crate) const JOIN: &str = "join";
pub(crate) const EPOCH: &str = "epoch";
pub(crate) const BATCH_JOIN: &str = "batch_join";
pub(crate) const BATCH: &str = "batch";

type Lazy<T> = OnceLock<Result<T, ShapeError>>;

/// Which circuit a proof is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitId {
    /// By its place in the list.
    Segment(usize),
    Join,
    Epoch,
    BatchJoin,
    Batch,
}

/// A release's circuits.
pub struct Circuits {
    uniform: Uniform,
    types: Vec<SegmentType>,
    segments: Vec<Lazy<BuiltSegment>>,
    join: Lazy<JoinCircuit<SummaryTarget>>,
    epoch: Lazy<EpochCircuit>,
    batch_join: Lazy<JoinCircuit<SpanTarget>>,
    batch: Lazy<BatchCircuit>,
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuits({:?}, {:?})", self.uniform.shape(), self.types)
    }
}

/// What is pinned of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Digest of the verifier key.
    pub key: [u64; 4],
    /// Rows before padding, where known.
    pub rows: Option<usize>,
}

impl Circuits {
    /// Nothing is built yet. The order of the types is part of the join's key.
    pub fn new(uniform: Uniform, types: Vec<SegmentType>) -> Self {
        Self {
            uniform: uniform.made_by(tally_plonk::build),
            segments: types.iter().map(|_| OnceLock::new()).collect(),
            types,
            join: OnceLock::new(),
            epoch: OnceLock::new(),
            batch_join: OnceLock::new(),
            batch: OnceLock::new(),
        }
    }

    pub fn uniform(&self) -> &Uniform {
        &self.uniform
    }

    /// Builds what is not built yet, the segments before what depends on them.
    pub fn build_all(&self) -> Result<(), ProveError> {
        self.batch().map(|_| ())
    }

    pub fn batch_digest(&self) -> Result<Digest, ProveError> {
        Ok(self.batch()?.digest())
    }

    /// The batch circuit's verifier key: what wraps for L1 are made over.
    pub fn batch_key(&self) -> Result<VerifierKey, ProveError> {
        Ok(self.batch()?.circuit.verifier_only.clone())
    }

    /// Every circuit's key digest and rows, by name.
    pub fn pins(&self) -> Result<BTreeMap<String, Pin>, ProveError> {
        let pin = |digest: Digest, rows| Pin {
            key: digest.elements.map(|e| e.to_canonical_u64()),
            rows,
        };
        let mut pins = BTreeMap::new();
        for (place, segment) in self.types.iter().enumerate() {
            let built = self.segment(place)?;
            let digest = key_digest(&built.circuit.verifier_only);
            pins.insert(segment.name.to_owned(), pin(digest, Some(built.rows)));
        }
        pins.insert(JOIN.into(), pin(self.join()?.digest(), None));
        pins.insert(EPOCH.into(), pin(self.epoch()?.digest(), None));
        pins.insert(BATCH_JOIN.into(), pin(self.batch_join()?.digest(), None));
        pins.insert(BATCH.into(), pin(self.batch()?.digest(), None));
        Ok(pins)
    }

    /// By the name that pins and jobs have for it.
    pub(crate) fn id(&self, name: &str) -> Result<CircuitId, ProveError> {
        Ok(match name {
            JOIN => CircuitId::Join,
            EPOCH => CircuitId::Epoch,
            BATCH_JOIN => CircuitId::BatchJoin,
            BATCH => CircuitId::Batch,
            segment => CircuitId::Segment(self.place(segment)?),
        })
    }

    pub(crate) fn place(&self, name: &str) -> Result<usize, ProveError> {
        let place = self.types.iter().position(|segment| segment.name == name);
        place.ok_or_else(|| ProveError::Unknown(name.to_owned()))
    }

    pub(crate) fn segment(&self, place: usize) -> Result<&BuiltSegment, ProveError> {
        let built = self.segments[place].get_or_init(|| self.types[place].build(&self.uniform));
        built
            .as_ref()
            .map_err(|error| shape(self.types[place].name, error))
    }

    fn segment_digests(&self) -> Result<Vec<Digest>, ProveError> {
        (0..self.types.len())
            .map(|place| Ok(key_digest(&self.segment(place)?.circuit.verifier_only)))
            .collect()
    }

    pub(crate) fn join(&self) -> Result<&JoinCircuit<SummaryTarget>, ProveError> {
        let segments = self.segment_digests()?;
        let built = self
            .join
            .get_or_init(|| JoinCircuit::build(&self.uniform, &segments));
        built.as_ref().map_err(|error| shape("join", error))
    }

    pub(crate) fn epoch(&self) -> Result<&EpochCircuit, ProveError> {
        let (segments, join) = (self.segment_digests()?, self.join()?.digest());
        let built = self
            .epoch
            .get_or_init(|| EpochCircuit::build(&self.uniform, &segments, join));
        built.as_ref().map_err(|error| shape("epoch", error))
    }

    pub(crate) fn batch_join(&self) -> Result<&JoinCircuit<SpanTarget>, ProveError> {
        let epoch = self.epoch()?.digest();
        let built = self
            .batch_join
            .get_or_init(|| JoinCircuit::build(&self.uniform, &[epoch]));
        built.as_ref().map_err(|error| shape("batch join", error))
    }

    pub(crate) fn batch(&self) -> Result<&BatchCircuit, ProveError> {
        let (epoch, join) = (self.epoch()?.digest(), self.batch_join()?.digest());
        let build = || Ok(BatchCircuit::build(&self.uniform, epoch, join));
        self.batch
            .get_or_init(build)
            .as_ref()
            .map_err(|error| shape("batch", error))
    }

    pub(crate) fn circuit(&self, id: CircuitId) -> Result<&Circuit, ProveError> {
        Ok(match id {
            CircuitId::Segment(place) => &self.segment(place)?.circuit,
            CircuitId::Join => &self.join()?.circuit,
            CircuitId::Epoch => &self.epoch()?.circuit,
            CircuitId::BatchJoin => &self.batch_join()?.circuit,
            CircuitId::Batch => &self.batch()?.circuit,
        })
    }

    pub(crate) fn key(&self, id: CircuitId) -> Result<&VerifierKey, ProveError> {
        Ok(&self.circuit(id)?.verifier_only)
    }
}

fn shape(circuit: impl Into<String>, error: &ShapeError) -> ProveError {
    ProveError::Shape {
        circuit: circuit.into(),
        error: error.clone(),
    }
}
