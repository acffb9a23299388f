//! Each clause of each kind, broken: refused natively by its name, and by the constraints.

use super::*;

type Bend = fn(&mut World);

fn liquidate(world: &mut World) -> &mut Liquidation {
    match &mut world.entries[0] {
        Entry::Liquidation(l) => l,
        _ => unreachable!("the case starts with a liquidation"),
    }
}

fn unwound(world: &mut World) -> &mut Unwind {
    match &mut world.entries[0] {
        Entry::Unwind(u) => u,
        _ => unreachable!("the case starts with an unwind"),
    }
}

fn absorb(world: &mut World) -> &mut Absorption {
    match &mut world.entries[0] {
        Entry::Absorption(a) => a,
        _ => unreachable!("the case starts with an absorption"),
    }
}

fn sent(world: &mut World) -> &mut TransferEntry {
    match &mut world.entries[0] {
        Entry::Transfer(t) => t,
        _ => unreachable!("the case starts with a transfer"),
    }
}

fn withdrawn(world: &mut World) -> &mut WithdrawEntry {
    match &mut world.entries[0] {
        Entry::Withdraw(w) => w,
        _ => unreachable!("the case starts with a withdrawal"),
    }
}

fn bend(world: &mut World, id: InstrumentId, change: fn(&mut MarketRow)) {
    change(world.rows.get_mut(&id).unwrap());
}

/// Each is refused natively for the clause, and by the circuit that is fed it all the same.
fn refuses(entry: Entry, cases: &[(&str, Bend)]) {
    let world = World::new(vec![entry]);
    assert_eq!(world.native().err(), None);
    assert!(world.accepted(), "{:?}", world.entries);
    for (code, change) in cases {
        let mut broken = world.clone();
        change(&mut broken);
        assert_eq!(broken.native().err(), Some(*code));
        assert!(!broken.accepted(), "{code} passes: {:?}", broken.entries);
    }
}

#[test]
fn q2_each_broken_clause_of_a_liquidation_is_refused() {
    refuses(
        liquidation(Side::Long, &perpetual()),
        &[
            ("T2.fills", |w| w.context.fills_allowed = false),
            ("T6.settled", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::SETTLED)
            }),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("T7.unlisted", |w| {
                bend(w, PERPETUAL, |r| r.kind = InstrumentKind::Quote)
            }),
            ("J2.expired", |w| liquidate(w).order.expiry -= 1),
            ("N3.size", |w| liquidate(w).size = 0),
            ("N3.size", |w| liquidate(w).size = (1 << 22) + 1),
            ("J2.limit", |w| liquidate(w).order.limit = 49_599_999),
            ("J2.limit", |w| {
                liquidate(w).order.side = Side::Short;
                liquidate(w).order.limit = 50_400_001;
            }),
            ("Q2.self", |w| liquidate(w).account = AccountId(3000)),
            ("Q2.flag", |w| liquidate(w).flagged_at = 0),
            ("Q2.flag", |w| liquidate(w).flagged_at = 100),
            ("Q2.flag", |w| liquidate(w).flagged_at = 101),
            ("Q4.charge", |w| liquidate(w).charge = 900_001),
            ("Q4.discount", |w| liquidate(w).discount = 400_001),
            ("Q4.discount", |w| {
                (liquidate(w).flagged_at, liquidate(w).discount) = (1, 800_001);
            }),
            ("Q4.discount", |w| liquidate(w).flagged_at = 93),
            ("N3.cash", |w| {
                bend(w, PERPETUAL, |r| (r.penalty, r.mark) = (1 << 36, 1 << 37));
                let l = liquidate(w);
                (l.charge, l.size, l.order.limit) = (1 << 36, 1 << 21, 1 << 40);
            }),
        ],
    );
}

#[test]
fn q7_each_broken_clause_of_an_unwind_is_refused() {
    refuses(
        unwind(Side::Long, &perpetual()),
        &[
            ("T2.fills", |w| w.context.fills_allowed = false),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("J2.expired", |w| unwound(w).order.expiry -= 1),
            ("N3.size", |w| unwound(w).size = 0),
            ("J2.limit", |w| unwound(w).order.limit = 49_099_999),
            ("Q7.discount", |w| unwound(w).discount = 900_001),
            ("Q7.discount", |w| w.context.globals.auction_epochs = 0),
            ("Q7.discount", |w| {
                bend(w, PERPETUAL, |r| r.insurance_since = 85)
            }),
            ("Q7.discount", |w| {
                bend(w, PERPETUAL, |r| r.insurance_since = 100)
            }),
        ],
    );
}

#[test]
fn q5_each_broken_clause_of_an_absorption_is_refused() {
    refuses(
        absorption(),
        &[
            ("T2.entries", |w| {
                (w.context.entries_allowed, w.context.fills_allowed) = (false, false)
            }),
            ("N3.amount", |w| absorb(w).debt = 0),
            ("N3.amount", |w| absorb(w).debt = 1 << 56),
            ("S2.empty_slot", |w| {
                absorb(w).holdings[3].instrument = PERPETUAL
            }),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("N3.size", |w| absorb(w).holdings[1].size = -(1 << 22) - 1),
        ],
    );
}

#[test]
fn j3_each_broken_clause_of_a_transfer_is_refused() {
    refuses(
        transfer(PERPETUAL, Receiver::SameOwner(OWNER)),
        &[
            ("T2.entries", |w| {
                (w.context.entries_allowed, w.context.fills_allowed) = (false, false)
            }),
            ("T6.settled", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::SETTLED)
            }),
            ("N3.size", |w| sent(w).message.amount = 0),
            ("N3.size", |w| sent(w).message.amount = (1 << 22) + 1),
            ("J3.spot_short", |w| {
                bend(w, PERPETUAL, |r| r.kind = InstrumentKind::Spot)
            }),
            ("J3.self", |w| sent(w).message.to = AccountId(2002)),
            ("J3.dusting", |w| {
                sent(w).receiver = Receiver::Anyone;
                sent(w).message.terms = Default::default();
            }),
        ],
    );
    refuses(
        transfer(CASH, new_account()),
        &[
            ("N3.amount", |w| sent(w).message.amount = 0),
            ("N3.amount", |w| sent(w).message.amount = 1 << 56),
            ("J3.cash_side", |w| sent(w).message.short = true),
            ("S3.lower_half", |w| {
                sent(w).message.to = AccountId((1 << 27) - 1)
            }),
        ],
    );
}

#[test]
fn j3_each_broken_clause_of_a_withdrawal_is_refused() {
    refuses(
        withdraw(SPOT, 12, 12),
        &[
            ("N3.size", |w| withdrawn(w).message.amount = (1 << 22) + 1),
            ("J3.asset", |w| {
                bend(w, SPOT, |r| r.kind = InstrumentKind::Perpetual)
            }),
            ("Q6.least", |w| withdrawn(w).message.least = 13),
        ],
    );
    refuses(
        withdraw(CASH, 1 << 40, 1 << 40),
        &[
            ("N3.amount", |w| withdrawn(w).message.amount = 1 << 56),
            ("Q6.least", |w| w.context.deficit = 1 << 30),
        ],
    );
}

#[test]
fn s6_a_sweep_names_an_insurance_account_and_moves_something() {
    let sweep = |account, amount| Entry::Sweep(Sweep { account, amount });
    refuses(
        sweep(AccountId(1), 5),
        &[
            ("S6.system", |w| w.entries[0] = sweep_of(0, 5)),
            ("S6.system", |w| w.entries[0] = sweep_of(64, 5)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, 0)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, 1 << 56)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, -(1 << 56))),
        ],
    );
}

fn sweep_of(account: u32, amount: i64) -> Entry {
    let account = AccountId(account);
    Entry::Sweep(Sweep { account, amount })
}

#[test]
fn j4_an_item_that_must_be_refused_is_not_done() {
    let refused: [(&str, Entry, Bend); 9] = [
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.flags = flags::REDUCE_ONLY);
        }),
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.kind = InstrumentKind::Perpetual);
        }),
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.max_size = 76);
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 50, 51, 1)
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 50, 0, 1)
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.context.vault = 49
        }),
        ("J4.must_refuse", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 1 << 56, 50, 1);
        }),
        ("J4.must_refuse", requested(SPOT, 50, 50, 1), |w| {
            bend(w, SPOT, |r| r.max_size = 49)
        }),
        ("T2.entries", deposit(CASH, None, 1), |w| {
            (w.context.entries_allowed, w.context.fills_allowed) = (false, false);
        }),
    ];
    for (code, entry, change) in refused {
        refuses(entry, &[(code, change)]);
    }
    let new = Some(NewAccount::default());
    refuses(
        deposit(CASH, new, 1),
        &[("J4.must_refuse", |w| {
            let Entry::Item(served) = &mut w.entries[0] else {
                return;
            };
            if let Request::Deposit(deposit) = &mut served.item.request {
                deposit.account = AccountId(1 << 27);
            }
        })],
    );
}

#[test]
fn q6_fees_stay_while_insurance_owes() {
    let withdraw = acts().pop().unwrap();
    refuses(
        withdraw,
        &[
            ("Q6.fees", |w| w.context.deficit = 1),
            ("N3.amount", |w| w.entries[0] = fees(0)),
            ("N3.amount", |w| w.entries[0] = fees(1 << 56)),
        ],
    );
}

fn fees(amount: u64) -> Entry {
    Entry::FeeWithdraw(FeeWithdraw { amount })
}

fn bend_take(world: &mut World, change: fn(&mut Take)) {
    if let Entry::Item(served) = &mut world.entries[0]
        && let Request::Take(take) = &mut served.item.request
    {
        change(take);
    }
}

fn serve(world: &mut World, size: u64, charge: u64, flagged_at: u32) {
    if let Entry::Item(served) = &mut world.entries[0] {
        served.service = Service::Taken {
            size,
            charge,
            flagged_at,
        };
    }
}

#[test]
fn j4_each_broken_clause_of_a_take_is_refused() {
    refuses(
        taken(PERPETUAL, Side::Long, 1),
        &[
            ("T2.fills", |w| w.context.fills_allowed = false),
            ("J4.must_refuse", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("J4.must_refuse", |w| bend_take(w, |t| t.limit -= 1)),
            ("J4.must_refuse", |w| {
                bend_take(w, |t| (t.side, t.limit) = (Side::Short, t.limit + 1));
            }),
            ("J4.must_refuse", |w| {
                bend_take(w, |t| t.account = AccountId(2013))
            }),
            ("J4.must_refuse", |w| bend_take(w, |t| t.size = 1 << 23)),
            ("J4.amount", |w| serve(w, 61, 700_001, 93)),
            ("J4.amount", |w| serve(w, 0, 700_001, 93)),
            ("Q2.flag", |w| serve(w, 59, 700_001, 0)),
            ("Q2.flag", |w| serve(w, 59, 700_001, 100)),
            ("Q4.charge", |w| serve(w, 59, 900_001, 93)),
        ],
    );
    refuses(
        absorbed(1),
        &[("T6.halted", |w| {
            bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
        })],
    );
}
