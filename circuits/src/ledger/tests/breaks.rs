//! Full shapes: each clause of what only they do, broken past the native rules.

use tally_protocol::account::{AccountKind, Owner};
use tally_protocol::ledger::Facts;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::terms::{Aux, LeafTerms};
use tally_protocol::types::InstrumentId;

use super::bench::*;
use super::full::*;
use super::plain::with;
use crate::ledger::LedgerShape;

/// Whether the circuit takes what `break_it` makes of a good last posting. The good one must pass.
struct Trial {
    name: &'static str,
    bench: Bench,
    good: Made,
    broken: Made,
}

impl Trial {
    /// The account with the broken posting.
    fn lying(&self) -> Bench {
        let mut lying = Bench::open(self.bench.id.0, self.bench.before.clone());
        for unit in self.bench.units.clone() {
            lying.apply(unit.posting, unit.facts).unwrap();
        }
        let (posting, facts) = self.broken.clone();
        lying.push_unchecked(posting, facts);
        lying
    }
}

/// Every broken account, by what is broken.
pub fn all() -> Vec<(&'static str, Bench)> {
    let trials = [
        of_leaves(),
        of_liquidations(),
        of_mixtures(),
        of_absorptions(),
        of_margins(),
        of_systems(),
    ];
    let trials = trials.into_iter().flatten();
    let lying = trials.map(|trial| (trial.name, trial.lying()));
    lying.chain(of_wrong_accounts()).collect()
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
        let lying = trial.lying();
        let Trial {
            name,
            bench: mut honest,
            good,
            ..
        } = trial;
        if let Err(error) = honest.apply(good.0, good.1) {
            wrong.push(format!("{name}: the good one fails: {error}"));
            continue;
        }
        if rig.refuses(&unchecked(&honest, FULL)) {
            wrong.push(format!("{name}: the good one is refused"));
        }
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
    assert_each_refused(of_leaves());
}

fn of_leaves() -> Vec<Trial> {
    let sole = |b: &mut Bench| creation(b, Needs::SOLE);
    let empty = || Bench::open(9_000, None);
    let change = |b: &mut Bench| key_change(b);
    let lie = |facts: &mut Facts, change: fn(&mut LeafTerms)| {
        if let Aux::Leaf(terms) = &mut facts.aux {
            change(terms);
        }
    };
    vec![
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
    ]
}

#[test]
fn rejects_liquidations_that_the_rules_forbid() {
    assert_each_refused(of_liquidations());
}

fn of_liquidations() -> Vec<Trial> {
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
    vec![
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
    ]
}

#[test]
fn rejects_liquidations_beside_other_things() {
    assert_each_refused(of_mixtures());
}

fn of_mixtures() -> Vec<Trial> {
    let sell = |lots: i64| move |b: &mut Bench| liquidation(b, PERP, -lots);
    vec![
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
    ]
}

/// The account itself is not one that may be liquidated.
#[test]
fn rejects_liquidations_of_the_wrong_account() {
    let rig = Rig::new(LedgerShape { blocks: 1, ..FULL });
    for (name, bench) in of_wrong_accounts() {
        assert!(rig.refuses(&unchecked(&bench, FULL)), "{name}");
    }
}

fn of_wrong_accounts() -> Vec<(&'static str, Bench)> {
    let held = |cash: i64| level(cash, &[(PERP, 10)]);
    let dated = |made: Made, at: u32| {
        let (mut posting, mut facts) = made;
        if let Aux::Liquidation(terms) = &mut facts.aux {
            terms.flagged_at = at;
        }
        relabel(&mut posting, &facts);
        (posting, facts)
    };
    let forbidden = [
        ("[Q2] healthy", flagged(45, held(50)), 2),
        ("[Q2] bankrupt", flagged(45, held(-1)), 0),
        ("[Q2] not flagged", held(49), 2),
        ("[Q2] a stale flag", flagged(33, held(49)), 2),
    ];
    let liquidated = forbidden.map(|(name, before, charge)| {
        let at = before.money.flagged_at;
        let mut bench = Bench::open(2_001, Some(before));
        let (posting, facts) = dated(liquidation_at(&mut bench, PERP, -1, charge), at);
        bench.push_unchecked(posting, facts);
        (name, bench)
    });
    // A flag of this very epoch opens nothing yet.
    let mut now = Bench::open(2_001, Some(held(49)));
    let posting = now.posting(Needs::FLAG | Needs::WHILE_FLAGGED);
    now.apply(posting, Facts::default()).unwrap();
    let (posting, facts) = dated(liquidation_at(&mut now, PERP, -1, 2), EPOCH);
    now.push_unchecked(posting, facts);
    // [Q1] Flagging the healthy; [Q5] absorbing the solvent.
    let mut healthy = Bench::open(2_001, Some(held(50)));
    let posting = healthy.posting(Needs::FLAG);
    healthy.push_unchecked(posting, Facts::default());
    let mut solvent = Bench::open(2_001, Some(held(0)));
    let (posting, facts) = absorption(&mut solvent);
    solvent.push_unchecked(posting, facts);
    let others = [
        ("[Q2] flagged now", now),
        ("[Q1] healthy", healthy),
        ("[Q5] solvent", solvent),
    ];
    liquidated.into_iter().chain(others).collect()
}

#[test]
fn rejects_absorptions_that_are_not_whole() {
    assert_each_refused(of_absorptions());
}

fn of_absorptions() -> Vec<Trial> {
    vec![
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
    ]
}

#[test]
fn rejects_ends_below_the_margin() {
    assert_each_refused(of_margins());
}

fn of_margins() -> Vec<Trial> {
    let fill = |lots: i64, got: i64| move |b: &mut Bench| plainly(b.fill(PERP, lots, got));
    let paid = |cash: i64| move |p: &mut Posting, _: &mut Facts| p.delta_cash = cash;
    let lots = |lots: i64| move |p: &mut Posting, _: &mut Facts| p.delta_size = lots;
    let low = || user(2_000, 60, &[(PERP, 10)]);
    let take = |asked: u64, paid: i64| move |b: &mut Bench| at_most(b, 0, asked, paid);
    let rich = || user(2_000, 120, &[(PERP, 10)]);
    vec![
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
    ]
}

#[test]
fn rejects_system_accounts_out_of_bounds() {
    assert_each_refused(of_systems());
}

fn of_systems() -> Vec<Trial> {
    let hundred = InstrumentId(100);
    let held = || system(1, 40, &[(hundred, 5)]);
    let own = |b: &mut Bench| fixed(b, 9, PERP, -900);
    let pay = |needs: Needs, delta: i64| move |b: &mut Bench| cash(b, needs, delta);
    let delta = |delta: i64| move |p: &mut Posting, _: &mut Facts| p.delta_cash = delta;
    vec![
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
    ]
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
