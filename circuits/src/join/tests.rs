use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::EMPTY;

use super::*;
use crate::checker::{Checker, Refused};
use crate::summary::{Challenge, Summary, SummaryTarget};
use crate::uniform::Shape;

/// The smallest shape whose join fits.
const SHAPE: Shape = Shape {
    degree_bits: 13,
    arity: 1,
};

/// A circuit that states anything idle; `salt` makes its key another's.
fn leaf(uniform: &Uniform, salt: u64) -> (Circuit, SummaryTarget) {
    let mut builder = Builder::new();
    let summary = SummaryTarget::idle(&mut builder);
    builder.constant(F::from_canonical_u64(salt));
    summary.register(&mut builder);
    (uniform.build(builder).unwrap(), summary)
}

fn prove((circuit, target): &(Circuit, SummaryTarget), summary: &Summary) -> Proof {
    let mut witness = PartialWitness::new();
    target.assign(&mut witness, summary).unwrap();
    circuit.prove(witness).unwrap()
}

struct Fixture {
    checker: Checker,
    targets: JoinTargets<SummaryTarget>,
}

impl Fixture {
    /// The join's public inputs, if its constraints accept the child at this place in the list.
    fn join(&self, place: usize, child: Child) -> Result<Summary, Refused> {
        let mut witness = PartialWitness::new();
        self.targets.children[0]
            .assign_choice(&mut witness, place, child)
            .unwrap();
        let accepted = self.checker.check_with_lies(&witness, &[])?;
        Ok(Summary::from_elements(accepted.public_inputs()).unwrap())
    }
}

/// One test, so that its two proofs are made once.
#[test]
fn p5_join_takes_listed_circuits_and_itself_only() {
    let uniform = Uniform::new(SHAPE);
    let (listed, planted) = (leaf(&uniform, 1_000_001), leaf(&uniform, 1_000_002));
    let keys = [key_digest(&listed.0.verifier_only)];
    let mut builder = Builder::new();
    let targets = JoinTargets::constrain(&mut builder, &uniform, &keys);
    assert!(
        builder.rows() < 5 * SHAPE.rows() / 8,
        "{} rows",
        builder.rows()
    );
    let fixture = Fixture {
        checker: Checker::new(builder),
        targets,
    };

    let evil = key_digest(&planted.0.verifier_only);
    let summary = Summary::idle(
        HashOut::from_partial(&[F::TWO]),
        Challenge::default(),
        EMPTY,
    );
    let proof = prove(&listed, &summary);
    let key = &listed.0.verifier_only;
    let joined = fixture.join(0, Child { proof: &proof, key }).unwrap();
    assert_eq!(joined, Summary::join(&[summary.clone()]).unwrap());

    // A listed circuit is not the join, and its key does not verify another statement.
    assert!(fixture.join(1, Child { proof: &proof, key }).is_err());
    for place in 0..proof.public_inputs.len() {
        if place % 16 == 3 {
            let mut lie = proof.clone();
            lie.public_inputs[place] += F::ONE;
            assert!(
                fixture.join(0, Child { proof: &lie, key }).is_err(),
                "input {place}"
            );
        }
    }

    // An unlisted circuit passes nowhere, also not under a listed digest with its own cap.
    let other = &planted.0.verifier_only;
    let foreign = prove(
        &planted,
        &Summary {
            join_key: evil,
            ..summary
        },
    );
    let child = Child {
        proof: &foreign,
        key: other,
    };
    assert!(fixture.join(0, child).is_err());
    let mut mixed = other.clone();
    mixed.circuit_digest = key.circuit_digest;
    assert!(
        fixture
            .join(
                0,
                Child {
                    proof: &foreign,
                    key: &mixed
                }
            )
            .is_err()
    );
    // Naming itself as the join's key carries it this far only: the key is stated, and the epoch's
    // circuit compares it with the real one.
    assert_eq!(fixture.join(1, child).unwrap().join_key, evil);
    assert_eq!(
        fixture.targets.assign(&keys, &[child]).unwrap_err().code(),
        "P5.unlisted"
    );
    assert_eq!(
        fixture.targets.assign(&keys, &[]).unwrap_err().code(),
        "P5.children"
    );
}

/// The three children leave room for what custom gates add to the verification of each.
#[test]
fn pinned_production_join_fits() {
    let uniform = Uniform::production();
    let mut builder = Builder::new();
    JoinTargets::<SummaryTarget>::constrain(&mut builder, uniform, &[EMPTY; 16]);
    let rows = builder.rows();
    // Public inputs, constants and the hash of the former take some 60 rows more.
    assert!(rows + 128 <= uniform.shape().rows(), "{rows} rows");
    assert!(
        rows >= 13_383,
        "{rows} rows: does it still verify three proofs?"
    );
}

#[test]
fn p5_no_child_follows_an_absent_one() {
    let mut builder = Builder::new();
    let bits = presence(&mut builder, 3);
    let checker = Checker::new(builder);
    for (first, second) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut witness = PartialWitness::new();
        witness.set_bool_target(bits[0], first).unwrap();
        witness.set_bool_target(bits[1], second).unwrap();
        assert_eq!(checker.check(&witness).is_ok(), first || !second);
    }
}
