//! Who trades: makers, leveraged traders, holders of isolated sub-accounts, liquidators.
//!
//! An agent decides from public numbers and its own account, and its wallet signs what it sends.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tally_protocol::account::{Keys, Owner, PublicKey};
use tally_protocol::bounds::{ACCOUNT_DEPTH, FIRST_USER_ACCOUNT, FRACTION_ONE};
use tally_protocol::instrument::{MarketRow, flags};
use tally_protocol::order::{Order, Place};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::market::desk::Desk;
use crate::market::wallet::Wallet;

/// Sub-accounts live in the upper half of the tree \[S3\].
const FIRST_SUB_ACCOUNT: u32 = 1 << (ACCOUNT_DEPTH - 1);
const QUOTE_UNIT: u64 = 1_000_000;
const ORDER_SLOTS: usize = 64;
/// Order slots from here on are for taking: a maker's quotes use those below.
const TAKER_SLOTS: core::ops::Range<u8> = 32..40;
/// Instruments that a maker quotes; half its slots stay free for what it takes over.
const MAKER_ROWS: usize = 8;
/// What a taker pays beyond the mark at most; inside of every fill band.
const TAKER_SLIP: u64 = 15_000;
/// The fee that takers pay, 10^-6 of the mark.
pub const TAKER_FEE: u64 = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Quotes both sides at this distance from the mark, 10^-6.
    Maker { half_spread: u64 },
    /// Trades at this leverage, in tenths, on one side.
    Trader { leverage: u64, side: Side },
    /// Takes liquidations once the discount has opened for so many epochs.
    Liquidator { patience: u32 },
}

#[derive(Clone, Debug)]
pub struct Agent {
    pub id: AccountId,
    /// The main account of an isolated sub-account.
    pub parent: Option<AccountId>,
    pub owner: Owner,
    pub keys: Keys,
    pub wallet: Wallet,
    pub role: Role,
    /// Instruments that it trades, by row.
    pub rows: Vec<u32>,
    /// First deposit, micro-quote; for a sub-account what its parent sends.
    pub cash: u64,
    /// First deposit of a spot asset: row and lots.
    pub spot: Option<(u32, u64)>,
    sequences: [u32; ORDER_SLOTS],
}

/// What an agent sees of its account and of the market when it decides.
#[derive(Debug)]
pub struct View<'a> {
    pub desk: &'a Desk,
    pub generation: u32,
    /// The nonce that a taking order may use, where none of this epoch's messages did yet.
    pub nonce: Option<u32>,
    pub time: u64,
    /// By row.
    pub market: &'a [MarketRow],
}

/// Shares of the population.
#[derive(Clone, Copy, Debug)]
struct Census {
    makers: usize,
    liquidators: usize,
    isolated: usize,
}

pub const MIN_ACCOUNTS: usize = 8;
/// A replay holds all accounts in memory.
pub const MAX_ACCOUNTS: usize = 1_000_000;

/// `count` accounts that trade the perpetuals in `perpetuals`; `spots` are rows with their marks.
pub fn population(
    count: usize,
    perpetuals: &[u32],
    spots: &[(u32, u64)],
    rng: &mut ChaCha8Rng,
) -> Vec<Agent> {
    // Every instrument has a maker where the crowd is large enough for it.
    let needed = perpetuals.len().div_ceil(MAKER_ROWS).min(count / 10);
    let census = Census {
        makers: (count / 25).max(needed).max(2),
        liquidators: (count / 60).max(2),
        isolated: count / 5,
    };
    let mains = count - census.isolated;
    let mut agents: Vec<Agent> = (0..mains)
        .map(|n| main_account(n, &census, perpetuals, spots, rng))
        .collect();
    for n in 0..census.isolated {
        let first_trader = census.makers + census.liquidators;
        let parent = first_trader + n % (mains - first_trader);
        let agent = isolated(n, &agents[parent], perpetuals, rng);
        agents.push(agent);
    }
    agents
}

fn main_account(
    n: usize,
    census: &Census,
    perpetuals: &[u32],
    spots: &[(u32, u64)],
    rng: &mut ChaCha8Rng,
) -> Agent {
    let (role, rows, units) = if n < census.makers {
        let quoted = MAKER_ROWS.min(perpetuals.len());
        let rows = (0..quoted).map(|j| perpetuals[(n * MAKER_ROWS + j) % perpetuals.len()]);
        let half_spread = rng.gen_range(500..4_000);
        (
            Role::Maker { half_spread },
            rows.collect(),
            rng.gen_range(200_000..1_000_000),
        )
    } else if n < census.makers + census.liquidators {
        // Someone takes whatever discount there is.
        let patience = match n == census.makers {
            true => 1,
            false => rng.gen_range(1..4),
        };
        (
            Role::Liquidator { patience },
            Vec::new(),
            rng.gen_range(1_000_000..3_000_000),
        )
    } else {
        (
            trader(rng),
            watched(4, perpetuals, rng),
            rng.gen_range(500..20_000),
        )
    };
    let is_trader = matches!(role, Role::Trader { .. });
    let mut cash = units * QUOTE_UNIT;
    // Every fourth trader brings most of its margin as collateral.
    let spot = match spots.is_empty() || !is_trader || !n.is_multiple_of(4) {
        true => None,
        false => {
            let (row, mark) = spots[n / 4 % spots.len()];
            let part = cash * rng.gen_range(50..90) / 100;
            cash -= part;
            Some((row, (part / mark).max(1)))
        }
    };
    let mut wallet = Wallet::default();
    Agent {
        id: AccountId(FIRST_USER_ACCOUNT + n as u32),
        parent: None,
        owner: Owner(rng.r#gen()),
        keys: Keys {
            key: wallet.new_key(rng),
            trading_key: wallet.new_key(rng),
        },
        wallet,
        role,
        rows,
        cash,
        spot,
        sequences: [0; ORDER_SLOTS],
    }
}

fn isolated(n: usize, parent: &Agent, perpetuals: &[u32], rng: &mut ChaCha8Rng) -> Agent {
    let mut wallet = Wallet::default();
    Agent {
        id: AccountId(FIRST_SUB_ACCOUNT + n as u32),
        parent: Some(parent.id),
        owner: parent.owner,
        keys: Keys {
            key: wallet.new_key(rng),
            trading_key: PublicKey::default(),
        },
        wallet,
        role: trader(rng),
        rows: watched(1, perpetuals, rng),
        cash: parent.cash / rng.gen_range(4..10),
        spot: None,
        sequences: [0; ORDER_SLOTS],
    }
}

fn trader(rng: &mut ChaCha8Rng) -> Role {
    let leverage = match rng.gen_range(0..10) {
        0..4 => rng.gen_range(10..50),
        4..7 => rng.gen_range(50..120),
        _ => rng.gen_range(120..195),
    };
    let side = if rng.gen_range(0..10) < 7 {
        Side::Long
    } else {
        Side::Short
    };
    Role::Trader { leverage, side }
}

fn watched(most: usize, perpetuals: &[u32], rng: &mut ChaCha8Rng) -> Vec<u32> {
    let count = rng.gen_range(1..=most);
    let mut rows: Vec<u32> = (0..count)
        .map(|_| perpetuals[rng.gen_range(0..perpetuals.len())])
        .collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

impl Agent {
    pub fn is_maker(&self) -> bool {
        matches!(self.role, Role::Maker { .. })
    }

    /// The keys that it changes to.
    pub fn next_keys(&mut self, rng: &mut ChaCha8Rng) -> Keys {
        let has_trading_key = self.keys.trading_key != PublicKey::default();
        Keys {
            key: self.wallet.new_key(rng),
            trading_key: match has_trading_key {
                true => self.wallet.new_key(rng),
                false => PublicKey::default(),
            },
        }
    }

    pub fn patience(&self) -> Option<u32> {
        match self.role {
            Role::Liquidator { patience } => Some(patience),
            _ => None,
        }
    }

    /// A maker's two quotes in each of its instruments; only the side that reduces where it holds
    /// more than half its equity, or the row or its own margin allows no more.
    pub fn quotes(&mut self, view: &View) -> Vec<Order> {
        let Role::Maker { half_spread } = self.role else {
            return Vec::new();
        };
        let now = view.desk.totals();
        let equity = now.equity.max(0) as u64;
        let mut quotes = Vec::new();
        for (place, row) in self.rows.clone().into_iter().enumerate() {
            let Some(market) = view.market.get(row as usize).filter(|row| is_open(row)) else {
                continue;
            };
            let held = view.desk.size(market.id);
            let worth = |lots: u64| u128::from(lots) * u128::from(market.mark);
            let is_full = worth(held.unsigned_abs()) > u128::from(equity / 2)
                || market.flags & flags::REDUCE_ONLY != 0
                || u128::from(now.initial) * 4 > u128::from(equity) * 3;
            for side in [Side::Long, Side::Short] {
                let reduces = (side == Side::Long) == (held < 0) && held != 0;
                if is_full && !reduces {
                    continue;
                }
                let most = if is_full {
                    held.unsigned_abs()
                } else {
                    u64::MAX
                };
                let size = (equity / 16 / market.mark).min(most).min(market.max_size);
                let slot = (2 * place) as u8 + side.bit() as u8;
                let limit = beyond(market.mark, side.opposite(), half_spread);
                let order = self.order(view, market.id, side, size, limit);
                quotes.extend(order.map(|order| self.in_slot(order, slot)));
            }
        }
        quotes
    }

    /// What a trader takes: opens soon, then now and then closes or turns to another instrument.
    pub fn take(&mut self, view: &View, rng: &mut ChaCha8Rng) -> Option<Order> {
        let Role::Trader { leverage, side } = self.role else {
            return None;
        };
        let held: Vec<_> = view
            .desk
            .holdings()
            .filter(|held| held.row.value == 0)
            .collect();
        let acts = if held.is_empty() {
            rng.gen_ratio(1, 3)
        } else {
            rng.gen_ratio(1, 24)
        };
        if !acts {
            return None;
        }
        if !held.is_empty() && rng.gen_ratio(1, 2) {
            let holding = held[rng.gen_range(0..held.len())];
            let (id, size) = (holding.row.id, holding.size);
            return self.reduce(view, id, size);
        }
        let row = self.rows[rng.gen_range(0..self.rows.len())];
        let market = view.market.get(row as usize).filter(|row| is_open(row))?;
        let now = view.desk.totals();
        // Leverage in tenths over all instruments; 5 % initial requirement is 20 at most.
        let goal = u128::from(now.equity.max(0) as u64) * u128::from(leverage) / 10;
        let used = u128::from(now.initial) * 20;
        let size = u64::try_from(goal.saturating_sub(used) / u128::from(market.mark)).ok()?;
        let limit = beyond(market.mark, side, TAKER_SLIP);
        let order = self.order(view, market.id, side, size.min(market.max_size), limit)?;
        Some(self.placed(order, view, rng.gen_ratio(1, 2)))
    }

    /// An order that closes a holding of `size` signed lots.
    pub fn reduce(&mut self, view: &View, id: InstrumentId, size: i64) -> Option<Order> {
        let side = if size > 0 { Side::Short } else { Side::Long };
        let market = view.market.get(id.0 as usize)?;
        let limit = beyond(market.mark, side, TAKER_SLIP);
        let mut order = self.order(view, id, side, size.unsigned_abs(), limit)?;
        order.reduce_only = true;
        Some(self.placed(order, view, false))
    }

    /// An order that takes over up to `size` lots at the mark or better: a liquidation or
    /// inventory.
    pub fn take_over(
        &mut self,
        view: &View,
        id: InstrumentId,
        side: Side,
        size: u64,
    ) -> Option<Order> {
        let mark = view.market.get(id.0 as usize)?.mark;
        let order = self.order(view, id, side, size, mark)?;
        Some(self.placed(order, view, false))
    }

    fn order(
        &self,
        view: &View,
        instrument: InstrumentId,
        side: Side,
        size: u64,
        limit: u64,
    ) -> Option<Order> {
        let mark = view.market.get(instrument.0 as usize)?.mark;
        (size > 0).then_some(Order {
            account: self.id,
            generation: view.generation,
            place: Place::Nonce(0),
            instrument,
            side,
            size,
            limit,
            max_fee_per_lot: 2 * fee_per_lot(mark),
            expiry: view.time + 3_600,
            reduce_only: false,
            amend: false,
        })
    }

    fn placed(&mut self, mut order: Order, view: &View, by_nonce: bool) -> Order {
        if let Some(nonce) = view.nonce.filter(|_| by_nonce) {
            order.place = Place::Nonce(nonce);
            return order;
        }
        // The slot whose orders are oldest.
        let slot = TAKER_SLOTS.min_by_key(|slot| self.sequences[usize::from(*slot)]);
        self.in_slot(order, slot.unwrap_or(TAKER_SLOTS.start))
    }

    /// A higher sequence ends whatever the slot held \[S4\].
    fn in_slot(&mut self, mut order: Order, slot: u8) -> Order {
        let sequence = self.next_sequence(slot);
        order.place = Place::Slot { slot, sequence };
        order
    }

    /// The sequence that ends whatever the slot holds.
    pub fn next_sequence(&mut self, slot: u8) -> u32 {
        let sequence = &mut self.sequences[usize::from(slot)];
        *sequence += 1;
        *sequence
    }
}

/// 10^-6 of the mark, rounded up.
pub fn fee_per_lot(mark: u64) -> u64 {
    (mark * TAKER_FEE).div_ceil(FRACTION_ONE)
}

/// Fills are possible in the row.
pub fn is_open(row: &MarketRow) -> bool {
    row.mark > 0 && row.flags & (flags::HALTED | flags::SETTLED) == 0
}

/// The mark moved by a fraction in the direction in which `side` pays.
fn beyond(mark: u64, side: Side, fraction: u64) -> u64 {
    let step = mark * fraction / FRACTION_ONE;
    match side {
        Side::Long => mark + step,
        Side::Short => mark - step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use tally_protocol::account::Account;
    use tally_protocol::ledger::Running;

    fn market(mark: u64) -> Vec<MarketRow> {
        let row = |id: u32| MarketRow {
            id: InstrumentId(id),
            mark,
            max_size: 1 << 30,
            ..MarketRow::default()
        };
        (0..4)
            .map(|id| {
                if id == 0 {
                    MarketRow::default()
                } else {
                    row(id)
                }
            })
            .collect()
    }

    fn agents(count: usize) -> Vec<Agent> {
        population(
            count,
            &[1, 2, 3],
            &[(4, QUOTE_UNIT)],
            &mut ChaCha8Rng::seed_from_u64(1),
        )
    }

    #[test]
    fn s3_ids_are_distinct_and_sub_accounts_share_their_parents_owner() {
        for count in [MIN_ACCOUNTS, 100] {
            let agents = agents(count);
            let ids: std::collections::BTreeSet<_> = agents.iter().map(|a| a.id).collect();
            assert_eq!((agents.len(), ids.len()), (count, count));
            assert!(agents.iter().any(Agent::is_maker));
            for agent in agents.iter().filter(|a| a.parent.is_some()) {
                assert!(agent.id.0 >= FIRST_SUB_ACCOUNT && agent.rows.len() == 1);
                let parent = agents.iter().find(|a| Some(a.id) == agent.parent).unwrap();
                assert_eq!(parent.owner, agent.owner);
            }
        }
    }

    #[test]
    fn j2_quotes_stay_in_the_band_and_never_reuse_a_sequence() {
        let mut account = Account::default();
        account.money.cash = 1 << 40;
        let (context, id) = (Default::default(), AccountId(1024));
        let context = tally_protocol::ledger::Context {
            epoch: 1,
            ..context
        };
        let rows = Default::default();
        let running = Running::open(context, id, Some(&account), &rows).unwrap();
        let desk = Desk::new(running);
        let rows = market(50 * QUOTE_UNIT);
        let view = View {
            desk: &desk,
            generation: 0,
            nonce: None,
            time: 9,
            market: &rows,
        };
        let mut maker = agents(MIN_ACCOUNTS)
            .into_iter()
            .find(Agent::is_maker)
            .unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for order in [maker.quotes(&view), maker.quotes(&view)].concat() {
            order.check().unwrap();
            assert!(seen.insert(order.place), "{:?}", order.place);
            let distance = order.limit.abs_diff(50 * QUOTE_UNIT);
            assert!(distance > 0 && distance <= QUOTE_UNIT);
            assert_eq!(order.limit < 50 * QUOTE_UNIT, order.side == Side::Long);
        }
        assert_eq!(seen.len(), 12);
    }
}
