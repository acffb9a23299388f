use std::collections::BTreeMap;
use std::sync::OnceLock;

use plonky2::field::types::Field;
use proptest::prelude::*;
use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::bounds::SLOTS;
use tally_protocol::entry::{EpochTerms, Terms};
use tally_protocol::header::Context;
use tally_protocol::instrument::{InstrumentKind, RowParams, flags};
use tally_protocol::journal::absorption::Absorption;
use tally_protocol::journal::flag::Flag;
use tally_protocol::journal::layout::{Journal, lay_out};
use tally_protocol::journal::liquidation::Liquidation;
use tally_protocol::journal::sweep::Sweep;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::journal::unwind::Unwind;
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::listing::Change;
use tally_protocol::message::{Accept, Transfer, Withdraw};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, NewAccount};
use tally_protocol::terms::Holding;
use tally_protocol::types::{AccountId, Side};

use super::*;
use crate::checker::Checker;
use crate::journal::testing::*;

const SMALL: Capacities = Capacities {
    liquidations: 2,
    unwinds: 2,
    absorptions: 1,
    transfers: 4,
    withdrawals: 2,
    flags: 1,
    sweeps: 1,
    deposits: 3,
    requested_withdrawals: 2,
    changes: 1,
};
const OWNER: Owner = Owner([9; 20]);

struct Fixture {
    checker: Checker,
    segment: OtherSegment,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let (builder, segment) = OtherSegment::build(Builder::new(), &SMALL);
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
        Market::new(self.rows.values().copied())
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
    fn witness(&self) -> anyhow::Result<PartialWitness<F>> {
        let market = self.market();
        let starts = self.native().map(|journal| journal.starts);
        let mut value = OtherWitness::default();
        for (i, entry) in self.entries.iter().enumerate() {
            let first = starts.as_ref().map_or(0, |starts| starts[i]) as u32;
            value.push(entry, &market, first)?;
        }
        let f = fixture();
        let mut witness = epoch_witness(&f.segment.segment, &self.context);
        f.segment.assign(&mut witness, &value)?;
        Ok(witness)
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
            let d = record.digest.elements;
            let index = F::from_canonical_u64(record.index);
            let outcome = F::from_canonical_u32(record.outcome);
            let words = vec![index, d[0], d[1], d[2], d[3], outcome];
            bus.push((BusTag::DataQueue, words, 1));
        }
        for entry in &self.entries {
            for id in reads(entry) {
                let words = self.rows[&id].words().to_vec();
                bus.push((BusTag::Market, words, -1));
            }
        }
        let discounts = self.entries.iter().map(|entry| match entry {
            Entry::Unwind(u) => i128::from(u.size * u.discount),
            _ => 0,
        });
        let key = F::from_canonical_u64(EpochSum::Discount as u64);
        bus.push((BusTag::Loss, vec![key], discounts.sum()));
        for change in self.entries.iter().filter_map(change_of) {
            let d = change.digest().elements;
            let row = F::from_canonical_u32(change.row());
            bus.push((BusTag::Admit, vec![row, d[0], d[1], d[2], d[3]], 1));
        }
        bus
    }
}

fn change_of(entry: &Entry) -> Option<&Change> {
    let Entry::Item(served) = entry else {
        return None;
    };
    match &served.item.request {
        Request::Change(change) => Some(change),
        _ => None,
    }
}

/// The rows that an entry's circuit reads.
fn reads(entry: &Entry) -> Vec<InstrumentId> {
    let lots = |id: InstrumentId| if id == CASH { vec![] } else { vec![id] };
    match entry {
        Entry::Liquidation(l) => vec![l.order.instrument],
        Entry::Unwind(u) => vec![u.order.instrument],
        Entry::Absorption(a) => {
            let held = a.holdings.iter().filter(|holding| holding.size != 0);
            held.map(|holding| holding.instrument).collect()
        }
        Entry::Transfer(t) => lots(t.message.instrument),
        Entry::Withdraw(w) => lots(w.message.instrument),
        Entry::Item(served) => match &served.item.request {
            Request::Deposit(deposit) => lots(deposit.instrument),
            Request::Withdraw { instrument, .. } => lots(*instrument),
            _ => vec![],
        },
        _ => vec![],
    }
}

fn order(side: Side, row: &MarketRow) -> Order {
    Order {
        account: AccountId(3000),
        generation: 4,
        place: Place::Slot {
            slot: 7,
            sequence: 11,
        },
        instrument: row.id,
        side,
        size: 500,
        limit: row.mark,
        max_fee_per_lot: 0,
        expiry: context().time,
        reduce_only: false,
        amend: false,
    }
}

fn liquidation(side: Side, row: &MarketRow) -> Entry {
    Entry::Liquidation(Box::new(Liquidation {
        account: AccountId(2000),
        order: order(side, row),
        size: 20,
        charge: 800_000,
        discount: 400_000,
        flagged_at: 92,
    }))
}

fn unwind(side: Side, row: &MarketRow) -> Entry {
    Entry::Unwind(Box::new(Unwind {
        order: order(side, row),
        size: 30,
        discount: 900_000,
    }))
}

fn absorption() -> Entry {
    let mut holdings = [Holding::default(); SLOTS];
    for (place, instrument, size) in [(1, PERPETUAL, -70), (6, SPOT, 8)] {
        holdings[place] = Holding { instrument, size };
    }
    Entry::Absorption(Box::new(Absorption {
        account: AccountId(2001),
        holdings,
        debt: 123_456,
    }))
}

fn transfer(instrument: InstrumentId, receiver: Receiver) -> Entry {
    let mut message = Transfer {
        account: AccountId(2002),
        generation: 3,
        nonce: 8,
        to: AccountId((1 << 27) + 5),
        instrument,
        short: instrument == PERPETUAL,
        amount: 40,
        terms: receiver.aux().digest(),
    };
    let receiver = match receiver {
        Receiver::Accepts(accept) => {
            message.to = accept.account;
            let transfer = message.digest(&context().globals.domain);
            Receiver::Accepts(Accept { transfer, ..accept })
        }
        other => other,
    };
    Entry::Transfer(Box::new(TransferEntry { message, receiver }))
}

fn accept() -> Receiver {
    Receiver::Accepts(Accept {
        account: AccountId(2003),
        generation: 1,
        nonce: 2,
        transfer: Default::default(),
    })
}

fn new_account() -> Receiver {
    let key = core::array::from_fn(|i| F::from_canonical_usize(i + 50));
    let keys = Keys {
        key,
        trading_key: Default::default(),
    };
    Receiver::New {
        owner: OWNER,
        keys,
        kind: AccountKind::Isolated,
    }
}

fn withdraw(instrument: InstrumentId, amount: u64, least: u64) -> Entry {
    Entry::Withdraw(WithdrawEntry {
        message: Withdraw {
            account: AccountId(2004),
            generation: 2,
            nonce: 5,
            instrument,
            amount,
            least,
        },
        owner: OWNER,
    })
}

fn item(request: Request, service: Service, index: u64) -> Entry {
    let item = Item { index, request };
    Entry::Item(Box::new(Served { item, service }))
}

fn deposit(instrument: InstrumentId, create: Option<NewAccount>, index: u64) -> Entry {
    let request = Request::Deposit(Deposit {
        sender: OWNER,
        account: AccountId(2005),
        instrument,
        amount: 77,
        create,
    });
    item(request, Service::Done, index)
}

fn requested(instrument: InstrumentId, amount: u64, paid: u64, index: u64) -> Entry {
    let request = Request::Withdraw {
        sender: OWNER,
        account: AccountId(2006),
        instrument,
        amount,
    };
    item(request, Service::Paid(paid), index)
}

fn listing() -> Change {
    Change {
        params: RowParams {
            id: InstrumentId(3 * 1024 + 77),
            kind: InstrumentKind::Perpetual,
            max_price: 1 << 40,
            ..RowParams::default()
        },
        price: 5_000_000,
    }
}

/// Each kind, and each of its shapes.
fn everything() -> Vec<Entry> {
    let new = NewAccount {
        isolated: true,
        ..NewAccount::default()
    };
    vec![
        liquidation(Side::Long, &perpetual()),
        liquidation(Side::Short, &spot()),
        unwind(Side::Short, &perpetual()),
        unwind(Side::Long, &spot()),
        absorption(),
        transfer(CASH, Receiver::Anyone),
        transfer(PERPETUAL, Receiver::SameOwner(OWNER)),
        transfer(SPOT, accept()),
        transfer(CASH, new_account()),
        withdraw(CASH, 1 << 40, 0),
        withdraw(SPOT, 12, 12),
        Entry::Flag(Flag {
            account: AccountId(2007),
        }),
        Entry::Sweep(Sweep {
            account: AccountId(5),
            amount: -99,
        }),
        deposit(CASH, None, 40),
        deposit(SPOT, None, 41),
        deposit(CASH, Some(new), 42),
        requested(CASH, 1 << 55, 1 << 30, 43),
        requested(SPOT, 9, 9, 44),
        item(Request::Change(Box::new(listing())), Service::Done, 45),
    ]
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
        let unwind = Unwind { order, size, discount: opened(penalty, u64::from(100 - since)) };
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

type Bend = fn(&mut World);

fn liquidate(world: &mut World) -> &mut Liquidation {
    match &mut world.entries[0] {
        Entry::Liquidation(l) => l,
        _ => unreachable!("the case starts with a liquidation"),
    }
}

fn unwound(world: &mut World) -> &mut Unwind {
    match &mut world.entries[0] {
        Entry::Unwind(u) => u,
        _ => unreachable!("the case starts with an unwind"),
    }
}

fn absorb(world: &mut World) -> &mut Absorption {
    match &mut world.entries[0] {
        Entry::Absorption(a) => a,
        _ => unreachable!("the case starts with an absorption"),
    }
}

fn sent(world: &mut World) -> &mut TransferEntry {
    match &mut world.entries[0] {
        Entry::Transfer(t) => t,
        _ => unreachable!("the case starts with a transfer"),
    }
}

fn withdrawn(world: &mut World) -> &mut WithdrawEntry {
    match &mut world.entries[0] {
        Entry::Withdraw(w) => w,
        _ => unreachable!("the case starts with a withdrawal"),
    }
}

fn bend(world: &mut World, id: InstrumentId, change: fn(&mut MarketRow)) {
    change(world.rows.get_mut(&id).unwrap());
}

/// Each is refused natively for the clause, and by the circuit that is fed it all the same.
fn refuses(entry: Entry, cases: &[(&str, Bend)]) {
    let world = World::new(vec![entry]);
    assert_eq!(world.native().err(), None);
    assert!(world.accepted(), "{:?}", world.entries);
    for (code, change) in cases {
        let mut broken = world.clone();
        change(&mut broken);
        assert_eq!(broken.native().err(), Some(*code));
        assert!(!broken.accepted(), "{code} passes: {:?}", broken.entries);
    }
}

#[test]
fn q2_each_broken_clause_of_a_liquidation_is_refused() {
    refuses(
        liquidation(Side::Long, &perpetual()),
        &[
            ("T2.fills", |w| w.context.fills_allowed = false),
            ("T6.settled", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::SETTLED)
            }),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("T7.unlisted", |w| {
                bend(w, PERPETUAL, |r| r.kind = InstrumentKind::Quote)
            }),
            ("J2.expired", |w| liquidate(w).order.expiry -= 1),
            ("N3.size", |w| liquidate(w).size = 0),
            ("N3.size", |w| liquidate(w).size = (1 << 22) + 1),
            ("J2.limit", |w| liquidate(w).order.limit = 49_599_999),
            ("J2.limit", |w| {
                liquidate(w).order.side = Side::Short;
                liquidate(w).order.limit = 50_400_001;
            }),
            ("Q2.self", |w| liquidate(w).account = AccountId(3000)),
            ("Q2.flag", |w| liquidate(w).flagged_at = 0),
            ("Q2.flag", |w| liquidate(w).flagged_at = 100),
            ("Q2.flag", |w| liquidate(w).flagged_at = 101),
            ("Q4.charge", |w| liquidate(w).charge = 900_001),
            ("Q4.discount", |w| liquidate(w).discount = 400_001),
            ("Q4.discount", |w| {
                (liquidate(w).flagged_at, liquidate(w).discount) = (1, 800_001);
            }),
            ("Q4.discount", |w| liquidate(w).flagged_at = 93),
            ("N3.cash", |w| {
                bend(w, PERPETUAL, |r| (r.penalty, r.mark) = (1 << 36, 1 << 37));
                let l = liquidate(w);
                (l.charge, l.size, l.order.limit) = (1 << 36, 1 << 21, 1 << 40);
            }),
        ],
    );
}

#[test]
fn q7_each_broken_clause_of_an_unwind_is_refused() {
    refuses(
        unwind(Side::Long, &perpetual()),
        &[
            ("T2.fills", |w| w.context.fills_allowed = false),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("J2.expired", |w| unwound(w).order.expiry -= 1),
            ("N3.size", |w| unwound(w).size = 0),
            ("J2.limit", |w| unwound(w).order.limit = 49_099_999),
            ("Q7.discount", |w| unwound(w).discount = 900_001),
            ("Q7.discount", |w| w.context.globals.auction_epochs = 0),
            ("Q7.discount", |w| {
                bend(w, PERPETUAL, |r| r.insurance_since = 85)
            }),
            ("Q7.discount", |w| {
                bend(w, PERPETUAL, |r| r.insurance_since = 100)
            }),
        ],
    );
}

#[test]
fn q5_each_broken_clause_of_an_absorption_is_refused() {
    refuses(
        absorption(),
        &[
            ("T2.entries", |w| {
                (w.context.entries_allowed, w.context.fills_allowed) = (false, false)
            }),
            ("N3.amount", |w| absorb(w).debt = 0),
            ("N3.amount", |w| absorb(w).debt = 1 << 56),
            ("S2.empty_slot", |w| {
                absorb(w).holdings[3].instrument = PERPETUAL
            }),
            ("T6.halted", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::HALTED)
            }),
            ("N3.size", |w| absorb(w).holdings[1].size = -(1 << 22) - 1),
        ],
    );
}

#[test]
fn j3_each_broken_clause_of_a_transfer_is_refused() {
    refuses(
        transfer(PERPETUAL, Receiver::SameOwner(OWNER)),
        &[
            ("T2.entries", |w| {
                (w.context.entries_allowed, w.context.fills_allowed) = (false, false)
            }),
            ("T6.settled", |w| {
                bend(w, PERPETUAL, |r| r.flags = flags::SETTLED)
            }),
            ("N3.size", |w| sent(w).message.amount = 0),
            ("N3.size", |w| sent(w).message.amount = (1 << 22) + 1),
            ("J3.spot_short", |w| {
                bend(w, PERPETUAL, |r| r.kind = InstrumentKind::Spot)
            }),
            ("J3.self", |w| sent(w).message.to = AccountId(2002)),
            ("J3.dusting", |w| {
                sent(w).receiver = Receiver::Anyone;
                sent(w).message.terms = Default::default();
            }),
        ],
    );
    refuses(
        transfer(CASH, new_account()),
        &[
            ("N3.amount", |w| sent(w).message.amount = 0),
            ("N3.amount", |w| sent(w).message.amount = 1 << 56),
            ("J3.cash_side", |w| sent(w).message.short = true),
            ("S3.lower_half", |w| {
                sent(w).message.to = AccountId((1 << 27) - 1)
            }),
        ],
    );
}

#[test]
fn j3_each_broken_clause_of_a_withdrawal_is_refused() {
    refuses(
        withdraw(SPOT, 12, 12),
        &[
            ("N3.size", |w| withdrawn(w).message.amount = (1 << 22) + 1),
            ("J3.asset", |w| {
                bend(w, SPOT, |r| r.kind = InstrumentKind::Perpetual)
            }),
            ("Q6.least", |w| withdrawn(w).message.least = 13),
        ],
    );
    refuses(
        withdraw(CASH, 1 << 40, 1 << 40),
        &[
            ("N3.amount", |w| withdrawn(w).message.amount = 1 << 56),
            ("Q6.least", |w| w.context.deficit = 1 << 30),
        ],
    );
}

#[test]
fn s6_a_sweep_names_an_insurance_account_and_moves_something() {
    let sweep = |account, amount| Entry::Sweep(Sweep { account, amount });
    refuses(
        sweep(AccountId(1), 5),
        &[
            ("S6.system", |w| w.entries[0] = sweep_of(0, 5)),
            ("S6.system", |w| w.entries[0] = sweep_of(64, 5)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, 0)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, 1 << 56)),
            ("N3.cash", |w| w.entries[0] = sweep_of(1, -(1 << 56))),
        ],
    );
}

fn sweep_of(account: u32, amount: i64) -> Entry {
    let account = AccountId(account);
    Entry::Sweep(Sweep { account, amount })
}

#[test]
fn j4_an_item_that_must_be_refused_is_not_done() {
    let refused: [(&str, Entry, Bend); 9] = [
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.flags = flags::REDUCE_ONLY);
        }),
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.kind = InstrumentKind::Perpetual);
        }),
        ("J4.must_refuse", deposit(SPOT, None, 1), |w| {
            bend(w, SPOT, |r| r.max_size = 76);
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 50, 51, 1)
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 50, 0, 1)
        }),
        ("J4.amount", requested(CASH, 50, 50, 1), |w| {
            w.context.vault = 49
        }),
        ("J4.must_refuse", requested(CASH, 50, 50, 1), |w| {
            w.entries[0] = requested(CASH, 1 << 56, 50, 1);
        }),
        ("J4.must_refuse", requested(SPOT, 50, 50, 1), |w| {
            bend(w, SPOT, |r| r.max_size = 49)
        }),
        ("T2.entries", deposit(CASH, None, 1), |w| {
            (w.context.entries_allowed, w.context.fills_allowed) = (false, false);
        }),
    ];
    for (code, entry, change) in refused {
        refuses(entry, &[(code, change)]);
    }
    let new = Some(NewAccount::default());
    refuses(
        deposit(CASH, new, 1),
        &[("J4.must_refuse", |w| {
            let Entry::Item(served) = &mut w.entries[0] else {
                return;
            };
            if let Request::Deposit(deposit) = &mut served.item.request {
                deposit.account = AccountId(1 << 27);
            }
        })],
    );
}

/// Kind, cash, digest, needs and aux of every posting, and all of every record.
#[test]
fn j1_no_word_of_a_message_can_be_changed() {
    let f = fixture();
    let world = World::new(everything());
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

#[test]
fn j1_no_hint_can_be_lied_about() {
    let (builder, _) = OtherSegment::build(Builder::new(), &SMALL);
    let f = fixture();
    let world = World::new(everything());
    let witness = world.witness().unwrap();
    let accepted = f.checker.check(&witness).unwrap();
    for name in ["live bits", "bits", "is_nonnegative", "mul_div_down"] {
        let hints = builder.hints(name);
        assert!(!hints.is_empty(), "{name}");
        for hint in hints.iter().flatten() {
            let lie = [(*hint, accepted.get(*hint) + F::ONE)];
            let refused = f.checker.check_with_lies(&witness, &lie);
            assert!(refused.is_err(), "{name} {hint:?}");
        }
    }
}

#[test]
fn rows_are_pinned() {
    let none = Capacities {
        liquidations: 0,
        unwinds: 0,
        absorptions: 0,
        transfers: 0,
        withdrawals: 0,
        flags: 0,
        sweeps: 0,
        deposits: 0,
        requested_withdrawals: 0,
        changes: 0,
    };
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
    ];
    let production = rows(&Capacities::PRODUCTION);
    let expected = [
        21.4, 15.8, 118.7, 15.75, 21.65, 3.35, 7.6, 17.85, 25.1, 8.35,
    ];
    assert_eq!((rest, units), (20, expected));
    // Public inputs, constants and one row of each other gate take less than 150.
    assert!(production < (1 << 14) - 150, "{production} rows");
}
