//! Random traffic, valid and hostile.

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::trial_balance;
use tally_protocol::types::{InstrumentId, Side};
use tally_sequencer::engine::Whereabouts;
use tally_sequencer::event::{Event, Phase};
use tally_sequencer::testing::Rig;
use tally_sequencer::testing::traffic::Traffic;

fn run(seed: u64, steps: usize) -> Rig {
    let mut traffic = Traffic::new(seed);
    let mut mirror = Mirror::new();
    let mut seen = 0;
    for _ in 0..steps {
        traffic.step();
        check_books(&traffic.rig);
        check_flags(&traffic.rig);
        follow(&mut mirror, &traffic.rig.events[seen..]);
        seen = traffic.rig.events.len();
        check_mirror(&mirror, &traffic.rig);
    }
    traffic.rig.round().result.unwrap();
    traffic.rig
}

/// Levels as the events tell them.
type Mirror = BTreeMap<(InstrumentId, Side, u64), u64>;

fn follow(mirror: &mut Mirror, events: &[Event]) {
    for event in events {
        if let Event::Level {
            instrument,
            side,
            price,
            lots,
        } = event
        {
            match lots {
                0 => mirror.remove(&(*instrument, *side, *price)),
                lots => mirror.insert((*instrument, *side, *price), *lots),
            };
        }
    }
}

/// Who only follows the events has the books.
fn check_mirror(mirror: &Mirror, rig: &Rig) {
    let mut books = Mirror::new();
    for instrument in [1, 2, 3].map(InstrumentId) {
        let book = rig.engine.book(instrument, usize::MAX);
        for (side, levels) in [(Side::Long, book.bids), (Side::Short, book.asks)] {
            books.extend(
                levels
                    .into_iter()
                    .map(|(price, lots)| ((instrument, side, price), lots)),
            );
        }
    }
    assert_eq!(*mirror, books);
}

/// [L5], [Q1] Whoever a scan finds liquidatable carries a flag, and keeps no orders.
fn check_flags(rig: &Rig) {
    if rig.engine.status().phase != Phase::Open {
        return;
    }
    for id in rig.engine.account_ids() {
        let running = rig.engine.running(id).unwrap();
        // An account that an L1 item or an absorption has is flagged in the next epoch.
        if running.opening.is_liquidatable && !running.done.sole {
            assert!(running.flagged_at != 0, "{id:?}");
            let growing = rig
                .engine
                .open_orders(id)
                .filter(|live| !live.order.reduce_only);
            assert_eq!(
                growing
                    .filter(|live| live.at == Whereabouts::Resting)
                    .count(),
                0
            );
        }
    }
}

/// Never crossed where the row is open, and levels are the sums of their orders.
fn check_books(rig: &Rig) {
    for instrument in [1, 2, 3].map(InstrumentId) {
        let book = rig.engine.book(instrument, usize::MAX);
        if let (Some((bid, _)), Some((ask, _))) = (book.bids.first(), book.asks.first()) {
            assert!(bid < ask, "{instrument:?}: {bid} crosses {ask}");
        }
        let Some(raw) = rig.engine.raw_book(instrument) else {
            continue;
        };
        for (side, levels) in [(Side::Long, &book.bids), (Side::Short, &book.asks)] {
            let lots: u64 = levels.iter().map(|(_, lots)| lots).sum();
            let orders = raw.orders(side).map(|(spot, id, lots)| {
                let live = rig.engine.order(id).expect("an order in the book is live");
                assert_eq!((live.open, live.spot()), (lots, spot));
                lots
            });
            assert_eq!(lots, orders.sum::<u64>());
        }
    }
}

#[test]
fn s8_random_traffic_always_closes_and_balances() {
    for seed in 0..6 {
        let rig = run(seed, 400);
        let state = rig.closer.state().unwrap();
        trial_balance::check(state).unwrap();
        assert_eq!(rig.engine.state_root(), state.root());
        let fills: usize = rig.closed.iter().map(|c| c.trace.entries.len()).sum();
        assert!(
            fills > 50 && rig.closed.len() > 10,
            "{fills} {}",
            rig.closed.len()
        );
    }
}

#[test]
fn the_same_log_gives_the_same_events_books_and_root() {
    let rig = run(77, 500);
    let (engine, closer, events) = rig.replayed();
    assert_eq!(events, rig.events);
    assert_eq!(engine.status(), rig.engine.status());
    assert_eq!(
        closer.state().unwrap().root(),
        rig.closer.state().unwrap().root()
    );
    assert_eq!(engine.state_root(), closer.state().unwrap().root());
    for instrument in [1, 2, 3].map(InstrumentId) {
        let (a, b) = (engine.book(instrument, 99), rig.engine.book(instrument, 99));
        assert_eq!(a, b);
    }
}

/// What the traffic reaches, so that the other tests are about something.
#[test]
fn random_traffic_reaches_most_kinds_of_events() {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut refused: BTreeSet<&'static str> = BTreeSet::new();
    for seed in 100..106 {
        let rig = run(seed, 400);
        let name = |event: &Event| format!("{event:?}").split(' ').next().unwrap().to_owned();
        found.extend(rig.events.iter().map(name));
        refused.extend(rig.codes.iter().copied());
    }
    for name in [
        "Fill",
        "Liquidated",
        "Unwound",
        "Absorbed",
        "Flagged",
        "Socialised",
        "Triggered",
        "Waiting",
        "Served",
        "Queued",
        "Item",
        "Withdrawn",
        "Transferred",
        "CancelledAll",
        "EpochClosed",
        "Phase",
        "DeadMan",
    ] {
        assert!(found.contains(name), "{name} is missing: {found:?}");
    }
    for code in [
        "L4.margin",
        "S4.old",
        "S2.key",
        "O5.post_only",
        "O6.fill_or_kill",
        "C1.order",
        "J2.expired",
        "S4.generation",
        "T1.reporter_twice",
        "S2.account",
        "N3.size",
    ] {
        assert!(refused.contains(code), "{code} is missing: {refused:?}");
    }
}
