//! `tally oracle`: a reporter that signs prices from a file or a URL \[T1\].
//!
//! The reporters of a round have to agree on its number and time. Both follow from the clock and
//! from what the sequencer says was the last round: time is a multiple of the interval, and a
//! round that is there already is left to the others.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tally_api::development;
use tally_client::{Client, ClientError, signed_report};
use tally_protocol::oracle::{FeedPrices, Stamp};
use tally_protocol::signature::SecretKey;

use tokio::time::sleep;

use super::OracleConfig;
use crate::clock::now_ms;

type Feeds = BTreeMap<u32, FeedPrices>;

#[derive(Debug, Deserialize)]
struct Line {
    feed: u32,
    index: u64,
    mark: u64,
    premium: i64,
}

/// What the reporter did.
#[derive(Debug, Default, Serialize)]
pub struct Reported {
    pub rounds: u64,
    /// Reports that the sequencer refused, by code.
    pub refused: BTreeMap<String, u64>,
}

pub fn run(config: &OracleConfig) -> anyhow::Result<Reported> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(report(config))
}

async fn report(config: &OracleConfig) -> anyhow::Result<Reported> {
    let key = key(config)?;
    let client = Client::connect(&config.url).await?;
    let mut source = Source::new(config)?;
    let mut reported = Reported::default();
    let mut last = 0;
    while config.rounds.is_none_or(|rounds| reported.rounds < rounds) {
        let Some(feeds) = source.next(config.rounds.is_some()).await? else {
            break;
        };
        let time = wait_for_slot(config.every_ms, last).await;
        last = time;
        let status = client.status().await?;
        let stamp = Stamp {
            feed_set: 0,
            round: status.round.saturating_add(1),
            time,
            previous: status.round,
        };
        let report = signed_report(&client.domain(), config.reporter, &key, stamp, &feeds)?;
        match client.report(&report).await {
            Ok(answer) => tracing::info!(round = stamp.round, reports = answer.reports, "reported"),
            Err(ClientError::Refused { body, .. }) => {
                tracing::warn!(round = stamp.round, code = %body.code, "refused");
                *reported.refused.entry(body.code).or_default() += 1;
            }
            Err(error) => return Err(error.into()),
        }
        reported.rounds += 1;
    }
    Ok(reported)
}

fn key(config: &OracleConfig) -> anyhow::Result<SecretKey> {
    let Some(path) = &config.key else {
        return Ok(development::reporter(config.reporter));
    };
    let material = fs::read(path).with_context(|| format!("[oracle.key] {}", path.display()))?;
    if material.len() < 32 {
        bail!("[oracle.key] {} has fewer than 32 bytes", path.display());
    }
    Ok(SecretKey::derive("tally oracle reporter", &material))
}

/// The next multiple of the interval, in seconds, that is later than the last one's.
async fn wait_for_slot(every_ms: u64, last: u64) -> u64 {
    let now = now_ms();
    let slot = (now / every_ms * every_ms / 1_000).max(1);
    if slot > last {
        return slot;
    }
    let next = (now / every_ms + 1) * every_ms;
    sleep(Duration::from_millis(next - now)).await;
    next / 1_000
}

enum Source {
    /// Prices of rounds, the next one last.
    File(Vec<Feeds>),
    Url(reqwest::Client, String),
}

impl Source {
    fn new(config: &OracleConfig) -> anyhow::Result<Self> {
        if let Some(url) = &config.source {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(5));
            return Ok(Self::Url(client.build()?, url.clone()));
        }
        let path = config.csv.as_ref().context("[oracle.source] no prices")?;
        let text = fs::read_to_string(path)
            .with_context(|| format!("[oracle.source] {}", path.display()))?;
        let mut rounds = rounds(&text)?;
        rounds.reverse();
        Ok(Self::File(rounds))
    }

    async fn next(&mut self, repeats: bool) -> anyhow::Result<Option<Feeds>> {
        match self {
            Self::File(rounds) if rounds.len() == 1 && repeats => Ok(rounds.first().cloned()),
            Self::File(rounds) => Ok(rounds.pop()),
            Self::Url(client, url) => {
                let text = client.get(url.as_str()).send().await?.error_for_status()?;
                let found = rounds(&text.text().await?)?;
                let one = found.into_iter().next();
                Ok(Some(one.context("[oracle.source] the URL has no prices")?))
            }
        }
    }
}

/// Each block of lines with the header of the first.
fn rounds(text: &str) -> anyhow::Result<Vec<Feeds>> {
    let text = text.replace("\r\n", "\n");
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .enumerate()
        .map(|(number, block)| feeds(block, number == 0))
        .collect()
}

fn feeds(block: &str, has_header: bool) -> anyhow::Result<Feeds> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(has_header).trim(csv::Trim::All);
    let mut feeds = Feeds::new();
    for line in reader.from_reader(block.trim().as_bytes()).deserialize() {
        let line: Line = line.context("[oracle.source] a line of prices")?;
        let prices = FeedPrices {
            index: line.index,
            mark: line.mark,
            premium: line.premium,
        };
        if !prices.in_range() {
            bail!("[T1.price_range] feed {}: {prices:?}", line.feed);
        }
        if feeds.insert(line.feed, prices).is_some() {
            bail!("[oracle.source] feed {} comes twice", line.feed);
        }
    }
    Ok(feeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_prices_of_rounds() {
        let text = "feed,index,mark,premium\n1,10,11,0\n2,20,21,-3\n\n1,12,13,1\n";
        let found = rounds(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0][&2].premium, -3);
        assert_eq!(found[1][&1].mark, 13);
    }

    #[test]
    fn t1_a_price_of_zero_is_never_signed() {
        let refused = rounds("feed,index,mark,premium\n1,0,11,0\n").unwrap_err();
        assert!(refused.to_string().contains("T1.price_range"), "{refused}");
        assert!(rounds("feed,index,mark,premium\n1,x,11,0\n").is_err());
        assert!(rounds("feed,index,mark,premium\n1,1,1,0\n1,1,1,0\n").is_err());
    }
}
