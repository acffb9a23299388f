//! The body of every answer that is no success.

use serde::{Deserialize, Serialize};

/// `code` is stable: a clause's (`L4.margin`), or one of the API's own (docs/api.md). `message` is
/// for people and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    pub code: String,
    pub message: String,
    /// Milliseconds after which the same request may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
