//! What a devnet's run comes to: counters, and the state rebuilt from L1 compared with what L1
//! settled and with what the sequencer's own log leads to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use tally_protocol::bounds::FIRST_USER_ACCOUNT;
use tally_prover::measure::cpu_seconds_with_children;

use super::board::{EpochFacts, Shown, Step};
use super::chain::Chain;
use super::home::Home;
use super::tape::quote;
use crate::output::write_whole;
use crate::rebuild::from_chain;
use crate::state_file::show;

/// In the devnet's directory.
const FILE: &str = "summary.json";

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
    pub refused: BTreeMap<String, u64>,
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
    /// What happened first when.
    pub steps: Vec<Step>,
    pub wall_seconds: f64,
    /// Of this process and the processes that it has started and that have ended.
    pub cpu_seconds: Option<f64>,
}

impl Summary {
    /// Fails where the chain's data do not lead to the contract's root.
    pub async fn of(
        home: &Home,
        chain: &Chain,
        verifier: &str,
        shown: &Shown,
    ) -> anyhow::Result<Self> {
        let position = chain.contract.position().await?;
        let rebuilt = from_chain(&chain.contract).await?;
        let rebuilt_root = rebuilt.last().map(|last| show(last.state_after));
        shown.step("rebuilt from L1 alone");
        let board = shown.lock();
        let total = |count: fn(&EpochFacts) -> usize| board.total(count);
        let batches = board.batches.values();
        let summary = Self {
            directory: home.dir.display().to_string(),
            l1: home.facts.l1(),
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
            steps: board.steps.clone(),
            wall_seconds: board.seconds(),
            cpu_seconds: cpu_seconds_with_children(),
        };
        drop(board);
        let text = serde_json::to_vec(&summary)?;
        write_whole(&home.dir.join(FILE), |out| out.write_all(&text))?;
        Ok(summary)
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::from("step by step, seconds since the start\n");
        for step in &self.steps {
            let _ = writeln!(text, "  {:>7.1}  {}", step.at_seconds, step.what);
        }
        let proofs = match self.mock_prover {
            true => "none: the prover is a mock".to_owned(),
            false => format!(
                "made; the prover was started {} time(s)",
                self.prover_starts
            ),
        };
        let rebuilt = match self.batches_executed {
            0 => "none: L1 has executed nothing".to_owned(),
            _ => format!("{} ({} accounts)", self.rebuilt_root, self.rebuilt_accounts),
        };
        let refused: u64 = self.refused.values().sum();
        let settled = match self.traded_and_liquidated {
            Some((first, last)) => format!("epochs {first} to {last}"),
            None => "not in this run".to_owned(),
        };
        let cpu = self
            .cpu_seconds
            .map_or(String::new(), |cpu| format!(", {cpu:.0} CPU-seconds"));
        let rows = [
            ("L1", format!("{}, contract {}", self.l1, self.contract)),
            ("verifier on L1", self.verifier.clone()),
            ("proofs", proofs),
            ("epochs closed", self.epochs.to_string()),
            ("fills", self.fills.to_string()),
            (
                "crash",
                format!(
                    "{} flags, {} liquidations, {} absorptions",
                    self.flags, self.liquidations, self.absorptions
                ),
            ),
            (
                "bots' commands",
                format!("{} durable, {refused} refused", self.acked),
            ),
            (
                "executed on L1",
                format!(
                    "{} batches, through epoch {}",
                    self.batches_executed, self.executed_epoch
                ),
            ),
            ("  with trades and liquidations", settled),
            (
                "withdrawals",
                format!(
                    "{}, of which {} owners have pulled {}",
                    self.withdrawals,
                    self.pulls,
                    quote(self.pulled.into())
                ),
            ),
            ("root that L1 has settled", self.settled_root.clone()),
            ("root rebuilt from L1 alone", rebuilt),
            ("directory", self.directory.clone()),
            ("time", format!("{:.0} s{cpu}", self.wall_seconds)),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "{name:<31} {value}");
        }
        text
    }
}
