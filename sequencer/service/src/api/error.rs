//! Every answer that is no success: a status, a stable code, words, and nothing of our insides.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use tally_api::ErrorBody;
use tally_api::encoding::HexError;
use tally_api::range::RangeError;
use tally_api::request::RequestError;
use tally_protocol::oracle::OracleError;
use tally_sequencer::command::WireError;
use thiserror::Error;

use crate::service::SubmitError;
use crate::store::StoreError;
use crate::writer::{NotTaken, Refusal};

/// Milliseconds after which a busy service may be asked again.
const BUSY_MS: u64 = 50;
/// The same for what passes with the next epoch.
const PASSING_MS: u64 = 1_000;

#[derive(Debug, Error)]
pub enum ApiError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// It has a place in the log, and was refused there.
    #[error("{}", .0.message)]
    Refused(Refusal),
    #[error(transparent)]
    NotTaken(NotTaken),
    #[error("the body is not the JSON that this route takes: {0}")]
    Json(String),
    #[error("the parameters are not those that this route takes: {0}")]
    Parameter(String),
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body's type has to be {0}")]
    Type(&'static str),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("this route does not have this method")]
    Method,
    #[error("messages before {0} are no longer kept: take a snapshot")]
    Gone(u64),
    #[error("only the operator may do this")]
    Operator,
    #[error("too many requests of this author")]
    Limited(u64),
    #[error("too many requests wait")]
    Busy,
    #[error("the service is stopping")]
    Stopping,
    #[error("too many clients")]
    Clients,
    #[error("the request took too long")]
    Slow,
    #[error("something is wrong on our side")]
    Internal(String),
}

impl ApiError {
    /// Stable; docs/api.md lists them.
    pub fn code(&self) -> &str {
        match self {
            Self::Request(error) => error.code(),
            Self::Range(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::Oracle(error) => error.code(),
            Self::Refused(refusal) => &refusal.code,
            Self::NotTaken(error) => error.code(),
            Self::Json(_) => "api.json",
            Self::Parameter(_) => "api.parameter",
            Self::TooLarge(_) => "api.too_large",
            Self::Type(_) => "api.content_type",
            Self::NotFound(_) => "api.not_found",
            Self::Method => "api.method",
            Self::Gone(_) => "api.gone",
            Self::Operator => "api.operator",
            Self::Limited(_) => "api.limit",
            Self::Busy => "api.busy",
            Self::Stopping => "api.stopping",
            Self::Clients => "api.clients",
            Self::Slow => "api.timeout",
            Self::Internal(_) => "api.internal",
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => of_rule(&refusal.code, refusal.is_passing),
            Self::NotTaken(error) => match error {
                NotTaken::Refused(reject) => of_rule(reject.code(), reject.is_passing()),
                NotTaken::ClientId(_) => StatusCode::CONFLICT,
                NotTaken::Signature { .. } => StatusCode::UNAUTHORIZED,
            },
            Self::Oracle(OracleError::Signature { .. } | OracleError::Unknown { .. }) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Request(_)
            | Self::Range(_)
            | Self::Wire(_)
            | Self::Oracle(_)
            | Self::Json(_)
            | Self::Parameter(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Type(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Gone(_) => StatusCode::GONE,
            Self::Operator => StatusCode::FORBIDDEN,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Stopping | Self::Clients => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Limited(ms) => Some(*ms),
            Self::Busy | Self::Clients => Some(BUSY_MS),
            Self::Refused(Refusal {
                is_passing: true, ..
            }) => Some(PASSING_MS),
            Self::NotTaken(NotTaken::Refused(reject)) if reject.is_passing() => Some(PASSING_MS),
            _ => None,
        }
    }
}

/// The status of a rule's refusal.
fn of_rule(code: &str, is_passing: bool) -> StatusCode {
    match code {
        _ if is_passing => StatusCode::SERVICE_UNAVAILABLE,
        "S2.account" => StatusCode::NOT_FOUND,
        "S2.key" => StatusCode::FORBIDDEN,
        "S4.generation" | "S4.nonce" | "S4.old" | "S4.replayed" | "S4.counter" | "O1.client_id"
        | "C1.order" => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        if let Self::Internal(reason) = &self {
            tracing::error!(%reason, "a request fails on our side");
        }
        let body = ErrorBody {
            code: self.code().to_owned(),
            message: self.to_string(),
            retry_after_ms: self.retry_after_ms(),
        };
        let mut response = (self.status(), Json(&body)).into_response();
        if let Some(ms) = body.retry_after_ms {
            let seconds = HeaderValue::from(ms.div_ceil(1_000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<HexError> for ApiError {
    fn from(error: HexError) -> Self {
        Self::Request(error.into())
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Busy => Self::Busy,
            SubmitError::Stopping => Self::Stopping,
            SubmitError::NotTaken(error) => Self::NotTaken(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::Type("application/json"),
            JsonRejection::BytesRejection(error) => error.into(),
            error => Self::Json(error.body_text()),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(super::MOST_BYTES),
            _ => Self::Json("the body ends early".to_owned()),
        }
    }
}

/// The timeout's answer comes without a body.
pub async fn name_timeouts(response: axum::response::Response) -> axum::response::Response {
    let is_bare = !response.headers().contains_key(header::CONTENT_TYPE);
    match response.status() == StatusCode::REQUEST_TIMEOUT && is_bare {
        true => ApiError::Slow.into_response(),
        false => response,
    }
}

/// A handler's panic costs its request and nothing else.
pub fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response<Body> {
    ApiError::Internal("a handler panicked".to_owned()).into_response()
}
