//! The simulation: market, agents and state, one epoch at a time through the native rules.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tally_circuits::journal::fill::FillSegment;
use tally_protocol::entry::Entry;
use tally_protocol::epoch::{EpochBuilder, EpochError, EpochTrace, Plan, RowStep, UnsignedError};
use tally_protocol::genesis::genesis;
use tally_protocol::header::Globals;
use tally_protocol::instrument::{MarketRow, flags};
use tally_protocol::ledger::{Context, LedgerError, MarginRows, Running};
use tally_protocol::message::Domain;
use tally_protocol::oracle::{OracleError, Round, Stamp};
use tally_protocol::posting::PostingKind;
use tally_protocol::state::State;
use tally_protocol::tick::margin_row;
use tally_protocol::tree::TreeError;
use tally_protocol::trial_balance::{self, TrialBalanceError};
use tally_protocol::types::AccountId;
use thiserror::Error;

use crate::config::ReplayConfig;
use crate::market::agents::{Agent, MAX_ACCOUNTS, MIN_ACCOUNTS, population};
use crate::market::custody::{Counts, Custody};
use crate::market::floor::Floor;
use crate::market::listing::{Listing, ListingError};
use crate::market::messages::{self, Sent};
use crate::market::path::PricePath;
use crate::market::reporters::Panel;
use crate::market::requests;
use crate::market::rescue::{self, Auction};
use crate::market::setup::{SETUP_SECONDS, Setup};
use crate::market::trading::{self, Books};
use crate::market::wallet::Wallets;

/// Rows of the table but the quote's.
const MOST_ROWS: usize = 1023;
/// Fills that share a fee posting.
const FILLS_PER_SEGMENT: usize = FillSegment::CAPACITY;
/// Perpetuals whose asset is also taken as collateral, where it is there; else the first.
const COLLATERAL: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

#[derive(Debug, Error)]
pub enum SimError {
    #[error("[accounts.too_few] --accounts {asked}, at least {MIN_ACCOUNTS} are needed")]
    TooFewAccounts { asked: usize },
    #[error("[accounts.too_many] --accounts {asked}, at most {MAX_ACCOUNTS} are simulated")]
    TooManyAccounts { asked: usize },
    #[error("[setup.unfinished] the setup did not end in its epochs")]
    Unfinished,
    #[error("[start.too_early] the setup takes {before} s before the market, which is before 1970")]
    TooEarly { before: u64 },
    #[error("[market.no_price] no price for epoch {epoch}")]
    NoPrice { epoch: u64 },
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
    #[error("account {}: {source}", account.0)]
    Ledger {
        account: AccountId,
        source: LedgerError,
    },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("epoch {epoch}: {source}")]
    Epoch { epoch: u32, source: EpochError },
    #[error("epoch {epoch}: {source}")]
    TrialBalance {
        epoch: u32,
        source: TrialBalanceError,
    },
    #[error("[{}] epoch {epoch}: {source}", source.code())]
    Unsigned { epoch: u32, source: UnsignedError },
    #[error("[Q5] epoch {epoch}: account {} is bankrupt and was not absorbed", account.0)]
    Bankrupt { epoch: u32, account: AccountId },
}

/// What one epoch did.
#[derive(Clone, Debug, Default)]
pub struct EpochReport {
    pub epoch: u32,
    pub time: u64,
    pub entries: u64,
    pub fills: u64,
    pub flags: u64,
    pub liquidations: u64,
    pub absorptions: u64,
    pub unwinds: u64,
    /// Micro-quote that the tick took from winners \[Q6\].
    pub socialised: u64,
    pub deficit: u64,
    pub accounts_touched: u64,
    pub sent: Sent,
}

#[derive(Debug)]
pub struct Simulation {
    pub path: PricePath,
    pub listings: Vec<Listing>,
    pub state: State,
    agents: Vec<Agent>,
    books: Books,
    panel: Panel,
    custody: Custody,
    setup: Setup,
    setup_epochs: u64,
    done: u64,
    trading_rng: ChaCha8Rng,
    money_rng: ChaCha8Rng,
    requests_rng: ChaCha8Rng,
}

impl Simulation {
    pub fn new(config: &ReplayConfig, path: PricePath) -> Result<Self, SimError> {
        let asked = config.accounts;
        if asked < MIN_ACCOUNTS {
            return Err(SimError::TooFewAccounts { asked });
        }
        if asked > MAX_ACCOUNTS {
            return Err(SimError::TooManyAccounts { asked });
        }
        let rng = |stream: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            rng.set_stream(stream);
            rng
        };
        let listings = listings(&path)?;
        let first: Vec<u64> = listings
            .iter()
            .map(|listing| price_of(&path, listing, 0).ok_or(SimError::NoPrice { epoch: 0 }))
            .collect::<Result<_, _>>()?;
        let agents = {
            let is_spot = |listing: &Listing| listing.params.asset != 0;
            let perpetuals: Vec<u32> = listings
                .iter()
                .filter(|l| !is_spot(l))
                .map(|l| l.row)
                .collect();
            let priced = listings.iter().zip(&first);
            let spots: Vec<_> = priced
                .filter(|(l, _)| is_spot(l))
                .map(|(l, price)| (l.row, *price))
                .collect();
            population(config.accounts, &perpetuals, &spots, &mut rng(1))
        };
        let panel = Panel::new(rng(2), globals(config).domain)?;
        let setup = Setup::new(&listings, &first, &agents);
        let setup_epochs = setup.epochs();
        // Genesis is a step before the setup's first epoch.
        let before = (setup_epochs + 1) * SETUP_SECONDS;
        let begin = path
            .time(0)
            .checked_sub(before)
            .ok_or(SimError::TooEarly { before })?;
        let state = genesis(globals(config), panel.set.clone(), begin)?;
        let books = (0..=MOST_ROWS).map(|_| Default::default()).collect();
        Ok(Self {
            path,
            listings,
            state,
            agents,
            books,
            panel,
            custody: Custody::default(),
            setup,
            setup_epochs,
            done: 0,
            trading_rng: rng(3),
            money_rng: rng(4),
            requests_rng: rng(5),
        })
    }

    /// Epochs before the market's first and in all.
    pub fn setup_epochs(&self) -> u64 {
        self.setup_epochs
    }

    pub fn epochs(&self) -> u64 {
        self.setup_epochs + self.path.epochs
    }

    pub fn counts(&self) -> Counts {
        self.custody.counts
    }

    pub fn accounts(&self) -> usize {
        self.agents.len()
    }

    /// The next epoch, settled, its trial balance checked.
    pub fn step(&mut self) -> Result<(EpochReport, EpochTrace), SimError> {
        self.panel.is_open = self.done >= self.setup_epochs;
        let (place, time) = match self.done.checked_sub(self.setup_epochs) {
            None => (
                0,
                self.path.time(0) - (self.setup_epochs - self.done) * SETUP_SECONDS,
            ),
            Some(place) => (place, self.path.time(place)),
        };
        let round = self.round(place, time)?;
        let epoch = self.state.header.epoch + 1;
        let fault = |source| SimError::Epoch { epoch, source };
        let mut absorb = EpochBuilder::absorbable(&self.state, &round).map_err(fault)?;
        let mut report = EpochReport {
            epoch,
            time,
            absorptions: absorb.len() as u64,
            ..EpochReport::default()
        };
        let absorb_by_item =
            requests::named(&mut absorb, &self.custody, epoch, &mut self.requests_rng);
        let plan = Plan {
            absorb: absorb.clone(),
            absorb_by_item: absorb_by_item.clone(),
            fills_per_segment: FILLS_PER_SEGMENT,
            ..Plan::default()
        };
        let state = self.state.clone();
        let mut builder = EpochBuilder::begin(&state, round, plan).map_err(fault)?;
        let decided = self.decide(&builder, (&absorb, &absorb_by_item), &mut report);
        for entry in decided.map_err(fault)? {
            report.fills += u64::from(entry.is_fill());
            builder
                .push_signed(entry, &Wallets(&self.agents))
                .map_err(fault)?;
        }
        report.entries = builder.entries() as u64;
        report.socialised = builder.socialised();
        let (state, trace) = builder.finish().map_err(fault)?;
        trace
            .verify_signatures()
            .map_err(|source| SimError::Unsigned { epoch, source })?;
        self.state = state;
        report.deficit = self.state.header.deficit;
        report.accounts_touched = trace.accounts.len() as u64;
        trial_balance::check(&self.state)
            .map_err(|source| SimError::TrialBalance { epoch, source })?;
        self.check_absorbed(&trace)?;
        self.done += 1;
        if self.done == self.setup_epochs && !self.setup.is_done() {
            return Err(SimError::Unfinished);
        }
        Ok((report, trace))
    }

    fn round(&mut self, place: u64, time: u64) -> Result<Round, SimError> {
        let mut prices = BTreeMap::new();
        for listing in &self.listings {
            let price = price_of(&self.path, listing, place);
            prices.insert(
                listing.row,
                price.ok_or(SimError::NoPrice { epoch: place })?,
            );
        }
        let header = &self.state.header;
        let stamp = Stamp {
            feed_set: header.globals.feed_set,
            round: header.round + 1,
            time,
            previous: header.round,
        };
        Ok(self.panel.round(stamp, &prices)?)
    }

    /// What the epoch's agents, owners and liquidators want, as entries that will be accepted.
    fn decide(
        &mut self,
        builder: &EpochBuilder,
        (absorbed, to_absorb): (&[AccountId], &[AccountId]),
        report: &mut EpochReport,
    ) -> Result<Vec<Entry>, EpochError> {
        let mut market = vec![MarketRow::default(); MOST_ROWS + 1];
        for row in builder.market() {
            if let Some(place) = market.get_mut(row.row as usize) {
                *place = *row;
            }
        }
        let mut floor = Floor::new(builder, market);
        absorbed.iter().for_each(|id| floor.reserve(*id));
        let auction = Auction {
            epochs: builder.header().globals.auction_epochs,
            budget: builder.group_equity().max(0) as u64,
        };
        if self.done < self.setup_epochs {
            self.setup
                .step(&mut floor, &mut self.custody, &self.agents)?;
            return Ok(floor.entries);
        }
        let may_withdraw = builder.header().deficit == 0;
        let before = self.custody.counts;
        let (agents, rng) = (&mut self.agents, &mut self.requests_rng);
        requests::ask(&mut floor, &mut self.custody, agents, to_absorb, rng)?;
        let asked = self.custody.counts;
        report.flags = asked.l1_flags - before.l1_flags;
        report.flags += rescue::flag(&mut floor, &self.agents)?;
        report.liquidations = asked.l1_takes - before.l1_takes;
        report.liquidations += rescue::liquidate(&mut floor, &mut self.agents, auction)?;
        let rng = &mut self.money_rng;
        self.custody
            .move_money(&mut floor, &self.agents, may_withdraw, rng)?;
        let (books, agents) = (&mut self.books, &mut self.agents);
        report.sent = messages::send(&mut floor, books, agents, &mut self.requests_rng)?;
        report.unwinds = rescue::unwind(&mut floor, &mut self.agents, auction)?;
        trading::trade(
            &mut floor,
            &mut self.books,
            &mut self.agents,
            &mut self.trading_rng,
        )?;
        Ok(floor.entries)
    }

    /// \[Q5\], \[T6\] Seen from the state after the epoch and from its rows, the shift apart:
    /// whoever is bankrupt and was not absorbed holds something in a halted row, or became so by
    /// this epoch's own postings.
    fn check_absorbed(&self, trace: &EpochTrace) -> Result<(), SimError> {
        let unshifted = |row: &RowStep| {
            let ticked = row.ticked.map_or(row.read, |ticked| ticked.row);
            margin_row(&ticked, None)
        };
        let rows: MarginRows = trace.rows.iter().map(unshifted).collect();
        let epoch = self.state.header.epoch;
        let steps: BTreeMap<AccountId, _> =
            trace.accounts.iter().map(|step| (step.id, step)).collect();
        for agent in &self.agents {
            let before = match steps.get(&agent.id) {
                Some(step) => step.before.as_ref(),
                None => self.state.accounts.account(agent.id),
            };
            let context = Context {
                epoch,
                flag_expiry: 0,
            };
            let opened = Running::open(context, agent.id, before, &rows).map_err(|source| {
                SimError::Ledger {
                    account: agent.id,
                    source,
                }
            })?;
            let absorbed = steps.get(&agent.id).is_some_and(|step| {
                step.postings
                    .iter()
                    .any(|step| step.posting.kind == PostingKind::Absorbed)
            });
            if opened.opening.is_bankrupt && !absorbed && !holds_halted(&opened) {
                return Err(SimError::Bankrupt {
                    epoch,
                    account: agent.id,
                });
            }
        }
        Ok(())
    }
}

fn holds_halted(running: &Running) -> bool {
    let halted = flags::HALTED | flags::SETTLED;
    running
        .places
        .iter()
        .any(|place| place.holding.size != 0 && place.holding.row.flags & halted == flags::HALTED)
}

fn price_of(path: &PricePath, listing: &Listing, epoch: u64) -> Option<u64> {
    path.price(listing.series, epoch)
        .map(|unit| listing.price(unit))
}

fn globals(config: &ReplayConfig) -> Globals {
    Globals {
        domain: Domain {
            chain_id: config.deployment.chain_id,
            contract: config.deployment.contract.0,
        },
        fee_owner: config.deployment.contract.0,
        fill_pause: 3,
        flag_lifetime: 256,
        auction_epochs: 16,
        timelock: SETUP_SECONDS as u32,
        feed_set: 0,
    }
}

/// A perpetual for every series from row 1 on, then the collateral.
fn listings(path: &PricePath) -> Result<Vec<Listing>, SimError> {
    let mut listings = Vec::new();
    for (series, symbol) in path.symbols().enumerate() {
        let unit = path
            .price(series, 0)
            .ok_or(SimError::NoPrice { epoch: 0 })?;
        listings.push(Listing::perpetual(symbol, series as u32 + 1, series, unit)?);
    }
    let is_named = |listing: &&Listing| COLLATERAL.contains(&listing.symbol.as_str());
    let mut spots: Vec<Listing> = listings.iter().filter(is_named).cloned().collect();
    if spots.is_empty() {
        spots.extend(listings.first().cloned());
    }
    for perpetual in spots {
        let row = listings.len() as u32 + 1;
        if (row as usize) <= MOST_ROWS && row < 896 {
            listings.push(perpetual.spot(row, row));
        }
    }
    Ok(listings)
}
