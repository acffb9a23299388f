//! The engine by its commands and events: order types, margin, epochs, liquidations, and random
//! traffic that must always settle.

mod crash;
mod epochs;
mod liquidation;
mod orders;
mod random;
mod reference;
mod snapshot;

use tally_protocol::testing::perpetual;
use tally_sequencer::config::Config;
use tally_sequencer::event::Event;
use tally_sequencer::testing::Rig;

/// One lot of instrument 1 is worth this; initial 10 %, maintenance 5 %, fills within 4 %.
const MARK: u64 = 1_000_000;

/// Instruments 1 and 2, and accounts with this much cash each, ready to trade.
fn venue(accounts: &[(u32, u64)]) -> Rig {
    venue_with(
        accounts,
        Config {
            taker_fee: 0,
            ..Config::default()
        },
    )
}

fn venue_with(accounts: &[(u32, u64)], config: Config) -> Rig {
    let mut rig = Rig::new(&[perpetual(1, MARK), perpetual(2, MARK)], config);
    rig.fund(accounts);
    // Deposits reserve their accounts for their epoch.
    rig.round().result.unwrap();
    rig
}

/// (price, lots) of the fills among events.
fn fills(events: &[Event]) -> Vec<(u64, u64)> {
    let of = |event: &Event| match event {
        Event::Fill { price, lots, .. } => Some((*price, *lots)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Codes of the cancels among events.
fn cancels(events: &[Event]) -> Vec<&'static str> {
    let of = |event: &Event| match event {
        Event::Cancelled { reason, .. } => Some(reason.code()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
