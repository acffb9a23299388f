//! Tick, numbers, medians, shift and close, each against its native twin at the edges of its
//! bounds.

use plonky2::field::types::Field;
use proptest::prelude::*;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::hash::{signed, unsigned};
use tally_protocol::oracle::FeedPrices;
use tally_protocol::socialisation::{self, GroupLots, Plan};
use tally_protocol::tick::{self as native, Ticked};
use tally_protocol::types::Side;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::instrument::{MarginRowTarget, MarketRowTarget};
use crate::row::feed::{MedianTarget, median};
use crate::row::numbers::{NumbersTarget, StatusTarget, margin_row, market_row, per_million};
use crate::row::shift::{GroupTarget, PlanTarget, ShiftTarget, taking_over};
use crate::row::tick::{TickedTarget, tick};

struct TickCircuit {
    row: RowTarget,
    feed: MedianTarget,
    now: [Target; 2],
    ticked: TickedTarget,
    group: GroupTarget,
    plan: [Target; 2],
    shift: ShiftTarget,
    moved: RowTarget,
    margin: Vec<Target>,
    market: Vec<Target>,
}

/// All of a unit's rules but change and close, without the table.
fn build(b: &mut Builder) -> TickCircuit {
    let row = free_row(b);
    let feed = MedianTarget {
        present: b.add_virtual_bool_target_unsafe(),
        index: b.add_virtual_target(),
        mark: b.add_virtual_target(),
        premium: b.add_virtual_target(),
    };
    let now: [Target; 2] = b.add_virtual_target_arr();
    let ticked = tick(b, &row, &feed, now[0], now[1]);
    let group = GroupTarget {
        lots: b.add_virtual_target_arr(),
    };
    group.check(b, &row);
    let plan: [Target; 2] = b.add_virtual_target_arr();
    let spread = PlanTarget::of(b, plan[0], plan[1]);
    let shift = ShiftTarget::of(b, &ticked, &group, &spread);
    let moved = shift.apply(b, &ticked.row);
    let epoch = b.constant(unsigned(EPOCH.into()));
    let moved = taking_over(b, &moved, &group, epoch);
    let numbers = NumbersTarget::of(b, &moved.params, moved.mark());
    let status = StatusTarget::of(b, moved.status());
    let margin: MarginRowTarget = margin_row(b, &moved, &numbers, &status, &shift);
    let number = b.constant(unsigned(7));
    let market: MarketRowTarget = market_row(b, &moved, number, &numbers, &status);
    TickCircuit {
        row,
        feed,
        now,
        ticked,
        group,
        plan,
        shift,
        moved,
        margin: margin.words(b).to_vec(),
        market: market.words().to_vec(),
    }
}

const EPOCH: u32 = 77;

struct Case {
    row: Row,
    prices: Option<FeedPrices>,
    group: GroupLots,
    plan: Plan,
}

impl TickCircuit {
    fn inputs(&self, case: &Case) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        set_row(&mut witness, &self.row, &case.row);
        let prices = case.prices.unwrap_or(FeedPrices {
            index: 1,
            mark: 1,
            premium: 0,
        });
        let pairs = [
            (
                self.feed.present.target,
                F::from_bool(case.prices.is_some()),
            ),
            (self.feed.index, unsigned(prices.index)),
            (self.feed.mark, unsigned(prices.mark)),
            (self.feed.premium, signed(prices.premium)),
            (self.now[0], unsigned(ROUND.into())),
            (self.now[1], unsigned(TIME)),
            (self.group.lots[0], unsigned(case.group.long)),
            (self.group.lots[1], unsigned(case.group.short)),
            (self.plan[0], unsigned(case.plan.recovery)),
            (self.plan[1], unsigned(case.plan.losses)),
        ];
        for (target, value) in pairs {
            witness.set_target(target, value).unwrap();
        }
        witness
    }

    fn check(&self, checker: &Checker, case: &Case) {
        let ticked = native::tick(&case.row, case.prices, ROUND, TIME).unwrap();
        let exposure = socialisation::exposure(&ticked, case.group).unwrap();
        let shift = socialisation::shift(&case.plan, &exposure);
        let moved = socialisation::shifted(&ticked.row, &shift);
        let moved = socialisation::taking_over(&moved, case.group, EPOCH);
        let accepted = checker.check(&self.inputs(case)).unwrap();
        assert_eq!(got_row(&accepted, &self.ticked.row), words_of(&ticked.row));
        assert_eq!(accepted.get(self.ticked.delta), signed(ticked.delta));
        assert_eq!(accepted.get(self.shift.weight), unsigned(exposure.weight));
        let sums = [self.shift.per_lot, self.shift.posted, self.shift.collected];
        let expected = [shift.per_lot, shift.posted, shift.collected].map(unsigned);
        assert_eq!(accepted.get_all(&sums), expected);
        assert_eq!(got_row(&accepted, &self.moved), words_of(&moved));
        let shift = (shift.per_lot > 0).then_some((shift.side, shift.per_lot));
        let margin = native::margin_row(&moved, shift).words();
        assert_eq!(accepted.get_all(&self.margin), margin);
        let market = native::market_row(&moved, 7).words();
        assert_eq!(accepted.get_all(&self.market), market);
    }
}

thread_local! {
    static CIRCUIT: (TickCircuit, Checker) = {
        let mut b = Builder::new();
        let circuit = build(&mut b);
        (circuit, Checker::new(b))
    };
}

fn check(case: &Case) {
    CIRCUIT.with(|(circuit, checker)| circuit.check(checker, case));
}

fn plain(row: Row, mark: u64) -> Case {
    Case {
        row,
        prices: Some(FeedPrices {
            index: mark,
            mark,
            premium: 600,
        }),
        group: GroupLots { long: 0, short: 20 },
        plan: Plan::default(),
    }
}

/// Every way of [T6] and [N2], for both kinds, with the group on either side.
#[test]
fn t4_t6_n2_q6_agree_on_every_path() {
    let band = MARK * 15 / 1_000;
    let max = row(false).params.max_price;
    for is_spot in [false, true] {
        let at = |mark: u64| Row {
            mark,
            ..row(is_spot)
        };
        let statuses = [Status::Halted, Status::Settled, Status::Clamped];
        let mut cases = vec![
            plain(at(MARK), MARK),
            plain(at(MARK), MARK + band),
            plain(at(MARK), MARK + band + 1),
            plain(at(MARK), MARK - band - 1),
            plain(at(MARK), 1),
            // Beyond M/4, at M, beyond it.
            plain(at(max / 4), max / 4 + 1),
            plain(at(max - 1), max - 1),
            plain(at(max - 1), max),
            plain(at(max - 1), max + 1_000),
            // Numbers that rounding makes equal.
            plain(at(60), 60),
            plain(at(3), 3),
        ];
        cases.extend(statuses.map(|status| {
            let row = Row { status, ..at(MARK) };
            plain(row, MARK + 5_000)
        }));
        let mut missing = plain(at(MARK), MARK);
        missing.prices = None;
        cases.push(missing);
        // Carry that would leave ±M.
        for long_carry in [max as i64, -(max as i64)] {
            let row = Row {
                long_carry,
                short_carry: -long_carry,
                ..at(MARK)
            };
            cases.push(plain(row, MARK + 100));
            cases.push(plain(row, MARK - 100));
        }
        cases.iter().for_each(check);
    }
}

/// The quote asset's row, which dead units tick, stays as it is.
#[test]
fn t3_a_dead_units_row_agrees() {
    check(&Case {
        row: Row::default(),
        prices: None,
        group: GroupLots::default(),
        plan: Plan {
            recovery: (1 << 55) - 1,
            losses: (1 << 60) - 1,
        },
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn t4_t5_q6_rows_agree(
        mark in (MARK * 9 / 10)..(MARK * 11 / 10),
        index in (MARK * 9 / 10)..(MARK * 11 / 10),
        premium in -40_000i64..40_000,
        long in 0..900u64,
        extra in 0..880u64,
        recovery in prop_oneof![Just(0), 0..1u64 << 40, Just((1 << 55) - 1)],
        others in 0..1u64 << 40,
        elapsed in 1..400u64,
        is_spot in any::<bool>(),
    ) {
        let row = Row { time: TIME - elapsed, ..row(is_spot) };
        let mut case = plain(row, mark);
        case.prices = Some(FeedPrices { index, mark, premium });
        case.group = GroupLots { long, short: 20 + extra };
        let ticked = native::tick(&case.row, case.prices, ROUND, TIME).unwrap();
        let exposure = socialisation::exposure(&ticked, case.group).unwrap();
        case.plan = Plan { recovery, losses: exposure.weight + others };
        check(&case);
    }
}

/// [Q6] What the shift takes is what the side gained, capped; nobody outside of G, no shift.
#[test]
fn q6_agrees_where_only_the_group_holds_the_winning_side() {
    let mut case = plain(row(false), MARK + 1_000);
    case.plan = Plan {
        recovery: 1 << 50,
        losses: 1 << 30,
    };
    for long in [0, 899, 900] {
        case.group = GroupLots { long, short: 900 };
        check(&case);
    }
    case.group = GroupLots {
        long: 900,
        short: 20,
    };
    check(&case);
}

/// Rules are refused by constraints alone: an older round or time, more lots than the side has.
#[test]
fn t2_t3_q6_broken_inputs_are_refused() {
    let refused = |case: &Case, change: &dyn Fn(&TickCircuit) -> (Target, F)| {
        CIRCUIT.with(|(circuit, checker)| {
            let mut witness = circuit.inputs(case);
            let (target, value) = change(circuit);
            witness.target_values.insert(target, value);
            assert!(checker.check_with_lies(&witness, &[]).is_err());
        });
    };
    let case = plain(row(false), MARK);
    refused(&case, &|c| (c.now[0], unsigned(u64::from(ROUND) - 1)));
    refused(&case, &|c| (c.now[1], unsigned(TIME - 15)));
    refused(&case, &|c| (c.group.lots[0], unsigned(901)));
    refused(&case, &|c| (c.group.lots[1], unsigned(901)));
    refused(&case, &|c| (c.group.lots[1], signed(-1)));
}

/// [socialisation charged to newcomers] Whatever the operator claims, a side pays per lot no more
/// than it gained in this tick, and no less than its share: every other hint is refused.
#[test]
fn q6_another_shift_is_refused() {
    let mut b = Builder::new();
    let circuit = build(&mut b);
    let hints = b.hints("per lot")[0].clone();
    let checker = Checker::new(b);
    let mut case = plain(row(false), MARK + 1_000);
    case.plan.losses = 20 * (1_000 - 100);
    case.plan.recovery = 500_000;
    circuit.check(&checker, &case);
    let ticked: Ticked = native::tick(&case.row, case.prices, ROUND, TIME).unwrap();
    let exposure = socialisation::exposure(&ticked, case.group).unwrap();
    assert_eq!(exposure.side, Side::Long);
    let honest = socialisation::shift(&case.plan, &exposure).per_lot;
    assert!(honest > 0 && honest < exposure.gain);
    for told in [0, honest - 1, honest + 1, exposure.gain, exposure.gain + 1] {
        for capped in [0, 1] {
            let lies = [(hints[0], unsigned(told)), (hints[1], unsigned(capped))];
            let verdict = checker.check_with_lies(&circuit.inputs(&case), &lies);
            assert!(verdict.is_err(), "{told} passes");
        }
    }
}

#[test]
fn t5_another_quotient_is_refused() {
    let build = |b: &mut Builder| {
        let x = b.add_virtual_target();
        per_million(b, x);
        (x, b.hints("per million")[0].clone())
    };
    // A quotient beyond 2^42, with which the sum wraps once around p.
    let wrapped = u128::from(FIELD_ORDER) + 5_000_001;
    let around = [wrapped / 1_000_000, wrapped % 1_000_000].map(|x| unsigned(x as u64));
    assert_each_assertion_needed(build, |(x, hint)| {
        let lie = |value: i64, quotient: F, rest: F| {
            let mut witness = PartialWitness::new();
            witness.set_target(*x, signed(value)).unwrap();
            Attack::new("quotient", witness, &[(hint[0], quotient), (hint[1], rest)])
        };
        vec![
            lie(5_000_001, signed(4), signed(1_000_001)),
            lie(5_000_001, signed(6), signed(-999_999)),
            lie(5_000_001, signed(5), signed(2)),
            lie(-1_000_000, signed(-1), signed(0)),
            lie(5_000_001, around[0], around[1]),
        ]
    });
}

struct MedianCircuit {
    values: Vec<Target>,
    median: Target,
    sides: Vec<Vec<Target>>,
}

fn median_of_three(b: &mut Builder) -> MedianCircuit {
    let values = b.add_virtual_targets(3);
    let median = median(b, &values);
    MedianCircuit {
        values,
        median,
        sides: b.hints("median sides"),
    }
}

#[test]
fn t1_medians_agree() {
    let mut b = Builder::new();
    let circuit = median_of_three(&mut b);
    let checker = Checker::new(b);
    for values in [[1, 2, 3], [3, 1, 2], [2, 2, 2], [5, 5, -1], [-7, 0, -7]] {
        let mut witness = PartialWitness::new();
        let given = values.map(signed);
        witness.set_target_arr(&circuit.values, &given).unwrap();
        let accepted = checker.check(&witness).unwrap();
        let expected = tally_protocol::oracle::median(values.into_iter()).unwrap();
        assert_eq!(accepted.get(circuit.median), signed(expected));
    }
}

/// [T1] In every order of the reports: neither an end nor a value of nobody's, however the sides
/// are told; f reporters cannot move the median past an honest one.
#[test]
fn t1_another_median_is_refused() {
    assert_each_assertion_needed(median_of_three, |t| {
        let mut attacks = Vec::new();
        for first in 0..3 {
            // Places of the end that is claimed, and of the two others.
            let others = [(first + 1) % 3, (first + 2) % 3];
            for lowest in [true, false] {
                let end = if lowest { 10 } else { 30 };
                let mut values = [end; 3];
                values[others[0]] = 20;
                values[others[1]] = 40 - end;
                let mut attack = |name, median: i64, short: [i64; 3]| {
                    let mut full = [0; 3];
                    others.iter().for_each(|&place| full[place] = 1);
                    let sides = if lowest { [short, full] } else { [full, short] };
                    attacks.push(t.lie(name, values, median, sides));
                };
                let bits = |pairs: &[(usize, i64)]| {
                    let mut bits = [0; 3];
                    pairs.iter().for_each(|&(place, bit)| bits[place] = bit);
                    bits
                };
                attack("too few", end, bits(&[(first, 1)]));
                attack("no bit", end, bits(&[(first, 2)]));
                for other in others {
                    attack("wrong side", end, bits(&[(first, 1), (other, 1)]));
                }
                attack("nobody's", 15, bits(&[(first, 1), (others[0], 1)]));
            }
        }
        attacks
    });
}

impl MedianCircuit {
    fn lie(
        &self,
        name: &'static str,
        values: [i64; 3],
        median: i64,
        sides: [[i64; 3]; 2],
    ) -> Attack {
        let mut witness = PartialWitness::new();
        let given = values.map(signed);
        witness.set_target_arr(&self.values, &given).unwrap();
        let mut lies = vec![(self.median, signed(median))];
        for (targets, told) in self.sides.iter().zip(sides) {
            lies.extend(targets.iter().copied().zip(told.map(signed)));
        }
        Attack::new(name, witness, &lies)
    }
}
