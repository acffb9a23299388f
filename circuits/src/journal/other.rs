//! The journal's other entries, in one circuit with a list a kind: an epoch has few of them, and
//! one proof carries all.
//!
//! Statement: each live unit is an entry of its kind (see the kind's file); none in an epoch that
//! skips rounds but sweeps, and no trade where fills are not allowed \[T2\]; the discounts of the
//! unwinds add up to what the segment adds to `EpochSum::Discount`.

use plonky2::field::types::Field;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::bounds::POSTING_CASH_BITS;
use tally_protocol::entry::{Entry, Market};
use tally_protocol::instrument::MarketRow;
use tally_protocol::queue::{Request, Served, Service};
use tally_protocol::terms::CASH;
use tally_protocol::types::InstrumentId;
use thiserror::Error;

use super::absorption::AbsorptionTarget;
use super::change::ChangeTarget;
use super::deposit::DepositTarget;
use super::flag::{FlagTarget, SweepTarget};
use super::liquidation::LiquidationTarget;
use super::list::{List, Placed, Shared, Unit};
use super::transfer::TransferTarget;
use super::unwind::UnwindTarget;
use super::withdraw::{RequestedWithdrawTarget, WithdrawTarget};
use crate::bus::{BusTag, EpochSum};
use crate::gadgets::range;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};

/// Places of `Counts::data_queue` and `Counts::data_withdrawals`.
const DATA_QUEUE: usize = 3;
const DATA_WITHDRAWALS: usize = 4;

/// Units of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    pub liquidations: usize,
    pub unwinds: usize,
    pub absorptions: usize,
    pub transfers: usize,
    pub withdrawals: usize,
    pub flags: usize,
    pub sweeps: usize,
    pub deposits: usize,
    pub requested_withdrawals: usize,
    pub changes: usize,
}

impl Capacities {
    /// The production circuit: what 2^14 rows hold of a stormy hour's mix.
    pub const PRODUCTION: Self = Self {
        liquidations: 150,
        unwinds: 80,
        absorptions: 16,
        transfers: 100,
        withdrawals: 60,
        flags: 300,
        sweeps: 20,
        deposits: 230,
        requested_withdrawals: 40,
        changes: 8,
    };

    /// As few as make a test quick.
    pub const SMALL: Self = Self {
        liquidations: 2,
        unwinds: 2,
        absorptions: 1,
        transfers: 4,
        withdrawals: 2,
        flags: 2,
        sweeps: 1,
        deposits: 3,
        requested_withdrawals: 2,
        changes: 1,
    };
}

/// A segment of entries that are no fills.
#[derive(Clone, Debug)]
pub struct OtherSegment {
    pub segment: Segment,
    pub liquidations: List<LiquidationTarget>,
    pub unwinds: List<UnwindTarget>,
    pub absorptions: List<AbsorptionTarget>,
    pub transfers: List<TransferTarget>,
    pub withdrawals: List<WithdrawTarget>,
    pub flags: List<FlagTarget>,
    pub sweeps: List<SweepTarget>,
    pub deposits: List<DepositTarget>,
    pub requested_withdrawals: List<RequestedWithdrawTarget>,
    pub changes: List<ChangeTarget>,
}

impl OtherSegment {
    pub fn build(builder: Builder, capacities: &Capacities) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::JournalOther);
        let shared = Shared::new(&mut s);
        let entries = Some(s.context.entries_allowed);
        // [T2] Fills are allowed only where entries are.
        let fills = Some(s.context.fills_allowed);
        let c = capacities;
        let liquidations = List::build(&mut s, &shared, c.liquidations, fills);
        let unwinds = List::<UnwindTarget>::build(&mut s, &shared, c.unwinds, fills);
        spend(&mut s, &unwinds);
        let absorptions = List::build(&mut s, &shared, c.absorptions, entries);
        let transfers = List::build(&mut s, &shared, c.transfers, entries);
        let withdrawals = List::build(&mut s, &shared, c.withdrawals, entries);
        let flags = List::build(&mut s, &shared, c.flags, entries);
        let sweeps = List::build(&mut s, &shared, c.sweeps, None);
        let deposits = List::build(&mut s, &shared, c.deposits, entries);
        let requested_withdrawals = List::build(&mut s, &shared, c.requested_withdrawals, entries);
        let changes = List::<ChangeTarget>::build(&mut s, &shared, c.changes, entries);
        let items = [deposits.n, requested_withdrawals.n, changes.n];
        s.summary.counts[DATA_QUEUE] = s.add_many(items);
        s.summary.counts[DATA_WITHDRAWALS] = s.add(withdrawals.n, requested_withdrawals.n);
        let (builder, segment) = s.finish(&[
            liquidations.n,
            unwinds.n,
            absorptions.n,
            transfers.n,
            withdrawals.n,
            flags.n,
            sweeps.n,
            deposits.n,
            requested_withdrawals.n,
            changes.n,
        ]);
        let other = Self {
            segment,
            liquidations,
            unwinds,
            absorptions,
            transfers,
            withdrawals,
            flags,
            sweeps,
            deposits,
            requested_withdrawals,
            changes,
        };
        (builder, other)
    }

    pub fn capacities(&self) -> Capacities {
        Capacities {
            liquidations: self.liquidations.units.len(),
            unwinds: self.unwinds.units.len(),
            absorptions: self.absorptions.units.len(),
            transfers: self.transfers.units.len(),
            withdrawals: self.withdrawals.units.len(),
            flags: self.flags.units.len(),
            sweeps: self.sweeps.units.len(),
            deposits: self.deposits.units.len(),
            requested_withdrawals: self.requested_withdrawals.units.len(),
            changes: self.changes.units.len(),
        }
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &OtherWitness,
    ) -> anyhow::Result<()> {
        self.liquidations.assign(witness, &value.liquidations)?;
        self.unwinds.assign(witness, &value.unwinds)?;
        self.absorptions.assign(witness, &value.absorptions)?;
        self.transfers.assign(witness, &value.transfers)?;
        self.withdrawals.assign(witness, &value.withdrawals)?;
        self.flags.assign(witness, &value.flags)?;
        self.sweeps.assign(witness, &value.sweeps)?;
        self.deposits.assign(witness, &value.deposits)?;
        self.requested_withdrawals
            .assign(witness, &value.requested_withdrawals)?;
        self.changes.assign(witness, &value.changes)
    }
}

/// \[Q7\] The live unwinds' costs as one amount, below 2^56 so that the epoch's sum is a true one.
fn spend(s: &mut SegmentBuilder, unwinds: &List<UnwindTarget>) {
    assert!(
        unwinds.units.len() <= 128,
        "a sum of costs that cannot wrap"
    );
    let mut sum = s.zero();
    for (unit, live) in unwinds.units.iter().zip(&unwinds.live) {
        // Each cost is below 2^55 [N1]: 128 of them stay below 2^62.
        sum = s.mul_add(live.target, unit.cost, sum);
    }
    range::check_bits(s, sum, POSTING_CASH_BITS);
    let key = s.constant(F::from_canonical_u64(EpochSum::Discount as u64));
    s.add_to(BusTag::Loss, &[key], sum);
}

/// What a segment of other entries is proven from.
#[derive(Clone, Debug, Default)]
pub struct OtherWitness {
    pub liquidations: Values<LiquidationTarget>,
    pub unwinds: Values<UnwindTarget>,
    pub absorptions: Values<AbsorptionTarget>,
    pub transfers: Values<TransferTarget>,
    pub withdrawals: Values<WithdrawTarget>,
    pub flags: Values<FlagTarget>,
    pub sweeps: Values<SweepTarget>,
    pub deposits: Values<DepositTarget>,
    pub requested_withdrawals: Values<RequestedWithdrawTarget>,
    pub changes: Values<ChangeTarget>,
}

type Values<U> = Vec<Placed<<U as Unit>::Value>>;

/// An entry that cannot be put into a segment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WitnessError {
    #[error("[T7] the epoch does not read the row of instrument {}", .0.0)]
    Unread(InstrumentId),
    #[error("[J1] no journal circuit proves this kind of entry: {0}")]
    Unproven(String),
}

impl WitnessError {
    /// Stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unread(_) => "T7.unread",
            Self::Unproven(_) => "J1.unproven",
        }
    }
}

/// The row of a listed instrument; none for cash.
fn row_of(market: &Market, id: InstrumentId) -> Result<Option<MarketRow>, WitnessError> {
    match market.row(id) {
        _ if id == CASH => Ok(None),
        Some(row) => Ok(Some(*row)),
        None => Err(WitnessError::Unread(id)),
    }
}

fn traded(market: &Market, id: InstrumentId) -> Result<MarketRow, WitnessError> {
    row_of(market, id)?.ok_or(WitnessError::Unread(id))
}

impl OtherWitness {
    /// Adds an entry that is no fill; `first` is the place of its first posting.
    pub fn push(&mut self, entry: &Entry, market: &Market, first: u32) -> Result<(), WitnessError> {
        match entry {
            Entry::Liquidation(l) => {
                let row = traded(market, l.order.instrument)?;
                let value = ((**l).clone(), row);
                self.liquidations.push(Placed { value, first });
            }
            Entry::Unwind(u) => {
                let row = traded(market, u.order.instrument)?;
                let value = ((**u).clone(), row);
                self.unwinds.push(Placed { value, first });
            }
            Entry::Absorption(a) => {
                let rows = a.holdings.iter().map(|holding| match holding.size {
                    0 => Ok(None),
                    _ => row_of(market, holding.instrument),
                });
                let value = ((**a).clone(), rows.collect::<Result<_, _>>()?);
                self.absorptions.push(Placed { value, first });
            }
            Entry::Transfer(t) => {
                let value = (**t, row_of(market, t.message.instrument)?);
                self.transfers.push(Placed { value, first });
            }
            Entry::Withdraw(w) => {
                let value = (*w, row_of(market, w.message.instrument)?);
                self.withdrawals.push(Placed { value, first });
            }
            Entry::Flag(flag) => {
                let value = *flag;
                self.flags.push(Placed { value, first });
            }
            Entry::Sweep(sweep) => {
                let value = *sweep;
                self.sweeps.push(Placed { value, first });
            }
            Entry::Item(served) => self.push_item(served, market, first)?,
            other => return Err(WitnessError::Unproven(format!("{other:?}"))),
        }
        Ok(())
    }

    fn push_item(
        &mut self,
        served: &Served,
        market: &Market,
        first: u32,
    ) -> Result<(), WitnessError> {
        let item = served.item.clone();
        match (&item.request, &served.service) {
            (Request::Deposit(deposit), Service::Done) => {
                let row = row_of(market, deposit.instrument)?;
                let value = (item, row);
                self.deposits.push(Placed { value, first });
            }
            (Request::Withdraw { instrument, .. }, Service::Paid(paid)) => {
                let row = row_of(market, *instrument)?;
                let value = (item, *paid, row);
                self.requested_withdrawals.push(Placed { value, first });
            }
            (Request::Change(_), Service::Done) => {
                self.changes.push(Placed { value: item, first });
            }
            _ => return Err(WitnessError::Unproven(format!("{served:?}"))),
        }
        Ok(())
    }

    /// The instruments whose rows the segment reads, once a reading.
    pub fn reads(&self) -> Vec<InstrumentId> {
        let traded = self.liquidations.iter().map(|p| p.value.1.id);
        let unwound = self.unwinds.iter().map(|p| p.value.1.id);
        let absorbed = self.absorptions.iter().flat_map(|p| &p.value.1).flatten();
        let moved = self.transfers.iter().map(|p| p.value.1);
        let moved = moved.chain(self.withdrawals.iter().map(|p| p.value.1));
        let moved = moved.chain(self.deposits.iter().map(|p| p.value.1));
        let moved = moved.chain(self.requested_withdrawals.iter().map(|p| p.value.2));
        let rows = absorbed.copied().chain(moved.flatten()).map(|row| row.id);
        traded.chain(unwound).chain(rows).collect()
    }

    /// Whether every list has room for one entry more.
    pub fn has_room(&self, c: &Capacities) -> bool {
        self.liquidations.len() < c.liquidations
            && self.unwinds.len() < c.unwinds
            && self.absorptions.len() < c.absorptions
            && self.transfers.len() < c.transfers
            && self.withdrawals.len() < c.withdrawals
            && self.flags.len() < c.flags
            && self.sweeps.len() < c.sweeps
            && self.deposits.len() < c.deposits
            && self.requested_withdrawals.len() < c.requested_withdrawals
            && self.changes.len() < c.changes
    }
}

#[cfg(test)]
mod tests;
