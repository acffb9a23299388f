//! Listings and changes of parameters against `listing::apply`.

use plonky2::hash::hash_types::HashOut;
use tally_protocol::hash::unsigned;
use tally_protocol::header::Context;
use tally_protocol::listing::{Change, apply};
use tally_protocol::types::InstrumentId;

use super::*;
use crate::checker::{Checker, Refused};
use crate::row::change::ChangeTarget;
use crate::segment::{PassingChains, Segment, SegmentBuilder, SegmentKind};
use crate::summary::Challenge;

struct ChangeCircuit {
    segment: Segment,
    before: RowTarget,
    moved: RowTarget,
    number: Target,
    change: ChangeTarget,
}

thread_local! {
    static CIRCUIT: (ChangeCircuit, Checker) = {
        let mut s = SegmentBuilder::new(SegmentKind::Example);
        let (before, moved) = (free_row(&mut s), free_row(&mut s));
        let number = s.add_virtual_target();
        let live = s._true();
        let change = ChangeTarget::new(&mut s, &before, &moved, number, live);
        let (builder, segment) = s.finish(&[]);
        let circuit = ChangeCircuit { segment, before, moved, number, change };
        (circuit, Checker::new(builder))
    };
}

fn context() -> Context {
    Context {
        epoch: 5,
        round: ROUND,
        time: TIME,
        ..Context::default()
    }
}

impl ChangeCircuit {
    /// `row` is as moved by this epoch's tick; what it was before doesn't matter but for its being
    /// there.
    fn inputs(&self, row: Option<&Row>, number: u32, change: &Change) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        self.segment
            .set_context(&mut witness, &context(), 0)
            .unwrap();
        self.segment
            .set_passing(&mut witness, &PassingChains::default())
            .unwrap();
        self.segment
            .set_challenge(&mut witness, Challenge::default(), HashOut::ZERO)
            .unwrap();
        let nothing = Row {
            round: ROUND,
            ..Row::default()
        };
        set_row(
            &mut witness,
            &self.before,
            &row.copied().unwrap_or_default(),
        );
        set_row(&mut witness, &self.moved, row.unwrap_or(&nothing));
        let number = unsigned(number.into());
        witness.set_target(self.number, number).unwrap();
        self.change
            .set(&mut witness, row.is_some(), Some(change))
            .unwrap();
        witness
    }
}

fn run(row: Option<&Row>, change: &Change) -> Result<Option<Vec<F>>, Refused> {
    CIRCUIT.with(|(circuit, checker)| {
        let accepted = checker.check(&circuit.inputs(row, change.row(), change))?;
        let digest = circuit.change.read.params_digest.elements;
        let read = got_row(&accepted, &circuit.change.read);
        let remains = accepted.get(circuit.change.remains.target) == unsigned(1);
        if let Ok(native) = apply(row, change, ROUND, TIME) {
            assert_eq!(accepted.get_all(&digest), native.params.digest().elements);
        }
        Ok(remains.then_some(read))
    })
}

fn check(row: Option<&Row>, change: &Change) -> &'static str {
    let native = apply(row, change, ROUND, TIME);
    let read = native.as_ref().ok().or(row).map(words_of);
    assert_eq!(run(row, change).unwrap(), read, "{native:?}");
    native.map_or_else(|error| error.code(), |_| "done")
}

fn listing() -> Change {
    Change {
        params: perpetual(7, MARK).params,
        price: MARK,
    }
}

fn moved() -> Row {
    Row {
        round: ROUND,
        ..row(false)
    }
}

type Edit = fn(&mut Change);

/// [T7], [N1] Each clause of a listing at its edge, decided as natively.
#[test]
fn t7_n1_listings_agree() {
    let edits: [(&str, Edit); 24] = [
        ("done", |_| ()),
        ("T7.row", |c| c.params.id = InstrumentId(1 << 10)),
        ("T7.row", |c| c.params.kind = Default::default()),
        ("N1.range", |c| c.params.max_price = 64_000_000 - 1),
        ("N1.range", |c| c.params.max_price = 1 << 42),
        ("N1.range", |c| c.params.max_size = 0),
        ("done", |c| {
            c.params.max_size = ((1 << 55) - 1) / c.params.max_price
        }),
        ("N1.range", |c| {
            c.params.max_size = (1 << 55) / c.params.max_price + 1
        }),
        ("N1.range", |c| c.params.max_size = 1 << 40),
        ("N1.range", |c| c.params.max_open_interest = 0),
        ("done", |c| {
            c.params.max_open_interest = ((1 << 60) - 1) / c.params.max_price
        }),
        ("N1.range", |c| {
            c.params.max_open_interest = (1 << 60) / c.params.max_price + 1
        }),
        ("N1.range", |c| c.params.initial_long = 1_000_001),
        ("N1.range", |c| c.params.funding_cap = u32::MAX),
        ("N1.range", |c| c.params.penalty = c.params.maintenance_long),
        ("N1.range", |c| c.params.fill_band = 50_000),
        ("N1.range", |c| c.params.asset = 7),
        ("done", |c| c.params = spot(7, MARK).params),
        ("N1.range", |c| c.params = spot(900, MARK).params),
        ("N1.lot", |c| c.price = 999_999),
        ("N1.lot", |c| c.price = 100_000_001),
        ("done", |c| c.price = 1_000_000),
        ("N1.headroom", |c| c.price = MARK + 1),
        ("done", |c| c.params.max_price = (1 << 42) - 1),
    ];
    for (expected, edit) in edits {
        let mut change = listing();
        edit(&mut change);
        if change.params.max_price > 1 << 40 {
            change.params.max_size = 1_000;
            change.params.max_open_interest = 10_000;
        }
        assert_eq!(check(None, &change), expected, "{change:?}");
    }
}

/// [T7] A row in use is not listed over; a settled one that nobody holds is, under a higher id.
#[test]
fn t7_reuse_agrees() {
    let settled = Row {
        status: Status::Settled,
        open_long: 0,
        open_short: 0,
        insurance_size: 0,
        ..moved()
    };
    let mut next = listing();
    next.params.id = InstrumentId(7 + (1 << 10));
    assert_eq!(check(Some(&settled), &next), "done");
    assert_eq!(check(Some(&moved()), &next), "T7.in_use");
    let held = Row {
        open_short: 1,
        ..settled
    };
    assert_eq!(check(Some(&held), &next), "T7.in_use");
    let later = Row {
        params: RowParams {
            id: InstrumentId(7 + (2 << 10)),
            ..settled.params
        },
        ..settled
    };
    assert_eq!(check(Some(&later), &next), "T7.id");
}

/// [T7] Each field's step.
#[test]
fn t7_steps_agree() {
    let same = Change {
        params: row(false).params,
        price: 0,
    };
    assert_eq!(check(Some(&moved()), &same), "done");
    let edits: [(&str, Edit); 11] = [
        ("done", |c| c.params.max_price *= 2),
        ("T7.step", |c| {
            c.params.max_price = c.params.max_price * 2 + 1
        }),
        ("T7.step", |c| c.params.max_size -= 1),
        ("done", |c| c.params.max_open_interest *= 2),
        ("T7.in_use", |c| c.price = 1),
        ("T7.in_use", |c| c.params = spot(7, MARK).params),
        ("done", |c| c.params.penalty = 21_000),
        ("T7.step", |c| c.params.penalty = 21_001),
        ("T7.step", |c| c.params.penalty = 4_499),
        ("done", |c| c.params.penalty = 4_500),
        ("N2.numbers", |c| c.params.fill_band = 49_999),
    ];
    for (expected, edit) in edits {
        let mut change = same;
        edit(&mut change);
        let mut row = moved();
        if expected == "N2.numbers" {
            row.mark = 10;
        }
        assert_eq!(check(Some(&row), &change), expected, "{change:?}");
    }
    let settled = Row {
        status: Status::Settled,
        ..moved()
    };
    assert_eq!(check(Some(&settled), &same), "T7.in_use");
}

/// [T7] The operator can neither apply a change in another row nor claim that there is none to
/// read.
#[test]
fn t7_pranks_are_refused() {
    CIRCUIT.with(|(circuit, checker)| {
        let change = listing();
        let row = moved();
        let honest = circuit.inputs(None, 7, &change);
        assert!(checker.check(&honest).is_ok());
        let elsewhere = circuit.inputs(None, 8, &change);
        assert!(checker.check_with_lies(&elsewhere, &[]).is_err());
        // A row said not to exist, with words.
        let hidden = circuit.inputs(Some(&row), 7, &change);
        let lie = [(circuit.change.exists.target, unsigned(0))];
        assert!(checker.check_with_lies(&hidden, &lie).is_err());
        let wide = Change {
            price: 1 << 48,
            ..change
        };
        let wide = circuit.inputs(None, 7, &wide);
        assert!(checker.check_with_lies(&wide, &[]).is_err());
    });
}
