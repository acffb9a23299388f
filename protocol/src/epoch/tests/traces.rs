//! A trace holds what a prover needs: its openings lead from the roots before to those after.

use crate::account::Account;
use crate::bounds::ACCOUNT_DEPTH;
use crate::epoch::EpochTrace;
use crate::hash::{Digest, EMPTY};
use crate::header::state_root;
use crate::table::row_digest;
use crate::testing::{World, perpetual, run_table};
use crate::tree::{Opening, PartialTree, verify};

fn leaf(account: Option<&Account>) -> Digest {
    account.map_or(EMPTY, Account::digest)
}

/// Everything is derived again from the trace alone.
fn check(trace: &EpochTrace) {
    let root = |accounts, table, header: &crate::header::Header| {
        state_root(accounts, table, header.digest())
    };
    let before = root(
        trace.accounts_before,
        trace.table_before,
        &trace.header_before,
    );
    assert_eq!(before, trace.root_before);
    let after = root(trace.accounts_after, trace.table_after, &trace.header_after);
    assert_eq!(after, trace.root_after);
    check_accounts(trace);
    check_rows(trace);
    assert_eq!(trace.context.header_before, trace.header_before.digest());
    assert_eq!(trace.context.header_after, trace.header_after.digest());
}

fn check_accounts(trace: &EpochTrace) {
    let openings: Vec<Opening> = trace
        .accounts
        .iter()
        .map(|step| Opening {
            index: step.id.0,
            leaf: leaf(step.before.as_ref()),
            path: step.path.clone(),
        })
        .collect();
    let mut tree = PartialTree::new(ACCOUNT_DEPTH, trace.accounts_before, &openings).unwrap();
    let mut postings = Vec::new();
    for step in &trace.accounts {
        tree.set(step.id.0, leaf(step.after.as_ref())).unwrap();
        let mut orders = step.before.as_ref().map(|account| account.rest.orders_root);
        for posting in &step.postings {
            postings.push(&posting.posting);
            assert_eq!(posting.facts.aux.digest(), posting.posting.aux);
            if let Some(order) = &posting.order {
                let before = orders.unwrap();
                assert!(verify(
                    before,
                    order.place,
                    order.before.digest(),
                    &order.path
                ));
                let after = order.after.digest();
                orders = Some(crate::tree::root_from_path(order.place, after, &order.path));
            }
        }
        if let (Some(orders), Some(after)) = (orders, &step.after) {
            assert_eq!(after.rest.orders_root, orders);
        }
    }
    assert_eq!(tree.root(), trace.accounts_after);
    // Each posting of the journal and the tick is in exactly one account's list.
    postings.sort_by_key(|posting| posting.index);
    let journal = trace.journal.postings.iter().map(|opened| &opened.posting);
    let sent: Vec<_> = journal.chain([&trace.tick_posting]).collect();
    assert_eq!(postings, sent);
}

fn check_rows(trace: &EpochTrace) {
    let mut tree = PartialTree::new(
        crate::bounds::TABLE_DEPTH,
        trace.table_before,
        &trace
            .rows
            .iter()
            .map(|row| Opening {
                index: row.number,
                leaf: row_digest(row.before.as_ref()),
                path: row.path.clone(),
            })
            .collect::<Vec<_>>(),
    )
    .unwrap();
    for row in &trace.rows {
        tree.set(row.number, row.read.digest()).unwrap();
    }
    assert_eq!(tree.root(), trace.context.table);
    for row in &trace.rows {
        tree.set(row.number, row.after.digest()).unwrap();
    }
    assert_eq!(tree.root(), trace.table_after);
}

#[test]
fn traces_lead_from_root_to_root() {
    for table in [
        include_str!("../../../../tests/tables/fills.table"),
        include_str!("../../../../tests/tables/liquidation.table"),
        include_str!("../../../../tests/tables/absorption.table"),
    ] {
        let traces = run_table(table).unwrap();
        traces.iter().for_each(check);
        for pair in traces.windows(2) {
            assert_eq!(pair[0].root_after, pair[1].root_before);
        }
    }
}

/// \[N3\] Each segment of fills ends with its one fee posting.
#[test]
fn n3_fees_are_paid_out_once_a_segment() {
    let mut world = World::new(&[perpetual(1, 10_000_000)]);
    world.fund(&[(2_000, 1_000_000_000), (2_001, 1_000_000_000)]);
    let mut fills: Vec<_> = (0..6)
        .map(|_| world.fill(2_000, 2_001, 1, 2, 10_000_000))
        .collect();
    for fill in &mut fills {
        if let crate::entry::Entry::Fill(fill) = fill {
            fill.long_fee_per_lot = 30;
            fill.short_fee_per_lot = 20;
        }
    }
    let (_, trace) = world
        .epoch(|builder| {
            fills
                .into_iter()
                .try_for_each(|fill| builder.push(fill).map(drop))
        })
        .unwrap();
    check(&trace);
    let fees: Vec<u64> = trace
        .journal
        .segments
        .iter()
        .map(|segment| segment.fee)
        .collect();
    assert_eq!(fees, [400, 200]);
    let fee_account = world
        .state
        .accounts
        .account(crate::types::AccountId(64))
        .unwrap();
    assert_eq!(fee_account.money.cash, 600);
    crate::trial_balance::check(&world.state).unwrap();
}
