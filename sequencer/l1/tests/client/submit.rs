//! Crashes, fees and nonces of one account.

use alloy::primitives::Bytes;
use alloy::providers::Provider;
use serde_json::Value;
use tally_l1::dev::{DevChain, Role};
use tally_l1::{Call, ClientError, Submitter};
use tempfile::TempDir;

use crate::chains::{TestChain, chains};
use crate::scene::{quick, user};

struct Bench {
    chain: TestChain,
    dev: DevChain,
    dir: TempDir,
}

impl Bench {
    async fn new(chain: TestChain) -> Self {
        let dev = DevChain::open(chain.provider.clone()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { chain, dev, dir }
    }

    /// As after a restart: nothing but the journal is left.
    async fn submitter(&self) -> Submitter {
        let provider = self.chain.provider.clone();
        let signer = Role::Operator.signer();
        Submitter::open(provider, signer, self.dir.path(), quick())
            .await
            .unwrap()
    }

    async fn nonce(&self) -> u64 {
        let account = Role::Operator.signer().address();
        self.chain
            .provider
            .get_transaction_count(account)
            .await
            .unwrap()
    }

    fn attempts(&self) -> Vec<Value> {
        let mut files = std::fs::read_dir(self.dir.path()).unwrap();
        let path = files.next().unwrap().unwrap().path();
        let journal: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        journal["pending"]["attempts"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

fn call(number: u8) -> Call {
    Call {
        to: Some(user(9)),
        input: Bytes::from(vec![number; 3]),
    }
}

#[tokio::test]
async fn a_crash_between_sending_and_receipt_sends_once() {
    for chain in chains() {
        let bench = Bench::new(chain).await;
        let before = bench.nonce().await;
        bench.dev.set_automine(false).await.unwrap();
        let stuck = bench
            .submitter()
            .await
            .send("one", call(1))
            .await
            .unwrap_err();
        assert!(matches!(stuck, ClientError::Stuck { .. }), "{stuck}");
        assert_eq!(bench.nonce().await, before);

        // Mined while nobody looked; the next run finds it.
        bench.dev.mine().await.unwrap();
        bench.dev.set_automine(true).await.unwrap();
        let mut again = bench.submitter().await;
        assert_eq!(again.pending(), Some("one"));
        let receipt = again.send("one", call(1)).await.unwrap();
        let hashes = bench.attempts();
        assert!(hashes.is_empty(), "{hashes:?}");
        assert_eq!(receipt.from, Role::Operator.signer().address());
        assert_eq!(bench.nonce().await, before + 1, "{}", bench.chain.name);

        // Another one waits for what is pending, and both are mined once.
        bench.dev.set_automine(false).await.unwrap();
        bench
            .submitter()
            .await
            .send("two", call(2))
            .await
            .unwrap_err();
        bench.dev.set_automine(true).await.unwrap();
        bench.dev.mine().await.unwrap();
        bench
            .submitter()
            .await
            .send("three", call(3))
            .await
            .unwrap();
        assert_eq!(bench.nonce().await, before + 3);
    }
}

#[tokio::test]
async fn fees_rise_while_a_transaction_waits() {
    for chain in chains() {
        let bench = Bench::new(chain).await;
        let before = bench.nonce().await;
        bench.dev.set_automine(false).await.unwrap();
        bench
            .submitter()
            .await
            .send("one", call(1))
            .await
            .unwrap_err();
        let attempts = bench.attempts();
        let fees: Vec<u64> = attempts
            .iter()
            .map(|it| it["max_fee"].as_u64().unwrap())
            .collect();
        assert!(fees.len() > 1, "{fees:?}");
        // Nodes take a replacement that pays a tenth more.
        assert!(
            fees.windows(2).all(|pair| pair[1] * 10 >= pair[0] * 11),
            "{fees:?}"
        );
        bench.dev.mine().await.unwrap();
        bench.dev.set_automine(true).await.unwrap();
        let receipt = bench.submitter().await.send("one", call(1)).await.unwrap();
        let last = attempts.last().unwrap()["hash"].as_str().unwrap();
        assert_eq!(
            format!("{:#x}", receipt.transaction_hash),
            last,
            "{}",
            bench.chain.name
        );
        assert_eq!(bench.nonce().await, before + 1);
    }
}

#[tokio::test]
async fn a_dropped_transaction_is_sent_again_as_it_was() {
    for chain in chains() {
        let bench = Bench::new(chain).await;
        bench.dev.set_automine(false).await.unwrap();
        bench
            .submitter()
            .await
            .send("one", call(1))
            .await
            .unwrap_err();
        let last = bench.attempts().last().unwrap()["hash"].clone();
        drop_all(&bench).await;
        bench.dev.set_automine(true).await.unwrap();
        let receipt = bench.submitter().await.send("one", call(1)).await.unwrap();
        assert_eq!(
            format!("{:#x}", receipt.transaction_hash),
            last.as_str().unwrap()
        );
    }
}

#[tokio::test]
async fn a_nonce_that_went_to_another_is_said() {
    for chain in chains() {
        let bench = Bench::new(chain).await;
        bench.dev.set_automine(false).await.unwrap();
        bench
            .submitter()
            .await
            .send("one", call(1))
            .await
            .unwrap_err();
        drop_all(&bench).await;
        bench.dev.set_automine(true).await.unwrap();
        let account = Role::Operator.signer().address();
        bench
            .dev
            .send_as(account, user(8), Bytes::new())
            .await
            .unwrap();
        let error = bench
            .submitter()
            .await
            .send("one", call(1))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "l1.replaced", "{error}");
        // Said once; what follows is sent.
        bench.submitter().await.send("two", call(2)).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_sent_above_the_policys_fee() {
    for chain in chains() {
        let bench = Bench::new(chain).await;
        let provider = bench.chain.provider.clone();
        let policy = tally_l1::Policy {
            most_fee: 1_000,
            ..quick()
        };
        let dir = tempfile::tempdir().unwrap();
        let signer = Role::Operator.signer();
        let submitter = Submitter::open(provider, signer, dir.path(), policy).await;
        let error = submitter.unwrap().send("one", call(1)).await.unwrap_err();
        assert_eq!(error.code(), "l1.fee_cap", "{error}");
    }
}

async fn drop_all(bench: &Bench) {
    let provider = &bench.chain.provider;
    let params = serde_json::json!([]);
    let _: Value = provider
        .raw_request("anvil_dropAllTransactions".into(), params)
        .await
        .unwrap();
}
