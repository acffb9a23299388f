//! Transfers between accounts of one owner and of two \[J3\], sub-accounts \[S3\], isolated margin.

use crate::account::AccountKind;
use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochError};
use crate::hash::Digest;
use crate::journal::FIRST_SUB_ACCOUNT;
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::message::{Accept, Transfer};
use crate::terms::CASH;
use crate::testing::{World, perpetual};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId};

const A: u32 = 2_000;
const B: u32 = 2_001;
const SUB: u32 = FIRST_SUB_ACCOUNT + 5;
const MARK: u64 = 10_000_000;

fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), perpetual(3, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world
}

fn transfer(
    builder: &EpochBuilder<'_>,
    from: u32,
    to: u32,
    moved: (u32, u64),
    receiver: Receiver,
) -> TransferEntry {
    let rest = builder.account(AccountId(from)).unwrap().rest;
    let message = Transfer {
        account: AccountId(from),
        generation: rest.generation,
        nonce: rest.nonce,
        to: AccountId(to),
        instrument: InstrumentId(moved.0),
        short: false,
        amount: moved.1,
        terms: receiver.aux().digest(),
    };
    TransferEntry { message, receiver }
}

fn push(builder: &mut EpochBuilder<'_>, entry: TransferEntry) -> &'static str {
    match builder.push(Entry::Transfer(Box::new(entry))) {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    }
}

fn new_sub(world: &World, owner_of: u32) -> Receiver {
    let parent = world.state.accounts.account(AccountId(owner_of)).unwrap();
    Receiver::New {
        owner: parent.owner,
        keys: parent.rest.keys,
        kind: AccountKind::Isolated,
    }
}

/// A parent's posting makes a sub-account, of its own owner only, and only where none is.
#[test]
fn s3_a_sub_account_comes_from_its_parent() {
    let mut world = world();
    let (own, others) = (new_sub(&world, A), new_sub(&world, B));
    let cash = (CASH.0, 50_000_000);
    world
        .epoch(|builder| {
            // Planted: a leaf in another's name, or an account that L1 numbers.
            let planted = transfer(builder, A, SUB, cash, others);
            assert_eq!(push(builder, planted), "J3.owner");
            let low = transfer(builder, A, 5_000, cash, own);
            assert_eq!(push(builder, low), "S3.lower_half");
            let made = transfer(builder, A, SUB, cash, own);
            assert_eq!(push(builder, made), "accepted");
            let again = transfer(builder, A, SUB, cash, own);
            assert_eq!(push(builder, again), "S3.occupied");
            Ok(())
        })
        .unwrap();
    let sub = world.state.accounts.account(AccountId(SUB)).unwrap();
    let parent = world.state.accounts.account(AccountId(A)).unwrap();
    assert_eq!(
        (sub.owner, sub.rest.kind),
        (parent.owner, AccountKind::Isolated)
    );
    assert_eq!(
        (sub.money.cash, parent.money.cash),
        (50_000_000, 950_000_000)
    );
    assert_eq!((sub.rest.nonce, parent.rest.nonce), (0, 1));
    trial_balance::check(&world.state).unwrap();
    // It is isolated: a second instrument is refused.
    let fills = [
        world.fill(SUB, B, 1, 10, MARK),
        world.fill(SUB, B, 3, 1, MARK),
    ];
    let (found, _) = world
        .epoch(|builder| Ok(fills.map(|fill| builder.push(fill).map_err(|e| e.code()).err())))
        .unwrap();
    assert_eq!(found, [None, Some("L6.isolated")]);
}

#[test]
fn j3_lots_move_within_one_owner_or_with_consent() {
    let mut world = world();
    let fill = world.fill(A, B, 1, 20, MARK);
    let made = new_sub(&world, A);
    world
        .epoch(|builder| {
            let sub = transfer(builder, A, SUB, (CASH.0, 100_000_000), made);
            builder.push(Entry::Transfer(Box::new(sub)))?;
            builder.push(fill)
        })
        .unwrap();
    let owner = world.state.accounts.account(AccountId(A)).unwrap().owner;
    let lots = |count| (1, count);
    world
        .epoch(|builder| {
            let dust = transfer(builder, A, B, lots(1), Receiver::Anyone);
            assert_eq!(push(builder, dust), "J3.dusting");
            let stolen = transfer(builder, A, B, lots(1), Receiver::SameOwner(owner));
            assert_eq!(push(builder, stolen), "J3.owner");
            let beyond = transfer(builder, A, SUB, lots(21), Receiver::SameOwner(owner));
            assert_eq!(push(builder, beyond), "L3.reduce_only");
            let within = transfer(builder, A, SUB, lots(10), Receiver::SameOwner(owner));
            assert_eq!(push(builder, within), "accepted");
            accepted_by_its_key(builder)
        })
        .unwrap();
    let size = |id| {
        let money = &world.state.accounts.account(AccountId(id)).unwrap().money;
        money.slots[0].signed_size()
    };
    assert_eq!((size(A), size(SUB), size(B)), (7, 10, -17));
    trial_balance::check(&world.state).unwrap();
}

/// B signs for three lots of A's; its word is for that transfer alone.
fn accepted_by_its_key(builder: &mut EpochBuilder<'_>) -> Result<(), EpochError> {
    let word = |transfer: Digest| {
        Receiver::Accepts(Accept {
            account: AccountId(B),
            generation: 0,
            nonce: 0,
            transfer,
        })
    };
    let mut entry = transfer(builder, A, B, (1, 3), word(Digest::default()));
    assert_eq!(push(builder, entry.clone()), "J3.accept");
    let domain = builder.header().globals.domain;
    entry.receiver = word(entry.message.digest(&domain));
    let effects = builder.push(Entry::Transfer(Box::new(entry.clone())))?;
    assert_eq!(effects.postings.len(), 2);
    // The same signed pair does not move three more.
    assert_eq!(push(builder, entry), "S4.nonce");
    Ok(())
}
