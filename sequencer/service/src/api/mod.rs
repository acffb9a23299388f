//! The traders' API under `/v1`: one router a resource, all documented where they stand.

mod accounts;
mod channels;
mod commands;
mod error;
mod extract;
mod market;
mod oracle;
mod records;
pub mod serve;

pub use error::ApiError;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::service::Shared;

/// Bytes of a request's body.
pub const MOST_BYTES: usize = 256 * 1024;

/// What handlers see.
pub type App = Arc<Shared>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tally sequencer",
        description = "Trading, accounts, market data and receipts (docs/api.md). Prices are \
            micro-quote per lot, amounts micro-quote, sizes whole lots.",
    ),
    components(schemas(tally_api::ErrorBody, tally_api::answer::ChannelMessage))
)]
struct Document;

/// The document that `/v1/openapi.json` serves.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(commands::routes())
        .merge(accounts::routes())
        .merge(market::routes())
        .merge(records::routes())
        .merge(oracle::routes())
        .merge(channels::routes())
}

/// All of the service's routes; a request takes at most so long.
pub fn router(app: App, timeout: Duration) -> Router {
    let (router, document) = routes().split_for_parts();
    let text: Arc<str> = document.to_json().unwrap_or_default().into();
    let serve_document = move || async move {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, text.to_string())
    };
    router
        .route("/v1/openapi.json", get(serve_document))
        .route("/metrics", get(metrics))
        .fallback(|| async { ApiError::NotFound("route") })
        .method_not_allowed_fallback(|| async { ApiError::Method })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            timeout,
        ))
        .layer(axum::middleware::map_response(error::name_timeouts))
        .layer(CatchPanicLayer::custom(error::panicked))
        .with_state(app)
}

async fn metrics(axum::extract::State(app): axum::extract::State<App>) -> impl IntoResponse {
    let metrics = &app.metrics;
    let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let [priority, orders, queries] = app.waiting();
    metrics.waiting_priority.set(gauge(priority));
    metrics.waiting_orders.set(gauge(orders));
    metrics.waiting_queries.set(gauge(queries));
    let (listeners, dropped) = app.hub.counts();
    metrics.listeners.set(gauge(listeners));
    metrics.listeners_dropped.set(dropped);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text())
}
