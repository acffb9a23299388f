//! Commands: signed messages in, receipts out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tally_api::answer::Ack;
use tally_api::range;
use tally_api::request::{
    BatchRequest, CancelAllRequest, CancelRequest, DeadManRequest, HashAnswer, HashRequest,
    KeyChangeRequest, OrderRequest, ToCommand, TransferRequest, WithdrawRequest,
};
use tally_api::{ErrorBody, SignedReceipt};
use tally_sequencer::command::{Command, Operation, Record};
use tally_sequencer::event::Event;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Peer};
use super::{ApiError, App};
use crate::clock::now_ms;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(submit))
        .routes(routes!(batch))
        .routes(routes!(cancel))
        .routes(routes!(cancel_all))
        .routes(routes!(dead_man))
        .routes(routes!(transfer))
        .routes(routes!(withdraw))
        .routes(routes!(change_keys))
        .routes(routes!(binary))
        .routes(routes!(hash))
}

/// The same text as an `Ack`'s, without a detour over values.
#[derive(Serialize)]
struct AckText<'a> {
    receipt: SignedReceipt,
    events: &'a [Event],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

/// Checks, limits, hands on, and signs the receipt when the command is durable.
pub(super) async fn take(app: &App, peer: Peer, command: Command) -> Result<Response, ApiError> {
    range::check(&command)?;
    if let Some((account, cost)) = limited(&command) {
        let author = (peer.0, account);
        let taken = app.limits.take(author, cost, now_ms());
        taken.map_err(ApiError::Limited)?;
    }
    let taken = app.submit(command).await?;
    taken.result.map_err(ApiError::Refused)?;
    let text = AckText {
        receipt: taken.receipt.sign(&app.domain, &app.receipt_key),
        events: &taken.events,
        repeated: taken.repeated,
    };
    Ok(Json(text).into_response())
}

/// Orders are limited by author, cancels never.
fn limited(command: &Command) -> Option<(u32, u32)> {
    match command {
        Command::Submit(submit) => Some((submit.order.account.0, 1)),
        Command::Batch(operations) => {
            let is_order = |operation: &&Operation| matches!(operation, Operation::Submit(_));
            let orders = operations.iter().filter(is_order).count();
            let first = operations.iter().find(is_order)?;
            Some((first.account().0, u32::try_from(orders).unwrap_or(u32::MAX)))
        }
        _ => None,
    }
}

macro_rules! command_route {
    ($(#[$doc:meta])* $name:ident, $path:literal, $request:ident, $tag:literal) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = $tag, request_body = $request,
            responses(
                (status = 200, description = "Durable, in its place", body = Ack),
                (status = "4XX", description = "Refused by a rule", body = ErrorBody),
                (status = "5XX", description = "Not now", body = ErrorBody),
            ),
        )]
        async fn $name(
            State(app): State<App>,
            peer: Peer,
            Body(request): Body<$request>,
        ) -> Result<Response, ApiError> {
            let command = request.to_command(&app.domain)?;
            take(&app, peer, command).await
        }
    };
}

command_route!(
    /// An order: it fills, rests, waits for its trigger, or is refused. An order with `amend` and a
    /// higher sequence replaces the one in its slot and keeps what was filled.
    submit, "/v1/orders", OrderRequest, "orders"
);
command_route!(
    /// Several orders and cancels, applied one after another in one place of the log; one that is
    /// refused stops none of the others, and has its `refused` event.
    batch, "/v1/orders/batch", BatchRequest, "orders"
);
command_route!(
    /// Ends a slot's order. Always admitted, whatever limits an author has reached.
    cancel, "/v1/orders/cancel", CancelRequest, "orders"
);
command_route!(
    /// Ends all orders of an account, and every signature of its generation.
    cancel_all, "/v1/orders/cancel-all", CancelAllRequest, "orders"
);
command_route!(
    /// Arms, renews or disarms the dead-man switch: unless renewed in time, all orders end.
    dead_man, "/v1/orders/dead-man-switch", DeadManRequest, "orders"
);
command_route!(
    /// Moves cash or lots to another account, which it may create.
    transfer, "/v1/transfers", TransferRequest, "accounts"
);
command_route!(
    /// Pays out to the account's L1 owner, when the batch is executed on L1.
    withdraw, "/v1/withdrawals", WithdrawRequest, "accounts"
);
command_route!(
    /// New keys; the trading key is the session key, which trades and does not withdraw.
    change_keys, "/v1/keys", KeyChangeRequest, "accounts"
);

/// A command in its binary encoding (docs/sequencer.md): the record's bytes, whose time is replaced
/// by the sequencer's. For those in a hurry; the answer is the same JSON.
#[utoipa::path(
    post, path = "/v1/commands", tag = "orders",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Durable, in its place", body = Ack),
        (status = "4XX", description = "Refused by a rule", body = ErrorBody),
        (status = "5XX", description = "Not now", body = ErrorBody),
    ),
)]
async fn binary(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, ApiError> {
    const TYPE: &str = "application/octet-stream";
    let body = body?;
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|it| it != TYPE)
    {
        return Err(ApiError::Type(TYPE));
    }
    let command = Record::from_bytes(&body)?.command;
    let is_item = matches!(command, Command::Item(_));
    if !(is_traders(&command) || app.takes_items && is_item) {
        return Err(ApiError::Operator);
    }
    take(&app, peer, command).await
}

/// Everything else comes from the process itself, or over a route of its own.
fn is_traders(command: &Command) -> bool {
    matches!(
        command,
        Command::Submit(_)
            | Command::Batch(_)
            | Command::Cancel(_)
            | Command::CancelAll(_)
            | Command::DeadMan(_)
            | Command::Transfer(_)
            | Command::Withdraw(_)
            | Command::KeyChange(_)
    )
}

/// The digest that a message's author signs, for clients that do not hash themselves.
#[utoipa::path(
    post, path = "/v1/hash", tag = "orders", request_body = HashRequest,
    responses(
        (status = 200, description = "What to sign", body = HashAnswer),
        (status = "4XX", description = "No such message", body = ErrorBody),
    ),
)]
async fn hash(
    State(app): State<App>,
    Body(request): Body<HashRequest>,
) -> Result<Json<HashAnswer>, ApiError> {
    Ok(Json(request.answer(&app.domain)?))
}
