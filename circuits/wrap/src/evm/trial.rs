//! The contracts tried on an EVM: anvil where Node.js is, else the one of `revm` in this process.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use num_bigint::BigUint;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{CfgEnv, TxEnv};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind};
use revm::{Context, ExecuteCommitEvm as _, ExecuteEvm as _, MainBuilder as _, MainContext as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Contracts, EvmError, find, unhex};
use crate::keys::{INSTANCES, Wrapped, hex};
use crate::srs::keccak;

/// Bytes of a word.
const WORD: usize = 32;
/// Gas that a transaction may take (EIP-7825).
const GAS: u64 = 1 << 24;
/// Speaks to anvil, which speaks HTTP.
const SCRIPT: &str = include_str!("../../tools/anvil.mjs");

/// What a transaction came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    pub succeeded: bool,
    pub gas: u64,
    /// Of the contract that it deployed, in hex.
    pub created: Option<String>,
}

/// A chain with an EVM.
pub trait Host {
    fn name(&self) -> &'static str;
    fn deploy(&mut self, creation: &[u8]) -> Result<Receipt, EvmError>;
    fn send(&mut self, to: &str, data: &[u8]) -> Result<Receipt, EvmError>;
    /// What a call returns; none where it reverts.
    fn ask(&mut self, to: &str, data: &[u8]) -> Result<Option<Vec<u8>>, EvmError>;
}

/// What an EVM says of the contracts and one proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub host: &'static str,
    /// Of a transaction that calls the generated verifier, and of one that asks the adapter.
    pub verifier_gas: u64,
    pub adapter_gas: u64,
    /// Both took the proof.
    pub accepted: bool,
    /// What the adapter took of what it must refuse: flipped bits, another instance, x + r, a
    /// shorter proof.
    pub wrongly_accepted: Vec<String>,
    pub development: bool,
}

/// Deploys both contracts and calls them.
pub fn try_on(
    host: &mut impl Host,
    contracts: &Contracts,
    wrapped: &Wrapped,
) -> Result<Report, EvmError> {
    let verifier = deployed(host.deploy(&contracts.verifier.creation)?)?;
    let address = unhex(&verifier).ok_or(EvmError::Embedded("no address".into()))?;
    let construction = [word(&address), word(&[contracts.is_development.into()])].concat();
    let adapter = [&contracts.adapter[..], &construction].concat();
    let adapter = deployed(host.deploy(&adapter)?)?;

    let honest = verify(&instances(wrapped), &wrapped.proof);
    let own = host.send(&verifier, &wrapped.calldata())?;
    let asked = host.send(&adapter, &honest)?;
    let mut ask = |data: &[u8]| -> Result<bool, EvmError> {
        let output = host.ask(&adapter, data)?;
        Ok(output.is_some_and(|output| output.last() == Some(&1)))
    };
    let accepted = own.succeeded && ask(&honest)?;
    let mut wrongly_accepted = Vec::new();
    for (name, data) in lies(wrapped) {
        if ask(&data)? {
            wrongly_accepted.push(name);
        }
    }
    let development = ask(&selector("devSetup()"))?;
    Ok(Report {
        host: host.name(),
        verifier_gas: own.gas,
        adapter_gas: asked.gas,
        accepted,
        wrongly_accepted,
        development,
    })
}

fn deployed(receipt: Receipt) -> Result<String, EvmError> {
    let created = receipt.created.filter(|_| receipt.succeeded);
    created.ok_or(EvmError::Embedded("a contract was not deployed".into()))
}

fn instances(wrapped: &Wrapped) -> [BigUint; INSTANCES] {
    let calldata = wrapped.calldata();
    [0, 1, 2].map(|i| BigUint::from_bytes_be(&calldata[WORD * i..WORD * (i + 1)]))
}

/// Calls that the adapter must not answer with yes.
fn lies(wrapped: &Wrapped) -> Vec<(String, Vec<u8>)> {
    let honest = instances(wrapped);
    let proof = &wrapped.proof;
    let mut lies = Vec::new();
    for bit in [0, 1000, 8 * proof.len() - 1] {
        let mut flipped = proof.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        lies.push((format!("bit {bit}"), verify(&honest, &flipped)));
    }
    let r = halo2_base::utils::modulus::<halo2_proofs::halo2curves::bn256::Fr>();
    for i in 0..INSTANCES {
        for (name, by) in [("1", BigUint::from(1u32)), ("r", r.clone())] {
            let mut other = honest.clone();
            other[i] += by;
            lies.push((format!("instance {i} + {name}"), verify(&other, proof)));
        }
    }
    let shorter = &proof[..proof.len() - WORD];
    lies.push(("a shorter proof".into(), verify(&honest, shorter)));
    lies
}

fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak(&[signature.as_bytes()]);
    [a, b, c, d]
}

/// Right-aligned.
fn word(bytes: &[u8]) -> Vec<u8> {
    let mut word = vec![0; WORD - bytes.len()];
    word.extend(bytes);
    word
}

/// A call of `verify(bytes,uint256[3])`.
fn verify(instances: &[BigUint; INSTANCES], proof: &[u8]) -> Vec<u8> {
    let number = |x: usize| word(&x.to_be_bytes());
    let mut data = selector("verify(bytes,uint256[3])").to_vec();
    data.extend(number((1 + INSTANCES) * WORD));
    for instance in instances {
        data.extend(word(&instance.to_bytes_be()));
    }
    data.extend(number(proof.len()));
    data.extend(proof);
    data.resize(data.len().next_multiple_of(WORD) + 4, 0);
    data
}

/// `revm` in this process.
#[derive(Debug, Default)]
pub struct Embedded {
    db: InMemoryDB,
    nonce: u64,
}

impl Embedded {
    fn transaction(&self, kind: TxKind, data: &[u8]) -> TxEnv {
        TxEnv {
            kind,
            gas_limit: GAS,
            data: Bytes::copy_from_slice(data),
            nonce: self.nonce,
            ..TxEnv::default()
        }
    }

    fn commit(&mut self, kind: TxKind, data: &[u8]) -> Result<Receipt, EvmError> {
        let transaction = self.transaction(kind, data);
        let db = std::mem::take(&mut self.db);
        let mut evm = Context::mainnet()
            .with_db(db)
            .with_cfg(config())
            .build_mainnet();
        let done = evm.transact_commit(transaction).map_err(embedded);
        self.db = evm.ctx.journaled_state.database;
        let result = done?;
        self.nonce += 1;
        let (succeeded, gas) = (result.is_success(), result.tx_gas_used());
        let created = match result {
            ExecutionResult::Success {
                output: Output::Create(_, address),
                ..
            } => address.map(|address| hex(address.as_slice())),
            _ => None,
        };
        Ok(Receipt {
            succeeded,
            gas,
            created,
        })
    }
}

fn config() -> CfgEnv {
    CfgEnv::new_with_spec(SpecId::OSAKA)
}

fn embedded(error: impl std::fmt::Display) -> EvmError {
    EvmError::Embedded(error.to_string())
}

fn address(text: &str) -> Result<Address, EvmError> {
    let bytes = unhex(text).filter(|bytes| bytes.len() == Address::len_bytes());
    let bytes = bytes.ok_or_else(|| embedded(format!("{text} is no address")))?;
    Ok(Address::from_slice(&bytes))
}

impl Host for Embedded {
    fn name(&self) -> &'static str {
        "revm"
    }

    fn deploy(&mut self, creation: &[u8]) -> Result<Receipt, EvmError> {
        self.commit(TxKind::Create, creation)
    }

    fn send(&mut self, to: &str, data: &[u8]) -> Result<Receipt, EvmError> {
        self.commit(TxKind::Call(address(to)?), data)
    }

    fn ask(&mut self, to: &str, data: &[u8]) -> Result<Option<Vec<u8>>, EvmError> {
        let transaction = self.transaction(TxKind::Call(address(to)?), data);
        let mut evm = Context::mainnet()
            .with_ref_db(&self.db)
            .with_cfg(config())
            .build_mainnet();
        let done = evm.transact(transaction).map_err(embedded)?;
        Ok(match done.result {
            ExecutionResult::Success { output, .. } => Some(output.into_data().to_vec()),
            _ => None,
        })
    }
}

/// An anvil of its own, which ends with this.
#[derive(Debug)]
pub struct Anvil {
    script: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Anvil {
    /// `TALLY_ANVIL`, or the one in `contracts/node_modules` here or above.
    pub fn start() -> Result<Self, EvmError> {
        let anvil = match env::var_os("TALLY_ANVIL") {
            Some(path) => path.into(),
            None => find("contracts/node_modules/.bin/anvil").ok_or(EvmError::NoAnvil)?,
        };
        let mut script = Command::new("node")
            .args(["--input-type=module", "-e", SCRIPT])
            .arg(anvil)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|_| EvmError::NoAnvil)?;
        let requests = script.stdin.take();
        let answers = script.stdout.take().ok_or(EvmError::NoAnvil)?;
        Ok(Self {
            script,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn request(&mut self, request: &Value) -> Result<Value, EvmError> {
        let failed = |error: std::io::Error| EvmError::Anvil(error.to_string());
        let requests = self.requests.as_mut().ok_or(EvmError::NoAnvil)?;
        writeln!(requests, "{request}").map_err(failed)?;
        requests.flush().map_err(failed)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(failed)?;
        serde_json::from_str(&line).map_err(|error| EvmError::Anvil(error.to_string()))
    }

    fn transact(&mut self, request: &Value) -> Result<Receipt, EvmError> {
        let answer = self.request(request)?;
        serde_json::from_value(answer).map_err(|error| EvmError::Anvil(error.to_string()))
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It was told to end; how it did is no concern of the proof's.
        let _ = self.script.wait();
    }
}

fn data(bytes: &[u8]) -> String {
    format!("0x{}", hex(bytes))
}

/// With 0x, which addresses of the embedded EVM lack.
fn receiver(to: &str) -> String {
    format!("0x{}", to.strip_prefix("0x").unwrap_or(to))
}

impl Host for Anvil {
    fn name(&self) -> &'static str {
        "anvil"
    }

    fn deploy(&mut self, creation: &[u8]) -> Result<Receipt, EvmError> {
        self.transact(&json!({ "data": data(creation) }))
    }

    fn send(&mut self, to: &str, bytes: &[u8]) -> Result<Receipt, EvmError> {
        self.transact(&json!({ "to": receiver(to), "data": data(bytes) }))
    }

    fn ask(&mut self, to: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, EvmError> {
        let ask = json!({ "to": receiver(to), "data": data(bytes) });
        let answer = self.request(&json!({ "ask": ask }))?;
        Ok(answer["output"].as_str().and_then(unhex))
    }
}
