//! What gets a place in the log, and what was there before.

use std::collections::{HashMap, VecDeque};

use tally_api::CommandHash;
use tally_protocol::ledger::Running;
use tally_protocol::message::Cancel;
use tally_protocol::order::Place;
use tally_protocol::types::AccountId;
use tally_sequencer::command::{Command, Operation, Signed, Submit, Verified};
use tally_sequencer::engine::Engine;
use tally_sequencer::event::Phase;
use tally_sequencer::reject::Reject;

use super::Taken;

/// Bytes of a record before its command: version and time.
const RECORD_HEAD: usize = 9;

/// Milliseconds in which a refused command, sent again, gets the same answer and no second place.
const REMEMBERED_MS: u64 = 1_000;
/// Refusals that are remembered.
const REMEMBERED: usize = 4_096;

/// What was just refused of the lane without limits. Such a command uses nothing up, so whoever has
/// seen it could fill the log with it.
#[derive(Debug, Default)]
pub struct Refusals {
    answers: HashMap<CommandHash, Taken>,
    /// By position.
    accounts: HashMap<AccountId, VecDeque<(u64, CommandHash)>>,
    /// Time and position of all, also of those forgotten since.
    order: VecDeque<(u64, AccountId, u64)>,
}

impl Refusals {
    /// The answer that the same command just had. Times come in their order.
    pub fn answer(&mut self, record: &[u8], at_ms: u64) -> Option<Taken> {
        while let Some((refused, account, position)) = self.order.front().copied() {
            let is_old = refused.saturating_add(REMEMBERED_MS) <= at_ms;
            if !is_old && self.order.len() <= REMEMBERED {
                break;
            }
            self.order.pop_front();
            self.drop_oldest(account, position);
        }
        let answer = self.answers.get(&body(record))?.clone();
        Some(Taken {
            repeated: true,
            ..answer
        })
    }

    /// An account's answers go in the order in which they came, if `forget` has left them.
    fn drop_oldest(&mut self, account: AccountId, position: u64) {
        let Some(held) = self.accounts.get_mut(&account) else {
            return;
        };
        if let Some((_, hash)) = held.pop_front_if(|(held, _)| *held == position) {
            self.answers.remove(&hash);
        }
        if held.is_empty() {
            self.accounts.remove(&account);
        }
    }

    pub fn remember(&mut self, account: AccountId, record: &[u8], at_ms: u64, answer: &Taken) {
        let (hash, position) = (body(record), answer.receipt.position);
        self.order.push_back((at_ms, account, position));
        let held = self.accounts.entry(account).or_default();
        held.push_back((position, hash));
        self.answers.insert(hash, answer.clone());
    }

    /// Something of the account was taken: what was refused before may be taken now. A cancel that
    /// has overtaken its order is one.
    pub fn forget(&mut self, account: AccountId) {
        for (_, hash) in self.accounts.remove(&account).unwrap_or_default() {
            self.answers.remove(&hash);
        }
    }
}

/// Of the record without its time.
fn body(record: &[u8]) -> CommandHash {
    CommandHash::of(record.get(RECORD_HEAD..).unwrap_or_default())
}

/// Whose refusal is remembered: where nothing else bounds its repetition.
pub fn unlimited(verified: &Verified) -> Option<AccountId> {
    let first = verified.signers().first()?.account;
    verified.record().command.has_own_lane().then_some(first)
}

/// Anybody can sign with a key of his own: only what an account's keys signed gets a place in the
/// log, so that strangers cannot fill it. Orders get none before the engine takes any.
pub fn may_sign(engine: &Engine, verified: &Verified) -> Result<(), Reject> {
    if let (Phase::Starting { rounds }, Command::Submit(_) | Command::Batch(_)) =
        (engine.status().phase, &verified.record().command)
    {
        return Err(Reject::Starting { rounds });
    }
    let mut accounts = Vec::with_capacity(verified.signers().len());
    for signer in verified.signers() {
        let running = engine.running(signer.account)?;
        let keys = running.rest.keys;
        if !running.exists {
            return Err(Reject::NoAccount);
        }
        if signer.key != keys.key && signer.key != keys.trading_key {
            return Err(Reject::Key);
        }
        accounts.push(running);
    }
    is_new(engine, &accounts, &verified.record().command)
}

/// \[S4\] What came before, repeated by whoever has seen it, gets no second place. Of a batch one
/// operation has to be new.
fn is_new(engine: &Engine, signers: &[Running], command: &Command) -> Result<(), Reject> {
    let Some(first) = signers.first() else {
        return Ok(());
    };
    let (generation, place) = match command {
        Command::Batch(operations) => {
            let mut old = Ok(());
            for (operation, running) in operations.iter().zip(signers).rev() {
                match is_next(engine, running, named(operation)) {
                    Ok(()) => return Ok(()),
                    error => old = error,
                }
            }
            return old;
        }
        Command::DeadMan(signed) => {
            let (named, held) = (signed.message.generation, first.rest.generation);
            if named != held {
                return Err(Reject::Generation { named, held });
            }
            let named = signed.message.counter;
            let seen = engine.counter(first.id);
            return match named > seen {
                true => Ok(()),
                false => Err(Reject::Counter { named, seen }),
            };
        }
        Command::Submit(submit) => (submit.order.generation, submit.order.place),
        Command::Cancel(signed) => cancelled(signed),
        Command::CancelAll(it) => (it.message.generation, Place::Nonce(it.message.nonce)),
        Command::Withdraw(it) => (it.message.generation, Place::Nonce(it.message.nonce)),
        Command::KeyChange(it) => (it.message.generation, Place::Nonce(it.message.nonce)),
        Command::Transfer(it) => {
            let message = &it.entry.message;
            (message.generation, Place::Nonce(message.nonce))
        }
        _ => return Ok(()),
    };
    is_next(engine, first, (generation, place))
}

fn named(operation: &Operation) -> (u32, Place) {
    match operation {
        Operation::Submit(submit) => (submit.order.generation, submit.order.place),
        Operation::Cancel(signed) => cancelled(signed),
    }
}

fn cancelled(signed: &Signed<Cancel>) -> (u32, Place) {
    let (slot, sequence) = (signed.message.slot, signed.message.sequence);
    (signed.message.generation, Place::Slot { slot, sequence })
}

fn is_next(
    engine: &Engine,
    running: &Running,
    (generation, place): (u32, Place),
) -> Result<(), Reject> {
    let rest = &running.rest;
    let (named, held) = (generation, rest.generation);
    if named != held {
        return Err(Reject::Generation { named, held });
    }
    match place {
        Place::Nonce(named) if named < rest.nonce => {
            let held = rest.nonce;
            Err(Reject::Nonce { named, held })
        }
        Place::Slot { slot, sequence } => {
            let next = engine.next_sequence(running.id, slot);
            let (named, seen) = (sequence, next.saturating_sub(1));
            match named < next {
                true => Err(Reject::Sequence { named, seen }),
                false => Ok(()),
            }
        }
        Place::Nonce(_) => Ok(()),
    }
}

pub fn is_same(first: &[u8], record: &[u8]) -> bool {
    first.get(RECORD_HEAD..) == record.get(RECORD_HEAD..)
}

/// The client's name for a command, by which it is answered again: an order's, or that of a batch's
/// first named order.
pub fn client_of(command: &Command) -> Option<(u32, u128)> {
    match command {
        Command::Submit(submit) => name_of(submit),
        command => clients_of(command).first().copied(),
    }
}

pub fn clients_of(command: &Command) -> Vec<(u32, u128)> {
    match command {
        Command::Submit(submit) => name_of(submit).into_iter().collect(),
        Command::Batch(operations) => {
            let named = operations.iter().filter_map(|operation| match operation {
                Operation::Submit(submit) => name_of(submit),
                Operation::Cancel(_) => None,
            });
            named.collect()
        }
        _ => Vec::new(),
    }
}

fn name_of(submit: &Submit) -> Option<(u32, u128)> {
    let name = (submit.order.account.0, submit.terms.client_id);
    (name.1 != 0).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tally_api::{Link, Receipt};

    use super::super::Refusal;
    use super::*;

    const ANN: AccountId = AccountId(1_024);
    const BOB: AccountId = AccountId(1_025);

    fn record(number: u32) -> Vec<u8> {
        [&[0; RECORD_HEAD][..], &number.to_le_bytes()].concat()
    }

    fn refused(position: u64) -> Taken {
        let refusal = Refusal {
            code: "S4.no_order".to_owned(),
            message: String::new(),
            is_passing: false,
        };
        Taken {
            receipt: Receipt {
                position,
                time_ms: 0,
                command: CommandHash::of(b""),
                link: Link::default(),
            },
            result: Err(refusal),
            events: Arc::from([]),
            repeated: false,
        }
    }

    #[test]
    fn a_refusal_is_remembered_for_a_second_or_until_its_account_is_heard() {
        let mut refusals = Refusals::default();
        refusals.remember(ANN, &record(1), 0, &refused(1));
        refusals.remember(BOB, &record(2), 10, &refused(2));
        refusals.remember(ANN, &record(3), 20, &refused(3));
        let mut later = record(1);
        later[3] = 9;
        let again = refusals.answer(&later, 900).unwrap();
        assert_eq!((again.receipt.position, again.repeated), (1, true));
        assert!(refusals.answer(&record(4), 900).is_none());
        assert!(refusals.answer(&record(1), 1_000).is_none());
        refusals.forget(ANN);
        assert!(refusals.answer(&record(3), 1_000).is_none());
        assert!(refusals.answer(&record(2), 1_009).is_some());
        // Refused anew, it is remembered from then on.
        refusals.remember(ANN, &record(3), 1_009, &refused(4));
        assert!(refusals.answer(&record(3), 1_500).is_some());
        assert!(refusals.answer(&record(3), 2_009).is_none());
        assert!(refusals.answers.is_empty() && refusals.accounts.is_empty());
    }

    #[test]
    fn refusals_are_bounded() {
        let mut refusals = Refusals::default();
        for number in 0..REMEMBERED as u32 + 10 {
            refusals.remember(ANN, &record(number), 0, &refused(number.into()));
        }
        assert!(refusals.answer(&record(9), 0).is_none());
        assert!(refusals.answer(&record(10), 0).is_some());
        assert_eq!(refusals.answers.len(), REMEMBERED);
        assert_eq!(refusals.accounts[&ANN].len(), REMEMBERED);
    }
}
