use plonky2::field::types::Field;
use plonky2::iop::target::BoolTarget;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::join::Statement;
use crate::{Builder, Ext};

/// A span whose element i is i + offset.
fn counting(offset: u64) -> Span {
    let mut elements: Vec<F> = (offset..offset + SPAN_ELEMENTS as u64)
        .map(F::from_canonical_u64)
        .collect();
    elements.resize(SUMMARY_ELEMENTS, F::ZERO);
    Span::from_elements(&elements).unwrap()
}

/// Spans that follow one another.
fn chained(n: usize) -> Vec<Span> {
    let mut spans: Vec<Span> = (0..n).map(|i| counting(100 * i as u64)).collect();
    for i in 1..n {
        let (left, right) = spans.split_at_mut(i);
        let (left, right) = (&left[i - 1], &mut right[0]);
        right.domain = left.domain;
        right.data.point = left.data.point;
        right.join_key = left.join_key;
        right.first_epoch = left.last_epoch + 1;
        right.state.before = left.state.after;
    }
    spans
}

type Lie = (&'static str, fn(&mut Span));

const LIES: [Lie; 7] = [
    ("P5.differs", |s| s.domain[0] += F::ONE),
    ("P5.differs", |s| s.domain[3] += F::ONE),
    ("P5.differs", |s| s.data.point += Ext::ONE),
    ("P5.differs", |s| s.join_key.elements[2] += F::ONE),
    ("P5.epoch", |s| s.first_epoch += 1),
    ("P5.epoch", |s| s.first_epoch -= 1),
    ("P5.state", |s| s.state.before.elements[3] += F::ONE),
];

type Joined = (Vec<SpanTarget>, Vec<BoolTarget>);

/// Presence bits are the join's to check.
fn join_of_three(builder: &mut Builder) -> Joined {
    let targets: Vec<SpanTarget> = (0..3)
        .map(|_| SpanTarget::from_targets(&builder.add_virtual_targets(SUMMARY_ELEMENTS)))
        .collect();
    let bits = [(); 2].map(|()| builder.add_virtual_bool_target_unsafe());
    SpanTarget::join(builder, &targets, &bits).register(builder);
    (targets, bits.to_vec())
}

fn witness_of(
    (targets, bits): &Joined,
    children: &[Span],
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

fn join_in_circuit(children: &[Span], present: usize) -> anyhow::Result<Span> {
    let mut builder = Builder::new();
    let targets = join_of_three(&mut builder);
    let checker = Checker::new(builder);
    let witness = witness_of(&targets, children, present)?;
    Ok(Span::from_elements(
        checker.check_with_lies(&witness, &[])?.public_inputs(),
    )?)
}

#[test]
fn elements_round_trip_and_are_padded_with_zeros() {
    let span = counting(5);
    let elements = span.to_elements();
    assert_eq!(Span::from_elements(&elements), Ok(span));
    assert!(elements[SPAN_ELEMENTS..].iter().all(|e| *e == F::ZERO));
    assert!(elements[..SPAN_ELEMENTS].iter().all(|e| *e != F::ZERO));
    let mut lie = elements.clone();
    lie[SUMMARY_ELEMENTS - 1] = F::ONE;
    assert_eq!(Span::from_elements(&lie), Err(SpanError::Elements));
    assert_eq!(
        Span::from_elements(&elements[1..]),
        Err(SpanError::Elements)
    );
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
            Span::join(&children[..present]).unwrap(),
            "{present}"
        );
    }
    let joined = Span::join(&children).unwrap();
    assert_eq!(joined.first_epoch, children[0].first_epoch);
    assert_eq!(joined.last_epoch, children[2].last_epoch);
    assert_eq!(
        (joined.time, joined.round),
        (children[2].time, children[2].round)
    );
    assert_eq!(joined.state.after, children[2].state.after);
}

#[test]
fn p5_epochs_that_do_not_follow_are_refused() {
    for (code, lie) in LIES {
        let mut children = chained(3);
        lie(&mut children[2]);
        assert_eq!(Span::join(&children).unwrap_err().code(), code);
        assert!(join_in_circuit(&children, 3).is_err(), "{code}");
    }
    assert_eq!(Span::join(&[]), Err(SpanError::Empty));
}

/// None of the constraints is idle, of either of the joined children [STYLE 17].
#[test]
fn p5_each_assertion_of_a_join_is_needed() {
    assert_each_assertion_needed(join_of_three, |targets| {
        let mut attacks = Vec::new();
        let mut attack = |child: usize, lie: &dyn Fn(&mut Span)| {
            let mut children = chained(3);
            lie(&mut children[child]);
            let witness = witness_of(targets, &children, 3).unwrap();
            attacks.push(Attack::new("a span that does not follow", witness, &[]));
        };
        for child in [1, 2] {
            for (_, lie) in LIES {
                attack(child, &lie);
            }
            for word in 0..counting(0).domain.len() {
                attack(child, &|span| span.domain[word] += F::ONE);
            }
        }
        attacks
    });
}
