//! Listings and parameter changes \[T7\]: an L1 item enters the header as pending, waits for the
//! timelock, and is applied by the tick of the first epoch at or after its time, after that tick
//! updated the row at the old values. Any of its checks failing, it lapses: the row stays as
//! ticked. Whether it does is a function of the row and the change alone, never of the operator.
//!
//! An instrument's id is its row number plus a multiple of 2^10, higher at every reuse of the row:
//! so no id is ever used twice, and an id names its row (docs/decisions.md, D12).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{
    BRIDGE_ACCOUNTS, FIRST_USER_ACCOUNT, FRACTION_ONE, FRACTION_STEP_FLOOR, LISTING_HEADROOM,
    MAX_LISTING_PRICE, MIN_LISTING_PRICE, NOTIONAL_BITS, OPEN_INTEREST_NOTIONAL_BITS, PRICE_BITS,
    SIZE_BITS, TABLE_DEPTH,
};
use crate::hash::{Digest, F, Tag, hash, unsigned};
use crate::header::{Header, Pending};
use crate::instrument::{InstrumentKind, ROW_PARAM_WORDS, Row, RowParams, Status};
use crate::tick::Numbers;

/// A new row, or new parameters of the row that has this id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub params: RowParams,
    /// A listing's first mark, from which the price band leads to the oracle's; else 0.
    pub price: u64,
}

pub const CHANGE_WORDS: usize = ROW_PARAM_WORDS + 1;

impl Change {
    /// The row that the id names.
    pub fn row(&self) -> u32 {
        row_of(self.params.id.0)
    }

    pub fn words(&self) -> [F; CHANGE_WORDS] {
        let mut words = [F::default(); CHANGE_WORDS];
        let (params, price) = words.split_at_mut(ROW_PARAM_WORDS);
        params.copy_from_slice(&self.params.words());
        price.copy_from_slice(&[unsigned(self.price)]);
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Change, &self.words())
    }
}

/// \[T7\] An instrument's place in the table: the low bits of its id.
pub fn row_of(id: u32) -> u32 {
    id & ((1 << TABLE_DEPTH) - 1)
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListingError {
    #[error("[T7] all {0} places for pending changes are taken")]
    Full(usize),
    #[error("[T7] row {0} has a pending change already")]
    RowPending(u32),
    #[error("[T7] row {0} cannot be listed")]
    Row(u32),
    #[error("[T7] row {row} is in use by instrument {id}")]
    InUse { row: u32, id: u32 },
    #[error("[T7] id {id} is not above {last}, the row's last")]
    Id { id: u32, last: u32 },
    #[error("[T7] a change of {field} from {old} to {new} is beyond its step")]
    Step {
        field: &'static str,
        old: u64,
        new: u64,
    },
    #[error("[N1] {field} is {value}, out of its range")]
    Range { field: &'static str, value: u64 },
    #[error("[N1] a lot at {price} is not worth 1 to 100 quote units")]
    Lot { price: u64 },
    #[error("[N1] a highest price of {max_price} is below 64 times {price}")]
    Headroom { price: u64, max_price: u64 },
    #[error(
        "[N2] penalty < maintenance < initial or the fill band's bound fails at a mark of {mark}"
    )]
    Numbers { mark: u64 },
}

impl ListingError {
    pub fn code(&self) -> &'static str {
        match self {
            ListingError::Full(_) => "T7.full",
            ListingError::RowPending(_) => "T7.row_pending",
            ListingError::Row(_) => "T7.row",
            ListingError::InUse { .. } => "T7.in_use",
            ListingError::Id { .. } => "T7.id",
            ListingError::Step { .. } => "T7.step",
            ListingError::Range { .. } => "N1.range",
            ListingError::Lot { .. } => "N1.lot",
            ListingError::Headroom { .. } => "N1.headroom",
            ListingError::Numbers { .. } => "N2.numbers",
        }
    }
}

/// Takes an L1 item in: the lowest empty place of the header, due after the timelock. `header` is
/// that of the epoch in which it is served, what was due in it already retired.
pub fn admit(header: &Header, change: &Change) -> Result<Header, ListingError> {
    let row = change.row();
    let mut after = *header;
    if header
        .pending
        .iter()
        .any(|item| !item.is_empty() && item.row == row)
    {
        return Err(ListingError::RowPending(row));
    }
    // A time of 40 bits and 32 bits of timelock; at least one second, so that no place in use
    // looks empty.
    let effective = header
        .time
        .saturating_add(header.globals.timelock.into())
        .max(1);
    let place = after.pending.iter_mut().find(|item| item.is_empty());
    *place.ok_or(ListingError::Full(header.pending.len()))? = Pending {
        effective,
        row,
        digest: change.digest(),
    };
    Ok(after)
}

/// The changes that an epoch of this time must apply.
pub fn due(header: &Header, time: u64) -> impl Iterator<Item = &Pending> {
    header
        .pending
        .iter()
        .filter(move |item| !item.is_empty() && item.effective <= time)
}

/// The header without the changes that are due at its time.
pub fn retire(header: &Header) -> Header {
    let mut after = *header;
    for item in after
        .pending
        .iter_mut()
        .filter(|item| item.effective <= header.time)
    {
        *item = Pending::default();
    }
    after
}

/// The row after a due change; `row` as ticked, `None` where nothing was ever listed.
pub fn apply(
    row: Option<&Row>,
    change: &Change,
    round: u32,
    time: u64,
) -> Result<Row, ListingError> {
    let number = change.row();
    let params = &change.params;
    if number == 0 || params.kind == InstrumentKind::Quote {
        return Err(ListingError::Row(number));
    }
    check_params(params)?;
    let (mark, after) = match row {
        Some(row) if row.params.id == params.id => {
            check_steps(row, change)?;
            (
                row.mark,
                Row {
                    params: *params,
                    ..*row
                },
            )
        }
        _ => (change.price, listed(row, change, round, time)?),
    };
    if !Numbers::of(params, mark).are_ordered() {
        return Err(ListingError::Numbers { mark });
    }
    Ok(after)
}

/// A new row, halted until its first price. It takes the place of none, or of a settled one that
/// nobody holds.
fn listed(row: Option<&Row>, change: &Change, round: u32, time: u64) -> Result<Row, ListingError> {
    let (number, params, price) = (change.row(), change.params, change.price);
    if let Some(row) = row {
        let (id, last) = (params.id.0, row.params.id.0);
        if row.status != Status::Settled || row.open_long != 0 || row.open_short != 0 {
            return Err(ListingError::InUse {
                row: number,
                id: last,
            });
        }
        if id <= last {
            return Err(ListingError::Id { id, last });
        }
    }
    if !(MIN_LISTING_PRICE..=MAX_LISTING_PRICE).contains(&price) {
        return Err(ListingError::Lot { price });
    }
    // 64 · 10^8 < 2^33.
    if params.max_price < price.saturating_mul(LISTING_HEADROOM) {
        return Err(ListingError::Headroom {
            price,
            max_price: params.max_price,
        });
    }
    Ok(Row {
        params,
        status: Status::Halted,
        round,
        time,
        mark: price,
        index: price,
        ..Row::default()
    })
}

/// \[N1\] What holds for every row's parameters. M ≥ 64·10^6 > 2^25, so both sizes are below 2^35;
/// once they are shown to be, M·size fits in two parts: with M = a·2^21 + b, a·size and b·size are
/// below 2^56, and M·size < 2^60 iff a·size + (b·size >> 21) < 2^39.
fn check_params(params: &RowParams) -> Result<(), ListingError> {
    let range = |field, value: u64, good: bool| {
        if good {
            Ok(())
        } else {
            Err(ListingError::Range { field, value })
        }
    };
    let (max, size, open) = (params.max_price, params.max_size, params.max_open_interest);
    let least = MIN_LISTING_PRICE.saturating_mul(LISTING_HEADROOM);
    range("max_price", max, (least..1 << PRICE_BITS).contains(&max))?;
    let fits = |lots: u64, bits: u32| {
        let notional = u128::from(max).saturating_mul(lots.into());
        lots > 0 && lots < 1 << SIZE_BITS && notional < 1 << bits
    };
    range("max_size", size, fits(size, NOTIONAL_BITS))?;
    range(
        "max_open_interest",
        open,
        fits(open, OPEN_INTEREST_NOTIONAL_BITS),
    )?;
    for (field, value) in fractions(params) {
        range(field, value.into(), u64::from(value) <= FRACTION_ONE)?;
    }
    let ordered = |initial: u32, maintenance: u32| {
        params.penalty < maintenance && params.fill_band.saturating_add(maintenance) < initial
    };
    let long = ordered(params.initial_long, params.maintenance_long);
    let short = ordered(params.initial_short, params.maintenance_short);
    range("penalty", params.penalty.into(), long && short)?;
    // One instrument per asset: lots of two sizes would be claims on the same bridge.
    let asset = match params.kind {
        InstrumentKind::Spot => row_of(params.id.0),
        InstrumentKind::Perpetual | InstrumentKind::Quote => 0,
    };
    let bridged = asset < FIRST_USER_ACCOUNT.saturating_sub(BRIDGE_ACCOUNTS);
    range(
        "asset",
        params.asset.into(),
        params.asset == asset && bridged,
    )
}

/// \[T7\] A change of a listed row: kind and asset stay, sizes and M grow to at most twice what
/// they were (shrinking could leave an account or the totals above them), fractions move by at most
/// a factor of two and 10^-3.
fn check_steps(row: &Row, change: &Change) -> Result<(), ListingError> {
    let (old, new) = (&row.params, &change.params);
    if row.status == Status::Settled || old.kind != new.kind || change.price != 0 {
        return Err(ListingError::InUse {
            row: change.row(),
            id: old.id.0,
        });
    }
    let grows = [
        ("max_price", old.max_price, new.max_price),
        ("max_size", old.max_size, new.max_size),
        (
            "max_open_interest",
            old.max_open_interest,
            new.max_open_interest,
        ),
    ];
    for (field, old, new) in grows {
        if new < old || new > old.saturating_mul(2) {
            return Err(ListingError::Step { field, old, new });
        }
    }
    for ((field, old), (_, new)) in fractions(old).into_iter().zip(fractions(new)) {
        let (old, new) = (u64::from(old), u64::from(new));
        let most = |from: u64| from.saturating_mul(2).saturating_add(FRACTION_STEP_FLOOR);
        if new > most(old) || old > most(new) {
            return Err(ListingError::Step { field, old, new });
        }
    }
    Ok(())
}

fn fractions(params: &RowParams) -> [(&'static str, u32); 8] {
    [
        ("initial_long", params.initial_long),
        ("initial_short", params.initial_short),
        ("maintenance_long", params.maintenance_long),
        ("maintenance_short", params.maintenance_short),
        ("penalty", params.penalty),
        ("fill_band", params.fill_band),
        ("price_band", params.price_band),
        ("funding_cap", params.funding_cap),
    ]
}

#[cfg(test)]
mod tests;
