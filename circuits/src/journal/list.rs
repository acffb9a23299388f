//! A list of units of one kind within a segment: n live ones, each with its place in the journal.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::unsigned;
use tally_protocol::message::MessageKind;

use super::withdraw::Payout;
use super::{first_place, frame};
use crate::F;
use crate::gadgets::logic;
use crate::message::MessageFrame;
use crate::segment::SegmentBuilder;

/// What the units of a segment share: the frames of the messages that they open, and the cut of
/// withdrawals \[Q6\].
#[derive(Clone, Debug)]
pub struct Shared {
    pub order: MessageFrame,
    pub transfer: MessageFrame,
    pub accept: MessageFrame,
    pub withdraw: MessageFrame,
    pub cancel: MessageFrame,
    pub cancel_all: MessageFrame,
    pub key_change: MessageFrame,
    pub payout: Payout,
}

impl Shared {
    pub fn new(s: &mut SegmentBuilder) -> Self {
        Self {
            order: frame(s, MessageKind::Order),
            transfer: frame(s, MessageKind::Transfer),
            accept: frame(s, MessageKind::Accept),
            withdraw: frame(s, MessageKind::Withdraw),
            cancel: frame(s, MessageKind::Cancel),
            cancel_all: frame(s, MessageKind::CancelAll),
            key_change: frame(s, MessageKind::KeyChange),
            payout: Payout::new(s),
        }
    }
}

/// The circuit of one entry of a kind.
pub trait Unit: Sized {
    type Value: Clone;

    /// Checks the entry and puts its effects on the bus, if it is live.
    fn build(s: &mut SegmentBuilder, shared: &Shared, first: Target, live: BoolTarget) -> Self;

    fn assign(&self, witness: &mut PartialWitness<F>, value: &Self::Value) -> anyhow::Result<()>;

    /// What a dead unit holds: it meets every constraint.
    fn idle() -> Self::Value;
}

/// An entry with the rows that it reads, and the place of its first posting.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    pub value: T,
    pub first: u32,
}

/// Units of one kind, of which the first n are live.
#[derive(Clone, Debug)]
pub struct List<U> {
    pub n: Target,
    pub units: Vec<U>,
    pub live: Vec<BoolTarget>,
    pub firsts: Vec<Target>,
}

impl<U: Unit> List<U> {
    /// `allowed` must hold if any unit is live.
    pub fn build(
        s: &mut SegmentBuilder,
        shared: &Shared,
        capacity: usize,
        allowed: Option<BoolTarget>,
    ) -> Self {
        let n = s.add_virtual_target();
        let live = logic::live_bits(s, n, capacity);
        if let (Some(allowed), Some(&first)) = (allowed, live.first()) {
            logic::assert_implies(s, first, allowed);
        }
        let firsts: Vec<_> = live.iter().map(|_| first_place(s)).collect();
        let units = live.iter().zip(&firsts);
        let units = units.map(|(&live, &first)| U::build(s, shared, first, live));
        let units = units.collect();
        Self {
            n,
            units,
            live,
            firsts,
        }
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        values: &[Placed<U::Value>],
    ) -> anyhow::Result<()> {
        let (given, capacity) = (values.len(), self.units.len());
        anyhow::ensure!(given <= capacity, "{given} entries in a list of {capacity}");
        witness.set_target(self.n, F::from_canonical_usize(given))?;
        let idle = Placed {
            value: U::idle(),
            first: 0,
        };
        let values = values.iter().chain(core::iter::repeat(&idle));
        for ((unit, &first), placed) in self.units.iter().zip(&self.firsts).zip(values) {
            unit.assign(witness, &placed.value)?;
            witness.set_target(first, unsigned(placed.first.into()))?;
        }
        Ok(())
    }
}
