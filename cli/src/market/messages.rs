//! What accounts sign beside orders, transfers and withdrawals: cancels of what rests, the end of
//! all orders, new keys \[S4\].

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tally_protocol::entry::Entry;
use tally_protocol::epoch::EpochError;
use tally_protocol::message::{Cancel, CancelAll, KeyChange};
use tally_protocol::order::Place;
use tally_protocol::types::AccountId;

use crate::market::agents::{Agent, Role};
use crate::market::floor::Floor;
use crate::market::trading::Books;

/// One in so many resting orders is cancelled in an epoch.
const CANCELLING: u32 = 16;
/// One in so many traders ends all its orders in an epoch.
const ENDING: u32 = 500;
/// One in so many traders takes new keys in an epoch.
const RENEWING: u32 = 2_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub cancels: u64,
    pub cancel_alls: u64,
    pub key_changes: u64,
}

pub fn send(
    floor: &mut Floor,
    books: &mut Books,
    agents: &mut [Agent],
    rng: &mut ChaCha8Rng,
) -> Result<Sent, EpochError> {
    let mut sent = Sent::default();
    for agent in agents.iter_mut() {
        if !matches!(agent.role, Role::Trader { .. }) || floor.is_reserved(agent.id) {
            continue;
        }
        if rng.gen_ratio(1, ENDING) {
            sent.cancel_alls += u64::from(cancel_all(floor, agent)?);
        } else if rng.gen_ratio(1, RENEWING) {
            sent.key_changes += u64::from(change_keys(floor, agent, rng)?);
        }
    }
    for (account, slot) in given_up(floor, books, rng) {
        let agent = agents.iter_mut().find(|agent| agent.id == account);
        let (Some(agent), Some(desk)) = (agent, floor.desk(account)?) else {
            continue;
        };
        floor.entries.push(Entry::Cancel(Cancel {
            account,
            generation: desk.running().rest.generation,
            slot,
            sequence: agent.next_sequence(slot),
        }));
        sent.cancels += 1;
    }
    Ok(sent)
}

/// Resting orders that their traders no longer want, out of the books: account and order slot.
fn given_up(floor: &Floor, books: &mut Books, rng: &mut ChaCha8Rng) -> Vec<(AccountId, u8)> {
    let mut cancelled = Vec::new();
    for book in books.iter_mut() {
        book.retain(|resting| match resting.order.place {
            Place::Slot { slot, .. }
                if !floor.is_reserved(resting.order.account) && rng.gen_ratio(1, CANCELLING) =>
            {
                cancelled.push((resting.order.account, slot));
                false
            }
            _ => true,
        });
    }
    cancelled
}

/// False where one of this epoch's messages has the nonce already.
fn cancel_all(floor: &mut Floor, agent: &Agent) -> Result<bool, EpochError> {
    let Some((generation, nonce)) = spoken(floor, agent.id)? else {
        return Ok(false);
    };
    floor.entries.push(Entry::CancelAll(CancelAll {
        account: agent.id,
        generation,
        nonce,
    }));
    Ok(true)
}

fn change_keys(
    floor: &mut Floor,
    agent: &mut Agent,
    rng: &mut ChaCha8Rng,
) -> Result<bool, EpochError> {
    let Some((generation, nonce)) = spoken(floor, agent.id)? else {
        return Ok(false);
    };
    let keys = agent.next_keys(rng);
    floor.entries.push(Entry::KeyChange(KeyChange {
        account: agent.id,
        generation,
        nonce,
        keys,
    }));
    agent.keys = keys;
    Ok(true)
}

/// Generation and nonce of an account whose generation the message ends: it does nothing else in
/// the epoch.
fn spoken(floor: &mut Floor, id: AccountId) -> Result<Option<(u32, u32)>, EpochError> {
    let Some(desk) = floor.desk(id)? else {
        return Ok(None);
    };
    let Some(nonce) = floor.nonce(&desk) else {
        return Ok(None);
    };
    floor.speak(id);
    floor.reserve(id);
    Ok(Some((desk.running().rest.generation, nonce)))
}
