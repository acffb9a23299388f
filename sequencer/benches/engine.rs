//! What the engine costs, one thread: orders that rest, cancels, fills, the end of an epoch and its
//! closing. `cargo bench -p tally-sequencer` prints JSON; signatures are verified before the engine
//! and are not counted (`tally bench sign`).

use std::hint::black_box;
use std::time::Instant;

use tally_protocol::account::PublicKey;
use tally_protocol::message::Cancel;
use tally_protocol::order::{Order, Place};
use tally_protocol::signature::Signature;
use tally_protocol::testing::{keys, perpetual};
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::command::{Auth, Command, OrderTerms, Record, Signed, Submit, Verified};
use tally_sequencer::config::Config;
use tally_sequencer::event::Event;
use tally_sequencer::testing::Rig;
use tally_sequencer::{Closer, Engine};

const MARK: u64 = 10_000_000;
const ACCOUNTS: u32 = 1_000;
const FIRST: u32 = 1024;
const INSTRUMENTS: u32 = 32;
/// Orders an account keeps in the book.
const RESTING: u8 = 16;

struct Bench {
    rig: Rig,
    keys: Vec<PublicKey>,
    signature: Signature,
    sequence: u32,
}

impl Bench {
    fn new() -> Self {
        let rows: Vec<_> = (1..=INSTRUMENTS).map(|id| perpetual(id, MARK)).collect();
        let config = Config {
            max_entries: usize::MAX,
            max_items: 10_000,
            ..Config::default()
        };
        let mut rig = Rig::new(&rows, config);
        let users: Vec<_> = (FIRST..FIRST + ACCOUNTS).map(|id| (id, 1 << 45)).collect();
        rig.fund(&users);
        rig.round().result.expect("a round");
        rig.log.clear();
        let keys = users
            .iter()
            .map(|(id, _)| keys::public((*id).into()))
            .collect();
        let order = rig.order(FIRST, 0, 1, 1, MARK);
        let signature = rig.auth(FIRST, order.digest(&rig.domain)).signature;
        Self {
            rig,
            keys,
            signature,
            sequence: 1,
        }
    }

    fn auth(&self, account: u32) -> Auth {
        let key = self.keys[(account - FIRST) as usize];
        Auth {
            key,
            signature: self.signature,
        }
    }

    fn verified(&self, command: Command) -> Verified {
        let record = Record {
            at: self.rig.now,
            command,
        };
        Verified::from_log(&self.rig.domain, record).expect("a record")
    }

    fn order(&self, n: u32, slot: u8, side: Side, limit: u64) -> Verified {
        let account = FIRST + n % ACCOUNTS;
        let order = Order {
            account: AccountId(account),
            generation: 0,
            place: Place::Slot {
                slot,
                sequence: self.sequence,
            },
            instrument: InstrumentId(1 + n % INSTRUMENTS),
            side,
            size: 1 + u64::from(n % 7),
            limit,
            max_fee_per_lot: 1 << 40,
            expiry: (1 << 40) - 1,
            reduce_only: false,
            amend: false,
        };
        let auth = self.auth(account);
        self.verified(Command::Submit(Submit {
            order,
            auth,
            terms: OrderTerms::default(),
        }))
    }

    fn cancel(&self, n: u32, slot: u8) -> Verified {
        let account = FIRST + n % ACCOUNTS;
        let message = Cancel {
            account: AccountId(account),
            generation: 0,
            slot,
            sequence: self.sequence,
        };
        let auth = self.auth(account);
        self.verified(Command::Cancel(Signed { message, auth }))
    }

    /// Commands a second, and the fills among their events.
    fn apply(&mut self, commands: Vec<Verified>) -> (f64, usize) {
        let count = commands.len();
        let (mut fills, start) = (0, Instant::now());
        for command in commands {
            let applied = black_box(self.rig.engine.apply(command));
            assert!(applied.result.is_ok(), "{:?}", applied.result);
            fills += applied
                .events
                .iter()
                .filter(|e| matches!(e, Event::Fill { .. }))
                .count();
        }
        (
            (count as f64 / start.elapsed().as_secs_f64()).round(),
            fills,
        )
    }

    /// Asks and bids around the mark, none crossing.
    fn resting(&mut self) -> Vec<Verified> {
        self.sequence += 1;
        let of = |n: u32, slot: u8| {
            let away = u64::from(n * 7 % 997) * 100 + 100;
            match slot % 2 {
                0 => self.order(n + u32::from(slot) * 31, slot, Side::Long, MARK - away),
                _ => self.order(n + u32::from(slot) * 31, slot, Side::Short, MARK + away),
            }
        };
        // Every account has each slot once.
        (0..RESTING)
            .flat_map(|slot| (0..ACCOUNTS).map(move |n| (n, slot)))
            .map(|(n, slot)| of(n, slot))
            .collect()
    }
}

fn main() {
    let mut bench = Bench::new();
    let resting = bench.resting();
    let orders = resting.len();
    let (resting_per_second, _) = bench.apply(resting);
    let replacing = bench.resting();
    let (replacing_per_second, _) = bench.apply(replacing);
    bench.sequence += 1;
    let cancels = (0..RESTING / 2)
        .flat_map(|slot| (0..ACCOUNTS).map(move |n| (n, slot)))
        .map(|(n, slot)| bench.cancel(n + u32::from(slot) * 31, slot));
    let cancels = cancels.collect();
    let (cancels_per_second, _) = bench.apply(cancels);
    bench.sequence += 1;
    let takers = (0..8 * ACCOUNTS).map(|n| {
        let slot = 32 + (n / ACCOUNTS) as u8;
        bench.order(n + 500, slot, Side::Long, MARK + MARK / 50)
    });
    let takers = takers.collect();
    let (takers_per_second, fills) = bench.apply(takers);
    let start = Instant::now();
    let round = bench.rig.engine.apply(bench.verified(Command::CloseEpoch));
    let seal_ms = start.elapsed().as_secs_f64() * 1e3;
    assert!(round.result.is_ok());
    let (close_ms, touched) = close(&mut bench.rig.engine, &mut bench.rig.closer);
    let begin = bench.rig.now;
    let start = Instant::now();
    bench.rig.round().result.expect("a round");
    let round_ms = start.elapsed().as_secs_f64() * 1e3;
    assert!(bench.rig.now > begin);
    println!(
        "{{\"orders\": {orders}, \"resting_per_second\": {resting_per_second}, \
         \"replacing_per_second\": {replacing_per_second}, \
         \"cancels_per_second\": {cancels_per_second}, \
         \"takers_per_second\": {takers_per_second}, \"fills\": {fills}, \
         \"seal_ms\": {seal_ms:.1}, \"close_ms\": {close_ms:.1}, \"round_ms\": {round_ms:.1}, \
         \"touched\": {touched}}}"
    );
}

fn close(engine: &mut Engine, closer: &mut Closer) -> (f64, usize) {
    let start = Instant::now();
    let mut touched = 0;
    for closing in engine.take_closings() {
        touched = closer
            .close(closing)
            .expect("it closes")
            .trace
            .accounts
            .len();
    }
    (start.elapsed().as_secs_f64() * 1e3, touched)
}
