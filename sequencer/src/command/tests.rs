//! Golden vectors of the log's records, and what a reader refuses.

use serde_json::{Value, json};
use tally_protocol::account::{AccountKind, Keys, Owner};
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::journal::transfer::{Receiver, TransferEntry};
use tally_protocol::listing::Change;
use tally_protocol::message::{Accept, Cancel, CancelAll, Domain, KeyChange, Transfer, Withdraw};
use tally_protocol::oracle::{FeedPrices, Prices, Report, SignedReport, Stamp};
use tally_protocol::order::{Order, Place};
use tally_protocol::queue::{Deposit, Item, NewAccount, Request, Take};
use tally_protocol::signature::SecretKey;
use tally_protocol::types::{AccountId, InstrumentId, Side};

use super::*;

const VECTORS: &str = "../tests/vectors/commands.json";

fn secret(seed: u8) -> SecretKey {
    SecretKey::derive("tally command vectors", &[seed; 32])
}

fn domain() -> Domain {
    Domain {
        chain_id: 31_337,
        contract: Owner([7; 20]),
    }
}

fn auth(seed: u8, digest: tally_protocol::hash::Digest) -> Auth {
    let key = secret(seed);
    Auth {
        key: key.public(),
        signature: key.sign(digest),
    }
}

fn order(place: Place) -> Order {
    Order {
        account: AccountId(1024),
        generation: 3,
        place,
        instrument: InstrumentId(5),
        side: Side::Short,
        size: 12,
        limit: 1_000_001,
        max_fee_per_lot: 77,
        expiry: 1_800_000_000,
        reduce_only: true,
        amend: false,
    }
}

fn submit(place: Place, terms: OrderTerms) -> Submit {
    let order = order(place);
    let auth = auth(1, order.digest(&domain()));
    Submit { order, auth, terms }
}

fn cancel() -> Signed<Cancel> {
    let message = Cancel {
        account: AccountId(1024),
        generation: 3,
        slot: 63,
        sequence: 9,
    };
    let auth = auth(1, message.digest(&domain()));
    Signed { message, auth }
}

fn transfer(receiver: Receiver) -> TransferCommand {
    let message = Transfer {
        account: AccountId(1024),
        generation: 3,
        nonce: 8,
        to: AccountId(1025),
        instrument: InstrumentId(5),
        short: true,
        amount: 6,
        terms: receiver.aux().digest(),
    };
    let entry = TransferEntry { message, receiver };
    let auth = auth(1, message.digest(&domain()));
    let accept = match receiver {
        Receiver::Accepts(accept) => Some(self::auth(2, accept.digest(&domain()))),
        _ => None,
    };
    TransferCommand {
        entry,
        auth,
        accept,
    }
}

fn transfers() -> Vec<(&'static str, Command)> {
    let keys = Keys {
        key: secret(3).public(),
        trading_key: secret(4).public(),
    };
    let accepts = {
        let asked = transfer(Receiver::Anyone).entry.message;
        Receiver::Accepts(Accept {
            account: AccountId(1025),
            generation: 1,
            nonce: 2,
            transfer: asked.digest(&domain()),
        })
    };
    let new = Receiver::New {
        owner: Owner([9; 20]),
        keys,
        kind: AccountKind::Isolated,
    };
    let of = |receiver| Command::Transfer(Box::new(transfer(receiver)));
    let mut found = vec![
        ("transfer to anyone", of(Receiver::Anyone)),
        (
            "transfer to an owner",
            of(Receiver::SameOwner(Owner([9; 20]))),
        ),
        ("transfer that is accepted", of(accepts)),
        ("transfer to a new account", of(new)),
    ];
    let message = KeyChange {
        account: AccountId(1024),
        generation: 3,
        nonce: 8,
        keys,
    };
    let auth = auth(1, message.digest(&domain()));
    found.push(("key change", Command::KeyChange(Signed { message, auth })));
    found
}

fn messages() -> Vec<(&'static str, Command)> {
    let (account, generation, nonce) = (AccountId(1024), 3, 8);
    let all = CancelAll {
        account,
        generation,
        nonce,
    };
    let dead = DeadMan {
        account,
        generation,
        counter: (1 << 56) - 1,
        timeout: 5_000,
    };
    let withdraw = Withdraw {
        account,
        generation,
        nonce,
        instrument: InstrumentId(0),
        amount: 1_000_000,
        least: 999_999,
    };
    let auth_all = auth(1, all.digest(&domain()));
    let auth_dead = auth(1, dead.digest(&domain()));
    let auth_withdraw = auth(1, withdraw.digest(&domain()));
    vec![
        ("cancel", Command::Cancel(cancel())),
        (
            "cancel all",
            Command::CancelAll(Signed {
                message: all,
                auth: auth_all,
            }),
        ),
        (
            "dead man",
            Command::DeadMan(Signed {
                message: dead,
                auth: auth_dead,
            }),
        ),
        (
            "withdraw",
            Command::Withdraw(Signed {
                message: withdraw,
                auth: auth_withdraw,
            }),
        ),
    ]
}

fn items() -> Vec<(&'static str, Command)> {
    let (sender, account) = (Owner([9; 20]), AccountId(1024));
    let keys = Keys {
        key: secret(3).public(),
        ..Keys::default()
    };
    let create = Some(NewAccount {
        keys,
        isolated: true,
    });
    let instrument = InstrumentId(40);
    let params = RowParams {
        id: instrument,
        kind: InstrumentKind::Spot,
        asset: 40,
        max_price: 1 << 40,
        ..RowParams::default()
    };
    let take = Take {
        sender,
        account,
        taker: AccountId(1025),
        instrument,
        side: Side::Long,
        size: 3,
        limit: 4,
    };
    let requests = [
        (
            "deposit",
            Request::Deposit(Deposit {
                sender,
                account,
                instrument,
                amount: 5,
                create,
            }),
        ),
        (
            "l1 withdrawal",
            Request::Withdraw {
                sender,
                account,
                instrument,
                amount: 5,
            },
        ),
        (
            "l1 key change",
            Request::KeyChange {
                sender,
                account,
                keys,
            },
        ),
        ("l1 cancel all", Request::CancelAll { sender, account }),
        ("l1 flag", Request::Flag { account }),
        ("l1 take", Request::Take(take)),
        ("l1 absorb", Request::Absorb { account }),
        (
            "l1 change",
            Request::Change(Box::new(Change { params, price: 9 })),
        ),
    ];
    let of = |(name, request)| (name, Command::Item(Box::new(Item { index: 6, request })));
    requests.into_iter().map(of).collect()
}

fn report() -> SignedReport {
    let price = FeedPrices {
        index: 1,
        mark: (1 << 42) - 1,
        premium: -5,
    };
    let prices = Prices::new([(1, price), (1023, price)].into()).unwrap();
    let report = Report {
        reporter: 2,
        stamp: Stamp {
            feed_set: 1,
            round: 10,
            time: 1_760_000_000,
            previous: 9,
        },
        prices_root: prices.root(),
    };
    let signature = secret(5).sign(report.digest(&domain()));
    SignedReport {
        report,
        prices,
        signature,
    }
}

fn commands() -> Vec<(&'static str, Command)> {
    let slot = Place::Slot {
        slot: 3,
        sequence: 9,
    };
    let trigger = Trigger {
        price: 7,
        direction: Direction::Below,
    };
    let terms = OrderTerms {
        client_id: u128::MAX - 5,
        time_in_force: TimeInForce::FillOrKill,
        post_only: true,
        self_trade: SelfTrade::CancelBoth,
        trigger: Some(trigger),
    };
    let by_nonce = submit(Place::Nonce(8), OrderTerms::default());
    let batch = vec![
        Operation::Cancel(cancel()),
        Operation::Submit(by_nonce.clone()),
    ];
    let mut all = vec![
        ("submit", Command::Submit(submit(slot, terms))),
        ("submit by nonce", Command::Submit(by_nonce)),
        ("batch", Command::Batch(batch)),
        ("round", Command::Round(vec![report()])),
        ("time", Command::Time),
        ("close", Command::CloseEpoch),
        ("restarted", Command::Restarted),
        ("proven", Command::Proven { epoch: 4 }),
        ("settled", Command::Settled { epoch: 3 }),
        ("fee withdrawal", Command::FeeWithdraw { amount: 2 }),
    ];
    all.extend(messages());
    all.extend(transfers());
    all.extend(items());
    all
}

fn record(command: Command) -> Record {
    Record {
        at: 1_760_000_000_123,
        command,
    }
}

/// `TALLY_WRITE_VECTORS=1` writes them.
#[test]
fn records_are_pinned() {
    let named = commands().into_iter().map(|(name, command)| {
        (
            name.to_owned(),
            json!(hex::encode(record(command).to_bytes())),
        )
    });
    let made = Value::Object(named.collect());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS);
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

#[test]
fn a_record_is_read_as_it_was_written_and_not_cut_or_longer() {
    for (name, command) in commands() {
        let bytes = record(command).to_bytes();
        let read = Record::from_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.to_bytes(), bytes, "{name}");
        for end in 0..bytes.len() {
            assert!(
                Record::from_bytes(&bytes[..end]).is_err(),
                "{name} cut at {end}"
            );
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(
            Record::from_bytes(&longer).unwrap_err().code(),
            "W3.long",
            "{name}"
        );
    }
}

/// A flipped bit is refused, or read as another record: never as the same one twice.
#[test]
fn no_record_has_two_encodings() {
    for (name, command) in commands() {
        let bytes = record(command).to_bytes();
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(read) = Record::from_bytes(&changed) {
                    assert_eq!(read.to_bytes(), changed, "{name} at {at}");
                }
            }
        }
    }
}

#[test]
fn each_bound_of_a_record_is_kept() {
    let code = |bytes: &[u8]| Record::from_bytes(bytes).unwrap_err().code();
    let time = record(Command::Time).to_bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = time.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(code(&with(0, 2)), "W1.version");
    assert_eq!(code(&with(8, 1)), "W4.number");
    assert_eq!(code(&with(9, 99)), "W4.number");
    let empty = record(Command::Batch(Vec::new())).to_bytes();
    let mut long = empty.clone();
    long[10] = MAX_BATCH as u8 + 1;
    assert_eq!(code(&long), "W5.list");
    // The key's first element, one above the field.
    let mut key = record(Command::Cancel(cancel())).to_bytes();
    let at = 10 + 4 + 4 + 1 + 4;
    key[at..at + 8].copy_from_slice(&FIELD_ORDER.to_le_bytes());
    assert_eq!(code(&key), "W4.number");
}

#[test]
fn s5_verified_records_are_signed_ones() {
    let good: Vec<Record> = commands()
        .into_iter()
        .map(|(_, command)| record(command))
        .collect();
    for verified in verify_all(&domain(), good.clone()) {
        verified.unwrap();
    }
    let forge = |record: &mut Record| match &mut record.command {
        Command::Submit(submit) => submit.order.size += 1,
        Command::Batch(operations) => {
            if let Some(Operation::Submit(submit)) = operations.last_mut() {
                submit.order.limit += 1;
            }
        }
        Command::Cancel(signed) => signed.message.sequence += 1,
        Command::CancelAll(signed) => signed.message.nonce += 1,
        Command::DeadMan(signed) => signed.message.timeout += 1,
        Command::Transfer(transfer) => transfer.entry.message.amount += 1,
        Command::Withdraw(signed) => signed.message.amount += 1,
        Command::KeyChange(signed) => signed.message.keys.trading_key = Default::default(),
        _ => {}
    };
    for (at, record) in good.iter().enumerate() {
        let mut forged = good.clone();
        forge(&mut forged[at]);
        let signs = !Verified::from_log(&domain(), record.clone())
            .unwrap()
            .signers()
            .is_empty();
        for (place, verified) in verify_all(&domain(), forged).into_iter().enumerate() {
            let expected = signs && place == at;
            assert_eq!(verified.is_err(), expected, "{at} {place}");
            if let Err(error) = verified {
                assert_eq!(error.code(), "S5.signature");
            }
        }
    }
}

#[test]
fn j3_a_receiver_signs_where_it_is_asked_to() {
    let mut missing = transfers().swap_remove(2).1;
    let mut beyond = transfers().swap_remove(0).1;
    for (command, accept) in [(&mut missing, None), (&mut beyond, Some(cancel().auth))] {
        let Command::Transfer(transfer) = command else {
            panic!("a transfer");
        };
        transfer.accept = accept;
        let refused = verify(&domain(), record(command.clone())).unwrap_err();
        assert_eq!(refused.code(), "J3.accept");
    }
    let empty = verify(&domain(), record(Command::Batch(Vec::new()))).unwrap_err();
    assert_eq!(empty.code(), "B1.batch");
}
