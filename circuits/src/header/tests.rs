use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::{Digest, hash as native_hash};
use tally_protocol::header::Pending;
use tally_protocol::journal::refusal::Fault;
use tally_protocol::listing::Change;
use tally_protocol::oracle::Stamp;
use tally_protocol::queue::{Item, Reason, Served};
use tally_protocol::testing::{World, perpetual};

use super::*;
use crate::bus::Traffic;
use crate::checker::{Accepted, Checker};
use crate::segment::PassingChains;
use crate::summary::Challenge;

const MARK: u64 = 10_000_000;
const A: u32 = 2_000;
const B: u32 = 2_001;

thread_local! {
    static CIRCUIT: (HeaderSegment, Checker) = {
        let (builder, segment) = HeaderSegment::build(3);
        (segment, Checker::new(builder))
    };
}

pub(super) fn inputs(
    t: &HeaderSegment,
    trace: &EpochTrace,
    reads: HeaderReads,
) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    let frame = &t.segment;
    frame.set_context(&mut witness, &trace.context, 0).unwrap();
    frame
        .set_passing(&mut witness, &PassingChains::default())
        .unwrap();
    frame
        .set_challenge(&mut witness, Challenge::default(), HashOut::ZERO)
        .unwrap();
    let reports = trace.round.reports().iter();
    let roots: Vec<Digest> = reports.map(|(report, _)| report.prices_root).collect();
    t.reports.set(&mut witness, &roots).unwrap();
    let header = HeaderWitness::new(trace, reads);
    t.header.set(&mut witness, &header).unwrap();
    witness
}

fn with_accepted(trace: &EpochTrace, reads: HeaderReads, then: impl Fn(&Accepted<'_>, Traffic)) {
    CIRCUIT.with(|(t, checker)| {
        let accepted = checker.check(&inputs(t, trace, reads)).unwrap();
        let mut traffic = Traffic::default();
        traffic.add(&t.segment.entries, |target| accepted.get(target));
        let summary = t.segment.summary(|target| accepted.get(target));
        assert_eq!((summary.counts.headers, summary.counts.scans), (1, 0));
        then(&accepted, traffic);
    });
}

/// What the other segments put on the bus.
fn expected(trace: &EpochTrace, reads: HeaderReads) -> Traffic {
    let mut traffic = Traffic::default();
    let domain = trace.context.globals.domain;
    let requests = trace.round.signature_requests(&domain, &trace.reporters);
    for request in requests.unwrap() {
        let words = request.words(trace.context.epoch);
        traffic.add_tuple(BusTag::Signature, &words, 1);
    }
    traffic.add_tuple(BusTag::Posting, &trace.tick_posting.words(), 1);
    traffic.add_tuple(BusTag::GroupEquity, &[], -i128::from(trace.group_equity));
    let zeros = [unsigned(0); MARGIN_ROW_WORDS];
    traffic.add_tuple(BusTag::Margin, &zeros, reads.empty.into());
    let sum = |part: fn(&tally_protocol::epoch::RowStep) -> u64| -> i128 {
        trace.rows.iter().map(|row| i128::from(part(row))).sum()
    };
    let sums = [
        (EpochSum::Weight, sum(|row| row.exposure.weight)),
        (EpochSum::Posted, sum(|row| row.shift.posted)),
        (EpochSum::Collected, sum(|row| row.shift.collected)),
        (EpochSum::Discount, reads.discounts.into()),
    ];
    for (key, sum) in sums {
        traffic.add_tuple(BusTag::Loss, &[unsigned(key as u64)], -sum);
    }
    for row in trace.rows.iter().filter(|row| row.change.is_some()) {
        let digest = row.change.unwrap().digest().elements;
        let words = [&[unsigned(row.number.into())], &digest[..]].concat();
        traffic.add_tuple(BusTag::Change, &words, 1);
    }
    traffic
}

fn check(trace: &EpochTrace) {
    let reads = HeaderReads {
        empty: 9,
        discounts: trace.context.unwind_budget,
    };
    with_accepted(trace, reads, |_, traffic| {
        let mut all = expected(trace, reads);
        for item in &trace.header_after.pending {
            if !item.is_empty() && !trace.header_before.pending.contains(item) {
                let row = unsigned(item.row.into());
                let words = [&[row], &item.digest.elements[..]].concat();
                all.add_tuple(BusTag::Admit, &words, -1);
            }
        }
        for row in trace.entries.iter().filter_map(refused_change) {
            all.add_tuple(BusTag::NoPlace, &[unsigned(row.into())], -1);
        }
        assert_eq!(traffic.unmatched(), all.unmatched());
    });
}

fn world() -> World {
    let mut world = World::new(&[perpetual(1, MARK)]);
    world.fund(&[(A, 110_000_000), (B, 1_000_000_000)]);
    world
}

/// An epoch with a fill, then a crash: absorption, recovery, a deficit.
pub(super) fn crash() -> Vec<EpochTrace> {
    let mut world = world();
    let fill = world.fill(A, B, 1, 97, MARK);
    let mut traces = vec![world.epoch(|builder| builder.push(fill)).unwrap().1];
    for part in [80, 60, 45] {
        world.marks.insert(1, MARK * part / 100);
        traces.push(world.epoch(|_| Ok(())).unwrap().1);
    }
    assert!(traces.iter().any(|trace| trace.context.recovery > 0));
    traces
}

/// Listings are admitted, wait, and go to their rows, some freed places being taken again.
pub(super) fn listings() -> Vec<EpochTrace> {
    let mut world = World::new(&[perpetual(1, MARK)]);
    world.state.header.globals.timelock = 20;
    let mut traces = Vec::new();
    for rows in [&[3, 4][..], &[5], &[6], &[]] {
        let items: Vec<_> = rows
            .iter()
            .map(|&row| {
                let change = Change {
                    params: perpetual(row, MARK).params,
                    price: MARK,
                };
                world.item(Request::Change(Box::new(change)), Service::Done)
            })
            .collect();
        let pushed = world.epoch(|builder| {
            items
                .into_iter()
                .try_for_each(|item| builder.push(item).map(drop))
        });
        traces.push(pushed.unwrap().1);
    }
    assert!(traces[2].rows.iter().any(|row| row.change.is_some()));
    traces
}

fn listing(row: u32) -> Request {
    let params = perpetual(row, MARK).params;
    Request::Change(Box::new(Change {
        params,
        price: MARK,
    }))
}

/// Epochs that list these rows, or refuse to.
fn serving(epochs: &[(&[u32], bool)]) -> Vec<EpochTrace> {
    let mut world = World::new(&[perpetual(1, MARK)]);
    world.state.header.globals.timelock = 1_000;
    let mut traces = Vec::new();
    for (rows, done) in epochs {
        let service = match done {
            true => Service::Done,
            false => Service::Refused(Reason::Terms(Fault::Pending)),
        };
        let rows = rows.iter();
        let items: Vec<_> = rows
            .map(|&row| world.item(listing(row), service.clone()))
            .collect();
        let pushed = world.epoch(|builder| {
            items
                .into_iter()
                .try_for_each(|item| builder.push(item).map(drop))
        });
        traces.push(pushed.unwrap().1);
    }
    traces
}

/// A row that waits already, and a header without a free place.
pub(super) fn turned_away() -> Vec<EpochTrace> {
    let most: Vec<u32> = (6..37).collect();
    let eight = [5, 6, 7, 8, 9, 10, 11, 12];
    serving(&[
        (&[5], true),
        (&[5], false),
        (&most, true),
        (&[40, 5], false),
        (&eight, false),
    ])
}

pub(super) fn skipping() -> Vec<EpochTrace> {
    let mut world = world();
    let header = world.state.header;
    let stamp = Stamp {
        feed_set: header.globals.feed_set,
        round: header.round + 5,
        time: header.time + 100,
        previous: header.round + 3,
    };
    let round = world.round_of(stamp);
    let plan = world.plan(Vec::new());
    let builder = tally_protocol::epoch::EpochBuilder::begin(&world.state, round, plan).unwrap();
    let (state, skip) = builder.finish().unwrap();
    world.state = state;
    let mut traces = vec![skip];
    for _ in 0..4 {
        traces.push(world.epoch(|_| Ok(())).unwrap().1);
    }
    traces
}

#[test]
fn q6_losses_agree() {
    crash().iter().for_each(check);
}

#[test]
fn t7_pending_changes_agree() {
    listings().iter().for_each(check);
    turned_away().iter().for_each(check);
}

/// Adds an item that is refused for a change of this row.
pub(super) fn refuse(trace: &mut EpochTrace, row: u32) {
    trace.entries.push(Entry::Item(Box::new(Served {
        item: Item {
            index: 9,
            request: listing(row),
        },
        service: Service::Refused(Reason::Terms(Fault::Pending)),
    })));
}

/// [T7] Nobody is told that there is no place while there is one, not even beside others who are
/// admitted; and no row gets a second change.
#[test]
fn t7_other_refusals_of_changes_are_refused() {
    let traces = turned_away();
    CIRCUIT.with(|(t, checker)| {
        let refused = |trace: &EpochTrace, lies: &[(Target, F)]| {
            let witness = inputs(t, trace, HeaderReads::default());
            checker.check_with_lies(&witness, lies).is_err()
        };
        // With a place left, for a row that has none; and beside the admission of that very row.
        for (epoch, row, lie) in [(1, 6, true), (1, 5, false), (0, 5, true), (2, 5, true)] {
            let mut told = traces[epoch].clone();
            refuse(&mut told, row);
            assert_eq!(refused(&told, &[]), lie, "epoch {epoch}, row {row}");
        }
        // A second change of a row that waits; one in the place of a row's other change.
        for (epoch, place, row) in [(2, 7, 5), (2, 7, 9), (0, 1, 5)] {
            let mut told = traces[epoch].clone();
            let admitted = told.header_after.pending[0].effective;
            let time = told.header_after.time + 1_000;
            told.header_after.pending[place] = Pending {
                effective: time.max(admitted),
                row,
                digest: HashOut::ZERO,
            };
            told.context.header_after = told.header_after.digest();
            assert!(refused(&told, &[]), "row {row} twice");
        }
        // Half a refusal.
        let live = t.header.pending.refused[0].live.target;
        assert!(refused(&traces[0], &[(live, F::TWO)]));
    });
}

/// [T2] Entries stop for the epoch that skips, fills for three more.
#[test]
fn t2_skips_agree() {
    let traces = skipping();
    traces.iter().for_each(check);
    let allowed: Vec<(bool, bool)> = traces
        .iter()
        .map(|t| (t.context.entries_allowed, t.context.fills_allowed))
        .collect();
    let (no, only_entries, all) = ((false, false), (true, false), (true, true));
    assert_eq!(allowed, [no, only_entries, only_entries, only_entries, all]);
}

type Lie = fn(&mut EpochTrace, &mut HeaderReads);

/// Lies about the headers are consistent with their digests, so that only the step between them is
/// wrong.
fn refused(trace: &EpochTrace, lies: &[(&str, Lie)]) {
    CIRCUIT.with(|(t, checker)| {
        for (name, lie) in lies {
            let (mut told, mut reads) = (trace.clone(), HeaderReads::default());
            lie(&mut told, &mut reads);
            told.context.header_before = told.header_before.digest();
            told.context.header_after = told.header_after.digest();
            let witness = inputs(t, &told, reads);
            let verdict = checker.check_with_lies(&witness, &[]);
            assert!(verdict.is_err(), "{name} passes");
        }
    });
}

#[test]
fn t2_s1_another_step_is_refused() {
    let lies: [(&str, Lie); 16] = [
        ("epoch stays", |t, _| t.header_after.epoch -= 1),
        ("context's epoch", |t, _| t.context.epoch += 1),
        ("time stays", |t, _| {
            t.header_before.time = t.header_after.time;
        }),
        ("another time", |t, _| t.header_after.time += 1),
        ("round stays", |t, _| {
            t.header_before.round = t.header_after.round;
        }),
        ("another round", |t, _| t.context.round += 1),
        ("a skip as none", |t, _| t.header_before.round -= 1),
        ("none as a skip", |t, _| t.context.entries_allowed = false),
        ("fills allowed", |t, _| {
            t.header_before.fills_from = 99;
            t.header_after.fills_from = 99;
        }),
        ("fills sooner", |t, _| {
            t.header_before.fills_from = 99;
        }),
        ("other reporters", |t, _| {
            t.header_after.reporters.elements[0] = unsigned(1);
        }),
        ("other globals", |t, _| {
            t.header_after.globals.flag_lifetime += 1;
        }),
        ("the context's globals", |t, _| {
            t.context.globals.auction_epochs += 1;
        }),
        ("deficit", |t, _| t.header_after.deficit += 1),
        ("the context's deficit", |t, _| t.context.deficit += 1),
        ("a change from nowhere", |t, _| {
            t.header_after.pending[7] = Pending {
                effective: 1,
                row: 3,
                digest: HashOut::ZERO,
            };
        }),
    ];
    refused(&crash()[0], &lies);
}

#[test]
fn q6_q7_other_losses_are_refused() {
    let lies: [(&str, Lie); 7] = [
        ("equity", |t, _| t.group_equity += 1),
        ("recovery", |t, _| t.context.recovery += 1),
        ("no recovery", |t, _| t.context.recovery = 0),
        ("deficit forgiven", |t, _| {
            t.context.deficit = 0;
            t.header_after.deficit = 0;
        }),
        ("deficit before", |t, _| t.header_before.deficit += 1),
        ("budget", |t, _| t.context.unwind_budget += 1),
        ("discounts", |t, r| {
            r.discounts = t.context.unwind_budget + 1;
        }),
    ];
    let traces = crash();
    let loss = |t: &&EpochTrace| t.context.deficit > 0 && t.context.recovery > 0;
    let Some(trace) = traces.iter().find(loss) else {
        panic!("the crash leaves a deficit");
    };
    refused(trace, &lies);
    let wide: [(&str, Lie); 1] = [("losses", |t, _| t.context.losses = 1 << 60)];
    refused(trace, &wide);
}

#[test]
fn t7_other_pending_changes_are_refused() {
    let traces = listings();
    // A place that waits.
    let waiting: [(&str, Lie); 4] = [
        ("dropped", |t, _| {
            t.header_after.pending[0] = Pending::default()
        }),
        ("sooner", |t, _| t.header_after.pending[0].effective -= 1),
        ("another row", |t, _| t.header_after.pending[0].row += 1),
        ("another change", |t, _| {
            t.header_after.pending[0].digest.elements[1] += unsigned(1);
        }),
    ];
    refused(&traces[1], &waiting);
    // One that is due, and one that takes a place.
    let due: [(&str, Lie); 3] = [
        ("kept", |t, _| {
            t.header_after.pending[1] = t.header_before.pending[1];
        }),
        ("a shorter timelock", |t, _| {
            t.header_after.pending[0].effective -= 1;
        }),
        ("rest of a place", |t, _| t.header_after.pending[9].row = 1),
    ];
    refused(&traces[2], &due);
}

/// [T1] Who signs: k distinct reporters of the set, with their own keys.
#[test]
fn t1_other_signers_are_refused() {
    let trace = &crash()[0];
    CIRCUIT.with(|(t, checker)| {
        let honest = inputs(t, trace, HeaderReads::default());
        let signers = &t.header.signers;
        for told in [[0, 0, 1], [1, 0, 2], [0, 1, 4], [0, 1, 15], [0, 1, 1]] {
            let mut witness = honest.clone();
            for (target, signer) in signers.iter().zip(told) {
                witness.target_values.insert(*target, unsigned(signer));
            }
            let verdict = checker.check_with_lies(&witness, &[]);
            assert!(verdict.is_err(), "{told:?} passes");
        }
        let mut key = honest.clone();
        let place = t.header.reporters[2];
        key.target_values.insert(place, unsigned(9));
        assert!(checker.check_with_lies(&key, &[]).is_err());
    });
    // A smaller quorum than the set's.
    let lies: [(&str, Lie); 1] = [("quorum", |t, _| {
        let mut words = t.reporters.words();
        words[1] = unsigned(1);
        t.header_before.reporters = native_hash(Tag::Reporters, &words);
        t.header_after.reporters = t.header_before.reporters;
    })];
    refused(trace, &lies);
}

/// [Q6] What the shifts collect reaches insurance 0 to the micro-quote, and fits a posting.
#[test]
fn q6_n3_the_ticks_posting_is_what_was_collected() {
    let trace = &crash()[1];
    CIRCUIT.with(|(t, checker)| {
        let mut witness = inputs(t, trace, HeaderReads::default());
        let posted = t.header.sums.posted;
        witness.target_values.insert(posted, unsigned(1 << 56));
        assert!(checker.check_with_lies(&witness, &[]).is_err());
    });
}

#[test]
fn rows_are_pinned() {
    assert_eq!(HeaderSegment::build(3).0.rows(), 313);
}
