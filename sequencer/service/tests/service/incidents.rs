//! Incidents: what a bad hour does to the venue, one test each.

use serde_json::Value;
use tally_protocol::oracle::Stamp;

use crate::rig::{MARK, Rig, cancels, options, order, submit};

/// After a start prices are old: nothing matches before enough fresh rounds, cancels go on.
#[tokio::test(flavor = "multi_thread")]
async fn stale_prices_at_a_restart_match_nothing() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 1, 5, MARK)))
        .await
        .unwrap();
    rig.stop().await;
    let rig = Rig::start(options(data.path())).await;
    let crossing = |sequence| submit(&rig.bob, order(1, 0, sequence, -5, MARK));
    for round in 0..3 {
        let refused = rig.client.send(&crossing(round + 1)).await.unwrap_err();
        assert_eq!(refused.code(), "C3.starting");
        cancels(&rig, &rig.bob, 9, round + 1).await;
        rig.venue.round().await.unwrap();
    }
    let done = rig.client.send(&crossing(9)).await.unwrap();
    let events = done.events.as_array().unwrap().clone();
    assert!(
        events.iter().any(|event| event["event"] == "fill"),
        "{events:?}"
    );
    rig.stop().await;
}

async fn flags(rig: &Rig) -> u64 {
    let row: Value = rig.client.get("/v1/instruments/1").await.unwrap();
    row["flags"].as_u64().unwrap()
}

/// A price of zero is no price: the report is refused, and a round that lacks the feed halts its
/// row alone, until it is back.
#[tokio::test(flavor = "multi_thread")]
async fn t6_a_price_of_zero_halts_one_row_and_never_the_venue() {
    let data = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(data.path()).await;
    rig.venue.marks.insert(1, 0);
    let refused = rig.venue.round().await.unwrap_err();
    assert!(refused.to_string().contains("T1"), "{refused}");
    rig.venue.marks.remove(&1);
    rig.venue.round().await.unwrap();
    let halted = submit(&rig.ann, order(1, 0, 1, 5, MARK));
    let refused = rig.client.send(&halted).await.unwrap_err();
    assert_eq!(refused.code(), "T7.unlisted");
    rig.client
        .send(&submit(&rig.ann, order(2, 1, 1, 5, MARK)))
        .await
        .unwrap();
    rig.venue.marks.insert(1, MARK);
    rig.venue.round().await.unwrap();
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 2, 5, MARK)))
        .await
        .unwrap();
    rig.stop().await;
}

/// The mark follows a jump by the band only, and the row takes nothing but reductions until then.
#[tokio::test(flavor = "multi_thread")]
async fn t6_a_round_outside_of_the_band_is_clamped() {
    let data = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(data.path()).await;
    assert_eq!(flags(&rig).await, 0);
    rig.venue.marks.insert(1, MARK * 5);
    rig.venue.round().await.unwrap();
    let row: Value = rig.client.get("/v1/instruments/1").await.unwrap();
    assert!(row["mark"].as_u64().unwrap() < MARK * 5, "{row}");
    assert_ne!(flags(&rig).await, 0);
    let refused = rig
        .client
        .send(&submit(&rig.ann, order(1, 0, 1, 5, MARK)))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "T6.reduce_only");
    rig.venue.marks.insert(1, MARK);
    rig.venue.settle().await.unwrap();
    rig.client
        .send(&submit(&rig.ann, order(1, 0, 2, 5, MARK)))
        .await
        .unwrap();
    rig.stop().await;
}

/// Reports that do not agree, or are of another time, make no round.
#[tokio::test(flavor = "multi_thread")]
async fn t1_reports_that_disagree_make_no_round() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let status = rig.client.status().await.unwrap();
    let stamp = |time| Stamp {
        feed_set: 0,
        round: status.round + 1,
        time,
        previous: status.round,
    };
    rig.venue
        .report(stamp(status.epoch_time + 1), 0..2)
        .await
        .unwrap();
    rig.venue
        .report(stamp(status.epoch_time + 2), 2..4)
        .await
        .unwrap();
    assert_eq!(rig.client.status().await.unwrap().round, status.round);
    let old = rig
        .venue
        .report(stamp(1_700_000_001), 0..3)
        .await
        .unwrap_err();
    assert_eq!(old.code(), "T1.stale");
    rig.venue
        .report(stamp(status.epoch_time + 2), 0..2)
        .await
        .unwrap();
    assert_eq!(rig.client.status().await.unwrap().round, status.round + 1);
    rig.stop().await;
}
