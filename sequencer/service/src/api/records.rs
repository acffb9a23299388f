//! Epochs, batches, proofs, receipts, and the service itself.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tally_api::answer::StatusAnswer;
use tally_api::encoding::hex_of;
use tally_api::{ErrorBody, SignedReceipt};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Named};
use super::{ApiError, App};
use crate::clock::now_ms;
use crate::store::EpochRow;

const MOST: usize = 1_000;
const USUAL: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(epochs))
        .routes(routes!(epoch))
        .routes(routes!(batch))
        .routes(routes!(proofs))
        .routes(routes!(receipt))
        .routes(routes!(status))
        .routes(routes!(time))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Only epochs before this one.
    before: Option<u32>,
    /// 1 to 1,000; 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Closed epochs, the latest first.
#[utoipa::path(
    get, path = "/v1/epochs", tag = "epochs", params(Page),
    responses(
        (status = 200, description = "The epochs", body = Vec<EpochRow>),
        (status = "4XX", description = "Refused", body = ErrorBody),
    ),
)]
async fn epochs(
    State(app): State<App>,
    Asked(page): Asked<Page>,
) -> Result<Json<Vec<EpochRow>>, ApiError> {
    let limit = page.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::Parameter(format!("{limit} is not 1 to {MOST}")));
    }
    let before = page.before.unwrap_or(u32::MAX);
    Ok(Json(app.store.epochs(before, limit)?))
}

/// A closed epoch.
#[utoipa::path(
    get, path = "/v1/epochs/{epoch}", tag = "epochs", params(("epoch" = u32, Path)),
    responses(
        (status = 200, description = "The epoch", body = EpochRow),
        (status = "4XX", description = "Not closed", body = ErrorBody),
    ),
)]
async fn epoch(
    State(app): State<App>,
    Named(epoch): Named<u32>,
) -> Result<Json<EpochRow>, ApiError> {
    let found = app.store.epoch(epoch)?;
    found.map(Json).ok_or(ApiError::NotFound("epoch"))
}

#[derive(Debug, Serialize, ToSchema)]
struct BatchAnswer {
    batch: u64,
    /// By rising number.
    epochs: Vec<EpochRow>,
    /// Its last epoch is closed.
    is_complete: bool,
    is_proven: bool,
    is_settled: bool,
}

/// The epochs of a batch, and how far it is.
#[utoipa::path(
    get, path = "/v1/batches/{batch}", tag = "epochs", params(("batch" = u64, Path)),
    responses(
        (status = 200, description = "The batch", body = BatchAnswer),
        (status = "4XX", description = "No epoch of it is closed", body = ErrorBody),
    ),
)]
async fn batch(
    State(app): State<App>,
    Named(batch): Named<u64>,
) -> Result<Json<BatchAnswer>, ApiError> {
    let mut epochs: Vec<EpochRow> = Vec::new();
    let mut before = u32::MAX;
    // Batches rise with epochs: the scan ends where an earlier one begins.
    loop {
        let page = app.store.epochs(before, MOST)?;
        let Some(last) = page.last() else { break };
        let (first, last) = (last.batch, last.epoch);
        epochs.extend(page.into_iter().filter(|row| row.batch == batch));
        if first < batch {
            break;
        }
        before = last;
    }
    epochs.reverse();
    let last = epochs.last().ok_or(ApiError::NotFound("batch"))?;
    let (last, is_complete) = (last.epoch, last.ends_batch);
    let status = app.query(|engine| engine.status()).await?;
    Ok(Json(BatchAnswer {
        batch,
        is_complete,
        is_proven: is_complete && status.proven >= last,
        is_settled: is_complete && status.settled >= last,
        epochs,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
struct ProofsAnswer {
    /// The last closed epoch.
    closed: u32,
    /// The last epoch that is proven.
    proven: u32,
    /// The last epoch that is executed on L1.
    settled: u32,
    /// So many epochs may be closed and not proven, or not settled, before orders are refused.
    max_unproven: u32,
    max_unsettled: u32,
}

/// How far proofs and L1 are behind.
#[utoipa::path(
    get, path = "/v1/proofs", tag = "epochs",
    responses(
        (status = 200, description = "The state of proofs", body = ProofsAnswer),
        (status = "5XX", description = "Not now", body = ErrorBody),
    ),
)]
async fn proofs(State(app): State<App>) -> Result<Json<ProofsAnswer>, ApiError> {
    let ask = |engine: &tally_sequencer::engine::Engine| (engine.status(), *engine.config());
    let (status, config) = app.query(ask).await?;
    let closed = app.store.epochs(u32::MAX, 1)?;
    Ok(Json(ProofsAnswer {
        closed: closed.first().map_or(0, |row| row.epoch),
        proven: status.proven,
        settled: status.settled,
        max_unproven: config.max_unproven,
        max_unsettled: config.max_unsettled,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
struct ReceiptAnswer {
    receipt: SignedReceipt,
    /// The log's link before this position: the receipt's link follows from it.
    previous_link: String,
    /// The record's bytes, hexadecimal (docs/sequencer.md).
    record: String,
    /// Why it was refused.
    refused: Option<RefusedBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RefusedBody {
    code: String,
    message: String,
}

/// The receipt of a position, with what it is about: enough to check it against its neighbours.
#[utoipa::path(
    get, path = "/v1/receipts/{position}", tag = "receipts", params(("position" = u64, Path)),
    responses(
        (status = 200, description = "The receipt", body = ReceiptAnswer),
        (status = "4XX", description = "The log is not as long", body = ErrorBody),
    ),
)]
async fn receipt(
    State(app): State<App>,
    Named(position): Named<u64>,
) -> Result<Json<ReceiptAnswer>, ApiError> {
    let entry = app.store.entry(position)?;
    let entry = entry.ok_or(ApiError::NotFound("position"))?;
    let before = app.store.entry(position.saturating_sub(1))?;
    let refused = app.store.outcome(position)?.and_then(|it| it.refused);
    Ok(Json(ReceiptAnswer {
        receipt: entry.receipt().sign(&app.domain, &app.receipt_key),
        previous_link: hex::encode(before.map(|it| it.link).unwrap_or_default().0),
        record: hex::encode(&entry.record),
        refused: refused.map(|refused| RefusedBody {
            code: refused.code,
            message: refused.message,
        }),
    }))
}

/// Where the service stands.
#[utoipa::path(
    get, path = "/v1/status", tag = "service",
    responses(
        (status = 200, description = "The status", body = StatusAnswer),
        (status = "5XX", description = "Not now", body = ErrorBody),
    ),
)]
async fn status(State(app): State<App>) -> Result<Json<StatusAnswer>, ApiError> {
    let status = app.query(|engine| engine.status()).await?;
    let link = match app.store.entry(status.position)? {
        Some(entry) => hex::encode(entry.link.0),
        None => String::new(),
    };
    let closed = app.store.epochs(u32::MAX, 2)?;
    let rooted = closed.iter().find(|row| row.root.is_some());
    let genesis = || app.genesis_root.clone();
    let [priority, orders, _] = app.waiting();
    Ok(Json(StatusAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        chain_id: app.domain.chain_id,
        contract: format!("0x{}", hex::encode(app.domain.contract.0)),
        receipt_key: hex_of(&app.receipt_key.public()),
        position: status.position,
        link,
        time_ms: now_ms(),
        phase: serde_json::to_value(status.phase).unwrap_or_default(),
        epoch: status.epoch,
        closed: rooted.map_or(0, |row| row.epoch),
        root: rooted
            .and_then(|row| row.root.clone())
            .unwrap_or_else(genesis),
        waiting: [orders, priority],
        clients: app.hub.counts().0,
        next_item: status.next_item,
        round: status.round,
        epoch_time: status.time,
        items: status.items,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
struct TimeAnswer {
    /// Milliseconds since 1970.
    time_ms: u64,
}

/// The service's clock.
#[utoipa::path(
    get, path = "/v1/time", tag = "service",
    responses((status = 200, description = "The time", body = TimeAnswer)),
)]
async fn time() -> Json<TimeAnswer> {
    let time_ms = now_ms();
    Json(TimeAnswer { time_ms })
}
