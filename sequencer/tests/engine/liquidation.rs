//! Flags, liquidations through the book, insurance and socialised loss.

use tally_protocol::queue::{Deposit, Request};
use tally_protocol::terms::CASH;
use tally_protocol::testing::owner_of;
use tally_protocol::trial_balance;
use tally_protocol::types::AccountId;
use tally_sequencer::event::Event;
use tally_sequencer::testing::{Rig, code};

use crate::{MARK, cancels, venue};

const RICH: u64 = 1_000 * MARK;

/// Account 1025 is long 100 lots with little margin left; 1024 is short; 1026 has money.
fn stretched() -> Rig {
    let mut rig = venue(&[(1024, RICH), (1025, 12 * MARK), (1026, RICH)]);
    rig.limit(1024, 0, 1, -100, MARK).result.unwrap();
    rig.limit(1025, 0, 1, 100, MARK).result.unwrap();
    rig.limit(1025, 1, 1, 1, MARK - 9).result.unwrap();
    rig
}

fn liquidated(events: &[Event]) -> Vec<(u64, u64, u64)> {
    let of = |event: &Event| match event {
        Event::Liquidated {
            lots,
            price,
            discount,
            ..
        } => Some((*lots, *price, *discount)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn flagged(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::Flagged { .. }))
        .count()
}

/// 100 lots lose 8 a lot in 100: of 12 lots' worth 4 are left, maintenance wants 4.6.
const LOW: u64 = MARK - MARK * 8 / 100;

#[test]
fn q1_to_q4_a_flagged_account_is_sold_to_the_book_within_the_opening_discount() {
    let mut rig = stretched();
    rig.marks.insert(1, LOW);
    let tick = rig.round();
    assert_eq!(flagged(&tick.events), 1);
    assert_eq!(cancels(&tick.events), ["Q2.orders"]);
    assert_eq!(code(&rig.limit(1025, 2, 1, -1, LOW)), "Q2.liquidatable");
    // Nobody takes in the flag's own epoch.
    rig.limit(1026, 0, 1, 10, LOW).result.unwrap();
    rig.limit(1026, 1, 1, 1_000, LOW - LOW / 100)
        .result
        .unwrap();
    // A quarter of the discount is open: the bid at the mark is served there, and what is below
    // the open price is not.
    let tick = rig.round();
    assert_eq!(liquidated(&tick.events), [(10, LOW, 0)]);
    // Anybody's order may take the rest that restores the account, at the open price.
    let taken = rig.limit(1026, 2, 1, 100, LOW);
    let sold = liquidated(&taken.events);
    assert_eq!(sold.len(), 1, "{taken:?}");
    let (lots, price, discount) = sold[0];
    assert_eq!(price, LOW - discount);
    assert!(discount > 0 && lots > 1 && lots < 90, "{sold:?}");
    rig.round().result.unwrap();
    trial_balance::check(rig.closer.state().unwrap()).unwrap();
    // Restored, its flag is gone, and it trades again.
    let running = rig.engine.running(AccountId(1025)).unwrap();
    assert!(!running.opening.is_liquidatable && running.flagged_at == 0);
    assert_eq!(code(&rig.limit(1025, 3, 1, -1, LOW + 9)), "");
}

#[test]
fn q2_a_resting_bid_gets_no_better_than_its_limit_and_no_worse_than_the_mark() {
    let mut rig = stretched();
    rig.marks.insert(1, LOW);
    rig.round().result.unwrap();
    rig.round().result.unwrap();
    rig.round().result.unwrap();
    // After two epochs half of the discount is open, half a percent of the mark.
    rig.limit(1024, 1, 1, 5, LOW - LOW / 1_000 * 20)
        .result
        .unwrap();
    let epoch = rig.limit(1026, 0, 1, 7, LOW + LOW / 100);
    assert_eq!(liquidated(&epoch.events).len(), 1);
}

#[test]
fn q5_q6_a_bankrupt_goes_to_insurance_which_sells_and_whose_loss_winners_share() {
    let mut rig = stretched();
    rig.marks.insert(1, MARK - MARK * 14 / 100);
    let tick = rig.round();
    let absorbed = tick
        .events
        .iter()
        .filter(|e| matches!(e, Event::Absorbed { .. }))
        .count();
    assert_eq!((absorbed, flagged(&tick.events)), (1, 0));
    let shared = tick.events.iter().find_map(|event| match event {
        Event::Socialised { amount, .. } => Some(*amount),
        _ => None,
    });
    assert!(shared.is_some_and(|amount| amount > 0), "{tick:?}");
    assert_eq!(rig.size(1025, 1), 0);
    // The inventory is on offer at the mark while insurance has nothing to give away.
    rig.round().result.unwrap();
    let mark = rig.marks[&1];
    let bought = rig.limit(1026, 0, 1, 40, mark);
    let unwound = bought.events.iter().find_map(|event| match event {
        Event::Unwound { lots, price, .. } => Some((*lots, *price)),
        _ => None,
    });
    assert_eq!(unwound, Some((40, mark)));
    rig.round().result.unwrap();
    trial_balance::check(rig.closer.state().unwrap()).unwrap();
}

/// Insurance is exhausted by a cascade, and every epoch still closes.
#[test]
fn a_cascade_settles_with_insurance_exhausted() {
    let users: Vec<(u32, u64)> = (0..12)
        .map(|n| (1025 + n, (11 + u64::from(n)) * MARK))
        .collect();
    let mut accounts = vec![(1024, 10 * RICH)];
    accounts.extend(&users);
    let mut rig = venue(&accounts);
    for (id, _) in &users {
        rig.limit(1024, 0, 1, -100, MARK).result.unwrap();
        rig.limit(*id, 0, 1, 100, MARK).result.unwrap();
    }
    for fall in [6, 9, 13, 18, 26, 30, 30, 30] {
        rig.marks.insert(1, MARK - MARK * fall / 100);
        rig.round().result.unwrap();
        let bid = rig.marks[&1] - MARK / 100;
        rig.limit(1024, 1, 1, 150, bid);
    }
    rig.round().result.unwrap();
    let absorbed = rig
        .events
        .iter()
        .filter(|e| matches!(e, Event::Absorbed { .. }))
        .count();
    assert!(
        absorbed > 3 && !liquidated(&rig.events).is_empty(),
        "{absorbed}"
    );
    trial_balance::check(rig.closer.state().unwrap()).unwrap();
}

/// \[J4\] An item an epoch has the account for itself, every other epoch.
#[test]
fn q1_l1_items_do_not_keep_a_liquidation_away() {
    let mut rig = stretched();
    rig.marks.insert(1, LOW);
    for _ in 0..12 {
        rig.ask(Request::Deposit(Deposit {
            sender: owner_of(9),
            account: AccountId(1025),
            instrument: CASH,
            amount: 1,
            create: None,
        }));
        rig.round().result.unwrap();
        rig.limit(1026, 0, 1, 100, LOW);
    }
    assert_eq!(flagged(&rig.events), 1);
    assert!(!liquidated(&rig.events).is_empty());
    rig.round().result.unwrap();
    let items = rig
        .events
        .iter()
        .filter(|e| matches!(e, Event::Item { .. }))
        .count();
    assert!(items > 8, "{items}");
}
