use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::BoolTarget;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use serde::Deserialize;

use super::*;
use crate::Builder;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::join::Statement;

#[derive(Deserialize)]
struct Vector {
    /// Name, first element, number of elements.
    layout: Vec<(String, usize, usize)>,
    children: Vec<Vec<u64>>,
    joined: Vec<u64>,
}

fn vector() -> Vector {
    serde_json::from_str(include_str!("../../../tests/vectors/summary.json")).unwrap()
}

fn summary(elements: &[u64]) -> Summary {
    let elements: Vec<F> = elements.iter().map(|e| F::from_canonical_u64(*e)).collect();
    Summary::from_elements(&elements).unwrap()
}

fn numbers(summary: &Summary) -> Vec<u64> {
    summary
        .to_elements()
        .iter()
        .map(|e| e.to_canonical_u64())
        .collect()
}

/// A summary whose element i is i + offset.
fn counting(offset: u64) -> Summary {
    summary(&(offset..offset + SUMMARY_ELEMENTS as u64).collect::<Vec<_>>())
}

/// Children that chain.
fn chained(n: usize) -> Vec<Summary> {
    let mut children: Vec<Summary> = (0..n).map(|i| counting(100 * i as u64)).collect();
    for i in 1..n {
        let (left, right) = children.split_at_mut(i);
        let (left, right) = (&left[i - 1], &mut right[0]);
        right.context = left.context;
        right.challenge = left.challenge;
        right.data.point = left.data.point;
        right.join_key = left.join_key;
        right.accounts.before = left.accounts.after;
        right.handoff.before = left.handoff.after;
        right.tick_table.before = left.tick_table.after;
        right.close_table.before = left.close_table.after;
    }
    children
}

#[test]
fn layout_is_the_vector() {
    let s = counting(0);
    let chain = |c: Chain| [c.before.elements, c.after.elements].concat();
    let n = F::from_canonical_u64;
    let fields: Vec<(&str, Vec<F>)> = vec![
        ("context", s.context.elements.to_vec()),
        ("alpha", s.challenge.alpha.0.to_vec()),
        ("beta", s.challenge.beta.0.to_vec()),
        ("bus", s.bus.0.to_vec()),
        ("commitment", s.commitment.elements.to_vec()),
        ("words", vec![n(s.words)]),
        ("headers", vec![n(s.counts.headers)]),
        ("scans", vec![n(s.counts.scans)]),
        ("data_queue", vec![n(s.counts.data_queue)]),
        ("data_withdrawals", vec![n(s.counts.data_withdrawals)]),
        ("data_accounts", vec![n(s.counts.data_accounts)]),
        ("data_rows", vec![n(s.counts.data_rows)]),
        ("accounts", chain(s.accounts)),
        ("handoff", chain(s.handoff)),
        ("tick_table", chain(s.tick_table)),
        ("close_table", chain(s.close_table)),
        ("data_length", vec![n(s.data.length)]),
        ("data_point", s.data.point.0.to_vec()),
        ("data_value", s.data.value.0.to_vec()),
        ("data_shift", s.data.shift.0.to_vec()),
        ("join_key", s.join_key.elements.to_vec()),
    ];
    let layout = vector().layout;
    assert_eq!(layout.len(), fields.len());
    for ((name, start, width), (field, value)) in layout.iter().zip(fields) {
        assert_eq!(name, field);
        let expected: Vec<F> = (*start..start + width)
            .map(F::from_canonical_usize)
            .collect();
        assert_eq!(value, expected, "{name}");
    }
    assert_eq!(
        numbers(&s),
        (0..SUMMARY_ELEMENTS as u64).collect::<Vec<_>>()
    );
    let short = Summary::from_elements(&s.to_elements()[1..]);
    assert_eq!(short, Err(JoinError::Length(SUMMARY_ELEMENTS - 1)));
}

#[test]
fn join_is_the_vector() {
    let vector = vector();
    let children: Vec<Summary> = vector.children.iter().map(|c| summary(c)).collect();
    assert_eq!(children, chained(3));
    assert_eq!(numbers(&Summary::join(&children).unwrap()), vector.joined);
}

#[test]
fn p5_join_refuses_what_does_not_match() {
    type Lie = (&'static str, fn(&mut Summary));
    let lies: [Lie; 9] = [
        ("P5.differs", |s| s.context.elements[3] += F::ONE),
        ("P5.differs", |s| s.challenge.alpha += Ext::ONE),
        ("P5.differs", |s| s.challenge.beta += Ext::ONE),
        ("P5.differs", |s| s.data.point += Ext::ONE),
        ("P5.differs", |s| s.join_key.elements[0] += F::ONE),
        ("P5.unchained", |s| s.accounts.before.elements[0] += F::ONE),
        ("P5.unchained", |s| s.handoff.before.elements[1] += F::ONE),
        ("P5.unchained", |s| {
            s.tick_table.before.elements[2] += F::ONE
        }),
        ("P5.unchained", |s| {
            s.close_table.before.elements[3] += F::ONE
        }),
    ];
    for (code, lie) in lies {
        let mut children = chained(3);
        lie(&mut children[1]);
        assert_eq!(Summary::join(&children).unwrap_err().code(), code);
    }
    assert_eq!(Summary::join(&[]), Err(JoinError::Empty));
    let mut children = chained(2);
    children[1].words = (1 << 63) - 1;
    assert_eq!(Summary::join(&children).unwrap_err().code(), "P1.overflow");
}

#[test]
fn p6_polynomials_of_parts_join_to_that_of_the_whole() {
    let list: Vec<F> = (5..25).map(F::from_canonical_u64).collect();
    let point = QuadraticExtension([F::TWO, F::from_canonical_u64(77)]);
    let mut left = counting(0);
    left.data = DataPolynomial::evaluate(&list[..7], point);
    let mut right = left.clone();
    right.data = DataPolynomial::evaluate(&list[7..], point);
    for chain in [
        &mut right.accounts,
        &mut right.handoff,
        &mut right.tick_table,
        &mut right.close_table,
    ] {
        chain.before = chain.after;
    }
    let joined = Summary::join(&[left, right]).unwrap();
    assert_eq!(joined.data, DataPolynomial::evaluate(&list, point));
}

type Joined = (Vec<SummaryTarget>, Vec<BoolTarget>);

/// Presence bits are the join's to check.
fn join_of_three(builder: &mut Builder) -> Joined {
    let targets: Vec<SummaryTarget> = (0..3)
        .map(|_| SummaryTarget::from_targets(&builder.add_virtual_targets(SUMMARY_ELEMENTS)))
        .collect();
    let bits = [(); 2].map(|()| builder.add_virtual_bool_target_unsafe());
    SummaryTarget::join(builder, &targets, &bits).register(builder);
    (targets, bits.to_vec())
}

fn witness_of(
    (targets, bits): &Joined,
    children: &[Summary],
    present: usize,
) -> anyhow::Result<PartialWitness<F>> {
    let mut witness = PartialWitness::new();
    for (target, value) in targets.iter().zip(children) {
        target.assign(&mut witness, value)?;
    }
    for (i, bit) in bits.iter().enumerate() {
        witness.set_bool_target(*bit, i + 1 < present)?;
    }
    Ok(witness)
}

fn join_in_circuit(children: &[Summary], present: usize) -> anyhow::Result<Summary> {
    let mut builder = Builder::new();
    let targets = join_of_three(&mut builder);
    let checker = Checker::new(builder);
    let witness = witness_of(&targets, children, present)?;
    Ok(Summary::from_elements(
        checker.check_with_lies(&witness, &[])?.public_inputs(),
    )?)
}

#[test]
fn agrees_with_the_join_of_the_present_children() {
    let children = chained(3);
    for present in 1..=3 {
        let mut padded = children[..present].to_vec();
        padded.resize(3, children[0].clone());
        let joined = join_in_circuit(&padded, present).unwrap();
        assert_eq!(
            joined,
            Summary::join(&children[..present]).unwrap(),
            "{present}"
        );
    }
}

#[test]
fn p5_constraints_refuse_what_does_not_match() {
    for (i, lie) in LIES.iter().enumerate() {
        let mut children = chained(3);
        lie(&mut children[2]);
        assert!(join_in_circuit(&children, 3).is_err(), "lie {i}");
    }
}

/// None of the constraints is idle, of either of the joined children [STYLE 17].
#[test]
fn p5_each_assertion_of_a_join_is_needed() {
    assert_each_assertion_needed(join_of_three, |targets| {
        let lies = [1, 2]
            .into_iter()
            .flat_map(|child| LIES.map(|lie| (child, lie)));
        let attack = |(child, lie): (usize, fn(&mut Summary))| {
            let mut children = chained(3);
            lie(&mut children[child]);
            let witness = witness_of(targets, &children, 3).unwrap();
            Attack::new("a child that does not match", witness, &[])
        };
        lies.map(attack).collect()
    });
}

const LIES: [fn(&mut Summary); 9] = [
    |s| s.context.elements[3] += F::ONE,
    |s| s.challenge.alpha += Ext::ONE,
    |s| s.challenge.beta += Ext::ONE,
    |s| s.data.point += Ext::ONE,
    |s| s.join_key.elements[0] += F::ONE,
    |s| s.accounts.before.elements[0] += F::ONE,
    |s| s.handoff.before.elements[1] += F::ONE,
    |s| s.tick_table.before.elements[2] += F::ONE,
    |s| s.close_table.before.elements[3] += F::ONE,
];
