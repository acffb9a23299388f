//! Rounds, starts, pauses, backpressure, and what is served meanwhile.

use tally_protocol::account::Owner;
use tally_protocol::oracle::Stamp;
use tally_protocol::queue::{Deposit, Request};
use tally_protocol::terms::CASH;
use tally_protocol::testing::owner_of;
use tally_protocol::trial_balance;
use tally_protocol::types::AccountId;
use tally_sequencer::command::{Command, OrderTerms, TimeInForce};
use tally_sequencer::config::Config;
use tally_sequencer::event::{Event, Phase};
use tally_sequencer::testing::{Rig, STEP, code};

use crate::{MARK, cancels, fills, venue, venue_with};

const RICH: u64 = 1_000 * MARK;

fn two() -> Rig {
    venue(&[(1024, RICH), (1025, RICH)])
}

fn phase(rig: &Rig) -> Phase {
    rig.engine.status().phase
}

#[test]
fn c3_after_a_restart_nothing_matches_until_fresh_rounds_came() {
    let mut rig = two();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    rig.apply(Command::Restarted).result.unwrap();
    assert_eq!(phase(&rig), Phase::Starting { rounds: 3 });
    assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "C3.starting");
    assert_eq!(code(&rig.withdraw(1025, 1)), "");
    // A stale round is not one of them.
    let stamp = Stamp {
        feed_set: 0,
        round: rig.engine.status().round + 1,
        time: rig.engine.status().time + 1,
        previous: rig.engine.status().round,
    };
    let stale = rig.reports(stamp);
    rig.now += 70_000;
    assert_eq!(code(&rig.apply(Command::Round(stale))), "T1.stale");
    for rounds in [2, 1] {
        rig.round().result.unwrap();
        assert_eq!(phase(&rig), Phase::Starting { rounds });
        assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "C3.starting");
    }
    rig.round().result.unwrap();
    assert_eq!(phase(&rig), Phase::Open);
    // What rested before is still there.
    let taken = rig.limit(1025, 0, 1, 5, MARK);
    assert_eq!(fills(&taken.events), [(MARK, 5)]);
}

#[test]
fn t1_rounds_that_do_not_follow_or_nobody_signed_are_refused() {
    let mut rig = two();
    let status = rig.engine.status();
    let stamp = |round, previous, ahead| Stamp {
        feed_set: 0,
        round,
        time: status.time + ahead,
        previous,
    };
    rig.now += STEP;
    let cases = [
        (stamp(status.round, status.round - 1, 10), "T2.round"),
        (stamp(status.round + 1, status.round, 0), "T2.time"),
        (stamp(status.round + 1, status.round, 1_000), "T1.stale"),
    ];
    for (stamp, expected) in cases {
        let reports = rig.reports(stamp);
        assert_eq!(code(&rig.apply(Command::Round(reports))), expected);
    }
    let good = stamp(status.round + 1, status.round, 10);
    let mut few = rig.reports(good);
    few.pop();
    assert_eq!(code(&rig.apply(Command::Round(few))), "T1.count");
    let mut forged = rig.reports(good);
    forged[0].signature = forged[1].signature;
    assert_eq!(code(&rig.apply(Command::Round(forged))), "T1.signature");
    let rounds = rig.reports(good);
    assert_eq!(code(&rig.apply(Command::Round(rounds))), "");
}

/// \[T6\] A jump is believed by the band only, and the row takes no new risk meanwhile; a missing
/// price halts its row and no other.
#[test]
fn t6_a_round_outside_of_the_band_clamps_and_a_missing_price_halts() {
    let mut rig = venue_with(&[(1024, RICH), (1025, RICH)], Config::default());
    rig.missing.insert(1);
    rig.round().result.unwrap();
    assert_eq!(code(&rig.limit(1024, 0, 1, -5, MARK)), "T7.unlisted");
    assert_eq!(code(&rig.limit(1024, 1, 2, -5, MARK)), "");
    rig.missing.clear();
    rig.round().result.unwrap();
    assert_eq!(code(&rig.limit(1024, 0, 1, -5, MARK)), "");
    let taken = rig.limit(1025, 0, 1, 5, MARK);
    assert_eq!(fills(&taken.events), [(MARK, 5)]);
    rig.round().result.unwrap();
}

#[test]
fn t2_a_skipped_round_pauses_fills_while_cancels_and_withdrawals_are_served() {
    let mut rig = two();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    let skipped = rig.engine.status().round + 3;
    let opened = rig.round_after(skipped);
    assert!(
        opened
            .events
            .iter()
            .any(|e| matches!(e, Event::EpochOpened { fills: false, .. }))
    );
    assert_eq!(phase(&rig), Phase::Paused);
    assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "T2.no_matching");
    assert_eq!(code(&rig.limit(1025, 1, 1, 5, MARK - 1)), "");
    assert_eq!(code(&rig.cancel(1024, 0)), "");
    // The skipping epoch has no entries: the withdrawal waits for the next.
    let queued = rig.withdraw(1024, 5);
    assert!(
        queued
            .events
            .iter()
            .any(|e| matches!(e, Event::Queued { .. }))
    );
    let served = rig.round();
    assert!(
        served
            .events
            .iter()
            .any(|e| matches!(e, Event::Served { reject: None, .. }))
    );
    for _ in 0..2 {
        assert_eq!(phase(&rig), Phase::Paused);
        rig.round().result.unwrap();
    }
    rig.round().result.unwrap();
    assert_eq!(phase(&rig), Phase::Open);
}

#[test]
fn b2_behind_its_proofs_it_takes_no_orders_and_serves_the_rest() {
    let config = Config {
        max_unproven: 2,
        ..Config::default()
    };
    let mut rig = Rig::new(&[tally_protocol::testing::perpetual(1, MARK)], config);
    rig.fund(&[(1024, RICH), (1025, RICH)]);
    rig.apply(Command::Proven {
        epoch: rig.engine.status().epoch,
    });
    rig.round().result.unwrap();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    rig.round().result.unwrap();
    rig.round().result.unwrap();
    rig.round().result.unwrap();
    assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "B2.behind");
    assert_eq!(code(&rig.cancel(1024, 0)), "");
    assert_eq!(code(&rig.withdraw(1024, 7)), "");
    rig.apply(Command::Proven {
        epoch: rig.engine.status().epoch - 1,
    });
    assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "");
}

#[test]
fn an_epoch_closes_by_age_and_between_epochs_orders_rest_and_messages_wait() {
    let mut rig = two();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    let closed = rig.pass(60_000);
    assert!(
        closed
            .events
            .iter()
            .any(|e| matches!(e, Event::EpochClosed { .. }))
    );
    assert_eq!(phase(&rig), Phase::Between);
    assert_eq!(code(&rig.limit(1025, 0, 1, 5, MARK)), "T2.no_matching");
    let order = rig.order(1025, 2, 1, 5, MARK - 1);
    let immediate = OrderTerms {
        time_in_force: TimeInForce::ImmediateOrCancel,
        ..OrderTerms::default()
    };
    assert_eq!(code(&rig.submit(order, immediate)), "T2.no_matching");
    assert_eq!(code(&rig.limit(1025, 1, 1, 5, MARK - 1)), "");
    assert_eq!(code(&rig.cancel(1024, 0)), "");
    let queued = rig.withdraw(1024, 5);
    assert!(
        queued
            .events
            .iter()
            .any(|e| matches!(e, Event::Queued { .. }))
    );
    let opened = rig.round();
    assert!(
        opened
            .events
            .iter()
            .any(|e| matches!(e, Event::Served { reject: None, .. }))
    );
    assert!(
        opened
            .events
            .iter()
            .any(|e| matches!(e, Event::Withdrawn { amount: 5, .. }))
    );
}

#[test]
fn an_epoch_closes_by_size() {
    let config = Config {
        max_entries: 4,
        ..Config::default()
    };
    let mut rig = venue_with(&[(1024, RICH), (1025, RICH)], config);
    for slot in 0..4 {
        rig.limit(1024, slot, 1, -1, MARK).result.unwrap();
        rig.limit(1025, slot, 1, 1, MARK).result.unwrap();
    }
    let closed = rig.pass(1);
    assert!(
        closed
            .events
            .iter()
            .any(|e| matches!(e, Event::EpochClosed { fills: 4, .. }))
    );
}

/// \[J4\] An L1 item has its account for the epoch: its orders leave the book and come back.
#[test]
fn j4_an_accounts_orders_come_back_after_its_l1_item() {
    let mut rig = two();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    let deposit = Deposit {
        sender: owner_of(9),
        account: AccountId(1024),
        instrument: CASH,
        amount: 5,
        create: None,
    };
    rig.ask(Request::Deposit(deposit));
    let served = rig.round();
    assert!(
        served
            .events
            .iter()
            .any(|e| matches!(e, Event::Item { outcome: 0, .. }))
    );
    assert_eq!(cancels(&served.events), Vec::<&str>::new());
    assert_eq!(
        rig.engine
            .book(tally_protocol::types::InstrumentId(1), 9)
            .asks,
        []
    );
    assert_eq!(code(&rig.limit(1024, 1, 1, -5, MARK)), "J4.reserved");
    // What came meanwhile takes it when it is back.
    rig.limit(1025, 0, 1, 2, MARK).result.unwrap();
    let back = rig.round();
    assert_eq!(fills(&back.events), [(MARK, 2)]);
    assert_eq!(
        rig.engine
            .book(tally_protocol::types::InstrumentId(1), 9)
            .asks,
        [(MARK, 3)]
    );
    // An item of somebody who is not the owner ends refused, and the queue goes on.
    rig.ask(Request::CancelAll {
        sender: Owner([3; 20]),
        account: AccountId(1024),
    });
    let refused = rig.round();
    let outcome = refused.events.iter().find_map(|event| match event {
        Event::Item { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert!(outcome.is_some_and(|outcome| outcome != 0));
    rig.round().result.unwrap();
    trial_balance::check(rig.closer.state().unwrap()).unwrap();
}

#[test]
fn the_closers_root_is_the_engines() {
    let mut rig = two();
    rig.limit(1024, 0, 1, -5, MARK).result.unwrap();
    rig.limit(1025, 0, 1, 3, MARK).result.unwrap();
    rig.cancel(1024, 0).result.unwrap();
    rig.apply(Command::CloseEpoch).result.unwrap();
    assert_eq!(rig.engine.state_root(), rig.closed.last().unwrap().root);
    let batches: Vec<u64> = rig.closed.iter().map(|closed| closed.batch).collect();
    assert!(batches.is_sorted());
}
