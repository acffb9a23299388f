//! WebSocket channels: numbers without gaps, what was missed, clients that do not read.

use std::time::Duration;

use serde_json::{Value, json};
use tally_client::{Answer, Channels, ClientError, Said};

use crate::rig::{MARK, Rig, order, submit};

async fn message(channels: &mut Channels) -> tally_api::answer::ChannelMessage {
    loop {
        match channels.next().await.unwrap() {
            Said::Message(message) => return message,
            Said::Answer(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_tells_what_a_snapshot_leaves_off() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let mut channels = Channels::connect(&rig.url).await.unwrap();
    channels
        .subscribe(&["book:1", "trades:1", "account:1024"])
        .await
        .unwrap();
    for _ in 0..3 {
        let said = channels.next().await.unwrap();
        assert!(
            matches!(said, Said::Answer(Answer::Subscribed { sequence: 0, .. })),
            "{said:?}"
        );
    }
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 1, 5, MARK)))
        .await
        .unwrap();
    rig.client
        .send(&submit(&rig.bob, order(1, 0, 1, -2, MARK)))
        .await
        .unwrap();
    let mut heard: Vec<(String, u64)> = Vec::new();
    while !heard
        .iter()
        .any(|(channel, sequence)| channel == "book:1" && *sequence == 2)
    {
        let message = message(&mut channels).await;
        heard.push((message.channel, message.sequence));
    }
    for channel in ["book:1", "trades:1", "account:1024"] {
        let numbers: Vec<u64> = heard
            .iter()
            .filter(|(name, _)| name == channel)
            .map(|it| it.1)
            .collect();
        let wanted: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert!(
            !numbers.is_empty() && numbers == wanted,
            "{channel}: {numbers:?}"
        );
    }
    let book = rig.client.book(1).await.unwrap();
    assert_eq!((book.sequence, book.bids[0].lots), (2, 3));
    let missed: Value = rig.client.get("/v1/channels/book:1?from=2").await.unwrap();
    assert_eq!(missed["session"], book.session);
    assert_eq!(missed["messages"][0]["data"]["changes"][0]["lots"], 3);
    let nothing = rig
        .client
        .get::<Value>("/v1/channels/books:1?from=0")
        .await
        .unwrap_err();
    assert_eq!(nothing.code(), "api.not_found");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_closes_the_connection_with_a_code() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    for text in [
        json!("hello"),
        json!({ "op": "sell" }),
        json!({ "op": "subscribe" }),
    ] {
        let mut channels = Channels::connect(&rig.url).await.unwrap();
        channels.say(text).await.unwrap();
        match channels.next().await.unwrap_err() {
            ClientError::Closed { code, reason } => {
                assert_eq!((code, reason.as_str()), (4_000, "ws.message"));
            }
            other => panic!("{other}"),
        }
    }
    let mut channels = Channels::connect(&rig.url).await.unwrap();
    channels.subscribe(&["gossip"]).await.unwrap();
    let said = channels.next().await.unwrap();
    assert!(matches!(said, Said::Answer(Answer::Error { code, .. }) if code == "ws.channel"));
    rig.stop().await;
}

/// Two thousand clients that only listen, and one that does not even read.
#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_clients_do_not_hold_the_writer_up() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let mut idle = Vec::new();
    for _ in 0..2_000 {
        let mut channels = Channels::connect(&rig.url).await.unwrap();
        channels.subscribe(&["epochs"]).await.unwrap();
        idle.push(channels);
    }
    let mut slow = Channels::connect(&rig.url).await.unwrap();
    slow.subscribe(&["account:1024", "book:1"]).await.unwrap();
    slow.next().await.unwrap();
    slow.next().await.unwrap();
    let (listeners, _) = rig.shared().hub.counts();
    assert_eq!(listeners, 2_001);
    // Until its queue here and the buffers between are full: the hub drops it, nobody waits.
    let mut sequence = 0;
    while rig.shared().hub.counts().1 == 0 {
        let batch = (0..64u8).map(|slot| {
            let order = order(1, slot, sequence + 1, 1, MARK / 2 + u64::from(slot));
            tally_sequencer::command::Operation::Submit(
                rig.ann
                    .order(order, tally_sequencer::command::OrderTerms::default()),
            )
        });
        let batch = tally_sequencer::command::Command::Batch(batch.collect());
        let sent = tokio::time::timeout(Duration::from_secs(20), rig.client.send(&batch));
        sent.await.expect("the writer goes on").unwrap();
        sequence += 1;
        assert!(sequence < 2_000, "a client that does not read is dropped");
    }
    rig.venue.round().await.unwrap();
    for channels in &mut idle {
        let Said::Message(_) = channels.next().await.unwrap() else {
            continue;
        };
    }
    assert_eq!(rig.shared().hub.counts(), (2_000, 1));
    rig.stop().await;
}
