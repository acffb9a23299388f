//! Items that end refused: every reason that a kind admits natively is proven, and no other \[J4\].

use tally_protocol::posting::Refusal;
use tally_protocol::queue::Reason;

use super::*;

fn take(instrument: InstrumentId) -> Request {
    Request::Take(Take {
        sender: OWNER,
        account: AccountId(2020),
        taker: AccountId(2021),
        instrument,
        side: Side::Short,
        size: 12,
        limit: 1,
    })
}

fn given(instrument: InstrumentId, create: Option<NewAccount>) -> Request {
    Request::Deposit(Deposit {
        sender: OWNER,
        account: AccountId(2022),
        instrument,
        amount: 7,
        create,
    })
}

fn items() -> Vec<Request> {
    let (sender, account) = (OWNER, AccountId(2023));
    let withdraw = |instrument| Request::Withdraw {
        sender,
        account,
        instrument,
        amount: 1 << 20,
    };
    vec![
        given(CASH, None),
        given(SPOT, None),
        given(CASH, Some(NewAccount::default())),
        withdraw(CASH),
        withdraw(SPOT),
        Request::KeyChange {
            sender,
            account,
            keys: Keys::default(),
        },
        Request::CancelAll { sender, account },
        Request::Flag { account },
        Request::Absorb { account },
        take(PERPETUAL),
        take(SPOT),
    ]
}

const REFUSALS: [Refusal; 15] = [
    Refusal::Empty,
    Refusal::Owner,
    Refusal::Slots,
    Refusal::Bounds,
    Refusal::Funds,
    Refusal::NotLiquidatable,
    Refusal::NotFlagged,
    Refusal::Bankrupt,
    Refusal::Solvent,
    Refusal::NotHeld,
    Refusal::Held,
    Refusal::CashOnly,
    Refusal::Flagged,
    Refusal::Margin,
    Refusal::Exhausted,
];

/// Every request with every reason, admitted or not.
fn all() -> impl Iterator<Item = (Request, Reason, World)> {
    items().into_iter().flat_map(|request| {
        let accounts = REFUSALS.into_iter().map(Reason::Account);
        let takers = REFUSALS.into_iter().map(Reason::Taker);
        let halted = [PERPETUAL, SPOT].map(Reason::Halted);
        accounts.chain(takers).chain(halted).map(move |reason| {
            let refused = item(request.clone(), Service::Refused(reason), 3);
            let mut world = World::new(vec![refused]);
            world.context.vault = 1 << 19;
            bend(&mut world, SPOT, |row| row.flags = 0);
            if let Reason::Halted(PERPETUAL) = reason {
                bend(&mut world, PERPETUAL, |row| row.flags = flags::HALTED);
            }
            (request.clone(), reason, world)
        })
    })
}

/// A take of a perpetual from an account of which only cash was negative.
pub fn cash_only() -> Entry {
    let reason = Reason::Account(Refusal::CashOnly);
    item(take(PERPETUAL), Service::Refused(reason), 3)
}

pub fn worlds() -> Vec<World> {
    let worlds = all().map(|(_, _, world)| world);
    worlds.filter(|world| world.native().is_ok()).collect()
}

#[test]
fn j4_refused_for_what_its_kind_admits_and_nothing_else() {
    let mut proven = 0;
    for (request, reason, world) in all() {
        match world.native() {
            Ok(_) => {
                assert_agrees(&world);
                proven += 1;
            }
            Err(_) => assert!(!world.accepted(), "{request:?} passes for {reason:?}"),
        }
    }
    // 2 and 4 of deposits, 3 and 3 of withdrawals, 3 and 3 of keys and orders, 2 of flags, 3 of
    // absorptions, 12 and 11 of takes.
    assert_eq!(proven, 46);
}

fn bend(world: &mut World, id: InstrumentId, change: fn(&mut MarketRow)) {
    change(world.rows.get_mut(&id).unwrap());
}
