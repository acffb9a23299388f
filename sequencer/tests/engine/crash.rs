//! October 10th, 2025, 20:00 to 23:00 UTC: five perpetuals' hourly prices, insurance with nothing,
//! a band of 2 % in 15 s, and a crowd that is mostly long. Every epoch closes and balances.

use tally_protocol::testing::{Listed, perpetual};
use tally_protocol::trial_balance;
use tally_protocol::types::AccountId;
use tally_sequencer::config::Config;
use tally_sequencer::event::Event;
use tally_sequencer::testing::Rig;

/// Open, low, high, close of the three hours, in 10^-4 of the first price: facts of Binance's
/// hourly bars of BTC, SUI, ATOM, DOGE and LINK against USDT.
const PATHS: [[u64; 12]; 5] = [
    [
        10000, 9690, 10047, 9795, 9795, 8743, 9867, 9725, 9725, 9504, 9781, 9746,
    ],
    [
        10000, 9380, 10081, 9501, 9503, 1751, 9575, 7792, 7791, 6836, 8110, 7921,
    ],
    [
        10000, 9294, 10061, 9481, 9481, 3735, 9632, 7506, 7521, 6764, 7567, 7357,
    ],
    [
        10000, 9320, 10117, 9448, 9448, 4098, 9547, 8029, 8030, 7300, 8415, 8373,
    ],
    [
        10000, 9351, 10102, 9527, 9531, 3856, 9653, 8306, 8306, 7379, 8341, 8238,
    ],
];
/// Micro-quote per lot at 20:00.
const MARK: u64 = 20_000_000;
const MAKERS: [u32; 2] = [1024, 1025];
const TRADERS: u32 = 80;
const FIRST: u32 = 1030;
/// Rounds from one price of the path to the next.
const ROUNDS: u64 = 12;

fn rows() -> Vec<Listed> {
    let banded = |id: u32| {
        let mut listed = perpetual(id, MARK);
        listed.params.price_band = 1_333;
        listed
    };
    (1..=5).map(banded).collect()
}

/// Traders open with 1.5 to 9 times their cash, seven in ten of them long.
fn open_positions(rig: &mut Rig) {
    for n in 0..TRADERS {
        let (id, instrument) = (FIRST + n, 1 + n % 5);
        let lots = 20 + i64::from(n * 37 % 70);
        let lots = if n % 10 < 7 { lots } else { -lots };
        let maker = MAKERS[(n % 2) as usize];
        rig.limit(maker, 40, instrument, -lots, MARK)
            .result
            .unwrap();
        rig.limit(id, 0, instrument, lots, MARK).result.unwrap();
        assert_eq!(rig.size(id, instrument), lots);
    }
}

/// Makers quote half a percent away, deeper with the hour.
fn quote(rig: &mut Rig) {
    for (turn, maker) in MAKERS.into_iter().enumerate() {
        for instrument in 1..=5u32 {
            let mark = rig
                .engine
                .market()
                .find(|row| row.id.0 == instrument)
                .unwrap()
                .mark;
            let away = mark / 200 * (1 + turn as u64);
            let slot = (instrument * 2) as u8;
            // Refused where the row only takes what reduces.
            let _ = rig.limit(maker, slot, instrument, 15, mark - away);
            let _ = rig.limit(maker, slot + 1, instrument, -15, mark + away);
        }
    }
}

#[test]
fn the_crash_cascade_settles_with_insurance_exhausted() {
    let config = Config {
        taker_fee: 100,
        ..Config::default()
    };
    let mut rig = Rig::new(&rows(), config);
    let traders = (0..TRADERS).map(|n| (FIRST + n, 10 * MARK));
    let makers = MAKERS.map(|id| (id, 20_000 * MARK));
    rig.fund(&makers.into_iter().chain(traders).collect::<Vec<_>>());
    rig.round().result.unwrap();
    open_positions(&mut rig);
    let mut deficits = 0;
    for step in 1..PATHS[0].len() {
        for turn in 1..=ROUNDS {
            for (path, id) in PATHS.iter().zip(1u32..) {
                let (from, to) = (path[step - 1], path[step]);
                let now = (from * (ROUNDS - turn) + to * turn) / ROUNDS;
                rig.marks.insert(id, MARK / 10_000 * now);
            }
            rig.round().result.unwrap();
            quote(&mut rig);
            rig.closed.clear();
            deficits += u64::from(rig.engine.status().deficit > 0);
            trial_balance::check(rig.closer.state().unwrap()).unwrap();
        }
    }
    let count = |is: fn(&Event) -> bool| rig.events.iter().filter(|event| is(event)).count();
    let flagged = count(|event| matches!(event, Event::Flagged { .. }));
    let liquidated = count(|event| matches!(event, Event::Liquidated { .. }));
    let absorbed = count(|event| matches!(event, Event::Absorbed { .. }));
    let unwound = count(|event| matches!(event, Event::Unwound { .. }));
    let socialised = count(|event| matches!(event, Event::Socialised { amount: 1.., .. }));
    let found = (flagged, liquidated, absorbed, unwound, socialised, deficits);
    assert!(
        flagged > 20 && liquidated > 20 && absorbed > 5 && unwound > 5,
        "{found:?}"
    );
    assert!(socialised > 0, "{found:?}");
    // Nobody is left bankrupt, and the writer's accounts are the closer's.
    for n in 0..TRADERS {
        let running = rig.engine.running(AccountId(FIRST + n)).unwrap();
        assert!(!running.opening.is_bankrupt || running.done.sole, "{n}");
    }
    assert_eq!(rig.engine.state_root(), rig.closer.state().unwrap().root());
}
