//! The tape: what an epoch did, entry by entry, in its journal's order.

use tally_protocol::entry::Entry;
use tally_protocol::order::Order;
use tally_protocol::queue::{Request, Service};
use tally_protocol::types::Side;
use tally_sequencer::ClosedEpoch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fill,
    Flag,
    Liquidation,
    Absorption,
    Withdrawal,
    Item,
}

/// One entry, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub epoch: u32,
    pub kind: Kind,
    pub text: String,
}

/// Of the kinds that are shown.
pub fn events(closed: &ClosedEpoch) -> Vec<Event> {
    let entries = closed.trace.entries.iter();
    let event = |(kind, text)| Event {
        epoch: closed.epoch,
        kind,
        text,
    };
    entries.filter_map(|entry| told(entry).map(event)).collect()
}

fn told(entry: &Entry) -> Option<(Kind, String)> {
    Some(match entry {
        Entry::Fill(fill) => (
            Kind::Fill,
            format!(
                "{} lots of {} at {}, {} from {}",
                fill.size,
                fill.long.instrument.0,
                quote(fill.price.into()),
                fill.long.account.0,
                fill.short.account.0
            ),
        ),
        Entry::Liquidation(it) => {
            let held = it.account.0;
            (
                Kind::Liquidation,
                taken(held, &it.order, it.size, it.discount),
            )
        }
        Entry::Unwind(it) => (
            Kind::Absorption,
            format!("insurance gives {}", lots(&it.order, it.size)),
        ),
        Entry::Absorption(it) => (
            Kind::Absorption,
            format!(
                "insurance takes {} over, with {} of debt",
                it.account.0,
                quote(it.debt.into())
            ),
        ),
        Entry::Flag(it) => (Kind::Flag, format!("{} is below maintenance", it.account.0)),
        Entry::Withdraw(it) => (
            Kind::Withdrawal,
            format!(
                "{} takes out {}",
                it.message.account.0,
                quote(it.message.amount.into())
            ),
        ),
        Entry::Item(served) => {
            let end = match served.service {
                Service::Refused(_) => "refused",
                _ => "done",
            };
            let (index, asked) = (served.item.index, asked(&served.item.request));
            (Kind::Item, format!("{index}: {asked}, {end}"))
        }
        _ => return None,
    })
}

fn taken(held: u32, order: &Order, size: u64, discount: u64) -> String {
    let (lots, below) = (lots(order, size), quote(discount.into()));
    format!("{held} loses {lots}, {below} a lot off the mark")
}

/// What a taker takes over, and who.
fn lots(order: &Order, size: u64) -> String {
    let side = match order.side {
        Side::Long => "long",
        Side::Short => "short",
    };
    let (instrument, taker) = (order.instrument.0, order.account.0);
    format!("{size} lots {side} of {instrument} to {taker}")
}

fn asked(request: &Request) -> String {
    match request {
        Request::Deposit(it) => {
            format!("deposit of {} to {}", quote(it.amount.into()), it.account.0)
        }
        Request::Withdraw {
            account, amount, ..
        } => {
            format!(
                "withdrawal of {} from {}",
                quote((*amount).into()),
                account.0
            )
        }
        Request::KeyChange { account, .. } => format!("key change of {}", account.0),
        Request::CancelAll { account, .. } => format!("cancel-all of {}", account.0),
        Request::Flag { account } => format!("flag of {}", account.0),
        Request::Take(_) => "take".to_owned(),
        Request::Absorb { account } => format!("absorption of {}", account.0),
        Request::Change(change) => format!("listing or change of {}", change.params.id.0),
    }
}

/// Micro-quote as quote units, to the cent; what is below a cent is not shown.
pub fn quote(micro: i128) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let cents = micro.unsigned_abs() / 10_000;
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}.{:02}", cents % 100)
}

#[cfg(test)]
mod tests {
    use tally_protocol::journal::flag::Flag;
    use tally_protocol::types::AccountId;

    use super::*;

    #[test]
    fn amounts_are_grouped_and_cut_to_cents() {
        assert_eq!(quote(0), "0.00");
        assert_eq!(quote(-19_999), "-0.01");
        assert_eq!(quote(999_999_999), "999.99");
        assert_eq!(quote(1_234_567_890_000), "1,234,567.89");
    }

    #[test]
    fn a_flag_is_told_with_its_account() {
        let account = AccountId(1_030);
        let (kind, text) = told(&Entry::Flag(Flag { account })).unwrap();
        assert_eq!(
            (kind, text.as_str()),
            (Kind::Flag, "1030 is below maintenance")
        );
    }
}
