//! What comes and goes: the L1 queue and what its items came to, signed withdrawals, and transfers
//! between an owner's accounts.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tally_protocol::account::AccountKind;
use tally_protocol::entry::Entry;
use tally_protocol::epoch::EpochError;
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::message::{Transfer, Withdraw};
use tally_protocol::queue::{Deposit, Item, NewAccount, Request, Served, Service, Take};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};

use crate::market::admission::Admission;
use crate::market::agents::{Agent, Role};
use crate::market::floor::Floor;

/// The L1 queue as the contract would number it, and what was served.
#[derive(Debug, Default)]
pub struct Custody {
    next_item: u64,
    admission: Admission,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub l1_items: u64,
    pub deposits: u64,
    pub withdrawals: u64,
    pub refusals: u64,
    pub transfers: u64,
    /// Of accounts whose flag, liquidation, absorption, new keys or end of orders L1 asked for.
    pub l1_flags: u64,
    pub l1_takes: u64,
    pub l1_absorptions: u64,
    pub l1_key_changes: u64,
    pub l1_cancel_alls: u64,
}

impl Custody {
    pub fn serve(&mut self, floor: &mut Floor, request: Request, service: Service) {
        let index = self.next_item;
        self.next_item += 1;
        self.counts.l1_items += 1;
        let count = match (&request, &service) {
            (_, Service::Refused(_)) => Some(&mut self.counts.refusals),
            (Request::Deposit(_), _) => Some(&mut self.counts.deposits),
            (Request::Withdraw { .. }, _) => Some(&mut self.counts.withdrawals),
            (Request::Flag { .. }, _) => Some(&mut self.counts.l1_flags),
            (Request::Take(_), _) => Some(&mut self.counts.l1_takes),
            (Request::Absorb { .. }, _) => Some(&mut self.counts.l1_absorptions),
            (Request::KeyChange { .. }, _) => Some(&mut self.counts.l1_key_changes),
            (Request::CancelAll { .. }, _) => Some(&mut self.counts.l1_cancel_alls),
            (Request::Change(_), _) => None,
        };
        if let Some(count) = count {
            *count += 1;
        }
        accounts(&request).for_each(|account| floor.reserve(account));
        self.admission.admit(&request, floor.epoch());
        let item = Item { index, request };
        floor
            .entries
            .push(Entry::Item(Box::new(Served { item, service })));
    }

    /// Whether the contract would queue it, with what waits there already.
    pub fn admits(&self, request: &Request, epoch: u32) -> bool {
        self.admission.admits(request, epoch)
    }

    /// Serves a request as the rules have it end, if the contract would queue it and nothing
    /// touched its accounts yet \[J4\].
    pub fn ask(
        &mut self,
        floor: &mut Floor,
        request: Request,
    ) -> Result<Option<Service>, EpochError> {
        let is_free = !accounts(&request).any(|account| floor.is_reserved(account));
        if !is_free || !self.admits(&request, floor.epoch()) {
            return Ok(None);
        }
        let service = floor.service(&request)?;
        if let Some(service) = &service {
            self.serve(floor, request, service.clone());
        }
        Ok(service)
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
        let request = Request::Deposit(Deposit {
            sender,
            account,
            instrument,
            amount,
            create,
        });
        if self.admits(&request, floor.epoch()) {
            self.serve(floor, request, Service::Done);
        }
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

    /// A few owners move money: signed withdrawals, top-ups, margin updates.
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

/// The accounts whose epoch an item takes.
fn accounts(request: &Request) -> impl Iterator<Item = AccountId> {
    let taker = match request {
        Request::Take(Take { taker, .. }) => Some(*taker),
        _ => None,
    };
    request.account().into_iter().chain(taker)
}
