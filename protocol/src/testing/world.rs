//! A small exchange: state, prices, and the queue's and users' counters.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Keys, Owner};
use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError, EpochTrace, Plan};
use crate::genesis::genesis;
use crate::header::Globals;
use crate::instrument::{InstrumentKind, Row, RowParams};
use crate::journal::fill::Fill;
use crate::oracle::{FeedPrices, Prices, Report, Reporters, Round, SignedReport, Stamp};
use crate::order::{Order, Place};
use crate::queue::{Deposit, Item, NewAccount, Request, Served, Service};
use crate::state::State;
use crate::terms::CASH;
use crate::testing::keys;
use crate::types::{AccountId, InstrumentId, Side};

/// Seconds between rounds.
const STEP: u64 = 15;
const REPORTERS: u64 = 4;
const FAULTS: usize = 1;

/// A row to list, with its first mark.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    pub params: RowParams,
    pub mark: u64,
}

/// A perpetual in row `id`: initial 10 %, maintenance 5 %, penalty 1 %, fills within 4 %.
pub fn perpetual(id: u32, mark: u64) -> Listed {
    let params = RowParams {
        id: InstrumentId(id),
        kind: InstrumentKind::Perpetual,
        max_price: mark.saturating_mul(64),
        max_size: 100_000,
        max_open_interest: 1_000_000,
        initial_long: 100_000,
        initial_short: 100_000,
        maintenance_long: 50_000,
        maintenance_short: 50_000,
        penalty: 10_000,
        fill_band: 40_000,
        price_band: 1_000_000,
        funding_cap: 100,
        ..RowParams::default()
    };
    Listed { params, mark }
}

/// A spot asset in row `id`: haircut 20 %, maintenance 10 %.
pub fn spot(id: u32, mark: u64) -> Listed {
    let listed = perpetual(id, mark);
    let params = RowParams {
        kind: InstrumentKind::Spot,
        asset: id,
        initial_long: 200_000,
        initial_short: 200_000,
        maintenance_long: 100_000,
        maintenance_short: 100_000,
        ..listed.params
    };
    Listed { params, mark }
}

/// An exchange between epochs.
#[derive(Clone, Debug)]
pub struct World {
    pub state: State,
    pub marks: BTreeMap<u32, u64>,
    /// Feeds that the next rounds lack.
    pub missing: BTreeSet<u32>,
    pub next_item: u64,
    /// Order sequences by account.
    sequences: BTreeMap<AccountId, u32>,
}

impl World {
    pub fn new(rows: &[Listed]) -> Self {
        let keys = (0..REPORTERS).map(|reporter| keys::public(reporter_seed(reporter)));
        let globals = Globals {
            flag_lifetime: 256,
            auction_epochs: 4,
            fill_pause: 3,
            ..Globals::default()
        };
        let reporters =
            Reporters::new(keys.collect(), FAULTS).expect("four reporters with one fault");
        let mut state = genesis(globals, reporters, 1_000).expect("genesis");
        let listed = rows.iter().map(|listed| (listed.params.id.0, listed.row()));
        state.table.set_many(listed).expect("rows fit the table");
        Self {
            state,
            marks: rows.iter().map(|l| (l.params.id.0, l.mark)).collect(),
            missing: BTreeSet::new(),
            next_item: 0,
            sequences: BTreeMap::new(),
        }
    }

    /// The next round, all reporters agreeing on `marks`.
    pub fn round(&self) -> Round {
        let header = &self.state.header;
        let stamp = Stamp {
            feed_set: header.globals.feed_set,
            round: header.round + 1,
            time: header.time + STEP,
            previous: header.round,
        };
        self.round_of(stamp)
    }

    pub fn round_of(&self, stamp: Stamp) -> Round {
        let feeds = self
            .marks
            .iter()
            .filter(|(id, _)| !self.missing.contains(id));
        let price = |mark: u64| FeedPrices {
            index: mark,
            mark,
            premium: 0,
        };
        let feeds = feeds.map(|(id, mark)| (*id, price(*mark)));
        let prices = Prices::new(feeds.collect()).expect("prices in range");
        let report = |reporter: u32| Report {
            reporter,
            stamp,
            prices_root: prices.root(),
        };
        let quorum = self.state.reporters.quorum() as u32;
        let domain = &self.state.header.globals.domain;
        let reports = (0..quorum).map(|reporter| {
            let report = report(reporter);
            let key = keys::secret(reporter_seed(reporter.into()));
            SignedReport {
                signature: key.sign(report.digest(domain)),
                report,
                prices: prices.clone(),
            }
        });
        let reports = reports.collect();
        Round::signed(&self.state.reporters, domain, reports).expect("a complete round")
    }

    pub fn plan(&self, absorb: Vec<AccountId>) -> Plan {
        Plan {
            absorb,
            fills_per_segment: 4,
            ..Plan::default()
        }
    }

    /// One epoch at `marks`, with everyone absorbed who can be.
    pub fn epoch<T>(
        &mut self,
        entries: impl FnOnce(&mut EpochBuilder<'_>) -> Result<T, EpochError>,
    ) -> Result<(T, EpochTrace), EpochError> {
        let round = self.round();
        let absorb = EpochBuilder::absorbable(&self.state, &round)?;
        let mut builder = EpochBuilder::begin(&self.state, round, self.plan(absorb))?;
        let made = entries(&mut builder)?;
        let (state, mut trace) = builder.finish()?;
        keys::sign(&mut trace);
        self.state = state;
        Ok((made, trace))
    }

    /// Deposit items that create accounts with cash; each is its account's only posting.
    pub fn fund(&mut self, accounts: &[(u32, u64)]) -> EpochTrace {
        let items: Vec<Entry> = accounts
            .iter()
            .map(|(id, cash)| self.deposit(*id, CASH, *cash, true))
            .collect();
        let pushed = self.epoch(|builder| {
            items
                .into_iter()
                .try_for_each(|item| builder.push(item).map(drop))
        });
        pushed.expect("deposits").1
    }

    /// A deposit item of the queue.
    pub fn deposit(&mut self, id: u32, instrument: InstrumentId, amount: u64, new: bool) -> Entry {
        let create = new.then(|| NewAccount {
            keys: keys_of(id),
            isolated: false,
        });
        let deposit = Deposit {
            sender: owner_of(id),
            account: AccountId(id),
            instrument,
            amount,
            create,
        };
        self.item(Request::Deposit(deposit), Service::Done)
    }

    pub fn item(&mut self, request: Request, service: Service) -> Entry {
        let index = self.next_item;
        self.next_item += 1;
        let item = Item { index, request };
        Entry::Item(Box::new(Served { item, service }))
    }

    /// A fresh order for any price, in its account's next sequence of slot 0.
    pub fn order(&mut self, id: u32, instrument: u32, lots: i64) -> Order {
        let account = AccountId(id);
        let sequence = self.sequences.entry(account).or_default();
        *sequence += 1;
        let generation = self
            .state
            .accounts
            .account(account)
            .map(|a| a.rest.generation);
        let side = if lots < 0 { Side::Short } else { Side::Long };
        Order {
            account,
            generation: generation.unwrap_or(0),
            place: Place::Slot {
                slot: 0,
                sequence: *sequence,
            },
            instrument: InstrumentId(instrument),
            side,
            size: lots.unsigned_abs(),
            limit: if side == Side::Long { (1 << 42) - 1 } else { 0 },
            max_fee_per_lot: 1_000,
            expiry: (1 << 40) - 1,
            reduce_only: false,
            amend: false,
        }
    }

    /// Both sides' fresh orders, filled whole at a price.
    pub fn fill(&mut self, long: u32, short: u32, id: u32, lots: u64, price: u64) -> Entry {
        let size = i64::try_from(lots).expect("lots");
        Entry::Fill(Box::new(Fill {
            long: self.order(long, id, size),
            short: self.order(short, id, -size),
            size: lots,
            price,
            long_fee_per_lot: 0,
            short_fee_per_lot: 0,
        }))
    }
}

impl Listed {
    fn row(&self) -> Row {
        Row {
            params: self.params,
            mark: self.mark,
            index: self.mark,
            ..Row::default()
        }
    }
}

/// Behind those of accounts, which are their ids.
pub fn reporter_seed(reporter: u64) -> u64 {
    (1 << 32) + reporter
}

pub fn keys_of(id: u32) -> Keys {
    Keys {
        key: keys::public(id.into()),
        ..Keys::default()
    }
}

pub fn owner_of(id: u32) -> Owner {
    let [a, b, c, d] = id.to_be_bytes();
    let mut owner = [0; 20];
    for (to, from) in owner.iter_mut().zip([1, a, b, c, d]) {
        *to = from;
    }
    Owner(owner)
}
