//! The orders that the engine holds: in books, waiting for a trigger, or parked for an epoch.

mod saved;

pub use saved::SavedOrders;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tally_protocol::account::Owner;
use tally_protocol::epoch::Signatures;
use tally_protocol::hash::Digest;
use tally_protocol::message::{Cancel, SignatureRequest};
use tally_protocol::order::{Order, Place};
use tally_protocol::signature::Signature;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use crate::book::Spot;
use crate::command::{Direction, OrderTerms, Signer};
use crate::event::{OrderId, OrderRef};

/// Client ids of an account's past orders that are remembered.
const REMEMBERED: usize = 256;

/// A message's authority, as a builder asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    pub signer: Signer,
    /// The trading key signed.
    pub by_trading_key: bool,
}

/// Messages whose signatures an entry may need.
#[derive(Debug)]
pub(super) struct Authorities<'a>(pub &'a [Authority]);

impl Authorities<'_> {
    fn find(&self, account: AccountId, digest: Digest) -> Option<&Authority> {
        let is_it = |a: &&Authority| a.signer.account == account && a.signer.digest == digest;
        self.0.iter().find(is_it)
    }
}

impl Signatures for Authorities<'_> {
    fn by_trading_key(&self, account: AccountId, message: Digest) -> bool {
        self.find(account, message)
            .is_some_and(|found| found.by_trading_key)
    }

    fn signature(&self, account: AccountId, request: &SignatureRequest) -> Option<Signature> {
        self.find(account, request.digest)
            .map(|found| found.signer.signature)
    }
}

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whereabouts {
    /// On its way.
    Incoming,
    Resting,
    /// For its trigger.
    Waiting,
    /// Out of the book while an L1 item has its account \[J4\].
    Parked,
}

/// An order that is neither filled nor cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub id: OrderId,
    pub order: Order,
    pub authority: Authority,
    pub terms: OrderTerms,
    pub owner: Owner,
    /// Lots that may still fill.
    pub open: u64,
    /// Lots filled so far, with those of the orders that it amends.
    pub filled: u64,
    /// Arrival, which decides between equal prices.
    pub rank: u64,
    pub at: Whereabouts,
}

impl Live {
    pub fn fill(&mut self, lots: u64) {
        self.open = self.open.saturating_sub(lots);
        self.filled = self.filled.saturating_add(lots);
    }

    pub fn reference(&self) -> OrderRef {
        OrderRef {
            order: self.id,
            account: self.order.account,
            client_id: self.terms.client_id,
        }
    }

    pub fn spot(&self) -> Spot {
        Spot {
            side: self.order.side,
            price: self.order.limit,
            rank: self.rank,
        }
    }
}

/// What the engine knows of an account's orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Of the live orders, like `reducing`.
    #[serde(skip)]
    pub slots: BTreeMap<u8, OrderId>,
    /// Highest sequence taken in a slot, by an order or a cancel: none comes twice.
    pub seen: BTreeMap<u8, u32>,
    /// Orders by nonce that came under this nonce and may not have used it.
    pub spent: Spent,
    /// Of `past`.
    #[serde(skip)]
    pub clients: BTreeMap<u128, OrderId>,
    past: VecDeque<(u128, OrderId)>,
    /// Live orders that may only reduce.
    #[serde(skip)]
    pub reducing: usize,
    pub counter: u64,
    /// When the dead-man switch fires, milliseconds.
    pub deadline: Option<u64>,
}

/// Digests of what came under a nonce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub nonce: u32,
    #[serde(with = "tally_protocol::wire")]
    pub digests: Vec<Digest>,
}

/// A cancel that the ledger does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCancel {
    pub message: Cancel,
    pub authority: Authority,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Shared with what was saved: saving copies no order and no folder.
    live: BTreeMap<OrderId, Arc<Live>>,
    folders: BTreeMap<AccountId, Arc<Folder>>,
    /// By last second of validity.
    expiries: BTreeSet<(u64, OrderId)>,
    deadlines: BTreeSet<(u64, AccountId)>,
    /// Triggers by instrument and price, those that fire above and those that fire below.
    above: BTreeSet<(InstrumentId, u64, OrderId)>,
    below: BTreeSet<(InstrumentId, u64, OrderId)>,
    /// Orders of each instrument.
    instruments: BTreeMap<InstrumentId, usize>,
    pub parked: BTreeSet<(u64, OrderId)>,
    /// The highest of each slot, and slots in the order in which they were first cancelled.
    cancels: BTreeMap<(AccountId, u8), PendingCancel>,
    cancelled: VecDeque<(AccountId, u8)>,
}

impl Orders {
    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.live.values().map(Arc::as_ref)
    }

    pub fn get(&self, id: OrderId) -> Option<&Live> {
        self.live.get(&id).map(Arc::as_ref)
    }

    pub fn get_mut(&mut self, id: OrderId) -> Option<&mut Live> {
        self.live.get_mut(&id).map(Arc::make_mut)
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn folder(&self, account: AccountId) -> Option<&Folder> {
        self.folders.get(&account).map(Arc::as_ref)
    }

    pub fn folder_mut(&mut self, account: AccountId) -> &mut Folder {
        Arc::make_mut(self.folders.entry(account).or_default())
    }

    /// An account's orders, by slot.
    pub fn of(&self, account: AccountId) -> impl Iterator<Item = &Live> {
        let slots = self.folders.get(&account).map(|folder| &folder.slots);
        let ids = slots.into_iter().flatten().map(|(_, id)| *id);
        ids.filter_map(|id| self.get(id))
    }

    pub fn insert(&mut self, live: Live) {
        let folder = self.folder_mut(live.order.account);
        if let Place::Slot { slot, .. } = live.order.place {
            folder.slots.insert(slot, live.id);
        }
        folder.reducing = folder
            .reducing
            .saturating_add(usize::from(live.order.reduce_only));
        self.expiries.insert((live.order.expiry, live.id));
        match live.at {
            Whereabouts::Waiting => self.await_trigger(&live),
            Whereabouts::Parked => drop(self.parked.insert((live.rank, live.id))),
            Whereabouts::Incoming | Whereabouts::Resting => {}
        }
        let count = self.instruments.entry(live.order.instrument).or_default();
        *count = count.saturating_add(1);
        self.live.insert(live.id, Arc::new(live));
    }

    fn await_trigger(&mut self, live: &Live) {
        if let Some(trigger) = live.terms.trigger {
            let key = (live.order.instrument, trigger.price, live.id);
            match trigger.direction {
                Direction::Above => self.above.insert(key),
                Direction::Below => self.below.insert(key),
            };
        }
    }

    pub fn remove(&mut self, id: OrderId) -> Option<Live> {
        let live = Arc::unwrap_or_clone(self.live.remove(&id)?);
        self.expiries.remove(&(live.order.expiry, id));
        if let Some(trigger) = live.terms.trigger {
            let key = (live.order.instrument, trigger.price, id);
            self.above.remove(&key);
            self.below.remove(&key);
        }
        if let Some(count) = self.instruments.get_mut(&live.order.instrument) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.instruments.remove(&live.order.instrument);
            }
        }
        self.parked.remove(&(live.rank, id));
        if let Some(folder) = self.folders.get_mut(&live.order.account) {
            let folder = Arc::make_mut(folder);
            if let Place::Slot { slot, .. } = live.order.place
                && folder.slots.get(&slot) == Some(&id)
            {
                folder.slots.remove(&slot);
            }
            folder.reducing = folder
                .reducing
                .saturating_sub(live.order.reduce_only.into());
        }
        Some(live)
    }

    /// Orders whose last second is before this one.
    pub fn expired(&self, second: u64) -> Vec<OrderId> {
        let range = self.expiries.range(..(second, OrderId(0)));
        range.map(|(_, id)| *id).collect()
    }

    pub fn arm(&mut self, account: AccountId, deadline: Option<u64>) {
        let folder = self.folder_mut(account);
        if let Some(last) = core::mem::replace(&mut folder.deadline, deadline) {
            self.deadlines.remove(&(last, account));
        }
        self.deadlines.extend(deadline.map(|at| (at, account)));
    }

    /// Accounts whose dead-man switch fires by now.
    pub fn overdue(&self, now: u64) -> Vec<AccountId> {
        let after = (now.saturating_add(1), AccountId(0));
        self.deadlines
            .range(..after)
            .map(|(_, account)| *account)
            .collect()
    }

    /// Waiting orders whose trigger a mark meets, in order of arrival.
    pub fn triggered(&self, mark: impl Fn(InstrumentId) -> Option<u64>) -> Vec<OrderId> {
        let (first, last) = (OrderId(0), OrderId(u64::MAX));
        let mut found = Vec::new();
        for instrument in self.instruments.keys() {
            let Some(mark) = mark(*instrument) else {
                continue;
            };
            let reached = (*instrument, 0, first)..=(*instrument, mark, last);
            found.extend(self.above.range(reached).map(|(_, _, id)| *id));
            let reached = (*instrument, mark, first)..=(*instrument, u64::MAX, last);
            found.extend(self.below.range(reached).map(|(_, _, id)| *id));
        }
        found.sort_unstable();
        found
    }

    /// A cancel for the ledger: of a slot's, the last counts.
    pub fn owe(&mut self, pending: PendingCancel) {
        let key = (pending.message.account, pending.message.slot);
        if self.cancels.insert(key, pending).is_none() {
            self.cancelled.push_back(key);
        }
    }

    /// The oldest cancel that the ledger does not have, once more than `keep` wait.
    pub fn next_owed(&mut self, keep: usize) -> Option<PendingCancel> {
        while self.cancels.len() > keep {
            let key = self.cancelled.pop_front()?;
            if let Some(pending) = self.cancels.remove(&key) {
                return Some(pending);
            }
        }
        None
    }

    /// The account's orders are dead anyway.
    pub fn forgive(&mut self, account: AccountId) {
        self.cancels.retain(|(of, _), _| *of != account);
    }

    /// Orders in instruments of which this holds.
    pub fn in_instruments(&self, holds: impl Fn(&InstrumentId) -> bool) -> Vec<OrderId> {
        if !self.instruments.keys().any(&holds) {
            return Vec::new();
        }
        let found = self
            .live
            .values()
            .filter(|live| holds(&live.order.instrument));
        found.map(|live| live.id).collect()
    }

    /// Remembers a client id; the account's oldest is forgotten.
    pub fn name(&mut self, account: AccountId, client_id: u128, id: OrderId) {
        if client_id == 0 {
            return;
        }
        let folder = self.folder_mut(account);
        folder.clients.insert(client_id, id);
        folder.past.push_back((client_id, id));
        if folder.past.len() > REMEMBERED
            && let Some((forgotten, _)) = folder.past.pop_front()
        {
            folder.clients.remove(&forgotten);
        }
    }

    /// Lots of an account's reduce-only orders in an instrument on a side, `but` apart, by arrival.
    pub fn reducing(
        &self,
        account: AccountId,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(u64, OrderId, u64)> {
        let is_one = |live: &&Live| {
            live.order.reduce_only
                && live.order.instrument == instrument
                && live.order.side == side
                && live.at != Whereabouts::Waiting
        };
        let found = self.of(account).filter(is_one);
        let mut found: Vec<_> = found.map(|live| (live.rank, live.id, live.open)).collect();
        found.sort_unstable();
        found
    }
}
