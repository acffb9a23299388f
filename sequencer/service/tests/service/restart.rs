//! Stopping and starting: what was acknowledged is there, and what does not fit is refused.

use serde_json::Value;
use tally_service::service::Service;
use tally_service::store::{Batch, Store};

use crate::rig::{ANN, MARK, Rig, cancels, named, options, order, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_was_taken_in_and_a_start_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    let mut receipts = Vec::new();
    for sequence in 1..20 {
        let sent = named(
            &rig.ann,
            order(1, 0, sequence, 1, MARK - 10),
            sequence.into(),
        );
        receipts.push((rig.client.send(&sent).await.unwrap(), sent));
    }
    rig.client
        .send(&submit(&rig.bob, order(1, 0, 1, -1, MARK - 20)))
        .await
        .unwrap();
    rig.venue.round().await.unwrap();
    let before: Value = rig.client.account(ANN).await.unwrap();
    let (session, last) = (rig.shared().hub.session, rig.stop().await);

    let rig = Rig::start(options(data.path())).await;
    let status = rig.client.status().await.unwrap();
    assert_eq!(status.position, last + 1, "that it began anew is logged");
    assert_eq!(status.phase["starting"]["rounds"], 3);
    assert_ne!(rig.shared().hub.session, session);
    for (receipt, sent) in &receipts {
        let position = receipt.receipt.receipt.position;
        let (again, _) = rig.client.receipt(position).await.unwrap();
        assert_eq!(again, receipt.receipt);
        let repeated = rig.client.send(sent).await.unwrap();
        assert_eq!(repeated.receipt, receipt.receipt);
    }
    let mut after: Value = rig.client.account(ANN).await.unwrap();
    after["position"] = before["position"].clone();
    assert_eq!(after, before);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_not_the_logs_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let rig = Rig::open(data.path()).await;
    cancels(&rig, &rig.ann, 3, 9).await;
    rig.stop().await;
    let options = || options(data.path());
    let store = Store::open(data.path(), &options().deployment.text()).unwrap();
    let mut row = store.epochs(u32::MAX, 2).unwrap().pop().unwrap();
    row.root = Some("00".repeat(32));
    let mut batch = Batch::default();
    batch.epoch(&store, &row).unwrap();
    store.commit(batch).unwrap();
    drop(store);
    let refused = Service::start(options(), None).unwrap_err();
    assert_eq!(refused.code(), "store.root");
    let mut elsewhere = options();
    elsewhere.deployment.chain_id += 1;
    let refused = Service::start(elsewhere, None).unwrap_err();
    assert_eq!(refused.code(), "store.deployment");
}
