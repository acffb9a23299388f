//! Before the market opens: listings, first deposits, sub-accounts. All of it is journalled like
//! anything else, in epochs a minute apart that end where the market begins.

use std::collections::VecDeque;

use tally_protocol::bounds::PENDING_CHANGES;
use tally_protocol::epoch::EpochError;
use tally_protocol::listing::Change;
use tally_protocol::queue::{Request, Service};
use tally_protocol::types::InstrumentId;

use crate::market::agents::Agent;
use crate::market::custody::Custody;
use crate::market::floor::Floor;
use crate::market::listing::Listing;

/// Seconds between the epochs of the setup, and the timelock of listings.
pub const SETUP_SECONDS: u64 = 60;
/// Accounts opened in one epoch at most.
const OPENED_PER_EPOCH: usize = 1024;

/// What is still to be done, in order; agents by their place.
#[derive(Debug)]
pub struct Setup {
    changes: VecDeque<Change>,
    mains: VecDeque<usize>,
    subs: VecDeque<usize>,
    spots: VecDeque<usize>,
}

impl Setup {
    /// `prices` are the listings' first marks.
    pub fn new(listings: &[Listing], prices: &[u64], agents: &[Agent]) -> Self {
        let change = |(listing, price): (&Listing, &u64)| Change {
            params: listing.params,
            price: *price,
        };
        let places = |keep: fn(&Agent) -> bool| {
            let kept = agents.iter().enumerate().filter(|(_, agent)| keep(agent));
            kept.map(|(place, _)| place).collect()
        };
        Self {
            changes: listings.iter().zip(prices).rev().map(change).collect(),
            mains: places(|agent| agent.parent.is_none()),
            subs: places(|agent| agent.parent.is_some()),
            spots: places(|agent| agent.spot.is_some()),
        }
    }

    /// Epochs that suffice. A listing waits for its timelock, one epoch; the market's first epoch
    /// prices it. Collateral is listed first, so it is active by the third epoch; a sub-account
    /// waits for its parent, and for the parent's own items.
    pub fn epochs(&self) -> u64 {
        let rounds = |items: usize, each: usize| items.div_ceil(each) as u64;
        let listed = rounds(self.changes.len(), PENDING_CHANGES) + 1;
        let opened = rounds(self.mains.len(), OPENED_PER_EPOCH)
            + rounds(self.subs.len() + self.spots.len(), OPENED_PER_EPOCH)
            + 2;
        listed.max(opened)
    }

    pub fn is_done(&self) -> bool {
        let left = [&self.mains, &self.subs, &self.spots];
        self.changes.is_empty() && left.iter().all(|left| left.is_empty())
    }

    /// One epoch's share.
    pub fn step(
        &mut self,
        floor: &mut Floor,
        custody: &mut Custody,
        agents: &[Agent],
    ) -> Result<(), EpochError> {
        for change in take(&mut self.changes, PENDING_CHANGES) {
            custody.serve(floor, Request::Change(Box::new(change)), Service::Done);
        }
        for place in take(&mut self.mains, OPENED_PER_EPOCH) {
            custody.open_account(floor, &agents[place]);
        }
        for place in take(&mut self.spots, OPENED_PER_EPOCH) {
            let agent = &agents[place];
            let Some((row, lots)) = agent.spot else {
                continue;
            };
            let id = InstrumentId(row);
            let is_active = floor
                .row(id)
                .is_some_and(|(market, _)| market.mark > 0 && market.flags == 0);
            let is_open = floor.desk(agent.id)?.is_some() && !floor.is_reserved(agent.id);
            match is_active && is_open {
                true => custody.deposit(floor, agent, id, lots, None),
                false => self.spots.push_back(place),
            }
        }
        for place in take(&mut self.subs, OPENED_PER_EPOCH) {
            if !custody.open_sub_account(floor, &agents[place])? {
                self.subs.push_back(place);
            }
        }
        Ok(())
    }
}

fn take<T>(queue: &mut VecDeque<T>, most: usize) -> Vec<T> {
    queue.drain(..queue.len().min(most)).collect()
}
