mod clauses;
mod entries;
mod faults;
mod mutation;
mod refusals;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use plonky2::field::types::Field;
use proptest::prelude::*;
use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::bounds::{MAX_EPOCH_WORDS, SLOTS, TABLE_DEPTH};
use tally_protocol::entry::{EpochTerms, Terms};
use tally_protocol::hash::{Digest, Tag, hash};
use tally_protocol::header::Context;
use tally_protocol::instrument::{InstrumentKind, RowParams, flags};
use tally_protocol::journal::absorption::Absorption;
use tally_protocol::journal::fee_withdraw::FeeWithdraw;
use tally_protocol::journal::flag::Flag;
use tally_protocol::journal::layout::{Journal, lay_out};
use tally_protocol::journal::liquidation::Liquidation;
use tally_protocol::journal::sweep::Sweep;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::journal::unwind::Unwind;
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::listing::Change;
use tally_protocol::message::{Accept, Cancel, CancelAll, KeyChange, Transfer, Withdraw};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, NewAccount, Take};
use tally_protocol::terms::Holding;
use tally_protocol::types::{AccountId, Side};

use super::*;
use crate::checker::Checker;
use crate::journal::testing::*;
use entries::*;

const OWNER: Owner = Owner([9; 20]);

struct Fixture {
    checker: Checker,
    segment: OtherSegment,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let (builder, segment) = OtherSegment::build(Builder::new(), &Capacities::SMALL);
        let checker = Checker::new(builder);
        Fixture { checker, segment }
    })
}

/// An epoch with entries, of which the rows may be bent.
#[derive(Clone)]
struct World {
    context: Context,
    rows: BTreeMap<InstrumentId, MarketRow>,
    entries: Vec<Entry>,
}

impl World {
    fn new(entries: Vec<Entry>) -> Self {
        let context = Context {
            unwind_budget: 1 << 40,
            ..context()
        };
        let rows = [perpetual(), spot()].map(|row| (row.id, row));
        let rows = rows.into_iter().collect();
        Self {
            context,
            rows,
            entries,
        }
    }

    fn market(&self) -> Market {
        let occupied = self.rows.values().map(|row| row.row);
        Market::of_table(self.rows.values().copied(), occupied)
    }

    /// Rows′ with something in the places that the market says are occupied.
    fn table(&self) -> SparseTree {
        let mut tree = SparseTree::new(TABLE_DEPTH);
        let leaf = |row: &MarketRow| (row.row, row_leaf(row));
        tree.set_many(self.rows.values().map(leaf)).unwrap();
        tree
    }

    fn native(&self) -> Result<Journal, &'static str> {
        let (epoch, market) = (EpochTerms::from(&self.context), self.market());
        let terms = Terms {
            epoch: &epoch,
            market: &market,
        };
        lay_out(&self.entries, &terms, 1).map_err(|error| error.code())
    }

    /// Places are the native ones where the entries have one.
    fn value(&self) -> Result<OtherWitness, WitnessError> {
        let (market, table) = (self.market(), self.table());
        let rows = Rows {
            market: &market,
            tree: &table,
        };
        let starts = self.native().map(|journal| journal.starts);
        let mut value = OtherWitness::default();
        for (i, entry) in self.entries.iter().enumerate() {
            let first = starts.as_ref().map_or(0, |starts| starts[i]) as u32;
            value.push(entry, &rows, first)?;
        }
        Ok(value)
    }

    fn witness(&self) -> anyhow::Result<PartialWitness<F>> {
        let value = self.value()?;
        let f = fixture();
        let mut witness = epoch_witness(&f.segment.segment, &self.proven_context());
        f.segment.assign(&mut witness, &value)?;
        Ok(witness)
    }

    fn proven_context(&self) -> Context {
        Context {
            table: self.table().root(),
            ..self.context
        }
    }

    fn accepted(&self) -> bool {
        let witness = self.witness();
        witness.is_ok_and(|witness| fixture().checker.check_with_lies(&witness, &[]).is_ok())
    }

    /// Postings, records and reads as the native journal has them.
    fn bus(&self) -> Vec<(BusTag, Vec<F>, i128)> {
        let journal = self.native().unwrap();
        let postings = journal.postings.iter();
        let mut bus: Vec<_> = postings
            .map(|opened| (BusTag::Posting, opened.posting.words().to_vec(), 1))
            .collect();
        for w in &journal.withdrawals {
            let [o0, o1, o2] = w.owner.words();
            let numbers = [w.asset.into(), w.amount].map(F::from_canonical_u64);
            let words = vec![o0, o1, o2, numbers[0], numbers[1]];
            bus.push((BusTag::DataWithdrawal, words, 1));
        }
        for record in &journal.outcomes {
            let d = record.digest().elements;
            let index = F::from_canonical_u64(record.index);
            let outcome = F::from_canonical_u32(record.outcome);
            let words = vec![index, d[0], d[1], d[2], d[3], outcome];
            bus.push((BusTag::DataQueue, words, 1));
        }
        for id in self.value().unwrap().reads() {
            let words = self.rows[&id].words().to_vec();
            bus.push((BusTag::Market, words, -1));
        }
        let discounts = self.entries.iter().map(|entry| match entry {
            Entry::Unwind(u) => i128::from(u.size * u.discount),
            _ => 0,
        });
        let key = F::from_canonical_u64(EpochSum::Discount as u64);
        bus.push((BusTag::Loss, vec![key], discounts.sum()));
        for (change, done) in self.entries.iter().filter_map(change_of) {
            let d = change.digest().elements;
            let row = F::from_canonical_u32(change.row());
            bus.push(match done {
                true => (BusTag::Admit, vec![row, d[0], d[1], d[2], d[3]], 1),
                false => (BusTag::NoPlace, vec![row], 1),
            });
        }
        bus
    }
}

/// What stands for a row's digest: these circuits only tell it from an empty place.
fn row_leaf(row: &MarketRow) -> Digest {
    hash(Tag::Row, &row.words())
}

/// A change that an item asks for, and whether it is done.
fn change_of(entry: &Entry) -> Option<(&Change, bool)> {
    let Entry::Item(served) = entry else {
        return None;
    };
    match &served.item.request {
        Request::Change(change) => Some((change, served.service == Service::Done)),
        _ => None,
    }
}

fn assert_agrees(world: &World) {
    let f = fixture();
    let witness = world.witness().unwrap();
    let accepted = f.checker.check(&witness).unwrap();
    assert_bus(&f.segment.segment, &accepted, world.bus());
    let counts = f.segment.segment.summary(|t| accepted.get(t)).counts;
    let journal = world.native().unwrap();
    let native = (journal.outcomes.len(), journal.withdrawals.len());
    assert_eq!(
        (counts.data_queue, counts.data_withdrawals),
        (native.0 as u64, native.1 as u64)
    );
}

#[test]
fn j1_agrees_with_the_native_postings_of_each_kind() {
    assert_agrees(&World::new(vec![]));
    let mut world = World::new(everything());
    assert_agrees(&world);
    let acts = acts().into_iter().chain(requests(1));
    assert_agrees(&World::new(acts.collect()));
    let mut rescued = World::new(rescues(7));
    assert_agrees(&rescued);
    // [Q4] No auction, no discount.
    rescued.context.globals.auction_epochs = 0;
    assert_agrees(&rescued);
    // [Q6] With a deficit, below and beyond the vault.
    for deficit in [1, 1 << 49, (1 << 50) - 1] {
        world.context.deficit = deficit;
        assert_agrees(&world);
    }
    world.context.deficit = 1 << 51;
    world
        .entries
        .retain(|entry| !matches!(entry, Entry::Item(_)));
    assert_agrees(&world);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn q4_agrees_on_random_auctions(
        long: bool, is_spot: bool, size in 1u64..=1 << 22, mark in 1u64..1 << 32,
        penalty in 0u64..1 << 31, parts in prop::array::uniform2(0u64..=1000),
        flagged_at in 1u32..100, since in 0u32..=100,
    ) {
        let row = if is_spot { spot() } else { perpetual() };
        let row = MarketRow {
            mark: mark.max(penalty), penalty, insurance_since: since, ..row
        };
        let charge = penalty * parts[0] / 1000;
        let opened = |bound: u64, age: u64| bound * age.min(16) / 16 * parts[1] / 1000;
        let side = if long { Side::Long } else { Side::Short };
        let limit = if long { 1 << 41 } else { 0 };
        let order = Order { limit, ..order(side, &row) };
        let liquidation = Liquidation {
            account: AccountId(2000), order: order.clone(), size, charge, flagged_at,
            discount: opened(charge, u64::from(100 - flagged_at)),
        };
        let discount = opened(penalty, u64::from(100 - since));
        // [Q7] In all below 2^50.
        let size = size.min(((1 << 50) - 1) / discount.max(1));
        let unwind = Unwind { order, size, discount };
        let mut world = World::new(vec![
            Entry::Liquidation(Box::new(liquidation)), Entry::Unwind(Box::new(unwind)),
        ]);
        world.rows.insert(row.id, row);
        world.context.unwind_budget = 1 << 61;
        assert_agrees(&world);
    }

    #[test]
    fn q6_agrees_on_random_cuts(
        vault in 1u64..1 << 59, deficit in 0u64..1 << 59, amount in 1u64..1 << 56,
    ) {
        let mut world = World::new(vec![withdraw(CASH, amount, 0)]);
        (world.context.vault, world.context.deficit) = (vault, deficit);
        assert_agrees(&world);
    }
}

/// Kind, cash, digest, needs and aux of every posting, and all of every record.
#[test]
fn j1_no_word_of_a_message_can_be_changed() {
    let f = fixture();
    let world = World::new(
        everything()
            .into_iter()
            .chain(acts())
            .chain(requests(46))
            .collect(),
    );
    let witness = world.witness().unwrap();
    let accepted = f.checker.check(&witness).unwrap();
    let given = &witness.target_values;
    let mut tried = 0;
    for entry in &f.segment.segment.entries {
        let live = accepted.get(entry.multiplicity) != F::ZERO;
        if !live || entry.tag == BusTag::Market {
            continue;
        }
        // What the witness sets freely is the entry's own choice.
        for word in entry.words.iter().filter(|word| !given.contains_key(*word)) {
            let lie = [(*word, accepted.get(*word) + F::ONE)];
            let refused = f.checker.check_with_lies(&witness, &lie);
            assert!(refused.is_err(), "{word:?} of {:?}", entry.tag);
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried} words");
}

/// The same of what L1 asks for against other accounts.
#[test]
fn j4_no_word_of_a_rescue_can_be_changed() {
    let f = fixture();
    let witness = World::new(rescues(7)).witness().unwrap();
    let accepted = f.checker.check(&witness).unwrap();
    let given = &witness.target_values;
    for entry in &f.segment.segment.entries {
        let live = accepted.get(entry.multiplicity) != F::ZERO;
        let words = entry.words.iter().filter(|word| !given.contains_key(*word));
        for &word in words.filter(|_| live && entry.tag != BusTag::Market) {
            let lie = [(word, accepted.get(word) + F::ONE)];
            let refused = f.checker.check_with_lies(&witness, &lie);
            assert!(refused.is_err(), "{word:?} of {:?}", entry.tag);
        }
    }
}

#[test]
fn j1_no_hint_can_be_lied_about() {
    let (builder, _) = OtherSegment::build(Builder::new(), &Capacities::SMALL);
    let f = fixture();
    let world = World::new(everything());
    let witness = world.witness().unwrap();
    let accepted = f.checker.check(&witness).unwrap();
    for name in [
        "live bits",
        "bits",
        "is_nonnegative",
        "mul_div_down",
        "div_down",
    ] {
        let hints = builder.hints(name);
        assert!(!hints.is_empty(), "{name}");
        for hint in hints.iter().flatten() {
            let lie = [(*hint, accepted.get(*hint) + F::ONE)];
            let refused = f.checker.check_with_lies(&witness, &lie);
            assert!(refused.is_err(), "{name} {hint:?}");
        }
    }
}

/// [Q7] A segment's discounts end below 2^50, and an epoch has too few segments for its sum to
/// reach 2^62 (docs/decisions.md, D31).
#[test]
fn q7_the_discounts_of_an_epoch_cannot_wrap() {
    let (_, production) = OtherSegment::build(Builder::new(), &Capacities::PRODUCTION);
    let entries = production.segment.entries.iter();
    let words: u64 = entries.map(|entry| 1 + entry.words.len() as u64).sum();
    let segments = MAX_EPOCH_WORDS / words;
    assert!(segments < 1 << 12, "{segments} segments of {words} words");
    let most = u128::from(segments + 1) << UNWIND_COST_BITS;
    assert!(most < 1 << 62);
    // At the bound and beyond it, by two unwinds that are each below it.
    let wide = MarketRow {
        mark: 1 << 31,
        penalty: 1 << 30,
        max_size: 1 << 22,
        ..perpetual()
    };
    let of = |size, discount| {
        let order = Order {
            limit: 1 << 31,
            ..order(Side::Long, &wide)
        };
        Entry::Unwind(Box::new(Unwind {
            order,
            size,
            discount,
        }))
    };
    for (size, fits) in [((1 << 20) - 1, true), (1 << 20, false)] {
        let mut world = World::new(vec![of(1 << 20, 1 << 29), of(size, 1 << 29)]);
        world.context.unwind_budget = 1 << 61;
        world.rows.insert(wide.id, wide);
        assert_eq!(world.native().err(), None);
        assert_eq!(world.accepted(), fits, "{size} lots");
    }
}

#[test]
fn rows_are_pinned() {
    let none = Capacities::default();
    let rows = |c: &Capacities| OtherSegment::build(Builder::new(), c).0.rows();
    let rest = rows(&none);
    let of = |set: fn(&mut Capacities)| {
        let mut c = none;
        set(&mut c);
        (rows(&c) - rest) as f64 / 20.0
    };
    let units = [
        of(|c| c.liquidations = 20),
        of(|c| c.unwinds = 20),
        of(|c| c.absorptions = 20),
        of(|c| c.transfers = 20),
        of(|c| c.withdrawals = 20),
        of(|c| c.flags = 20),
        of(|c| c.sweeps = 20),
        of(|c| c.deposits = 20),
        of(|c| c.requested_withdrawals = 20),
        of(|c| c.changes = 20),
        of(|c| c.cancels = 20),
        of(|c| c.cancel_alls = 20),
        of(|c| c.key_changes = 20),
        of(|c| c.fee_withdrawals = 20),
        of(|c| c.requests = 20),
        of(|c| c.refusals = 20),
        of(|c| c.faults = 20),
        of(|c| c.takes = 20),
    ];
    let production = rows(&Capacities::PRODUCTION);
    let expected = [
        21.4, 15.8, 122.9, 15.75, 21.65, 3.35, 7.6, 17.85, 25.1, 8.95, 4.65, 4.65, 5.65, 8.0,
        11.45, 21.05, 32.35, 25.95,
    ];
    assert_eq!((rest, units), (24, expected));
    // Public inputs, constants and one row of each other gate take less than 150.
    assert!(production < (1 << 14) - 150, "{production} rows");
}
