//! \[S2\], \[S4\], \[L3\], \[J3\], \[J4\]: who may say what.

use super::*;

fn order(bench: &mut Bench, sequence: u32, hash: u64, lots: i64) -> Posting {
    Posting {
        instrument: PERP,
        delta_size: lots,
        digest: digest(hash),
        place: 5,
        sequence,
        order_size: 10,
        ..bench.posting(Needs::ORDER | Needs::TRADING_KEY | Needs::ORDINARY)
    }
}

fn by_nonce(bench: &mut Bench, needs: Needs, nonce: u32, hash: u64, lots: i64) -> Posting {
    Posting {
        place: nonce,
        sequence: 0,
        ..order(bench, 0, hash, lots)
    }
    .with(needs | Needs::NONCE)
}

impl Posting {
    fn with(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

#[test]
fn s4_a_resting_order_is_signed_once_and_never_beyond_its_size() {
    let mut bench = Bench::open(&account(1_000, &[]));
    let first = order(&mut bench, 1, 77, 4);
    let request = bench.apply(&first, &Facts::default()).unwrap().unwrap();
    assert_eq!((request.key, request.digest), (key(1), digest(77)));
    let second = order(&mut bench, 1, 77, 6);
    assert_eq!(bench.apply(&second, &Facts::default()), Ok(None));
    let third = order(&mut bench, 1, 77, 1);
    assert_eq!(code(bench.apply(&third, &Facts::default())), "L3.filled");
    let other = order(&mut bench, 1, 78, 1);
    assert_eq!(code(bench.apply(&other, &Facts::default())), "S4.other");
    let old = order(&mut bench, 0, 77, 1);
    assert_eq!(code(bench.apply(&old, &Facts::default())), "S4.old");
    let next = order(&mut bench, 2, 79, 10);
    assert!(bench.apply(&next, &Facts::default()).unwrap().is_some());
}

#[test]
fn s4_orders_continue_over_epochs_from_the_tree() {
    let mut bench = Bench::open(&account(1_000, &[]));
    let first = order(&mut bench, 1, 77, 4);
    bench.apply(&first, &Facts::default()).unwrap();
    let slot = bench.running.orders[&5];
    let mut next = Bench::open(&account(1_000, &[]));
    next.orders.set(5, slot).unwrap();
    let second = order(&mut next, 1, 77, 6);
    assert_eq!(next.apply(&second, &Facts::default()), Ok(None));
    let third = order(&mut next, 1, 77, 1);
    assert_eq!(code(next.apply(&third, &Facts::default())), "L3.filled");
}

#[test]
fn s4_the_generation_ends_every_order_before_it() {
    let mut bench = Bench::open(&account(1_000, &[]));
    let first = order(&mut bench, 1, 77, 4);
    bench.apply(&first, &Facts::default()).unwrap();
    let all = Posting {
        place: 0,
        digest: digest(5),
        ..bench.posting(Needs::NONCE | Needs::CANCEL_ALL | Needs::TRADING_KEY)
    };
    bench.apply(&all, &Facts::default()).unwrap();
    assert_eq!(bench.running.rest.generation, 1);
    let again = order(&mut bench, 1, 77, 4);
    assert_eq!(
        code(bench.apply(&again, &Facts::default())),
        "S4.generation"
    );
}

#[test]
fn s4_a_nonce_serves_one_message_once() {
    let mut bench = Bench::open(&account(1_000, &[]));
    let transfer = Posting {
        delta_cash: -5,
        place: 0,
        digest: digest(5),
        ..bench.posting(Needs::NONCE)
    };
    assert!(bench.apply(&transfer, &Facts::default()).unwrap().is_some());
    // The same signed message again, right behind the first.
    let replay = Posting {
        index: 50,
        ..transfer
    };
    assert_eq!(code(bench.apply(&replay, &Facts::default())), "S4.nonce");
    let ahead = Posting { place: 2, ..replay };
    assert_eq!(code(bench.apply(&ahead, &Facts::default())), "S4.nonce");
}

#[test]
fn s4_a_market_takers_postings_follow_one_another_up_to_its_size() {
    let needs = Needs::ORDER | Needs::ORDINARY;
    let mut bench = Bench::open(&account(1_000, &[]));
    let first = by_nonce(&mut bench, needs, 0, 9, 4);
    assert!(bench.apply(&first, &Facts::default()).unwrap().is_some());
    let second = by_nonce(&mut bench, needs, 0, 9, 6);
    assert_eq!(bench.apply(&second, &Facts::default()), Ok(None));
    let beyond = by_nonce(&mut bench, needs, 0, 9, 1);
    assert_eq!(code(bench.apply(&beyond, &Facts::default())), "L3.filled");
    let other = by_nonce(&mut bench, needs, 0, 8, 1);
    assert_eq!(code(bench.apply(&other, &Facts::default())), "S4.nonce");
    // Something between ends the order.
    let next = by_nonce(&mut bench, needs, 1, 10, 1);
    bench.apply(&next, &Facts::default()).unwrap();
    bench.change(Needs::default(), PERP, 0, 1).unwrap();
    let resumed = by_nonce(&mut bench, needs, 1, 10, 1);
    assert_eq!(code(bench.apply(&resumed, &Facts::default())), "S4.nonce");
}

#[test]
fn s4_an_exhausted_counter_stops() {
    let mut last = account(0, &[]);
    last.rest.nonce = u32::MAX;
    let mut bench = Bench::open(&last);
    let posting = by_nonce(&mut bench, Needs::default(), u32::MAX, 1, 0);
    assert_eq!(
        code(bench.apply(&posting, &Facts::default())),
        "S4.exhausted"
    );
}

#[test]
fn s2_the_trading_key_signs_orders_and_cancels_only() {
    let mut bench = Bench::open(&account(1_000, &[]));
    let trading = Facts {
        by_trading_key: true,
        ..Facts::default()
    };
    let posting = order(&mut bench, 1, 77, 4);
    let request = bench.apply(&posting, &trading).unwrap().unwrap();
    assert_eq!(request.key, key(2));
    let withdrawal = Posting {
        delta_cash: -5,
        digest: digest(6),
        ..bench.posting(Needs::NONCE | Needs::OUTFLOW)
    };
    assert_eq!(code(bench.apply(&withdrawal, &trading)), "S2.trading_key");
    // Zeros are no key: nobody can be asked to sign for them.
    let mut keyless = account(1_000, &[]);
    keyless.rest.keys = Keys::default();
    let mut bench = Bench::open(&keyless);
    let posting = order(&mut bench, 1, 77, 4);
    assert_eq!(code(bench.apply(&posting, &trading)), "S2.no_key");
    assert_eq!(code(bench.apply(&posting, &Facts::default())), "S2.no_key");
}

#[test]
fn s4_a_key_change_takes_the_named_keys() {
    let mut bench = Bench::open(&account(0, &[]));
    let new = Keys {
        key: key(11),
        trading_key: key(12),
    };
    let posting = Posting {
        place: 0,
        digest: digest(3),
        ..bench.posting(Needs::NONCE | Needs::SET_KEYS)
    };
    let (posting, mut facts) = with_aux(posting, leaf_terms(0, &new, AccountKind::Cross));
    assert_eq!(code(bench.apply(&posting, &facts)), "J1.aux");
    facts.keys = new;
    let request = bench.apply(&posting, &facts).unwrap().unwrap();
    // The old key signs for the new one.
    assert_eq!(request.key, key(1));
    assert_eq!(bench.running.rest.keys, new);
    assert_eq!(bench.running.rest.generation, 1);
}

#[test]
fn j3_the_owner_is_the_leafs() {
    let mut bench = Bench::open(&account(0, &[]));
    for (seed, expected) in [(7, None), (8, Some("J3.owner"))] {
        let posting = bench.posting(Needs::OWNER);
        let aux = leaf_terms(seed, &Keys::default(), AccountKind::Cross);
        let (posting, facts) = with_aux(posting, aux);
        let outcome = bench.apply(&posting, &facts);
        assert_eq!(outcome.err().map(|error| error.code()), expected);
    }
}

#[test]
fn j4_a_sole_posting_is_alone() {
    let mut bench = Bench::open(&account(0, &[]));
    bench.change(Needs::SOLE, PERP, 0, 5).unwrap();
    assert_eq!(code(bench.change(Needs::default(), PERP, 0, 5)), "J4.sole");
    let mut bench = Bench::open(&account(0, &[]));
    bench.change(Needs::default(), PERP, 0, 5).unwrap();
    assert_eq!(code(bench.change(Needs::SOLE, PERP, 0, 5)), "J4.sole");
}

#[test]
fn l3_reduce_only_is_against_the_running_size() {
    let mut bench = Bench::open(&account(1_000, &[(PERP, 5)]));
    let mut reduce = |lots| bench.change(Needs::REDUCE_ONLY, PERP, lots, 0);
    assert_eq!(code(reduce(1)), "L3.reduce_only");
    assert_eq!(code(reduce(-6)), "L3.reduce_only");
    reduce(-3).unwrap();
    assert_eq!(code(reduce(-3)), "L3.reduce_only");
    reduce(-2).unwrap();
    assert_eq!(code(reduce(-1)), "L3.reduce_only");
}

#[test]
fn t6_a_reduce_only_row_neither_grows_nor_flips() {
    let mut bench = Bench::open(&account(1_000, &[(REDUCING, -5)]));
    assert_eq!(code(bench.fill(REDUCING, -1, 0)), "T6.reduce_only");
    assert_eq!(code(bench.fill(REDUCING, 6, 0)), "T6.reduce_only");
    bench.fill(REDUCING, 2, 0).unwrap();
    assert_eq!(code(bench.fill(CLAMPED, 1, 0)), "T6.reduce_only");
    // But for the taker of a liquidation.
    bench.change(Needs::MAY_GROW, CLAMPED, 1, 0).unwrap();
    bench.close();
}
