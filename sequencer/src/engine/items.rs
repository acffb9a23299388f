//! The L1 queue \[J4\]: items are served in their order as an epoch begins, before anything else
//! touches their accounts, and each ends in the one way that it can. An account that an item has
//! does nothing else in the epoch: its orders leave the book for as long, with their rank.

use tally_protocol::entry::Entry;
use tally_protocol::queue::{Item, Request, Served, Service, Take};
use tally_protocol::types::AccountId;

use super::Engine;
use super::orders::Whereabouts;
use crate::event::{Event, OrderId};
use crate::reject::Reject;

impl Engine {
    /// \[C1\] Takes the next finalised item in.
    pub(super) fn item(&mut self, item: Item) -> Result<(), Reject> {
        let (index, next) = (item.index, self.next_item);
        if index != next {
            return Err(Reject::Item { index, next });
        }
        self.next_item = next.saturating_add(1);
        self.items.push_back(item);
        Ok(())
    }

    /// Rows that the next items name, so that the epoch reads them.
    pub(super) fn rows_of_items(&self) -> std::collections::BTreeSet<u32> {
        let items = self.items.iter().take(self.config.max_items);
        items.filter_map(|item| item.request.row()).collect()
    }

    /// Serves items until one has to wait: for its account, its row, or the end of a pause.
    pub(super) fn serve_items(&mut self) {
        for _ in 0..self.config.max_items {
            let Some(item) = self.items.front().cloned() else {
                return;
            };
            let accounts = accounts(&item.request);
            let waits = |account: &AccountId| self.is_taken(*account) || self.is_due(*account);
            if accounts.iter().any(waits) {
                return;
            }
            let Some(epoch) = self.epoch_mut() else {
                return;
            };
            let Ok(Some(service)) = epoch.builder.service(&item.request) else {
                return;
            };
            let served = Served {
                item: item.clone(),
                service: service.clone(),
            };
            let entry = Entry::Item(Box::new(served));
            let Ok(effects) = epoch.builder.push(entry) else {
                return;
            };
            self.items.pop_front();
            // A fault of the item itself says nothing of its accounts.
            for account in &accounts {
                if self.is_taken(*account) {
                    self.reserve(*account);
                }
            }
            self.emit(Event::Item {
                index: item.index,
                outcome: effects.outcome.map_or(0, |record| record.outcome),
            });
            self.follow_item(&item.request, &service);
        }
    }

    fn follow_item(&mut self, request: &Request, service: &Service) {
        if matches!(service, Service::Refused(_)) {
            return;
        }
        match request {
            Request::KeyChange { account, .. } => {
                self.end_generation(*account);
                self.emit(Event::KeysChanged { account: *account });
            }
            Request::CancelAll { account, .. } => self.end_generation(*account),
            Request::Flag { account } => self.emit(Event::Flagged { account: *account }),
            Request::Withdraw {
                account,
                instrument,
                ..
            } => self.trim(*account, *instrument),
            _ => {}
        }
    }

    /// Something in this epoch has touched the account.
    fn is_taken(&self, account: AccountId) -> bool {
        let touched = |epoch: &super::Epoch| {
            let running = epoch.builder.running(account);
            running.is_some_and(|running| running.done.postings > 0)
        };
        self.is_reserved(account) || self.epoch().is_some_and(touched)
    }

    /// A liquidatable account that an item had in the last epoch has this one for its flag and its
    /// liquidation: else it could keep both away by an item an epoch.
    fn is_due(&self, account: AccountId) -> bool {
        self.last_reserved.contains(&account) && self.watch.is_below(account)
    }

    /// \[J4\] Takes the account out of the epoch's trading.
    pub(super) fn reserve(&mut self, account: AccountId) {
        if let Some(epoch) = self.epoch_mut() {
            epoch.reserved.insert(account);
        }
        let resting = self
            .orders
            .of(account)
            .filter(|live| live.at == Whereabouts::Resting);
        let ids: Vec<OrderId> = resting.map(|live| live.id).collect();
        for id in ids {
            let Some(live) = self.orders.get_mut(id) else {
                continue;
            };
            live.at = Whereabouts::Parked;
            let (rank, spot, instrument) = (live.rank, live.spot(), live.order.instrument);
            self.orders.parked.insert((rank, id));
            self.books.entry(instrument).or_default().set(spot, 0);
            self.changed.insert(instrument);
        }
    }

    /// Orders whose account was reserved in the last epoch come back, in order of arrival. One
    /// that meets what came meanwhile takes it, as if it were incoming.
    pub(super) fn unpark(&mut self) {
        for (_, id) in core::mem::take(&mut self.orders.parked) {
            let Some(live) = self.orders.get(id) else {
                continue;
            };
            let waits = !self.can_match(live.order.instrument) && self.would_take(live);
            if self.is_reserved(live.order.account) || waits {
                let rank = live.rank;
                self.orders.parked.insert((rank, id));
                continue;
            }
            if let Some(live) = self.orders.remove(id) {
                self.place(live);
            }
        }
    }
}

fn accounts(request: &Request) -> Vec<AccountId> {
    match request {
        Request::Take(Take { account, taker, .. }) => vec![*account, *taker],
        request => request.account().into_iter().collect(),
    }
}
