//! Margin before an order rests: the worst that an account's open orders can do to it at this
//! epoch's marks must still pass the per-order rule \[L4\], so that what rests can be filled.
//!
//! Whatever subset of the orders fills, the net change of a slot lies between all its sells and
//! all its buys; |size|·requirement is convex in it, so the worst requirement is at one of the two
//! ends. What fills at a limit beyond the mark loses the difference; losses and fees of all orders
//! are added, since both sides may fill. Cash must stay above [L5]'s floor likewise. Orders that
//! can only reduce add losses, and no requirement.

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::account::AccountKind;
use tally_protocol::bounds::SLOTS;
use tally_protocol::epoch::EpochError;
use tally_protocol::instrument::{InstrumentKind, MarginRow, MarketRow};
use tally_protocol::ledger::Running;
use tally_protocol::margin::totals;
use tally_protocol::tick::fraction_up;
use tally_protocol::types::{InstrumentId, Side};

use super::Rows;
use crate::reject::Reject;

/// An order as the worst case sees it.
#[derive(Clone, Copy, Debug)]
pub struct Exposed {
    pub instrument: InstrumentId,
    pub side: Side,
    pub lots: u64,
    pub limit: u64,
    pub max_fee: u64,
    pub reduces: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    buys: u64,
    sells: u64,
}

/// Signed lots in an instrument.
pub fn position(running: &Running, instrument: InstrumentId) -> i64 {
    let place = running.place_of(instrument);
    place
        .and_then(|place| running.places.get(place))
        .map_or(0, |place| place.holding.size)
}

/// \[N6\] A fee a lot, at most what the order signs and at most the mark \[N3\].
pub fn fee_per_lot(mark: u64, fraction: u32, max: u64) -> u64 {
    fraction_up(mark, fraction).min(mark).min(max)
}

/// What one lot of an order can cost in equity and in cash.
fn cost(order: &Exposed, market: &MarketRow, fee: u32) -> (i128, i128) {
    let mark = i128::from(market.mark);
    let fee = i128::from(fee_per_lot(market.mark, fee, order.max_fee));
    let (price, loss) = match order.side {
        Side::Long => {
            let price = i128::from(order.limit.min(market.max_fill));
            (price, price.saturating_sub(mark).max(0))
        }
        Side::Short => {
            let price = i128::from(order.limit.max(market.min_fill));
            (price, mark.saturating_sub(price).max(0))
        }
    };
    let equity = loss.saturating_add(fee);
    let cash = match (market.kind, order.side) {
        (InstrumentKind::Spot, Side::Long) => price.max(0).saturating_add(fee),
        (InstrumentKind::Spot, Side::Short) => 0,
        _ => equity,
    };
    (equity, cash)
}

/// Checks the account with all of these orders open.
pub(super) fn check_worst_case(
    running: &Running,
    orders: &[Exposed],
    rows: &Rows,
    fee: u32,
) -> Result<(), Reject> {
    let mut ends: BTreeMap<InstrumentId, Ends> = BTreeMap::new();
    let (mut lost, mut spent) = (0i128, 0i128);
    for order in orders {
        let Some(market) = rows.market.get(&order.instrument) else {
            continue;
        };
        let (equity, cash) = cost(order, market, fee);
        lost = lost.saturating_add(equity.saturating_mul(order.lots.into()));
        spent = spent.saturating_add(cash.saturating_mul(order.lots.into()));
        let ends = ends.entry(order.instrument).or_default();
        if !order.reduces {
            let end = match order.side {
                Side::Long => &mut ends.buys,
                Side::Short => &mut ends.sells,
            };
            *end = end.saturating_add(order.lots);
        }
    }
    check_slots(running, ends.keys().copied())?;
    let required = worst_requirement(running, &ends, rows)?;
    let holdings = running.places.map(|place| place.holding);
    let now = totals(running.cash, &holdings).map_err(|error| EpochError::Ledger {
        account: running.id,
        error: error.into(),
    })?;
    let equity = i128::from(now.equity).saturating_sub(lost);
    if equity < required {
        return Err(Reject::Margin { equity, required });
    }
    let cash = i128::from(running.cash).saturating_sub(spent);
    let least = i128::from(running.opening.cash.min(0));
    match cash < least && spent > 0 {
        true => Err(Reject::Cash { cash, least }),
        false => Ok(()),
    }
}

fn worst_requirement(
    running: &Running,
    ends: &BTreeMap<InstrumentId, Ends>,
    rows: &Rows,
) -> Result<i128, Reject> {
    let of = |row: &MarginRow, size: i128| {
        let side = if size < 0 { Side::Short } else { Side::Long };
        let lots = i128::try_from(size.unsigned_abs()).unwrap_or(i128::MAX);
        lots.saturating_mul(row.initial(side).into())
    };
    let mut required = 0i128;
    let held = running.places.iter().map(|place| &place.holding);
    for holding in held.filter(|holding| !ends.contains_key(&holding.row.id)) {
        required = required.saturating_add(of(&holding.row, holding.size.into()));
    }
    for (instrument, ends) in ends {
        let Ok(row) = rows.margin.get(*instrument) else {
            continue;
        };
        let now = i128::from(position(running, *instrument));
        let (high, low) = (
            now.saturating_add(ends.buys.into()),
            now.saturating_sub(ends.sells.into()),
        );
        let worst = [now, high, low].map(|size| of(&row, size));
        required = required.saturating_add(worst.into_iter().max().unwrap_or(0));
        let lots = high.unsigned_abs().max(low.unsigned_abs());
        if lots > row.max_size.into() {
            let lots = u64::try_from(lots).unwrap_or(u64::MAX);
            return Err(Reject::Size {
                lots,
                max: row.max_size,
            });
        }
    }
    Ok(required)
}

/// \[S2\], \[L6\] A place for each instrument that an order may bring.
fn check_slots(
    running: &Running,
    instruments: impl Iterator<Item = InstrumentId>,
) -> Result<(), Reject> {
    let assigned = running.places.iter().filter(|place| place.is_assigned());
    let mut used: BTreeSet<InstrumentId> = assigned.map(|place| place.holding.row.id).collect();
    let held = running
        .places
        .iter()
        .filter(|place| place.holding.size != 0);
    let mut open: BTreeSet<InstrumentId> = held.map(|place| place.holding.row.id).collect();
    for instrument in instruments {
        used.insert(instrument);
        open.insert(instrument);
    }
    let isolated = running.rest.kind == AccountKind::Isolated;
    match used.len() > SLOTS || (isolated && open.len() > 1) {
        true => Err(Reject::Slots),
        false => Ok(()),
    }
}
