//! The book against a naive one: a list that is searched for the best price, then the earliest.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tally_protocol::types::{InstrumentId, Side};
use tally_sequencer::command::{OrderTerms, SelfTrade, TimeInForce};
use tally_sequencer::event::{Event, OrderId};
use tally_sequencer::testing::{Rig, code};

use crate::{MARK, venue};

const ACCOUNTS: u32 = 5;
const SLOTS: u8 = 4;

#[derive(Clone, Debug)]
struct Held {
    account: u32,
    slot: u8,
    side: Side,
    price: u64,
    open: u64,
    rank: u64,
}

#[derive(Debug, Default)]
struct Naive {
    held: Vec<Held>,
    rank: u64,
}

/// A fill: maker, its slot, price, lots.
type Filled = (u32, u8, u64, u64);

impl Naive {
    /// Index of the order that an incoming one meets first.
    fn best(&self, side: Side, limit: u64) -> Option<usize> {
        let crosses = |held: &Held| match side {
            Side::Long => held.side == Side::Short && held.price <= limit,
            Side::Short => held.side == Side::Long && held.price >= limit,
        };
        let worth = |held: &Held| match side {
            Side::Long => (held.price, held.rank),
            Side::Short => (u64::MAX - held.price, held.rank),
        };
        let places = (0..self.held.len()).filter(|place| crosses(&self.held[*place]));
        places.min_by_key(|place| worth(&self.held[*place]))
    }

    /// Lots of others that the limit reaches.
    fn reachable(&self, incoming: &Held) -> u64 {
        let reached = self.held.iter().filter(|held| {
            let crosses = match incoming.side {
                Side::Long => held.side == Side::Short && held.price <= incoming.price,
                Side::Short => held.side == Side::Long && held.price >= incoming.price,
            };
            crosses && held.account != incoming.account
        });
        reached.map(|held| held.open).sum()
    }

    /// The refusal, or the fills.
    fn submit(&mut self, mut new: Held, terms: &OrderTerms) -> Result<Vec<Filled>, &'static str> {
        if terms.post_only && self.best(new.side, new.price).is_some() {
            return Err("O5.post_only");
        }
        let kill = terms.time_in_force == TimeInForce::FillOrKill;
        if kill && self.reachable(&new) < new.open {
            return Err("O6.fill_or_kill");
        }
        self.cancel(new.account, new.slot);
        self.rank += 1;
        new.rank = self.rank;
        let (mut fills, mut stopped) = (Vec::new(), false);
        let mut passed: Vec<Held> = Vec::new();
        while new.open > 0 && !stopped {
            let Some(place) = self.best(new.side, new.price) else {
                break;
            };
            if self.held[place].account == new.account {
                let own = self.held.remove(place);
                match terms.self_trade {
                    // Fill or kill passes its owner's orders over.
                    _ if kill => passed.push(own),
                    SelfTrade::CancelNewest => {
                        self.held.push(own);
                        stopped = true;
                    }
                    SelfTrade::CancelOldest => {}
                    SelfTrade::CancelBoth => stopped = true,
                }
                continue;
            }
            let maker = &mut self.held[place];
            let lots = maker.open.min(new.open);
            (maker.open, new.open) = (maker.open - lots, new.open - lots);
            fills.push((maker.account, maker.slot, maker.price, lots));
            self.held.retain(|held| held.open > 0);
        }
        self.held.extend(passed);
        if new.open > 0 && !stopped && terms.time_in_force == TimeInForce::GoodTillTime {
            self.held.push(new);
        }
        Ok(fills)
    }

    fn cancel(&mut self, account: u32, slot: u8) -> bool {
        let before = self.held.len();
        self.held
            .retain(|held| (held.account, held.slot) != (account, slot));
        self.held.len() < before
    }

    fn levels(&self, side: Side) -> Vec<(u64, u64)> {
        let mut levels = std::collections::BTreeMap::new();
        for held in self.held.iter().filter(|held| held.side == side) {
            *levels.entry(held.price).or_insert(0) += held.open;
        }
        match side {
            Side::Long => levels.into_iter().rev().collect(),
            Side::Short => levels.into_iter().collect(),
        }
    }
}

/// Names of the engine's orders.
type Names = std::collections::BTreeMap<OrderId, (u32, u8)>;

fn fills(names: &mut Names, events: &[Event], new: (u32, u8)) -> Vec<Filled> {
    let mut found = Vec::new();
    for event in events {
        match event {
            Event::Accepted { order, .. } => {
                names.insert(order.order, new);
            }
            Event::Fill {
                price,
                lots,
                maker,
                taker,
                ..
            } => {
                assert_ne!(maker.order.account, taker.order.account);
                let (account, slot) = names[&maker.order.order];
                found.push((account, slot, *price, *lots));
            }
            _ => {}
        }
    }
    found
}

fn terms(rng: &mut ChaCha8Rng) -> OrderTerms {
    let time_in_force = match rng.gen_range(0..6) {
        0 => TimeInForce::FillOrKill,
        1 => TimeInForce::ImmediateOrCancel,
        _ => TimeInForce::GoodTillTime,
    };
    let self_trade = match rng.gen_range(0..3) {
        0 => SelfTrade::CancelNewest,
        1 => SelfTrade::CancelOldest,
        _ => SelfTrade::CancelBoth,
    };
    OrderTerms {
        time_in_force,
        self_trade,
        post_only: time_in_force == TimeInForce::GoodTillTime && rng.gen_ratio(1, 6),
        ..OrderTerms::default()
    }
}

fn compare(rig: &Rig, naive: &Naive, at: &str) {
    let book = rig.engine.book(InstrumentId(1), usize::MAX);
    assert_eq!(book.bids, naive.levels(Side::Long), "{at}");
    assert_eq!(book.asks, naive.levels(Side::Short), "{at}");
}

#[test]
fn the_book_matches_as_a_naive_one_does() {
    for seed in 0..4 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let users: Vec<(u32, u64)> = (0..ACCOUNTS).map(|n| (1024 + n, 100_000 * MARK)).collect();
        let mut rig = venue(&users);
        let (mut naive, mut names) = (Naive::default(), Names::new());
        for step in 0..500 {
            let at = format!("seed {seed}, step {step}");
            let (account, slot) = (1024 + rng.gen_range(0..ACCOUNTS), rng.gen_range(0..SLOTS));
            if rng.gen_ratio(1, 5) {
                let done = rig.cancel(account, slot);
                assert_eq!(done.result.is_ok(), naive.cancel(account, slot), "{at}");
                compare(&rig, &naive, &at);
                continue;
            }
            let lots = rng.gen_range(1..20i64) * if rng.r#gen() { 1 } else { -1 };
            let price = MARK - 10 + rng.gen_range(0..20);
            let terms = terms(&mut rng);
            let order = rig.order(account, slot, 1, lots, price);
            let new = Held {
                account,
                slot,
                side: order.side,
                price,
                open: order.size,
                rank: 0,
            };
            let done = rig.submit(order, terms);
            match naive.submit(new, &terms) {
                Ok(expected) => {
                    assert_eq!(code(&done), "", "{at}");
                    let found = fills(&mut names, &done.events, (account, slot));
                    assert_eq!(found, expected, "{at}");
                }
                Err(expected) => assert_eq!(code(&done), expected, "{at}"),
            }
            compare(&rig, &naive, &at);
        }
        rig.round().result.unwrap();
    }
}
