use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{PrimeField64, Sample};
use plonky2::hash::hash_types::HashOut;
use tally_protocol::account::{Owner, Slot};
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::data::bytes_of;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::header::Context;
use tally_protocol::instrument::Row;
use tally_protocol::queue::QueueRecord;
use tally_protocol::testing::{World, perpetual, spot};
use tally_protocol::types::{InstrumentId, Side};

use super::*;
use crate::Ext;
use crate::bus::Traffic;
use crate::checker::Checker;
use crate::checker::loose::{Coverage, Loose};
use crate::segment::PassingChains;
use crate::summary::{Challenge, DataPolynomial, Summary};

const SHAPE: DataShape = DataShape {
    queue: 2,
    withdrawals: 2,
    small: 4,
    large: 2,
    rows: 2,
};
const MARK: u64 = 10_000_000;

thread_local! {
    static CIRCUIT: (DataSegment, Checker) = {
        let (builder, segment) = DataSegment::build(SHAPE);
        (segment, Checker::new(builder))
    };
}

fn point() -> Ext {
    QuadraticExtension([unsigned(123_456_789), unsigned(987_654_321)])
}

fn inputs(t: &DataSegment, list: &DataList) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    let frame = &t.segment;
    let context = Context {
        epoch: 3,
        ..Context::default()
    };
    frame.set_context(&mut witness, &context, 0).unwrap();
    frame
        .set_passing(&mut witness, &PassingChains::default())
        .unwrap();
    frame
        .set_challenge(&mut witness, Challenge::default(), HashOut::ZERO)
        .unwrap();
    witness
        .set_extension_target(frame.summary.data.point, point())
        .unwrap();
    t.set(&mut witness, list).unwrap();
    witness
}

fn run(list: &DataList) -> (Summary, Traffic) {
    CIRCUIT.with(|(t, checker)| {
        let accepted = checker.check(&inputs(t, list)).unwrap();
        let mut traffic = Traffic::default();
        traffic.add(&t.segment.entries, |target| accepted.get(target));
        (t.segment.summary(|target| accepted.get(target)), traffic)
    })
}

fn polynomial(words: &[u64]) -> DataPolynomial {
    let elements: Vec<F> = words.iter().map(|w| F::from_canonical_u64(*w)).collect();
    DataPolynomial::evaluate(&elements, point())
}

/// What the ledger, the journal and the rows send.
fn expected(list: &DataList) -> Traffic {
    let mut traffic = Traffic::default();
    for record in &list.queue {
        let (index, outcome) = (unsigned(record.index), unsigned(record.outcome.into()));
        let tuple = [&[index], &record.digest().elements[..], &[outcome]].concat();
        traffic.add_tuple(BusTag::DataQueue, &tuple, -1);
    }
    for paid in &list.withdrawals {
        let numbers = [unsigned(paid.asset.into()), unsigned(paid.amount)];
        let tuple = [&paid.owner.words()[..], &numbers].concat();
        traffic.add_tuple(BusTag::DataWithdrawal, &tuple, -1);
    }
    for account in list.small.iter().chain(&list.large) {
        let id = [unsigned(account.id.into())];
        let (money, rest) = (account.money.digest(), account.rest);
        let owner = account.owner.words();
        let tuple = [&id[..], &money.elements, &rest.elements, &owner].concat();
        traffic.add_tuple(BusTag::DataAccount, &tuple, -1);
    }
    for (number, row) in &list.rows {
        let number = [unsigned((*number).into())];
        let tuple = [&number[..], &row.digest().elements].concat();
        traffic.add_tuple(BusTag::DataRow, &tuple, -1);
    }
    traffic
}

fn check(list: &DataList) {
    let (summary, traffic) = run(list);
    let words = list.words();
    bytes_of(&words).unwrap();
    assert_eq!(summary.data, polynomial(&words));
    assert_eq!(traffic.unmatched(), expected(list).unmatched());
    assert_eq!(summary.counts, Default::default());
}

/// Deposits that create accounts, a fill, rows that move.
fn traces() -> Vec<EpochTrace> {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    let mut traces = vec![world.fund(&[(2_000, 110_000_000), (2_001, 1_000_000_000)])];
    let fill = world.fill(2_000, 2_001, 1, 100, MARK);
    traces.push(world.epoch(|builder| builder.push(fill)).unwrap().1);
    world.marks.insert(1, MARK * 4 / 5);
    traces.push(world.epoch(|_| Ok(())).unwrap().1);
    traces
}

/// Every width at its edge, and both shapes of accounts.
fn edges() -> DataList {
    let slot = |id: u32, carry: i64| Slot {
        instrument: InstrumentId(id),
        side: Side::Short,
        size: (1 << 48) - 1,
        carry,
    };
    let most = (1i64 << 42) - 1;
    let mut small = Money {
        cash: -((1 << 60) - 1),
        flagged_at: u32::MAX,
        touched_at: 7,
        ..Money::default()
    };
    small.slots[0] = slot(u32::MAX, most);
    small.slots[3] = slot(3, -most);
    let mut large = small.clone();
    large.cash = -1;
    large.slots[15] = slot(9, -1);
    let record = |money: Money| AccountRecord {
        id: (1 << 28) - 1,
        money,
        rest: HashOut::rand(),
        owner: Owner([0xff; 20]),
    };
    let row = Row {
        premium: -(1 << 48) + 1,
        long_carry: -most,
        short_carry: most,
        insurance_size: -(1 << 40),
        insurance_since: u32::MAX,
        ..Row::default()
    };
    let mut item = [unsigned((1 << 56) - 1); ITEM_WORDS];
    item[10..].fill(unsigned(FIELD_ORDER - 1));
    let queued = |words| QueueRecord {
        index: u64::from(u32::MAX),
        words,
        outcome: 75,
    };
    DataList {
        queue: vec![queued(item), queued([F::ZERO; ITEM_WORDS])],
        small: vec![record(small)],
        large: vec![record(large)],
        rows: vec![(1_023, row)],
        ..DataList::default()
    }
}

#[test]
fn p6_epochs_agree() {
    for trace in traces() {
        let lists = SHAPE.plan(&trace);
        lists.iter().for_each(check);
        let records: usize = lists.iter().map(|list| list.large.len()).sum();
        assert_eq!(records, 0);
        let accounts: usize = lists.iter().map(|list| list.small.len()).sum();
        assert_eq!(accounts, trace.accounts.len());
        // The lists one after the other are the epoch's data.
        let joined = lists.iter().map(|list| run(list).0.data);
        let joined = joined
            .reduce(|left, right| left.followed_by(&right))
            .unwrap();
        let words: Vec<u64> = lists.iter().flat_map(DataList::words).collect();
        assert_eq!(joined, polynomial(&words));
    }
}

#[test]
fn p6_edges_agree() {
    check(&edges());
    check(&DataList::default());
}

/// [word aliasing] Halves of a residue plus p, of a digest and of cash.
#[test]
fn p6_aliases_are_refused() {
    let (builder, t) = DataSegment::build(SHAPE);
    let hints = builder.hints("halves");
    let checker = Checker::new(builder);
    let mut list = edges();
    list.small[0].rest.elements[0] = unsigned(5);
    list.small[0].money.cash = 5;
    let honest = inputs(&t, &list);
    let accepted = checker.check(&honest).unwrap();
    let mut aliased = 0;
    for halves in &hints {
        let values = [halves[0], halves[1]].map(|half| accepted.get(half).to_canonical_u64());
        if values != [5, 0] {
            continue;
        }
        let alias = u128::from(FIELD_ORDER) + 5;
        let told = [alias as u32, (alias >> 32) as u32].map(|half| unsigned(half.into()));
        let lies = [(halves[0], told[0]), (halves[1], told[1])];
        assert!(checker.check_with_lies(&honest, &lies).is_err());
        aliased += 1;
    }
    assert_eq!(aliased, 2);
}

/// The polynomial is of these words: another length, value or shift is refused, and so is a record
/// that is received but left out of it.
#[test]
fn p6_another_polynomial_is_refused() {
    let list = edges();
    CIRCUIT.with(|(t, checker)| {
        let honest = inputs(t, &list);
        let accepted = checker.check(&honest).unwrap();
        let data = t.segment.summary.data;
        for target in [
            data.length,
            data.value.0[0],
            data.value.0[1],
            data.shift.0[0],
        ] {
            let lie = [(target, accepted.get(target) + F::ONE)];
            assert!(checker.check_with_lies(&honest, &lie).is_err());
        }
        // Fewer records at the commitment of more.
        let mut fewer = list.clone();
        fewer.rows.clear();
        let kept = t.segment.summary.commitment.elements;
        let lies: Vec<_> = kept.iter().map(|t| (*t, accepted.get(*t))).collect();
        let verdict = checker.check_with_lies(&inputs(t, &fewer), &lies);
        assert!(verdict.is_err());
    });
}

/// A small record of an account with more slots has another digest than the ledger sent, and no
/// witness at all through `set`.
#[test]
fn p6_slots_cannot_be_left_out() {
    let mut list = edges();
    let large = list.large.remove(0);
    list.small.push(large);
    CIRCUIT.with(|(t, _)| {
        assert!(t.set(&mut PartialWitness::new(), &list).is_err());
    });
    let mut cut = list.clone();
    cut.small[1].money.slots[15] = Slot::default();
    let (_, traffic) = run(&cut);
    assert_ne!(traffic.unmatched(), expected(&list).unmatched());
}

/// An item published with another word than the journal's has another digest on the bus.
#[test]
fn p6_no_word_of_an_item_can_be_changed() {
    let list = edges();
    for word in 0..ITEM_WORDS {
        let mut lie = list.clone();
        lie.queue[0].words[word] -= F::ONE;
        let (_, traffic) = run(&lie);
        assert_ne!(
            traffic.unmatched(),
            expected(&list).unmatched(),
            "word {word}"
        );
    }
}

#[test]
fn p1_no_more_records_than_room() {
    let mut list = edges();
    list.rows = vec![list.rows[0]; 3];
    CIRCUIT.with(|(t, checker)| {
        assert!(t.set(&mut PartialWitness::new(), &list).is_err());
        let mut witness = inputs(t, &edges());
        witness.target_values.insert(t.counts[4], unsigned(3));
        assert!(checker.check_with_lies(&witness, &[]).is_err());
    });
}

#[test]
fn rows_are_pinned() {
    let base = DataShape {
        queue: 8,
        withdrawals: 8,
        small: 8,
        large: 8,
        rows: 8,
    };
    let rows = |shape| DataSegment::build(shape).0.rows();
    let first = rows(base);
    let more = [
        DataShape { queue: 108, ..base },
        DataShape {
            withdrawals: 108,
            ..base
        },
        DataShape { small: 108, ..base },
        DataShape { large: 108, ..base },
        DataShape { rows: 108, ..base },
    ];
    let per_hundred = more.map(|shape| rows(shape) - first);
    assert_eq!(per_hundred, [1_267, 195, 1_012, 1_572, 675]);
    let (builder, _) = DataSegment::build(DataShape::PRODUCTION);
    assert!(builder.rows() < (1 << 14) - 512, "{}", builder.rows());
}

/// Constraint mutation [STYLE 17]: a lie for each assertion, among them the alias of every halved
/// word, which is small enough to have one.
#[test]
fn each_assertion_is_needed() {
    let shape = DataShape {
        queue: 2,
        withdrawals: 1,
        small: 1,
        large: 1,
        rows: 1,
    };
    let (builder, t) = DataSegment::build_over(crate::Builder::loose(), shape);
    let all_halves = builder.hints("halves");
    let mut list = edges();
    for record in &mut list.queue {
        record.words[PLAIN_ITEM_WORDS..].fill(unsigned(5));
    }
    for account in list.small.iter_mut().chain(&mut list.large) {
        account.money.cash = 5;
        account.rest.elements = [unsigned(5); 4];
    }
    let honest = inputs(&t, &list);
    let loose = Loose::new(builder, &honest);
    let mut coverage = Coverage::new(&loose);
    let mut scene = loose.scene(&honest);
    for halves in all_halves {
        let low = scene.get(halves[0]) + F::ONE;
        let top = unsigned(u32::MAX.into());
        coverage.tell(&mut scene, &[(halves[0], low), (halves[1], top)]);
    }
    coverage.fuzz_open(&mut scene);
    coverage.fuzz_hints(&mut scene);
    coverage.assert_whole();
}
