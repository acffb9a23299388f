//! Reading and writing of the log's bytes: little-endian numbers, one byte an enum's number, every
//! number in its one encoding. A reader refuses what a writer would not have written.

use plonky2::field::types::PrimeField64;
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::hash::{Digest, F, unsigned};
use tally_protocol::oracle::OracleError;
use tally_protocol::signature::SignatureError;
use thiserror::Error;

/// First byte of every record.
pub const RECORD_VERSION: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("[W1] a record of version {0}, this reads {RECORD_VERSION}")]
    Version(u8),
    #[error("[W2] {wanted} bytes are wanted where {left} are left")]
    Short { wanted: usize, left: usize },
    #[error("[W3] {0} bytes follow the record's end")]
    Long(usize),
    #[error("[W4] {value} is no {what}")]
    Number { what: &'static str, value: u64 },
    #[error("[W5] a list of {length}, at most {most}")]
    List { length: usize, most: usize },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Oracle(#[from] OracleError),
}

impl WireError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version(_) => "W1.version",
            Self::Short { .. } => "W2.short",
            Self::Long(_) => "W3.long",
            Self::Number { .. } => "W4.number",
            Self::List { .. } => "W5.list",
            Self::Signature(error) => error.code(),
            Self::Oracle(error) => error.code(),
        }
    }
}

/// What is left of a record.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, wanted: usize) -> Result<&'a [u8], WireError> {
        let left = self.0.len();
        let Some((head, tail)) = self.0.split_at_checked(wanted) else {
            return Err(WireError::Short { wanted, left });
        };
        self.0 = tail;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub fn end(&self) -> Result<(), WireError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(WireError::Long(left)),
        }
    }

    /// A list's length, two bytes.
    pub fn length(&mut self, most: usize) -> Result<usize, WireError> {
        let length = usize::from(u16::take(self)?);
        match length <= most {
            true => Ok(length),
            false => Err(WireError::List { length, most }),
        }
    }
}

/// A list's length; callers keep lists below 2^16.
pub(super) fn put_length(length: usize, out: &mut Vec<u8>) {
    u16::try_from(length).unwrap_or(u16::MAX).put(out);
}

/// What has one encoding.
pub(super) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Reader<'_>) -> Result<Self, WireError>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, u128, i64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(number("truth value", value.into())),
        }
    }
}

/// A byte that says whether there is one, then it.
impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match bool::take(from)? {
            true => Ok(Some(T::take(from)?)),
            false => Ok(None),
        }
    }
}

/// The canonical residue.
impl Wire for F {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_canonical_u64().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let value = u64::take(from)?;
        match value < FIELD_ORDER {
            true => Ok(unsigned(value)),
            false => Err(number("field element", value)),
        }
    }
}

impl<const N: usize> Wire for [F; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.put(out));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut elements = [F::default(); N];
        for element in &mut elements {
            *element = F::take(from)?;
        }
        Ok(elements)
    }
}

impl Wire for Digest {
    fn put(&self, out: &mut Vec<u8>) {
        self.elements.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let elements = Wire::take(from)?;
        Ok(Digest { elements })
    }
}

pub(super) fn number(what: &'static str, value: u64) -> WireError {
    WireError::Number { what, value }
}
