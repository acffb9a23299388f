//! Colluding users who try everything at once: prices at the band's ends, fees, sub-accounts made
//! and emptied in one epoch, lots moved between them, unwinds at any discount, sweeps, L1 items,
//! missing prices, marks that jump, settled rows. Most of it is refused; of what is not, each epoch
//! shows that
//! - it closes, and the trial balance is zero \[S8\], \[T8\];
//! - at the epoch's marks no account loses more than it has: E₁ ≥ min(0, E₀) \[L4\], \[L5\];
//! - what L1 pays is what left the bridges, and no bridge owns \[J3\], \[S6\].

use proptest::prelude::*;

use crate::account::AccountKind;
use crate::bounds::BRIDGE_ACCOUNTS;
use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochTrace};
use crate::journal::FIRST_SUB_ACCOUNT;
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::journal::liquidation::Liquidation;
use crate::journal::sweep::Sweep;
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::journal::unwind::Unwind;
use crate::journal::withdraw::WithdrawEntry;
use crate::ledger::{Context, MarginRows, Running};
use crate::message::{Transfer, Withdraw};
use crate::posting::Refusal;
use crate::queue::{Reason, Request, Service, Take};
use crate::state::State;
use crate::terms::CASH;
use crate::testing::{World, perpetual, spot};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId, Side};

const MARK: u64 = 10_000_000;
const FIRST: u32 = 2_000;
const USERS: u32 = 4;
/// Rows 1 and 17 have different insurance accounts; 3 is spot.
const ROWS: [u32; 3] = [1, 17, 3];

/// What is tried, and five numbers that say how.
type Try = (u8, [u64; 5]);
/// Marks move by thousandths, a feed may be missing, then the tries.
type Epoch = (Vec<i64>, u64, Vec<Try>);

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let moves = prop_oneof![
        4 => prop::collection::vec(-110i64..110, 3),
        1 => prop::collection::vec(-600i64..9_000, 3),
    ];
    let tries = (0u8..16, prop::array::uniform5(0u64..1 << 20));
    prop::collection::vec((moves, 0u64..24, prop::collection::vec(tries, 0..16)), 1..8)
}

/// One of the users, or the sub-account of one.
fn someone(number: u64) -> u32 {
    let index = u32::try_from(number % u64::from(2 * USERS)).unwrap();
    match index.checked_sub(USERS) {
        None => FIRST + index,
        Some(sub) => FIRST_SUB_ACCOUNT + sub,
    }
}

fn entry(world: &mut World, builder: &EpochBuilder<'_>, (kind, how): Try) -> Option<Entry> {
    let [a, b, c, d, e] = how;
    let (one, other) = (someone(a), someone(b));
    let row = ROWS[usize::try_from(c % 3).unwrap()];
    let mark = builder
        .market()
        .find(|m| m.row == row)
        .map_or(1, |m| m.mark);
    let lots = 1 + d % 90;
    Some(match kind {
        0..=4 => Entry::Fill(Box::new(Fill {
            long: world.order(one, row, lots.cast_signed()),
            short: world.order(other, row, -lots.cast_signed()),
            size: lots,
            price: mark / 1_000 * (955 + e % 90),
            long_fee_per_lot: e % 7 * 200,
            short_fee_per_lot: e % 3 * 500,
        })),
        5 | 6 => liquidation(world, builder, how)?,
        7 => Entry::Flag(Flag {
            account: AccountId(one),
        }),
        8 => withdraw(
            builder,
            one,
            if e % 3 == 0 { 3 } else { 0 },
            d * (1 + e % 900),
        ),
        9 | 10 => transfer(builder, how),
        11 => Entry::Unwind(Box::new(Unwind {
            order: world.order(
                one,
                row,
                if e % 2 == 0 { 1 } else { -1 } * lots.cast_signed(),
            ),
            size: lots,
            discount: e * 7 % 110_000,
        })),
        12 => Entry::Sweep(Sweep {
            account: AccountId(1),
            amount: d.cast_signed() - (1 << 19),
        }),
        13 => world.deposit(one, CASH, 1 + d * 50, false),
        14 => world.deposit(one, InstrumentId(3), 1 + d % 30, false),
        _ => item(world, builder, how),
    })
}

fn liquidation(world: &mut World, builder: &EpochBuilder<'_>, how: [u64; 5]) -> Option<Entry> {
    let [a, b, _, d, e] = how;
    let account = AccountId(someone(a));
    let running = builder.account(account).ok()?;
    let held = running.places.iter().filter(|p| p.holding.size != 0);
    let place = held.clone().nth(usize::try_from(e % 3).unwrap())?;
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

fn withdraw(builder: &EpochBuilder<'_>, id: u32, instrument: u32, amount: u64) -> Entry {
    let running = builder.account(AccountId(id)).unwrap();
    let lots = if instrument == 0 {
        amount
    } else {
        1 + amount % 20
    };
    let message = Withdraw {
        account: AccountId(id),
        generation: running.rest.generation,
        nonce: running.rest.nonce,
        instrument: InstrumentId(instrument),
        amount: lots,
        least: 0,
    };
    let owner = running.owner;
    Entry::Withdraw(WithdrawEntry { message, owner })
}

/// Cash or lots, to anyone, to one of the same owner, or into a new sub-account.
fn transfer(builder: &EpochBuilder<'_>, [a, b, c, d, e]: [u64; 5]) -> Entry {
    let (from, to) = (someone(a), someone(b));
    let sender = builder.account(AccountId(from)).unwrap();
    let instrument = [0, 1, 17, 3][usize::try_from(c % 4).unwrap()];
    let receiver = match e % 4 {
        0 => Receiver::Anyone,
        1 => Receiver::SameOwner(sender.owner),
        _ => Receiver::New {
            owner: sender.owner,
            keys: sender.rest.keys,
            kind: [AccountKind::Cross, AccountKind::Isolated][usize::from(e % 8 > 3)],
        },
    };
    let message = Transfer {
        account: AccountId(from),
        generation: sender.rest.generation,
        nonce: sender.rest.nonce,
        to: AccountId(to),
        instrument: InstrumentId(instrument),
        short: instrument != 0 && d % 2 == 0,
        amount: if instrument == 0 {
            1 + d * 200
        } else {
            1 + d % 40
        },
        terms: receiver.aux().digest(),
    };
    Entry::Transfer(Box::new(TransferEntry { message, receiver }))
}

fn item(world: &mut World, builder: &EpochBuilder<'_>, [a, b, c, d, e]: [u64; 5]) -> Entry {
    let (account, taker) = (AccountId(someone(a)), AccountId(someone(b)));
    let owner = |id| builder.account(id).unwrap().owner;
    let instrument = InstrumentId(ROWS[usize::try_from(c % 3).unwrap()]);
    let (request, service) = match e % 4 {
        0 => {
            let request = Request::Withdraw {
                sender: owner(account),
                account,
                instrument: CASH,
                amount: 1 + d * 300,
            };
            (request, Service::Paid(1 + d * (1 + e % 300)))
        }
        1 => (Request::Flag { account }, Service::Done),
        2 => (
            Request::Flag { account },
            Service::Refused(Reason::Account(Refusal::NotLiquidatable)),
        ),
        _ => {
            let terms = builder.liquidation_terms(account, instrument).unwrap();
            let (charge, flagged_at) = terms.unwrap_or_default();
            let take = Take {
                sender: owner(taker),
                account,
                taker,
                instrument,
                side: if d % 2 == 0 { Side::Long } else { Side::Short },
                size: 1 + d % 50,
                limit: if d % 2 == 0 { 1 << 41 } else { 0 },
            };
            let service = Service::Taken {
                size: 1 + d % 50,
                charge,
                flagged_at,
            };
            (Request::Take(take), service)
        }
    };
    world.item(request, service)
}

fn run(epochs: &[Epoch]) -> usize {
    let rows = [perpetual(1, MARK), perpetual(17, MARK), spot(3, MARK)];
    let mut world = World::new(&rows);
    let funds = (0..USERS).map(|index| (FIRST + index, 60_000_000 << (2 * index)));
    world.fund(&funds.collect::<Vec<_>>());
    let mut accepted = 0;
    for (moves, missing, tries) in epochs {
        for (row, thousandths) in ROWS.into_iter().zip(moves) {
            let mark = world.marks[&row].cast_signed();
            let moved = (mark + mark / 1_000 * thousandths).clamp(1_000_000, 64 * 10_000_000);
            world.marks.insert(row, moved.cast_unsigned());
        }
        let lacks = ROWS.get(usize::try_from(*missing).unwrap());
        world.missing = lacks.into_iter().copied().collect();
        let (state, round) = (world.state.clone(), world.round());
        let absorb = EpochBuilder::absorbable(&state, &round).unwrap();
        let mut builder = EpochBuilder::begin(&state, round, world.plan(absorb)).unwrap();
        for how in tries {
            let item = world.next_item;
            let Some(entry) = entry(&mut world, &builder, *how) else {
                continue;
            };
            match builder.push(entry) {
                Ok(_) => accepted += 1,
                Err(_) => world.next_item = item,
            }
        }
        let (after, trace) = builder.finish().expect("an accepted journal closes");
        trial_balance::check(&after).unwrap();
        check_equities(&trace);
        check_bridges(&state, &after, &trace);
        world.state = after;
    }
    accepted
}

fn check_equities(trace: &EpochTrace) {
    let rows: MarginRows = trace.rows.iter().map(|row| row.margin()).collect();
    let context = Context {
        epoch: u32::MAX,
        flag_expiry: 256,
    };
    for step in trace.accounts.iter().filter(|step| !step.id.is_system()) {
        let Some(after) = &step.after else {
            continue;
        };
        let now = Running::open(context, step.id, Some(after), &rows).unwrap();
        let (before, now) = (step.opening.totals.equity, now.opening.totals.equity);
        assert!(now >= before.min(0), "{before} to {now}: {step:?}");
    }
}

fn check_bridges(before: &State, after: &State, trace: &EpochTrace) {
    for (asset, instrument) in [(0, CASH), (3, InstrumentId(3))] {
        let id = AccountId(BRIDGE_ACCOUNTS + asset);
        let held = |state: &State| {
            let money = &state.accounts.account(id).unwrap().money;
            let lots = money.slots.first().unwrap().signed_size();
            if asset == 0 { money.cash } else { lots }
        };
        assert!(held(after) <= 0);
        let paid: u64 = trace
            .journal
            .withdrawals
            .iter()
            .filter(|record| record.asset == asset)
            .map(|record| record.amount)
            .sum();
        let deposited: i64 = trace
            .accounts
            .iter()
            .flat_map(|step| &step.postings)
            .map(|step| &step.posting)
            .filter(|p| p.kind == crate::posting::PostingKind::Deposit)
            .filter(|p| p.instrument == instrument)
            .map(|p| {
                if asset == 0 {
                    p.delta_cash
                } else {
                    p.delta_size
                }
            })
            .sum();
        assert_eq!(held(after) - held(before), paid.cast_signed() - deposited);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn s8_l4_whatever_is_tried_nothing_is_minted_or_owed_anew(epochs in epochs()) {
        run(&epochs);
    }
}

/// The tries are not all refused.
#[test]
fn much_of_what_is_tried_is_accepted() {
    let all: Vec<Try> = (0..16)
        .flat_map(|kind| (0..4).map(move |n| (kind, [n, n + 1, n, 20 * n, 45])))
        .collect();
    let still = |tries: &[Try]| -> Epoch { (vec![0, 0, 0], 9, tries.to_vec()) };
    let accepted = run(&[still(&all), still(&all)]);
    assert!(accepted >= 20, "{accepted}");
}
