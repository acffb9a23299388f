//! What each kind of order does.

use tally_protocol::account::Keys;
use tally_protocol::order::{Order, Place};
use tally_protocol::testing::keys;
use tally_protocol::types::InstrumentId;
use tally_sequencer::command::{
    Auth, Command, Direction, Operation, OrderTerms, SelfTrade, Submit, TimeInForce, Trigger,
};
use tally_sequencer::event::Event;
use tally_sequencer::testing::{Rig, code};

use crate::{MARK, cancels, fills, venue};

const RICH: u64 = 1_000 * MARK;
const ONE: InstrumentId = InstrumentId(1);

fn three() -> Rig {
    venue(&[(1024, RICH), (1025, RICH), (1026, RICH)])
}

fn terms(time_in_force: TimeInForce) -> OrderTerms {
    OrderTerms {
        time_in_force,
        ..OrderTerms::default()
    }
}

fn post_only() -> OrderTerms {
    OrderTerms {
        post_only: true,
        ..OrderTerms::default()
    }
}

/// Price and lots, best first.
type Levels = Vec<(u64, u64)>;

/// A change of an order, and the code that it is refused with.
type Case = (fn(&mut Order), &'static str);

fn book(rig: &Rig) -> (Levels, Levels) {
    let book = rig.engine.book(ONE, 10);
    (book.bids, book.asks)
}

#[test]
fn a_limit_order_takes_the_best_price_first_and_rests_with_what_is_left() {
    let mut rig = three();
    assert_eq!(code(&rig.limit(1024, 0, 1, -5, MARK + 2)), "");
    assert_eq!(code(&rig.limit(1025, 0, 1, -5, MARK + 1)), "");
    assert_eq!(code(&rig.limit(1024, 1, 1, -5, MARK + 1)), "");
    let taken = rig.limit(1026, 0, 1, 12, MARK + 1);
    assert_eq!(fills(&taken.events), [(MARK + 1, 5), (MARK + 1, 5)]);
    assert_eq!(book(&rig), (vec![(MARK + 1, 2)], vec![(MARK + 2, 5)]));
    assert_eq!(
        (rig.size(1024, 1), rig.size(1025, 1), rig.size(1026, 1)),
        (-5, -5, 10)
    );
    rig.round().result.unwrap();
    assert_eq!(rig.size(1026, 1), 10);
}

#[test]
fn immediate_or_cancel_never_rests_and_an_order_by_nonce_only_takes() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    let order = rig.order(1026, 0, 1, 9, MARK);
    let taken = rig.submit(order, terms(TimeInForce::ImmediateOrCancel));
    assert_eq!(fills(&taken.events), [(MARK, 5)]);
    assert_eq!(cancels(&taken.events), ["cancel.unfilled"]);
    rig.limit(1024, 0, 1, -5, MARK);
    let mut order = rig.order(1026, 1, 1, 3, MARK);
    order.place = Place::Nonce(rig.nonce(1026));
    assert_eq!(
        code(&rig.submit(order.clone(), OrderTerms::default())),
        "O3.nonce"
    );
    let taken = rig.submit(order.clone(), terms(TimeInForce::ImmediateOrCancel));
    assert_eq!(fills(&taken.events), [(MARK, 3)]);
    let again = rig.submit(order.clone(), terms(TimeInForce::ImmediateOrCancel));
    assert_eq!(code(&again), "S4.nonce");
    // One that found nothing does not come twice either.
    order.place = Place::Nonce(rig.nonce(1026));
    order.limit = MARK - 9;
    rig.submit(order.clone(), terms(TimeInForce::ImmediateOrCancel))
        .result
        .unwrap();
    let again = rig.submit(order, terms(TimeInForce::ImmediateOrCancel));
    assert_eq!(code(&again), "S4.replayed");
    rig.round().result.unwrap();
}

#[test]
fn fill_or_kill_is_all_or_nothing() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    rig.limit(1025, 0, 1, -5, MARK + 1);
    let order = rig.order(1026, 0, 1, 11, MARK + 1);
    let killed = rig.submit(order.clone(), terms(TimeInForce::FillOrKill));
    assert_eq!(code(&killed), "O6.fill_or_kill");
    assert_eq!(fills(&killed.events), []);
    let smaller = Order { size: 10, ..order };
    let filled = rig.submit(smaller, terms(TimeInForce::FillOrKill));
    assert_eq!(fills(&filled.events), [(MARK, 5), (MARK + 1, 5)]);
    assert_eq!(book(&rig), (vec![], vec![]));
    rig.round().result.unwrap();
    assert_eq!(rig.size(1026, 1), 10);
}

/// The second maker's account lost its margin: the first fill must not stay.
#[test]
fn fill_or_kill_undoes_what_a_refused_maker_breaks() {
    let mut rig = venue(&[(1024, RICH), (1025, MARK), (1026, RICH)]);
    rig.limit(1024, 0, 1, -5, MARK);
    rig.limit(1025, 0, 1, -9, MARK + 1);
    // At the higher mark ten lots' margin is more than account 1025 has.
    rig.marks.insert(1, MARK + MARK / 8);
    rig.round().result.unwrap();
    let order = rig.order(1026, 0, 1, 14, MARK + MARK / 8);
    let killed = rig.submit(order, terms(TimeInForce::FillOrKill));
    assert_eq!(code(&killed), "O6.fill_or_kill");
    assert_eq!(cancels(&killed.events), ["L4.initial"]);
    assert_eq!((rig.size(1024, 1), rig.size(1026, 1)), (0, 0));
    assert_eq!(book(&rig).1, [(MARK, 5)]);
    rig.round().result.unwrap();
}

#[test]
fn post_only_is_refused_where_it_would_take() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    let order = rig.order(1026, 0, 1, 5, MARK);
    assert_eq!(code(&rig.submit(order, post_only())), "O5.post_only");
    let order = rig.order(1026, 0, 1, 5, MARK - 1);
    assert_eq!(code(&rig.submit(order.clone(), post_only())), "");
    let both = OrderTerms {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..post_only()
    };
    let order = Order {
        place: Place::Slot {
            slot: 1,
            sequence: 1,
        },
        ..order
    };
    assert_eq!(code(&rig.submit(order, both)), "O4.terms");
}

#[test]
fn l3_reduce_only_never_grows_and_shrinks_with_its_position() {
    let mut rig = three();
    let reduce = |order: Order| Order {
        reduce_only: true,
        ..order
    };
    let order = reduce(rig.order(1026, 0, 1, -5, MARK + 9));
    assert_eq!(
        code(&rig.submit(order, OrderTerms::default())),
        "L3.reduce_only"
    );
    rig.limit(1024, 0, 1, -10, MARK);
    rig.limit(1026, 1, 1, 10, MARK);
    let order = reduce(rig.order(1026, 0, 1, -50, MARK + 9));
    rig.submit(order, OrderTerms::default()).result.unwrap();
    assert_eq!(book(&rig).1, [(MARK + 9, 10)]);
    rig.limit(1025, 0, 1, 6, MARK);
    let sold = rig.limit(1026, 2, 1, -6, MARK);
    assert_eq!(fills(&sold.events), [(MARK, 6)]);
    assert!(
        sold.events
            .iter()
            .any(|event| matches!(event, Event::Reduced { lots: 4, .. }))
    );
    assert_eq!(book(&rig).1, [(MARK + 9, 4)]);
    rig.limit(1025, 0, 1, 9, MARK);
    let sold = rig.limit(1026, 2, 1, -9, MARK);
    assert_eq!(cancels(&sold.events), ["L3.reduce_only"]);
    assert_eq!(rig.size(1026, 1), -5);
    rig.round().result.unwrap();
}

#[test]
fn an_owner_does_not_trade_with_itself() {
    for (rule, asks, bids) in [
        (SelfTrade::CancelNewest, vec![(MARK, 5)], vec![]),
        (SelfTrade::CancelOldest, vec![], vec![(MARK, 4)]),
        (SelfTrade::CancelBoth, vec![], vec![]),
    ] {
        let mut rig = three();
        rig.limit(1024, 0, 1, -5, MARK);
        let order = rig.order(1024, 1, 1, 4, MARK);
        let terms = OrderTerms {
            self_trade: rule,
            ..OrderTerms::default()
        };
        let done = rig.submit(order, terms);
        assert_eq!(fills(&done.events), []);
        assert!(
            cancels(&done.events)
                .iter()
                .all(|reason| *reason == "cancel.self_trade")
        );
        assert_eq!(book(&rig), (bids, asks), "{rule:?}");
    }
}

#[test]
fn s4_an_amendment_keeps_its_place_only_where_it_shrinks() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    rig.limit(1025, 0, 1, -5, MARK);
    let amend = |order: Order| Order {
        amend: true,
        ..order
    };
    let smaller = amend(rig.order(1024, 0, 1, -3, MARK));
    rig.submit(smaller, OrderTerms::default()).result.unwrap();
    assert_eq!(book(&rig).1, [(MARK, 8)]);
    let taken = rig.limit(1026, 0, 1, 2, MARK);
    assert_eq!(rig.size(1024, 1), -2, "{taken:?}");
    // Two of three are filled: larger again, the amendment has what is left, at the queue's end.
    let larger = amend(rig.order(1024, 0, 1, -6, MARK));
    rig.submit(larger, OrderTerms::default()).result.unwrap();
    assert_eq!(book(&rig).1, [(MARK, 9)]);
    rig.limit(1026, 1, 1, 5, MARK);
    assert_eq!((rig.size(1024, 1), rig.size(1025, 1)), (-2, -5));
    let done = amend(rig.order(1024, 0, 1, -2, MARK));
    assert_eq!(code(&rig.submit(done, OrderTerms::default())), "L3.filled");
    rig.round().result.unwrap();
    // An older order's fills are in the slot; the new one, never filled, is replaced instead.
    rig.limit(1024, 0, 1, -4, MARK + 5);
    let lost = amend(rig.order(1024, 0, 1, -3, MARK + 5));
    assert_eq!(code(&rig.submit(lost, OrderTerms::default())), "S4.amend");
    rig.round().result.unwrap();
}

#[test]
fn s4_a_cancel_works_at_once_and_stands_in_the_ledger_when_the_epoch_closes() {
    let mut rig = three();
    rig.limit(1024, 3, 1, -5, MARK);
    let order = rig.order(1024, 4, 1, -5, MARK + 1);
    rig.submit(order.clone(), OrderTerms::default())
        .result
        .unwrap();
    let cancelled = rig.cancel(1024, 3);
    assert_eq!(cancels(&cancelled.events), ["cancel.requested"]);
    assert_eq!(book(&rig).1, [(MARK + 1, 5)]);
    assert_eq!(code(&rig.cancel(1024, 3)), "S4.no_order");
    rig.round().result.unwrap();
    let state = rig.closer.state().unwrap();
    let member = state
        .accounts
        .get(tally_protocol::types::AccountId(1024))
        .unwrap();
    assert_eq!(member.orders.slot(3).sequence, 2);
    // What is cancelled does not come again, nor does what is resting.
    let old = Order {
        place: Place::Slot {
            slot: 3,
            sequence: 1,
        },
        ..order.clone()
    };
    assert_eq!(code(&rig.submit(old, OrderTerms::default())), "S4.old");
    assert_eq!(code(&rig.submit(order, OrderTerms::default())), "S4.old");
}

#[test]
fn s4_cancel_all_and_new_keys_end_every_order() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    rig.limit(1024, 1, 2, 5, MARK - 1);
    let all = rig.cancel_all(1024);
    assert_eq!(cancels(&all.events), ["S4.generation", "S4.generation"]);
    assert_eq!(book(&rig), (vec![], vec![]));
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    let session = keys::secret(77);
    let keys = Keys {
        key: keys::public(1024),
        trading_key: session.public(),
    };
    let changed = rig.key_change(1024, keys);
    assert_eq!(cancels(&changed.events), ["S4.generation"]);
    // The session key trades, and does not withdraw.
    let order = rig.order(1024, 0, 1, -5, MARK);
    let digest = order.digest(&rig.domain);
    let auth = Auth {
        key: session.public(),
        signature: session.sign(digest),
    };
    let submit = Submit {
        order,
        auth,
        terms: OrderTerms::default(),
    };
    assert_eq!(code(&rig.apply(Command::Submit(submit))), "");
    rig.limit(1026, 0, 1, 5, MARK);
    assert_eq!(rig.size(1024, 1), -5);
    let mut stolen = tally_sequencer::command::Signed {
        message: tally_protocol::message::Withdraw {
            account: tally_protocol::types::AccountId(1024),
            generation: 2,
            nonce: rig.nonce(1024),
            instrument: tally_protocol::terms::CASH,
            amount: 1,
            least: 0,
        },
        auth,
    };
    stolen.auth.signature = session.sign(stolen.message.digest(&rig.domain));
    assert_eq!(code(&rig.apply(Command::Withdraw(stolen))), "S2.key");
    rig.round().result.unwrap();
}

#[test]
fn a_dead_mans_switch_fires_unless_it_is_renewed() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -5, MARK);
    rig.dead_man(1024, 1_000).result.unwrap();
    rig.pass(900);
    rig.dead_man(1024, 1_000).result.unwrap();
    assert_eq!(cancels(&rig.pass(999).events), Vec::<&str>::new());
    let fired = rig.pass(1);
    assert_eq!(cancels(&fired.events), ["cancel.dead_man"]);
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    rig.dead_man(1024, 1_000).result.unwrap();
    rig.dead_man(1024, 0).result.unwrap();
    assert_eq!(cancels(&rig.pass(5_000).events), Vec::<&str>::new());
}

#[test]
fn a_good_till_time_order_expires_with_its_last_second() {
    let mut rig = three();
    let mut order = rig.order(1024, 0, 1, -5, MARK);
    order.expiry = rig.now / 1_000 + 2;
    rig.submit(order, OrderTerms::default()).result.unwrap();
    assert_eq!(cancels(&rig.pass(2_900).events), Vec::<&str>::new());
    assert_eq!(cancels(&rig.pass(100).events), ["J2.expired"]);
    let mut order = rig.order(1024, 0, 1, -5, MARK);
    order.expiry = rig.now / 1_000 - 1;
    assert_eq!(
        code(&rig.submit(order, OrderTerms::default())),
        "J2.expired"
    );
}

#[test]
fn a_stop_waits_for_the_mark_and_then_takes() {
    let mut rig = three();
    rig.limit(1024, 0, 1, -10, MARK);
    rig.limit(1026, 0, 1, 10, MARK);
    let stop = |price, direction| OrderTerms {
        trigger: Some(Trigger { price, direction }),
        ..terms(TimeInForce::ImmediateOrCancel)
    };
    let below = MARK - MARK / 50;
    let order = Order {
        reduce_only: true,
        ..rig.order(1026, 1, 1, -10, below - MARK / 50)
    };
    let waiting = rig.submit(order, stop(below, Direction::Below));
    assert!(
        waiting
            .events
            .iter()
            .any(|event| matches!(event, Event::Waiting { .. }))
    );
    rig.limit(1025, 0, 1, 20, below - 5);
    assert_eq!(fills(&rig.round().events), []);
    rig.marks.insert(1, below);
    let fired = rig.round();
    assert_eq!(fills(&fired.events), [(below - 5, 10)]);
    assert_eq!(rig.size(1026, 1), 0);
    rig.round().result.unwrap();
}

#[test]
fn a_batch_stands_for_each_of_its_operations() {
    let mut rig = three();
    let order = rig.order(1024, 0, 1, -5, MARK);
    let first = rig.submission(order, OrderTerms::default());
    let mut bad = rig.order(1024, 1, 9, -5, MARK);
    bad.instrument = InstrumentId(9);
    let second = rig.submission(bad, OrderTerms::default());
    let third = rig.cancellation(1024, 0);
    let operations = vec![
        Operation::Submit(first),
        Operation::Submit(second),
        Operation::Cancel(third),
    ];
    let done = rig.apply(Command::Batch(operations));
    let refused = done.events.iter().find_map(|event| match event {
        Event::Refused { operation, reject } => Some((*operation, reject.code())),
        _ => None,
    });
    assert_eq!(refused, Some((1, "T7.unlisted")));
    assert_eq!(cancels(&done.events), ["cancel.requested"]);
}

#[test]
fn client_ids_are_taken_once() {
    let mut rig = three();
    let named = OrderTerms {
        client_id: 7,
        ..OrderTerms::default()
    };
    let order = rig.order(1024, 0, 1, -5, MARK);
    rig.submit(order, named).result.unwrap();
    let order = rig.order(1024, 1, 1, -5, MARK);
    assert_eq!(code(&rig.submit(order, named)), "O1.client_id");
    let order = rig.order(1025, 1, 1, -5, MARK);
    assert_eq!(code(&rig.submit(order, named)), "");
}

/// \[L4\] 10 % a lot: with 10 lots' worth of margin, 100 lots of either side may rest, not 101; and
/// both sides may rest at once, since only one end can be the worst.
#[test]
fn l4_the_worst_case_of_open_orders_is_margined() {
    let mut rig = venue(&[(1024, 10 * MARK), (1025, RICH)]);
    assert_eq!(code(&rig.limit(1024, 0, 1, 101, MARK)), "L4.margin");
    assert_eq!(code(&rig.limit(1024, 0, 1, 60, MARK - 1)), "");
    assert_eq!(code(&rig.limit(1024, 1, 1, 41, MARK - 1)), "L4.margin");
    assert_eq!(code(&rig.limit(1024, 1, 1, 40, MARK - 1)), "");
    assert_eq!(code(&rig.limit(1024, 2, 1, -100, MARK + 1)), "");
    assert_eq!(code(&rig.limit(1024, 3, 2, 1, MARK - 1)), "L4.margin");
    // A buy above the mark loses at once what it is above.
    rig.cancel_all(1024);
    assert_eq!(code(&rig.limit(1024, 0, 1, 100, MARK + 1)), "L4.margin");
    assert_eq!(code(&rig.limit(1024, 0, 1, 99, MARK + 1)), "");
    // All that rests can be filled.
    rig.limit(1025, 0, 1, -99, MARK);
    assert_eq!(rig.size(1024, 1), 99);
    // And money that orders need does not leave.
    rig.limit(1025, 1, 1, 99, MARK);
    rig.limit(1024, 1, 1, -99, MARK);
    assert_eq!(rig.size(1024, 1), 0);
    rig.limit(1024, 2, 1, 50, MARK - 1).result.unwrap();
    assert_eq!(code(&rig.withdraw(1024, 6 * MARK)), "L4.margin");
    assert_eq!(code(&rig.withdraw(1024, 4 * MARK)), "");
    rig.round().result.unwrap();
}

#[test]
fn hostile_orders_are_refused_with_a_code() {
    let mut rig = three();
    let good = rig.order(1024, 0, 1, -5, MARK);
    let cases: [Case; 8] = [
        (|o| o.size = 0, "N3.size"),
        (|o| o.limit = 1 << 42, "N2.limit"),
        (|o| o.instrument = InstrumentId(0), "T7.unlisted"),
        (|o| o.instrument = InstrumentId(5), "T7.unlisted"),
        (|o| o.size = 1 << 40, "N3.size"),
        (|o| o.generation = 3, "S4.generation"),
        (
            |o| {
                o.place = Place::Slot {
                    slot: 64,
                    sequence: 1,
                }
            },
            "S4.slot",
        ),
        (|o| o.max_fee_per_lot = 1 << 43, "N2.fee"),
    ];
    for (change, expected) in cases {
        let mut order = good.clone();
        change(&mut order);
        assert_eq!(code(&rig.submit(order, OrderTerms::default())), expected);
    }
    // Another's key, a system account, nobody.
    let digest = good.digest(&rig.domain);
    let auth = rig.auth(1025, digest);
    let submit = Submit {
        order: good.clone(),
        auth,
        terms: OrderTerms::default(),
    };
    assert_eq!(code(&rig.apply(Command::Submit(submit))), "S2.key");
    for id in [5, 9_999] {
        let order = Order {
            account: tally_protocol::types::AccountId(id),
            ..good.clone()
        };
        let auth = rig.auth(1024, order.digest(&rig.domain));
        let submit = Submit {
            order,
            auth,
            terms: OrderTerms::default(),
        };
        assert_eq!(code(&rig.apply(Command::Submit(submit))), "S2.account");
    }
    let mut forged = rig.submission(good, OrderTerms::default());
    forged.order.size = 6;
    assert!(rig.try_apply(Command::Submit(forged)).is_err());
}
