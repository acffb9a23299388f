//! Witnesses that break exactly one clause, past the native rules.

use tally_protocol::account::{Account, AccountKind};
use tally_protocol::ledger::Facts;
use tally_protocol::orders::OrderSlot;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::plain::{MANY, with};
use crate::ledger::{BlockWitness, PlannedSegment};

/// What is broken, and the segment that breaks it.
pub type Attack = (&'static str, PlannedSegment);

/// All attacks on plain shapes.
pub fn all() -> Vec<Attack> {
    let benches = [
        broken_authority(),
        broken_signatures(),
        broken_sequences(),
        broken_sizes(),
        broken_close(),
        broken_leaf(),
        broken_counters(),
    ];
    let benches = benches.into_iter().flatten();
    let mut attacks: Vec<Attack> = benches
        .map(|(name, bench)| (name, unchecked(&bench, MANY)))
        .collect();
    attacks.extend(planted());
    attacks
}

/// A bench in which the last posting is past the native rules.
type Broken = (&'static str, Bench);

pub fn start(cash: i64, held: &[(InstrumentId, i64)]) -> Bench {
    let known = OrderSlot {
        sequence: 4,
        hash: digest(4),
        filled: 3,
    };
    Bench::with_orders(2_000, account(cash, held), &[(5, known)])
}

/// One posting that `change` spoils, on an account that could take it otherwise.
fn spoiled(make: impl Fn(&mut Bench) -> Posting, change: impl Fn(&mut Posting)) -> Bench {
    let mut bench = start(100_000, &[(PERP, 5), (REDUCING, 5)]);
    let good = make(&mut bench);
    let mut posting = good.clone();
    change(&mut posting);
    bench.push_unchecked(posting, Facts::default());
    let mut honest = start(100_000, &[(PERP, 5), (REDUCING, 5)]);
    honest.apply(good, Facts::default()).expect("good as it is");
    bench
}

fn with_before(change: impl Fn(&mut Account)) -> Bench {
    let mut before = account(100_000, &[(PERP, 5)]);
    change(&mut before);
    let mut bench = Bench::open_unchecked(2_000, before);
    let posting = bench.fill(PERP, 1, 0);
    bench.push_unchecked(posting, Facts::default());
    bench
}

fn broken_authority() -> Vec<Broken> {
    let order = |bench: &mut Bench| bench.by_slot(5, 6, 100, 7);
    let nonce = |bench: &mut Bench| bench.by_nonce(0, 100, 7);
    vec![
        ("[S4] generation", spoiled(order, |p| p.generation = 1)),
        ("[S4] old sequence", spoiled(order, |p| p.sequence = 3)),
        ("[S4] another order", spoiled(order, |p| p.sequence = 4)),
        ("[L3] beyond its size", spoiled(order, |p| p.order_size = 6)),
        ("[S4] no such nonce", spoiled(nonce, |p| p.place = 1)),
        (
            "[L3] nonce, beyond size",
            spoiled(nonce, |p| p.order_size = 6),
        ),
        ("[S4] outside of the tree", spoiled(order, |p| p.place = 64)),
        ("[S4] an empty slot's order", {
            let order = |bench: &mut Bench| bench.by_slot(9, 1, 100, 7);
            spoiled(order, |p| {
                p.sequence = 0;
                p.digest = digest(0);
            })
        }),
        ("[S4] empty slot, no hash", {
            let order = |bench: &mut Bench| bench.by_slot(9, 1, 100, 7);
            spoiled(order, |p| {
                p.sequence = 0;
                p.digest = Default::default();
            })
        }),
        ("[J1] a need that no plain shape serves", {
            spoiled(order, |p| p.needs = p.needs | Needs::LIQUIDATE)
        }),
    ]
}

fn broken_sizes() -> Vec<Broken> {
    let fill = |bench: &mut Bench| bench.fill(PERP, 3, -3);
    let reduce = |bench: &mut Bench| bench.fill(REDUCING, -3, 0);
    let only = |bench: &mut Bench| with(bench.fill(PERP, -3, 0), Needs::REDUCE_ONLY);
    vec![
        (
            "[N4] beyond max_size",
            spoiled(fill, |p| p.delta_size = 996),
        ),
        (
            "[N4] short of max_size",
            spoiled(fill, |p| p.delta_size = -1_006),
        ),
        (
            "[L3] reduce-only grows",
            spoiled(only, |p| p.delta_size = 1),
        ),
        (
            "[L3] reduce-only flips",
            spoiled(only, |p| p.delta_size = -6),
        ),
        (
            "[T6] a reduce_only row grows",
            spoiled(reduce, |p| p.delta_size = 1),
        ),
        (
            "[T6] a reduce_only row flips",
            spoiled(reduce, |p| p.delta_size = -6),
        ),
        (
            "[T6] a settled row",
            spoiled(fill, |p| p.instrument = SETTLED),
        ),
        (
            "[S2] lots of nothing",
            spoiled(fill, |p| p.instrument = InstrumentId(0)),
        ),
        ("[S2] another row's lots", {
            spoiled(fill, |p| p.instrument = InstrumentId(999))
        }),
    ]
}

fn broken_close() -> Vec<Broken> {
    let fill = |bench: &mut Bench| bench.fill(PERP, 3, -3);
    let outflow = |bench: &mut Bench| with(bench.fill(PERP, 0, -3), Needs::OUTFLOW);
    // 100,000 + 5·(−3) + 5·(−3) = 99,970 after carry; R = 50 + 50.
    vec![
        (
            "[L4] below initial",
            spoiled(fill, |p| p.delta_cash = -99_841),
        ),
        ("[L4] below zero", spoiled(fill, |p| p.delta_cash = -99_971)),
        ("[L4] outflow", spoiled(outflow, |p| p.delta_cash = -99_871)),
        (
            "[N4] cash of 2^60",
            spoiled(fill, |p| p.delta_cash = 1 << 60),
        ),
        ("[N4] cash that wraps", {
            let half = i64::MIN + (1 << 32);
            spoiled(fill, |p| p.delta_cash = half)
        }),
    ]
}

fn broken_leaf() -> Vec<Broken> {
    let isolated = |account: &mut Account| {
        account.rest.kind = AccountKind::Isolated;
        account.money.slots[1] = account.money.slots[0];
        account.money.slots[1].instrument = SPOT;
    };
    vec![
        (
            "[L1] opened in this epoch",
            with_before(|a| a.money.touched_at = EPOCH),
        ),
        (
            "[L1] opened later",
            with_before(|a| a.money.touched_at = EPOCH + 1),
        ),
        ("[L6] isolated with two slots", with_before(isolated)),
        (
            "[Q1] a flag in a plain shape",
            with_before(|a| a.money.flagged_at = 40),
        ),
        (
            "[S6] a system account",
            with_before(|a| a.rest.kind = AccountKind::System),
        ),
    ]
}

fn broken_counters() -> Vec<Broken> {
    let exhausted = |change: fn(&mut Account), make: fn(&mut Bench) -> Posting| {
        let mut before = account(100_000, &[]);
        change(&mut before);
        let mut bench = Bench::open_unchecked(2_000, before);
        let posting = make(&mut bench);
        bench.push_unchecked(posting, Facts::default());
        bench
    };
    vec![
        (
            "[S4] no generation is left",
            exhausted(
                |a| a.rest.generation = u32::MAX,
                |b| b.posting(Needs::CANCEL_ALL),
            ),
        ),
        (
            "[S4] no nonce is left",
            exhausted(
                |a| a.rest.nonce = u32::MAX,
                |b| b.by_nonce(u32::MAX, 100, 1),
            ),
        ),
    ]
}

/// Several postings, pushed as they are.
fn pushed(make: impl Fn(&mut Bench) -> Vec<Posting>) -> Bench {
    let mut bench = start(100_000, &[]);
    for posting in make(&mut bench) {
        bench.push_unchecked(posting, Facts::default());
    }
    bench
}

fn broken_sequences() -> Vec<Broken> {
    let repeated = pushed(|b| {
        let first = b.fill(PERP, 1, 0);
        let second = Posting {
            index: first.index,
            ..b.fill(PERP, 1, 0)
        };
        vec![first, second]
    });
    let other = pushed(|b| {
        let first = b.by_nonce(0, 100, 1);
        let second = Posting {
            digest: digest(77),
            ..b.by_nonce(0, 100, 1)
        };
        vec![first, second]
    });
    let apart = pushed(|b| {
        vec![
            b.by_nonce(0, 100, 1),
            b.fill(PERP, 1, 0),
            b.by_nonce(0, 100, 1),
        ]
    });
    let beyond = pushed(|b| {
        let half = |b: &mut Bench| Posting {
            order_size: 9,
            ..b.by_nonce(0, 100, 5)
        };
        vec![half(b), half(b)]
    });
    vec![
        ("[L1] an index repeated", repeated),
        ("[S4] another digest under one nonce", other),
        ("[S4] a taker's postings apart", apart),
        ("[L3] a taker beyond its size", beyond),
    ]
}

fn broken_signatures() -> Vec<Broken> {
    let by_trading_key = Facts {
        by_trading_key: true,
        ..Facts::default()
    };
    let mut main = start(100_000, &[]);
    let mut posting = main.by_slot(5, 6, 100, 7);
    posting.needs = Needs(posting.needs.0 & !Needs::TRADING_KEY.0);
    main.push_unchecked(posting, by_trading_key);
    let mut before = account(100_000, &[]);
    before.rest.keys = Default::default();
    let mut none = Bench::open_unchecked(2_000, before);
    let posting = none.by_nonce(0, 100, 7);
    none.push_unchecked(posting, Facts::default());
    vec![("[S2] the trading key", main), ("[S2] no key", none)]
}

/// A segment that is honest but for what `change` does to its witness.
pub fn tampered(change: impl Fn(&mut BlockWitness)) -> PlannedSegment {
    let mut bench = start(100_000, &[(PERP, 5)]);
    let posting = bench.by_slot(5, 6, 100, 7);
    bench.apply(posting, Facts::default()).unwrap();
    let mut segment = unchecked(&bench, MANY);
    change(&mut segment.witness.blocks[0]);
    segment
}

fn planted() -> Vec<Attack> {
    let before =
        |change: fn(&mut Account)| tampered(move |block| change(block.before.as_mut().unwrap()));
    vec![
        ("[S2] planted money", before(|a| a.money.cash += 1)),
        ("[S2] a planted key", before(|a| a.rest.keys.key[0].0 += 1)),
        ("[S2] a planted owner", before(|a| a.owner.0[0] += 1)),
        (
            "[S4] a planted order",
            tampered(|b| b.units[0].order.filled -= 1),
        ),
        (
            "[S4] an order passed off as none",
            tampered(|b| {
                b.units[0].order = OrderSlot::default();
            }),
        ),
        (
            "[S2] another row",
            tampered(|b| b.rows[0] = row(InstrumentId(105))),
        ),
        ("[S2] not the lowest slot", tampered(|b| b.rows.swap(1, 2))),
        ("[S2] two slots", tampered(|b| b.rows[2] = b.rows[1])),
    ]
}
