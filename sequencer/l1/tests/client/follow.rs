//! Events over reorganisations and restarts.

use tally_l1::ClientError;
use tally_l1::abi::Settlement::{self, SettlementEvents};
use tally_l1::follow::{Finality, Follower, Reach, Update};

use crate::chains::chains;
use crate::scene::{Scene, user};

const DEPTH: u64 = 3;

async fn follower(scene: &Scene, reach: Reach) -> Follower {
    let contract = scene.settler.contract.clone();
    let dir = scene.dir.path();
    Follower::open(contract, Finality::Depth(DEPTH), reach, dir)
        .await
        .unwrap()
}

/// Owners of accounts that were numbered, rollbacks and final blocks, until nothing is new.
async fn drain(follower: &mut Follower) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let updates = follower.poll().await.unwrap();
        if updates.is_empty() {
            return told;
        }
        for update in updates {
            match update {
                Update::Event(event) => {
                    if let SettlementEvents::AccountNumbered(numbered) = &event.content {
                        told.push(format!("opened by {}", numbered.owner[0]));
                    }
                }
                Update::RolledBack(_) => told.push("rolled back".into()),
                Update::Final(_) => {}
            }
        }
    }
}

async fn mine(scene: &Scene, blocks: u64) {
    for _ in 0..blocks {
        scene.dev.mine().await.unwrap();
    }
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_was_delivered() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        mine(&scene, DEPTH + 1).await;
        let mut head = follower(&scene, Reach::Head).await;
        drain(&mut head).await;
        let fork = scene.dev.snapshot().await.unwrap();
        scene.open(user(1), 1_000_000).await;
        assert_eq!(
            drain(&mut head).await,
            ["opened by 1"],
            "{}",
            scene.chain.name
        );
        head.save().unwrap();

        scene.dev.revert(&fork).await.unwrap();
        scene.open(user(2), 1_000_000).await;
        // Over a restart, too: the checkpoint has the hashes of what was delivered.
        let mut head = follower(&scene, Reach::Head).await;
        assert_eq!(drain(&mut head).await, ["rolled back", "opened by 2"]);
        assert!(drain(&mut head).await.is_empty());
    }
}

#[tokio::test]
async fn c1_final_events_come_once_over_restarts() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        let mut events = follower(&scene, Reach::Final).await;
        drain(&mut events).await;
        scene.open(user(1), 1_000_000).await;
        assert!(drain(&mut events).await.is_empty(), "not final yet");
        mine(&scene, DEPTH).await;
        assert_eq!(drain(&mut events).await, ["opened by 1"]);
        events.save().unwrap();

        scene.open(user(2), 1_000_000).await;
        mine(&scene, DEPTH).await;
        let mut events = follower(&scene, Reach::Final).await;
        assert_eq!(drain(&mut events).await, ["opened by 2"]);
        // A crash before the checkpoint was saved: delivered again, not lost.
        let mut events = follower(&scene, Reach::Final).await;
        assert_eq!(drain(&mut events).await, ["opened by 2"]);
    }
}

#[tokio::test]
async fn below_finality_nothing_is_rolled_back() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        let fork = scene.dev.snapshot().await.unwrap();
        scene.open(user(1), 1_000_000).await;
        mine(&scene, DEPTH).await;
        let mut events = follower(&scene, Reach::Head).await;
        drain(&mut events).await;
        events.save().unwrap();
        let last = events.last_final();

        scene.dev.revert(&fork).await.unwrap();
        scene.open(user(2), 1_000_000).await;
        mine(&scene, DEPTH + 3).await;
        let mut events = follower(&scene, Reach::Head).await;
        let error = events.poll().await.unwrap_err();
        match error {
            ClientError::FinalityBroken {
                number, expected, ..
            } => {
                assert_eq!((number, expected), (last.number, last.hash));
            }
            other => panic!("{other}"),
        }
    }
}

/// Every event of a batch's way is one that the follower knows.
#[tokio::test]
async fn a_batchs_events_are_told_in_order() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        let batch = scene.batch(1, &[(user(1), 1_000_000)]);
        scene.settle(&batch).await;
        let pull = Settlement::pullCall {
            asset: 0,
            lots: 1_000_000,
            to: user(1),
        };
        scene.ask(user(1), pull).await.unwrap();
        let mut head = follower(&scene, Reach::Head).await;
        let mut told = Vec::new();
        loop {
            let updates = head.poll().await.unwrap();
            if updates.is_empty() {
                break;
            }
            for update in updates {
                if let Update::Event(event) = update {
                    told.push(event.content);
                }
            }
        }
        let place = |is: fn(&SettlementEvents) -> bool| told.iter().rposition(is).unwrap();
        let order = [
            place(|event| matches!(event, SettlementEvents::ItemQueued(_))),
            place(|event| matches!(event, SettlementEvents::BatchCommitted(_))),
            place(|event| matches!(event, SettlementEvents::BatchProven(_))),
            place(|event| matches!(event, SettlementEvents::BatchExecuted(_))),
            place(|event| matches!(event, SettlementEvents::Credited(_))),
            place(|event| matches!(event, SettlementEvents::Pulled(_))),
        ];
        assert!(order.is_sorted(), "{told:?}");
    }
}
