//! [J4], completeness: whatever the accounts' state, an item can be done or one refusal of it is
//! accepted by the ledger; and where it can be done, the operator cannot have it refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::account::{Account, AccountKind, Slot};
use crate::bounds::SLOTS;
use crate::entry::{Entry, EpochTerms, Market, Terms};
use crate::instrument::{InstrumentKind, MarginRow, MarketRow, flags};
use crate::journal::refusal::fault;
use crate::journal::testing::{PERPETUAL, SPOT, epoch};
use crate::ledger::{Context, Env, Facts, MarginRows, Running};
use crate::margin::liquidation_charge;
use crate::orders::{OrderTree, empty_orders};
use crate::posting::Refusal;
use crate::queue::{Deposit, Item, Reason, Request, Served, Service, Take};
use crate::terms::CASH;
use crate::types::{AccountId, InstrumentId, Side};

use super::{HALTED, MARK, PENALTY, REDUCE_ONLY, keys, owner};

const USER: AccountId = AccountId(2000);
const TAKER: AccountId = AccountId(3000);
const MAX_SIZE: u64 = 40;
/// Perpetuals that fill an account's slots.
const FILLERS: core::ops::Range<u32> = 100..116;

fn market_row(id: InstrumentId) -> MarketRow {
    let spot = id == SPOT || id == REDUCE_ONLY;
    let kind = if spot {
        InstrumentKind::Spot
    } else {
        InstrumentKind::Perpetual
    };
    MarketRow {
        id,
        kind,
        asset: if spot { id.0 } else { 0 },
        row: id.0,
        mark: MARK,
        index: MARK,
        min_fill: MARK,
        max_fill: MARK,
        penalty: PENALTY,
        max_size: MAX_SIZE,
        insurance_since: 0,
        flags: match id {
            HALTED => flags::REDUCE_ONLY | flags::HALTED,
            REDUCE_ONLY => flags::REDUCE_ONLY,
            _ => 0,
        },
    }
}

fn margin_row(row: &MarketRow) -> MarginRow {
    let spot = row.kind == InstrumentKind::Spot;
    let strict = row.flags & flags::HALTED != 0;
    let whole = |strictly, otherwise| if strict { strictly } else { otherwise };
    MarginRow {
        id: row.id,
        value: if spot { MARK } else { 0 },
        initial_long: MARK / 5,
        initial_short: MARK / 5,
        maintenance_long: MARK / 10,
        maintenance_short: MARK / 10,
        outflow_long: whole(MARK, MARK / 5),
        outflow_short: whole(2 * MARK, MARK / 5),
        max_size: row.max_size,
        flags: row.flags,
        ..MarginRow::default()
    }
}

struct Scene {
    epoch: EpochTerms,
    market: Market,
    rows: MarginRows,
    accounts: BTreeMap<AccountId, Account>,
}

impl Scene {
    fn new(accounts: BTreeMap<AccountId, Account>) -> Self {
        let ids = [PERPETUAL, SPOT, HALTED, REDUCE_ONLY].into_iter();
        let rows: Vec<_> = ids
            .chain(FILLERS.map(InstrumentId))
            .map(market_row)
            .collect();
        Self {
            epoch: epoch(),
            rows: rows.iter().map(margin_row).collect(),
            market: Market::new(rows),
            accounts,
        }
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            epoch: &self.epoch,
            market: &self.market,
        }
    }

    fn open(&self, id: AccountId) -> Running {
        let context = Context {
            epoch: self.epoch.epoch,
            flag_expiry: 256,
        };
        Running::open(context, id, self.accounts.get(&id), &self.rows).unwrap()
    }

    /// Whether journal and ledger both accept that the item ends so.
    fn accepts(&self, request: &Request, service: Service) -> bool {
        let item = Item {
            index: 0,
            request: request.clone(),
        };
        let entry = Entry::Item(Box::new(Served { item, service }));
        let Ok(effects) = entry.effects(&self.terms()) else {
            return false;
        };
        let orders = OrderTree::default();
        let env = Env {
            rows: &self.rows,
            orders: &orders,
        };
        let users = effects
            .postings
            .iter()
            .filter(|o| !o.posting.account.is_system());
        users.enumerate().all(|(index, opened)| {
            let mut posting = opened.posting.clone();
            posting.epoch = self.epoch.epoch;
            posting.index = index as u32;
            let facts = Facts {
                aux: opened.aux,
                keys: opened.keys,
                ..Facts::default()
            };
            let mut running = self.open(posting.account);
            running.apply(&posting, &facts, &env).is_ok() && running.close().is_ok()
        })
    }

    /// Every way in which the item might be done.
    fn services(&self, request: &Request) -> Vec<Service> {
        match request {
            Request::Withdraw {
                account,
                instrument,
                amount,
                ..
            } => {
                let running = self.open(*account);
                let totals = running.opening.totals;
                let spare = totals.equity.saturating_sub_unsigned(totals.outflow);
                let most = u64::try_from(spare.min(running.cash)).unwrap_or(0);
                if *instrument == CASH {
                    vec![Service::Paid((*amount).min(most).min(self.epoch.vault))]
                } else {
                    (1..=(*amount).min(MAX_SIZE)).map(Service::Paid).collect()
                }
            }
            Request::Take(take) => {
                let running = self.open(take.account);
                let charge = liquidation_charge(&running.opening.totals, MARK / 5, PENALTY);
                let flagged_at = running.flagged_at;
                (1..=take.size.min(MAX_SIZE))
                    .map(|size| Service::Taken {
                        size,
                        charge,
                        flagged_at,
                    })
                    .collect()
            }
            Request::Absorb { account } => {
                let running = self.open(*account);
                let holdings = Box::new(running.absorbed_holdings());
                let debt = running.absorbed_cash().unsigned_abs();
                vec![Service::Absorbed { holdings, debt }]
            }
            _ => vec![Service::Done],
        }
    }

    fn refusals(&self, request: &Request) -> Vec<Reason> {
        let terms = self.terms();
        if let Some(fault) = fault(request, &terms).unwrap() {
            return vec![Reason::Terms(fault)];
        }
        let mut reasons = request.reasons(&terms);
        if let Request::Absorb { .. } = request {
            reasons.push(Reason::Halted(HALTED));
        }
        reasons
    }
}

/// An account that exists or not, with slots, flags, owners and counters of all sorts.
fn account() -> impl Strategy<Value = Option<Account>> {
    let lots = 1..=MAX_SIZE;
    let core = prop::sample::subsequence(vec![PERPETUAL, SPOT, HALTED, REDUCE_ONLY], 0..=4);
    let held = (
        core,
        prop_oneof![3 => Just(0), 1 => 0usize..=16],
        lots,
        any::<u16>(),
    );
    let cash = prop_oneof![
        6 => -30_000_000i64..30_000_000,
        1 => Just(0),
        1 => (1i64 << 60) - 1_000..1 << 60,
        1 => -2_000i64..2_000,
    ];
    let flag = prop_oneof![Just(0u32), Just(700), Just(990), Just(999)];
    let rest = (
        any::<bool>(),
        prop_oneof![4 => Just(1u8), 1 => Just(2)],
        any::<bool>(),
    );
    let generation = prop_oneof![Just(0), Just(u32::MAX)];
    (
        held,
        cash,
        flag,
        rest,
        prop::bool::weighted(0.9),
        generation,
    )
        .prop_map(
            |((core, fillers, lots, sides), cash, flag, (isolated, by, _), exists, generation)| {
                let mut account = Account {
                    owner: owner(by),
                    ..Account::default()
                };
                account.rest.keys = keys(1);
                account.rest.orders_root = empty_orders();
                account.rest.generation = generation;
                account.money.cash = cash;
                account.money.flagged_at = flag;
                let fillers = FILLERS.take(fillers).map(InstrumentId);
                let ids: Vec<_> = core.into_iter().chain(fillers).take(SLOTS).collect();
                if isolated && ids.len() <= 1 {
                    account.rest.kind = AccountKind::Isolated;
                }
                for (at, (slot, instrument)) in account.money.slots.iter_mut().zip(ids).enumerate()
                {
                    let owned = market_row(instrument).kind == InstrumentKind::Spot;
                    let short = sides >> at & 1 == 1 && !owned;
                    let side = if short { Side::Short } else { Side::Long };
                    *slot = Slot {
                        instrument,
                        side,
                        size: lots,
                        carry: 0,
                    };
                }
                exists.then_some(account)
            },
        )
}

fn request() -> impl Strategy<Value = Request> {
    let sender = owner(1);
    let instrument = || {
        prop_oneof![
            Just(CASH),
            Just(SPOT),
            Just(SPOT),
            Just(PERPETUAL),
            Just(HALTED),
            Just(REDUCE_ONLY)
        ]
    };
    let amount = prop_oneof![
        0u64..50,
        0u64..20_000_000,
        Just((1 << 56) - 1),
        Just(1 << 56)
    ];
    let account = USER;
    let side = prop_oneof![Just(Side::Long), Just(Side::Short)];
    let traded = prop_oneof![4 => Just(PERPETUAL), 2 => Just(SPOT), 1 => Just(HALTED)];
    prop_oneof![
        3 => (instrument(), amount.clone()).prop_map(move |(instrument, amount)| {
            Request::Deposit(Deposit { sender, account, instrument, amount, create: None })
        }),
        3 => (instrument(), amount).prop_map(move |(instrument, amount)| {
            Request::Withdraw { sender, account, instrument, amount }
        }),
        1 => Just(Request::KeyChange { sender, account, keys: keys(2) }),
        1 => Just(Request::CancelAll { sender, account }),
        1 => Just(Request::Flag { account }),
        2 => Just(Request::Absorb { account }),
        6 => (traded, side, 1u64..=MAX_SIZE + 1).prop_map(move |(instrument, side, size)| {
            let limit = MARK;
            Request::Take(Take { sender, account, taker: TAKER, instrument, side, size, limit })
        }),
    ]
}

/// A taker who cannot bear all that he asks for may be served less, or refused: he chose the size.
fn is_the_takers_choice(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Taker(Refusal::Margin | Refusal::Bounds | Refusal::Flagged)
    )
}

proptest! {
    #![proptest_config(super::config(4000))]

    #[test]
    fn j4_every_item_ends_and_not_by_the_operators_choice(
        user in account(), taker in account(), request in request(),
    ) {
        let accounts = [(USER, user), (TAKER, taker)].into_iter();
        let accounts = accounts.filter_map(|(id, account)| Some((id, account?)));
        let mut accounts: BTreeMap<_, _> = accounts.collect();
        if let Some(taker) = accounts.get_mut(&TAKER) {
            // A gain of at most 2^55 fits: L1's caps keep all cash far below 2^60 [C1].
            taker.money.cash = taker.money.cash.min(1 << 59);
        }
        let scene = Scene::new(accounts);
        let done: Vec<_> = scene
            .services(&request)
            .into_iter()
            .filter(|service| scene.accepts(&request, service.clone()))
            .collect();
        let refused: Vec<_> = scene
            .refusals(&request)
            .into_iter()
            .filter(|reason| scene.accepts(&request, Service::Refused(*reason)))
            .collect();
        prop_assert!(!done.is_empty() || !refused.is_empty(), "{:?}", request);
        if !done.is_empty() {
            let forced: Vec<_> =
                refused.iter().filter(|reason| !is_the_takers_choice(**reason)).collect();
            prop_assert!(forced.is_empty(), "{:?}: {:?} and {:?}", request, done, forced);
            // How much is no choice either.
            prop_assert_eq!(done.len(), 1, "{:?}", done);
        }
    }
}
