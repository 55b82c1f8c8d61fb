//! The form of a stored value: a format number, a space, and JSON. The number is
//! read before the JSON is, so that a newer record is named as such and never
//! misread. Not a wire format; which types are values stands in `schema`.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// A type that is kept in the store.
pub trait Value: Serialize + DeserializeOwned {
    /// Raised when a record can no longer be read by older releases.
    const FORMAT: u32;
}

/// A stored value could not be read as its type. Values are never shown: they may
/// hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{what} has format {found}, this release knows {known}: use the release that wrote it")]
    Newer { what: &'static str, found: u32, known: u32 },
    #[error("{what} does not begin with a format number: the store was written by something else")]
    Unmarked { what: &'static str },
    #[error("{what} cannot be read at column {column}: the store is damaged")]
    Malformed { what: &'static str, column: usize },
    #[error("{what} cannot be written as JSON")]
    Unwritable { what: &'static str },
}

pub fn encode<T: Value>(value: &T) -> Result<Bytes, RecordError> {
    let mut bytes = format!("{} ", T::FORMAT).into_bytes();
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => Ok(bytes.into()),
        Err(_) => Err(RecordError::Unwritable { what: what::<T>() }),
    }
}

pub fn decode<T: Value>(bytes: &[u8]) -> Result<T, RecordError> {
    let what = what::<T>();
    let space = bytes.iter().take(11).position(|b| *b == b' ');
    let space = space.ok_or(RecordError::Unmarked { what })?;
    let number = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok());
    let found: u32 = number.ok_or(RecordError::Unmarked { what })?;
    if found != T::FORMAT {
        return Err(RecordError::Newer { what, found, known: T::FORMAT });
    }
    serde_json::from_slice(&bytes[space + 1..])
        .map_err(|error| RecordError::Malformed { what, column: error.column() })
}

/// The type's name without its path.
fn what<T>() -> &'static str {
    std::any::type_name::<T>().rsplit("::").next().unwrap_or("record")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AccountLimits;

    #[test]
    fn a_value_round_trips() {
        let value = AccountLimits { concurrency: 7 };
        let bytes = encode(&value).unwrap();
        assert_eq!(&bytes[..], br#"1 {"concurrency":7}"#);
        assert_eq!(decode::<AccountLimits>(&bytes), Ok(value));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let what = "AccountLimits";
        let cases: [(&[u8], RecordError); 5] = [
            (b"2 {}", RecordError::Newer { what, found: 2, known: 1 }),
            (b"{\"concurrency\":7}", RecordError::Unmarked { what }),
            (b"", RecordError::Unmarked { what }),
            (b"x {}", RecordError::Unmarked { what }),
            (b"1 {}", RecordError::Malformed { what, column: 2 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(decode::<AccountLimits>(bytes), Err(error));
        }
    }
}
