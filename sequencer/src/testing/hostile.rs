//! What hostile clients, keys, reporters and L1 senders ask for, between what honest ones do.

use tally_protocol::account::{AccountKind, Keys};
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::message::{Domain, Transfer, Withdraw};
use tally_protocol::oracle::Stamp;
use tally_protocol::queue::{Item, Request};
use tally_protocol::terms::CASH;
use tally_protocol::testing::{keys, keys_of, owner_of};
use tally_protocol::types::{AccountId, InstrumentId};

use super::traffic::Traffic;
use crate::command::{Command, Operation, OrderTerms, Signed, TransferCommand};

/// An account's session key signs as this much higher a number.
const SESSION: u32 = 50_000;

impl Traffic {
    /// One more command that an honest client of one key would not send so.
    pub(super) fn hostile(&mut self) {
        match self.below(11) {
            0 => self.forge(),
            1 => self.send_late(),
            2 => self.go_to_bounds(),
            3 => self.send_many(),
            4 => self.change_session_key(),
            5 => self.use_session_key(),
            6 => self.split_off(),
            7 => self.item_out_of_turn(),
            8 => self.take_too_much(),
            9 => self.change_keys_on_l1(),
            _ => self.lie_about_prices(),
        }
    }

    /// Another order than the one that was signed, or one signed for another chain.
    fn forge(&mut self) {
        let (id, slot) = (self.user(), self.slot());
        let order = self.rig.order(id, slot, 1, 3, 1_000_000);
        let mut submit = self.rig.submission(order, OrderTerms::default());
        if self.one_in(2) {
            submit.order.size += 1;
        } else {
            let domain = self.rig.domain;
            let chain_id = domain.chain_id + 1;
            let elsewhere = Domain { chain_id, ..domain };
            submit.auth = self.rig.auth(id, submit.order.digest(&elsewhere));
        }
        let refused = self.rig.try_apply(Command::Submit(submit));
        assert!(refused.is_err(), "a forged order");
    }

    fn send_late(&mut self) {
        let (id, slot) = (self.user(), self.slot());
        let mut order = self.rig.order(id, slot, 2, -2, 5_000_000);
        order.expiry = (self.rig.now / 1_000).saturating_sub(self.below(3));
        drop(self.rig.submit(order, OrderTerms::default()));
    }

    /// The row's largest size and price, and one beyond.
    fn go_to_bounds(&mut self) {
        let (id, slot, instrument) = (self.user(), self.slot(), self.instrument());
        let state = self.rig.closer.state().expect("a state");
        let row = state.table.by_id(InstrumentId(instrument));
        let params = row.map(|(_, row)| row.params).expect("a listed row");
        let size = params.max_size + self.below(2);
        let lots = size.cast_signed() * if self.one_in(2) { 1 } else { -1 };
        let limit = params.max_price - 1 + self.below(3);
        let order = self.rig.order(id, slot, instrument, lots, limit);
        drop(self.rig.submit(order, OrderTerms::default()));
    }

    /// A batch of orders and cancels, some of them spoilt, by one account or two.
    fn send_many(&mut self) {
        let (one, other) = (self.user(), self.user());
        let count = 1 + self.below(5);
        let operation = |it: &mut Self, id: u32| {
            let (slot, instrument) = (it.slot(), it.instrument());
            if it.one_in(3) {
                return Operation::Cancel(it.rig.cancellation(id, slot));
            }
            let price = it.price(instrument);
            let lots = 1 + it.below(20) as i64;
            let lots = if it.one_in(2) { lots } else { -lots };
            let mut order = it.rig.order(id, slot, instrument, lots, price);
            order.amend = it.one_in(4);
            if it.one_in(5) {
                it.spoil(&mut order);
            }
            let terms = it.terms(&order, price);
            Operation::Submit(it.rig.submission(order, terms))
        };
        let operations = (0..count).map(|_| {
            let id = if self.one_in(4) { other } else { one };
            operation(self, id)
        });
        let operations: Vec<Operation> = operations.collect();
        drop(self.rig.apply(Command::Batch(operations)));
    }

    /// The account's own key stays.
    fn change_session_key(&mut self) {
        let id = self.user();
        let session = match self.one_in(3) {
            true => Keys::default().trading_key,
            false => keys::public(u64::from(id + SESSION)),
        };
        let keys = Keys {
            trading_key: session,
            ..keys_of(id)
        };
        drop(self.rig.key_change(id, keys));
    }

    /// It may trade; it may not take money out.
    fn use_session_key(&mut self) {
        let (id, slot) = (self.user(), self.slot());
        if self.one_in(2) {
            let order = self.rig.order(id, slot, 1, 2, 1_000_000);
            let mut submit = self.rig.submission(order, OrderTerms::default());
            submit.auth = self
                .rig
                .auth(id + SESSION, submit.order.digest(&self.rig.domain));
            drop(self.rig.apply(Command::Submit(submit)));
            return;
        }
        let message = self.withdrawal(id, 5);
        let auth = self
            .rig
            .auth(id + SESSION, message.digest(&self.rig.domain));
        let applied = self.rig.apply(Command::Withdraw(Signed { message, auth }));
        assert!(applied.result.is_err(), "a session key withdraws");
    }

    fn withdrawal(&self, id: u32, amount: u64) -> Withdraw {
        let running = self.rig.engine.running(AccountId(id)).expect("an account");
        Withdraw {
            account: AccountId(id),
            generation: running.rest.generation,
            nonce: running.rest.nonce,
            instrument: CASH,
            amount,
            least: 0,
        }
    }

    /// Cash to a sub-account, which may be there already or be another's; it trades at once.
    fn split_off(&mut self) {
        let (id, slot) = (self.user(), self.slot());
        let to = FIRST_SUB_ACCOUNT + u32::try_from(self.below(6)).unwrap_or(0);
        let kind = match self.one_in(2) {
            true => AccountKind::Isolated,
            false => AccountKind::Cross,
        };
        let receiver = match self.one_in(2) {
            true => Receiver::New {
                owner: owner_of(id),
                keys: keys_of(to),
                kind,
            },
            false => Receiver::SameOwner(owner_of(id)),
        };
        let withdrawal = self.withdrawal(id, 0);
        let message = Transfer {
            account: AccountId(id),
            generation: withdrawal.generation,
            nonce: withdrawal.nonce,
            to: AccountId(to),
            instrument: CASH,
            short: false,
            amount: 1 + self.below(3_000_000),
            terms: receiver.aux().digest(),
        };
        let auth = self.rig.auth(id, message.digest(&self.rig.domain));
        let entry = TransferEntry { message, receiver };
        let transfer = TransferCommand {
            entry,
            auth,
            accept: None,
        };
        drop(self.rig.apply(Command::Transfer(Box::new(transfer))));
        for instrument in [1, 2] {
            let mark = self.rig.marks.get(&instrument).copied().unwrap_or(1);
            drop(self.rig.limit(to, slot, instrument, 3, mark));
        }
    }

    /// \[C1\] Items have one order.
    fn item_out_of_turn(&mut self) {
        let index = self.rig.engine.status().next_item + 1 + self.below(3);
        let account = AccountId(self.user());
        let item = Box::new(Item {
            index,
            request: Request::Flag { account },
        });
        let applied = self.rig.apply(Command::Item(item));
        assert!(applied.result.is_err(), "an item out of turn");
    }

    /// Nothing, more than there is, and more than there can be.
    fn take_too_much(&mut self) {
        let id = self.user();
        let amount = match self.below(3) {
            0 => 0,
            1 => 1 << 40,
            _ => (1 << 55) - 1,
        };
        drop(self.rig.withdraw(id, amount));
    }

    /// By the owner, with the keys that the account has, or by somebody else.
    fn change_keys_on_l1(&mut self) {
        let (id, other) = (self.user(), self.user());
        self.rig.ask(Request::KeyChange {
            sender: owner_of(other),
            account: AccountId(id),
            keys: keys_of(id),
        });
    }

    /// Too few reports, one twice, one under another's name, an old time.
    fn lie_about_prices(&mut self) {
        let header = self.rig.engine.status();
        let mut stamp = Stamp {
            feed_set: 0,
            round: header.round + 1,
            time: self.rig.now / 1_000 + 1,
            previous: header.round,
        };
        let lie = self.below(4);
        if lie == 0 {
            stamp.time = header.time;
        }
        let mut reports = self.rig.reports(stamp);
        if lie == 1 {
            reports.pop();
        }
        if let [first, second, ..] = reports.as_mut_slice() {
            match lie {
                2 => *second = first.clone(),
                3 => second.signature = first.signature,
                _ => {}
            }
        }
        let applied = self.rig.apply(Command::Round(reports));
        assert!(applied.result.is_err(), "a round of lies");
    }
}
