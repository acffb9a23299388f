//! The rows that an epoch reads, through its phases: tick, share losses, read, close.
//!
//! Who is bankrupt is known only at the ticked marks, and how a loss is shared only when the
//! absorbed are known; so `tick` and `share` are two steps, and `share` may be called again with
//! another group: it always starts from the unshifted carry. Each step keeps what it did: the
//! witness of the row segments.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::close::{CloseError, RowChange, close};
use crate::header::{Header, Pending};
use crate::instrument::{MarginRow, MarketRow, Row};
use crate::listing::{Change, ListingError, apply, due, row_of};
use crate::oracle::{FeedPrices, Round};
use crate::socialisation::{
    Exposure, GroupLots, Plan, Recovered, Shift, SocialisationError, deficit_after, exposure, plan,
    recovered, shift, shifted,
};
use crate::table::Table;
use crate::tick::{TickError, Ticked, margin_row, market_row, tick};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowsError {
    #[error("[T3] row {0} is neither listed nor about to be")]
    Unlisted(u32),
    #[error("[T3] row {0} is not read in this epoch")]
    Unread(u32),
    #[error("[T7] the change of row {0} that is due is not at hand")]
    Change(u32),
    #[error("row {row}: {error}")]
    Tick { row: u32, error: TickError },
    #[error("row {row}: {error}")]
    Close { row: u32, error: CloseError },
    #[error(transparent)]
    Socialisation(#[from] SocialisationError),
}

impl RowsError {
    pub fn code(&self) -> &'static str {
        match self {
            RowsError::Unlisted(_) => "T3.unlisted",
            RowsError::Unread(_) => "T3.unread",
            RowsError::Change(_) => "T7.change",
            RowsError::Tick { error, .. } => error.code(),
            RowsError::Close { error, .. } => error.code(),
            RowsError::Socialisation(error) => error.code(),
        }
    }
}

/// One row's way through the epoch.
#[derive(Clone, Debug, Default)]
pub struct RowStep {
    /// `None`: never listed.
    pub before: Option<Row>,
    pub prices: Option<FeedPrices>,
    pub ticked: Option<Ticked>,
    pub group: GroupLots,
    pub exposure: Exposure,
    pub shift: Shift,
    /// The change that is due, and why it lapsed if it did.
    pub change: Option<Change>,
    pub lapsed: Option<ListingError>,
    /// rows′: `None` where a listing lapsed.
    pub read: Option<Row>,
}

impl RowStep {
    /// rows′ = change(shift(tick(row))).
    fn settle(&mut self, header: &Header) {
        let row = self.ticked.map(|ticked| shifted(&ticked.row, &self.shift));
        self.read = row;
        if let Some(change) = &self.change {
            match apply(row.as_ref(), change, header.round, header.time) {
                Ok(row) => self.read = Some(row),
                Err(error) => self.lapsed = Some(error),
            }
        }
    }
}

/// The read rows of an epoch by number.
#[derive(Clone, Debug)]
pub struct Rows {
    header: Header,
    steps: BTreeMap<u32, RowStep>,
}

/// What sharing G's loss comes to \[Q6\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    pub plan: Plan,
    pub recovered: Recovered,
    pub deficit: u64,
}

impl Rows {
    /// Ticks the wanted rows, the quote's, those that must be read \[T3\], \[Q6\] and those of due
    /// changes \[T7\]. `header` is this epoch's (`Advance::header`), its due changes not yet
    /// retired; `changes` are those behind its pending digests, by row.
    pub fn tick(
        table: &Table,
        header: &Header,
        round: &Round,
        wanted: impl IntoIterator<Item = u32>,
        changes: &BTreeMap<u32, Change>,
    ) -> Result<Self, RowsError> {
        let mut numbers: BTreeSet<u32> = wanted.into_iter().collect();
        numbers.insert(0);
        numbers.extend(table.must_read(header.round));
        let due: BTreeMap<u32, &Pending> = due(header, header.time)
            .map(|item| (item.row, item))
            .collect();
        numbers.extend(due.keys());
        let mut steps = BTreeMap::new();
        for number in numbers {
            let mut step = RowStep {
                before: table.get(number).copied(),
                prices: round.median(number),
                ..RowStep::default()
            };
            if let Some(item) = due.get(&number) {
                let known = changes.get(&number).filter(|c| c.digest() == item.digest);
                step.change = Some(*known.ok_or(RowsError::Change(number))?);
            } else if step.before.is_none() {
                return Err(RowsError::Unlisted(number));
            }
            if let Some(row) = &step.before {
                let ticked = tick(row, step.prices, header.round, header.time);
                step.ticked = Some(ticked.map_err(|error| RowsError::Tick { row: number, error })?);
            }
            step.settle(header);
            steps.insert(number, step);
        }
        Ok(Self {
            header: *header,
            steps,
        })
    }

    /// \[Q6\] Shares what G owes. `lots`: G's by 2·id + side before postings; `equity`: E_G at
    /// carry before the shift; `deficit`: the header's before this tick.
    pub fn share(
        &mut self,
        lots: &BTreeMap<u64, u64>,
        equity: i128,
        deficit: u64,
    ) -> Result<Shared, RowsError> {
        for step in self.steps.values_mut() {
            step.group = GroupLots::default();
        }
        for (&key, &lots) in lots {
            let group = &mut self.step_of(key)?.group;
            let side = if key & 1 == 0 {
                &mut group.long
            } else {
                &mut group.short
            };
            *side = side.saturating_add(lots);
        }
        for step in self.steps.values_mut() {
            step.exposure = match &step.ticked {
                Some(ticked) => exposure(ticked, step.group)?,
                None => Exposure::default(),
            };
        }
        let plan = plan(
            equity,
            deficit,
            self.steps.values().map(|step| step.exposure.weight),
        )?;
        for step in self.steps.values_mut() {
            step.shift = shift(&plan, &step.exposure);
            step.settle(&self.header);
        }
        let recovered = recovered(self.steps.values().map(|step| &step.shift));
        let deficit = deficit_after(equity, recovered.collected)?;
        Ok(Shared {
            plan,
            recovered,
            deficit,
        })
    }

    pub fn steps(&self) -> impl Iterator<Item = (u32, &RowStep)> {
        self.steps.iter().map(|(number, step)| (*number, step))
    }

    /// rows′ \[T8\].
    pub fn read(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.steps()
            .filter_map(|(number, step)| Some((number, step.read.as_ref()?)))
    }

    pub fn margin_rows(&self) -> impl Iterator<Item = MarginRow> {
        self.steps.values().filter_map(|step| {
            let shift = (step.shift.side, step.shift.per_lot);
            Some(margin_row(step.read.as_ref()?, Some(shift)))
        })
    }

    pub fn market_rows(&self) -> impl Iterator<Item = MarketRow> {
        self.read().map(|(number, row)| market_row(row, number))
    }

    /// rows″ from the changes of lots by 2·id + side: `totals` of all touched accounts but the
    /// bridges, `insurance` of the insurance accounts among them.
    pub fn close(
        &self,
        totals: &BTreeMap<u64, i64>,
        insurance: &BTreeMap<u64, i64>,
    ) -> Result<BTreeMap<u32, Row>, RowsError> {
        let mut changes: BTreeMap<u32, RowChange> = BTreeMap::new();
        for (&key, &lots) in totals {
            let change = changes.entry(self.number_of(key)?).or_default();
            let side = if key & 1 == 0 {
                &mut change.long
            } else {
                &mut change.short
            };
            *side = side.saturating_add(lots);
        }
        for (&key, &lots) in insurance {
            let change = changes.entry(self.number_of(key)?).or_default();
            let lots = if key & 1 == 0 {
                lots
            } else {
                lots.saturating_neg()
            };
            change.insurance = change.insurance.saturating_add(lots);
        }
        let unchanged = RowChange::default();
        self.read()
            .map(|(number, row)| {
                let change = changes.get(&number).unwrap_or(&unchanged);
                let closed = close(row, change, self.header.epoch);
                let closed = closed.map_err(|error| RowsError::Close { row: number, error })?;
                Ok((number, closed))
            })
            .collect()
    }

    /// The row of 2·id + side, which must be this instrument's.
    fn number_of(&self, key: u64) -> Result<u32, RowsError> {
        let id = u32::try_from(key >> 1).unwrap_or(u32::MAX);
        let number = row_of(id);
        let row = self.steps.get(&number).and_then(|step| step.read.as_ref());
        let same = row.is_some_and(|row| row.params.id.0 == id);
        if same {
            Ok(number)
        } else {
            Err(RowsError::Unread(number))
        }
    }

    fn step_of(&mut self, key: u64) -> Result<&mut RowStep, RowsError> {
        let number = self.number_of(key)?;
        self.steps.get_mut(&number).ok_or(RowsError::Unread(number))
    }
}

#[cfg(test)]
mod tests;
