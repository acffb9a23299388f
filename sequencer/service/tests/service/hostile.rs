//! Requests that nobody honest sends: each gets a 4xx with a code, and the service goes on.

use serde_json::{Value, json};
use tally_api::development;
use tally_client::{ClientError, Trader};
use tally_protocol::message::Domain;
use tally_protocol::types::AccountId;
use tally_sequencer::command::{Command, Operation, Record};
use tally_service::limits::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{ANN, MARK, Rig, TIMEOUT, cancels, options, order, submit};

fn status_of(error: &ClientError) -> u16 {
    match error {
        ClientError::Refused { status, .. } => *status,
        other => panic!("not an answer: {other}"),
    }
}

async fn raw(rig: &Rig, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("{}{path}", rig.url));
    let request = request.header("content-type", kind).body(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_chains_and_repeated_messages_have_their_codes() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let before = rig.client.status().await.unwrap().position;
    let resting = || order(1, 0, 1, 1, MARK / 2);
    let stranger = Trader::new(
        rig.client.domain(),
        rig.ann.account,
        development::account(9),
    );
    let elsewhere = Domain {
        chain_id: 1,
        ..rig.client.domain()
    };
    let other_chain = Trader::new(elsewhere, rig.ann.account, development::account(ANN));
    let nobody = Trader::new(
        rig.client.domain(),
        AccountId(5_000),
        development::account(9),
    );
    let mut forged = rig.ann.order(resting(), Default::default());
    forged.order.size += 1;
    let cases = [
        (submit(&stranger, resting()), 403, "S2.key"),
        (submit(&other_chain, resting()), 401, "S5.signature"),
        (submit(&nobody, resting()), 404, "S2.account"),
        (Command::Submit(forged), 401, "S5.signature"),
        (Command::Time, 403, "api.operator"),
        (Command::Proven { epoch: 9 }, 403, "api.operator"),
        (Command::FeeWithdraw { amount: 1 }, 403, "api.operator"),
    ];
    for (command, status, code) in cases {
        let refused = rig.client.send(&command).await.unwrap_err();
        assert_eq!(
            (status_of(&refused), refused.code()),
            (status, code),
            "{command:?}"
        );
    }
    let after = rig.client.status().await.unwrap().position;
    assert_eq!(after, before, "strangers get no place in the log");
    let once = submit(&rig.ann, resting());
    rig.client.send(&once).await.unwrap();
    let refused = rig.client.send(&once).await.unwrap_err();
    assert_eq!((status_of(&refused), refused.code()), (409, "S4.old"));
    rig.stop().await;
}

/// Of a command that has no place any more, sent so often: how far the log has grown.
async fn repeated(rig: &Rig, command: &Command, code: &str) -> u64 {
    let before = rig.client.status().await.unwrap().position;
    for _ in 0..50 {
        let refused = rig.client.send(command).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
    rig.client.status().await.unwrap().position - before
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_repeats_an_accounts_messages_does_not_fill_the_log() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let one = |slot, sequence| {
        let order = order(1, slot, sequence, 1, MARK / 2);
        Operation::Submit(rig.ann.order(order, Default::default()))
    };
    let batch = Command::Batch(vec![one(0, 1), one(1, 1)]);
    let armed = rig.ann.dead_man(5, 60_000);
    rig.client.send(&batch).await.unwrap();
    rig.client.send(&armed).await.unwrap();
    assert_eq!(repeated(&rig, &batch, "S4.old").await, 0);
    assert_eq!(repeated(&rig, &armed, "S4.counter").await, 0);
    // One operation of it is new: the batch has its place, and the other is refused.
    let partly = Command::Batch(vec![one(0, 1), one(1, 2)]);
    let taken = rig.client.send(&partly).await.unwrap();
    assert_eq!(taken.events[0]["event"], "refused");
    // A refused cancel uses nothing up. It has one place a second.
    let cancel = Command::Cancel(rig.ann.cancel(9, 1));
    let begun = std::time::Instant::now();
    let places = repeated(&rig, &cancel, "S4.no_order").await;
    assert!((1..=begun.elapsed().as_secs() + 1).contains(&places));
    // A cancel that has overtaken its order is heard when it comes again.
    let early = Command::Cancel(rig.ann.cancel(10, 2));
    let refused = rig.client.send(&early).await.unwrap_err();
    assert_eq!(refused.code(), "S4.no_order");
    let late = submit(&rig.ann, order(1, 10, 1, 1, MARK / 2));
    rig.client.send(&late).await.unwrap();
    rig.client.send(&early).await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_have_their_codes() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    const JSON: &str = "application/json";
    const BYTES: &str = "application/octet-stream";
    let record = Record {
        at: 0,
        command: submit(&rig.ann, order(1, 0, 1, 1, MARK / 2)),
    };
    let record = record.to_bytes();
    let longer = [record.as_slice(), &[0]].concat();
    let too_large = vec![b' '; 300 * 1024];
    let cases: [(&str, &str, Vec<u8>, u16, &str); 9] = [
        ("/v1/orders", JSON, b"{".to_vec(), 400, "api.json"),
        ("/v1/orders", JSON, b"{}".to_vec(), 400, "api.json"),
        (
            "/v1/orders",
            "text/plain",
            b"{}".to_vec(),
            415,
            "api.content_type",
        ),
        ("/v1/orders", JSON, too_large, 413, "api.too_large"),
        ("/v1/nothing", JSON, b"{}".to_vec(), 404, "api.not_found"),
        ("/v1/time", JSON, b"{}".to_vec(), 405, "api.method"),
        (
            "/v1/commands",
            JSON,
            record.clone(),
            415,
            "api.content_type",
        ),
        (
            "/v1/commands",
            BYTES,
            record[..50].to_vec(),
            400,
            "W2.short",
        ),
        ("/v1/commands", BYTES, longer, 400, "W3.long"),
    ];
    for (path, kind, body, status, code) in cases {
        let answer = raw(&rig, path, kind, body).await;
        assert_eq!(answer, (status, code.to_owned()), "{path}");
    }
    // Every byte of a command, changed: refused with a code or, where it changes nothing, taken.
    for at in 0..record.len() {
        let mut changed = record.clone();
        changed[at] ^= 0x80;
        let (status, code) = match rig.client.send_bytes(changed).await {
            Ok(()) => continue,
            Err(error) => (status_of(&error), error.code().to_owned()),
        };
        assert!((400..500).contains(&status), "byte {at}: {status} {code}");
    }
    rig.client.status().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_number_beyond_the_field_is_refused_before_it_is_hashed() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let cases = [
        (
            json!({ "withdraw": { "account": ANN, "generation": 0, "nonce": 0, "instrument": 0,
            "amount": u64::MAX } }),
            "N3.amount",
        ),
        (
            json!({ "withdraw": { "account": u32::MAX, "generation": 0, "nonce": 0,
            "instrument": 0, "amount": 1 } }),
            "S3.account",
        ),
        (
            json!({ "dead_man": { "account": ANN, "generation": 0, "counter": u64::MAX,
            "timeout_ms": 1 } }),
            "S4.counter",
        ),
        (
            json!({ "cancel": { "account": ANN, "generation": 0, "slot": 64, "sequence": 1 } }),
            "S4.slot",
        ),
        (
            json!({ "transfer": { "account": ANN, "generation": 0, "nonce": 0, "to": u32::MAX,
            "instrument": 0, "amount": 1, "receiver": "anyone" } }),
            "S3.account",
        ),
    ];
    for (body, code) in cases {
        let refused = rig
            .client
            .post::<Value>("/v1/hash", &body)
            .await
            .unwrap_err();
        assert_eq!((status_of(&refused), refused.code()), (400, code), "{body}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_cut_off_and_delays_nobody() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let address = rig.url.strip_prefix("http://").unwrap();
    let mut body = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\n\r\n{{"
    );
    body.write_all(head.as_bytes()).await.unwrap();
    let mut slow_head = TcpStream::connect(address).await.unwrap();
    slow_head
        .write_all(b"GET /v1/time HTTP/1.1\r\n")
        .await
        .unwrap();
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 1, 1, MARK / 2)))
        .await
        .unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(TIMEOUT * 8, body.read(&mut answer)).await;
    let length = read.expect("within its time").unwrap();
    let text = String::from_utf8_lossy(&answer[..length]);
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("api.timeout"), "{text}");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(TIMEOUT * 8, slow_head.read_to_end(&mut rest)).await;
    read.expect("within its time").unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_limited_by_author_and_cancels_never() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open_with(tally_service::service::Options {
        rate: Rate {
            per_second: 1,
            burst: 3,
        },
        ..options(data.path())
    })
    .await;
    let mut limited = 0;
    for sequence in 1..=6 {
        let sent = submit(&rig.ann, order(1, 0, sequence, 1, MARK / 2));
        match rig.client.send(&sent).await {
            Ok(_) => {}
            Err(ClientError::Refused { status: 429, body }) => {
                assert_eq!(body.code, "api.limit");
                assert!(body.retry_after_ms.is_some_and(|ms| ms > 0));
                limited += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(limited >= 2, "three are saved up, one comes a second");
    for slot in 1..40 {
        cancels(&rig, &rig.ann, slot, 1).await;
    }
    rig.client
        .send(&submit(&rig.bob, order(1, 0, 1, 1, MARK / 2)))
        .await
        .unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_orders_leaves_the_cancels_lane_open() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open_with(tally_service::service::Options {
        lane: 4,
        ..options(data.path())
    })
    .await;
    let mut flood = tokio::task::JoinSet::new();
    for worker in 0..64u8 {
        let (client, ann) = (rig.client.clone(), rig.ann.clone());
        flood.spawn(async move {
            let mut busy = 0;
            for sequence in 1..=20 {
                let sent = submit(&ann, order(1, worker % 64, sequence, 1, MARK / 2));
                match client.send(&sent).await {
                    Ok(_) => {}
                    Err(error) if error.code() == "api.busy" => busy += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            busy
        });
    }
    for slot in 0..40 {
        cancels(&rig, &rig.bob, slot, 1).await;
    }
    let mut busy = 0;
    while let Some(done) = flood.join_next().await {
        busy += done.unwrap();
    }
    assert!(busy > 0, "64 clients fill a lane of 4");
    rig.stop().await;
}
