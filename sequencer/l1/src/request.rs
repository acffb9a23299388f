//! From a queue item's words, as the contract's event has them, to what the sequencer serves
//! \[J4\], \[C1\]: the other way of `Request::words`.

use plonky2::field::types::{Field, PrimeField64};
use tally_protocol::account::{Keys, Owner, PublicKey};
use tally_protocol::hash::F;
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::listing::Change;
use tally_protocol::queue::{Deposit, ITEM_WORDS, NewAccount, Request, Take};
use tally_protocol::types::{AccountId, InstrumentId, Side};

const CREATES: u64 = 2;
const ISOLATED: u64 = 4;
const CHANGE: u64 = 8;

/// `None` where the words are those of no request: what comes back has exactly these words.
pub fn request_of(words: &[u64; ITEM_WORDS]) -> Option<Request> {
    let [
        kind,
        account,
        taker,
        s0,
        s1,
        s2,
        instrument,
        amount,
        limit,
        flags,
        ..,
    ] = *words;
    if kind == CHANGE {
        let request = Request::Change(Box::new(change(words)?));
        return (canonical(&request) == *words).then_some(request);
    }
    let account = AccountId(u32::try_from(account).ok()?);
    let instrument = InstrumentId(u32::try_from(instrument).ok()?);
    let sender = owner([s0, s1, s2])?;
    let request = match kind {
        1 => Request::Deposit(Deposit {
            sender,
            account,
            instrument,
            amount,
            create: (flags & CREATES != 0).then(|| NewAccount {
                keys: keys(words),
                isolated: flags & ISOLATED != 0,
            }),
        }),
        2 => Request::Withdraw {
            sender,
            account,
            instrument,
            amount,
        },
        3 => Request::KeyChange {
            sender,
            account,
            keys: keys(words),
        },
        4 => Request::CancelAll { sender, account },
        5 => Request::Flag { account },
        6 => Request::Take(Take {
            sender,
            account,
            taker: AccountId(u32::try_from(taker).ok()?),
            instrument,
            side: match flags & 1 {
                0 => Side::Long,
                _ => Side::Short,
            },
            size: amount,
            limit,
        }),
        7 => Request::Absorb { account },
        _ => return None,
    };
    (canonical(&request) == *words).then_some(request)
}

fn canonical(request: &Request) -> [u64; ITEM_WORDS] {
    request.words().map(|word| word.to_canonical_u64())
}

/// Seven, seven and six bytes.
fn owner([high, middle, low]: [u64; 3]) -> Option<Owner> {
    let in_range = high >> 56 == 0 && middle >> 56 == 0 && low >> 48 == 0;
    let mut bytes = [0; 20];
    bytes[..7].copy_from_slice(&high.to_be_bytes()[1..]);
    bytes[7..14].copy_from_slice(&middle.to_be_bytes()[1..]);
    bytes[14..].copy_from_slice(&low.to_be_bytes()[2..]);
    in_range.then_some(Owner(bytes))
}

fn keys(words: &[u64; ITEM_WORDS]) -> Keys {
    let element = |place: usize| F::from_noncanonical_u64(words[place]);
    let at = |from: usize| -> PublicKey { std::array::from_fn(|it| element(from + it)) };
    Keys {
        key: at(10),
        trading_key: at(15),
    }
}

fn change(words: &[u64; ITEM_WORDS]) -> Option<Change> {
    let short = |place: usize| u32::try_from(words[place]).ok();
    Some(Change {
        params: RowParams {
            id: InstrumentId(short(1)?),
            kind: InstrumentKind::from_number(words[2])?,
            asset: short(3)?,
            max_price: words[4],
            max_size: words[5],
            max_open_interest: words[6],
            initial_long: short(7)?,
            initial_short: short(8)?,
            maintenance_long: short(9)?,
            maintenance_short: short(10)?,
            penalty: short(11)?,
            fill_band: short(12)?,
            price_band: short(13)?,
            funding_cap: short(14)?,
        },
        price: words[15],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_protocol::hash::unsigned;

    fn samples() -> Vec<Request> {
        let sender = Owner(std::array::from_fn(|it| 200 + it as u8));
        let (account, instrument) = (AccountId(1_030), InstrumentId(3));
        let some =
            |from: u64| -> PublicKey { std::array::from_fn(|it| unsigned(from + it as u64)) };
        let keys = Keys {
            key: some(1 << 60),
            trading_key: some(9),
        };
        let deposit = |create| {
            Request::Deposit(Deposit {
                sender,
                account,
                instrument,
                amount: (1 << 56) - 1,
                create,
            })
        };
        let new = |isolated| Some(NewAccount { keys, isolated });
        vec![
            deposit(None),
            deposit(new(false)),
            deposit(new(true)),
            Request::Withdraw {
                sender,
                account,
                instrument,
                amount: 5,
            },
            Request::KeyChange {
                sender,
                account,
                keys,
            },
            Request::CancelAll { sender, account },
            Request::Flag { account },
            Request::Take(Take {
                sender,
                account,
                taker: AccountId(1_031),
                instrument,
                side: Side::Short,
                size: 4,
                limit: 6,
            }),
            Request::Absorb { account },
            Request::Change(Box::new(Change {
                params: RowParams {
                    id: InstrumentId(1_027),
                    kind: InstrumentKind::Perpetual,
                    max_price: 7,
                    price_band: 8,
                    funding_cap: 1,
                    ..RowParams::default()
                },
                price: 20_000_000,
            })),
        ]
    }

    #[test]
    fn c1_an_items_words_and_its_request_are_one() {
        for request in samples() {
            assert_eq!(request_of(&canonical(&request)), Some(request));
        }
    }

    /// What a request does not use is 0, and a number that it cannot hold is no number of it.
    #[test]
    fn c1_words_of_no_request_are_none() {
        for request in samples() {
            let good = canonical(&request);
            for place in 0..ITEM_WORDS {
                let mut other = good;
                other[place] ^= 1 << 57;
                let read = request_of(&other);
                assert!(read.is_none_or(|read| canonical(&read) == other && read != request));
            }
        }
        assert_eq!(request_of(&[9; ITEM_WORDS]), None);
    }
}
