//! `tally rebuild`: accounts and rows from the L1 data of batches, and from nothing else \[P6\],
//! \[C3\].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use alloy::eips::BlockNumberOrTag;
use serde::Serialize;
use tally_circuits::batch::{BatchFile, FileError};
use tally_l1::{Chain, ClientError, Contract, connect, is_development, root_word};
use tally_protocol::account::{Account, Money, Rest, Slot};
use tally_protocol::bounds::FIRST_USER_ACCOUNT;
use tally_protocol::data::{BatchData, DataError, Leaf, Rebuilt};
use tally_protocol::header::{Globals, Header};
use tally_protocol::instrument::Row;
use thiserror::Error;

use crate::account::{self, AccountError, AccountView};
use crate::config::RebuildConfig;
use crate::devnet::ChainCopy;
use crate::output::{OutputError, make_dir, write_whole};
use crate::state_file::{SavedState, show};

/// The file's name in the directory that is asked for.
const REBUILT_FILE: &str = "rebuilt.json";

#[derive(Debug, Error)]
pub enum RebuildError {
    #[error("{}: [file.unreadable] {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: [{}] {source}", path.display(), source.code())]
    File { path: PathBuf, source: FileError },
    #[error("{}: [{}] {source}", path.display(), source.code())]
    Data { path: PathBuf, source: DataError },
    #[error("[{code}] {0}", code = .0.code())]
    Genesis(#[source] DataError),
    #[error("batch {number}: [{}] {source}", source.code())]
    Chain { number: u64, source: DataError },
    #[error("batch {number}: [rebuild.{what}] the chain has another {what}")]
    Differs { number: u64, what: &'static str },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("[rebuild.runtime] {0}")]
    Runtime(std::io::Error),
    #[error("{0:#}")]
    Devnet(anyhow::Error),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What the batches lead to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub batches: usize,
    pub chain_id: u64,
    pub contract: String,
    pub last_epoch: u64,
    pub round: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// Of users.
    pub accounts: usize,
    pub instruments: usize,
    pub state_root: String,
    pub account_root: String,
    pub table_root: String,
    pub header_digest: String,
    /// The one that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    rows: BTreeMap<u32, &'a Row>,
    accounts_by_id: BTreeMap<u32, SavedLeaf<'a>>,
}

/// Cash and carries in micro-quote, sizes in lots.
#[derive(Serialize)]
struct SavedLeaf<'a> {
    owner: String,
    cash: i64,
    flagged_at: u32,
    touched_at: u32,
    slots: BTreeMap<usize, &'a Slot>,
    /// Digest of keys, nonce, generation, kind and orders.
    rest: String,
}

pub fn run(config: &RebuildConfig) -> Result<Summary, RebuildError> {
    let (rebuilt, batches) = match (&config.rpc, &config.devnet) {
        (Some(url), _) => from_node(url, config)?,
        (None, Some(dir)) => from_devnet(dir)?,
        (None, None) => (from_files(config)?, config.proofs.len()),
    };
    let mut summary = summary(&rebuilt, batches);
    let account = config.account.map(|id| view(&rebuilt, id));
    summary.account = account.transpose()?;
    if let Some(dir) = &config.out {
        make_dir(dir)?;
        save(dir, &rebuilt, &summary)?;
    }
    Ok(summary)
}

/// Of what a node has, the final part; of a development chain all.
fn from_node(url: &str, config: &RebuildConfig) -> Result<(Rebuilt, usize), RebuildError> {
    runtime()?.block_on(async {
        let at = config
            .contract
            .map(|contract| contract.0.0)
            .unwrap_or_default();
        let mut contract = Contract::open(connect(url)?, at.into(), config.from_block).await?;
        if !is_development(contract.chain_id) {
            contract.at = BlockNumberOrTag::Finalized;
        }
        let rebuilt = from_chain(&contract).await?;
        let executed = contract.position().await?.executed;
        Ok((rebuilt, executed as usize))
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, RebuildError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(RebuildError::Runtime)
}

fn from_devnet(dir: &Path) -> Result<(Rebuilt, usize), RebuildError> {
    runtime()?.block_on(async {
        let chain = ChainCopy::open(dir).await;
        let chain = chain.map_err(RebuildError::Devnet)?;
        let rebuilt = from_chain(&chain.contract).await?;
        let executed = chain.contract.position().await?.executed;
        Ok((rebuilt, executed as usize))
    })
}

/// What the account holds and owes at the rows that L1 knows. Its kind is behind a digest.
fn view(rebuilt: &Rebuilt, id: u32) -> Result<AccountView, AccountError> {
    let mut header = Header::genesis(Globals::default(), Default::default(), 0);
    header.epoch = rebuilt.last().map_or(0, |last| last.last_epoch as u32);
    let account = rebuilt.accounts.get(&id).map(|leaf| Account {
        money: leaf.money.clone(),
        owner: leaf.owner,
        rest: Rest::default(),
    });
    let known = SavedState {
        header,
        rows: rebuilt.table.rows().map(|(at, row)| (at, *row)).collect(),
        accounts: account.map(|account| (id, account)).into_iter().collect(),
        symbols: BTreeMap::new(),
    };
    let mut view = account::view(&known, id)?;
    view.kind = None;
    Ok(view)
}

/// The state that the contract settled last, from the events and calldata of its batches. Each is
/// compared with what the contract keeps, and leads to the root that it executed.
pub async fn from_chain(contract: &Contract) -> Result<Rebuilt, RebuildError> {
    let position = contract.position().await?;
    let mut rebuilt = Rebuilt::genesis().map_err(RebuildError::Genesis)?;
    let mut chain = Chain::ZERO;
    for number in 1..=position.executed {
        let published = contract.published(number, chain).await?;
        let differs = |what| RebuildError::Differs { number, what };
        let statement = published.bytes.statement();
        let domain = (statement.chain_id, published.bytes.contract());
        if domain != (contract.chain_id, contract.address) {
            return Err(differs("domain"));
        }
        chain = published.batch.queueChain;
        rebuilt
            .apply(&published.bytes.data)
            .map_err(|source| RebuildError::Chain { number, source })?;
    }
    let last = rebuilt.last().map(|last| root_word(last.state_after));
    match last.is_none_or(|root| root == position.root) {
        true => Ok(rebuilt),
        false => Err(RebuildError::Differs {
            number: position.executed,
            what: "root",
        }),
    }
}

fn from_files(config: &RebuildConfig) -> Result<Rebuilt, RebuildError> {
    let mut rebuilt = Rebuilt::genesis().map_err(RebuildError::Genesis)?;
    for path in &config.proofs {
        let refused = |source| RebuildError::Data {
            path: path.clone(),
            source,
        };
        let bytes = data_of(path)?;
        let batch = BatchData::read(&bytes).map_err(refused)?;
        rebuilt.apply(&batch).map_err(refused)?;
    }
    Ok(rebuilt)
}

/// The data bytes in a proof file, or a file of nothing but them.
fn data_of(path: &Path) -> Result<Vec<u8>, RebuildError> {
    let bytes = fs::read(path).map_err(|source| RebuildError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    match BatchFile::parse(&bytes) {
        Ok(file) => Ok(file.data),
        Err(FileError::Magic(_)) => Ok(bytes),
        Err(source) => Err(RebuildError::File {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn summary(rebuilt: &Rebuilt, batches: usize) -> Summary {
    let last = rebuilt.last();
    let of = |get: fn(&tally_protocol::data::BatchStatement) -> u64| last.map_or(0, get);
    let digest = |get: fn(&tally_protocol::data::BatchStatement) -> _| {
        last.map(get).map(show).unwrap_or_default()
    };
    let contract = last.map(|last| hex::encode(last.contract_bytes()));
    Summary {
        batches,
        chain_id: of(|last| last.chain_id),
        contract: format!("0x{}", contract.unwrap_or_default()),
        last_epoch: of(|last| last.last_epoch),
        round: of(|last| last.round),
        time: of(|last| last.time),
        accounts: rebuilt.accounts.range(FIRST_USER_ACCOUNT..).count(),
        // Row 0 is the quote asset's.
        instruments: rebuilt.table.rows().count() - 1,
        state_root: digest(|last| last.state_after),
        account_root: show(rebuilt.tree().root()),
        table_root: show(rebuilt.table.root()),
        header_digest: digest(|last| last.header_after),
        account: None,
    }
}

fn save(dir: &Path, rebuilt: &Rebuilt, summary: &Summary) -> Result<(), OutputError> {
    let accounts = rebuilt.accounts.iter();
    let content = Content {
        summary,
        rows: rebuilt.table.rows().collect(),
        accounts_by_id: accounts
            .map(|(id, leaf)| (*id, SavedLeaf::of(leaf)))
            .collect(),
    };
    write_whole(&dir.join(REBUILT_FILE), |out| {
        Ok(serde_json::to_writer(out, &content)?)
    })
}

impl<'a> SavedLeaf<'a> {
    fn of(leaf: &'a Leaf) -> Self {
        let Money {
            cash,
            flagged_at,
            touched_at,
            slots,
        } = &leaf.money;
        let slots = slots.iter().enumerate();
        Self {
            owner: format!("0x{}", hex::encode(leaf.owner.0)),
            cash: *cash,
            flagged_at: *flagged_at,
            touched_at: *touched_at,
            slots: slots.filter(|(_, slot)| !slot.is_empty()).collect(),
            rest: show(leaf.rest),
        }
    }
}
