//! `tests/golden/settle` on every chain: the generated verifier of the batch circuit, real proofs,
//! and whatever is close to one. What of it is stale is said by tests/tests/golden.rs;
//! `scripts/golden.sh` renews it.

use std::fs;
use std::path::PathBuf;

use alloy::hex;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolConstructor;
use serde_json::Value;
use tally_l1::abi::{Genesis, Settlement, WrapVerifier};
use tally_l1::deploy::{self, VerifierPlan};
use tally_l1::dev::{DevChain, Role};
use tally_l1::{Contract, Policy, Submitter};
use tempfile::TempDir;

use crate::chains::{TestChain, chains};
use crate::scene::{START, root};

/// r of BN254.
const R: &str = "21888242871839275222246405745257275088548364400416034343698204186575808495617";
const WORD: usize = 32;

fn path(name: &str) -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/settle");
    PathBuf::from(dir).join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(path(name)).unwrap()).unwrap()
}

fn code(value: &Value) -> Bytes {
    hex::decode(value.as_str().unwrap()).unwrap().into()
}

/// A proof for L1 and what it is about.
#[derive(Clone)]
struct Claim {
    instances: [U256; 3],
    proof: Bytes,
}

impl Claim {
    fn of(calldata: &[u8]) -> Self {
        let (instances, proof) = calldata.split_at(3 * WORD);
        let number = |at: usize| U256::from_be_slice(&instances[WORD * at..WORD * (at + 1)]);
        Self {
            instances: [number(0), number(1), number(2)],
            proof: proof.to_vec().into(),
        }
    }

    fn batch(number: usize) -> Self {
        Self::of(&fs::read(path(&format!("batch-{number:06}.wrapped"))).unwrap())
    }

    fn with_proof(&self, proof: impl Into<Bytes>) -> Self {
        Self {
            proof: proof.into(),
            ..self.clone()
        }
    }

    fn with(&self, instance: usize, value: U256) -> Self {
        let mut other = self.clone();
        other.instances[instance] = value;
        other
    }

    async fn holds(&self, verifier: &Contract) -> bool {
        let call = WrapVerifier::verifyCall {
            proof: self.proof.clone(),
            instances: self.instances,
        };
        verifier.view(call).await.unwrap()
    }
}

struct Deployer {
    by: Submitter,
    chain: TestChain,
    _dir: TempDir,
}

impl Deployer {
    async fn on(chain: TestChain) -> Self {
        let dev = DevChain::open(chain.provider.clone()).await.unwrap();
        dev.set_time(START).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (provider, signer) = (chain.provider.clone(), Role::Operator.signer());
        let by = Submitter::open(provider, signer, dir.path(), Policy::development()).await;
        Self {
            by: by.unwrap(),
            chain,
            _dir: dir,
        }
    }

    async fn verifier(&mut self, creation: Bytes) -> (Contract, B256) {
        let is_dev = true;
        let plan = VerifierPlan::Generated { creation, is_dev };
        let (at, key) = deploy::verifier(&mut self.by, &plan).await.unwrap();
        let contract = Contract::open(self.chain.provider.clone(), at, 0).await;
        (contract.unwrap(), key)
    }

    /// The error of a settlement that is to have this verifier, nothing asked before.
    async fn settlement(&mut self, verifier: Address, key: B256) -> Option<String> {
        let account = self.by.account();
        let token = deploy::test_token(&mut self.by, "quote", 6).await.unwrap();
        let genesis = Genesis {
            governor: account,
            operator: account,
            verifier,
            keyDigest: key,
            root: tally_l1::root_word(root(0)),
            time: START,
            token,
            scale: alloy::primitives::aliases::U96::from(1),
            cap: 24,
            outflow: 2,
        };
        let arguments = Settlement::constructorCall { g: genesis }.abi_encode();
        let code = [&Settlement::BYTECODE[..], &arguments].concat();
        let name = format!("settlement {verifier} {key}");
        let made = self.by.create(&name, code.into()).await;
        made.err().map(|error| error.code().to_owned())
    }
}

/// \[P6\] Two batches' proofs hold; one with a byte changed, in every word of it, cut short, or
/// about any other instances, does not.
#[tokio::test]
async fn p6_the_generated_verifier_takes_its_own_proofs_only() {
    for chain in chains() {
        let name = chain.name;
        let mut deployer = Deployer::on(chain).await;
        let creation = code(&json("verifier.json")["creation"]);
        let (verifier, _) = deployer.verifier(creation).await;
        let [one, two] = [Claim::batch(0), Claim::batch(1)];
        assert!(one.holds(&verifier).await && two.holds(&verifier).await);
        let mut lies = vec![
            ("another batch's", one.with_proof(two.proof.clone())),
            ("none", one.with_proof(Bytes::new())),
        ];
        // A call takes anvil ten times as long.
        let step = if name == "embedded" { 5 } else { 97 };
        for place in (0..one.proof.len()).step_by(step) {
            let mut proof = one.proof.to_vec();
            proof[place] ^= 1 << (place % 8);
            lies.push(("a flipped bit", one.with_proof(proof)));
        }
        for length in (0..one.proof.len()).step_by(4 * WORD) {
            lies.push(("a shorter one", one.with_proof(one.proof.slice(..length))));
        }
        let r: U256 = R.parse().unwrap();
        for i in 0..3 {
            let x = one.instances[i];
            lies.push(("x + r", one.with(i, x + r)));
            lies.push(("x + 1", one.with(i, x + U256::from(1))));
            lies.push(("x of the other batch", one.with(i, two.instances[i])));
            lies.push(("2^192 + x", one.with(i, x + (U256::from(1) << 192))));
        }
        for (lie, claim) in lies {
            assert!(!claim.holds(&verifier).await, "{lie} on {name}");
        }
    }
}

/// \[P6\], \[C4\] A circuit of the same shape that proves nothing has a proof of these very
/// instances: only its own key takes it, and a settlement is not deployed with one key in place of
/// another.
#[tokio::test]
async fn p6_c4_a_proof_of_another_key_is_refused_and_no_placeholder_is_deployed() {
    for chain in chains() {
        let mut deployer = Deployer::on(chain).await;
        let (verifier, key) = deployer
            .verifier(code(&json("verifier.json")["creation"]))
            .await;
        let other = &json("golden.json")["other_key"];
        let (others, other_key) = deployer.verifier(code(&other["creation"])).await;
        assert_ne!(key, other_key);
        let (own, claim) = (Claim::batch(0), Claim::of(&code(&other["calldata"])));
        assert_eq!(claim.instances, own.instances);
        assert_eq!(claim.proof.len(), own.proof.len());
        assert!(claim.holds(&others).await && own.holds(&verifier).await);
        assert!(!claim.holds(&verifier).await && !own.holds(&others).await);

        let at = verifier.address;
        let refused = [
            (at, other_key, "WrongKey"),
            (others.address, key, "WrongKey"),
            (at, B256::ZERO, "PlaceholderKey"),
            (Address::ZERO, key, "PlaceholderVerifier"),
            (Address::repeat_byte(7), key, "PlaceholderVerifier"),
        ];
        for (at, key, expected) in refused {
            let error = deployer.settlement(at, key).await;
            assert_eq!(error.as_deref(), Some(expected), "{at} {key}");
        }
        assert_eq!(deployer.settlement(at, key).await, None);
    }
}
