//! The join: verifies up to `arity` children, each a leaf of a constant list or a join of this
//! very circuit, and states what they state together \[P5\].
//!
//! *Statement.* Each child is a valid proof of a circuit whose key digest is in the list, or equals
//! the children's `join_key`; the public inputs are the children's statements joined.
//! *Assumptions.* `join_key` is this circuit's own digest. A circuit cannot contain its own digest,
//! so it travels as a public input, equal in all children, and the epoch's circuit compares it with
//! the constant; by induction from there down, every join below is this circuit.
//! *Absent children* are copies of the first: valid proofs that add nothing.
//! *Cost.* About 4,450 rows a child of 2^14 rows.

#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_data::{CommonCircuitData, VerifierCircuitTarget};
use plonky2::plonk::proof::ProofWithPublicInputsTarget;
use tally_protocol::hash::Digest;
use thiserror::Error;

use crate::uniform::{
    Circuit, Proof, ShapeError, Uniform, VerifierKey, key_digest, key_digest_target,
};
use crate::{Builder, Config, D, F};

/// What a uniform circuit's public inputs state, and how statements join. `SummaryTarget` is the
/// one of segments, `SpanTarget` that of epochs; the lists of keys keep the two apart.
pub trait Statement: Sized + Clone {
    /// The statement that a proof's public inputs are.
    fn from_targets(targets: &[Target]) -> Self;

    /// The digest of the join's verifier key, as stated.
    fn join_key(&self) -> HashOutTarget;

    /// Child 0 is present; an absent child is a copy of a present one (so that its equalities hold)
    /// and adds nothing. `present` has a bit for each child after the first and is monotone.
    fn join(builder: &mut Builder, children: &[Self], present: &[BoolTarget]) -> Self;

    /// Makes the statement the circuit's public inputs; they must be its only ones.
    fn register(&self, builder: &mut Builder);
}

/// A join circuit, built: over segments (`SummaryTarget`) or over epochs (`SpanTarget`).
#[allow(missing_debug_implementations)]
pub struct JoinCircuit<S> {
    pub circuit: Circuit,
    targets: JoinTargets<S>,
    leaves: Vec<Digest>,
}

/// A proof and the key of its circuit.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    pub proof: &'a Proof,
    pub key: &'a VerifierKey,
}

/// Why a join's witness cannot be assigned.
#[derive(Clone, Debug, Error)]
pub enum ChildError {
    #[error("[P5] {got} children, the join takes 1 to {arity}")]
    Number { got: usize, arity: usize },
    #[error("[P5] child {child}'s key {digest:?} is not one that the circuit accepts")]
    Unlisted { child: usize, digest: Digest },
    #[error("[P5] child {child} does not have the shape of a proof: {reason}")]
    Malformed { child: usize, reason: String },
}

impl ChildError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            ChildError::Number { .. } => "P5.children",
            ChildError::Unlisted { .. } => "P5.unlisted",
            ChildError::Malformed { .. } => "P5.malformed",
        }
    }
}

impl<S: Statement> JoinCircuit<S> {
    /// The join over leaves with these key digests.
    pub fn build(uniform: &Uniform, leaves: &[Digest]) -> Result<Self, ShapeError> {
        let mut builder = Builder::new();
        let targets = JoinTargets::constrain(&mut builder, uniform, leaves);
        let circuit = uniform.build(builder)?;
        Ok(Self {
            circuit,
            targets,
            leaves: leaves.to_vec(),
        })
    }

    pub fn digest(&self) -> Digest {
        key_digest(&self.circuit.verifier_only)
    }

    pub fn key(&self) -> &VerifierKey {
        &self.circuit.verifier_only
    }

    /// The witness that joins these children, from left to right.
    pub fn assign(&self, children: &[Child]) -> Result<PartialWitness<F>, ChildError> {
        let mut allowed = self.leaves.clone();
        allowed.push(self.digest());
        self.targets.assign(&allowed, children)
    }
}

/// What the join's witness sets.
#[derive(Clone, Debug)]
struct JoinTargets<S> {
    children: Vec<ChildTarget>,
    /// For each child after the first.
    present: Vec<BoolTarget>,
    statement: PhantomData<S>,
}

impl<S: Statement> JoinTargets<S> {
    fn constrain(builder: &mut Builder, uniform: &Uniform, leaves: &[Digest]) -> Self {
        let leaves: Vec<HashOutTarget> = leaves
            .iter()
            .map(|digest| builder.constant_hash(*digest))
            .collect();
        let mut children: Vec<ChildTarget> = (0..uniform.shape().arity)
            .map(|_| ChildTarget::unchecked(builder, uniform.common()))
            .collect();
        let statements: Vec<S> = children.iter().map(ChildTarget::statement).collect();
        for (child, statement) in children.iter_mut().zip(&statements) {
            let allowed = [&leaves[..], &[statement.join_key()]].concat();
            child.constrain(builder, uniform.common(), &allowed);
        }
        let present = presence(builder, children.len());
        S::join(builder, &statements, &present).register(builder);
        Self {
            children,
            present,
            statement: PhantomData,
        }
    }

    fn assign(
        &self,
        allowed: &[Digest],
        children: &[Child],
    ) -> Result<PartialWitness<F>, ChildError> {
        assign_children(&self.children, &self.present, allowed, children)
    }
}

/// Presence bits of the children after the first: none follows an absent one.
pub(crate) fn presence(builder: &mut Builder, children: usize) -> Vec<BoolTarget> {
    let bits: Vec<BoolTarget> = (1..children)
        .map(|_| builder.add_virtual_bool_target_safe())
        .collect();
    for pair in bits.windows(2) {
        let skipped = builder.not(pair[0]);
        let gap = builder.and(skipped, pair[1]);
        builder.assert_zero(gap.target);
    }
    bits
}

/// Which of the allowed keys has this digest: one bit is 1.
fn choose_key(
    builder: &mut Builder,
    digest: HashOutTarget,
    allowed: &[HashOutTarget],
) -> Vec<BoolTarget> {
    let zero = builder.zero();
    let mut sum = zero;
    let mut chosen = [zero; 4];
    let mut choice = Vec::with_capacity(allowed.len());
    for key in allowed {
        let bit = builder.add_virtual_bool_target_safe();
        sum = builder.add(sum, bit.target);
        for (element, word) in chosen.iter_mut().zip(key.elements) {
            *element = builder.mul_add(bit.target, word, *element);
        }
        choice.push(bit);
    }
    builder.assert_one(sum);
    builder.connect_hashes(digest, HashOutTarget { elements: chosen });
    choice
}

/// Sets present children, copies of the first for absent ones, and the presence bits.
pub(crate) fn assign_children(
    targets: &[ChildTarget],
    present: &[BoolTarget],
    allowed: &[Digest],
    children: &[Child],
) -> Result<PartialWitness<F>, ChildError> {
    let (got, arity) = (children.len(), targets.len());
    if got == 0 || got > arity {
        return Err(ChildError::Number { got, arity });
    }
    let mut witness = PartialWitness::new();
    for (i, target) in targets.iter().enumerate() {
        let i = if i < got { i } else { 0 };
        target.assign(&mut witness, allowed, i, children[i])?;
    }
    for (i, bit) in present.iter().enumerate() {
        // The bits are the witness's only writers, so setting them cannot fail.
        let _ = witness.set_bool_target(*bit, i + 1 < got);
    }
    Ok(witness)
}

/// A proof of one of several circuits.
#[derive(Clone, Debug)]
pub struct ChildTarget {
    proof: ProofWithPublicInputsTarget<D>,
    key: VerifierCircuitTarget,
    /// Which of the allowed keys it is: one bit is 1.
    choice: Vec<BoolTarget>,
}

impl ChildTarget {
    /// Verifies a uniform proof whose key digest is one of `allowed`.
    pub fn verify(builder: &mut Builder, uniform: &Uniform, allowed: &[HashOutTarget]) -> Self {
        let mut child = Self::unchecked(builder, uniform.common());
        child.constrain(builder, uniform.common(), allowed);
        child
    }

    pub(crate) fn unchecked(builder: &mut Builder, common: &CommonCircuitData<F, D>) -> Self {
        Self {
            proof: builder.add_virtual_proof_with_pis(common),
            key: builder.add_virtual_verifier_data(common.config.fri_config.cap_height),
            choice: Vec::new(),
        }
    }

    pub(crate) fn constrain(
        &mut self,
        builder: &mut Builder,
        common: &CommonCircuitData<F, D>,
        allowed: &[HashOutTarget],
    ) {
        assert!(self.choice.is_empty(), "a child is constrained once");
        builder.verify_proof::<Config>(&self.proof, &self.key, common);
        let digest = key_digest_target(builder, &self.key);
        self.choice = choose_key(builder, digest, allowed);
    }

    pub fn public_inputs(&self) -> &[Target] {
        &self.proof.public_inputs
    }

    pub fn statement<S: Statement>(&self) -> S {
        S::from_targets(self.public_inputs())
    }

    /// Sets proof, key and choice; `number` is the child's, for errors.
    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        allowed: &[Digest],
        number: usize,
        child: Child,
    ) -> Result<(), ChildError> {
        let digest = key_digest(child.key);
        let place = allowed.iter().position(|key| *key == digest);
        let place = place.ok_or(ChildError::Unlisted {
            child: number,
            digest,
        })?;
        self.assign_choice(witness, place, child)
            .map_err(|e| ChildError::Malformed {
                child: number,
                reason: e.to_string(),
            })
    }

    fn assign_choice(
        &self,
        witness: &mut PartialWitness<F>,
        place: usize,
        child: Child,
    ) -> anyhow::Result<()> {
        witness.set_proof_with_pis_target(&self.proof, child.proof)?;
        witness.set_verifier_data_target(&self.key, child.key)?;
        for (i, bit) in self.choice.iter().enumerate() {
            witness.set_bool_target(*bit, i == place)?;
        }
        Ok(())
    }
}
