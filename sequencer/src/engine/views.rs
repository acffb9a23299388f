//! What a service asks of the engine: nothing here changes anything.

use serde::Serialize;
use tally_protocol::epoch::EpochError;
use tally_protocol::hash::Digest;
use tally_protocol::instrument::{MarketRow, Row};
use tally_protocol::ledger::Running;
use tally_protocol::message::Domain;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::{Engine, Live};
use crate::book::Book;
use crate::config::Config;
use crate::event::{OrderId, Phase};

/// Where the engine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub position: u64,
    pub phase: Phase,
    /// Of the epoch under way, else of the last.
    pub epoch: u32,
    pub round: u32,
    /// Seconds since 1970.
    pub time: u64,
    /// Micro-quote \[Q6\].
    pub deficit: u64,
    pub proven: u32,
    pub settled: u32,
    /// Orders held, L1 items and messages that wait, accounts flagged.
    pub orders: usize,
    pub items: usize,
    pub waiting: usize,
    pub flagged: usize,
    /// The next L1 item that is expected.
    pub next_item: u64,
}

/// A book's levels, price and lots, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BookView {
    pub bids: Vec<(u64, u64)>,
    pub asks: Vec<(u64, u64)>,
}

impl Engine {
    pub fn status(&self) -> Status {
        let header = match self.epoch() {
            Some(epoch) => *epoch.builder.header(),
            None => self.state().header,
        };
        Status {
            position: self.position,
            phase: self.phase,
            epoch: header.epoch,
            round: header.round,
            time: header.time,
            deficit: header.deficit,
            proven: self.proven,
            settled: self.settled,
            orders: self.orders.len(),
            items: self.items.len(),
            waiting: self.waiting.len(),
            flagged: self.flagged.len(),
            next_item: self.next_item,
        }
    }

    /// Chain and contract that messages are for.
    pub fn domain(&self) -> Domain {
        self.state().header.globals.domain
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// An account as it stands: totals at opening, places, cash, nonce, generation. `exists` says
    /// whether there is one.
    pub fn running(&self, id: AccountId) -> Result<Running, EpochError> {
        self.view(id)
    }

    /// An account's orders, by slot.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Live> {
        self.orders.of(account)
    }

    pub fn order(&self, id: OrderId) -> Option<&Live> {
        self.orders.get(id)
    }

    /// The order that an account's client id names: also one that is gone, for its last 256.
    pub fn client_order(&self, account: AccountId, client_id: u128) -> Option<OrderId> {
        let folder = self.orders.folder(account)?;
        folder.clients.get(&client_id).copied()
    }

    /// The lowest sequence that a slot takes next.
    pub fn next_sequence(&self, account: AccountId, slot: u8) -> u32 {
        let seen = self
            .orders
            .folder(account)
            .and_then(|f| f.seen.get(&slot).copied());
        let held = self
            .view(account)
            .map(|running| self.ledger_slot(&running, slot).sequence);
        seen.unwrap_or(0).max(held.unwrap_or(0)).saturating_add(1)
    }

    /// The highest that a dead-man switch's messages of the account have named.
    pub fn counter(&self, account: AccountId) -> u64 {
        let folder = self.orders.folder(account);
        folder.map_or(0, |folder| folder.counter)
    }

    pub fn book(&self, instrument: InstrumentId, depth: usize) -> BookView {
        let Some(book) = self.books.get(&instrument) else {
            return BookView::default();
        };
        BookView {
            bids: book.levels(Side::Long).take(depth).collect(),
            asks: book.levels(Side::Short).take(depth).collect(),
        }
    }

    pub fn raw_book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.books.get(&instrument)
    }

    /// The rows of the epoch, or of the last one, as trades see them.
    pub fn market(&self) -> impl Iterator<Item = &MarketRow> {
        self.rows.market.values()
    }

    /// Rows by number as they were before the epoch under way.
    pub fn table(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.state().table.rows()
    }

    /// The state between epochs: before the one under way.
    pub fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        let ids = self.state().accounts.iter().map(|(id, _)| id);
        ids.filter(|id| !id.is_system())
    }

    /// The root of the state before the epoch under way. It hashes whatever the engine has changed
    /// since it began, so it is for starts and tests; the `Closer` knows each epoch's root.
    pub fn state_root(&self) -> Digest {
        self.state().root()
    }

    /// Accounts that the liquidation index has looked at so far.
    pub fn looks(&self) -> u64 {
        self.watch.looks()
    }
}
