//! A batch's way, taken once whatever happened before.

use alloy::primitives::U256;
use alloy::sol_types::SolCall as _;
use tally_l1::abi::{MockToken, Settlement};
use tally_l1::dev::Role;
use tally_l1::{BatchBytes, Chain, Contract, MOST_DATA_BYTES, Policy, Settler, Submitter};
use tally_protocol::data::BatchStatement;

use crate::chains::chains;
use crate::scene::{Scene, root, user, word};

#[tokio::test]
async fn c1_c2_deposits_come_in_and_withdrawals_are_paid() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        scene.open(user(2), 7_000_000).await;
        let batch = scene.batch(1, &[(user(1), 3_000_000)]);
        scene.settle(&batch).await;
        let next = scene.batch(2, &[]);
        scene.settle(&next).await;
        let position = scene.settler.contract.position().await.unwrap();
        assert_eq!(
            (position.executed, position.root),
            (2, word(2)),
            "{}",
            scene.chain.name
        );
        assert_eq!((position.queue_head, position.queue_tail), (2, 2));
        let pull = Settlement::pullCall {
            asset: 0,
            lots: 3_000_000,
            to: user(1),
        };
        scene.ask(user(1), pull).await.unwrap();
        let token = scene.deployment.token;
        let token = Contract::open(scene.chain.provider.clone(), token, 0)
            .await
            .unwrap();
        let balance = token
            .view(MockToken::balanceOfCall { account: user(1) })
            .await
            .unwrap();
        assert_eq!(balance, U256::from(3_000_000));
    }
}

/// \[C2\] A receiver that the token refuses keeps his credit; others are paid all the same.
#[tokio::test]
async fn c2_a_blacklisted_receiver_stops_nobody_else() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        let token = scene.deployment.token;
        let listed = MockToken::blacklistCall { account: user(1) };
        scene
            .dev
            .send_as(user(1), token, listed.abi_encode().into())
            .await
            .unwrap();
        let batch = scene.batch(1, &[(user(1), 2_000_000), (user(2), 1_000_000)]);
        scene.settle(&batch).await;
        let pull = |lots: u64, to| Settlement::pullCall { asset: 0, lots, to };
        let refused = scene.ask(user(1), pull(2_000_000, user(1))).await;
        assert_eq!(refused.unwrap_err().code(), "TransferRefused");
        let owed = Settlement::owedCall {
            asset: 0,
            owner: user(1),
        };
        let owed = scene.settler.contract.view(owed).await.unwrap();
        assert_eq!(owed, 2_000_000);
        scene.ask(user(2), pull(1_000_000, user(2))).await.unwrap();
        let twice = scene.ask(user(2), pull(1_000_000, user(2))).await;
        assert_eq!(twice.unwrap_err().code(), "NothingOwed");
        // He has it sent elsewhere.
        scene.ask(user(1), pull(2_000_000, user(3))).await.unwrap();
    }
}

/// The chain inside the process is worth something only if it is like a real one.
#[tokio::test]
async fn gas_is_the_same_on_every_chain() {
    let mut spent = Vec::new();
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        let open = scene.open(user(1), 5_000_000).await;
        let batch = scene.batch(1, &[(user(1), 2_000_000)]);
        let (committed, commit) = scene.settler.commit(&batch).await.unwrap();
        let proof = scene.proof(&committed).await;
        let prove = scene.settler.prove(&committed, &proof).await.unwrap();
        let paid = batch.withdrawal_bytes().unwrap();
        let execute = scene.settler.execute(&committed, &paid).await.unwrap();
        let receipts = [Some(open), commit, prove, execute];
        spent.push(receipts.map(|receipt| receipt.unwrap().gas_used));
    }
    assert!(spent.windows(2).all(|pair| pair[0] == pair[1]), "{spent:?}");
    // A commit's own, and the 21,000 of every transaction.
    assert!(
        spent
            .iter()
            .flatten()
            .all(|gas| (30_000..400_000).contains(gas)),
        "{spent:?}"
    );
}

/// Nothing of a first run is at hand but the chain.
#[tokio::test]
async fn a_step_that_is_done_is_seen_and_skipped() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        let batch = scene.batch(1, &[(user(1), 2_000_000)]);
        let first = scene.settle(&batch).await;
        let later = scene.batch(2, &[]);
        let (second, done) = scene.settler.commit(&later).await.unwrap();
        assert!(done.is_some());

        let empty = tempfile::tempdir().unwrap();
        let provider = scene.chain.provider.clone();
        let signer = Role::Operator.signer();
        let policy = Policy::development();
        let operator = Submitter::open(provider, signer, empty.path(), policy)
            .await
            .unwrap();
        let contract = scene.settler.contract.clone();
        let mut settler = Settler { contract, operator };
        let (found, done) = settler.commit(&batch).await.unwrap();
        assert_eq!((found.clone(), done.is_none()), (first, true));
        assert!(
            settler
                .prove(&found, &vec![1].into())
                .await
                .unwrap()
                .is_none()
        );
        let paid = batch.withdrawal_bytes().unwrap();
        assert!(settler.execute(&found, &paid).await.unwrap().is_none());
        let (found, done) = settler.commit(&later).await.unwrap();
        assert_eq!((found, done.is_none()), (second, true));

        // Other bytes of the same epochs are not taken for these.
        let other = scene.batch(3, &[]);
        let refused = settler.commit(&other).await.unwrap_err();
        assert_eq!(refused.code(), "l1.batch", "{refused}");
        assert!(settler.revert().await.unwrap().is_some());
        assert!(settler.revert().await.unwrap().is_none());
        assert!(settler.commit(&other).await.unwrap().1.is_some());
    }
}

/// \[P6\] What L1 has of a batch is its bytes, or it is refused.
#[tokio::test]
async fn p6_batches_are_read_back_from_calldata() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        let first = scene.batch(1, &[(user(1), 2_000_000)]);
        scene.settle(&first).await;
        scene.open(user(2), 6_000_000).await;
        let second = scene.batch(2, &[]);
        // Taken back and committed again: the contract keeps the later one.
        let lost = scene.batch(9, &[]);
        scene.settler.commit(&lost).await.unwrap();
        scene.settler.revert().await.unwrap();
        scene.settle(&second).await;

        let contract = &scene.settler.contract;
        let one = contract.published(1, Chain::ZERO).await.unwrap();
        assert_eq!(
            (&one.bytes.bytes, one.bytes.content),
            (&first.bytes, first.content)
        );
        let two = contract.published(2, one.batch.queueChain).await.unwrap();
        assert_eq!(two.bytes.bytes, second.bytes);
        assert_eq!(two.bytes.statement().state_after, root(2));
        // From another queue it is not the batch.
        assert!(contract.published(2, Chain::ZERO).await.is_err());
        assert!(contract.published(3, two.batch.queueChain).await.is_err());
    }
}

/// \[P6\] What no node passes on is refused by name; development chains take it.
#[tokio::test]
async fn p6_a_batch_larger_than_a_transaction_is_refused_early() {
    const MAINNET: u64 = 1;
    let chain = chains().remove(0);
    let mut scene = Scene::new(chain).await;
    let paid = |count: usize| vec![(user(1), 0); count];
    let fits = MOST_DATA_BYTES / 35 - 10;
    let [small, large] = [fits, fits + 20].map(|count| scene.batch(1, &paid(count)));
    assert!(small.bytes.len() <= MOST_DATA_BYTES && large.bytes.len() > MOST_DATA_BYTES);
    let on_mainnet = |batch: &BatchBytes| {
        let mut data = batch.data.clone();
        data.statement.chain_id = MAINNET;
        BatchBytes::read(data.bytes().unwrap(), batch.content).unwrap()
    };
    scene.settler.contract.chain_id = MAINNET;
    let refused = scene.settler.commit(&on_mainnet(&large)).await.unwrap_err();
    assert_eq!(refused.code(), "l1.too_large", "{refused}");
    let refused = scene.settler.commit(&on_mainnet(&small)).await.unwrap_err();
    assert_eq!(refused.code(), "WrongChain", "{refused}");
    scene.settler.contract.chain_id = large.statement().chain_id;
    scene.settler.commit(&large).await.unwrap();
}

/// \[P6\] C, z and y of the shared vectors, at the edges of every width.
#[test]
fn p6_instances_are_those_of_the_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/l1.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let batch = &vectors["batch"];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let data = alloy::hex::decode(text(&batch["data"])).unwrap();
    let content = [0, 1, 2, 3].map(|i| text(&batch["content"][i]).parse().unwrap());
    let bytes = BatchBytes::read(data, content).unwrap();
    let expected = [0, 1, 2].map(|i| text(&batch["instances"][i]).parse::<U256>().unwrap());
    assert_eq!(bytes.instances().unwrap(), expected);
    let paid = alloy::hex::decode(text(&batch["withdrawals"])).unwrap();
    assert_eq!(bytes.withdrawal_bytes().unwrap().to_vec(), paid);
    let BatchStatement { first_epoch, .. } = bytes.statement();
    assert_eq!(first_epoch.to_string(), text(&batch["first_epoch"]));
}
