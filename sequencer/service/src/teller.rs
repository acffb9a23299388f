//! Tells the channels what became durable, and keeps the books and last trades that it has told, so
//! that a snapshot and a channel's number belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tally_api::answer::{BookAnswer, LevelBody};
use tally_protocol::types::{AccountId, Side};
use tally_sequencer::event::Event;

use crate::hub::{Channel, Hub};
use crate::writer::Told;

/// What everybody may know of the instruments.
#[derive(Debug)]
pub struct Market {
    hub: Arc<Hub>,
    quotes: Mutex<Quotes>,
}

#[derive(Debug, Default)]
struct Quotes {
    position: u64,
    books: BTreeMap<u32, Levels>,
    last: BTreeMap<u32, LastTrade>,
}

#[derive(Debug, Default)]
struct Levels {
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
}

/// The last trade of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastTrade {
    pub trade: u64,
    /// Micro-quote per lot.
    pub price: u64,
    pub lots: u64,
    pub time_ms: u64,
}

#[derive(Serialize)]
struct Change {
    side: Side,
    price: u64,
    /// 0 where the level is gone.
    lots: u64,
}

#[derive(Serialize)]
struct BookChange {
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ticker {
    pub best_bid: Option<LevelBody>,
    pub best_ask: Option<LevelBody>,
    pub last: Option<LastTrade>,
}

/// A trade as everybody hears of it: without the two accounts' fees and what is left of their
/// orders.
#[derive(Serialize)]
struct Trade<'a> {
    kind: &'static str,
    trade: u64,
    price: u64,
    lots: u64,
    taker_side: &'a Side,
    time_ms: u64,
}

#[derive(Serialize)]
struct Timed<'a> {
    time_ms: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Market {
    pub fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            quotes: Mutex::default(),
        }
    }

    /// A panic elsewhere leaves numbers only; a level may then be stale until it changes.
    fn lock(&self) -> MutexGuard<'_, Quotes> {
        self.quotes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A book after a start, before anything is told.
    pub fn set_book(&self, instrument: u32, bids: &[(u64, u64)], asks: &[(u64, u64)]) {
        let levels = Levels {
            bids: bids.iter().copied().collect(),
            asks: asks.iter().copied().collect(),
        };
        self.lock().books.insert(instrument, levels);
    }

    pub fn set_position(&self, position: u64) {
        self.lock().position = position;
    }

    /// The best levels, and where the book's channel stands with them.
    pub fn book(&self, instrument: u32, depth: usize) -> BookAnswer {
        let quotes = self.lock();
        let body = |(price, lots): (&u64, &u64)| LevelBody {
            price: *price,
            lots: *lots,
        };
        let levels = quotes.books.get(&instrument);
        let bids = levels.map(|it| it.bids.iter().rev().take(depth).map(body).collect());
        let asks = levels.map(|it| it.asks.iter().take(depth).map(body).collect());
        BookAnswer {
            instrument,
            session: self.hub.session,
            sequence: self.hub.sequence(Channel::Book(instrument)),
            position: quotes.position,
            bids: bids.unwrap_or_default(),
            asks: asks.unwrap_or_default(),
        }
    }

    pub fn ticker(&self, instrument: u32) -> Ticker {
        self.lock().ticker(instrument)
    }

    /// Tells groups as they become durable, until the writer is gone.
    pub fn run(&self, groups: &Receiver<Vec<Told>>) {
        while let Ok(group) = groups.recv() {
            for told in group {
                self.tell(&told);
            }
        }
    }

    pub fn tell(&self, told: &Told) {
        let Told {
            position,
            time_ms,
            events,
        } = told;
        let mut quotes = self.lock();
        let mut changes: BTreeMap<u32, Vec<Change>> = BTreeMap::new();
        let mut moved = BTreeSet::new();
        for event in events.iter() {
            if let Event::Level {
                instrument,
                side,
                price,
                lots,
            } = event
            {
                let book = quotes.books.entry(instrument.0).or_default();
                book.set(*side, *price, *lots);
                let (side, price, lots) = (*side, *price, *lots);
                let change = Change { side, price, lots };
                changes.entry(instrument.0).or_default().push(change);
                moved.insert(instrument.0);
                continue;
            }
            if let Some((instrument, trade)) = trade(event, *time_ms) {
                let last = LastTrade {
                    trade: trade.trade,
                    price: trade.price,
                    lots: trade.lots,
                    time_ms: *time_ms,
                };
                quotes.last.insert(instrument, last);
                moved.insert(instrument);
                self.hub
                    .tell(Channel::Trades(instrument), *position, &trade);
            }
            let time_ms = *time_ms;
            let timed = Timed { time_ms, event };
            if is_of_epochs(event) {
                self.hub.tell(Channel::Epochs, *position, &timed);
            }
            for account in accounts_of(event) {
                self.hub
                    .tell(Channel::Account(account.0), *position, &timed);
            }
        }
        for (instrument, changes) in changes {
            let data = BookChange { changes };
            self.hub.tell(Channel::Book(instrument), *position, &data);
        }
        for instrument in moved {
            let ticker = quotes.ticker(instrument);
            self.hub
                .tell(Channel::Ticker(instrument), *position, &ticker);
        }
        quotes.position = *position;
    }
}

impl Quotes {
    fn ticker(&self, instrument: u32) -> Ticker {
        let level = |(price, lots): (&u64, &u64)| LevelBody {
            price: *price,
            lots: *lots,
        };
        let book = self.books.get(&instrument);
        Ticker {
            best_bid: book.and_then(|book| book.bids.last_key_value().map(level)),
            best_ask: book.and_then(|book| book.asks.first_key_value().map(level)),
            last: self.last.get(&instrument).copied(),
        }
    }
}

impl Levels {
    fn set(&mut self, side: Side, price: u64, lots: u64) {
        let levels = match side {
            Side::Long => &mut self.bids,
            Side::Short => &mut self.asks,
        };
        match lots {
            0 => levels.remove(&price),
            lots => levels.insert(price, lots),
        };
    }
}

fn trade(event: &Event, time_ms: u64) -> Option<(u32, Trade<'_>)> {
    let (kind, instrument, trade, price, lots, taker_side) = match event {
        Event::Fill {
            trade,
            instrument,
            price,
            lots,
            taker_side,
            ..
        } => ("fill", instrument, trade, price, lots, taker_side),
        Event::Liquidated {
            trade,
            instrument,
            side,
            lots,
            price,
            ..
        } => ("liquidation", instrument, trade, price, lots, side),
        Event::Unwound {
            trade,
            instrument,
            side,
            lots,
            price,
            ..
        } => ("unwind", instrument, trade, price, lots, side),
        _ => return None,
    };
    let told = Trade {
        kind,
        trade: *trade,
        price: *price,
        lots: *lots,
        taker_side,
        time_ms,
    };
    Some((instrument.0, told))
}

fn is_of_epochs(event: &Event) -> bool {
    matches!(
        event,
        Event::EpochOpened { .. }
            | Event::EpochClosed { .. }
            | Event::Socialised { .. }
            | Event::Phase { .. }
    )
}

/// Whose channel hears of it.
fn accounts_of(event: &Event) -> Vec<AccountId> {
    match event {
        Event::Accepted { order, .. }
        | Event::Resting { order, .. }
        | Event::Waiting { order, .. }
        | Event::Triggered { order, .. }
        | Event::Reduced { order, .. }
        | Event::Cancelled { order, .. } => vec![order.account],
        Event::Fill { maker, taker, .. } => {
            let (maker, taker) = (maker.order.account, taker.order.account);
            match maker == taker {
                true => vec![maker],
                false => vec![maker, taker],
            }
        }
        Event::Liquidated { account, taker, .. } => vec![*account, taker.order.account],
        Event::Unwound { taker, .. } => vec![taker.order.account],
        Event::Transferred { from, to, .. } => vec![*from, *to],
        Event::CancelledAll { account }
        | Event::DeadMan { account, .. }
        | Event::Flagged { account }
        | Event::Absorbed { account }
        | Event::Withdrawn { account, .. }
        | Event::KeysChanged { account } => vec![*account],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_protocol::types::InstrumentId;

    fn level(side: Side, price: u64, lots: u64) -> Event {
        Event::Level {
            instrument: InstrumentId(5),
            side,
            price,
            lots,
        }
    }

    #[test]
    fn a_snapshot_goes_with_its_channels_number() {
        let hub = Arc::new(Hub::new(9, 10));
        let market = Market::new(hub.clone());
        market.set_book(5, &[(100, 3)], &[(110, 4)]);
        let events: Arc<[Event]> = [
            level(Side::Long, 101, 7),
            level(Side::Long, 100, 0),
            level(Side::Short, 109, 1),
        ]
        .into();
        market.tell(&Told {
            position: 12,
            time_ms: 5,
            events,
        });
        let book = market.book(5, 10);
        let levels = |levels: &[LevelBody]| -> Vec<(u64, u64)> {
            levels.iter().map(|it| (it.price, it.lots)).collect()
        };
        assert_eq!((book.sequence, book.position, book.session), (1, 12, 9));
        assert_eq!(levels(&book.bids), [(101, 7)]);
        assert_eq!(levels(&book.asks), [(109, 1), (110, 4)]);
        assert_eq!(market.book(5, 1).asks.len(), 1);
        assert_eq!(market.ticker(5).best_ask.unwrap().price, 109);
        assert_eq!(hub.sequence(Channel::Ticker(5)), 1);
        assert_eq!(market.book(6, 1).sequence, 0);
    }
}
