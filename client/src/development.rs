//! A development venue from outside: listings and deposits as L1 items over the API (which takes
//! them only from a service that was started for development), and rounds of known reporters.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tally_api::answer::StatusAnswer;
use tally_api::development::{REPORTERS, account_keys, owner, reporter};
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::listing::Change;
use tally_protocol::oracle::{FeedPrices, Stamp};
use tally_protocol::queue::{Deposit, Item, NewAccount, Request};
use tally_protocol::terms::CASH;
use tally_protocol::types::{AccountId, InstrumentId};
use tally_sequencer::command::Command;
use tokio::time::sleep;

use crate::{Client, ClientError, signed_report};

/// Rounds until what was asked of L1 must be done.
const MOST_ROUNDS: usize = 200;
/// Seconds that a round may be ahead of the clock: within `max_round_lead`.
const LEAD: u64 = 4;
/// Reports that make a round.
const QUORUM: u32 = 3;

/// Drives a service that was started for development.
#[derive(Debug)]
pub struct Venue {
    pub client: Client,
    /// Micro-quote per lot, by instrument.
    pub marks: BTreeMap<u32, u64>,
}

/// A perpetual whose lot is worth `mark`: initial 10 %, maintenance 5 %, fills within 4 %.
pub fn perpetual(id: u32, mark: u64) -> Change {
    let params = RowParams {
        id: InstrumentId(id),
        kind: InstrumentKind::Perpetual,
        asset: 0,
        max_price: mark.saturating_mul(64),
        max_size: 10_000_000,
        max_open_interest: 1_000_000_000,
        initial_long: 100_000,
        initial_short: 100_000,
        maintenance_long: 50_000,
        maintenance_short: 50_000,
        penalty: 10_000,
        fill_band: 40_000,
        price_band: 1_000_000,
        funding_cap: 100,
    };
    Change {
        params,
        price: mark,
    }
}

impl Venue {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            marks: BTreeMap::new(),
        }
    }

    /// Lists perpetuals 1 to `instruments` and gives each account its cash, in micro-quote.
    pub async fn open(
        &mut self,
        instruments: u32,
        mark: u64,
        accounts: impl Iterator<Item = u32>,
        cash: u64,
    ) -> Result<(), ClientError> {
        for id in 1..=instruments {
            self.marks.insert(id, mark);
            let change = Box::new(perpetual(id, mark));
            self.ask(Request::Change(change)).await?;
        }
        for id in accounts {
            let deposit = Deposit {
                sender: owner(id),
                account: AccountId(id),
                instrument: CASH,
                amount: cash,
                create: Some(NewAccount {
                    keys: account_keys(id),
                    isolated: false,
                }),
            };
            self.ask(Request::Deposit(deposit)).await?;
        }
        self.settle().await
    }

    /// Rounds until every item is served, every instrument has a price, and orders are taken.
    pub async fn settle(&self) -> Result<(), ClientError> {
        for _ in 0..MOST_ROUNDS {
            self.round().await?;
            let status = self.client.status().await?;
            let open = status.phase.as_str() == Some("open");
            if status.items == 0 && open && self.is_priced().await? {
                return Ok(());
            }
        }
        Err(ClientError::Answer("the venue does not open".to_owned()))
    }

    async fn is_priced(&self) -> Result<bool, ClientError> {
        let rows: Vec<Value> = self.client.get("/v1/instruments").await?;
        let number = |row: &Value, field: &str| row.get(field).and_then(Value::as_u64);
        let priced = |id: &u32| {
            let is_one = |row: &Value| {
                number(row, "instrument") == Some((*id).into())
                    && number(row, "mark").is_some_and(|mark| mark > 0)
                    && number(row, "flags") == Some(0)
            };
            rows.iter().any(is_one)
        };
        Ok(self.marks.keys().all(priced))
    }

    /// An L1 item, in the next place of the queue.
    pub async fn ask(&self, request: Request) -> Result<(), ClientError> {
        let status = self.client.status().await?;
        let index = status.next_item;
        let item = Box::new(Item { index, request });
        self.client.send(&Command::Item(item)).await?;
        Ok(())
    }

    /// A round at these marks: now, or a second after the last one if that is later. No further
    /// ahead of the clock than a sequencer allows: then it waits.
    pub async fn round(&self) -> Result<(), ClientError> {
        let status = self.client.status().await?;
        self.round_after(&status).await
    }

    pub async fn round_after(&self, status: &StatusAnswer) -> Result<(), ClientError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let time = now.max(status.epoch_time.saturating_add(1));
        let early = (time - now).saturating_sub(LEAD);
        sleep(Duration::from_secs(early)).await;
        let stamp = Stamp {
            feed_set: 0,
            round: status.round.saturating_add(1),
            time,
            previous: status.round,
        };
        self.report(stamp, 0..QUORUM.min(REPORTERS)).await
    }

    /// The same prices from each of these reporters.
    pub async fn report(
        &self,
        stamp: Stamp,
        reporters: impl Iterator<Item = u32>,
    ) -> Result<(), ClientError> {
        let price = |mark: &u64| FeedPrices {
            index: *mark,
            mark: *mark,
            premium: 0,
        };
        let feeds: BTreeMap<u32, FeedPrices> = self
            .marks
            .iter()
            .map(|(id, mark)| (*id, price(mark)))
            .collect();
        for number in reporters {
            let domain = self.client.domain();
            let report = signed_report(&domain, number, &reporter(number), stamp, &feeds);
            let report = report.map_err(|error| ClientError::Answer(error.to_string()))?;
            self.client.report(&report).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tally_sequencer::config::Config;

    use super::*;

    #[test]
    fn t1_a_venues_round_is_never_too_early_for_its_sequencer() {
        // A second less, as either side drops what is below a second.
        assert!((LEAD + 1) * 1_000 <= Config::default().max_round_lead);
    }
}
