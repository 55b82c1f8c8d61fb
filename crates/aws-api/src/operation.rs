//! Which operation a request is: method and path against the one table of the
//! service model, with the path parameters decoded.
//!
//! The table itself is generated; the macro here gives it its form. Nothing in
//! this file looks at headers or bodies.

use std::borrow::Cow;

use crate::encoding::percent_decode;
use crate::errors::ApiError;
pub use crate::generated::operations::Operation;
use crate::generated::operations::TABLE;

/// Path segments of the longest template (layer version policy statement), plus
/// one: a longer path is no operation, found without keeping its segments.
const SEGMENTS_MAX: usize = 8;
/// Parameters of the template with most of them.
const PARAMS_MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    fn of(method: &http::Method) -> Option<Self> {
        match method.as_str() {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    Literal(&'static str),
    Param(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub operation: Operation,
    pub name: &'static str,
    pub method: Method,
    pub segments: &'static [Segment],
    /// A query pair that is part of the address of two operations.
    pub query: Option<(&'static str, &'static str)>,
    pub success: u16,
}

macro_rules! segment {
    ({$param:ident}) => {
        $crate::operation::Segment::Param(stringify!($param))
    };
    ($literal:literal) => {
        $crate::operation::Segment::Literal($literal)
    };
}

macro_rules! operations {
    ($($name:ident $method:ident [$($segment:tt)*] $query:tt $success:literal;)*) => {
        /// Every operation of the service model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation { $($name,)* }

        /// In the order of `Operation`, so that it is indexed by it.
        pub static TABLE: &[$crate::operation::Row] = &[$(
            $crate::operation::Row {
                operation: Operation::$name,
                name: stringify!($name),
                method: $crate::operation::Method::$method,
                segments: &[$($crate::operation::segment!($segment),)*],
                query: $query,
                success: $success,
            },
        )*];
    };
}
pub(crate) use {operations, segment};

impl Operation {
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// `CreateFunction`, ...: also the action's name in `lambda:CreateFunction`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The status of success; Invoke answers 202 and 204 besides.
    pub fn success(self) -> u16 {
        // The model says 200, the service answers 204 and so do its clients' tests.
        if self == Self::DeleteFunction { 204 } else { self.row().success }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.operation)
    }
}

/// Path parameters of a matched request, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathParams<'a>([Option<(&'static str, Cow<'a, str>)>; PARAMS_MAX]);

impl<'a> PathParams<'a> {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().flatten().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched<'a> {
    pub operation: Operation,
    pub params: PathParams<'a>,
}

/// Finds the operation of a request. `path` and `query` are as on the wire.
/// A single trailing slash, which older clients send, is ignored.
///
/// # Errors
/// `UnknownOperationException` where nothing matches or a parameter is not
/// percent-encoded UTF-8.
pub fn route<'a>(
    method: &http::Method,
    path: &'a str,
    query: Option<&str>,
) -> Result<Matched<'a>, ApiError> {
    let method = Method::of(method).ok_or_else(ApiError::unknown_operation)?;
    let (segments, count) = split(path).ok_or_else(ApiError::unknown_operation)?;
    let segments = &segments[..count];
    let row = find(method, segments, query).ok_or_else(ApiError::unknown_operation)?;
    let params = params(row, segments).ok_or_else(ApiError::unknown_operation)?;
    Ok(Matched { operation: row.operation, params })
}

fn split(path: &str) -> Option<([&str; SEGMENTS_MAX], usize)> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = [""; SEGMENTS_MAX];
    let mut count = 0;
    for segment in path.split('/') {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    Some((segments, count))
}

fn find(method: Method, segments: &[&str], query: Option<&str>) -> Option<&'static Row> {
    let mut found = None;
    for row in TABLE {
        if row.method != method || !segments_match(row.segments, segments) {
            continue;
        }
        match row.query {
            None => found = Some(row),
            Some((key, value)) => {
                let named = |pair: &str| pair.split_once('=') == Some((key, value));
                if query.is_some_and(|q| q.split('&').any(named)) {
                    return Some(row);
                }
            }
        }
    }
    found
}

fn segments_match(template: &[Segment], segments: &[&str]) -> bool {
    // From the end: dates and `functions` are shared by most rows.
    template.len() == segments.len()
        && template.iter().zip(segments).rev().all(|(expected, given)| match expected {
            Segment::Literal(literal) => literal == given,
            Segment::Param(_) => true,
        })
}

fn params<'a>(row: &Row, segments: &[&'a str]) -> Option<PathParams<'a>> {
    let mut params = PathParams::default();
    let mut slots = params.0.iter_mut();
    for (expected, given) in row.segments.iter().zip(segments) {
        if let Segment::Param(name) = expected {
            *slots.next()? = Some((name, percent_decode(given)?));
        }
    }
    Some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(row: &Row) -> String {
        row.segments.iter().fold(String::new(), |path, segment| match segment {
            Segment::Literal(literal) => format!("{path}/{literal}"),
            Segment::Param(name) => format!("{path}/v-{name}%3Ax"),
        })
    }

    fn http(method: Method) -> http::Method {
        match method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        }
    }

    #[test]
    fn every_operation_of_the_model_finds_itself() {
        assert_eq!(TABLE.len(), 91);
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.operation as usize, index);
            let query = row.query.map(|(k, v)| format!("a=b&{k}={v}"));
            let path = uri(row);
            for path in [path.clone(), format!("{path}/")] {
                let matched = route(&http(row.method), &path, query.as_deref()).expect("matched");
                assert_eq!(matched.operation, row.operation);
                for segment in row.segments {
                    if let Segment::Param(name) = segment {
                        assert_eq!(matched.params.get(name), Some(format!("v-{name}:x").as_str()));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        for (method, path) in [
            (http::Method::GET, "/"),
            (http::Method::GET, "/2015-03-31/function"),
            (http::Method::PATCH, "/2015-03-31/functions"),
            (http::Method::POST, "/2015-03-31/functions/f/invocations/x"),
            (http::Method::POST, "2015-03-31/functions"),
            (http::Method::GET, "/2015-03-31/functions/%ff"),
            (http::Method::GET, "/2015-03-31/functions/%4"),
            (http::Method::GET, "/a/b/c/d/e/f/g/h/i/j"),
        ] {
            let error = route(&method, path, None).expect_err(path);
            assert_eq!(error.error_type(), "UnknownOperationException");
            assert_eq!(error.status(), 404);
        }
    }

    #[test]
    fn a_query_pair_tells_two_operations_apart() {
        let path = "/2019-09-30/functions/f/provisioned-concurrency";
        let of = |query| route(&http::Method::GET, path, query).expect("matched").operation;
        assert_eq!(of(None), Operation::GetProvisionedConcurrencyConfig);
        assert_eq!(of(Some("Qualifier=1")), Operation::GetProvisionedConcurrencyConfig);
        assert_eq!(of(Some("List=ALL")), Operation::ListProvisionedConcurrencyConfigs);
    }

    #[test]
    fn success_codes_are_those_on_the_wire() {
        for (operation, status) in [
            (Operation::CreateFunction, 201),
            (Operation::DeleteFunction, 204),
            (Operation::DeleteFunctionConcurrency, 204),
            (Operation::Invoke, 200),
            (Operation::TagResource, 204),
        ] {
            assert_eq!(operation.success(), status);
        }
    }
}
