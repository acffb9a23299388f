//! What the API does when it is used as it should be.

use serde_json::{Value, json};
use tally_api::encoding::hex_of;
use tally_api::request::{AuthBody, HashAnswer};
use tally_client::Trader;
use tally_protocol::account::Keys;
use tally_protocol::message::KeyChange;
use tally_protocol::signature::SecretKey;
use tally_protocol::types::InstrumentId;
use tally_sequencer::command::{Command, Operation, OrderTerms, Signed};

use crate::rig::{ANN, BOB, CASH, MARK, Rig, named, order, submit};

fn events(value: &Value) -> Vec<&str> {
    let events = value.as_array().unwrap();
    events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_trade_and_everything_shows_it() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let (client, price) = (&rig.client, MARK + 5);
    let rests = client
        .send(&submit(&rig.ann, order(1, 0, 1, 10, price)))
        .await
        .unwrap();
    assert_eq!(events(&rests.events), ["accepted", "resting", "level"]);
    let takes = client
        .send(&submit(&rig.bob, order(1, 0, 1, -4, price)))
        .await
        .unwrap();
    assert_eq!(
        takes.receipt.receipt.position,
        rests.receipt.receipt.position + 1
    );
    assert!(events(&takes.events).contains(&"fill"), "{}", takes.events);
    takes.receipt.follows(&rests.receipt.receipt.link).unwrap();

    // The book follows the answer by a moment, and says where it stands.
    let mut book = client.book(1).await.unwrap();
    while book.position < takes.receipt.receipt.position {
        book = client.book(1).await.unwrap();
    }
    assert_eq!((book.bids[0].price, book.bids[0].lots), (price, 6));
    assert!(book.asks.is_empty());
    let ann = client.account(ANN).await.unwrap();
    assert_eq!(ann["positions"][0]["size"], 4);
    assert_eq!(ann["positions"][0]["side"], "long");
    assert_eq!(ann["orders"], 1);
    assert!(
        ann["positions"][0]["liquidation_price"].is_null(),
        "far too rich"
    );
    let lost = 4 * 5;
    assert_eq!(ann["equity"], CASH - lost);
    let bob = client.account(BOB).await.unwrap();
    let fee = 4 * (MARK * 300 / 1_000_000);
    assert_eq!(bob["equity"], CASH + lost - fee);
    let trades: Vec<Value> = client.get("/v1/instruments/1/trades").await.unwrap();
    assert_eq!(trades[0]["lots"], 4);
    assert_eq!(trades[0]["position"], takes.receipt.receipt.position);
    let orders: Vec<Value> = client.get("/v1/accounts/1024/orders").await.unwrap();
    assert_eq!(orders[0]["open"], 6);
    let what_if = json!({ "instrument": 1, "side": "long", "size": 100 });
    let then: Value = client
        .post("/v1/accounts/1024/what-if", &what_if)
        .await
        .unwrap();
    assert_eq!(then["position"]["size"], 104);
    assert_eq!(then["initial_requirement"], 104 * MARK / 10);

    let (receipt, record) = client.receipt(2).await.unwrap();
    assert_eq!(receipt.receipt.position, 2);
    assert!(!record.is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_gets_one_place_and_one_answer() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let first = named(&rig.ann, order(1, 0, 1, 1, MARK / 2), 77);
    let taken = rig.client.send(&first).await.unwrap();
    let again = rig.client.send(&first).await.unwrap();
    assert!(again.repeated && !taken.repeated);
    assert_eq!(again.receipt, taken.receipt);
    let other = named(&rig.ann, order(1, 1, 1, 2, MARK / 2), 77);
    let refused = rig.client.send(&other).await.unwrap_err();
    assert_eq!(refused.code(), "O1.client_id");
    let found: Value = rig.client.get("/v1/accounts/1024/orders/4d").await.unwrap();
    assert_eq!(found["receipt"]["position"], taken.receipt.receipt.position);
    assert_eq!(found["order"]["open"], 1);
    let next = rig
        .client
        .send(&submit(&rig.ann, order(1, 2, 1, 1, MARK / 2)))
        .await
        .unwrap();
    let position = taken.receipt.receipt.position;
    assert_eq!(
        next.receipt.receipt.position,
        position + 1,
        "only one was logged"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_binary_are_the_same_command() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let Command::Submit(submit) = submit(&rig.ann, order(2, 5, 3, -7, MARK * 2)) else {
        panic!("an order");
    };
    let message = json!({
        "account": ANN, "generation": 0, "place": { "slot": { "slot": 5, "sequence": 3 } },
        "instrument": 2, "side": "short", "size": 7, "limit": MARK * 2,
        "max_fee_per_lot": MARK / 100, "expiry": (1u64 << 40) - 1,
    });
    let hash: HashAnswer = rig
        .client
        .post("/v1/hash", &json!({ "order": message }))
        .await
        .unwrap();
    let digest = submit.order.digest(&rig.client.domain());
    assert_eq!(hash.digest, hex_of(&digest.elements));
    let auth = AuthBody::from(&submit.auth);
    let body = json!({ "order": message, "auth": auth, "terms": { "post_only": true } });
    let ack: Value = rig.client.post("/v1/orders", &body).await.unwrap();
    let position = ack["receipt"]["position"].as_u64().unwrap();
    let (_, record) = rig.client.receipt(position).await.unwrap();
    let logged = tally_sequencer::command::Record::from_bytes(&record).unwrap();
    let Command::Submit(logged) = logged.command else {
        panic!("an order");
    };
    assert_eq!(logged.order, submit.order);
    assert!(logged.terms.post_only);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_session_key_trades_and_does_not_withdraw() {
    let data = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(data.path()).await;
    let session = SecretKey::derive("test session", b"ann");
    let message = KeyChange {
        account: rig.ann.account,
        generation: 0,
        nonce: 0,
        keys: Keys {
            key: rig.ann.key().public(),
            trading_key: session.public(),
        },
    };
    let auth = rig.ann.auth(message.digest(&rig.client.domain()));
    let change = Command::KeyChange(Signed { message, auth });
    rig.client.send(&change).await.unwrap();
    rig.ann.generation = 1;
    let mut trading = Trader::new(rig.client.domain(), rig.ann.account, session);
    trading.generation = 1;
    rig.client
        .send(&submit(&trading, order(1, 0, 1, 1, MARK / 2)))
        .await
        .unwrap();
    let cancel = Command::Cancel(trading.cancel(0, 2));
    rig.client.send(&cancel).await.unwrap();
    let refused = rig
        .client
        .send(&trading.withdraw(1, InstrumentId(0), 5))
        .await;
    assert_eq!(refused.unwrap_err().code(), "S2.key");
    rig.client
        .send(&rig.ann.withdraw(1, InstrumentId(0), 5))
        .await
        .unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_close_with_their_roots_and_cancels_end_orders() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 1, 3, MARK / 2)))
        .await
        .unwrap();
    let gone = rig
        .client
        .send(&Command::Cancel(rig.ann.cancel(0, 2)))
        .await
        .unwrap();
    assert_eq!(gone.events[0]["reason"]["reason"], "requested");
    rig.client
        .send(&submit(&rig.ann, order(1, 1, 1, 3, MARK / 2)))
        .await
        .unwrap();
    rig.client.send(&rig.ann.dead_man(1, 60_000)).await.unwrap();
    rig.client.send(&rig.ann.cancel_all(0)).await.unwrap();
    let orders: Vec<Value> = rig.client.get("/v1/accounts/1024/orders").await.unwrap();
    assert!(orders.is_empty());
    rig.venue.round().await.unwrap();
    let epochs: Vec<Value> = rig.client.get("/v1/epochs?limit=2").await.unwrap();
    let epoch = epochs[0]["epoch"].as_u64().unwrap();
    let path = format!("/v1/batches/{}", epochs[0]["batch"]);
    let batch: Value = rig.client.get(&path).await.unwrap();
    assert_eq!(
        batch["epochs"].as_array().unwrap().last().unwrap()["epoch"],
        epoch
    );
    let proofs: Value = rig.client.get("/v1/proofs").await.unwrap();
    assert_eq!(
        (&proofs["closed"], &proofs["proven"]),
        (&json!(epoch), &json!(0))
    );
    for path in [
        "/v1/instruments/1",
        "/v1/instruments/1/funding",
        "/v1/time",
        "/metrics",
    ] {
        let answer = reqwest::get(format!("{}{path}", rig.url)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_again_is_answered_with_its_first_receipt() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let one = |slot, client_id| {
        let terms = OrderTerms {
            client_id,
            ..OrderTerms::default()
        };
        Operation::Submit(rig.ann.order(order(1, slot, 1, 1, MARK / 2), terms))
    };
    let batch = Command::Batch(vec![one(0, 0), one(1, 71), one(2, 72)]);
    let first = rig.client.send(&batch).await.unwrap();
    let again = rig.client.send(&batch).await.unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!(again.receipt, first.receipt);
    // Another batch with a name that is taken: that order is refused, and the name stays.
    let other = Command::Batch(vec![one(3, 71), one(4, 0)]);
    let other = rig.client.send(&other).await.unwrap();
    assert_eq!(
        other.events[0]["reject"]["code"], "O1.client_id",
        "{}",
        other.events
    );
    let again = rig.client.send(&batch).await.unwrap();
    assert_eq!(again.receipt, first.receipt);
    let last = rig.stop().await;
    let rig = Rig::start(crate::rig::options(data.path())).await;
    let again = rig.client.send(&batch).await.unwrap();
    assert_eq!(again.receipt, first.receipt, "after a start too");
    assert_eq!(rig.stop().await, last + 1);
}
