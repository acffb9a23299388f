//! Constraint mutation of a block [STYLE 17]: each assertion is needed, and no lie about a hint
//! passes. What lies about single targets cannot show, the lies of `Liar` do.

mod full_block;

use plonky2::field::types::Field;
use tally_protocol::account::AccountKind;
use tally_protocol::hash::unsigned;
use tally_protocol::ledger::Facts;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::types::InstrumentId;

use super::attacks::{self, start};
use super::bench::*;
use super::plain::{MANY, with};
use crate::checker::loose::{Coverage, Loose, Scene};
use crate::ledger::{LedgerSegment, LedgerShape, PlannedSegment, UnitTarget};
use crate::{Builder, F};

const PLAIN: LedgerShape = LedgerShape { blocks: 1, ..MANY };

#[test]
fn each_assertion_of_a_plain_block_is_needed() {
    let liar = Liar::new(PLAIN, &busy(PLAIN));
    let mut coverage = Coverage::new(&liar.loose);
    for (name, attack) in attacks::all() {
        coverage.attack(name, &inputs(&liar.ledger, &attack));
    }
    liar.tell_all(&mut coverage);
    let debtor = [isolated_debtor()];
    for (i, segment) in debtor.into_iter().chain(liar.honest()).enumerate() {
        let mut scene = liar.scene(&segment);
        assert!(scene.broken().nothing(), "{:?}", scene.broken());
        coverage.fuzz_open(&mut scene);
        if i < 3 {
            coverage.fuzz_hints(&mut scene);
        }
    }
    coverage.assert_whole();
}

fn isolated_debtor() -> PlannedSegment {
    let debtor = of_kind(AccountKind::Isolated, level(-50, &[(SPOT, 5)]));
    let mut bench = Bench::open(2_000, Some(debtor));
    let posting = bench.fill(SPOT, -1, 95);
    bench.apply(posting, Facts::default()).unwrap();
    unchecked(&bench, PLAIN)
}

/// One account of three instruments with these postings.
fn posted(
    shape: LedgerShape,
    count: usize,
    make: impl Fn(&mut Bench, u32) -> Posting,
) -> PlannedSegment {
    let mut bench = start(100_000, &[(PERP, 5), (SPOT, 2), (InstrumentId(100), 3)]);
    for i in (0..).take(count) {
        let posting = make(&mut bench, i);
        bench.apply(posting, Facts::default()).unwrap();
    }
    unchecked(&bench, shape)
}

/// An order, a taker, what only reduces.
fn busy(shape: LedgerShape) -> PlannedSegment {
    posted(shape, shape.postings, |b, i| match i {
        0 => b.by_slot(5, 6, 100, 7),
        1 => b.by_nonce(0, 2, 1),
        _ => with(b.fill(PERP, -3, -3), Needs::REDUCE_ONLY | Needs::OUTFLOW),
    })
}

/// New orders in empty slots, one order again and again, takers, orders that amend: the last of
/// them is followed by nothing that would notice a lie about it.
fn orders(shape: LedgerShape, count: usize) -> [PlannedSegment; 4] {
    [
        posted(shape, count, |b, i| b.by_slot(9 + i, 1, 100 + i % 2, 2)),
        posted(shape, count, |b, _| b.by_slot(5, 6, 100, 2)),
        posted(shape, count, |b, i| b.by_nonce(i, 100, 2)),
        posted(shape, count, |b, i| {
            with(b.by_slot(5, 6 + i, 100, 2), Needs::AMEND)
        }),
    ]
}

/// A circuit whose assertions may be broken, and lies made for it.
struct Liar {
    ledger: LedgerSegment,
    loose: Loose,
}

impl Liar {
    fn new(shape: LedgerShape, honest: &PlannedSegment) -> Self {
        let (builder, ledger) = LedgerSegment::build_over(Builder::bare(), shape);
        let inputs = inputs(&ledger, honest);
        Self {
            loose: Loose::new(builder, &inputs),
            ledger,
        }
    }

    fn scene(&self, segment: &PlannedSegment) -> Scene<'_> {
        self.loose.scene(&inputs(&self.ledger, segment))
    }

    /// Accounts that every shape takes: between them all that a unit does.
    fn honest(&self) -> Vec<PlannedSegment> {
        let shape = self.ledger.shape;
        let nobody = PlannedSegment {
            witness: Default::default(),
            ..busy(shape)
        };
        vec![
            busy(shape),
            self.going_on(),
            nobody,
            self.touched(),
            self.fills(),
        ]
        .into_iter()
        .chain((1..=shape.postings).flat_map(|count| orders(shape, count)))
        .collect()
    }

    /// A taker's order, handed on by another segment and to another one.
    fn going_on(&self) -> PlannedSegment {
        let shape = self.ledger.shape;
        let mut bench = start(100_000, &[(PERP, 5)]);
        for _ in 0..3 * shape.postings {
            let posting = bench.by_nonce(0, 100, 2);
            bench.apply(posting, Facts::default()).unwrap();
        }
        planned(&[bench], &[shape]).swap_remove(1)
    }

    fn touched(&self) -> PlannedSegment {
        unchecked(&start(100_000, &[(PERP, 5)]), self.ledger.shape)
    }

    fn fills(&self) -> PlannedSegment {
        let others = [InstrumentId(100), InstrumentId(101)];
        let held = [(PERP, 5), (SPOT, 2), (others[0], 3), (others[1], 4)];
        let mut bench = start(100_000, &held);
        for _ in 0..self.ledger.shape.postings {
            let posting = bench.fill(PERP, 1, 0);
            bench.apply(posting, Facts::default()).unwrap();
        }
        unchecked(&bench, self.ledger.shape)
    }

    fn units(&self) -> &[UnitTarget] {
        &self.ledger.blocks[0].units
    }

    fn tell_all(&self, coverage: &mut Coverage<'_>) {
        self.non_bit_places(coverage);
        self.withdrawn_signatures(coverage);
        self.takers_twice(coverage);
        self.dead_units(coverage);
        self.higher_places(coverage);
    }

    /// Lots that come out of one place and go into two others: a sum of instruments that is one.
    fn non_bit_places(&self, coverage: &mut Coverage<'_>) {
        let mut scene = self.scene(&self.fills());
        let rows = &self.ledger.blocks[0].rows;
        let places = self.loose.hints("place");
        for (unit, places) in self.units().iter().zip(places) {
            for i in 0..places.len() {
                let others = [(i + 1) % places.len(), (i + 2) % places.len()];
                let weight = |j: usize| match j == i {
                    true => F::NEG_ONE,
                    false => F::from_bool(others.contains(&j)),
                };
                let ids = rows.iter().enumerate();
                let named = ids.map(|(j, row)| weight(j) * scene.get(row.id)).sum();
                let mut lies = vec![(unit.posting.instrument, named)];
                lies.extend(places.iter().enumerate().map(|(j, bit)| (*bit, weight(j))));
                coverage.tell(&mut scene, &lies);
            }
        }
    }

    /// [S4] A signature request of −1, for an order that is neither new nor named.
    fn withdrawn_signatures(&self, coverage: &mut Coverage<'_>) {
        let mut scene = self.scene(&self.fills());
        let news = self.loose.hints("order is new");
        let taken = self.loose.hints("order slot taken");
        for ((unit, news), taken) in self.units().iter().zip(news).zip(taken) {
            let mut lies = vec![
                (news[0], F::NEG_ONE),
                (taken[0], F::ONE),
                (unit.order.sequence, F::ONE),
            ];
            let hash = unit.order.hash.elements.into_iter();
            let digest = unit.posting.digest.elements;
            lies.extend(hash.zip(digest.map(|word| scene.get(word))));
            coverage.tell(&mut scene, &lies);
        }
    }

    /// [S4] A nonce that is counted back, and a taker's lots counted twice.
    fn takers_twice(&self, coverage: &mut Coverage<'_>) {
        let mut scene = self.scene(&self.going_on());
        let continued = self.loose.hints("nonce continued");
        for (i, continued) in continued.into_iter().enumerate() {
            let mut lies = vec![(continued[0], F::TWO)];
            let later = self.units()[i..].iter();
            let place = later.map(|unit| unit.posting.place);
            lies.extend(place.map(|place| (place, scene.get(place) - F::ONE)));
            coverage.tell(&mut scene, &lies);
        }
    }

    /// [P1] A unit without a posting that moves lots, takes a need, or counts twice.
    fn dead_units(&self, coverage: &mut Coverage<'_>) {
        let mut scene = self.scene(&self.touched());
        let rows = &self.ledger.blocks[0].rows;
        let places = self.loose.hints("place");
        for (unit, places) in self.units().iter().zip(places) {
            let mut lies = vec![
                (unit.posting.delta_size, F::ONE),
                (unit.posting.instrument, scene.get(rows[0].id)),
            ];
            let chosen = places.iter().enumerate();
            lies.extend(chosen.map(|(j, bit)| (*bit, F::from_bool(j == 0))));
            coverage.tell(&mut scene, &lies);
            let need = unsigned(Needs::OUTFLOW.0.into());
            coverage.tell(&mut scene, &[(unit.posting.needs, need)]);
        }
        // The last unit is dead, all before it live.
        for (count, unit) in self.units().iter().enumerate() {
            let mut segment = self.fills();
            let units = &mut segment.witness.blocks[0].units;
            units.truncate(count);
            let last = units
                .last()
                .map_or(F::NEG_ONE, |u| unsigned(u.posting.index.into()));
            let mut scene = self.scene(&segment);
            let lies = [
                (unit.live.target, F::TWO),
                (unit.posting.index, last + F::ONE),
            ];
            coverage.tell(&mut scene, &lies);
        }
    }

    /// [S2] A new instrument that leaves a lower place free.
    fn higher_places(&self, coverage: &mut Coverage<'_>) {
        for before in 0..self.ledger.shape.postings {
            let mut bench = start(100_000, &[(PERP, 5)]);
            for _ in 0..before {
                let posting = bench.fill(PERP, 1, 0);
                bench.apply(posting, Facts::default()).unwrap();
            }
            let posting = bench.fill(InstrumentId(100), 1, 0);
            bench.apply(posting, Facts::default()).unwrap();
            let mut segment = unchecked(&bench, self.ledger.shape);
            segment.witness.blocks[0].rows.swap(1, 2);
            coverage.attack("a higher place", &inputs(&self.ledger, &segment));
        }
    }
}
