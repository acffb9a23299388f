//! One encoding of each value: a frame that names kind and version, then postcard.
//!
//! ```text
//! "tallyjob"   8 bytes
//! kind         u16, highest byte first
//! version      u16, highest byte first
//! body         postcard: varints, lists after their length, field elements as eight bytes
//! ```
//!
//! Decoding is strict: another kind or version, a byte missing or left over, an element that is
//! not below p, a second encoding of the same value and whatever the type's own `check` refuses are
//! errors by name. What decodes encodes to the same bytes, so a hash of the bytes names the value.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

const MAGIC: &[u8; 8] = b"tallyjob";
const HEADER_BYTES: usize = 12;
/// Longest encoding: a witness of a full epoch (2^27 words on the bus \[P1\]) stays far below.
pub const MAX_BYTES: usize = 1 << 30;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("[wire.short] {0} bytes end too early")]
    Short(usize),
    #[error("[wire.long] {0} bytes are more than 2^30")]
    Long(usize),
    #[error("[wire.magic] not one of Tally's job files")]
    Magic,
    #[error("[wire.kind] kind {found}, not {expected}")]
    Kind { found: u16, expected: u16 },
    #[error("[wire.version] version {found} of kind {kind}; this build reads {known}")]
    Version { kind: u16, found: u16, known: u16 },
    #[error("[wire.trailing] {0} bytes follow the value")]
    Trailing(usize),
    #[error("[wire.value] an element is not below p, or a list is not one of its type")]
    Value,
    #[error("[wire.malformed] {0}")]
    Malformed(postcard::Error),
    #[error("[wire.canonical] these bytes are not the value's encoding")]
    Canonical,
    #[error("[{code}] {reason}")]
    Refused { code: &'static str, reason: String },
}

impl WireError {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Short(_) => "wire.short",
            Self::Long(_) => "wire.long",
            Self::Magic => "wire.magic",
            Self::Kind { .. } => "wire.kind",
            Self::Version { .. } => "wire.version",
            Self::Trailing(_) => "wire.trailing",
            Self::Value => "wire.value",
            Self::Malformed(_) => "wire.malformed",
            Self::Canonical => "wire.canonical",
            Self::Refused { code, .. } => code,
        }
    }
}

/// A value that crosses a process's border.
pub trait Wire: Serialize + DeserializeOwned {
    /// One number for each type; never used again.
    const KIND: u16;
    /// Rises with every change of the encoding.
    const VERSION: u16;

    /// Bounds that the types do not say: what passes is safe to work with.
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let header = [
            &MAGIC[..],
            &Self::KIND.to_be_bytes(),
            &Self::VERSION.to_be_bytes(),
        ];
        let body = postcard::to_extend(self, header.concat());
        body.expect("memory takes it, and every list knows its length")
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_BYTES {
            return Err(WireError::Long(bytes.len()));
        }
        let body = body::<Self>(bytes)?;
        let (value, rest): (Self, _) =
            postcard::take_from_bytes(body).map_err(|error| match error {
                postcard::Error::DeserializeUnexpectedEnd => WireError::Short(bytes.len()),
                postcard::Error::SerdeDeCustom => WireError::Value,
                error => WireError::Malformed(error),
            })?;
        if !rest.is_empty() {
            return Err(WireError::Trailing(rest.len()));
        }
        value.check()?;
        match value.encode() == bytes {
            true => Ok(value),
            false => Err(WireError::Canonical),
        }
    }
}

fn body<T: Wire>(bytes: &[u8]) -> Result<&[u8], WireError> {
    let (header, body) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(WireError::Short(bytes.len()))?;
    let [m0, m1, m2, m3, m4, m5, m6, m7, k0, k1, v0, v1] = *header;
    if [m0, m1, m2, m3, m4, m5, m6, m7] != *MAGIC {
        return Err(WireError::Magic);
    }
    let (kind, found) = (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([v0, v1]));
    if kind != T::KIND {
        return Err(WireError::Kind {
            found: kind,
            expected: T::KIND,
        });
    }
    if found != T::VERSION {
        return Err(WireError::Version {
            kind,
            found,
            known: T::VERSION,
        });
    }
    Ok(body)
}
