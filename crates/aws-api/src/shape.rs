//! What generated shapes are made of: blobs, sensitive values and open enums.
//!
//! An open enum keeps a value it does not know, so that a newer answer can be
//! passed on; whether a *request* may carry one is a check in `validate`.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that travel as base64. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl de::Visitor<'_> for Base64 {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a base64 string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
                // The decoder's own message would quote a byte of the content.
                STANDARD.decode(text).map(Blob).map_err(|_| E::custom("invalid base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

/// A value that is sent and stored but never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(pub T);

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> Deref for Sensitive<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// A set of names that may grow: what both directions of an enum share.
pub trait OpenEnum {
    const NAMES: &'static [&'static str];

    fn as_str(&self) -> &str;

    fn is_known(&self) -> bool;
}

macro_rules! open_enum {
    ($name:ident { $($variant:ident = $value:literal,)* }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($variant,)*
            /// A value this version does not know.
            Other(String),
        }

        impl $crate::shape::OpenEnum for $name {
            const NAMES: &'static [&'static str] = &[$($value,)*];

            fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Other(other) => other,
                }
            }

            fn is_known(&self) -> bool {
                match self {
                    $(Self::$variant => true,)*
                    Self::Other(_) => false,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($value => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str($crate::shape::OpenEnum::as_str(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(from).map(Self::from)
            }
        }
    };
}
pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::enums::Runtime;

    #[test]
    fn an_open_enum_keeps_what_it_does_not_know() {
        let runtime: Runtime = serde_json::from_str("\"python9.9\"").expect("any text");
        assert!(!runtime.is_known());
        assert_eq!(serde_json::to_string(&runtime).expect("text"), "\"python9.9\"");
        let runtime: Runtime = serde_json::from_str("\"python3.12\"").expect("any text");
        assert_eq!(runtime, Runtime::Python3_12);
        for name in Runtime::NAMES {
            assert_eq!(Runtime::from(*name).as_str(), *name);
            assert!(Runtime::from(*name).is_known());
        }
    }

    #[test]
    fn secrets_and_blobs_are_not_printed() {
        let blob: Blob = serde_json::from_str("\"c2VjcmV0\"").expect("base64");
        assert_eq!(blob.0, b"secret");
        assert_eq!(format!("{blob:?} {:?}", Sensitive("secret")), "Blob(6 bytes) ***");
        assert_eq!(serde_json::to_string(&blob).expect("text"), "\"c2VjcmV0\"");
        let error = serde_json::from_str::<Blob>("\"!secret!\"").expect_err("not base64");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
