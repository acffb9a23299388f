//! Field elements in serde: canonical residues, so that a value has one encoding and a decoded
//! element is below p.
//!
//! `#[serde(with = "crate::wire")]` on a field of elements, digests, keys or lists of them. Binary
//! formats get eight bytes an element, lowest first; readable ones a number.

use core::fmt;
use core::marker::PhantomData;

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounds::FIELD_ORDER;
use crate::hash::{Digest, F};

pub fn serialize<T: Canonical, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.put(serializer)
}

pub fn deserialize<'de, T: Canonical, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::take(deserializer)
}

/// What is made of field elements.
pub trait Canonical: Sized {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl Canonical for F {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.to_canonical_u64();
        match serializer.is_human_readable() {
            true => serializer.serialize_u64(value),
            false => value.to_le_bytes().serialize(serializer),
        }
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match deserializer.is_human_readable() {
            true => u64::deserialize(deserializer)?,
            false => u64::from_le_bytes(<[u8; 8]>::deserialize(deserializer)?),
        };
        match value < FIELD_ORDER {
            true => Ok(Self::from_canonical_u64(value)),
            false => Err(D::Error::custom("an element is not below p")),
        }
    }
}

impl<T: Canonical + Copy + Default, const N: usize> Canonical for [T; N] {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        for element in self {
            tuple.serialize_element(&Put(element))?;
        }
        tuple.end()
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(N, ArrayVisitor(PhantomData))
    }
}

impl Canonical for Digest {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.elements.put(serializer)
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Canonical::take(deserializer)?;
        Ok(HashOut { elements })
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Put))
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<Take<T>>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|item| item.0).collect())
    }
}

struct Put<'a, T>(&'a T);

impl<T: Canonical> Serialize for Put<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.put(serializer)
    }
}

struct Take<T>(T);

impl<'de, T: Canonical> Deserialize<'de> for Take<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::take(deserializer).map(Self)
    }
}

struct ArrayVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Canonical + Copy + Default, const N: usize> Visitor<'de> for ArrayVisitor<T, N> {
    type Value = [T; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut array = [T::default(); N];
        for (at, place) in array.iter_mut().enumerate() {
            let item = list.next_element::<Take<T>>()?;
            *place = item.ok_or_else(|| A::Error::invalid_length(at, &self))?.0;
        }
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::goldilocks_field::GoldilocksField;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wired {
        #[serde(with = "crate::wire")]
        element: F,
        #[serde(with = "crate::wire")]
        path: Vec<Digest>,
        #[serde(with = "crate::wire")]
        key: [F; 5],
    }

    #[test]
    fn an_element_has_one_encoding_and_is_below_p() {
        let digest = |first: u64| HashOut {
            elements: [
                GoldilocksField(first),
                GoldilocksField(1),
                GoldilocksField(2),
                GoldilocksField(3),
            ],
        };
        // In memory an element may stand as its residue plus p.
        let wired = |element| Wired {
            element,
            path: vec![digest(FIELD_ORDER + 5)],
            key: [GoldilocksField(FIELD_ORDER); 5],
        };
        let text = serde_json::to_string(&wired(GoldilocksField(FIELD_ORDER + 7))).unwrap();
        assert_eq!(
            text,
            r#"{"element":7,"path":[[5,1,2,3]],"key":[0,0,0,0,0]}"#
        );
        assert_eq!(
            serde_json::from_str::<Wired>(&text).unwrap(),
            wired(GoldilocksField(7)),
            "equal as field elements"
        );
        for lie in [
            text.replace(":7", &format!(":{FIELD_ORDER}")),
            text.replace("[5,1,2,3]", "[5,1,2]"),
            text.replace("[0,0,0,0,0]", "[0,0,0,0,0,0]"),
        ] {
            assert!(serde_json::from_str::<Wired>(&lie).is_err(), "{lie}");
        }
    }
}
