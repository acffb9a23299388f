//! The frame, by way of the example of docs/segments.md: a segment that receives up to four
//! withdrawals and adds their amounts to one keyed sum.

use plonky2::field::types::Sample;
use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::{hash as native_hash, unsigned};

use super::*;
use crate::bus::Traffic;
use crate::checker::{Attack, Checker};
use crate::gadgets::{logic, range};
use crate::witness::Staged;
use crate::{Config, Ext};

const MAX: usize = 4;

/// [owner 3, asset, amount]
type Withdrawal = [u64; 5];

struct Example {
    segment: Segment,
    n: Target,
    live: Vec<BoolTarget>,
    rows: Vec<[Target; 5]>,
}

fn build(builder: Builder) -> (Builder, Example) {
    let mut s = SegmentBuilder::over(builder, SegmentKind::Example);
    let n = s.add_virtual_target();
    let live = logic::live_bits(&mut s, n, MAX);
    let mut rows = Vec::new();
    let mut total = s.zero();
    for &live in &live {
        let row: [Target; 5] = s.add_virtual_target_arr();
        range::check_32(&mut s, row[4]);
        s.receive(BusTag::DataWithdrawal, &row, live);
        total = s.mul_add(live.target, row[4], total);
        rows.push(row);
    }
    s.add_to(BusTag::GroupEquity, &[], total);
    let (builder, segment) = s.finish(&[n]);
    (
        builder,
        Example {
            segment,
            n,
            live,
            rows,
        },
    )
}

impl Example {
    fn witness(&self, context: &Context, list: &[Withdrawal]) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        self.segment.set_context(&mut witness, context, 7).unwrap();
        witness
            .set_target(self.n, F::from_canonical_usize(list.len()))
            .unwrap();
        for (i, row) in self.rows.iter().enumerate() {
            let values = list.get(i).copied().unwrap_or_default().map(unsigned);
            witness.set_target_arr(row, &values).unwrap();
        }
        self.segment
            .set_passing(&mut witness, &PassingChains::default())
            .unwrap();
        witness
    }

    fn full(&self, list: &[Withdrawal], challenge: Challenge) -> PartialWitness<F> {
        let mut witness = self.witness(&context(), list);
        self.segment
            .set_challenge(&mut witness, challenge, HashOut::ZERO)
            .unwrap();
        witness
    }
}

fn context() -> Context {
    Context {
        epoch: 5,
        time: 1_700_000_000,
        ..Context::default()
    }
}

fn challenge() -> Challenge {
    Challenge {
        alpha: Ext::rand(),
        beta: Ext::rand(),
    }
}

const LIST: [Withdrawal; 3] = [[1, 2, 3, 0, 50], [4, 5, 6, 1, 70], [1, 2, 3, 0, 50]];

#[test]
fn agrees_with_native_commitment_and_sum() {
    let (builder, example) = build(Builder::new());
    let checker = Checker::new(builder);
    let challenge = challenge();
    for n in 0..=LIST.len() {
        let accepted = checker.check(&example.full(&LIST[..n], challenge)).unwrap();
        let summary = example.segment.summary(|t| accepted.get(t));
        let mut words: Vec<u64> = vec![0, 5, SegmentKind::Example as u64, 7, n as u64];
        let mut traffic = Traffic::default();
        for i in 0..MAX {
            let row = if i < n {
                LIST[i]
            } else {
                Withdrawal::default()
            };
            words.push((i < n).into());
            words.extend(row);
            let tuple = row.map(unsigned);
            traffic.add_tuple(BusTag::DataWithdrawal, &tuple, -i128::from(i < n));
        }
        let total: u64 = LIST[..n].iter().map(|row| row[4]).sum();
        words.push(total);
        traffic.add_tuple(BusTag::GroupEquity, &[], total.into());
        let words: Vec<F> = words.into_iter().map(unsigned).collect();
        assert_eq!(accepted.get_all(example.segment.committed()), words);
        assert_eq!(summary.commitment, native_hash(Tag::Commitment, &words));
        assert_eq!(Some(summary.bus), traffic.sum(challenge));
        assert_eq!(summary.context, context().digest());
        assert_eq!(summary.words, 4 * 6 + 1);
        let mut seen = Traffic::default();
        seen.add(&example.segment.entries, |t| accepted.get(t));
        assert_eq!(seen.unmatched(), traffic.unmatched());
    }
}

#[test]
fn rejects_too_many_and_too_large() {
    let (builder, example) = build(Builder::new());
    let checker = Checker::new(builder);
    let mut witness = example.full(&LIST, challenge());
    witness.target_values.insert(example.n, unsigned(5));
    assert!(checker.check_with_lies(&witness, &[]).is_err());
    let mut list = LIST;
    list[0][4] = 1 << 32;
    assert!(
        checker
            .check_with_lies(&example.full(&list, challenge()), &[])
            .is_err()
    );
}

/// [P1], [P2] Nothing on the bus changes without the commitment, the sum or both, and no part of
/// the summary that the frame computes can be told otherwise.
#[test]
fn pranks_are_refused() {
    let (builder, example) = build(Builder::new());
    let checker = Checker::new(builder);
    let challenge = challenge();
    let honest = checker.check(&example.full(&LIST, challenge)).unwrap();
    let summary = example.segment.summary.clone();
    let kept: Vec<(Target, F)> = summary
        .commitment
        .elements
        .iter()
        .map(|&t| (t, honest.get(t)))
        .collect();
    let mut attacks = Vec::new();
    // A fourth row made live, a live row made dead: refused by the commitment even if n follows.
    for n in [2, 4] {
        let mut lies = kept.clone();
        lies.push((example.n, unsigned(n)));
        for (i, bit) in example.live.iter().enumerate() {
            lies.push((bit.target, F::from_bool((i as u64) < n)));
        }
        attacks.push(Attack::new("live", example.full(&LIST, challenge), &lies));
    }
    for target in [
        &summary.bus.0[..],
        &summary.context.elements,
        &[summary.words],
    ]
    .concat()
    {
        let lie = [(target, honest.get(target) + F::ONE)];
        attacks.push(Attack::new("summary", example.full(&LIST, challenge), &lie));
    }
    for attack in attacks {
        let verdict = checker.check_with_lies(&attack.inputs, &attack.lies);
        assert!(verdict.is_err(), "{} passes", attack.name);
    }
}

#[test]
fn every_assertion_of_the_frame_is_needed() {
    crate::checker::assert_each_assertion_needed(
        |b| {
            let s = SegmentBuilder::over(core::mem::take(b), SegmentKind::Example);
            let (builder, segment) = s.finish(&[]);
            *b = builder;
            segment
        },
        |segment| {
            let mut witness = PartialWitness::new();
            segment.set_context(&mut witness, &context(), 0).unwrap();
            segment
                .set_challenge(&mut witness, challenge(), HashOut::ZERO)
                .unwrap();
            segment
                .set_passing(&mut witness, &PassingChains::default())
                .unwrap();
            let lies = [(segment.summary.context.elements[0], F::ONE)];
            vec![Attack::new("another context", witness, &lies)]
        },
    );
}

#[test]
fn the_commitment_is_known_before_the_challenge() {
    let (builder, example) = build(Builder::new());
    let circuit = builder.into_inner().build::<Config>();
    let mut staged = Staged::new(&circuit.prover_only, &circuit.common);
    staged.advance(&example.witness(&context(), &LIST)).unwrap();
    let early = example.segment.commitment(|t| staged.get(t)).unwrap();
    let mut second = PartialWitness::new();
    example
        .segment
        .set_challenge(&mut second, challenge(), HashOut::ZERO)
        .unwrap();
    staged.advance(&second).unwrap();
    let summary = example.segment.summary(|t| staged.get(t).unwrap());
    assert_eq!(early, summary.commitment);
    staged.finish().unwrap();
}

#[test]
fn rows_are_pinned() {
    let (builder, _) = build(Builder::new());
    assert_eq!(builder.rows(), 15);
}
