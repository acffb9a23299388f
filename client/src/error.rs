//! What can go wrong between a client and the service.

use tally_api::encoding::HexError;
use tally_api::{ErrorBody, ReceiptError};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ClientError {
    /// The service's own word; the code is stable.
    #[error("{status}: {} ({})", .body.message, .body.code)]
    Refused { status: u16, body: ErrorBody },
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("an answer that is not the API's: {0}")]
    Answer(String),
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    #[error(transparent)]
    Hex(#[from] HexError),
    #[error("the WebSocket: {0}")]
    Socket(Box<tokio_tungstenite::tungstenite::Error>),
    /// The service closed the channel, with its reason.
    #[error("the channel is closed: {code} {reason}")]
    Closed { code: u16, reason: String },
}

impl ClientError {
    /// The service's code, where it has said one.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { body, .. } => &body.code,
            Self::Http(_) => "client.http",
            Self::Answer(_) => "client.answer",
            Self::Receipt(error) => error.code(),
            Self::Hex(error) => error.code(),
            Self::Socket(_) => "client.socket",
            Self::Closed { reason, .. } => reason,
        }
    }

    /// Nothing is known of what became of the request: it may have been taken in.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Answer(_))
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for ClientError {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}
