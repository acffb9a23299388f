//! Instruments, books, trades, funding.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tally_api::ErrorBody;
use tally_api::answer::BookAnswer;
use tally_protocol::instrument::{MarketRow, Row};
use tally_protocol::types::InstrumentId;
use tally_sequencer::engine::Engine;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Named};
use super::{ApiError, App};

/// Levels a side, and rows of a history, at most.
const MOST: usize = 1_000;
const USUAL: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(instruments))
        .routes(routes!(instrument))
        .routes(routes!(book))
        .routes(routes!(trades))
        .routes(routes!(ticker))
        .routes(routes!(funding))
}

/// A row, prices in micro-quote per lot, fractions in parts per million of the mark.
#[derive(Debug, Serialize, ToSchema)]
struct InstrumentAnswer {
    instrument: u32,
    row: u32,
    #[schema(value_type = String)]
    kind: tally_protocol::instrument::InstrumentKind,
    mark: u64,
    index: u64,
    /// Prices of fills in this epoch.
    min_fill: u64,
    max_fill: u64,
    max_price: u64,
    /// Lots.
    max_size: u64,
    max_open_interest: u64,
    initial_long: u32,
    initial_short: u32,
    maintenance_long: u32,
    maintenance_short: u32,
    /// Parts per million of the mark.
    liquidation_penalty: u32,
    /// Bits of the row's state: see docs/api.md.
    flags: u64,
    /// Lots, before the epoch under way.
    open_long: u64,
    open_short: u64,
}

fn answer(row: &MarketRow, listed: &Row) -> InstrumentAnswer {
    let params = &listed.params;
    InstrumentAnswer {
        instrument: row.id.0,
        row: row.row,
        kind: row.kind,
        mark: row.mark,
        index: row.index,
        min_fill: row.min_fill,
        max_fill: row.max_fill,
        max_price: params.max_price,
        max_size: params.max_size,
        max_open_interest: params.max_open_interest,
        initial_long: params.initial_long,
        initial_short: params.initial_short,
        maintenance_long: params.maintenance_long,
        maintenance_short: params.maintenance_short,
        liquidation_penalty: params.penalty,
        flags: row.flags,
        open_long: listed.open_long,
        open_short: listed.open_short,
    }
}

fn all(engine: &Engine) -> Vec<InstrumentAnswer> {
    let table: std::collections::BTreeMap<u32, &Row> = engine.table().collect();
    let rows = engine.market();
    rows.filter_map(|row| Some(answer(row, table.get(&row.row)?)))
        .collect()
}

/// All instruments with their rows.
#[utoipa::path(
    get, path = "/v1/instruments", tag = "market",
    responses(
        (status = 200, description = "The instruments", body = Vec<InstrumentAnswer>),
        (status = "5XX", description = "Not now", body = ErrorBody),
    ),
)]
async fn instruments(State(app): State<App>) -> Result<Json<Vec<InstrumentAnswer>>, ApiError> {
    Ok(Json(app.query(all).await?))
}

/// One instrument.
#[utoipa::path(
    get, path = "/v1/instruments/{instrument}", tag = "market",
    params(("instrument" = u32, Path)),
    responses(
        (status = 200, description = "The instrument", body = InstrumentAnswer),
        (status = "4XX", description = "No such instrument", body = ErrorBody),
    ),
)]
async fn instrument(
    State(app): State<App>,
    Named(instrument): Named<u32>,
) -> Result<Json<InstrumentAnswer>, ApiError> {
    let rows = app.query(all).await?;
    let found = rows.into_iter().find(|row| row.instrument == instrument);
    found.map(Json).ok_or(ApiError::NotFound("instrument"))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Depth {
    /// Levels a side, 1 to 1,000; 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    depth: Option<usize>,
}

fn bounded(number: Option<usize>) -> Result<usize, ApiError> {
    match number.unwrap_or(USUAL) {
        number @ 1..=MOST => Ok(number),
        number => Err(ApiError::Parameter(format!("{number} is not 1 to {MOST}"))),
    }
}

async fn listed(app: &App, instrument: u32) -> Result<(), ApiError> {
    match app.is_listed(instrument).await? {
        true => Ok(()),
        false => Err(ApiError::NotFound("instrument")),
    }
}

/// The book's best levels; its channel goes on from `sequence`.
#[utoipa::path(
    get, path = "/v1/instruments/{instrument}/book", tag = "market",
    params(("instrument" = u32, Path), Depth),
    responses(
        (status = 200, description = "The book", body = BookAnswer),
        (status = "4XX", description = "No such instrument", body = ErrorBody),
    ),
)]
async fn book(
    State(app): State<App>,
    Named(instrument): Named<u32>,
    Asked(asked): Asked<Depth>,
) -> Result<Json<BookAnswer>, ApiError> {
    let depth = bounded(asked.depth)?;
    listed(&app, instrument).await?;
    Ok(Json(app.market.book(instrument, depth)))
}

/// Best prices and the last trade since the service started.
#[utoipa::path(
    get, path = "/v1/instruments/{instrument}/ticker", tag = "market",
    params(("instrument" = u32, Path)),
    responses(
        (status = 200, description = "The ticker", body = Object),
        (status = "4XX", description = "No such instrument", body = ErrorBody),
    ),
)]
async fn ticker(
    State(app): State<App>,
    Named(instrument): Named<u32>,
) -> Result<Json<crate::teller::Ticker>, ApiError> {
    listed(&app, instrument).await?;
    Ok(Json(app.market.ticker(instrument)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct History {
    /// The first number; 0 where absent. Numbers rise.
    from: Option<u64>,
    /// 1 to 1,000; 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Fills, liquidations and unwinds of an instrument, by their numbers.
#[utoipa::path(
    get, path = "/v1/instruments/{instrument}/trades", tag = "market",
    params(("instrument" = u32, Path), History),
    responses(
        (status = 200, description = "The trades", body = Vec<Object>),
        (status = "4XX", description = "No such instrument", body = ErrorBody),
    ),
)]
async fn trades(
    State(app): State<App>,
    Named(instrument): Named<u32>,
    Asked(asked): Asked<History>,
) -> Result<Json<Vec<serde_json::Value>>, ApiError> {
    let limit = bounded(asked.limit)?;
    listed(&app, instrument).await?;
    let from = asked.from.unwrap_or(0);
    Ok(Json(app.store.trades(instrument, from, limit)?))
}

#[derive(Debug, Serialize, ToSchema)]
struct FundingAnswer {
    instrument: u32,
    /// Oracle round of the last update, and its time in seconds.
    round: u32,
    time: u64,
    /// Cumulative premium, micro-quote per lot: funding is its change, clamped by the second.
    premium: i64,
    /// Cumulative cost of holding one lot since listing, micro-quote.
    long_carry: i64,
    short_carry: i64,
    /// Parts per million of the mark and second that funding is clamped to.
    funding_cap: u32,
}

/// What holding one lot has cost, funding in it, as of the last closed epoch.
#[utoipa::path(
    get, path = "/v1/instruments/{instrument}/funding", tag = "market",
    params(("instrument" = u32, Path)),
    responses(
        (status = 200, description = "The funding", body = FundingAnswer),
        (status = "4XX", description = "No such instrument", body = ErrorBody),
    ),
)]
async fn funding(
    State(app): State<App>,
    Named(instrument): Named<u32>,
) -> Result<Json<FundingAnswer>, ApiError> {
    let found = app.query(move |engine| {
        let mut rows = engine.table().map(|(_, row)| row);
        let row = rows.find(|row| row.params.id == InstrumentId(instrument))?;
        Some(FundingAnswer {
            instrument,
            round: row.round,
            time: row.time,
            premium: row.premium,
            long_carry: row.long_carry,
            short_carry: row.short_carry,
            funding_cap: row.params.funding_cap,
        })
    });
    let found = found.await?;
    found.map(Json).ok_or(ApiError::NotFound("instrument"))
}
