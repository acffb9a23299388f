//! A simple matcher: price, then time. It decides who trades with whom; whether a fill may be is
//! asked of its caller, who keeps the running accounts.

use std::collections::BTreeMap;

use tally_protocol::types::Side;

/// An order in the book. `T` is what the caller needs to settle its fills.
#[derive(Clone, Debug)]
pub struct Resting<T> {
    pub side: Side,
    /// Worst price the order takes, micro-quote per lot.
    pub limit: u64,
    /// Lots not yet filled.
    pub open: u64,
    /// Seconds; the order is gone after it.
    pub expiry: u64,
    pub order: T,
}

/// What the caller says to a proposed fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Filled so many lots, at least one.
    Filled(u64),
    /// The resting order cannot be filled now: it leaves the book.
    RestingRefused,
    /// The incoming order can take no more.
    IncomingRefused,
}

/// Asked of each proposed fill: resting order, incoming order, price, lots.
pub type Settle<'a, T> = dyn FnMut(&Resting<T>, &Resting<T>, u64, u64) -> Verdict + 'a;

/// Rank of an order on its side: better price first, then time.
type Rank = (u64, u64);

#[derive(Debug)]
pub struct Book<T> {
    bids: BTreeMap<Rank, Resting<T>>,
    asks: BTreeMap<Rank, Resting<T>>,
    arrivals: u64,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self {
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            arrivals: 0,
        }
    }
}

impl<T> Book<T> {
    /// Matches `incoming` against the other side at the resting orders' prices, as far as those are
    /// within `band`. Returns what is left of it; the caller lets it rest or drops it.
    pub fn take(
        &mut self,
        mut incoming: Resting<T>,
        band: core::ops::RangeInclusive<u64>,
        settle: &mut Settle<T>,
    ) -> Resting<T> {
        let side = match incoming.side {
            Side::Long => &mut self.asks,
            Side::Short => &mut self.bids,
        };
        let ranks: Vec<Rank> = side.keys().copied().collect();
        for rank in ranks {
            let Some(resting) = side.get_mut(&rank) else {
                continue;
            };
            if !crosses(&incoming, resting.limit) || incoming.open == 0 {
                break;
            }
            if !band.contains(&resting.limit) {
                continue;
            }
            let lots = incoming.open.min(resting.open);
            match settle(resting, &incoming, resting.limit, lots) {
                Verdict::Filled(lots) => {
                    incoming.open = incoming.open.saturating_sub(lots);
                    resting.open = resting.open.saturating_sub(lots);
                    if resting.open == 0 {
                        side.remove(&rank);
                    }
                }
                Verdict::RestingRefused => {
                    side.remove(&rank);
                }
                Verdict::IncomingRefused => break,
            }
        }
        incoming
    }

    pub fn rest(&mut self, order: Resting<T>) {
        self.arrivals += 1;
        let time = self.arrivals;
        match order.side {
            Side::Long => self.bids.insert((u64::MAX - order.limit, time), order),
            Side::Short => self.asks.insert((order.limit, time), order),
        };
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&Resting<T>) -> bool) {
        self.bids.retain(|_, order| keep(order));
        self.asks.retain(|_, order| keep(order));
    }
}

fn crosses<T>(incoming: &Resting<T>, price: u64) -> bool {
    match incoming.side {
        Side::Long => price <= incoming.limit,
        Side::Short => price >= incoming.limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(side: Side, limit: u64, open: u64, name: char) -> Resting<char> {
        Resting {
            side,
            limit,
            open,
            expiry: 0,
            order: name,
        }
    }

    fn book() -> Book<char> {
        let mut book = Book::default();
        for (limit, open, name) in [(12, 5, 'a'), (10, 5, 'b'), (10, 5, 'c'), (15, 9, 'd')] {
            book.rest(order(Side::Short, limit, open, name));
        }
        book
    }

    fn fills(
        book: &mut Book<char>,
        incoming: Resting<char>,
        band: core::ops::RangeInclusive<u64>,
        refused: &[(char, Verdict)],
    ) -> (Vec<(char, u64, u64)>, u64) {
        let mut found = Vec::new();
        let left = book.take(incoming, band, &mut |resting, _, price, lots| {
            let verdict = refused.iter().find(|(name, _)| *name == resting.order);
            if let Some((_, verdict)) = verdict {
                return *verdict;
            }
            found.push((resting.order, price, lots));
            Verdict::Filled(lots)
        });
        (found, left.open)
    }

    #[test]
    fn best_price_then_time_within_the_limit() {
        let mut book = book();
        let (found, left) = fills(&mut book, order(Side::Long, 12, 20, 'x'), 0..=99, &[]);
        assert_eq!(
            (found, left),
            (vec![('b', 10, 5), ('c', 10, 5), ('a', 12, 5)], 5)
        );
        let (found, left) = fills(&mut book, order(Side::Long, 20, 3, 'y'), 0..=99, &[]);
        assert_eq!((found, left), (vec![('d', 15, 3)], 0));
    }

    #[test]
    fn the_band_and_refusals_are_kept() {
        let (found, left) = fills(&mut book(), order(Side::Long, 20, 20, 'x'), 11..=14, &[]);
        assert_eq!((found, left), (vec![('a', 12, 5)], 15));
        let refusals = [
            ('b', Verdict::RestingRefused),
            ('a', Verdict::IncomingRefused),
        ];
        let mut book = book();
        let (found, left) = fills(&mut book, order(Side::Long, 20, 20, 'x'), 0..=99, &refusals);
        assert_eq!((found, left), (vec![('c', 10, 5)], 15));
        let (found, _) = fills(&mut book, order(Side::Long, 10, 5, 'y'), 0..=99, &[]);
        assert_eq!(found, vec![]);
    }

    #[test]
    fn bids_rank_downwards() {
        let mut book = Book::default();
        for (limit, name) in [(8, 'a'), (9, 'b'), (7, 'c')] {
            book.rest(order(Side::Long, limit, 1, name));
        }
        let (found, _) = fills(&mut book, order(Side::Short, 8, 3, 'x'), 0..=99, &[]);
        assert_eq!(found, vec![('b', 9, 1), ('a', 8, 1)]);
    }
}
