//! Reports, signed.

use std::collections::BTreeMap;

use tally_api::answer::{FeedBody, ReportRequest};
use tally_protocol::message::Domain;
use tally_protocol::oracle::{FeedPrices, OracleError, Prices, Report, Stamp};
use tally_protocol::signature::SecretKey;

/// A reporter's prices, ready to be sent.
pub fn signed_report(
    domain: &Domain,
    reporter: u32,
    key: &SecretKey,
    stamp: Stamp,
    feeds: &BTreeMap<u32, FeedPrices>,
) -> Result<ReportRequest, OracleError> {
    let report = Report {
        reporter,
        stamp,
        prices_root: Prices::new(feeds.clone())?.root(),
    };
    let signature = key.sign(report.digest(domain));
    let body = |(feed, prices): (&u32, &FeedPrices)| FeedBody {
        feed: *feed,
        index: prices.index,
        mark: prices.mark,
        premium: prices.premium,
    };
    Ok(ReportRequest {
        reporter,
        feed_set: stamp.feed_set,
        round: stamp.round,
        time: stamp.time,
        previous: stamp.previous,
        prices: feeds.iter().map(body).collect(),
        signature: tally_api::encoding::hex_bytes_of(&signature.to_bytes()),
    })
}
