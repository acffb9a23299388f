//! Sample entries, each legal in the world of these tests.

use super::*;

pub fn order(side: Side, row: &MarketRow) -> Order {
    Order {
        account: AccountId(3000),
        generation: 4,
        place: Place::Slot {
            slot: 7,
            sequence: 11,
        },
        instrument: row.id,
        side,
        size: 500,
        limit: row.mark,
        max_fee_per_lot: 0,
        expiry: context().time,
        reduce_only: false,
        amend: false,
    }
}

pub fn liquidation(side: Side, row: &MarketRow) -> Entry {
    Entry::Liquidation(Box::new(Liquidation {
        account: AccountId(2000),
        order: order(side, row),
        size: 20,
        charge: 800_000,
        discount: 400_000,
        flagged_at: 92,
    }))
}

pub fn unwind(side: Side, row: &MarketRow) -> Entry {
    Entry::Unwind(Box::new(Unwind {
        order: order(side, row),
        size: 30,
        discount: 900_000,
    }))
}

pub fn absorption() -> Entry {
    let mut holdings = [Holding::default(); SLOTS];
    for (place, instrument, size) in [(1, PERPETUAL, -70), (6, SPOT, 8)] {
        holdings[place] = Holding { instrument, size };
    }
    Entry::Absorption(Box::new(Absorption {
        account: AccountId(2001),
        holdings,
        debt: 123_456,
    }))
}

pub fn transfer(instrument: InstrumentId, receiver: Receiver) -> Entry {
    let mut message = Transfer {
        account: AccountId(2002),
        generation: 3,
        nonce: 8,
        to: AccountId((1 << 27) + 5),
        instrument,
        short: instrument == PERPETUAL,
        amount: 40,
        terms: receiver.aux().digest(),
    };
    let receiver = match receiver {
        Receiver::Accepts(accept) => {
            message.to = accept.account;
            let transfer = message.digest(&context().globals.domain);
            Receiver::Accepts(Accept { transfer, ..accept })
        }
        other => other,
    };
    Entry::Transfer(Box::new(TransferEntry { message, receiver }))
}

pub fn accept() -> Receiver {
    Receiver::Accepts(Accept {
        account: AccountId(2003),
        generation: 1,
        nonce: 2,
        transfer: Default::default(),
    })
}

pub fn new_account() -> Receiver {
    let key = core::array::from_fn(|i| F::from_canonical_usize(i + 50));
    let keys = Keys {
        key,
        trading_key: Default::default(),
    };
    Receiver::New {
        owner: OWNER,
        keys,
        kind: AccountKind::Isolated,
    }
}

pub fn withdraw(instrument: InstrumentId, amount: u64, least: u64) -> Entry {
    Entry::Withdraw(WithdrawEntry {
        message: Withdraw {
            account: AccountId(2004),
            generation: 2,
            nonce: 5,
            instrument,
            amount,
            least,
        },
        owner: OWNER,
    })
}

pub fn item(request: Request, service: Service, index: u64) -> Entry {
    let item = Item { index, request };
    Entry::Item(Box::new(Served { item, service }))
}

pub fn deposit(instrument: InstrumentId, create: Option<NewAccount>, index: u64) -> Entry {
    let request = Request::Deposit(Deposit {
        sender: OWNER,
        account: AccountId(2005),
        instrument,
        amount: 77,
        create,
    });
    item(request, Service::Done, index)
}

pub fn requested(instrument: InstrumentId, amount: u64, paid: u64, index: u64) -> Entry {
    let request = Request::Withdraw {
        sender: OWNER,
        account: AccountId(2006),
        instrument,
        amount,
    };
    item(request, Service::Paid(paid), index)
}

pub fn acts() -> Vec<Entry> {
    let account = AccountId(2010);
    let (generation, nonce) = (6, 9);
    let key = core::array::from_fn(|i| F::from_canonical_usize(i + 90));
    let keys = Keys {
        key,
        ..Keys::default()
    };
    vec![
        Entry::Cancel(Cancel {
            account,
            generation,
            slot: 5,
            sequence: 70,
        }),
        Entry::CancelAll(CancelAll {
            account,
            generation,
            nonce,
        }),
        Entry::KeyChange(KeyChange {
            account,
            generation,
            nonce,
            keys,
        }),
        Entry::FeeWithdraw(FeeWithdraw { amount: 1 << 50 }),
    ]
}

/// Items that change an account's keys, orders or flag.
pub fn requests(index: u64) -> [Entry; 3] {
    let (sender, account) = (OWNER, AccountId(2011));
    let key = core::array::from_fn(|i| F::from_canonical_usize(i + 7));
    let keys = Keys {
        key,
        trading_key: key,
    };
    [
        Request::KeyChange {
            sender,
            account,
            keys,
        },
        Request::CancelAll { sender, account },
        Request::Flag { account },
    ]
    .into_iter()
    .zip(index..)
    .map(|(request, index)| item(request, Service::Done, index))
    .collect::<Vec<_>>()
    .try_into()
    .unwrap()
}

pub fn taken(instrument: InstrumentId, side: Side, index: u64) -> Entry {
    let request = Request::Take(Take {
        sender: OWNER,
        account: AccountId(2012),
        taker: AccountId(2013),
        instrument,
        side,
        size: 60,
        limit: perpetual().mark,
    });
    let service = Service::Taken {
        size: 59,
        charge: 700_001,
        flagged_at: 93,
    };
    item(request, service, index)
}

pub fn absorbed(index: u64) -> Entry {
    let Entry::Absorption(absorption) = absorption() else {
        unreachable!("that is what it makes");
    };
    let Absorption {
        account,
        holdings,
        debt,
    } = *absorption;
    let holdings = Box::new(holdings);
    let service = Service::Absorbed { holdings, debt };
    item(Request::Absorb { account }, service, index)
}

/// Liquidations and absorptions that L1 asks for.
pub fn rescues(index: u64) -> Vec<Entry> {
    vec![
        taken(PERPETUAL, Side::Long, index),
        taken(SPOT, Side::Short, index + 1),
        absorbed(index + 2),
    ]
}

pub fn listing() -> Change {
    Change {
        params: RowParams {
            id: InstrumentId(3 * 1024 + 77),
            kind: InstrumentKind::Perpetual,
            max_price: 1 << 40,
            ..RowParams::default()
        },
        price: 5_000_000,
    }
}

/// Each kind, and each of its shapes.
pub fn everything() -> Vec<Entry> {
    let new = NewAccount {
        isolated: true,
        ..NewAccount::default()
    };
    vec![
        liquidation(Side::Long, &perpetual()),
        liquidation(Side::Short, &spot()),
        unwind(Side::Short, &perpetual()),
        unwind(Side::Long, &spot()),
        absorption(),
        transfer(CASH, Receiver::Anyone),
        transfer(PERPETUAL, Receiver::SameOwner(OWNER)),
        transfer(SPOT, accept()),
        transfer(CASH, new_account()),
        withdraw(CASH, 1 << 40, 0),
        withdraw(SPOT, 12, 12),
        Entry::Flag(Flag {
            account: AccountId(2007),
        }),
        Entry::Sweep(Sweep {
            account: AccountId(5),
            amount: -99,
        }),
        deposit(CASH, None, 40),
        deposit(SPOT, None, 41),
        deposit(CASH, Some(new), 42),
        requested(CASH, 1 << 55, 1 << 30, 43),
        requested(SPOT, 9, 9, 44),
        item(Request::Change(Box::new(listing())), Service::Done, 45),
    ]
}
