//! What a devnet's run comes to: counters, and the state rebuilt from L1 compared with what L1
//! settled and with what the sequencer's own log leads to.

use serde::Serialize;
use tally_protocol::bounds::FIRST_USER_ACCOUNT;

use super::board::{Board, EpochFacts};
use super::chain::Chain;
use super::home::Home;
use crate::rebuild::from_chain;
use crate::state_file::show;

/// Amounts in micro-quote.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub directory: String,
    /// `anvil`, or `embedded`.
    pub l1: &'static str,
    /// What L1's verifier checks: `mock` nothing.
    pub verifier: String,
    /// Nothing was proven.
    pub mock_prover: bool,
    pub contract: String,
    pub epochs: u32,
    pub fills: usize,
    pub flags: usize,
    pub liquidations: usize,
    pub absorptions: usize,
    /// Commands of bots: durable, and refused by code, in this run.
    pub acked: u64,
    pub refused: std::collections::BTreeMap<String, u64>,
    /// Of the L1 queue, served or waiting.
    pub l1_items: u64,
    pub batches_executed: u64,
    pub executed_epoch: u64,
    /// The first batch with trades and liquidations that L1 has executed, by its epochs.
    pub traded_and_liquidated: Option<(u64, u64)>,
    pub withdrawals: usize,
    /// In this run.
    pub pulled: u64,
    pub pulls: u64,
    /// The contract's root; the same as that of the state rebuilt from the chain alone.
    pub settled_root: String,
    pub rebuilt_root: String,
    pub rebuilt_accounts: usize,
    pub prover_starts: u32,
    pub wall_seconds: u64,
}

impl Summary {
    /// Fails where the chain's data do not lead to the contract's root.
    pub async fn of(
        home: &Home,
        chain: &Chain,
        verifier: &str,
        board: &Board,
        wall_seconds: u64,
    ) -> anyhow::Result<Self> {
        let position = chain.contract.position().await?;
        let rebuilt = from_chain(&chain.contract).await?;
        let rebuilt_root = rebuilt.last().map(|last| show(last.state_after));
        let total = |count: fn(&EpochFacts) -> usize| board.total(count);
        let batches = board.batches.values();
        Ok(Self {
            directory: home.dir.display().to_string(),
            l1: if home.facts.embedded {
                "embedded"
            } else {
                "anvil"
            },
            verifier: verifier.to_owned(),
            mock_prover: home.facts.mock_prover,
            contract: chain.contract.address.to_string(),
            epochs: board.closed(),
            fills: total(|it| it.fills),
            flags: total(|it| it.flags),
            liquidations: total(|it| it.liquidations),
            absorptions: total(|it| it.absorptions),
            acked: board.acked,
            refused: board.refused.clone(),
            l1_items: position.queue_tail,
            batches_executed: position.executed,
            executed_epoch: board.executed(),
            traded_and_liquidated: board
                .settled_batch()
                .map(|batch| (batch.first_epoch, batch.last_epoch)),
            withdrawals: batches.map(|batch| batch.withdrawals).sum(),
            pulled: board.pulled,
            pulls: board.pulls,
            settled_root: position.root.to_string(),
            rebuilt_root: rebuilt_root.unwrap_or_default(),
            rebuilt_accounts: rebuilt.accounts.range(FIRST_USER_ACCOUNT..).count(),
            prover_starts: board.proving.starts,
            wall_seconds,
        })
    }
}
