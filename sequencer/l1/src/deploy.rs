//! Puts the contracts on a chain: a verifier, the settlement contract, and on a development chain a
//! token to deposit. Whatever a step made before a crash is found again by the submitter's journal.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::providers::Provider;
use alloy::sol_types::{SolConstructor, SolValue};

use crate::abi::{Genesis, MockToken, MockVerifier, Settlement, WrapVerifier};
use crate::contract::{Contract, view};
use crate::endpoint::is_development;
use crate::error::{ClientError, rpc};
use crate::submit::Submitter;

const LATEST: BlockNumberOrTag = BlockNumberOrTag::Latest;

/// Which verifier the contract gets.
#[derive(Clone, Debug)]
pub enum VerifierPlan {
    /// The code that creates a generated one, put behind `WrapVerifier`.
    Generated { creation: Bytes, is_dev: bool },
    /// Takes the proofs that it was told; development chains only.
    Mock,
    /// One that is there, with the digest that its key must have.
    Existing { at: Address, key: B256 },
}

/// Micro-quote and lots, as in `ISettlement`.
#[derive(Clone, Debug)]
pub struct Plan {
    pub governor: Address,
    pub operator: Address,
    pub verifier: VerifierPlan,
    /// Of epoch 0.
    pub root: B256,
    pub time: u64,
    /// The quote token; a new test token with six decimals where absent.
    pub token: Option<Address>,
    pub scale: u64,
    pub cap: u64,
    /// Net lots an hour; the least that the contract takes lets the cap out in a day.
    pub outflow: u64,
}

/// What was put where.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub contract: Contract,
    pub verifier: Address,
    pub key: B256,
    pub token: Address,
}

/// Where `creator`'s next contract will be, so that a replay can name it before it is there.
pub async fn next_address(submitter: &Submitter) -> Result<Address, ClientError> {
    let nonce = submitter
        .provider()
        .get_transaction_count(submitter.account())
        .await;
    Ok(submitter
        .account()
        .create(nonce.map_err(rpc("asking for the nonce"))?))
}

/// The verifier of a plan, and its key's digest. One of an insecure setup, or a mock, is refused
/// here as by the contract unless the chain is a development one.
pub async fn verifier(
    by: &mut Submitter,
    plan: &VerifierPlan,
) -> Result<(Address, B256), ClientError> {
    let chain_id = by.chain_id();
    match plan {
        VerifierPlan::Generated { creation, is_dev } => {
            if *is_dev && !is_development(chain_id) {
                return Err(ClientError::DevSetup { chain_id });
            }
            let tag = keccak256(creation);
            let generated = by
                .create(&format!("verifier {tag}"), creation.clone())
                .await?
                .at;
            let code = by.provider().get_code_at(generated).await;
            let key = keccak256(code.map_err(rpc("asking for code"))?);
            let arguments = (generated, *is_dev).abi_encode_params();
            let code = [&WrapVerifier::BYTECODE[..], &arguments].concat();
            let at = by
                .create(&format!("adapter {tag} {is_dev}"), code.into())
                .await?
                .at;
            check_key(by, at, key).await
        }
        VerifierPlan::Mock => {
            demand_development(chain_id, "a verifier that takes what it is told")?;
            let key = keccak256("mock verifier");
            let arguments = MockVerifier::constructorCall { key, dev: true }.abi_encode();
            let code = [&MockVerifier::BYTECODE[..], &arguments].concat();
            let at = by.create("mock verifier", code.into()).await?.at;
            check_key(by, at, key).await
        }
        VerifierPlan::Existing { at, key } => check_key(by, *at, *key).await,
    }
}

/// The key that the contract will demand, and that no insecure one gets past.
async fn check_key(by: &Submitter, at: Address, key: B256) -> Result<(Address, B256), ClientError> {
    let code = by.provider().get_code_at(at).await;
    if code.map_err(rpc("asking for code"))?.is_empty() {
        return Err(ClientError::NoCode(at));
    }
    let got = view(by.provider(), at, WrapVerifier::keyDigestCall {}, LATEST).await?;
    if got != key {
        return Err(ClientError::WrongKey {
            verifier: at,
            expected: key,
            got,
        });
    }
    let is_dev = view(by.provider(), at, WrapVerifier::devSetupCall {}, LATEST).await?;
    let chain_id = by.chain_id();
    match is_dev && !is_development(chain_id) {
        true => Err(ClientError::DevSetup { chain_id }),
        false => Ok((at, key)),
    }
}

pub fn demand_development(chain_id: u64, what: &'static str) -> Result<(), ClientError> {
    match is_development(chain_id) {
        true => Ok(()),
        false => Err(ClientError::NotDevelopment { chain_id, what }),
    }
}

/// A token that mints for everybody; development chains only.
pub async fn test_token(
    by: &mut Submitter,
    key: &str,
    decimals: u8,
) -> Result<Address, ClientError> {
    demand_development(by.chain_id(), "a token that mints for everybody")?;
    let arguments = MockToken::constructorCall {
        decimals_: decimals,
    };
    let code = [&MockToken::BYTECODE[..], &arguments.abi_encode()].concat();
    let made = by.create(&format!("token {key}"), code.into()).await?;
    Ok(made.at)
}

/// `helper` makes verifier and token, `creator` the settlement contract alone, so that its address
/// depends on nothing but the creator's nonce. `expected` is what the batches name.
pub async fn deploy(
    helper: &mut Submitter,
    creator: &mut Submitter,
    plan: &Plan,
    expected: Option<Address>,
) -> Result<Deployment, ClientError> {
    const KEY: &str = "settlement";
    let provider = creator.provider().clone();
    let (verifier, key) = verifier(helper, &plan.verifier).await?;
    let token = match plan.token {
        Some(token) => token,
        None => test_token(helper, "quote", 6).await?,
    };
    if let Some(expected) = expected {
        let got = next_address(creator).await?;
        if got != expected && creator.pending() != Some(KEY) {
            return Err(ClientError::OtherAddress { expected, got });
        }
    }
    let genesis = Genesis {
        governor: plan.governor,
        operator: plan.operator,
        verifier,
        keyDigest: key,
        root: plan.root,
        time: plan.time,
        token,
        scale: alloy::primitives::aliases::U96::from(plan.scale),
        cap: plan.cap,
        outflow: plan.outflow,
    };
    let arguments = Settlement::constructorCall { g: genesis }.abi_encode();
    let code = [&Settlement::BYTECODE[..], &arguments].concat();
    let made = creator.create(KEY, code.into()).await?;
    Ok(Deployment {
        contract: Contract::open(provider, made.at, made.block).await?,
        verifier,
        key,
        token,
    })
}
