//! Several trades, or none of them.

use std::collections::BTreeMap;

use crate::entry::{Effects, Entry};
use crate::epoch::{EpochBuilder, EpochError, Signatures, message_of};
use crate::journal::layout::fee_account;
use crate::posting::Needs;
use crate::types::AccountId;

impl EpochBuilder<'_> {
    /// As `push_signed` for each entry; where one is refused, its place and the reason, and nothing
    /// has happened. For trades and messages: not for L1 items, which change the header.
    pub fn push_all_signed(
        &mut self,
        entries: Vec<Entry>,
        signatures: &dyn Signatures,
    ) -> Result<Vec<Effects>, (usize, EpochError)> {
        let mut accounts = BTreeMap::new();
        let mut messages = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let effects = entry.effects(&self.entry_terms());
            let effects = effects.map_err(|error| (place, error.into()))?;
            let mut save = |id: AccountId| {
                let running = || self.accounts.get(&id).cloned();
                accounts.entry(id).or_insert_with(running);
            };
            save(fee_account(self.terms.deficit));
            for opened in &effects.postings {
                save(opened.posting.account);
                let message = message_of(&opened.posting);
                let traded = opened.posting.needs.has(Needs::TRADING_KEY);
                if traded && !self.by_trading_key.contains(&message) {
                    messages.push(message);
                }
            }
        }
        let (index, length, discounts) = (self.next_index, self.entries.len(), self.discounts);
        let open = self.open.clone();
        let mut done = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            match self.push_signed(entry, signatures) {
                Ok(effects) => done.push(effects),
                Err(error) => {
                    for (id, running) in accounts {
                        match running {
                            Some(running) => drop(self.accounts.insert(id, running)),
                            None => drop(self.accounts.remove(&id)),
                        }
                    }
                    for message in messages {
                        self.by_trading_key.remove(&message);
                    }
                    self.entries.truncate(length);
                    (self.next_index, self.discounts, self.open) = (index, discounts, open);
                    return Err((place, error));
                }
            }
        }
        Ok(done)
    }
}
