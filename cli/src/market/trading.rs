//! A round of trading: makers quote, traders take.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tally_protocol::epoch::EpochError;
use tally_protocol::order::Order;

use crate::market::agents::{Agent, is_open};
use crate::market::book::{Book, Resting, Verdict};
use crate::market::desk::Desk;
use crate::market::floor::Floor;

/// Seconds that what a trader could not take at once rests in the book.
const REST_SECONDS: u64 = 1_800;

/// One book an instrument, by row.
pub type Books = Vec<Book<Order>>;

/// Makers replace their quotes; traders take in random order.
pub fn trade(
    floor: &mut Floor,
    books: &mut Books,
    agents: &mut [Agent],
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    let makers: Vec<_> = agents
        .iter()
        .filter(|a| a.is_maker())
        .map(|a| a.id)
        .collect();
    let time = floor.time();
    for book in books.iter_mut() {
        let is_quote = |order: &Order| makers.binary_search(&order.account).is_ok();
        book.retain(|resting| resting.expiry >= time && !is_quote(&resting.order));
    }
    for maker in agents.iter_mut().filter(|agent| agent.is_maker()) {
        quote(floor, books, maker)?;
    }
    let mut order: Vec<usize> = (0..agents.len()).collect();
    order.shuffle(rng);
    for place in order {
        let Some(agent) = agents.get_mut(place) else {
            continue;
        };
        let Some(desk) = trading_desk(floor, agent)? else {
            continue;
        };
        let order = match agent.patience() {
            Some(_) => unload(floor, agent, &desk, rng),
            None => agent.take(&floor.view(&desk), rng),
        };
        if let Some(order) = order {
            submit(floor, books, order)?;
        }
    }
    Ok(())
}

fn trading_desk(floor: &mut Floor, agent: &Agent) -> Result<Option<Desk>, EpochError> {
    if floor.is_reserved(agent.id) {
        return Ok(None);
    }
    floor.desk(agent.id)
}

fn quote(floor: &mut Floor, books: &mut Books, maker: &mut Agent) -> Result<(), EpochError> {
    let Some(desk) = trading_desk(floor, maker)? else {
        return Ok(());
    };
    for order in maker.quotes(&floor.view(&desk)) {
        if let Some(book) = books.get_mut(order.instrument.0 as usize) {
            book.rest(resting(order));
        }
    }
    Ok(())
}

/// A liquidator sells what it took over.
fn unload(floor: &Floor, agent: &mut Agent, desk: &Desk, rng: &mut ChaCha8Rng) -> Option<Order> {
    let held: Vec<_> = desk.holdings().filter(|held| held.row.value == 0).collect();
    let holding = held.choose(rng)?;
    let lots = (holding.size.abs() / 4).max(1) * holding.size.signum();
    rng.gen_ratio(1, 2)
        .then(|| agent.reduce(&floor.view(desk), holding.row.id, lots))
        .flatten()
}

fn submit(floor: &mut Floor, books: &mut Books, order: Order) -> Result<(), EpochError> {
    let row = order.instrument.0 as usize;
    let (Some(market), Some(book)) = (floor.market.get(row).copied(), books.get_mut(row)) else {
        return Ok(());
    };
    if !is_open(&market) {
        return Ok(());
    }
    let mut fault = None;
    let band = market.min_fill..=market.max_fill;
    let mut left = book.take(resting(order), band, &mut |maker, taker, price, lots| {
        floor
            .fill(maker, taker, price, lots)
            .unwrap_or_else(|error| {
                fault = Some(error);
                Verdict::IncomingRefused
            })
    });
    if let Some(error) = fault {
        return Err(error);
    }
    // An order by nonce has nowhere to rest.
    if left.open > 0 && !left.order.place.is_nonce() && !left.order.reduce_only {
        left.expiry = left.expiry.min(floor.time() + REST_SECONDS);
        book.rest(left);
    }
    Ok(())
}

fn resting(order: Order) -> Resting<Order> {
    let (side, limit, open, expiry) = (order.side, order.limit, order.size, order.expiry);
    Resting {
        side,
        limit,
        open,
        expiry,
        order,
    }
}
