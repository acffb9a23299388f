//! The oracle's reporters: each signs a round's prices and sends them over the API. They wait where
//! the prover is too far behind, so that the sequencer's lead stays bounded.

use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;
use tally_client::{Client, ClientError, signed_report};
use tally_protocol::oracle::Stamp;
use tally_service::clock::now_ms;
use tokio::time::{Instant, sleep, sleep_until};

use super::Stop;
use super::board::Shown;
use super::home::{REPORTERS, reporter_key};
use super::prices::Walk;

/// How often the prover is looked at while it is behind.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize)]
struct Lead {
    closed: u32,
    proven: u32,
}

#[derive(Debug)]
pub struct Reporters {
    pub client: Client,
    pub walk: Walk,
    pub round: Duration,
    /// Closed epochs that may await their proof.
    pub lead: u32,
    /// Of a bounded run, epochs of a batch: it needs no epoch more once a whole batch has all that
    /// it waits for.
    pub per_batch: Option<u32>,
    pub shown: Shown,
}

impl Reporters {
    /// From the crowd's deposits on, so that the market's first fall finds it there.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        while !self.shown.lock().is_crowd_in() && stop.unless(sleep(LOOK)).await {}
        let mut next = Instant::now();
        let mut is_waiting = false;
        while stop.unless(sleep_until(next)).await {
            let behind = match self.behind().await {
                Err(error) if may_pass(&error) => {
                    tracing::warn!(%error, "the reporters were not answered");
                    next = Instant::now() + LOOK;
                    continue;
                }
                behind => behind?,
            };
            if let Some(behind) = behind {
                self.shown.lock().health.held_back = Some(behind);
                if !std::mem::replace(&mut is_waiting, true) {
                    let told = format!("the reporters wait: {behind} epochs await their proof");
                    self.shown.say(told);
                }
                next = Instant::now() + LOOK;
                continue;
            }
            is_waiting = false;
            self.shown.lock().health.held_back = None;
            self.report().await?;
            next += self.round;
            // What was missed is not made up for.
            next = next.max(Instant::now());
        }
        Ok(())
    }

    /// Epochs without a proof, where they are too many or the run needs no more.
    async fn behind(&self) -> Result<Option<u32>, ClientError> {
        let lead: Lead = self.client.get("/v1/proofs").await?;
        let behind = lead.closed.saturating_sub(lead.proven);
        let enough = |per_batch| self.shown.lock().is_enough_closed(per_batch);
        let waits = behind >= self.lead || self.per_batch.is_some_and(enough);
        Ok(waits.then_some(behind))
    }

    /// One round, of all reporters: the first k make it, the others come late.
    async fn report(&mut self) -> anyhow::Result<()> {
        let previous = match self.client.status().await {
            Err(error) if may_pass(&error) => return Ok(()),
            status => status?.round,
        };
        let stamp = Stamp {
            feed_set: 0,
            round: previous + 1,
            time: now_ms() / 1_000,
            previous,
        };
        let feeds = self.walk.at(stamp.round);
        let domain = self.client.domain();
        for reporter in 0..REPORTERS {
            let report = signed_report(&domain, reporter, &reporter_key(reporter), stamp, &feeds)?;
            match self.client.report(&report).await {
                Ok(_) => {}
                // Two rounds in one second: the next one is later.
                Err(ClientError::Refused { body, .. }) if body.code.starts_with('T') => {
                    tracing::debug!(code = %body.code, "a round is refused");
                    return Ok(());
                }
                // The round stays open, or was made by the others: the next one is newer.
                Err(error) if may_pass(&error) => {
                    tracing::warn!(%error, "a report was not answered");
                    return Ok(());
                }
                Err(error) => bail!("[devnet.oracle] {error}"),
            }
        }
        let marks = feeds.iter().map(|(feed, prices)| (*feed, prices.mark));
        let mut board = self.shown.lock();
        board.marks = marks.collect();
        if board.starts.is_empty() {
            board.starts = board.marks.clone();
        }
        Ok(())
    }
}

/// On a machine that proves, connections time out. What the service says of a report itself does
/// not change.
fn may_pass(error: &ClientError) -> bool {
    let is_busy = |status: u16| status >= 500 || status == 429 || status == 408;
    match error {
        ClientError::Refused { status, .. } => is_busy(*status),
        error => error.is_open(),
    }
}

#[cfg(test)]
mod tests {
    use tally_api::ErrorBody;

    use super::*;

    #[test]
    fn a_busy_service_is_asked_again_and_a_refusal_is_an_error() {
        let refused = |status| ClientError::Refused {
            status,
            body: ErrorBody {
                code: String::new(),
                message: String::new(),
                retry_after_ms: None,
            },
        };
        assert!(may_pass(&refused(503)) && may_pass(&refused(429)));
        assert!(!may_pass(&refused(400)) && !may_pass(&refused(422)));
        assert!(may_pass(&ClientError::Answer(String::new())));
    }
}
