//! What owners, watchers and takers ask of L1 \[J4\]: deposits and withdrawals, new keys, the end
//! of all orders, flags, takes and absorptions. Each ends as the rules say; many are refused.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tally_protocol::bounds::ACCOUNT_DEPTH;
use tally_protocol::epoch::EpochError;
use tally_protocol::queue::{Deposit, Request, Service, Take};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::market::agents::{Agent, Role};
use crate::market::custody::Custody;
use crate::market::floor::Floor;

/// One in so many accounts asks something of L1 in an epoch, one account at least.
const ASKING: usize = 150;
/// What a take allows beyond the mark, 10^-6 of it.
const TAKE_SLIP: u64 = 10_000;
/// The last leaves of the tree, which nobody opens.
const LAST: u32 = (1 << ACCOUNT_DEPTH) - 1;
const NOBODYS: u32 = 1 << 10;

/// An epoch's requests, before anything else touches an account.
pub fn ask(
    floor: &mut Floor,
    custody: &mut Custody,
    agents: &mut [Agent],
    absorb: &[AccountId],
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    for account in absorb {
        let account = *account;
        floor.keep_inventory(account)?;
        custody.ask(floor, Request::Absorb { account })?;
    }
    for _ in 0..1 + agents.len() / ASKING {
        let place = rng.gen_range(0..agents.len());
        if !matches!(agents[place].role, Role::Trader { .. }) {
            continue;
        }
        match rng.gen_range(0..12) {
            0..3 => withdraw(floor, custody, &agents[place], rng)?,
            3 => deposit(floor, custody, &agents[place], rng)?,
            4 => change_keys(floor, custody, &mut agents[place], rng)?,
            5 => cancel_all(floor, custody, &agents[place], rng)?,
            6..8 => flag(floor, custody, agents, place)?,
            8..11 => take(floor, custody, agents, place)?,
            _ => absorb_one(floor, custody, &agents[place])?,
        }
    }
    Ok(())
}

/// Up to four times the first deposit: often more than the account can pay.
fn withdraw(
    floor: &mut Floor,
    custody: &mut Custody,
    agent: &Agent,
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    let amount = agent.cash * rng.gen_range(20..200) / 50;
    let request = match agent.spot {
        Some((row, lots)) if rng.gen_ratio(1, 2) => (InstrumentId(row), lots),
        _ => (CASH, amount),
    };
    let request = Request::Withdraw {
        sender: agent.owner,
        account: agent.id,
        instrument: request.0,
        amount: request.1,
    };
    custody.ask(floor, request).map(drop)
}

/// More cash, now and then into a sub-account that nobody opened.
fn deposit(
    floor: &mut Floor,
    custody: &mut Custody,
    agent: &Agent,
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    let account = match rng.gen_ratio(1, 2) {
        true => AccountId(LAST - agent.id.0 % NOBODYS),
        false => agent.id,
    };
    let deposit = Deposit {
        sender: agent.owner,
        account,
        instrument: CASH,
        amount: agent.cash / 4,
        create: None,
    };
    custody.ask(floor, Request::Deposit(deposit)).map(drop)
}

fn change_keys(
    floor: &mut Floor,
    custody: &mut Custody,
    agent: &mut Agent,
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    let keys = agent.next_keys(rng);
    let request = Request::KeyChange {
        sender: agent.owner,
        account: agent.id,
        keys,
    };
    if custody.ask(floor, request)? == Some(Service::Done) {
        agent.keys = keys;
    }
    Ok(())
}

/// By the owner, or, of a sub-account, whose owner L1 does not know, by somebody who is refused.
fn cancel_all(
    floor: &mut Floor,
    custody: &mut Custody,
    agent: &Agent,
    rng: &mut ChaCha8Rng,
) -> Result<(), EpochError> {
    let mut sender = agent.owner;
    if rng.gen_ratio(1, 2) && agent.parent.is_some() {
        sender.0[0] ^= 1;
    }
    let account = agent.id;
    custody
        .ask(floor, Request::CancelAll { sender, account })
        .map(drop)
}

/// A watcher asks for whom it thinks liquidatable, by last epoch's marks: often too late.
fn flag(
    floor: &mut Floor,
    custody: &mut Custody,
    agents: &[Agent],
    first: usize,
) -> Result<(), EpochError> {
    let mut account = agents[first].id;
    for agent in agents {
        let Some(desk) = floor.desk(agent.id)? else {
            continue;
        };
        let opening = desk.running().opening;
        if opening.is_liquidatable && !opening.is_flagged && !floor.is_reserved(agent.id) {
            account = agent.id;
            break;
        }
    }
    custody.ask(floor, Request::Flag { account }).map(drop)
}

/// A liquidator takes over through L1 the largest holding of the first account from `first` on that
/// it finds flagged, else of the one at `first`, and is refused.
fn take(
    floor: &mut Floor,
    custody: &mut Custody,
    agents: &[Agent],
    first: usize,
) -> Result<(), EpochError> {
    let takers: Vec<&Agent> = agents
        .iter()
        .filter(|agent| agent.patience().is_some() && !floor.is_reserved(agent.id))
        .collect();
    let Some(taker) = takers.get(first % takers.len().max(1)) else {
        return Ok(());
    };
    let mut found = first;
    for turn in 0..agents.len() {
        let place = (first + turn) % agents.len();
        let flagged = floor.desk(agents[place].id)?.is_some_and(|desk| {
            let opening = desk.running().opening;
            opening.is_flagged && opening.is_liquidatable && !opening.totals.is_bankrupt()
        });
        if flagged && !floor.is_reserved(agents[place].id) {
            found = place;
            break;
        }
    }
    let Some(desk) = floor.desk(agents[found].id)? else {
        return Ok(());
    };
    let risk = |size: i64, lot: u64| size.unsigned_abs() * lot;
    let largest = desk
        .holdings()
        .max_by_key(|held| risk(held.size, held.row.initial(held.side())));
    let Some((market, _)) = largest.and_then(|held| floor.row(held.row.id)) else {
        return Ok(());
    };
    let size = largest.map_or(0, |held| held.size);
    let (side, limit) = match size > 0 {
        true => (
            Side::Long,
            market.mark + market.mark * TAKE_SLIP / 1_000_000,
        ),
        false => (
            Side::Short,
            market.mark - market.mark * TAKE_SLIP / 1_000_000,
        ),
    };
    let take = Take {
        sender: taker.owner,
        account: agents[found].id,
        taker: taker.id,
        instrument: market.id,
        side,
        size: size.unsigned_abs().min(market.max_size),
        limit,
    };
    custody.ask(floor, Request::Take(take)).map(drop)
}

/// Of an account that is no bankrupt: those are known before the epoch.
fn absorb_one(floor: &mut Floor, custody: &mut Custody, agent: &Agent) -> Result<(), EpochError> {
    let account = agent.id;
    custody.ask(floor, Request::Absorb { account }).map(drop)
}

/// Those of the absorbed whom somebody names on L1 instead of the operator, if L1 would queue it.
pub fn named(
    absorb: &mut Vec<AccountId>,
    custody: &Custody,
    epoch: u32,
    rng: &mut ChaCha8Rng,
) -> Vec<AccountId> {
    absorb.shuffle(rng);
    let named = absorb.split_off(absorb.len() - absorb.len() / 8);
    let (named, kept): (Vec<_>, Vec<_>) = named.into_iter().partition(|account| {
        let account = *account;
        custody.admits(&Request::Absorb { account }, epoch)
    });
    absorb.extend(kept);
    absorb.sort_unstable();
    named
}
