use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::EMPTY;

use super::*;
use crate::checker::{Attack, Checker, Refused, assert_each_assertion_needed};
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
    listed: (Circuit, SummaryTarget),
    planted: (Circuit, SummaryTarget),
    checker: Checker,
    targets: JoinTargets<SummaryTarget>,
}

impl Fixture {
    /// A join over `listed` alone.
    fn new() -> Self {
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
        let checker = Checker::new(builder);
        Self {
            listed,
            planted,
            checker,
            targets,
        }
    }

    fn keys(&self) -> [Digest; 2] {
        [&self.listed, &self.planted].map(|(circuit, _)| key_digest(&circuit.verifier_only))
    }

    /// The join's public inputs, if its constraints accept the child with these choice bits.
    fn join(&self, choice: [bool; 2], child: Child) -> Result<Summary, Refused> {
        let target = &self.targets.children[0];
        let mut witness = PartialWitness::new();
        witness
            .set_proof_with_pis_target(&target.proof, child.proof)
            .unwrap();
        witness
            .set_verifier_data_target(&target.key, child.key)
            .unwrap();
        for (bit, value) in target.choice.iter().zip(choice) {
            witness.set_bool_target(*bit, value).unwrap();
        }
        let accepted = self.checker.check_with_lies(&witness, &[])?;
        Ok(Summary::from_elements(accepted.public_inputs()).unwrap())
    }

    /// The listed circuit's proof passes as that, and as nothing else.
    fn listed_passes(&self) {
        let key = &self.listed.0.verifier_only;
        let summary = stating(EMPTY);
        let proof = prove(&self.listed, &summary);
        let child = Child { proof: &proof, key };
        let joined = self.join(LISTED, child).unwrap();
        assert_eq!(joined, Summary::join(&[summary]).unwrap());
        assert!(self.join(ITSELF, child).is_err());
        for place in (3..proof.public_inputs.len()).step_by(16) {
            let mut lie = proof.clone();
            lie.public_inputs[place] += F::ONE;
            assert!(
                self.join(LISTED, Child { proof: &lie, key }).is_err(),
                "input {place}"
            );
        }
    }

    /// An unlisted circuit passes nowhere, also not with a listed circuit digest and its own cap.
    fn planted_fails(&self) {
        let [listed, evil] = self.keys();
        let key = &self.planted.0.verifier_only;
        let proof = prove(&self.planted, &stating(evil));
        let child = Child { proof: &proof, key };
        assert!(self.join(LISTED, child).is_err());
        let mut mixed = key.clone();
        mixed.circuit_digest = self.listed.0.verifier_only.circuit_digest;
        assert!(
            self.join(
                LISTED,
                Child {
                    proof: &proof,
                    key: &mixed
                }
            )
            .is_err()
        );
        // Naming itself as the join's key carries it this far only: the key is stated, and the
        // epoch's circuit compares it with the real one.
        assert_eq!(self.join(ITSELF, child).unwrap().join_key, evil);
        let assigned = self.targets.assign(&[listed], &[child]);
        assert_eq!(assigned.unwrap_err().code(), "P5.unlisted");
    }

    /// Two choices at once, with a join key that completes their sum to the planted digest.
    fn a_sum_of_keys_fails(&self) {
        let [listed, evil] = self.keys();
        let mut rest = evil;
        for (element, minus) in rest.elements.iter_mut().zip(listed.elements) {
            *element -= minus;
        }
        let proof = prove(&self.planted, &stating(rest));
        let child = Child {
            proof: &proof,
            key: &self.planted.0.verifier_only,
        };
        let refused = self.join([true, true], child).unwrap_err();
        assert_eq!(
            refused.total, 1,
            "the choice's sum alone stops it: {refused}"
        );
    }
}

const LISTED: [bool; 2] = [true, false];
const ITSELF: [bool; 2] = [false, true];

fn stating(join_key: Digest) -> Summary {
    let context = HashOut::from_partial(&[F::TWO]);
    Summary::idle(context, Challenge::default(), join_key)
}

/// One test, so that its circuits and three proofs are made once.
#[test]
fn p5_join_takes_listed_circuits_and_itself_only() {
    let fixture = Fixture::new();
    fixture.listed_passes();
    fixture.planted_fails();
    fixture.a_sum_of_keys_fails();
    let none = fixture.targets.assign(&fixture.keys(), &[]);
    assert_eq!(none.unwrap_err().code(), "P5.children");
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

/// [STYLE 17] of the bits: none that is no bit, none after a gap.
#[test]
fn p5_each_assertion_about_presence_is_needed() {
    assert_each_assertion_needed(
        |builder| presence(builder, 3),
        |bits| {
            let attack = |name, told: [u64; 2]| {
                let mut witness = PartialWitness::new();
                for (bit, value) in bits.iter().zip(told) {
                    let value = F::from_canonical_u64(value);
                    witness.set_target(bit.target, value).unwrap();
                }
                Attack::new(name, witness, &[])
            };
            vec![
                attack("the second twice", [2, 0]),
                attack("the third twice", [1, 2]),
                attack("a gap", [0, 1]),
            ]
        },
    );
}

/// [STYLE 17] of the choice: a key that is none of the allowed, by sums of them.
#[test]
fn p5_each_assertion_about_a_key_is_needed() {
    let keys = [3, 50, 700].map(|seed| HashOut::from_partial(&[F::from_canonical_u64(seed)]));
    let build = |builder: &mut Builder| {
        let digest = builder.add_virtual_hash();
        let allowed = keys.map(|key| builder.constant_hash(key));
        (digest, choose_key(builder, digest, &allowed))
    };
    assert_each_assertion_needed(build, |(digest, choice)| {
        let attack = |name, told: [i64; 3], of: [i64; 3]| {
            let mut witness = PartialWitness::new();
            let number = F::from_noncanonical_i64;
            let terms = keys.iter().zip(of);
            let sum = terms
                .map(|(key, times)| key.elements[0] * number(times))
                .sum();
            let planted = HashOut::from_partial(&[sum]);
            witness.set_hash_target(*digest, planted).unwrap();
            for (bit, value) in choice.iter().zip(told) {
                witness.set_target(bit.target, number(value)).unwrap();
            }
            Attack::new(name, witness, &[])
        };
        vec![
            attack("two less the first", [-1, 1, 1], [-1, 1, 1]),
            attack("two less the second", [1, -1, 1], [1, -1, 1]),
            attack("two less the third", [1, 1, -1], [1, 1, -1]),
            attack("the sum of two", [1, 1, 0], [1, 1, 0]),
            attack("an unlisted key", [1, 0, 0], [2, 0, 0]),
        ]
    });
}
