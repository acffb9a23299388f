//! Random traffic over a small venue: orders of all kinds, messages, L1 items, rounds with jumps,
//! skips and missing prices, restarts, replays of old records and what no honest client sends
//! (`hostile.rs`).

use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::message::Transfer;
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Request, Take};
use tally_protocol::terms::CASH;
use tally_protocol::testing::{owner_of, perpetual, spot};
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::Rig;
use crate::command::{
    Command, Direction, OrderTerms, Record, SelfTrade, TimeInForce, TransferCommand, Trigger,
};
use crate::config::Config;

const MARK: u64 = 1_000_000;
const FIRST: u32 = 1024;
const USERS: u32 = 10;

#[derive(Debug)]
pub struct Traffic {
    pub rig: Rig,
    state: u64,
}

impl Traffic {
    /// Two perpetuals, a spot asset, users with little and with much money.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    /// Under another config.
    pub fn with(seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        let rows = [
            perpetual(1, MARK),
            perpetual(2, 5 * MARK),
            spot(3, 2 * MARK),
        ];
        let mut config = Config {
            max_unproven: u32::MAX,
            max_unsettled: u32::MAX,
            max_entries: 60,
            ..Config::default()
        };
        change(&mut config);
        let mut rig = Rig::new(&rows, config);
        let cash = |id: u32| (id, u64::from(id - FIRST + 1).pow(2) * 5 * MARK);
        let users: Vec<_> = (FIRST..FIRST + USERS).map(cash).collect();
        rig.fund(&users);
        let mut traffic = Self { rig, state: seed };
        for id in FIRST..FIRST + USERS / 2 {
            traffic.deposit(id, InstrumentId(3), 4);
        }
        for _ in 0..3 {
            traffic.rig.round().result.expect("a round");
        }
        traffic
    }

    /// One more command.
    pub fn step(&mut self) {
        self.rig.now += self.below(300);
        match self.below(100) {
            0..42 => self.order(),
            42..62 => self.trade(),
            62..66 => drop(self.cancel()),
            66..67 => drop(self.cancel_all()),
            67..70 => self.withdraw(),
            70..73 => self.transfer(),
            73..75 => self.dead_man(),
            75..78 => self.item(),
            78..83 => drop(self.rig.pass(1_000)),
            83..92 => self.round(),
            92..94 => self.replay(),
            94..98 => self.hostile(),
            98 => drop(self.rig.apply(Command::CloseEpoch)),
            _ => drop(self.rig.apply(Command::FeeWithdraw { amount: 3 })),
        }
    }

    fn next(&mut self) -> u64 {
        // SplitMix64's step and finalizer, from their published constants.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn user(&mut self) -> u32 {
        FIRST + u32::try_from(self.below(USERS.into())).unwrap_or(0)
    }

    pub(super) fn instrument(&mut self) -> u32 {
        1 + u32::try_from(self.below(3)).unwrap_or(0)
    }

    pub(super) fn slot(&mut self) -> u8 {
        u8::try_from(self.below(5)).unwrap_or(0)
    }

    /// Within some percent of the mark, now and then far away.
    pub(super) fn price(&mut self, instrument: u32) -> u64 {
        let mark = self.rig.marks.get(&instrument).copied().unwrap_or(MARK);
        let spread = if self.one_in(8) { mark / 5 } else { mark / 200 };
        let price = mark.saturating_sub(spread) + self.below(2 * spread);
        price / 1_000 * 1_000
    }

    fn order(&mut self) {
        let (id, instrument) = (self.user(), self.instrument());
        let most = if self.one_in(3) { 120 } else { 30 };
        let lots = 1 + self.below(most) as i64;
        let lots = if self.one_in(2) { lots } else { -lots };
        let (slot, price) = (self.slot(), self.price(instrument));
        let mut order = self.rig.order(id, slot, instrument, lots, price);
        order.reduce_only = self.one_in(8);
        order.amend = self.one_in(6);
        if self.one_in(6) {
            order.place = Place::Nonce(self.rig.nonce(id));
            order.amend = false;
        }
        if self.one_in(9) {
            order.expiry = self.rig.now / 1_000 + self.below(40);
        }
        if self.one_in(15) {
            self.spoil(&mut order);
        }
        let terms = self.terms(&order, price);
        let mut submit = self.rig.submission(order, terms);
        if self.one_in(20) {
            let other = self.user();
            submit.auth = self.rig.auth(other, submit.order.digest(&self.rig.domain));
        }
        drop(self.rig.apply(Command::Submit(submit)));
    }

    /// One rests at the mark, another takes.
    fn trade(&mut self) {
        let (maker, taker, instrument) = (self.user(), self.user(), 1 + self.below(2) as u32);
        let mark = self.rig.marks.get(&instrument).copied().unwrap_or(MARK);
        let lots = 1 + self.below(60) as i64;
        let lots = if self.one_in(3) { lots } else { -lots };
        drop(self.rig.limit(maker, 5, instrument, lots, mark));
        drop(self.rig.limit(taker, 6, instrument, -lots, mark));
    }

    pub(super) fn terms(&mut self, order: &Order, price: u64) -> OrderTerms {
        let time_in_force = match self.below(8) {
            0 => TimeInForce::FillOrKill,
            1 => TimeInForce::ImmediateOrCancel,
            _ if order.place.is_nonce() => TimeInForce::ImmediateOrCancel,
            _ => TimeInForce::GoodTillTime,
        };
        let self_trade = match self.below(3) {
            0 => SelfTrade::CancelNewest,
            1 => SelfTrade::CancelOldest,
            _ => SelfTrade::CancelBoth,
        };
        let direction = match self.one_in(2) {
            true => Direction::Above,
            false => Direction::Below,
        };
        let named = self.one_in(10);
        let trigger = self.one_in(10).then_some(Trigger { price, direction });
        OrderTerms {
            client_id: if named { u128::from(self.below(50)) } else { 0 },
            time_in_force,
            post_only: self.one_in(9),
            self_trade,
            trigger,
        }
    }

    pub(super) fn spoil(&mut self, order: &mut Order) {
        match self.below(6) {
            0 => order.size = 0,
            1 => order.size = 1 << 47,
            2 => order.instrument = InstrumentId(7),
            3 => order.generation = order.generation.wrapping_add(1),
            4 => order.account = AccountId(64),
            _ => order.limit = 0,
        }
    }

    fn cancel(&mut self) -> crate::event::Applied {
        let (id, slot) = (self.user(), self.slot());
        self.rig.cancel(id, slot)
    }

    fn cancel_all(&mut self) -> crate::event::Applied {
        let id = self.user();
        self.rig.cancel_all(id)
    }

    fn withdraw(&mut self) {
        let (id, amount) = (self.user(), 1 + self.below(30 * MARK));
        drop(self.rig.withdraw(id, amount));
    }

    fn dead_man(&mut self) {
        let (id, timeout) = (self.user(), self.below(3_000));
        drop(self.rig.dead_man(id, u32::try_from(timeout).unwrap_or(0)));
    }

    fn transfer(&mut self) {
        let (from, to) = (self.user(), self.user());
        let receiver = Receiver::Anyone;
        let running = self
            .rig
            .engine
            .running(AccountId(from))
            .expect("an account");
        let message = Transfer {
            account: AccountId(from),
            generation: running.rest.generation,
            nonce: running.rest.nonce,
            to: AccountId(to),
            instrument: CASH,
            short: false,
            amount: 1 + self.below(10 * MARK),
            terms: receiver.aux().digest(),
        };
        let auth = self.rig.auth(from, message.digest(&self.rig.domain));
        let entry = TransferEntry { message, receiver };
        let transfer = TransferCommand {
            entry,
            auth,
            accept: None,
        };
        drop(self.rig.apply(Command::Transfer(Box::new(transfer))));
    }

    fn deposit(&mut self, id: u32, instrument: InstrumentId, amount: u64) {
        let deposit = Deposit {
            sender: owner_of(id),
            account: AccountId(id),
            instrument,
            amount,
            create: None,
        };
        self.rig.ask(Request::Deposit(deposit));
    }

    fn item(&mut self) {
        let id = self.user();
        let other = self.user();
        let (sender, account) = (owner_of(id), AccountId(id));
        let instrument = self.instrument();
        let request = match self.below(8) {
            0..3 => return self.deposit(id, CASH, 5 * MARK),
            3 => Request::Withdraw {
                sender,
                account,
                instrument: CASH,
                amount: 1 + self.below(20 * MARK),
            },
            4 => Request::CancelAll {
                sender: owner_of(other),
                account,
            },
            5 => Request::Flag { account },
            6 => Request::Absorb { account },
            _ => Request::Take(Take {
                sender,
                account: AccountId(other),
                taker: account,
                instrument: InstrumentId(instrument),
                side: if self.one_in(2) {
                    Side::Long
                } else {
                    Side::Short
                },
                size: 1 + self.below(20),
                limit: 10 * MARK,
            }),
        };
        self.rig.ask(request);
    }

    fn round(&mut self) {
        for id in 1..=3 {
            let range = if self.one_in(8) { 350 } else { 8 };
            let step = self.below(2 * range + 1) as i64 - range as i64;
            if let Some(mark) = self.rig.marks.get_mut(&id) {
                let moved = mark.cast_signed() / 1_000 * step;
                let least = (MARK / 4) as i64;
                *mark = (mark.cast_signed() + moved)
                    .clamp(least, 12 * MARK as i64)
                    .cast_unsigned();
            }
        }
        self.rig.missing.clear();
        if self.one_in(15) {
            let id = self.instrument();
            self.rig.missing.insert(id);
        }
        let last = self.rig.engine.status().round;
        match self.below(60) {
            0 => drop(self.rig.round_after(last + 2)),
            1 => drop(self.rig.apply(Command::Restarted)),
            _ => drop(self.rig.round()),
        }
    }

    /// A record that was in the log before, now.
    fn replay(&mut self) {
        let place = self.below(self.rig.log.len() as u64) as usize;
        let Some(record) = self
            .rig
            .log
            .get(place)
            .and_then(|b| Record::from_bytes(b).ok())
        else {
            return;
        };
        drop(self.rig.apply(record.command));
    }
}
