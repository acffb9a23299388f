//! A small venue: an engine with its closer, users who sign, reporters who agree on the marks, and
//! an L1 queue. Every command goes through its bytes and its signatures' verification.

mod hostile;
pub mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::account::Keys;
use tally_protocol::hash::Digest;
use tally_protocol::message::{Cancel, CancelAll, Domain, KeyChange, Withdraw};
use tally_protocol::oracle::{FeedPrices, Prices, Report, SignedReport, Stamp};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, NewAccount, Request};
use tally_protocol::state::State;
use tally_protocol::terms::CASH;
use tally_protocol::testing::{Listed, World, keys, keys_of, owner_of, reporter_seed};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::close::{ClosedEpoch, Closer};
use crate::command::{
    Auth, Command, DeadMan, OrderTerms, Record, Signed, Submit, VerifyError, verify,
};
use crate::config::Config;
use crate::engine::Engine;
use crate::event::{Applied, Event};
use crate::reject::Reject;
use crate::snapshot::encode;

/// Milliseconds between rounds.
pub const STEP: u64 = 15_000;

#[derive(Debug)]
pub struct Rig {
    pub engine: Engine,
    pub closer: Closer,
    pub domain: Domain,
    pub marks: BTreeMap<u32, u64>,
    /// Feeds that the next rounds lack.
    pub missing: BTreeSet<u32>,
    /// Milliseconds.
    pub now: u64,
    pub closed: Vec<ClosedEpoch>,
    /// Where `Engine::save_at` has been asked for.
    pub snapshots: Vec<Vec<u8>>,
    /// The log so far, as bytes.
    pub log: Vec<Vec<u8>>,
    /// Everything that happened.
    pub events: Vec<Event>,
    /// Codes of what was refused.
    pub codes: Vec<&'static str>,
    last_round: u32,
    next_item: u64,
    sequences: BTreeMap<(u32, u8), u32>,
    counter: u64,
    genesis: State,
    config: Config,
}

impl Rig {
    /// Rows are listed at genesis; two fresh rounds are gone, so that the next round matches.
    pub fn new(rows: &[Listed], config: Config) -> Self {
        let world = World::new(rows);
        let state = world.state;
        let config = Config {
            fills_per_segment: 4,
            ..config
        };
        let mut rig = Self {
            engine: Engine::genesis(config, state.clone()),
            closer: Closer::new(state.clone()),
            domain: state.header.globals.domain,
            now: state.header.time * 1_000,
            marks: world.marks,
            missing: BTreeSet::new(),
            closed: Vec::new(),
            snapshots: Vec::new(),
            log: Vec::new(),
            events: Vec::new(),
            codes: Vec::new(),
            last_round: state.header.round,
            next_item: 0,
            sequences: BTreeMap::new(),
            counter: 0,
            genesis: state,
            config,
        };
        for _ in 1..config.fresh_rounds {
            rig.round().result.expect("a round");
        }
        rig
    }

    pub fn genesis_engine(&self) -> Engine {
        Engine::genesis(self.config, self.genesis.clone())
    }

    pub fn genesis_closer(&self) -> Closer {
        Closer::new(self.genesis.clone())
    }

    /// Another engine, from the same genesis and the log's bytes alone.
    pub fn replayed(&self) -> (Engine, Closer, Vec<Event>) {
        let mut engine = self.genesis_engine();
        let mut closer = self.genesis_closer();
        let mut events = Vec::new();
        for bytes in &self.log {
            let record = Record::from_bytes(bytes).expect("a record of the log");
            let verified = crate::command::Verified::from_log(&self.domain, record);
            events.extend(engine.apply(verified.expect("a verified record")).events);
            for closing in engine.take_closings() {
                closer.close(closing).expect("a closed epoch");
            }
        }
        (engine, closer, events)
    }

    pub fn apply(&mut self, command: Command) -> Applied {
        self.try_apply(command).expect("signatures that hold")
    }

    /// Through bytes and signatures.
    pub fn try_apply(&mut self, command: Command) -> Result<Applied, VerifyError> {
        let record = Record {
            at: self.now,
            command,
        };
        let bytes = record.to_bytes();
        let record = Record::from_bytes(&bytes).expect("what was written can be read");
        let verified = verify(&self.domain, record)?;
        self.log.push(bytes);
        let applied = self.engine.apply(verified);
        for mut closing in self.engine.take_closings() {
            let held = closing.held.take();
            let closed = self.closer.close(closing).expect("an epoch that closes");
            if let (Some(held), Some(state)) = (held, self.closer.state()) {
                self.snapshots
                    .push(encode(state, &held).expect("a snapshot"));
            }
            closed
                .trace
                .verify_signatures()
                .expect("every message is signed");
            self.closed.push(closed);
        }
        self.codes
            .extend(applied.result.as_ref().err().map(Reject::code));
        self.events.extend(applied.events.iter().cloned());
        Ok(applied)
    }

    /// What only the clock brings about.
    pub fn pass(&mut self, milliseconds: u64) -> Applied {
        self.now += milliseconds;
        self.apply(Command::Time)
    }

    pub fn round(&mut self) -> Applied {
        self.round_after(self.last_round)
    }

    /// A round that says that this one was the last: a skip, where it was not.
    pub fn round_after(&mut self, previous: u32) -> Applied {
        self.now += STEP;
        let stamp = Stamp {
            feed_set: 0,
            round: previous + 1,
            time: self.now / 1_000,
            previous,
        };
        let reports = self.reports(stamp);
        let applied = self.apply(Command::Round(reports));
        if applied.result.is_ok() {
            self.last_round = stamp.round;
        }
        applied
    }

    pub fn reports(&self, stamp: Stamp) -> Vec<SignedReport> {
        let feeds = self
            .marks
            .iter()
            .filter(|(id, _)| !self.missing.contains(id));
        let price = |mark: u64| FeedPrices {
            index: mark,
            mark,
            premium: 0,
        };
        let feeds = feeds.map(|(id, mark)| (*id, price(*mark)));
        let prices = Prices::new(feeds.collect()).expect("prices in range");
        let report = |reporter: u32| {
            let report = Report {
                reporter,
                stamp,
                prices_root: prices.root(),
            };
            let key = keys::secret(reporter_seed(reporter.into()));
            SignedReport {
                signature: key.sign(report.digest(&self.domain)),
                report,
                prices: prices.clone(),
            }
        };
        let quorum = self.genesis.reporters.quorum() as u32;
        (0..quorum).map(report).collect()
    }

    /// Accounts with cash, by deposits of L1, and the round that serves them.
    pub fn fund(&mut self, accounts: &[(u32, u64)]) {
        for (id, cash) in accounts {
            let create = Some(NewAccount {
                keys: keys_of(*id),
                isolated: false,
            });
            let deposit = Deposit {
                sender: owner_of(*id),
                account: AccountId(*id),
                instrument: CASH,
                amount: *cash,
                create,
            };
            self.ask(Request::Deposit(deposit));
        }
        self.round().result.expect("a round");
    }

    /// An item of the L1 queue.
    pub fn ask(&mut self, request: Request) {
        let index = self.next_item;
        self.next_item += 1;
        let item = Box::new(Item { index, request });
        self.apply(Command::Item(item))
            .result
            .expect("the next item");
    }

    pub fn auth(&self, signer: u32, digest: Digest) -> Auth {
        let key = keys::secret(signer.into());
        Auth {
            key: key.public(),
            signature: key.sign(digest),
        }
    }

    fn generation(&self, id: u32) -> u32 {
        let running = self.engine.running(AccountId(id));
        running.map_or(0, |running| running.rest.generation)
    }

    pub fn nonce(&self, id: u32) -> u32 {
        let running = self.engine.running(AccountId(id));
        running.map_or(0, |running| running.rest.nonce)
    }

    pub fn size(&self, id: u32, instrument: u32) -> i64 {
        let running = self.engine.running(AccountId(id)).expect("an account");
        crate::engine::position(&running, InstrumentId(instrument))
    }

    /// The next order of a slot: positive lots buy.
    pub fn order(&mut self, id: u32, slot: u8, instrument: u32, lots: i64, limit: u64) -> Order {
        let sequence = self.sequences.entry((id, slot)).or_default();
        *sequence += 1;
        Order {
            account: AccountId(id),
            generation: self.generation(id),
            place: Place::Slot {
                slot,
                sequence: *self.sequences.get(&(id, slot)).expect("just counted"),
            },
            instrument: InstrumentId(instrument),
            side: if lots < 0 { Side::Short } else { Side::Long },
            size: lots.unsigned_abs(),
            limit,
            max_fee_per_lot: 1 << 40,
            expiry: (1 << 40) - 1,
            reduce_only: false,
            amend: false,
        }
    }

    pub fn submit(&mut self, order: Order, terms: OrderTerms) -> Applied {
        let command = self.submission(order, terms);
        self.apply(Command::Submit(command))
    }

    pub fn submission(&self, order: Order, terms: OrderTerms) -> Submit {
        let auth = self.auth(order.account.0, order.digest(&self.domain));
        Submit { order, auth, terms }
    }

    /// An order that rests or takes.
    pub fn limit(&mut self, id: u32, slot: u8, instrument: u32, lots: i64, limit: u64) -> Applied {
        let order = self.order(id, slot, instrument, lots, limit);
        self.submit(order, OrderTerms::default())
    }

    pub fn cancellation(&mut self, id: u32, slot: u8) -> Signed<Cancel> {
        let sequence = self.sequences.entry((id, slot)).or_default();
        *sequence += 1;
        let message = Cancel {
            account: AccountId(id),
            sequence: *sequence,
            generation: self.generation(id),
            slot,
        };
        let auth = self.auth(id, message.digest(&self.domain));
        Signed { message, auth }
    }

    pub fn cancel(&mut self, id: u32, slot: u8) -> Applied {
        let signed = self.cancellation(id, slot);
        self.apply(Command::Cancel(signed))
    }

    pub fn cancel_all(&mut self, id: u32) -> Applied {
        let message = CancelAll {
            account: AccountId(id),
            generation: self.generation(id),
            nonce: self.nonce(id),
        };
        let auth = self.auth(id, message.digest(&self.domain));
        self.apply(Command::CancelAll(Signed { message, auth }))
    }

    pub fn key_change(&mut self, id: u32, keys: Keys) -> Applied {
        let message = KeyChange {
            account: AccountId(id),
            generation: self.generation(id),
            nonce: self.nonce(id),
            keys,
        };
        let auth = self.auth(id, message.digest(&self.domain));
        self.apply(Command::KeyChange(Signed { message, auth }))
    }

    pub fn withdraw(&mut self, id: u32, amount: u64) -> Applied {
        let message = Withdraw {
            account: AccountId(id),
            generation: self.generation(id),
            nonce: self.nonce(id),
            instrument: CASH,
            amount,
            least: 0,
        };
        let auth = self.auth(id, message.digest(&self.domain));
        self.apply(Command::Withdraw(Signed { message, auth }))
    }

    pub fn dead_man(&mut self, id: u32, timeout: u32) -> Applied {
        self.counter += 1;
        let message = DeadMan {
            account: AccountId(id),
            generation: self.generation(id),
            counter: self.counter,
            timeout,
        };
        let auth = self.auth(id, message.digest(&self.domain));
        self.apply(Command::DeadMan(Signed { message, auth }))
    }
}

/// The refusal's code; empty where it was taken.
pub fn code(applied: &Applied) -> &'static str {
    applied.result.as_ref().err().map_or("", Reject::code)
}
