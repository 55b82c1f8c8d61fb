//! Markers: where the next page of a listing begins, in a form that callers pass back
//! and do not read.

use aws_api::ApiError;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{FunctionName, VersionId};

use crate::limits::PAGE_ITEMS_MAX;

/// The last item of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) name: FunctionName,
    pub(crate) version: VersionId,
}

impl Marker {
    pub(crate) fn write(&self) -> String {
        let number = match self.version {
            VersionId::Latest => 0,
            VersionId::Published(number) => number,
        };
        URL_SAFE_NO_PAD.encode(format!("{}/{number}", self.name))
    }

    pub(crate) fn read(text: &str) -> Result<Marker, ApiError> {
        parse(text).ok_or_else(invalid)
    }
}

pub(crate) fn invalid() -> ApiError {
    ApiError::invalid_parameter("The marker is not valid.")
}

/// Published versions are counted from one.
fn parse(text: &str) -> Option<Marker> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (name, number) = std::str::from_utf8(&bytes).ok()?.split_once('/')?;
    let version = match number.parse().ok()? {
        0 => VersionId::Latest,
        number => VersionId::Published(number),
    };
    Some(Marker { name: FunctionName::parse(name).ok()?, version })
}

/// Items of the page that a caller asked for.
pub(crate) fn page_items(asked: Option<i64>) -> usize {
    let asked = asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(PAGE_ITEMS_MAX);
    asked.clamp(1, PAGE_ITEMS_MAX)
}

/// An empty marker is none: some clients send it.
pub(crate) fn read_given(given: Option<&str>) -> Result<Option<Marker>, ApiError> {
    given.filter(|text| !text.is_empty()).map(Marker::read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_comes_back_and_nothing_else_is_one() {
        for version in [VersionId::Latest, VersionId::Published(12)] {
            let marker = Marker { name: FunctionName::parse("a-b_c").unwrap(), version };
            assert_eq!(Marker::read(&marker.write()), Ok(marker));
        }
        for text in ["x", "a/b", "YS8", "!!"] {
            assert!(Marker::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_at_most_fifty_items() {
        let cases = [(None, 50), (Some(1), 1), (Some(50), 50), (Some(10_000), 50)];
        for (asked, given) in cases {
            assert_eq!(page_items(asked), given);
        }
    }
}
