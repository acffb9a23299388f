//! Verified submission \[S5\], \[T1\]: what is unsigned or badly signed is refused and leaves no
//! trace.

use crate::entry::Entry;
use crate::epoch::{EpochError, SignaturePool};
use crate::hash::{Digest, unsigned};
use crate::journal::fill::Fill;
use crate::oracle::{OracleError, Round, SignedReport};
use crate::order::Order;
use crate::signature::{SecretKey, Signature};
use crate::testing::{World, keys, perpetual};
use crate::types::AccountId;

const A: u32 = 2_000;
const B: u32 = 2_001;
const MARK: u64 = 10_000_000;

fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world
}

fn code<T>(outcome: Result<T, EpochError>) -> &'static str {
    match outcome {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

fn key(account: u32) -> SecretKey {
    keys::secret(account.into())
}

fn fill_of(entry: &Entry) -> Fill {
    match entry {
        Entry::Fill(fill) => (**fill).clone(),
        _ => panic!("a fill"),
    }
}

fn digest(world: &World, order: &Order) -> Digest {
    order.digest(&world.state.header.globals.domain)
}

/// (account, message, by its trading key, signature)
fn pool(signed: &[(u32, Digest, bool, Signature)]) -> SignaturePool {
    let mut pool = SignaturePool::default();
    for (account, message, by_trading_key, signature) in signed {
        pool.insert(AccountId(*account), *message, *by_trading_key, *signature);
    }
    pool
}

#[test]
fn s5_an_entry_is_refused_without_each_of_its_signatures() {
    let mut world = world();
    let entry = world.fill(A, B, 1, 2, MARK);
    let fill = fill_of(&entry);
    let (long, short) = (digest(&world, &fill.long), digest(&world, &fill.short));
    let by_a = (A, long, false, key(A).sign(long));
    let by_b = (B, short, false, key(B).sign(short));
    let wrong = |signature| (B, short, false, signature);
    let other = Digest {
        elements: [9; 4].map(unsigned),
    };
    let mut flipped = by_b.3.to_bytes();
    flipped[41] ^= 1;
    let flipped = Signature::from_bytes(&flipped).unwrap();
    let cases = [
        (pool(&[by_a]), "S5.unsigned"),
        (pool(&[by_b]), "S5.unsigned"),
        (pool(&[by_a, wrong(by_a.3)]), "S5.signature"),
        (pool(&[by_a, wrong(key(A).sign(short))]), "S5.signature"),
        (pool(&[by_a, wrong(key(B).sign(other))]), "S5.signature"),
        (pool(&[by_a, wrong(flipped)]), "S5.signature"),
        (pool(&[by_a, (B, other, false, by_b.3)]), "S5.unsigned"),
        (pool(&[by_a, (B, short, true, by_b.3)]), "S2.no_key"),
    ];
    let again = Entry::Fill(Box::new(Fill {
        size: 1,
        ..fill.clone()
    }));
    let first = again.clone();
    let ((), trace) = world
        .epoch(|builder| {
            for (pool, expected) in &cases {
                assert_eq!(code(builder.submit(entry.clone(), pool)), *expected);
                assert_eq!(builder.entries(), 0);
            }
            builder.submit(first, &pool(&[by_a, by_b]))?;
            // Both orders rest in their slots now: they were signed for.
            assert_eq!(code(builder.submit(again, &())), "accepted");
            Ok(())
        })
        .unwrap();
    let signed = trace.signed_requests().unwrap();
    assert_eq!(signed.len(), 2 + trace.round.reports().len());
    assert_eq!(trace.verify_signatures(), Ok(()));
    assert!(signed.iter().any(|signed| signed.signature == by_b.3));
}

#[test]
fn s5_a_trace_knows_what_it_lacks_and_what_is_forged() {
    let mut world = world();
    let entry = world.fill(A, B, 1, 2, MARK);
    let (_, trace) = world.epoch(|builder| builder.push(entry)).unwrap();
    let step = |trace: &crate::epoch::EpochTrace| {
        let accounts = trace.accounts.iter().enumerate();
        let mut places = accounts.filter_map(|(at, account)| {
            let step = account
                .postings
                .iter()
                .position(|step| step.request.is_some());
            Some((at, step?))
        });
        places.next().unwrap()
    };
    let (account, posting) = step(&trace);
    let mut unsigned = trace.clone();
    unsigned.accounts[account].postings[posting].signature = None;
    let error = unsigned.verify_signatures().unwrap_err();
    assert_eq!(error.code(), "S5.unsigned");
    let mut forged = trace.clone();
    let swapped = key(B + 1).sign(Digest::default());
    forged.accounts[account].postings[posting].signature = Some(swapped);
    let error = forged.verify_signatures().unwrap_err();
    assert_eq!(error.code(), "S5.signature");
    assert_eq!(trace.verify_signatures(), Ok(()));
}

/// \[T1\] A round is of its reporters' word, in its own deployment.
#[test]
fn t1_a_round_is_refused_with_a_bad_signature() {
    let world = world();
    let reporters = &world.state.reporters;
    let domain = world.state.header.globals.domain;
    let round = world.round();
    let signed = round.signed_requests(&domain, reporters).unwrap();
    let reports: Vec<SignedReport> = round
        .reports()
        .iter()
        .zip(&signed)
        .map(|((report, prices), signed)| SignedReport {
            report: report.clone(),
            prices: prices.clone(),
            signature: signed.signature,
        })
        .collect();
    let made = |reports| Round::signed(reporters, &domain, reports);
    assert!(made(reports.clone()).is_ok());
    let mut swapped = reports.clone();
    swapped[1].signature = reports[0].signature;
    let error = made(swapped).unwrap_err();
    assert!(matches!(error, OracleError::Signature { reporter: 1, .. }));
    assert_eq!(error.code(), "T1.signature");
    let mut later = reports.clone();
    later
        .iter_mut()
        .for_each(|signed| signed.report.stamp.time += 1);
    assert_eq!(made(later).unwrap_err().code(), "T1.signature");
    let mut elsewhere = domain;
    elsewhere.chain_id += 1;
    let error = Round::signed(reporters, &elsewhere, reports.clone()).unwrap_err();
    assert_eq!(error.code(), "T1.signature");
    let parts = reports
        .into_iter()
        .map(|signed| (signed.report, signed.prices));
    let unsigned = Round::new(reporters, parts.collect()).unwrap();
    let error = unsigned.signed_requests(&domain, reporters).unwrap_err();
    assert_eq!(error.code(), "T1.unsigned");
}
