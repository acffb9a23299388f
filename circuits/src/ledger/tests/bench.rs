//! An epoch of hand-made accounts and postings, and its segments in the checker.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use plonky2::iop::target::Target;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::account::{Account, AccountKind, Keys, Owner, Slot};
use tally_protocol::bounds::ACCOUNT_DEPTH;
use tally_protocol::hash::{Digest, EMPTY, signed, unsigned};
use tally_protocol::header;
use tally_protocol::instrument::{MarginRow, flags};
use tally_protocol::ledger::{
    Context, Env, Facts, LedgerError, MarginRows, Running, totals_changes,
};
use tally_protocol::message::SignatureRequest;
use tally_protocol::orders::{OrderSlot, OrderTree, empty_orders};
use tally_protocol::posting::{Needs, Posting, PostingKind};
use tally_protocol::tree::SparseTree;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::bus::{BusTag, Traffic};
use crate::checker::{Accepted, Checker, Refused};
use crate::ledger::{
    BlockWitness, LedgerSegment, LedgerShape, LedgerWitness, PlannedSegment, Touched, UnitWitness,
    plan,
};
use crate::summary::Challenge;
use crate::{Builder, Ext, F};

pub const EPOCH: u32 = 50;
pub const PERP: InstrumentId = InstrumentId(1);
pub const SPOT: InstrumentId = InstrumentId(2);
pub const REDUCING: InstrumentId = InstrumentId(3);
pub const CLAMPED: InstrumentId = InstrumentId(4);
pub const SETTLED: InstrumentId = InstrumentId(5);
pub const MAX_SIZE: u64 = 1_000;

pub fn row(id: InstrumentId) -> MarginRow {
    MarginRow {
        id,
        long_carry: 3,
        short_carry: -4,
        initial_long: 10,
        initial_short: 11,
        maintenance_long: 5,
        maintenance_short: 6,
        outflow_long: 10,
        outflow_short: 11,
        max_size: MAX_SIZE,
        ..MarginRow::default()
    }
}

pub fn rows() -> MarginRows {
    let spot = MarginRow {
        value: 100,
        initial_long: 20,
        maintenance_long: 10,
        outflow_long: 20,
        ..row(SPOT)
    };
    let flagged = |id, flags| MarginRow { flags, ..row(id) };
    let mut list = vec![
        row(PERP),
        spot,
        flagged(REDUCING, flags::REDUCE_ONLY),
        MarginRow {
            outflow_long: 100,
            outflow_short: 200,
            ..flagged(CLAMPED, flags::REDUCE_ONLY | flags::CLAMPED)
        },
        flagged(SETTLED, flags::REDUCE_ONLY | flags::HALTED | flags::SETTLED),
    ];
    list.extend((100..120).map(|id| row(InstrumentId(id))));
    list.into_iter().collect()
}

pub fn keys() -> Keys {
    Keys {
        key: [1, 2, 3, 4, 5].map(unsigned),
        trading_key: [0, 7, 8, 9, 10].map(unsigned),
    }
}

pub fn digest(seed: u64) -> Digest {
    HashOut {
        elements: [seed, 1, 2, 3].map(unsigned),
    }
}

/// A cross account with cash and signed sizes, its carry settled at 0.
pub fn account(cash: i64, held: &[(InstrumentId, i64)]) -> Account {
    let mut account = Account::default();
    account.owner = Owner([7; 20]);
    account.rest.keys = keys();
    account.rest.orders_root = empty_orders();
    account.money.cash = cash;
    for (slot, (instrument, size)) in account.money.slots.iter_mut().zip(held) {
        if *size != 0 {
            *slot = Slot {
                instrument: *instrument,
                side: if *size < 0 { Side::Short } else { Side::Long },
                size: size.unsigned_abs(),
                carry: 0,
            };
        }
    }
    account
}

/// The same with its carry settled at this epoch's rows.
pub fn level(cash: i64, held: &[(InstrumentId, i64)]) -> Account {
    let mut account = account(cash, held);
    for slot in account
        .money
        .slots
        .iter_mut()
        .filter(|slot| !slot.is_empty())
    {
        slot.carry = rows().get(slot.instrument).unwrap().carry(slot.side);
    }
    account
}

pub fn flagged(flagged_at: u32, mut account: Account) -> Account {
    account.money.flagged_at = flagged_at;
    account
}

pub fn of_kind(kind: AccountKind, mut account: Account) -> Account {
    account.rest.kind = kind;
    account
}

pub fn context() -> Context {
    Context {
        epoch: EPOCH,
        flag_expiry: 16,
    }
}

/// One account's epoch under construction.
#[derive(Clone)]
pub struct Bench {
    pub id: AccountId,
    pub before: Option<Account>,
    pub running: Running,
    pub orders: OrderTree,
    /// As it is now.
    now: OrderTree,
    pub units: Vec<UnitWitness>,
    pub requests: Vec<SignatureRequest>,
    next: u32,
}

impl Bench {
    pub fn open(id: u32, before: Option<Account>) -> Self {
        let id = AccountId(id);
        Self {
            id,
            running: Running::open(context(), id, before.as_ref(), &rows()).unwrap(),
            before,
            orders: OrderTree::default(),
            now: OrderTree::default(),
            units: Vec::new(),
            requests: Vec::new(),
            next: 0,
        }
    }

    /// A leaf that the native rules may not open.
    pub fn open_unchecked(id: u32, before: Account) -> Self {
        let mut openable = before.clone();
        openable.money.touched_at = 0;
        let mut bench = Self::open(id, Some(openable));
        bench.before = Some(before);
        bench
    }

    /// With order slots from before the epoch.
    pub fn with_orders(id: u32, mut before: Account, slots: &[(u32, OrderSlot)]) -> Self {
        let mut orders = OrderTree::default();
        for (place, slot) in slots {
            orders.set(*place, *slot).unwrap();
        }
        before.rest.orders_root = orders.root();
        let mut bench = Self::open(id, Some(before));
        bench.now = orders.clone();
        bench.orders = orders;
        bench
    }

    pub fn posting(&mut self, needs: Needs) -> Posting {
        self.next += 3;
        Posting {
            kind: PostingKind::Fill,
            epoch: EPOCH,
            account: self.id,
            index: self.next,
            instrument: InstrumentId(0),
            delta_size: 0,
            delta_cash: 0,
            digest: Digest::default(),
            place: 0,
            sequence: 0,
            generation: self.running.rest.generation,
            order_size: 0,
            needs,
            aux: Digest::default(),
        }
    }

    /// A fill without authority of its own, as a taker of the tests' bus.
    pub fn fill(&mut self, instrument: InstrumentId, lots: i64, cash: i64) -> Posting {
        Posting {
            instrument,
            delta_size: lots,
            delta_cash: cash,
            ..self.posting(Needs::ORDINARY)
        }
    }

    /// A fill by an order in a slot.
    pub fn by_slot(&mut self, place: u32, sequence: u32, instrument: u32, lots: i64) -> Posting {
        Posting {
            instrument: InstrumentId(instrument),
            delta_size: lots,
            delta_cash: -lots,
            digest: digest(u64::from(1000 * place + sequence)),
            place,
            sequence,
            order_size: 500,
            ..self.posting(Needs::ORDER | Needs::TRADING_KEY | Needs::ORDINARY)
        }
    }

    /// A fill by a taker's nonce.
    pub fn by_nonce(&mut self, nonce: u32, instrument: u32, lots: i64) -> Posting {
        Posting {
            instrument: InstrumentId(instrument),
            delta_size: lots,
            delta_cash: lots,
            digest: digest(1_000_000 + u64::from(nonce)),
            place: nonce,
            order_size: 500,
            ..self.posting(Needs::ORDER | Needs::NONCE | Needs::TRADING_KEY | Needs::ORDINARY)
        }
    }

    /// Through the native rules.
    pub fn apply(&mut self, posting: Posting, facts: Facts) -> Result<(), LedgerError> {
        let (rows, before) = (rows(), self.running.clone());
        let env = Env {
            rows: &rows,
            orders: &self.orders,
        };
        match self.running.apply(&posting, &facts, &env) {
            Ok(request) => self.requests.extend(request),
            Err(error) => {
                self.running = before;
                return Err(error);
            }
        }
        self.push_unchecked(posting, facts);
        Ok(())
    }

    /// Past the native rules: only the circuit can refuse it.
    pub fn push_unchecked(&mut self, posting: Posting, facts: Facts) {
        let needs = posting.needs;
        let named = needs.has(Needs::ORDER) && !needs.has(Needs::NONCE) && posting.place < 64;
        let place = posting.place;
        let (order, order_path) = match named && !needs.has(Needs::REFUSED) {
            true => (self.now.slot(place), self.now.path(place)),
            false => (OrderSlot::default(), Vec::new()),
        };
        if let Some(after) = self.running.orders.get(&place).filter(|_| named) {
            self.now.set(place, *after).unwrap();
        }
        self.units.push(UnitWitness {
            posting,
            facts,
            order,
            order_path,
        });
    }

    pub fn touched(&self, tree: &SparseTree) -> Touched {
        Touched {
            id: self.id,
            before: self.before.clone(),
            path: tree.path(self.id.0),
            postings: self.units.clone(),
        }
    }
}

/// The tree over the accounts before, among strangers.
pub fn tree_of(benches: &[Bench]) -> SparseTree {
    let strangers = (5_000..5_010).map(|id| (id, digest(id.into())));
    let leaves = benches.iter().map(|bench| {
        let leaf = bench.before.as_ref().map_or(EMPTY, Account::digest);
        (bench.id.0, leaf)
    });
    SparseTree::from_leaves(ACCOUNT_DEPTH, strangers.chain(leaves)).unwrap()
}

pub fn planned(benches: &[Bench], shapes: &[LedgerShape]) -> Vec<PlannedSegment> {
    let tree = tree_of(benches);
    let touched: Vec<Touched> = benches.iter().map(|bench| bench.touched(&tree)).collect();
    plan(context(), &rows(), tree.root(), &touched, shapes).unwrap()
}

/// One account in one block, past all native rules. Instruments without a place get the lowest
/// free.
pub fn unchecked(bench: &Bench, shape: LedgerShape) -> PlannedSegment {
    let tree = tree_of(core::slice::from_ref(bench));
    let mut placed = bench.running.places.map(|place| place.holding.row);
    for unit in &bench.units {
        let id = unit.posting.instrument;
        if unit.posting.delta_size != 0 && !placed.iter().any(|row| row.id == id) {
            if let Some(free) = placed.iter_mut().find(|row| row.id.0 == 0) {
                *free = rows().get(id).unwrap_or(row(PERP));
            }
        }
    }
    let block = BlockWitness {
        id: bench.id,
        before: bench.before.clone(),
        path: tree.path(bench.id.0),
        rows: placed[..shape.slots].to_vec(),
        units: bench.units.clone(),
        continues: false,
        named_row: bench
            .units
            .iter()
            .find(|unit| unit.posting.needs.has(Needs::REFUSED))
            .map(|unit| rows().get(unit.posting.instrument).unwrap())
            .unwrap_or_default(),
    };
    PlannedSegment {
        shape,
        witness: LedgerWitness {
            accounts: tree.root(),
            blocks: vec![block],
            ..LedgerWitness::default()
        },
        accounts: tree.root(),
    }
}

/// What the native rules say is on the bus.
pub fn expected(benches: &[Bench], segments: &[PlannedSegment]) -> Traffic {
    let mut traffic = Traffic::default();
    let nothing = Account::default();
    for bench in benches {
        for unit in &bench.units {
            traffic.add_tuple(BusTag::Posting, &unit.posting.words(), -1);
        }
        for request in &bench.requests {
            traffic.add_tuple(BusTag::Signature, &request.words(EPOCH), 1);
        }
        let closed = bench.running.close().unwrap();
        let before = bench.before.as_ref().unwrap_or(&nothing);
        if !bench.id.is_bridge() {
            for (key, change) in totals_changes(&before.money, &closed.money) {
                traffic.add_tuple(BusTag::Total, &[unsigned(key)], change.into());
            }
        }
        if bench.id.is_insurance() {
            let slots = before.money.slots.iter().zip(&closed.money.slots);
            for (old, new) in slots.filter(|(old, new)| !old.is_empty() || !new.is_empty()) {
                let id = old.instrument.0.max(new.instrument.0);
                let sizes = [old.signed_size(), new.signed_size()].map(signed);
                let words = [unsigned(id.into()), sizes[0], sizes[1]];
                traffic.add_tuple(BusTag::Inventory, &words, 1);
            }
        }
        if let Some(share) = bench.running.group_share(before) {
            for (key, lots) in share.sizes {
                traffic.add_tuple(BusTag::Group, &[unsigned(key)], lots.into());
            }
            traffic.add_tuple(BusTag::GroupEquity, &[], share.equity.into());
        }
        if bench.running.exists {
            let mut rest = bench.running.rest.clone();
            rest.orders_root = bench.now.root();
            let owner = match bench.running.created {
                true => bench.running.owner.words(),
                false => Default::default(),
            };
            let words = [
                &[unsigned(bench.id.0.into())],
                &closed.money.digest().elements[..],
                &rest.digest().elements,
                &owner,
            ];
            traffic.add_tuple(BusTag::DataAccount, &words.concat(), 1);
        }
    }
    for row in segments.iter().flat_map(PlannedSegment::reads) {
        traffic.add_tuple(BusTag::Margin, &row.words(), -1);
    }
    traffic
}

/// What the quote bridge owes before the epoch.
pub const VAULT: u64 = 100;

pub fn challenge() -> Challenge {
    let ext = |a: u64, b: u64| {
        use plonky2::field::extension::FieldExtension;
        Ext::from_basefield_array([unsigned(a), unsigned(b)])
    };
    Challenge {
        alpha: ext(0x1234_5678_9abc, 77),
        beta: ext(0xfeed_beef_1234, 99),
    }
}

/// Every hint, each told one more, one less, its opposite as a bit and 0: refused, or the segment
/// states the same. Bus terms and limbs of gates are the frame's own tests'.
pub fn prank_all(rig: &Rig, hints: &[(&'static str, Target)], segment: &PlannedSegment) {
    let inputs = rig.inputs(segment);
    let honest = rig.checker.check(&inputs).unwrap();
    let stated = honest.public_inputs().to_vec();
    for &(name, target) in hints.iter().filter(|(name, _)| *name != "bus term") {
        let told = honest.get(target);
        for lie in [told + F::ONE, told - F::ONE, F::ONE - told, F::ZERO] {
            if lie == told {
                continue;
            }
            if let Ok(accepted) = rig.checker.check_with_lies(&inputs, &[(target, lie)]) {
                assert_eq!(accepted.public_inputs(), stated, "a lie about {name}");
            }
        }
    }
}

/// All inputs of a segment's circuit, in the tests' epoch.
pub fn inputs(ledger: &LedgerSegment, segment: &PlannedSegment) -> PartialWitness<F> {
    let mut context = header::Context {
        epoch: EPOCH,
        vault: VAULT,
        ..header::Context::default()
    };
    context.globals.flag_lifetime = 16;
    inputs_in(ledger, &context, segment)
}

pub fn inputs_in(
    ledger: &LedgerSegment,
    context: &header::Context,
    segment: &PlannedSegment,
) -> PartialWitness<F> {
    let mut inputs = PartialWitness::new();
    let frame = &ledger.segment;
    frame.set_context(&mut inputs, context, 0).unwrap();
    frame.set_passing(&mut inputs, &Default::default()).unwrap();
    frame
        .set_challenge(&mut inputs, challenge(), HashOut::ZERO)
        .unwrap();
    ledger.assign(&mut inputs, &segment.witness).unwrap();
    inputs
}

/// A circuit to put witnesses to.
pub struct Rig {
    pub checker: Checker,
    pub ledger: LedgerSegment,
}

impl Rig {
    pub fn new(shape: LedgerShape) -> Self {
        let (builder, ledger) = LedgerSegment::build(shape);
        Self {
            checker: Checker::new(builder),
            ledger,
        }
    }

    /// With the outputs of all hints, by name.
    pub fn with_hints(shape: LedgerShape) -> (Self, Vec<(&'static str, Target)>) {
        Self::over(Builder::new(), shape)
    }

    /// The same on a given builder.
    pub fn over(builder: Builder, shape: LedgerShape) -> (Self, Vec<(&'static str, Target)>) {
        let (builder, ledger) = LedgerSegment::build_over(builder, shape);
        let hints = builder.all_hints();
        let checker = Checker::new(builder);
        (Self { checker, ledger }, hints)
    }

    pub fn inputs(&self, segment: &PlannedSegment) -> PartialWitness<F> {
        inputs(&self.ledger, segment)
    }

    pub fn inputs_in(
        &self,
        context: &header::Context,
        segment: &PlannedSegment,
    ) -> PartialWitness<F> {
        inputs_in(&self.ledger, context, segment)
    }

    pub fn check(&self, segment: &PlannedSegment) -> Result<Accepted<'_>, Refused> {
        self.checker.check(&self.inputs(segment))
    }

    /// Fed past the hints: a refusal is a constraint's.
    pub fn refuses(&self, segment: &PlannedSegment) -> bool {
        let verdict = self.checker.check_with_lies(&self.inputs(segment), &[]);
        verdict.is_err()
    }

    pub fn add_traffic(&self, accepted: &Accepted<'_>, traffic: &mut Traffic) {
        traffic.add(&self.ledger.segment.entries, |t| accepted.get(t));
    }
}
