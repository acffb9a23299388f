//! A settlement with a test token and the means to write batches, as the contracts' own tests have
//! it. What a batch proves is not looked at here: its records are its own, its roots made up.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::{SolCall, SolEvent};
use tally_l1::abi::{Batch, MockToken, MockVerifier, Settlement};
use tally_l1::deploy::{self, Deployment, Plan, VerifierPlan};
use tally_l1::dev::{DevChain, Role, first_address};
use tally_l1::{BatchBytes, ClientError, Policy, Settler, Submitter};
use tally_protocol::account::Owner;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::data::{BatchStatement, DataList, STATEMENT_WORDS, bytes_of};
use tally_protocol::entry::Withdrawal;
use tally_protocol::hash::{Digest, unsigned};
use tally_protocol::queue::QueueRecord;
use tempfile::TempDir;

use crate::chains::TestChain;

pub const START: u64 = 1_760_000_000;
const CAP: u64 = 1_000_000_000_000;

pub struct Scene {
    pub chain: TestChain,
    pub dev: DevChain,
    pub settler: Settler,
    pub deployment: Deployment,
    pub dir: TempDir,
    queued: Vec<[u64; 20]>,
    served: usize,
    last: (u64, Digest),
}

/// A number as a root.
pub fn root(number: u64) -> Digest {
    Digest {
        elements: [1, 2, 3, number].map(unsigned),
    }
}

pub fn user(number: u8) -> Address {
    Address::repeat_byte(number)
}

pub fn quick() -> Policy {
    Policy {
        patience: std::time::Duration::from_millis(60),
        poll: std::time::Duration::from_millis(5),
        attempts: 3,
        ..Policy::development()
    }
}

impl Scene {
    pub async fn new(chain: TestChain) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dev = DevChain::open(chain.provider.clone()).await.unwrap();
        dev.set_time(START).await.unwrap();
        let open = |role: Role| {
            let provider = chain.provider.clone();
            Submitter::open(provider, role.signer(), dir.path(), Policy::development())
        };
        let mut operator = open(Role::Operator).await.unwrap();
        let mut creator = open(Role::Creator).await.unwrap();
        let plan = plan(VerifierPlan::Mock);
        let expected = Some(first_address());
        let deployment = deploy::deploy(&mut operator, &mut creator, &plan, expected).await;
        let deployment = deployment.unwrap();
        let contract = deployment.contract.clone();
        Self {
            settler: Settler { contract, operator },
            queued: Vec::new(),
            served: 0,
            last: (0, root(0)),
            chain,
            dev,
            deployment,
            dir,
        }
    }

    pub async fn ask<C: SolCall>(
        &self,
        from: Address,
        call: C,
    ) -> Result<TransactionReceipt, ClientError> {
        self.dev.fund(from).await.unwrap();
        let to = self.settler.contract.address;
        self.dev.send_as(from, to, call.abi_encode().into()).await
    }

    async fn token<C: SolCall>(&self, from: Address, call: C) {
        self.dev.fund(from).await.unwrap();
        let token = self.deployment.token;
        self.dev
            .send_as(from, token, call.abi_encode().into())
            .await
            .unwrap();
    }

    /// Opens an account, whose item waits in the queue.
    pub async fn open(&mut self, owner: Address, lots: u64) -> TransactionReceipt {
        let amount = U256::from(lots);
        self.token(owner, MockToken::mintCall { to: owner, amount })
            .await;
        let (spender, value) = (self.settler.contract.address, U256::MAX);
        self.token(owner, MockToken::approveCall { spender, value })
            .await;
        let call = Settlement::openCall {
            asset: 0,
            lots,
            keys: [7, 0, 0, 0, 9, 0, 0, 0, 0, 0],
            isolated: false,
        };
        let receipt = self.ask(owner, call).await.unwrap();
        self.remember(&receipt);
        receipt
    }

    pub fn remember(&mut self, receipt: &TransactionReceipt) {
        let mut logs = receipt.inner.logs().iter();
        let item = logs.find_map(|log| Settlement::ItemQueued::decode_log_data(log.data()).ok());
        self.queued.push(item.unwrap().words);
    }

    pub fn pending_items(&self) -> Vec<QueueRecord> {
        let waiting = self.queued.iter().enumerate().skip(self.served);
        let record = |(index, words): (usize, &[u64; 20])| QueueRecord {
            index: index as u64,
            words: words.map(unsigned),
            outcome: 0,
        };
        waiting.map(record).collect()
    }

    /// Two epochs after the last batch that serve whatever waits.
    pub fn batch(&self, after: u64, paid: &[(Address, u64)]) -> BatchBytes {
        self.batch_of(after, self.pending_items(), paid)
    }

    pub fn batch_of(
        &self,
        after: u64,
        queue: Vec<QueueRecord>,
        paid: &[(Address, u64)],
    ) -> BatchBytes {
        let withdrawal = |(owner, lots): &(Address, u64)| Withdrawal {
            owner: Owner(owner.into_array()),
            asset: 0,
            amount: *lots,
        };
        let list = DataList {
            queue,
            withdrawals: paid.iter().map(withdrawal).collect(),
            small: Vec::new(),
            large: Vec::new(),
            rows: Vec::new(),
        };
        let words = list.words();
        let (epoch, before) = self.last;
        let statement = BatchStatement {
            length: (STATEMENT_WORDS + words.len()) as u64,
            chain_id: self.settler.contract.chain_id,
            contract: address_words(self.settler.contract.address),
            first_epoch: epoch + 1,
            last_epoch: epoch + 2,
            round: epoch + 2,
            time: START,
            sections: [list.queue.len() as u64, list.withdrawals.len() as u64, 0, 0],
            state_before: before,
            state_after: root(after),
            header_after: root(after + 1),
        };
        let all = [&statement.words()[..], &words].concat();
        BatchBytes::read(bytes_of(&all).unwrap(), [1, 2, 3, FIELD_ORDER - 1]).unwrap()
    }

    /// Tells the mock that this proof is this batch's.
    pub async fn proof(&self, batch: &Batch) -> Bytes {
        let proof: Bytes = keccak256(batch.root).to_vec().into();
        let call = MockVerifier::registerCall {
            proof: proof.clone(),
            instances: batch.instances,
        };
        let verifier = self.deployment.verifier;
        let from = Role::Operator.signer().address();
        self.dev
            .send_as(from, verifier, call.abi_encode().into())
            .await
            .unwrap();
        proof
    }

    /// Commit, prove, execute.
    pub async fn settle(&mut self, batch: &BatchBytes) -> Batch {
        let (committed, _) = self.settler.commit(batch).await.unwrap();
        let proof = self.proof(&committed).await;
        self.settler.prove(&committed, &proof).await.unwrap();
        let paid = batch.withdrawal_bytes().unwrap();
        self.settler.execute(&committed, &paid).await.unwrap();
        self.follow(batch);
        committed
    }

    /// The next batch comes after this one.
    pub fn follow(&mut self, batch: &BatchBytes) {
        let statement = batch.statement();
        self.last = (statement.last_epoch, statement.state_after);
        self.served += batch.items().count();
    }
}

pub fn plan(verifier: VerifierPlan) -> Plan {
    Plan {
        governor: Role::Governor.signer().address(),
        operator: Role::Operator.signer().address(),
        verifier,
        root: tally_l1::root_word(root(0)),
        time: START,
        token: None,
        scale: 1,
        cap: CAP,
        outflow: CAP / 24 + 1,
    }
}

fn address_words(address: Address) -> [u64; 3] {
    let words = Owner(address.into_array()).words();
    words.map(|word| word.0)
}

/// The contract's root as a digest's word.
pub fn word(number: u64) -> B256 {
    tally_l1::root_word(root(number))
}
