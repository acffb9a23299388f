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
    entries: Vec<Entry>,
    sum: ExtensionTarget<D>,
}

fn build(list: &[(BusTag, Direction)]) -> impl Fn(&mut Builder) -> Targets {
    move |b| {
        let challenge = ChallengeTarget {
            alpha: b.add_virtual_extension_target(),
            beta: b.add_virtual_extension_target(),
        };
        let entries: Vec<Entry> = list
            .iter()
            .map(|&(tag, direction)| Entry {
                tag,
                direction,
                multiplicity: b.add_virtual_target(),
                words: b.add_virtual_targets(tag.words()),
            })
            .collect();
        let sum = sum_target(b, &challenge, &entries);
        Targets {
            challenge,
            entries,
            sum,
        }
    }
}

fn challenge() -> Challenge {
    Challenge {
        alpha: Ext::rand(),
        beta: Ext::rand(),
    }
}

/// Random tuples with the sum that they have.
fn example(t: &Targets) -> (PartialWitness<F>, Ext) {
    let challenge = challenge();
    let mut witness = PartialWitness::new();
    witness
        .set_extension_target(t.challenge.alpha, challenge.alpha)
        .unwrap();
    witness
        .set_extension_target(t.challenge.beta, challenge.beta)
        .unwrap();
    let mut sum = Ext::ZERO;
    for entry in &t.entries {
        let words = F::rand_vec(entry.words.len());
        witness.set_target_arr(&entry.words, &words).unwrap();
        let multiplicity = [F::ZERO, F::ONE, F::rand()][rand::random::<usize>() % 3];
        witness
            .set_target(entry.multiplicity, multiplicity)
            .unwrap();
        let term = term(challenge, entry.tag, &words, multiplicity).unwrap();
        sum += if entry.direction == Direction::Out {
            term
        } else {
            -term
        };
    }
    (witness, sum)
}

#[test]
fn p3_sums_agree_for_every_tag() {
    let both = |tag| {
        [
            (tag, Direction::Out),
            (tag, Direction::In),
            (tag, Direction::Out),
        ]
    };
    let list: Vec<_> = TAGS.into_iter().flat_map(both).collect();
    let mut b = Builder::new();
    let t = build(&list)(&mut b);
    let checker = Checker::new(b);
    for _ in 0..4 {
        let (witness, sum) = example(&t);
        let accepted = checker.check(&witness).unwrap();
        assert_eq!(accepted.get_all(&t.sum.0), sum.0);
    }
}

/// Every wire of a row is held to what it should carry: α, β, the sum before, each word and
/// multiplicity, and zeros in lanes and words that aren't used.
#[test]
fn p3_a_lie_on_any_wire_is_refused() {
    let list = [
        (BusTag::DataRow, Direction::Out),
        (BusTag::DataRow, Direction::Out),
    ];
    assert_each_assertion_needed(build(&list), |t| {
        let (witness, sum) = example(t);
        let mut attacks = Vec::new();
        for column in (0..6).chain(8..SHORT.wire_word(SHORT.lanes, 0)) {
            let told = [(Target::wire(0, column), F::rand())];
            attacks.push(Attack::new("another wire", witness.clone(), &told));
        }
        let told = [(t.sum.0[0], sum.0[0] + F::ONE), (t.sum.0[1], sum.0[1])];
        attacks.push(Attack::new("another sum", witness, &told));
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
fn three_postings_or_five_other_tuples_share_a_row() {
    for (tag, count) in [
        (BusTag::Posting, 3),
        (BusTag::Margin, 5),
        (BusTag::Total, 5),
    ] {
        let mut b = Builder::new();
        build(&vec![(tag, Direction::Out); 10 * count])(&mut b);
        assert_eq!(b.rows(), 10, "{tag:?}");
    }
}
