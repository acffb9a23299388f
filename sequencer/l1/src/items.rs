//! From a queue item's words back to the call that queues it.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use plonky2::field::types::PrimeField64;
use tally_protocol::listing::row_of;
use tally_protocol::queue::{ITEM_WORDS, QueueRecord};

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
    pub by: Asker,
    pub input: Bytes,
    /// Asset and lots that come in with it.
    pub brings: Option<(u32, u64)>,
    /// The asset that a listing names an instrument of, and the most that may be held of it.
    pub lists: Option<(u32, u64)>,
}

/// Places of an item's words, as in `PriorityQueue.sol`.
const ACCOUNT: usize = 1;
const TAKER: usize = 2;
const SENDER: usize = 3;
const INSTRUMENT: usize = 6;
const AMOUNT: usize = 7;
const LIMIT: usize = 8;
const FLAGS: usize = 9;
const KEYS: usize = 10;
const CREATES: u64 = 2;
const ISOLATED: u64 = 4;
/// Words of a change, after the item's kind.
const CHANGE: usize = 15;

impl Asking {
    /// `None` where no call queues such an item.
    pub fn of(record: &QueueRecord) -> Option<Self> {
        let words: [u64; ITEM_WORDS] = record.words.map(|word| word.to_canonical_u64());
        let number = |place: usize| u32::try_from(words[place]).ok();
        let (account, taker) = (number(ACCOUNT)?, number(TAKER)?);
        let asset = row_of(number(INSTRUMENT)?);
        let lots = words[AMOUNT];
        let keys: [u64; 10] = std::array::from_fn(|place| words[KEYS + place]);
        let by_sender = |input: Vec<u8>| Self {
            by: Asker::Sender(sender(&words)),
            input: input.into(),
            brings: None,
            lists: None,
        };
        let by_anyone = |input: Vec<u8>| Self {
            by: Asker::Anyone,
            ..by_sender(input)
        };
        Some(match words[0] {
            1 => Self {
                brings: Some((asset, lots)),
                ..by_sender(match words[FLAGS] & CREATES != 0 {
                    true => Settlement::openCall {
                        asset,
                        lots,
                        keys,
                        isolated: words[FLAGS] & ISOLATED != 0,
                    }
                    .abi_encode(),
                    false => Settlement::depositCall {
                        account,
                        asset,
                        lots,
                    }
                    .abi_encode(),
                })
            },
            2 => by_sender(
                Settlement::requestWithdrawCall {
                    account,
                    asset,
                    lots,
                }
                .abi_encode(),
            ),
            3 => by_sender(Settlement::requestKeyChangeCall { account, keys }.abi_encode()),
            4 => by_sender(Settlement::requestCancelAllCall { account }.abi_encode()),
            5 => by_anyone(Settlement::requestFlagCall { account }.abi_encode()),
            6 => by_sender(
                Settlement::requestTakeCall {
                    account,
                    taker,
                    instrument: number(INSTRUMENT)?,
                    short: words[FLAGS] & 1 != 0,
                    size: lots,
                    limit: words[LIMIT],
                }
                .abi_encode(),
            ),
            7 => by_anyone(Settlement::requestAbsorbCall { account }.abi_encode()),
            8 => change(&words)?,
            _ => return None,
        })
    }
}

/// Words: id, kind, asset, M, max size, max open interest, and so on.
fn change(words: &[u64; ITEM_WORDS]) -> Option<Asking> {
    let change: [u64; CHANGE] = std::array::from_fn(|place| words[1 + place]);
    let [_, kind, asset, _, _, max_open_interest, ..] = change;
    let asset = u32::try_from(asset).ok()?;
    Some(Asking {
        by: Asker::Governor,
        input: Settlement::requestChangeCall { change }.abi_encode().into(),
        brings: None,
        lists: (kind == SPOT).then_some((asset, max_open_interest)),
    })
}

/// The kind of an instrument that a token backs.
const SPOT: u64 = 2;

/// 7, 7 and 6 bytes.
fn sender(words: &[u64; ITEM_WORDS]) -> Address {
    let [a, b, c] = [words[SENDER], words[SENDER + 1], words[SENDER + 2]];
    let bytes = [
        &a.to_be_bytes()[1..],
        &b.to_be_bytes()[1..],
        &c.to_be_bytes()[2..],
    ];
    Address::from_slice(&bytes.concat())
}
