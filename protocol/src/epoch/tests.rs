//! Epochs of a small exchange.

use crate::testing::{World, perpetual, run_table, spot};
use crate::trial_balance;

const A: u32 = 2_000;
const B: u32 = 2_001;
const MARK: u64 = 10_000_000;

fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    world.fund(&[(A, 1_000_000_000), (B, 1_000_000_000)]);
    world
}

#[test]
fn s8_deposits_and_fills_balance() {
    let mut world = world();
    trial_balance::check(&world.state).unwrap();
    let fill = world.fill(A, B, 1, 100, MARK);
    let (_, trace) = world.epoch(|builder| builder.push(fill)).unwrap();
    let balance = trial_balance::check(&world.state).unwrap();
    assert_eq!(balance.open.len(), 2);
    assert_eq!(trace.root_after, world.state.root());
    assert_eq!(trace.requests().count(), 2);
    // The mark moves: A wins what B loses.
    world.marks.insert(1, MARK * 21 / 20);
    world.epoch(|_| Ok(())).unwrap();
    trial_balance::check(&world.state).unwrap();
}

fn run(table: &str) {
    if let Err(error) = run_table(table) {
        panic!("{error}");
    }
}

#[test]
fn table_fills() {
    run(include_str!("../../../tests/tables/fills.table"));
}

#[test]
fn table_liquidation() {
    run(include_str!("../../../tests/tables/liquidation.table"));
}

#[test]
fn table_absorption() {
    run(include_str!("../../../tests/tables/absorption.table"));
}
