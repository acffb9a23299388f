//! Of a full block: the plain block's lies, and those about leaves, liquidations and refusals.

use plonky2::iop::target::Target;
use tally_protocol::account::Keys;
use tally_protocol::hash::{Tag, hash, signed};
use tally_protocol::terms::Aux;

use super::super::full::{self, absorption, below, cash, liquidation, liquidation_at, played};
use super::super::{breaks, refusals, verdicts};
use super::*;
use crate::checker::loose::Implied;

/// A full block with room for a special account of few slots.
const FULL: LedgerShape = LedgerShape {
    slots: 4,
    postings: 2,
    blocks: 1,
    full: true,
};

/// Of the last four one is enough of each two: without `nothing` and `occupied` the attacks here
/// need the other ones.
const IMPLIED: [Implied; 7] = [
    Implied {
        file: "ledger/needs.rs",
        line: "b.assert_bool(bit);",
        count: 1,
        why: "REFUSED is the sum of the facts that the one-hot reason names: 0 or 1 in any case",
    },
    Implied {
        file: "ledger/special.rs",
        line: "b.assert_bool(BoolTarget::new_unsafe(new_kind));",
        count: 1,
        why: "the second posting finds a leaf that exists, so it creates none",
    },
    Implied {
        file: "ledger/special.rs",
        line: "logic::assert_digests_equal_if(b, sets, named, &special.new_keys_digest);",
        count: 1,
        why: "the same: of the second posting it is for a key change, not for a new leaf",
    },
    Implied {
        file: "ledger/refusal.rs",
        line: "b.assert_zero(nothing.target);",
        count: 1,
        why: "a refusal is the sum of the facts that are named, and none is of number 0",
    },
    Implied {
        file: "ledger/refusal.rs",
        line: "let named = logic::one_hot(b, place, KINDS);",
        count: 1,
        why: "that number 0 is a bit: `nothing` says 0; where nothing is refused the sums say 1",
    },
    Implied {
        file: "ledger/special.rs",
        line: "b.assert_zero(occupied.target);",
        count: 2,
        why: "who makes a leaf touches it, and what is touched exists once, not twice",
    },
    Implied {
        file: "ledger/special.rs",
        line: "b.conditional_assert_eq(touches.target, leaf.exists.target, one);",
        count: 1,
        why: "of the second posting: the first one's leaf exists, and `occupied` keeps it single",
    },
];

#[test]
fn each_assertion_of_a_full_block_is_needed() {
    let liquidated = full::liquidated();
    let liar = Liar::new(FULL, &fitted(&liquidated));
    let mut coverage = Coverage::with_implied(&liar.loose, &IMPLIED);
    let [holding, failing] = refusals::all();
    liar.broken_accounts(&mut coverage, &[failing, refusals::astray()].concat());
    liar.tell_all(&mut coverage);
    liar.tell_of_leaves(&mut coverage);
    liar.tell_of_liquidations(&mut coverage);
    liar.tell_of_refusals(&mut coverage, &holding);
    liar.tell_of_orders(&mut coverage);
    let special = [vec![liquidated, known_order()], full::honest(), holding].concat();
    let special: Vec<_> = special.into_iter().filter(fits).collect();
    let fitting: Vec<_> = special.iter().map(fitted).collect();
    liar.tell_of_needs(&mut coverage, &fitting);
    for segment in liar.telling(&special) {
        let mut scene = liar.honest_scene(&coverage, &segment);
        coverage.fuzz_followed(&mut scene);
    }
    coverage.assert_whole();
}

fn fits(bench: &Bench) -> bool {
    let places = bench.running.places.iter();
    let held = places.filter(|place| place.holding.row.id.0 != 0).count();
    held <= FULL.slots && bench.units.len() <= FULL.postings
}

/// In one block; rows beyond the native places are those of the postings' instruments. What is
/// absorbed is named by as many holdings as the shape has slots.
fn fitted(bench: &Bench) -> PlannedSegment {
    let mut segment = unchecked(bench, FULL);
    let block = &mut segment.witness.blocks[0];
    for unit in &mut block.units {
        if let Aux::Absorbed(held) = &unit.facts.aux {
            let held = held.iter().take(FULL.slots);
            let words = held.flat_map(|of| [unsigned(of.instrument.0.into()), signed(of.size)]);
            if unit.posting.aux == unit.facts.aux.digest() {
                unit.posting.aux = hash(Tag::Absorbed, &words.collect::<Vec<_>>());
            }
        }
    }
    for (row, place) in block.rows.iter_mut().zip(&bench.running.places) {
        if place.holding.row.id.0 != 0 {
            *row = place.holding.row;
        }
    }
    segment
}

fn is_refused(bench: &Bench) -> bool {
    let mut units = bench.units.iter();
    units.any(|unit| unit.posting.needs.has(Needs::REFUSED))
}

/// The same postings after one that changes nothing.
fn as_second(bench: &Bench) -> Option<Bench> {
    let first = bench.units.first().filter(|_| bench.units.len() == 1)?;
    let mut needs = first.posting.needs;
    if needs.has(Needs::SOLE) {
        return None;
    }
    needs = Needs::WHILE_FLAGGED;
    let mut unit = first.clone();
    unit.facts = Facts::default();
    unit.posting = Posting {
        index: first.posting.index - 1,
        needs,
        delta_size: 0,
        delta_cash: 0,
        ..unit.posting
    };
    let mut second = bench.clone();
    second.units.insert(0, unit);
    Some(second)
}

/// An order that was in its slot before the epoch.
fn known_order() -> Bench {
    let mut bench = start(100_000, &[(PERP, 5)]);
    let posting = Posting {
        digest: digest(4),
        ..bench.by_slot(5, 4, PERP.0, 2)
    };
    bench.apply(posting, Facts::default()).unwrap();
    bench
}

/// E₀ 450 and R₀ 133 with cash −50, flagged: spot lots are to be sold.
fn owing(lots: i64) -> Bench {
    let before = level(-50, &[(PERP, lots), (SPOT, 5)]);
    Bench::open(2_001, Some(flagged(45, before)))
}

/// Four perpetuals below maintenance, one lot of one of them taken.
fn one_of_four(instrument: InstrumentId) -> Bench {
    let ids = [PERP.0, 100, 101, 102].map(|id| (InstrumentId(id), 3));
    let bench = Bench::open(2_001, Some(flagged(45, level(59, &ids))));
    played(bench, &[&|b| liquidation(b, instrument, -1)])
}

impl Liar {
    /// The accounts on which lies about single targets show something; on the others they show the
    /// same again.
    fn telling(&self, special: &[Bench]) -> Vec<PlannedSegment> {
        let [new, ..] = orders(FULL, 1);
        let [fresh, again, _, amended] = orders(FULL, 2);
        let nobody = PlannedSegment {
            witness: Default::default(),
            ..busy(FULL)
        };
        let plain = [busy(FULL), self.going_on(), nobody, self.fills()];
        let orders = [new, fresh, again, amended];
        // Liquidated, of a known order, made, liquidated of a short and of spot, the bridge.
        let shown = [2_001, 2_000, 9_000, 2_026, 2_027, 128];
        let (refused, rest): (Vec<&Bench>, Vec<&Bench>) =
            special.iter().partition(|bench| is_refused(bench));
        let rest = rest.into_iter().filter(|bench| shown.contains(&bench.id.0));
        // For an owner, for a bound.
        let refused = refused.into_iter().step_by(2).take(2);
        let special = rest.chain(refused).map(fitted);
        plain.into_iter().chain(orders).chain(special).collect()
    }

    fn honest_scene(&self, coverage: &Coverage<'_>, segment: &PlannedSegment) -> Scene<'_> {
        let scene = self.scene(segment);
        let broken = scene.broken();
        assert!(broken.nothing(), "{:?}", coverage.names(&broken));
        scene
    }

    fn broken_accounts(&self, coverage: &mut Coverage<'_>, refused: &[Bench]) {
        let attack = |coverage: &mut Coverage<'_>, name: &str, bench: &Bench| {
            if fits(bench) {
                coverage.attack(name, &inputs(&self.ledger, &fitted(bench)));
            }
        };
        for bench in refused {
            attack(coverage, "a refusal", bench);
        }
        for (name, bench) in breaks::all().into_iter().chain(beyond()) {
            attack(coverage, name, &bench);
            if let Some(second) = as_second(&bench) {
                attack(coverage, name, &second);
            }
        }
        for bench in verdicts::random(60).iter().filter(|bench| fits(bench)) {
            coverage.note(&self.scene(&fitted(bench)).broken());
        }
    }

    /// The bits of a unit's needs that it serves.
    fn needs(&self, unit: usize) -> impl Iterator<Item = (Needs, Target)> + '_ {
        let sole = [Needs::SOLE, Needs::ABSORB, Needs::AT_MOST, Needs::REFUSED];
        let served = (0..Needs::COUNT).map(|i| Needs(1 << i));
        let served = served.filter(move |need| unit == 0 || !sole.contains(need));
        served.zip(self.loose.hints("needs")[unit].iter().copied())
    }

    /// Needs told as other numbers, which shows in the word.
    fn needs_as(&self, scene: &Scene<'_>, unit: usize, told: &[(Needs, F)]) -> Vec<(Target, F)> {
        let word = self.units()[unit].posting.needs;
        let mut sum = scene.get(word);
        let mut lies = Vec::new();
        for (need, told) in told {
            let (_, bit) = self
                .needs(unit)
                .find(|(served, _)| served == need)
                .expect("served");
            sum += unsigned(need.0.into()) * (*told - scene.get(bit));
            lies.push((bit, *told));
        }
        lies.push((word, sum));
        lies
    }

    /// A need that is there twice, on all accounts that have it once; and in a unit without a
    /// posting, one that another one cancels.
    fn tell_of_needs(&self, coverage: &mut Coverage<'_>, honest: &[PlannedSegment]) {
        for segment in honest {
            let mut scene = self.scene(segment);
            for unit in 0..self.units().len() {
                for (need, bit) in self.needs(unit) {
                    if scene.get(bit) == F::ONE && coverage.may_be_no_bit(bit) {
                        let twice = self.needs_as(&scene, unit, &[(need, F::TWO)]);
                        coverage.tell(&mut scene, &twice);
                    }
                }
            }
        }
        let mut scene = self.scene(&self.touched());
        let idle = Needs::WHILE_FLAGGED;
        for unit in 0..self.units().len() {
            for (need, bit) in self.needs(unit) {
                if need != idle && coverage.may_be_no_bit(bit) {
                    let weights = [idle, need].map(|need| unsigned(need.0.into()));
                    let told = -weights[0] * weights[1].inverse();
                    let lies = self.needs_as(&scene, unit, &[(idle, F::ONE), (need, told)]);
                    coverage.tell(&mut scene, &lies);
                }
            }
        }
    }

    fn tell_of_leaves(&self, coverage: &mut Coverage<'_>) {
        // [S6] Isolated and the system's at once.
        let insurance = full::system(1, 40, &[(PERP, 5)]);
        let mut scene = self.scene(&fitted(&insurance));
        let kind = self.ledger.blocks[0].before.rest.kind;
        let isolated = self.loose.hints("kind")[0][0];
        coverage.tell(&mut scene, &[(isolated, F::ONE), (kind, signed(3))]);
        // [P1], [S3] A unit without a posting that makes a leaf some times less, and needs nothing
        // else that would show.
        let mut scene = self.scene(&fitted(&Bench::open(9_000, None)));
        for (unit, target) in self.units().iter().enumerate() {
            let times = Needs::WHILE_FLAGGED.0 / Needs::CREATE.0;
            let told = [
                (Needs::WHILE_FLAGGED, F::ONE),
                (Needs::CREATE, -unsigned(times.into())),
            ];
            let mut lies = self.needs_as(&scene, unit, &told);
            let mut aux = [F::ZERO; 8];
            aux[3..7].copy_from_slice(&Keys::default().digest().elements);
            lies.extend(target.aux.into_iter().zip(aux));
            let named = hash(Tag::Aux, &aux).elements;
            lies.extend(target.posting.aux.elements.into_iter().zip(named));
            coverage.tell(&mut scene, &lies);
        }
        // [Q5] Absorbed twice: a debt without lots.
        let bench = played(full::user(2_001, -3, &[]), &[&absorption]);
        let mut scene = self.honest_scene(coverage, &fitted(&bench));
        let twice = self.needs_as(&scene, 0, &[(Needs::ABSORB, F::TWO)]);
        coverage.tell(&mut scene, &twice);
    }

    fn tell_of_liquidations(&self, coverage: &mut Coverage<'_>) {
        let aux = |unit: usize| self.units()[unit].aux;
        // [Q2] A bankrupt that is paid a lot's charge, as the first posting and as the second.
        let mut bankrupt = below(-3, 10);
        let (mut posting, facts) = liquidation_at(&mut bankrupt, PERP, -2, 0);
        posting.delta_cash = 2;
        bankrupt.push_unchecked(posting, facts);
        let second = as_second(&bankrupt).expect("one posting");
        for (unit, bench) in [bankrupt, second].iter().enumerate() {
            let mut scene = self.scene(&fitted(bench));
            let whole = self.loose.hints("whole penalty")[unit][0];
            let lies = [(aux(unit)[0], F::NEG_ONE), (whole, F::ZERO)];
            coverage.tell(&mut scene, &lies);
        }
        // [Q3] A short is bought though only cash was negative, in a row that has a value.
        let mut short = owing(-3);
        let (posting, facts) = liquidation_at(&mut short, PERP, 1, 2);
        short.push_unchecked(posting, facts);
        let second = as_second(&short).expect("one posting");
        let value = self.ledger.blocks[0].rows[0].value;
        for bench in [short, second] {
            let mut scene = self.scene(&fitted(&bench));
            coverage.tell(&mut scene, &[(value, F::ONE)]);
        }
        // [Q3] A slot shown that nothing was taken from.
        for instrument in [PERP, InstrumentId(100)] {
            let mut scene = self.honest_scene(coverage, &fitted(&one_of_four(instrument)));
            let shown = self.loose.hints("shown slot")[0];
            for other in shown {
                let lies: Vec<_> = shown
                    .iter()
                    .map(|bit| (*bit, F::from_bool(bit == other)))
                    .collect();
                coverage.tell(&mut scene, &lies);
            }
        }
        self.uncharged_slots(coverage);
        // [Q4] The sign of a quotient's split, less 2^-30: its limbs stay what they are.
        let mut scene = self.scene(&fitted(&full::liquidated()));
        let less = F::from_canonical_u64(1 << 30).inverse();
        for sign in self.loose.hints("split sign") {
            let told = scene.get(sign[0]);
            coverage.tell(&mut scene, &[(sign[0], told - less)]);
        }
    }

    /// [Q3] A slot shown −1 times, where a handed state says that slots were charged.
    fn uncharged_slots(&self, coverage: &mut Coverage<'_>) {
        let mut scene = self.honest_scene(coverage, &self.going_on());
        let shown = self.loose.hints("shown slot")[0];
        let slots = shown.len();
        // Id, rows, the words of any account and two a place; then three a place.
        let charged = |place: usize| self.ledger.handed[1 + slots + 15 + 2 * slots + 3 * place + 2];
        for i in 0..slots {
            let j = (i + 1) % slots;
            let lies = [
                (charged(i), F::ONE),
                (charged(j), F::ONE),
                (shown[i], F::NEG_ONE),
                (shown[j], F::ONE),
            ];
            coverage.tell(&mut scene, &lies);
        }
    }

    /// [S4] An empty slot that says a sequence.
    fn tell_of_orders(&self, coverage: &mut Coverage<'_>) {
        let mut bench = start(100_000, &[(PERP, 5)]);
        for place in [9, 10] {
            let posting = bench.by_slot(place, 6, PERP.0, 2);
            bench.apply(posting, Facts::default()).unwrap();
        }
        let mut scene = self.honest_scene(coverage, &fitted(&bench));
        let taken = self.loose.hints("order slot taken");
        for (unit, taken) in self.units().iter().zip(taken) {
            let lies = [(unit.order.sequence, F::TWO), (taken[0], F::ZERO)];
            coverage.tell(&mut scene, &lies);
        }
    }

    fn tell_of_refusals(&self, coverage: &mut Coverage<'_>, holding: &[Bench]) {
        let named = self.loose.hints("one_hot")[0];
        let posting = &self.units()[0].posting;
        let number = F::from_canonical_usize;
        let fitting: Vec<_> = holding.iter().filter(|bench| fits(bench)).collect();
        for bench in &fitting {
            let mut scene = self.honest_scene(coverage, &fitted(bench));
            // [J4] Not alone.
            let alone = self.needs_as(&scene, 0, &[(Needs::SOLE, F::ZERO)]);
            coverage.tell(&mut scene, &alone);
            // A reason that holds and one that does not, less a third: they name a fourth.
            let holds = bench.units[0].posting.place as usize;
            for (less, &bit) in named.iter().enumerate() {
                if !coverage.may_be_no_bit(bit) || less == holds {
                    continue;
                }
                for other in (1..named.len()).filter(|&i| i != less && i != holds) {
                    let place = number(holds) + number(other) - number(less);
                    let mut lies = vec![(posting.place, place), (posting.order_size, F::ZERO)];
                    let weight = |i: usize| match i == less {
                        true => F::NEG_ONE,
                        false => F::from_bool(i == holds || i == other),
                    };
                    lies.extend(named.iter().enumerate().map(|(i, bit)| (*bit, weight(i))));
                    coverage.tell(&mut scene, &lies);
                }
            }
        }
        let mut scene = self.scene(&fitted(fitting[0]));
        let side = self.loose.hints("side of a refusal")[0][0];
        coverage.tell(&mut scene, &[(side, F::TWO), (posting.sequence, F::TWO)]);
    }
}

/// Broken accounts that no other test has: a healthy account sells spot, nothing is liquidated, a
/// posting to nobody, a leaf made where one is.
fn beyond() -> Vec<(&'static str, Bench)> {
    let mut healthy = Bench::open(2_001, Some(flagged(45, level(0, &[(SPOT, 2)]))));
    let (mut posting, facts) = liquidation_at(&mut healthy, SPOT, -1, 2);
    posting.delta_cash -= 1;
    healthy.push_unchecked(posting, facts);
    let some = |b: &mut Bench| liquidation_at(b, PERP, -2, 2);
    let none = |b: &mut Bench| liquidation_at(b, PERP, 0, 0);
    let of = |plays: [full::Play<'_>; 2]| {
        let mut bench = below(49, 10);
        for play in plays {
            let (posting, facts) = play(&mut bench);
            bench.push_unchecked(posting, facts);
        }
        bench
    };
    let mut nobody = Bench::open(9_000, None);
    let (posting, facts) = cash(&mut nobody, Needs::WHILE_FLAGGED, 5);
    nobody.push_unchecked(posting, facts);
    let mut owner = full::user(2_001, 9_000, &[]);
    let (posting, mut facts) = full::creation(&mut owner, Needs::default());
    if let Aux::Leaf(terms) = &mut facts.aux {
        terms.owner = owner.running.owner;
    }
    let posting = Posting {
        aux: facts.aux.digest(),
        ..posting
    };
    owner.push_unchecked(posting, facts);
    vec![
        ("[Q2] healthy, and spot", healthy),
        ("[Q3] nothing is taken first", of([&none, &some])),
        ("[Q3] nothing is taken then", of([&some, &none])),
        ("[S2] a posting to nobody", nobody),
        ("[S3] a leaf made where one is", owner),
    ]
}
