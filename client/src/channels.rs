//! The WebSocket: numbered messages of channels.

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tally_api::answer::ChannelMessage;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::ClientError;

/// One connection.
#[derive(Debug)]
pub struct Channels {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Said {
    Message(ChannelMessage),
    Answer(Answer),
}

/// To what the client said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Answer {
    Subscribed {
        channel: String,
        session: u64,
        /// The channel's last message: the next one's number is higher by one.
        sequence: u64,
    },
    Unsubscribed {
        channel: String,
    },
    Error {
        code: String,
        channel: String,
    },
}

impl Channels {
    /// Of a service at `http://host:port`.
    pub async fn connect(base: &str) -> Result<Self, ClientError> {
        let address = base.strip_prefix("http://").unwrap_or(base);
        let (socket, _) = connect_async(format!("ws://{address}/v1/ws")).await?;
        Ok(Self { socket })
    }

    pub async fn subscribe(&mut self, channels: &[&str]) -> Result<(), ClientError> {
        self.say(json!({ "op": "subscribe", "channels": channels }))
            .await
    }

    pub async fn unsubscribe(&mut self, channels: &[&str]) -> Result<(), ClientError> {
        self.say(json!({ "op": "unsubscribe", "channels": channels }))
            .await
    }

    /// Whatever the text; the service closes the channel where it is none of its own.
    pub async fn say(&mut self, text: serde_json::Value) -> Result<(), ClientError> {
        Ok(self.socket.send(Message::text(text.to_string())).await?)
    }

    /// The next message or answer.
    pub async fn next(&mut self) -> Result<Said, ClientError> {
        loop {
            match self.socket.next().await.transpose()? {
                Some(Message::Text(text)) => {
                    let said = serde_json::from_str(text.as_str());
                    return said.map_err(|error| ClientError::Answer(error.to_string()));
                }
                Some(Message::Close(frame)) => {
                    let (code, reason) = match frame {
                        Some(frame) => (frame.code.into(), frame.reason.to_string()),
                        None => (1_005, String::new()),
                    };
                    return Err(ClientError::Closed { code, reason });
                }
                Some(_) => {}
                None => {
                    let reason = String::new();
                    return Err(ClientError::Closed {
                        code: 1_006,
                        reason,
                    });
                }
            }
        }
    }
}
