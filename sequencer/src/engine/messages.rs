//! Messages that are entries of their own: transfers, withdrawals, new keys, cancel-all, fees out.
//! Between epochs they wait, in their order, for the next one; backpressure does not stop them.

use tally_protocol::entry::Entry;
use tally_protocol::journal::fee_withdraw::FeeWithdraw;
use tally_protocol::journal::withdraw::WithdrawEntry;
use tally_protocol::ledger::Running;
use tally_protocol::message::Withdraw;
use tally_protocol::types::AccountId;

use super::Engine;
use super::margin::check_worst_case;
use super::orders::{Authorities, Authority};
use super::submit::{authorised, check_generation};
use crate::command::{Command, Signer};
use crate::event::{CancelReason, Event};
use crate::reject::Reject;

/// Most messages that wait for the next epoch.
const MAX_WAITING: usize = 10_000;

/// A message that came between epochs.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub position: u64,
    pub command: Command,
    pub signers: Vec<Signer>,
}

impl Engine {
    pub(super) fn message(&mut self, command: Command, signers: &[Signer]) -> Result<(), Reject> {
        if self.takes_entries() && self.waiting.is_empty() {
            return self.enter(&command, signers);
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(Reject::Queue);
        }
        // What the keys forbid is refused at once.
        for signer in signers {
            let running = self.view(signer.account)?;
            authorised(&running, signer, may_trade(&command))?;
        }
        self.waiting.push_back(Waiting {
            position: self.position,
            command,
            signers: signers.to_vec(),
        });
        let position = self.position;
        self.emit(Event::Queued { position });
        Ok(())
    }

    /// What waited, as the epoch begins.
    pub(super) fn enter_waiting(&mut self) {
        for waiting in core::mem::take(&mut self.waiting) {
            let done = self.enter(&waiting.command, &waiting.signers);
            self.emit(Event::Served {
                position: waiting.position,
                reject: done.err(),
            });
        }
    }

    fn enter(&mut self, command: &Command, signers: &[Signer]) -> Result<(), Reject> {
        let mut authorities = Vec::with_capacity(signers.len());
        for signer in signers {
            if self
                .epoch()
                .is_some_and(|epoch| epoch.reserved.contains(&signer.account))
            {
                return Err(Reject::Reserved);
            }
            let running = self.view(signer.account)?;
            let by_trading_key = authorised(&running, signer, may_trade(command))?;
            authorities.push(Authority {
                signer: *signer,
                by_trading_key,
            });
        }
        match command {
            Command::Transfer(transfer) => {
                let message = transfer.entry.message;
                self.check_generation_of(message.account, message.generation)?;
                if self.is_reserved(message.to) {
                    return Err(Reject::Reserved);
                }
                let entry = Entry::Transfer(Box::new(transfer.entry));
                let cash = if message.is_cash() { message.amount } else { 0 };
                self.pay(message.account, cash, entry, &authorities)?;
                self.emit(Event::Transferred {
                    from: message.account,
                    to: message.to,
                    instrument: message.instrument,
                    amount: message.amount,
                });
                self.trim(message.account, message.instrument);
                self.trim(message.to, message.instrument);
            }
            Command::Withdraw(signed) => self.withdraw(signed.message, &authorities)?,
            Command::KeyChange(signed) => {
                let message = signed.message;
                self.check_generation_of(message.account, message.generation)?;
                self.push_message(Entry::KeyChange(message), &authorities)?;
                self.end_generation(message.account);
                self.emit(Event::KeysChanged {
                    account: message.account,
                });
            }
            Command::CancelAll(signed) => {
                let message = signed.message;
                self.check_generation_of(message.account, message.generation)?;
                self.push_message(Entry::CancelAll(message), &authorities)?;
                self.end_generation(message.account);
            }
            Command::FeeWithdraw { amount } => {
                let amount = *amount;
                self.push_message(Entry::FeeWithdraw(FeeWithdraw { amount }), &[])?;
            }
            _ => return Err(Reject::Key),
        }
        Ok(())
    }

    fn withdraw(&mut self, message: Withdraw, authorities: &[Authority]) -> Result<(), Reject> {
        let owner = self
            .check_generation_of(message.account, message.generation)?
            .owner;
        let entry = Entry::Withdraw(WithdrawEntry { message, owner });
        let is_cash = message.instrument == tally_protocol::terms::CASH;
        let cash = if is_cash { message.amount } else { 0 };
        self.pay(message.account, cash, entry, authorities)?;
        self.trim(message.account, message.instrument);
        self.emit(Event::Withdrawn {
            account: message.account,
            instrument: message.instrument,
            amount: message.amount,
        });
        Ok(())
    }

    /// Value leaves only beyond what open orders may need. Cash is judged here; what lots leave is
    /// the builder's to judge, and the orders' when they fill.
    fn pay(
        &mut self,
        account: AccountId,
        cash: u64,
        entry: Entry,
        authorities: &[Authority],
    ) -> Result<(), Reject> {
        let exposed = self.exposed(account, None, None);
        if cash > 0 && !exposed.is_empty() {
            let mut running = self.view(account)?;
            let paid = i64::try_from(cash).unwrap_or(i64::MAX);
            running.cash = running.cash.saturating_sub(paid);
            check_worst_case(&running, &exposed, &self.rows, self.config.taker_fee)?;
        }
        self.push_message(entry, authorities)
    }

    fn push_message(&mut self, entry: Entry, authorities: &[Authority]) -> Result<(), Reject> {
        let epoch = self.epoch_mut().ok_or(Reject::NoMatching)?;
        epoch
            .builder
            .push_signed(entry, &Authorities(authorities))?;
        Ok(())
    }

    fn check_generation_of(&self, account: AccountId, named: u32) -> Result<Running, Reject> {
        let running = self.view(account)?;
        check_generation(&running, named)?;
        Ok(running)
    }

    /// \[S4\] Every order of the account is dead.
    pub(super) fn end_generation(&mut self, account: AccountId) {
        self.cancel_account(account, CancelReason::Generation);
        let folder = self.orders.folder_mut(account);
        folder.spent = Default::default();
        self.orders.forgive(account);
        self.emit(Event::CancelledAll { account });
    }

    /// An epoch is open that has entries \[T2\].
    fn takes_entries(&self) -> bool {
        self.epoch()
            .is_some_and(|epoch| epoch.builder.entry_terms().epoch.entries)
    }

    pub(super) fn is_reserved(&self, account: AccountId) -> bool {
        self.epoch()
            .is_some_and(|epoch| epoch.reserved.contains(&account))
    }
}

/// \[S2\] A trading key ends orders; it moves no money and changes no key.
fn may_trade(command: &Command) -> bool {
    matches!(command, Command::CancelAll(_))
}
