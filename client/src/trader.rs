//! Signed messages of one account.

use tally_protocol::hash::Digest;
use tally_protocol::message::{Cancel, CancelAll, Domain, Withdraw};
use tally_protocol::order::Order;
use tally_protocol::signature::SecretKey;
use tally_protocol::types::{AccountId, InstrumentId};
use tally_sequencer::command::{Auth, Command, DeadMan, OrderTerms, Signed, Submit};

/// An account with the key that signs for it: its own, or its trading key.
#[derive(Clone, Debug)]
pub struct Trader {
    pub account: AccountId,
    pub generation: u32,
    domain: Domain,
    key: SecretKey,
}

impl Trader {
    pub fn new(domain: Domain, account: AccountId, key: SecretKey) -> Self {
        Self {
            account,
            generation: 0,
            domain,
            key,
        }
    }

    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    pub fn auth(&self, digest: Digest) -> Auth {
        Auth {
            key: self.key.public(),
            signature: self.key.sign(digest),
        }
    }

    /// The order is made this account's.
    pub fn order(&self, order: Order, terms: OrderTerms) -> Submit {
        let order = Order {
            account: self.account,
            generation: self.generation,
            ..order
        };
        let auth = self.auth(order.digest(&self.domain));
        Submit { order, auth, terms }
    }

    pub fn cancel(&self, slot: u8, sequence: u32) -> Signed<Cancel> {
        let message = Cancel {
            account: self.account,
            generation: self.generation,
            slot,
            sequence,
        };
        self.signed(message, message.digest(&self.domain))
    }

    pub fn cancel_all(&self, nonce: u32) -> Command {
        let message = CancelAll {
            account: self.account,
            generation: self.generation,
            nonce,
        };
        Command::CancelAll(self.signed(message, message.digest(&self.domain)))
    }

    /// Milliseconds; 0 disarms.
    pub fn dead_man(&self, counter: u64, timeout: u32) -> Command {
        let message = DeadMan {
            account: self.account,
            generation: self.generation,
            counter,
            timeout,
        };
        Command::DeadMan(self.signed(message, message.digest(&self.domain)))
    }

    pub fn withdraw(&self, nonce: u32, instrument: InstrumentId, amount: u64) -> Command {
        let message = Withdraw {
            account: self.account,
            generation: self.generation,
            nonce,
            instrument,
            amount,
            least: 0,
        };
        Command::Withdraw(self.signed(message, message.digest(&self.domain)))
    }

    fn signed<T>(&self, message: T, digest: Digest) -> Signed<T> {
        let auth = self.auth(digest);
        Signed { message, auth }
    }
}
