//! Oracle reports in \[T1\].

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use tally_api::answer::{ReportAnswer, ReportRequest};
use tally_api::{ErrorBody, encoding, range};
use tally_protocol::bounds::{ACCOUNT_DEPTH, FEED_DEPTH, TIME_BITS};
use tally_protocol::oracle::{FeedPrices, Prices, Report, SignedReport, Stamp};
use tally_sequencer::command::Command;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Body;
use super::{ApiError, App};
use crate::oracle::Collected;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report))
}

/// A reporter's signed prices. With the k-th report that agrees on round and time the round is
/// complete, and goes before the writer.
#[utoipa::path(
    post, path = "/v1/oracle/reports", tag = "oracle", request_body = ReportRequest,
    responses(
        (status = 200, description = "Taken in", body = ReportAnswer),
        (status = "4XX", description = "Refused", body = ErrorBody),
        (status = "5XX", description = "Not now", body = ErrorBody),
    ),
)]
async fn report(
    State(app): State<App>,
    Body(request): Body<ReportRequest>,
) -> Result<Json<ReportAnswer>, ApiError> {
    let (round, quorum) = (request.round, app.collector.quorum());
    let answer = |reports, position| {
        Json(ReportAnswer {
            round,
            reports,
            quorum,
            position,
        })
    };
    match app.collector.add(signed(&request)?)? {
        Collected::Waits(reports) => Ok(answer(reports, None)),
        Collected::Late => Ok(answer(quorum, None)),
        Collected::Complete(reports) => {
            let taken = app.submit(Command::Round(reports)).await;
            let result = taken.map_err(ApiError::from).and_then(|taken| {
                taken.result.map_err(ApiError::Refused)?;
                Ok(taken.receipt.position)
            });
            if result.is_err() {
                app.collector.refused(round);
            }
            Ok(answer(quorum, Some(result?)))
        }
    }
}

fn signed(request: &ReportRequest) -> Result<SignedReport, ApiError> {
    if request.reporter >> ACCOUNT_DEPTH != 0 {
        return Err(range::RangeError::Account(request.reporter).into());
    }
    if request.time >> TIME_BITS != 0 {
        return Err(range::RangeError::Time(request.time).into());
    }
    if request.prices.len() > 1 << FEED_DEPTH {
        let most = 1 << FEED_DEPTH;
        return Err(ApiError::Parameter(format!("more than {most} prices")));
    }
    let mut feeds = BTreeMap::new();
    for body in &request.prices {
        let prices = FeedPrices {
            index: body.index,
            mark: body.mark,
            premium: body.premium,
        };
        if feeds.insert(body.feed, prices).is_some() {
            let feed = body.feed;
            return Err(ApiError::Parameter(format!("feed {feed} comes twice")));
        }
    }
    let prices = Prices::new(feeds)?;
    let report = Report {
        reporter: request.reporter,
        stamp: Stamp {
            feed_set: request.feed_set,
            round: request.round,
            time: request.time,
            previous: request.previous,
        },
        prices_root: prices.root(),
    };
    Ok(SignedReport {
        report,
        prices,
        signature: encoding::signature(&request.signature)?,
    })
}
