//! Keys and prefixes: slash-separated text ordered by its bytes. Which keys exist
//! stands in `schema`; only that page builds them.

use std::{fmt, marker::PhantomData};

use crate::limits::KEY_BYTES_MAX;

/// The name of one stored value. At most `KEY_BYTES_MAX` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// The common beginning of the keys of a listing or a watch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

/// A key with the type of the value it holds.
pub struct TypedKey<T> {
    key: Key,
    value: PhantomData<fn() -> T>,
}

/// A prefix under which every key holds a `T`.
pub struct TypedPrefix<T> {
    prefix: Prefix,
    value: PhantomData<fn() -> T>,
}

impl Key {
    /// For `schema`, whose parts are ids of bounded length.
    pub(crate) fn new(text: String) -> Key {
        let bytes = text.len();
        Key::stored(text).unwrap_or_else(|| panic!("a key of {bytes} bytes in the schema"))
    }

    /// What an engine found where a key should be.
    pub(crate) fn stored(text: String) -> Option<Key> {
        (1..=KEY_BYTES_MAX).contains(&text.len()).then_some(Key(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Prefix {
    pub(crate) fn new(text: String) -> Prefix {
        Prefix(text)
    }

    /// Every key of the store.
    pub fn all() -> Prefix {
        Prefix(String::new())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn holds(&self, key: &Key) -> bool {
        key.0.starts_with(&self.0)
    }
}

impl<T> TypedKey<T> {
    pub(crate) fn new(text: String) -> TypedKey<T> {
        TypedKey { key: Key::new(text), value: PhantomData }
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn into_key(self) -> Key {
        self.key
    }
}

impl<T> TypedPrefix<T> {
    pub(crate) fn new(text: String) -> TypedPrefix<T> {
        TypedPrefix { prefix: Prefix::new(text), value: PhantomData }
    }

    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }
}

impl<T> Clone for TypedKey<T> {
    fn clone(&self) -> Self {
        TypedKey { key: self.key.clone(), value: PhantomData }
    }
}

impl<T> Clone for TypedPrefix<T> {
    fn clone(&self) -> Self {
        TypedPrefix { prefix: self.prefix.clone(), value: PhantomData }
    }
}

macro_rules! shown_as_text {
    ($($name:ty => $text:expr, [$($generic:tt)*];)*) => {$(
        impl $($generic)* fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text: fn(&Self) -> &str = $text;
                f.write_str(text(self))
            }
        }

        impl $($generic)* fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

shown_as_text! {
    Key => |key| &key.0, [];
    Prefix => |prefix| &prefix.0, [];
    TypedKey<T> => |typed| &typed.key.0, [<T>];
    TypedPrefix<T> => |typed| &typed.prefix.0, [<T>];
}
