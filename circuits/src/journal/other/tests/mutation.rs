//! Each assertion of the units is needed: some lie breaks it and nothing else \[STYLE 17\].

use super::*;
use crate::checker::loose::{Coverage, Implied, Loose};

/// A unit of each kind.
const ONE: Capacities = Capacities {
    liquidations: 1,
    unwinds: 1,
    takes: 1,
    absorptions: 1,
    transfers: 1,
    withdrawals: 1,
    cancels: 1,
    cancel_alls: 1,
    key_changes: 1,
    flags: 1,
    fee_withdrawals: 1,
    sweeps: 1,
    deposits: 1,
    requested_withdrawals: 1,
    requests: 1,
    refusals: 1,
    faults: 1,
    changes: 1,
};

const IMPLIED: [Implied; 3] = [
    Implied {
        file: "journal/terms.rs",
        line: "range::is_negative(b, slack)",
        count: 1,
        why: "a take asserts the bit to be 0; a fault's take reads it, and there it is needed",
    },
    Implied {
        file: "journal/transfer.rs",
        line: "let row_flags = logic::to_bits(b, moved.row.flags, 4);",
        count: 1,
        why: "the next line asserts the bit of a settled row to be 0",
    },
    Implied {
        file: "journal/fault.rs",
        line: "let kinds = logic::one_hot(s, unit.kind, KINDS);",
        count: 1,
        why: "the next line asserts the bit of kind 0, a change, to be 0",
    },
];

impl World {
    fn inputs(&self, segment: &OtherSegment) -> PartialWitness<F> {
        let mut witness = epoch_witness(&segment.segment, &self.proven_context());
        segment
            .assign(&mut witness, &self.value().unwrap())
            .unwrap();
        witness
    }
}

/// Entries in as few worlds as give each list at most one.
fn spread(all: Vec<World>) -> Vec<World> {
    let mut worlds: Vec<World> = Vec::new();
    for world in all {
        let joined = |other: &World| {
            let mut joined = other.clone();
            joined.entries.extend(world.entries.clone());
            let same = other.context == world.context && other.rows == world.rows;
            let fits = joined.value().is_ok_and(|value| value.longest() == 1);
            (same && fits).then_some(joined)
        };
        let place = worlds.iter().enumerate();
        let place = place.filter_map(|(i, other)| Some((i, joined(other)?)));
        let found = place.collect::<Vec<_>>().pop();
        match found {
            Some((i, joined)) => worlds[i] = joined,
            None => worlds.push(world),
        }
    }
    worlds
}

/// An entry of each kind and shape, alone.
fn singles() -> Vec<World> {
    let entries = everything().into_iter().chain(acts());
    let entries = entries.chain(requests(1)).chain(rescues(7));
    let mut worlds: Vec<World> = entries.map(|entry| World::new(vec![entry])).collect();
    worlds.extend(faults::worlds());
    worlds.extend(refusals::worlds());
    worlds
}

fn worlds() -> Vec<World> {
    let mut worlds = singles();
    let mut owing: Vec<_> = [withdraw(CASH, 1 << 40, 0), requested(CASH, 9, 9, 1)]
        .map(|entry| World::new(vec![entry]))
        .into();
    for world in &mut owing {
        world.context.deficit = 1 << 49;
    }
    worlds.extend(owing);
    spread(worlds)
}

/// A segment whose assertions may be broken.
struct Liar<'a> {
    segment: &'a OtherSegment,
    loose: &'a Loose,
    coverage: Coverage<'a>,
}

impl Liar<'_> {
    fn attack(&mut self, name: &str, world: &World) {
        self.coverage.attack(name, &world.inputs(self.segment));
    }

    /// Lies told of one honest entry.
    fn tell(&mut self, world: &World, lies: &[&[(Target, i64)]]) {
        let mut scene = self.loose.scene(&world.inputs(self.segment));
        assert!(
            scene.broken().nothing(),
            "{:?}",
            self.coverage.names(&scene.broken())
        );
        for lies in lies {
            let lies = lies.iter();
            let lies: Vec<_> = lies
                .map(|&(target, value)| (target, F::from_noncanonical_i64(value)))
                .collect();
            self.coverage.tell(&mut scene, &lies);
        }
    }

    /// \[T2\] Entries in an epoch that allows none.
    fn postponed(&mut self) {
        for mut world in singles() {
            world.context.entries_allowed = false;
            world.context.fills_allowed = false;
            if !matches!(world.entries[0], Entry::Sweep(_)) {
                self.attack("[T2] an entry in a pause", &world);
            }
        }
    }

    /// \[Q4\], \[Q7\] A discount where no auction is.
    fn undue_discounts(&mut self) {
        let row = perpetual();
        for entry in [liquidation(Side::Long, &row), unwind(Side::Short, &row)] {
            let mut world = World::new(vec![entry]);
            world.context.globals.auction_epochs = 0;
            self.attack("[Q4] a discount without an auction", &world);
        }
    }

    /// Bits of a unit that are none, though their sum is one.
    fn non_bits(&mut self) {
        let lists = &self.segment.lists;
        let unit = &lists.transfers.units[0];
        let (same, creates) = (unit.receiver.same_owner, unit.receiver.creates);
        let world = World::new(vec![transfer(CASH, Receiver::Anyone)]);
        self.tell(
            &world,
            &[&[(same.target, 1), (creates.target, -1), (unit.to, 3000)]],
        );

        let unit = &lists.deposits.units[0];
        let (creates, isolated) = (unit.creates.target, unit.isolated.target);
        let world = World::new(vec![deposit(CASH, None, 40)]);
        let flags = unit.item.flags;
        let lies: [&[_]; 2] = [&[(creates, 2), (flags, 4)], &[(isolated, 2), (flags, 8)]];
        self.tell(&world, &lies);

        let unit = &lists.requests.units[0];
        let kinds = [unit.key_change, unit.cancel_all, unit.flag].map(|bit| bit.target);
        let world = World::new(requests(1)[..1].to_vec());
        for i in 0..3 {
            let lie: [_; 3] = core::array::from_fn(|j| (kinds[j], if i == j { -1 } else { 1 }));
            self.tell(&world, &[&lie]);
        }
    }

    /// \[J4\] Two cases less a third: a halted perpetual meets what each of them is bound to.
    fn cases_that_are_none(&mut self) {
        let mut world = World::new(vec![refusals::cash_only()]);
        world.rows.get_mut(&PERPETUAL).unwrap().flags = flags::HALTED;
        let unit = &self.segment.lists.refusals.units[0];
        let (cases, flags) = (unit.cases.clone(), unit.item.flags);
        let count = cases.len();
        for i in 0..count {
            let others = [(i + 1) % count, (i + 2) % count];
            let weight = |j: usize| match j == i {
                true => -1,
                false => others.contains(&j).into(),
            };
            let bits = cases.iter().enumerate();
            let lie = bits.map(|(j, bit)| (bit.target, weight(j)));
            let lie: Vec<_> = lie.chain([(flags, 0)]).collect();
            self.tell(&world, &[&lie]);
        }
    }
}

#[test]
fn j1_each_assertion_of_the_units_is_needed() {
    let (builder, segment) = OtherSegment::build(Builder::bare(), &ONE);
    let worlds = worlds();
    let loose = Loose::new(builder, &worlds[0].inputs(&segment));
    let mut liar = Liar {
        segment: &segment,
        loose: &loose,
        coverage: Coverage::with_implied(&loose, &IMPLIED),
    };
    liar.postponed();
    liar.undue_discounts();
    liar.non_bits();
    liar.cases_that_are_none();
    let mut coverage = liar.coverage;
    for world in &worlds {
        let mut scene = loose.scene(&world.inputs(&segment));
        assert!(scene.broken().nothing(), "{:?}", scene.broken());
        coverage.fuzz_open(&mut scene);
    }
    coverage.assert_whole();
}
