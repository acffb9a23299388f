//! L1 queue items [J4]: the journal's half. Each fault refuses, no other may be named, and nothing
//! that is faultless is refused without a posting that the ledger checks.

use crate::account::AccountKind;
use crate::bounds::BRIDGE_ACCOUNTS;
use crate::entry::{Entry, Withdrawal};
use crate::journal::FIRST_SUB_ACCOUNT;
use crate::journal::layout::lay_out;
use crate::journal::refusal::Fault;
use crate::journal::testing::{PERPETUAL, SPOT};
use crate::posting::{Needs, PostingKind, Refusal};
use crate::queue::{Deposit, Item, NewAccount, Reason, Request, Served, Service, Take};
use crate::terms::{Aux, CASH, Holding, LeafTerms};
use crate::types::{AccountId, InstrumentId, Side};

use super::{HALTED, MARK, PENALTY, REDUCE_ONLY, SETTLED, UNLISTED, UNREAD, World, keys, owner};

const USER: AccountId = AccountId(2000);

fn served(request: Request, service: Service) -> Entry {
    Entry::Item(Box::new(Served {
        item: Item { index: 5, request },
        service,
    }))
}

fn refused(request: Request, reason: Reason) -> Entry {
    served(request, Service::Refused(reason))
}

fn deposit(instrument: InstrumentId, amount: u64) -> Request {
    Request::Deposit(Deposit {
        sender: owner(1),
        account: USER,
        instrument,
        amount,
        create: None,
    })
}

fn creating(account: u32) -> Request {
    let create = Some(NewAccount {
        keys: keys(1),
        isolated: true,
    });
    let account = AccountId(account);
    Request::Deposit(Deposit {
        sender: owner(1),
        account,
        instrument: CASH,
        amount: 9,
        create,
    })
}

fn withdraw(account: u32, instrument: InstrumentId, amount: u64) -> Request {
    Request::Withdraw {
        sender: owner(1),
        account: AccountId(account),
        instrument,
        amount,
    }
}

fn take() -> Take {
    Take {
        sender: owner(1),
        account: AccountId(3000),
        taker: USER,
        instrument: PERPETUAL,
        side: Side::Long,
        size: 10,
        limit: MARK,
    }
}

#[test]
fn j4_a_fault_refuses_by_itself_and_nothing_else_serves() {
    let world = World::new();
    let take = |bend: fn(&mut Take)| {
        let mut take = take();
        bend(&mut take);
        Request::Take(take)
    };
    let cases = [
        (
            Request::Flag {
                account: AccountId(64),
            },
            Fault::System,
        ),
        (
            Request::Absorb {
                account: AccountId(1 << 28),
            },
            Fault::Outside,
        ),
        (creating(FIRST_SUB_ACCOUNT), Fault::Outside),
        (deposit(CASH, 0), Fault::Amount),
        (deposit(CASH, 1 << 56), Fault::Amount),
        (deposit(SPOT, 1_000_001), Fault::Amount),
        (deposit(UNLISTED, 1), Fault::Unlisted),
        // The row's former or later instrument.
        (deposit(InstrumentId(SPOT.0 + 1024), 1), Fault::Unlisted),
        (deposit(PERPETUAL, 1), Fault::NotAnAsset),
        (deposit(REDUCE_ONLY, 1), Fault::ReduceOnly),
        (withdraw(100, CASH, 1), Fault::System),
        (withdraw(2000, PERPETUAL, 1), Fault::NotAnAsset),
        (withdraw(2000, UNLISTED, 1), Fault::Unlisted),
        (take(|t| t.taker = AccountId(64)), Fault::System),
        (take(|t| t.instrument = InstrumentId(0)), Fault::Unlisted),
        (withdraw(2000, InstrumentId(1024), 1), Fault::Unlisted),
        (take(|t| t.instrument = HALTED), Fault::Halted),
        (take(|t| t.instrument = SETTLED), Fault::Halted),
        (take(|t| t.size = 0), Fault::Amount),
        (take(|t| t.limit = MARK - 1), Fault::Limit),
        (
            take(|t| (t.side, t.limit) = (Side::Short, MARK + 1)),
            Fault::Limit,
        ),
        (take(|t| t.taker = t.account), Fault::SelfTrade),
    ];
    for (at, (request, fault)) in cases.into_iter().enumerate() {
        let effects = world.effects(&refused(request.clone(), Reason::Terms(fault)));
        assert!(effects.postings.is_empty(), "row {at}");
        assert_eq!(
            effects.outcome.map(|record| record.outcome),
            Some(64 + fault as u32)
        );
        let by_account = refused(request.clone(), Reason::Account(Refusal::Empty));
        assert_eq!(world.code(&by_account), "J4.must_refuse", "row {at}");
        assert_eq!(
            world.code(&served(request, Service::Done)),
            "J4.must_refuse",
            "row {at}"
        );
    }
}

#[test]
fn s6_an_empty_bridge_refuses_a_withdrawal() {
    let mut world = World::new();
    let request = withdraw(2000, CASH, 7);
    world.epoch.vault = 0;
    let made = world.effects(&refused(request.clone(), Reason::Terms(Fault::Bridge)));
    // The bridge is opened, which shows that it is empty.
    let [opened] = made.postings.as_slice() else {
        panic!("one posting");
    };
    assert_eq!(opened.posting.account, AccountId(BRIDGE_ACCOUNTS));
    assert_eq!((opened.posting.delta_cash, made.withdrawals.len()), (0, 0));
    // What it has left is all that is asked for.
    world.epoch.vault = 3;
    assert_eq!(
        world.code(&refused(request.clone(), Reason::Terms(Fault::Bridge))),
        "J4.no_fault"
    );
    assert_eq!(
        world.code(&served(request.clone(), Service::Paid(4))),
        "J4.amount"
    );
    let made = world.effects(&served(request, Service::Paid(3)));
    assert_eq!(made.postings[0].posting.order_size, 3);
    assert_eq!(made.withdrawals[0].amount, 3);
}

#[test]
fn j4_the_operator_cannot_make_an_item_fail() {
    let mut world = World::new();
    let cases = [
        (
            refused(deposit(CASH, 5), Reason::Terms(Fault::Amount)),
            "J4.no_fault",
        ),
        // A reason that says nothing about this kind of item.
        (
            refused(deposit(CASH, 5), Reason::Account(Refusal::Owner)),
            "J4.inadmissible",
        ),
        (
            refused(deposit(CASH, 5), Reason::Account(Refusal::Slots)),
            "J4.inadmissible",
        ),
        (
            refused(creating(2000), Reason::Account(Refusal::Empty)),
            "J4.inadmissible",
        ),
        (
            refused(
                Request::Flag { account: USER },
                Reason::Account(Refusal::Flagged),
            ),
            "J4.inadmissible",
        ),
        (
            refused(deposit(CASH, 5), Reason::Taker(Refusal::Empty)),
            "J4.inadmissible",
        ),
        (
            refused(Request::Absorb { account: USER }, Reason::Halted(SPOT)),
            "T6.not_halted",
        ),
        (
            refused(Request::Flag { account: USER }, Reason::Halted(HALTED)),
            "J4.inadmissible",
        ),
        (served(deposit(CASH, 5), Service::Paid(5)), "J4.service"),
        (served(withdraw(2000, CASH, 5), Service::Done), "J4.service"),
        (
            served(withdraw(2000, CASH, 5), Service::Paid(6)),
            "J4.amount",
        ),
        (
            served(withdraw(2000, CASH, 5), Service::Paid(0)),
            "J4.amount",
        ),
        // A row that decides and is not read: the item waits.
        (
            refused(deposit(UNREAD, 5), Reason::Terms(Fault::Unlisted)),
            "T3.unread",
        ),
    ];
    for (at, (entry, code)) in cases.into_iter().enumerate() {
        assert_eq!(world.code(&entry), code, "row {at}");
    }
    // Skipped rounds postpone a take and refuse nothing.
    world.epoch.fills = false;
    let taken = Service::Taken {
        size: 10,
        charge: PENALTY,
        flagged_at: 992,
    };
    assert_eq!(
        world.code(&served(Request::Take(take()), taken)),
        "T2.fills"
    );
}

#[test]
fn j3_a_deposit_comes_from_its_bridge_and_lots_from_the_owner() {
    let world = World::new();
    let made = world
        .effects(&served(deposit(CASH, 5), Service::Done))
        .postings;
    let alone = Needs::SOLE | Needs::WHILE_FLAGGED | Needs::DEPOSIT;
    assert_eq!(made[0].posting.needs, alone);
    assert_eq!(made[1].posting.account, AccountId(BRIDGE_ACCOUNTS));
    assert_eq!(made[1].posting.delta_cash, -5);
    // [slot dusting]
    let made = world
        .effects(&served(deposit(SPOT, 5), Service::Done))
        .postings;
    assert_eq!(made[0].posting.needs, alone | Needs::OWNER);
    assert_eq!(made[1].posting.account, AccountId(BRIDGE_ACCOUNTS + SPOT.0));
    assert!(made[1].posting.needs.has(Needs::FIXED_SLOT | Needs::SYSTEM));
}

#[test]
fn s3_a_deposit_creates_the_account_that_l1_numbered() {
    let world = World::new();
    let made = world
        .effects(&served(creating(2000), Service::Done))
        .postings
        .remove(0);
    let terms = LeafTerms {
        owner: owner(1),
        keys: keys(1).digest(),
        kind: AccountKind::Isolated,
    };
    assert_eq!((made.aux, made.keys), (Aux::Leaf(terms), keys(1)));
    assert!(made.posting.needs.has(Needs::CREATE));
}

#[test]
fn j4_a_refused_deposit_is_a_withdrawal_record_to_its_sender() {
    let world = World::new();
    let full = refused(deposit(SPOT, 5), Reason::Account(Refusal::Slots));
    let effects = world.effects(&full);
    let record = Withdrawal {
        owner: owner(1),
        asset: SPOT.0,
        amount: 5,
    };
    assert_eq!(effects.withdrawals, [record]);
    let posting = &effects.postings[0].posting;
    assert_eq!(posting.kind, PostingKind::Refused);
    assert_eq!(
        (posting.place, posting.order_size),
        (Refusal::Slots as u32, 5)
    );
    assert_eq!((posting.delta_cash, posting.delta_size), (0, 0));
    assert!(posting.needs.has(Needs::REFUSED | Needs::SOLE));
    let unlisted = refused(deposit(UNLISTED, 5), Reason::Terms(Fault::Unlisted));
    assert_eq!(world.effects(&unlisted).withdrawals[0].asset, UNLISTED.0);
    // Nothing else that is refused pays.
    let other = refused(withdraw(2000, CASH, 5), Reason::Account(Refusal::Funds));
    assert!(world.effects(&other).withdrawals.is_empty());
}

#[test]
fn j4_a_take_gets_the_whole_open_discount() {
    let world = World::new();
    let taken = Service::Taken {
        size: 6,
        charge: PENALTY,
        flagged_at: 992,
    };
    let made = world
        .effects(&served(Request::Take(take()), taken))
        .postings;
    let cash: Vec<_> = made
        .iter()
        .map(|opened| opened.posting.delta_cash)
        .collect();
    assert_eq!(cash, [-60_000, 30_000, 30_000]);
    let account = &made[0].posting;
    assert!(
        account
            .needs
            .has(Needs::LIQUIDATE | Needs::SOLE | Needs::AT_MOST)
    );
    assert_eq!((account.order_size, account.delta_size), (10, -6));
    assert!(
        made[1]
            .posting
            .needs
            .has(Needs::OWNER | Needs::SOLE | Needs::MAY_GROW)
    );
    let beyond = Service::Taken {
        size: 11,
        charge: PENALTY,
        flagged_at: 992,
    };
    assert_eq!(
        world.code(&served(Request::Take(take()), beyond)),
        "J4.amount"
    );
    let dear = Service::Taken {
        size: 1,
        charge: PENALTY + 1,
        flagged_at: 992,
    };
    assert_eq!(
        world.code(&served(Request::Take(take()), dear)),
        "Q4.charge"
    );
    let early = Service::Taken {
        size: 1,
        charge: PENALTY,
        flagged_at: 1000,
    };
    assert_eq!(world.code(&served(Request::Take(take()), early)), "Q2.flag");
    // [Q3] In a spot row every lot is owned: cash alone is reason enough.
    let owned = Request::Take(Take {
        instrument: SPOT,
        ..take()
    });
    let reason = Reason::Account(Refusal::CashOnly);
    assert_eq!(world.code(&refused(owned, reason)), "J4.inadmissible");
    assert_eq!(world.code(&refused(Request::Take(take()), reason)), "");
}

#[test]
fn j4_requests_of_the_owner_name_him() {
    let world = World::new();
    let (sender, account) = (owner(1), USER);
    let requests = [
        (
            Request::KeyChange {
                sender,
                account,
                keys: keys(2),
            },
            Needs::SET_KEYS,
        ),
        (Request::CancelAll { sender, account }, Needs::CANCEL_ALL),
    ];
    for (request, needs) in requests {
        let made = world
            .effects(&served(request, Service::Done))
            .postings
            .remove(0);
        assert!(made.posting.needs.has(needs | Needs::OWNER | Needs::SOLE));
        assert!(!made.posting.needs.has(Needs::NONCE));
        let Aux::Leaf(terms) = made.aux else {
            panic!("no terms")
        };
        assert_eq!(terms.owner, sender);
    }
}

#[test]
fn q5_an_item_absorbs_as_an_entry_does() {
    let world = World::new();
    let mut holdings = [Holding::default(); 16];
    holdings[1] = Holding {
        instrument: PERPETUAL,
        size: 4,
    };
    let absorb = Request::Absorb { account: USER };
    let service = Service::Absorbed {
        holdings: Box::new(holdings),
        debt: 3,
    };
    let effects = world.effects(&served(absorb.clone(), service));
    assert!(
        effects.postings[0]
            .posting
            .needs
            .has(Needs::ABSORB | Needs::SOLE)
    );
    assert!(effects.imbalance().is_empty());
    let halted = world.effects(&refused(absorb, Reason::Halted(HALTED)));
    let posting = &halted.postings[0].posting;
    assert_eq!(
        (posting.instrument, posting.place),
        (HALTED, Refusal::Held as u32)
    );
}

#[test]
fn c1_items_end_in_the_order_of_the_queue() {
    let world = World::new();
    let item = |index, account| {
        let request = Request::Flag {
            account: AccountId(account),
        };
        Entry::Item(Box::new(Served {
            item: Item { index, request },
            service: Service::Done,
        }))
    };
    let order = [item(5, 2000), item(6, 2001)];
    let journal = lay_out(&order, &world.terms(), 8).unwrap();
    assert_eq!(
        journal
            .outcomes
            .iter()
            .map(|record| record.outcome)
            .sum::<u32>(),
        0
    );
    let asked = Request::Flag {
        account: AccountId(2000),
    };
    assert_eq!(journal.outcomes[0].words, asked.words());
    assert_eq!(journal.outcomes[0].digest(), asked.digest());
    for wrong in [
        [item(6, 2000), item(5, 2001)],
        [item(5, 2000), item(7, 2001)],
    ] {
        let error = lay_out(&wrong, &world.terms(), 8).unwrap_err();
        assert_eq!(error.code(), "C1.order");
    }
}

#[test]
fn j4_outcomes_are_told_apart() {
    let outcomes = [
        Reason::Account(Refusal::Empty),
        Reason::Account(Refusal::Exhausted),
        Reason::Halted(HALTED),
        Reason::Taker(Refusal::Empty),
        Reason::Taker(Refusal::Exhausted),
        Reason::Terms(Fault::System),
        Reason::Terms(Fault::Pending),
    ]
    .map(Reason::outcome);
    assert_eq!(outcomes, [1, 15, 11, 33, 47, 65, 75]);
}
