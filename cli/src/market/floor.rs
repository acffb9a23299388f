//! One epoch's trading: running accounts, and the entries that were accepted so far.

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::bounds::SLOTS;
use tally_protocol::entry::Entry;
use tally_protocol::epoch::{EpochBuilder, EpochError};
use tally_protocol::instrument::{InstrumentKind, MarginRow, MarketRow};
use tally_protocol::journal::fill::Fill;
use tally_protocol::order::Order;
use tally_protocol::queue::{Request, Service};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::market::agents::{View, fee_per_lot};
use crate::market::book::{Resting, Verdict};
use crate::market::desk::Desk;

/// Halvings of a fill that an account cannot take whole.
const HALVINGS: usize = 6;

#[derive(Debug)]
pub struct Floor<'a> {
    builder: &'a EpochBuilder<'a>,
    /// By row number; unlisted rows are zeros.
    pub market: Vec<MarketRow>,
    desks: BTreeMap<AccountId, Desk>,
    /// Accounts whose epoch is taken by a sole posting, a liquidation or a flag.
    reserved: BTreeSet<AccountId>,
    /// Accounts whose nonce one of this epoch's messages uses.
    spoken: BTreeSet<AccountId>,
    /// Instruments whose inventory an L1 absorption of this epoch changes.
    kept: BTreeSet<InstrumentId>,
    pub entries: Vec<Entry>,
}

impl<'a> Floor<'a> {
    pub fn new(builder: &'a EpochBuilder<'a>, market: Vec<MarketRow>) -> Self {
        Self {
            builder,
            market,
            desks: BTreeMap::new(),
            reserved: BTreeSet::new(),
            spoken: BTreeSet::new(),
            kept: BTreeSet::new(),
            entries: Vec::new(),
        }
    }

    pub fn epoch(&self) -> u32 {
        self.builder.context().epoch
    }

    pub fn time(&self) -> u64 {
        self.builder.header().time
    }

    /// The running account; none where there is no leaf yet.
    pub fn desk(&mut self, id: AccountId) -> Result<Option<Desk>, EpochError> {
        if let Some(desk) = self.desks.get(&id) {
            return Ok(Some(desk.clone()));
        }
        let running = self.builder.account(id)?;
        if !running.exists {
            return Ok(None);
        }
        let desk = Desk::new(running);
        self.desks.insert(id, desk.clone());
        Ok(Some(desk))
    }

    /// How a request ends in this epoch, if nothing touched its accounts \[J4\].
    pub fn service(&self, request: &Request) -> Result<Option<Service>, EpochError> {
        self.builder.service(request)
    }

    /// Insurance offers nothing of what an account holds that an item absorbs: entries are made
    /// before the absorption is applied.
    pub fn keep_inventory(&mut self, absorbed: AccountId) -> Result<(), EpochError> {
        let running = self.builder.account(absorbed)?;
        let held = running.places.iter().map(|place| place.holding);
        let held = held.filter(|held| held.size != 0);
        self.kept.extend(held.map(|held| held.row.id));
        Ok(())
    }

    /// Insurance's signed lots of a row that it may offer.
    pub fn inventory(&self, market: &MarketRow) -> Result<i64, EpochError> {
        if self.kept.contains(&market.id) {
            return Ok(0);
        }
        let running = self.builder.account(AccountId(market.row / SLOTS as u32))?;
        Ok(Desk::new(running).size(market.id))
    }

    pub fn set_desk(&mut self, id: AccountId, desk: Desk) {
        self.desks.insert(id, desk);
    }

    pub fn row(&self, id: InstrumentId) -> Option<(&MarketRow, MarginRow)> {
        Some((
            self.market.get(id.0 as usize)?,
            self.builder.margin_rows().get(id).ok()?,
        ))
    }

    /// Takes an account out of this epoch's trading.
    pub fn reserve(&mut self, id: AccountId) {
        self.reserved.insert(id);
    }

    pub fn is_reserved(&self, id: AccountId) -> bool {
        self.reserved.contains(&id)
    }

    /// The account's nonce, once an epoch: a second message would have to know the first's place.
    pub fn nonce(&self, desk: &Desk) -> Option<u32> {
        let running = desk.running();
        (!self.spoken.contains(&running.id)).then_some(running.rest.nonce)
    }

    pub fn speak(&mut self, id: AccountId) {
        self.spoken.insert(id);
    }

    pub fn view<'b>(&'b self, desk: &'b Desk) -> View<'b> {
        View {
            desk,
            generation: desk.running().rest.generation,
            nonce: self.nonce(desk),
            time: self.time(),
            market: &self.market,
        }
    }

    /// Settles a match, or as much of it as both accounts can take, as an entry.
    pub fn fill(
        &mut self,
        resting: &Resting<Order>,
        incoming: &Resting<Order>,
        price: u64,
        lots: u64,
    ) -> Result<Verdict, EpochError> {
        let (maker, taker) = (&resting.order, &incoming.order);
        if self.is_reserved(maker.account)
            || maker.account == taker.account
            || maker.expiry < self.time()
        {
            return Ok(Verdict::RestingRefused);
        }
        let (Some((market, row)), Some(maker_desk), Some(taker_desk)) = (
            self.row(taker.instrument)
                .map(|(market, row)| (*market, row)),
            self.desk(maker.account)?,
            self.desk(taker.account)?,
        ) else {
            return Ok(Verdict::IncomingRefused);
        };
        if maker.generation != maker_desk.running().rest.generation {
            return Ok(Verdict::RestingRefused);
        }
        let fee = fee_per_lot(market.mark);
        let mut lots = lots.min(market.max_size);
        for _ in 0..=HALVINGS {
            let made = filled(&maker_desk, maker, &market, &row, price, lots, 0);
            let taken = filled(&taker_desk, taker, &market, &row, price, lots, fee);
            match (made, taken) {
                (Some(made), Some(taken)) => {
                    self.set_desk(maker.account, made);
                    self.set_desk(taker.account, taken);
                    if taker.place.is_nonce() {
                        self.speak(taker.account);
                    }
                    self.entries
                        .push(fill_entry(maker, taker, price, lots, fee));
                    return Ok(Verdict::Filled(lots));
                }
                (made, _) if lots == 1 => return Ok(refusal(made.is_none())),
                _ => lots /= 2,
            }
        }
        let made = filled(&maker_desk, maker, &market, &row, price, lots, 0);
        Ok(refusal(made.is_none()))
    }
}

fn refusal(by_resting: bool) -> Verdict {
    if by_resting {
        Verdict::RestingRefused
    } else {
        Verdict::IncomingRefused
    }
}

fn filled(
    desk: &Desk,
    order: &Order,
    market: &MarketRow,
    row: &MarginRow,
    price: u64,
    lots: u64,
    fee: u64,
) -> Option<Desk> {
    let lots = i64::try_from(lots).ok()?;
    let delta = if order.side == Side::Long {
        lots
    } else {
        -lots
    };
    let held = desk.size(order.instrument);
    let reduces = held.signum() != delta.signum() && held.unsigned_abs() >= delta.unsigned_abs();
    if order.reduce_only && !reduces {
        return None;
    }
    let against = match market.kind {
        InstrumentKind::Spot => 0,
        _ => i64::try_from(market.mark).ok()?,
    };
    let per_lot = i64::try_from(price).ok()? - against;
    let cash = -delta.checked_mul(per_lot)? - lots.checked_mul(i64::try_from(fee).ok()?)?;
    desk.filled(row, delta, cash, false)
}

fn fill_entry(maker: &Order, taker: &Order, price: u64, size: u64, fee: u64) -> Entry {
    let takes_long = taker.side == Side::Long;
    let (long, short) = if takes_long {
        (taker, maker)
    } else {
        (maker, taker)
    };
    Entry::Fill(Box::new(Fill {
        long: long.clone(),
        short: short.clone(),
        size,
        price,
        long_fee_per_lot: if takes_long { fee } else { 0 },
        short_fee_per_lot: if takes_long { 0 } else { fee },
    }))
}
