//! The first half of an epoch: rows tick, the group G is found, losses are shared, changes apply.

use std::collections::{BTreeMap, BTreeSet};

use crate::bounds::INSURANCE_ACCOUNTS;
use crate::close::RowChange;
use crate::epoch::{EpochError, LapsedListing, RowStep, ledger_context};
use crate::header::{Advance, Header};
use crate::instrument::{InstrumentKind, Row, Status, flags};
use crate::ledger::{Context, GroupShare, MarginRows, Place, Running};
use crate::listing::{self, Change};
use crate::oracle::Round;
use crate::socialisation::{
    Exposure, GroupLots, Plan, Recovered, Shift, deficit_after, exposure, plan, recovered, shift,
    shifted, taking_over,
};
use crate::state::State;
use crate::tick::{Ticked, margin_row, tick};
use crate::types::{AccountId, InstrumentId};

/// Rows′ and what the tick decided for the whole epoch.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    pub advance: Advance,
    /// With deficit′ and without the changes that were due.
    pub header: Header,
    pub rows: BTreeMap<u32, RowStep>,
    pub lapsed: Vec<LapsedListing>,
    pub group_equity: i64,
    pub plan: Plan,
    pub recovered: Recovered,
}

struct RowTick {
    number: u32,
    before: Option<Row>,
    ticked: Option<Ticked>,
    change: Option<Change>,
}

impl Ticks {
    /// `absorbed` are the accounts that the epoch will absorb.
    pub fn run(
        state: &State,
        round: &Round,
        reads: (Option<&BTreeSet<u32>>, &BTreeSet<u32>),
        absorbed: &[AccountId],
    ) -> Result<Self, EpochError> {
        let advance = state.header.advance(&round.stamp())?;
        let ticks = tick_rows(state, round, &advance.header, reads)?;
        let group = Group::find(state, &ledger_context(&advance.header), &ticks, absorbed)?;
        let exposures = exposures(&ticks, &group)?;
        let deficit = state.header.deficit;
        let weights = exposures.values().map(|exposure| exposure.weight);
        let plan = plan(group.equity.into(), deficit, weights)?;
        let mut rows = BTreeMap::new();
        let mut lapsed = Vec::new();
        for tick in ticks {
            let exposure = exposures.get(&tick.number).copied().unwrap_or_default();
            let lots = group.lots(&tick);
            let shift = shift(&plan, &exposure);
            let (number, change) = (tick.number, tick.change);
            match row_step(state, tick, lots, exposure, shift, &advance.header) {
                Some(row) => drop(rows.insert(number, row)),
                None => lapsed.extend(change.map(|change| LapsedListing {
                    change,
                    path: state.table.tree().path(number),
                })),
            }
        }
        let recovered = recovered(rows.values().map(|row| &row.shift));
        let deficit = deficit_after(group.equity.into(), recovered.collected)?;
        let header = Header {
            deficit,
            ..listing::retire(&advance.header)
        };
        Ok(Self {
            advance,
            header,
            rows,
            lapsed,
            group_equity: group.equity,
            plan,
            recovered,
        })
    }
}

/// The rows that are asked for (all that live, by default), and those that must be read: before
/// they are stale \[T3\], with inventory \[Q6\], with a change that is due \[T7\].
fn tick_rows(
    state: &State,
    round: &Round,
    header: &Header,
    (reads, also): (Option<&BTreeSet<u32>>, &BTreeSet<u32>),
) -> Result<Vec<RowTick>, EpochError> {
    let due: BTreeSet<u32> = listing::due(header, header.time)
        .map(|item| item.row)
        .collect();
    let lives = |row: &Row| {
        let held = row.open_long != 0 || row.open_short != 0 || row.insurance_size != 0;
        row.params.kind != InstrumentKind::Quote && (row.status != Status::Settled || held)
    };
    let exist = |numbers: &BTreeSet<u32>| -> BTreeSet<u32> {
        // The quote asset's row 0 is all zeros, and nobody reads it as a row (D33).
        let exists = |number: &u32| *number != 0 && state.table.get(*number).is_some();
        numbers.iter().copied().filter(exists).collect()
    };
    let asked: BTreeSet<u32> = match reads {
        Some(reads) => exist(reads),
        None => {
            let live = state.table.rows().filter(|(_, row)| lives(row));
            live.map(|(number, _)| number).collect()
        }
    };
    let must = state.table.must_read(header.round).chain(due.clone());
    let asked = asked.into_iter().chain(exist(also));
    let numbers: BTreeSet<u32> = asked.chain(must).collect();
    let step = |number: u32| {
        let before = state.table.get(number).copied();
        let ticked = before
            .map(|row| tick(&row, round.median(number), header.round, header.time))
            .transpose()?;
        let change = due.contains(&number).then(|| state.changes.get(&number));
        Ok(RowTick {
            number,
            before,
            ticked,
            change: change.flatten().copied(),
        })
    };
    numbers.into_iter().map(step).collect()
}

/// G: the insurance accounts and those absorbed, before the shift and before postings \[Q6\].
struct Group {
    equity: i64,
    lots: BTreeMap<InstrumentId, GroupLots>,
}

impl Group {
    fn find(
        state: &State,
        context: &Context,
        ticks: &[RowTick],
        absorbed: &[AccountId],
    ) -> Result<Self, EpochError> {
        let ticked = ticks.iter().filter_map(|tick| tick.ticked);
        let rows: MarginRows = ticked.map(|ticked| margin_row(&ticked.row, None)).collect();
        let mut group = Self {
            equity: 0,
            lots: BTreeMap::new(),
        };
        for id in members(state, absorbed) {
            let Some(account) = state.accounts.account(id) else {
                return Err(EpochError::NotBankrupt { account: id });
            };
            let opened = Running::open(*context, id, Some(account), &rows)
                .map_err(|error| EpochError::Ledger { account: id, error })?;
            if !id.is_insurance() && !opened.opening.is_bankrupt {
                return Err(EpochError::NotBankrupt { account: id });
            }
            group.add(&GroupShare::of(account, &opened.opening));
        }
        Ok(group)
    }

    fn add(&mut self, share: &GroupShare) {
        // Checked against 62 bits by `plan`.
        self.equity = self.equity.saturating_add(share.equity);
        for (key, lots) in &share.sizes {
            let id = u32::try_from(key >> 1).unwrap_or_default();
            let row = self.lots.entry(InstrumentId(id)).or_default();
            let side = if key & 1 == 0 {
                &mut row.long
            } else {
                &mut row.short
            };
            *side = side.saturating_add(*lots);
        }
    }

    fn lots(&self, tick: &RowTick) -> GroupLots {
        let id = tick.before.map(|row| row.params.id);
        id.and_then(|id| self.lots.get(&id))
            .copied()
            .unwrap_or_default()
    }
}

/// \[Q5\] Users who are bankrupt at the ticked marks, without a slot in a halted row.
pub(super) fn absorbable(state: &State, round: &Round) -> Result<Vec<AccountId>, EpochError> {
    let advance = state.header.advance(&round.stamp())?;
    let ticks = tick_rows(state, round, &advance.header, (None, &BTreeSet::new()))?;
    let ticked = ticks.iter().filter_map(|tick| tick.ticked);
    let rows: MarginRows = ticked.map(|ticked| margin_row(&ticked.row, None)).collect();
    let context = ledger_context(&advance.header);
    let mut found = Vec::new();
    let members = state.accounts.iter();
    for (id, member) in members.filter(|(id, _)| !id.is_system()) {
        let opened = Running::open(context, id, Some(&member.account), &rows)
            .map_err(|error| EpochError::Ledger { account: id, error })?;
        let halted =
            |place: &Place| place.holding.size != 0 && place.holding.row.flags & flags::HALTED != 0;
        if opened.opening.is_bankrupt && !opened.places.iter().any(halted) {
            found.push(id);
        }
    }
    Ok(found)
}

/// Insurance 0 always; the others where they hold anything.
pub(super) fn members(state: &State, absorbed: &[AccountId]) -> BTreeSet<AccountId> {
    let holds = |id: &AccountId| {
        let account = state.accounts.account(*id);
        account.is_some_and(|account| account.money.slots.iter().any(|slot| !slot.is_empty()))
    };
    (0..INSURANCE_ACCOUNTS)
        .map(AccountId)
        .filter(|id| id.0 == 0 || holds(id))
        .chain(absorbed.iter().copied())
        .collect()
}

fn exposures(ticks: &[RowTick], group: &Group) -> Result<BTreeMap<u32, Exposure>, EpochError> {
    let mut exposures = BTreeMap::new();
    for tick in ticks {
        if let Some(ticked) = &tick.ticked {
            exposures.insert(tick.number, exposure(ticked, group.lots(tick))?);
        }
    }
    Ok(exposures)
}

/// rows′ = change(shift(tick(row))). `None` where a listing lapsed and there is still no row.
fn row_step(
    state: &State,
    tick: RowTick,
    group: GroupLots,
    exposure: Exposure,
    shift: Shift,
    header: &Header,
) -> Option<RowStep> {
    let moved = tick.ticked.map(|ticked| shifted(&ticked.row, &shift));
    let moved = moved.map(|row| taking_over(&row, group, header.epoch));
    let changed = tick
        .change
        .and_then(|change| listing::apply(moved.as_ref(), &change, header.round, header.time).ok());
    let read = changed.or(moved)?;
    Some(RowStep {
        number: tick.number,
        before: tick.before,
        ticked: tick.ticked,
        group,
        exposure,
        shift,
        change: tick.change,
        read,
        totals: RowChange::default(),
        after: read,
        path: state.table.tree().path(tick.number),
    })
}
