//! Bytes in JSON: hexadecimal, lower case, without prefix. Keys are five elements of eight bytes,
//! digests four, lowest byte first, as `tally key` prints them.

use plonky2::field::types::{Field64, PrimeField64};
use tally_protocol::account::{Owner, PublicKey};
use tally_protocol::hash::{Digest, F, unsigned};
use tally_protocol::signature::{Signature, SignatureError};
use thiserror::Error;

/// A text that stands for no such thing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HexError {
    #[error("{what}: not hexadecimal digits of {bytes} bytes")]
    Digits { what: &'static str, bytes: usize },
    #[error("{what}: element {element} is not below p")]
    Element { what: &'static str, element: usize },
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl HexError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Digits { .. } => "api.hex",
            Self::Element { .. } => "api.element",
            Self::Signature(error) => error.code(),
        }
    }
}

pub fn bytes<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], HexError> {
    let mut out = [0; N];
    let text = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(text, &mut out).map_err(|_| HexError::Digits { what, bytes: N })?;
    Ok(out)
}

pub fn key(what: &'static str, text: &str) -> Result<PublicKey, HexError> {
    let bytes = bytes::<40>(what, text)?;
    elements(what, &bytes)
}

pub fn digest(what: &'static str, text: &str) -> Result<Digest, HexError> {
    let bytes = bytes::<32>(what, text)?;
    Ok(Digest {
        elements: elements(what, &bytes)?,
    })
}

pub fn owner(text: &str) -> Result<Owner, HexError> {
    Ok(Owner(bytes("owner", text)?))
}

pub fn signature(text: &str) -> Result<Signature, HexError> {
    let bytes = bytes::<80>("signature", text)?;
    Ok(Signature::from_bytes(&bytes)?)
}

/// Bytes of any number.
pub fn any_bytes(what: &'static str, text: &str) -> Result<Vec<u8>, HexError> {
    let bytes = text.len() / 2;
    hex::decode(text).map_err(|_| HexError::Digits { what, bytes })
}

pub fn hex_bytes_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

pub fn hex_of(elements: &[F]) -> String {
    let bytes = elements.iter().map(|element| element.to_canonical_u64());
    hex::encode(bytes.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
}

fn elements<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[F; N], HexError> {
    let mut elements = [F::default(); N];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (element, (to, chunk)) in elements.iter_mut().zip(chunks).enumerate() {
        let value = u64::from_le_bytes(*chunk);
        if value >= F::ORDER {
            return Err(HexError::Element { what, element });
        }
        *to = unsigned(value);
    }
    Ok(elements)
}

/// `#[serde(with = "hex_bytes")]` for arrays of bytes.
pub mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::bytes("bytes", &text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_has_one_encoding() {
        let order = hex::encode(F::ORDER.to_le_bytes());
        let text = format!("{}{order}", "00".repeat(32));
        assert_eq!(key("key", &text).unwrap_err().code(), "api.element");
        assert_eq!(digest("root", "00").unwrap_err().code(), "api.hex");
        let text = format!("{}01{}", "00".repeat(24), "00".repeat(7));
        let digest = digest("root", &text).unwrap();
        assert_eq!(digest.elements[3], unsigned(1));
        assert_eq!(hex_of(&digest.elements), text);
    }
}
