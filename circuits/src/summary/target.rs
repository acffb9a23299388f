//! The summary as targets, and the join rule as constraints.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::Tag;

use super::{COUNTS, MAX_ARITY, SUMMARY_ELEMENTS, Summary};
use crate::join::Statement;
use crate::{Builder, D, F, hash};

/// Twin of `Summary`.
#[derive(Clone, Debug)]
pub struct SummaryTarget {
    pub context: HashOutTarget,
    pub challenge: ChallengeTarget,
    pub bus: ExtensionTarget<D>,
    pub commitment: HashOutTarget,
    pub words: Target,
    /// In the order of `Counts`.
    pub counts: [Target; COUNTS],
    pub accounts: ChainTarget,
    pub handoff: ChainTarget,
    pub tick_table: ChainTarget,
    pub close_table: ChainTarget,
    pub data: DataPolynomialTarget,
    pub join_key: HashOutTarget,
}

/// Twin of `Challenge`.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeTarget {
    pub alpha: ExtensionTarget<D>,
    pub beta: ExtensionTarget<D>,
}

impl ChallengeTarget {
    /// Twin of `Challenge::derive`.
    pub fn derive(
        builder: &mut Builder,
        main: HashOutTarget,
        data: HashOutTarget,
        context: HashOutTarget,
    ) -> Self {
        let elements = [main.elements, data.elements, context.elements].concat();
        let [a, b, c, d] = hash::hash(builder, Tag::Challenge, &elements).elements;
        Self {
            alpha: ExtensionTarget([a, b]),
            beta: ExtensionTarget([c, d]),
        }
    }
}

/// Twin of `Chain`.
#[derive(Clone, Copy, Debug)]
pub struct ChainTarget {
    pub before: HashOutTarget,
    pub after: HashOutTarget,
}

impl ChainTarget {
    /// Passes an unconstrained value through.
    pub fn unchanged(builder: &mut Builder) -> Self {
        let value = builder.add_virtual_hash();
        Self {
            before: value,
            after: value,
        }
    }

    /// If `present`, `next` starts where this one ends and takes its end over.
    pub(crate) fn append(&mut self, builder: &mut Builder, next: ChainTarget, present: BoolTarget) {
        let mut start = self.after;
        let end = self.after;
        for i in 0..4 {
            start.elements[i] = builder.select(present, next.before.elements[i], end.elements[i]);
            self.after.elements[i] =
                builder.select(present, next.after.elements[i], end.elements[i]);
        }
        builder.connect_hashes(start, end);
    }
}

/// Twin of `DataPolynomial`.
#[derive(Clone, Copy, Debug)]
pub struct DataPolynomialTarget {
    pub length: Target,
    pub point: ExtensionTarget<D>,
    pub value: ExtensionTarget<D>,
    pub shift: ExtensionTarget<D>,
}

impl DataPolynomialTarget {
    pub fn empty(builder: &mut Builder, point: ExtensionTarget<D>) -> Self {
        Self {
            length: builder.zero(),
            point,
            value: builder.zero_extension(),
            shift: builder.one_extension(),
        }
    }

    /// If `present`, `next`'s list follows this one's; both at the same point in any case.
    pub(crate) fn append(
        &mut self,
        builder: &mut Builder,
        next: &DataPolynomialTarget,
        present: BoolTarget,
    ) {
        builder.connect_extension(self.point, next.point);
        self.length = builder.mul_add(present.target, next.length, self.length);
        let masked = builder.scalar_mul_ext(present.target, next.value);
        self.value = builder.mul_add_extension(self.shift, masked, self.value);
        let shifted = builder.mul_extension(self.shift, next.shift);
        self.shift = builder.select_ext(present, shifted, self.shift);
    }
}

impl SummaryTarget {
    /// Twin of `Summary::idle`: chains pass through unconstrained values; context, challenge and
    /// join key are unconstrained here and compared by the joins and the epoch's root.
    pub fn idle(builder: &mut Builder) -> Self {
        let point = builder.zero_extension();
        Self {
            context: builder.add_virtual_hash(),
            challenge: ChallengeTarget {
                alpha: builder.add_virtual_extension_target(),
                beta: builder.add_virtual_extension_target(),
            },
            bus: builder.zero_extension(),
            commitment: builder.constant_hash(Default::default()),
            words: builder.zero(),
            counts: [builder.zero(); COUNTS],
            accounts: ChainTarget::unchanged(builder),
            handoff: ChainTarget::unchanged(builder),
            tick_table: ChainTarget::unchanged(builder),
            close_table: ChainTarget::unchanged(builder),
            data: DataPolynomialTarget::empty(builder, point),
            join_key: builder.add_virtual_hash(),
        }
    }

    /// If `present`, `next` stands to the right of this one; commitment and data are left as they
    /// are.
    pub(crate) fn append_frame(
        &mut self,
        builder: &mut Builder,
        next: &SummaryTarget,
        present: BoolTarget,
    ) {
        builder.connect_hashes(self.context, next.context);
        builder.connect_extension(self.challenge.alpha, next.challenge.alpha);
        builder.connect_extension(self.challenge.beta, next.challenge.beta);
        builder.connect_hashes(self.join_key, next.join_key);
        let bus = builder.scalar_mul_ext(present.target, next.bus);
        self.bus = builder.add_extension(self.bus, bus);
        self.words = builder.mul_add(present.target, next.words, self.words);
        for (sum, term) in self.counts.iter_mut().zip(next.counts) {
            *sum = builder.mul_add(present.target, term, *sum);
        }
        self.accounts.append(builder, next.accounts, present);
        self.handoff.append(builder, next.handoff, present);
        self.tick_table.append(builder, next.tick_table, present);
        self.close_table.append(builder, next.close_table, present);
    }

    pub fn to_targets(&self) -> Vec<Target> {
        let mut out = Vec::with_capacity(SUMMARY_ELEMENTS);
        out.extend(self.context.elements);
        out.extend(self.challenge.alpha.0);
        out.extend(self.challenge.beta.0);
        out.extend(self.bus.0);
        out.extend(self.commitment.elements);
        out.push(self.words);
        out.extend(self.counts);
        for chain in [
            self.accounts,
            self.handoff,
            self.tick_table,
            self.close_table,
        ] {
            out.extend(chain.before.elements);
            out.extend(chain.after.elements);
        }
        out.push(self.data.length);
        out.extend(self.data.point.0);
        out.extend(self.data.value.0);
        out.extend(self.data.shift.0);
        out.extend(self.join_key.elements);
        out
    }

    /// Assigns every field; fields that are constants or computed must agree.
    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Summary) -> anyhow::Result<()> {
        witness.set_target_arr(&self.to_targets(), &value.to_elements())
    }
}

impl Statement for SummaryTarget {
    fn from_targets(targets: &[Target]) -> Self {
        assert_eq!(targets.len(), SUMMARY_ELEMENTS);
        let mut r = TargetReader(targets);
        Self {
            context: r.digest(),
            challenge: ChallengeTarget {
                alpha: r.ext(),
                beta: r.ext(),
            },
            bus: r.ext(),
            commitment: r.digest(),
            words: r.one(),
            counts: r.take(),
            accounts: r.chain(),
            handoff: r.chain(),
            tick_table: r.chain(),
            close_table: r.chain(),
            data: r.data(),
            join_key: r.digest(),
        }
    }

    fn join_key(&self) -> HashOutTarget {
        self.join_key
    }

    /// \[P5\] Twin of `Summary::join`.
    fn join(builder: &mut Builder, children: &[Self], present: &[BoolTarget]) -> Self {
        let mut joined = children[0].clone();
        for (next, bit) in children[1..].iter().zip(present) {
            joined.append_frame(builder, next, *bit);
            joined.data.append(builder, &next.data, *bit);
        }
        let commitments: Vec<HashOutTarget> = children.iter().map(|c| c.commitment).collect();
        joined.commitment = join_commitments_target(builder, &commitments, present);
        joined
    }

    fn register(&self, builder: &mut Builder) {
        assert_eq!(
            builder.num_public_inputs(),
            0,
            "a summary is all of a circuit's public inputs"
        );
        builder.register_public_inputs(&self.to_targets());
    }
}

/// Twin of `join_commitments`; `present` has a bit for each child after the first.
pub(crate) fn join_commitments_target(
    builder: &mut Builder,
    children: &[HashOutTarget],
    present: &[BoolTarget],
) -> HashOutTarget {
    assert!(!children.is_empty() && children.len() <= MAX_ARITY);
    assert_eq!(children.len(), present.len() + 1);
    let mut count = builder.one();
    let mut elements = children[0].elements.to_vec();
    for (child, bit) in children[1..].iter().zip(present) {
        count = builder.add(count, bit.target);
        elements.extend(child.elements.map(|c| builder.mul(c, bit.target)));
    }
    elements.insert(0, count);
    elements.resize(1 + 4 * MAX_ARITY, builder.zero());
    hash::hash(builder, Tag::Join, &elements)
}

/// Reads fields off a list of targets.
pub(crate) struct TargetReader<'a>(pub(crate) &'a [Target]);

impl TargetReader<'_> {
    pub(crate) fn one(&mut self) -> Target {
        self.take::<1>()[0]
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [Target; N] {
        let (head, tail) = self.0.split_at(N);
        self.0 = tail;
        std::array::from_fn(|i| head[i])
    }

    pub(crate) fn digest(&mut self) -> HashOutTarget {
        HashOutTarget {
            elements: self.take(),
        }
    }

    pub(crate) fn ext(&mut self) -> ExtensionTarget<D> {
        ExtensionTarget(self.take())
    }

    pub(crate) fn chain(&mut self) -> ChainTarget {
        ChainTarget {
            before: self.digest(),
            after: self.digest(),
        }
    }

    pub(crate) fn data(&mut self) -> DataPolynomialTarget {
        DataPolynomialTarget {
            length: self.one(),
            point: self.ext(),
            value: self.ext(),
            shift: self.ext(),
        }
    }
}
