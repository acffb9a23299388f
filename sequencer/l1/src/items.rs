//! From a queue item's request to the call that queues it.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use plonky2::field::types::PrimeField64;
use tally_protocol::account::{Keys, Owner};
use tally_protocol::instrument::InstrumentKind;
use tally_protocol::listing::{Change, row_of};
use tally_protocol::queue::{Deposit, Request};
use tally_protocol::types::Side;

use crate::abi::Settlement;

/// Who calls the contract for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The item's sender.
    Sender(Address),
    /// The item names nobody.
    Anyone,
    /// By way of the timelock.
    Governor,
}

/// A call that queues an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// What is asked for, in a word.
    pub name: &'static str,
    pub by: Asker,
    pub input: Bytes,
    /// Asset and lots that come in with it.
    pub brings: Option<(u32, u64)>,
    /// The asset that a listing names an instrument of, and the most that may be held of it.
    pub lists: Option<(u32, u64)>,
}

impl Asking {
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Deposit(deposit) => brought(deposit),
            Request::Withdraw {
                sender,
                account,
                instrument,
                amount,
            } => {
                let call = Settlement::requestWithdrawCall {
                    account: account.0,
                    asset: row_of(instrument.0),
                    lots: *amount,
                };
                Self::new("withdraw", by(sender), &call)
            }
            Request::KeyChange {
                sender,
                account,
                keys,
            } => {
                let call = Settlement::requestKeyChangeCall {
                    account: account.0,
                    keys: key_words(keys),
                };
                Self::new("key_change", by(sender), &call)
            }
            Request::CancelAll { sender, account } => {
                let call = Settlement::requestCancelAllCall { account: account.0 };
                Self::new("cancel_all", by(sender), &call)
            }
            Request::Flag { account } => {
                let call = Settlement::requestFlagCall { account: account.0 };
                Self::new("flag", Asker::Anyone, &call)
            }
            Request::Take(take) => {
                let call = Settlement::requestTakeCall {
                    account: take.account.0,
                    taker: take.taker.0,
                    instrument: take.instrument.0,
                    short: take.side == Side::Short,
                    size: take.size,
                    limit: take.limit,
                };
                Self::new("take", by(&take.sender), &call)
            }
            Request::Absorb { account } => {
                let call = Settlement::requestAbsorbCall { account: account.0 };
                Self::new("absorb", Asker::Anyone, &call)
            }
            Request::Change(change) => changed(change),
        }
    }

    fn new(name: &'static str, by: Asker, call: &impl SolCall) -> Self {
        Self {
            name,
            by,
            input: call.abi_encode().into(),
            brings: None,
            lists: None,
        }
    }
}

fn brought(deposit: &Deposit) -> Asking {
    let (asset, lots) = (row_of(deposit.instrument.0), deposit.amount);
    let by = by(&deposit.sender);
    let asking = match &deposit.create {
        Some(new) => {
            let call = Settlement::openCall {
                asset,
                lots,
                keys: key_words(&new.keys),
                isolated: new.isolated,
            };
            Asking::new("open", by, &call)
        }
        None => {
            let call = Settlement::depositCall {
                account: deposit.account.0,
                asset,
                lots,
            };
            Asking::new("deposit", by, &call)
        }
    };
    Asking {
        brings: Some((asset, lots)),
        ..asking
    }
}

fn changed(change: &Change) -> Asking {
    let words = change.words().map(|word| word.to_canonical_u64());
    let call = Settlement::requestChangeCall { change: words };
    let params = &change.params;
    let is_backed = params.kind == InstrumentKind::Spot;
    Asking {
        lists: is_backed.then_some((params.asset, params.max_open_interest)),
        ..Asking::new("change", Asker::Governor, &call)
    }
}

fn by(owner: &Owner) -> Asker {
    Asker::Sender(Address::from(owner.0))
}

fn key_words(keys: &Keys) -> [u64; 10] {
    let mut words = keys.key.iter().chain(&keys.trading_key);
    std::array::from_fn(|_| words.next().map_or(0, |word| word.to_canonical_u64()))
}
