use plonky2::field::types::Sample;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use proptest::prelude::*;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};

const TAGS: [BusTag; 12] = [
    BusTag::Posting,
    BusTag::Signature,
    BusTag::Margin,
    BusTag::Market,
    BusTag::Total,
    BusTag::Group,
    BusTag::GroupEquity,
    BusTag::Loss,
    BusTag::DataAccount,
    BusTag::DataWithdrawal,
    BusTag::DataQueue,
    BusTag::DataRow,
];

struct Targets {
    challenge: ChallengeTarget,
    words: Vec<Target>,
    multiplicity: Target,
    term: ExtensionTarget<D>,
}

fn build(tag: BusTag) -> impl Fn(&mut Builder) -> Targets {
    move |b| {
        let challenge = ChallengeTarget {
            alpha: b.add_virtual_extension_target(),
            beta: b.add_virtual_extension_target(),
        };
        let words = b.add_virtual_targets(tag.words());
        let multiplicity = b.add_virtual_target();
        let term = term_target(b, &challenge, tag, &words, multiplicity);
        Targets {
            challenge,
            words,
            multiplicity,
            term,
        }
    }
}

fn challenge() -> Challenge {
    Challenge {
        alpha: Ext::rand(),
        beta: Ext::rand(),
    }
}

fn given(t: &Targets, challenge: Challenge, words: &[F], multiplicity: F) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    witness
        .set_extension_target(t.challenge.alpha, challenge.alpha)
        .unwrap();
    witness
        .set_extension_target(t.challenge.beta, challenge.beta)
        .unwrap();
    witness.set_target_arr(&t.words, words).unwrap();
    witness.set_target(t.multiplicity, multiplicity).unwrap();
    witness
}

#[test]
fn p3_terms_agree_for_every_tag() {
    for tag in TAGS {
        let mut b = Builder::new();
        let t = build(tag)(&mut b);
        let checker = Checker::new(b);
        for multiplicity in [F::ZERO, F::ONE, F::NEG_ONE, F::rand()] {
            let (challenge, words) = (challenge(), F::rand_vec(tag.words()));
            let witness = given(&t, challenge, &words, multiplicity);
            let accepted = checker.check(&witness).unwrap();
            let expected = term(challenge, tag, &words, multiplicity).unwrap();
            assert_eq!(accepted.get_all(&t.term.0), expected.0);
        }
    }
}

#[test]
fn p3_a_lie_about_a_term_is_refused() {
    let tag = BusTag::DataRow;
    assert_each_assertion_needed(build(tag), |t| {
        let (challenge, words) = (challenge(), F::rand_vec(tag.words()));
        let witness = given(t, challenge, &words, F::ONE);
        let honest = term(challenge, tag, &words, F::ONE).unwrap();
        let told = [
            (t.term.0[0], honest.0[0] + F::ONE),
            (t.term.0[1], honest.0[1]),
        ];
        let mut attacks = vec![Attack::new("another term", witness.clone(), &told)];
        // Another β, start or coefficient in the fingerprint's row, the first of the circuit.
        for column in D..3 * D + 43 {
            let told = [(Target::wire(0, column), F::rand())];
            attacks.push(Attack::new("another fingerprint", witness.clone(), &told));
        }
        attacks
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// [P3], [P4] Traffic cancels exactly if its sum does.
    #[test]
    fn p3_sums_cancel_if_and_only_if_tuples_do(
        tuples in proptest::collection::vec((0usize..12, 0u64..3, -2i64..3), 1..12)
    ) {
        let mut traffic = Traffic::default();
        for (tag, word, multiplicity) in tuples {
            let words = vec![F::from_canonical_u64(word); TAGS[tag].words()];
            traffic.add_tuple(TAGS[tag], &words, multiplicity.into());
        }
        let cancels = traffic.unmatched().is_empty();
        prop_assert_eq!(traffic.sum(challenge()) == Some(Ext::ZERO), cancels);
    }
}

#[test]
fn a_tuple_costs_a_row_and_two_extension_operations() {
    let mut b = Builder::new();
    build(BusTag::Posting)(&mut b);
    // Fingerprint; α − fp; t·(α − fp).
    assert_eq!(b.rows(), 3);
}
