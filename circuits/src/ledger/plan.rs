//! From an epoch's touched accounts to segments: which shape each account goes to, and what the
//! segments hand along. Accounts may stand in any order, since each opens once (D1).

use core::ops::Range;

use tally_protocol::account::{Account, AccountKind};
use tally_protocol::bounds::ACCOUNT_DEPTH;
use tally_protocol::epoch::{AccountStep, PostingStep};
use tally_protocol::hash::{Digest, EMPTY, F, signed, unsigned};
use tally_protocol::instrument::MarginRow;
use tally_protocol::ledger::{Context, Env, LedgerError, MarginRows, Running};
use tally_protocol::orders::OrderTree;
use tally_protocol::posting::Needs;
use tally_protocol::tree::{Opening, PartialTree, TreeError, root_from_path};
use tally_protocol::types::AccountId;
use thiserror::Error;

use super::{BlockWitness, LedgerShape, LedgerWitness, PLAIN_NEEDS, UnitWitness};

/// An account that the epoch touches.
#[derive(Clone, Debug)]
pub struct Touched {
    pub id: AccountId,
    /// None for an empty leaf.
    pub before: Option<Account>,
    /// Siblings before the epoch.
    pub path: Vec<Digest>,
    /// By rising index.
    pub postings: Vec<UnitWitness>,
}

impl From<&AccountStep> for Touched {
    fn from(step: &AccountStep) -> Self {
        let unit = |posting: &PostingStep| {
            let order = posting.order.as_ref();
            UnitWitness {
                posting: posting.posting.clone(),
                facts: posting.facts.clone(),
                order: order.map(|order| order.before).unwrap_or_default(),
                order_path: order.map(|order| order.path.clone()).unwrap_or_default(),
            }
        };
        Self {
            id: step.id,
            before: step.before.clone(),
            path: step.path.clone(),
            postings: step.postings.iter().map(unit).collect(),
        }
    }
}

/// A segment of the epoch's ledger.
#[derive(Clone, Debug)]
pub struct PlannedSegment {
    pub shape: LedgerShape,
    pub witness: LedgerWitness,
    /// The account root after.
    pub accounts: Digest,
}

impl PlannedSegment {
    /// The rows that it reads off the bus, each as often as it does.
    pub fn reads(&self) -> impl Iterator<Item = &MarginRow> {
        let full = self.shape.full;
        let blocks = self.witness.blocks.iter();
        blocks.flat_map(move |block| block.rows.iter().chain(full.then_some(&block.named_row)))
    }
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("account {}: {error}", account.0)]
    Ledger {
        account: AccountId,
        error: LedgerError,
    },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("no shape takes account {}", account.0)]
    NoShape { account: AccountId },
}

impl PlanError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ledger { error, .. } => error.code(),
            Self::Tree(error) => error.code(),
            Self::NoShape { .. } => "ledger.no_shape",
        }
    }
}

/// An account run natively: what the circuit is told of each of its blocks.
struct Replayed<'a> {
    touched: &'a Touched,
    rows: Vec<MarginRow>,
    /// Before each posting, and after the last, with the root of the order tree.
    states: Vec<(Running, Digest)>,
    after: Option<Account>,
    is_plain: bool,
    /// The row of a refused item's instrument.
    named_row: MarginRow,
}

/// Segments by shape, in the order of `shapes`; accounts in the order given. The roots are chained
/// in the order of the result.
pub fn plan(
    context: Context,
    rows: &MarginRows,
    root: Digest,
    touched: &[Touched],
    shapes: &[LedgerShape],
) -> Result<Vec<PlannedSegment>, PlanError> {
    let openings = touched.iter().map(|touched| Opening {
        index: touched.id.0,
        leaf: touched.before.as_ref().map_or(EMPTY, Account::digest),
        path: touched.path.clone(),
    });
    let openings: Vec<Opening> = openings.collect();
    let mut tree = PartialTree::new(ACCOUNT_DEPTH, root, &openings)?;
    let mut by_shape: Vec<Vec<Replayed<'_>>> = shapes.iter().map(|_| Vec::new()).collect();
    for touched in touched {
        let account = touched.id;
        let replayed = Replayed::new(context, rows, touched)
            .map_err(|error| PlanError::Ledger { account, error })?;
        let place = replayed
            .cheapest(shapes)
            .ok_or(PlanError::NoShape { account })?;
        by_shape[place].push(replayed);
    }
    let mut segments = Vec::new();
    for (shape, accounts) in shapes.iter().zip(&by_shape) {
        Packer::new(*shape, &mut tree, &mut segments).pack(accounts)?;
    }
    Ok(segments)
}

/// Fills the segments of one shape.
struct Packer<'a> {
    shape: LedgerShape,
    tree: &'a mut PartialTree,
    segments: &'a mut Vec<PlannedSegment>,
    witness: LedgerWitness,
}

impl<'a> Packer<'a> {
    fn new(
        shape: LedgerShape,
        tree: &'a mut PartialTree,
        segments: &'a mut Vec<PlannedSegment>,
    ) -> Self {
        let witness = LedgerWitness {
            accounts: tree.root(),
            ..LedgerWitness::default()
        };
        Self {
            shape,
            tree,
            segments,
            witness,
        }
    }

    fn pack(mut self, accounts: &[Replayed<'_>]) -> Result<(), PlanError> {
        for account in accounts {
            let blocks = account.touched.blocks(&self.shape);
            for (i, units) in blocks.iter().enumerate() {
                if self.witness.blocks.len() == self.shape.blocks {
                    let handed = i.checked_sub(1).map(|last| {
                        let is_filled = blocks[last].len() == self.shape.postings;
                        account.handed(&self.shape, units.start, is_filled)
                    });
                    self.flush(handed.unwrap_or_default());
                }
                let continues = i + 1 < blocks.len();
                self.push(account, units.clone(), continues)?;
            }
        }
        if !self.witness.blocks.is_empty() {
            self.flush(Vec::new());
        }
        Ok(())
    }

    fn push(
        &mut self,
        account: &Replayed<'_>,
        units: Range<usize>,
        continues: bool,
    ) -> Result<(), PlanError> {
        let touched = account.touched;
        let path = self.tree.path(touched.id.0)?;
        if !continues {
            let leaf = account.after.as_ref().map_or(EMPTY, Account::digest);
            self.tree.set(touched.id.0, leaf)?;
        }
        self.witness.blocks.push(BlockWitness {
            id: touched.id,
            before: touched.before.clone(),
            path,
            rows: account.rows[..self.shape.slots].to_vec(),
            units: touched.postings[units].to_vec(),
            continues,
            named_row: account.named_row,
        });
        Ok(())
    }

    /// Ends the segment; the next one starts with what it hands on.
    fn flush(&mut self, handed: Vec<F>) {
        let next = LedgerWitness {
            accounts: self.tree.root(),
            handed,
            ..LedgerWitness::default()
        };
        self.segments.push(PlannedSegment {
            shape: self.shape,
            witness: core::mem::replace(&mut self.witness, next),
            accounts: self.tree.root(),
        });
    }
}

impl<'a> Replayed<'a> {
    fn new(context: Context, rows: &MarginRows, touched: &'a Touched) -> Result<Self, LedgerError> {
        let before = touched.before.as_ref();
        let mut running = Running::open(context, touched.id, before, rows)?;
        let mut root = running.rest.orders_root;
        // The slots as they first were; the tree's own root is not used.
        let mut orders = OrderTree::default();
        let mut seen = std::collections::BTreeSet::new();
        for unit in &touched.postings {
            if !unit.order_path.is_empty() && seen.insert(unit.posting.place) {
                // A place outside of the tree is refused by `apply`.
                let _ = orders.set(unit.posting.place, unit.order);
            }
        }
        let mut states = vec![(running.clone(), root)];
        for unit in &touched.postings {
            let env = Env {
                rows,
                orders: &orders,
            };
            running.apply(&unit.posting, &unit.facts, &env)?;
            if !unit.order_path.is_empty() {
                let place = unit.posting.place;
                let after = running.orders.get(&place).copied().unwrap_or(unit.order);
                root = root_from_path(place, after.digest(), &unit.order_path);
            }
            states.push((running.clone(), root));
        }
        let closed = running.close()?;
        let mut rest = running.rest.clone();
        rest.orders_root = root;
        let after = running.exists.then(|| Account {
            money: closed.money,
            owner: running.owner,
            rest,
        });
        let margin = match running.done.outflow {
            true => closed.totals.meets_outflow(),
            false => closed.totals.meets_initial(),
        };
        let refused = touched.postings.iter().map(|unit| &unit.posting);
        let mut refused = refused.filter(|posting| posting.needs.has(Needs::REFUSED));
        let named = refused.next().map(|posting| rows.get(posting.instrument));
        Ok(Self {
            named_row: named.transpose()?.unwrap_or_default(),
            rows: running.places.map(|place| place.holding.row).to_vec(),
            is_plain: touched.is_plain() && margin,
            touched,
            states,
            after,
        })
    }

    /// The shape that spends the fewest rows on the account.
    fn cheapest(&self, shapes: &[LedgerShape]) -> Option<usize> {
        let fitting = shapes.iter().enumerate().filter(|(_, shape)| {
            let unused = |row: &MarginRow| row.id.0 == 0;
            let slots = self.rows.iter().skip(shape.slots).all(unused);
            let plain = shape.full || self.is_plain;
            slots && plain && (shape.spans() || self.touched.postings.len() <= 1)
        });
        let cheapest = fitting.min_by_key(|(_, shape)| {
            let blocks = self.touched.blocks(shape).len();
            blocks * shape.block_rows()
        });
        cheapest.map(|(place, _)| place)
    }

    /// The handoff's words before posting `at`, in the order of `BlockTarget::handed`. A block that
    /// is not filled ends an order by nonce.
    fn handed(&self, shape: &LedgerShape, at: usize, is_filled: bool) -> Vec<F> {
        let (running, orders_root) = &self.states[at];
        let mut running = running.clone();
        running.done.taker = running.done.taker.filter(|_| is_filled);
        let mut words = vec![unsigned(self.touched.id.0.into())];
        let rows = &self.rows[..shape.slots];
        words.extend(rows.iter().map(|row| unsigned(row.id.0.into())));
        words.extend(running_words(&running, *orders_root, shape));
        words
    }
}

impl Touched {
    /// Its postings by block; one block even without a posting. A block sets one pair of keys.
    fn blocks(&self, shape: &LedgerShape) -> Vec<Range<usize>> {
        let sets = |unit: &UnitWitness| {
            let needs = unit.posting.needs;
            needs.has_any(Needs::CREATE | Needs::SET_KEYS)
        };
        let mut blocks = Vec::new();
        let (mut start, mut has_set) = (0, false);
        for (i, unit) in self.postings.iter().enumerate() {
            if i - start == shape.postings || (has_set && sets(unit)) {
                blocks.push(start..i);
                (start, has_set) = (i, false);
            }
            has_set |= sets(unit);
        }
        blocks.push(start..self.postings.len());
        blocks
    }

    /// Whether a plain shape serves the account, its margin apart.
    fn is_plain(&self) -> bool {
        let served = PLAIN_NEEDS.iter().fold(0, |sum, need| sum | need.0);
        let before = self.before.as_ref();
        before.is_some_and(|before| {
            before.rest.kind != AccountKind::System && before.money.flagged_at == 0
        }) && self
            .postings
            .iter()
            .all(|unit| unit.posting.needs.0 & !served == 0)
    }
}

impl LedgerShape {
    /// About what a block costs, for choosing between shapes.
    fn block_rows(&self) -> usize {
        match self.full {
            true => 340 + 56 * self.postings,
            false => 55 + 12 * self.slots + 29 * self.postings,
        }
    }
}

/// In the order of `RunningTarget::words`.
fn running_words(running: &Running, orders_root: Digest, shape: &LedgerShape) -> Vec<F> {
    let bit = |bit: bool| unsigned(bit.into());
    let last = running.done.last_index.map_or(-1, i64::from);
    let taker = running.done.taker;
    let mut words = vec![
        signed(running.cash),
        unsigned(running.rest.nonce.into()),
        unsigned(running.rest.generation.into()),
        signed(last),
    ];
    words.extend(orders_root.elements);
    words.extend([
        bit(running.done.outflow),
        bit(taker.is_some()),
        unsigned(taker.map_or(0, |taker| taker.filled)),
    ]);
    words.extend(taker.map_or(EMPTY, |taker| taker.digest).elements);
    let places = &running.places[..shape.slots];
    for place in places {
        words.extend([signed(place.holding.size), bit(place.is_assigned())]);
    }
    if shape.full {
        for place in places {
            let charge = unsigned(place.charge.unwrap_or(0));
            words.extend([signed(place.base), charge, bit(place.charge.is_some())]);
        }
        let (done, rest) = (&running.done, &running.rest);
        let bits = [
            running.exists,
            running.created,
            rest.kind == AccountKind::Isolated,
            done.unpermitted,
            done.ordinary,
            done.liquidated,
        ];
        words.extend(bits.map(bit));
        words.extend([unsigned(running.flagged_at.into()), unsigned(done.charged)]);
        words.extend(running.owner.words());
        words.extend(rest.keys.key);
        words.extend(rest.keys.trading_key);
    }
    words
}
