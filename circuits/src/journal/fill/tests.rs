mod mutation;

use std::sync::OnceLock;

use proptest::prelude::*;
use tally_protocol::entry::{Entry, EpochTerms, Terms};
use tally_protocol::header::Context;
use tally_protocol::instrument::flags;
use tally_protocol::journal::layout::lay_out;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::hint::from_signed;
use crate::journal::testing::*;

const CAPACITY: usize = 3;

struct Fixture {
    checker: Checker,
    segment: FillSegment,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let (builder, segment) = FillSegment::build(Builder::new(), CAPACITY);
        let checker = Checker::new(builder);
        Fixture { checker, segment }
    })
}

impl Fixture {
    fn witness(
        &self,
        context: &Context,
        fills: &[(Fill, MarketRow)],
    ) -> anyhow::Result<PartialWitness<F>> {
        let mut witness = epoch_witness(&self.segment.segment, context);
        let fills = fills.iter().zip((0..).step_by(2));
        let fills: Vec<_> = fills
            .map(|((fill, row), first)| PlacedFill { fill, row, first })
            .collect();
        let fees_at = 2 * fills.len() as u32;
        let value = FillWitness { fills, fees_at };
        self.segment.assign(&mut witness, &value)?;
        Ok(witness)
    }

    /// Feeds fills without any native check.
    fn accepts(&self, context: &Context, fills: &[(Fill, MarketRow)]) -> bool {
        // An order of the other side contradicts a constant at once.
        let witness = self.witness(context, fills);
        witness.is_ok_and(|witness| self.checker.check_with_lies(&witness, &[]).is_ok())
    }
}

fn order(side: Side, row: &MarketRow) -> Order {
    Order {
        account: AccountId(2000 + side.bit() as u32),
        generation: 4,
        place: Place::Slot {
            slot: 7,
            sequence: 11,
        },
        instrument: row.id,
        side,
        size: 500,
        limit: row.mark,
        max_fee_per_lot: 30_000,
        expiry: context().time + 60,
        reduce_only: false,
        amend: false,
    }
}

fn fill(row: &MarketRow) -> Fill {
    Fill {
        long: order(Side::Long, row),
        short: order(Side::Short, row),
        size: 120,
        price: row.mark,
        long_fee_per_lot: 25_000,
        short_fee_per_lot: 10_000,
    }
}

/// What a fill's terms say natively.
fn native(context: &Context, fill: &Fill, row: &MarketRow) -> Result<(), &'static str> {
    let market = tally_protocol::entry::Market::new([*row]);
    let epoch = EpochTerms::from(context);
    let terms = Terms {
        epoch: &epoch,
        market: &market,
    };
    fill.effects(&terms)
        .map(|_| ())
        .map_err(|error| error.code())
}

/// The bus that the native layout of these fills makes.
fn expected(context: &Context, fills: &[(Fill, MarketRow)]) -> Vec<(BusTag, Vec<F>, i128)> {
    let market = tally_protocol::entry::Market::new(fills.iter().map(|(_, row)| *row));
    let epoch = EpochTerms::from(context);
    let terms = Terms {
        epoch: &epoch,
        market: &market,
    };
    let entries: Vec<_> = fills
        .iter()
        .map(|(fill, _)| Entry::Fill(Box::new(fill.clone())))
        .collect();
    let journal = lay_out(&entries, &terms, CAPACITY).unwrap();
    let postings = journal.postings.iter();
    let postings = postings.map(|o| (BusTag::Posting, o.posting.words().to_vec(), 1));
    let reads = fills.iter();
    let reads = reads.map(|(_, row)| (BusTag::Market, row.words().to_vec(), -1));
    postings.chain(reads).collect()
}

fn place() -> impl Strategy<Value = Place> {
    let slot = (0u8..64, 1u32..).prop_map(|(slot, sequence)| Place::Slot { slot, sequence });
    prop_oneof![slot, any::<u32>().prop_map(Place::Nonce)]
}

fn row() -> impl Strategy<Value = MarketRow> {
    let status = prop_oneof![
        Just(0),
        Just(flags::REDUCE_ONLY),
        Just(flags::CLAMPED),
        Just(flags::CLAMPED | flags::REDUCE_ONLY)
    ];
    let price = prop_oneof![Just(1u64), 1u64..1 << 42, Just((1 << 42) - 2)];
    (any::<bool>(), price, 0u64..1000, status).prop_map(|(is_spot, mark, band, flags)| {
        let row = if is_spot { spot() } else { perpetual() };
        MarketRow {
            mark,
            min_fill: mark.saturating_sub(band),
            max_fill: (mark + band).min((1 << 42) - 1),
            max_size: ((1 << 55) - 1) / (1 << 42),
            flags,
            ..row
        }
    })
}

prop_compose! {
    fn any_order(side: Side)(
        account in prop_oneof![1024u32..1 << 28, Just(1024), Just((1 << 28) - 1)],
        generation: u32, place in place(), size in 1u64 << 13..1 << 48, slack in 0u64..1000,
        fee in 0u64..1 << 42, late in 0u64..1000, reduce_only: bool, amend: bool,
    ) -> (Order, u64, u64) {
        let order = Order {
            account: AccountId(account), generation, place, side, size, reduce_only,
            amend: amend && !place.is_nonce(),
            expiry: context().time + late, max_fee_per_lot: fee,
            ..order(side, &perpetual())
        };
        (order, slack, fee)
    }
}

prop_compose! {
    fn any_fill()(
        row in row(), long in any_order(Side::Long), short in any_order(Side::Short),
        size in 0u64..=1 << 13, at in 0u64..=1000, fees in prop::array::uniform2(0u64..=1000),
    ) -> (Fill, MarketRow) {
        // Each of these parts in 1,000 reaches both ends of its range.
        let part = |part: u64, low: u64, high: u64| low + (high - low) * part / 1000;
        let price = part(at, row.min_fill, row.max_fill);
        let fee = |part_of: u64, max: u64| part(part_of, 0, max.min(row.mark));
        let fill = Fill {
            size: size.clamp(1, row.max_size),
            price,
            long_fee_per_lot: fee(fees[0], long.2),
            short_fee_per_lot: fee(fees[1], short.2),
            long: Order {
                instrument: row.id,
                limit: (price + long.1).min((1 << 42) - 1),
                ..long.0
            },
            short: Order {
                instrument: row.id,
                limit: price.saturating_sub(short.1),
                ..short.0
            },
        };
        (fill, row)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn j2_agrees_with_the_native_postings(
        mut fills in prop::collection::vec(any_fill(), 0..=CAPACITY),
        deficit in prop_oneof![Just(0u64), 1u64..1 << 50],
    ) {
        // One market holds one row of an id: all fills of a kind take the first one's.
        let mut seen: Vec<MarketRow> = Vec::new();
        fills.retain(|(_, row)| {
            let known = seen.iter().any(|r| r.id == row.id && r != row);
            seen.push(*row);
            !known
        });
        let context = Context { deficit, ..context() };
        let f = fixture();
        let accepted = f.checker.check(&f.witness(&context, &fills).unwrap()).unwrap();
        assert_bus(&f.segment.segment, &accepted, expected(&context, &fills));
    }
}

type Change = fn(&mut Fill, &mut MarketRow, &mut Context);

/// In the order of the native clauses.
const BROKEN: [(&str, Change); 22] = [
    ("S4.amend", |f, _, _| {
        (f.long.place, f.long.amend) = (Place::Nonce(1), true)
    }),
    ("S4.amend", |f, _, _| {
        (f.short.place, f.short.amend) = (Place::Nonce(1), true)
    }),
    ("T2.fills", |_, _, c| c.fills_allowed = false),
    ("J2.instruments", |f, _, _| f.long.instrument = SPOT),
    ("J2.instruments", |f, _, _| f.short.instrument = SPOT),
    ("J2.sides", |f, _, _| f.long.side = Side::Short),
    ("J2.sides", |f, _, _| f.short.side = Side::Long),
    ("T7.unlisted", |_, r, _| r.kind = InstrumentKind::Quote),
    ("T6.settled", |_, r, _| r.flags = flags::SETTLED),
    ("T6.halted", |_, r, _| {
        r.flags = flags::HALTED | flags::REDUCE_ONLY
    }),
    ("J2.expired", |f, _, c| f.long.expiry = c.time - 1),
    ("J2.expired", |f, _, c| f.short.expiry = c.time - 1),
    ("N3.size", |f, _, _| f.size = 0),
    ("N3.size", |f, r, _| f.size = r.max_size + 1),
    ("J2.band", |f, r, _| {
        (f.price, f.short.limit) = (r.min_fill - 1, 0)
    }),
    ("J2.band", |f, r, _| {
        (f.price, f.long.limit) = (r.max_fill + 1, 1 << 40)
    }),
    ("J2.limit", |f, _, _| f.long.limit = f.price - 1),
    ("J2.limit", |f, _, _| f.short.limit = f.price + 1),
    ("J2.fee", |f, _, _| {
        f.long_fee_per_lot = f.long.max_fee_per_lot + 1
    }),
    ("J2.fee", |f, _, _| {
        f.short_fee_per_lot = f.short.max_fee_per_lot + 1
    }),
    ("N3.fee", |f, r, _| {
        (f.long_fee_per_lot, f.long.max_fee_per_lot) = (r.mark + 1, 1 << 41);
    }),
    // A row that no tick would make: M·max_size is beyond 2^55.
    ("N3.cash", |f, r, _| {
        (r.mark, r.min_fill, r.max_fill) = (1 << 36, 0, 1 << 42);
        (f.price, f.long.limit, f.size) = ((1 << 36) + (1 << 34), 1 << 41, 1 << 22);
    }),
];

#[test]
fn j2_each_broken_clause_is_refused() {
    let f = fixture();
    assert!(f.accepts(&context(), &[(fill(&perpetual()), perpetual())]));
    for (code, change) in BROKEN {
        let (mut fill, mut row, mut context) = (fill(&perpetual()), perpetual(), context());
        change(&mut fill, &mut row, &mut context);
        assert_eq!(native(&context, &fill, &row), Err(code));
        assert!(!f.accepts(&context, &[(fill, row)]), "{code} passes");
    }
}

/// A fill on its own, with every value free.
struct Alone {
    fill: FillTarget,
    row: MarketRowTarget,
    time: Target,
}

fn alone(b: &mut Builder) -> Alone {
    let row = MarketRowTarget::new_unchecked(b);
    let fill = FillTarget::new(b);
    let time = b.add_virtual_target();
    fill.check(b, &row, time);
    fill.long.body(b);
    fill.short.body(b);
    Alone { fill, row, time }
}

/// A fill where only these values are not what they should be.
fn lied(
    t: &Alone,
    name: &'static str,
    (fill, row): (&Fill, &MarketRow),
    lies: &[(Target, i128)],
) -> Attack {
    let mut witness = PartialWitness::new();
    t.fill.assign(&mut witness, fill).unwrap();
    t.row.assign(&mut witness, row).unwrap();
    witness
        .set_target(t.time, unsigned(context().time))
        .unwrap();
    let lies: Vec<_> = lies
        .iter()
        .map(|&(t, value)| (t, from_signed(value)))
        .collect();
    Attack::new(name, witness, &lies)
}

fn order_attacks(t: &Alone, order: &OrderTarget, value: &Order) -> Vec<Attack> {
    let (fill, row) = (fill(&perpetual()), perpetual());
    let lie = |name, lies: &[(Target, i128)]| lied(t, name, (&fill, &row), lies);
    let nonce = order.place.is_nonce.target;
    let account = i128::from(value.account.0);
    let generation = i128::from(value.generation);
    let place = i128::from(value.place.number());
    vec![
        lie("two nonces", &[(nonce, 2), (order.place.sequence, 0)]),
        lie("reduce-only twice", &[(order.reduce_only.target, 2)]),
        lie("amends twice", &[(order.amend.target, 2)]),
        lie(
            "a nonce that amends",
            &[
                (nonce, 1),
                (order.amend.target, 1),
                (order.place.sequence, 0),
            ],
        ),
        lie("a nonce with a sequence", &[(nonce, 1)]),
        lie("another instrument", &[(order.instrument, 6)]),
        // One word, read twice: account + 1 and generation − 2^32.
        lie(
            "another's order",
            &[
                (order.account, account + 1),
                (order.generation, generation - (1 << 32)),
            ],
        ),
        lie(
            "an account of 31 bits",
            &[(order.account, 1 << 30), (order.generation, 0)],
        ),
        // The word of a reduce-only order, read as a plain one of a place beyond 2^32.
        lie(
            "a flag in the place",
            &[(order.place.number, place + (2 << 32))],
        ),
        lie("expired", &[(order.expiry, i128::from(context().time) - 1)]),
    ]
}

fn attacks(t: &Alone) -> Vec<Attack> {
    let row = perpetual();
    let honest = fill(&row);
    let lie = |name, lies: &[(Target, i128)]| lied(t, name, (&honest, &row), lies);
    let f = &t.fill;
    let mark = i128::from(row.mark);
    let mut attacks = order_attacks(t, &f.long, &honest.long);
    attacks.extend(order_attacks(t, &f.short, &honest.short));
    attacks.extend([
        lie("the quote asset", &[(t.row.kind, 0)]),
        lie("a kind to come", &[(t.row.kind, 3)]),
        lie("halted", &[(t.row.flags, 2)]),
        lie("no lot", &[(f.size, 0)]),
        lie("negative lots", &[(f.size, -5)]),
        lie("too many lots", &[(f.size, i128::from(row.max_size) + 1)]),
        lie(
            "below the band",
            &[(f.price, i128::from(row.min_fill) - 1), (f.short.limit, 0)],
        ),
        lie(
            "above the band",
            &[
                (f.price, i128::from(row.max_fill) + 1),
                (f.long.limit, 1 << 40),
            ],
        ),
        lie("above the buyer's limit", &[(f.long.limit, mark - 1)]),
        lie("below the seller's limit", &[(f.short.limit, mark + 1)]),
        lie("a negative limit", &[(f.short.limit, -1)]),
        lie("a fee that pays the buyer", &[(f.long_fee_per_lot, -1)]),
        lie("a fee that pays the seller", &[(f.short_fee_per_lot, -1)]),
        lie(
            "a fee beyond the buyer's word",
            &[(f.long_fee_per_lot, 30_001)],
        ),
        lie(
            "a fee beyond the seller's word",
            &[(f.short_fee_per_lot, 30_001)],
        ),
    ]);
    attacks.extend(fee_attacks(t, &honest, &row));
    attacks.extend(cash_attacks(t, &honest, &row));
    attacks
}

fn fee_attacks(t: &Alone, honest: &Fill, row: &MarketRow) -> Vec<Attack> {
    let lie = |name, lies: &[(Target, i128)]| lied(t, name, (honest, row), lies);
    let f = &t.fill;
    let mark = i128::from(row.mark);
    let mut attacks = Vec::new();
    for (fee, order) in [
        (f.long_fee_per_lot, &f.long),
        (f.short_fee_per_lot, &f.short),
    ] {
        // size · fee = 1 in the field: all but a micro-quote of a fee of 2^63 a lot is forgotten.
        let wraps = from_signed(i128::from(honest.size)).inverse();
        let wraps = crate::hint::as_signed(wraps)
            .rem_euclid(i128::from(tally_protocol::bounds::FIELD_ORDER));
        attacks.push(lie(
            "a fee that wraps",
            &[(fee, wraps), (order.max_fee_per_lot, wraps)],
        ));
        attacks.push(lie(
            "a fee above the mark",
            &[(fee, mark + 1), (order.max_fee_per_lot, mark + 1)],
        ));
    }
    attacks
}

/// Rows that no tick would make, so that one posting's cash alone leaves its bound.
fn cash_attacks(t: &Alone, honest: &Fill, row: &MarketRow) -> Vec<Attack> {
    let wide = MarketRow {
        mark: 1 << 34,
        max_fill: 1 << 41,
        min_fill: 0,
        ..*row
    };
    let up = Fill {
        price: (1 << 34) + (1 << 34) - 1,
        size: 1 << 22,
        long_fee_per_lot: 1,
        long: Order {
            limit: 1 << 40,
            max_fee_per_lot: 1,
            ..honest.long.clone()
        },
        ..honest.clone()
    };
    let down = Fill {
        price: 1,
        size: 1 << 22,
        short_fee_per_lot: 1,
        short: Order {
            limit: 0,
            max_fee_per_lot: 1,
            ..honest.short.clone()
        },
        long: Order {
            limit: 1,
            ..honest.long.clone()
        },
        ..honest.clone()
    };
    vec![
        lied(t, "the buyer's cash", (&up, &wide), &[]),
        lied(t, "the seller's cash", (&down, &wide), &[]),
    ]
}

#[test]
fn j2_every_assertion_is_needed() {
    assert_each_assertion_needed(alone, attacks);
}

/// 256 fees of 2^56 are p + something small: only a check on the way can tell.
#[test]
fn n3_a_sum_of_fees_that_wraps_is_refused() {
    let build = |b: &mut Builder| {
        let live = b._true();
        let mut sum = FeeSum::new(b);
        let fees = b.add_virtual_targets(260);
        for &fee in &fees {
            sum.add(b, fee, live);
        }
        (sum.total(b), fees)
    };
    let mut b = Builder::new();
    let (_, fees) = build(&mut b);
    let checker = Checker::new(b);
    let given = |values: &dyn Fn(usize) -> i128| {
        let mut witness = PartialWitness::new();
        for (i, &fee) in fees.iter().enumerate() {
            witness.set_target(fee, from_signed(values(i))).unwrap();
        }
        checker.check(&witness).is_ok()
    };
    assert!(given(&|_| 1 << 47));
    assert!(!given(&|i| if i < 256 { 1 << 56 } else { 0 }));
    assert!(!given(&|i| if i == 0 { 1 << 56 } else { 0 }));
    assert!(given(&|i| if i == 0 { (1 << 56) - 1 } else { 0 }));
    assert!(!given(&|i| if i == 0 { -1 } else { 0 }));
}

#[test]
fn p1_lies_about_live_units_are_refused() {
    let f = fixture();
    let context = context();
    let witness = f
        .witness(&context, &[(fill(&perpetual()), perpetual())])
        .unwrap();
    let bit = |i: usize| f.segment.units[i].live.target;
    let one = F::ONE;
    let lies: [&[(Target, F)]; 4] = [
        &[(bit(0), F::ZERO)],
        &[(bit(1), one)],
        &[(bit(0), F::ZERO), (bit(1), one)],
        &[(bit(0), F::TWO), (bit(1), -one)],
    ];
    for lie in lies {
        assert!(f.checker.check_with_lies(&witness, lie).is_err(), "{lie:?}");
    }
}

/// What a posting says beyond what its order and the context do: kind, place, cash, digest, needs,
/// aux.
#[test]
fn j1_no_word_of_a_posting_can_be_changed() {
    let f = fixture();
    let honest = (fill(&perpetual()), perpetual());
    let witness = f.witness(&context(), &[honest]).unwrap();
    let sent = f.segment.segment.entries.iter();
    let sent: Vec<_> = sent.filter(|e| e.tag == BusTag::Posting).collect();
    let accepted = f.checker.check(&witness).unwrap();
    let of_fill = [0, 6, 7, 8, 9, 10, 15, 16, 17, 18, 19];
    let of_fees = [0, 2, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16];
    let cases = [
        (sent[0], of_fill.as_slice()),
        (sent[1], &of_fill),
        (sent[1], &[3, 5]),
        (sent[sent.len() - 1], &of_fees),
    ];
    for (entry, places) in cases {
        for &place in places {
            let word = entry.words[place];
            let lie = [(word, accepted.get(word) + F::ONE)];
            let refused = f.checker.check_with_lies(&witness, &lie);
            assert!(refused.is_err(), "word {place} of {:?}", entry.words);
        }
    }
}

/// [Q6] The fee account while nothing is owed, insurance 0 else; nobody may say it is the other.
#[test]
fn q6_lies_about_the_deficit_are_refused() {
    let f = fixture();
    let fills = [(fill(&perpetual()), perpetual())];
    for (deficit, told) in [(0u64, 0u64), (5, u64::from(FEE_ACCOUNT))] {
        let context = Context {
            deficit,
            ..context()
        };
        let witness = f.witness(&context, &fills).unwrap();
        let fee = f.segment.segment.entries.last().unwrap();
        let lie = [(fee.words[2], unsigned(told))];
        assert!(f.checker.check_with_lies(&witness, &lie).is_err());
    }
}

/// Rows of a unit, and of the rest: context, frame of the messages, fee posting.
#[test]
fn rows_are_pinned() {
    let rows = |capacity| FillSegment::build(Builder::new(), capacity).0.rows();
    let (small, large) = (rows(64), rows(128));
    let unit = (large - small) as f64 / 64.0;
    let rest = small as f64 - 64.0 * unit;
    assert_eq!((unit, rest), (18.015625, 22.0));
    // Public inputs, constants and one row of each other gate take less than 150.
    let full = rest + unit * FillSegment::CAPACITY as f64;
    assert!(full < f64::from((1 << 14) - 150), "{full} rows");
}
