//! Epochs of a small exchange: scenario tables, refusals that leave no trace, what a trace shows.

mod adversary;
mod builder;
mod items;
mod seal;
mod sequences;
mod serve;
mod signatures;
mod traces;
mod transfers;

use crate::testing::run_table;

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

#[test]
fn table_spot() {
    run(include_str!("../../../tests/tables/spot.table"));
}

/// A table that expects what does not happen fails, so the others' silence means something.
#[test]
fn tables_that_are_wrong_fail() {
    let listed = "list perpetual 1 10_000_000\nopen ann 5\nopen bob 5\n";
    let problem = |steps: &str| run_table(&format!("{listed}{steps}")).unwrap_err();
    assert!(problem("cash ann 6").problem.contains("it is 5"));
    assert!(
        problem("epoch\nflag ann\nclose")
            .problem
            .contains("Q1.healthy")
    );
    assert!(
        problem("epoch\nflag ann => Q2.flag\nclose")
            .problem
            .contains("Q1.healthy")
    );
    let accepted = problem("epoch\ntransfer ann bob 1 => L4.outflow\nclose");
    assert_eq!(
        (accepted.line, accepted.text.as_str()),
        (5, "transfer ann bob 1")
    );
    assert!(problem("epoch\n").problem.contains("not closed"));
    assert!(problem("cash").problem.contains("column"));
    assert!(problem("cash dan 5").problem.contains("nobody"));
    assert!(problem("leap").problem.contains("no step"));
}
