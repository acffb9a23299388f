//! \[J4\] `service` says how an item ends, and an item that ends so is accepted.

use crate::account::Owner;
use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError, Plan};
use crate::journal::flag::Flag;
use crate::posting::Refusal;
use crate::queue::{Item, Reason, Request, Served, Service, Take};
use crate::terms::CASH;
use crate::testing::{World, perpetual, spot};
use crate::types::{AccountId, InstrumentId, Side};

const MARK: u64 = 10_000_000;
const LONG: AccountId = AccountId(2_000);
const SHORT: AccountId = AccountId(2_001);
const TAKER: AccountId = AccountId(2_002);
const SPOT: InstrumentId = InstrumentId(2);

/// 100 lots long against a short, a rich taker, and collateral of the long's.
fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    world.fund(&[
        (LONG.0, 110_000_000),
        (SHORT.0, 1_000_000_000),
        (TAKER.0, 9_000_000_000),
    ]);
    let lots = world.deposit(LONG.0, SPOT, 2, false);
    world.epoch(|builder| builder.push(lots)).unwrap();
    let fill = world.fill(LONG.0, SHORT.0, 1, 100, MARK);
    world.epoch(|builder| builder.push(fill)).unwrap();
    world
}

fn owner(world: &World, id: AccountId) -> Owner {
    world.state.accounts.account(id).unwrap().owner
}

/// How a request ends in the next epoch; a service that comes back is then pushed.
fn ends(world: &mut World, request: Request) -> Option<Service> {
    let round = world.round();
    let (found, item) = {
        let absorb = EpochBuilder::absorbable(&world.state, &round).unwrap();
        let plan = Plan {
            absorb_by_item: absorb,
            ..world.plan(Vec::new())
        };
        let mut builder = EpochBuilder::begin(&world.state, round, plan).unwrap();
        let found = builder.service(&request).unwrap();
        let item = found.clone().map(|service| {
            let item = Item { index: 7, request };
            Entry::Item(Box::new(Served { item, service }))
        });
        if let Some(item) = &item {
            builder.try_entry(item).unwrap();
            builder.push(item.clone()).unwrap();
        }
        (found, item)
    };
    assert_eq!(found.is_some(), item.is_some());
    found
}

fn withdraw(world: &World, by: AccountId, instrument: InstrumentId, amount: u64) -> Request {
    Request::Withdraw {
        sender: owner(world, by),
        account: LONG,
        instrument,
        amount,
    }
}

fn refused(refusal: Refusal) -> Option<Service> {
    Some(Service::Refused(Reason::Account(refusal)))
}

#[test]
fn j4_money_and_orders_end_as_the_account_allows() {
    let mut world = world();
    // Initial requirement 5 % of 100 lots and a fifth of the collateral's.
    let all = withdraw(&world, LONG, CASH, 1 << 50);
    let Some(Service::Paid(paid)) = ends(&mut world, all) else {
        panic!("paid in part");
    };
    assert!(paid > 0 && paid < 110_000_000, "{paid}");
    let few = withdraw(&world, LONG, CASH, paid / 2);
    assert_eq!(ends(&mut world, few), Some(Service::Paid(paid / 2)));
    let lots = withdraw(&world, LONG, SPOT, 9);
    assert_eq!(ends(&mut world, lots), Some(Service::Paid(2)));
    let stranger = withdraw(&world, SHORT, CASH, 5);
    assert_eq!(ends(&mut world, stranger), refused(Refusal::Owner));
    let sender = owner(&world, LONG);
    let cancel = |account| Request::CancelAll { sender, account };
    assert_eq!(ends(&mut world, cancel(LONG)), Some(Service::Done));
    assert_eq!(ends(&mut world, cancel(SHORT)), refused(Refusal::Owner));
    let empty = cancel(AccountId(2_009));
    assert_eq!(ends(&mut world, empty), refused(Refusal::Empty));
}

#[test]
fn j4_q1_q5_flags_takes_and_absorptions_end_as_the_account_stands() {
    let mut world = world();
    let (flag, absorb) = (
        Request::Flag { account: LONG },
        Request::Absorb { account: LONG },
    );
    assert_eq!(
        ends(&mut world, flag.clone()),
        refused(Refusal::NotLiquidatable)
    );
    assert_eq!(ends(&mut world, absorb.clone()), refused(Refusal::Solvent));
    let take = Request::Take(Take {
        sender: owner(&world, TAKER),
        account: LONG,
        taker: TAKER,
        instrument: InstrumentId(1),
        side: Side::Long,
        size: 100,
        limit: 2 * MARK,
    });
    assert_eq!(
        ends(&mut world, take.clone()),
        refused(Refusal::NotLiquidatable)
    );
    world.marks.insert(1, MARK - MARK / 9);
    assert_eq!(ends(&mut world, flag), Some(Service::Done));
    assert_eq!(ends(&mut world, take.clone()), refused(Refusal::NotFlagged));
    let flagged = |builder: &mut EpochBuilder| -> Result<(), EpochError> {
        builder.push(Entry::Flag(Flag { account: LONG })).map(drop)
    };
    world.epoch(flagged).unwrap();
    // Fewer lots than asked for: those that restore the account.
    let Some(Service::Taken { size, .. }) = ends(&mut world, take.clone()) else {
        panic!("taken");
    };
    assert!(size > 0 && size < 100, "{size}");
    world.marks.insert(1, MARK / 2);
    assert_eq!(ends(&mut world, take), refused(Refusal::Bankrupt));
    let end = ends(&mut world, absorb.clone());
    assert!(matches!(end, Some(Service::Absorbed { .. })), "{end:?}");
    // Where the epoch does not plan it, it waits.
    let builder = EpochBuilder::begin(&world.state, world.round(), world.plan(Vec::new()));
    assert_eq!(builder.unwrap().service(&absorb).unwrap(), None);
}
