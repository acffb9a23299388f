//! State, blocks and clock of the embedded chain.

use std::collections::HashMap;

use alloy::consensus::Header;
use alloy::primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{Context, DatabaseRef, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext};

pub const BLOCK_GAS: u64 = 30_000_000;
/// Of a transaction, since Osaka (EIP-7825).
pub const TRANSACTION_GAS: u64 = 1 << 24;
/// Wei a gas; it stays, since blocks are never full.
pub const BASE_FEE: u64 = 1_000_000_000;
/// Blocks on top of a final one.
pub const FINAL_DEPTH: u64 = 2;

/// What a caller sends; who signed it was checked, or is not to be.
#[derive(Clone, Debug)]
pub struct Sent {
    pub hash: B256,
    pub from: Address,
    pub to: Option<Address>,
    pub nonce: u64,
    pub gas: u64,
    pub max_fee: u128,
    pub tip: u128,
    pub value: U256,
    pub input: Bytes,
    pub signature: Option<(U256, U256, bool)>,
}

/// A transaction in its block.
#[derive(Clone, Debug)]
pub struct Mined {
    pub sent: Sent,
    pub block: u64,
    pub gas_used: u64,
    pub succeeded: bool,
    pub created: Option<Address>,
    pub logs: Vec<Log>,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub header: Header,
    pub hash: B256,
    /// The transaction, if the block has one.
    pub transaction: Option<B256>,
}

/// Everything but the snapshots of it.
#[derive(Clone, Debug)]
struct World {
    db: InMemoryDB,
    blocks: Vec<Block>,
    mined: HashMap<B256, Mined>,
    time: u64,
}

#[derive(Clone, Debug)]
pub struct Chain {
    pub id: u64,
    world: World,
    snapshots: Vec<World>,
    /// Transactions wait until `mine`.
    pub is_held: bool,
    pub waiting: Vec<Sent>,
}

/// Why a call or transaction came to nothing.
#[derive(Clone, Debug)]
pub enum Stop {
    Reverted(Bytes),
    Halted(String),
    Invalid(String),
}

impl Chain {
    pub fn new(id: u64) -> Self {
        let mut chain = Self {
            id,
            world: World {
                db: InMemoryDB::default(),
                blocks: Vec::new(),
                mined: HashMap::new(),
                time: 0,
            },
            snapshots: Vec::new(),
            is_held: false,
            waiting: Vec::new(),
        };
        chain.close(None, 0);
        chain
    }

    pub fn head(&self) -> u64 {
        self.world.blocks.len() as u64 - 1
    }

    pub fn final_head(&self) -> u64 {
        self.head().saturating_sub(FINAL_DEPTH)
    }

    pub fn block(&self, number: u64) -> Option<&Block> {
        self.world.blocks.get(usize::try_from(number).ok()?)
    }

    pub fn block_by_hash(&self, hash: B256) -> Option<&Block> {
        self.world
            .blocks
            .iter()
            .rev()
            .find(|block| block.hash == hash)
    }

    pub fn mined(&self, hash: B256) -> Option<&Mined> {
        self.world.mined.get(&hash)
    }

    /// Of the blocks from now on.
    pub fn set_time(&mut self, time: u64) {
        self.world.time = time;
    }

    pub fn account(&self, address: Address) -> AccountInfo {
        let Ok(found) = self.world.db.basic_ref(address);
        found.unwrap_or_default()
    }

    pub fn code(&self, address: Address) -> Bytes {
        let info = self.account(address);
        let Ok(code) = self.world.db.code_by_hash_ref(info.code_hash);
        code.original_bytes()
    }

    pub fn storage(&self, address: Address, place: U256) -> U256 {
        let Ok(value) = self.world.db.storage_ref(address, place);
        value
    }

    pub fn set_balance(&mut self, address: Address, balance: U256) {
        let info = AccountInfo {
            balance,
            ..self.account(address)
        };
        self.world.db.insert_account_info(address, info);
    }

    pub fn snapshot(&mut self) -> u64 {
        self.snapshots.push(self.world.clone());
        self.snapshots.len() as u64
    }

    /// Back to a snapshot, which is used up with those after it.
    pub fn revert(&mut self, snapshot: u64) -> bool {
        let place = usize::try_from(snapshot).unwrap_or_default();
        if place == 0 || place > self.snapshots.len() {
            return false;
        }
        self.snapshots.truncate(place);
        if let Some(world) = self.snapshots.pop() {
            self.world = world;
        }
        true
    }

    /// Runs on the newest state and leaves nothing; nonces and balances do not matter.
    pub fn call(&self, sent: &Sent) -> Result<(Bytes, u64), Stop> {
        let mut cfg = self.config();
        cfg.disable_nonce_check = true;
        let block = BlockEnv {
            basefee: 0,
            ..self.environment()
        };
        let free = Sent {
            max_fee: 0,
            tip: 0,
            ..sent.clone()
        };
        let mut evm = Context::mainnet()
            .with_ref_db(&self.world.db)
            .with_cfg(cfg)
            .with_block(block)
            .build_mainnet();
        let done = evm.transact(self.transaction(&free)).map_err(invalid)?;
        finish(done.result).map(|(output, gas, _)| (output, gas))
    }

    /// Takes a transaction: into a block of its own, or to those that wait.
    pub fn send(&mut self, sent: Sent) -> Result<B256, Stop> {
        let hash = sent.hash;
        let waits = |it: &Sent| it.from == sent.from && it.nonce == sent.nonce;
        match self.is_held {
            true => {
                self.waiting.retain(|it| !waits(it));
                self.waiting.push(sent);
            }
            false => self.execute(sent)?,
        }
        Ok(hash)
    }

    /// Mines what waits, or an empty block.
    pub fn mine(&mut self) -> Result<(), Stop> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            self.close(None, 0);
        }
        waiting.into_iter().try_for_each(|sent| self.execute(sent))
    }

    fn execute(&mut self, sent: Sent) -> Result<(), Stop> {
        let block = self.environment();
        let transaction = self.transaction(&sent);
        let db = std::mem::take(&mut self.world.db);
        let mut evm = Context::mainnet()
            .with_db(db)
            .with_cfg(self.config())
            .with_block(block)
            .build_mainnet();
        let done = evm.transact_commit(transaction).map_err(invalid);
        self.world.db = evm.ctx.journaled_state.database;
        let result = done?;
        let (gas_used, succeeded) = (result.tx_gas_used(), result.is_success());
        let (created, logs) = match result {
            ExecutionResult::Success { output, logs, .. } => match output {
                Output::Create(_, address) => (address, logs),
                Output::Call(_) => (None, logs),
            },
            _ => (None, Vec::new()),
        };
        let number = self.close(Some(sent.hash), gas_used);
        let mined = Mined {
            block: number,
            gas_used,
            succeeded,
            created,
            logs,
            sent,
        };
        self.world.mined.insert(mined.sent.hash, mined);
        Ok(())
    }

    fn environment(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.world.blocks.len()),
            timestamp: U256::from(self.world.time),
            gas_limit: BLOCK_GAS,
            basefee: BASE_FEE,
            prevrandao: Some(B256::ZERO),
            ..BlockEnv::default()
        }
    }

    fn close(&mut self, transaction: Option<B256>, gas_used: u64) -> u64 {
        let number = self.world.blocks.len() as u64;
        let parent = self.world.blocks.last();
        let header = Header {
            parent_hash: parent.map_or(B256::ZERO, |parent| parent.hash),
            number,
            timestamp: self.world.time,
            gas_limit: BLOCK_GAS,
            gas_used,
            base_fee_per_gas: Some(BASE_FEE),
            // Not a root: it only makes blocks of other transactions other blocks.
            transactions_root: keccak256(transaction.unwrap_or_default()),
            ..Header::default()
        };
        let hash = header.hash_slow();
        self.world.blocks.push(Block {
            header,
            hash,
            transaction,
        });
        number
    }

    fn config(&self) -> CfgEnv {
        let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        cfg.chain_id = self.id;
        cfg
    }

    fn transaction(&self, sent: &Sent) -> TxEnv {
        TxEnv {
            tx_type: 2,
            caller: sent.from,
            gas_limit: sent.gas,
            gas_price: sent.max_fee,
            gas_priority_fee: Some(sent.tip),
            kind: sent.to.map_or(TxKind::Create, TxKind::Call),
            value: sent.value,
            data: sent.input.clone(),
            nonce: sent.nonce,
            chain_id: Some(self.id),
            ..TxEnv::default()
        }
    }
}

fn invalid<E: std::fmt::Display, T: std::fmt::Display>(error: EVMError<E, T>) -> Stop {
    Stop::Invalid(error.to_string())
}

fn finish(result: ExecutionResult) -> Result<(Bytes, u64, Vec<Log>), Stop> {
    let gas = result.tx_gas_used();
    match result {
        ExecutionResult::Success { output, logs, .. } => Ok((output.into_data(), gas, logs)),
        ExecutionResult::Revert { output, .. } => Err(Stop::Reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(Stop::Halted(format!("{reason:?}"))),
    }
}
