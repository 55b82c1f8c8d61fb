//! Messages as bytes: postcard, which writes values in order and names no fields.
//! Both ends must therefore be of the same `frame::VERSION`, and no message may use
//! serde attributes that need self-describing data; `tests/round_trip.rs` finds them.

use bytes::BytesMut;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

/// A message could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unencodable {
    #[error("a message has {bytes} bytes, more than {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("a message cannot be written: {0}")]
    Value(postcard::Error),
}

/// Bytes are not a message of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("{0} bytes follow a message")]
    TrailingBytes(usize),
    #[error("a message cannot be read: {0}")]
    Value(postcard::Error),
}

/// Appends the message. What an error leaves behind is the caller's to cut off.
pub fn encode<T: Serialize>(message: &T, out: &mut BytesMut) -> Result<(), Unencodable> {
    postcard::serialize_with_flavor(message, Append(out)).map_err(Unencodable::Value)
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(Undecodable::Value)?;
    if rest.is_empty() { Ok(message) } else { Err(Undecodable::TrailingBytes(rest.len())) }
}

/// Byte strings are copied as a whole, not byte by byte.
struct Append<'a>(&'a mut BytesMut);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.extend_from_slice(&[byte]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
