//! What `begin`, `push` and `finish` refuse, and that a refusal leaves everything as it was.

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError, Plan, Signatures};
use crate::genesis::default_leaf;
use crate::hash::Digest;
use crate::instrument::Status;
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::listing::Change;
use crate::message::{CancelAll, SignatureRequest};
use crate::oracle::Stamp;
use crate::order::Order;
use crate::orders::OrderTree;
use crate::posting::Refusal;
use crate::queue::{Reason, Request, Service};
use crate::signature::Signature;
use crate::state::Member;
use crate::terms::CASH;
use crate::testing::{World, keys, perpetual, spot};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId};

const A: u32 = 2_000;
const B: u32 = 2_001;
const MARK: u64 = 10_000_000;

pub(super) fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world
}

pub(super) fn code<T>(outcome: Result<T, EpochError>) -> &'static str {
    match outcome {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn s8_deposits_fills_and_moves_of_the_mark_balance() {
    let mut world = world();
    let fill = world.fill(A, B, 1, 100, MARK);
    let (_, trace) = world.epoch(|builder| builder.push(fill)).unwrap();
    assert_eq!(trace.requests().count(), 2);
    assert_eq!(trial_balance::check(&world.state).unwrap().open.len(), 2);
    world.marks.insert(1, MARK * 21 / 20);
    world.epoch(|_| Ok(())).unwrap();
    trial_balance::check(&world.state).unwrap();
}

/// A refused entry changes nothing: not its first posting's account, not an order's slot.
#[test]
fn l4_a_refused_entry_leaves_everything_as_it_was() {
    let mut world = world();
    let good = world.fill(A, B, 1, 100, MARK);
    let too_much = world.fill(A, B, 1, 1_001, MARK);
    let worse = world.fill(A, B, 1, 10, MARK * 2);
    let replayed = good.clone();
    let flag = Entry::Flag(Flag {
        account: AccountId(A),
    });
    let round = world.round();
    let begin = || EpochBuilder::begin(&world.state, round.clone(), world.plan(vec![])).unwrap();
    let mut plain = begin();
    plain.push(good.clone()).unwrap();
    let mut tried = begin();
    assert_eq!(code(tried.push(too_much.clone())), "L4.initial");
    tried.push(good).unwrap();
    assert_eq!(code(tried.push(too_much)), "L4.initial");
    assert_eq!(code(tried.push(replayed)), "L3.filled");
    assert_eq!(code(tried.push(worse)), "J2.band");
    assert_eq!(code(tried.push(flag)), "Q1.healthy");
    let ((plain, _), (tried, trace)) = (plain.finish().unwrap(), tried.finish().unwrap());
    assert_eq!(plain.root(), tried.root());
    assert_eq!(trace.entries.len(), 1);
}

#[test]
fn t8_open_interest_ends_at_its_cap() {
    let mut listed = perpetual(1, MARK);
    listed.params.max_open_interest = 150;
    let mut world = World::new(&[listed]);
    world.fund(&[
        (A, 10_000_000_000),
        (B, 10_000_000_000),
        (2_002, 10_000_000_000),
    ]);
    let entries = [
        (A, B, 100),
        (A, B, 51),
        (A, 2_002, 50),
        (2_002, A, 60),
        (B, 2_002, 1),
    ];
    let fills = entries.map(|(long, short, lots)| world.fill(long, short, 1, lots, MARK));
    let expected = [
        "accepted",
        "T8.open_interest",
        "accepted",
        "accepted",
        "accepted",
    ];
    let (found, _) = world
        .epoch(|builder| Ok(fills.map(|fill| code(builder.push(fill)))))
        .unwrap();
    assert_eq!(found, expected);
    trial_balance::check(&world.state).unwrap();
}

#[test]
fn c1_items_are_served_in_their_order() {
    let mut world = world();
    let first = world.deposit(A, CASH, 5, false);
    let second = world.deposit(B, CASH, 5, false);
    let third = world.deposit(2_002, CASH, 5, true);
    let (found, _) = world
        .epoch(|builder| {
            let first = code(builder.push(first));
            let third = code(builder.push(third));
            Ok((first, third, code(builder.push(second))))
        })
        .unwrap();
    assert_eq!(found, ("accepted", "C1.order", "accepted"));
}

#[test]
fn j4_an_item_is_refused_for_what_is_so_and_alone_in_its_epoch() {
    let mut world = world();
    let request = Request::Flag {
        account: AccountId(A),
    };
    let refused = |reason| Service::Refused(Reason::Account(reason));
    let entries = [
        (Service::Done, "Q1.healthy"),
        (refused(Refusal::Empty), "J4.refusal"),
        (refused(Refusal::Funds), "J4.inadmissible"),
        (refused(Refusal::NotLiquidatable), "accepted"),
    ];
    let items = entries.map(|(service, expected)| {
        world.next_item = 2;
        (world.item(request.clone(), service), expected)
    });
    let fill = world.fill(A, B, 1, 1, MARK);
    let (_, trace) = world
        .epoch(|builder| {
            for (item, expected) in items {
                assert_eq!(code(builder.push(item)), expected);
            }
            assert_eq!(code(builder.push(fill)), "J4.sole");
            Ok(())
        })
        .unwrap();
    assert_eq!(trace.journal.outcomes.len(), 1);
}

#[test]
fn q5_only_declared_bankrupts_are_absorbed_and_all_of_them() {
    let world = world();
    let begin = |plan| EpochBuilder::begin(&world.state, world.round(), plan);
    assert_eq!(
        code(begin(world.plan(vec![AccountId(A)]))),
        "Q5.not_bankrupt"
    );
    assert_eq!(
        code(begin(world.plan(vec![AccountId(9_999)]))),
        "Q5.not_bankrupt"
    );

    let mut world = World::new(&[perpetual(1, MARK)]);
    world.fund(&[(A, 11_000_000), (B, 1_000_000_000)]);
    let fill = world.fill(A, B, 1, 10, MARK);
    world.epoch(|builder| builder.push(fill)).unwrap();
    world.marks.insert(1, MARK * 7 / 8);
    let by_item = Plan {
        absorb_by_item: vec![AccountId(A)],
        fills_per_segment: 1,
        ..Plan::default()
    };
    let builder = EpochBuilder::begin(&world.state, world.round(), by_item).unwrap();
    assert_eq!(code(builder.finish()), "Q6.not_absorbed");
}

#[test]
fn t2_rounds_are_skipped_without_entries_and_fills_wait() {
    let mut world = world();
    let stamp = Stamp {
        round: 9,
        previous: 8,
        time: world.state.header.time + 15,
        ..Stamp::default()
    };
    let fill = world.fill(A, B, 1, 1, MARK);
    let round = world.round_of(stamp);
    let mut builder = EpochBuilder::begin(&world.state, round, world.plan(vec![])).unwrap();
    assert_eq!(code(builder.push(fill.clone())), "T2.entries");
    world.state = builder.finish().unwrap().0;
    for _ in 0..3 {
        let (found, _) = world
            .epoch(|builder| Ok(code(builder.push(fill.clone()))))
            .unwrap();
        assert_eq!(found, "T2.fills");
    }
    world.epoch(|builder| builder.push(fill)).unwrap();
}

#[test]
fn t6_a_missing_price_halts_one_row() {
    let mut world = World::new(&[perpetual(1, MARK), perpetual(3, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world.missing.insert(1);
    let fills = [world.fill(A, B, 1, 1, MARK), world.fill(A, B, 3, 1, MARK)];
    let (found, trace) = world
        .epoch(|builder| Ok(fills.map(|fill| code(builder.push(fill)))))
        .unwrap();
    assert_eq!(found, ["T6.halted", "accepted"]);
    let statuses: Vec<_> = trace.rows.iter().map(|row| row.after.status).collect();
    assert_eq!(statuses, [Status::Halted, Status::Active]);
}

/// \[N1\] At M a perpetual settles; its slots vanish as leaves open, and insurance keeps no cash
/// where it has no lots, even in an epoch that skips rounds.
#[test]
fn t6_settled_rows_empty_and_insurance_is_swept() {
    let mut world = World::new(&[perpetual(17, MARK)]);
    world.fund(&[(A, 11_000_000), (B, 100_000_000_000)]);
    let fill = world.fill(A, B, 17, 10, MARK);
    world.epoch(|builder| builder.push(fill)).unwrap();
    world.marks.insert(17, MARK * 7 / 8);
    world.epoch(|_| Ok(())).unwrap();
    assert_eq!(world.state.table.get(17).unwrap().insurance_size, 10);
    // Half a mark a second is a band of 7.5 marks: three rounds reach M.
    while world.state.table.get(17).unwrap().status != Status::Settled {
        let mark = world.state.table.get(17).unwrap().mark;
        world.marks.insert(17, (mark * 2).min(MARK * 64));
        let header = world.state.header;
        let stamp = Stamp {
            round: header.round + 2,
            previous: header.round + 1,
            time: header.time + 15,
            ..Stamp::default()
        };
        let round = world.round_of(stamp);
        let builder = EpochBuilder::begin(&world.state, round, world.plan(vec![])).unwrap();
        world.state = builder.finish().unwrap().0;
        trial_balance::check(&world.state).unwrap();
    }
    let insurance = &world.state.accounts.account(AccountId(1)).unwrap().money;
    assert_eq!(insurance.cash, 0);
    assert!(insurance.slots.iter().all(|slot| slot.is_empty()));
    let row = world.state.table.get(17).unwrap();
    assert_eq!(
        (row.insurance_size, row.open_long, row.open_short),
        (0, 0, 10)
    );
    let withdrawn = world.deposit(B, CASH, 1, false);
    world.epoch(|builder| builder.push(withdrawn)).unwrap();
    assert_eq!(world.state.table.get(17).unwrap().open_short, 0);
    trial_balance::check(&world.state).unwrap();
    super::items::a_dead_rows_items_end(&mut world);
}

#[test]
fn t7_a_listing_waits_in_the_header_and_then_trades() {
    let mut world = world();
    world.state.header.globals.timelock = 20;
    let listed = perpetual(5, MARK);
    let change = Change {
        params: listed.params,
        price: MARK,
    };
    let request = Request::Change(Box::new(change));
    let fault = crate::journal::refusal::Fault::Pending;
    let refused = world.item(request.clone(), Service::Refused(Reason::Terms(fault)));
    world.next_item -= 1;
    let item = world.item(request, Service::Done);
    let fill = world.fill(A, B, 5, 1, MARK);
    let (found, _) = world
        .epoch(|builder| Ok([refused, item].map(|item| code(builder.push(item)))))
        .unwrap();
    assert_eq!(found, ["T7.admissible", "accepted"]);
    assert!(world.state.changes.contains_key(&5));
    world.marks.insert(5, MARK);
    let waits = world
        .epoch(|builder| Ok(code(builder.push(fill.clone()))))
        .unwrap()
        .0;
    assert_eq!(waits, "T7.unlisted");
    // Applied by this tick, which leaves it without a price; the next has one.
    let halted = world
        .epoch(|builder| Ok(code(builder.push(fill.clone()))))
        .unwrap()
        .0;
    assert_eq!(halted, "T6.halted");
    assert!(world.state.changes.is_empty());
    world.epoch(|builder| builder.push(fill)).unwrap();
    trial_balance::check(&world.state).unwrap();
}

/// An account that was never there cannot be touched, and one that is there not be made.
#[test]
fn s3_an_id_is_created_once() {
    let mut world = world();
    let again = world.deposit(A, CASH, 5, true);
    world.next_item -= 1;
    let nobody = world.deposit(7_777, CASH, 5, false);
    let (found, _) = world
        .epoch(|builder| Ok([again, nobody].map(|item| code(builder.push(item)))))
        .unwrap();
    assert_eq!(found, ["S3.occupied", "S2.missing"]);
}

/// \[J3\], \[S6\] A spot deposit grows the bridge's debt and the totals by the same lots.
#[test]
fn s6_lots_come_from_the_bridge() {
    let mut world = world();
    let item = world.deposit(A, InstrumentId(2), 50, false);
    let (_, trace) = world.epoch(|builder| builder.push(item)).unwrap();
    let bridge = world.state.accounts.account(AccountId(130)).unwrap();
    assert_eq!(bridge.money.slots[0].signed_size(), -50);
    let row = world.state.table.get(2).unwrap();
    assert_eq!((row.open_long, row.open_short), (50, 0));
    let touched: Vec<_> = trace.accounts.iter().map(|step| step.id.0).collect();
    assert_eq!(touched, [0, 130, A]);
    trial_balance::check(&world.state).unwrap();
}

/// \[Q4\] No dead zone: at every mark at which an account is between maintenance and zero, one lot
/// of it can be liquidated, for longs and shorts.
#[test]
fn q4_one_lot_can_go_at_every_equity() {
    for (long, short) in [(A, B), (B, A)] {
        let mut world = World::new(&[perpetual(1, MARK)]);
        world.fund(&[(A, 11_000_000), (B, 1_000_000_000), (2_002, 1_000_000_000)]);
        let fill = world.fill(long, short, 1, 10, MARK);
        world.epoch(|builder| builder.push(fill)).unwrap();
        let mut state = world.state.clone();
        let mut tried = 0;
        for step in 0..60u64 {
            let moved = MARK / 100 * step / 4;
            let mark = if long == A {
                MARK - moved
            } else {
                MARK + moved
            };
            world.marks.insert(1, mark);
            state = flagged(&state, A);
            world.state = state.clone();
            let lots = if long == A { 1 } else { -1 };
            let order = world.order(2_002, 1, lots);
            let round = world.round();
            let builder = EpochBuilder::begin(&world.state, round, world.plan(vec![]));
            let mut builder = builder.unwrap();
            let opening = builder.account(AccountId(A)).unwrap().opening;
            if !opening.is_liquidatable || opening.totals.is_bankrupt() {
                continue;
            }
            let terms = builder.liquidation_terms(AccountId(A), InstrumentId(1));
            let (charge, flagged_at) = terms.unwrap().unwrap();
            let entry = crate::journal::liquidation::Liquidation {
                account: AccountId(A),
                order,
                size: 1,
                charge,
                discount: 0,
                flagged_at,
            };
            builder.push(Entry::Liquidation(Box::new(entry))).unwrap();
            builder.finish().unwrap();
            tried += 1;
        }
        assert!(tried > 15, "{tried}");
    }
}

/// The state with an account's flag set in epoch 1.
fn flagged(state: &crate::state::State, id: u32) -> crate::state::State {
    let mut state = state.clone();
    let id = AccountId(id);
    let fresh = || Member {
        account: default_leaf(Default::default(), Default::default(), Default::default()),
        orders: OrderTree::default(),
    };
    let mut member = state.accounts.get(id).cloned().unwrap_or_else(fresh);
    member.account.money.flagged_at = 1;
    state.accounts.set([(id, member)]).unwrap();
    state
}

fn fill_of(long: &Order, short: &Order, size: u64) -> Entry {
    Entry::Fill(Box::new(Fill {
        long: long.clone(),
        short: short.clone(),
        size,
        price: MARK,
        long_fee_per_lot: 0,
        short_fee_per_lot: 0,
    }))
}

/// \[S4\] A resting order fills over several epochs up to its size, is signed for once, and is over
/// after a cancel of its slot or of everything.
#[test]
fn s4_a_resting_order_lives_over_epochs() {
    let mut world = world();
    let resting = world.order(A, 1, 10);
    let taker = |world: &mut World, lots: i64| world.order(B, 1, -lots);
    let first = fill_of(&resting, &taker(&mut world, 4), 4);
    let (_, trace) = world.epoch(|builder| builder.push(first)).unwrap();
    assert_eq!(trace.requests().count(), 2);
    let second = fill_of(&resting, &taker(&mut world, 5), 5);
    let beyond = fill_of(&resting, &taker(&mut world, 2), 2);
    let (found, trace) = world
        .epoch(|builder| Ok([second, beyond].map(|fill| code(builder.push(fill)))))
        .unwrap();
    assert_eq!(found, ["accepted", "L3.filled"]);
    assert_eq!(trace.requests().count(), 1);
    let last = fill_of(&resting, &taker(&mut world, 1), 1);
    let cancel = Entry::CancelAll(CancelAll {
        account: AccountId(A),
        generation: 0,
        nonce: 0,
    });
    let (found, _) = world
        .epoch(|builder| Ok([cancel, last].map(|entry| code(builder.push(entry)))))
        .unwrap();
    assert_eq!(found, ["accepted", "S4.generation"]);
    let replay = Entry::CancelAll(CancelAll {
        account: AccountId(A),
        generation: 1,
        nonce: 0,
    });
    let (found, _) = world
        .epoch(|builder| Ok(code(builder.push(replay))))
        .unwrap();
    assert_eq!(found, "S4.nonce");
}

/// Whose trading key signs.
struct TradingKeyOf(u32);

impl Signatures for TradingKeyOf {
    fn by_trading_key(&self, account: AccountId, _: Digest) -> bool {
        account.0 == self.0
    }

    fn signature(&self, _: AccountId, request: &SignatureRequest) -> Option<Signature> {
        keys::answer(request)
    }
}

/// \[S2\] The trading key signs orders; what leaves the account needs the account's own.
#[test]
fn s2_a_trading_key_signs_orders_alone() {
    let mut world = world();
    let trading = keys::public(77);
    let mut member = world.state.accounts.get(AccountId(A)).cloned().unwrap();
    member.account.rest.keys.trading_key = trading;
    world.state.accounts.set([(AccountId(A), member)]).unwrap();
    let fill = world.fill(A, B, 1, 1, MARK);
    let other = world.fill(B, A, 1, 1, MARK);
    let (by_a, by_b) = (TradingKeyOf(A), TradingKeyOf(B));
    let ((), trace) = world
        .epoch(|builder| {
            builder.submit(fill, &by_a)?;
            // B has none.
            assert_eq!(code(builder.submit(other, &by_b)), "S2.no_key");
            Ok(())
        })
        .unwrap();
    assert!(trace.requests().any(|request| request.key == trading));
}

/// \[T3\] What is not read stays as it is and cannot be touched, until it would be stale.
#[test]
fn t3_unread_rows_wait_and_are_read_in_time() {
    let mut world = World::new(&[perpetual(1, MARK), perpetual(3, MARK), perpetual(4, MARK)]);
    world.fund(&[
        (A, 1_000_000_000),
        (B, 1_000_000_000),
        (2_002, 1_000_000_000),
    ]);
    let fill = world.fill(A, B, 1, 1, MARK);
    world.epoch(|builder| builder.push(fill)).unwrap();
    let read_at = world.state.table.get(1).unwrap().round;
    for _ in 0..=64 {
        let plan = Plan {
            reads: Some(BTreeSet::from([3, 999])),
            ..world.plan(vec![])
        };
        let (by_unread, by_read) = (
            world.fill(A, 2_002, 3, 1, MARK),
            world.fill(2_002, B, 3, 1, MARK),
        );
        let builder = EpochBuilder::begin(&world.state, world.round(), plan);
        let mut builder = builder.unwrap();
        let is_read = builder.market().any(|row| row.row == 1);
        assert_eq!(is_read, world.state.header.round + 1 > read_at + 64);
        assert!(builder.market().all(|row| row.row != 4));
        if !is_read {
            assert_eq!(code(builder.push(by_unread)), "T3.unread");
            assert_eq!(code(builder.push(by_read)), "T3.unread");
        }
        world.state = builder.finish().unwrap().0;
    }
    assert_eq!(world.state.table.get(1).unwrap().round, read_at + 65);
    trial_balance::check(&world.state).unwrap();
}
