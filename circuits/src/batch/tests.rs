use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::iop::witness::WitnessWrite;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::data::{BATCH_VERSION, BatchStatement, STATEMENT_WORDS, bytes_of, words_of};

use super::file::check_data;
use super::target::canonical_halves;
use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::join::Statement;
use crate::span::{Span, SpanTarget};
use crate::summary::{Chain, DataPolynomial, SUMMARY_ELEMENTS};

fn digest(seed: u64) -> Digest {
    HashOut {
        elements: [0, 1, 2, 3].map(|i| F::from_canonical_u64((seed << 40) + i)),
    }
}

const JOIN: u64 = 9;

/// A batch of two epochs with five elements of data, at the point that its bytes determine.
fn case() -> (Span, Vec<u64>) {
    let data: Vec<u64> = vec![7, 8, (1 << 56) - 1, 0, 11];
    let mut span = Span {
        domain: [31_337, 1, 2, 3].map(F::from_canonical_u64),
        first_epoch: 4,
        last_epoch: 5,
        round: 6,
        time: 1_700_000_000,
        state: Chain {
            before: digest(1),
            after: digest(2),
        },
        header: digest(4),
        sections: [1, 2, 3, 4],
        digest: digest(3),
        data: DataPolynomial::empty(QuadraticExtension([F::ZERO; 2])),
        join_key: digest(JOIN),
    };
    span.data.length = data.len() as u64;
    let statement = span.statement();
    let list = [&statement.words()[..], &data].concat();
    let z = point(
        &statement,
        content(&statement, span.digest),
        &bytes_of(&list).unwrap(),
    );
    let elements: Vec<F> = data.iter().map(|w| F::from_canonical_u64(*w)).collect();
    span.data = DataPolynomial::evaluate(&elements, z);
    (span, list)
}

fn inputs_of(span: &Span) -> Result<Vec<F>, String> {
    let (checker, target) = checker();
    let mut witness = PartialWitness::new();
    target.assign(&mut witness, span).unwrap();
    let accepted = checker
        .check_with_lies(&witness, &[])
        .map_err(|e| e.to_string())?;
    Ok(accepted.public_inputs().to_vec())
}

fn checker() -> (Checker, SpanTarget) {
    let mut builder = Builder::new();
    let span = SpanTarget::from_targets(&builder.add_virtual_targets(SUMMARY_ELEMENTS));
    let join = builder.constant_hash(digest(JOIN));
    let public_inputs = constrain(&mut builder, &span, join);
    builder.register_public_inputs(&public_inputs);
    (Checker::new(builder), span)
}

#[test]
fn p6_the_contract_recomputes_what_the_circuit_states() {
    let (span, list) = case();
    let inputs = inputs_of(&span).unwrap();
    assert_eq!(inputs.len(), BATCH_ELEMENTS);
    let bytes = bytes_of(&list).unwrap();
    assert_eq!(words_of(&bytes).unwrap(), list);
    let statement = BatchStatement::read(&list).unwrap();
    assert_eq!(statement, span.statement());
    check_data(&statement, &list, &bytes, &inputs).unwrap();
}

/// Each word of the list changed by the reader is noticed, whatever part of it is changed.
#[test]
fn p6_other_data_than_proven_is_refused() {
    let (span, list) = case();
    let inputs = inputs_of(&span).unwrap();
    for index in 0..list.len() {
        let mut lie = list.clone();
        lie[index] ^= 1;
        let Ok(statement) = BatchStatement::read(&lie) else {
            continue;
        };
        let error = check_data(&statement, &lie, &bytes_of(&lie).unwrap(), &inputs).unwrap_err();
        assert_eq!(error.code(), "P6.point", "word {index}");
    }
    let bytes = bytes_of(&list).unwrap();
    let statement = BatchStatement::read(&list).unwrap();
    let mut other = inputs.clone();
    other[7] += F::ONE;
    assert_eq!(
        check_data(&statement, &list, &bytes, &other)
            .unwrap_err()
            .code(),
        "P6.value"
    );
    other = inputs;
    other[0] += F::ONE;
    assert_eq!(
        check_data(&statement, &list, &bytes, &other)
            .unwrap_err()
            .code(),
        "P6.point"
    );
}

#[test]
fn p6_content_binds_every_part_before_the_point() {
    let (span, _) = case();
    let bound = |span: &Span| content(&span.statement(), span.digest);
    let lies: [fn(&mut Span); 7] = [
        |s| s.data.length += 1,
        |s| s.digest.elements[3] += F::ONE,
        |s| s.state.before.elements[0] += F::ONE,
        |s| s.state.after.elements[3] += F::ONE,
        |s| s.header.elements[2] += F::ONE,
        |s| s.domain[2] += F::ONE,
        |s| s.sections[3] += 1,
    ];
    for (i, lie) in lies.iter().enumerate() {
        let mut other = span.clone();
        lie(&mut other);
        assert_ne!(bound(&other), bound(&span), "lie {i}");
        // The circuit's C follows, so a proof for the lie has another z.
        let (honest, lied) = (inputs_of(&span).unwrap(), inputs_of(&other).unwrap());
        assert_ne!(honest[..4], lied[..4], "lie {i}");
    }
}

#[test]
fn p5_a_batch_join_of_ones_own_is_refused() {
    let (mut span, _) = case();
    span.join_key = digest(JOIN + 1);
    assert!(inputs_of(&span).is_err());
}

#[test]
fn p6_words_of_more_than_7_bytes_are_refused() {
    let (mut span, _) = case();
    span.time = 1 << 56;
    assert!(inputs_of(&span).is_err());
    let words = span.statement().words();
    assert_eq!(bytes_of(&words).unwrap_err().code(), "P6.element");
    assert_eq!(words_of(&[0; 8]).unwrap_err().code(), "P6.bytes");
}

/// [word aliasing] p + 5 has 64 bits too and is 5 in the field.
#[test]
fn p6_aliases_are_refused_natively() {
    let (_, list) = case();
    let digests = STATEMENT_WORDS - 24;
    let code = |change: fn(&mut Vec<u64>, usize)| {
        let mut lie = list.clone();
        change(&mut lie, digests);
        BatchStatement::read(&lie).unwrap_err().code()
    };
    assert_eq!(
        code(|l, at| l[at..at + 2].copy_from_slice(&[6, u32::MAX.into()])),
        "P6.aliased"
    );
    assert_eq!(code(|l, at| l[at + 23] = 1 << 32), "P6.half");
    assert_eq!(code(|l, _| l[0] = BATCH_VERSION + 1), "P6.version");
    assert_eq!(code(|l, _| l.push(0)), "P6.length");
    assert_eq!(code(|l, at| l.truncate(at)), "P6.short");
}

#[test]
fn p6_aliases_are_refused_in_circuit() {
    let build = |builder: &mut Builder| {
        let x = builder.add_virtual_target();
        (x, canonical_halves(builder, x))
    };
    let five = F::from_canonical_u64(5);
    let n = F::from_canonical_u64;
    let attacks = |(x, [low, high]): &(_, [_; 2])| {
        let lie = |name, halves: [F; 2]| {
            let mut witness = PartialWitness::new();
            witness.set_target(*x, five).unwrap();
            Attack::new(name, witness, &[(*low, halves[0]), (*high, halves[1])])
        };
        vec![
            lie("5 + p", [n(6), n(u32::MAX.into())]),
            lie("another number", [n(6), F::ZERO]),
            lie("a low half of 33 bits", [n(5 + (1 << 32)), F::NEG_ONE]),
            lie(
                "a negative low half",
                [n(FIELD_ORDER - (1 << 32) + 5), F::ONE],
            ),
        ]
    };
    assert_each_assertion_needed(build, attacks);
    let mut builder = Builder::new();
    let (x, halves) = build(&mut builder);
    let checker = Checker::new(builder);
    for value in [
        0,
        5,
        (1 << 32) - 1,
        1 << 32,
        FIELD_ORDER - 1,
        FIELD_ORDER - 2,
    ] {
        let mut witness = PartialWitness::new();
        witness.set_target(x, n(value)).unwrap();
        let accepted = checker.check(&witness).unwrap();
        let [low, high] = halves.map(|half| accepted.get(half).to_canonical_u64());
        assert_eq!(low | (high << 32), value);
    }
}

#[test]
fn p5_files_that_do_not_chain_are_refused() {
    let (span, _) = case();
    let first = span.statement();
    let mut next = first.clone();
    next.first_epoch = 6;
    next.last_epoch = 9;
    next.state_before = first.state_after;
    verify_chain(&[first.clone(), next.clone()]).unwrap();
    let code = |change: fn(&mut BatchStatement)| {
        let mut lie = next.clone();
        change(&mut lie);
        verify_chain(&[first.clone(), lie]).unwrap_err().code()
    };
    assert_eq!(code(|s| s.chain_id += 1), "P5.domain");
    assert_eq!(code(|s| s.contract[2] += 1), "P5.domain");
    assert_eq!(code(|s| s.first_epoch += 1), "P5.epoch");
    assert_eq!(code(|s| s.state_before.elements[0] += F::ONE), "P5.state");
}

fn file() -> BatchFile {
    let cap = (0..16).map(|i| digest(100 + i)).collect();
    let key = VerifierKey {
        circuit_digest: digest(99),
        constants_sigmas_cap: MerkleCap(cap),
    };
    BatchFile {
        key,
        data: vec![1, 2, 3],
        proof: vec![4, 5],
    }
}

#[test]
fn files_round_trip_and_cut_or_changed_ones_are_told_exactly() {
    let bytes = file().to_bytes();
    assert_eq!(BatchFile::parse(&bytes).unwrap(), file());
    for end in 0..bytes.len() {
        let error = BatchFile::parse(&bytes[..end]).unwrap_err();
        match error {
            FileError::Magic(start) => assert!(end < 8 && start == bytes[..end]),
            FileError::Short { end: told, .. } => assert_eq!(told, end),
            other => panic!("{end}: {other}"),
        }
    }
    let code = |bytes: &[u8]| BatchFile::parse(bytes).unwrap_err().code();
    assert_eq!(code(&[&bytes[..], &[0]].concat()), "file.trailing");
    assert_eq!(code(&[b"X", &bytes[1..]].concat()), "file.magic");
    let changed = |at: usize, with: &[u8]| {
        let mut lie = bytes.clone();
        lie[at..at + with.len()].copy_from_slice(with);
        lie
    };
    assert_eq!(code(&changed(11, &[2])), "file.format");
    assert_eq!(code(&changed(12, &[0xff; 8])), "file.key");
    // A length that reaches beyond any file.
    assert_eq!(code(&changed(12 + 68 * 8, &[0xff; 8])), "file.short");
}

#[test]
fn p6_a_key_of_another_circuit_is_refused_before_anything_else() {
    let uniform = Uniform::production();
    let verifier = Verifier::new(uniform, digest(1));
    assert_eq!(verifier.verify(&file()).unwrap_err().code(), "P5.key");
    let verifier = Verifier::new(uniform, key_digest(&file().key));
    assert_eq!(verifier.verify(&file()).unwrap_err().code(), "P6.bytes");
    let (_, list) = case();
    let data = bytes_of(&list).unwrap();
    let cut = BatchFile { data, ..file() };
    assert_eq!(verifier.verify(&cut).unwrap_err().code(), "P6.malformed");
}
