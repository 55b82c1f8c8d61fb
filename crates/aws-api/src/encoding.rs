//! Percent-encoding as SigV4 and URIs of the Lambda API use it.
//!
//! Not here: base64 and hexadecimal, which have crates.

use std::borrow::Cow;

/// Decodes `%XX`; `+` stays. `None` where an escape is broken or the bytes are
/// not UTF-8.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(percent_decode_bytes(text.as_bytes())?).ok().map(Cow::Owned)
}

/// Decodes a query key or value, where `+` means a space.
pub fn query_decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        return percent_decode(&text.replace('+', "%20")).map(|t| Cow::Owned(t.into_owned()));
    }
    percent_decode(text)
}

pub(crate) fn percent_decode_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (escape, tail) = rest.split_at_checked(2)?;
        out.push(nibble(escape[0])? << 4 | nibble(escape[1])?);
        rest = tail;
    }
    Some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The characters SigV4 leaves as they are.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends `bytes`, each reserved byte as `%XX` in upper case.
pub(crate) fn percent_encode_into(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if is_unreserved(*byte) {
            out.push(*byte);
        } else {
            let escape = [b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            out.extend_from_slice(&escape);
        }
    }
}

/// `text` with every reserved byte as `%XX`: fit for one path segment or query value.
pub fn percent_encode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    percent_encode_into(&mut out, text.as_bytes());
    out.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%4", "%zz", "a%2", "%ff"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
        assert_eq!(percent_decode("a%3Ab%2fc+").as_deref(), Some("a:b/c+"));
        assert_eq!(query_decode("a+b%2B").as_deref(), Some("a b+"));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in any::<String>()) {
            let encoded = percent_encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(percent_decode(&encoded), Some(Cow::Borrowed(text.as_str())));
        }
    }
}
