//! Whole epochs through all segments, without proving: the tests in which the segments of several
//! authors meet, and in which the native run and the circuits must state the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tally_protocol::epoch::EpochTrace;
use tally_protocol::table::Table;
use tally_protocol::testing::{TriedEpoch, World, label, run_table};
use tally_prover::check::Rehearsal;
use tally_prover::epoch::epoch_input;
use tally_prover::release::Sizes;

/// The tables before each of these epochs, which read all listed rows.
fn tables(traces: &[EpochTrace]) -> Vec<Table> {
    let mut table = Table::genesis();
    let rows = traces
        .first()
        .map(|first| first.rows.as_slice())
        .unwrap_or_default();
    let rows = rows
        .iter()
        .filter_map(|row| Some((row.number, row.before?)));
    table.set_many(rows).unwrap();
    let mut tables = Vec::new();
    for trace in traces {
        assert_eq!(table.root(), trace.table_before);
        tables.push(table.clone());
        let rows = trace.rows.iter().map(|row| (row.number, row.after));
        table.set_many(rows).unwrap();
    }
    tables
}

/// Every epoch's segments hold and state what the native run did; segments by circuit.
fn settle(
    rehearsal: &Rehearsal,
    name: &str,
    traces: &[EpochTrace],
) -> BTreeMap<&'static str, usize> {
    let mut used = BTreeMap::new();
    for (trace, table) in traces.iter().zip(tables(traces)) {
        let at = |error: &dyn std::fmt::Display| {
            format!("{name}, epoch {}: {error}", trace.context.epoch)
        };
        let input = epoch_input(trace, &table, &rehearsal.sizes);
        let input = input.unwrap_or_else(|error| panic!("{}", at(&error)));
        let rehearsed = rehearsal.run(&input);
        let rehearsed = rehearsed.unwrap_or_else(|error| panic!("{}", at(&error)));
        let compared = rehearsed.compare(trace, &input.words);
        compared.unwrap_or_else(|error| panic!("{}", at(&error)));
        for (circuit, segments) in rehearsed.segments {
            *used.entry(circuit).or_default() += segments;
        }
    }
    used
}

/// Each ledger table in `tests/tables`, epoch by epoch.
#[test]
fn every_table_settles_in_the_circuits() {
    let rehearsal = Rehearsal::new(Sizes::small());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables");
    let mut used: BTreeMap<&'static str, usize> = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let table = fs::read_to_string(&path).unwrap();
        let traces = run_table(&table).unwrap();
        for (circuit, segments) in settle(&rehearsal, &path.display().to_string(), &traces) {
            *used.entry(circuit).or_default() += segments;
        }
    }
    // The tables reach every kind of circuit but the one for accounts of many slots.
    for circuit in ["fill", "other", "signature", "tick", "data", "ledger_full"] {
        assert!(used.contains_key(circuit), "{used:?}");
    }
    assert!(
        used.contains_key("ledger") || used.contains_key("ledger_once"),
        "{used:?}"
    );
}

/// Epochs of one seed, each with what was accepted of sixteen tries; the first lists and funds.
fn tried(seed: u64) -> Vec<EpochTrace> {
    let mut numbers = StdRng::seed_from_u64(seed);
    let (mut world, first) = World::of_tries();
    let mut traces = vec![first];
    for _ in 0..EPOCHS {
        let epoch = TriedEpoch::of(|| numbers.next_u64(), 16);
        traces.push(world.try_epoch(&epoch).unwrap().1);
    }
    traces
}

const EPOCHS: usize = 4;

/// Kinds of entries, and ends of items, in these epochs.
fn labels(traces: &[EpochTrace]) -> BTreeSet<String> {
    let entries = traces.iter().flat_map(|trace| &trace.entries);
    entries.map(label).collect()
}

/// Random epochs, through all segments: the seeds that reach most kinds of entries.
#[test]
fn random_epochs_settle_in_the_circuits() {
    let mut sizes = Sizes::small();
    // Row 17, and those that are listed on the way.
    sizes.tick.scan_depth = 5;
    let rehearsal = Rehearsal::new(sizes);
    let candidates: Vec<_> = (0..80).map(|seed| (seed, tried(seed))).collect();
    let mut reached = BTreeSet::new();
    for _ in 0..SEEDS {
        let gain =
            |(_, traces): &&(u64, Vec<EpochTrace>)| labels(traces).difference(&reached).count();
        let Some((seed, traces)) = candidates.iter().max_by_key(gain) else {
            continue;
        };
        reached.extend(labels(traces));
        settle(&rehearsal, &format!("seed {seed}"), traces);
    }
    assert!(reached.len() >= 30, "{reached:#?}");
}

const SEEDS: usize = 4;
