//! Vectors that Rust and Solidity share \[P6\], \[C1\]: a batch's bytes with what they say, its
//! point, value and instances; and the queue items' bytes. `TALLY_WRITE_VECTORS=1` writes them,
//! contracts/test/Vectors.t.sol reads them.

use std::fmt::Write as _;
use std::path::PathBuf;

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use serde_json::{Value, json};
use tally_circuits::batch::point;
use tally_circuits::summary::DataPolynomial;
use tally_protocol::account::{Keys, Money, Owner, Slot};
use tally_protocol::bounds::{ACCOUNT_DEPTH, FIELD_ORDER};
use tally_protocol::data::{
    AccountRecord, BatchStatement, DataList, STATEMENT_WORDS, bytes_of, words_of,
};
use tally_protocol::entry::Withdrawal;
use tally_protocol::hash::{Digest, F, halves, unsigned};
use tally_protocol::instrument::{InstrumentKind, Row, RowParams};
use tally_protocol::listing::Change;
use tally_protocol::queue::{Deposit, ITEM_WORDS, NewAccount, QueueRecord, Request, Take};
use tally_protocol::types::{AccountId, InstrumentId, Side};

const MOST: u64 = (1 << 56) - 1;
const LAST: u64 = FIELD_ORDER - 1;
const QUEUE_START: u64 = 7;

#[test]
fn p6_l1_vectors_are_pinned() {
    let made = json!({ "batch": batch(), "items": items() });
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/l1.json");
    if std::env::var_os("TALLY_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let pinned: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(
        made == pinned,
        "{} differs: TALLY_WRITE_VECTORS=1",
        path.display()
    );
}

/// Every width at its edge: p − 1 in digests, C and keys, 2^56 − 1 in words, least and most of the
/// signed numbers.
fn batch() -> Value {
    let records = lists().map(|list| list.words()).concat();
    let statement = BatchStatement {
        length: (STATEMENT_WORDS + records.len()) as u64,
        chain_id: 31_337,
        contract: [0x00ff_0102_0304_05ff, MOST, (1 << 48) - 1],
        first_epoch: MOST - 1,
        last_epoch: MOST,
        round: MOST,
        time: MOST,
        sections: [3, 2, 3, 1],
        state_before: digest([LAST, 0, u64::from(u32::MAX), 1 << 32]),
        state_after: digest([LAST - 1, 1, LAST, FIELD_ORDER - (1 << 32)]),
        header_after: digest([LAST, LAST, 1 << 32, 0]),
    };
    let list = [&statement.words()[..], &records].concat();
    let data = bytes_of(&list).unwrap();
    assert_eq!(words_of(&data).unwrap(), list);
    let content = digest([LAST, 1, FIELD_ORDER / 2, LAST - 1]);
    let z = point(&statement, content, &data);
    let elements: Vec<F> = list.iter().map(|word| unsigned(*word)).collect();
    let y = DataPolynomial::evaluate(&elements, z).value;
    let [first, second] = lists();
    let queue = [first.queue.clone(), second.queue].concat();
    let paid = [first.withdrawals.clone(), second.withdrawals].concat();
    json!({
        "chain_id": statement.chain_id,
        "contract": hex(&statement.contract_bytes()),
        "first_epoch": statement.first_epoch.to_string(),
        "last_epoch": statement.last_epoch.to_string(),
        "round": statement.round.to_string(),
        "time": statement.time.to_string(),
        "state_before": residues(statement.state_before),
        "state_after": residues(statement.state_after),
        "queue_start": QUEUE_START,
        "items": hex(&queue.iter().flat_map(|r| published(&r.words)).collect::<Vec<_>>()),
        "withdrawals": hex(&paid.iter().flat_map(withdrawal).collect::<Vec<_>>()),
        "data": hex(&data),
        "content": decimals(&content.elements),
        "z": decimals(&z.0),
        "y": decimals(&y.0),
        "instances": instances(&[&content.elements[..], &z.0, &y.0].concat()),
    })
}

/// Two lists, the second without accounts.
fn lists() -> [DataList; 2] {
    let slot = |id: u32, carry: i64| Slot {
        instrument: InstrumentId(id),
        side: Side::Short,
        size: (1 << 48) - 1,
        carry,
    };
    let mut small = Money {
        cash: -((1 << 60) - 1),
        flagged_at: u32::MAX,
        touched_at: 7,
        ..Money::default()
    };
    small.slots[0] = slot(u32::MAX, (1 << 42) - 1);
    small.slots[3] = slot(3, 1 - (1 << 42));
    let mut large = small.clone();
    large.cash = (1 << 60) - 1;
    large.slots[15] = slot(9, -1);
    let account = |money: &Money| AccountRecord {
        id: (1 << ACCOUNT_DEPTH) - 1,
        money: money.clone(),
        rest: digest([LAST, 5, 0, 1 << 63]),
        owner: Owner([0xff; 20]),
    };
    let row = Row {
        premium: 1 - (1 << 48),
        long_carry: 1 - (1 << 42),
        short_carry: (1 << 42) - 1,
        insurance_size: 1 - (1 << 48),
        insurance_since: u32::MAX,
        ..Row::default()
    };
    let first = DataList {
        queue: vec![record(0, [unsigned(0); ITEM_WORDS]), record(1, extremes())],
        withdrawals: vec![Withdrawal {
            owner: Owner([0xff; 20]),
            asset: 895,
            amount: MOST,
        }],
        small: vec![account(&small), account(&Money::default())],
        large: vec![account(&large)],
        rows: vec![(1_023, row)],
    };
    let second = DataList {
        queue: vec![record(2, requests()[0].words())],
        withdrawals: vec![Withdrawal {
            owner: owner(3),
            asset: 0,
            amount: 1,
        }],
        ..DataList::default()
    };
    [first, second]
}

fn record(place: u64, words: [F; ITEM_WORDS]) -> QueueRecord {
    QueueRecord {
        index: QUEUE_START + place,
        words,
        outcome: place as u32 * 65,
    }
}

fn extremes() -> [F; ITEM_WORDS] {
    let mut words = [unsigned(MOST); ITEM_WORDS];
    words[10..].fill(unsigned(LAST));
    words
}

/// One of each kind, in an order in which the contract admits them; the accounts are 1,024 of
/// `owner(1)` and 1,025 of `owner(2)`.
fn requests() -> Vec<Request> {
    let keys = Keys {
        key: [LAST, 0, 1 << 32, u64::from(u32::MAX), 1].map(unsigned),
        trading_key: [0, LAST, 2, 3, LAST - 1].map(unsigned),
    };
    let (first, second) = (AccountId(1_024), AccountId(1_025));
    let open = |sender: u8, account, isolated| {
        let create = Some(NewAccount { keys, isolated });
        Request::Deposit(Deposit {
            sender: owner(sender),
            account,
            instrument: InstrumentId(0),
            amount: 5_000_000,
            create,
        })
    };
    vec![
        open(1, first, false),
        open(2, second, true),
        Request::Deposit(Deposit {
            sender: owner(2),
            account: first,
            instrument: InstrumentId(0),
            amount: 1,
            create: None,
        }),
        Request::Withdraw {
            sender: owner(1),
            account: first,
            instrument: InstrumentId(0),
            amount: MOST,
        },
        Request::KeyChange {
            sender: owner(1),
            account: first,
            keys,
        },
        Request::CancelAll {
            sender: owner(1),
            account: first,
        },
        Request::Flag { account: second },
        Request::Take(Take {
            sender: owner(2),
            account: first,
            taker: second,
            instrument: InstrumentId(u32::MAX),
            side: Side::Short,
            size: (1 << 48) - 1,
            limit: MOST,
        }),
        Request::Absorb {
            account: AccountId((1 << ACCOUNT_DEPTH) - 1),
        },
        Request::Change(Box::new(listing())),
    ]
}

/// Within the bounds that the contract admits.
fn listing() -> Change {
    Change {
        params: RowParams {
            id: InstrumentId(u32::MAX - 1),
            kind: InstrumentKind::Perpetual,
            max_price: (1 << 42) - 1,
            max_size: 1 << 12,
            max_open_interest: 1 << 17,
            initial_long: 1_000_000,
            initial_short: 999_999,
            maintenance_long: 50_000,
            maintenance_short: 50_001,
            penalty: 10_000,
            fill_band: 40_000,
            price_band: 1_000_000,
            funding_cap: 100,
            ..RowParams::default()
        },
        price: 100_000_000,
    }
}

fn items() -> Value {
    let requests = requests();
    let words: Vec<String> = requests
        .iter()
        .flat_map(|request| decimals(&request.words()))
        .collect();
    let bytes: Vec<u8> = requests
        .iter()
        .flat_map(|r| published(&r.words()))
        .collect();
    json!({ "words": words, "published": hex(&bytes) })
}

/// An item's bytes: ten words as they are, ten as halves.
fn published(words: &[F; ITEM_WORDS]) -> Vec<u8> {
    let (plain, long) = words.split_at(10);
    let mut list: Vec<u64> = plain.iter().map(F::to_canonical_u64).collect();
    list.extend(long.iter().copied().flat_map(halves).map(u64::from));
    bytes_of(&list).unwrap()
}

fn withdrawal(paid: &Withdrawal) -> Vec<u8> {
    let owner = paid.owner.words().map(|word| word.to_canonical_u64());
    bytes_of(&[&owner[..], &[paid.asset.into(), paid.amount]].concat()).unwrap()
}

/// Three words a number, the first one lowest.
fn instances(words: &[F]) -> Vec<String> {
    let number = |chunk: &[F]| {
        let hex = chunk.iter().rev().fold(String::new(), |mut text, word| {
            write!(text, "{:016x}", word.to_canonical_u64()).unwrap();
            text
        });
        format!("0x{hex}")
    };
    words.chunks(3).map(number).collect()
}

fn digest(elements: [u64; 4]) -> Digest {
    HashOut {
        elements: elements.map(F::from_canonical_u64),
    }
}

fn owner(seed: u8) -> Owner {
    Owner([seed; 20])
}

fn residues(digest: Digest) -> String {
    let bytes = digest.elements.map(|e| e.to_canonical_u64().to_be_bytes());
    hex(&bytes.concat())
}

fn decimals(elements: &[F]) -> Vec<String> {
    let text = elements.iter().map(|e| e.to_canonical_u64().to_string());
    text.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
