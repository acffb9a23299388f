//! The journal's other entries, in one circuit with a list a kind: an epoch has few of them, and
//! one proof carries all.
//!
//! Statement: each live unit is an entry of its kind (see the kind's file); none in an epoch that
//! skips rounds but sweeps, and no trade where fills are not allowed \[T2\]; the discounts of the
//! unwinds add up to what the segment adds to `EpochSum::Discount`.

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::PartialWitness;
use tally_protocol::bounds::UNWIND_COST_BITS;
use tally_protocol::entry::{Entry, Market};
use tally_protocol::instrument::MarketRow;
use tally_protocol::journal::absorption::Absorption;
use tally_protocol::journal::refusal::Fault;
use tally_protocol::queue::{Reason, Request, Served, Service};
use tally_protocol::terms::CASH;
use tally_protocol::tree::SparseTree;
use tally_protocol::types::InstrumentId;
use thiserror::Error;

use super::absorption::AbsorptionTarget;
use super::act::{CancelAllTarget, CancelTarget, FeeWithdrawTarget, KeyChangeTarget};
use super::change::ChangeTarget;
use super::deposit::DepositTarget;
use super::fault::{FaultTarget, RowProof, row_decides};
use super::flag::{FlagTarget, SweepTarget};
use super::liquidation::LiquidationTarget;
use super::list::{List, Placed, Shared, Unit};
use super::refused::{RefusedTarget, row_read};
use super::requested::RequestedTarget;
use super::take::TakeTarget;
use super::transfer::TransferTarget;
use super::unwind::UnwindTarget;
use super::withdraw::{RequestedWithdrawTarget, WithdrawTarget};
use super::{DATA_QUEUE, DATA_WITHDRAWALS};
use crate::bus::{BusTag, EpochSum};
use crate::gadgets::range;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};

/// What an epoch must allow for a kind \[T2\]. Fills are allowed only where entries are.
#[derive(Clone, Copy, Debug)]
enum Allowed {
    Always,
    Entries,
    Fills,
}

impl Allowed {
    fn bit(self, s: &SegmentBuilder) -> Option<BoolTarget> {
        match self {
            Self::Always => None,
            Self::Entries => Some(s.context.entries_allowed),
            Self::Fills => Some(s.context.fills_allowed),
        }
    }
}

/// One list a line: its name, its unit, when its units may be live. The order is that of the
/// circuit.
macro_rules! lists {
    ($($name:ident: $unit:ty, $allowed:ident;)*) => {
        /// Units of each kind.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Capacities {
            $(pub $name: usize,)*
        }

        /// The lists of such a segment.
        #[derive(Clone, Debug)]
        pub struct Lists {
            $(pub $name: List<$unit>,)*
        }

        /// What a segment of other entries is proven from.
        #[derive(Clone, Debug, Default)]
        pub struct OtherWitness {
            $(pub $name: Vec<Placed<<$unit as Unit>::Value>>,)*
        }

        impl Lists {
            fn build(s: &mut SegmentBuilder, shared: &Shared, capacities: &Capacities) -> Self {
                Self {
                    $($name: {
                        let allowed = Allowed::$allowed.bit(s);
                        List::build(s, shared, capacities.$name, allowed)
                    },)*
                }
            }

            /// The lengths of the lists, in order.
            fn lengths(&self) -> Vec<Target> {
                vec![$(self.$name.n),*]
            }

            fn assign(
                &self,
                witness: &mut PartialWitness<F>,
                value: &OtherWitness,
            ) -> anyhow::Result<()> {
                $(self.$name.assign(witness, &value.$name)?;)*
                Ok(())
            }
        }

        impl OtherWitness {
            fn lists_have_room(&self, capacities: &Capacities) -> bool {
                true $(&& self.$name.len() < capacities.$name)*
            }

            #[cfg(test)]
            fn longest(&self) -> usize {
                [$(self.$name.len()),*].into_iter().max().unwrap_or(0)
            }
        }
    };
}

lists! {
    liquidations: LiquidationTarget, Fills;
    unwinds: UnwindTarget, Fills;
    takes: TakeTarget, Fills;
    absorptions: AbsorptionTarget, Entries;
    transfers: TransferTarget, Entries;
    withdrawals: WithdrawTarget, Entries;
    cancels: CancelTarget, Entries;
    cancel_alls: CancelAllTarget, Entries;
    key_changes: KeyChangeTarget, Entries;
    flags: FlagTarget, Entries;
    fee_withdrawals: FeeWithdrawTarget, Entries;
    sweeps: SweepTarget, Always;
    deposits: DepositTarget, Entries;
    requested_withdrawals: RequestedWithdrawTarget, Entries;
    requests: RequestedTarget, Entries;
    refusals: RefusedTarget, Entries;
    faults: FaultTarget, Entries;
    changes: ChangeTarget, Entries;
}

impl Capacities {
    /// The production circuit: what 2^14 rows hold of a stormy hour's mix.
    pub const PRODUCTION: Self = Self {
        liquidations: 150,
        unwinds: 70,
        takes: 10,
        absorptions: 16,
        transfers: 90,
        withdrawals: 50,
        cancels: 40,
        cancel_alls: 10,
        key_changes: 10,
        flags: 300,
        fee_withdrawals: 2,
        sweeps: 20,
        deposits: 200,
        requested_withdrawals: 30,
        requests: 20,
        refusals: 20,
        faults: 20,
        changes: 8,
    };

    /// As few as make a test quick.
    pub const SMALL: Self = Self {
        liquidations: 2,
        unwinds: 2,
        takes: 2,
        absorptions: 1,
        transfers: 4,
        withdrawals: 2,
        cancels: 1,
        cancel_alls: 1,
        key_changes: 1,
        flags: 2,
        fee_withdrawals: 1,
        sweeps: 1,
        deposits: 3,
        requested_withdrawals: 2,
        requests: 3,
        refusals: 3,
        faults: 3,
        changes: 1,
    };
}

/// A segment of entries that are no fills.
#[derive(Clone, Debug)]
pub struct OtherSegment {
    pub segment: Segment,
    pub lists: Lists,
}

impl OtherSegment {
    pub fn build(builder: Builder, capacities: &Capacities) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::JournalOther);
        let lists = Self::lists(&mut s, capacities);
        let items = [
            lists.deposits.n,
            lists.requested_withdrawals.n,
            lists.requests.n,
            lists.refusals.n,
            lists.faults.n,
            lists.changes.n,
            lists.takes.n,
        ];
        count(&mut s, DATA_QUEUE, &items);
        // An absorption that an item asks for, and a refused deposit, count themselves.
        let paid = [
            lists.withdrawals.n,
            lists.requested_withdrawals.n,
            lists.fee_withdrawals.n,
        ];
        count(&mut s, DATA_WITHDRAWALS, &paid);
        let (builder, segment) = s.finish(&lists.lengths());
        (builder, Self { segment, lists })
    }

    /// All units, and the unwinds' sum.
    fn lists(s: &mut SegmentBuilder, capacities: &Capacities) -> Lists {
        let shared = Shared::new(s);
        let lists = Lists::build(s, &shared, capacities);
        spend(s, &lists.unwinds);
        lists
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &OtherWitness,
    ) -> anyhow::Result<()> {
        self.lists.assign(witness, value)
    }
}

/// Adds the lengths of lists to a count of the summary.
fn count(s: &mut SegmentBuilder, place: usize, lengths: &[Target]) {
    let before = s.summary.counts[place];
    let sum = lengths.iter().fold(before, |sum, &n| s.add(sum, n));
    s.summary.counts[place] = sum;
}

/// \[Q7\] The live unwinds' costs as one amount, below 2^50: an epoch has at most 2^12 segments of
/// production size \[P1\], so its sum is a true one below 2^62.
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
    range::check_bits(s, sum, UNWIND_COST_BITS);
    let key = s.constant(F::from_canonical_u64(EpochSum::Discount as u64));
    s.add_to(BusTag::Loss, &[key], sum);
}

/// An entry that cannot be put into a segment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WitnessError {
    #[error("[T7] the epoch does not read the row of instrument {}", .0.0)]
    Unread(InstrumentId),
    #[error("[J4] an item that does not end as its kind does, or a fill: {0}")]
    Misplaced(String),
}

impl WitnessError {
    /// Stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unread(_) => "T7.unread",
            Self::Misplaced(_) => "J4.service",
        }
    }
}

/// Rows′, from which witnesses are read.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Those that the epoch reads.
    pub market: &'a Market,
    /// The tree of all.
    pub tree: &'a SparseTree,
}

impl Rows<'_> {
    /// What shows a fault that depends on a row.
    fn proof(&self, request: &Request, fault: Fault) -> RowProof {
        match row_decides(request, fault) {
            None => RowProof::None,
            Some(number) => match self.market.at(number) {
                Some(row) => RowProof::Read(*row),
                None => RowProof::Vacant(self.tree.path(number)),
            },
        }
    }
}

/// The row of a listed instrument; none for cash.
fn row_of(rows: &Rows<'_>, id: InstrumentId) -> Result<Option<MarketRow>, WitnessError> {
    match rows.market.row(id) {
        _ if id == CASH => Ok(None),
        Some(row) => Ok(Some(*row)),
        None => Err(WitnessError::Unread(id)),
    }
}

fn traded(rows: &Rows<'_>, id: InstrumentId) -> Result<MarketRow, WitnessError> {
    row_of(rows, id)?.ok_or(WitnessError::Unread(id))
}

impl OtherWitness {
    /// Adds an entry that is no fill; `first` is the place of its first posting.
    pub fn push(&mut self, entry: &Entry, rows: &Rows<'_>, first: u32) -> Result<(), WitnessError> {
        match entry {
            Entry::Liquidation(l) => {
                let row = traded(rows, l.order.instrument)?;
                let value = ((**l).clone(), row);
                self.liquidations.push(Placed { value, first });
            }
            Entry::Unwind(u) => {
                let row = traded(rows, u.order.instrument)?;
                let value = ((**u).clone(), row);
                self.unwinds.push(Placed { value, first });
            }
            Entry::Absorption(a) => self.push_absorption(a, None, rows, first)?,
            Entry::Transfer(t) => {
                let value = (**t, row_of(rows, t.message.instrument)?);
                self.transfers.push(Placed { value, first });
            }
            Entry::Withdraw(w) => {
                let value = (*w, row_of(rows, w.message.instrument)?);
                self.withdrawals.push(Placed { value, first });
            }
            Entry::Flag(flag) => {
                let value = *flag;
                self.flags.push(Placed { value, first });
            }
            Entry::Cancel(cancel) => {
                let value = *cancel;
                self.cancels.push(Placed { value, first });
            }
            Entry::CancelAll(cancel) => {
                let value = *cancel;
                self.cancel_alls.push(Placed { value, first });
            }
            Entry::KeyChange(change) => {
                let value = *change;
                self.key_changes.push(Placed { value, first });
            }
            Entry::FeeWithdraw(withdraw) => {
                let value = *withdraw;
                self.fee_withdrawals.push(Placed { value, first });
            }
            Entry::Sweep(sweep) => {
                let value = *sweep;
                self.sweeps.push(Placed { value, first });
            }
            Entry::Item(served) => self.push_item(served, rows, first)?,
            Entry::Fill(_) => return Err(WitnessError::Misplaced(format!("{entry:?}"))),
        }
        Ok(())
    }

    fn push_absorption(
        &mut self,
        absorption: &Absorption,
        item: Option<u64>,
        rows: &Rows<'_>,
        first: u32,
    ) -> Result<(), WitnessError> {
        let held = absorption.holdings.iter().map(|held| match held.size {
            0 => Ok(None),
            _ => row_of(rows, held.instrument),
        });
        let value = (absorption.clone(), held.collect::<Result<_, _>>()?, item);
        self.absorptions.push(Placed { value, first });
        Ok(())
    }

    fn push_item(
        &mut self,
        served: &Served,
        rows: &Rows<'_>,
        first: u32,
    ) -> Result<(), WitnessError> {
        let item = served.item.clone();
        match (&item.request, &served.service) {
            (Request::Deposit(deposit), Service::Done) => {
                let row = row_of(rows, deposit.instrument)?;
                let value = (item, row);
                self.deposits.push(Placed { value, first });
            }
            (Request::Withdraw { instrument, .. }, Service::Paid(paid)) => {
                let row = row_of(rows, *instrument)?;
                let value = (item, *paid, row);
                self.requested_withdrawals.push(Placed { value, first });
            }
            (Request::Absorb { account }, Service::Absorbed { holdings, debt }) => {
                let absorption = Absorption {
                    account: *account,
                    holdings: **holdings,
                    debt: *debt,
                };
                self.push_absorption(&absorption, Some(item.index), rows, first)?;
            }
            (Request::Take(take), Service::Taken { .. }) => {
                let row = traded(rows, take.instrument)?;
                let value = (item, served.service.clone(), row);
                self.takes.push(Placed { value, first });
            }
            (Request::Change(_), Service::Done | Service::Refused(_)) => {
                let value = (item, served.service != Service::Done);
                self.changes.push(Placed { value, first });
            }
            (
                Request::KeyChange { .. } | Request::CancelAll { .. } | Request::Flag { .. },
                Service::Done,
            ) => {
                self.requests.push(Placed { value: item, first });
            }
            (request, Service::Refused(Reason::Terms(fault))) => {
                let value = (item.clone(), *fault, rows.proof(request, *fault));
                self.faults.push(Placed { value, first });
            }
            (request, Service::Refused(reason)) => {
                let row = row_of(rows, row_read(request, reason))?;
                let value = (item, *reason, row);
                self.refusals.push(Placed { value, first });
            }
            _ => return Err(WitnessError::Misplaced(format!("{served:?}"))),
        }
        Ok(())
    }

    /// \[Q7\] What the unwinds take out of insurance's equity.
    fn cost(&self) -> u64 {
        let costs = self.unwinds.iter().map(|placed| placed.value.0.cost());
        costs.fold(0, u64::saturating_add)
    }

    /// Whether every list has room for this entry, and the sum of discounts too.
    pub fn has_room(&self, entry: &Entry, capacities: &Capacities) -> bool {
        let more = match entry {
            Entry::Unwind(unwind) => unwind.cost(),
            _ => 0,
        };
        let cost = self.cost().saturating_add(more);
        self.lists_have_room(capacities) && cost >> UNWIND_COST_BITS == 0
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
        let moved = moved.chain(self.refusals.iter().map(|p| p.value.2));
        let faulty = self.faults.iter().map(|p| match p.value.2 {
            RowProof::Read(row) => Some(row),
            _ => None,
        });
        let moved = moved.chain(faulty);
        let taken = self.takes.iter().map(|p| p.value.2.id);
        let rows = absorbed.copied().chain(moved.flatten()).map(|row| row.id);
        traded.chain(unwound).chain(taken).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests;
