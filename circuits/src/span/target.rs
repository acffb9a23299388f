//! The span as targets, and its join rule as constraints.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};

use super::{DOMAIN_ELEMENTS, SPAN_ELEMENTS, Span};
use crate::join::Statement;
use crate::summary::{
    ChainTarget, DataPolynomialTarget, SUMMARY_ELEMENTS, TargetReader, join_commitments_target,
};
use crate::{Builder, F};

/// Twin of `Span`.
#[derive(Clone, Debug)]
pub struct SpanTarget {
    pub domain: [Target; DOMAIN_ELEMENTS],
    pub first_epoch: Target,
    pub last_epoch: Target,
    pub round: Target,
    pub time: Target,
    pub state: ChainTarget,
    pub header: HashOutTarget,
    pub sections: [Target; 4],
    pub digest: HashOutTarget,
    pub data: DataPolynomialTarget,
    pub join_key: HashOutTarget,
}

impl Statement for SpanTarget {
    fn from_targets(targets: &[Target]) -> Self {
        assert_eq!(targets.len(), SUMMARY_ELEMENTS);
        let mut r = TargetReader(targets);
        Self {
            domain: r.take(),
            first_epoch: r.one(),
            last_epoch: r.one(),
            round: r.one(),
            time: r.one(),
            state: r.chain(),
            header: r.digest(),
            sections: r.take(),
            digest: r.digest(),
            data: r.data(),
            join_key: r.digest(),
        }
    }

    fn join_key(&self) -> HashOutTarget {
        self.join_key
    }

    fn join(builder: &mut Builder, children: &[Self], present: &[BoolTarget]) -> Self {
        let mut joined = children[0].clone();
        for (next, bit) in children[1..].iter().zip(present) {
            joined.append(builder, next, *bit);
        }
        let digests: Vec<HashOutTarget> = children.iter().map(|c| c.digest).collect();
        joined.digest = join_commitments_target(builder, &digests, present);
        joined
    }

    fn register(&self, builder: &mut Builder) {
        let mut targets = self.to_targets();
        targets.resize(SUMMARY_ELEMENTS, builder.zero());
        builder.register_public_inputs(&targets);
    }
}

impl SpanTarget {
    fn append(&mut self, builder: &mut Builder, next: &SpanTarget, present: BoolTarget) {
        for (mine, other) in self.domain.into_iter().zip(next.domain) {
            builder.connect(mine, other);
        }
        builder.connect_hashes(self.join_key, next.join_key);
        let one = builder.one();
        let expected = builder.add(self.last_epoch, one);
        builder.conditional_assert_eq(present.target, expected, next.first_epoch);
        self.last_epoch = builder.select(present, next.last_epoch, self.last_epoch);
        self.round = builder.select(present, next.round, self.round);
        self.time = builder.select(present, next.time, self.time);
        self.state.append(builder, next.state, present);
        for (mine, other) in self.header.elements.iter_mut().zip(next.header.elements) {
            *mine = builder.select(present, other, *mine);
        }
        for (sum, term) in self.sections.iter_mut().zip(next.sections) {
            *sum = builder.mul_add(present.target, term, *sum);
        }
        self.data.append(builder, &next.data, present);
    }

    /// The meaningful public inputs, without the zeros.
    pub fn to_targets(&self) -> Vec<Target> {
        let mut out = self.domain.to_vec();
        out.extend([self.first_epoch, self.last_epoch, self.round, self.time]);
        out.extend(self.state.before.elements);
        out.extend(self.state.after.elements);
        out.extend(self.header.elements);
        out.extend(self.sections);
        out.extend(self.digest.elements);
        out.push(self.data.length);
        out.extend(self.data.point.0);
        out.extend(self.data.value.0);
        out.extend(self.data.shift.0);
        out.extend(self.join_key.elements);
        assert_eq!(out.len(), SPAN_ELEMENTS);
        out
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Span) -> anyhow::Result<()> {
        let elements = value.to_elements();
        witness.set_target_arr(&self.to_targets(), &elements[..SPAN_ELEMENTS])
    }
}
