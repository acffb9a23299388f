//! `tally account`: what an account holds and owes at the last epoch's marks.

use std::fmt::Write as _;

use serde::Serialize;
use tally_protocol::account::{AccountKind, Slot};
use tally_protocol::ledger::{Context, LedgerError, MarginRows, Running};
use tally_protocol::margin::{Totals, liquidation_price};
use tally_protocol::tick::margin_row;
use tally_protocol::types::{AccountId, Side};
use thiserror::Error;

use crate::state_file::SavedState;

#[derive(Debug, Error)]
pub enum AccountError {
    #[error("[account.unknown] no account {id} in this state")]
    Unknown { id: u32 },
    #[error("[account.ledger] account {id} does not open: {source}")]
    Ledger { id: u32, source: LedgerError },
}

/// Amounts in micro-quote, prices in micro-quote per lot.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    pub id: u32,
    /// None where it is not known.
    pub kind: Option<AccountKind>,
    pub owner: String,
    pub epoch: u32,
    /// After carry is settled.
    pub cash: i64,
    pub equity: i64,
    pub initial_requirement: u64,
    pub maintenance_requirement: u64,
    pub meets_initial: bool,
    pub is_liquidatable: bool,
    pub is_bankrupt: bool,
    pub flagged_at: u32,
    pub slots: Vec<SlotView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SlotView {
    pub slot: usize,
    pub symbol: String,
    pub side: Side,
    pub size: u64,
    pub lot_exponent: i32,
    pub mark: u64,
    pub value: u64,
    pub initial_requirement: u64,
    pub maintenance_requirement: u64,
    /// The mark at which the account becomes liquidatable if no other mark moves.
    pub liquidation_price: Option<u64>,
}

pub fn view(state: &SavedState, id: u32) -> Result<AccountView, AccountError> {
    let account = state
        .accounts
        .get(&id)
        .ok_or(AccountError::Unknown { id })?;
    let rows: MarginRows = state
        .rows
        .values()
        .map(|row| margin_row(row, None))
        .collect();
    // Looked at as the next epoch would, before its tick.
    let context = Context {
        epoch: state.header.epoch.saturating_add(1),
        flag_expiry: state.header.globals.flag_lifetime,
    };
    let running = Running::open(context, AccountId(id), Some(account), &rows)
        .map_err(|source| AccountError::Ledger { id, source })?;
    let totals = running.opening.totals;
    let held = account
        .money
        .slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| !slot.is_empty());
    Ok(AccountView {
        id,
        kind: Some(account.rest.kind),
        owner: format!("0x{}", hex::encode(account.owner.0)),
        epoch: state.header.epoch,
        cash: running.cash,
        equity: totals.equity,
        initial_requirement: totals.initial,
        maintenance_requirement: totals.maintenance,
        meets_initial: totals.meets_initial(),
        is_liquidatable: running.opening.is_liquidatable,
        is_bankrupt: running.opening.is_bankrupt,
        flagged_at: account.money.flagged_at,
        slots: held
            .filter_map(|(at, slot)| slot_view(state, at, slot, &totals))
            .collect(),
    })
}

fn slot_view(state: &SavedState, at: usize, slot: &Slot, totals: &Totals) -> Option<SlotView> {
    let (number, row) = state
        .rows
        .iter()
        .find(|(_, row)| row.params.id == slot.instrument)?;
    let margin = margin_row(row, None);
    let symbol = state.symbols.get(number);
    Some(SlotView {
        slot: at,
        symbol: symbol.map_or_else(|| format!("row {number}"), |s| s.symbol.clone()),
        side: slot.side,
        size: slot.size,
        lot_exponent: symbol.map_or(0, |symbol| symbol.lot_exponent),
        mark: row.mark,
        value: slot.size.saturating_mul(margin.value),
        initial_requirement: slot.size.saturating_mul(margin.initial(slot.side)),
        maintenance_requirement: slot.size.saturating_mul(margin.maintenance(slot.side)),
        liquidation_price: liquidation_price(totals, slot.signed_size(), row),
    })
}

impl AccountView {
    /// For people: quote units with six decimals.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let state = match (self.is_bankrupt, self.is_liquidatable, self.meets_initial) {
            (true, ..) => "bankrupt",
            (_, true, _) => "liquidatable",
            (_, _, false) => "below its initial requirement",
            _ => "meets its initial requirement",
        };
        let kind = self
            .kind
            .map(|kind| format!(" ({kind:?})"))
            .unwrap_or_default();
        let lines = [
            format!(
                "account {}{kind} after epoch {}: {state}",
                self.id, self.epoch
            ),
            format!("L1 owner     {}", self.owner),
            format!("cash         {:>24}", quote(self.cash.into())),
            format!("equity       {:>24}", quote(self.equity.into())),
            format!(
                "initial      {:>24}",
                quote(self.initial_requirement.into())
            ),
            format!(
                "maintenance  {:>24}",
                quote(self.maintenance_requirement.into())
            ),
        ];
        for line in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        for slot in &self.slots {
            let price = slot.liquidation_price;
            let price = price.map_or("none".into(), |price| quote(price.into()));
            let _ = writeln!(
                text,
                "slot {:>2}  {:<18} {:<5} {:>12} lots of 10^{}  mark {}  liquidation {price}",
                slot.slot,
                slot.symbol,
                format!("{:?}", slot.side).to_lowercase(),
                slot.size,
                slot.lot_exponent,
                quote(slot.mark.into()),
            );
        }
        text
    }
}

/// Micro-quote as quote units.
fn quote(micro: i128) -> String {
    let (sign, size) = (if micro < 0 { "-" } else { "" }, micro.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_file::Symbol;
    use std::collections::BTreeMap;
    use tally_protocol::account::Account;
    use tally_protocol::header::{Globals, Header};
    use tally_protocol::instrument::{InstrumentKind, Row, RowParams};
    use tally_protocol::types::InstrumentId;

    fn state() -> SavedState {
        let params = RowParams {
            id: InstrumentId(1),
            kind: InstrumentKind::Perpetual,
            max_price: 1 << 32,
            max_size: 1 << 20,
            initial_long: 100_000,
            initial_short: 100_000,
            maintenance_long: 50_000,
            maintenance_short: 50_000,
            ..RowParams::default()
        };
        let row = Row {
            params,
            mark: 20_000_000,
            long_carry: 2,
            ..Row::default()
        };
        let mut account = Account::default();
        account.money.cash = 14_000_010;
        account.money.slots[0] = Slot {
            instrument: InstrumentId(1),
            side: Side::Long,
            size: 5,
            carry: 0,
        };
        SavedState {
            header: Header::genesis(Globals::default(), Default::default(), 0),
            rows: BTreeMap::from([(1, row)]),
            accounts: BTreeMap::from([(1024, account)]),
            symbols: BTreeMap::from([(
                1,
                Symbol {
                    symbol: "AUSDT".into(),
                    lot_exponent: 0,
                },
            )]),
        }
    }

    #[test]
    fn an_account_is_seen_at_the_last_marks() {
        let view = view(&state(), 1024).unwrap();
        assert_eq!((view.cash, view.equity), (14_000_000, 14_000_000));
        assert_eq!(
            (view.initial_requirement, view.maintenance_requirement),
            (10_000_000, 5_000_000)
        );
        // 14 + 5·(p − 20) < 0.25·p below p = 18.105263…
        assert_eq!(view.slots[0].liquidation_price, Some(18_105_263));
        let table = view.table();
        assert!(
            table.contains("18.105263") && table.contains("meets its initial"),
            "{table}"
        );
    }

    #[test]
    fn an_unknown_account_is_an_error() {
        assert!(matches!(
            view(&state(), 1025),
            Err(AccountError::Unknown { id: 1025 })
        ));
        assert_eq!(quote(-1_500_000), "-1.500000");
    }
}
