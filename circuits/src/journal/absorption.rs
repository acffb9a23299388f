//! Absorption \[Q5\]: twin of `tally_protocol::journal::absorption`.
//!
//! Statement: what `aux` names of the account's slots goes to the rows' insurance accounts, slot
//! by slot, and the debt to insurance 0. That these are the account's slots, all of them, is the
//! ledger's.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::bounds::SLOTS;
use tally_protocol::hash::{Tag, signed, unsigned};
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::absorption::Absorption;
use tally_protocol::posting::{Needs, PostingKind};
use tally_protocol::terms::Holding;
use tally_protocol::types::AccountId;

use super::DATA_QUEUE;
use super::fill::idle_row;
use super::item::ItemTarget;
use super::list::{Shared, Unit};
use super::terms::{check_amount, check_open, insurance_cash, insurance_place, is_spot, needs};
use super::trade::sign;
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::hash::hash;
use crate::instrument::MarketRowTarget;
use crate::posting::PostingTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// Twin of `Holding`, with the row of what is held.
#[derive(Clone, Copy, Debug)]
pub struct HoldingTarget {
    pub instrument: Target,
    pub size: Target,
    /// Set for a short.
    pub side: BoolTarget,
    pub row: MarketRowTarget,
    pub held: BoolTarget,
}

impl HoldingTarget {
    /// \[S2\], \[T6\], \[N3\] An empty slot names nothing; a held one an open row, |size| ≤
    /// max_size.
    fn new(b: &mut Builder) -> Self {
        let instrument = b.add_virtual_target();
        let size = b.add_virtual_target();
        let side = b.add_virtual_bool_target_safe();
        let row = MarketRowTarget::new_unchecked(b);
        let empty = logic::is_zero(b, size);
        let held = b.not(empty);
        let named = b.mul(held.target, row.id);
        b.connect(named, instrument);
        is_spot(b, &row);
        check_open(b, &row);
        let sign = sign(b, side);
        let lots = b.mul(sign, size);
        let zero = b.zero();
        range::check_between(b, zero, lots, row.max_size);
        Self {
            instrument,
            size,
            side,
            row,
            held,
        }
    }

    /// Reads the row and hands the lots to its insurance account, if live and held.
    fn send(&self, s: &mut SegmentBuilder, index: Target, live: BoolTarget) {
        let live = s.and(live, self.held);
        s.receive(BusTag::Market, &self.row.words(), live);
        let (account, place) = insurance_place(s, &self.row);
        let fixed = Needs::SYSTEM | Needs::FIXED_SLOT | Needs::MAY_GROW;
        let posting = PostingTarget {
            instrument: self.instrument,
            delta_size: self.size,
            place,
            needs: needs(s, fixed),
            ..PostingTarget::blank(s, PostingKind::Absorption, account, index)
        };
        s.send(BusTag::Posting, &posting.words(), live);
    }
}

/// Twin of `Absorption`.
#[derive(Clone, Debug)]
pub struct AbsorptionTarget {
    pub account: Target,
    pub holdings: Vec<HoldingTarget>,
    pub debt: Target,
    /// The L1 item that asks for it, if `is_item` \[J4\].
    pub item: ItemTarget,
    pub is_item: BoolTarget,
}

impl AbsorptionTarget {
    /// Twin of `Aux::Absorbed`'s digest. Cost: 4 rows.
    fn aux(&self, b: &mut Builder) -> HashOutTarget {
        let words = self.holdings.iter().flat_map(|h| [h.instrument, h.size]);
        hash(b, Tag::Absorbed, &words.collect::<Vec<_>>())
    }
}

impl Unit for AbsorptionTarget {
    /// With the row of each slot that is held, and the place of the item that asks for it.
    type Value = (Absorption, Vec<Option<MarketRow>>, Option<u64>);

    fn build(s: &mut SegmentBuilder, _: &Shared, first: Target, live: BoolTarget) -> Self {
        let zero = s.zero();
        let item = ItemTarget {
            sender: [zero; 3],
            ..ItemTarget::new(s)
        };
        let unit = Self {
            account: item.account,
            item,
            is_item: s.add_virtual_bool_target_safe(),
            holdings: (0..SLOTS).map(|_| HoldingTarget::new(s)).collect(),
            debt: s.add_virtual_target(),
        };
        check_amount(s, unit.debt);
        let absorbed = PostingTarget {
            delta_cash: unit.debt,
            needs: needs(s, Needs::ABSORB | Needs::SOLE | Needs::WHILE_FLAGGED),
            aux: unit.aux(s),
            ..PostingTarget::blank(s, PostingKind::Absorbed, unit.account, first)
        };
        s.send(BusTag::Posting, &absorbed.words(), live);
        let mut index = s.add_const(first, F::ONE);
        for holding in &unit.holdings {
            holding.send(s, index, live);
            index = s.add(index, holding.held.target);
        }
        let owed = s.neg(unit.debt);
        let insurance = insurance_cash(s, PostingKind::Absorption, owed, index);
        s.send(BusTag::Posting, &insurance.words(), live);
        let asked = s.and(live, unit.is_item);
        let kind = s.constant(unsigned(7));
        unit.item.record(s, kind, zero, asked);
        let items = s.summary.counts[DATA_QUEUE];
        s.summary.counts[DATA_QUEUE] = s.add(items, asked.target);
        unit
    }

    fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        (value, rows, item): &Self::Value,
    ) -> anyhow::Result<()> {
        witness.set_target(self.account, unsigned(value.account.0.into()))?;
        witness.set_target(self.debt, unsigned(value.debt))?;
        witness.set_target(self.item.index, unsigned(item.unwrap_or_default()))?;
        witness.set_bool_target(self.is_item, item.is_some())?;
        let rows = rows.iter().copied().chain(core::iter::repeat(None));
        for ((target, holding), row) in self.holdings.iter().zip(&value.holdings).zip(rows) {
            witness.set_target(target.instrument, unsigned(holding.instrument.0.into()))?;
            witness.set_target(target.size, signed(holding.size))?;
            witness.set_target(target.side.target, F::from_bool(holding.size < 0))?;
            target.row.assign(witness, &row.unwrap_or_else(idle_row))?;
        }
        Ok(())
    }

    fn idle() -> Self::Value {
        let value = Absorption {
            account: AccountId(0),
            holdings: [Holding::default(); SLOTS],
            debt: 1,
        };
        (value, Vec::new(), None)
    }
}
