//! `CircuitBuilder` whose assertions are counted and can be dropped one at a time.
//!
//! Everything that this crate asserts goes through `Builder::connect` and its kin, which shadow the
//! methods of the same name that `Deref` would find. That is what makes constraint mutation
//! possible. `dropping` builds without the i-th assertion, and some attack must pass
//! (`checker::assert_each_assertion_needed`). `loose` notes all of them instead, so that one build
//! tells which assertions a witness breaks (`checker::loose`).

use core::ops::{Deref, DerefMut, Range};
use core::panic::Location;
use std::collections::BTreeMap;

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::CircuitConfig;
use tally_protocol::hash::F;

use crate::gates::many::{Bit, EqualIf, ManyGate, Operation};

/// Degree of the field extension.
pub const D: usize = 2;

/// The configuration of every circuit [P7].
pub fn config() -> CircuitConfig {
    CircuitConfig {
        num_challenges: 3,
        ..CircuitConfig::standard_recursion_config()
    }
}

/// Builds a circuit; see the module's doc.
#[allow(missing_debug_implementations)]
pub struct Builder {
    inner: CircuitBuilder<F, D>,
    assertions: Vec<Assertion>,
    mode: Mode,
    /// Whether segments leave out the frame's commitment and sum, and then what they state.
    bare: bool,
    stated: Vec<Target>,
    hints: Vec<(&'static str, Vec<Target>)>,
    /// Where a dropped assertion would have carried a value, from one target to the other.
    flows: Vec<(Target, Target)>,
    /// Of each operation the row that still has room, and what an unused lane has to be given.
    open_rows: BTreeMap<&'static str, OpenRow>,
}

/// What becomes of assertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Whole,
    Without(usize),
    /// Equalities are noted, not built; gates stay.
    Loose,
}

/// An assertion, and in a loose builder how to see whether a witness breaks it.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub location: &'static Location<'static>,
    /// "equal", "bit" or "equal if".
    pub kind: &'static str,
    /// Pairs that have to be equal.
    pub(crate) links: Vec<(Target, Target)>,
    /// Pairs that have to be equal if a condition holds, which a gate's constraint says.
    pub(crate) guarded: Vec<(Target, Target)>,
    /// What else its constraints are about.
    pub(crate) about: Vec<Target>,
    /// Constraints of a gate that are this assertion's own: row, and which.
    pub(crate) constraints: Vec<(usize, Range<usize>)>,
}

/// A row of a `ManyGate` with lanes to spare.
#[derive(Clone, Copy, Debug)]
struct OpenRow {
    row: usize,
    used: usize,
    lanes: usize,
    inputs: usize,
    wire: fn(usize, usize) -> usize,
}

/// The wires of one operation of a `ManyGate`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    row: usize,
    lane: usize,
    wire: fn(usize, usize) -> usize,
}

impl Lane {
    pub fn wire(&self, wire: usize) -> Target {
        Target::wire(self.row, (self.wire)(self.lane, wire))
    }

    /// Its constraints, for an operation of one each.
    fn only_constraint(&self) -> (usize, Range<usize>) {
        (self.row, self.lane..self.lane + 1)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub fn new() -> Self {
        Self::over(CircuitBuilder::new(config()))
    }

    /// Around a builder that exists already.
    pub fn over(inner: CircuitBuilder<F, D>) -> Self {
        Self {
            inner,
            assertions: Vec::new(),
            mode: Mode::Whole,
            bare: false,
            stated: Vec::new(),
            hints: Vec::new(),
            flows: Vec::new(),
            open_rows: BTreeMap::new(),
        }
    }

    /// For mutation tests: leaves out the `index`-th assertion.
    pub fn dropping(index: usize) -> Self {
        Self {
            mode: Mode::Without(index),
            ..Self::new()
        }
    }

    /// For mutation tests: a circuit without its equalities, which `checker::loose` checks instead.
    pub fn loose() -> Self {
        Self {
            mode: Mode::Loose,
            ..Self::new()
        }
    }

    /// As `loose`, without what the frame of a segment adds to it: most lies move a word of the
    /// bus, and hashing all of them again is most of a lie's cost. Other tests have the frame.
    pub fn bare() -> Self {
        Self {
            bare: true,
            ..Self::loose()
        }
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.bare
    }

    /// In a bare builder: what the circuit says, as public inputs would.
    pub(crate) fn state(&mut self, targets: &[Target]) {
        self.stated.extend(targets);
    }

    pub(crate) fn stated(&self) -> &[Target] {
        &self.stated
    }

    /// The assertions so far.
    pub fn assertions(&self) -> &[Assertion] {
        &self.assertions
    }

    /// Constraints of a gate that serve the last assertion only.
    pub(crate) fn belongs_to_last(&mut self, row: usize, constraints: Range<usize>) {
        if let Some(last) = self.assertions.last_mut() {
            last.constraints.push((row, constraints));
        }
    }

    /// The outputs of each hint.
    pub(crate) fn hint_groups(&self) -> &[(&'static str, Vec<Target>)] {
        &self.hints
    }

    pub(crate) fn record_hint(&mut self, name: &'static str, outputs: &[Target]) {
        self.hints.push((name, outputs.to_vec()));
    }

    /// For prank tests: the targets of all hints, with their names.
    pub fn all_hints(&self) -> Vec<(&'static str, Target)> {
        let each = |(name, outputs): &(&'static str, Vec<Target>)| {
            let name = *name;
            outputs
                .iter()
                .map(|&target| (name, target))
                .collect::<Vec<_>>()
        };
        self.hints.iter().flat_map(each).collect()
    }

    /// For prank tests: the targets of every hint of a name, in the order of building.
    pub fn hints(&self, name: &str) -> Vec<Vec<Target>> {
        let named = self.hints.iter().filter(|(hint, _)| *hint == name);
        named.map(|(_, outputs)| outputs.clone()).collect()
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.inner.num_gates()
    }

    /// The builder to build from; gives the lanes that aren't used zeros.
    pub fn into_inner(mut self) -> CircuitBuilder<F, D> {
        let zero = self.inner.zero();
        for open in self.open_rows.into_values() {
            for lane in open.used..open.lanes {
                for wire in 0..open.inputs {
                    let column = (open.wire)(lane, wire);
                    self.inner.connect(zero, Target::wire(open.row, column));
                }
            }
        }
        self.inner
    }

    /// A free lane of an operation, its first wires joined to `inputs`.
    pub(crate) fn operation<O: Operation>(&mut self, inputs: &[Target]) -> Lane {
        let wire = ManyGate::<O>::wire;
        let open = match self.open_rows.get(O::NAME) {
            Some(open) if open.used < open.lanes => *open,
            _ => OpenRow {
                row: self.inner.add_gate(ManyGate::<O>::new(), vec![]),
                used: 0,
                lanes: O::LANES,
                inputs: O::INPUTS,
                wire,
            },
        };
        let lane = Lane {
            row: open.row,
            lane: open.used,
            wire,
        };
        for (i, &input) in inputs.iter().enumerate() {
            self.inner.connect(input, lane.wire(i));
        }
        self.open_rows.insert(
            O::NAME,
            OpenRow {
                used: open.used + 1,
                ..open
            },
        );
        lane
    }

    /// Counts an assertion; false if this one is to be left out.
    #[track_caller]
    fn counts(&mut self, kind: &'static str) -> bool {
        let index = self.assertions.len();
        self.assertions.push(Assertion {
            location: Location::caller(),
            kind,
            links: Vec::new(),
            guarded: Vec::new(),
            about: Vec::new(),
            constraints: Vec::new(),
        });
        self.mode != Mode::Without(index)
    }

    /// x = y, all elements as one assertion.
    #[track_caller]
    pub fn connect_all(&mut self, x: &[Target], y: &[Target]) {
        assert_eq!(x.len(), y.len());
        let pairs: Vec<_> = x.iter().copied().zip(y.iter().copied()).collect();
        self.link(&pairs);
    }

    /// x = y for each pair. Where it is dropped, an honest value still flows, so
    /// that only a lie can make the two differ.
    #[track_caller]
    fn link(&mut self, pairs: &[(Target, Target)]) {
        let stays = self.counts("equal");
        for &(x, y) in pairs {
            if self.mode == Mode::Loose {
                let last = self.assertions.last_mut();
                last.expect("it was counted").links.push((x, y));
            } else if stays {
                self.inner.connect(x, y);
            } else {
                self.flows.extend([(x, y), (y, x)]);
            }
        }
    }

    /// x = y.
    #[track_caller]
    pub fn connect(&mut self, x: Target, y: Target) {
        self.link(&[(x, y)]);
    }

    /// x = y, all four elements as one assertion.
    #[track_caller]
    pub fn connect_hashes(&mut self, x: HashOutTarget, y: HashOutTarget) {
        let pairs: [_; 4] = core::array::from_fn(|i| (x.elements[i], y.elements[i]));
        self.link(&pairs);
    }

    /// x = y, both elements as one assertion.
    #[track_caller]
    pub fn connect_extension(&mut self, x: ExtensionTarget<D>, y: ExtensionTarget<D>) {
        let pairs: [_; D] = core::array::from_fn(|i| (x.0[i], y.0[i]));
        self.link(&pairs);
    }

    pub(crate) fn flows(&self) -> &[(Target, Target)] {
        &self.flows
    }

    #[track_caller]
    pub fn assert_zero(&mut self, x: Target) {
        let zero = self.inner.zero();
        self.assert_is(x, zero);
    }

    #[track_caller]
    pub fn assert_one(&mut self, x: Target) {
        let one = self.inner.one();
        self.assert_is(x, one);
    }

    /// x is a constant; where this is dropped, nothing flows.
    #[track_caller]
    fn assert_is(&mut self, x: Target, constant: Target) {
        if let Mode::Without(_) = self.mode {
            if self.counts("equal") {
                self.inner.connect(x, constant);
            }
        } else {
            self.link(&[(x, constant)]);
        }
    }

    /// b is 0 or 1.
    #[track_caller]
    pub fn assert_bool(&mut self, b: BoolTarget) {
        if self.counts("bit") {
            let lane = self.operation::<Bit>(&[b.target]);
            let (row, constraint) = lane.only_constraint();
            self.belongs_to_last(row, constraint);
            let last = self.assertions.last_mut();
            last.expect("it was counted").about.push(b.target);
        }
    }

    /// condition · (x − y) = 0.
    #[track_caller]
    pub fn conditional_assert_eq(&mut self, condition: Target, x: Target, y: Target) {
        self.conditional_assert_all_eq(condition, &[x], &[y]);
    }

    /// condition · (x − y) = 0 for each pair, as one assertion: of digests, whose elements no lie
    /// can move one at a time.
    #[track_caller]
    pub fn conditional_assert_all_eq(&mut self, condition: Target, x: &[Target], y: &[Target]) {
        assert_eq!(x.len(), y.len());
        if self.counts("equal if") {
            for (&x, &y) in x.iter().zip(y) {
                let lane = self.operation::<EqualIf>(&[condition, x, y]);
                let (row, constraint) = lane.only_constraint();
                self.belongs_to_last(row, constraint);
                let last = self.assertions.last_mut().expect("it was counted");
                last.guarded.push((x, y));
                last.about.push(condition);
            }
        }
    }

    /// A witness that is asserted to be 0 or 1.
    #[track_caller]
    pub fn add_virtual_bool_target_safe(&mut self) -> BoolTarget {
        let bit = self.inner.add_virtual_bool_target_unsafe();
        self.assert_bool(bit);
        bit
    }
}

impl Deref for Builder {
    type Target = CircuitBuilder<F, D>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Builder {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
