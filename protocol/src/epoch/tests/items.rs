//! L1 items that an epoch refuses for want of a place or of an instrument, or lets wait.

use crate::epoch::{EpochBuilder, Plan};
use crate::journal::refusal::Fault;
use crate::listing::Change;
use crate::queue::{Reason, Request, Service};
use crate::testing::{World, perpetual};
use crate::types::{AccountId, InstrumentId};

use super::builder::{code, world};

const A: u32 = 2_000;
const MARK: u64 = 10_000_000;

/// What the header has no place for is refused by what it was before the epoch's items.
#[test]
fn t7_changes_of_an_epoch_are_all_admitted_or_refused() {
    let mut world = world();
    world.state.header.globals.timelock = 1_000;
    let change = |row| {
        let params = perpetual(row, MARK).params;
        Request::Change(Box::new(Change {
            params,
            price: MARK,
        }))
    };
    let pending = Service::Refused(Reason::Terms(Fault::Pending));
    let serve = |world: &mut World, items: &[(u32, bool)]| {
        let items = items.iter().map(|&(row, done)| {
            let service = if done { Service::Done } else { pending.clone() };
            world.item(change(row), service)
        });
        let items: Vec<_> = items.collect();
        let next = world.next_item - items.len() as u64;
        let pushed = world.epoch(|builder| {
            let codes = items.into_iter().map(|item| code(builder.push(item)));
            Ok(codes.collect::<Vec<_>>())
        });
        let codes = pushed.unwrap().0;
        let taken = codes.iter().filter(|code| **code == "accepted").count();
        world.next_item = next + taken as u64;
        codes
    };
    let admitted = serve(&mut world, &[(5, true), (5, false)]);
    assert_eq!(admitted, ["accepted", "T7.waits"]);
    let refused = serve(&mut world, &[(5, false), (6, true)]);
    assert_eq!(refused, ["accepted", "T7.waits"]);
    assert_eq!(serve(&mut world, &[(5, true)]), ["T7.row_pending"]);
    // No more refusals than a header's circuit shows.
    let ninth = serve(&mut world, &[(5, false); 9]);
    assert_eq!(ninth[7..], ["accepted", "T7.waits"]);
    // A full header refuses any row.
    let rest: Vec<_> = (6..37).map(|row| (row, true)).collect();
    assert!(
        serve(&mut world, &rest)
            .iter()
            .all(|code| *code == "accepted")
    );
    assert_eq!(serve(&mut world, &[(40, true)]), ["T7.full"]);
    assert_eq!(serve(&mut world, &[(40, false)]), ["accepted"]);
}

/// An item about a place where nothing was ever listed ends refused, though no row is read.
#[test]
fn j4_an_item_about_no_instrument_does_not_wait_for_ever() {
    let mut world = world();
    let request = |instrument| Request::Withdraw {
        sender: Default::default(),
        account: AccountId(A),
        instrument: InstrumentId(instrument),
        amount: 1,
    };
    let unlisted = Service::Refused(Reason::Terms(Fault::Unlisted));
    let items = [9, 1024, 1024 + 1].map(|id| world.item(request(id), unlisted.clone()));
    let (_, trace) = world
        .epoch(|builder| {
            items
                .into_iter()
                .try_for_each(|item| builder.push(item).map(drop))
        })
        .unwrap();
    assert_eq!(trace.journal.outcomes.len(), 3);
}

/// [J4] Nobody holds the row any more, so that no epoch reads it by itself.
pub(super) fn a_dead_rows_items_end(world: &mut World) {
    let request = Request::Withdraw {
        sender: Default::default(),
        account: AccountId(A),
        instrument: InstrumentId(17),
        amount: 1,
    };
    let row = request.row();
    let fault = Fault::NotAnAsset;
    let item = world.item(request, Service::Refused(Reason::Terms(fault)));
    for (also, expected) in [(None, "T3.unread"), (row, "accepted")] {
        let plan = Plan {
            also: also.into_iter().collect(),
            ..world.plan(vec![])
        };
        let mut builder = EpochBuilder::begin(&world.state, world.round(), plan).unwrap();
        assert_eq!(code(builder.push(item.clone())), expected);
    }
}
