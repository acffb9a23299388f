//! Channels over a WebSocket, and what a client missed of them over REST.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tally_api::ErrorBody;
use tally_api::answer::ChannelAnswer;
use tokio::time::{Instant, interval_at, timeout};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Asked, Named};
use super::{ApiError, App};
use crate::hub::{Channel, Listener, MOST_CHANNELS, Missed};

/// Bytes of a client's message.
const MOST_BYTES: usize = 8 * 1024;
/// How long one message may take to a client that reads slowly.
const SEND: Duration = Duration::from_secs(10);
/// Between pings; a client that answers none of two is gone.
const PING: Duration = Duration::from_secs(30);

/// Close codes, in the range that is free for applications.
const SLOW: (u16, &str) = (4_008, "ws.slow");
const BAD: (u16, &str) = (4_000, "ws.message");
const GONE: (u16, &str) = (4_001, "ws.silent");

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(connect))
        .routes(routes!(missed))
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Subscribe { channels: Vec<String> },
    Unsubscribe { channels: Vec<String> },
}

/// What it hears besides the channels' messages.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Heard<'a> {
    Subscribed {
        channel: &'a str,
        session: u64,
        sequence: u64,
    },
    Unsubscribed {
        channel: &'a str,
    },
    Error {
        code: &'a str,
        channel: &'a str,
    },
}

/// A WebSocket: `{"op":"subscribe","channels":["book:1","account:1024","epochs"]}`.
#[utoipa::path(
    get, path = "/v1/ws", tag = "channels",
    responses(
        (status = 101, description = "Channels follow"),
        (status = "4XX", description = "No WebSocket request", body = ErrorBody),
        (status = "5XX", description = "Too many clients", body = ErrorBody),
    ),
)]
async fn connect(
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| ApiError::Parameter(error.body_text()))?;
    let listener = app.hub.listen().ok_or(ApiError::Clients)?;
    let session = app.hub.session;
    let upgrade = upgrade
        .max_message_size(MOST_BYTES)
        .max_frame_size(MOST_BYTES);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, listener, session)))
}

/// Until one of both ends it.
async fn serve(mut socket: WebSocket, mut listener: Listener, session: u64) {
    let mut ping = interval_at(Instant::now() + PING, PING);
    let mut unanswered = 0u32;
    let (code, reason) = loop {
        tokio::select! {
            message = listener.next() => {
                let Some(message) = message else { break SLOW };
                if !send(&mut socket, Frame::text(message.get())).await {
                    break SLOW;
                }
            }
            frame = socket.recv() => match frame {
                Some(Ok(Frame::Text(text))) => {
                    unanswered = 0;
                    let Ok(said) = serde_json::from_str(text.as_str()) else { break BAD };
                    if !answer(&mut socket, &mut listener, session, said).await {
                        break SLOW;
                    }
                }
                Some(Ok(Frame::Binary(_))) => break BAD,
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => unanswered = 0,
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
            },
            _ = ping.tick() => {
                unanswered += 1;
                if unanswered > 2 || !send(&mut socket, Frame::Ping(Bytes::new())).await {
                    break GONE;
                }
            }
        }
    };
    drop(listener);
    let reason = reason.into();
    let close = Frame::Close(Some(CloseFrame { code, reason }));
    drop(timeout(SEND, socket.send(close)).await);
}

async fn send(socket: &mut WebSocket, frame: Frame) -> bool {
    matches!(timeout(SEND, socket.send(frame)).await, Ok(Ok(())))
}

/// One answer a channel.
async fn answer(socket: &mut WebSocket, listener: &mut Listener, session: u64, said: Said) -> bool {
    let (channels, subscribes) = match said {
        Said::Subscribe { channels } => (channels, true),
        Said::Unsubscribe { channels } => (channels, false),
    };
    for name in channels.iter().take(MOST_CHANNELS) {
        let channel: &str = name;
        let heard = match (name.parse::<Channel>(), subscribes) {
            (Err(()), _) => Heard::Error {
                code: "ws.channel",
                channel,
            },
            (Ok(known), true) => match listener.subscribe(known) {
                Some(sequence) => Heard::Subscribed {
                    channel,
                    session,
                    sequence,
                },
                None => Heard::Error {
                    code: "ws.channels",
                    channel,
                },
            },
            (Ok(known), false) => {
                listener.unsubscribe(known);
                Heard::Unsubscribed { channel }
            }
        };
        let text = serde_json::to_string(&heard).unwrap_or_default();
        if !send(socket, Frame::text(text)).await {
            return false;
        }
    }
    true
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct From {
    /// The first number that is wanted.
    from: u64,
}

/// The messages of a channel from a number on: the last 1,024 are kept.
#[utoipa::path(
    get, path = "/v1/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "`book:1`, `epochs`, ..."), From),
    responses(
        (status = 200, description = "The messages", body = ChannelAnswer),
        (status = "4XX", description = "No such channel, or too old", body = ErrorBody),
    ),
)]
async fn missed(
    State(app): State<App>,
    Named(channel): Named<String>,
    Asked(asked): Asked<From>,
) -> Result<Response, ApiError> {
    let channel: Channel = channel
        .parse()
        .map_err(|()| ApiError::NotFound("channel"))?;
    match app.hub.missed(channel, asked.from) {
        Missed::Gone(oldest) => Err(ApiError::Gone(oldest)),
        Missed::Messages(messages) => {
            let texts: Vec<&str> = messages.iter().map(|message| message.get()).collect();
            let session = app.hub.session;
            let text = format!(
                r#"{{"session":{session},"messages":[{}]}}"#,
                texts.join(",")
            );
            Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
        }
    }
}
