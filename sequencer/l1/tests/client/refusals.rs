//! What the contract refuses, by the name of its error, with nothing sent and nothing changed.

use alloy::primitives::{Address, B256, Bytes, U256, aliases::U96};
use alloy::providers::Provider;
use alloy::sol_types::SolCall;
use tally_l1::abi::{Batch, Settlement};
use tally_l1::dev::Role;
use tally_l1::{BatchBytes, Call, Position};
use tally_protocol::data::words_of;

use crate::chains::chains;
use crate::scene::{Scene, user};

/// r of BN254.
const R: &str = "21888242871839275222246405745257275088548364400416034343698204186575808495617";

struct Lies<'a> {
    scene: &'a mut Scene,
    before: Position,
}

impl Lies<'_> {
    /// The operator's submitter sends nothing of what would revert.
    async fn refused<C: SolCall>(&mut self, expected: &str, call: C) {
        let operator = &mut self.scene.settler.operator;
        let nonce = |account: Address| self.scene.chain.provider.get_transaction_count(account);
        let sent = nonce(operator.account()).await.unwrap();
        let call = Call {
            to: Some(self.scene.settler.contract.address),
            input: call.abi_encode().into(),
        };
        let error = operator.send("a lie", call).await.unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
        assert_eq!(
            nonce(operator.account()).await.unwrap(),
            sent,
            "{expected}: sent"
        );
        let now = self.scene.settler.contract.position().await.unwrap();
        assert_eq!(now, self.before, "{expected}: changed");
    }

    async fn commit(&mut self, expected: &str, last: &Batch, data: Vec<u64>) {
        let data = tally_protocol::data::bytes_of(&data).unwrap();
        self.commit_bytes(expected, last, data).await;
    }

    async fn commit_bytes(&mut self, expected: &str, last: &Batch, data: Vec<u8>) {
        let call = Settlement::commitCall {
            last: last.clone(),
            content: [1, 2, 3, 4],
            data: data.into(),
        };
        self.refused(expected, call).await;
    }
}

fn altered(batch: &BatchBytes, word: usize, by: u64) -> Vec<u64> {
    let mut words = words_of(&batch.bytes).unwrap();
    words[word] += by;
    words
}

/// \[P6\], \[C1\] Bytes that are not those of the next batch.
#[tokio::test]
async fn p6_c1_other_bytes_are_not_committed() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        scene.open(user(2), 6_000_000).await;
        let (last, _) = scene.settler.contract.batch(0).await.unwrap();
        let batch = scene.batch(1, &[]);
        let items = scene.pending_items();
        let mut swapped = items.clone();
        swapped.swap(0, 1);
        let swapped = scene.batch_of(1, swapped, &[]);
        let skipped = scene.batch_of(1, items[1..].to_vec(), &[]);
        let mut other = items;
        other[1].words[7] = tally_protocol::hash::unsigned(1);
        let other = scene.batch_of(1, other, &[]);
        let before = scene.settler.contract.position().await.unwrap();
        let mut lies = Lies {
            scene: &mut scene,
            before,
        };
        let words = words_of(&batch.bytes).unwrap();
        lies.commit("DataVersion", &last, altered(&batch, 0, 1))
            .await;
        lies.commit("WordCount", &last, altered(&batch, 1, 1)).await;
        lies.commit("WrongChain", &last, altered(&batch, 2, 1))
            .await;
        lies.commit("WrongContract", &last, altered(&batch, 5, 1))
            .await;
        lies.commit("WrongEpoch", &last, altered(&batch, 6, 1))
            .await;
        lies.commit("OutsideWindow", &last, altered(&batch, 9, 601))
            .await;
        lies.commit("SectionMismatch", &last, altered(&batch, 10, 1))
            .await;
        lies.commit("StaleRoot", &last, altered(&batch, 14, 1))
            .await;
        lies.commit("AliasedHalves", &last, {
            let mut words = words.clone();
            (words[14], words[15]) = (1, u32::MAX.into());
            words
        })
        .await;
        lies.commit("WordCount", &last, words[..words.len() - 1].to_vec())
            .await;
        lies.commit("WordCount", &last, [&words[..], &[0]].concat())
            .await;
        lies.commit_bytes("DataLength", &last, [&batch.bytes[..], &[0]].concat())
            .await;
        lies.commit("QueueOrder", &last, words_of(&swapped.bytes).unwrap())
            .await;
        lies.commit("QueueOrder", &last, words_of(&skipped.bytes).unwrap())
            .await;
        lies.commit("QueueMismatch", &last, words_of(&other.bytes).unwrap())
            .await;
        let call = Settlement::commitCall {
            last: last.clone(),
            content: [1, 2, 3, 0xffff_ffff_0000_0001],
            data: batch.bytes.clone(),
        };
        lies.refused("ContentNotCanonical", call).await;
        let mut invented = last.clone();
        invented.round += 1;
        lies.commit("UnknownBatch", &invented, words.clone()).await;
        invented.number = 1;
        lies.commit("OutOfOrder", &invented, words).await;
    }
}

/// \[P6\], \[C2\] Proofs and executions that are not the next batch's own.
#[tokio::test]
async fn p6_c2_only_the_next_batchs_own_proof_is_taken() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        scene.open(user(1), 5_000_000).await;
        let first = scene.batch(1, &[(user(1), 2_000_000)]);
        let (one, _) = scene.settler.commit(&first).await.unwrap();
        scene.follow(&first);
        let second = scene.batch(2, &[]);
        let (two, _) = scene.settler.commit(&second).await.unwrap();
        let proof = scene.proof(&one).await;
        let others = scene.proof(&two).await;
        let mut flipped = proof.to_vec();
        flipped[5] ^= 1;
        let mut shifted = one.clone();
        shifted.instances[0] += R.parse::<U256>().unwrap();
        let before = scene.settler.contract.position().await.unwrap();
        let mut lies = Lies {
            scene: &mut scene,
            before,
        };
        let prove = |batch: &Batch, proof: Bytes| Settlement::proveCall {
            batch: batch.clone(),
            proof,
        };
        lies.refused("ProofRefused", prove(&one, flipped.into()))
            .await;
        lies.refused("ProofRefused", prove(&one, others.clone()))
            .await;
        lies.refused("UnknownBatch", prove(&shifted, proof.clone()))
            .await;
        lies.refused("OutOfOrder", prove(&two, others)).await;
        let paid = first.withdrawal_bytes().unwrap();
        let execute = |withdrawals: &Bytes| Settlement::executeCall {
            batch: one.clone(),
            withdrawals: withdrawals.clone(),
        };
        lies.refused("NotProven", execute(&paid)).await;
        lies.scene.settler.prove(&one, &proof).await.unwrap();
        lies.before = lies.scene.settler.contract.position().await.unwrap();
        let doubled: Bytes = [&paid[..], &paid[..]].concat().into();
        lies.refused("WithdrawalsMismatch", execute(&doubled)).await;
        lies.scene.settler.execute(&one, &paid).await.unwrap();
        lies.before = lies.scene.settler.contract.position().await.unwrap();
        lies.refused("OutOfOrder", execute(&paid)).await;
    }
}

/// Every privileged call with the error that it has for others: the operator's, those that only the
/// timelock makes, the governor's.
async fn privileged(scene: &Scene) -> [(&'static str, Vec<Vec<u8>>); 3] {
    let (to, token) = (user(3), scene.deployment.token);
    let batch = scene.batch(1, &[]);
    let (last, _) = scene.settler.contract.batch(0).await.unwrap();
    let commit = Settlement::commitCall {
        last,
        content: batch.content,
        data: batch.bytes.clone(),
    };
    let listing = Settlement::listAssetCall {
        asset: 5,
        token,
        scale: U96::from(1),
        cap: 5,
        limit: 5,
    };
    let id = B256::ZERO;
    let verifier = Settlement::setVerifierCall { to, keyDigest: id };
    let operators = vec![
        commit.abi_encode(),
        Settlement::revertBatchesCall {}.abi_encode(),
    ];
    let scheduled = vec![
        Settlement::setGovernorCall { to }.abi_encode(),
        Settlement::setOperatorCall { to }.abi_encode(),
        verifier.abi_encode(),
        listing.abi_encode(),
        Settlement::raiseCapCall { asset: 0, cap: 5 }.abi_encode(),
        Settlement::setOutflowCall { asset: 0, limit: 5 }.abi_encode(),
        Settlement::requestChangeCall { change: [0; 15] }.abi_encode(),
    ];
    let call: Bytes = scheduled[0].clone().into();
    let governors = vec![
        Settlement::scheduleCall { call: call.clone() }.abi_encode(),
        Settlement::runCall { call }.abi_encode(),
        Settlement::cancelCall { id }.abi_encode(),
        Settlement::lowerCapCall { asset: 0, cap: 0 }.abi_encode(),
    ];
    [
        ("NotOperator", operators),
        ("NotScheduled", scheduled),
        ("NotGovernor", governors),
    ]
}

/// \[C4\] Each privileged call, by a user, the operator and the governor where it is not theirs.
#[tokio::test]
async fn c4_no_privileged_call_by_anyone_else() {
    for chain in chains() {
        let mut scene = Scene::new(chain).await;
        let [operator, governor] =
            [Role::Operator, Role::Governor].map(|role| role.signer().address());
        let before = scene.settler.contract.position().await.unwrap();
        let at = scene.settler.contract.address;
        scene.dev.fund(user(3)).await.unwrap();
        for (expected, calls) in privileged(&scene).await {
            let callers = [user(3), operator, governor].into_iter();
            for from in callers.filter(|by| match expected {
                "NotOperator" => *by != operator,
                "NotGovernor" => *by != governor,
                _ => true,
            }) {
                for call in &calls {
                    let answer = scene.dev.send_as(from, at, call.clone().into()).await;
                    let error = answer.unwrap_err();
                    assert_eq!(error.code(), expected, "{from}: {error}");
                    let text = error.revert().unwrap().text.to_lowercase();
                    assert!(text.contains(&format!("{from:#x}")), "{text} of {from}");
                }
            }
        }
        let after = scene.settler.contract.position().await.unwrap();
        assert_eq!(before, after);
        scene.open(user(1), 1_000_000).await;
    }
}
