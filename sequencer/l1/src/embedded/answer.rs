//! The JSON-RPC methods of the embedded chain.

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::hex;
use alloy::primitives::{Address, B256, Bytes, TxKind, U64, U256, keccak256};
use alloy::rpc::types::{BlockTransactions, Filter, TransactionRequest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::chain::{BASE_FEE, BLOCK_GAS, Block, Chain, Mined, Sent, Stop, TRANSACTION_GAS};

/// Wei a gas, on top of the base fee.
const TIP: u64 = 1_000_000;
/// Execution reverted, as nodes number it.
const REVERTED: i64 = 3;

/// A JSON-RPC error.
#[derive(Clone, Debug)]
pub struct Fault {
    pub code: i64,
    pub message: String,
    pub data: Option<String>,
}

impl Fault {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Reverted(data) => Self {
                data: Some(hex::encode_prefixed(data)),
                ..Self::new(REVERTED, "execution reverted")
            },
            Stop::Halted(reason) => Self::new(-32_000, format!("EVM halted: {reason}")),
            Stop::Invalid(reason) => Self::new(-32_003, reason),
        }
    }
}

pub fn answer(chain: &mut Chain, method: &str, params: &Value) -> Result<Value, Fault> {
    match method {
        "eth_chainId" => Ok(json!(U64::from(chain.id))),
        "eth_blockNumber" => Ok(json!(U64::from(chain.head()))),
        "eth_maxPriorityFeePerGas" => Ok(json!(U64::from(TIP))),
        "eth_gasPrice" => Ok(json!(U64::from(BASE_FEE + TIP))),
        "eth_getBalance" => Ok(json!(chain.account(parameter(params, 0)?).balance)),
        "eth_getCode" => Ok(json!(chain.code(parameter(params, 0)?))),
        "eth_getStorageAt" => {
            let word = chain.storage(parameter(params, 0)?, parameter(params, 1)?);
            Ok(json!(B256::from(word)))
        }
        "eth_getTransactionCount" => count(chain, params),
        "eth_call" => {
            let sent = request(chain, parameter(params, 0)?, BLOCK_GAS.min(TRANSACTION_GAS))?;
            Ok(json!(chain.call(&sent)?.0))
        }
        "eth_estimateGas" => estimate(chain, params),
        "eth_sendTransaction" => send(chain, params),
        "eth_sendRawTransaction" => send_raw(chain, params),
        "eth_getTransactionByHash" => {
            let mined = chain.mined(parameter(params, 0)?);
            Ok(mined.map_or(Value::Null, |mined| transaction(chain, mined)))
        }
        "eth_getTransactionReceipt" => {
            let mined = chain.mined(parameter(params, 0)?);
            Ok(mined.map_or(Value::Null, |mined| receipt(chain, mined)))
        }
        "eth_getBlockByNumber" => {
            let number = tag(chain, params.get(0).unwrap_or(&Value::Null))?;
            Ok(chain.block(number).map_or(Value::Null, block))
        }
        "eth_getBlockByHash" => {
            let found = chain.block_by_hash(parameter(params, 0)?);
            Ok(found.map_or(Value::Null, block))
        }
        "eth_getLogs" => logs(chain, &parameter(params, 0)?),
        _ => control(chain, method, params),
    }
}

/// What a development chain lets a caller do to it.
fn control(chain: &mut Chain, method: &str, params: &Value) -> Result<Value, Fault> {
    match method {
        "evm_snapshot" => Ok(json!(U64::from(chain.snapshot()))),
        "evm_revert" => {
            let id: U64 = parameter(params, 0)?;
            Ok(json!(chain.revert(id.to())))
        }
        "evm_mine" => {
            chain.mine()?;
            Ok(json!("0x0"))
        }
        "evm_setAutomine" => {
            chain.is_held = !parameter::<bool>(params, 0)?;
            Ok(Value::Null)
        }
        "evm_setTime" | "evm_setNextBlockTimestamp" => {
            chain.set_time(parameter(params, 0)?);
            Ok(Value::Null)
        }
        "anvil_setBalance" => {
            chain.set_balance(parameter(params, 0)?, parameter(params, 1)?);
            Ok(Value::Null)
        }
        "anvil_dropAllTransactions" => {
            chain.waiting.clear();
            Ok(Value::Null)
        }
        // Every address may send, and blocks keep the time that was set.
        "anvil_autoImpersonateAccount" | "anvil_setBlockTimestampInterval" => Ok(Value::Null),
        _ => Err(Fault::new(-32_601, format!("method {method} not found"))),
    }
}

fn parameter<T: DeserializeOwned>(params: &Value, place: usize) -> Result<T, Fault> {
    let value = params.get(place).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value)
        .map_err(|error| Fault::new(-32_602, format!("parameter {place}: {error}")))
}

/// A block's number from a number or name; the newest where nothing is said.
fn tag(chain: &Chain, value: &Value) -> Result<u64, Fault> {
    match value.as_str() {
        None | Some("latest" | "pending") => Ok(chain.head()),
        Some("finalized" | "safe") => Ok(chain.final_head()),
        Some("earliest") => Ok(0),
        Some(_) => {
            let number: U64 = serde_json::from_value(value.clone())
                .map_err(|error| Fault::new(-32_602, error.to_string()))?;
            Ok(number.to())
        }
    }
}

fn count(chain: &Chain, params: &Value) -> Result<Value, Fault> {
    let from: Address = parameter(params, 0)?;
    let mut nonce = chain.account(from).nonce;
    if params.get(1).and_then(Value::as_str) == Some("pending") {
        let waiting = chain.waiting.iter().filter(|sent| sent.from == from);
        nonce += waiting.count() as u64;
    }
    Ok(json!(U64::from(nonce)))
}

/// An unsigned request, with what it leaves open.
fn request(chain: &Chain, asked: TransactionRequest, gas: u64) -> Result<Sent, Fault> {
    let from = asked.from.unwrap_or_default();
    let nonce = asked.nonce.unwrap_or_else(|| chain.account(from).nonce);
    let to = asked.to.and_then(|to| to.to().copied());
    let input = asked.input.clone().into_input().unwrap_or_default();
    // Unsigned, so what is hashed need not be what a signature would cover.
    let told = (from, nonce, to.unwrap_or_default());
    let seed = [&told.0[..], &told.1.to_be_bytes(), &told.2[..], &input].concat();
    Ok(Sent {
        hash: keccak256(seed),
        from,
        to,
        nonce,
        gas: asked.gas.unwrap_or(gas),
        max_fee: asked.max_fee_per_gas.unwrap_or(u128::from(2 * BASE_FEE)),
        tip: asked.max_priority_fee_per_gas.unwrap_or(u128::from(TIP)),
        value: asked.value.unwrap_or_default(),
        input,
        signature: None,
    })
}

/// The least gas of a few tries that suffices; what a call spends depends on what it is given.
fn estimate(chain: &Chain, params: &Value) -> Result<Value, Fault> {
    let mut sent = request(chain, parameter(params, 0)?, TRANSACTION_GAS)?;
    let (_, spent) = chain.call(&sent)?;
    let most = sent.gas;
    let mut gas = spent;
    while gas < most {
        sent.gas = gas;
        if chain.call(&sent).is_ok() {
            break;
        }
        gas = (gas + gas / 16 + 1_000).min(most);
    }
    Ok(json!(U64::from(gas)))
}

fn send(chain: &mut Chain, params: &Value) -> Result<Value, Fault> {
    let mut sent = request(chain, parameter(params, 0)?, 0)?;
    if sent.gas == 0 {
        sent.gas = TRANSACTION_GAS;
    }
    // As nodes do, so that what would revert is refused with its reason.
    chain.call(&sent)?;
    Ok(json!(chain.send(sent)?))
}

fn send_raw(chain: &mut Chain, params: &Value) -> Result<Value, Fault> {
    let raw: Bytes = parameter(params, 0)?;
    let invalid = |reason: String| Fault::new(-32_602, reason);
    let signed =
        TxEnvelope::decode_2718(&mut raw.as_ref()).map_err(|error| invalid(error.to_string()))?;
    let from = signed
        .recover_signer()
        .map_err(|error| invalid(error.to_string()))?;
    let (hash, nonce) = (*signed.tx_hash(), signed.nonce());
    if chain.mined(hash).is_some() || chain.waiting.iter().any(|sent| sent.hash == hash) {
        return Err(Fault::new(-32_003, "transaction already imported"));
    }
    if nonce < chain.account(from).nonce {
        return Err(Fault::new(-32_003, "nonce too low"));
    }
    if signed.chain_id() != Some(chain.id) {
        return Err(Fault::new(-32_003, "invalid chain id for signer"));
    }
    let to = match signed.kind() {
        TxKind::Call(to) => Some(to),
        TxKind::Create => None,
    };
    let signature = signed.signature();
    let sent = Sent {
        hash,
        from,
        to,
        nonce,
        gas: signed.gas_limit(),
        max_fee: signed.max_fee_per_gas(),
        tip: signed.max_priority_fee_per_gas().unwrap_or_default(),
        value: signed.value(),
        input: signed.input().clone(),
        signature: Some((signature.r(), signature.s(), signature.v())),
    };
    Ok(json!(chain.send(sent)?))
}

fn block(found: &Block) -> Value {
    let header = alloy::rpc::types::Header {
        hash: found.hash,
        inner: found.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::ZERO),
    };
    let transactions = BlockTransactions::Hashes(found.transaction.into_iter().collect());
    let block: alloy::rpc::types::Block = alloy::rpc::types::Block::new(header, transactions);
    json!(block)
}

fn transaction(chain: &Chain, mined: &Mined) -> Value {
    let sent = &mined.sent;
    let (r, s, odd) = sent.signature.unwrap_or_default();
    let found = chain.block(mined.block);
    json!({
        "type": "0x2",
        "hash": sent.hash,
        "from": sent.from,
        "to": sent.to,
        "nonce": U64::from(sent.nonce),
        "gas": U64::from(sent.gas),
        "gasPrice": U256::from(u128::from(BASE_FEE) + sent.tip),
        "maxFeePerGas": U256::from(sent.max_fee),
        "maxPriorityFeePerGas": U256::from(sent.tip),
        "value": sent.value,
        "input": sent.input,
        "chainId": U64::from(chain.id),
        "accessList": [],
        "r": r,
        "s": s,
        "v": U64::from(u64::from(odd)),
        "yParity": U64::from(u64::from(odd)),
        "blockHash": found.map(|block| block.hash),
        "blockNumber": U64::from(mined.block),
        "transactionIndex": "0x0",
    })
}

fn receipt(chain: &Chain, mined: &Mined) -> Value {
    let found = chain.block(mined.block);
    let logs: Vec<Value> = logs_of(chain, mined).collect();
    json!({
        "type": "0x2",
        "transactionHash": mined.sent.hash,
        "transactionIndex": "0x0",
        "blockHash": found.map(|block| block.hash),
        "blockNumber": U64::from(mined.block),
        "from": mined.sent.from,
        "to": mined.sent.to,
        "contractAddress": mined.created,
        "cumulativeGasUsed": U64::from(mined.gas_used),
        "gasUsed": U64::from(mined.gas_used),
        "effectiveGasPrice": U256::from(u128::from(BASE_FEE) + mined.sent.tip),
        "status": U64::from(u64::from(mined.succeeded)),
        "logs": logs,
        "logsBloom": alloy::primitives::Bloom::ZERO,
    })
}

fn logs_of(chain: &Chain, mined: &Mined) -> impl Iterator<Item = Value> {
    let found = chain.block(mined.block);
    let (hash, time) = found.map_or_else(Default::default, |block| {
        (block.hash, block.header.timestamp)
    });
    mined.logs.iter().enumerate().map(move |(index, log)| {
        json!({
            "address": log.address,
            "topics": log.data.topics(),
            "data": log.data.data,
            "blockHash": hash,
            "blockNumber": U64::from(mined.block),
            "blockTimestamp": U64::from(time),
            "transactionHash": mined.sent.hash,
            "transactionIndex": "0x0",
            "logIndex": U64::from(index as u64),
            "removed": false,
        })
    })
}

fn logs(chain: &Chain, filter: &Filter) -> Result<Value, Fault> {
    let (from, to) = match filter.get_block_hash() {
        Some(hash) => {
            let found = chain.block_by_hash(hash);
            let number = found.ok_or_else(|| Fault::new(-32_000, "unknown block"))?;
            (number.header.number, number.header.number)
        }
        None => {
            let end = |bound: Option<_>| tag(chain, &json!(bound));
            let option = &filter.block_option;
            (
                end(option.get_from_block().copied())?,
                end(option.get_to_block().copied())?,
            )
        }
    };
    let mut found = Vec::new();
    for number in from..=to.min(chain.head()) {
        let transaction = chain.block(number).and_then(|block| block.transaction);
        let Some(mined) = transaction.and_then(|hash| chain.mined(hash)) else {
            continue;
        };
        let all = mined.logs.iter().zip(logs_of(chain, mined));
        let kept = all.filter(|(log, _)| filter.matches(log));
        found.extend(kept.map(|(_, value)| value));
    }
    Ok(Value::Array(found))
}
