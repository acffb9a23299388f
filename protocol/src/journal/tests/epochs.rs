//! Terms that only a run of epochs can break: ages of discounts, items that end, the vault.

use crate::account::Owner;
use crate::entry::Entry;
use crate::epoch::EpochError;
use crate::journal::flag::Flag;
use crate::journal::unwind::Unwind;
use crate::posting::Refusal;
use crate::queue::{Item, Reason, Request, Served, Service, Take};
use crate::terms::CASH;
use crate::testing::{World, perpetual, spot};
use crate::types::{AccountId, InstrumentId, Side};

const MARK: u64 = 10_000_000;
const BOB: u32 = 2_000;
const DAN: u32 = 2_001;
const EVE: u32 = 2_002;
const LIV: u32 = 2_003;
const ROW: InstrumentId = InstrumentId(1);

fn code<T>(outcome: Result<T, EpochError>) -> &'static str {
    outcome.map_or_else(|error| error.code(), |_| "")
}

/// Bob is short against dan, who owes first, and eve, who owes later.
fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    let rich = 2_000_000_000;
    world.fund(&[
        (BOB, rich),
        (DAN, 11_000_000),
        (EVE, 40_000_000),
        (LIV, rich),
    ]);
    let fills = [
        world.fill(DAN, BOB, 1, 10, MARK),
        world.fill(EVE, BOB, 1, 10, MARK),
    ];
    world
        .epoch(|builder| {
            fills
                .into_iter()
                .try_for_each(|f| builder.push(f).map(drop))
        })
        .unwrap();
    world
}

fn unwind(world: &mut World, discount: u64) -> Entry {
    let order = world.order(LIV, 1, 1);
    Entry::Unwind(Box::new(Unwind {
        order,
        size: 1,
        discount,
    }))
}

/// The code of an unwind at this discount, tried in an epoch of its own that is dropped.
fn tried(world: &World, discount: u64) -> &'static str {
    let mut world = world.clone();
    let entry = unwind(&mut world, discount);
    code(world.epoch(|builder| builder.push(entry)))
}

#[test]
fn q7_the_discount_opens_from_the_epoch_of_the_absorption_and_anew_at_the_next() {
    let mut world = world();
    world.marks.insert(1, 8_800_000);
    // Dan is absorbed; in that epoch there is no discount at all.
    assert_eq!((tried(&world, 1), tried(&world, 0)), ("Q7.discount", ""));
    world.epoch(|_| Ok(())).unwrap();
    // The penalty is 1 % of the mark, and a quarter of it is open an epoch later. Nothing of it is
    // paid while insurance owes.
    assert_eq!(
        (tried(&world, 22_001), tried(&world, 22_000)),
        ("Q7.discount", "Q7.budget")
    );
    for _ in 0..4 {
        world.epoch(|_| Ok(())).unwrap();
    }
    assert_eq!(
        (tried(&world, 88_001), tried(&world, 88_000)),
        ("Q7.discount", "Q7.budget")
    );
    // Eve is absorbed: her lots do not go at the age of dan's.
    world.marks.insert(1, 5_900_000);
    assert_eq!((tried(&world, 1), tried(&world, 0)), ("Q7.discount", ""));
}

fn owner_of(world: &World, id: u32) -> Owner {
    world
        .state
        .accounts
        .account(AccountId(id))
        .map(|account| account.owner)
        .unwrap_or_default()
}

fn take(world: &World, size: u64) -> Take {
    Take {
        sender: owner_of(world, LIV),
        account: AccountId(DAN),
        taker: AccountId(LIV),
        instrument: ROW,
        side: Side::Long,
        size,
        limit: MARK,
    }
}

#[test]
fn j4_a_take_ends_refused_before_the_flag_and_done_after_it() {
    let mut world = world();
    let request = Request::Take(take(&world, 10));
    let refused = |world: &mut World, refusal| {
        let service = Service::Refused(Reason::Account(refusal));
        world.item(request.clone(), service)
    };
    let healthy = refused(&mut world, Refusal::NotLiquidatable);
    world.epoch(|builder| builder.push(healthy)).unwrap();
    // Liquidatable, but not flagged before this epoch: the other refusal.
    world.marks.insert(1, 9_300_000);
    let flag = Entry::Flag(Flag {
        account: AccountId(DAN),
    });
    let healthy = refused(&mut world, Refusal::NotLiquidatable);
    assert_eq!(code(world.clone().epoch(|b| b.push(healthy))), "J4.refusal");
    let unflagged = refused(&mut world, Refusal::NotFlagged);
    world.epoch(|builder| builder.push(unflagged)).unwrap();
    world.epoch(|builder| builder.push(flag)).unwrap();
    let late = refused(&mut world, Refusal::NotFlagged);
    assert_eq!(code(world.clone().epoch(|b| b.push(late))), "J4.refusal");
    // Served by as many lots as restore the account, neither fewer nor more.
    let mut done = Vec::new();
    for size in 1..=10 {
        let mut world = world.clone();
        let index = world.next_item;
        let request = request.clone();
        let served = world.epoch(|builder| {
            let terms = builder.liquidation_terms(AccountId(DAN), ROW)?;
            let (charge, flagged_at) = terms.unwrap_or_default();
            let service = Service::Taken {
                size,
                charge,
                flagged_at,
            };
            let item = Item { index, request };
            builder.push(Entry::Item(Box::new(Served { item, service })))
        });
        if served.is_ok() {
            done.push(size);
        }
    }
    assert_eq!(done.len(), 1, "{done:?}");
}

#[test]
fn j4_a_withdrawal_item_pays_neither_more_nor_less_than_it_can() {
    let world = world();
    let request = |amount| Request::Withdraw {
        sender: owner_of(&world, BOB),
        account: AccountId(BOB),
        instrument: CASH,
        amount,
    };
    // 20 lots short need a tenth of the mark each.
    let spare = 2_000_000_000 - 20 * 1_000_000;
    let cases = [
        (spare, spare, ""),
        (spare, spare - 1, "J4.at_most"),
        (spare + 9, spare, ""),
        (spare + 9, spare + 1, "L4.outflow"),
        (spare, spare + 1, "J4.amount"),
    ];
    for (asked, paid, expected) in cases {
        let mut world = world.clone();
        let item = world.item(request(asked), Service::Paid(paid));
        assert_eq!(
            code(world.epoch(|builder| builder.push(item))),
            expected,
            "{asked} {paid}"
        );
    }
}
