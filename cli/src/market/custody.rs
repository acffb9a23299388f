//! What comes and goes: generated L1 queue items (listings, deposits, withdrawals), signed
//! withdrawals, and transfers between an owner's accounts.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tally_protocol::account::AccountKind;
use tally_protocol::entry::Entry;
use tally_protocol::epoch::EpochError;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::message::{Transfer, Withdraw};
use tally_protocol::posting::Refusal;
use tally_protocol::queue::{Deposit, Item, NewAccount, Reason, Request, Served, Service};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};

use crate::market::agents::{Agent, Role};
use crate::market::floor::Floor;

/// The L1 queue as the contract would number it, and what was served.
#[derive(Debug, Default)]
pub struct Custody {
    next_item: u64,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub deposits: u64,
    pub withdrawals: u64,
    pub refusals: u64,
    pub transfers: u64,
}

impl Custody {
    pub fn serve(&mut self, floor: &mut Floor, request: Request, service: Service) {
        let index = self.next_item;
        self.next_item += 1;
        match (&request, &service) {
            (_, Service::Refused(_)) => self.counts.refusals += 1,
            (Request::Deposit(_), _) => self.counts.deposits += 1,
            (Request::Withdraw { .. }, _) => self.counts.withdrawals += 1,
            _ => {}
        }
        if let Some(account) = request.account() {
            floor.reserve(account);
        }
        let item = Item { index, request };
        floor
            .entries
            .push(Entry::Item(Box::new(Served { item, service })));
    }

    /// An agent's first cash, which creates its account \[S3\].
    pub fn open_account(&mut self, floor: &mut Floor, agent: &Agent) {
        let create = Some(NewAccount {
            keys: agent.keys,
            isolated: false,
        });
        self.deposit(floor, agent, CASH, agent.cash, create);
    }

    pub fn deposit(
        &mut self,
        floor: &mut Floor,
        agent: &Agent,
        instrument: InstrumentId,
        amount: u64,
        create: Option<NewAccount>,
    ) {
        let (sender, account) = (agent.owner, agent.id);
        let deposit = Deposit {
            sender,
            account,
            instrument,
            amount,
            create,
        };
        self.serve(floor, Request::Deposit(deposit), Service::Done);
    }

    /// The transfer from its parent that creates a sub-account. False where the parent cannot.
    pub fn open_sub_account(
        &mut self,
        floor: &mut Floor,
        agent: &Agent,
    ) -> Result<bool, EpochError> {
        let receiver = Receiver::New {
            owner: agent.owner,
            keys: agent.keys,
            kind: AccountKind::Isolated,
        };
        let Some(parent) = agent.parent else {
            return Ok(false);
        };
        self.transfer(floor, (parent, agent.id), agent.cash, receiver)
    }

    fn transfer(
        &mut self,
        floor: &mut Floor,
        (from, to): (AccountId, AccountId),
        amount: u64,
        receiver: Receiver,
    ) -> Result<bool, EpochError> {
        if floor.is_reserved(from) || floor.is_reserved(to) || amount == 0 {
            return Ok(false);
        }
        let Some(desk) = floor.desk(from)? else {
            return Ok(false);
        };
        let Some(nonce) = floor.nonce(&desk) else {
            return Ok(false);
        };
        let Some(after) = desk.paid(-(amount as i64)) else {
            return Ok(false);
        };
        let generation = desk.running().rest.generation;
        floor.set_desk(from, after);
        floor.speak(from);
        // Both ends are done for this epoch, so that neither's end depends on what follows.
        floor.reserve(from);
        floor.reserve(to);
        let message = Transfer {
            account: from,
            generation,
            nonce,
            to,
            instrument: CASH,
            short: false,
            amount,
            terms: receiver.aux().digest(),
        };
        floor.entries.push(Entry::Transfer(Box::new(TransferEntry {
            message,
            receiver,
        })));
        self.counts.transfers += 1;
        Ok(true)
    }

    /// A few owners move money: withdrawals signed and through L1, top-ups, margin updates.
    pub fn move_money(
        &mut self,
        floor: &mut Floor,
        agents: &[Agent],
        may_withdraw: bool,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), EpochError> {
        for agent in agents.choose_multiple(rng, 1 + agents.len() / 100) {
            if floor.is_reserved(agent.id) || !matches!(agent.role, Role::Trader { .. }) {
                continue;
            }
            let share = rng.gen_range(20..200);
            match (agent.parent, rng.gen_range(0..3)) {
                (Some(parent), _) => self.margin_update(floor, agent, parent, share)?,
                (None, 0) if may_withdraw => self.withdraw_signed(floor, agent, share)?,
                (None, 1) if may_withdraw => self.withdraw_by_item(floor, agent, share)?,
                (None, _) => self.top_up(floor, agent)?,
            }
        }
        Ok(())
    }

    /// Isolated margin is moved by transfers: profits back to the parent, else more to the
    /// sub-account.
    fn margin_update(
        &mut self,
        floor: &mut Floor,
        agent: &Agent,
        parent: AccountId,
        share: u64,
    ) -> Result<(), EpochError> {
        let Some(desk) = floor.desk(agent.id)? else {
            return Ok(());
        };
        let receiver = Receiver::SameOwner(agent.owner);
        let (amount, ends) = match desk.totals().equity > 2 * agent.cash as i64 {
            true => (agent.cash, (agent.id, parent)),
            false => (agent.cash * share / 1_000, (parent, agent.id)),
        };
        self.transfer(floor, ends, amount, receiver).map(|_| ())
    }

    fn withdraw_signed(
        &mut self,
        floor: &mut Floor,
        agent: &Agent,
        share: u64,
    ) -> Result<(), EpochError> {
        let Some(desk) = floor.desk(agent.id)? else {
            return Ok(());
        };
        let amount = agent.cash * share / 1_000;
        let Some(nonce) = floor.nonce(&desk) else {
            return Ok(());
        };
        let Some(after) = desk.paid(-(amount as i64)) else {
            return Ok(());
        };
        let generation = desk.running().rest.generation;
        floor.set_desk(agent.id, after);
        floor.speak(agent.id);
        floor.reserve(agent.id);
        let message = Withdraw {
            account: agent.id,
            generation,
            nonce,
            instrument: CASH,
            amount,
            least: amount,
        };
        floor.entries.push(Entry::Withdraw(WithdrawEntry {
            message,
            owner: agent.owner,
        }));
        self.counts.withdrawals += 1;
        Ok(())
    }

    /// \[J4\] Pays the smaller of what is asked and what the account can pay; refused at nothing.
    fn withdraw_by_item(
        &mut self,
        floor: &mut Floor,
        agent: &Agent,
        share: u64,
    ) -> Result<(), EpochError> {
        let Some(desk) = floor.desk(agent.id)? else {
            return Ok(());
        };
        // Asks for up to four times the first deposit.
        let asked = agent.cash * share / 50;
        let (mut paid, mut beyond) = (0, asked + 1);
        while beyond - paid > 1 {
            let middle = paid + (beyond - paid) / 2;
            match desk.paid(-(middle as i64)) {
                Some(_) => paid = middle,
                None => beyond = middle,
            }
        }
        let service = match paid {
            0 => Service::Refused(Reason::Account(Refusal::Funds)),
            paid => Service::Paid(paid),
        };
        let request = Request::Withdraw {
            sender: agent.owner,
            account: agent.id,
            instrument: CASH,
            amount: asked,
        };
        self.serve(floor, request, service);
        Ok(())
    }

    /// Who lost nearly everything deposits again.
    fn top_up(&mut self, floor: &mut Floor, agent: &Agent) -> Result<(), EpochError> {
        let Some(desk) = floor.desk(agent.id)? else {
            return Ok(());
        };
        if desk.totals().equity < agent.cash as i64 / 10 {
            self.deposit(floor, agent, CASH, agent.cash / 2, None);
        }
        Ok(())
    }
}
