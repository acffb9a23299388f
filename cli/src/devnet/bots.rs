//! A crowd of traders over the public API: makers quote, takers cross, levered bots go to the edge
//! and fall off it, liquidators take what falls, and everybody withdraws a little.
//!
//! Bots know what the API tells them and sign what they send. A refusal is counted by its code and
//! is no error: a venue refuses, that is half of its work.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, keccak256};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tally_client::{Client, ClientError, Trader};
use tally_protocol::account::Keys;
use tally_protocol::order::{Order, Place};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Command, Operation, OrderTerms, SelfTrade, TimeInForce};
use tally_service::clock::now_ms;
use tokio::sync::watch;
use tokio::time::{interval, sleep};

use super::Stop;
use super::board::Shown;
use super::chain::Chain;
use super::home::{Facts, bot_key};

const MILLION: u64 = 1_000_000;
/// Micro-quote of a deposit.
const MAKERS: u64 = 2_000_000 * MILLION;
const OTHERS: u64 = 5_000 * MILLION;
/// Commands of a bot in an epoch at most: a slow prover makes long epochs, not large ones.
const MOST_ACTS: u32 = 4;
/// Parts per million of the mark: a maker's first level and its next ones; what a taker crosses.
const SPREAD: u64 = 800;
const LEVELS: u64 = 2;
const CROSS: u64 = 4_000;
/// Quote units of a maker's level, in micro-quote.
const LEVEL: u64 = 100_000 * MILLION;
/// A levered bot's target, in hundredths of its equity.
const LEVERAGE: u64 = 1_700;
/// One act in so many is a withdrawal of a hundredth.
const WITHDRAWS: u32 = 12;
const LOOK: Duration = Duration::from_millis(250);
/// Seconds that an order rests at most.
const REST: u64 = 600;

/// What everybody sees of the venue.
#[derive(Clone, Debug, Default)]
pub struct Venue {
    pub phase: String,
    pub epoch: u32,
    pub instruments: Vec<Instrument>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Instrument {
    pub instrument: u32,
    pub kind: String,
    /// Micro-quote per lot.
    pub mark: u64,
    pub flags: u64,
}

/// What a bot sees of its account.
#[derive(Clone, Debug, Deserialize)]
struct Account {
    nonce: u32,
    generation: u32,
    cash: i64,
    equity: i64,
    initial_requirement: u64,
    is_liquidatable: bool,
    positions: Vec<Held>,
}

#[derive(Clone, Debug, Deserialize)]
struct Held {
    instrument: u32,
    size: u64,
    mark: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Maker,
    Taker,
    Levered,
    Liquidator,
}

impl Role {
    fn of(number: u32) -> Self {
        match number % 8 {
            0 => Self::Maker,
            1 => Self::Liquidator,
            2 | 3 => Self::Taker,
            _ => Self::Levered,
        }
    }

    fn deposit(self) -> u64 {
        match self {
            Self::Maker | Self::Liquidator => MAKERS,
            Self::Taker | Self::Levered => OTHERS,
        }
    }
}

/// The address that owns a bot's account on L1.
pub fn owner(seed: u64, number: u32) -> Address {
    let hash = keccak256(format!("tally devnet owner {seed}/{number}"));
    Address::from_slice(&hash[12..])
}

/// Every bot has an account on L1, opened by its own deposit; those that have one keep it.
pub async fn open_accounts(
    chain: &Chain,
    facts: &Facts,
    stop: &Stop,
) -> anyhow::Result<BTreeMap<u32, u32>> {
    let there = chain.accounts().await?;
    for number in (0..facts.bots).filter(|it| !there.contains_key(&owner(facts.seed, *it))) {
        if stop.is_set() {
            break;
        }
        let (owner, amount) = (owner(facts.seed, number), Role::of(number).deposit());
        let keys = Keys {
            key: bot_key(facts.seed, number).public(),
            ..Keys::default()
        };
        chain.endow(owner, amount).await?;
        chain.open_account(owner, &keys, amount).await?;
    }
    let there = chain.accounts().await?;
    let numbers = (0..facts.bots).filter_map(|it| Some((it, *there.get(&owner(facts.seed, it))?)));
    Ok(numbers.collect())
}

/// Looks at the venue for all bots, a few times a second. A look without an answer is none: on a
/// machine that proves, connections time out, and the sequencer's own end is seen elsewhere.
pub async fn look(
    client: Client,
    shown: Shown,
    venue: watch::Sender<Venue>,
    stop: Stop,
) -> anyhow::Result<()> {
    while stop.unless(sleep(LOOK)).await {
        match seen(&client, &shown).await {
            Ok(seen) => drop(venue.send_replace(seen)),
            Err(error) => tracing::warn!(%error, "the venue was not seen"),
        }
    }
    Ok(())
}

async fn seen(client: &Client, shown: &Shown) -> Result<Venue, ClientError> {
    let status = client.status().await?;
    let phase = match &status.phase {
        serde_json::Value::String(name) => name.clone(),
        other => other.to_string(),
    };
    {
        let mut board = shown.lock();
        let health = &mut board.health;
        health.phase.clone_from(&phase);
        (health.epoch, health.round) = (status.epoch, status.round);
        (health.position, health.waiting) = (status.position, status.waiting);
        health.items = status.items;
    }
    Ok(Venue {
        phase,
        epoch: status.epoch,
        instruments: client.get("/v1/instruments").await?,
    })
}

/// One bot.
pub struct Bot {
    number: u32,
    role: Role,
    client: Client,
    trader: Trader,
    rng: ChaCha8Rng,
    genesis_ms: u64,
    /// The last sequence that it gave a slot; they rise over restarts too, being times.
    sequence: u32,
    shown: Shown,
}

impl Bot {
    pub fn new(number: u32, account: u32, facts: &Facts, client: Client, shown: Shown) -> Self {
        let key = bot_key(facts.seed, number);
        let seed = facts.seed ^ (u64::from(number) << 32) ^ now_ms();
        Self {
            number,
            role: Role::of(number),
            trader: Trader::new(client.domain(), AccountId(account), key),
            client,
            rng: ChaCha8Rng::seed_from_u64(seed),
            genesis_ms: facts.genesis * 1_000,
            sequence: 0,
            shown,
        }
    }

    pub async fn run(
        mut self,
        every: Duration,
        venue: watch::Receiver<Venue>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        // They do not all come at once.
        let apart = every.as_millis() as u64 * u64::from(self.number % 16) / 16;
        stop.unless(sleep(Duration::from_millis(apart))).await;
        let mut tick = interval(every);
        let (mut epoch, mut acts) = (0, 0);
        while stop.unless(tick.tick()).await {
            let venue = venue.borrow().clone();
            if venue.epoch != epoch {
                (epoch, acts) = (venue.epoch, 0);
            }
            if venue.phase != "open" || acts == MOST_ACTS {
                continue;
            }
            acts += 1;
            match self.act(&venue).await {
                Ok(()) => {}
                Err(ClientError::Refused { body, .. }) => self.refused(body.code),
                Err(error) if stop.is_set() => tracing::debug!(%error, "a bot stops"),
                Err(error) => tracing::warn!(bot = self.number, %error, "no answer for a bot"),
            }
        }
        Ok(())
    }

    async fn act(&mut self, venue: &Venue) -> Result<(), ClientError> {
        let account = self.client.account(self.trader.account.0).await?;
        let account: Account = serde_json::from_value(account)
            .map_err(|error| ClientError::Answer(error.to_string()))?;
        self.trader.generation = account.generation;
        let open = |it: &&Instrument| it.kind == "perpetual" && it.flags & 0b110 == 0;
        let listed: Vec<&Instrument> = venue.instruments.iter().filter(open).collect();
        if listed.is_empty() || account.is_liquidatable {
            return Ok(());
        }
        let spare = account
            .equity
            .saturating_sub_unsigned(account.initial_requirement * 2);
        if self.rng.gen_ratio(1, WITHDRAWS) && spare > 0 && account.cash > 0 {
            let amount = (account.cash.min(spare) as u64 / 100).max(1);
            let withdraw = self.trader.withdraw(account.nonce, CASH, amount);
            return self.send(withdraw).await;
        }
        let at = listed[self.rng.gen_range(0..listed.len())];
        match self.role {
            Role::Maker => self.quote(&listed).await,
            Role::Taker => self.take(at).await,
            Role::Levered => self.lever(&account, at).await,
            Role::Liquidator => self.liquidate(&listed).await,
        }
    }

    /// Both sides of every book, replaced.
    async fn quote(&mut self, listed: &[&Instrument]) -> Result<(), ClientError> {
        let mut operations = Vec::new();
        for (place, it) in listed.iter().enumerate() {
            for level in 0..LEVELS {
                let away = it.mark * SPREAD * (2 * level + 1) / MILLION;
                for side in [Side::Long, Side::Short] {
                    let slot = place as u64 * 2 * LEVELS + 2 * level + side.bit();
                    let limit = match side {
                        Side::Long => it.mark - away,
                        Side::Short => it.mark + away,
                    };
                    let order = self.order(slot as u8, it, side, LEVEL / it.mark, limit);
                    let terms = OrderTerms {
                        post_only: true,
                        self_trade: SelfTrade::CancelOldest,
                        ..OrderTerms::default()
                    };
                    operations.push(Operation::Submit(self.trader.order(order, terms)));
                }
            }
        }
        self.send(Command::Batch(operations)).await
    }

    async fn take(&mut self, at: &Instrument) -> Result<(), ClientError> {
        let side = if self.rng.r#gen() {
            Side::Long
        } else {
            Side::Short
        };
        let lots = self.rng.gen_range(1..=1_000 * MILLION / at.mark);
        self.cross(at, side, lots, CROSS).await
    }

    /// Up to its leverage, mostly long: what comes before a fall.
    async fn lever(&mut self, account: &Account, at: &Instrument) -> Result<(), ClientError> {
        let held: u64 = account.positions.iter().map(|it| it.size * it.mark).sum();
        let equity = u64::try_from(account.equity).unwrap_or(0);
        let room = (equity * LEVERAGE / 100).saturating_sub(held);
        let lots = room / at.mark;
        if lots == 0
            || account
                .positions
                .iter()
                .any(|it| it.instrument != at.instrument)
        {
            return Ok(());
        }
        let is_long = !self.number.is_multiple_of(8 - 1);
        let side = if is_long { Side::Long } else { Side::Short };
        self.cross(at, side, lots, CROSS).await
    }

    /// Whatever is on offer at the mark or better.
    async fn liquidate(&mut self, listed: &[&Instrument]) -> Result<(), ClientError> {
        for it in listed {
            for side in [Side::Long, Side::Short] {
                self.cross(it, side, LEVEL / it.mark, 0).await?;
            }
        }
        Ok(())
    }

    async fn cross(
        &mut self,
        at: &Instrument,
        side: Side,
        lots: u64,
        away: u64,
    ) -> Result<(), ClientError> {
        let away = at.mark * away / MILLION;
        let limit = match side {
            Side::Long => at.mark + away,
            Side::Short => at.mark - away,
        };
        let order = self.order(32 + side.bit() as u8, at, side, lots.max(1), limit);
        let terms = OrderTerms {
            time_in_force: TimeInForce::ImmediateOrCancel,
            ..OrderTerms::default()
        };
        let submit = self.trader.order(order, terms);
        self.send(Command::Submit(submit)).await
    }

    fn order(&mut self, slot: u8, at: &Instrument, side: Side, size: u64, limit: u64) -> Order {
        let now = now_ms();
        // A hundred a second last for more than a year.
        let tick = (now.saturating_sub(self.genesis_ms) / 10) as u32;
        self.sequence = tick.max(self.sequence.saturating_add(1));
        Order {
            account: self.trader.account,
            generation: self.trader.generation,
            place: Place::Slot {
                slot,
                sequence: self.sequence,
            },
            instrument: InstrumentId(at.instrument),
            side,
            size,
            limit,
            max_fee_per_lot: at.mark / 1_000,
            expiry: now / 1_000 + REST,
            reduce_only: false,
            amend: false,
        }
    }

    async fn send(&mut self, command: Command) -> Result<(), ClientError> {
        let acked = self.client.send(&command).await?;
        self.shown.lock().acked += 1;
        let events = acked.events.as_array().into_iter().flatten();
        for event in events.filter(|event| event["event"] == "refused") {
            let code = event["reject"]["code"].as_str().unwrap_or_default();
            self.refused(code.to_owned());
        }
        Ok(())
    }

    fn refused(&self, code: String) {
        *self.shown.lock().refused.entry(code).or_default() += 1;
    }
}

/// All bots of the devnet.
pub fn crowd(
    facts: &Facts,
    accounts: &BTreeMap<u32, u32>,
    client: &Client,
    shown: &Shown,
) -> Vec<Bot> {
    let bot = |(number, account): (&u32, &u32)| {
        Bot::new(*number, *account, facts, client.clone(), shown.clone())
    };
    accounts.iter().map(bot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_crowd_has_every_role() {
        let roles: Vec<Role> = (0..8).map(Role::of).collect();
        for role in [Role::Maker, Role::Taker, Role::Levered, Role::Liquidator] {
            assert!(roles.contains(&role), "{role:?}");
        }
        assert_ne!(owner(1, 2), owner(1, 3));
        assert_ne!(owner(1, 2), owner(2, 2));
    }
}
