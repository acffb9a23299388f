//! L1 into the sequencer: queue items of final blocks become commands, in their order, each once.
//!
//! The engine knows the next item that it expects, and the engine is its log: so the log is the
//! cursor, and the follower's own checkpoint only saves reading old blocks. It is saved after the
//! items below it are durable; after a crash they come again and are skipped.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tally_l1::abi::Settlement::SettlementEvents;
use tally_l1::follow::{Finality, Follower, Reach, Update};
use tally_l1::{Contract, request_of};
use tally_protocol::queue::Item;
use tally_sequencer::command::Command;
use tally_service::service::{Shared, SubmitError};
use tokio::time::sleep;

use super::Stop;
use super::board::Shown;
use super::home::{Home, Part};

const POLL: Duration = Duration::from_millis(300);
/// Blocks on top of a final one; development chains roll nothing back.
const DEPTH: u64 = 2;

pub struct Inward {
    follower: Follower,
    shared: Arc<Shared>,
    shown: Shown,
    next: u64,
}

impl Inward {
    pub async fn open(
        home: &Home,
        contract: Contract,
        shared: Arc<Shared>,
        shown: Shown,
    ) -> anyhow::Result<Self> {
        let dir = home.path(Part::L1);
        let finality = Finality::Depth(DEPTH);
        let follower = Follower::open(contract, finality, Reach::Final, &dir).await?;
        let next = shared.query(|engine| engine.status().next_item).await?;
        shown.lock().items = next;
        Ok(Self {
            follower,
            shared,
            shown,
            next,
        })
    }

    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        while !stop.is_set() {
            let updates = self.follower.poll().await?;
            if updates.is_empty() {
                stop.unless(sleep(POLL)).await;
                continue;
            }
            for update in updates {
                if let Update::Event(event) = update
                    && let SettlementEvents::ItemQueued(queued) = event.content
                    && !self.take(queued.index, &queued.words, &stop).await?
                {
                    return Ok(());
                }
            }
            self.follower.save()?;
        }
        Ok(())
    }

    /// False where the service stops.
    async fn take(&mut self, index: u64, words: &[u64; 20], stop: &Stop) -> anyhow::Result<bool> {
        if index < self.next {
            return Ok(true);
        }
        let request = request_of(words);
        let request = request.with_context(|| format!("[devnet.item] item {index}: {words:?}"))?;
        let item = Item { index, request };
        loop {
            let command = Command::Item(Box::new(item.clone()));
            match self.shared.submit(command).await {
                Ok(taken) => match taken.result {
                    Ok(()) => break,
                    Err(refusal) => bail!("[{}] {}", refusal.code, refusal.message),
                },
                Err(SubmitError::Busy) => {
                    if !stop.unless(sleep(POLL)).await {
                        return Ok(false);
                    }
                }
                Err(SubmitError::Stopping) => return Ok(false),
                Err(SubmitError::NotTaken(error)) => bail!("[{}] {error}", error.code()),
            }
        }
        self.next = index + 1;
        self.shown.lock().items = self.next;
        Ok(true)
    }
}
