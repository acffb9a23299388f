//! Fill [J2], liquidation [Q2] to [Q4], absorption [Q5], unwind [Q7].

use crate::bounds::FEE_ACCOUNT;
use crate::entry::{Entry, Market};
use crate::instrument::MarketRow;
use crate::journal::INSURANCE_CASH;
use crate::journal::absorption::Absorption;
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::journal::layout::lay_out;
use crate::journal::liquidation::{Liquidation, open_discount};
use crate::journal::testing::{PERPETUAL, SPOT};
use crate::journal::unwind::Unwind;
use crate::order::Place;
use crate::posting::{Needs, Posting};
use crate::terms::{Aux, Holding, LiquidationTerms};
use crate::types::{AccountId, InstrumentId, Side};

use super::{HALTED, MARK, PENALTY, SETTLED, UNLISTED, UNREAD, World, order};

/// A bend, and the code of the clause that refuses it.
type Case<'a, T> = (&'a dyn Fn(&mut T), &'a str);

const EXPIRED: u64 = 1_699_999_999;

fn fill() -> Fill {
    Fill {
        long: order(2000, Side::Long),
        short: order(2001, Side::Short),
        size: 10,
        price: MARK,
        long_fee_per_lot: 500,
        short_fee_per_lot: 0,
    }
}

fn liquidation() -> Liquidation {
    Liquidation {
        account: AccountId(3000),
        order: order(2000, Side::Long),
        size: 10,
        charge: PENALTY,
        discount: PENALTY / 2,
        flagged_at: 992,
    }
}

fn unwind() -> Unwind {
    let order = order(2000, Side::Long);
    Unwind {
        order,
        size: 10,
        discount: PENALTY / 2,
    }
}

fn absorption() -> Absorption {
    let mut holdings = [Holding::default(); 16];
    holdings[0] = Holding {
        instrument: PERPETUAL,
        size: -7,
    };
    holdings[3] = Holding {
        instrument: SPOT,
        size: 5,
    };
    Absorption {
        account: AccountId(3000),
        holdings,
        debt: 90,
    }
}

fn postings(world: &World, entry: &Entry) -> Vec<Posting> {
    world
        .effects(entry)
        .postings
        .into_iter()
        .map(|opened| opened.posting)
        .collect()
}

#[test]
fn j2_each_clause_refuses_a_fill_that_breaks_it() {
    let both = |f: &mut Fill, change: fn(&mut crate::order::Order)| {
        change(&mut f.long);
        change(&mut f.short);
    };
    let cases: [Case<Fill>; 24] = [
        (&|_| {}, ""),
        (&|f| f.long.size = 0, "N3.size"),
        (&|f| f.short.account = AccountId(64), "S6.system"),
        (
            &|f| {
                f.short.place = Place::Slot {
                    slot: 3,
                    sequence: 0,
                }
            },
            "S4.sequence",
        ),
        (&|f| f.long.instrument = SPOT, "J2.instruments"),
        (&|f| f.short.side = Side::Long, "J2.sides"),
        (
            &|f| (f.long.side, f.short.side) = (Side::Short, Side::Long),
            "J2.sides",
        ),
        (&|f| both(f, |o| o.instrument = UNLISTED), "T7.unlisted"),
        (&|f| both(f, |o| o.instrument = UNREAD), "T7.unlisted"),
        (
            &|f| both(f, |o| o.instrument = InstrumentId(0)),
            "T7.unlisted",
        ),
        (&|f| both(f, |o| o.instrument = SETTLED), "T6.settled"),
        (&|f| both(f, |o| o.instrument = HALTED), "T6.halted"),
        (&|f| f.long.expiry = EXPIRED, "J2.expired"),
        (&|f| f.short.expiry = EXPIRED, "J2.expired"),
        (&|f| f.size = 0, "N3.size"),
        (&|f| f.size = 1_000_001, "N3.size"),
        (&|f| f.price = 979_999, "J2.band"),
        (&|f| f.price = 1_020_001, "J2.band"),
        (&|f| f.price = MARK + 1, "J2.limit"),
        (&|f| f.price = MARK - 1, "J2.limit"),
        (&|f| f.long_fee_per_lot = 501, "J2.fee"),
        (&|f| f.short_fee_per_lot = u64::MAX, "J2.fee"),
        // A fee that wraps: size · fee a lot beyond the field, signed for by the order.
        (
            &|f| (f.long.max_fee_per_lot, f.long_fee_per_lot) = ((1 << 42) - 1, (1 << 42) - 1),
            "N3.fee",
        ),
        (&|f| f.short.max_fee_per_lot = u64::MAX, "N2.fee"),
    ];
    let world = World::new();
    for (at, (change, code)) in cases.iter().enumerate() {
        let mut bent = fill();
        change(&mut bent);
        assert_eq!(world.code(&Entry::Fill(Box::new(bent))), *code, "row {at}");
    }
}

#[test]
fn t2_no_fill_of_any_kind_soon_after_a_skip() {
    let mut world = World::new();
    world.epoch.fills = false;
    let flag = Entry::Flag(Flag {
        account: AccountId(3000),
    });
    let entries = [
        (Entry::Fill(Box::new(fill())), "T2.fills"),
        (Entry::Liquidation(Box::new(liquidation())), "T2.fills"),
        (Entry::Unwind(Box::new(unwind())), "T2.fills"),
        (flag.clone(), ""),
        (Entry::Absorption(Box::new(absorption())), ""),
    ];
    for (entry, code) in &entries {
        assert_eq!(world.code(entry), *code);
    }
    world.epoch.entries = false;
    assert_eq!(world.code(&flag), "T2.entries");
}

#[test]
fn j2_a_perpetual_pays_the_difference_to_the_mark() {
    let world = World::new();
    let mut entry = fill();
    (entry.long.limit, entry.price) = (MARK + 3, MARK + 3);
    let made = postings(&world, &Entry::Fill(Box::new(entry)));
    let deltas: Vec<_> = made.iter().map(|p| (p.delta_size, p.delta_cash)).collect();
    assert_eq!(deltas, [(10, -30 - 5000), (-10, 30)]);
    let by_slot = Needs::ORDER | Needs::TRADING_KEY | Needs::ORDINARY;
    assert!(made.iter().all(|posting| posting.needs == by_slot));
}

#[test]
fn j2_a_spot_asset_pays_its_price_and_only_its_owner_sells() {
    let world = World::new();
    let mut entry = fill();
    (entry.long.instrument, entry.short.instrument) = (SPOT, SPOT);
    let made = postings(&world, &Entry::Fill(Box::new(entry)));
    let paid = 10 * 1_000_000;
    assert_eq!(
        (made[0].delta_cash, made[1].delta_cash),
        (-paid - 5000, paid)
    );
    assert!(!made[0].needs.has(Needs::REDUCE_ONLY));
    assert!(made[1].needs.has(Needs::REDUCE_ONLY));
}

#[test]
fn s4_a_market_taker_names_its_nonce() {
    let world = World::new();
    let mut entry = fill();
    entry.long.place = Place::Nonce(77);
    entry.short.reduce_only = true;
    entry.short.amend = true;
    let made = postings(&world, &Entry::Fill(Box::new(entry)));
    assert_eq!((made[0].place, made[0].sequence), (77, 0));
    assert!(made[0].needs.has(Needs::ORDER | Needs::NONCE));
    assert_eq!((made[1].place, made[1].sequence), (3, 8));
    assert!(
        made[1]
            .needs
            .has(Needs::ORDER | Needs::REDUCE_ONLY | Needs::AMEND)
    );
}

#[test]
fn q6_fees_go_to_insurance_while_it_owes() {
    let mut world = World::new();
    let entry = [Entry::Fill(Box::new(fill()))];
    for (deficit, account) in [(0, AccountId(FEE_ACCOUNT)), (1, INSURANCE_CASH)] {
        world.epoch.deficit = deficit;
        let journal = lay_out(&entry, &world.terms(), 8).unwrap();
        let fee = &journal.postings[2].posting;
        assert_eq!((fee.account, fee.delta_cash), (account, 5000));
    }
}

#[test]
fn q2_each_clause_refuses_a_liquidation_that_breaks_it() {
    let cases: [Case<Liquidation>; 18] = [
        (&|_| {}, ""),
        (&|l| l.account = AccountId(7), "S6.system"),
        (&|l| l.account = AccountId(1 << 28), "S3.outside"),
        (&|l| l.order.account = AccountId(7), "S6.system"),
        (&|l| l.order.instrument = UNLISTED, "T7.unlisted"),
        (&|l| l.order.instrument = HALTED, "T6.halted"),
        (&|l| l.order.instrument = SETTLED, "T6.settled"),
        (&|l| l.order.expiry = EXPIRED, "J2.expired"),
        (&|l| l.size = 0, "N3.size"),
        (&|l| l.size = 1_000_001, "N3.size"),
        (&|l| l.order.limit = MARK - PENALTY / 2 - 1, "J2.limit"),
        (&|l| l.account = l.order.account, "Q2.self"),
        (&|l| l.flagged_at = 0, "Q2.flag"),
        (&|l| l.flagged_at = 1000, "Q2.flag"),
        (&|l| l.charge = PENALTY + 1, "Q4.charge"),
        (&|l| l.discount = PENALTY / 2 + 1, "Q4.discount"),
        (
            &|l| (l.flagged_at, l.discount) = (999, PENALTY / 16 + 1),
            "Q4.discount",
        ),
        (&|l| (l.charge, l.discount) = (0, 1), "Q4.discount"),
    ];
    let world = World::new();
    for (at, (change, code)) in cases.iter().enumerate() {
        let mut bent = liquidation();
        change(&mut bent);
        assert_eq!(
            world.code(&Entry::Liquidation(Box::new(bent))),
            *code,
            "row {at}"
        );
    }
}

#[test]
fn q4_the_account_pays_the_charge_and_insurance_gets_the_rest() {
    let world = World::new();
    let made = world
        .effects(&Entry::Liquidation(Box::new(liquidation())))
        .postings;
    let deltas: Vec<_> = made
        .iter()
        .map(|o| (o.posting.delta_size, o.posting.delta_cash))
        .collect();
    assert_eq!(deltas, [(-10, -100_000), (10, 50_000), (0, 50_000)]);
    let terms = LiquidationTerms {
        charge: PENALTY,
        penalty: PENALTY,
        flagged_at: 992,
    };
    assert_eq!(made[0].aux, Aux::Liquidation(terms));
    assert_eq!(
        made[0].posting.needs,
        Needs::LIQUIDATE | Needs::WHILE_FLAGGED
    );
    assert!(
        made[1]
            .posting
            .needs
            .has(Needs::MAY_GROW | Needs::ORDER | Needs::ORDINARY)
    );
    assert_eq!(made[2].posting.account, INSURANCE_CASH);
    // Owned lots: the price is mark less charge, and mark less discount.
    let mut owned = liquidation();
    owned.order.instrument = SPOT;
    let made = postings(&world, &Entry::Liquidation(Box::new(owned)));
    let cash: Vec<_> = made.iter().map(|posting| posting.delta_cash).collect();
    assert_eq!(cash, [9_900_000, -9_950_000, 50_000]);
}

#[test]
fn q4_the_discount_opens_with_the_flags_age() {
    assert_eq!(
        [0, 1, 8, 16, 200].map(|age| open_discount(1601, age, 16)),
        [0, 100, 800, 1601, 1601]
    );
}

#[test]
fn q4_without_an_auction_there_is_no_discount() {
    let mut world = World::new();
    world.epoch.auction_epochs = 0;
    let mut entry = liquidation();
    assert_eq!(
        world.code(&Entry::Liquidation(Box::new(entry.clone()))),
        "Q4.discount"
    );
    entry.discount = 0;
    assert_eq!(world.code(&Entry::Liquidation(Box::new(entry))), "");
}

#[test]
fn q5_each_clause_refuses_an_absorption_that_breaks_it() {
    let slot = |instrument, size| Holding { instrument, size };
    let cases: [Case<Absorption>; 10] = [
        (&|_| {}, ""),
        (&|a| a.account = INSURANCE_CASH, "S6.system"),
        (&|a| a.debt = 0, "N3.amount"),
        (&|a| a.debt = 1 << 56, "N3.amount"),
        (&|a| a.holdings[5] = slot(UNLISTED, 1), "T7.unlisted"),
        (&|a| a.holdings[5] = slot(HALTED, 1), "T6.halted"),
        (&|a| a.holdings[5] = slot(SETTLED, 1), "T6.settled"),
        (&|a| a.holdings[5] = slot(PERPETUAL, 0), "S2.empty_slot"),
        (&|a| a.holdings[0].size = -1_000_001, "N3.size"),
        (&|a| a.holdings[0].size = i64::MIN, "N3.size"),
    ];
    let world = World::new();
    for (at, (change, code)) in cases.iter().enumerate() {
        let mut bent = absorption();
        change(&mut bent);
        assert_eq!(
            world.code(&Entry::Absorption(Box::new(bent))),
            *code,
            "row {at}"
        );
    }
}

#[test]
fn q5_slots_go_to_their_rows_insurance_and_cash_to_account_0() {
    let world = World::new();
    let effects = world.effects(&Entry::Absorption(Box::new(absorption())));
    let made: Vec<_> = effects
        .postings
        .iter()
        .map(|opened| &opened.posting)
        .collect();
    assert_eq!((made[0].delta_cash, made[0].delta_size), (90, 0));
    assert!(made[0].needs.has(Needs::ABSORB | Needs::SOLE));
    assert_eq!(
        effects.postings[0].aux,
        Aux::Absorbed(absorption().holdings)
    );
    let slots: Vec<_> = made[1..3]
        .iter()
        .map(|p| (p.account.0, p.place, p.instrument, p.delta_size))
        .collect();
    assert_eq!(slots, [(0, 1, PERPETUAL, -7), (0, 2, SPOT, 5)]);
    assert_eq!((made[3].account, made[3].delta_cash), (INSURANCE_CASH, -90));
}

#[test]
fn q7_each_clause_refuses_an_unwind_that_breaks_it() {
    let cases: [Case<Unwind>; 8] = [
        (&|_| {}, ""),
        (&|u| u.order.instrument = UNLISTED, "T7.unlisted"),
        (&|u| u.order.instrument = HALTED, "T6.halted"),
        (&|u| u.order.expiry = EXPIRED, "J2.expired"),
        (&|u| u.size = 1_000_001, "N3.size"),
        (&|u| u.order.limit = MARK - PENALTY, "J2.limit"),
        (&|u| u.discount = PENALTY / 2 + 1, "Q7.discount"),
        (
            &|u| (u.order.size, u.size) = (1_000_000, 400_000),
            "Q7.budget",
        ),
    ];
    let mut world = World::new();
    world.epoch.unwind_budget = 100_000;
    for (at, (change, code)) in cases.iter().enumerate() {
        let mut bent = unwind();
        change(&mut bent);
        assert_eq!(
            world.code(&Entry::Unwind(Box::new(bent))),
            *code,
            "row {at}"
        );
    }
}

/// An epoch's discounts stay far below the field's order, however many unwinds there are.
#[test]
fn q7_an_unwinds_discount_is_below_its_bound() {
    let mut world = World::new();
    world.epoch.unwind_budget = 1 << 61;
    let row = MarketRow {
        penalty: 1 << 30,
        mark: 1 << 31,
        max_size: 1 << 21,
        ..*world.market.row(PERPETUAL).unwrap()
    };
    world.market = Market::new([row]);
    for (size, code) in [((1 << 21) - 1, ""), (1 << 21, "Q7.cost")] {
        let mut entry = unwind();
        (entry.size, entry.discount) = (size, 1 << 29);
        (entry.order.size, entry.order.limit) = (size, 1 << 31);
        assert_eq!(world.code(&Entry::Unwind(Box::new(entry))), code);
    }
}

#[test]
fn q7_all_discounts_of_an_epoch_come_out_of_positive_equity() {
    let mut world = World::new();
    let entry = Entry::Unwind(Box::new(unwind()));
    // Each gives up 50,000.
    for (budget, code) in [(100_000, ""), (99_999, "Q7.budget")] {
        world.epoch.unwind_budget = budget;
        let laid = lay_out(&[entry.clone(), entry.clone()], &world.terms(), 8);
        assert_eq!(laid.map_or_else(|error| error.code(), |_| ""), code);
    }
    // Without a discount insurance may owe.
    world.epoch.unwind_budget = 0;
    let entry = Entry::Unwind(Box::new(Unwind {
        discount: 0,
        ..unwind()
    }));
    let made = postings(&world, &entry);
    assert_eq!((made[0].delta_cash, made[1].delta_cash), (0, 0));
    assert!(
        made[1]
            .needs
            .has(Needs::FIXED_SLOT | Needs::REDUCE_ONLY | Needs::SYSTEM)
    );
}
