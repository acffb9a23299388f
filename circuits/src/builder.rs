//! `CircuitBuilder` whose assertions are counted and can be dropped one at a time.
//!
//! Everything that this crate asserts goes through `Builder::connect` and its kin, which shadow the
//! methods of the same name that `Deref` would find. That is what makes constraint mutation
//! possible (`checker::assert_each_assertion_needed`): build again without the i-th, and some
//! attack must pass.

use core::ops::{Deref, DerefMut};
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
    assertions: Vec<&'static Location<'static>>,
    dropped: Option<usize>,
    hints: Vec<(&'static str, Vec<Target>)>,
    /// Where a dropped assertion would have carried a value, from one target to the other.
    flows: Vec<(Target, Target)>,
    /// Of each operation the row that still has room, and what an unused lane has to be given.
    open_rows: BTreeMap<&'static str, OpenRow>,
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
            dropped: None,
            hints: Vec::new(),
            flows: Vec::new(),
            open_rows: BTreeMap::new(),
        }
    }

    /// For mutation tests: leaves out the `index`-th assertion.
    pub fn dropping(index: usize) -> Self {
        Self {
            dropped: Some(index),
            ..Self::new()
        }
    }

    /// Where each assertion so far was made.
    pub fn assertions(&self) -> &[&'static Location<'static>] {
        &self.assertions
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
    fn counts(&mut self) -> bool {
        let index = self.assertions.len();
        self.assertions.push(Location::caller());
        self.dropped != Some(index)
    }

    /// x = y. Where this assertion is dropped, an honest value still flows, so that only a lie can
    /// make the two differ.
    #[track_caller]
    pub fn connect(&mut self, x: Target, y: Target) {
        if self.counts() {
            self.inner.connect(x, y);
        } else {
            self.flow(x, y);
        }
    }

    /// x = y element by element, as one assertion.
    #[track_caller]
    pub fn connect_all(&mut self, x: &[Target], y: &[Target]) {
        assert_eq!(x.len(), y.len());
        let counts = self.counts();
        for (&x, &y) in x.iter().zip(y) {
            match counts {
                true => self.inner.connect(x, y),
                false => self.flow(x, y),
            }
        }
    }

    /// x = y, all four elements as one assertion.
    #[track_caller]
    pub fn connect_hashes(&mut self, x: HashOutTarget, y: HashOutTarget) {
        if self.counts() {
            self.inner.connect_hashes(x, y);
        } else {
            (0..4).for_each(|i| self.flow(x.elements[i], y.elements[i]));
        }
    }

    /// x = y, both elements as one assertion.
    #[track_caller]
    pub fn connect_extension(&mut self, x: ExtensionTarget<D>, y: ExtensionTarget<D>) {
        if self.counts() {
            self.inner.connect_extension(x, y);
        } else {
            (0..D).for_each(|i| self.flow(x.0[i], y.0[i]));
        }
    }

    fn flow(&mut self, x: Target, y: Target) {
        self.flows.extend([(x, y), (y, x)]);
    }

    pub(crate) fn flows(&self) -> &[(Target, Target)] {
        &self.flows
    }

    #[track_caller]
    pub fn assert_zero(&mut self, x: Target) {
        if self.counts() {
            self.inner.assert_zero(x);
        }
    }

    #[track_caller]
    pub fn assert_one(&mut self, x: Target) {
        if self.counts() {
            self.inner.assert_one(x);
        }
    }

    /// b is 0 or 1.
    #[track_caller]
    pub fn assert_bool(&mut self, b: BoolTarget) {
        if self.counts() {
            self.operation::<Bit>(&[b.target]);
        }
    }

    /// condition · (x − y) = 0.
    #[track_caller]
    pub fn conditional_assert_eq(&mut self, condition: Target, x: Target, y: Target) {
        if self.counts() {
            self.operation::<EqualIf>(&[condition, x, y]);
        }
    }

    /// A witness that is asserted to be 0 or 1.
    #[track_caller]
    pub fn add_virtual_bool_target_safe(&mut self) -> BoolTarget {
        let bit = self.inner.add_virtual_bool_target_unsafe();
        if self.counts() {
            self.operation::<Bit>(&[bit.target]);
        }
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
