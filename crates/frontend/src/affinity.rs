//! The affinity of a call (A8): its function's setting and the caller's header become
//! a value that belongs to the authenticated caller, so that nobody's value selects
//! what another one's selected.

use http::{HeaderMap, HeaderValue};
use model::{
    AccountId, Affinity, AffinityAnswer, AffinityAsk, Digest, affinity::Source,
    limits::AFFINITY_VALUE_CHARS_MAX,
};
use sha2::{Digest as _, Sha256};

use crate::refusal::Refusal;

const HEADER: &str = "x-lambent-affinity";

/// The value that the caller sent, as it is.
pub(crate) fn read(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        graphic && (1..=AFFINITY_VALUE_CHARS_MAX).contains(&text.len())
    });
    text.map(|text| Some(text.to_owned())).ok_or_else(|| Refusal::InvalidParameter {
        message: format!(
            "X-Lambent-Affinity is 1 to {AFFINITY_VALUE_CHARS_MAX} visible ASCII characters."
        ),
    })
}

/// What the call asks for; a value for a function that has no use for it is refused,
/// since its caller hopes for something.
pub(crate) fn ask(
    setting: Option<Affinity>,
    caller: AccountId,
    value: Option<&str>,
) -> Result<Option<AffinityAsk>, Refusal> {
    let Some(Affinity { source, when_busy, ttl }) = setting else {
        return match value {
            None => Ok(None),
            Some(_) => Err(Refusal::InvalidParameter {
                message: "The function has no affinity: remove X-Lambent-Affinity from your \
                          request, or set its affinity."
                    .into(),
            }),
        };
    };
    let value = match source {
        Source::Header => value,
        Source::Principal => Some(""),
    };
    let ask = |value| AffinityAsk { value: digest(caller, value), when_busy, ttl };
    Ok(value.map(ask))
}

fn digest(caller: AccountId, value: &str) -> Digest {
    let mut hash = Sha256::new();
    hash.update(caller.as_u64().to_le_bytes());
    hash.update(value.as_bytes());
    Digest(hash.finalize().into())
}

/// Tells the caller (I25).
pub(crate) fn tell(headers: &mut HeaderMap, answer: AffinityAnswer) {
    headers.insert(HEADER, HeaderValue::from_static(answer.as_str()));
}

#[cfg(test)]
mod tests {
    use model::{Span, WhenBusy};

    use super::*;

    fn account(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    fn of(source: Source) -> Option<Affinity> {
        Some(Affinity { source, when_busy: WhenBusy::Reject, ttl: Span::secs(60) })
    }

    fn value(setting: Option<Affinity>, caller: &str, value: Option<&str>) -> Option<Digest> {
        ask(setting, account(caller), value).unwrap().map(|ask| ask.value)
    }

    #[test]
    fn a_value_belongs_to_who_sends_it() {
        let (one, two) = ("000000000001", "000000000002");
        let header = of(Source::Header);
        assert_eq!(value(header, one, Some("s1")), value(header, one, Some("s1")));
        assert_ne!(value(header, one, Some("s1")), value(header, two, Some("s1")));
        assert_ne!(value(header, one, Some("s1")), value(header, one, Some("s2")));
        assert_eq!(value(header, one, None), None);
        let principal = of(Source::Principal);
        assert_eq!(value(principal, one, None), value(principal, one, Some("s1")));
        assert_ne!(value(principal, one, None), value(principal, two, None));
        assert_eq!(value(None, one, None), None);
        assert!(ask(None, account(one), Some("s1")).is_err());
    }

    #[test]
    fn values_are_short_and_visible() {
        let longest = "x".repeat(AFFINITY_VALUE_CHARS_MAX);
        let too_long = "x".repeat(AFFINITY_VALUE_CHARS_MAX + 1);
        let cases =
            [("s1", true), (&longest, true), (&too_long, false), ("", false), ("a b", false)];
        for (text, good) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(text).unwrap());
            assert_eq!(read(&headers).is_ok(), good, "{text}");
        }
        assert!(read(&HeaderMap::new()).is_ok_and(|value| value.is_none()));
    }
}
