//! The scenario tables of `tests/tables/`, epoch by epoch: the whole ledger of a trace in segments,
//! to the account root that the native run reached, and with its postings and requests on the bus.

use std::path::Path;

use tally_protocol::epoch::{EpochTrace, RowStep};
use tally_protocol::ledger::{Context, MarginRows};
use tally_protocol::testing::run_table;

use super::bench::*;
use super::full::FULL;
use super::plain::{MANY, ONE, WIDE};
use crate::bus::{BusTag, Traffic};
use crate::ledger::{LedgerShape, PlannedSegment, Touched, plan};

fn segments(trace: &EpochTrace, shapes: &[LedgerShape]) -> Vec<PlannedSegment> {
    let context = Context {
        epoch: trace.context.epoch,
        flag_expiry: trace.context.globals.flag_lifetime,
    };
    let rows: MarginRows = trace.rows.iter().map(RowStep::margin).collect();
    let touched: Vec<Touched> = trace.accounts.iter().map(Touched::from).collect();
    plan(context, &rows, trace.accounts_before, &touched, shapes).unwrap()
}

/// What the trace says of the ledger's messages, the rows' reads apart.
fn messages(trace: &EpochTrace) -> Traffic {
    let mut traffic = Traffic::default();
    let epoch = trace.context.epoch;
    for step in trace.accounts.iter().flat_map(|account| &account.postings) {
        traffic.add_tuple(BusTag::Posting, &step.posting.words(), -1);
    }
    for request in trace.requests() {
        traffic.add_tuple(BusTag::Signature, &request.words(epoch), 1);
    }
    for account in &trace.accounts {
        for (key, change) in &account.totals {
            let key = tally_protocol::hash::unsigned(*key);
            traffic.add_tuple(BusTag::Total, &[key], (*change).into());
        }
        let share = account.group.iter();
        share.for_each(|share| {
            traffic.add_tuple(BusTag::GroupEquity, &[], share.equity.into());
        });
    }
    traffic
}

/// Of these tags only.
fn kept(traffic: &Traffic) -> Vec<(BusTag, Vec<u64>, i128)> {
    let tags = [
        BusTag::Posting,
        BusTag::Signature,
        BusTag::Total,
        BusTag::GroupEquity,
    ];
    let unmatched = traffic.unmatched().into_iter();
    let kept = unmatched.filter(|(tag, ..)| tags.contains(tag));
    kept.map(|(tag, words, net)| (tag, words.to_vec(), net))
        .collect()
}

#[test]
fn agrees_with_every_scenario_table() {
    let rigs = [ONE, MANY, WIDE, FULL].map(Rig::new);
    let shapes: Vec<LedgerShape> = rigs.iter().map(|rig| rig.ledger.shape).collect();
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tables");
    let mut used = Vec::new();
    for file in std::fs::read_dir(tables).unwrap() {
        let path = file.unwrap().path();
        let table = std::fs::read_to_string(&path).unwrap();
        for trace in run_table(&table).unwrap() {
            let mut traffic = Traffic::default();
            let mut root = trace.accounts_before;
            for segment in segments(&trace, &shapes) {
                let place = shapes.iter().position(|shape| *shape == segment.shape);
                let rig = &rigs[place.unwrap()];
                let inputs = rig.inputs_in(&trace.context, &segment);
                let accepted = rig.checker.check(&inputs);
                let accepted = accepted.unwrap_or_else(|error| panic!("{path:?}: {error}"));
                let summary = rig.ledger.segment.summary(|t| accepted.get(t));
                assert_eq!(summary.accounts.before, root);
                root = summary.accounts.after;
                rig.add_traffic(&accepted, &mut traffic);
                used.push(place);
            }
            assert_eq!(root, trace.accounts_after, "{path:?}");
            assert_eq!(kept(&traffic), kept(&messages(&trace)), "{path:?}");
        }
    }
    assert!(used.contains(&Some(0)) && used.contains(&Some(3)));
}
