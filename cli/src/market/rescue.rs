//! Who keeps the books whole: flags, liquidations within the opening discount, the unwinding of
//! insurance's inventory.

use tally_protocol::entry::Entry;
use tally_protocol::epoch::EpochError;
use tally_protocol::instrument::{InstrumentKind, MarginRow, MarketRow};
use tally_protocol::journal::flag::Flag;
use tally_protocol::journal::liquidation::Liquidation;
use tally_protocol::journal::unwind::Unwind;
use tally_protocol::ledger::Running;
use tally_protocol::margin::{Holding, liquidation_charge};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::market::agents::{Agent, is_open};
use crate::market::floor::Floor;

/// Halvings of what a taker is offered until he can take it.
const HALVINGS: usize = 8;
/// Makers, too, take liquidations, but wait this long for a better discount.
const MAKER_PATIENCE: u32 = 3;

/// What the epoch's auctions depend on.
#[derive(Clone, Copy, Debug)]
pub struct Auction {
    /// D \[Q4\].
    pub epochs: u32,
    /// What discounts of unwinds may cost in all \[Q7\], micro-quote.
    pub budget: u64,
}

impl Auction {
    /// ⌊bound · min(age, D) / D⌋
    fn opened(&self, bound: u64, age: u32) -> u64 {
        let share = u64::from(age.min(self.epochs));
        bound * share / u64::from(self.epochs.max(1))
    }
}

/// \[Q1\] Flags every account that is liquidatable and not yet flagged. A flagged account trades no
/// more in the epoch.
pub fn flag(floor: &mut Floor, agents: &[Agent]) -> Result<u64, EpochError> {
    let mut flags = 0;
    for agent in agents
        .iter()
        .filter(|agent| !floor.is_reserved(agent.id))
        .collect::<Vec<_>>()
    {
        let Some(desk) = floor.desk(agent.id)? else {
            continue;
        };
        let opening = desk.running().opening;
        if opening.is_liquidatable && !opening.is_flagged {
            floor.entries.push(Entry::Flag(Flag { account: agent.id }));
            floor.reserve(agent.id);
            flags += 1;
        }
    }
    Ok(flags)
}

/// \[Q2\] to \[Q4\] Liquidates flagged accounts as far as takers go. Returns the number of
/// liquidations.
pub fn liquidate(
    floor: &mut Floor,
    agents: &mut [Agent],
    auction: Auction,
) -> Result<u64, EpochError> {
    let ids: Vec<AccountId> = agents.iter().map(|agent| agent.id).collect();
    let mut liquidations = 0;
    for id in ids {
        if floor.is_reserved(id) {
            continue;
        }
        let Some(desk) = floor.desk(id)? else {
            continue;
        };
        let opening = desk.running().opening;
        if !opening.is_flagged {
            continue;
        }
        floor.reserve(id);
        if opening.is_liquidatable && !opening.totals.is_bankrupt() {
            let mut case = Case::new(desk.running().clone(), floor.epoch());
            liquidations += case.sell(floor, agents, auction)?;
        }
    }
    Ok(liquidations)
}

/// An account that is liquidated: what is left to sell until it is restored \[Q3\].
struct Case {
    running: Running,
    age: u32,
    equity: i128,
    initial: i128,
    cash: i128,
}

impl Case {
    fn new(running: Running, epoch: u32) -> Self {
        let totals = running.opening.totals;
        Self {
            age: epoch.saturating_sub(running.flagged_at),
            equity: totals.equity.into(),
            initial: totals.initial.into(),
            cash: running.cash.into(),
            running,
        }
    }

    fn sell(
        &mut self,
        floor: &mut Floor,
        agents: &mut [Agent],
        auction: Auction,
    ) -> Result<u64, EpochError> {
        let mut holdings: Vec<Holding> = self
            .running
            .places
            .iter()
            .map(|place| place.holding)
            .collect();
        let risk = |held: &Holding| held.size.unsigned_abs() * held.row.initial(held.side());
        holdings.retain(|held| held.size != 0);
        holdings.sort_by_key(|held| core::cmp::Reverse(risk(held)));
        let mut count = 0;
        for held in holdings {
            let Some((market, row)) = floor.row(held.row.id).map(|(m, row)| (*m, row)) else {
                continue;
            };
            if is_open(&market) {
                count += self.sell_slot(floor, agents, auction, (&held, &market, &row))?;
            }
        }
        Ok(count)
    }

    fn sell_slot(
        &mut self,
        floor: &mut Floor,
        agents: &mut [Agent],
        auction: Auction,
        (held, market, row): (&Holding, &MarketRow, &MarginRow),
    ) -> Result<u64, EpochError> {
        let opening = self.running.opening.totals;
        let initial = row.initial(held.side());
        let charge = liquidation_charge(&opening, initial, market.penalty);
        let discount = auction.opened(charge, self.age);
        let mut left = self.lots(held, charge).min(market.max_size);
        let mut count = 0;
        let first = self.running.id.0 as usize;
        for turn in 0..agents.len() {
            let place = (first + turn) % agents.len();
            let patience = match &agents[place] {
                agent if agent.is_maker() => Some(MAKER_PATIENCE),
                agent => agent.patience(),
            };
            if left == 0 || patience.is_none_or(|patience| patience > self.age) {
                continue;
            }
            let offer = (held.row.id, held.side(), left, discount);
            let Some((order, size)) = take_over(floor, &mut agents[place], offer)? else {
                continue;
            };
            left -= size;
            self.sold(size, charge, held, row);
            count += 1;
            floor.entries.push(Entry::Liquidation(Box::new(Liquidation {
                account: self.running.id,
                order,
                size,
                charge,
                discount,
                flagged_at: self.running.flagged_at,
            })));
        }
        Ok(count)
    }

    /// \[Q3\] The lots of a slot that restore the account, or all of them.
    fn lots(&self, held: &Holding, charge: u64) -> u64 {
        let all = held.size.unsigned_abs();
        let (lacks, gains) = if self.running.opening.totals.meets_maintenance() {
            // Only cash is negative: owned lots bring in their value less the charge.
            if held.row.value == 0 || held.size < 0 {
                return 0;
            }
            (-self.cash, i128::from(held.row.value) - i128::from(charge))
        } else {
            let initial = held.row.initial(held.side());
            (
                self.initial - self.equity,
                i128::from(initial) - i128::from(charge),
            )
        };
        if lacks <= 0 || gains <= 0 {
            return 0;
        }
        let lots = (lacks + gains - 1) / gains;
        u64::try_from(lots).unwrap_or(all).min(all)
    }

    fn sold(&mut self, size: u64, charge: u64, held: &Holding, row: &MarginRow) {
        let size = i128::from(size);
        self.equity -= size * i128::from(charge);
        self.initial -= size * i128::from(row.initial(held.side()));
        self.cash += size * (i128::from(row.value) - i128::from(charge));
    }
}

/// An agent's order for as many of the offered lots as its account can take at mark and discount.
fn take_over(
    floor: &mut Floor,
    agent: &mut Agent,
    (id, side, most, discount): (InstrumentId, Side, u64, u64),
) -> Result<Option<(tally_protocol::order::Order, u64)>, EpochError> {
    if floor.is_reserved(agent.id) {
        return Ok(None);
    }
    let (Some(desk), Some((market, row))) = (floor.desk(agent.id)?, floor.row(id)) else {
        return Ok(None);
    };
    let market = *market;
    let mut size = most;
    for _ in 0..=HALVINGS {
        let (lots, discount) = (size as i64, discount as i64);
        let delta = if side == Side::Long { lots } else { -lots };
        let paid = if market.kind == InstrumentKind::Spot {
            market.mark as i64
        } else {
            0
        };
        let cash = lots
            .checked_mul(discount)
            .and_then(|gain| gain.checked_sub(delta * paid));
        let after = cash.and_then(|cash| desk.filled(&row, delta, cash, true));
        if let Some(after) = after {
            let order = agent.take_over(&floor.view(&desk), id, side, size);
            floor.set_desk(agent.id, after);
            return Ok(order.map(|order| (order, size)));
        }
        size /= 2;
        if size == 0 {
            break;
        }
    }
    Ok(None)
}

/// \[Q7\] Offers insurance's inventory, row by row, to liquidators and makers.
pub fn unwind(
    floor: &mut Floor,
    agents: &mut [Agent],
    auction: Auction,
) -> Result<u64, EpochError> {
    let mut budget = auction.budget;
    let mut count = 0;
    let open: Vec<MarketRow> = floor
        .market
        .iter()
        .filter(|row| is_open(row))
        .copied()
        .collect();
    for market in open {
        let inventory = floor.inventory(&market)?;
        let side = if inventory > 0 {
            Side::Long
        } else {
            Side::Short
        };
        let age = floor.epoch().saturating_sub(market.insurance_since);
        let mut left = inventory.unsigned_abs().min(market.max_size);
        let first = market.row as usize + floor.epoch() as usize;
        for turn in 0..agents.len() {
            let agent = &mut agents[(first + turn) % agents.len()];
            if left == 0 || !(agent.is_maker() || agent.patience().is_some()) {
                continue;
            }
            let discount = auction.opened(market.penalty, age).min(budget / left);
            let offer = (market.id, side, left, discount);
            let Some((order, size)) = take_over(floor, agent, offer)? else {
                continue;
            };
            left -= size;
            budget -= size * discount;
            count += 1;
            floor.entries.push(Entry::Unwind(Box::new(Unwind {
                order,
                size,
                discount,
            })));
        }
    }
    Ok(count)
}
