//! Full shapes: everything that plain accounts never do.

use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::hash::unsigned;
use tally_protocol::ledger::Facts;
use tally_protocol::margin::liquidation_charge;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::terms::{Aux, LeafTerms, LiquidationTerms};
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::plain::{MANY, agree, with};
use crate::Config;
use crate::ledger::{LedgerSegment, LedgerShape};

pub const FULL: LedgerShape = LedgerShape {
    slots: 16,
    postings: 2,
    blocks: 2,
    full: true,
};

const PENALTY: u64 = 2;

type Made = (Posting, Facts);

fn plainly(posting: Posting) -> Made {
    (posting, Facts::default())
}

pub fn with_aux(mut posting: Posting, aux: Aux) -> Made {
    posting.aux = aux.digest();
    let facts = Facts {
        aux,
        ..Facts::default()
    };
    (posting, facts)
}

pub fn other_keys() -> Keys {
    Keys {
        key: [21, 22, 23, 24, 25].map(unsigned),
        trading_key: Default::default(),
    }
}

pub fn terms(owner: u8, keys: Keys, kind: AccountKind) -> LeafTerms {
    LeafTerms {
        owner: Owner([owner; 20]),
        keys: keys.digest(),
        kind,
    }
}

fn with_keys((posting, mut facts): Made, keys: Keys) -> Made {
    facts.keys = keys;
    (posting, facts)
}

fn creation(bench: &mut Bench, more: Needs) -> Made {
    let posting = Posting {
        delta_cash: 9_000,
        ..bench.posting(Needs::CREATE | Needs::OWNER | Needs::DEPOSIT | Needs::WHILE_FLAGGED | more)
    };
    let made = with_aux(
        posting,
        Aux::Leaf(terms(9, other_keys(), AccountKind::Cross)),
    );
    with_keys(made, other_keys())
}

fn key_change(bench: &mut Bench) -> Made {
    let posting = Posting {
        digest: digest(55),
        place: bench.running.rest.nonce,
        ..bench.posting(Needs::NONCE | Needs::SET_KEYS)
    };
    let made = with_aux(
        posting,
        Aux::Leaf(LeafTerms {
            keys: other_keys().digest(),
            ..LeafTerms::default()
        }),
    );
    with_keys(made, other_keys())
}

/// Takes lots off at the right charge.
fn liquidation(bench: &mut Bench, instrument: InstrumentId, lots: i64) -> Made {
    let row = rows().get(instrument).unwrap();
    let initial = if lots < 0 {
        row.initial_long
    } else {
        row.initial_short
    };
    let charge = liquidation_charge(&bench.running.opening.totals, initial, PENALTY);
    liquidation_at(bench, instrument, lots, charge)
}

fn liquidation_at(bench: &mut Bench, instrument: InstrumentId, lots: i64, charge: u64) -> Made {
    let row = rows().get(instrument).unwrap();
    let charged = lots.abs() * charge as i64;
    let posting = Posting {
        instrument,
        delta_size: lots,
        delta_cash: -charged - lots * row.value as i64,
        order_size: 4,
        ..bench.posting(Needs::LIQUIDATE | Needs::WHILE_FLAGGED)
    };
    let aux = Aux::Liquidation(LiquidationTerms {
        charge,
        penalty: PENALTY,
        flagged_at: 45,
    });
    with_aux(posting, aux)
}

fn absorption(bench: &mut Bench) -> Made {
    let aux = Aux::Absorbed(bench.running.absorbed_holdings());
    let posting = Posting {
        delta_cash: bench.running.absorbed_cash(),
        ..bench.posting(Needs::ABSORB | Needs::WHILE_FLAGGED | Needs::SOLE)
    };
    with_aux(posting, aux)
}

fn at_most(bench: &mut Bench, instrument: u32, asked: u64, paid: i64) -> Made {
    let lots = if instrument == 0 { 0 } else { -paid };
    let cash = if instrument == 0 { -paid } else { 0 };
    plainly(Posting {
        instrument: InstrumentId(instrument),
        delta_size: lots,
        delta_cash: cash,
        order_size: asked,
        ..bench.posting(Needs::AT_MOST | Needs::OUTFLOW | Needs::SOLE)
    })
}

fn fixed(bench: &mut Bench, place: u32, instrument: InstrumentId, lots: i64) -> Made {
    let needs = Needs::SYSTEM | Needs::FIXED_SLOT | Needs::MAY_GROW;
    plainly(Posting {
        instrument,
        delta_size: lots,
        place,
        ..bench.posting(needs)
    })
}

fn system(id: u32, cash: i64, held: &[(InstrumentId, i64)]) -> Bench {
    Bench::open(id, Some(of_kind(AccountKind::System, level(cash, held))))
}

fn cash(bench: &mut Bench, needs: Needs, delta: i64) -> Made {
    plainly(Posting {
        delta_cash: delta,
        ..bench.posting(needs)
    })
}

/// E₀ 49 and R₀ 100 with ten lots, flagged long enough.
fn below(cash: i64, lots: i64) -> Bench {
    Bench::open(2_001, Some(flagged(45, level(cash, &[(PERP, lots)]))))
}

/// An account on which nothing is special yet.
fn user(id: u32, cash: i64, held: &[(InstrumentId, i64)]) -> Bench {
    Bench::open(id, Some(level(cash, held)))
}

type Play<'a> = &'a dyn Fn(&mut Bench) -> Made;

fn played(mut bench: Bench, moves: &[Play<'_>]) -> Bench {
    for play in moves {
        let (posting, facts) = play(&mut bench);
        bench.apply(posting, facts).unwrap();
    }
    bench
}

fn leaves() -> Vec<Bench> {
    let nonce = |b: &mut Bench| {
        let nonce = b.running.rest.nonce;
        plainly(b.by_nonce(nonce, 100, 7))
    };
    let moved = |b: &mut Bench| plainly(with(b.by_slot(3, 1, 1, 2), Needs::MAY_GROW));
    vec![
        played(Bench::open(9_000, None), &[&|b| creation(b, Needs::SOLE)]),
        // Made, traded with its new key and closed over two blocks.
        played(
            Bench::open(9_001, None),
            &[&|b| creation(b, Needs::default()), &nonce, &moved, &nonce],
        ),
        played(user(2_010, 9_000, &[]), &[&nonce, &key_change, &nonce]),
        played(
            user(2_011, 9_000, &[(PERP, 2)]),
            &[&|b| {
                let posting = b.posting(Needs::OWNER | Needs::SOLE | Needs::CANCEL_ALL);
                with_aux(posting, Aux::Leaf(LeafTerms::owned_by(Owner([7; 20]))))
            }],
        ),
        user(2_012, 5, &[]),
    ]
}

fn distressed() -> Vec<Bench> {
    let sell = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, -lots);
    let buy = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, lots);
    let spot = |b: &mut Bench| liquidation(b, SPOT, -1);
    let flag = |b: &mut Bench| plainly(b.posting(Needs::FLAG | Needs::SOLE | Needs::WHILE_FLAGGED));
    let with_id = |id: u32, bench: Bench| Bench::open(id, bench.before);
    vec![
        played(user(2_020, 49, &[(PERP, 10)]), &[&flag]),
        played(with_id(2_021, below(49, 10)), &[&flag]),
        played(with_id(2_022, below(49, 10)), &[&sell(1)]),
        played(
            with_id(2_023, below(49, 10)),
            &[&sell(2), &sell(2), &sell(3)],
        ),
        played(with_id(2_024, below(15, 10)), &[&sell(1)]),
        played(with_id(2_025, below(0, 10)), &[&sell(10)]),
        played(with_id(2_026, below(53, -10)), &[&buy(1), &buy(2)]),
        played(
            Bench::open(
                2_027,
                Some(flagged(45, level(-150, &[(SPOT, 10), (PERP, 2)]))),
            ),
            &[&spot, &spot],
        ),
        played(
            with_id(2_028, below(49, 10)),
            &[&|b| {
                let (posting, facts) = liquidation(b, PERP, -4);
                (with(posting, Needs::AT_MOST | Needs::SOLE), facts)
            }],
        ),
        played(with_id(2_029, below(-3, 10)), &[&absorption]),
        played(
            Bench::open(2_030, Some(level(-90, &[(PERP, 10), (SETTLED, 3)]))),
            &[&absorption],
        ),
        // Restored by a deposit: the flag is cleared.
        played(
            with_id(2_031, below(49, 10)),
            &[&|b| cash(b, Needs::DEPOSIT | Needs::WHILE_FLAGGED, 60)],
        ),
    ]
}

fn margins() -> Vec<Bench> {
    let sells = |lots: i64, got: i64| move |b: &mut Bench| plainly(b.fill(PERP, -lots, got));
    vec![
        // Below initial, and only reducing.
        played(user(2_040, 60, &[(PERP, 10)]), &[&sells(5, 0)]),
        played(user(2_041, 60, &[(PERP, 10)]), &[&sells(1, -6)]),
        played(
            user(2_042, 60, &[(PERP, 10)]),
            &[&sells(3, -1), &sells(2, 0), &sells(5, -50)],
        ),
        // Nothing at risk, in debt, and no worse.
        played(user(2_043, -5, &[]), &[&|b| cash(b, Needs::default(), 3)]),
        played(user(2_044, -9, &[(PERP, 10)]), &[&sells(5, 5)]),
        played(
            user(2_045, 120, &[(PERP, 10)]),
            &[&|b| at_most(b, 0, 15, 15)],
        ),
        played(
            user(2_046, 120, &[(PERP, 10)]),
            &[&|b| at_most(b, 0, 90, 20)],
        ),
        played(
            user(2_047, 0, &[(SPOT, 4), (PERP, 10)]),
            &[&|b| at_most(b, 2, 4, 2)],
        ),
        // A deposited lot is no risk.
        played(
            user(2_048, 20, &[(PERP, 10)]),
            &[&|b| plainly(with(b.fill(SPOT, 1, 0), Needs::DEPOSIT))],
        ),
    ]
}

fn systems() -> Vec<Bench> {
    let hundred = InstrumentId(100);
    vec![
        played(
            system(1, 40, &[(hundred, 5)]),
            &[
                &|b| fixed(b, 9, PERP, -900),
                &|b| fixed(b, 9, PERP, -900),
                &|b| fixed(b, 0, hundred, -5),
            ],
        ),
        system(0, -7, &[(SPOT, 2)]),
        played(system(2, -5, &[]), &[&|b| cash(b, Needs::SYSTEM, 5)]),
        played(system(128, -100, &[]), &[&|b| cash(b, Needs::SYSTEM, 100)]),
        played(
            system(130, 0, &[(SPOT, -3)]),
            &[&|b| plainly(with(b.fill(SPOT, 2, 0), Needs::SYSTEM | Needs::MAY_GROW))],
        ),
        played(
            system(64, 10, &[]),
            &[&|b| cash(b, Needs::SYSTEM | Needs::OUTFLOW, -10)],
        ),
    ]
}

#[test]
fn agrees_with_the_native_ledger() {
    let rigs = [Rig::new(FULL)];
    for benches in [leaves(), distressed(), margins(), systems()] {
        agree(&rigs, &benches);
    }
}

/// Plain accounts go to plain shapes, the others to the full one; both leave one root.
#[test]
fn agrees_where_shapes_share_an_epoch() {
    let rigs = [Rig::new(MANY), Rig::new(FULL)];
    let mut benches = leaves();
    benches.extend(distressed());
    benches.extend(margins());
    let shapes: Vec<bool> = agree(&rigs, &benches)
        .iter()
        .map(|segment| segment.shape.full)
        .collect();
    assert!(shapes.contains(&true) && shapes.contains(&false));
}

/// [Q4] No dead zone: at every equity between maintenance and zero one lot can go, on either side.
#[test]
fn agrees_that_no_equity_is_beyond_liquidation() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    for (lots, step) in [(1i64, 2), (10, 7), (-10, 7)] {
        for cash in (0..5 * lots.abs()).step_by(step) {
            let bench = played(
                below(cash, lots),
                &[&|b| liquidation(b, PERP, -lots.signum())],
            );
            bench.running.close().unwrap();
            assert!(!rig.refuses(&unchecked(&bench, FULL)), "{lots} {cash}");
        }
    }
}

/// Whether the circuit takes what `break_it` makes of a good last posting. The good one must pass.
struct Trial {
    name: &'static str,
    bench: Bench,
    good: Made,
    broken: Made,
}

fn trial(
    name: &'static str,
    mut bench: Bench,
    make: impl Fn(&mut Bench) -> Made,
    break_it: impl Fn(&mut Posting, &mut Facts),
) -> Trial {
    let good = make(&mut bench);
    let (mut posting, mut facts) = good.clone();
    break_it(&mut posting, &mut facts);
    // Aux is what the journal sent: a lie about its fields is told with a digest that fits.
    Trial {
        name,
        bench,
        good,
        broken: (posting, facts),
    }
}

fn assert_each_refused(trials: Vec<Trial>) {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let mut wrong = Vec::new();
    for trial in trials {
        let Trial {
            name,
            bench,
            good,
            broken,
        } = trial;
        let (id, before) = (bench.id, bench.before.clone());
        let units = bench.units.clone();
        let mut honest = bench;
        if let Err(error) = honest.apply(good.0, good.1) {
            wrong.push(format!("{name}: the good one fails: {error}"));
            continue;
        }
        if rig.refuses(&unchecked(&honest, FULL)) {
            wrong.push(format!("{name}: the good one is refused"));
        }
        let mut lying = Bench::open(id.0, before);
        for unit in units {
            lying.apply(unit.posting, unit.facts).unwrap();
        }
        lying.push_unchecked(broken.0, broken.1);
        if !rig.refuses(&unchecked(&lying, FULL)) {
            wrong.push(format!("{name}: accepted"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn relabel(posting: &mut Posting, facts: &Facts) {
    posting.aux = facts.aux.digest();
}

#[test]
fn rejects_leaves_that_are_not_as_named() {
    let sole = |b: &mut Bench| creation(b, Needs::SOLE);
    let empty = || Bench::open(9_000, None);
    let change = |b: &mut Bench| key_change(b);
    let lie = |facts: &mut Facts, change: fn(&mut LeafTerms)| {
        if let Aux::Leaf(terms) = &mut facts.aux {
            change(terms);
        }
    };
    assert_each_refused(vec![
        trial("[S3] planted keys", empty(), sole, |_, f| f.keys = keys()),
        trial("[S3] planted owner", empty(), sole, |_, f| {
            lie(f, |terms| terms.owner = Owner([8; 20]));
        }),
        trial("[S3] a system account made", empty(), sole, |p, f| {
            lie(f, |terms| terms.kind = AccountKind::System);
            relabel(p, f);
        }),
        trial("[S2] nothing made", empty(), sole, |p, _| {
            p.needs = Needs(p.needs.0 & !Needs::CREATE.0);
        }),
        trial(
            "[S6] a system posting",
            user(2_000, 9, &[]),
            change,
            |p, _| {
                p.needs = p.needs | Needs::SYSTEM;
            },
        ),
        trial("[S4] other keys", user(2_000, 9, &[]), change, |_, f| {
            f.keys = keys();
        }),
        trial("[J3] another owner", user(2_000, 9, &[]), change, |p, f| {
            lie(f, |terms| terms.owner = Owner([8; 20]));
            relabel(p, f);
            p.needs = p.needs | Needs::OWNER;
        }),
        trial("[S3] occupied", user(2_000, 9, &[]), change, |p, _| {
            p.needs = p.needs | Needs::CREATE;
        }),
        trial(
            "[J4] sole beside another",
            played(user(2_000, 900, &[]), &[&|b| plainly(b.fill(PERP, 1, 0))]),
            |b| plainly(b.fill(PERP, 1, 0)),
            |p, _| p.needs = p.needs | Needs::SOLE,
        ),
    ]);
}

#[test]
fn rejects_liquidations_that_the_rules_forbid() {
    let sell = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, -lots);
    let spot = |b: &mut Bench| liquidation(b, SPOT, -1);
    let owes = || {
        let held = level(-150, &[(SPOT, 10), (PERP, 2)]);
        Bench::open(2_001, Some(flagged(45, held)))
    };
    let resize = |lots: i64, charge: i64| {
        move |p: &mut Posting, _: &mut Facts| {
            p.delta_size = lots;
            p.delta_cash = -lots.abs() * charge;
        }
    };
    let charged = |charge: u64| {
        move |p: &mut Posting, f: &mut Facts| {
            if let Aux::Liquidation(terms) = &mut f.aux {
                terms.charge = charge;
            }
            p.delta_cash = p.delta_size.abs() * -(charge as i64);
            relabel(p, f);
        }
    };
    assert_each_refused(vec![
        // E₀ 49, R₀ 100, charge 2: restored at 7.
        trial(
            "[Q3] past restoration",
            below(49, 10),
            sell(7),
            resize(-8, 2),
        ),
        trial("[Q3] all of it", below(49, 10), sell(7), resize(-10, 2)),
        trial("[Q3] grows", below(49, 10), sell(1), resize(1, 2)),
        trial("[Q3] flips", below(49, 10), sell(1), resize(-11, 2)),
        trial("[Q3] nothing", below(49, 10), sell(1), resize(0, 0)),
        trial("[Q4] above the penalty", below(49, 10), sell(1), charged(3)),
        trial("[Q4] below the penalty", below(49, 10), sell(1), charged(1)),
        // E₀ 15: the zero price is 1.
        trial(
            "[Q4] past the zero price",
            below(15, 10),
            sell(1),
            charged(2),
        ),
        trial("[Q4] another flag", below(49, 10), sell(1), |p, f| {
            if let Aux::Liquidation(terms) = &mut f.aux {
                terms.flagged_at = 40;
            }
            relabel(p, f);
        }),
        trial("[Q3] not an owned slot", owes(), spot, |p, _| {
            p.instrument = PERP
        }),
        trial(
            "[Q3] cash is back already",
            played(owes(), &[&spot]),
            spot,
            |p, _| {
                p.delta_size = -2;
                p.delta_cash = 196;
            },
        ),
        trial(
            "[Q2] beside an ordinary fill",
            played(below(49, 10), &[&sell(1)]),
            sell(1),
            |p, _| p.needs = p.needs | Needs::ORDINARY,
        ),
        trial(
            "[Q2] a flagged account trades",
            below(49, 10),
            sell(1),
            |p, _| {
                p.needs = Needs::ORDINARY;
            },
        ),
        trial("[L5] beyond the charge", below(3, 10), sell(1), |p, _| {
            p.delta_cash -= 4
        }),
    ]);
}

/// The account itself is not one that may be liquidated.
#[test]
fn rejects_liquidations_of_the_wrong_account() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let held = |cash: i64| level(cash, &[(PERP, 10)]);
    let forbidden = [
        ("[Q2] healthy", flagged(45, held(50)), 2),
        ("[Q2] bankrupt", flagged(45, held(-1)), 0),
        ("[Q2] not flagged", held(49), 2),
        ("[Q2] a stale flag", flagged(33, held(49)), 2),
        ("[Q2] flagged now", flagged(EPOCH, held(49)), 2),
    ];
    for (name, before, charge) in forbidden {
        let flagged_at = before.money.flagged_at;
        let mut bench = Bench::open(2_001, Some(before));
        let (mut posting, mut facts) = liquidation_at(&mut bench, PERP, -1, charge);
        if let Aux::Liquidation(terms) = &mut facts.aux {
            terms.flagged_at = flagged_at;
        }
        relabel(&mut posting, &facts);
        bench.push_unchecked(posting, facts);
        if name != "[Q2] flagged now" {
            assert!(rig.refuses(&unchecked(&bench, FULL)), "{name}");
        }
    }
    // [Q1] Flagging the healthy; [Q5] absorbing the solvent.
    let mut bench = Bench::open(2_001, Some(held(50)));
    let posting = bench.posting(Needs::FLAG);
    bench.push_unchecked(posting, Facts::default());
    assert!(rig.refuses(&unchecked(&bench, FULL)), "[Q1] healthy");
    let mut bench = Bench::open(2_001, Some(held(0)));
    let (posting, facts) = absorption(&mut bench);
    bench.push_unchecked(posting, facts);
    assert!(rig.refuses(&unchecked(&bench, FULL)), "[Q5] solvent");
}

#[test]
fn rejects_absorptions_that_are_not_whole() {
    assert_each_refused(vec![
        trial(
            "[Q5] a slot kept back",
            below(-3, 10),
            absorption,
            |p, f| {
                f.aux = Aux::Absorbed(Default::default());
                relabel(p, f);
            },
        ),
        trial("[Q5] more cash", below(-3, 10), absorption, |p, _| {
            p.delta_cash = 4
        }),
        trial("[Q5] less cash", below(-3, 10), absorption, |p, _| {
            p.delta_cash = 2
        }),
        trial("[Q5] not alone", below(-3, 10), absorption, |p, _| {
            p.needs = Needs(p.needs.0 & !Needs::SOLE.0);
        }),
    ]);
}

#[test]
fn rejects_ends_below_the_margin() {
    let fill = |lots: i64, got: i64| move |b: &mut Bench| plainly(b.fill(PERP, lots, got));
    let paid = |cash: i64| move |p: &mut Posting, _: &mut Facts| p.delta_cash = cash;
    let lots = |lots: i64| move |p: &mut Posting, _: &mut Facts| p.delta_size = lots;
    let low = || user(2_000, 60, &[(PERP, 10)]);
    let take = |asked: u64, paid: i64| move |b: &mut Bench| at_most(b, 0, asked, paid);
    let rich = || user(2_000, 120, &[(PERP, 10)]);
    assert_each_refused(vec![
        // E/R = 60/100 may not fall.
        trial("[L4] the ratio falls", low(), fill(-5, -30), paid(-31)),
        trial("[L4] below, and grows", low(), fill(-1, 0), lots(1)),
        trial("[L4] below, and flips", low(), fill(-1, 0), lots(-16)),
        trial(
            "[L4] R₀ = 0, and worse",
            user(2_000, -5, &[]),
            fill(0, 3),
            paid(-1),
        ),
        trial(
            "[L4] in debt, ratio falls",
            user(2_000, -9, &[(PERP, 10)]),
            fill(-5, 5),
            paid(4),
        ),
        trial("[L4] outflow", rich(), take(90, 20), paid(-21)),
        trial("[J4] less than the most", rich(), take(90, 20), paid(-19)),
        trial("[J4] more than was asked", rich(), take(15, 15), paid(-16)),
        trial("[J4] nothing", rich(), take(15, 15), paid(0)),
        trial("[J4] at most, not alone", rich(), take(15, 15), |p, _| {
            p.needs = Needs(p.needs.0 & !Needs::SOLE.0);
        }),
        trial(
            "[L5] cash below zero",
            user(2_000, 5, &[(SPOT, 10)]),
            fill(0, -5),
            paid(-6),
        ),
    ]);
}

#[test]
fn rejects_system_accounts_out_of_bounds() {
    let hundred = InstrumentId(100);
    let held = || system(1, 40, &[(hundred, 5)]);
    let own = |b: &mut Bench| fixed(b, 9, PERP, -900);
    let pay = |needs: Needs, delta: i64| move |b: &mut Bench| cash(b, needs, delta);
    let delta = |delta: i64| move |p: &mut Posting, _: &mut Facts| p.delta_cash = delta;
    assert_each_refused(vec![
        trial("[S6] another's slot", held(), own, |p, _| p.place = 0),
        trial("[S6] not a system posting", held(), own, |p, _| {
            p.needs = Needs(p.needs.0 & !Needs::SYSTEM.0);
        }),
        trial("[N4] 2^48 lots", held(), own, |p, _| p.delta_size = 1 << 48),
        trial(
            "[S6] a bridge owns cash",
            system(128, -100, &[]),
            pay(Needs::SYSTEM, 100),
            delta(101),
        ),
        trial(
            "[S6] a bridge owns lots",
            system(130, 0, &[(SPOT, -3)]),
            |b| plainly(with(b.fill(SPOT, 3, 0), Needs::SYSTEM | Needs::MAY_GROW)),
            |p, _| {
                p.delta_size = 4;
            },
        ),
        trial(
            "[S6] fees that are not there",
            system(64, 10, &[]),
            pay(Needs::SYSTEM | Needs::OUTFLOW, -10),
            delta(-11),
        ),
        trial(
            "[Q6] insurance hides cash",
            system(2, -5, &[]),
            pay(Needs::SYSTEM, 5),
            delta(6),
        ),
    ]);
}

#[test]
fn rejects_an_empty_leaf_that_is_opened_and_a_leaf_that_is_hidden() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    let made = played(Bench::open(9_000, None), &[&|b| creation(b, Needs::SOLE)]);
    let mut segment = unchecked(&made, FULL);
    assert!(!rig.refuses(&segment));
    // [S2] Cash in what stands for the empty leaf.
    let mut rich = super::super::witness::default_leaf();
    rich.money.cash = 1;
    segment.witness.blocks[0].before = Some(rich);
    let exists = rig.ledger.blocks[0].full.as_ref().unwrap().exists.target;
    let lies = [(exists, crate::F::default())];
    let inputs = rig.inputs(&segment);
    assert!(rig.checker.check_with_lies(&inputs, &lies).is_err());
    // [S3] An occupied id passed off as empty.
    let held = played(user(2_000, 9_000, &[]), &[]);
    let mut hidden = Bench::open(2_000, None);
    let (posting, facts) = creation(&mut hidden, Needs::SOLE);
    hidden.push_unchecked(posting, facts);
    let mut segment = unchecked(&hidden, FULL);
    let tree = tree_of(&[held]);
    segment.witness.accounts = tree.root();
    segment.witness.blocks[0].path = tree.path(2_000);
    assert!(rig.refuses(&segment), "[S3] an occupied id");
}

#[test]
fn pranks_about_each_hint_change_nothing() {
    let shape = LedgerShape { blocks: 1, ..FULL };
    let (rig, hints) = Rig::with_hints(shape);
    let bench = played(below(49, 10), &[&|b| liquidation(b, PERP, -2)]);
    prank_all(&rig, &hints, &unchecked(&bench, shape));
}

#[test]
fn pinned_rows() {
    let of = |blocks| Rig::new(LedgerShape { blocks, ..FULL }).checker.used_rows();
    let more = LedgerShape {
        postings: 4,
        blocks: 1,
        ..FULL
    };
    let posting = (Rig::new(more).checker.used_rows() - of(1)) / 2;
    assert_eq!(((of(9) - of(1)) / 8, posting), (452, 56));
}

/// Public inputs' hash and constants included, each fills 2^14 rows and leaves no room for a block.
#[test]
fn pinned_production_shapes() {
    let mut used = Vec::new();
    for shape in LedgerShape::ALL {
        let (builder, _) = LedgerSegment::build(shape);
        used.push(builder.rows());
        let common = builder.into_inner().mock_build::<Config>().common;
        assert_eq!(common.degree_bits(), 14, "{shape:?}");
    }
    assert_eq!(used, [16_192, 16_204, 16_172, 15_976]);
}
