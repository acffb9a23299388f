//! An instrument's book: price, then time. It knows prices, lots and ranks; what an order is and
//! whether it may fill is the engine's to say.

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::types::Side;

use crate::event::OrderId;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub side: Side,
    /// Micro-quote per lot.
    pub price: u64,
    /// Rises with arrival: the lower, the earlier it fills at its price.
    pub rank: u64,
}

#[derive(Clone, Debug, Default)]
struct Level {
    /// Of all its orders.
    lots: u64,
    queue: BTreeMap<u64, (OrderId, u64)>,
}

/// What is offered, by side.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: BTreeMap<u64, Level>,
    asks: BTreeMap<u64, Level>,
    /// Levels that changed since `drain_changes`.
    changed: BTreeSet<(Side, u64)>,
}

impl Book {
    /// The order that fills first on a side.
    pub fn first(&self, side: Side) -> Option<(Spot, OrderId)> {
        let (price, level) = match side {
            Side::Long => self.bids.last_key_value()?,
            Side::Short => self.asks.first_key_value()?,
        };
        let (rank, (order, _)) = level.queue.first_key_value()?;
        let (price, rank) = (*price, *rank);
        Some((Spot { side, price, rank }, *order))
    }

    pub fn best(&self, side: Side) -> Option<u64> {
        self.first(side).map(|(spot, _)| spot.price)
    }

    /// A side's orders in the order in which they fill.
    pub fn orders(&self, side: Side) -> Box<dyn Iterator<Item = (Spot, OrderId, u64)> + '_> {
        let of = move |(price, level): (&u64, &'_ Level)| {
            let price = *price;
            let queue: Vec<_> = level
                .queue
                .iter()
                .map(|(rank, held)| (*rank, *held))
                .collect();
            queue
                .into_iter()
                .map(move |(rank, (order, lots))| (Spot { side, price, rank }, order, lots))
        };
        match side {
            Side::Long => Box::new(self.bids.iter().rev().flat_map(of)),
            Side::Short => Box::new(self.asks.iter().flat_map(of)),
        }
    }

    /// Price and lots, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        let of = |(price, level): (&u64, &Level)| (*price, level.lots);
        match side {
            Side::Long => Box::new(self.bids.iter().rev().map(of)),
            Side::Short => Box::new(self.asks.iter().map(of)),
        }
    }

    pub fn insert(&mut self, spot: Spot, order: OrderId, lots: u64) {
        let level = self.side(spot.side).entry(spot.price).or_default();
        level.lots = level.lots.saturating_add(lots);
        level.queue.insert(spot.rank, (order, lots));
        self.changed.insert((spot.side, spot.price));
    }

    /// Leaves an order with so many lots; with none it is gone.
    pub fn set(&mut self, spot: Spot, left: u64) {
        let levels = self.side(spot.side);
        let Some(level) = levels.get_mut(&spot.price) else {
            return;
        };
        let Some((_, lots)) = level.queue.get_mut(&spot.rank) else {
            return;
        };
        level.lots = level.lots.saturating_sub(*lots).saturating_add(left);
        *lots = left;
        if left == 0 {
            level.queue.remove(&spot.rank);
        }
        if level.queue.is_empty() {
            levels.remove(&spot.price);
        }
        self.changed.insert((spot.side, spot.price));
    }

    /// Another order in the same place.
    pub fn rename(&mut self, spot: Spot, order: OrderId, lots: u64) {
        let level = self.side(spot.side).get_mut(&spot.price);
        if let Some((held, _)) = level.and_then(|level| level.queue.get_mut(&spot.rank)) {
            *held = order;
        }
        self.set(spot, lots);
    }

    /// Lots of the levels that changed since the last call, by side and price.
    pub fn drain_changes(&mut self) -> Vec<(Side, u64, u64)> {
        let changed = core::mem::take(&mut self.changed);
        let lots = |(side, price): (Side, u64)| {
            let level = self.side(side).get(&price);
            (side, price, level.map_or(0, |level| level.lots))
        };
        changed.into_iter().map(lots).collect()
    }

    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<u64, Level> {
        match side {
            Side::Long => &mut self.bids,
            Side::Short => &mut self.asks,
        }
    }
}

/// Whether an order of this side and limit takes a price.
pub fn accepts(side: Side, limit: u64, price: u64) -> bool {
    match side {
        Side::Long => price <= limit,
        Side::Short => price >= limit,
    }
}

/// \[J2\] What a resting order fills at: its limit, moved into the band where that is better for
/// it; none where the band has no price that it takes.
pub fn fill_price(side: Side, limit: u64, (min, max): (u64, u64)) -> Option<u64> {
    let price = limit.max(min).min(max);
    accepts(side, limit, price).then_some(price)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(side: Side, price: u64, rank: u64) -> Spot {
        Spot { side, price, rank }
    }

    #[test]
    fn price_then_time_on_both_sides() {
        let mut book = Book::default();
        for (rank, price) in [(1, 12), (2, 10), (3, 10), (4, 15)] {
            book.insert(spot(Side::Short, price, rank), OrderId(rank), 5);
            book.insert(spot(Side::Long, price, rank), OrderId(rank), 5);
        }
        let ids = |side| {
            book.orders(side)
                .map(|(_, order, _)| order.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(Side::Short), [2, 3, 1, 4]);
        assert_eq!(ids(Side::Long), [4, 1, 2, 3]);
        assert_eq!(
            book.levels(Side::Short).collect::<Vec<_>>(),
            [(10, 10), (12, 5), (15, 5)]
        );
        assert_eq!(book.best(Side::Long), Some(15));
    }

    #[test]
    fn levels_follow_their_orders() {
        let mut book = Book::default();
        let first = spot(Side::Long, 9, 1);
        book.insert(first, OrderId(1), 5);
        book.insert(spot(Side::Long, 9, 2), OrderId(2), 4);
        assert_eq!(book.drain_changes(), [(Side::Long, 9, 9)]);
        book.set(first, 2);
        book.rename(first, OrderId(7), 1);
        assert_eq!(book.first(Side::Long), Some((first, OrderId(7))));
        assert_eq!(book.drain_changes(), [(Side::Long, 9, 5)]);
        book.set(first, 0);
        book.set(spot(Side::Long, 9, 2), 0);
        assert_eq!(book.drain_changes(), [(Side::Long, 9, 0)]);
        assert_eq!(book.best(Side::Long), None);
    }

    #[test]
    fn j2_a_stale_limit_fills_at_the_bands_edge_or_not_at_all() {
        let band = (96, 104);
        assert_eq!(fill_price(Side::Short, 90, band), Some(96));
        assert_eq!(fill_price(Side::Short, 100, band), Some(100));
        assert_eq!(fill_price(Side::Short, 105, band), None);
        assert_eq!(fill_price(Side::Long, 110, band), Some(104));
        assert_eq!(fill_price(Side::Long, 95, band), None);
    }
}
