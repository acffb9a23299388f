//! Colluding users who try everything at once: prices at the band's ends, fees, sub-accounts made
//! and emptied in one epoch, lots moved between them, unwinds at any discount, sweeps, L1 items
//! done and refused, listings, missing prices, marks that jump. Most of it is refused.
//!
//! A try is a few numbers, wherever they come from; what it means depends on the epoch under way.

use crate::account::{AccountKind, Keys, Owner};
use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError, EpochTrace};
use crate::journal::FIRST_SUB_ACCOUNT;
use crate::journal::fee_withdraw::FeeWithdraw;
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::journal::liquidation::Liquidation;
use crate::journal::refusal::{Fault, fault};
use crate::journal::sweep::Sweep;
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::journal::unwind::Unwind;
use crate::journal::withdraw::WithdrawEntry;
use crate::listing::Change;
use crate::message::{Cancel, CancelAll, KeyChange, Transfer, Withdraw};
use crate::order::Place;
use crate::queue::{Deposit, Item, Reason, Request, Served, Service, Take};
use crate::terms::CASH;
use crate::testing::keys;
use crate::testing::world::keys_of;
use crate::testing::{World, perpetual, spot};
use crate::types::{AccountId, InstrumentId, Side};

const MARK: u64 = 10_000_000;
const FIRST: u32 = 2_000;
const USERS: u32 = 4;
/// Rows 1 and 17 have different insurance accounts; 3 is spot.
const ROWS: [u32; 3] = [1, 17, 3];
const SPOT: u32 = 3;
/// A place of the table where nothing is listed at first, and one where nothing ever is.
const LATER: u32 = 5;
const NOWHERE: u32 = 9;

/// What is tried, and five numbers that say how.
pub type Try = (u8, [u64; 5]);
/// Numbers of a try's first part.
pub const KINDS: u8 = 22;

/// Marks move by thousandths, a feed may be missing, then the tries.
#[derive(Clone, Debug, Default)]
pub struct TriedEpoch {
    pub moves: [i64; 3],
    /// The place in the rows; none beyond.
    pub missing: u64,
    pub tries: Vec<Try>,
}

impl TriedEpoch {
    /// Of numbers from anywhere.
    pub fn of(mut number: impl FnMut() -> u64, tries: usize) -> Self {
        let (down, span) = of(
            &[
                (600, 9_600),
                (110, 220),
                (75, 150),
                (75, 150),
                (9, 18),
                (9, 18),
            ],
            number(),
        );
        let moves = [(); 3].map(|()| (number() % span).cast_signed() - down);
        let mut how = || {
            let kind = (number() % u64::from(KINDS)) as u8;
            (kind, [(); 5].map(|()| number() >> 44))
        };
        let tries = (0..tries).map(|_| how()).collect();
        Self {
            moves,
            missing: number() % 24,
            tries,
        }
    }
}

/// What an entry is, and how it ends if it is an item.
pub fn label(entry: &Entry) -> String {
    let debug = format!("{entry:?}");
    let name = |debug: &str| {
        let end = debug.find(|c: char| !c.is_alphanumeric());
        debug
            .get(..end.unwrap_or(debug.len()))
            .unwrap_or_default()
            .to_owned()
    };
    let Entry::Item(served) = entry else {
        return name(&debug);
    };
    let request = name(&format!("{:?}", served.item.request));
    let end = match served.service {
        Service::Refused(Reason::Terms(fault)) => fault.code(),
        Service::Refused(Reason::Taker(_)) => "taker",
        Service::Refused(_) => "account",
        _ => "done",
    };
    format!("{request} {end}")
}

impl World {
    /// Four users with more and more cash, two perpetuals and a spot asset.
    pub fn of_tries() -> (Self, EpochTrace) {
        let rows = [perpetual(1, MARK), perpetual(17, MARK), spot(SPOT, MARK)];
        let mut world = Self::new(&rows);
        world.state.header.globals.timelock = 20;
        let funds = (0..USERS).map(|index| (FIRST + index, 60_000_000 << (2 * index)));
        let trace = world.fund(&funds.collect::<Vec<_>>());
        (world, trace)
    }

    /// One epoch; of each try the first form that the rules accept. How many they did.
    pub fn try_epoch(&mut self, epoch: &TriedEpoch) -> Result<(usize, EpochTrace), EpochError> {
        for (row, thousandths) in ROWS.into_iter().zip(epoch.moves) {
            let mark = self.marks.get(&row).copied().unwrap_or_default();
            let mark = mark.cast_signed();
            let moved = (mark + mark / 1_000 * thousandths).clamp(1_000_000, 64 * 10_000_000);
            self.marks.insert(row, moved.cast_unsigned());
        }
        let lacks = ROWS.get(usize::try_from(epoch.missing).unwrap_or(usize::MAX));
        self.missing = lacks.into_iter().copied().collect();
        let (state, round) = (self.state.clone(), self.round());
        let mut plan = self.plan(EpochBuilder::absorbable(&state, &round)?);
        // Some are left to L1.
        if self.next_item.is_multiple_of(2) {
            plan.absorb_by_item.extend(plan.absorb.pop());
        }
        let by_item = plan.absorb_by_item.clone();
        let mut builder = EpochBuilder::begin(&state, round, plan)?;
        let mut accepted = 0;
        for account in by_item {
            let item = absorbed(self, &builder, account)?;
            builder.push(item)?;
            self.next_item += 1;
        }
        for how in &epoch.tries {
            let forms = tried(self, &builder, *how);
            let taken = forms.into_iter().find_map(|entry| {
                let is_item = matches!(entry, Entry::Item(_));
                builder.push(entry).is_ok().then_some(is_item)
            });
            accepted += usize::from(taken.is_some());
            self.next_item += u64::from(taken == Some(true));
        }
        let (state, mut trace) = builder.finish()?;
        keys::sign(&mut trace);
        self.state = state;
        Ok((accepted, trace))
    }
}

/// One of the users, or now and then the sub-account of one.
fn someone(number: u64) -> u32 {
    let user = number as u32 % USERS;
    match number % 11 {
        0..9 => FIRST + user,
        _ => FIRST_SUB_ACCOUNT + user,
    }
}

fn of<T: Copy>(list: &[T], number: u64) -> T {
    let chosen = list.get(number as usize % list.len());
    *chosen.expect("a list of some")
}

/// The forms of a try, the likelier ones first; items stand in the queue's next place.
fn tried(world: &mut World, builder: &EpochBuilder<'_>, (kind, how): Try) -> Vec<Entry> {
    let [a, b, c, d, e] = how;
    let (one, other, row) = (someone(a), someone(b), of(&ROWS, c));
    let lots = 1 + d % 90;
    let entry = match kind {
        0..=6 => fill(world, builder, (one, other, row), how),
        7 | 8 => return liquidation(world, builder, how).into_iter().collect(),
        9 => Entry::Flag(Flag {
            account: needy(builder, one, a),
        }),
        10 => withdraw(builder, one, of(&[SPOT, 0, 0], e), d * (1 + e % 900)),
        11 | 12 => transfer(builder, how),
        13 | 14 => {
            let lots = of(&[1, -1], e) * lots.cast_signed();
            let order = world.order(one, row, lots);
            let (size, discount) = (lots.unsigned_abs(), e * 7 % 110_000);
            let unwind = |discount| Unwind {
                order: order.clone(),
                size,
                discount,
            };
            let forms = [discount, discount / 16, 0].map(|d| Entry::Unwind(Box::new(unwind(d))));
            return forms.into();
        }
        15 => Entry::Sweep(Sweep {
            account: AccountId(1),
            amount: d.cast_signed() - (1 << 19),
        }),
        16 => {
            let (id, amount) = of(&[(CASH, 1 + d * 50), (InstrumentId(SPOT), 1 + d % 30)], e);
            let request = deposit(builder, one, id, amount);
            return served(world, builder, request, Service::Done);
        }
        17 => act(world, builder, e, one),
        18 if e % 3 == 0 => Entry::FeeWithdraw(FeeWithdraw {
            amount: 1 + d % 500,
        }),
        18 => listing(world, d),
        _ => return item(world, builder, how),
    };
    vec![entry]
}

fn fill(
    world: &mut World,
    builder: &EpochBuilder<'_>,
    (one, other, row): (u32, u32, u32),
    [_, _, _, d, e]: [u64; 5],
) -> Entry {
    let market = builder.market().find(|market| market.row == row);
    let mark = market.map_or(1, |market| market.mark);
    // A few, or as many as both can bear.
    let most = [one, other].map(|id| bearable(builder, id, mark));
    let lots = of(&[1 + d % 90, most[0].min(most[1])], e);
    Entry::Fill(Box::new(Fill {
        long: world.order(one, row, lots.cast_signed()),
        short: world.order(other, row, -lots.cast_signed()),
        size: lots,
        price: mark / 1_000 * of(&[1_000, 955 + e % 90], d),
        long_fee_per_lot: e % 7 * 200 % 1_001,
        short_fee_per_lot: e % 3 * 500,
    }))
}

/// Anyone, or where there are some, one of those that are liquidatable.
fn needy(builder: &EpochBuilder<'_>, one: u32, number: u64) -> AccountId {
    let found: Vec<_> = builder.liquidatable().map(|(id, _)| id).collect();
    let chosen = found.get(number as usize % found.len().max(1));
    chosen.copied().unwrap_or(AccountId(one))
}

/// About the lots of a perpetual for which an account has the margin.
fn bearable(builder: &EpochBuilder<'_>, id: u32, mark: u64) -> u64 {
    let running = builder.account(AccountId(id)).expect("an opening");
    let totals = running.opening.totals;
    let spare = totals.equity.saturating_sub_unsigned(totals.initial);
    (spare.max(0).unsigned_abs() / (mark / 10 + 1)).clamp(1, 1_000)
}

fn liquidation(world: &mut World, builder: &EpochBuilder<'_>, how: [u64; 5]) -> Option<Entry> {
    let [a, b, _, d, e] = how;
    let account = needy(builder, someone(a), a);
    let running = builder.account(account).ok()?;
    let held: Vec<_> = running
        .places
        .iter()
        .filter(|p| p.holding.size != 0)
        .collect();
    let place = held.get(e as usize % held.len().max(1))?;
    let (id, size) = (place.holding.row.id, place.holding.size);
    let (charge, flagged_at) = builder.liquidation_terms(account, id).ok()??;
    let lots = (1 + d % 60).min(size.unsigned_abs());
    Some(Entry::Liquidation(Box::new(Liquidation {
        account,
        order: world.order(someone(b), id.0, lots.cast_signed() * size.signum()),
        size: lots,
        charge,
        discount: charge * (e % 5) / 4,
        flagged_at,
    })))
}

/// Owner, generation and nonce of an account as it stands.
fn counters(builder: &EpochBuilder<'_>, id: u32) -> (Owner, u32, u32, Keys) {
    let running = builder.account(AccountId(id)).expect("an opening");
    let rest = running.rest;
    (running.owner, rest.generation, rest.nonce, rest.keys)
}

fn withdraw(builder: &EpochBuilder<'_>, id: u32, instrument: u32, amount: u64) -> Entry {
    let (owner, generation, nonce, _) = counters(builder, id);
    let lots = 1 + amount % 20;
    let message = Withdraw {
        account: AccountId(id),
        generation,
        nonce,
        instrument: InstrumentId(instrument),
        amount: if instrument == 0 { amount } else { lots },
        least: 0,
    };
    Entry::Withdraw(WithdrawEntry { message, owner })
}

/// Cash or lots, to anyone, to one of the same owner, or into a new sub-account.
fn transfer(builder: &EpochBuilder<'_>, [a, b, c, d, e]: [u64; 5]) -> Entry {
    let (from, to) = (someone(a), someone(b));
    let (owner, generation, nonce, keys) = counters(builder, from);
    let instrument = of(&[0, 1, 17, SPOT], c);
    let receiver = match e % 4 {
        0 => Receiver::Anyone,
        1 => Receiver::SameOwner(owner),
        _ => Receiver::New {
            owner,
            keys,
            kind: of(&[AccountKind::Cross, AccountKind::Isolated], e / 4),
        },
    };
    let is_cash = instrument == 0;
    let message = Transfer {
        account: AccountId(from),
        generation,
        nonce,
        to: AccountId(to),
        instrument: InstrumentId(instrument),
        short: !is_cash && d % 2 == 0,
        amount: if is_cash { 1 + d * 200 } else { 1 + d % 40 },
        terms: receiver.aux().digest(),
    };
    Entry::Transfer(Box::new(TransferEntry { message, receiver }))
}

/// Cancel, cancel-all, key change.
fn act(world: &mut World, builder: &EpochBuilder<'_>, kind: u64, id: u32) -> Entry {
    let (_, generation, nonce, keys) = counters(builder, id);
    let account = AccountId(id);
    match kind % 3 {
        0 => {
            let Place::Slot { slot, sequence } = world.order(id, 1, 1).place else {
                unreachable!("orders of this world stand in slots")
            };
            Entry::Cancel(Cancel {
                account,
                generation,
                slot,
                sequence,
            })
        }
        1 => Entry::CancelAll(CancelAll {
            account,
            generation,
            nonce,
        }),
        _ => Entry::KeyChange(KeyChange {
            account,
            generation,
            nonce,
            keys: Keys {
                trading_key: keys_of(nonce + 1).key,
                ..keys
            },
        }),
    }
}

/// The next item of the queue, which stays there.
fn next(world: &World, request: Request, service: Service) -> Entry {
    let index = world.next_item;
    let item = Item { index, request };
    Entry::Item(Box::new(Served { item, service }))
}

fn absorbed(
    world: &World,
    builder: &EpochBuilder<'_>,
    account: AccountId,
) -> Result<Entry, EpochError> {
    let Entry::Absorption(absorption) = builder.absorption(account)? else {
        unreachable!("that is what it makes")
    };
    let service = Service::Absorbed {
        holdings: Box::new(absorption.holdings),
        debt: absorption.debt,
    };
    Ok(next(world, Request::Absorb { account }, service))
}

/// An item done, or refused for its fault or for any reason that its kind admits.
fn served(
    world: &World,
    builder: &EpochBuilder<'_>,
    request: Request,
    done: Service,
) -> Vec<Entry> {
    let terms = builder.entry_terms();
    let reasons = match fault(&request, &terms) {
        Ok(Some(fault)) => vec![Reason::Terms(fault)],
        _ => request.reasons(&terms),
    };
    let refused = reasons.into_iter().map(Service::Refused);
    let services = [done].into_iter().chain(refused);
    let entries = services.map(|service| next(world, request.clone(), service));
    entries.collect()
}

fn listing(world: &World, number: u64) -> Entry {
    let row = LATER + 16 * (number as u32 % 2);
    let params = perpetual(row, MARK).params;
    let change = Change {
        params,
        price: MARK,
    };
    let pending = world.state.header.pending.iter();
    let service = match pending.into_iter().any(|item| item.row == row) {
        true => Service::Refused(Reason::Terms(Fault::Pending)),
        false => Service::Done,
    };
    next(world, Request::Change(Box::new(change)), service)
}

fn deposit(builder: &EpochBuilder<'_>, id: u32, instrument: InstrumentId, amount: u64) -> Request {
    Request::Deposit(Deposit {
        sender: counters(builder, id).0,
        account: AccountId(id),
        instrument,
        amount,
        create: None,
    })
}

/// Any request, sound or not.
fn item(world: &World, builder: &EpochBuilder<'_>, [a, b, c, d, e]: [u64; 5]) -> Vec<Entry> {
    let id = of(&[someone(a), someone(a), someone(a), 77, 1 << 28], d);
    let (account, taker) = (AccountId(id), AccountId(someone(b)));
    let owner = |id: AccountId| builder.account(id).map(|r| r.owner).unwrap_or_default();
    let sender = owner(account);
    let instrument = InstrumentId(of(&[1, 0, SPOT, 17, NOWHERE, 1024 + SPOT], c));
    let amount = of(&[1 + d * 300, 1 + d % 50, 0, 1 << 55], e / 8);
    let (request, done) = match e % 8 {
        0 => {
            let amount = amount.min(1 << 40);
            (deposit(builder, id, instrument, amount), Service::Done)
        }
        1 | 2 => {
            let request = Request::Withdraw {
                sender,
                account,
                instrument,
                amount,
            };
            (request, Service::Paid(amount))
        }
        3 => {
            let keys = keys_of(id);
            let request = Request::KeyChange {
                sender,
                account,
                keys,
            };
            (request, Service::Done)
        }
        4 => (Request::CancelAll { sender, account }, Service::Done),
        5 if d % 2 == 0 => (Request::Flag { account }, Service::Done),
        // Who is not declared is not absorbed: this one ends refused.
        5 => {
            let holdings = Box::default();
            let service = Service::Absorbed { holdings, debt: 1 };
            (Request::Absorb { account }, service)
        }
        _ => {
            let terms = builder.liquidation_terms(account, instrument);
            let (charge, flagged_at) = terms.ok().flatten().unwrap_or_default();
            let (side, limit) = of(&[(Side::Long, 1 << 55), (Side::Short, 0)], d);
            let size = 1 + d % 50;
            let take = Take {
                sender: owner(taker),
                account,
                taker,
                instrument,
                side,
                size,
                limit,
            };
            let service = Service::Taken {
                size,
                charge,
                flagged_at,
            };
            (Request::Take(take), service)
        }
    };
    served(world, builder, request, done)
}
