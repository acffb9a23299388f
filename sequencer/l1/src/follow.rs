//! Follows the contract's events, block by block, with a cursor of block hashes.
//!
//! *Guarantees.* Every event of a final block is delivered once, in its order, also over restarts
//! (what is delivered again after a crash is what was not saved). What is delivered of blocks that
//! are not final is taken back by `RolledBack` before anything of another branch is delivered.
//! Below finality nothing is ever rolled back: a final block with another hash stops the follower.

use std::path::{Path, PathBuf};

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEventInterface;
use serde::{Deserialize, Serialize};

use crate::abi::Settlement::SettlementEvents;
use crate::contract::Contract;
use crate::error::{ClientError, rpc};
use crate::journal::{load, store};

/// Blocks whose events are asked for at once; nodes limit it.
const SPAN: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    pub number: u64,
    pub hash: B256,
}

/// Which blocks count as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// Those that the node calls so.
    Tag,
    /// Those with so many blocks on top, for chains without the name.
    Depth(u64),
}

/// How far events are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Of final blocks only, as what serves the queue wants it \[C1\].
    Final,
    /// Up to the newest block, taken back where the chain does.
    Head,
}

/// An event with its place.
#[derive(Debug)]
pub struct Event {
    pub block: BlockRef,
    pub transaction: B256,
    /// In the block.
    pub index: u64,
    pub content: SettlementEvents,
}

#[derive(Debug)]
pub enum Update {
    Event(Box<Event>),
    /// Every event of a later block did not happen.
    RolledBack(BlockRef),
    /// Nothing up to this block changes any more.
    Final(BlockRef),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    chain_id: u64,
    contract: Address,
    last_final: BlockRef,
    /// Blocks above it whose events were delivered, rising.
    seen: Vec<BlockRef>,
}

#[derive(Debug)]
pub struct Follower {
    contract: Contract,
    finality: Finality,
    reach: Reach,
    path: PathBuf,
    cursor: Cursor,
}

impl Follower {
    /// Goes on from the checkpoint in `dir`, or from the contract's first block.
    pub async fn open(
        contract: Contract,
        finality: Finality,
        reach: Reach,
        dir: &Path,
    ) -> Result<Self, ClientError> {
        let path = dir.join(format!(
            "followed-{}-{:#x}.json",
            contract.chain_id, contract.address
        ));
        let saved: Option<Cursor> = load(&path)?;
        let cursor = match saved {
            Some(saved) => saved,
            None => Cursor {
                chain_id: contract.chain_id,
                contract: contract.address,
                last_final: block(&contract, contract.from_block.saturating_sub(1).into())
                    .await?
                    .ok_or_else(|| absent(contract.from_block))?
                    .0,
                seen: Vec::new(),
            },
        };
        if (cursor.chain_id, cursor.contract) != (contract.chain_id, contract.address) {
            return Err(ClientError::Checkpoint {
                path,
                reason: format!("of {} on chain {}", cursor.contract, cursor.chain_id),
            });
        }
        Ok(Self {
            contract,
            finality,
            reach,
            path,
            cursor,
        })
    }

    /// What is new; nothing where the follower has caught up. Saved by `save`, once the caller has
    /// kept what came of it.
    pub async fn poll(&mut self) -> Result<Vec<Update>, ClientError> {
        let final_head = self.final_head().await?;
        self.check_final().await?;
        let mut updates = Vec::new();
        self.roll_back(&mut updates).await?;
        if let Some(final_head) = final_head {
            self.finalise(final_head, &mut updates).await?;
            if self.cursor.seen.is_empty() && self.cursor.last_final.number < final_head {
                self.catch_up(final_head, &mut updates).await?;
                return Ok(updates);
            }
        }
        if self.reach == Reach::Head {
            self.advance(&mut updates).await?;
        }
        Ok(updates)
    }

    /// Makes the checkpoint what was delivered.
    pub fn save(&self) -> Result<(), ClientError> {
        store(&self.path, &self.cursor)
    }

    pub fn last_final(&self) -> BlockRef {
        self.cursor.last_final
    }

    async fn final_head(&self) -> Result<Option<u64>, ClientError> {
        match self.finality {
            Finality::Tag => {
                let found = block(&self.contract, BlockNumberOrTag::Finalized).await?;
                Ok(found.map(|(at, _)| at.number))
            }
            Finality::Depth(depth) => {
                let head = self.contract.provider.get_block_number().await;
                Ok(head
                    .map_err(rpc("asking for the newest block"))?
                    .checked_sub(depth))
            }
        }
    }

    async fn check_final(&self) -> Result<(), ClientError> {
        let kept = self.cursor.last_final;
        let found = block(&self.contract, kept.number.into()).await?;
        let got = found.map_or(B256::ZERO, |(at, _)| at.hash);
        match got == kept.hash {
            true => Ok(()),
            false => Err(ClientError::FinalityBroken {
                number: kept.number,
                expected: kept.hash,
                got,
            }),
        }
    }

    /// Back to the newest block of ours that the chain still has.
    async fn roll_back(&mut self, updates: &mut Vec<Update>) -> Result<(), ClientError> {
        let before = self.cursor.seen.len();
        while let Some(last) = self.cursor.seen.last().copied() {
            let found = block(&self.contract, last.number.into()).await?;
            if found.is_some_and(|(at, _)| at == last) {
                break;
            }
            self.cursor.seen.pop();
        }
        if self.cursor.seen.len() < before {
            updates.push(Update::RolledBack(self.tip()));
        }
        Ok(())
    }

    fn tip(&self) -> BlockRef {
        self.cursor
            .seen
            .last()
            .copied()
            .unwrap_or(self.cursor.last_final)
    }

    /// What was delivered and is final by now.
    async fn finalise(
        &mut self,
        final_head: u64,
        updates: &mut Vec<Update>,
    ) -> Result<(), ClientError> {
        let seen = &mut self.cursor.seen;
        let count = seen.partition_point(|at| at.number <= final_head);
        if let Some(last) = seen.drain(..count).next_back() {
            self.cursor.last_final = last;
            updates.push(Update::Final(last));
        }
        Ok(())
    }

    /// Final blocks that nothing was delivered of yet, a span at a time.
    async fn catch_up(
        &mut self,
        final_head: u64,
        updates: &mut Vec<Update>,
    ) -> Result<(), ClientError> {
        let from = self.cursor.last_final.number + 1;
        let to = final_head.min(from + SPAN - 1);
        let (end, _) = block(&self.contract, to.into())
            .await?
            .ok_or_else(|| absent(to))?;
        let filter = self.contract.events().from_block(from).to_block(to);
        self.deliver(&filter, updates).await?;
        self.cursor.last_final = end;
        updates.push(Update::Final(end));
        Ok(())
    }

    /// Block by block up to the newest; a reorganisation meanwhile ends it, and the next poll sees.
    async fn advance(&mut self, updates: &mut Vec<Update>) -> Result<(), ClientError> {
        for _ in 0..SPAN {
            let tip = self.tip();
            let next = block(&self.contract, (tip.number + 1).into()).await?;
            let Some((at, _)) = next.filter(|(_, parent)| *parent == tip.hash) else {
                break;
            };
            let filter = Filter::new()
                .address(self.contract.address)
                .at_block_hash(at.hash);
            self.deliver(&filter, updates).await?;
            self.cursor.seen.push(at);
        }
        Ok(())
    }

    async fn deliver(&self, filter: &Filter, updates: &mut Vec<Update>) -> Result<(), ClientError> {
        let logs = self.contract.provider.get_logs(filter).await;
        for log in logs.map_err(rpc("reading events"))? {
            updates.push(Update::Event(Box::new(event(&log)?)));
        }
        Ok(())
    }
}

fn event(log: &Log) -> Result<Event, ClientError> {
    let incomplete = |reason: String| ClientError::Answer {
        what: "reading events",
        reason,
    };
    let place = log
        .block_number
        .zip(log.block_hash)
        .zip(log.transaction_hash)
        .zip(log.log_index);
    let (((number, hash), transaction), index) =
        place.ok_or_else(|| incomplete("a log without its place".into()))?;
    let content = SettlementEvents::decode_raw_log(log.topics(), &log.data().data)
        .map_err(|error| incomplete(error.to_string()))?;
    Ok(Event {
        block: BlockRef { number, hash },
        transaction,
        index,
        content,
    })
}

/// A block with its parent's hash.
async fn block(
    contract: &Contract,
    number: BlockNumberOrTag,
) -> Result<Option<(BlockRef, B256)>, ClientError> {
    let found = contract.provider.get_block(BlockId::Number(number)).await;
    let found = found.map_err(rpc("asking for a block"))?;
    Ok(found.map(|found| {
        let (number, hash) = (found.header.number, found.header.hash);
        (BlockRef { number, hash }, found.header.parent_hash)
    }))
}

fn absent(number: u64) -> ClientError {
    ClientError::Answer {
        what: "asking for a block",
        reason: format!("the node has no block {number}"),
    }
}
