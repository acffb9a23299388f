use tally_protocol::account::Owner;
use tally_protocol::hash::unsigned;
use tally_protocol::header::Context;
use tally_protocol::message::{BODY_WORDS, Domain, MessageKind};

use super::*;
use crate::bus::Traffic;
use crate::checker::{Accepted, Checker};
use crate::journal::testing::{assert_bus, challenge, context, epoch_witness};
use crate::uniform::{Shape, Uniform};

const CAPACITY: usize = 3;

fn key(number: u8) -> SecretKey {
    SecretKey::derive("tally test", &[number])
}

/// A message of account 7 in its generation 2.
fn digest(domain: &Domain, kind: MessageKind, account: u64, generation: u64) -> SignatureRequest {
    let mut body = [F::ZERO; BODY_WORDS];
    body[0] = unsigned(account << 32 | generation);
    body[1] = unsigned(1_234);
    SignatureRequest {
        key: key(1).public(),
        digest: domain.digest(kind, &body),
    }
}

fn domain() -> Domain {
    context().globals.domain
}

fn answered(request: SignatureRequest, key: &SecretKey) -> SignedRequest {
    let signature = key.sign(request.digest);
    SignedRequest { request, signature }
}

fn signed(n: u8) -> Vec<SignedRequest> {
    let one = |i: u8| {
        let kind = MessageKind::ALL[usize::from(i)];
        let mut request = digest(&domain(), kind, 7, 2);
        request.key = key(i).public();
        answered(request, &key(i))
    };
    (0..n).map(one).collect()
}

fn witness(t: &SignatureSegment, context: &Context, signed: &[SignedRequest]) -> PartialWitness<F> {
    let mut witness = epoch_witness(&t.segment, context);
    t.assign(&mut witness, signed).unwrap();
    witness
}

fn built() -> (SignatureSegment, Checker) {
    let (b, t) = SignatureSegment::build(Builder::new(), CAPACITY);
    (t, Checker::new(b))
}

fn tuples(signed: &[SignedRequest]) -> Vec<(BusTag, Vec<F>, i128)> {
    let tuple = |signed: &SignedRequest| {
        let words = signed.request.words(context().epoch).to_vec();
        (BusTag::Signature, words, -1)
    };
    signed.iter().map(tuple).collect()
}

#[test]
fn p3_takes_exactly_the_requests_that_it_verified() {
    let (t, checker) = built();
    for n in 0..=CAPACITY as u8 {
        let signed = signed(n);
        let accepted = checker.check(&witness(&t, &context(), &signed)).unwrap();
        assert_bus(&t.segment, &accepted, tuples(&signed));
    }
    let mut witness = PartialWitness::new();
    assert!(t.assign(&mut witness, &signed(CAPACITY as u8 + 1)).is_err());
}

/// What is left on the bus where `sent` was sent: nothing exactly if the lists agree.
fn is_matched(t: &SignatureSegment, accepted: &Accepted<'_>, sent: &[SignedRequest]) -> bool {
    let mut traffic = Traffic::default();
    traffic.add(&t.segment.entries, |target| accepted.get(target));
    for (tag, words, multiplicity) in tuples(sent) {
        traffic.add_tuple(tag, &words, -multiplicity);
    }
    let sum = traffic.sum(challenge()).unwrap();
    assert_eq!(traffic.unmatched().is_empty(), sum == crate::Ext::ZERO);
    sum == crate::Ext::ZERO
}

/// A list one longer or one shorter than what was asked for verifies, but does not cancel; a list
/// in another order does, as long as each request keeps its signature.
#[test]
fn p3_a_list_one_longer_or_one_shorter_is_left_on_the_bus() {
    let (t, checker) = built();
    let asked = signed(2);
    let mut longer = signed(3);
    let accepted = checker.check(&witness(&t, &context(), &longer)).unwrap();
    assert!(!is_matched(&t, &accepted, &asked));
    let accepted = checker
        .check(&witness(&t, &context(), &asked[..1]))
        .unwrap();
    assert!(!is_matched(&t, &accepted, &asked));
    longer.reverse();
    let accepted = checker.check(&witness(&t, &context(), &longer)).unwrap();
    assert!(is_matched(&t, &accepted, &signed(3)));
    // The idle unit's request, made live: nobody asked for it.
    let idle = [asked.clone(), vec![*IDLE]].concat();
    let accepted = checker.check(&witness(&t, &context(), &idle)).unwrap();
    assert!(!is_matched(&t, &accepted, &asked));
    let mut elsewhere = context();
    elsewhere.epoch += 1;
    let accepted = checker.check(&witness(&t, &elsewhere, &asked)).unwrap();
    assert!(
        !is_matched(&t, &accepted, &asked),
        "another epoch's requests"
    );
}

/// In a live unit and, since every unit verifies, in one that is not.
#[test]
fn s5_p3_what_was_not_signed_is_refused() {
    let (t, checker) = built();
    let asked = digest(&domain(), MessageKind::Order, 7, 2);
    let other_chain = Domain::new(domain().chain_id + 1, domain().contract).unwrap();
    let other_contract = Domain::new(domain().chain_id, Owner([4; 20])).unwrap();
    let replayed = [
        digest(&other_chain, MessageKind::Order, 7, 2),
        digest(&other_contract, MessageKind::Order, 7, 2),
        digest(&domain(), MessageKind::Withdraw, 7, 2),
        digest(&domain(), MessageKind::Order, 8, 2),
        digest(&domain(), MessageKind::Order, 7, 1),
    ];
    let honest = answered(asked, &key(1));
    assert!(checker.check(&witness(&t, &context(), &[honest])).is_ok());
    let with = |signature| SignedRequest {
        signature,
        ..honest
    };
    let refused = |signed: &[SignedRequest], what: &str| {
        let witness = witness(&t, &context(), signed);
        assert!(checker.check_with_lies(&witness, &[]).is_err(), "{what}");
        // Said not to be live.
        let mut lies = vec![(t.n, F::ZERO)];
        lies.extend(live_bits(&t).iter().map(|&bit| (bit, F::ZERO)));
        assert!(
            checker.check_with_lies(&witness, &lies).is_err(),
            "{what}, dead"
        );
    };
    for other in replayed {
        refused(&[with(key(1).sign(other.digest))], "replayed");
    }
    refused(&[answered(asked, &key(2))], "another key's");
    let mut swapped = signed(2);
    let first = swapped[0].signature;
    swapped[0].signature = swapped[1].signature;
    swapped[1].signature = first;
    refused(&swapped, "signatures in another order");
    let mut forged = honest;
    forged.signature.nonce[0] += F::ONE;
    refused(&[forged], "another nonce");
}

fn live_bits(t: &SignatureSegment) -> Vec<Target> {
    let (b, again) = SignatureSegment::build(Builder::new(), CAPACITY);
    assert_eq!(t.n, again.n);
    b.hints("live bits").concat()
}

#[test]
fn p1_a_request_is_not_taken_uncounted() {
    let (t, checker) = built();
    let bits = live_bits(&t);
    let witness = witness(&t, &context(), &signed(2));
    let lies: [&[(Target, F)]; 4] = [
        &[(t.n, F::ONE), (bits[0], F::ONE), (bits[1], F::ONE)],
        &[(bits[2], F::ONE)],
        &[(bits[1], F::ZERO), (bits[2], F::ONE)],
        &[(bits[0], F::TWO), (bits[1], F::ZERO)],
    ];
    for lie in lies {
        assert!(checker.check_with_lies(&witness, lie).is_err(), "{lie:?}");
    }
}

/// With the release's gates and configuration, at fewer rows: the quotient holds the constraints'
/// degrees.
#[test]
fn s5_p3_a_segment_is_proven() {
    let shape = Shape {
        degree_bits: 9,
        arity: 1,
    };
    let (b, t) = SignatureSegment::build(Builder::new(), CAPACITY);
    let circuit = Uniform::new(shape).build(b).unwrap();
    let proof = circuit.prove(witness(&t, &context(), &signed(2))).unwrap();
    circuit.verify(proof).unwrap();
}

#[test]
fn rows_are_pinned() {
    let rows = |capacity| SignatureSegment::build(Builder::new(), capacity).0.rows();
    let (small, large) = (rows(100), rows(300));
    let unit = (large - small) as f64 / 200.0;
    let rest = small as f64 - 100.0 * unit;
    assert_eq!((unit, rest), (31.0, 8.0));
    // Public inputs, constants and one row of each other gate take less than 150.
    let full = rest + unit * SignatureSegment::CAPACITY as f64;
    assert!(full < f64::from((1 << 14) - 150), "{full} rows");
}
