//! Stopping and starting: what was acknowledged is there, and what does not fit is refused.

use std::path::Path;

use serde_json::Value;
use tally_sequencer::engine::Pace;
use tally_sequencer::snapshot::{Snapshot, encode};
use tally_service::service::{Checkpoints, Options, Service};
use tally_service::store::{Batch, Checkpoint, Head, Store};

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

/// A checkpoint at every end of a batch, and a batch is two epochs.
fn saving(data: &Path) -> Options {
    let mut options = options(data);
    options.deployment.engine.epochs_per_batch = 2;
    let pace = Pace {
        commands: 0,
        epochs: 0,
    };
    options.checkpoints = Some(Checkpoints { pace, keep: 3 });
    options
}

fn verifying(data: &Path) -> Options {
    Options {
        verify_log: true,
        ..saving(data)
    }
}

fn store(data: &Path) -> Store {
    Store::open(data, &saving(data).deployment.text()).unwrap()
}

/// A store with orders that rest, positions, and checkpoints; Ann's account in the end.
async fn kept(data: &Path) -> Value {
    let rig = Rig::open_with(saving(data)).await;
    for sequence in 1..8 {
        let resting = named(
            &rig.ann,
            order(1, 1, sequence, 3, MARK - 9),
            sequence.into(),
        );
        rig.client.send(&resting).await.unwrap();
        let taking = order(1, 2, sequence, -1, MARK - 10);
        rig.client.send(&submit(&rig.bob, taking)).await.unwrap();
        rig.venue.round().await.unwrap();
    }
    let account = rig.client.account(ANN).await.unwrap();
    rig.stop().await;
    account
}

/// Ann's account after a start, but for where the log stands.
async fn started(options: Options, before: &Value) -> Value {
    let rig = Rig::start(options).await;
    let mut after: Value = rig.client.account(ANN).await.unwrap();
    after["position"] = before["position"].clone();
    rig.stop().await;
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reads_the_log_after_the_latest_checkpoint_alone() {
    let data = tempfile::tempdir().unwrap();
    let before = kept(data.path()).await;
    assert_eq!(store(data.path()).checkpoints().unwrap().len(), 3);
    assert_eq!(started(verifying(data.path()), &before).await, before);
    assert_eq!(started(saving(data.path()), &before).await, before);
    // What is damaged before it is not read, unless somebody asks.
    let kept = store(data.path());
    let head = Head {
        position: 3,
        link: kept.entry(2).unwrap().unwrap().link,
    };
    let mut batch = Batch::default();
    batch.record(&kept, &head, b"another record").unwrap();
    kept.commit(batch).unwrap();
    drop(kept);
    assert_eq!(started(saving(data.path()), &before).await, before);
    let refused = Service::start(verifying(data.path()), None).unwrap_err();
    assert_eq!(refused.code(), "store.link");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_lies_is_passed_over() {
    let data = tempfile::tempdir().unwrap();
    let before = kept(data.path()).await;
    let lies: [fn(&mut Checkpoint); 4] = [
        |it| it.snapshot.truncate(20),
        |it| it.link.0[0] ^= 1,
        |it| {
            // A richer account, in bytes that hold together.
            let Snapshot { mut state, held } = Snapshot::from_bytes(&it.snapshot).unwrap();
            let (id, member) = state.accounts.iter().last().unwrap();
            let (id, mut member) = (id, member.clone());
            member.account.money.cash += 1;
            state.accounts.set([(id, member)]).unwrap();
            it.snapshot = encode(&state, &held).unwrap();
        },
        |it| it.snapshot.clear(),
    ];
    // From the latest down: the last lies leave genesis alone.
    for (number, lie) in lies.into_iter().enumerate() {
        let kept = store(data.path());
        let positions = kept.checkpoints().unwrap();
        let position = positions[number.min(positions.len() - 1)];
        let mut checkpoint = kept.checkpoint(position).unwrap().unwrap();
        lie(&mut checkpoint);
        kept.put_checkpoint(&checkpoint, 9).unwrap();
        drop(kept);
        let mut quiet = saving(data.path());
        quiet.checkpoints = Some(Checkpoints {
            pace: Pace {
                commands: u64::MAX,
                epochs: u32::MAX,
            },
            keep: 9,
        });
        assert_eq!(started(quiet, &before).await, before, "lie {number}");
        let refused = Service::start(verifying(data.path()), None).unwrap_err();
        assert_eq!(refused.code(), "store.checkpoint", "lie {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_a_checkpoint_has_lost_records() {
    let data = tempfile::tempdir().unwrap();
    kept(data.path()).await;
    let kept = store(data.path());
    let position = kept.checkpoints().unwrap()[0];
    let mut checkpoint = kept.checkpoint(position).unwrap().unwrap();
    checkpoint.position = kept.head().unwrap().position + 1;
    kept.put_checkpoint(&checkpoint, 9).unwrap();
    drop(kept);
    let refused = Service::start(saving(data.path()), None).unwrap_err();
    assert_eq!(refused.code(), "store.gap");
}
