//! Transfer, withdrawal, fee withdrawal [J3], key change and cancels [S4].

use crate::account::{AccountKind, Owner};
use crate::bounds::{BRIDGE_ACCOUNTS, FEE_ACCOUNT};
use crate::entry::{Entry, Withdrawal};
use crate::hash::EMPTY;
use crate::journal::fee_withdraw::FeeWithdraw;
use crate::journal::testing::{PERPETUAL, SPOT};
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::journal::withdraw::WithdrawEntry;
use crate::journal::{FIRST_SUB_ACCOUNT, INSURANCE_CASH};
use crate::message::{Accept, Cancel, CancelAll, KeyChange, Transfer, Withdraw};
use crate::posting::Needs;
use crate::terms::{Aux, CASH, LeafTerms};
use crate::types::{AccountId, InstrumentId};

use super::{REDUCE_ONLY, SETTLED, UNLISTED, World, keys, owner};

const SUB: AccountId = AccountId(FIRST_SUB_ACCOUNT);

fn transfer(instrument: InstrumentId, receiver: Receiver) -> TransferEntry {
    let message = Transfer {
        account: AccountId(2000),
        generation: 1,
        nonce: 4,
        to: SUB,
        instrument,
        short: false,
        amount: 50,
        terms: receiver.aux().digest(),
    };
    TransferEntry { message, receiver }
}

fn new(kind: AccountKind) -> Receiver {
    Receiver::New {
        owner: owner(1),
        keys: keys(1),
        kind,
    }
}

fn accepted(world: &World, bend: impl Fn(&mut Accept)) -> TransferEntry {
    let entry = transfer(PERPETUAL, Receiver::Anyone);
    let transfer = entry.message.digest(&world.epoch.domain);
    let mut accept = Accept {
        account: SUB,
        generation: 6,
        nonce: 9,
        transfer,
    };
    bend(&mut accept);
    TransferEntry {
        receiver: Receiver::Accepts(accept),
        ..entry
    }
}

#[test]
fn j3_each_clause_refuses_a_transfer_that_breaks_it() {
    let world = World::new();
    let same = || Receiver::SameOwner(owner(1));
    let bent = |mut entry: TransferEntry, bend: &dyn Fn(&mut Transfer)| {
        bend(&mut entry.message);
        entry
    };
    let cash = || transfer(CASH, Receiver::Anyone);
    let cases = [
        (cash(), ""),
        (transfer(PERPETUAL, same()), ""),
        (transfer(CASH, new(AccountKind::Isolated)), ""),
        (accepted(&world, |_| {}), ""),
        (
            bent(cash(), &|m| m.account = AccountId(FEE_ACCOUNT)),
            "S6.system",
        ),
        (
            bent(cash(), &|m| m.to = AccountId(BRIDGE_ACCOUNTS)),
            "S6.system",
        ),
        (bent(cash(), &|m| m.to = AccountId(1 << 28)), "S3.outside"),
        (bent(cash(), &|m| m.amount = 0), "N3.amount"),
        (bent(cash(), &|m| m.amount = 1 << 56), "N3.amount"),
        (transfer(UNLISTED, same()), "T7.unlisted"),
        (transfer(SETTLED, same()), "T6.settled"),
        (
            bent(transfer(SPOT, same()), &|m| m.amount = 1_000_001),
            "N3.size",
        ),
        (
            bent(transfer(SPOT, same()), &|m| m.short = true),
            "J3.spot_short",
        ),
        (bent(cash(), &|m| m.to = m.account), "J3.self"),
        (bent(cash(), &|m| m.short = true), "J3.cash_side"),
        (transfer(PERPETUAL, Receiver::Anyone), "J3.dusting"),
        (
            bent(transfer(CASH, new(AccountKind::Cross)), &|m| {
                m.to = AccountId(4000)
            }),
            "S3.lower_half",
        ),
        (transfer(CASH, new(AccountKind::System)), "S3.kind"),
        (
            bent(transfer(PERPETUAL, same()), &|m| m.terms = EMPTY),
            "J3.receiver",
        ),
        (
            accepted(&world, |a| a.account = AccountId(2000)),
            "J3.accept",
        ),
        (accepted(&world, |a| a.transfer = EMPTY), "J3.accept"),
    ];
    for (at, (entry, code)) in cases.into_iter().enumerate() {
        assert_eq!(
            world.code(&Entry::Transfer(Box::new(entry))),
            code,
            "row {at}"
        );
    }
}

/// The new leaf is of the parent's owner: both ends open the same terms, which the parent signed.
#[test]
fn s3_a_sub_account_comes_from_its_parents_posting() {
    let world = World::new();
    let entry = transfer(CASH, new(AccountKind::Isolated));
    let made = world.effects(&Entry::Transfer(Box::new(entry))).postings;
    let terms = LeafTerms {
        owner: owner(1),
        keys: keys(1).digest(),
        kind: AccountKind::Isolated,
    };
    assert!(made.iter().all(|opened| opened.aux == Aux::Leaf(terms)));
    assert!(
        made[0]
            .posting
            .needs
            .has(Needs::OWNER | Needs::NONCE | Needs::OUTFLOW)
    );
    assert!(made[1].posting.needs.has(Needs::CREATE) && made[1].keys == keys(1));
    let cash: Vec<_> = made
        .iter()
        .map(|opened| opened.posting.delta_cash)
        .collect();
    assert_eq!(cash, [-50, 50]);
    // A planted key is other terms than those signed.
    let planted = Receiver::New {
        owner: owner(1),
        keys: keys(2),
        kind: AccountKind::Isolated,
    };
    let entry = TransferEntry {
        receiver: planted,
        ..entry
    };
    assert_eq!(world.code(&Entry::Transfer(Box::new(entry))), "J3.receiver");
}

#[test]
fn j3_instruments_need_one_owner_or_the_receivers_signature() {
    let world = World::new();
    let same = transfer(SPOT, Receiver::SameOwner(owner(1)));
    let made = world.effects(&Entry::Transfer(Box::new(same))).postings;
    assert!(
        made.iter()
            .all(|opened| opened.posting.needs.has(Needs::OWNER))
    );
    assert!(made[0].posting.needs.has(Needs::REDUCE_ONLY));
    let entry = accepted(&world, |_| {});
    let made = world.effects(&Entry::Transfer(Box::new(entry))).postings;
    let receiver = &made[1].posting;
    assert!(receiver.needs.has(Needs::NONCE) && !receiver.needs.has(Needs::TRADING_KEY));
    assert_eq!((receiver.place, receiver.generation), (9, 6));
    assert_ne!(receiver.digest, made[0].posting.digest);
}

fn withdraw(instrument: InstrumentId, amount: u64, least: u64) -> Entry {
    let account = AccountId(2000);
    let message = Withdraw {
        account,
        generation: 1,
        nonce: 4,
        instrument,
        amount,
        least,
    };
    Entry::Withdraw(WithdrawEntry {
        message,
        owner: owner(1),
    })
}

#[test]
fn j3_each_clause_refuses_a_withdrawal_that_breaks_it() {
    let mut world = World::new();
    world.epoch.deficit = world.epoch.vault / 4;
    let system = |entry| match entry {
        Entry::Withdraw(mut entry) => {
            entry.message.account = INSURANCE_CASH;
            Entry::Withdraw(entry)
        }
        entry => entry,
    };
    let cases = [
        (withdraw(CASH, 100, 75), ""),
        (withdraw(SPOT, 100, 100), ""),
        // Owned lots leave a reduce_only row; the ledger has them at the whole mark.
        (withdraw(REDUCE_ONLY, 1, 1), ""),
        (system(withdraw(CASH, 100, 0)), "S6.system"),
        (withdraw(CASH, 0, 0), "N3.amount"),
        (withdraw(CASH, 1 << 56, 0), "N3.amount"),
        (withdraw(UNLISTED, 1, 0), "T7.unlisted"),
        (withdraw(SPOT, 1_000_001, 0), "N3.size"),
        (withdraw(PERPETUAL, 1, 0), "J3.asset"),
        (withdraw(CASH, 100, 76), "Q6.least"),
    ];
    for (at, (entry, code)) in cases.into_iter().enumerate() {
        assert_eq!(world.code(&entry), code, "row {at}");
    }
}

#[test]
fn q6_a_deficit_cuts_quote_withdrawals_rounded_down_for_insurance() {
    let mut world = World::new();
    (world.epoch.vault, world.epoch.deficit) = (1000, 1);
    let effects = world.effects(&withdraw(CASH, 999, 0));
    let made: Vec<_> = effects
        .postings
        .iter()
        .map(|o| (o.posting.account.0, o.posting.delta_cash))
        .collect();
    assert_eq!(made, [(2000, -999), (BRIDGE_ACCOUNTS, 998), (0, 1)]);
    let record = Withdrawal {
        owner: owner(1),
        asset: 0,
        amount: 998,
    };
    assert_eq!(effects.withdrawals, [record]);
    // At most nothing is paid; lots are never cut.
    for (vault, deficit) in [(1000, 1000), (1000, 1001), (0, 1)] {
        (world.epoch.vault, world.epoch.deficit) = (vault, deficit);
        assert_eq!(world.epoch.payout(1 << 55), 0);
        assert_eq!(
            world.effects(&withdraw(SPOT, 7, 7)).withdrawals[0].amount,
            7
        );
    }
    (world.epoch.vault, world.epoch.deficit) = ((1 << 60) - 1, (1 << 59) - 1);
    assert_eq!(world.epoch.payout((1 << 56) - 1), (1 << 55) - 1);
}

#[test]
fn q6_fees_are_not_withdrawn_while_insurance_owes() {
    let mut world = World::new();
    let entry = Entry::FeeWithdraw(FeeWithdraw { amount: 5 });
    let effects = world.effects(&entry);
    assert!(
        effects.postings[0]
            .posting
            .needs
            .has(Needs::SYSTEM | Needs::OUTFLOW)
    );
    let fee_owner = world.epoch.fee_owner;
    assert_eq!(effects.withdrawals[0].owner, fee_owner);
    assert_ne!(fee_owner, Owner::default());
    assert_eq!(
        world.code(&Entry::FeeWithdraw(FeeWithdraw { amount: 0 })),
        "N3.amount"
    );
    world.epoch.deficit = 1;
    assert_eq!(world.code(&entry), "Q6.fees");
}

#[test]
fn s4_cancels_and_key_changes_end_orders() {
    let world = World::new();
    let (account, generation) = (AccountId(2000), 1);
    let cancel = Cancel {
        account,
        generation,
        slot: 5,
        sequence: 9,
    };
    let made = world
        .effects(&Entry::Cancel(cancel))
        .postings
        .remove(0)
        .posting;
    assert_eq!((made.place, made.sequence, made.order_size), (5, 9, 0));
    assert!(
        made.needs
            .has(Needs::ORDER | Needs::TRADING_KEY | Needs::WHILE_FLAGGED)
    );
    let all = CancelAll {
        account,
        generation,
        nonce: 3,
    };
    let made = world
        .effects(&Entry::CancelAll(all))
        .postings
        .remove(0)
        .posting;
    assert!(
        made.needs
            .has(Needs::NONCE | Needs::TRADING_KEY | Needs::CANCEL_ALL)
    );
    let change = KeyChange {
        account,
        generation,
        nonce: 3,
        keys: keys(4),
    };
    let made = world.effects(&Entry::KeyChange(change)).postings.remove(0);
    assert!(made.posting.needs.has(Needs::NONCE | Needs::SET_KEYS));
    // The trading key cannot replace itself or its master.
    assert!(!made.posting.needs.has(Needs::TRADING_KEY));
    assert_eq!(made.keys, keys(4));
}

#[test]
fn s4_each_clause_refuses_a_cancel_that_breaks_it() {
    let world = World::new();
    let cancel = Cancel {
        account: AccountId(2000),
        generation: 1,
        slot: 5,
        sequence: 9,
    };
    let cases = [
        (cancel, ""),
        (
            Cancel {
                account: AccountId(0),
                ..cancel
            },
            "S6.system",
        ),
        (Cancel { slot: 64, ..cancel }, "S4.slot"),
        (
            Cancel {
                sequence: 0,
                ..cancel
            },
            "S4.sequence",
        ),
    ];
    for (cancel, code) in cases {
        assert_eq!(world.code(&Entry::Cancel(cancel)), code);
    }
    let account = AccountId(FEE_ACCOUNT);
    let all = CancelAll {
        account,
        generation: 0,
        nonce: 0,
    };
    assert_eq!(world.code(&Entry::CancelAll(all)), "S6.system");
    let change = KeyChange {
        account,
        generation: 0,
        nonce: 0,
        keys: keys(1),
    };
    assert_eq!(world.code(&Entry::KeyChange(change)), "S6.system");
}
