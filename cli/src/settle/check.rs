//! What must hold once every batch is executed: roots, credits, tokens, and a state rebuilt from L1
//! that has exactly them.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use plonky2::field::types::PrimeField64;
use tally_l1::abi::{MockToken, Settlement};
use tally_l1::{Contract, root_word};
use tally_protocol::bounds::BRIDGE_ACCOUNTS;
use tally_protocol::data::Rebuilt;

use crate::rebuild::{self, RebuildError};
use crate::settle::SettleError;
use crate::settle::batches::{Batch, ReplayFacts};
use crate::settle::queue::Queue;
use crate::state_file::show;

pub struct Checked {
    pub state_root: String,
    pub contract_root: String,
    pub rebuilt_root: String,
    pub accounts_opened: u64,
    pub deposited: u64,
    pub pulled: u64,
}

pub async fn check(
    contract: &Contract,
    queue: &Queue,
    batches: &[Batch],
    facts: &ReplayFacts,
) -> Result<Checked, SettleError> {
    let position = contract.position().await?;
    let last = batches.last().map(|last| last.bytes.statement());
    let state_after = last.map(|last| last.state_after).unwrap_or_default();
    let differs = |rule, reason: String| SettleError::Differs { rule, reason };
    if position.root != root_word(state_after) {
        let reason = format!("the contract's root is {}", position.root);
        return Err(differs("root", reason));
    }
    let served = batches
        .iter()
        .map(|batch| batch.bytes.items().count() as u64)
        .sum::<u64>();
    if position.queue_head != served || position.queue_tail != served {
        let (head, tail) = (position.queue_head, position.queue_tail);
        let reason = format!("{served} items were served, the queue is at {head} of {tail}");
        return Err(differs("queue", reason));
    }
    let whole = facts.batches == batches.len() as u64;
    if whole && facts.state_root != show(state_after) {
        let reason = format!("the replay ended at {}", facts.state_root);
        return Err(differs("replay_root", reason));
    }
    let rebuilt = rebuild::from_chain(contract)
        .await
        .map_err(|error| match error {
            RebuildError::Client(error) => error.into(),
            other => differs("rebuild", other.to_string()),
        })?;
    check_vault(contract, queue, &rebuilt).await?;
    let next: u32 = contract.view(Settlement::nextAccountCall {}).await?;
    let first: u32 = contract.view(Settlement::FIRST_ACCOUNTCall {}).await?;
    Ok(Checked {
        state_root: show(state_after),
        contract_root: position.root.to_string(),
        rebuilt_root: rebuilt
            .last()
            .map(|last| show(last.state_after))
            .unwrap_or_default(),
        accounts_opened: u64::from(next - first),
        deposited: deposited(batches),
        pulled: queue.pulled,
    })
}

/// Micro-quote that came in.
fn deposited(batches: &[Batch]) -> u64 {
    let items = batches.iter().flat_map(|batch| batch.bytes.items());
    let words = items.map(|item| item.words.map(|word| word.to_canonical_u64()));
    words
        .filter(|words| words[0] == 1 && words[6] == 0)
        .map(|words| words[7])
        .sum()
}

/// Of every asset: what the bridge owes the accounts is what the contract holds for them, and the
/// contract has the tokens.
async fn check_vault(
    contract: &Contract,
    queue: &Queue,
    rebuilt: &Rebuilt,
) -> Result<(), SettleError> {
    let bridges: BTreeMap<u32, u64> = queue
        .tokens
        .keys()
        .map(|asset| (*asset, bridged(rebuilt, *asset)))
        .collect();
    for (asset, token) in &queue.tokens {
        let kept = contract
            .view(Settlement::assetOfCall { asset: *asset })
            .await?;
        let bridge = bridges[asset];
        if kept.held != bridge {
            return Err(SettleError::Differs {
                rule: "vault",
                reason: format!("asset {asset}: {} are held, {bridge} bridged", kept.held),
            });
        }
        let call = MockToken::balanceOfCall {
            account: contract.address,
        };
        let token = Contract::open(contract.provider.clone(), *token, 0).await?;
        let balance: U256 = token.view(call).await?;
        let all = U256::from(kept.held + kept.owed);
        if balance != all {
            return Err(SettleError::Differs {
                rule: "tokens",
                reason: format!("asset {asset}: {balance} tokens for {all} lots"),
            });
        }
    }
    Ok(())
}

/// What an asset's bridge account is short of \[S6\].
fn bridged(rebuilt: &Rebuilt, asset: u32) -> u64 {
    let Some(leaf) = rebuilt.accounts.get(&(BRIDGE_ACCOUNTS + asset)) else {
        return 0;
    };
    match asset {
        0 => leaf.money.cash.unsigned_abs(),
        _ => leaf.money.slots.iter().map(|slot| slot.size).sum(),
    }
}
